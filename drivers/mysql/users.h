/* Accounts and roles with their grants: globals/users.jsonl and, for stock clients, globals/users.sql. */
#ifndef DRIVERS_MYSQL_USERS_H
#define DRIVERS_MYSQL_USERS_H

#include "drivers/mysql/conn.h"

#define USERS_PATH "globals/users.jsonl"
#define USERS_SQL_PATH "globals/users.sql"

struct my_user {
	char *name, *host;  /* host "" for a MariaDB role */
	bool role;
	char *create;       /* CREATE USER / CREATE ROLE, with the hash of its password where that may be read, without DEFAULT ROLE */
	struct strlist grant; /* GRANT and REVOKE lines, in order */
	char *default_role; /* SET DEFAULT ROLE ...; NULL none */
};
void my_user_release(struct my_user *u);
typedef enum status my_user_fn(void *ctx, const struct my_user *u, struct error *err);
/* All but the server's own (mariadb.sys, mysql.sys, mysql.session, mysql.infoschema). *readable false: the account may not read them. */
enum status my_users_each(struct run *run, struct my_conn *c, bool *readable, my_user_fn *fn, void *ctx, struct error *err) MUST_CHECK;
json_t *my_user_json(const struct my_user *u);
enum status my_users_parse(const char *text, size_t n, my_user_fn *fn, void *ctx, struct error *err) MUST_CHECK;
/* Makes those that are missing without login (missing) or all as recorded (all), never touching the account of this session. Existing ones
 * are altered only with all. Grants that name databases go in only for accounts that were made or with all. */
enum status my_users_restore(struct run *run, struct my_conn *c, const struct my_user *u, size_t n, bool all, struct notes *notes,
			  struct error *err) MUST_CHECK;
void my_user_script(const struct my_user *u, struct buf *to);

#endif
