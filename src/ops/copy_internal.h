/* Between copy.c, which copies backups, reencrypt.c, which seals them anew, and copy_others.c, which copies what lies around them. */
#ifndef OPS_COPY_INTERNAL_H
#define OPS_COPY_INTERNAL_H

#include "ops/copy_object.h"
#include "ops/crowd.h"
#include "ops/internal.h"

#define COPY_THREADS 4u

struct copying {
	struct op_env *env;
	const struct copy_request *q;
	struct copy_result *r;
	struct store from, to;
	bool anew;                  /* backups are sealed anew: from and to may be one store */
	bool same;                  /* they are */
	bool no_target;             /* dry run: there is no store yet */
	struct lock *lock;          /* of the target; NULL in a dry run */
	struct catalog have, there; /* of both stores */
	struct storage_objects stored; /* the target's archives and manifests, before the first byte */
	struct instant began;
	size_t block;               /* bytes of one buffer */
	unsigned blocks;            /* buffers of all threads together */
	unsigned parts;             /* buffers of one put, where it has any */
	_Atomic uint64_t bytes;
	_Atomic size_t others;
};

/* ---- copy.c ---- */

/* Both stores, the lock of the target, both catalogs. ST_REFUSED: the source belongs to another server there. */
enum status copying_open(struct copying *c, struct error *err) MUST_CHECK;
void copying_release(struct copying *c);
/* How many buffers a put into the target may have from now on. */
void copying_parts(struct copying *c, unsigned parts);
/* The backup of a catalog; NULL: it has none. */
const struct catalog_backup *copy_find(const struct catalog *c, const char *id);
/* What the target has under the name of the manifest of that backup, where it cannot be read; else NULL. */
const struct catalog_unreadable *copy_unreadable_there(const struct copying *c, const char *id);
/* The same bytes inside, sealed for others or at another time. */
bool copy_same_inside(const struct manifest *a, const struct manifest *b);
/* The size of every volume in c->stored is that of the manifest. */
bool copy_all_there(const struct copying *c, const struct manifest *m);
/* Checks of the source's store speak of its bytes: this one speaks of those that were compared in the target now. replaced: some of them
 * were written. */
void copy_record_check(struct copying *c, const struct manifest *m, struct instant began, bool replaced);
/* Failures of one backup, after which others may well be copied. */
bool copy_of_this_backup(enum status st);

/* ---- copy_others.c ---- */

/* Records, pins and accepts, logs: whatever the target does not have. Before the backups, so that none is seen without its marks. */
enum status copy_marks(struct copying *c, struct error *err) MUST_CHECK;
/* source.json, where that of the target is older. */
enum status copy_facts(struct copying *c, struct error *err) MUST_CHECK;
/* What belongs to no source. */
enum status copy_rest(struct copying *c, struct error *err) MUST_CHECK;

#endif
