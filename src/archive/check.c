/* archive_check_all: one walk over all stored bytes in their order, merged with the rows of the index, which have the same order.
 * What is in no row, page, root, end or trailer is a damage; so is every row, page and sum that the bytes do not bear out. */
#include "archive/check.h"

#define WINDOW_LEAST ((size_t)1 << 20)
#define CACHED_OBJECTS 64u

struct walk {
	struct run *run;
	struct archive_reader *r;
	const struct archive_check *c;
	struct gzip *z;
	struct sha256_state *sha; /* of the volume so far */
	uint32_t volume;          /* cursor: all before it was seen */
	uint64_t offset, done;    /* done: stored bytes of all volumes */
	uint64_t damages;
	/* A piece of one volume, read ahead. */
	unsigned char *window, *plain;
	size_t window_cap, window_len;
	uint32_t window_volume;
	uint64_t window_at;
	struct archive_object object[CACHED_OBJECTS]; /* by the low bits of the number; json NULL: empty */
	struct check_sums *sums;
	uint32_t next_page; /* the next page entry to be met */
	bool pages_lost;
	/* A file whose next member must follow. */
	bool in_entry;
	uint32_t entry_object;
	uint64_t entry_at;
};

static void PRINTF_LIKE(2, 3) damage(struct walk *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	CLEANUP(cstr_release) char *text = xvasprintf(fmt, ap);
	va_end(ap);
	w->damages++;
	if (w->c->found)
		w->c->found(w->c->ctx, text);
}

/* What is wrong with the bytes is reported and passed over; what prevents reading ends the walk. */
static enum status pass_over(struct walk *w, struct error *why, struct error *err)
{
	if (why->code != ST_BAD)
		return error_move(err, why);
	damage(w, "%s", error_text(why));
	error_release(why);
	return ST_OK;
}

/* n stored bytes; n is at most window_cap and inside of the volume. */
static enum status look(struct walk *w, uint32_t volume, uint64_t offset, size_t n, const unsigned char **p, struct error *err)
{
	bool inside =
		w->window_len && volume == w->window_volume && offset >= w->window_at && offset + n <= w->window_at + w->window_len;

	if (!inside) {
		size_t len = (size_t)min_u64(w->window_cap, w->r->volume_size[volume] - offset);

		w->window_len = 0;
		if (run_check(w->run, err) || w->r->src.read_at(w->r->src.ctx, volume, offset, w->window, len, err))
			return err->code;
		w->window_volume = volume;
		w->window_at = offset;
		w->window_len = len;
	}
	*p = w->window + (offset - w->window_at);
	return ST_OK;
}

/* Moves the cursor within its volume, hashing what it passes. */
static enum status pass(struct walk *w, uint64_t to, struct error *err)
{
	const unsigned char *p;

	while (w->offset < to) {
		size_t n = (size_t)min_u64(w->window_cap, to - w->offset);

		if (look(w, w->volume, w->offset, n, &p, err))
			return err->code;
		sha256_update(w->sha, p, n);
		w->offset += n;
		w->done += n;
	}
	if (w->c->progress)
		w->c->progress(w->c->ctx, w->done);
	return ST_OK;
}

/* Ends the cursor's volume: the end of its tar is expected, in the last volume followed by the trailer, which was read before. */
static enum status end_volume(struct walk *w, struct error *err)
{
	uint64_t size = w->r->volume_size[w->volume], trailer = w->volume == w->r->trailer.volume ? TRAILER_LEN : 0;
	const unsigned char *p;

	if (size - w->offset != TAR_END_LEN + trailer) {
		damage(w, "volume %" PRIu32 ": %" PRIu64 " bytes at %" PRIu64 ", where its end of %" PRIu64 " bytes belongs",
		       w->volume + 1, size - w->offset, w->offset, TAR_END_LEN + trailer);
	} else {
		if (look(w, w->volume, w->offset, TAR_END_LEN, &p, err))
			return err->code;
		if (memcmp(p, tar_end, TAR_END_LEN))
			damage(w, "volume %" PRIu32 ": the end of the tar at %" PRIu64 " is damaged", w->volume + 1, w->offset);
	}
	if (pass(w, size, err))
		return err->code;
	struct sha256 h = sha256_final(w->sha);
	if (w->c->volume)
		w->c->volume(w->c->ctx, w->volume, size, h);
	w->volume++;
	w->offset = 0;
	return ST_OK;
}

