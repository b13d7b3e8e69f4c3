#include "drivers/mysql/upstream.h"

void my_upstream_release(struct my_upstream *u)
{
	for (size_t i = 0; i < u->sources; i++) {
		free(u->source[i].name);
		free(u->source[i].host);
		free(u->source[i].file);
		free(u->source[i].received_file);
	}
	free(u->source);
	free(u->stale);
	*u = (struct my_upstream)MY_UPSTREAM_INIT;
}

const char *my_upstream_right(const struct my_conn *c) { return c->mariadb ? "SLAVE MONITOR" : "REPLICATION CLIENT"; }

/* ---- what SHOW REPLICA STATUS says ---- */

/* Value of the first of two columns that there is: MySQL has renamed them. "" where it is null. */
static const char *column(MYSQL_RES *r, MYSQL_ROW row, const char *name, const char *later)
{
	const MYSQL_FIELD *field = mysql_fetch_fields(r);

	for (unsigned i = 0; i < mysql_num_fields(r); i++)
		if (!strcmp(field[i].name, name) || !strcmp(field[i].name, later))
			return row[i] ? row[i] : "";
	return "";
}

/* The text of the error stays where it is: it may hold values of rows. */
static char *why_still(MYSQL_RES *r, MYSQL_ROW row, const struct my_source *s)
{
	const char *sql = column(r, row, "Slave_SQL_Running", "Replica_SQL_Running");
	const char *io = column(r, row, "Slave_IO_Running", "Replica_IO_Running");
	bool applies = !strcmp(sql, "Yes"), receives = !strcmp(io, "Yes");
	const char *number = applies ? column(r, row, "Last_IO_Errno", "Last_IO_Errno") : column(r, row, "Last_SQL_Errno", "Last_SQL_Errno");
	CLEANUP(cstr_release) char *error = my_field_u64(number) ? xasprintf(" (error %s)", number) : xstrdup("");
	CLEANUP(cstr_release) char *which = *s->name ? xasprintf(" of %s", s->name) : xstrdup("");

	if (!applies)
		return xasprintf("the thread that applies the changes%s does not run%s", which, error);
	/* What was received may be applied to the end, and MySQL then calls it nothing behind. */
	if (!receives)
		return xasprintf("the thread that receives the changes%s has no connection to its source%s", which, error);
	if (!*column(r, row, "Seconds_Behind_Master", "Seconds_Behind_Source"))
		return xasprintf("the server does not say how far it is behind its source%s", which);
	return NULL;
}

static struct duration lag_of(MYSQL_RES *r, MYSQL_ROW row)
{
	uint64_t behind = my_field_u64(column(r, row, "Seconds_Behind_Master", "Seconds_Behind_Source"));
	uint64_t delay = my_field_u64(column(r, row, "SQL_Delay", "SQL_Delay"));
	const char *remaining = column(r, row, "SQL_Remaining_Delay", "SQL_Remaining_Delay");

	/* A change that waits is as old as it has waited already. */
	if (*remaining && my_field_u64(remaining) < delay)
		behind = max_u64(behind, delay - my_field_u64(remaining));
	return (struct duration){(int64_t)min_u64(behind, INT32_MAX) * 1000000};
}

static void take_source(MYSQL_RES *r, MYSQL_ROW row, struct my_upstream *u)
{
	u->source = xrealloc(u->source, (u->sources + 1) * sizeof *u->source);
	struct my_source *s = &u->source[u->sources++];

	*s = (struct my_source){
		.name = xstrdup(column(r, row, "Connection_name", "Channel_Name")),
		.host = xstrdup(column(r, row, "Master_Host", "Source_Host")),
		.port = (unsigned)my_field_u64(column(r, row, "Master_Port", "Source_Port")),
		.file = xstrdup(column(r, row, "Relay_Master_Log_File", "Relay_Source_Log_File")),
		.position = my_field_u64(column(r, row, "Exec_Master_Log_Pos", "Exec_Source_Log_Pos")),
		.received_file = xstrdup(column(r, row, "Master_Log_File", "Source_Log_File")),
		.received = my_field_u64(column(r, row, "Read_Master_Log_Pos", "Read_Source_Log_Pos")),
	};
	const char *gtid = column(r, row, "Using_Gtid", "Using_Gtid");
	s->by_gtid = *gtid && strcmp(gtid, "No") != 0;
	struct duration lag = lag_of(r, row);

	if (lag.us > u->lag.us)
		u->lag = lag;
	if (!u->stale)
		u->stale = why_still(r, row, s);
}

/* ---- without the right to ask ---- */

static enum status has_threads(struct run *run, struct my_conn *c, bool *has, struct error *err)
{
	CLEANUP(cstr_release) char *n = NULL;

	if (my_conn_shown(run, c, "SHOW GLOBAL STATUS LIKE 'Slaves_running'", &n, err))
		return err->code;
	*has = my_field_u64(n) > 0;
	return ST_OK;
}

