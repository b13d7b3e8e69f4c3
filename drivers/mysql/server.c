#include "drivers/mysql/server.h"

#include "drivers/mysql/upstream.h"

void my_server_release(struct my_server *s)
{
	free(s->identity);
	free(s->version);
	free(s->stale);
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
		return error_hint(err, "GRANT SELECT ON mysql.* TO it, also where it only restores; `drtool config grants` prints all that a backup needs.");
	}
	s->identity = xasprintf("mariadb-%s", row[0]);
	return ST_OK;
}

/* ---- all ---- */

static enum status look(struct run *run, struct my_conn *c, struct my_server *s, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(my_upstream_release) struct my_upstream u = MY_UPSTREAM_INIT;

	s->version = short_version(c);
	s->mariadb = c->mariadb;
	s->number = c->version;
	if (identify(run, c, s, err) || my_upstream_read(run, c, &u, err) ||
	    my_conn_query(run, c, "SELECT @@log_bin, @@lower_case_table_names, @@global.max_allowed_packet, UTC_TIMESTAMP(6)", &r, err))
		return err->code;
	MYSQL_ROW row = mysql_fetch_row(r);
	if (!row || !row[3] || instant_parse(row[3], &s->data_time, err))
		return error_set(err, ST_SERVER, "%s at %s does not tell the time", s->version, c->where);
	s->binlog = my_field_bool(row[0]);
	s->lower_case = (int)my_field_u64(row[1]);
	s->max_packet = my_field_u64(row[2]);
	s->role = !u.known ? MY_ROLE_UNKNOWN : u.follows ? MY_ROLE_REPLICA : MY_ROLE_PRIMARY;
	s->replica = u.follows;
	s->denied = u.denied;
	s->stale = u.stale;
	u.stale = NULL;
	s->lag = u.lag;
	s->data_time.us -= u.lag.us;
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
