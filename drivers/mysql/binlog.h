/* Whether what is written into a server goes through its binlog, by which replicas and a point in time get it, too. One rule for restores
 * and exchanges. */
#ifndef DRIVERS_MYSQL_BINLOG_H
#define DRIVERS_MYSQL_BINLOG_H

#include "drivers/mysql/server.h"

struct my_binlog_request {
	const struct endpoint *e;
	const struct my_server *server;
	const char *what;        /* "the restore", "the exchange" */
	enum load_logged copy;   /* what was written by this run before */
	bool live;               /* into databases that go on living: their binlog shall have it */
	bool scratch;            /* a throwaway copy: replicas need not have it, nor be told */
};
struct my_binlog_choice {
	bool out;      /* sql_log_bin = 0 */
	char *refusal; /* a sentence that names the ways on; NULL: none */
	char *warning; /* NULL */
	char *step;    /* what will be done, for --dry-run; NULL: nothing to be said */
};
#define MY_BINLOG_CHOICE_INIT {.refusal = NULL}
void my_binlog_choice_release(struct my_binlog_choice *x);
/* Where out, the session is so already. */
enum status my_binlog_choose(struct run *run, struct my_conn *c, const struct my_binlog_request *q, struct my_binlog_choice *x,
			     struct error *err) MUST_CHECK;
enum status my_binlog_leave(struct run *run, struct my_conn *c, struct error *err) MUST_CHECK; /* sql_log_bin = 0 */
/* Says, once a run, that a part of it is not in the binlog. */
void my_binlog_tell(const struct endpoint *e);

#endif
