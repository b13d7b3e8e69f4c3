/* The one moment of a dump: a time of the cluster at which every cursor reads (readConcern snapshot with atClusterTime, MongoDB 5.0 and later). */
#ifndef DRIVERS_MONGODB_SNAPSHOT_H
#define DRIVERS_MONGODB_SNAPSHOT_H

#include "drivers/mongodb/conn.h"

struct mo_moment {
	bool has;
	uint32_t t, i;   /* has: the time, seconds since 1970 and the number in that second */
	char *why_not;   /* not has: a sentence part */
};
#define MO_MOMENT_INIT {0}
void mo_moment_release(struct mo_moment *m);
/* The newest time that a majority has, no older than what the member had applied at the call, tried with a read of the collection. Waits for that, 10 s
 * at most. A server that cannot is no error: why_not says it. */
enum status mo_moment_take(struct run *run, struct mo_conn *c, const char *database, const char *collection, struct mo_moment *m, struct error *err) MUST_CHECK;
/* How long the server keeps the past for such reads; 0: it does not say. */
enum status mo_moment_window(struct run *run, struct mo_conn *c, uint64_t *seconds, struct error *err) MUST_CHECK;
/* Whether a collection can be read at it: capped ones only by some versions. */
enum status mo_moment_reads(struct run *run, struct mo_conn *c, const struct mo_moment *m, const char *database, const char *collection, bool *reads,
			    struct error *err) MUST_CHECK;
/* Appends readConcern to a command that reads; nothing where there is no moment. */
void mo_moment_concern(const struct mo_moment *m, bson_t *command);
/* "1700000000:3", owned by the caller; NULL without. */
char *mo_moment_position(const struct mo_moment *m);
/* An error of a cursor, in words that say what to do about it. Returns err->code. */
enum status mo_moment_lost(struct error *err, const char *collection);

#endif
