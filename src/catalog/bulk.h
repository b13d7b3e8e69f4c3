/* Reads all small objects of a folder in order of their keys: from this machine's copies where the listing says that they are still
 * the same, else from the store, several at once where it is far away. Memory is bounded by a window of them, and the listing. */
#ifndef CATALOG_BULK_H
#define CATALOG_BULK_H

#include "storage/store.h"

struct bulk_object {
	const char *key;
	/* What was read. The reader may replace it where `copy` is false: that is what is kept, and given to it the next time. */
	struct buf *bytes;
	bool copy;       /* from this machine */
	const char *bad; /* why it cannot be read (ST_BAD); bytes is empty then; else NULL */
	bool keep;       /* the reader clears it where the bytes make no sense: they are read again the next time */
};
struct bulk_spec {
	const char *prefix;          /* of keys */
	const char *source, *folder; /* of the cache's file; folder NULL: no copies */
	bool by_time;                /* of struct cache_spec */
	size_t max;                  /* bytes of an object; more is ST_BAD */
	/* Which of the keys; NULL: all. */
	bool (*wanted)(void *ctx, const char *key);
	/* Called by the caller's thread. Objects that are gone since they were listed are left out. */
	enum status (*fn)(void *ctx, struct bulk_object *o, struct error *err);
	void *ctx;
};
/* Fails by the first object or listing that cannot be read for another reason than ST_BAD and ST_NOT_FOUND. */
enum status bulk_read(struct run *run, struct store *s, const struct bulk_spec *spec, struct error *err) MUST_CHECK;

#endif
