#include "drivers/mysql/objects_reading.h"

#include "drivers/mysql/ddl.h"

/* ---- lists ---- */

/* Names of information_schema compare without case; the second comparison does not. */
enum status my_reading_list(struct my_reading *r, const char *columns_from, const char *column, const char *order, MYSQL_RES **to,
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

enum status my_reading_show(struct my_reading *r, const char *kind, const char *name, MYSQL_RES **to, MYSQL_ROW *row, struct error *err)
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

/* ---- database, sequences, tables ---- */

static enum status read_database(struct my_reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL, *schema = NULL;
	MYSQL_ROW row, s;

	if (my_reading_show(r, "DATABASE", r->database, &res, &row, err) ||
	    my_reading_list(r, "DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA", "SCHEMA_NAME", "", &schema, err))
		return err->code;
	s = mysql_fetch_row(schema);
	CLEANUP(my_object_release)
	struct my_object o = {.kind = OBJECT_DATABASE, .name = xstrdup(r->database), .sql = my_reading_copy(row[1]), .db_collation = s ? my_reading_copy(s[0]) : NULL};
	return r->fn(r->ctx, &o, err);
}

static enum status read_sequence(struct my_reading *r, const char *name, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL, *value = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	MYSQL_ROW row, v;

	buf_puts(&sql, "SELECT next_not_cached_value, cycle_count FROM ");
	my_sql_ident(&sql, name);
	if (my_reading_show(r, "SEQUENCE", name, &res, &row, err) || my_conn_query(r->run, r->c, buf_str(&sql), &value, err))
		return err->code;
	v = mysql_fetch_row(value);
	if (!v || !v[0] || !v[1])
		return error_set(err, ST_SERVER, "sequence %s has no value", name);
	CLEANUP(my_object_release)
	struct my_object o = {.kind = OBJECT_SEQUENCE, .name = xstrdup(name), .sql = my_reading_copy(row[1]), .next = xasprintf("%s, 0, %s", v[0], v[1])};
	return r->fn(r->ctx, &o, err);
}

static enum status read_table(struct my_reading *r, const char *name, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (my_reading_show(r, "TABLE", name, &res, &row, err))
		return err->code;
	CLEANUP(my_object_release)
	struct my_object o = {.kind = OBJECT_TABLE, .name = xstrdup(name), .sql = my_ddl_unqualified(row[1], r->database)};
	return r->fn(r->ctx, &o, err);
}

/* ---- views ---- */

/* What information_schema says of a view that SHOW CREATE cannot print. */
static enum status view_from_list(struct my_reading *r, const char *name, struct my_object *o, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT, order = BUF_INIT;
	MYSQL_ROW row;

	buf_puts(&order, " AND TABLE_NAME = ");
	my_sql_literal(&order, name);
	if (my_reading_list(r,
		 "SECURITY_TYPE, VIEW_DEFINITION, CHECK_OPTION, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION FROM "
		 "information_schema.VIEWS",
		 "TABLE_SCHEMA", buf_str(&order), &res, err))
		return err->code;
	row = mysql_fetch_row(res);
	if (!row || !row[1] || !*row[1])
		return my_reading_denied(r, "definitions of views", "GRANT SELECT, SHOW VIEW ON *.*", err);
	buf_puts(&sql, "CREATE ");
	if (row[3] && *row[3]) {
		CLEANUP(cstr_release) char *account = NULL, *host = NULL;

		my_text_account(row[3], &account, &host);
		my_put_definer(account, host, &sql);
	}
	buf_printf(&sql, "SQL SECURITY %s VIEW ", row[0] ? row[0] : "DEFINER");
	my_sql_ident(&sql, name);
	buf_printf(&sql, " AS %s", row[1]);
	if (row[2] && strcmp(row[2], "NONE"))
		buf_printf(&sql, " WITH %s CHECK OPTION", row[2]);
	o->sql = my_ddl_unqualified(buf_str(&sql), r->database);
	o->definer = my_ddl_definer(o->sql, NULL);
	o->charset = my_reading_copy(row[4]);
	o->collation = my_reading_copy(row[5]);
	return ST_OK;
}

/* 1356: it names something that is not there, or its definer may not use. SHOW CREATE VIEW gives it as a warning. */
static enum status is_invalid(struct my_reading *r, bool *invalid, struct error *err)
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

static enum status read_view(struct my_reading *r, const char *name, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(my_object_release) struct my_object o = {.kind = OBJECT_VIEW, .name = xstrdup(name)};
	MYSQL_ROW row;

	if (!my_reading_show(r, "VIEW", name, &res, &row, err)) {
		if (is_invalid(r, &o.invalid, err))
			return err->code;
		o.sql = my_ddl_unqualified(row[1], r->database);
		o.charset = my_reading_copy(row[2]);
		o.collation = my_reading_copy(row[3]);
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

static enum status read_tables(struct my_reading *r, struct strlist *views, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	CLEANUP(strlist_release) struct strlist tables = STRLIST_INIT, sequences = STRLIST_INIT;
	MYSQL_ROW row;

	if (my_reading_list(r, "TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES", "TABLE_SCHEMA", "", &res, err))
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

/* ---- all ---- */

/* Programs of MySQL 9 in other languages may use these; there is no kind for them. */
static enum status note_libraries(struct my_reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (r->c->mariadb || r->c->version < 90200)
		return ST_OK;
	if (my_reading_list(r, "LIBRARY_NAME FROM information_schema.LIBRARIES", "LIBRARY_SCHEMA", "", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res)))
		notes_add(r->notes, "library %s.%s is not contained: make it again before a restore (SHOW CREATE LIBRARY)", r->database, row[0]);
	return ST_OK;
}

static enum status read_all(struct my_reading *r, struct error *err)
{
	CLEANUP(strlist_release) struct strlist views = STRLIST_INIT;

	if (my_reading_rights(r, err) || read_database(r, err) || read_tables(r, &views, err) || note_libraries(r, err) || my_reading_routines(r, err))
		return err->code;
	for (size_t i = 0; i < views.len; i++)
		if (read_view(r, views.item[i], err))
			return err->code;
	return my_reading_triggers(r, err) ? err->code : my_reading_events(r, err);
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
static enum status within(struct my_reading *r, enum status (*work)(struct my_reading *, struct error *), struct error *err)
{
	CLEANUP(cstr_release) char *before = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (my_conn_value(r->run, r->c, "SELECT DATABASE()", &before, err) || use(r->run, r->c, r->database, err))
		return error_add(err, "objects of database %s", r->database);
	if (work(r, err))
		error_add(err, "objects of database %s", r->database);
	if (before && !my_conn_lost(err) && use(r->run, r->c, before, &why) && !err->code)
		return error_move(err, &why);
	return err->code;
}

enum status my_objects_each(struct run *run, struct my_conn *c, const char *database, struct notes *notes, my_object_fn *fn, void *ctx,
			    struct error *err)
{
	struct my_reading r = {.run = run, .c = c, .database = database, .notes = notes, .fn = fn, .ctx = ctx};

	return within(&r, read_all, err);
}

static enum status read_sequences(struct my_reading *r, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (!r->c->mariadb)
		return ST_OK;
	if (my_reading_list(r, "TABLE_NAME FROM information_schema.TABLES", "TABLE_SCHEMA", " AND TABLE_TYPE = 'SEQUENCE' ORDER BY TABLE_NAME", &res, err))
		return err->code;
	while ((row = mysql_fetch_row(res)))
		if (read_sequence(r, row[0], err))
			return err->code;
	return ST_OK;
}

enum status my_sequences_each(struct run *run, struct my_conn *c, const char *database, my_object_fn *fn, void *ctx, struct error *err)
{
	struct my_reading r = {.run = run, .c = c, .database = database, .fn = fn, .ctx = ctx};

	return within(&r, read_sequences, err);
}
