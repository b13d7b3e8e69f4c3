/* Copies on this machine of small objects of a store, so that the store's listing alone tells which of them must be read. One file
 * for each source and folder, <state>/catalog/<store id>/<source>.<folder>: records in order of keys, each with its own checksum.
 * What is damaged, of another store or of an object that changed since is as if it were not there: losing the file costs time,
 * never truth. A new file takes the place of the old one by rename, so that any number of processes may use it at once.
 *
 * Nothing here fails: a folder that cannot be written keeps nothing. One thread owns a struct cache. */
#ifndef CATALOG_CACHE_H
#define CATALOG_CACHE_H

#include "storage/store.h"

#define CACHE_BYTES_MAX (64u * 1024) /* of one object; larger ones are not kept */

struct cache;
struct cache_spec {
	const struct store *store; /* without state_dir or id: finds and keeps nothing */
	const char *source, *folder;
	bool by_time; /* size and time name a content where the listing has no token */
};
struct cache *cache_open(const struct cache_spec *spec);
/* The same from the bytes of a file. They stay the caller's and are not written to. */
struct cache *cache_over(const void *p, size_t n, const char *store_id);

enum cache_found {
	CACHE_ABSENT,
	CACHE_FOUND, /* to be given to cache_keep again */
	CACHE_KEPT,  /* in the file that is, and stays there */
};
/* Appends the bytes of exactly this object. Objects are asked for in the order of a listing, each once. */
enum cache_found cache_find(struct cache *c, const struct storage_object *o, struct buf *to);
/* For every object that stays and is not CACHE_KEPT, in the same order. now: what has no token and was written in the last two
 * seconds is not kept, because it may change without a new time. */
void cache_keep(struct cache *c, const struct storage_object *o, const struct buf *b, struct instant now);
/* Replaces the file where it differs. whole: all of the listing was gone through; else the old file stays where it has more. */
void cache_close(struct cache **c, bool whole);

/* Removes the files of one source. */
void cache_forget(const struct store *s, const char *source);
/* Removes the files of sources that are not in the list, what killed runs left behind, and those of stores that were not looked at
 * for 90 days. */
void cache_sweep(struct run *run, const struct store *s, const struct strlist *sources);

#endif
