/* Which collection an operation of the log is about. A database may have been dumped after a collection was renamed, dropped or made, while the log begins
 * before that: then the name in the log is not the one that was dumped, and only the collection's UUID tells. Operations of a collection that was
 * gone when its database was listed are passed over, those of one that was renamed go to what it is called now; without UUIDs names must do.
 * Pure functions, one thread. */
#ifndef DRIVERS_MONGODB_OPLOG_KNOWN_H
#define DRIVERS_MONGODB_OPLOG_KNOWN_H

#include "drivers/mongodb/oplog_entry.h"

struct mo_known_item {
	char *database, *name; /* at this place of the log; a time series is under its own name, not that of its buckets */
	uint8_t uuid[16];
	bool has_uuid;
};
struct mo_known {
	struct mo_known_item *item; /* in no order */
	size_t items;
};
#define MO_KNOWN_INIT {0}
void mo_known_release(struct mo_known *k);
/* A collection as it was dumped; uuid: 32 hex digits, "" where the archive has none. */
void mo_known_add(struct mo_known *k, const char *database, const char *name, const char *uuid);
/* The name, inside op's database, of the collection that an operation of mo_oplog_inner is about: that of the log, or a later one. Borrowed from op or from k, until
 * the next change of k. NULL: it is of no use here. "" for commands that are about none. */
const char *mo_known_name(const struct mo_known *k, const struct mo_oplog_entry *op);
/* Whether a collection or time series of that name was dumped, or made by the log: then what the log says of a view of that name was before it. */
bool mo_known_holds(const struct mo_known *k, const char *database, const char *name);
/* What an operation changes here (create, drop, renameCollection), after mo_known_name was asked about it. Operations in the same order always
 * end with the same. */
void mo_known_apply(struct mo_known *k, const struct mo_oplog_entry *op);

#endif
