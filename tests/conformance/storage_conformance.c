/* What every storage promises in storage/storage.h: an array of cases over a table of fixtures. A new storage adds a fixture. */
#include "tests/lib/test.h"

#include <sys/wait.h>
#include <unistd.h>

#include "storage/local/local.h"
#include "storage/s3/s3.h"
#include "tests/conformance/s3_server.h"
#include "util/fs.h"
#include "util/thread.h"

struct fixture {
	struct run run;
	struct storage s;
	/* Opens the same store once more. */
	void (*open)(struct fixture *f, struct storage *s);
	char *url;
	size_t part; /* a put sends nothing before it has more than this */
	bool racy;   /* the server looks at a condition, and does what it was asked for a moment later */
};

static void open_local(struct fixture *f, struct storage *s)
{
	const struct local_params params = {.min_free = {.bytes = 0}};
	struct error err = ERROR_INIT;

	CHECK_OK(storage_open(&f->run, &storage_local, f->url, &params, s, &err), err);
}

static void open_s3(struct fixture *f, struct storage *s)
{
	s3_test_open(&f->run, f->url, s);
}

#ifdef DRTOOL_TEST
static void open_wrapped(struct fixture *f, struct storage *s)
{
	open_local(f, s);
	storage_fault_wrap(s);
}
#endif

static void put(struct fixture *f, const char *key, const char *text, struct storage_object *o)
{
	const struct put_spec spec = {.key = key};
	struct error err = ERROR_INIT;

	CHECK_OK(storage_put_bytes(&f->run, &f->s, &spec, text, strlen(text), o, &err), err);
}

static void expect(struct fixture *f, const char *key, const char *text)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(storage_get_bytes(&f->run, &f->s, key, 1 << 20, &b, NULL, &err), err);
	CHECK_STR(buf_str(&b), text);
}

static char *listing(struct fixture *f, const char *prefix, const char *after)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;
	struct buf b = BUF_INIT;

	CHECK_OK(storage_list(&f->run, &f->s, prefix, after, &l, &err), err);
	for (size_t i = 0; i < l.len; i++)
		buf_printf(&b, "%s%s", i ? " " : "", l.item[i].key);
	return buf_detach(&b);
}

static void expect_listing(struct fixture *f, const char *prefix, const char *after, const char *keys)
{
	CLEANUP(cstr_release) char *got = listing(f, prefix, after);

	CHECK_STR(got, keys);
}

static void what_was_put_can_be_read(struct fixture *f)
{
	struct storage_object o = {0}, s = {0};
	struct error err = ERROR_INIT;
	char part[4] = "";

	put(f, "shop/backup/a.json", "hello world", &o);
	CHECK_INT(o.size, 11);
	expect(f, "shop/backup/a.json", "hello world");
	CHECK_OK(storage_get(&f->run, &f->s, "shop/backup/a.json", 6, part, 3, &err), err);
	CHECK_STR(part, "wor");
	CHECK_OK(storage_stat(&f->run, &f->s, "shop/backup/a.json", &s, &err), err);
	CHECK_INT(s.size, 11);
	CHECK_STR(s.token, o.token);
	CHECK(s.modified.us > 0 && s.modified.us == o.modified.us);
}

static void absent_is_not_found(struct fixture *f)
{
	struct storage_object o;
	struct error err = ERROR_INIT;
	char b;

	CHECK_ERR(storage_stat(&f->run, &f->s, "none", &o, &err), err, ST_NOT_FOUND, "none");
	CHECK_ERR(storage_get(&f->run, &f->s, "no/where/x", 0, &b, 1, &err), err, ST_NOT_FOUND, "");
	CHECK_ERR(storage_delete(&f->run, &f->s, "none", NULL, &err), err, ST_NOT_FOUND, "none");
	expect_listing(f, "", NULL, "");
	put(f, "a", "1", NULL);
	CHECK_ERR(storage_stat(&f->run, &f->s, "a/b", &o, &err), err, ST_NOT_FOUND, "");
}

