/* What was sealed on its way into a store is read back by ranges as it was, from every kind of store: cases over a table of stores. */
#include "tests/conformance/s3_server.h"
#include "tests/lib/test.h"

#include "ops/opener.h"
#include "ops/sealer.h"
#include "storage/local/local.h"
#include "util/thread.h"

#define LARGE ((size_t)(33 << 20) + 12345) /* parts of S3 and chunks end at different places */
#define VOLUMES 3
#define READERS 4

static const size_t volume_sizes[VOLUMES] = {LARGE, 1, SEAL_CHUNK};

struct fixture {
	struct run run;
	struct storage s;
	char *plain[VOLUMES];
	struct manifest m;
	struct seal_recipients *to;
	struct seal_identities *ids;
	struct opener *opener;
};

static enum status read_stored(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	struct fixture *f = ctx;

	return storage_get(&f->run, &f->s, f->m.object[volume].key, offset, to, n, err);
}

static struct range_source stored(struct fixture *f)
{
	return (struct range_source){.read_at = read_stored, .volumes = VOLUMES, .ctx = f};
}

struct target {
	struct fixture *f;
	struct storage_put *put;
};

static enum status write_put(void *ctx, const void *p, size_t n, struct error *err)
{
	struct target *t = ctx;

	return t->f->s.ops->put_write(&t->f->run, t->put, p, n, err);
}

static void make_keys(struct fixture *f)
{
	CLEANUP(seal_text_wipe) struct buf secret = BUF_INIT;
	CLEANUP(buf_release) struct buf key = BUF_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(seal_key_generate(&f->run, &secret, &key, &err), err);
	strlist_add(&f->m.recipients, buf_str(&key));
	CHECK_OK(seal_recipients_new(&f->m.recipients, &f->to, &err), err);
	f->ids = seal_identities_new();
	CHECK_OK(seal_identities_add(f->ids, "key", secret.data, secret.len, NULL, &err), err);
}

static void store_volume(struct fixture *f, size_t i)
{
	const size_t size = volume_sizes[i];
	struct manifest_object *o = &f->m.object[i];
	struct target t = {.f = f};
	struct error err = ERROR_INIT;
	struct storage_object answered = {0};

	f->plain[i] = xmalloc(size);
	for (size_t at = 0; at < size; at++)
		f->plain[i][at] = (char)(at * 2654435761u >> 13);
	*o = (struct manifest_object){.key = xasprintf("shop/backup/x.%zu.tar.gz.age", i), .plain_size = size,
				      .plain_sha256 = sha256_of(f->plain[i], size)};
	const struct put_spec spec = {.key = o->key, .condition = PUT_ABSENT};
	CHECK_OK(storage_put_open(&f->run, &f->s, &spec, &t.put, &err), err);
	CLEANUP(sealer_freep) struct sealer *sealer = sealer_new(&f->run, f->to, (struct byte_sink){.write = write_put, .ctx = &t});
	CHECK_OK(sealer_begin(sealer, &err), err);
	for (size_t at = 0, n; at < size; at += n) {
		n = min_size(size - at, 300001);
		CHECK_OK(sealer_write(sealer, f->plain[i] + at, n, &err), err);
	}
	CHECK_OK(sealer_end(sealer, &o->size, &o->sha256, &err), err);
	CHECK_OK(f->s.ops->put_finish(&f->run, t.put, &answered, &err), err);
	CHECK_INT(answered.size, o->size);
}

static void begin(struct fixture *f)
{
	const struct range_source source = stored(f);

	make_keys(f);
	snprintf(f->m.id, sizeof f->m.id, "20261122T030000Z-abcd");
	f->m.object = xcalloc(VOLUMES, sizeof *f->m.object);
	f->m.objects = VOLUMES;
	for (size_t i = 0; i < VOLUMES; i++)
		store_volume(f, i);
	f->opener = opener_new(f->ids, &source, &f->m);
}