/* Brings the cursor to where something begins. *free_place is false where that place was passed already. */
static enum status go_to(struct walk *w, uint32_t volume, uint64_t offset, bool *free_place, struct error *err)
{
	while (w->volume < volume)
		if (end_volume(w, err))
			return err->code;
	*free_place = w->volume == volume && offset >= w->offset;
	if (!*free_place)
		damage(w, "volume %" PRIu32 ": the bytes at %" PRIu64 " are claimed twice", volume + 1, offset);
	else if (offset > w->offset)
		damage(w, "volume %" PRIu32 ": %" PRIu64 " bytes at %" PRIu64 " are in no row of the index", volume + 1,
		       offset - w->offset, w->offset);
	return *free_place ? pass(w, offset, err) : ST_OK;
}

/* ---- members ---- */

/* The object of a row out of the cache. *to is NULL where its line is damaged. */
static enum status object_of(struct walk *w, uint32_t id, const struct archive_object **to, struct error *err)
{
	struct archive_object *o = &w->object[id % CACHED_OBJECTS];
	CLEANUP(error_release) struct error why = ERROR_INIT;

	*to = o;
	if (o->json && o->id == id)
		return ST_OK;
	archive_object_release(o);
	if (!archive_get_object(w->r, id, o, &why))
		return ST_OK;
	*to = NULL;
	return pass_over(w, &why, err);
}

static void check_neighbours(struct walk *w, const struct member_row *row, const struct archive_object *o)
{
	bool continues = row->object == w->entry_object && row->at == w->entry_at;

	if (w->in_entry ? !continues : row->at > 0)
		damage(w, "%s: a part of it at %" PRIu64 " of volume %" PRIu32 " is out of order", o->path, row->offset,
		       row->volume + 1);
	w->entry_object = row->object;
	w->entry_at = row->at + row->raw;
	w->in_entry = !o->ext && w->entry_at < o->raw;
}

static enum status check_member(struct walk *w, const struct member_row *row, uint32_t page, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(buf_release) struct buf path = BUF_INIT;
	const struct archive_object *o;
	const unsigned char *stored;
	const void *raw;
	bool free_place;

	if (go_to(w, row->volume, row->offset, &free_place, err) || object_of(w, row->object, &o, err))
		return err->code;
	check_sums_add(w->sums, row, o && o->ext, page);
	if (!o || !free_place)
		return ST_OK;
	check_neighbours(w, row, o);
	struct entry e = {.path = o->path, .size = o->raw};
	if (o->ext) {
		archive_part_path(o->path, o->ext, row->range, row->part, &path);
		e = (struct entry){.path = path.data, .size = row->raw};
	}
	if (look(w, row->volume, row->offset, row->length, &stored, err))
		return err->code;
	if (!sha256_equal(sha256_of(stored, row->length), row->sha256))
		damage(w, "%s: the %" PRIu64 " stored bytes at %" PRIu64 " of volume %" PRIu32 " differ from their checksum",
		       e.path, row->length, row->offset, row->volume + 1);
	else if (member_open(w->z, row, &e, stored, w->plain, &raw, &why) && pass_over(w, &why, err))
		return err->code;
	return pass(w, row->offset + row->length, err);
}

/* ---- pages and root ---- */

static enum status check_stored(struct walk *w, const struct trailer *t, const char *what, struct error *err)
{
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();
	const unsigned char *p;
	bool free_place;

	if (w->in_entry) {
		damage(w, "%s lies inside of a file", what);
		w->in_entry = false;
	}
	if (go_to(w, t->volume, t->offset, &free_place, err) || !free_place)
		return err->code;
	for (uint64_t at = 0; at < t->length;) {
		size_t n = (size_t)min_u64(w->window_cap, t->length - at);

		if (look(w, t->volume, t->offset + at, n, &p, err))
			return err->code;
		sha256_update(sha, p, n);
		at += n;
		if (pass(w, t->offset + at, err))
			return err->code;
	}
	if (!sha256_equal(sha256_final(sha), t->sha256))
		damage(w, "%s: the %" PRIu64 " stored bytes at %" PRIu64 " of volume %" PRIu32 " differ from their checksum", what,
		       t->length, t->offset, t->volume + 1);
	return ST_OK;
}

/* The entries of all pages that lie before a place. */
static enum status meet_pages(struct walk *w, uint32_t volume, uint64_t offset, struct error *err)
{
	while (w->next_page < w->r->head.pages) {
		const struct page_ref *p = &w->r->pages[w->next_page];
		char path[PAGE_PATH_LEN];

		if (!is_before(p->volume, p->offset, volume, offset))
			break;
		page_path(w->next_page++, path);
		const struct trailer place = {.volume = p->volume, .offset = p->offset, .length = p->length, .sha256 = p->sha256};
		if (check_stored(w, &place, path, err))
			return err->code;
	}
	return ST_OK;
}

