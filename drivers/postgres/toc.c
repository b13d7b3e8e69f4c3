#include "drivers/postgres/toc.h"

#include <limits.h>

#define BLOCK ((size_t)64 * 1024)
#define MAX_STRING ((size_t)256 * 1024 * 1024) /* a definition; the server's own limit for a query is not far above */
#define MAX_NAME ((size_t)1024 * 1024)         /* a comment's tag holds a few names */
#define MAX_ID(count) (10 * (size_t)(count) + 1000000) /* pg_dump numbers system objects too, which it does not write */

/* Strings and dependencies are many and small: they are cut from blocks that never move. */
struct toc_memory {
	struct toc_memory *next;
	size_t used, size;
	_Alignas(max_align_t) char byte[];
};

/* Where the file is read, a block at a time. */
struct reader {
	struct spool *spool;
	uint64_t at, end; /* of the next block */
	unsigned char block[BLOCK];
	size_t pos, len;
	unsigned int_size, off_size;
};

static void *toc_alloc(struct toc *t, size_t n)
{
	const size_t align = _Alignof(max_align_t);
	struct toc_memory *m = t->memory;

	n = (n + align - 1) / align * align;
	if (!m || m->size - m->used < n) {
		size_t size = n > BLOCK ? n : BLOCK;

		m = xmalloc(sizeof *m + size);
		*m = (struct toc_memory){.next = t->memory, .size = size};
		t->memory = m;
	}
	m->used += n;
	return m->byte + m->used - n;
}

static enum status damaged(struct error *err, const char *what)
{
	return error_set(err, ST_BAD, "the schema dump cannot be read: %s", what);
}

static enum status fill(struct reader *r, struct error *err)
{
	size_t n = (size_t)min_u64(sizeof r->block, r->end - r->at);

	if (!n)
		return damaged(err, "it ends too early");
	if (spool_read_at(r->spool, r->at, r->block, n, err))
		return err->code;
	r->at += n;
	r->pos = 0;
	r->len = n;
	return ST_OK;
}

/* to NULL: passes over the bytes. */
static enum status read_bytes(struct reader *r, void *to, size_t n, struct error *err)
{
	char *out = to;

	while (n) {
		if (r->pos == r->len && fill(r, err))
			return err->code;
		size_t piece = min_size(n, r->len - r->pos);
		if (out) {
			memcpy(out, r->block + r->pos, piece);
			out += piece;
		}
		r->pos += piece;
		n -= piece;
	}
	return ST_OK;
}

static enum status read_byte(struct reader *r, unsigned *to, struct error *err)
{
	unsigned char c;

	if (read_bytes(r, &c, 1, err))
		return err->code;
	*to = c;
	return ST_OK;
}

/* A sign, then the bytes from the lowest. */
static enum status read_int(struct reader *r, int *to, struct error *err)
{
	unsigned char byte[8];
	unsigned sign = 0;
	uint64_t v = 0;

	if (read_byte(r, &sign, err) || read_bytes(r, byte, r->int_size, err))
		return err->code;
	for (unsigned i = r->int_size; i > 0; i--)
		v = v << 8 | byte[i - 1];
	if (v > INT_MAX)
		return damaged(err, "a number is too large");
	*to = sign ? -(int)v : (int)v;
	return ST_OK;
}

static enum status string_length(struct reader *r, size_t max, size_t *n, bool *null, struct error *err)
{
	int len = 0;

	if (read_int(r, &len, err))
		return err->code;
	*null = len < 0;
	*n = len < 0 ? 0 : (size_t)len;
	return *n > max ? damaged(err, "a text is too long") : ST_OK;
}

static enum status skip_string(struct reader *r, struct error *err)
{
	size_t n = 0;
	bool null = false;

	if (string_length(r, MAX_STRING, &n, &null, err))
		return err->code;
	return read_bytes(r, NULL, n, err);
}

