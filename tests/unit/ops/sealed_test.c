/* An archive sealed volume by volume and read by ranges through its seal: the same reader, the same checks, the same damages. */
#include "ops/opener.h"
#include "ops/private.h"
#include "ops/sealer.h"
#include "gzip/gzip.h"
#include "seal/text.h"
#include "tests/unit/archive/fixture.h"

static struct run run = RUN_INIT;

struct sealed {
	struct volumes plain, stored;
	struct manifest manifest;
	struct seal_recipients *to;
	struct seal_identities *ids;
	struct opener *opener;
	uint32_t spoilt_reads; /* so many reads from now on give a wrong byte */
	unsigned distrusted;
	bool denied; /* by the store */
	bool copies; /* there is another one, whatever was distrusted */
};

static void sealed_release(struct sealed *s)
{
	opener_freep(&s->opener);
	seal_recipients_freep(&s->to);
	seal_identities_freep(&s->ids);
	manifest_release(&s->manifest);
	volumes_release(&s->plain);
	volumes_release(&s->stored);
}

static enum status read_stored(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	struct sealed *s = ctx;
	const struct buf *b = &s->stored.volume[volume];

	if (s->denied)
		return error_set(err, ST_DENIED, "the store says 403");
	if (offset > b->len || n > b->len - offset)
		return error_set(err, ST_BAD, "volume %" PRIu32 " is shorter", volume);
	memcpy(to, b->data + offset, n);
	if (s->spoilt_reads) {
		s->spoilt_reads--;
		((unsigned char *)to)[n / 2] ^= 1;
	}
	return ST_OK;
}

static bool distrust(void *ctx)
{
	struct sealed *s = ctx;

	return s->distrusted++ < 1 || s->copies;
}

static void seal_volume(struct sealed *s, uint32_t i)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealer_freep) struct sealer *sealer = sealer_new(&run, s->to, buf_sink(&s->stored.volume[i]));
	const struct buf *b = &s->plain.volume[i];
	struct manifest_object *o = &s->manifest.object[i];

	CHECK_OK(sealer_begin(sealer, &err), err);
	/* In pieces of every size. */
	for (size_t at = 0, n = 1; at < b->len; at += n, n = min_size(n * 3 + 1, b->len - at))
		CHECK_OK(sealer_write(sealer, b->data + at, n, &err), err);
	*o = (struct manifest_object){.key = xasprintf("v%" PRIu32, i), .plain_size = b->len, .plain_sha256 = s->plain.sha256[i]};
	CHECK_OK(sealer_end(sealer, &o->size, &o->sha256, &err), err);
	CHECK_INT(o->size, s->stored.volume[i].len);
	CHECK(sha256_equal(o->sha256, sha256_of(s->stored.volume[i].data, s->stored.volume[i].len)));
}

static void make(struct sealed *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_text_wipe) struct buf secret = BUF_INIT;
	CLEANUP(buf_release) struct buf key = BUF_INIT;
	CLEANUP(strlist_release) struct strlist keys = STRLIST_INIT;

	maker_sample(&s->plain, GZIP_FAST, 200 * 1024);
	CHECK_OK(seal_key_generate(&run, &secret, &key, &err), err);
	strlist_add(&keys, buf_str(&key));
	strlist_add(&s->manifest.recipients, buf_str(&key));
	CHECK_OK(seal_recipients_new(&keys, &s->to, &err), err);
	s->ids = seal_identities_new();
	CHECK_OK(seal_identities_add(s->ids, "key", secret.data, secret.len, NULL, &err), err);
	s->manifest.object = xcalloc(s->plain.volumes, sizeof *s->manifest.object);
	s->manifest.objects = s->stored.volumes = s->plain.volumes;
	for (uint32_t i = 0; i < s->plain.volumes; i++)
		seal_volume(s, i);
	const struct range_source stored = {.read_at = read_stored, .distrust = distrust, .volumes = s->stored.volumes, .ctx = s};
	s->opener = opener_new(s->ids, &stored, &s->manifest);
}

static size_t damages;
static void found(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
	damages++;
}

static enum status check(struct sealed *s, struct error *err)
{
	const struct range_source plain = opener_ranges(s->opener);
	const struct archive_check c = {.found = found};

	damages = 0;
	return archive_check_all(&run, &plain, test_dir(), &c, err);
}

TEST("sealed volumes are read through their seal as the archive that they hold")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealed_release) struct sealed s = {.distrusted = 0};

	make(&s);
	CHECK_OK(opener_prove(s.opener, &err), err);
	CHECK_STR(opener_key(s.opener), s.manifest.recipients.item[0]);
	CHECK_OK(check(&s, &err), err);
	CHECK_INT(damages, 0);
}