static void end(struct fixture *f)
{
	opener_freep(&f->opener);
	seal_recipients_freep(&f->to);
	seal_identities_freep(&f->ids);
	manifest_release(&f->m);
	for (size_t i = 0; i < VOLUMES; i++)
		free(f->plain[i]);
	storage_release(&f->s);
}

static void expect_range(struct fixture *f, uint32_t volume, size_t at, size_t n)
{
	const struct range_source plain = opener_ranges(f->opener);
	CLEANUP(cstr_release) char *got = xmalloc(n + 1);
	struct error err = ERROR_INIT;

	CHECK_OK(plain.read_at(plain.ctx, volume, at, got, n, &err), err);
	CHECK(!memcmp(got, f->plain[volume] + at, n));
}

static void all_of_it_comes_back(struct fixture *f)
{
	struct error err = ERROR_INIT;

	CHECK_OK(opener_prove(f->opener, &err), err);
	for (uint32_t i = 0; i < VOLUMES; i++)
		expect_range(f, i, 0, volume_sizes[i]);
}

static void ranges_begin_and_end_anywhere(struct fixture *f)
{
	static const size_t edges[] = {0, SEAL_CHUNK, 3 * SEAL_CHUNK, 16u << 20, LARGE - SEAL_CHUNK, LARGE};

	for (size_t i = 0; i < ARRAY_LEN(edges); i++)
		for (size_t before = 0; before < 3 && before <= edges[i]; before++)
			expect_range(f, 0, edges[i] - before, min_size(before + 2, LARGE - edges[i] + before));
	for (size_t i = 1; i <= 30; i++) {
		size_t at = i * 104729 * 31 % LARGE;

		expect_range(f, 0, at, min_size(LARGE - at, i * 7919 + 1));
	}
}

struct reader {
	struct fixture *f;
	size_t first;
};

static void read_some(void *arg)
{
	const struct reader *r = arg;

	for (size_t at = r->first; at < LARGE; at += READERS * 1000003)
		expect_range(r->f, 0, at, min_size(LARGE - at, 200000));
}

static void threads_read_at_once(struct fixture *f)
{
	struct thread t[READERS] = {THREAD_INIT};
	struct reader r[READERS];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < READERS; i++) {
		r[i] = (struct reader){f, i * 1000003};
		CHECK_OK(thread_start(&t[i], "reader", read_some, &r[i], &err), err);
	}
	for (size_t i = 0; i < READERS; i++)
		thread_join(&t[i]);
}

static void nothing_is_read_past_the_end(struct fixture *f)
{
	const struct range_source plain = opener_ranges(f->opener);
	struct error err = ERROR_INIT;
	char b[2];

	CHECK_ERR(plain.read_at(plain.ctx, 1, 1, b, 1, &err), err, ST_BAD, "x.1");
	CHECK_ERR(plain.read_at(plain.ctx, 1, 0, b, 2, &err), err, ST_BAD, "x.1");
	CHECK_ERR(plain.read_at(plain.ctx, VOLUMES, 0, b, 1, &err), err, ST_BAD, "not in the manifest");
}

/* Puts `n` bytes of the volume, one of them changed, in its place. */
static void spoil(struct fixture *f, uint32_t volume, uint64_t at, size_t n)
{
	const struct put_spec spec = {.key = f->m.object[volume].key};
	CLEANUP(cstr_release) char *all = xmalloc(n);
	struct error err = ERROR_INIT;

	CHECK_OK(storage_get(&f->run, &f->s, spec.key, 0, all, n, &err), err);
	all[at] ^= 1;
	CHECK_OK(storage_put_bytes(&f->run, &f->s, &spec, all, n, NULL, &err), err);
}

static void a_changed_byte_spoils_its_chunk_alone(struct fixture *f)
{
	const struct range_source plain = opener_ranges(f->opener);
	const size_t chunk = 300;
	struct error err = ERROR_INIT;
	char b;

	spoil(f, 0, 500 + chunk * SEAL_STORED_CHUNK, (size_t)f->m.object[0].size);
	CHECK_ERR(plain.read_at(plain.ctx, 0, chunk * SEAL_CHUNK + SEAL_CHUNK / 2, &b, 1, &err), err, ST_BAD, "damaged");
	expect_range(f, 0, 0, chunk * SEAL_CHUNK);
	expect_range(f, 0, (chunk + 1) * SEAL_CHUNK, LARGE - (chunk + 1) * SEAL_CHUNK);
}