static void a_read_past_the_end_is_bad(struct fixture *f)
{
	struct error err = ERROR_INIT;
	char b[16];

	put(f, "a", "12345", NULL);
	CHECK_ERR(storage_get(&f->run, &f->s, "a", 0, b, 6, &err), err, ST_BAD, "a");
	CHECK_ERR(storage_get(&f->run, &f->s, "a", 9, b, 1, &err), err, ST_BAD, "a");
	CHECK_ERR(storage_get(&f->run, &f->s, "a", UINT64_MAX, b, 2, &err), err, ST_BAD, "a");
	CHECK_OK(storage_get(&f->run, &f->s, "a", 5, b, 0, &err), err);
}

static void keys_are_checked(struct fixture *f)
{
	static const char *const wrong[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "\xff", "a\nb", "\xc0\xaf"};
	struct error err = ERROR_INIT;
	char *longest = xcalloc(1, STORAGE_KEY_MAX + 2);
	struct storage_object o;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK_ERR(storage_stat(&f->run, &f->s, wrong[i], &o, &err), err, ST_FAILED, "the key");
	memset(longest, 'a', STORAGE_KEY_MAX + 1);
	CHECK_ERR(storage_stat(&f->run, &f->s, longest, &o, &err), err, ST_FAILED, "too long");
	free(longest);
	put(f, "ä/日本.x", "1", NULL);
	expect(f, "ä/日本.x", "1");
}

static void listings_come_in_byte_order(struct fixture *f)
{
	static const char *const keys[] = {"b", "a/b", "a.b", "a0", "a/c/d", "a/c.d", "a-", "ab/x"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		put(f, keys[i], "x", NULL);
	expect_listing(f, "", NULL, "a- a.b a/b a/c.d a/c/d a0 ab/x b");
	expect_listing(f, "a/", NULL, "a/b a/c.d a/c/d");
	expect_listing(f, "a/c", NULL, "a/c.d a/c/d");
	expect_listing(f, "a/c/", NULL, "a/c/d");
	expect_listing(f, "zzz", NULL, "");
	expect_listing(f, "", "a/b", "a/c.d a/c/d a0 ab/x b");
	expect_listing(f, "a", "a/c.d", "a/c/d a0 ab/x");
	expect_listing(f, "a/", "a/\xf4\x8f\xbf\xbf", "");
	expect_listing(f, "", "a/\xf4\x8f\xbf\xbf", "a0 ab/x b");
	expect_listing(f, "", "b", "");
}

/* Enough that the store has seen some of it. */
static void write_some(struct fixture *f, struct storage_put *p)
{
	CLEANUP(cstr_release) char *block = xcalloc(1, f->part + 1);
	struct error err = ERROR_INIT;

	memset(block, 'a', f->part);
	if (f->part)
		CHECK_OK(f->s.ops->put_write(&f->run, p, block, f->part, &err), err);
	CHECK_OK(f->s.ops->put_write(&f->run, p, "abc", 3, &err), err);
}

static void an_unfinished_put_is_not_visible(struct fixture *f)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;
	struct storage_put *p, *q;
	struct storage_object o;
	const struct put_spec spec = {.key = "x/new"};

	CHECK_OK(storage_put_open(&f->run, &f->s, &spec, &p, &err), err);
	write_some(f, p);
	expect_listing(f, "", NULL, "");
	CHECK_ERR(storage_stat(&f->run, &f->s, "x/new", &o, &err), err, ST_NOT_FOUND, "");
	CHECK_OK(storage_uncommitted(&f->run, &f->s, "x/", INSTANT_NONE, &l, &err), err);
	CHECK_INT(l.len, 1);
	CHECK_STR(l.item[0].key, "x/new");
	CHECK_OK(storage_put_open(&f->run, &f->s, &spec, &q, &err), err);
	f->s.ops->put_abort(q);
	f->s.ops->put_abort(NULL);
	CHECK_OK(f->s.ops->put_finish(&f->run, p, &o, &err), err);
	CHECK_INT(o.size, f->part + 3);
	char end[4] = "";
	CHECK_OK(storage_get(&f->run, &f->s, "x/new", f->part, end, 3, &err), err);
	CHECK_STR(end, "abc");
	storage_objects_release(&l);
	CHECK_OK(storage_uncommitted(&f->run, &f->s, "", INSTANT_NONE, &l, &err), err);
	CHECK_INT(l.len, 0);
}

