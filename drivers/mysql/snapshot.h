/* One moment in several sessions. */
#ifndef DRIVERS_MYSQL_SNAPSHOT_H
#define DRIVERS_MYSQL_SNAPSHOT_H

#include "drivers/mysql/conn.h"
#include "drivers/mysql/server.h"

struct my_snapshot {
	char *position;         /* "bin.000003:1234 gtid 0-1-100"; NULL: not known */
	struct instant time;
	struct duration blocked; /* how long writers waited */
	const char *way;         /* in words */
	json_t *replication;     /* of a replica: dump_info.replication; NULL */
};
void my_snapshot_release(struct my_snapshot *s);

/* The sessions that shall see one moment. */
struct my_snapshot_request {
	const struct endpoint *e;
	const struct my_server *server;
	struct my_conn **c;
	size_t n;
	const struct strlist *tables; /* quoted names, to be locked where nothing else is allowed */
};
/* Ends what transactions they have, and begins one in each: all see the same commits. The least intrusive way that server and account allow,
 * each bounded in time. */
enum status my_snapshot_take(struct run *run, const struct my_snapshot_request *q, struct my_snapshot *s, struct error *err) MUST_CHECK;
/* Whether the server orders all commits, so that one moment can be proven without a lock. */
enum status my_snapshot_is_ordered(struct run *run, struct my_conn *c, const struct my_server *server, bool *ordered,
				   struct error *err) MUST_CHECK;
/* Each sees a moment of its own. */
enum status my_snapshot_each(struct run *run, const struct my_snapshot_request *q, struct error *err) MUST_CHECK;
/* What a session did since is undone, so that nobody waits for it: its metadata locks go, the snapshot stays. */
enum status my_snapshot_savepoint(struct run *run, struct my_conn *c, struct error *err) MUST_CHECK;
enum status my_snapshot_let_go(struct run *run, struct my_conn *c, struct error *err) MUST_CHECK;

/* snapshot_held.c: adds to err the first of q->tables that others keep locked, where there is one; c holds no lock any more. lock: against
 * LOCK TABLES, too. Takes 5 s at most. Returns err->code. */
enum status my_snapshot_name_held(struct run *run, const struct my_snapshot_request *q, struct my_conn *c, bool lock, struct error *err);

#endif