TEST("any range of a sealed volume has the bytes of the plain one")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealed_release) struct sealed s = {.distrusted = 0};

	make(&s);
	const struct range_source plain = opener_ranges(s.opener);
	for (size_t i = 0; i < 400; i++) {
		uint32_t v = (uint32_t)(i % s.plain.volumes);
		const struct buf *b = &s.plain.volume[v];
		size_t at = (i * 7919) % b->len, n = min_size(b->len - at, (i * 104729) % (3 * SEAL_CHUNK) + 1);
		CLEANUP(cstr_release) char *got = xmalloc(n);

		CHECK_OK(plain.read_at(plain.ctx, v, at, got, n, &err), err);
		CHECK(!memcmp(got, b->data + at, n));
	}
	char byte;
	CHECK_INT(plain.read_at(plain.ctx, 0, s.plain.volume[0].len, &byte, 1, &err), ST_BAD);
}

TEST("a sealed read that is wrong once is repeated, one that stays wrong goes to another copy, and then it is a damage")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealed_release) struct sealed s = {.distrusted = 0};
	char byte;

	make(&s);
	CHECK_OK(opener_prove(s.opener, &err), err);
	const struct range_source plain = opener_ranges(s.opener);
	const uint32_t last = s.plain.volumes - 1;
	s.spoilt_reads = 1;
	CHECK_OK(plain.read_at(plain.ctx, last, 0, &byte, 1, &err), err);
	CHECK_INT(s.distrusted, 0);
	s.spoilt_reads = 2;
	CHECK_OK(plain.read_at(plain.ctx, last, 0, &byte, 1, &err), err);
	CHECK_INT(s.distrusted, 1);
	s.spoilt_reads = 1000;
	CHECK_INT(plain.read_at(plain.ctx, last, 0, &byte, 1, &err), ST_BAD);
	CHECK_HAS(error_text(&err), "damaged");
}

TEST("a flipped byte anywhere in a sealed volume is found by the check of the archive")
{
	CLEANUP(sealed_release) struct sealed s = {.distrusted = 0};

	make(&s);
	for (size_t i = 0; i < 12; i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		const struct range_source stored = {.read_at = read_stored, .volumes = s.stored.volumes, .ctx = &s};
		struct buf *b = &s.stored.volume[i % s.stored.volumes];
		size_t at = i < 2 ? 30 + i * 100 : (i * 104729) % b->len;

		opener_freep(&s.opener);
		s.opener = opener_new(s.ids, &stored, &s.manifest);
		b->data[at] ^= 4;
		CHECK(check(&s, &err));
		b->data[at] ^= 4;
	}
}

TEST("another key opens nothing, and the error says whose key does and how to give one")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealed_release) struct sealed s = {.distrusted = 0};
	CLEANUP(seal_identities_freep) struct seal_identities *none = seal_identities_new();

	make(&s);
	const struct range_source stored = {.read_at = read_stored, .volumes = s.stored.volumes, .ctx = &s};
	CLEANUP(opener_freep) struct opener *o = opener_new(none, &stored, &s.manifest);
	CHECK_INT(opener_prove(o, &err), ST_DENIED);
	CHECK_HAS(error_text(&err), "no key was given");
	CHECK_HAS(err.hint, s.manifest.recipients.item[0]);
	CHECK_HAS(err.hint, "--identity");
}

TEST("a store that refuses the read of a header is told as that, not as a wrong key")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealed_release) struct sealed s = {.denied = true};

	make(&s);
	CHECK_INT(opener_prove(s.opener, &err), ST_DENIED);
	CHECK_HAS(error_text(&err), "403");
	CHECK(!err.hint);
}

TEST("a member that was sealed damaged is told as damaged, however many copies there are")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealed_release) struct sealed s = {.copies = true};
	CLEANUP(archive_reader_freep) struct archive_reader *r = NULL;
	const struct range_source stored = {.read_at = read_stored, .distrust = distrust, .volumes = VOLUMES_KEPT, .ctx = &s};
	struct member_row *rows = NULL;
	char member[256 * 1024];
	size_t n;

	make(&s);
	struct range_source plain = opener_ranges(s.opener);
	CHECK_OK(archive_reader_open(&run, &plain, test_dir(), &r, &err), err);
	CHECK_OK(archive_read_page(r, 0, &rows, &n, &err), err);
	const struct member_row row = rows[0];
	free(rows);
	CHECK(row.length <= sizeof member);
	CHECK_OK(archive_fetch(r, &row, member, &err), err);
	archive_reader_freep(&r);
	s.plain.volume[row.volume].data[row.offset + row.length / 2] ^= 1;
	buf_clear(&s.stored.volume[row.volume]);
	free(s.manifest.object[row.volume].key);
	seal_volume(&s, row.volume);
	opener_freep(&s.opener);
	s.opener = opener_new(s.ids, &stored, &s.manifest);
	plain = opener_ranges(s.opener);
	plain.volumes = s.plain.volumes;
	CHECK_OK(archive_reader_open(&run, &plain, test_dir(), &r, &err), err);
	CHECK_ERR(archive_fetch(r, &row, member, &err), err, ST_BAD, "damaged");
}