static void old_unfinished_puts_are_removed(struct fixture *f)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;
	struct storage_put *p;
	const struct put_spec spec = {.key = "x/new"};
	pid_t pid = fork();

	if (!pid) {
		if (storage_put_open(&f->run, &f->s, &spec, &p, &err))
			_exit(1);
		write_some(f, p);
		_exit(0); /* leaves it as a crash would */
	}
	waitpid(pid, NULL, 0);
	CHECK_OK(storage_uncommitted(&f->run, &f->s, "x", (struct instant){1}, &l, &err), err);
	CHECK_INT(l.len, 1);
	CHECK_OK(storage_uncommitted(&f->run, &f->s, "y", instant_add(run_now(&f->run), DURATION_SECONDS(9)), &l, &err), err);
	CHECK_INT(l.len, 1);
	CHECK_OK(storage_uncommitted(&f->run, &f->s, "x", instant_add(run_now(&f->run), DURATION_SECONDS(9)), &l, &err), err);
	CHECK_INT(l.len, 2);
	CHECK_OK(storage_uncommitted(&f->run, &f->s, "x", INSTANT_NONE, &l, &err), err);
	CHECK_INT(l.len, 2);
}

static void absent_puts_once(struct fixture *f)
{
	const struct put_spec spec = {.key = "a/lock", .condition = PUT_ABSENT};
	struct error err = ERROR_INIT;
	struct storage_put *p;
	struct storage_object o;

	/* Both pass the look at the start; the second to finish must lose. */
	CHECK_OK(storage_put_open(&f->run, &f->s, &spec, &p, &err), err);
	CHECK_OK(f->s.ops->put_write(&f->run, p, "late", 4, &err), err);
	CHECK_OK(storage_put_bytes(&f->run, &f->s, &spec, "first", 5, NULL, &err), err);
	CHECK_ERR(f->s.ops->put_finish(&f->run, p, &o, &err), err, ST_PRECONDITION, "a/lock");
	CHECK_ERR(storage_put_bytes(&f->run, &f->s, &spec, "again", 5, NULL, &err), err, ST_PRECONDITION, "a/lock");
	expect(f, "a/lock", "first");
}

static void matches_needs_the_very_content(struct fixture *f)
{
	struct put_spec spec = {.key = "a/lock", .condition = PUT_MATCHES};
	struct error err = ERROR_INIT;
	struct storage_object one, two;

	put(f, "a/lock", "one", &one);
	spec.token = one.token;
	CHECK_OK(storage_put_bytes(&f->run, &f->s, &spec, "two", 3, &two, &err), err);
	CHECK(strcmp(one.token, two.token));
	CHECK_ERR(storage_put_bytes(&f->run, &f->s, &spec, "three", 5, NULL, &err), err, ST_PRECONDITION, "a/lock");
	expect(f, "a/lock", "two");
	CHECK_ERR(storage_delete(&f->run, &f->s, "a/lock", one.token, &err), err, ST_PRECONDITION, "a/lock");
	CHECK_OK(storage_delete(&f->run, &f->s, "a/lock", two.token, &err), err);
	spec.token = two.token;
	CHECK_ERR(storage_put_bytes(&f->run, &f->s, &spec, "four", 4, NULL, &err), err, ST_PRECONDITION, "a/lock");
	expect_listing(f, "", NULL, "");
}

static void tokens_differ_however_fast_it_changes(struct fixture *f)
{
	struct storage_object o[100];

	for (size_t i = 0; i < ARRAY_LEN(o); i++) {
		char text[8];

		snprintf(text, sizeof text, "%04zu", i);
		put(f, "t", text, &o[i]);
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(o[i].token, o[k].token));
	}
}

