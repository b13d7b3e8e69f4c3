#include "drivers/mysql/objects.h"

#include "drivers/mysql/ddl.h"
#include "drivers/mysql/server.h"

struct reading {
	struct run *run;
	struct my_conn *c;
	const char *database;
	struct notes *notes;
	my_object_fn *fn;
	void *ctx;
};

/* ---- rights ---- */

/* Without these the server shows less and says nothing of it. */
static void missing_rights(const struct my_rights *r, const char *database, struct buf *to)
{
	static const char *const right[] = {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT"};

	for (size_t i = 0; i < ARRAY_LEN(right); i++)
		if (!my_rights_have(r, right[i], database))
			buf_printf(to, "%s%s", to->len ? ", " : "", right[i]);
}

static bool lost(const struct error *err) { return err->code && !my_conn_errno(err); }

/* Whether the bodies of all routines may be read. *grant: what would do, a borrowed word of SQL. */
static enum status routines_readable(struct reading *r, const struct my_rights *rights, bool *readable, const char **grant,
				     struct error *err)
{
	const struct my_conn *c = r->c;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	const bool table = c->mariadb || c->version < 80000; /* they stand in mysql.proc */

	*grant = table ? "GRANT SELECT ON mysql.proc" : c->version < 80020 ? "GRANT SELECT ON *.*" : "GRANT SHOW_ROUTINE ON *.*";
	*readable = my_rights_have(rights, "SELECT", NULL) || (!table && my_rights_have(rights, "SHOW_ROUTINE", NULL)) ||
		    (c->mariadb && my_rights_have(rights, "SHOW CREATE ROUTINE", r->database));
	if (*readable || !table)
		return ST_OK;
	*readable = !my_conn_command(r->run, r->c, "SELECT 1 FROM mysql.proc LIMIT 0", &why);
	return lost(&why) ? error_move(err, &why) : ST_OK;
}

static enum status denied(struct reading *r, const char *what, const char *grant, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(cstr_release) char *account = NULL;
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	if (my_conn_value(r->run, r->c, "SELECT CURRENT_USER()", &account, &why) || !account)
		return error_move(err, &why);
	const char *at = strrchr(account, '@');
	CLEANUP(cstr_release) char *name = at ? xstrndup(account, (size_t)(at - account)) : xstrdup(account);
	my_sql_literal(&to, name);
	if (at) {
		buf_putc(&to, '@');
		my_sql_literal(&to, at + 1);
	}
	error_set(err, ST_DENIED, "%s of database %s may not be read by the account %s", what, r->database, account);
	return error_hint(err, "%s TO %s;", grant, buf_str(&to));
}

static enum status check_rights(struct reading *r, struct error *err)
{
	CLEANUP(my_rights_freep) struct my_rights *rights = NULL;
	CLEANUP(buf_release) struct buf missing = BUF_INIT;
	const char *grant;
	bool readable;

	if (my_rights_read(r->run, r->c, &rights, err))
		return err->code;
	missing_rights(rights, r->database, &missing);
	if (missing.len) {
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		buf_printf(&sql, "GRANT %s ON ", buf_str(&missing));
		my_sql_ident(&sql, r->database);
		buf_puts(&sql, ".*");
		return denied(r, "all objects", buf_str(&sql), err);
	}
	if (routines_readable(r, rights, &readable, &grant, err))
		return err->code;
	return readable ? ST_OK : denied(r, "functions and procedures", grant, err);
}

/* ---- lists ---- */

/* Names of information_schema compare without case; the second comparison does not. */
static enum status list(struct reading *r, const char *columns_from, const char *column, const char *order, MYSQL_RES **to,
			struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_printf(&sql, "SELECT %s WHERE %s = ", columns_from, column);
	my_sql_literal(&sql, r->database);
	buf_printf(&sql, " AND CAST(%s AS BINARY) = CAST(", column);
	my_sql_literal(&sql, r->database);
	buf_printf(&sql, " AS BINARY)%s", order);
	return my_conn_query(r->run, r->c, buf_str(&sql), to, err);
}

/* The row of SHOW CREATE. ST_NOT_FOUND: what was listed is gone. */
static enum status show(struct reading *r, const char *kind, const char *name, MYSQL_RES **to, MYSQL_ROW *row, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_printf(&sql, "SHOW CREATE %s ", kind);
	my_sql_ident(&sql, name);
	if (my_conn_query(r->run, r->c, buf_str(&sql), to, err)) {
		const unsigned n = my_conn_errno(err);

		if (n == 1146 || n == 1305 || n == 1360 || n == 1539 || n == 1347 || n == 1049 || n == 4089 || n == 4091) {
			err->retry = true;
			error_hint(err, "It was dropped or renamed while it was read: run again when no migration is at work.");
		}
		return error_add(err, "SHOW CREATE %s %s", kind, name);
	}
	*row = mysql_fetch_row(*to);
	return *row ? ST_OK : error_set(err, ST_SERVER, "SHOW CREATE %s %s gave nothing", kind, name);
}

static char *copy(const char *s) { return s ? xstrdup(s) : NULL; }

/* ---- database, sequences, tables ---- */

static enum status read_database(struct reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL, *schema = NULL;
	MYSQL_ROW row, s;

	if (show(r, "DATABASE", r->database, &res, &row, err) ||
	    list(r, "DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA", "SCHEMA_NAME", "", &schema, err))
		return err->code;
	s = mysql_fetch_row(schema);
	CLEANUP(my_object_release)
	struct my_object o = {.kind = OBJECT_DATABASE, .name = xstrdup(r->database), .sql = copy(row[1]), .db_collation = s ? copy(s[0]) : NULL};
	return r->fn(r->ctx, &o, err);
}

static enum status read_sequence(struct reading *r, const char *name, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL, *value = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	MYSQL_ROW row, v;

	buf_puts(&sql, "SELECT next_not_cached_value, cycle_count FROM ");
	my_sql_ident(&sql, name);
	if (show(r, "SEQUENCE", name, &res, &row, err) || my_conn_query(r->run, r->c, buf_str(&sql), &value, err))
		return err->code;
	v = mysql_fetch_row(value);
	if (!v || !v[0] || !v[1])
		return error_set(err, ST_SERVER, "sequence %s has no value", name);
	CLEANUP(my_object_release)
	struct my_object o = {.kind = OBJECT_SEQUENCE, .name = xstrdup(name), .sql = copy(row[1]), .next = xasprintf("%s, 0, %s", v[0], v[1])};
	return r->fn(r->ctx, &o, err);
}

static enum status read_table(struct reading *r, const char *name, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (show(r, "TABLE", name, &res, &row, err))
		return err->code;
	CLEANUP(my_object_release)
	struct my_object o = {.kind = OBJECT_TABLE, .name = xstrdup(name), .sql = my_ddl_unqualified(row[1], r->database)};
	return r->fn(r->ctx, &o, err);
}

/* ---- views ---- */

/* What information_schema says of a view that SHOW CREATE cannot print. */
static enum status view_from_list(struct reading *r, const char *name, struct my_object *o, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT, order = BUF_INIT;
	MYSQL_ROW row;

	buf_puts(&order, " AND TABLE_NAME = ");
	my_sql_literal(&order, name);
	if (list(r,
		 "SECURITY_TYPE, VIEW_DEFINITION, CHECK_OPTION, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION FROM "
		 "information_schema.VIEWS",
		 "TABLE_SCHEMA", buf_str(&order), &res, err))
		return err->code;
	row = mysql_fetch_row(res);
	if (!row || !row[1] || !*row[1])
		return denied(r, "view definitions", "GRANT SELECT, SHOW VIEW ON *.*", err);
	buf_printf(&sql, "CREATE SQL SECURITY %s VIEW ", row[0] ? row[0] : "DEFINER");
	my_sql_ident(&sql, name);
	buf_printf(&sql, " AS %s", row[1]);
	if (row[2] && strcmp(row[2], "NONE"))
		buf_printf(&sql, " WITH %s CHECK OPTION", row[2]);
	o->sql = my_ddl_unqualified(buf_str(&sql), r->database);
	o->definer = copy(row[3]);
	o->charset = copy(row[4]);
	o->collation = copy(row[5]);
	return ST_OK;
}

/* 1356: it names something that is not there, or its definer may not use. SHOW CREATE VIEW gives it as a warning. */
static enum status is_invalid(struct reading *r, bool *invalid, struct error *err)
{
	CLEANUP(strlist_release) struct strlist warning = STRLIST_INIT;

	if (!my_conn_warning_count(r->c))
		return ST_OK;
	if (my_conn_warnings(r->run, r->c, 8, &warning, err))
		return err->code;
	for (size_t i = 0; i < warning.len; i++)
		*invalid |= !strncmp(warning.item[i], "1356", 4);
	return ST_OK;
}

static enum status read_view(struct reading *r, const char *name, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(my_object_release) struct my_object o = {.kind = OBJECT_VIEW, .name = xstrdup(name)};
	MYSQL_ROW row;

	if (!show(r, "VIEW", name, &res, &row, err)) {
		if (is_invalid(r, &o.invalid, err))
			return err->code;
		o.sql = my_ddl_unqualified(row[1], r->database);
		o.charset = copy(row[2]);
		o.collation = copy(row[3]);
		o.definer = my_ddl_definer(o.sql, NULL);
	} else {
		if (my_conn_errno(err) != 1356)
			return err->code;
		error_release(err);
		o.invalid = true;
		if (view_from_list(r, name, &o, err))
			return err->code;
	}
	if (o.invalid)
		notes_add(r->notes, "view %s.%s is invalid on the server: it is kept as it is, and cannot be restored before what it needs is there",
			  r->database, name);
	return r->fn(r->ctx, &o, err);
}

static enum status read_tables(struct reading *r, struct strlist *views, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(strlist_release) struct strlist tables = STRLIST_INIT, sequences = STRLIST_INIT;
	MYSQL_ROW row;

	if (list(r, "TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES", "TABLE_SCHEMA", "", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res))) {
		if (!strcmp(row[1], "SEQUENCE"))
			strlist_add(&sequences, row[0]);
		else if (!strcmp(row[1], "VIEW"))
			strlist_add(views, row[0]);
		else if (!strcmp(row[1], "BASE TABLE") || !strcmp(row[1], "SYSTEM VERSIONED"))
			strlist_add(&tables, row[0]);
		else if (strcmp(row[1], "TEMPORARY"))
			return error_set(err, ST_UNSUPPORTED, "%s.%s is a %s, which this drtool does not know", r->database, row[0], row[1]);
	}
	strlist_sort(&sequences);
	strlist_sort(&tables);
	strlist_sort(views);
	for (size_t i = 0; i < sequences.len; i++)
		if (read_sequence(r, sequences.item[i], err))
			return err->code;
	for (size_t i = 0; i < tables.len; i++)
		if (read_table(r, tables.item[i], err))
			return err->code;
	return ST_OK;
}

