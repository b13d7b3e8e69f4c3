#include "tests/lib/test.h"

#include "archive/archive.h"
#include "pipeline/budget.h"
#include "util/fs.h"

#define MIB ((uint64_t)1 << 20)

static void check_sound(const struct budget_request *q, const struct budget *b)
{
	CHECK(budget_total(b) <= b->mem_limit);
	CHECK(b->jobs >= 1 && b->compressors >= 1);
	CHECK(!q->jobs || b->jobs <= q->jobs);
	CHECK(b->raw_size >= q->chunk_size);
	CHECK(b->stored_size >= member_bound(NULL, q->chunk_size));
	CHECK(b->raw_buffers >= b->jobs);
	CHECK(b->stored_buffers >= (q->load ? b->jobs : b->compressors));
	CHECK_INT(b->raw_buffers % (q->load ? b->jobs : 1), 0);
}

TEST("the division of memory never exceeds the limit, and names the least that would do where even one job does not fit")
{
	static const uint32_t chunks[] = {4096, 65536, 1u << 20, 6u << 20, 64u << 20};

	for (uint64_t limit = 8; limit <= 1024; limit *= 2)
		for (size_t c = 0; c < ARRAY_LEN(chunks); c++)
			for (unsigned jobs = 0; jobs <= 64; jobs = jobs * 2 + 1)
				for (int load = 0; load < 2; load++) {
					struct budget_request q = {.mem_limit = limit * MIB, .jobs = jobs, .chunk_size = chunks[c], .load = load};
					struct error e = ERROR_INIT;
					struct budget b;
					unsigned least;

					if (!budget_divide(&q, &b, &e)) {
						check_sound(&q, &b);
						continue;
					}
					CHECK_INT(e.code, ST_MEMORY);
					CHECK_INT(sscanf(strstr(error_text(&e), "at least ") + 9, "%u MiB", &least), 1);
					error_release(&e);
					CHECK(least > limit);
					q.mem_limit = least * MIB;
					CHECK_OK(budget_divide(&q, &b, &e), e);
					check_sound(&q, &b);
				}
}

TEST("the default of 64 MiB is enough for two readers, two compressors and chunks of 6 MiB, in both directions")
{
	for (int load = 0; load < 2; load++) {
		struct budget_request q = {.mem_limit = 64 * MIB, .jobs = 2, .chunk_size = 6u << 20, .load = load};
		struct error e = ERROR_INIT;
		struct budget b;

		CHECK_OK(budget_divide(&q, &b, &e), e);
		CHECK_INT(b.jobs, 2);
		CHECK(b.raw_buffers >= 4);
	}
}

TEST("more jobs than memory has room for become fewer")
{
	struct budget_request q = {.mem_limit = 64 * MIB, .jobs = 8, .chunk_size = 6u << 20};
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct error e = ERROR_INIT;
	struct budget b;

	CHECK_OK(budget_divide(&q, &b, &e), e);
	CHECK(b.jobs >= 2 && b.jobs < 8);
	budget_print(&b, &text);
	CHECK_HAS(text.data, "memory limit 64 MiB");
	q.chunk_size = 4096;
	CHECK_OK(budget_divide(&q, &b, &e), e);
	CHECK_INT(b.jobs, 8);
}

TEST("stores that gather parts get two buffers each where they fit, more where there is room, and one where there is little")
{
	struct budget_request q = {.jobs = 4, .chunk_size = 6u << 20, .large = true, .part_stores = 1, .part_size = 16u << 20,
				   .mem_limit = 96 * MIB};
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct error e = ERROR_INIT;
	struct budget b;

	CHECK_OK(budget_divide(&q, &b, &e), e);
	CHECK(b.part_buffers >= 2 && budget_total(&b) <= b.mem_limit);
	budget_print(&b, &text);
	CHECK_HAS(text.data, "parts of objects");
	q.part_stores = 2;
	CHECK_OK(budget_divide(&q, &b, &e), e);
	CHECK(b.part_buffers >= 1 && budget_total(&b) <= b.mem_limit);
	q.mem_limit = 1024 * MIB;
	CHECK_OK(budget_divide(&q, &b, &e), e);
	CHECK(b.part_buffers == 8 && budget_total(&b) <= b.mem_limit);
}

static void put_file(const char *path, const char *text)
{
	struct error e = ERROR_INIT;

	CHECK_OK(fs_write_file(path, 0600, text, strlen(text), &e), e);
}

TEST("the memory limit is the least of the control groups of the process, old and new")
{
	struct error e = ERROR_INIT;
	CLEANUP(cstr_release) char *sys = path_join(test_dir(), "sys"), *self = path_join(test_dir(), "self");
	CLEANUP(cstr_release) char *inner = path_join(sys, "a/b"), *old = path_join(sys, "memory/x");
	CLEANUP(cstr_release) char *inner_max = path_join(inner, "memory.max"), *outer_max = path_join(sys, "a/memory.max");
	CLEANUP(cstr_release) char *old_max = path_join(old, "memory.limit_in_bytes");

	CHECK_INT(budget_cgroup_limit(sys, self), 0);
	CHECK_OK(fs_mkdirs(inner, 0700, &e), e);
	CHECK_OK(fs_mkdirs(old, 0700, &e), e);
	put_file(self, "0::/a/b\n");
	CHECK_INT(budget_cgroup_limit(sys, self), 0);
	put_file(inner_max, "max\n");
	CHECK_INT(budget_cgroup_limit(sys, self), 0);
	put_file(outer_max, "104857600\n");
	CHECK_INT(budget_cgroup_limit(sys, self), 104857600);
	put_file(inner_max, "52428800\n");
	CHECK_INT(budget_cgroup_limit(sys, self), 52428800);
	put_file(old_max, "1000000\n");
	put_file(self, "5:cpu,cpuacct:/y\n4:memory:/x\n0::/a/b\n");
	CHECK_INT(budget_cgroup_limit(sys, self), 1000000);
	put_file(self, "garbage\n::\n0::\n4:memory:\n");
	CHECK_INT(budget_cgroup_limit(sys, self), 0);
}
