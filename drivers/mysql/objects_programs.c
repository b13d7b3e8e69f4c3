#include "drivers/mysql/objects_reading.h"

#include "drivers/mysql/ddl.h"

/* A row of SHOW CREATE of a program: its text is in column `body`, mode before, character set and collations after it. */
static enum status give_program(struct my_reading *r, struct my_object *o, MYSQL_ROW row, unsigned body, struct error *err)
{
	o->sql_mode = my_reading_copy(row[1]);
	o->charset = my_reading_copy(row[body + 1]);
	o->collation = my_reading_copy(row[body + 2]);
	o->db_collation = my_reading_copy(row[body + 3]);
	if (!row[body]) {
		CLEANUP(cstr_release) char *what = xasprintf("the body of %s %s", my_object_kind_name(o->kind), o->name);

		return my_reading_denied(r, what, r->c->mariadb ? "GRANT SELECT ON mysql.proc" : "GRANT SELECT ON *.*", err);
	}
	o->sql = o->kind == OBJECT_TRIGGER ? my_ddl_trigger(row[body], row[1]) : my_ddl_comment(row[body], row[1]);
	o->definer = my_ddl_definer(o->sql, row[1]);
	return r->fn(r->ctx, o, err);
}

static enum status read_program(struct my_reading *r, struct my_object *o, const char *keyword, unsigned body, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (my_reading_show(r, keyword, o->name, &res, &row, err))
		return err->code;
	if (o->kind == OBJECT_EVENT)
		o->time_zone = my_reading_copy(row[2]);
	return give_program(r, o, row, body, err);
}

enum status my_reading_routines(struct my_reading *r, struct error *err)
{
	static const struct {
		enum object_kind kind;
		const char *type;
	} kind[] = {{OBJECT_FUNCTION, "FUNCTION"},
		    {OBJECT_PROCEDURE, "PROCEDURE"},
		    {OBJECT_PACKAGE, "PACKAGE"},
		    {OBJECT_PACKAGE_BODY, "PACKAGE BODY"}};
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (my_reading_list(r, "ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES", "ROUTINE_SCHEMA", " ORDER BY ROUTINE_NAME", &res, err))
		return err->code;
	for (size_t k = 0; k < ARRAY_LEN(kind); k++) {
		mysql_data_seek(res, 0);
		while ((row = mysql_fetch_row(res))) {
			CLEANUP(my_object_release) struct my_object o = {.kind = kind[k].kind, .name = xstrdup(row[0])};

			if (!strcmp(row[1], kind[k].type) && read_program(r, &o, kind[k].type, 2, err))
				return err->code;
		}
	}
	return ST_OK;
}

enum status my_reading_triggers(struct my_reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(strlist_release) struct strlist several = STRLIST_INIT;
	MYSQL_ROW row;

	if (my_reading_list(r, "TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS", "TRIGGER_SCHEMA",
		 " ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res))) {
		CLEANUP(my_object_release)
		struct my_object o = {.kind = OBJECT_TRIGGER, .name = xstrdup(row[0]), .table = my_reading_copy(row[1])};

		/* One that fires at several events has a row for each (MariaDB 12). */
		if (r->c->mariadb && r->c->version >= 120000) {
			if (strlist_has(&several, row[0]))
				continue;
			strlist_add(&several, row[0]);
		}
		if (read_program(r, &o, "TRIGGER", 2, err))
			return err->code;
	}
	return ST_OK;
}

enum status my_reading_events(struct my_reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (my_reading_list(r, "EVENT_NAME, STATUS FROM information_schema.EVENTS", "EVENT_SCHEMA", " ORDER BY EVENT_NAME", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res))) {
		CLEANUP(my_object_release)
		struct my_object o = {.kind = OBJECT_EVENT, .name = xstrdup(row[0]), .status = my_reading_copy(row[1])};

		if (read_program(r, &o, "EVENT", 3, err))
			return err->code;
	}
	return ST_OK;
}
