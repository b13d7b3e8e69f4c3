/* A set of three stores of different kinds, one of which fails. */
#include "tests/conformance/s3_server.h"
#include "tests/lib/test.h"

#include "storage/local/local.h"
#include "storage/store_set.h"
#include "util/fs.h"

#ifdef DRTOOL_TEST

#define MEMBERS 3
#define BLOCK ((size_t)1 << 20)
#define BLOCKS 18 /* more than one part */

struct three {
	struct run run;
	struct s3_test_server server;
	struct store store[MEMBERS]; /* a folder, a bucket, a folder that fails */
	struct store_set *set;
};

static void open_folder(struct three *t, size_t i, const char *name, const char *fault)
{
	const struct local_params params = {0};
	CLEANUP(cstr_release) char *url = xasprintf("file://%s/%s", test_dir(), name);
	const struct store_spec spec = {.name = name, .url = url, .ops = &storage_local, .params = &params, .init = true};
	struct error err = ERROR_INIT;

	if (fault)
		setenv("DRTOOL_STORE_FAULT", fault, 1);
	CHECK_OK(store_open(&t->run, &spec, &t->store[i], &err), err);
	unsetenv("DRTOOL_STORE_FAULT");
}

static void begin(struct three *t, const char *fault, struct duration stall)
{
	*t = (struct three){.run = RUN_INIT};
	s3_test_server_share(&t->server, false);
	CLEANUP(cstr_release) char *url = s3_test_bucket(&t->server, NULL);
	struct store *member[MEMBERS];

	open_folder(t, 0, "near", NULL);
	s3_test_open(&t->run, url, &t->store[1].storage);
	t->store[1].name = xstrdup("bucket");
	open_folder(t, 2, "failing", fault);
	for (size_t i = 0; i < MEMBERS; i++)
		member[i] = &t->store[i];
	const struct store_set_spec spec = {.member = member, .members = MEMBERS, .stall = stall, .window = 4 * BLOCK};
	t->set = store_set_new(&t->run, &spec);
}

static void end(struct three *t)
{
	store_set_freep(&t->set);
	for (size_t i = 0; i < MEMBERS; i++)
		store_release(&t->store[i]);
	s3_test_server_release(&t->server);
}

static void block_free(void *ctx UNUSED, struct store_block *b)
{
	free((char *)(uintptr_t)b->p);
	free(b);
}

static void fill(char *p, size_t i) { memset(p, (int)('a' + i % 26), BLOCK); }

static void write_archive(struct three *t)
{
	const struct put_spec manifest = {.key = "shop/backup/x.json", .condition = PUT_ABSENT};
	struct error err = ERROR_INIT;
	uint64_t size = 0;

	CHECK_OK(store_set_begin(t->set, "shop/backup/x.tar.gz", &err), err);
	for (size_t i = 0; i < BLOCKS; i++) {
		struct store_block *b = xcalloc(1, sizeof *b);
		char *p = xmalloc(BLOCK);

		fill(p, i);
		*b = (struct store_block){.p = p, .n = BLOCK, .release = block_free};
		CHECK_OK(store_set_write(t->set, b, &err), err);
	}
	CHECK_OK(store_set_end(t->set, &size, &err), err);
	CHECK_INT(size, BLOCKS * BLOCK);
	CHECK_OK(store_set_put(t->set, &manifest, "{}", 2, &err), err);
}

static void check_outcomes(struct three *t)
{
	size_t n;
	const struct store_outcome *o = store_set_outcomes(t->set, &n);

	CHECK_INT(n, MEMBERS);
	CHECK_INT(o[0].err.code, ST_OK);
	CHECK_INT(o[1].err.code, ST_OK);
	CHECK(o[2].err.code != ST_OK);
}

static void check_whole(struct three *t, size_t i)
{
	CLEANUP(cstr_release) char *expected = xmalloc(BLOCK), *got = xmalloc(BLOCK);
	struct error err = ERROR_INIT;
	struct storage_object o = {0};

	CHECK_OK(storage_stat(&t->run, &t->store[i].storage, "shop/backup/x.json", &o, &err), err);
	for (size_t k = 0; k < BLOCKS; k++) {
		fill(expected, k);
		CHECK_OK(storage_get(&t->run, &t->store[i].storage, "shop/backup/x.tar.gz", k * BLOCK, got, BLOCK, &err), err);
		CHECK(!memcmp(expected, got, BLOCK));
	}
}

static void three_of_which_one_fails(const char *fault, struct duration stall)
{
	CLEANUP(end) struct three t;
	CLEANUP(cstr_release) char *archive = xasprintf("%s/failing/shop/backup/x.tar.gz", test_dir());
	CLEANUP(cstr_release) char *manifest = xasprintf("%s/failing/shop/backup/x.json", test_dir());

	begin(&t, fault, stall);
	write_archive(&t);
	check_outcomes(&t);
	check_whole(&t, 0);
	check_whole(&t, 1);
	CHECK(!fs_exists(archive) && !fs_exists(manifest));
}

TEST("of a folder, a bucket and a folder that fills up, two are whole and the third has no manifest")
{
	three_of_which_one_fails("write[x.tar]:3000000:ENOSPC", (struct duration){0});
}

TEST("of a folder, a bucket and a folder that takes nothing more, two are whole and the third has no manifest")
{
	three_of_which_one_fails("write[x.tar]:3000000:stall", DURATION_SECONDS(1));
}

TEST("of a folder, a bucket and a folder that fails at the end, two are whole and the third has no manifest")
{
	three_of_which_one_fails("finish[x.tar]:1:EIO", (struct duration){0});
}

TEST("a range that the nearest store has lost comes from the bucket")
{
	CLEANUP(end) struct three t;
	struct error err = ERROR_INIT;
	char got[2];

	begin(&t, "finish[x.tar]:1:EIO", (struct duration){0});
	write_archive(&t);
	CHECK_OK(storage_delete(&t.run, &t.store[0].storage, "shop/backup/x.tar.gz", NULL, &err), err);
	CHECK_OK(store_set_get(t.set, "shop/backup/x.tar.gz", BLOCK - 1, got, 2, &err), err);
	CHECK(got[0] == 'a' && got[1] == 'b');
}

#endif
