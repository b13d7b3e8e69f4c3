#include "tests/lib/test.h"

#include <stdatomic.h>
#include <unistd.h>

#include "storage/local/local.h"
#include "storage/store_set.h"
#include "util/fs.h"
#include "util/thread.h"

#define BLOCK 65536
#define STORES 4

static struct run run = RUN_INIT;
static struct store store[STORES];
static atomic_int out; /* blocks that were given and not released */

/* Opens n stores; faults[i] are the rules of DRTOOL_STORE_FAULT for the ith, NULL: none. */
static struct store_set *open_set(size_t n, const char *const *faults, struct store_set_spec spec)
{
	static struct store *member[STORES];
	const struct local_params params = {0};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < n; i++) {
		CLEANUP(cstr_release) char *url = xasprintf("file://%s/%zu", test_dir(), i), *name = xasprintf("s%zu", i);
		const struct store_spec s = {.name = name, .url = url, .ops = &storage_local, .params = &params, .init = true};

		unsetenv("DRTOOL_STORE_FAULT");
		if (faults && faults[i])
			setenv("DRTOOL_STORE_FAULT", faults[i], 1);
		CHECK_OK(store_open(&run, &s, &store[i], &err), err);
		member[i] = &store[i];
	}
	spec.member = member;
	spec.members = n;
	spec.window = spec.window ? spec.window : 4 * BLOCK;
	return store_set_new(&run, &spec);
}

static void close_stores(void)
{
	for (size_t i = 0; i < STORES; i++)
		store_release(&store[i]);
}

static void release_block(void *ctx UNUSED, struct store_block *b)
{
	union {
		const void *p;
		void *own;
	} bytes = {.p = b->p};

	free(bytes.own);
	free(b);
	atomic_fetch_sub(&out, 1);
}

static struct store_block *block(char fill)
{
	struct store_block *b = xcalloc(1, sizeof *b);
	char *p = xmalloc(BLOCK);

	memset(p, fill, BLOCK);
	*b = (struct store_block){.p = p, .n = BLOCK, .release = release_block};
	atomic_fetch_add(&out, 1);
	return b;
}

static enum status write_object(struct store_set *s, const char *key, size_t blocks, struct error *err)
{
	uint64_t size;

	if (store_set_begin(s, key, err))
		return err->code;
	for (size_t i = 0; i < blocks; i++)
		if (store_set_write(s, block((char)('a' + i % 26)), err))
			return err->code;
	if (store_set_end(s, &size, err))
		return err->code;
	CHECK_INT(size, blocks * BLOCK);
	return ST_OK;
}

static bool has(size_t i, const char *key, uint64_t size)
{
	struct storage_object o = {0};
	struct error err = ERROR_INIT;
	enum status st = storage_stat(&run, &store[i].storage, key, &o, &err);

	error_release(&err);
	return !st && o.size == size;
}

static const struct store_outcome *outcome(struct store_set *s, size_t i)
{
	size_t n;
	const struct store_outcome *o = store_set_outcomes(s, &n);

	CHECK(i < n);
	return &o[i];
}

TEST("every member of a store set gets every byte, in order")
{
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, NULL, (struct store_set_spec){0});
	const struct put_spec manifest = {.key = "m.json", .condition = PUT_ABSENT};
	struct error err = ERROR_INIT;
	char got[2];

	CHECK_OK(write_object(s, "x/one", 50, &err), err);
	CHECK_OK(write_object(s, "x/two", 1, &err), err);
	CHECK_OK(store_set_put(s, &manifest, "{}", 2, &err), err);
	for (size_t i = 0; i < 2; i++) {
		CHECK(has(i, "x/one", 50 * BLOCK) && has(i, "x/two", BLOCK) && has(i, "m.json", 2));
		CHECK_OK(storage_get(&run, &store[i].storage, "x/one", 27 * BLOCK - 1, got, 2, &err), err);
		CHECK(got[0] == 'a' && got[1] == 'b');
		CHECK_INT(outcome(s, i)->err.code, ST_OK);
		CHECK_INT(outcome(s, i)->written, 51 * BLOCK);
	}
	CHECK_INT(atomic_load(&out), 0);
	store_set_freep(&s);
	close_stores();
}

TEST("a store set holds no more than its window")
{
	CLEANUP(store_set_freep) struct store_set *s = open_set(1, NULL, (struct store_set_spec){.window = 2 * BLOCK});
	struct error err = ERROR_INIT;
	uint64_t size;

	CHECK_OK(store_set_begin(s, "x", &err), err);
	for (int i = 0; i < 200; i++) {
		CHECK_OK(store_set_write(s, block('x'), &err), err);
		CHECK(atomic_load(&out) <= 3); /* one may be on its way out of release */
	}
	CHECK_OK(store_set_end(s, &size, &err), err);
	store_set_freep(&s);
	close_stores();
}

