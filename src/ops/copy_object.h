/* One stored object from one store to another. Knows nothing of backups. */
#ifndef OPS_COPY_OBJECT_H
#define OPS_COPY_OBJECT_H

#include "core/progress.h"
#include "storage/store.h"
#include "util/hash.h"

struct copy_object {
	struct store *from, *to;
	const char *key;
	uint64_t size;
	const struct sha256 *expected; /* what the bytes must have; NULL: not known, then what was read first counts */
	size_t block;                  /* bytes of a range read, and of each buffer */
	unsigned blocks;               /* buffers at most; more than one are read ahead by threads of their own */
	struct progress *progress;     /* may be NULL */
	bool *unreadable;              /* set where it failed because the source could not be read twice; NULL: nobody asks */
	bool archive;                  /* under the retention of the target, and where keeping is cheap */
};
/* Whether a failed read concerns that object: a sector of a disk, a right. */
bool copy_unreadable(enum status st);
/* ST_BAD names the store whose bytes are wrong; nothing wrong is visible in the target afterwards. An object that lies there is
 * overwritten. */
enum status copy_object(struct run *run, const struct copy_object *c, struct error *err) MUST_CHECK;
/* Reads a whole object of `size` bytes in `in`. One buffer of `block` bytes. */
enum status copy_hash(struct run *run, const struct copy_object *c, struct store *in, struct sha256 *sum, struct error *err) MUST_CHECK;

#endif
