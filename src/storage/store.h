/* A store: a storage with a name and an identity (drtool-store.json). */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "storage/storage.h"

#define STORE_IDENTITY_KEY "drtool-store.json"
#define STORE_PROBE_KEY "drtool-probe" /* of a look whether it can be written, by one who may not delete it afterwards */

struct store {
	char *name;           /* of the configuration, or the URL without secrets */
	struct storage storage;
	char id[33];          /* random id of drtool-store.json; "" where not initialised */
	char *state_dir;      /* of this machine, for copies of what the store holds; NULL: none */
};
#define STORE_INIT {0}

struct store_spec {
	const char *name, *url;
	const struct storage_ops *ops;
	const void *params;
	const char *state_dir; /* remembers ids per URL; NULL or unwritable: nothing is remembered */
	bool init;             /* a backup: initialise an empty or absent store */
};
/* Opens and proves that it is the store that the state knows: another id, or none where there was one (a missing mount), is
 * ST_REFUSED. Without init an absent or empty store is ST_NOT_FOUND. An existing folder with foreign content and no
 * drtool-store.json is ST_REFUSED on init. */
enum status store_open(struct run *run, const struct store_spec *spec, struct store *s, struct error *err) MUST_CHECK;
void store_release(struct store *s);
/* Both are one place, by their URLs. */
bool store_same_place(const struct store *a, const struct store *b);

#endif
