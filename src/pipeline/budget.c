#include "pipeline/budget.h"

#include <sched.h>

#include "archive/archive.h"
#include "pipeline/batch.h"
#include "pipeline/crew.h"
#include "util/fs.h"
#include "util/time.h"

#define MIB ((uint64_t)1024 * 1024)
#define LIMIT_DEFAULT (64 * MIB)
#define LIMIT_LARGE (96 * MIB)
#define JOBS_DEFAULT 8u
/* Measured: code and data of the process with its libraries, the archive's own small buffers, the allocator's slack. */
#define FIXED_PROCESS (16 * MIB)
#define FIXED_CONNECTION (512u * 1024) /* buffers of the client library, TLS, stacks */
#define FIXED_COMPRESSOR (768u * 1024 + BATCH_EXTRA + 2 * MEMBER_ROOM) /* gzip state, stack, room for a small chunk */
#define FIXED_STORE (4 * MIB)  /* connections of a store on the network: TLS, libraries, threads */
#define PARTS_USUAL 2u         /* one is filled while another one is sent */
#define PARTS_MOST 8u
#define WINDOW_MAX (4 * MIB)
#define WINDOW_MIN (MIB / 4)
#define SMALL_BUFFER (512u * 1024) /* a smaller one would cost a wake-up for too few small chunks */

static unsigned processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

/* The number in a file of the kernel; 0 where there is none or it says "max". */
static uint64_t number_in(const char *path)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	uint64_t n = 0;

	if (fs_read_file(path, 64, &text, &err) || !text.len || text.data[0] < '0' || text.data[0] > '9')
		return 0;
	for (const char *c = text.data; *c >= '0' && *c <= '9'; c++)
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(*c - '0'), &n))
			return 0;
	return n;
}

static uint64_t least_of(uint64_t a, uint64_t b) { return !a || (b && b < a) ? b : a; }

/* The least limit from the group named to the top. `group` is changed. */
static uint64_t limit_upwards(const char *top, char *group, const char *file)
{
	uint64_t least = 0;

	for (;;) {
		CLEANUP(cstr_release) char *path = xasprintf("%s%s/%s", top, group, file);
		char *slash = strrchr(group, '/');

		least = least_of(least, number_in(path));
		if (!slash)
			return least;
		*slash = 0;
	}
}

uint64_t budget_cgroup_limit(const char *sys, const char *self)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *v1 = xasprintf("%s/memory", sys);
	uint64_t least = 0;

	if (fs_read_file(self, 64 * 1024, &text, &err))
		return 0;
	/* Lines "0::/group" (version 2) and "4:memory:/group" (version 1). */
	for (char *line = text.data, *end; line && *line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = 0;
		char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = 0;
		if (!strcmp(list + 1, ""))
			least = least_of(least, limit_upwards(sys, group, "memory.max"));
		else if (!strcmp(list + 1, "memory"))
			least = least_of(least, limit_upwards(v1, group, "memory.limit_in_bytes"));
	}
	return least;
}

uint64_t budget_limit(uint64_t mem_limit, bool large)
{
	const uint64_t usual = large ? LIMIT_LARGE : LIMIT_DEFAULT;

	if (mem_limit)
		return mem_limit;
	const uint64_t group = budget_cgroup_limit("/sys/fs/cgroup", "/proc/self/cgroup");
	return group ? min_u64(usual, group / 4 * 3) : usual;
}

static uint64_t fixed_of(const struct budget *b)
{
	return FIXED_PROCESS + b->others + (uint64_t)b->part_stores * FIXED_STORE + (uint64_t)b->jobs * (FIXED_CONNECTION + b->each_reader) +
	       (uint64_t)b->compressors * FIXED_COMPRESSOR;
}

uint64_t budget_total(const struct budget *b)
{
	return b->fixed + (uint64_t)b->raw_buffers * b->raw_size + (uint64_t)b->stored_buffers * b->stored_size + b->store_window +
	       (uint64_t)b->part_stores * b->part_buffers * b->part_size;
}

static bool fits(struct budget *b)
{
	b->fixed = fixed_of(b);
	return budget_total(b) <= b->mem_limit;
}

static enum status too_little(const struct budget *b, uint32_t chunk_size, struct error *err)
{
	CLEANUP(buf_release) struct buf has = BUF_INIT;
	CLEANUP(buf_release) struct buf chunk = BUF_INIT;
	uint64_t least = (budget_total(b) + MIB - 1) / MIB;

	size_print(b->mem_limit, &has);
	size_print(chunk_size, &chunk);
	error_set(err, ST_MEMORY, "a memory limit of %s is too little for chunks of %s: at least %" PRIu64 " MiB are needed",
		  has.data, chunk.data, least);
	return error_hint(err, "Set --mem-limit to %" PRIu64 "m or more.", least);
}

