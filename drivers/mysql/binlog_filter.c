#include "drivers/mysql/server.h"

/* The four columns of it are the same in all versions. */
enum { DO_DB = 2, IGNORE_DB = 3 };

const char *my_binlog_status_sql(const struct my_conn *c)
{
	return !c->mariadb && c->version >= 80200 ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
}

enum status my_binlog_leaves_out(struct run *run, struct my_conn *c, bool *leaves_out, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	*leaves_out = false;
	if (my_conn_query(run, c, my_binlog_status_sql(c), &r, &refused)) {
		if (refused.code != ST_DENIED)
			return error_move(err, &refused);
		notes_add(c->e->notes, "this account lacks %s, so a binlog that leaves out databases (binlog_do_db, binlog_ignore_db) would not be noticed:"
				       " it is taken for whole", c->mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT");
		return ST_OK;
	}
	MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
	*leaves_out = row && mysql_num_fields(r) > IGNORE_DB && ((row[DO_DB] && *row[DO_DB]) || (row[IGNORE_DB] && *row[IGNORE_DB]));
	return ST_OK;
}
