/* Damage of every kind is found by the check, and nothing wrong comes out of a damaged archive without an error. */
#include "tests/unit/archive/fixture.h"

static uint64_t random_next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

struct compare {
	struct archive_reader *r;
	struct gzip *z;
	struct buf text;
};

static enum status keep_text(void *ctx, const void *p, size_t n, struct error *err)
{
	(void)err;
	buf_put(ctx, p, n);
	return ST_OK;
}

/* A failing member is what we want of damage; a member of other bytes without an error is not. */
static void read_table(struct compare *c, const struct archive_object *o)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct member_row *rows = NULL;
	size_t n = 0;

	if (archive_member_rows(c->r, o, &rows, &n, &err))
		return;
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf path = BUF_INIT;
		CLEANUP(cstr_release) char *stored = xmalloc(rows[i].length), *plain = xmalloc(rows[i].plain);
		CLEANUP(cstr_release) char *expected = xmalloc(rows[i].raw);
		const void *raw;

		error_release(&err);
		archive_part_path(o->path, o->ext, rows[i].range, rows[i].part, &path);
		if (archive_fetch(c->r, &rows[i], stored, &err) ||
		    archive_unpack(c->z, &rows[i], path.data, stored, plain, &raw, &err))
			continue;
		maker_fill((unsigned char *)expected, rows[i].raw,
			   (uint64_t)o->id << 40 | (uint64_t)rows[i].range << 20 | rows[i].part);
		CHECK(!memcmp(raw, expected, rows[i].raw));
	}
	free(rows);
}

static enum status read_object(void *ctx, const struct archive_object *o, struct error *err)
{
	struct compare *c = ctx;

	if (!strcmp(o->kind, "table")) {
		read_table(c, o);
		return ST_OK;
	}
	buf_clear(&c->text);
	if (archive_read_file(c->r, o, (struct byte_sink){.write = keep_text, .ctx = &c->text}, err)) {
		error_release(err);
		return ST_OK;
	}
	if (strcmp(o->path, "drtool/manifest.json")) {
		CLEANUP(cstr_release) char *expected = xmalloc(c->text.len);
		maker_fill((unsigned char *)expected, c->text.len, c->text.len);
		CHECK(!c->text.len || !memcmp(c->text.data, expected, c->text.len));
	}
	return ST_OK;
}

static void nothing_wrong_comes_out(struct volumes *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(archive_reader_freep) struct archive_reader *r = NULL;
	struct run run = RUN_INIT;
	const struct range_source src = volumes_source(s);

	if (archive_reader_open(&run, &src, test_dir(), &r, &err)) {
		CHECK(err.code == ST_BAD || err.code == ST_UNSUPPORTED);
		return;
	}
	struct compare c = {.r = r, .z = z};
	if (archive_each_object(r, read_object, &c, &err))
		CHECK_INT(err.code, ST_BAD);
	buf_release(&c.text);
}

TEST("a thousand flipped bits are found one by one, and none is unpacked silently")
{
	CLEANUP(volumes_release) struct volumes s = {0};
	uint64_t seed = 20261120;

	maker_sample(&s, GZIP_FAST, 100000);
	CHECK_INT(volumes_check(&s), 0);
	for (size_t i = 0; i < 1000; i++) {
		struct buf *b = &s.volume[random_next(&seed) % s.volumes];
		size_t at = random_next(&seed) % b->len;
		char bit = (char)(1 << random_next(&seed) % 8);

		b->data[at] ^= bit;
		if (!volumes_check(&s))
			test_fail(__FILE__, __LINE__, "bit %d of byte %zu of %zu is not found", bit, at, b->len);
		nothing_wrong_comes_out(&s);
		b->data[at] ^= bit;
	}
}

TEST("every byte of a small archive counts")
{
	CLEANUP(volumes_release) struct volumes s = {0};
	struct maker m;

	maker_start(&m, &(struct maker_spec){.store = &s, .volume_size = 500});
	maker_file(&m, "RESTORE.txt", 700);
	uint32_t id = maker_table(&m, "t", "t", NULL);
	maker_part(&m, &(struct part){id, 0, 0, "t", 1000, false});
	maker_finish(&m);
	CHECK(s.volumes > 1);
	for (uint32_t v = 0; v < s.volumes; v++)
		for (size_t at = 0; at < s.volume[v].len; at++) {
			s.volume[v].data[at] ^= 1;
			if (!volumes_check(&s))
				test_fail(__FILE__, __LINE__, "byte %zu of volume %u is not found", at, v);
			s.volume[v].data[at] ^= 1;
		}
	CHECK_INT(volumes_check(&s), 0);
}