/* ---- programs ---- */

/* A row of SHOW CREATE of a program: its text is in column `body`, mode before, character set and collations after it. */
static enum status give_program(struct reading *r, struct my_object *o, MYSQL_ROW row, unsigned body, struct error *err)
{
	o->sql_mode = copy(row[1]);
	o->charset = copy(row[body + 1]);
	o->collation = copy(row[body + 2]);
	o->db_collation = copy(row[body + 3]);
	if (!row[body])
		return denied(r, my_object_kind_name(o->kind), r->c->mariadb ? "GRANT SELECT ON mysql.proc" : "GRANT SELECT ON *.*", err);
	o->sql = o->kind == OBJECT_TRIGGER ? my_ddl_trigger(row[body], row[1]) : xstrdup(row[body]);
	o->definer = my_ddl_definer(o->sql, row[1]);
	return r->fn(r->ctx, o, err);
}

static enum status read_program(struct reading *r, struct my_object *o, const char *keyword, unsigned body, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (show(r, keyword, o->name, &res, &row, err))
		return err->code;
	if (o->kind == OBJECT_EVENT)
		o->time_zone = copy(row[2]);
	return give_program(r, o, row, body, err);
}

static enum status read_routines(struct reading *r, struct error *err)
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

	if (list(r, "ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES", "ROUTINE_SCHEMA", " ORDER BY ROUTINE_NAME", &res, err))
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

