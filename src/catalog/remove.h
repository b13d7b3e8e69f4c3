/* Deletes objects, several at once where the store can; what it retains is told, and no failure. */
#ifndef CATALOG_REMOVE_H
#define CATALOG_REMOVE_H

#include "storage/storage.h"

struct removal {
	const char *key; /* borrowed */
	uint64_t size;   /* the caller's */
	bool gone;       /* deleted, or was not there */
	char *retained;  /* the store's words where it retains the object; owned by the caller */
};
/* In the order given where the store deletes one by one. Another failure than "retained" is the result, once every object that
 * went with it has its own. */
enum status objects_remove(struct run *run, struct storage *s, struct removal *r, size_t n, struct error *err) MUST_CHECK;
/* How many objects are well deleted at once. */
size_t removal_batch(const struct storage *s);

#endif
