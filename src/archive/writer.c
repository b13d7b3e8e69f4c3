/* Appending: objects, members, index pages and volumes. Memory does not grow with members; lines of objects are spooled. */
#include "archive/writer.h"

#include "util/failpoint.h"

#define LINES_IN_MEMORY (4u * 1024 * 1024)
#define HELD_IN_MEMORY (1u * 1024 * 1024)
#define VOLUME_DEFAULT ((uint64_t)128 << 30)
#define VOLUMES_OF_FIRST_SIZE 64u
#define VOLUMES_OF_A_SIZE 16u

enum status archive_writer_new(struct archive_writer **to, const struct archive_spec *spec, struct error *err)
{
	if (spec->chunk_size < ARCHIVE_CHUNK_MIN || spec->chunk_size > ARCHIVE_CHUNK_MAX)
		return error_set(err, ST_USAGE, "chunk_size is %" PRIu32 ", allowed are %u to %u", spec->chunk_size,
				 ARCHIVE_CHUNK_MIN, ARCHIVE_CHUNK_MAX);
	struct archive_writer *w = xcalloc(1, sizeof *w);
	w->spec = *spec;
	w->spec.volume_size = spec->volume_size ? spec->volume_size : VOLUME_DEFAULT;
	w->spool_dir = xstrdup(spec->spool_dir);
	mutex_init(&w->lock);
	w->lines = spool_new(w->spool_dir, LINES_IN_MEMORY);
	w->z = gzip_new(spec->mode);
	w->sha = sha256_new();
	w->volume_sha = sha256_new();
	w->root_sha = sha256_new();
	w->chunk_len = min_size(spec->chunk_size, META_CHUNK);
	w->chunk = xmalloc(TAR_HEAD_MAX + w->chunk_len + TAR_BLOCK);
	/* A row is shorter than a block; the whole page, headers and padding, stays below the limit of a member. */
	w->page_limit = min_size(spec->chunk_size + ARCHIVE_SLACK, PAGE_TEXT_MAX) - TAR_HEAD_MAX - 2 * TAR_BLOCK;
	w->out_cap = member_bound(w->z, w->chunk_len > w->page_limit ? w->chunk_len : w->page_limit + TAR_BLOCK);
	w->out = xmalloc(w->out_cap);
	*to = w;
	return ST_OK;
}

void archive_writer_freep(struct archive_writer **wp)
{
	struct archive_writer *w = *wp;

	if (!w)
		return;
	free(w->spool_dir);
	mutex_destroy(&w->lock);
	free(w->object);
	spool_freep(&w->lines);
	gzip_freep(&w->z);
	sha256_freep(&w->sha);
	sha256_freep(&w->volume_sha);
	sha256_freep(&w->root_sha);
	free(w->chunk);
	free(w->out);
	buf_release(&w->page);
	free(w->pages);
	spool_freep(&w->held_text);
	free(w->held);
	free(w);
	*wp = NULL;
}

/* ---- objects ---- */

static enum status add_locked(struct archive_writer *w, struct object_state *s, const struct buf *text, struct error *err)
{
	if (w->objects == UINT32_MAX - 1)
		return error_set(err, ST_FAILED, "too many objects");
	s->line_at = spool_size(w->lines);
	if (spool_write(w->lines, text->data, text->len, err))
		return err->code;
	if (w->objects == w->object_cap) {
		w->object_cap = w->object_cap ? w->object_cap * 2 : 64;
		w->object = xrealloc(w->object, w->object_cap * sizeof *w->object);
	}
	w->object[w->objects++] = *s;
	w->totals.objects++;
	w->totals.tables += s->table;
	return ST_OK;
}

enum status archive_add_object(struct archive_writer *w, const struct archive_object_spec *o, uint32_t *id, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct object_state s = {.table = !strcmp(o->kind, "table")};

	if (!object_names_valid(o->kind, o->path, o->ext) || (o->facts && !json_is_object(o->facts)))
		return error_set(err, ST_FAILED, "%s \"%s\" cannot be stored as \"%s\"", o->kind, o->name, o->path);
	root_put_object_text(&text, o);
	s.text_len = (uint32_t)text.len;
	if (o->facts)
		js_write(o->facts, false, &text);
	if (text.len > ROOT_LINE_MAX / 2)
		return error_set(err, ST_FAILED, "what is to be recorded of %s takes %zu bytes, more than %u", o->path, text.len,
				 ROOT_LINE_MAX / 2);
	s.facts_len = (uint32_t)text.len - s.text_len;
	mutex_lock(&w->lock);
	*id = w->objects;
	enum status st = add_locked(w, &s, &text, err);
	mutex_unlock(&w->lock);
	return st;
}

