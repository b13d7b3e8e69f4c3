/* The fetching half of a loader: members of the wanted units are read by range, checked, unpacked, and handed over one step
 * ahead of the server. */
#include "pipeline/load_internal.h"

#define ALIGNED(n) (((n) + 63) / 64 * 64)

/* ---- buffers ---- */

enum status loader_open(struct load_pipeline *p, struct loader *l, struct error *err)
{
	const struct budget *b = &p->budget;
	size_t plain = ALIGNED(b->raw_size), stored = ALIGNED(b->stored_size);

	l->pipeline = p;
	l->plains = b->raw_buffers / b->jobs;
	if (region_map(&l->memory, stored + l->plains * plain, err))
		return err->code;
	l->stored = l->memory.p;
	l->plain = xcalloc(l->plains, sizeof *l->plain);
	l->wanted = queue_new(2);
	l->empty = queue_new(l->plains);
	l->full = queue_new(l->plains);
	l->gzip = gzip_new(GZIP_FAST);
	for (unsigned i = 0; i < l->plains; i++) {
		l->plain[i].p = l->memory.p + stored + i * plain;
		if (!queue_push(l->empty, &l->plain[i]))
			die("an empty queue has no room");
	}
	return ST_OK;
}

void loader_release(struct loader *l)
{
	queue_freep(&l->wanted);
	queue_freep(&l->empty);
	queue_freep(&l->full);
	gzip_freep(&l->gzip);
	free(l->plain);
	free(l->rows);
	buf_release(&l->path);
	archive_object_release(&l->fetched);
	archive_object_release(&l->object);
	region_release(&l->memory);
}

enum status loader_object(struct load_pipeline *p, struct archive_object *o, uint32_t id, struct error *err)
{
	if (o->json && o->id == id)
		return ST_OK;
	archive_object_release(o);
	*o = (struct archive_object){0};
	return archive_get_object(p->spec.reader, id, o, err);
}

/* ---- members ---- */

enum status loader_rows(struct loader *l, const struct load_plan_unit *u, struct error *err)
{
	if (l->rows_cap < u->parts) {
		free(l->rows);
		l->rows = xcalloc(u->parts, sizeof *l->rows);
		l->rows_cap = u->parts;
	}
	return pages_unit(l->pipeline->pages, u, l->rows, err);
}

enum status loader_member(struct loader *l, const struct member_row *row, unsigned char *to, const void **raw, struct error *err)
{
	const struct archive_object *o = &l->fetched;

	if (row->plain > l->pipeline->budget.raw_size || row->length > l->pipeline->budget.stored_size)
		return error_set(err, ST_BAD, "%s: a member of %" PRIu32 " bytes is larger than the archive says", o->name,
				 row->plain);
	buf_clear(&l->path);
	archive_part_path(o->path, o->ext, row->range, row->part, &l->path);
	if (archive_fetch(l->pipeline->spec.reader, row, l->stored, err))
		return error_add(err, "%s", l->path.data);
	return archive_unpack(l->gzip, row, l->path.data, l->stored, to, raw, err);
}

static enum status hand_over(struct loader *l, bool last, struct error *err)
{
	struct plain *p = l->filling;

	l->filling = NULL;
	p->last = last;
	return queue_push(l->full, p) ? ST_OK : error_set(err, ST_CANCELLED, "the load has ended");
}

/* Sees that there is a buffer with room for n bytes. A full one is handed over before the thread waits for the next. */
static enum status make_room(struct loader *l, size_t n, struct error *err)
{
	struct plain *now = l->filling;
	void *p;

	if (now && now->chunks < PLAIN_CHUNKS && n <= l->pipeline->budget.raw_size - now->used)
		return ST_OK;
	if (now && hand_over(l, false, err))
		return err->code;
	if (!queue_pop(l->empty, &p))
		return error_set(err, ST_CANCELLED, "the load has ended");
	l->filling = p;
	l->filling->used = l->filling->chunks = 0;
	return ST_OK;
}

static enum status put_member(struct loader *l, const struct member_row *row, struct error *err)
{
	const void *raw;

