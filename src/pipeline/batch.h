/* What readers hand to compressors: a buffer with one large chunk or many small ones, so that small chunks cost no wake-up each.
 * Internal to the room. */
#ifndef PIPELINE_BATCH_H
#define PIPELINE_BATCH_H

#include "pipeline/region.h"
#include "util/hash.h"

/* A batch ends when less than a whole chunk fits in what is left of it. */
#define BATCH_EXTRA (256u * 1024)
#define BATCH_CHUNKS 256u

struct plan_object;

/* A chunk cut from rows, not yet a member. */
struct cut {
	const struct plan_object *object;
	uint32_t range, part;
	size_t at, len; /* in the batch */
	uint64_t rows;  /* that begin in it */
	bool open;      /* the last row goes on in the next part */
	struct hash128 digest; /* of the rows that end in it */
};

struct batch {
	unsigned char *payload; /* MEMBER_ROOM bytes of the same buffer lie before and after it */
	size_t used;
	unsigned cuts;
	struct cut cut[BATCH_CHUNKS];
};

/* Bytes of payload, and of the whole buffer, for a chunk size. */
size_t batch_payload(uint32_t chunk_size);
size_t batch_size(uint32_t chunk_size);

/* A fixed number of batches. The one given back last is taken first: it is warm, and no more become resident than are needed. */
struct batch_pool;
enum status batch_pool_new(struct batch_pool **p, unsigned count, uint32_t chunk_size, struct error *err) MUST_CHECK;
/* Waits for an empty batch. Whoever waits here holds none. NULL: aborted. */
struct batch *batch_take(struct batch_pool *p);
void batch_give(struct batch_pool *p, struct batch *b);
void batch_pool_abort(struct batch_pool *p);
void batch_pool_trim(struct batch_pool *p); /* all batches were given back */
void batch_pool_freep(struct batch_pool **p);

#endif
