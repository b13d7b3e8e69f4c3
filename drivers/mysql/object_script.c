/* Objects as text for the stock client. */
#include "drivers/mysql/object_settings.h"

#include "drivers/mysql/ddl.h"

/* The client ends a statement where it sees the delimiter, also in texts that it does not understand. */
static char *delimiter_for(const char *sql)
{
	static const char *const usual[] = {";;", "$$", "//", "||"};
	char *made = NULL;

	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (!strstr(sql, usual[i]))
			return xstrdup(usual[i]);
	for (unsigned i = 0; !made || strstr(sql, made); i++) {
		free(made);
		made = xasprintf("$%u$", i);
	}
	return made;
}

static void put_statement(const struct my_object *o, const char *sql, struct buf *to)
{
	CLEANUP(cstr_release) char *delimiter = NULL;

	if (o->kind <= OBJECT_TABLE || o->kind == OBJECT_VIEW) {
		buf_printf(to, "%s;\n", sql);
		return;
	}
	/* A line end before it, since the text may end in a comment. */
	delimiter = delimiter_for(sql);
	buf_printf(to, "DELIMITER %s\n%s\n%s\nDELIMITER ;\n", delimiter, sql, delimiter);
}

void my_object_script_in(const struct my_object *o, const char *sql, const char *db_collation, struct buf *to)
{
	CLEANUP(cstr_release) char *own = sql ? NULL : my_object_sql(o);
	CLEANUP(buf_release) struct buf set = BUF_INIT;
	const bool alter = db_collation && o->kind > OBJECT_DATABASE && o->db_collation && strcmp(db_collation, o->db_collation);

	sql = sql ? sql : own;
	my_put_settings(NULL, o, o->charset && my_text_is_plain(sql, o->charset) ? o->charset : o->charset ? "utf8mb4" : NULL, &set);
	if (set.len) {
		buf_puts(to, "SET @drtool_mode = @@sql_mode, @drtool_client = @@character_set_client,"
			     " @drtool_connection = @@collation_connection, @drtool_zone = @@time_zone;\n");
		buf_printf(to, "%s;\n", buf_str(&set));
	}
	if (alter) {
		my_put_database_collation(o->db_collation, to);
		buf_puts(to, ";\n");
	}
	put_statement(o, sql, to);
	if (alter) {
		my_put_database_collation(db_collation, to);
		buf_puts(to, ";\n");
	}
	if (set.len)
		buf_puts(to, "SET sql_mode = @drtool_mode, character_set_client = @drtool_client,"
			     " collation_connection = @drtool_connection, time_zone = @drtool_zone;\n");
}

void my_object_script(const struct my_object *o, const char *sql, struct buf *to) { my_object_script_in(o, sql, NULL, to); }

void my_object_value_sql(const struct my_object *o, struct buf *sql)
{
	if (!o->next)
		return;
	buf_puts(sql, "SELECT SETVAL(");
	my_sql_ident(sql, o->name);
	buf_printf(sql, ", %s)", o->next);
}

void my_event_status_script(const struct my_object *o, struct buf *to)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	my_put_event_status(o, o->status && !strcmp(o->status, "REPLICA_SIDE_DISABLED"), &sql);
	if (sql.len)
		my_object_script_in(o, buf_str(&sql), NULL, to);
}
