/* What a store with versions still has of what nobody sees any more: backups that somebody deleted, and versions that were written
 * over. Prune itself deletes for good; delete markers are the work of others, or of a lifecycle rule. */
#ifndef CATALOG_HIDDEN_H
#define CATALOG_HIDDEN_H

#include "catalog/catalog.h"

#define HIDDEN_KEEP DURATION_SECONDS(30 * 86400) /* so long can a deletion be undone, then prune makes it final */

/* A backup of which some object lies behind a delete marker. */
struct hidden_backup {
	char *source;
	char id[BACKUP_ID_LEN + 1];
	struct instant deleted; /* the newest of the markers */
	uint64_t size;          /* bytes behind markers */
	bool manifest;          /* it can come back; else only volumes are left */
	bool listed;            /* its manifest is visible, and it lacks what is hidden */
};
struct hidden_backups {
	struct hidden_backup *item; /* by source and ascending id */
	size_t len, cap;
};
#define HIDDEN_BACKUPS_INIT {0}
void hidden_backups_release(struct hidden_backups *l);
/* source NULL: of all. Needs a storage only: the store's own identity may be deleted, too. ST_UNSUPPORTED: no versions. */
enum status hidden_list(struct run *run, struct storage *s, const char *source, struct hidden_backups *to, struct error *err) MUST_CHECK;
/* Brings a backup back: volumes first, the manifest last, and source.json. ST_NOT_FOUND: nothing of it is hidden. Under the lock
 * of the source. */
enum status hidden_undelete(struct run *run, struct store *s, const char *source, const char *id, struct error *err) MUST_CHECK;
/* The same for one object that is in the way while it is hidden. *was tells whether it was. */
enum status hidden_undelete_key(struct run *run, struct storage *s, const char *key, bool *was, struct error *err) MUST_CHECK;

struct hidden_sweep {
	const char *source;
	struct instant old; /* what locks and leases were before may go */
};
struct hidden_swept {
	uint64_t removed, freed; /* versions, bytes */
};
/* Removes for good what was deleted or written over more than HIDDEN_KEEP ago, of locks and leases more than a day ago, and is not
 * retained. Nothing where the store keeps no versions. */
enum status hidden_sweep(struct run *run, struct store *s, const struct hidden_sweep *w, struct hidden_swept *swept,
			 struct error *err) MUST_CHECK;

#endif