TEST("missing and added bytes are found wherever they are")
{
	CLEANUP(volumes_release) struct volumes s = {0};
	uint64_t seed = 7;

	maker_sample(&s, GZIP_FAST, 100000);
	for (size_t i = 0; i < 600; i++) {
		uint32_t v = (uint32_t)(random_next(&seed) % s.volumes);
		struct buf *b = &s.volume[v], was = *b;
		size_t at = random_next(&seed) % (was.len + 1), n = 1 + random_next(&seed) % (i % 2 ? 3 : 5000);
		struct buf now = BUF_INIT;

		buf_put(&now, was.data, at);
		if (i % 3 == 0) { /* inserted */
			buf_reserve(&now, n);
			memset(now.data + now.len, i % 2 ? 0 : 'x', n);
			now.len += n;
			buf_put(&now, was.data + at, was.len - at);
		} else if (i % 3 == 1 && at + n < was.len) { /* removed */
			buf_put(&now, was.data + at + n, was.len - at - n);
		} else if (at == was.len) { /* else cut; here nothing would change */
			buf_puts(&now, "more");
		}
		*b = now;
		if (!volumes_check(&s))
			test_fail(__FILE__, __LINE__, "change %zu at %zu of %zu in volume %u is not found", i, at, was.len, v);
		nothing_wrong_comes_out(&s);
		buf_release(b);
		*b = was;
	}
}

TEST("a member that stands twice, exchanged members and exchanged volumes are found")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(archive_object_release) struct archive_object o = {0};
	struct member_row *rows = NULL;
	size_t n = 0;

	maker_sample(&s, GZIP_FAST, 100000);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	CHECK_OK(archive_get_object(r, 2, &o, &err), err);
	CHECK_OK(archive_member_rows(r, &o, &rows, &n, &err), err);
	struct buf *b = &s.volume[rows[6].volume], was = *b, now = BUF_INIT;
	buf_put(&now, was.data, rows[6].offset);
	buf_put(&now, was.data + rows[6].offset, rows[6].length);
	buf_put(&now, was.data + rows[6].offset, was.len - rows[6].offset);
	*b = now;
	CHECK(volumes_check(&s) > 0);
	buf_release(b);
	*b = was;
	struct buf first = s.volume[0];
	s.volume[0] = s.volume[1];
	s.volume[1] = first;
	CHECK(volumes_check(&s) > 0);
	s.volume[1] = s.volume[0];
	s.volume[0] = first;
	CHECK_INT(volumes_check(&s), 0);
	s.volumes--;
	CHECK(volumes_check(&s) > 0);
	s.volumes += 2;
	CHECK(volumes_check(&s) > 0);
	s.volumes--;
	free(rows);
}

static enum status cannot_read(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	(void)ctx, (void)volume, (void)offset, (void)to, (void)n;
	return error_set(err, ST_UNREACHABLE, "the store does not answer");
}

TEST("a store that does not answer is no damage")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	struct run run = RUN_INIT;

	maker_sample(&s, GZIP_FAST, 0);
	struct range_source src = volumes_source(&s);
	src.read_at = cannot_read;
	CHECK_ERR(archive_check_all(&run, &src, test_dir(), &(struct archive_check){0}, &err), err, ST_UNREACHABLE,
		  "does not answer");
}

struct seen {
	uint32_t volumes;
	uint64_t bytes;
	struct sha256 sha256[8];
};

static void see_volume(void *ctx, uint32_t volume, uint64_t size, struct sha256 sha256)
{
	struct seen *seen = ctx;

	CHECK_INT(volume, seen->volumes++);
	seen->bytes += size;
	seen->sha256[volume] = sha256;
}

TEST("the check tells size and SHA-256 of each volume, also of a damaged archive")
{
	CLEANUP(volumes_release) struct volumes s = {0};
	struct run run = RUN_INIT;

	maker_sample(&s, GZIP_FAST, 100000);
	for (int damaged = 0; damaged < 3; damaged++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		struct seen seen = {0};
		const struct range_source src = volumes_source(&s);

		if (damaged)
			s.volume[damaged == 1 ? 0 : s.volumes - 1].data[20] ^= 1;
		enum status st = archive_check_all(&run, &src, test_dir(),
						   &(struct archive_check){.volume = see_volume, .ctx = &seen}, &err);
		CHECK_INT(st, damaged ? ST_BAD : ST_OK);
		CHECK_INT(seen.volumes, s.volumes);
		for (uint32_t v = 0; v < s.volumes; v++) {
			struct sha256 sum = sha256_of(s.volume[v].data, s.volume[v].len);
			CHECK(sha256_equal(sum, seen.sha256[v]));
		}
	}
}
