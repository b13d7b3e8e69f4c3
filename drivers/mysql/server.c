#include "drivers/mysql/server.h"

#define NO_REPLICA_ANY_MORE "Start it; where this server is no replica any more, RESET REPLICA ALL says so."

void my_server_release(struct my_server *s)
{
	free(s->identity);
	free(s->version);
	*s = (struct my_server){.identity = NULL};
}

/* "10.11.19-MariaDB" of "10.11.19-MariaDB-0+deb12u1-log", "9.7.4" of "9.7.4-log". */
static char *short_version(const struct my_conn *c)
{
	return xasprintf("%.*s%s", (int)strspn(c->version_text, "0123456789."), c->version_text, c->mariadb ? "-MariaDB" : "");
}

/* ---- who it is ---- */

/* A table that nobody is given alone tells whether all are seen: the oldest of only some would be another on another account. */
static const char age_sql[] = "SELECT DATE_FORMAT(CONVERT_TZ(MIN(CREATE_TIME), @@session.time_zone, '+00:00'), '%Y%m%d%H%i%s'),"
			      " SUM(TABLE_NAME IN ('help_topic', 'time_zone_name')) FROM information_schema.TABLES"
			      " WHERE TABLE_SCHEMA = 'mysql' AND TABLE_TYPE = 'BASE TABLE'";

static enum status identify(struct run *run, struct my_conn *c, struct my_server *s, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;

	if (!c->mariadb)
		return my_conn_value(run, c, "SELECT @@server_uuid", &s->identity, err);
	if (my_conn_query(run, c, age_sql, &r, err))
		return err->code;
	MYSQL_ROW row = mysql_fetch_row(r);
	if (!row || !row[0] || !my_field_u64(row[1])) {
		error_set(err, ST_DENIED, "MariaDB at %s: this account does not see the tables of the database mysql, by whose age a server is known again",
			  c->where);
		return error_hint(err, "GRANT SELECT ON mysql.* TO the backup user; `drtool config grants` prints all that it needs.");
	}
	s->identity = xasprintf("mariadb-%s", row[0]);
	return ST_OK;
}

/* ---- whether it is a replica ---- */

struct replica {
	bool is;
	const char *still; /* a thread that does not run */
	uint64_t behind;   /* seconds, of the furthest source */
};

/* Value of the first of two columns that there is. */
static const char *column(MYSQL_RES *r, MYSQL_ROW row, const char *name, const char *later)
{
	const MYSQL_FIELD *field = mysql_fetch_fields(r);

	for (unsigned i = 0; i < mysql_num_fields(r); i++)
		if (!strcmp(field[i].name, name) || !strcmp(field[i].name, later))
			return row[i];
	return NULL;
}

static void take_source(MYSQL_RES *r, MYSQL_ROW row, struct replica *to)
{
	const char *behind = column(r, row, "Seconds_Behind_Master", "Seconds_Behind_Source");
	const char *sql = column(r, row, "Slave_SQL_Running", "Replica_SQL_Running");

	to->is = true;
	if (sql && strcmp(sql, "Yes"))
		to->still = "the thread that applies changes does not run";
	else if (!behind)
		to->still = "it has no connection to its source";
	else
		to->behind = max_u64(to->behind, my_field_u64(behind));
}

/* Without the right to ask: MariaDB still counts its threads for everybody. */
static enum status guess_replica(struct run *run, struct my_conn *c, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	const char *right = c->mariadb ? "SLAVE MONITOR" : "REPLICATION CLIENT";

	if (my_conn_query(run, c, "SHOW GLOBAL STATUS LIKE 'Slaves_running'", &r, err))
		return err->code;
	MYSQL_ROW row = mysql_fetch_row(r);
	if (row && my_field_u64(row[1])) {
		error_set(err, ST_DENIED, "MariaDB at %s is a replica, and this account may not see how far it is behind", c->where);
		return error_hint(err, "GRANT %s ON *.* TO the backup user.", right);
	}
	notes_add(c->e->notes, "whether the server is a replica is not known, since the account lacks %s: it is taken for a primary", right);
	return ST_OK;
}

static enum status read_replica(struct run *run, struct my_conn *c, struct replica *to, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	const char *sql = c->mariadb ? "SHOW ALL SLAVES STATUS" : c->version >= 80022 ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS";
	MYSQL_ROW row;

	if (my_conn_query(run, c, sql, &r, err)) {
		if (err->code != ST_DENIED)
			return err->code;
		error_release(err);
		return guess_replica(run, c, err);
	}
	while ((row = mysql_fetch_row(r)))
		take_source(r, row, to);
	if (!to->still)
		return ST_OK;
	error_set(err, ST_SERVER, "%s at %s is a replica, and %s: how old its data are is not known", c->mariadb ? "MariaDB" : "MySQL", c->where,
		  to->still);
	err->retry = true;
	return error_hint(err, NO_REPLICA_ANY_MORE);
}

/* ---- all ---- */

static enum status look(struct run *run, struct my_conn *c, struct my_server *s, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	struct replica replica = {.is = false};

	s->version = short_version(c);
	s->mariadb = c->mariadb;
	s->number = c->version;
	if (identify(run, c, s, err) || read_replica(run, c, &replica, err) ||
	    my_conn_query(run, c, "SELECT @@log_bin, @@lower_case_table_names, @@global.max_allowed_packet, UTC_TIMESTAMP(6)", &r, err))
		return err->code;
	MYSQL_ROW row = mysql_fetch_row(r);
	if (!row || !row[3] || instant_parse(row[3], &s->data_time, err))
		return error_set(err, ST_SERVER, "%s at %s does not tell the time", s->version, c->where);
	s->binlog = my_field_bool(row[0]);
	s->lower_case = (int)my_field_u64(row[1]);
	s->max_packet = my_field_u64(row[2]);
	s->replica = replica.is;
	s->data_time.us -= (int64_t)replica.behind * 1000000;
	return ST_OK;
}

enum status my_server_look(struct run *run, struct my_conn *c, struct my_server *s, struct error *err)
{
	*s = (struct my_server){.identity = NULL};
	if (!look(run, c, s, err))
		return ST_OK;
	my_server_release(s);
	return err->code;
}
