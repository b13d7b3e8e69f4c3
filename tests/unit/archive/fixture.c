#include "tests/unit/archive/fixture.h"

/* ---- store ---- */

void volumes_release(struct volumes *s)
{
	for (uint32_t i = 0; i < VOLUMES_KEPT; i++)
		buf_release(&s->volume[i]);
	s->volumes = 0;
}

static enum status volumes_begin(void *ctx, uint32_t volume, struct error *err)
{
	struct volumes *s = ctx;

	if (volume != s->volumes || volume == VOLUMES_KEPT)
		return error_set(err, ST_FAILED, "volume %u begun out of order", volume);
	s->volumes++;
	return ST_OK;
}

static enum status volumes_write(void *ctx, const void *p, size_t n, struct error *err)
{
	struct volumes *s = ctx;

	(void)err;
	buf_put(&s->volume[s->volumes - 1], p, n);
	return ST_OK;
}

static enum status volumes_end(void *ctx, uint32_t volume, uint64_t size, struct sha256 sha256, struct error *err)
{
	struct volumes *s = ctx;

	if (volume + 1 != s->volumes || size != s->volume[volume].len)
		return error_set(err, ST_FAILED, "volume %u ended wrongly", volume);
	s->sha256[volume] = sha256;
	return ST_OK;
}

struct volume_sink volumes_sink(struct volumes *s)
{
	return (struct volume_sink){.begin = volumes_begin, .write = volumes_write, .end = volumes_end, .ctx = s};
}

static enum status volumes_read_at(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	const struct volumes *s = ctx;
	const struct buf *b = &s->volume[volume];

	if (offset > b->len || n > b->len - offset)
		return error_set(err, ST_BAD, "volume %u is shorter", volume);
	if (n)
		memcpy(to, b->data + offset, n);
	return ST_OK;
}

static enum status volumes_size(void *ctx, uint32_t volume, uint64_t *size, struct error *err)
{
	const struct volumes *s = ctx;

	(void)err;
	*size = s->volume[volume].len;
	return ST_OK;
}

struct range_source volumes_source(struct volumes *s)
{
	return (struct range_source){.read_at = volumes_read_at, .size = volumes_size, .volumes = s->volumes, .ctx = s};
}

/* ---- maker ---- */

void maker_start(struct maker *m, const struct maker_spec *spec)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const struct archive_spec as = {.chunk_size = spec->chunk_size ? spec->chunk_size : 65536,
					.volume_size = spec->volume_size,
					.volume_max = spec->volume_max,
					.mode = spec->mode,
					.mtime = {1763600000000000},
					.spool_dir = test_dir(),
					.sink = volumes_sink(spec->store)};

	*m = (struct maker){.chunk_size = as.chunk_size, .z = gzip_new(spec->mode), .sha = sha256_new()};
	m->chunk = xcalloc(1, m->chunk_size + 2 * MEMBER_ROOM);
	m->out_cap = member_bound(m->z, m->chunk_size);
	m->out = xmalloc(m->out_cap);
	CHECK_OK(archive_writer_new(&m->w, &as, &err), err);
}

void maker_release(struct maker *m)
{
	archive_writer_freep(&m->w);
	gzip_freep(&m->z);
	sha256_freep(&m->sha);
	free(m->chunk);
	free(m->out);
	*m = (struct maker){0};
}

void maker_fill(unsigned char *to, size_t n, uint64_t seed)
{
	uint64_t s = seed * 2654435761u + 88172645463325252u;

	for (size_t i = 0; i < n; i++) {
		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		to[i] = (unsigned char)("0123456789\tabcdef shop orders\n"[s % 30]);
	}
	if (n)
		to[n - 1] = '\n';
}

uint32_t maker_table(struct maker *m, const char *name, const char *path, const json_t *facts)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const struct archive_object_spec o = {
		.kind = "table", .scope = "shop", .name = name, .path = path, .ext = "copy", .facts = facts};
	uint32_t id = 0;

	CHECK_OK(archive_add_object(m->w, &o, &id, &err), err);
	return id;
}

