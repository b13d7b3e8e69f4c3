/* Reading: objects, index pages, members, whole files. Every number was checked before it is used for a size or a place. */
#include "archive/reader.h"

enum status archive_reader_open(struct run *run, const struct range_source *src, const char *spool_dir, struct archive_reader **to,
				struct error *err)
{
	CLEANUP(archive_reader_freep) struct archive_reader *r = xcalloc(1, sizeof *r);

	r->src = *src;
	if (reader_find_root(r, err) || reader_load_root(run, r, spool_dir, err))
		return err->code;
	*to = r;
	r = NULL;
	return ST_OK;
}

void archive_reader_freep(struct archive_reader **r)
{
	if (!*r)
		return;
	free((*r)->volume_size);
	free((*r)->pages);
	spool_freep(&(*r)->root);
	free((*r)->line);
	free(*r);
	*r = NULL;
}

uint32_t archive_chunk_size(const struct archive_reader *r) { return r->head.chunk_size; }
uint32_t archive_object_count(const struct archive_reader *r) { return r->head.objects; }
uint32_t archive_page_count(const struct archive_reader *r) { return r->head.pages; }

/* ---- objects ---- */

static enum status get_object(struct archive_reader *r, uint32_t id, struct buf *line, struct archive_object *o, struct error *err)
{
	size_t n = (size_t)(r->line[id + 1] - r->line[id]) - 1;

	buf_clear(line);
	buf_reserve(line, n);
	if (spool_read_at(r->root, r->line[id], line->data, n, err))
		return err->code;
	return root_parse_object(line->data, n, &r->head, id, o, err);
}

enum status archive_get_object(struct archive_reader *r, uint32_t id, struct archive_object *o, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	if (id >= r->head.objects)
		return error_set(err, ST_NOT_FOUND, "the archive has no object %" PRIu32, id);
	return get_object(r, id, &line, o, err);
}

enum status archive_each_object(struct archive_reader *r,
				enum status (*fn)(void *ctx, const struct archive_object *o, struct error *err), void *ctx,
				struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	for (uint32_t i = 0; i < r->head.objects; i++) {
		CLEANUP(archive_object_release) struct archive_object o = {0};

		if (get_object(r, i, &line, &o, err) || fn(ctx, &o, err))
			return err->code;
	}
	return ST_OK;
}

/* Whether the line of an object begins as the writer begins that of a table: then it need not be parsed to know that it is no file. */
static enum status begins_as_table(struct archive_reader *r, uint32_t id, bool *table, struct error *err)
{
	char expected[64], line[64];
	size_t n = (size_t)snprintf(expected, sizeof expected, "{\"object\":%" PRIu32 ",\"kind\":\"table\",", id);

	*table = false;
	if (r->line[id + 1] - r->line[id] <= n)
		return ST_OK;
	if (spool_read_at(r->root, r->line[id], line, n, err))
		return err->code;
	*table = !memcmp(line, expected, n);
	return ST_OK;
}

enum status archive_find_file(struct archive_reader *r, const char *path, struct archive_object *o, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	for (uint32_t i = 0; i < r->head.objects; i++) {
		struct archive_object got = {0};
		bool table;

		if (begins_as_table(r, i, &table, err))
			return err->code;
		if (table)
			continue;
		if (get_object(r, i, &line, &got, err))
			return err->code;
		if (!strcmp(got.kind, "file") && !strcmp(got.path, path)) {
			*o = got;
			return ST_OK;
		}
		archive_object_release(&got);
	}
	return error_set(err, ST_NOT_FOUND, "the archive has no file %s", path);
}

/* ---- pages ---- */

static enum status check_rows(const struct archive_reader *r, const struct page_ref *p, const struct member_row *rows, size_t n,
			      struct error *err)
{
	if (n != p->rows)
		return error_set(err, ST_BAD, "%zu rows instead of %" PRIu32, n, p->rows);
	for (size_t i = 0; i < n; i++) {
		if (row_check(&rows[i], &r->head, r->volume_size, err))
			return err->code;
		if (i && is_before(rows[i].volume, rows[i].offset, rows[i - 1].volume, rows[i - 1].offset + rows[i - 1].length))
			return error_set(err, ST_BAD, "rows out of order");
	}
	return ST_OK;
}

/* The text of a page out of its stored bytes; plain has room for p->plain. */
static enum status open_page(const struct page_ref *p, uint32_t number, const void *stored, unsigned char *plain, uint64_t *size,
			     struct error *err)
{
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	char path[PAGE_PATH_LEN];

