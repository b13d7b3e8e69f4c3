#include "pipeline/chunker.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PASSED_EVERY (4u * 1024 * 1024)

static inline struct chunker *of_sink(struct row_sink *s) { return (struct chunker *)s; }

static inline struct hash128 hash_row(const void *p, size_t n)
{
	XXH128_hash_t h = XXH3_128bits(p, n);

	return (struct hash128){.lo = h.low64, .hi = h.high64};
}

static bool batch_is_full(const struct chunker *c)
{
	return c->batch->cuts == BATCH_CHUNKS || batch_payload(c->spec.chunk_size) - c->batch->used < c->spec.chunk_size;
}

enum status chunker_flush(struct chunker *c, struct error *err)
{
	struct batch *b = c->batch;

	c->batch = NULL;
	c->len = c->limit = 0;
	if (!b)
		return ST_OK;
	return c->spec.filled(c->spec.ctx, b, err);
}

/* Ends the chunk, which has at least one row or a part of one. */
static enum status cut(struct chunker *c, bool open, struct error *err)
{
	struct batch *b = c->batch;

	b->cut[b->cuts++] = (struct cut){.object = c->object,
					 .range = c->range,
					 .part = c->part++,
					 .at = b->used,
					 .len = c->len,
					 .rows = c->rows,
					 .open = open,
					 .digest = c->digest};
	b->used += c->len;
	c->sum.rows += c->rows;
	c->sum.raw += c->len;
	c->sum.digest = hash128_add(c->sum.digest, c->digest);
	c->rows = 0;
	c->digest = (struct hash128){0};
	c->start += c->len;
	c->len = 0;
	return batch_is_full(c) ? chunker_flush(c, err) : ST_OK;
}

/* Sees that an empty chunk can be filled. Called only while no batch is held. */
static enum status start(struct chunker *c, struct error *err)
{
	c->batch = batch_take(c->spec.pool);
	if (!c->batch)
		return error_set(err, ST_CANCELLED, "the dump has ended");
	c->start = c->batch->payload;
	c->len = 0;
	c->limit = c->spec.chunk_size;
	return ST_OK;
}

/* A row larger than a chunk has its chunks for itself, so that whoever passes over a damaged part knows what to leave out. */
static enum status put_large(struct chunker *c, const unsigned char *p, size_t n, struct hash128 h, struct error *err)
{
	c->rows = 1;
	while (n) {
		if (!c->limit && start(c, err))
			return err->code;
		c->len = min_size(n, c->spec.chunk_size);
		memcpy(c->start, p, c->len);
		p += c->len;
		n -= c->len;
		if (!n)
			c->digest = h;
		if (cut(c, n, err))
			return err->code;
	}
	return ST_OK;
}

/* Where a row does not fit: the first of a batch, one larger than what is left, one larger than a chunk; and one that may not
 * be. */
static enum status put_slowly(struct chunker *c, const void *p, size_t n, struct hash128 h, struct error *err)
{
	if (!n)
		return error_set(err, ST_FAILED, "a row without a byte");
	if (c->len && cut(c, false, err))
		return err->code;
	if (n > c->spec.chunk_size)
		return put_large(c, p, n, h, err);
	if (!c->limit && start(c, err))
		return err->code;
	memcpy(c->start, p, n);
	c->len = n;
	c->rows = 1;
	c->digest = h;
	return ST_OK;
}

static inline bool ends_chunk(const struct chunker *c, size_t n, struct hash128 h)
{
	return c->len >= c->third && (n >= c->third || h.lo < n * c->scale);
}

/* One call a row: no lock, no system call, one copy. */
static enum status put_row(struct row_sink *s, const void *p, size_t n, struct error *err)
{
	struct chunker *c = of_sink(s);
	struct hash128 h = hash_row(p, n);

	if (n - 1 < c->limit - c->len) {
		memcpy(c->start + c->len, p, n);
		c->len += n;
		c->rows++;
		c->digest = hash128_add(c->digest, h);
	} else if (put_slowly(c, p, n, h, err)) {
		return err->code;
	}
	return ends_chunk(c, n, h) ? cut(c, false, err) : ST_OK;
}

static enum status tell_passed(struct chunker *c, struct error *err)
{
	uint64_t rows = c->sum.rows - c->passed_rows, raw = c->sum.raw - c->passed_raw;

	c->passed_rows = c->sum.rows;
	c->passed_raw = c->sum.raw;
	return c->spec.passed(c->spec.ctx, rows, raw, err);
}

static enum status count_row(struct row_sink *s, const void *p, size_t n, struct error *err)
{
	struct chunker *c = of_sink(s);

	if (!n)
		return error_set(err, ST_FAILED, "a row without a byte");
	c->sum.digest = hash128_add(c->sum.digest, hash_row(p, n));
	c->sum.rows++;
	c->sum.raw += n;
	return c->sum.raw - c->passed_raw >= PASSED_EVERY ? tell_passed(c, err) : ST_OK;
}

void chunker_init(struct chunker *c, const struct chunker_spec *spec)
{
	*c = (struct chunker){.sink.row = spec->pool ? put_row : count_row, .spec = *spec, .third = spec->chunk_size / 3};
	c->scale = UINT64_MAX / c->third;
}

void chunker_begin(struct chunker *c, const struct plan_object *o, uint32_t range)
{
	c->object = o;
	c->range = range;
	c->part = 0;
	c->rows = 0;
	c->digest = (struct hash128){0};
	c->sum = (struct object_sum){0};
	c->passed_rows = c->passed_raw = 0;
}

enum status chunker_end(struct chunker *c, struct object_sum *sum, struct error *err)
{
	if (!c->spec.pool && tell_passed(c, err))
		return err->code;
	if (c->len && cut(c, false, err))
		return err->code;
	*sum = c->sum;
	return ST_OK;
}

void chunker_release(struct chunker *c)
{
	if (c->batch)
		batch_give(c->spec.pool, c->batch);
	c->batch = NULL;
	c->len = c->limit = 0;
}
