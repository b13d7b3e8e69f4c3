/* Deletes what retention does not keep, and what failed runs left behind. Everything is read and decided first: any list or read
 * error ends it before the first delete. The manifest of a backup goes first, then its volumes. */
#ifndef CATALOG_PRUNE_H
#define CATALOG_PRUNE_H

#include "catalog/lock.h"
#include "catalog/retention.h"

struct prune_input {
	struct store *store;
	const char *source;
	const struct keep_policy *policy;
	struct instant now;   /* pins, leases, age of abandoned parts */
	struct lock *lock;    /* role "backup", held; NULL only with dry_run */
	bool dry_run;         /* decides and reports, deletes nothing, writes no evidence */
};

enum prune_action {
	PRUNE_KEPT,
	PRUNE_REMOVED,  /* with dry_run: would be */
	PRUNE_RETAINED, /* the store holds it for a time; `until` says how long, in the words of the store */
	PRUNE_PENDING,  /* to be removed, but prune ended before */
};
struct prune_backup {
	char id[BACKUP_ID_LEN + 1];
	enum prune_action action;
	struct strlist reasons; /* why it is kept; empty where it is not */
	uint64_t stored;        /* bytes of its volumes */
	char *until;            /* RETAINED; owned */
};
struct prune_result {
	struct prune_backup *backup; /* ascending id; of every readable manifest */
	size_t backups;
	struct strlist unreadable;   /* keys of manifests that cannot be read: kept */
	/* keys of objects without a manifest and of unfinished puts that were removed (dry_run: would be) */
	struct strlist abandoned;
	struct strlist notes;        /* such as evidence that could not be written, retained volumes */
	uint64_t removed, retained;  /* backups */
	uint64_t freed;              /* bytes */
	char *blocked;               /* a suspect backup: nothing was deleted; owned */
};
#define PRUNE_RESULT_INIT {0}
/* ST_REFUSED where a suspect backup blocks (result filled, nothing deleted); ST_LOCKED where the lock was lost on the way. Retained
 * objects are no error. result is _INIT before and is released by the caller in every case. */
enum status prune_run(struct run *run, const struct prune_input *in, struct prune_result *result, struct error *err) MUST_CHECK;
void prune_result_release(struct prune_result *r);

#endif