static enum status read_triggers(struct reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(strlist_release) struct strlist several = STRLIST_INIT;
	MYSQL_ROW row;

	if (list(r, "TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS", "TRIGGER_SCHEMA",
		 " ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res))) {
		CLEANUP(my_object_release)
		struct my_object o = {.kind = OBJECT_TRIGGER, .name = xstrdup(row[0]), .table = copy(row[1])};

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

static enum status read_events(struct reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (list(r, "EVENT_NAME, STATUS FROM information_schema.EVENTS", "EVENT_SCHEMA", " ORDER BY EVENT_NAME", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res))) {
		CLEANUP(my_object_release)
		struct my_object o = {.kind = OBJECT_EVENT, .name = xstrdup(row[0]), .status = copy(row[1])};

		if (read_program(r, &o, "EVENT", 3, err))
			return err->code;
	}
	return ST_OK;
}

/* Programs of MySQL 9 in other languages may use these; there is no kind for them. */
static enum status note_libraries(struct reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (r->c->mariadb || r->c->version < 90200)
		return ST_OK;
	if (list(r, "LIBRARY_NAME FROM information_schema.LIBRARIES", "LIBRARY_SCHEMA", "", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res)))
		notes_add(r->notes, "library %s.%s is not contained: make it again before a restore (SHOW CREATE LIBRARY)", r->database, row[0]);
	return ST_OK;
}

static enum status read_all(struct reading *r, struct error *err)
{
	CLEANUP(strlist_release) struct strlist views = STRLIST_INIT;

	if (check_rights(r, err) || read_database(r, err) || read_tables(r, &views, err) || note_libraries(r, err) || read_routines(r, err))
		return err->code;
	for (size_t i = 0; i < views.len; i++)
		if (read_view(r, views.item[i], err))
			return err->code;
	return read_triggers(r, err) ? err->code : read_events(r, err);
}

/* ---- the default database ---- */

static enum status use(struct run *run, struct my_conn *c, const char *database, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "USE ");
	my_sql_ident(&sql, database);
	return my_conn_command(run, c, buf_str(&sql), err);
}