/* Its own list of volumes, which is hostile, in the sealed part of a manifest. */
static void hide_whole(struct sealed *s, const struct manifest *m, struct manifest *shown)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT, sealed = BUF_INIT, hidden = BUF_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	size_t n;

	CHECK_OK(manifest_write(m, &text, &err), err);
	CLEANUP(cstr_release) char *small = xmalloc(gzip_bound(z, text.len));
	CHECK_OK(gzip_member(z, text.data, text.len, small, gzip_bound(z, text.len), &n, &err), err);
	CHECK_OK(seal_bytes(&run, s->to, small, n, &sealed, &err), err);
	base64_put(&hidden, sealed.data, sealed.len);
	free(shown->hidden);
	shown->hidden = xstrdup(buf_str(&hidden));
}

static void sample_manifest(struct manifest *m, size_t tables)
{
	static const char sum[] = "drtool";

	memcpy(m->id, "20261120T020000Z-7f3a", sizeof m->id);
	m->source = xstrdup("shop");
	m->driver = xstrdup("postgres");
	m->kind = xstrdup("dump");
	m->url = xstrdup("postgres://HIDDEN/db");
	m->identity = xstrdup("1");
	m->started = m->finished = (struct instant){1795140000000000};
	m->object = xcalloc(1, sizeof *m->object);
	m->objects = 1;
	m->object[0] = (struct manifest_object){.key = xstrdup("x.tar.gz.age"), .size = 9, .plain_size = 1, .sha256 = sha256_of(sum, 6)};
	m->scope = xcalloc(1, sizeof *m->scope);
	m->scopes = 1;
	m->scope[0].name = xstrdup("HIDDEN");
	m->shrink = json_object();
	for (size_t i = 0; i < tables; i++) {
		struct sha256 random = sha256_of(&i, sizeof i);
		char hex[SHA256_HEX];
		CLEANUP(cstr_release) char *key = xasprintf("HIDDEN\tpublic.%s", sha256_hex(random, hex));

		js_set_u64(m->shrink, key, i);
	}
	strlist_add(&m->notes, "HIDDEN is large");
}

TEST("a private manifest shows no name, is bounded, and is whole for who has the key")
{
	CLEANUP(sealed_release) struct sealed s = {.distrusted = 0};

	make(&s);
	for (size_t tables = 1; tables < 3000; tables += 1400) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT, read = MANIFEST_INIT;
		CLEANUP(buf_release) struct buf text = BUF_INIT;
		CLEANUP(seal_identities_freep) struct seal_identities *none = seal_identities_new();

		sample_manifest(&m, tables);
		strlist_add(&m.recipients, s.manifest.recipients.item[0]);
		CHECK_OK(private_manifest_write(&run, &m, s.to, &text, &err), err);
		CHECK(text.len <= MANIFEST_MAX);
		CHECK(!strstr(text.data, "HIDDEN"));
		CHECK_OK(manifest_read(text.data, text.len, &read, &err), err);
		CHECK_INT(read.scopes, 0);
		CHECK_INT(private_manifest_open(none, &read, &err), ST_DENIED);
		error_release(&err);
		CHECK_OK(private_manifest_open(s.ids, &read, &err), err);
		CHECK_STR(read.scope[0].name, "HIDDEN");
		CHECK_STR(read.url, "postgres://HIDDEN/db");
		CHECK(json_object_size(read.shrink) > 0);
	}
}

TEST("a private part that names other volumes, or is of another backup, changes nothing that is read")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(sealed_release) struct sealed s = {.distrusted = 0};
	CLEANUP(manifest_release) struct manifest hostile = MANIFEST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	char byte;

	make(&s);
	sample_manifest(&hostile, 1);
	strlist_add(&hostile.recipients, "age1other");
	hostile.object = xrealloc(hostile.object, 1000 * sizeof *hostile.object);
	for (; hostile.objects < 150; hostile.objects++) {
		hostile.object[hostile.objects] = hostile.object[0];
		hostile.object[hostile.objects].key = xstrdup("v");
	}
	struct manifest *m = &s.manifest;
	const size_t volumes = m->objects;
	memcpy(m->id, hostile.id, sizeof m->id);
	m->source = xstrdup(hostile.source);
	m->driver = xstrdup("mysql");
	m->kind = xstrdup(hostile.kind);
	m->identity = xstrdup(hostile.identity);
	hide_whole(&s, &hostile, m);
	const struct range_source stored = {.read_at = read_stored, .volumes = s.stored.volumes, .ctx = &s};
	opener_freep(&s.opener);
	s.opener = opener_new(s.ids, &stored, m);
	CHECK_ERR(private_manifest_open(s.ids, m, &err), err, ST_BAD, "another backup");
	CHECK_INT(m->objects, volumes);
	free(m->driver);
	m->driver = xstrdup(hostile.driver);
	CHECK_OK(private_manifest_open(s.ids, m, &err), err);
	CHECK_INT(m->objects, volumes);
	CHECK_STR(m->object[0].key, "v0");
	CHECK(!strlist_has(&m->recipients, "age1other"));
	CHECK_STR(m->scope[0].name, "HIDDEN");
	const struct range_source plain = opener_ranges(s.opener);
	CHECK_OK(plain.read_at(plain.ctx, 0, 0, &byte, 1, &err), err);
}