static enum status check_page_rows(struct walk *w, uint32_t page, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	struct member_row *rows;
	size_t n;

	if (archive_read_page(w->r, page, &rows, &n, &why)) {
		w->pages_lost = true;
		return pass_over(w, &why, err);
	}
	enum status st = ST_OK;
	for (size_t i = 0; i < n && !st; i++) {
		st = meet_pages(w, rows[i].volume, rows[i].offset, err);
		st = st ? st : check_member(w, &rows[i], page, err);
	}
	free(rows);
	return st;
}

/* ---- sums ---- */

static void bad_range(void *ctx, uint32_t object, uint32_t range)
{
	damage(ctx, "object %" PRIu32 ": a part of its range %" PRIu32 " is missing, twice, or ends inside of a row", object,
	       range);
}

static enum status compare_sums(struct walk *w, struct error *err)
{
	for (uint32_t i = 0; i < w->r->head.objects; i++) {
		CLEANUP(archive_object_release) struct archive_object o = {0};
		CLEANUP(error_release) struct error why = ERROR_INIT;

		if (archive_get_object(w->r, i, &o, &why)) {
			if (pass_over(w, &why, err))
				return err->code;
			continue;
		}
		const char *wrong = check_sums_compare(w->sums, &o);
		if (wrong)
			damage(w, "%s: %s", o.path, wrong);
	}
	check_sums_ranges(w->sums, bad_range, w);
	return ST_OK;
}

static enum status walk_all(struct walk *w, struct error *err)
{
	const struct trailer *t = &w->r->trailer;

	for (uint32_t p = 0; p < w->r->head.pages; p++)
		if (check_page_rows(w, p, err))
			return err->code;
	if (meet_pages(w, t->volume, t->offset, err) || check_stored(w, t, ROOT_PATH, err))
		return err->code;
	while (w->volume < w->r->src.volumes)
		if (end_volume(w, err))
			return err->code;
	return w->pages_lost ? ST_OK : compare_sums(w, err);
}

/* Without an index only the sums of whole volumes are left to be told. */
static enum status hash_volumes(struct walk *w, struct error *err)
{
	for (; w->volume < w->r->src.volumes; w->volume++, w->offset = 0) {
		if (pass(w, w->r->volume_size[w->volume], err))
			return err->code;
		struct sha256 h = sha256_final(w->sha);
		if (w->c->volume)
			w->c->volume(w->c->ctx, w->volume, w->r->volume_size[w->volume], h);
	}
	return ST_OK;
}

static enum status check_opened(struct walk *w, const char *spool_dir, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;

	w->z = gzip_new(GZIP_FAST);
	w->sha = sha256_new();
	if (reader_find_root(w->r, &why) || reader_load_root(w->run, w->r, spool_dir, &why)) {
		if (pass_over(w, &why, err))
			return err->code;
		w->window_cap = WINDOW_LEAST;
		w->window = xmalloc(w->window_cap);
		return w->r->volume_size ? hash_volumes(w, err) : ST_OK;
	}
	size_t plain = w->r->head.chunk_size + ARCHIVE_SLACK, bound = gzip_bound(w->z, plain);
	w->window_cap = bound > WINDOW_LEAST ? bound : WINDOW_LEAST;
	w->window = xmalloc(w->window_cap);
	w->plain = xmalloc(plain);
	w->sums = check_sums_new(w->r->head.objects);
	return walk_all(w, err);
}

enum status archive_check_all(struct run *run, const struct range_source *src, const char *spool_dir, const struct archive_check *c,
			      struct error *err)
{
	CLEANUP(archive_reader_freep) struct archive_reader *r = xcalloc(1, sizeof *r);
	struct walk w = {.run = run, .r = r, .c = c};

	r->src = *src;
	enum status st = check_opened(&w, spool_dir, err);
	for (size_t i = 0; i < CACHED_OBJECTS; i++)
		archive_object_release(&w.object[i]);
	gzip_freep(&w.z);
	sha256_freep(&w.sha);
	check_sums_freep(&w.sums);
	free(w.window);
	free(w.plain);
	if (!st && w.damages)
		return error_set(err, ST_BAD, "the archive is damaged in %" PRIu64 " place%s", w.damages,
				 w.damages == 1 ? "" : "s");
	return st;
}