/* In it the server prints names of the database's own objects without the database. */
static enum status within(struct reading *r, enum status (*work)(struct reading *, struct error *), struct error *err)
{
	CLEANUP(cstr_release) char *before = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (my_conn_value(r->run, r->c, "SELECT DATABASE()", &before, err) || use(r->run, r->c, r->database, err))
		return error_add(err, "objects of database %s", r->database);
	if (work(r, err))
		error_add(err, "objects of database %s", r->database);
	if (before && !lost(err) && use(r->run, r->c, before, &why) && !err->code)
		return error_move(err, &why);
	return err->code;
}

enum status my_objects_each(struct run *run, struct my_conn *c, const char *database, struct notes *notes, my_object_fn *fn, void *ctx,
			    struct error *err)
{
	struct reading r = {.run = run, .c = c, .database = database, .notes = notes, .fn = fn, .ctx = ctx};

	return within(&r, read_all, err);
}

static enum status read_sequences(struct reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (!r->c->mariadb)
		return ST_OK;
	if (list(r, "TABLE_NAME FROM information_schema.TABLES", "TABLE_SCHEMA", " AND TABLE_TYPE = 'SEQUENCE' ORDER BY TABLE_NAME", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res)))
		if (read_sequence(r, row[0], err))
			return err->code;
	return ST_OK;
}

enum status my_sequences_each(struct run *run, struct my_conn *c, const char *database, my_object_fn *fn, void *ctx, struct error *err)
{
	struct reading r = {.run = run, .c = c, .database = database, .fn = fn, .ctx = ctx};

	return within(&r, read_sequences, err);
}
