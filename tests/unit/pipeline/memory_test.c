/* Peak memory of whole runs: each test is a process of its own, so its high-water mark is that of the pipeline. */
#include "tests/lib/test.h"
#include "tests/unit/pipeline/fake.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fs.h"

#define MIB ((uint64_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static uint64_t high_water(void)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct error e = ERROR_INIT;
	unsigned long kib = 0;

	CHECK_OK(fs_read_file("/proc/self/status", 64 * 1024, &text, &e), e);
	CHECK_INT(sscanf(strstr(text.data, "VmHWM:"), "VmHWM: %lu kB", &kib), 1);
	return kib * 1024;
}

static void check_high_water(uint64_t limit)
{
	if (high_water() > limit)
		test_fail(__FILE__, __LINE__, "%" PRIu64 " KiB were resident", high_water() / 1024);
}

static void dump_within(const struct fake_table *t, size_t tables, uint32_t chunk_size, unsigned jobs, uint64_t limit)
{
	struct budget_request q = {.mem_limit = limit, .jobs = jobs, .chunk_size = chunk_size};
	CLEANUP(fake_archive_release) struct fake_archive a = {.discard = true};
	CLEANUP(dump_pipeline_freep) struct dump_pipeline *p = NULL;
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	struct fake_db db = {.table = t, .tables = tables, .at_row = UINT64_MAX};
	const struct dump_calls calls = fake_calls(&db);
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	struct budget b;

	if (SANITIZED)
		test_skip("the sanitizer's own memory is many times that of the run");
	CHECK_OK(budget_divide(&q, &b, &e), e);
	fake_archive_open(&a, chunk_size);
	const struct dump_pipeline_spec spec = {.budget = &b, .chunk_size = chunk_size, .writer = a.writer};
	CHECK_OK(dump_pipeline_new(&run, &spec, &p, &e), e);
	struct object_sink sink = dump_object_sink(p, plan, "shop");
	fake_objects(&db, &sink);
	CHECK_OK(dump_pipeline_run(p, plan, &calls, &e), e);
	fake_archive_finish(&a);
	check_high_water(limit);
}

static enum status open_worker(void *ctx, struct run *run UNUSED, void **worker, struct error *err UNUSED)
{
	*worker = ctx;
	return ST_OK;
}

static void close_worker(void *ctx UNUSED, void *worker UNUSED) {}

static enum status take_unit(void *ctx, struct run *run UNUSED, void *worker UNUSED, const struct recorded_object *o UNUSED,
			     const struct load_plan_unit *u, struct chunk_source *chunks, bool *done, bool *unknown UNUSED, struct error *err)
{
	uint64_t rows = 0;
	bool end = false;

	for (struct chunk c = {0}; !end; rows += end ? 0 : c.rows)
		if (chunks->next(chunks, &c, &end, err))
			return err->code;
	CHECK_INT(rows, u->rows);
	*done = true;
	atomic_fetch_add((atomic_ullong *)ctx, rows);
	return ST_OK;
}

static bool want_all(void *ctx UNUSED, const struct recorded_object *o UNUSED) { return true; }

/* The dump is a child's, so that its memory is not counted. */
static void make_file(struct fake_archive *a, const struct fake_table *t, uint32_t chunk_size)
{
	CLEANUP(cstr_release) char *path = path_join(test_dir(), "archive");
	struct fake_db db = {.table = t, .tables = 1, .at_row = UINT64_MAX};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	int status;

	a->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(a->fd > 0);
	pid_t pid = fork();
	if (!pid) {
		fake_archive_open(a, chunk_size);
		CHECK_OK(fake_dump(&run, &db, a, chunk_size, 2, &e), e);
		fake_archive_finish(a);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

static void load_within(const struct fake_table *t, uint32_t chunk_size, unsigned jobs, uint64_t limit)
{
	struct budget_request q = {.mem_limit = limit, .jobs = jobs, .chunk_size = chunk_size, .load = true};
	CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
	struct fake_archive a = FAKE_ARCHIVE_INIT;
	atomic_ullong rows = 0;
	const struct load_calls calls = {.worker_open = open_worker, .worker_close = close_worker, .unit = take_unit, .ctx = &rows};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	struct budget b;

	if (SANITIZED)
		test_skip("the sanitizer's own memory is many times that of the run");
	CHECK_OK(budget_divide(&q, &b, &e), e);
	make_file(&a, t, chunk_size);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	const struct load_pipeline_spec spec = {.budget = &b, .reader = r, .wants = want_all};
	CHECK_OK(load_pipeline_new(&run, &spec, "shop", &p, &e), e);
	CHECK_OK(load_pipeline_preflight(p, &e), e);
	CHECK_OK(load_pipeline_run(p, &calls, &e), e);
	CHECK_INT(rows, t->rows * t->ranges);
	close(a.fd);
	check_high_water(limit);
}

TEST("a dump of noise, which does not shrink, stays below 64 MiB with chunks of 6 MiB and two jobs")
{
	static const struct fake_table t = {.name = "noise", .ranges = 4, .rows = 60000, .length = 1000, .noise = true};

	dump_within(&t, 1, 6u << 20, 2, 64 * MIB);
}

TEST("a dump with eight jobs asked for and chunks of 6 MiB stays below 64 MiB")
{
	static const struct fake_table t = {.name = "noise", .ranges = 16, .rows = 20000, .length = 1000, .noise = true};

	dump_within(&t, 1, 6u << 20, 8, 64 * MIB);
}

TEST("two hundred thousand members of chunks of 4 KiB stay below 40 MiB")
{
	static const struct fake_table t = {.name = "orders", .ranges = 2, .rows = 1000000, .length = 300};

	dump_within(&t, 1, 4096, 2, 40 * MIB);
}

TEST("a dump into 32 MiB works with fewer hands")
{
	static const struct fake_table t = {.name = "noise", .ranges = 2, .rows = 40000, .length = 1000, .noise = true};

	dump_within(&t, 1, 6u << 20, 8, 32 * MIB);
}

TEST("a load of noise stays below 64 MiB with chunks of 6 MiB, whatever number of jobs is asked for")
{
	static const struct fake_table t = {.name = "noise", .ranges = 4, .rows = 60000, .length = 1000, .noise = true};

	load_within(&t, 6u << 20, 8, 64 * MIB);
}

TEST("a load of two hundred thousand members stays below 40 MiB")
{
	static const struct fake_table t = {.name = "orders", .ranges = 2, .rows = 1000000, .length = 300};

	load_within(&t, 4096, 2, 40 * MIB);
}
