#include "drivers/mysql/load.h"

#include "drivers/mysql/binlog.h"
#include "drivers/mysql/session.h"
#include "util/utf8.h"

#define NAME_MAX_CHARACTERS 64u

/* ---- sessions ---- */

/* With unique_checks off MariaDB sorts the rows of the first LOAD into an empty table once more and keeps all others out of it meanwhile:
 * measured, it takes half as much again for rows that come in the order of their key. */
enum status my_load_connect(struct run *run, struct my_load *l, const char *database, struct my_conn **to, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	*to = NULL;
	if (my_session_open_load(run, l->e, database, &c, err))
		return err->code;
	if (my_conn_command(run, c, "SET SESSION unique_checks = 1, SESSION innodb_lock_wait_timeout = 1000000", err) ||
	    (l->unlogged && my_binlog_leave(run, c, err)))
		return error_add(err, "the session's settings");
	*to = c;
	c = NULL;
	return ST_OK;
}

enum status my_list(struct run *run, struct my_conn *c, const char *sql, struct strlist *to, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	if (my_conn_query(run, c, sql, &r, err))
		return err->code;
	while (r && (row = mysql_fetch_row(r)))
		if (row[0])
			strlist_add(to, row[0]);
	return ST_OK;
}

static int by_text(const void *key, const void *item) { return strcmp(key, *(char *const *)item); }

bool my_sorted_has(const struct strlist *l, const char *s) { return l->len && bsearch(s, l->item, l->len, sizeof *l->item, by_text); }

enum status my_tables_there(struct run *run, struct my_conn *c, const char *database, struct strlist *to, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE");
	my_sql_is_name(&sql, "TABLE_SCHEMA", database);
	if (my_list(run, c, buf_str(&sql), to, err))
		return error_add(err, "what the target holds");
	strlist_sort(to);
	return ST_OK;
}

enum status my_show_create(struct run *run, struct my_conn *c, const char *table, char **create, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SHOW CREATE TABLE ");
	my_sql_ident(&sql, table);
	if (my_conn_shown(run, c, buf_str(&sql), create, err))
		return err->code;
	return *create ? ST_OK : error_set(err, ST_SERVER, "the server does not show how the table %s is made", table);
}

/* ---- databases ---- */

char *my_database_beside(const char *name, const char *word, const char *run_id)
{
	size_t most = NAME_MAX_CHARACTERS - strlen(word) - strlen(run_id), n = 0, at = 0;

	while (name[at] && n < most) {
		size_t one = utf8_character(name + at, NULL);

		at += one ? one : 1;
		n++;
	}
	return xasprintf("%.*s%s%s", (int)at, name, word, run_id);
}

/* The catalog of MariaDB compares without regard to case, whatever the names of files do. */
void my_sql_is_name(struct buf *to, const char *column, const char *name)
{
	buf_printf(to, " %s = ", column);
	my_sql_literal(to, name);
	buf_printf(to, " AND (@@lower_case_table_names <> 0 OR CAST(%s AS BINARY) = ", column);
	my_sql_literal(to, name);
	buf_putc(to, ')');
}

enum status my_database_exists(struct run *run, struct my_conn *c, const char *name, bool *exists, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE");
	my_sql_is_name(&sql, "SCHEMA_NAME", name);
	if (my_conn_value(run, c, buf_str(&sql), &n, err))
		return err->code;
	*exists = my_field_u64(n) > 0;
	return ST_OK;
}

void my_database_state_release(struct my_database_state *s)
{
	free(s->charset);
	*s = (struct my_database_state)MY_DATABASE_STATE_INIT;
}

static void put_count(struct buf *sql, const char *table, const char *column, const char *database)
{
	buf_printf(sql, "(SELECT COUNT(*) FROM information_schema.%s WHERE", table);
	my_sql_is_name(sql, column, database);
	buf_putc(sql, ')');
}