/* *to NULL where the dump has none and `may_be_null` says that this differs from "". */
static enum status read_string(struct reader *r, struct toc *t, bool may_be_null, const char **to, struct error *err)
{
	size_t n = 0;
	bool null = false;

	if (string_length(r, MAX_NAME, &n, &null, err))
		return err->code;
	if (null || !n) {
		*to = null && may_be_null ? NULL : "";
		return ST_OK;
	}
	char *s = toc_alloc(t, n + 1);
	s[n] = 0;
	*to = s;
	return read_bytes(r, s, n, err);
}

static enum status keep_string(struct reader *r, struct toc *t, char **to, struct error *err)
{
	const char *s;

	if (read_string(r, t, true, &s, err))
		return err->code;
	*to = s ? xstrdup(s) : NULL;
	return ST_OK;
}

static enum status read_head(struct reader *r, struct toc *t, struct error *err)
{
	char magic[5];
	unsigned major = 0, minor = 0, rev = 0, format = 0, compression = 0;
	int ignored = 0;

	if (read_bytes(r, magic, sizeof magic, err))
		return err->code;
	if (memcmp(magic, "PGDMP", sizeof magic))
		return damaged(err, "it is no dump in pg_dump's custom format");
	if (read_byte(r, &major, err) || read_byte(r, &minor, err) || read_byte(r, &rev, err))
		return err->code;
	if (major != 1 || minor < 14 || minor > 16)
		return error_set(err, ST_UNSUPPORTED, "the schema dump has format %u.%u, this drtool reads 1.14 to 1.16", major,
				 minor);
	t->major = (int)minor;
	if (read_byte(r, &r->int_size, err) || read_byte(r, &r->off_size, err) || read_byte(r, &format, err))
		return err->code;
	if (r->int_size != 4 || r->off_size < 4 || r->off_size > 8 || format != 1)
		return damaged(err, "its header is of another kind");
	if (minor >= 15 ? read_byte(r, &compression, err) : read_int(r, &ignored, err))
		return err->code;
	for (int i = 0; i < 7; i++) /* the time it was made */
		if (read_int(r, &ignored, err))
			return err->code;
	if (skip_string(r, err) || keep_string(r, t, &t->server, err) || keep_string(r, t, &t->client, err))
		return err->code;
	return ST_OK;
}

static enum status read_deps(struct reader *r, struct toc *t, struct toc_entry *e, struct error *err)
{
	int small[64], *list = small;
	CLEANUP(buf_release) struct buf more = BUF_INIT;
	size_t n = 0;

	for (;; n++) {
		const char *s;

		if (read_string(r, t, true, &s, err))
			return err->code;
		if (!s)
			break;
		int id = (int)strtol(s, NULL, 10);
		if (n < ARRAY_LEN(small)) {
			small[n] = id;
			continue;
		}
		if (n == ARRAY_LEN(small))
			buf_put(&more, small, sizeof small);
		buf_put(&more, &id, sizeof id);
	}
	if (n > ARRAY_LEN(small))
		list = (int *)(void *)more.data;
	e->deps = n;
	if (n) {
		int *kept = toc_alloc(t, n * sizeof *kept);

		memcpy(kept, list, n * sizeof *kept);
		e->dep = kept;
	}
	return ST_OK;
}

/* Sections as pg_dump numbers them: 1 none, 2 before the data, 3 data, 4 after it. What has none goes where its object goes. */
static bool part_of(int section, enum toc_part *part)
{
	if (section == 2)
		*part = TOC_PRE;
	else if (section == 3)
		*part = TOC_DATA;
	else if (section == 4)
		*part = TOC_POST;
	return section >= 1 && section <= 4;
}

static enum status read_names(struct reader *r, struct toc *t, struct toc_entry *e, struct error *err)
{
	int ignored = 0;