	if (make_room(l, row->plain, err))
		return err->code;
	struct plain *p = l->filling;
	if (loader_member(l, row, p->p + p->used, &raw, err))
		return err->code;
	p->chunk[p->chunks++] = (struct plain_chunk){.data = raw, .len = row->raw, .rows = row->rows};
	p->used += min_size(ALIGNED(row->plain), l->pipeline->budget.raw_size - p->used);
	return ST_OK;
}

/* ---- salvage ---- */

static bool is_damage(enum status st) { return st == ST_BAD || st == ST_NOT_FOUND; }

static void report(struct loader *l, const struct member_row *row, const struct error *why)
{
	struct load_pipeline *p = l->pipeline;

	mutex_lock(&p->mutex);
	p->spec.damaged(p->spec.damaged_ctx, l->fetched.name, row, why);
	mutex_unlock(&p->mutex);
}

/* Reads all parts of a row larger than a chunk before its first byte is handed out. *bad is the first damaged one, n where there
 * is none. */
static enum status find_damage(struct loader *l, const struct member_row *row, size_t n, size_t *bad, struct error *why)
{
	const void *raw;

	if ((l->filling && l->filling->chunks && hand_over(l, false, why)) || make_room(l, 0, why))
		return why->code;
	for (*bad = 0; *bad < n; ++*bad)
		if (loader_member(l, &row[*bad], l->filling->p, &raw, why))
			return why->code;
	return ST_OK;
}

/* The parts of a row are all left out, or none. */
static enum status salvage_large(struct loader *l, const struct member_row *row, size_t n, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(error_release) struct error with = ERROR_INIT;
	size_t bad = n;
	enum status st = find_damage(l, row, n, &bad, &why);

	if (st && (bad == n || !is_damage(st)))
		return error_move(err, &why);
	error_set(&with, ST_BAD, "of the same row as part %" PRIu32 ", which is damaged", bad < n ? row[bad].part : 0);
	for (size_t i = 0; i < n; i++) {
		if (st)
			report(l, &row[i], i == bad ? &why : &with);
		else if (put_member(l, &row[i], err))
			return err->code;
	}
	return ST_OK;
}

static enum status salvage_one(struct loader *l, const struct member_row *row, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	enum status st = put_member(l, row, &why);

	if (st && !is_damage(st))
		return error_move(err, &why);
	if (st)
		report(l, row, &why);
	return ST_OK;
}

static enum status salvage_unit(struct loader *l, const struct load_plan_unit *u, struct error *err)
{
	for (size_t i = 0; i < u->parts;) {
		size_t n = 1;

		while (l->rows[i + n - 1].open && i + n < u->parts)
			n++;
		if (run_check(&l->run, err) || (n > 1 ? salvage_large(l, &l->rows[i], n, err) : salvage_one(l, &l->rows[i], err)))
			return err->code;
		i += n;
	}
	return ST_OK;
}

/* ---- units ---- */

static enum status put_unit(struct loader *l, const struct load_plan_unit *u, struct error *err)
{
	if (l->pipeline->spec.salvage)
		return salvage_unit(l, u, err);
	for (size_t i = 0; i < u->parts; i++)
		if (run_check(&l->run, err) || put_member(l, &l->rows[i], err))
			return err->code;
	return ST_OK;
}

static enum status fetch_unit(struct loader *l, const struct load_plan_unit *u, struct error *err)
{
	if (loader_object(l->pipeline, &l->fetched, u->object, err) || loader_rows(l, u, err))
		return err->code;
	if (put_unit(l, u, err) || make_room(l, 0, err)) /* also a unit without a chunk has an end */
		return err->code;
	return hand_over(l, true, err);
}

void fetcher_main(void *loader)
{
	struct loader *l = loader;
	struct error err = ERROR_INIT;
	void *unit;

	while (!err.code && queue_pop(l->wanted, &unit))
		fetch_unit(l, unit, &err);
	if (err.code)
		crew_fail(&l->pipeline->crew, &err);
}
