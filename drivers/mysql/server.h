/* What is asked of a server once: who it is, what it can do, what this account may see. */
#ifndef DRIVERS_MYSQL_SERVER_H
#define DRIVERS_MYSQL_SERVER_H

#include "drivers/mysql/conn.h"

struct my_server {
	char *identity;     /* MySQL: server_uuid. MariaDB, which has none: made of the time its system tables were made */
	char *version;      /* "10.11.19-MariaDB", "9.7.4" */
	bool mariadb, replica;
	int number;         /* 101119 */
	struct instant data_time; /* replica: time of the newest applied change; else now */
	bool binlog;        /* log_bin */
	int lower_case;     /* lower_case_table_names */
	uint64_t max_packet;/* max_allowed_packet */
};
/* Fails where a replica's threads stand still, since nobody knows how old its data are. */
enum status my_server_look(struct run *run, struct my_conn *c, struct my_server *s, struct error *err) MUST_CHECK;
void my_server_release(struct my_server *s);

/* Global and database privileges of this account, from SHOW GRANTS and its roles. */
struct my_rights;
enum status my_rights_read(struct run *run, struct my_conn *c, struct my_rights **r, struct error *err) MUST_CHECK;
void my_rights_freep(struct my_rights **r);
struct my_rights *my_rights_new(void);
void my_rights_line(struct my_rights *r, const char *line); /* of SHOW GRANTS */
/* privilege as in SHOW GRANTS ("SELECT", "SHOW VIEW", "BINLOG MONITOR"); database NULL: on *.*. ALL PRIVILEGES holds all. Grants on single
 * tables do not count. */
bool my_rights_have(const struct my_rights *r, const char *privilege, const char *database);

/* mysql, sys, information_schema, performance_schema: never dumped as tables. */
bool my_system_database(const char *name);

#endif
