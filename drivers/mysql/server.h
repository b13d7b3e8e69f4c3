/* What is asked of a server once: who it is, what it can do, what this account may see. */
#ifndef DRIVERS_MYSQL_SERVER_H
#define DRIVERS_MYSQL_SERVER_H

#include "drivers/mysql/conn.h"

#define MY_ROLE_PRIMARY "primary"
#define MY_ROLE_REPLICA "replica"
#define MY_ROLE_UNKNOWN "unknown" /* this account may not see whether it follows another */

struct my_server {
	char *identity;     /* MySQL: server_uuid. MariaDB, which has none: made of the time its system tables were made */
	char *version;      /* "10.11.19-MariaDB", "9.7.4" */
	bool mariadb;
	int number;         /* 101119 */
	const char *role;   /* MY_ROLE_* */
	bool replica;
	char *stale;        /* replica: why nobody can tell how old its data are; NULL */
	bool denied;        /* stale only for want of a right */
	struct duration lag;      /* replica: behind its source */
	struct instant data_time; /* replica: time of the newest applied change; else now */
	bool binlog;        /* log_bin */
	int lower_case;     /* lower_case_table_names */
	uint64_t max_packet;/* max_allowed_packet */
};
/* What to do about a replica whose data nobody can date. */
#define MY_REPLICA_HINT "Start it; where this server is no replica any more, RESET REPLICA ALL says so."
enum status my_server_look(struct run *run, struct my_conn *c, struct my_server *s, struct error *err) MUST_CHECK;
void my_server_release(struct my_server *s);
/* The statement that tells file, position and filters of the server's own binlog, and on MySQL its GTID set. */
const char *my_binlog_status_sql(const struct my_conn *c);
/* Whether changes of some databases are not in the binlog (binlog_do_db, binlog_ignore_db). Who may not ask is told so by a note. */
enum status my_binlog_leaves_out(struct run *run, struct my_conn *c, bool *leaves_out, struct error *err) MUST_CHECK;

/* Global and database privileges of this account, from SHOW GRANTS and its roles. */
struct my_rights;
enum status my_rights_read(struct run *run, struct my_conn *c, struct my_rights **r, struct error *err) MUST_CHECK;
void my_rights_freep(struct my_rights **r);
struct my_rights *my_rights_new(void);
void my_rights_line(struct my_rights *r, const char *line); /* of SHOW GRANTS */
/* privilege as in SHOW GRANTS ("SELECT", "SHOW VIEW", "BINLOG MONITOR"); database NULL: on *.*. ALL PRIVILEGES holds all. Grants on single
 * tables do not count. */
bool my_rights_have(const struct my_rights *r, const char *privilege, const char *database);
/* What stands after ON in a GRANT that adds to the account's rights on a database: the pattern that they stand under, else the name. */
void my_rights_place(const struct my_rights *r, const char *database, struct buf *to);

/* mysql, sys, information_schema, performance_schema: never dumped as tables. */
bool my_system_database(const char *name);

#endif
