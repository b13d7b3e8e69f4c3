/* Cuts the rows of one reader into chunks, hashes and counts them: the hot loop of a dump. One thread. Internal to the room. */
#ifndef PIPELINE_CHUNKER_H
#define PIPELINE_CHUNKER_H

#include "pipeline/batch.h"
#include "pipeline/dump.h"

struct chunker_spec {
	uint32_t chunk_size;
	struct batch_pool *pool; /* NULL: rows are hashed and counted, nothing is kept */
	/* Takes a filled batch; it never waits for another one. */
	enum status (*filled)(void *ctx, struct batch *b, struct error *err);
	/* Without a pool: called every few MiB with what came since, so that the run can end and progress moves. */
	enum status (*passed)(void *ctx, uint64_t rows, uint64_t raw, struct error *err);
	void *ctx;
};

struct chunker {
	struct row_sink sink; /* for the driver; first, so that it can be cast back */
	/* The chunk being filled. */
	unsigned char *start;
	size_t len, limit; /* both 0 while there is no batch, so that the first row finds no room */
	uint64_t rows;     /* that begin in it */
	struct hash128 digest;
	size_t third;
	uint64_t scale; /* 2^64 / third */
	struct chunker_spec spec;
	struct batch *batch;
	/* The unit. */
	const struct plan_object *object;
	uint32_t range, part;
	struct object_sum sum;
	uint64_t passed_rows, passed_raw; /* already told to passed() */
};

void chunker_init(struct chunker *c, const struct chunker_spec *spec);
void chunker_begin(struct chunker *c, const struct plan_object *o, uint32_t range);
/* Ends the unit and its last chunk; sum is that of the unit. Small chunks may stay in the batch. */
enum status chunker_end(struct chunker *c, struct object_sum *sum, struct error *err) MUST_CHECK;
/* Hands over what is filled. */
enum status chunker_flush(struct chunker *c, struct error *err) MUST_CHECK;
/* Gives the batch back with all that is in it. */
void chunker_release(struct chunker *c);

#endif