struct racer {
	struct fixture *f;
	struct storage s;
	int won, lost;
	unsigned id;
};

/* Adds one to the number in the object by compare-and-swap. */
static void race(void *arg)
{
	struct racer *r = arg;

	while (r->won < 50) {
		CLEANUP(buf_release) struct buf b = BUF_INIT;
		CLEANUP(error_release) struct error err = ERROR_INIT;
		struct storage_object o;
		char text[24];

		if (storage_get_bytes(&r->f->run, &r->s, "n", 100, &b, &o, &err))
			test_fail(__FILE__, __LINE__, "get: %s", error_text(&err));
		snprintf(text, sizeof text, "%ld", strtol(b.data, NULL, 10) + 1);
		const struct put_spec spec = {.key = "n", .condition = PUT_MATCHES, .token = o.token};
		if (!storage_put_bytes(&r->f->run, &r->s, &spec, text, strlen(text), NULL, &err))
			r->won++;
		else if (err.code == ST_PRECONDITION)
			r->lost++;
		else
			test_fail(__FILE__, __LINE__, "put: %s", error_text(&err));
	}
}

static void compare_and_swap_loses_nothing(struct fixture *f)
{
	struct thread t[4] = {THREAD_INIT};
	struct racer r[4] = {0};
	struct error err = ERROR_INIT;

	if (f->racy)
		return;
	put(f, "n", "0", NULL);
	for (size_t i = 0; i < 4; i++) {
		r[i].f = f;
		f->open(f, &r[i].s);
		CHECK_OK(thread_start(&t[i], "racer", race, &r[i], &err), err);
	}
	for (size_t i = 0; i < 4; i++) {
		thread_join(&t[i]);
		storage_release(&r[i].s);
	}
	expect(f, "n", "200");
}

static void replacing_changes_all_of_it(struct fixture *f)
{
	put(f, "a/b", "a long text that was there", NULL);
	put(f, "a/b", "short", NULL);
	expect(f, "a/b", "short");
	put(f, "a/b", "", NULL);
	expect(f, "a/b", "");
}

static void a_large_object_comes_back_whole(struct fixture *f)
{
	const size_t n = 3u << 20, times = 12;
	CLEANUP(cstr_release) char *block = xmalloc(n);
	CLEANUP(cstr_release) char *back = xmalloc(n);
	const struct put_spec spec = {.key = "big", .condition = PUT_ABSENT, .expected_size = n * times};
	struct error err = ERROR_INIT;
	struct storage_put *p;
	struct storage_object o, s;

	CHECK_OK(storage_put_open(&f->run, &f->s, &spec, &p, &err), err);
	for (size_t i = 0; i < times; i++) {
		memset(block, 'a' + (int)i, n);
		CHECK_OK(f->s.ops->put_write(&f->run, p, block, n, &err), err);
	}
	CHECK_OK(f->s.ops->put_finish(&f->run, p, &o, &err), err);
	CHECK_INT(o.size, n * times);
	CHECK_OK(storage_get(&f->run, &f->s, "big", n * (times - 1), back, n, &err), err);
	CHECK(!memcmp(back, block, n));
	CHECK_OK(storage_stat(&f->run, &f->s, "big", &s, &err), err);
	CHECK_STR(s.token, o.token);
}

static void a_cancelled_run_does_nothing_more(struct fixture *f)
{
	struct run run = f->run;
	struct error err = ERROR_INIT;
	const struct put_spec spec = {.key = "x"};

	run.cancel = cancel_new(NULL);
	cancel_fire(run.cancel, 15);
	CHECK_ERR(storage_put_bytes(&run, &f->s, &spec, "1", 1, NULL, &err), err, ST_CANCELLED, "");
	CHECK_ERR(storage_delete(&run, &f->s, "x", NULL, &err), err, ST_CANCELLED, "");
	cancel_free(run.cancel);
	expect_listing(f, "", NULL, "");
}

