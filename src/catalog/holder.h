/* An object in the store that says "this process is at it": the body of locks and leases. Content names host, process and
 * purpose; a thread rewrites it every 30 s by compare-and-swap. Private to locks and leases. */
#ifndef CATALOG_HOLDER_H
#define CATALOG_HOLDER_H

#include "catalog/catalog.h"
#include "catalog/lock.h"
#include "util/json.h"

struct holder;
struct holder_spec {
	struct store *store;
	const char *key;
	const char *what;   /* for people */
	const char *backup; /* leases; else NULL */
	enum put_condition condition;
	const char *token;
	bool alone; /* nobody else writes the key: there is no condition */
};
/* Puts the object and starts the heartbeat. ST_PRECONDITION: somebody else was first. Where the store has no atomic conditions
 * (STORAGE_ABSENT, STORAGE_MATCHES) it looks, writes within 12 s, and reads its own token again after each of two pauses of 10 s:
 * of those that wrote at once the last one has it. */
enum status holder_claim(struct run *run, const struct holder_spec *spec, struct holder **h, struct error *err) MUST_CHECK;
/* ST_LOCKED where somebody else wrote the object since. Beats where the last heartbeat is old. */
enum status holder_check(struct run *run, struct holder *h, struct error *err) MUST_CHECK;
/* Ends the heartbeat and overwrites the object with "released"; with remove it is deleted too, where the store lets us. */
void holder_release(struct holder **h, bool remove);

/* Reads such an object. A damaged one counts as held by nobody knows whom. *backup may be NULL; owned. */
enum status holder_read(struct run *run, struct store *s, const char *key, struct lock_info *i, char **backup,
			struct error *err) MUST_CHECK;
/* Overwrites the object that was read with "released". ST_PRECONDITION: it changed. */
enum status holder_overwrite(struct run *run, struct store *s, const char *key, const char *token, struct error *err) MUST_CHECK;

/* The store's time: the modified time that it gives to an object written now (<source>/lock/clock.json). */
enum status store_clock(struct run *run, struct store *s, const char *source, struct instant *now, struct error *err) MUST_CHECK;

#endif