/* Readers and compressors are taken away in turn until a working set fits: a batch for each reader, and one for each compressor
 * but one. What is left buys batches up to one more than all can hold at a time. */
static enum status divide_dump(struct budget *b, uint32_t chunk_size, struct error *err)
{
	b->raw_size = batch_size(chunk_size);
	b->stored_size = max_u64(member_bound(NULL, chunk_size), SMALL_BUFFER);
	for (;;) {
		b->raw_buffers = b->jobs + b->compressors - 1;
		b->stored_buffers = b->compressors;
		if (fits(b))
			break;
		if (b->jobs == 1 && b->compressors == 1) {
			if (b->store_window == WINDOW_MIN && b->part_buffers <= 1)
				return too_little(b, chunk_size, err);
			if (b->part_buffers > 1)
				b->part_buffers--;
			else
				b->store_window = WINDOW_MIN;
		} else if (b->compressors >= b->jobs) {
			b->compressors--;
		} else {
			b->jobs--;
		}
	}
	unsigned wanted = b->jobs + b->compressors + 1;
	while (b->raw_buffers < wanted) {
		b->raw_buffers++;
		if (!fits(b)) {
			b->raw_buffers--;
			break;
		}
	}
	while (b->part_buffers && b->part_buffers < PARTS_MOST) {
		b->part_buffers++;
		if (!fits(b)) {
			b->part_buffers--;
			break;
		}
	}
	fits(b);
	return ST_OK;
}

/* Each loader has a stored buffer and two plain ones, one of them with the server; a third where there is room. */
static enum status divide_load(struct budget *b, uint32_t chunk_size, struct error *err)
{
	size_t plain = (size_t)chunk_size + ARCHIVE_SLACK;

	b->raw_size = max_u64(plain, SMALL_BUFFER);
	b->stored_size = gzip_bound(NULL, plain);
	b->store_window = 0;
	for (unsigned each = 2; each; each--)
		for (unsigned jobs = each == 2 ? b->jobs : 1; jobs; jobs--) {
			*b = (struct budget){.mem_limit = b->mem_limit, .jobs = jobs, .compressors = jobs, .raw_size = b->raw_size,
					     .stored_size = b->stored_size, .raw_buffers = each * jobs, .stored_buffers = jobs,
					     .each_reader = b->each_reader, .others = b->others};
			if (!fits(b))
				continue;
			b->raw_buffers += jobs;
			if (!fits(b))
				b->raw_buffers -= jobs;
			fits(b);
			return ST_OK;
		}
	return too_little(b, chunk_size, err);
}

enum status budget_divide(const struct budget_request *q, struct budget *b, struct error *err)
{
	unsigned cpus = processors();

	*b = (struct budget){.mem_limit = budget_limit(q->mem_limit, q->large), .each_reader = q->load ? q->each_reader : 0, .others = q->others};
	b->jobs = q->jobs ? q->jobs : cpus < JOBS_DEFAULT ? cpus : JOBS_DEFAULT;
	if (b->jobs > CREW_WORKERS)
		b->jobs = CREW_WORKERS;
	b->compressors = cpus < CREW_WORKERS ? cpus : CREW_WORKERS;
	if (q->load)
		return divide_load(b, q->chunk_size, err);
	b->part_stores = q->part_stores;
	b->part_size = q->part_size;
	b->part_buffers = q->part_stores ? PARTS_USUAL : 0;
	b->store_window = (size_t)min_u64(WINDOW_MAX, max_u64(b->mem_limit / 16, WINDOW_MIN));
	return divide_dump(b, q->chunk_size, err);
}

static void print_buffers(struct buf *to, const char *what, unsigned n, size_t size)
{
	buf_printf(to, "  %-18s %u x ", what, n);
	size_print(size, to);
	buf_putc(to, '\n');
}

void budget_print(const struct budget *b, struct buf *to)
{
	buf_puts(to, "memory limit ");
	size_print(b->mem_limit, to);
	buf_printf(to, ": %u connections, %u threads that %s\n", b->jobs, b->compressors, b->store_window ? "compress" : "inflate");
	print_buffers(to, b->store_window ? "rows" : "plain chunks", b->raw_buffers, b->raw_size);
	print_buffers(to, "stored chunks", b->stored_buffers, b->stored_size);
	if (b->store_window)
		print_buffers(to, "stores", 1, b->store_window);
	if (b->part_stores)
		print_buffers(to, "parts of objects", b->part_stores * b->part_buffers, b->part_size);
	print_buffers(to, "program, libraries", 1, b->fixed);
}