enum status my_database_look(struct run *run, struct my_conn *c, const char *name, const char *run_id, struct my_database_state *s,
			     struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	const struct my_mark m = {name, run_id};

	my_database_state_release(s);
	if (my_database_exists(run, c, name, &s->exists, err) || !s->exists || my_mark_exists(run, c, &m, &s->ours, err))
		return err->code;
	buf_puts(&sql, "SELECT ");
	put_count(&sql, "TABLES", "TABLE_SCHEMA", name);
	buf_puts(&sql, ", ");
	put_count(&sql, "ROUTINES", "ROUTINE_SCHEMA", name);
	buf_puts(&sql, " + ");
	put_count(&sql, "EVENTS", "EVENT_SCHEMA", name);
	buf_puts(&sql, ", (SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE");
	my_sql_is_name(&sql, "SCHEMA_NAME", name);
	buf_putc(&sql, ')');
	if (my_conn_query(run, c, buf_str(&sql), &r, err))
		return error_add(err, "database %s", name);
	MYSQL_ROW row = mysql_fetch_row(r);
	s->empty = row && my_field_u64(row[0]) == (s->ours ? 1u : 0u) && !my_field_u64(row[1]);
	s->charset = xstrdup(row && row[2] ? row[2] : "");
	return ST_OK;
}

enum status my_database_drop(struct run *run, struct my_conn *c, const char *name, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "DROP DATABASE IF EXISTS ");
	my_sql_ident(&sql, name);
	if (!my_conn_command(run, c, buf_str(&sql), err))
		return ST_OK;
	if (my_conn_errno(err) == MY_LOCK_TIMEOUT)
		error_hint(err, "Another session uses a table of it: SHOW FULL PROCESSLIST names it.");
	return error_add(err, "dropping the database %s", name);
}

/* ---- replication ---- */

static bool may_not(const struct error *e) { return e->code == ST_DENIED || my_conn_errno(e) == 1227; }

/* Those that have registered; the statement is of the version. */
static enum status registered(struct run *run, struct my_conn *c, struct strlist *who, bool *seen, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	MYSQL_ROW row;
	bool new_words = c->mariadb ? c->version >= 100501 : c->version >= 80022;

	enum status st = my_conn_query(run, c, !new_words ? "SHOW SLAVE HOSTS" : c->mariadb ? "SHOW REPLICA HOSTS" : "SHOW REPLICAS", &r, &why);
	if (st && may_not(&why))
		return ST_OK;
	if (st)
		return error_move(err, &why);
	*seen = true;
	while (r && (row = mysql_fetch_row(r)))
		strlist_take(who, xasprintf("server %s%s%s", row[0] ? row[0] : "?", row[1] && *row[1] ? " at " : "", row[1] ? row[1] : ""));
	return ST_OK;
}

/* Without that right: MariaDB counts them for everybody; MySQL shows all threads to whoever reads this table. */
static enum status counted(struct run *run, struct my_conn *c, struct strlist *who, bool *seen, struct error *err)
{
	CLEANUP(cstr_release) char *n = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (my_conn_shown(run, c, c->mariadb ? "SHOW GLOBAL STATUS LIKE 'Slaves_connected'"
				: "SELECT 'n', COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_COMMAND LIKE 'Binlog Dump%'", &n, &why))
		return may_not(&why) ? ST_OK : error_move(err, &why);
	*seen = n != NULL;
	if (my_field_u64(n))
		strlist_take(who, xasprintf("%" PRIu64 " of them, which this account may not name", my_field_u64(n)));
	return ST_OK;
}

enum status my_replicas_attached(struct run *run, struct my_conn *c, struct strlist *who, bool *seen, struct error *err)
{
	CLEANUP(strlist_release) struct strlist hosts = STRLIST_INIT;

	*seen = false;
	if (registered(run, c, who, seen, err) || (!*seen && counted(run, c, who, seen, err)))
		return err->code;
	if (who->len)
		return ST_OK;
	if (my_list(run, c, "SELECT CONCAT(USER, ' at ', HOST) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'",
		    &hosts, err))
		return error_add(err, "looking for replicas");
	for (size_t i = 0; i < hosts.len; i++)
		strlist_add(who, hosts.item[i]);
	return ST_OK;
}
