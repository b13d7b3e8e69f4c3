#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/modriver.h"
#include "util/failpoint.h"

#define DOCUMENT_LEAST 5u
#define DOCUMENT_MOST ((16u << 20) + (16u << 10)) /* of any server: the server's own limit comes later */

struct load_worker {
	struct mo_load *l;
	pthread_mutex_t mutex; /* guards c against interrupt */
	struct mo_conn *c;
};

enum status mo_load_worker_open(struct run *run, void *load, void **worker, struct error *err)
{
	struct mo_conn *c = NULL;

	*worker = NULL;
	if (mo_load_connect(run, load, &c, err))
		return mo_load_failed(err);
	struct load_worker *w = xcalloc(1, sizeof *w);
	w->l = load;
	w->c = c;
	mutex_init(&w->mutex);
	*worker = w;
	return ST_OK;
}

void mo_load_worker_close(void *worker)
{
	struct load_worker *w = worker;

	if (!w)
		return;
	mo_conn_freep(&w->c);
	mutex_destroy(&w->mutex);
	free(w);
}

void mo_interrupt_load_worker(void *worker)
{
	struct load_worker *w = worker;

	mutex_lock(&w->mutex);
	if (w->c)
		mo_conn_interrupt(w->c);
	mutex_unlock(&w->mutex);
}

/* ---- documents out of bytes ---- */

