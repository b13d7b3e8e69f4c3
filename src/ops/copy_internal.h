/* Between copy.c, which copies backups, and copy_others.c, which copies what lies around them. */
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
	bool no_target;             /* dry run: there is no store yet */
	struct lock *lock;          /* of the target; NULL in a dry run */
	struct catalog have, there; /* of both stores */
	struct storage_objects stored; /* the target's archives and manifests, before the first byte */
	struct instant began;
	size_t block;               /* bytes of one buffer */
	unsigned blocks;            /* buffers of all threads together */
	_Atomic uint64_t bytes;
	_Atomic size_t others;
};

/* The backup of a catalog; NULL: it has none. */
const struct catalog_backup *copy_find(const struct catalog *c, const char *id);
/* Records, pins and accepts, logs: whatever the target does not have. Before the backups, so that none is seen without its marks. */
enum status copy_marks(struct copying *c, struct error *err) MUST_CHECK;
/* source.json, where that of the target is older. */
enum status copy_facts(struct copying *c, struct error *err) MUST_CHECK;
/* What belongs to no source. */
enum status copy_rest(struct copying *c, struct error *err) MUST_CHECK;

#endif
