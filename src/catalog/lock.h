/* Locks and leases in the store. Holder = host and random token; heartbeat every 30 s by a thread; stale after 5 min by the store's
 * clock, at once where the holder ran on this boot and PID namespace and its process (id and start time) is proved gone. Take-over by
 * compare-and-swap. Release overwrites with "released" (no delete right needed). */
#ifndef CATALOG_LOCK_H
#define CATALOG_LOCK_H

#include "storage/store.h"

#define LOCK_HEARTBEAT DURATION_SECONDS(30)
#define LOCK_STALE DURATION_SECONDS(300)

struct lock;
struct lock_spec {
	struct store *store;
	const char *source;
	const char *role;   /* "backup": all that writes or deletes backups; roles do not shut each other out */
	const char *what;   /* "backup 20261120T020000Z-7f3a", shown to who meets the lock */
};
/* ST_LOCKED names the holder, since when, its last heartbeat and what to do. */
enum status lock_take(struct run *run, const struct lock_spec *spec, struct lock **l, struct error *err) MUST_CHECK;
/* Reads the token again: ST_LOCKED where it was taken over. Called just before a manifest is written or anything is deleted. */
enum status lock_still_held(struct run *run, struct lock *l, struct error *err) MUST_CHECK;
/* The time by the store's clock. */
enum status lock_store_time(struct run *run, struct lock *l, struct instant *now, struct error *err) MUST_CHECK;
void lock_release(struct lock **l); /* for CLEANUP; best effort, also when the run was cancelled */

struct lock_info {
	bool held, stale, same_process_gone;
	char *host, *what, *token; /* token: of the object, for lock_break */
	int64_t pid;
	struct instant since, heartbeat;
};
void lock_info_release(struct lock_info *i);
/* no object: held false */
enum status lock_read(struct run *run, struct store *s, const char *source, const char *role, struct lock_info *i,
		      struct error *err) MUST_CHECK;
enum status lock_break(struct run *run, struct store *s, const char *source, const char *role, const struct lock_info *seen,
		       struct error *err) MUST_CHECK;

/* A reader's lease on one backup: <source>/lease/<run>.json, kept alive by the same heartbeat. */
struct lease;
enum status lease_take(struct run *run, struct store *s, const char *source, const char *backup, struct lease **l,
		       struct error *err) MUST_CHECK;
void lease_release(struct lease **l);
/* Ids of backups under a live lease. */
enum status lease_list(struct run *run, struct store *s, const char *source, struct strlist *backups, struct error *err) MUST_CHECK;
/* Removes leases that did not beat for a day. */
enum status lease_sweep(struct run *run, struct store *s, const char *source, struct instant now, struct error *err) MUST_CHECK;

#endif