	/* Definition, drop, copy; then schema, tablespace, access method. */
	for (int i = 0; i < 3; i++)
		if (skip_string(r, err))
			return err->code;
	if (read_string(r, t, false, &e->schema, err) || read_string(r, t, false, &e->tablespace, err) || skip_string(r, err))
		return err->code;
	if (t->major >= 16 && read_int(r, &ignored, err)) /* relkind */
		return err->code;
	return read_string(r, t, false, &e->owner, err) || skip_string(r, err) /* with oids */ ? err->code : ST_OK;
}

static enum status read_entry(struct reader *r, struct toc *t, struct toc_entry *e, enum toc_part *part, struct error *err)
{
	int ignored, section = 0;
	unsigned flag = 0;

	if (read_int(r, &e->id, err) || read_int(r, &ignored, err) || skip_string(r, err) || skip_string(r, err))
		return err->code;
	if (read_string(r, t, false, &e->tag, err) || read_string(r, t, false, &e->desc, err) || read_int(r, &section, err))
		return err->code;
	if (!part_of(section, part))
		return damaged(err, "an entry has no section");
	e->part = *part;
	if (read_names(r, t, e, err) || read_deps(r, t, e, err))
		return err->code;
	return read_byte(r, &flag, err) || read_bytes(r, NULL, r->off_size, err) ? err->code : ST_OK;
}

static void index_ids(struct toc *t)
{
	for (size_t i = 0; i < t->entries; i++)
		if (t->entry[i].id > t->max_id)
			t->max_id = t->entry[i].id;
	t->by_id = xcalloc((size_t)t->max_id + 1, sizeof *t->by_id);
	for (size_t i = 0; i < t->entries; i++)
		t->by_id[t->entry[i].id] = i + 1;
}

enum status toc_read(struct spool *dump, struct toc *t, struct error *err)
{
	struct reader *r = xcalloc(1, sizeof *r);
	enum toc_part part = TOC_PRE;
	int count = 0;

	r->spool = dump;
	r->end = spool_size(dump);
	enum status st = read_head(r, t, err);
	if (!st)
		st = read_int(r, &count, err);
	/* An entry has some 40 bytes at least: a wrong number must not take the memory. */
	if (!st && (count < 0 || (uint64_t)count > r->end / 20))
		st = damaged(err, "the number of entries is wrong");
	if (!st)
		t->entry = xcalloc((size_t)count + 1, sizeof *t->entry);
	for (int i = 0; !st && i < count; i++) {
		st = read_entry(r, t, &t->entry[i], &part, err);
		if (!st && (t->entry[i].id <= 0 || (size_t)t->entry[i].id > MAX_ID(count)))
			st = damaged(err, "an entry's number is wrong");
		t->entries += !st;
	}
	free(r);
	if (!st)
		index_ids(t);
	return st;
}

void toc_release(struct toc *t)
{
	while (t->memory) {
		struct toc_memory *next = t->memory->next;

		free(t->memory);
		t->memory = next;
	}
	free(t->entry);
	free(t->by_id);
	free(t->server);
	free(t->client);
	*t = (struct toc)TOC_INIT;
}

const struct toc_entry *toc_by_id(const struct toc *t, int id)
{
	return id > 0 && id <= t->max_id && t->by_id[id] ? &t->entry[t->by_id[id] - 1] : NULL;
}

bool toc_is(const struct toc_entry *e, const char *desc) { return !strcmp(e->desc, desc); }

const struct toc_entry *toc_find(const struct toc *t, const char *desc, const char *schema, const char *tag)
{
	for (size_t i = 0; i < t->entries; i++) {
		const struct toc_entry *e = &t->entry[i];

		if (!strcmp(e->tag, tag) && toc_is(e, desc) && (!schema || !strcmp(e->schema, schema)))
			return e;
	}
	return NULL;
}

int toc_oldest_client(const struct toc *t) { return t->major >= 16 ? 17 : t->major == 15 ? 16 : 12; }
