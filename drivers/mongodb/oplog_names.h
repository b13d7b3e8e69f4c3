/* Which operations of the log belong to a restore, and what they are on the target: under its names, as commands that a server takes from a client.
 * Pure functions, any thread. */
#ifndef DRIVERS_MONGODB_OPLOG_NAMES_H
#define DRIVERS_MONGODB_OPLOG_NAMES_H

#include "drivers/mongodb/meta.h"
#include "drivers/mongodb/oplog_entry.h"
#include "drivers/mongodb/oplog_known.h"

/* ---- what belongs to it ---- */

struct mo_new_name {
	const char *from, *to; /* collections */
};
/* A database of the log. Borrowed. */
struct mo_route {
	const char *database;
	const struct mo_where *where;      /* its place on the target */
	const struct strlist *collections; /* only these; NULL or empty: all, those too that the log makes */
	const struct strlist *left_out;    /* and not these; NULL none */
	const struct mo_new_name *rename;
	size_t renames;
};
struct mo_routes {
	const struct mo_route *item;
	size_t items;
	const struct mo_known *known; /* which collection an operation is about; NULL: the one of its name */
};
/* The name on the target of a collection of the log (a time series by its own name, not that of its buckets), owned by the caller, and the route to
 * it; NULL: it is not of the restore. Databases and collections that no dump takes are not, whatever the request says. */
char *mo_route_name(const struct mo_routes *r, const char *database, const char *collection, const struct mo_route **route);

/* ---- what an operation is there ---- */

enum mo_replay_kind {
	MO_REPLAY_NOTHING,    /* not of the restore, of indexes only (oplog_index.h has them), or of the server's own affairs */
	MO_REPLAY_WRITE,      /* insert, update or delete in database.collection, with the operation's own o and o2 */
	MO_REPLAY_COMMAND,    /* command, for database; emptycapped is one that servers take inside applyOps only */
	MO_REPLAY_DROP_VIEWS, /* all views of the route's restore are dropped */
};
struct mo_replay {
	enum mo_replay_kind kind;
	const struct mo_route *route; /* of it, where there is something to do */
	char *database, *collection;
	bool buckets;                 /* WRITE: the collection is the buckets of a time series */
	bson_t *command;
};
#define MO_REPLAY_INIT {0}
void mo_replay_release(struct mo_replay *to);
/* An operation of mo_oplog_inner or mo_txns_each; to is _INIT. A collection that is renamed out of the request is dropped. TTL is as in the log: who makes a
 * copy parks it. ST_UNSUPPORTED with a hint where an operation of the restore cannot be replayed: importCollection, upgradeDowngradeViewlessTimeseries, a
 * rename of what is not restored to what is, a command that drtool does not know, a name too long for the target; ST_BAD where it is of another form
 * than in the oplog. Both name the entry. */
enum status mo_replay_make(const struct mo_routes *r, const struct mo_oplog_entry *op, struct mo_replay *to, struct error *err) MUST_CHECK;

/* ---- names in the log ---- */

/* The time series whose buckets a collection is ("system.buckets.X" is of X), borrowed; NULL: it is none. */
const char *mo_buckets_of(const char *collection);
/* A namespace divided at its first dot. */
struct mo_name {
	char database[64];
	const char *collection; /* borrowed */
};
bool mo_name_of(const char *ns, struct mo_name *n);
struct mo_renaming {
	struct mo_name from, to; /* borrowed from the operation */
	bool drop_target;
};
/* ST_BAD: a renameCollection of another form than in the oplog. */
enum status mo_renaming_of(const struct mo_oplog_entry *op, struct mo_renaming *r, struct error *err) MUST_CHECK;

#endif
