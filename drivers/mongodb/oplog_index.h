/* The indexes that there have to be when a replay is at its end: those that were dumped, changed by every command of the log that makes, changes or
 * drops one, so that none is built before all documents are there. Names are those of the log. Pure functions, one thread.
 *
 * A command about a collection that is not known here changes nothing: it was dumped under a later name, with its indexes of that time. */
#ifndef DRIVERS_MONGODB_OPLOG_INDEX_H
#define DRIVERS_MONGODB_OPLOG_INDEX_H

#include "drivers/mongodb/meta.h"
#include "drivers/mongodb/oplog_entry.h"

struct mo_indexed {
	char *database;
	struct mo_meta meta; /* name, kind, options and indexes, for mo_create_indexes. A time series is under its own name, not that of its buckets */
};
struct mo_indexes {
	struct mo_indexed *item; /* in no order */
	size_t items;
};
#define MO_INDEXES_INIT {0}
void mo_indexes_release(struct mo_indexes *x);
/* A collection as it was dumped; m is copied. Views have no indexes and are passed over. */
void mo_indexes_add(struct mo_indexes *x, const char *database, const struct mo_meta *m);
/* What an operation of the log changes here: createIndexes, startIndexBuild, commitIndexBuild, abortIndexBuild, dropIndexes, collMod, create, drop, dropDatabase, renameCollection,
 * convertToCapped; all others nothing. Given again in the same order they end with the same. ST_BAD where one of these is of another form than in the
 * oplog: it names the entry. */
enum status mo_indexes_apply(struct mo_indexes *x, const struct mo_oplog_entry *e, struct error *err) MUST_CHECK;

#endif