#ifdef DRTOOL_TEST

TEST("a member that fails is dropped, and the others go on")
{
	const char *const faults[] = {"write[x/]:100000:ENOSPC", NULL};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){0});
	const struct put_spec manifest = {.key = "m.json", .condition = PUT_ABSENT};
	struct error err = ERROR_INIT;

	CHECK_OK(write_object(s, "x/one", 20, &err), err);
	CHECK_OK(store_set_put(s, &manifest, "{}", 2, &err), err);
	CHECK_INT(outcome(s, 0)->err.code, ST_NO_SPACE);
	CHECK_INT(outcome(s, 1)->err.code, ST_OK);
	CHECK(!has(0, "x/one", 20 * BLOCK) && !has(0, "m.json", 2));
	CHECK(has(1, "x/one", 20 * BLOCK) && has(1, "m.json", 2));
	CHECK_INT(atomic_load(&out), 0);
	store_set_freep(&s);
	close_stores();
}

TEST("a store set without a member left fails with the cause of each, and the code of the first")
{
	const char *const faults[] = {"write[x/]:100000:ENOSPC", "finish[x/]:1:EIO"};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){0});
	struct error err = ERROR_INIT;

	CHECK_ERR(write_object(s, "x/one", 20, &err), err, ST_NO_SPACE, "store s0: x/one: injected fault");
	CHECK_ERR(store_set_write(s, block('x'), &err), err, ST_NO_SPACE, "; store s1: ");
	store_set_abort(s);
	CHECK_INT(atomic_load(&out), 0);
	CHECK_INT(outcome(s, 1)->err.code, ST_IO);
	store_set_freep(&s);
	close_stores();
}

TEST("a member can be dropped by the caller")
{
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, NULL, (struct store_set_spec){0});
	const struct put_spec manifest = {.key = "m.json", .condition = PUT_ABSENT};
	struct error err = ERROR_INIT, lost = ERROR_INIT;

	CHECK_OK(write_object(s, "x/one", 2, &err), err);
	error_set(&lost, ST_LOCKED, "the lock was lost");
	store_set_drop(s, &store[0], &lost);
	CHECK_OK(store_set_put(s, &manifest, "{}", 2, &err), err);
	CHECK_INT(outcome(s, 0)->err.code, ST_LOCKED);
	CHECK(!has(0, "m.json", 2) && has(1, "m.json", 2));
	store_set_undo(s);
	CHECK(!has(0, "x/one", 2 * BLOCK) && has(1, "x/one", 2 * BLOCK));
	store_set_freep(&s);
	close_stores();
}

TEST("undo takes back what a member that is not whole had finished before")
{
	const char *const faults[] = {"finish[x/two]:1:EIO", NULL};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){0});
	struct error err = ERROR_INIT;

	CHECK_OK(write_object(s, "x/one", 2, &err), err);
	CHECK_OK(write_object(s, "x/two", 2, &err), err);
	CHECK(has(0, "x/one", 2 * BLOCK));
	store_set_undo(s);
	CHECK(!has(0, "x/one", 2 * BLOCK) && has(1, "x/one", 2 * BLOCK) && has(1, "x/two", 2 * BLOCK));
	store_set_freep(&s);
	close_stores();
}

TEST("a member that stands still is dropped after the stall time")
{
	const char *const faults[] = {"write[x/]:100000:stall", NULL};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){.stall = DURATION_MS(200)});
	struct error err = ERROR_INIT;

	CHECK_OK(write_object(s, "x/one", 100, &err), err);
	CHECK_INT(outcome(s, 0)->err.code, ST_UNREACHABLE);
	CHECK_HAS(error_text(&outcome(s, 0)->err), "took nothing");
	CHECK(has(1, "x/one", 100 * BLOCK));
	CHECK(store[0].storage.stuck);
	store_set_freep(&s);
	CHECK(!store[0].storage.stuck); /* it came back */
	CHECK_INT(atomic_load(&out), 0);
	close_stores();
}

TEST("a thread that hangs in a dead store is given up, and the run ends")
{
	const char *const faults[] = {"write[x/]:100000:hang", NULL};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){.stall = DURATION_MS(200)});
	struct storage_object o;
	struct error err = ERROR_INIT;

	CHECK_OK(write_object(s, "x/one", 100, &err), err);
	CHECK_INT(outcome(s, 0)->err.code, ST_UNREACHABLE);
	CHECK_ERR(storage_stat(&run, &store[0].storage, "x", &o, &err), err, ST_UNREACHABLE, "stopped answering");
	store_set_undo(s);
	store_set_freep(&s);
	CHECK(store[0].storage.stuck);
	CHECK_INT(atomic_load(&out), 1); /* the one in its hands */
	CHECK(has(1, "x/one", 100 * BLOCK));
	close_stores();
}

