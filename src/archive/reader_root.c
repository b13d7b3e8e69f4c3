/* Opening an archive: from the trailer to the root, from its stored bytes to lines. The root may be large: it is inflated member by
 * member into a spool, and nothing of it is parsed before its SHA-256 was right. */
#include "archive/reader.h"

#define ROOT_IN_MEMORY (4u * 1024 * 1024)
#define LINE_LEAST 120u /* no line of a page or object is shorter: bounds the counts of the first line */

enum status reader_find_root(struct archive_reader *r, struct error *err)
{
	unsigned char stored[TRAILER_LEN];
	uint64_t end;

	if (!r->src.volumes || r->src.volumes > VOLUMES_MAX)
		return error_set(err, ST_BAD, "an archive of %" PRIu32 " volumes", r->src.volumes);
	r->volume_size = xcalloc(r->src.volumes, sizeof *r->volume_size);
	for (uint32_t v = 0; v < r->src.volumes; v++)
		if (r->src.size(r->src.ctx, v, &r->volume_size[v], err))
			return err->code;
	uint32_t last = r->src.volumes - 1;
	uint64_t size = r->volume_size[last];
	if (size < TRAILER_LEN + TAR_END_LEN)
		return error_set(err, ST_BAD, "the archive is cut: its last volume has %" PRIu64 " bytes", size);
	if (r->src.read_at(r->src.ctx, last, size - TRAILER_LEN, stored, TRAILER_LEN, err))
		return err->code;
	if (trailer_parse(stored, &r->trailer, err))
		return error_add(err, "the archive is cut, continued or damaged at its end");
	if (r->trailer.volume != last)
		return error_set(err, ST_BAD, "the archive has %" PRIu64 " volumes, %" PRIu32 " are there",
				 (uint64_t)r->trailer.volume + 1, r->src.volumes);
	if (__builtin_add_overflow(r->trailer.offset, r->trailer.length, &end) || end != size - TRAILER_LEN - TAR_END_LEN)
		return error_set(err, ST_BAD, "the trailer points to a root that cannot be");
	return ST_OK;
}

/* ---- stored bytes to a spool of lines ---- */

struct root_stream {
	struct archive_reader *r;
	struct gzip *z;
	struct sha256_state *sha;
	unsigned char *stored, *plain;
	size_t stored_cap, fill, used; /* stored[used..fill) is not yet inflated */
	uint64_t read;                 /* of the trailer's length */
	bool begun;
	uint64_t size, at, padding; /* of the entry; at: plain bytes seen after the header */
};
#define ROOT_PLAIN (META_CHUNK + ARCHIVE_SLACK)

static enum status refill(struct root_stream *s, struct error *err)
{
	const struct trailer *t = &s->r->trailer;

	memmove(s->stored, s->stored + s->used, s->fill - s->used);
	s->fill -= s->used;
	s->used = 0;
	size_t n = (size_t)min_u64(s->stored_cap - s->fill, t->length - s->read);
	if (!n)
		return ST_OK;
	if (s->r->src.read_at(s->r->src.ctx, t->volume, t->offset + s->read, s->stored + s->fill, n, err))
		return err->code;
	sha256_update(s->sha, s->stored + s->fill, n);
	s->fill += n;
	s->read += n;
	return ST_OK;
}

static enum status take_plain(struct root_stream *s, const unsigned char *p, size_t n, struct error *err)
{
	if (!s->begun) {
		if (n < TAR_BLOCK || tar_head_check(p, TAR_BLOCK, ROOT_PATH, &s->size, err))
			return error_set(err, ST_BAD, "the root of the index has no header");
		if (s->size > ROOT_PLAIN_MAX)
			return error_set(err, ST_BAD, "the root of the index says that it has %" PRIu64 " bytes", s->size);
		s->begun = true;
		s->padding = tar_padding(s->size);
		p += TAR_BLOCK;
		n -= TAR_BLOCK;
	}
	size_t payload = (size_t)min_u64(n, s->size - min_u64(s->size, s->at));
	if (n > s->size + s->padding - s->at)
		return error_set(err, ST_BAD, "the root of the index is longer than its header says");
	for (size_t i = payload; i < n; i++)
		if (p[i])
			return error_set(err, ST_BAD, "padding of the root that is not 0");
	s->at += n;
	return payload ? spool_write(s->r->root, p, payload, err) : ST_OK;
}

static enum status inflate_root(struct run *run, struct root_stream *s, struct error *err)
{
	size_t used, made;

	while (s->read < s->r->trailer.length || s->used < s->fill) {
		if (run_check(run, err) || refill(s, err) ||
		    gunzip_next(s->z, s->stored, s->fill, &used, s->plain, ROOT_PLAIN, &made, err) ||
		    take_plain(s, s->plain, made, err))
			return err->code;
		s->used = used;
	}
	if (!s->begun || s->at != s->size + s->padding)
		return error_set(err, ST_BAD, "the root of the index is shorter than its header says");
	return ST_OK;
}

static enum status read_root(struct run *run, struct archive_reader *r, struct error *err)
{
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();
	CLEANUP(cstr_release) char *stored = NULL;
	CLEANUP(cstr_release) char *plain = xmalloc(ROOT_PLAIN);
	struct root_stream s = {.r = r, .z = z, .sha = sha, .plain = (unsigned char *)plain};

