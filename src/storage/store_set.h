/* Several stores as one target or one source. Not a storage.
 *
 * Writing: each member has a thread and a queue; blocks are shared by reference count and never copied, so one that is slow
 * holds at most `window` bytes. A member that fails, or takes nothing for `stall`, is dropped and the others go on. A dropped
 * member whose thread hangs in the kernel is given up by store_set_freep after a few seconds: the block in its hands is then
 * never released, and memory of a block that was not released when store_set_freep returns must stay as it is until the process
 * ends.
 *
 * Reading: from the first member (the nearest) and on to the next inside a range. Any thread, several at once. Writing and
 * everything else: one thread. */
#ifndef STORAGE_STORE_SET_H
#define STORAGE_STORE_SET_H

#include "storage/store.h"

struct store_outcome {
	const struct store *store; /* borrowed */
	struct error err;          /* OK where the member is whole so far */
	uint64_t written;
	struct duration sync_time; /* spent in put_finish */
	enum storage_proof proof;  /* the weakest of its objects that were streamed */
};

struct store_set;
struct store_set_spec {
	struct store *const *member; /* borrowed, nearest first */
	size_t members;
	struct duration stall; /* 0: no limit */
	size_t window; /* bytes in flight at most, for all members together; a larger block goes alone */
};
struct store_set *store_set_new(struct run *run, const struct store_set_spec *spec); /* run outlives it */
void store_set_freep(struct store_set **s); /* aborts what is open */

/* A block of bytes shared by the members; release is called once, by the last of them, from any thread. */
struct store_block {
	const void *p;
	size_t n;
	void (*release)(void *ctx, struct store_block *b);
	void *ctx;
	unsigned refs, lost; /* private to store_set */
};

/* One object at a time. Fails (with the first cause) only when no member is left. */
enum status store_set_begin(struct store_set *s, const char *key, struct error *err) MUST_CHECK;
enum status store_set_write(struct store_set *s, struct store_block *b, struct error *err) MUST_CHECK; /* owns b in every case */
/* Waits until it is durable on all that remain. */
enum status store_set_end(struct store_set *s, uint64_t *size, struct error *err) MUST_CHECK;
void store_set_abort(struct store_set *s);
/* A small object, such as the manifest, to every member that is whole so far, with a condition. */
enum status store_set_put(struct store_set *s, const struct put_spec *spec, const void *p, size_t n, struct error *err) MUST_CHECK;
/* Drops a member that is being written to for a reason that only the caller knows, such as a lost lock. Moves err. */
void store_set_drop(struct store_set *s, const struct store *member, struct error *err);
/* One outcome per member; valid until the set is freed. */
const struct store_outcome *store_set_outcomes(const struct store_set *s, size_t *n);
/* Deletes on every member that is not whole what this run put there (best effort), so that nothing half stays. */
void store_set_undo(struct store_set *s);

/* Exactly n bytes; a member that fails is asked again only after all others failed too. One cause for all members keeps its code
 * (ST_NOT_FOUND, ST_BAD); else ST_UNREACHABLE lists every member with its cause. */
enum status store_set_get(struct store_set *s, const char *key, uint64_t offset, void *to, size_t n, struct error *err) MUST_CHECK;
/* Says that the bytes this thread got last are bad: its next read of the same key and offset goes to another copy, which all
 * threads prefer from then on. False: every copy was bad there; the next read fails with ST_BAD. */
bool store_set_distrust(struct store_set *s);

#endif
