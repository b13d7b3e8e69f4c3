/* The members of one object in the order of its bytes. Members are stored in the order in which they were ready, so the pages are
 * read once to learn where each row is, and again, through a small cache, for the rows themselves. */
#include "archive/reader.h"

#define CACHED_PAGES 8u

struct row_ref {
	uint64_t at; /* file: offset in the entry; table: range << 32 | part */
	uint32_t page;
	uint16_t slot;
	bool open;
};

struct cached_page {
	uint32_t page;
	uint64_t used; /* 0: empty */
	struct member_row *rows;
	size_t n;
};

struct archive_rows {
	struct archive_reader *r;
	struct row_ref *ref;
	uint64_t refs, cap;
	struct cached_page cache[CACHED_PAGES];
	uint64_t clock;
};

static bool is_table(const struct archive_object *o) { return o->ext; }

static enum status cached(struct archive_rows *a, uint32_t page, struct cached_page **to, struct error *err)
{
	struct cached_page *oldest = a->cache;

	for (size_t i = 0; i < CACHED_PAGES; i++) {
		struct cached_page *c = &a->cache[i];

		if (c->used && c->page == page) {
			c->used = ++a->clock;
			*to = c;
			return ST_OK;
		}
		oldest = c->used < oldest->used ? c : oldest;
	}
	free(oldest->rows);
	*oldest = (struct cached_page){0};
	if (archive_read_page(a->r, page, &oldest->rows, &oldest->n, err))
		return err->code;
	oldest->page = page;
	oldest->used = ++a->clock;
	*to = oldest;
	return ST_OK;
}

static void add_ref(struct archive_rows *a, struct row_ref ref)
{
	if (a->refs == a->cap) {
		a->cap = a->cap ? a->cap * 2 : 16;
		a->ref = xrealloc(a->ref, a->cap * sizeof *a->ref);
	}
	a->ref[a->refs++] = ref;
}

static int compare_refs(const void *a, const void *b)
{
	const struct row_ref *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static enum status collect(struct archive_rows *a, const struct archive_object *o, struct object_sums *s, struct error *err)
{
	struct cached_page *c;

	for (uint32_t p = o->first_page; p <= o->last_page && o->members; p++) {
		if (cached(a, p, &c, err))
			return err->code;
		for (size_t i = 0; i < c->n; i++) {
			const struct member_row *row = &c->rows[i];

			if (row->object != o->id)
				continue;
			if (is_table(o) && row->at)
				return error_set(err, ST_BAD, "%s: a part of a table does not begin at 0", o->path);
			add_ref(a, (struct row_ref){.at = is_table(o) ? (uint64_t)row->range << 32 | row->part : row->at,
						    .page = p,
						    .slot = (uint16_t)i,
						    .open = row->open});
			s->members++;
			s->rows += row->rows;
			s->raw += row->raw;
			s->digest = hash128_add(s->digest, row->digest);
		}
	}
	return ST_OK;
}

/* No part is missing or twice, and the last of a range ends its last row. */
static enum status check_table_order(const struct archive_rows *a, const struct archive_object *o, struct error *err)
{
	for (uint64_t i = 0; i < a->refs; i++) {
		uint32_t range = (uint32_t)(a->ref[i].at >> 32), part = (uint32_t)a->ref[i].at;
		bool first = !i || a->ref[i - 1].at >> 32 != range, last = i + 1 == a->refs || a->ref[i + 1].at >> 32 != range;

		if (range >= o->ranges || part != (first ? 0 : (uint32_t)a->ref[i - 1].at + 1) || (last && a->ref[i].open))
			return error_set(err, ST_BAD, "%s: the index lacks a part beside %04" PRIu32 "-%08" PRIu32, o->path, range,
					 part);
	}
	return ST_OK;
}

static enum status check_file_order(struct archive_rows *a, const struct archive_object *o, struct error *err)
{
	struct cached_page *c;
	uint64_t at = 0;

	for (uint64_t i = 0; i < a->refs; i++) {
		if (cached(a, a->ref[i].page, &c, err))
			return err->code;
		if (a->ref[i].at != at)
			return error_set(err, ST_BAD, "%s: the index lacks the bytes at %" PRIu64, o->path, at);
		at += c->rows[a->ref[i].slot].raw;
	}
	return a->refs || !o->raw ? ST_OK : error_set(err, ST_BAD, "%s: the index lacks it", o->path);
}

static enum status open_rows(struct archive_rows *a, const struct archive_object *o, struct error *err)
{
	struct object_sums s = {0};

	if (collect(a, o, &s, err))
		return err->code;
	if (s.members != o->members || s.rows != o->rows || s.raw != o->raw || !hash128_equal(s.digest, o->digest))
		return error_set(err, ST_BAD, "%s: the pages of the index and its root disagree", o->path);
	if (a->refs)
		qsort(a->ref, a->refs, sizeof *a->ref, compare_refs);
	return is_table(o) ? check_table_order(a, o, err) : check_file_order(a, o, err);
}

enum status archive_rows_open(struct archive_reader *r, const struct archive_object *o, struct archive_rows **rows,
			      struct error *err)
{
	CLEANUP(archive_rows_freep) struct archive_rows *a = xcalloc(1, sizeof *a);

	a->r = r;
	if (open_rows(a, o, err))
		return err->code;
	*rows = a;
	a = NULL;
	return ST_OK;
}

uint64_t archive_rows_count(const struct archive_rows *rows) { return rows->refs; }

enum status archive_rows_get(struct archive_rows *rows, uint64_t i, struct member_row *row, struct error *err)
{
	struct cached_page *c;

	if (i >= rows->refs)
		return error_set(err, ST_NOT_FOUND, "no row %" PRIu64, i);
	if (cached(rows, rows->ref[i].page, &c, err))
		return err->code;
	*row = c->rows[rows->ref[i].slot];
	return ST_OK;
}

void archive_rows_freep(struct archive_rows **rows)
{
	if (!*rows)
		return;
	for (size_t i = 0; i < CACHED_PAGES; i++)
		free((*rows)->cache[i].rows);
	free((*rows)->ref);
	free(*rows);
	*rows = NULL;
}

enum status archive_member_rows(struct archive_reader *r, const struct archive_object *o, struct member_row **rows, size_t *n,
				struct error *err)
{
	CLEANUP(archive_rows_freep) struct archive_rows *a = NULL;

	if (archive_rows_open(r, o, &a, err))
		return err->code;
	struct member_row *all = xcalloc(a->refs, sizeof *all);
	for (uint64_t i = 0; i < a->refs; i++) {
		if (archive_rows_get(a, i, &all[i], err)) {
			free(all);
			return err->code;
		}
	}
	*rows = all;
	*n = a->refs;
	return ST_OK;
}