enum status writer_object_line(struct archive_writer *w, uint32_t id, struct buf *to, struct error *err)
{
	const struct object_state *s = &w->object[id];
	CLEANUP(cstr_release) char *text = xmalloc((size_t)s->text_len + s->facts_len + 2);

	if (spool_read_at(w->lines, s->line_at, text, (size_t)s->text_len + s->facts_len, err))
		return err->code;
	memmove(text + s->text_len + 1, text + s->text_len, s->facts_len);
	text[s->text_len] = 0;
	text[s->text_len + 1 + s->facts_len] = 0;
	root_put_object(to, id, text, text + s->text_len + 1, &s->sums);
	return ST_OK;
}

struct archive_totals archive_totals(struct archive_writer *w)
{
	mutex_lock(&w->lock);
	struct archive_totals t = w->totals;
	mutex_unlock(&w->lock);
	return t;
}

/* ---- volumes ---- */

static enum status put(struct archive_writer *w, const void *p, size_t n, struct error *err)
{
	sha256_update(w->volume_sha, p, n);
	w->volume_bytes += n;
	return w->spec.sink.write(w->spec.sink.ctx, p, n, err);
}

enum status writer_end_volume(struct archive_writer *w, const void *trailer, size_t n, struct error *err)
{
	if (put(w, tar_end, TAR_END_LEN, err) || (n && put(w, trailer, n, err)))
		return err->code;
	if (w->spec.sink.end(w->spec.sink.ctx, w->volume, w->volume_bytes, sha256_final(w->volume_sha), err))
		return err->code;
	mutex_lock(&w->lock);
	w->totals.stored += TAR_END_LEN + n;
	mutex_unlock(&w->lock);
	w->volume_open = false;
	w->volume++;
	w->volume_bytes = 0;
	return ST_OK;
}

/* After 64 volumes, and then after each 16, the size doubles: the manifest lists them all, and the list must fit whatever the size of
 * the database. */
static uint64_t volume_limit(const struct archive_writer *w)
{
	uint32_t doublings = w->volume < VOLUMES_OF_FIRST_SIZE ? 0 : (w->volume - VOLUMES_OF_FIRST_SIZE) / VOLUMES_OF_A_SIZE + 1;
	uint64_t limit = w->spec.volume_size;

	while (doublings-- && limit < UINT64_MAX / 4)
		limit *= 2;
	return w->spec.volume_max ? min_u64(limit, w->spec.volume_max) : limit;
}

enum status writer_border(struct archive_writer *w, struct error *err)
{
	if (w->volume_open && w->volume_bytes >= volume_limit(w) && writer_end_volume(w, NULL, 0, err))
		return err->code;
	if (w->volume_open)
		return ST_OK;
	if (failpoint("archive.volume.begin", err) || w->spec.sink.begin(w->spec.sink.ctx, w->volume, err))
		return err->code;
	w->volume_open = true;
	return ST_OK;
}

enum status writer_store(struct archive_writer *w, const void *p, size_t n, bool starts_entry, uint32_t *volume, uint64_t *offset,
			 struct error *err)
{
	if (starts_entry && writer_border(w, err))
		return err->code;
	*volume = w->volume;
	*offset = w->volume_bytes;
	if (put(w, p, n, err))
		return err->code;
	mutex_lock(&w->lock);
	w->totals.stored += n;
	mutex_unlock(&w->lock);
	return ST_OK;
}

/* ---- index pages ---- */

/* page holds TAR_HEAD_MAX bytes of room and then the text. */
static enum status write_page(struct archive_writer *w, struct buf *page, uint32_t rows, struct error *err)
{
	char path[PAGE_PATH_LEN];
	struct member m;

	buf_reserve(page, TAR_BLOCK);
	page_path(w->page_count, path);
	const struct member_spec spec = {.path = path,
					 .entry_size = page->len - TAR_HEAD_MAX,
					 .raw = page->data + TAR_HEAD_MAX,
					 .raw_len = page->len - TAR_HEAD_MAX,
					 .mtime = w->spec.mtime};
	if (member_make(w->z, w->sha, &spec, w->out, w->out_cap, &m, err) ||
	    writer_store(w, m.data, m.row.length, true, &m.row.volume, &m.row.offset, err))
		return err->code;
	if (w->page_count == w->page_cap) {
		w->page_cap = w->page_cap ? w->page_cap * 2 : 16;
		w->pages = xrealloc(w->pages, w->page_cap * sizeof *w->pages);
	}
	w->pages[w->page_count++] = (struct page_ref){.offset = m.row.offset,
						      .length = m.row.length,
						      .volume = m.row.volume,
						      .plain = m.row.plain,
						      .rows = rows,
						      .sha256 = m.row.sha256};
	return ST_OK;
}