/* A member of a group is its own source. */
static const char configured[] = "SELECT COUNT(*) FROM performance_schema.replication_connection_configuration"
				 " WHERE CHANNEL_NAME NOT LIKE 'group\\_replication\\_%'";

/* MariaDB counts its running threads for everybody; MySQL has tables that whoever reads all may read. */
static enum status guess(struct run *run, struct my_conn *c, struct my_upstream *u, struct error *err)
{
	CLEANUP(cstr_release) char *n = NULL;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	if (c->mariadb && has_threads(run, c, &u->follows, err))
		return err->code;
	if (!c->mariadb) {
		if (!my_conn_value(run, c, configured, &n, &refused))
			u->known = true;
		else if (!my_conn_errno(&refused))
			return error_move(err, &refused);
		u->follows = my_field_u64(n) > 0;
	}
	u->known |= u->follows;
	u->denied = u->follows;
	if (u->denied)
		u->stale = xasprintf("this account may not see how far it is behind (GRANT %s ON *.* would let it)", my_upstream_right(c));
	return ST_OK;
}

enum status my_upstream_read(struct run *run, struct my_conn *c, struct my_upstream *u, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	const char *sql = c->mariadb ? "SHOW ALL SLAVES STATUS" : c->version >= 80022 ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS";
	MYSQL_ROW row;

	my_upstream_release(u);
	if (my_conn_query(run, c, sql, &r, &refused))
		return refused.code == ST_DENIED ? guess(run, c, u, err) : error_move(err, &refused);
	while ((row = mysql_fetch_row(r)))
		take_source(r, row, u);
	u->known = true;
	u->follows = u->sources > 0;
	return ST_OK;
}

/* ---- what of it is in a snapshot ---- */

static enum status add_table(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct buf *to = ctx;

	buf_printf(to, "%sSELECT domain_id, sub_id, server_id, seq_no FROM ", to->len ? " UNION ALL " : "");
	my_sql_name(to, "mysql", field[0]);
	return ST_OK;
}

/* A change and its GTID are one transaction, in the table of its engine; that of the greatest sub_id is the last of its domain. */
enum status my_upstream_applied_sql(struct run *run, struct my_conn *c, char **sql, struct error *err)
{
	CLEANUP(buf_release) struct buf from = BUF_INIT;
	CLEANUP(cstr_release) char *others = NULL;
	static const char tables[] = " FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME LIKE 'gtid\\_slave\\_pos%'";
	CLEANUP(cstr_release) char *names = xasprintf("SELECT TABLE_NAME%s", tables);
	CLEANUP(cstr_release) char *count = xasprintf("SELECT SUM(COALESCE(ENGINE, '') <> 'InnoDB')%s", tables);

	*sql = NULL;
	if (my_conn_value(run, c, count, &others, err) || my_conn_each(run, c, names, add_table, &from, err))
		return err->code;
	if (from.len && !my_field_u64(others))
		*sql = xasprintf("SELECT GROUP_CONCAT(CONCAT(p.domain_id, '-', p.server_id, '-', p.seq_no) ORDER BY p.domain_id) FROM (%s) p JOIN"
				 " (SELECT domain_id, MAX(sub_id) sub_id FROM (%s) a GROUP BY domain_id) m"
				 " ON m.domain_id = p.domain_id AND m.sub_id = p.sub_id", buf_str(&from), buf_str(&from));
	return ST_OK;
}

static const struct my_source *named(const struct my_upstream *u, const char *name)
{
	for (size_t i = 0; i < u->sources; i++)
		if (!strcmp(u->source[i].name, name))
			return &u->source[i];
	return NULL;
}

/* What is applied is counted a little later than it can be seen. Only where all that was received had been applied and counted before, and
 * nothing was received since, nothing can have been applied in between. */
static bool stood_still(const struct my_source *before, const struct my_source *after)
{
	return after && *before->file && !strcmp(before->file, before->received_file) && before->position == before->received &&
	       !strcmp(before->file, after->file) && before->position == after->position &&
	       !strcmp(before->received_file, after->received_file) && before->received == after->received;
}

json_t *my_upstream_json(const struct my_upstream *before, const struct my_upstream *after, const char *gtid, bool gtid_exact)
{
	json_t *j = json_object(), *sources = json_array();

	if (gtid && *gtid) {
		js_set_str(j, "gtid", gtid);
		js_set_str(j, "gtid_read", gtid_exact ? MY_READ_SNAPSHOT : MY_READ_BEFORE);
	}
	for (size_t i = 0; i < before->sources; i++) {
		const struct my_source *s = &before->source[i];
		json_t *one = json_object();

		js_set_str(one, "name", s->name);
		js_set_str(one, "host", s->host);
		js_set_u64(one, "port", s->port);
		js_set_str(one, "file", s->file);
		js_set_u64(one, "position", s->position);
		js_set_str(one, "read", stood_still(s, named(after, s->name)) ? MY_READ_SNAPSHOT : MY_READ_BEFORE);
		json_array_append_new(sources, one);
	}
	js_set_new(j, "sources", sources);
	return j;
}