static uint32_t length_of(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static enum status check_length(uint32_t len, struct error *err)
{
	if (len >= DOCUMENT_LEAST && len <= DOCUMENT_MOST)
		return ST_OK;
	return error_set(err, ST_BAD, "a document in the archive says that it has %" PRIu32 " bytes", len);
}

/* The elements at its top; the server looks at what is inside. */
static enum status found(const uint8_t *p, uint32_t len, mo_found_fn *fn, void *ctx, struct error *err)
{
	bson_iter_t at;
	bson_t doc;

	if (!bson_init_static(&doc, p, len) || !bson_iter_init(&at, &doc))
		return error_set(err, ST_BAD, "a document of %" PRIu32 " bytes in the archive is not BSON", len);
	while (bson_iter_next(&at))
		;
	if (at.err_off)
		return error_set(err, ST_BAD, "a document of %" PRIu32 " bytes in the archive is damaged at byte %" PRIu32, len, at.err_off);
	return fn(ctx, &doc, err);
}

/* Completes the document in part, as far as the bytes reach. *used: how many were taken. */
static enum status fill_part(struct buf *part, const uint8_t *p, size_t n, size_t *used, mo_found_fn *fn, void *ctx, struct error *err)
{
	size_t want = part->len < 4 ? min_size(4 - part->len, n) : 0;

	buf_put(part, p, want);
	*used = want;
	if (part->len < 4)
		return ST_OK;
	const uint32_t len = length_of((const uint8_t *)part->data);
	if (check_length(len, err))
		return err->code;
	want = min_size(len - part->len, n - *used);
	buf_put(part, p + *used, want);
	*used += want;
	if (part->len < len)
		return ST_OK;
	enum status st = found((const uint8_t *)part->data, len, fn, ctx, err);
	buf_release(part);
	return st;
}

enum status mo_split(struct buf *part, const void *bytes, size_t n, mo_found_fn *fn, void *ctx, struct error *err)
{
	const uint8_t *p = bytes;

	while (n) {
		size_t used = 0;
		const uint32_t len = n >= 4 ? length_of(p) : 0;

		if (part->len || n < 4 || len > n) {
			if (fill_part(part, p, n, &used, fn, ctx, err))
				return err->code;
		} else {
			if (check_length(len, err) || found(p, len, fn, ctx, err))
				return err->code;
			used = len;
		}
		p += used;
		n -= used;
	}
	return ST_OK;
}

/* ---- one unit ---- */

struct unit {
	struct run *run;
	struct load_worker *w;
	const struct load_unit *u;
	const struct mo_wanted *t;
	struct mo_insert in;
	struct buf part;
	uint64_t given; /* as the chunks said */
};

static void unit_release(struct unit *n)
{
	mo_insert_release(&n->in);
	buf_release(&n->part);
}

static enum status take_document(void *ctx, const bson_t *doc, struct error *err)
{
	struct unit *n = ctx;

	return mo_insert_add(n->run, &n->in, doc, err);
}

static enum status put_documents(struct unit *n, struct chunk_source *chunks, struct error *err)
{
	for (;;) {
		struct chunk chunk;
		bool end = false;

		if (chunks->next(chunks, &chunk, &end, err))
			return err->code;
		if (end)
			break;
		n->given += chunk.rows;
		if (mo_split(&n->part, chunk.data, chunk.len, take_document, n, err))
			return err->code;
	}
	if (n->part.len)
		return error_set(err, ST_BAD, "the archive ends inside a document");
	return mo_insert_flush(n->run, &n->in, err);
}

static enum status check_count(const struct unit *n, struct error *err)
{
	/* In a salvage damaged chunks are passed over: only what was given can be there. */
	uint64_t expected = n->w->l->q->salvage ? n->given : n->u->rows;

	if (n->in.rows == expected)
		return ST_OK;
	return error_set(err, ST_FAILED, "the server counted %" PRIu64 " documents, the backup has %" PRIu64, n->in.rows, expected);
}

/* The mark waits for a majority where there is one, and with it all that was put before it. */
static enum status load_unit(struct unit *n, struct chunk_source *chunks, struct error *err)
{
	const struct mo_load *l = n->w->l;

	if (put_documents(n, chunks, err) || check_count(n, err) || failpoint("mongodb.load.unit.before", err))
		return err->code;
	return mo_mark_unit(n->run, n->w->c, &l->mark, n->u, n->in.rows, err);
}

static enum status replay_unit(struct run *run, struct load_worker *w, const struct load_unit *u, struct chunk_source *chunks,
			       struct load_unit_result *result, struct error *err)
{
	if (mo_replay_unit(run, w->l, w->c, chunks, &result->rows, err)) {
		result->state = mo_conn_lost(err) ? LOAD_UNKNOWN : LOAD_NOT;
		return err->code;
	}
	if (result->rows != u->rows)
		return error_set(err, ST_BAD, "the log of the backup has %" PRIu64 " entries where its index says %" PRIu64, result->rows, u->rows);
	result->state = LOAD_DONE;
	return ST_OK;
}

enum status mo_load_unit(struct run *run, void *worker, const struct load_unit *u, struct chunk_source *chunks,
			 struct load_unit_result *result, struct error *err)
{
	struct load_worker *w = worker;
	const struct mo_wanted *t = mo_wish_object(&w->l->wish, u->object->id);
	bson_iter_t at;

	*result = (struct load_unit_result){.state = LOAD_NOT};
	if (w->l->s->log)
		return replay_unit(run, w, u, chunks, result, err);
	if (!t || !t->documents)
		return error_set(err, ST_FAILED, "%s does not belong to this restore", u->object->name);
	if (mo_load_has_unit(w->l, u)) {
		*result = (struct load_unit_result){.state = LOAD_DONE, .rows = u->rows};
		return ST_OK;
	}
	CLEANUP(unit_release) struct unit n = {
		.run = run,
		.w = w,
		.u = u,
		.t = t,
		.in = {
			.c = w->c,
			.database = w->l->where.database,
			.collection = t->documents,
			/* A document that moves while its collection is read may be read twice: the log has what became of it. */
			.again = w->l->resumed || w->l->log.has,
			.unchecked = bson_iter_init_find(&at, t->meta.options, "validator"),
			.raw_data = t->raw_data,
		},
	};
	if (!load_unit(&n, chunks, err))
		result->state = LOAD_DONE;
	else if (mo_conn_lost(err))
		result->state = LOAD_UNKNOWN;
	result->rows = n.in.rows;
	return err->code ? error_add(err, "loading %s", t->meta.name) : ST_OK;
}