	s.stored_cap = (size_t)min_u64(gzip_bound(z, ROOT_PLAIN), r->trailer.length);
	stored = xmalloc(s.stored_cap);
	s.stored = (unsigned char *)stored;
	if (inflate_root(run, &s, err))
		return error_add(err, "the root of the index is damaged");
	if (!sha256_equal(sha256_final(sha), r->trailer.sha256))
		return error_set(err, ST_BAD, "the root of the index is damaged: its checksum is not that of the trailer");
	return ST_OK;
}

/* ---- lines ---- */

struct line_reader {
	struct spool *spool;
	uint64_t at, size; /* at: offset of the next line */
	struct buf b;      /* bytes of the spool from at - pos on */
	size_t pos;        /* of the next line in b */
};

static enum status fill_lines(struct line_reader *l, struct error *err)
{
	uint64_t end = l->at - l->pos + l->b.len;
	size_t rest = l->b.len - l->pos, more = (size_t)min_u64(65536, l->size - end);

	if (!more || rest > ROOT_LINE_MAX)
		return error_set(err, ST_BAD, "the root of the index lacks lines");
	if (rest)
		memmove(l->b.data, l->b.data + l->pos, rest);
	l->pos = 0;
	l->b.len = rest;
	buf_reserve(&l->b, more);
	if (spool_read_at(l->spool, end, l->b.data + rest, more, err))
		return err->code;
	l->b.len += more;
	return ST_OK;
}

/* The next line without its end; valid until the next call. */
static enum status next_line(struct line_reader *l, const char **line, size_t *n, struct error *err)
{
	const char *end = NULL;
	size_t seen = 0; /* of the line, without an end */

	while (l->b.len - l->pos == seen || !(end = memchr(l->b.data + l->pos + seen, '\n', l->b.len - l->pos - seen))) {
		seen = l->b.len - l->pos;
		if (fill_lines(l, err))
			return err->code;
	}
	*line = l->b.data + l->pos;
	*n = (size_t)(end - *line);
	l->pos += *n + 1;
	l->at += *n + 1;
	return ST_OK;
}

static enum status parse_head(struct archive_reader *r, struct line_reader *l, struct error *err)
{
	const char *line;
	size_t n;

	if (next_line(l, &line, &n, err) || root_parse_head(line, n, &r->head, err))
		return err->code;
	if (r->head.volumes != r->src.volumes || ((uint64_t)r->head.pages + r->head.objects) > l->size / LINE_LEAST)
		return error_set(err, ST_BAD, "the first line of the root does not fit the archive");
	return ST_OK;
}

static enum status parse_pages(struct archive_reader *r, struct line_reader *l, struct error *err)
{
	uint64_t rows = 0, end = 0, limit;
	const char *line;
	size_t n;

	r->pages = xcalloc(r->head.pages, sizeof *r->pages);
	for (uint32_t i = 0; i < r->head.pages; i++) {
		struct page_ref *p = &r->pages[i];

		if (next_line(l, &line, &n, err) || root_parse_page(line, n, i, p, err))
			return err->code;
		bool ordered = !i || !is_before(p->volume, p->offset, r->pages[i - 1].volume, end);
		if (!ordered || p->volume >= r->head.volumes || __builtin_add_overflow(p->offset, p->length, &end))
			return error_set(err, ST_BAD, "page %" PRIu32 " lies where it cannot be", i);
		limit = p->volume == r->trailer.volume ? r->trailer.offset : r->volume_size[p->volume];
		if (end > limit || p->plain > r->head.chunk_size + ARCHIVE_SLACK)
			return error_set(err, ST_BAD, "page %" PRIu32 " lies outside of its volume", i);
		rows += p->rows;
	}
	if (rows != r->head.members)
		return error_set(err, ST_BAD, "the pages of the index have %" PRIu64 " rows for %" PRIu64 " members", rows,
				 r->head.members);
	return ST_OK;
}

static enum status find_objects(struct archive_reader *r, struct line_reader *l, struct error *err)
{
	const char *line;
	size_t n;

	r->line = xcalloc((size_t)r->head.objects + 1, sizeof *r->line);
	r->line[0] = l->at;
	for (uint32_t i = 0; i < r->head.objects; i++) {
		if (next_line(l, &line, &n, err))
			return err->code;
		r->line[i + 1] = l->at;
	}
	if (l->at != l->size)
		return error_set(err, ST_BAD, "the root of the index has more lines than its first line says");
	return ST_OK;
}

enum status reader_load_root(struct run *run, struct archive_reader *r, const char *spool_dir, struct error *err)
{
	struct line_reader l = {0};

	r->root = spool_new(spool_dir, ROOT_IN_MEMORY);
	if (read_root(run, r, err))
		return err->code;
	l.spool = r->root;
	l.size = spool_size(r->root);
	enum status st = parse_head(r, &l, err);
	st = st ? st : parse_pages(r, &l, err);
	st = st ? st : find_objects(r, &l, err);
	buf_release(&l.b);
	return st;
}