static void start_page(struct archive_writer *w)
{
	buf_clear(&w->page);
	buf_reserve(&w->page, TAR_HEAD_MAX);
	memset(w->page.data, 0, TAR_HEAD_MAX);
	w->page.len = TAR_HEAD_MAX;
	page_begin(&w->page);
	w->page_rows = 0;
}

static enum status hold_page(struct archive_writer *w, struct error *err)
{
	size_t len = w->page.len - TAR_HEAD_MAX;

	if (!w->held_text)
		w->held_text = spool_new(w->spool_dir, HELD_IN_MEMORY);
	if (spool_write(w->held_text, w->page.data + TAR_HEAD_MAX, len, err))
		return err->code;
	if (w->helds == w->held_cap) {
		w->held_cap = w->held_cap ? w->held_cap * 2 : 16;
		w->held = xrealloc(w->held, w->held_cap * sizeof *w->held);
	}
	w->held[w->helds++] = (struct held_page){.len = len, .rows = w->page_rows};
	w->page_number++;
	start_page(w);
	return ST_OK;
}

static enum status write_held(struct archive_writer *w, struct error *err)
{
	uint64_t at = 0;

	for (size_t i = 0; i < w->helds; i++) {
		CLEANUP(buf_release) struct buf page = BUF_INIT;
		size_t len = w->held[i].len;

		buf_reserve(&page, TAR_HEAD_MAX + len);
		page.len = TAR_HEAD_MAX + len;
		if (spool_read_at(w->held_text, at, page.data + TAR_HEAD_MAX, len, err) ||
		    write_page(w, &page, w->held[i].rows, err))
			return err->code;
		at += len;
	}
	w->helds = 0;
	spool_freep(&w->held_text);
	return ST_OK;
}

enum status writer_flush_page(struct archive_writer *w, struct error *err)
{
	if (w->helds && write_held(w, err))
		return err->code;
	if (!w->page_rows)
		return ST_OK;
	if (write_page(w, &w->page, w->page_rows, err))
		return err->code;
	w->page_number++;
	start_page(w);
	return ST_OK;
}

/* ---- members ---- */

static void add_sums(struct archive_writer *w, const struct member_row *row)
{
	mutex_lock(&w->lock);
	struct object_state *o = &w->object[row->object];
	struct object_sums *s = &o->sums;
	if (!s->members++)
		s->first_page = w->page_number;
	s->last_page = w->page_number;
	s->rows += row->rows;
	s->raw += row->raw;
	if (o->table && s->ranges <= row->range)
		s->ranges = row->range + 1;
	s->digest = hash128_add(s->digest, row->digest);
	w->totals.members++;
	w->totals.rows += row->rows;
	w->totals.raw += row->raw;
	mutex_unlock(&w->lock);
}

static enum status check_order(struct archive_writer *w, const struct member *m, struct error *err)
{
	mutex_lock(&w->lock);
	bool known = m->row.object < w->objects;
	mutex_unlock(&w->lock);
	bool continues = w->in_entry && m->row.object == w->entry_object && m->row.at == w->entry_at;
	if (!known || w->finished || m->starts_entry == w->in_entry || (w->in_entry && !continues))
		return error_set(err, ST_FAILED, "a member of object %" PRIu32 " at %" PRIu64 " is out of order", m->row.object,
				 m->row.at);
	if (m->row.range > RANGE_MAX || m->row.part > PART_MAX)
		return error_set(err, ST_FAILED,
				 "range %" PRIu32 ", part %" PRIu32 " is more than the names of entries can tell; "
				 "a larger chunk_size makes fewer parts",
				 m->row.range, m->row.part);
	return ST_OK;
}

enum status archive_append(struct archive_writer *w, const struct member *m, struct error *err)
{
	struct member_row row = m->row;

	if (check_order(w, m, err) || writer_store(w, m->data, row.length, m->starts_entry, &row.volume, &row.offset, err))
		return err->code;
	if (!w->page.len)
		start_page(w);
	page_add(&w->page, &row);
	w->page_rows++;
	add_sums(w, &row);
	w->in_entry = !m->ends_entry;
	w->entry_object = row.object;
	w->entry_at = row.at + row.raw;
	bool full = w->page_rows == PAGE_ROWS || w->page.len - TAR_HEAD_MAX >= w->page_limit;
	if (w->in_entry)
		return full ? hold_page(w, err) : ST_OK;
	return full ? writer_flush_page(w, err) : w->helds ? write_held(w, err) : ST_OK;
}