void maker_part(struct maker *m, const struct part *p)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf path = BUF_INIT;
	struct member made;
	uint64_t seed = (uint64_t)p->object << 40 | (uint64_t)p->range << 20 | p->part;

	archive_part_path(p->path, "copy", p->range, p->part, &path);
	maker_fill(m->chunk + MEMBER_ROOM, p->n, seed);
	const struct member_spec spec = {.path = path.data,
					 .entry_size = p->n,
					 .raw = m->chunk + MEMBER_ROOM,
					 .raw_len = p->n,
					 .mtime = {1763600000000000},
					 .row = {.object = p->object,
						 .range = p->range,
						 .part = p->part,
						 .rows = p->n / 40,
						 .open = p->open,
						 .digest = {seed, p->n}}};
	CHECK_OK(member_make(m->z, m->sha, &spec, m->out, m->out_cap, &made, &err), err);
	CHECK_OK(archive_append(m->w, &made, &err), err);
}

struct text_source {
	unsigned char *p;
	size_t at, n;
};

static enum status read_text(void *ctx, void *to, size_t cap, size_t *got, struct error *err)
{
	struct text_source *t = ctx;

	(void)err;
	*got = min_size(min_size(cap, t->n - t->at), 10007);
	if (*got)
		memcpy(to, t->p + t->at, *got);
	t->at += *got;
	return ST_OK;
}

uint32_t maker_file(struct maker *m, const char *path, size_t n)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct text_source t = {.p = xmalloc(n), .n = n};
	const struct archive_object_spec o = {.kind = "file", .scope = "", .name = path, .path = path};
	uint32_t id = (uint32_t)archive_totals(m->w).objects;

	maker_fill(t.p, n, n);
	CHECK_OK(archive_add_file(m->w, &o, n, (struct byte_source){.read = read_text, .ctx = &t}, &err), err);
	free(t.p);
	return id;
}

void maker_finish(struct maker *m)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(js_decref) json_t *head = json_pack("{s:s}", "source", "shop");

	CHECK_OK(archive_finish(m->w, head, &err), err);
	maker_release(m);
}

void maker_sample(struct volumes *s, enum gzip_mode mode, uint64_t volume_size)
{
	static const size_t sizes[] = {1, 511, 512, 513, 65535, 65536, 4096, 30000};
	struct maker m;
	CLEANUP(js_decref) json_t *facts = json_pack("{s:[s,s],s:s}", "columns", "id", "name \xe2\x82\xac", "null", "\\N");

	maker_start(&m, &(struct maker_spec){.store = s, .mode = mode, .volume_size = volume_size});
	maker_file(&m, "RESTORE.txt", 1234);
	uint32_t orders = maker_table(&m, "public.orders", "db/shop/data/public/orders", facts);
	uint32_t items = maker_table(&m, "public.items", "db/shop/data/public/items", facts);
	maker_table(&m, "public.empty", "db/shop/data/public/empty", NULL);
	maker_file(&m, "db/shop/schema.dump", 300001);
	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
		maker_part(&m, &(struct part){orders, i % 2, i / 2, "db/shop/data/public/orders", sizes[i], i == 2 || i == 4});
		maker_part(&m, &(struct part){items, 0, 7 - i, "db/shop/data/public/items", sizes[i] / 2 + 1, false});
	}
	maker_file(&m, "db/shop/empty.sql", 0);
	maker_file(&m, "db/shop/chunk.sql", 65536);
	maker_file(&m, "db/shop/more.sql", 65537);
	maker_finish(&m);
}

struct archive_reader *volumes_open(struct volumes *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct run run = RUN_INIT;
	const struct range_source src = volumes_source(s);
	struct archive_reader *r = NULL;

	CHECK_OK(archive_reader_open(&run, &src, test_dir(), &r, &err), err);
	return r;
}

static void count_damage(void *ctx, const char *text)
{
	size_t *n = ctx;

	if (getenv("SHOW_DAMAGE"))
		fprintf(stderr, "damage: %s\n", text);
	*n += *text != 0;
}

size_t volumes_check(struct volumes *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct run run = RUN_INIT;
	const struct range_source src = volumes_source(s);
	size_t damages = 0;
	const struct archive_check c = {.found = count_damage, .ctx = &damages};

	enum status st = archive_check_all(&run, &src, test_dir(), &c, &err);
	if (st != (damages ? ST_BAD : ST_OK))
		test_fail(__FILE__, __LINE__, "check: %zu damages and %s %s", damages, status_name(st), error_text(&err));
	return damages;
}
