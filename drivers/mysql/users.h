/* Accounts and roles with their grants: globals/users.jsonl and, for stock clients, globals/users.sql. */
#ifndef DRIVERS_MYSQL_USERS_H
#define DRIVERS_MYSQL_USERS_H

#include "drivers/mysql/conn.h"

#define USERS_PATH "globals/users.jsonl"
#define USERS_SQL_PATH "globals/users.sql"

struct my_user {
	char *name, *host;  /* host "" for a MariaDB role */
	bool role;
	char *create;       /* CREATE USER / CREATE ROLE, with the hash of its password where that may be read, without DEFAULT ROLE; "" of PUBLIC */
	struct strlist grant; /* GRANT and REVOKE lines, in order */
	char *default_role; /* SET DEFAULT ROLE ...; NULL none */
};
void my_user_release(struct my_user *u); /* overwrites create */
typedef enum status my_user_fn(void *ctx, const struct my_user *u, struct error *err);
/* All but the server's own (mariadb.sys, mysql.sys, mysql.session, mysql.infoschema). *readable false: the account may not read them. */
enum status my_users_each(struct run *run, struct my_conn *c, bool *readable, my_user_fn *fn, void *ctx, struct error *err) MUST_CHECK;
json_t *my_user_json(const struct my_user *u);
enum status my_users_parse(const char *text, size_t n, my_user_fn *fn, void *ctx, struct error *err) MUST_CHECK;
/* Makes those that are missing without login (missing) or all as recorded (all), never touching the account of this session. Existing ones
 * are altered only with all, and keep what else they may. Grants that name databases go in only for accounts that were made or with all. What
 * the server refuses is noted, with the statement, and the rest goes on; rights on a table or program that is not there yet are added to
 * `later` instead, each once (NULL: noted). */
enum status my_users_restore(struct run *run, struct my_conn *c, const struct my_user *u, size_t n, bool all, struct strlist *later,
			  struct notes *notes, struct error *err) MUST_CHECK;
/* The two halves of it, since rights on single tables and programs can only be given when these are there. made: "name@host" of those that
 * were made. */
enum status my_users_make(struct run *run, struct my_conn *c, const struct my_user *u, size_t n, bool all, struct strlist *made,
			  struct notes *notes, struct error *err) MUST_CHECK;
enum status my_users_grant(struct run *run, struct my_conn *c, const struct my_user *u, size_t n, bool all, const struct strlist *made,
			   struct strlist *later, struct notes *notes, struct error *err) MUST_CHECK;
/* Gives what was left for later. last: what is refused now is noted; else it stays in `later` where its table or program is not there yet. */
enum status my_users_grant_later(struct run *run, struct my_conn *c, struct strlist *later, bool last, struct notes *notes,
				 struct error *err) MUST_CHECK;

/* For stock clients. Roles may be granted to roles, so that a file has the first part of all before the second of any. */
enum my_user_part { MY_USER_CREATE, MY_USER_GRANT, MY_USER_DEFAULT_ROLE };
void my_user_script_part(const struct my_user *u, enum my_user_part part, struct buf *to);
void my_user_script(const struct my_user *u, struct buf *to); /* all parts of one */
void my_users_script(const struct my_user *u, size_t n, struct buf *to);
/* "name@host", "name" of a MariaDB role; owned. */
char *my_user_shown(const struct my_user *u);

#endif