static void free_room_is_told_where_it_is_known(struct fixture *f)
{
	struct error err = ERROR_INIT;
	uint64_t free_bytes = 0, total = 0;

	if (!(f->s.ops->caps & STORAGE_SPACE))
		return;
	CHECK_OK(f->s.ops->space(&f->run, f->s.priv, &free_bytes, &total, &err), err);
	CHECK(total > 0 && free_bytes <= total);
	expect_listing(f, "", NULL, ""); /* and nothing was made for it */
}

static void a_failing_listener_ends_a_listing(struct fixture *f)
{
	CLEANUP(cstr_release) char *key = NULL;
	struct error err = ERROR_INIT;

	put(f, "p/1", "x", NULL);
	put(f, "p/2", "x", NULL);
	CHECK_OK(storage_first(&f->run, &f->s, "p/", "p/1", &key, &err), err);
	CHECK_STR(key, "p/2");
	cstr_release(&key);
	CHECK_OK(storage_first(&f->run, &f->s, "q/", NULL, &key, &err), err);
	CHECK(!key);
}

#define CASE(fn) {#fn, fn}
static const struct {
	const char *name;
	void (*fn)(struct fixture *f);
} cases[] = {
	CASE(what_was_put_can_be_read),
	CASE(absent_is_not_found),
	CASE(a_read_past_the_end_is_bad),
	CASE(keys_are_checked),
	CASE(listings_come_in_byte_order),
	CASE(an_unfinished_put_is_not_visible),
	CASE(old_unfinished_puts_are_removed),
	CASE(absent_puts_once),
	CASE(matches_needs_the_very_content),
	CASE(tokens_differ_however_fast_it_changes),
	CASE(compare_and_swap_loses_nothing),
	CASE(replacing_changes_all_of_it),
	CASE(a_large_object_comes_back_whole),
	CASE(a_cancelled_run_does_nothing_more),
	CASE(free_room_is_told_where_it_is_known),
	CASE(a_failing_listener_ends_a_listing),
};

/* Each case has a store of its own, by its name in the URL. */
static void run_cases(void (*open)(struct fixture *f, struct storage *s), const struct storage_ops *ops, const char *before, const char *after,
		      bool racy)
{
	struct error err = ERROR_INIT;

	CHECK_OK(storage_check(ops, &err), err);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f = {.run = RUN_INIT, .open = open, .part = ops->part_size, .racy = racy,
				    .url = xasprintf("%s/%s%s", before, cases[i].name, after)};

		open(&f, &f.s);
		cases[i].fn(&f);
		storage_release(&f.s);
		free(f.url);
	}
}

static void run_local(void (*open)(struct fixture *f, struct storage *s))
{
	CLEANUP(cstr_release) char *before = xasprintf("file://%s", test_dir());

	run_cases(open, &storage_local, before, "", false);
}

TEST("the local storage keeps the contract of storages")
{
	run_local(open_local);
}

static void run_s3(bool moto, const char *options)
{
	CLEANUP(s3_test_server_release) struct s3_test_server server;

	s3_test_server_share(&server, moto);
	CLEANUP(cstr_release) char *url = s3_test_bucket(&server, options);
	char *query = strchr(url, '?');
	*query = 0;
	CLEANUP(cstr_release) char *after = xasprintf("?%s&retry=5s", query + 1);
	run_cases(open_s3, &storage_s3, url, after, moto);
}

TEST("S3 keeps the contract of storages on versitygw")
{
	run_s3(false, NULL);
}

TEST("S3 keeps the contract of storages on versitygw where a bucket keeps versions")
{
	run_s3(false, "versions");
}

TEST("S3 keeps the contract of storages on moto")
{
	run_s3(true, NULL);
}

#ifdef DRTOOL_TEST
TEST("the fault wrapper without rules keeps the contract of storages")
{
	run_local(open_wrapped);
}
#endif