	page_path(number, path);
	if (!sha256_equal(sha256_of(stored, p->length), p->sha256))
		return error_set(err, ST_BAD, "its stored bytes differ from their checksum");
	if (gunzip_member(z, stored, p->length, plain, p->plain, err) || tar_head_check(plain, TAR_BLOCK, path, size, err))
		return err->code;
	if (*size > p->plain || TAR_BLOCK + *size + tar_padding(*size) != p->plain)
		return error_set(err, ST_BAD, "its header says %" PRIu64 " bytes", *size);
	for (uint64_t i = TAR_BLOCK + *size; i < p->plain; i++)
		if (plain[i])
			return error_set(err, ST_BAD, "its padding is not 0");
	return ST_OK;
}

struct stored_range {
	uint32_t volume;
	uint64_t offset;
	size_t length;
	struct sha256 sha256;
};

/* A range whose SHA-256 is known. One that is wrong is read a second time, for the way may be to blame and not the store; then from another copy. */
static enum status read_checked(struct archive_reader *r, const struct stored_range *s, void *to, struct error *err)
{
	const struct range_source *src = &r->src;

	if (src->take && src->take(src->ctx, s->volume, s->offset, to, s->length))
		return ST_OK;
	do {
		for (int round = 0; round < 2; round++) {
			if (src->read_at(src->ctx, s->volume, s->offset, to, s->length, err))
				return err->code;
			if (sha256_equal(sha256_of(to, s->length), s->sha256)) {
				if (src->keep)
					src->keep(src->ctx, s->volume, s->offset, to, s->length);
				return ST_OK;
			}
		}
	} while (src->distrust && src->distrust(src->ctx));
	return error_set(err, ST_BAD,
			 "damaged: the %zu stored bytes at %" PRIu64 " of volume %" PRIu32 " differ from their checksum",
			 s->length, s->offset, s->volume + 1);
}

static enum status read_page(struct archive_reader *r, uint32_t page, struct member_row **rows, size_t *n, struct error *err)
{
	const struct page_ref *p = &r->pages[page];
	CLEANUP(cstr_release) char *stored = xmalloc(p->length);
	CLEANUP(cstr_release) char *plain = xmalloc(p->plain);
	struct member_row *made = NULL;
	uint64_t size;
	size_t count;

	const struct stored_range range = {p->volume, p->offset, p->length, p->sha256};
	if (read_checked(r, &range, stored, err) ||
	    open_page(p, page, stored, (unsigned char *)plain, &size, err) ||
	    page_parse(plain + TAR_BLOCK, size, &made, &count, err))
		return err->code;
	if (check_rows(r, p, made, count, err)) {
		free(made);
		return err->code;
	}
	*rows = made;
	*n = count;
	return ST_OK;
}

enum status archive_read_page(struct archive_reader *r, uint32_t page, struct member_row **rows, size_t *n, struct error *err)
{
	if (page >= r->head.pages)
		return error_set(err, ST_NOT_FOUND, "the index has no page %" PRIu32, page);
	if (read_page(r, page, rows, n, err))
		return error_add(err, "page %" PRIu32 " of the index is damaged", page);
	return ST_OK;
}

/* ---- members ---- */

enum status archive_fetch(struct archive_reader *r, const struct member_row *row, void *stored, struct error *err)
{
	const struct stored_range s = {row->volume, row->offset, row->length, row->sha256};

	return read_checked(r, &s, stored, err);
}

struct file_in {
	struct archive_reader *r;
	const struct archive_object *o;
	struct byte_sink to;
	struct gzip *z;
	struct buf stored, plain;
};

static enum status read_file_member(struct file_in *f, const struct member_row *row, struct error *err)
{
	const struct entry e = {.path = f->o->path, .size = f->o->raw};
	const void *raw;

	buf_reserve(&f->stored, row->length);
	buf_reserve(&f->plain, row->plain);
	if (archive_fetch(f->r, row, f->stored.data, err) || member_open(f->z, row, &e, f->stored.data, f->plain.data, &raw, err))
		return err->code;
	return row->raw ? f->to.write(f->to.ctx, raw, row->raw, err) : ST_OK;
}

enum status archive_read_file(struct archive_reader *r, const struct archive_object *o, struct byte_sink to, struct error *err)
{
	CLEANUP(archive_rows_freep) struct archive_rows *rows = NULL;
	struct file_in f = {.r = r, .o = o, .to = to};
	struct member_row row;

	if (strcmp(o->kind, "file"))
		return error_set(err, ST_FAILED, "%s is not a file", o->path);
	if (archive_rows_open(r, o, &rows, err))
		return error_add(err, "%s", o->path);
	f.z = gzip_new(GZIP_FAST);
	enum status st = ST_OK;
	for (uint64_t i = 0; i < archive_rows_count(rows) && !st; i++) {
		st = archive_rows_get(rows, i, &row, err);
		st = st ? st : read_file_member(&f, &row, err);
	}
	gzip_freep(&f.z);
	buf_release(&f.stored);
	buf_release(&f.plain);
	return st ? error_add(err, "%s", o->path) : ST_OK;
}