TEST("threads that hang in the same block keep one that does not from nothing")
{
	static const char hang[] = "write[x/]:100000:hang";
	const char *const faults[] = {hang, hang, hang, NULL};
	CLEANUP(store_set_freep) struct store_set *s = open_set(4, faults, (struct store_set_spec){.stall = DURATION_MS(200)});
	struct error err = ERROR_INIT;

	CHECK_OK(write_object(s, "x/one", 100, &err), err);
	store_set_freep(&s);
	CHECK(has(3, "x/one", 100 * BLOCK));
	close_stores();
}

TEST("a hanging put_finish of the only store ends the run too")
{
	const char *const faults[] = {"finish[x/]:1:hang"};
	CLEANUP(store_set_freep) struct store_set *s = open_set(1, faults, (struct store_set_spec){.stall = DURATION_MS(200)});
	struct error err = ERROR_INIT;

	CHECK_ERR(write_object(s, "x/one", 2, &err), err, ST_UNREACHABLE, "store s0: took nothing for");
	store_set_freep(&s);
	CHECK_INT(atomic_load(&out), 0);
	close_stores();
}

static void fire(void *arg)
{
	usleep(100000);
	cancel_fire(arg, 15);
}

TEST("a cancel ends a store set that waits, and nothing stays behind")
{
	const char *const faults[] = {"write[x/]:100000:stall"};
	struct thread t = THREAD_INIT;
	struct error err = ERROR_INIT;

	struct store_set *s = open_set(1, faults, (struct store_set_spec){0});
	run.cancel = cancel_new(NULL);
	CHECK_OK(thread_start(&t, "fire", fire, run.cancel, &err), err);
	CHECK_ERR(write_object(s, "x/one", 100, &err), err, ST_CANCELLED, "");
	store_set_abort(s);
	thread_join(&t);
	store_set_freep(&s);
	CHECK_INT(atomic_load(&out), 0);
	cancel_freep(&run.cancel);
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CHECK_OK(storage_uncommitted(&run, &store[0].storage, "", INSTANT_NONE, &l, &err), err);
	CHECK_INT(l.len, 0);
	close_stores();
}

TEST("reading changes to the next member inside a range and stays there")
{
	const char *const faults[] = {"get[x/]:2:EIO", NULL};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){0});
	struct error err = ERROR_INIT;
	char got[2] = "";

	CHECK_OK(write_object(s, "x/one", 2, &err), err);
	for (int i = 0; i < 4; i++) {
		CHECK_OK(store_set_get(s, "x/one", BLOCK - 1, got, 2, &err), err);
		CHECK(got[0] == 'a' && got[1] == 'b');
	}
	store_set_freep(&s);
	close_stores();
}

TEST("reading says why no member could give a range")
{
	const char *const faults[] = {"get[x/]:1:unreachable", NULL};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){0});
	struct error err = ERROR_INIT;
	char got[2];

	CHECK_OK(write_object(s, "x/one", 2, &err), err);
	CHECK_ERR(store_set_get(s, "x/one", 2 * BLOCK, got, 1, &err), err, ST_UNREACHABLE, "; store s1: x/one: has");
	CHECK_INT(store_set_get(s, "y", 0, got, 1, &err), ST_NOT_FOUND);
	CHECK_HAS(error_text(&err), "store s0");
	error_release(&err);
	store_set_freep(&s);
	close_stores();
}

TEST("bad bytes of one copy are read again from another, range by range")
{
	const char *const faults[] = {"get[x/]:1:flip", "get[x/]:2:flip:once"};
	CLEANUP(store_set_freep) struct store_set *s = open_set(2, faults, (struct store_set_spec){0});
	struct error err = ERROR_INIT;
	char got[2] = "";

	CHECK_OK(write_object(s, "x/one", 2, &err), err);
	CHECK_OK(store_set_get(s, "x/one", 0, got, 1, &err), err);
	CHECK(got[0] != 'a');
	CHECK(store_set_distrust(s));
	CHECK_OK(store_set_get(s, "x/one", 0, got, 1, &err), err);
	CHECK(got[0] == 'a');
	CHECK_OK(store_set_get(s, "x/one", 1, got, 1, &err), err); /* from the second, flipped once */
	CHECK(got[0] != 'a');
	CHECK(store_set_distrust(s));
	CHECK_OK(store_set_get(s, "x/one", 1, got, 1, &err), err);
	CHECK(!store_set_distrust(s));
	CHECK_ERR(store_set_get(s, "x/one", 1, got, 1, &err), err, ST_BAD, "no copy is left");
	CHECK_OK(store_set_get(s, "x/one", 2, got, 1, &err), err);
	store_set_freep(&s);
	close_stores();
}

#endif
