/* Compressor threads: a batch in, members out and into the archive. Whoever has made members appends them itself, under one
 * lock: no hand-over, and no more buffers than compressors. */
#include "pipeline/dump_internal.h"
#include "util/failpoint.h"

#define MEMBERS_MAX BATCH_CHUNKS
#define SMALL_ROOM (BATCH_EXTRA + 2 * MEMBER_ROOM)

static enum status append_made(struct compressor *c, struct error *err)
{
	struct dump_pipeline *p = c->pipeline;
	enum status st = failpoint("dump.append", err);

	mutex_lock(&p->append);
	for (unsigned i = 0; i < c->members && !st; i++)
		st = archive_append(p->spec.writer, &c->member[i], err);
	mutex_unlock(&p->append);
	if (!st && p->spec.progress)
		atomic_fetch_add_explicit(&p->spec.progress->stored, c->used, memory_order_relaxed);
	c->used = c->members = 0;
	return st;
}

/* Headers and padding are laid around the payload. The last chunk of a batch has room for them; around the others lie their
 * neighbours, so these, which are small, are copied. */
static const unsigned char *with_room(struct compressor *c, const struct batch *b, const struct cut *k)
{
	unsigned char *copy = c->memory.p + MEMBER_ROOM;

	if (k == &b->cut[b->cuts - 1])
		return b->payload + k->at;
	memcpy(copy, b->payload + k->at, k->len);
	return copy;
}

static enum status make_member(struct compressor *c, const struct batch *b, const struct cut *k, struct error *err)
{
	struct dump_pipeline *p = c->pipeline;
	const struct plan_object *o = k->object;
	size_t room = p->budget.stored_size - c->used;

	if ((room < member_bound(c->gzip, k->len) || c->members == MEMBERS_MAX) && append_made(c, err))
		return err->code;
	buf_clear(&c->path);
	archive_part_path(o->path, o->ext, k->range, k->part, &c->path);
	const struct member_spec spec = {
		.path = c->path.data,
		.entry_size = k->len,
		.raw = with_room(c, b, k),
		.raw_len = k->len,
		.mtime = p->spec.mtime,
		.row = {.object = o->id, .range = k->range, .part = k->part, .rows = k->rows, .open = k->open, .digest = k->digest},
	};
	struct member *m = &c->member[c->members];
	if (member_make(c->gzip, c->sha, &spec, c->stored + c->used, p->budget.stored_size - c->used, m, err))
		return error_add(err, "%s", o->name);
	c->used += m->row.length;
	c->members++;
	return ST_OK;
}

static enum status compress(struct compressor *c, struct batch *b, struct error *err)
{
	struct dump_pipeline *p = c->pipeline;
	uint64_t rows = 0, raw = b->used;
	enum status st = ST_OK;

	for (unsigned i = 0; i < b->cuts && !st; i++) {
		rows += b->cut[i].rows;
		st = make_member(c, b, &b->cut[i], err);
	}
	batch_give(p->pool, b);
	if (st || append_made(c, err))
		return err->code;
	if (p->spec.progress) {
		atomic_fetch_add_explicit(&p->spec.progress->done, raw, memory_order_relaxed);
		atomic_fetch_add_explicit(&p->spec.progress->rows, rows, memory_order_relaxed);
	}
	return ST_OK;
}

static void compressor_main(void *arg)
{
	struct compressor *c = arg;
	struct dump_pipeline *p = c->pipeline;
	struct error err = ERROR_INIT;
	void *b;

	while (queue_pop(p->filled, &b)) {
		if (compress(c, b, &err))
			crew_fail(&p->crew, &err);
		crew_drop(&p->crew);
	}
}

static enum status compressor_open(struct dump_pipeline *p, struct compressor *c, struct error *err)
{
	c->pipeline = p;
	if (region_map(&c->memory, SMALL_ROOM + p->budget.stored_size, err))
		return err->code;
	c->stored = c->memory.p + SMALL_ROOM;
	c->gzip = gzip_new(p->spec.mode);
	c->sha = sha256_new();
	c->member = xcalloc(MEMBERS_MAX, sizeof *c->member);
	return thread_start(&c->thread, "compress", compressor_main, c, err);
}

enum status compressors_start(struct dump_pipeline *p, struct error *err)
{
	p->compressor = xcalloc(p->budget.compressors, sizeof *p->compressor);
	p->compressors = p->budget.compressors;
	for (unsigned i = 0; i < p->compressors; i++)
		if (compressor_open(p, &p->compressor[i], err))
			return err->code;
	return ST_OK;
}

void compressors_join(struct dump_pipeline *p)
{
	for (unsigned i = 0; i < p->compressors; i++) {
		struct compressor *c = &p->compressor[i];

		thread_join(&c->thread);
		region_release(&c->memory);
		gzip_freep(&c->gzip);
		sha256_freep(&c->sha);
		buf_release(&c->path);
		free(c->member);
	}
	free(p->compressor);
	p->compressor = NULL;
	p->compressors = 0;
}

void compressors_trim(struct dump_pipeline *p)
{
	for (unsigned i = 0; i < p->compressors; i++)
		region_trim(&p->compressor[i].memory);
}