static void what_was_cut_is_bad(struct fixture *f)
{
	const struct range_source plain = opener_ranges(f->opener);
	struct error err = ERROR_INIT;
	char b;

	spoil(f, 2, 0, (size_t)f->m.object[2].size - 1);
	CHECK_ERR(plain.read_at(plain.ctx, 2, 0, &b, 1, &err), err, ST_BAD, "x.2");
}

static void what_is_gone_is_not_found(struct fixture *f)
{
	const struct range_source plain = opener_ranges(f->opener);
	struct error err = ERROR_INIT;
	char b;

	CHECK_OK(storage_delete(&f->run, &f->s, f->m.object[1].key, NULL, &err), err);
	CHECK_ERR(plain.read_at(plain.ctx, 1, 0, &b, 1, &err), err, ST_NOT_FOUND, "x.1");
}

static void another_key_is_denied(struct fixture *f)
{
	CLEANUP(seal_identities_freep) struct seal_identities *other = seal_identities_new();
	CLEANUP(seal_text_wipe) struct buf secret = BUF_INIT;
	CLEANUP(buf_release) struct buf key = BUF_INIT;
	const struct range_source source = stored(f);
	struct error err = ERROR_INIT;

	CHECK_OK(seal_key_generate(&f->run, &secret, &key, &err), err);
	CHECK_OK(seal_identities_add(other, "other", secret.data, secret.len, NULL, &err), err);
	CLEANUP(opener_freep) struct opener *o = opener_new(other, &source, &f->m);
	CHECK_ERR(opener_prove(o, &err), err, ST_DENIED, "none that");
}

static void a_cancelled_run_reads_nothing(struct fixture *f)
{
	const struct range_source plain = opener_ranges(f->opener);
	struct error err = ERROR_INIT;
	char b;

	f->run.cancel = cancel_new(NULL);
	cancel_fire(f->run.cancel, 15);
	CHECK_ERR(plain.read_at(plain.ctx, 0, 0, &b, 1, &err), err, ST_CANCELLED, "");
	cancel_free(f->run.cancel);
	f->run.cancel = NULL;
}

static void (*const cases[])(struct fixture *f) = {
	all_of_it_comes_back,
	ranges_begin_and_end_anywhere,
	threads_read_at_once,
	nothing_is_read_past_the_end,
	another_key_is_denied,
	a_cancelled_run_reads_nothing,
	a_changed_byte_spoils_its_chunk_alone,
	what_was_cut_is_bad,
	what_is_gone_is_not_found,
};

/* One archive for all cases: the last ones damage a volume each. */
static void run_cases(struct fixture *f)
{
	begin(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cases[i](f);
}

static void run_s3(bool moto)
{
	CLEANUP(s3_test_server_release) struct s3_test_server server;
	CLEANUP(end) struct fixture f = {.run = RUN_INIT};

	s3_test_server_share(&server, moto);
	CLEANUP(cstr_release) char *url = s3_test_bucket(&server, NULL);
	s3_test_open(&f.run, url, &f.s);
	run_cases(&f);
}

TEST("what is sealed into a folder is read back by ranges as it was")
{
	CLEANUP(cstr_release) char *url = xasprintf("file://%s/sealed", test_dir());
	CLEANUP(end) struct fixture f = {.run = RUN_INIT};
	const struct local_params params = {.min_free = {.bytes = 0}};
	struct error err = ERROR_INIT;

	CHECK_OK(storage_open(&f.run, &storage_local, url, &params, &f.s, &err), err);
	run_cases(&f);
}

TEST("what is sealed into S3 is read back by ranges as it was, on versitygw")
{
	run_s3(false);
}

TEST("what is sealed into S3 is read back by ranges as it was, on moto")
{
	run_s3(true);
}
