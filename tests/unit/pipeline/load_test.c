#include "tests/lib/test.h"
#include "tests/unit/pipeline/fake.h"

#include "util/thread.h"

#define CHUNK (64u * 1024)

static const struct fake_table shop[] = {
	{.name = "orders", .ranges = 3, .rows = 2000, .length = 370},
	{.name = "big", .ranges = 1, .rows = 40000, .length = 400},
	{.name = "blobs", .ranges = 2, .rows = 30, .length = 500, .large_every = 3, .large_length = 3 * CHUNK + 17},
	{.name = "empty", .ranges = 1, .rows = 0, .length = 1},
	{.name = "tiny", .ranges = 1, .rows = 1, .length = 1},
};

/* A target that joins what it is given and counts. */
struct target {
	pthread_mutex_t mutex;
	struct object_sum sum[ARRAY_LEN(shop)]; /* digest: of chunks, as a sum */
	struct hash128 bytes[ARRAY_LEN(shop)];
	atomic_uint opened, closed, units, journalled, interrupts;
	atomic_bool blocked, interrupted;
	const char *fail_object, *block_object, *lazy_object;
	bool unknown;
	struct cancel *cancel;
	struct strlist damaged;
	uint64_t rows_lost;
};

static enum status open_worker(void *ctx, struct run *run UNUSED, void **worker, struct error *err UNUSED)
{
	atomic_fetch_add(&((struct target *)ctx)->opened, 1);
	*worker = ctx;
	return ST_OK;
}

static void close_worker(void *ctx, void *worker)
{
	CHECK(ctx == worker);
	atomic_fetch_add(&((struct target *)ctx)->closed, 1);
}

static void interrupt_worker(void *ctx, void *worker)
{
	struct target *t = ctx;

	CHECK(ctx == worker);
	atomic_fetch_add(&t->interrupts, 1);
	atomic_store(&t->interrupted, true);
}

static enum status hang(struct target *t, struct error *err)
{
	struct run quiet = RUN_INIT;

	atomic_store(&t->blocked, true);
	while (!atomic_load(&t->interrupted))
		if (run_sleep(&quiet, DURATION_MS(1), err))
			return err->code;
	return error_set(err, ST_SERVER, "canceling statement due to user request");
}

static enum status refuse(struct target *t, bool *unknown, struct error *err)
{
	struct run quiet = RUN_INIT;

	while (t->block_object && !atomic_load(&t->blocked))
		if (run_sleep(&quiet, DURATION_MS(1), err))
			return err->code;
	*unknown = t->unknown;
	return error_set(err, ST_SERVER, "the server said no");
}

static enum status load_unit(void *ctx, struct run *run UNUSED, void *worker UNUSED, const struct recorded_object *o, const struct load_plan_unit *u,
			     struct chunk_source *chunks, bool *done, bool *unknown, struct error *err)
{
	struct target *t = ctx;
	struct object_sum sum = {0};
	struct hash128 bytes = {0};
	bool end = false;
	unsigned n = 0;

	CHECK_STR(o->scope, "shop");
	CHECK_STR(o->name, shop[o->id].name);
	CHECK_INT(u->object, o->id);
	CHECK_STR(js_opt_str(o->facts, "columns", ""), "id, text");
	while (!end) {
		struct chunk c;

		if (n++ == 2 && t->cancel)
			cancel_fire(t->cancel, 2);
		if (t->block_object && !strcmp(o->name, t->block_object))
			return hang(t, err);
		if (n > 2 && t->lazy_object && !strcmp(o->name, t->lazy_object))
			break;
		if (n > 2 && t->fail_object && !strcmp(o->name, t->fail_object))
			return refuse(t, unknown, err);
		if (chunks->next(chunks, &c, &end, err))
			return err->code;
		if (end)
			break;
		sum.rows += c.rows;
		sum.raw += c.len;
		bytes = hash128_add(bytes, xxh128(c.data, c.len));
	}
	mutex_lock(&t->mutex);
	t->sum[o->id].rows += sum.rows;
	t->sum[o->id].raw += sum.raw;
	t->bytes[o->id] = hash128_add(t->bytes[o->id], bytes);
	mutex_unlock(&t->mutex);
	atomic_fetch_add(&t->units, 1);
	*done = true;
	return ST_OK;
}

static enum status unit_done(void *ctx, const struct load_plan_unit *u, struct error *err UNUSED)
{
	CHECK(u->done && u->begun);
	atomic_fetch_add(&((struct target *)ctx)->journalled, 1);
	return ST_OK;
}

static void target_init(struct target *t)
{
	*t = (struct target){0};
	mutex_init(&t->mutex);
}

static void target_release(struct target *t)
{
	CHECK_INT(atomic_load(&t->opened), atomic_load(&t->closed));
	mutex_destroy(&t->mutex);
	strlist_release(&t->damaged);
}

static struct load_calls calls_of(struct target *t)
{
	return (struct load_calls){.worker_open = open_worker, .unit = load_unit, .worker_close = close_worker, .interrupt = interrupt_worker,
				   .unit_done = unit_done, .ctx = t};
}

static bool want_all(void *ctx UNUSED, const struct recorded_object *o UNUSED) { return true; }
static bool want_named(void *ctx, const struct recorded_object *o) { return !strcmp(o->name, ctx); }

static void damaged(void *ctx, const char *object, const struct member_row *row, const struct error *why)
{
	struct target *t = ctx;

	t->rows_lost += row->rows;
	strlist_take(&t->damaged, xasprintf("%s %u-%u: %s", object, row->range, row->part, error_text(why)));
}

static void make_archive_of(struct fake_archive *a, const struct fake_table *t, size_t n, uint32_t chunk_size)
{
	struct fake_db db = {.table = t, .tables = n, .at_row = UINT64_MAX};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;

	fake_archive_open(a, chunk_size);
	CHECK_OK(fake_dump(&run, &db, a, chunk_size, 3, &e), e);
	fake_archive_finish(a);
}

static void make_archive(struct fake_archive *a, uint32_t chunk_size) { make_archive_of(a, shop, ARRAY_LEN(shop), chunk_size); }

static void open_load(struct run *run, struct archive_reader *r, struct load_pipeline_spec *spec, unsigned jobs, struct load_pipeline **p)
{
	struct budget budget = fake_budget(archive_chunk_size(r), jobs, jobs, true);
	struct error e = ERROR_INIT;

	spec->budget = &budget;
	spec->reader = r;
	spec->wants = spec->wants ? spec->wants : want_all;
	CHECK_OK(load_pipeline_new(run, spec, "shop", p, &e), e);
}

/* Sums over the members as the index lists them. */
static void check_whole(struct archive_reader *r, const struct target *t)
{
	struct error e = ERROR_INIT;

	for (uint32_t i = 0; i < ARRAY_LEN(shop); i++) {
		CLEANUP(archive_object_release) struct archive_object o = {0};
		struct member_row *rows = NULL;
		struct hash128 bytes = {0};
		size_t n;

		CHECK_OK(archive_get_object(r, i, &o, &e), e);
		CHECK_OK(archive_member_rows(r, &o, &rows, &n, &e), e);
		for (size_t k = 0; k < n; k++)
			bytes = hash128_add(bytes, rows[k].raw_hash);
		free(rows);
		CHECK_INT(t->sum[i].rows, o.rows);
		CHECK_INT(t->sum[i].raw, o.raw);
		CHECK(hash128_equal(t->bytes[i], bytes));
	}
}

TEST("everything that was dumped is loaded once, by any number of jobs, at every size of chunk")
{
	static const uint32_t sizes[] = {4096, CHUNK, 6u << 20};

	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;

		make_archive(&a, sizes[s]);
		CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
		for (unsigned jobs = 1; jobs <= 3; jobs++) {
			CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
			CLEANUP(target_release) struct target t;
			struct progress progress = PROGRESS_INIT;
			struct load_pipeline_spec spec = {.progress = &progress};
			struct run run = RUN_INIT;
			struct error e = ERROR_INIT;
			size_t n;

			target_init(&t);
			const struct load_calls calls = calls_of(&t);
			open_load(&run, r, &spec, jobs, &p);
			CHECK_OK(load_pipeline_preflight(p, &e), e);
			CHECK_OK(load_pipeline_run(p, &calls, &e), e);
			check_whole(r, &t);
			load_pipeline_units(p, &n);
			CHECK_INT(atomic_load(&t.units), n);
			CHECK_INT(atomic_load(&t.journalled), n);
			CHECK_INT(atomic_load(&t.opened), jobs);
			uint64_t raw = 0;
			for (size_t i = 0; i < ARRAY_LEN(shop); i++)
				raw += t.sum[i].raw;
			CHECK_INT(atomic_load(&progress.done), raw);
		}
	}
}

TEST("a large range is several units of about 64 MiB that end at row borders, largest object first")
{
	static const struct fake_table t[] = {{.name = "small", .ranges = 3, .rows = 10, .length = 10},
					      {.name = "big", .ranges = 1, .rows = 20000, .length = 1000, .large_every = 2, .large_length = 14000}};
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
	struct load_pipeline_spec spec = {0};
	struct run run = RUN_INIT;
	uint64_t rows = 0;
	uint32_t part = 0;
	size_t n;

	make_archive_of(&a, t, ARRAY_LEN(t), CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	open_load(&run, r, &spec, 2, &p);
	const struct load_plan_unit *u = load_pipeline_units(p, &n);
	CHECK_INT(n, 3 + 3);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(u[i].object, 1);
		CHECK_INT(u[i].first_part, part);
		CHECK(u[i].raw < (65u << 20));
		CHECK(i == 2 || u[i].raw >= (64u << 20));
		part += u[i].parts;
		rows += u[i].rows;
	}
	CHECK_INT(rows, 20000);
	for (uint32_t i = 0; i < 3; i++)
		CHECK(u[3 + i].object == 0 && u[3 + i].range == i && u[3 + i].rows == 10);
}

TEST("where a driver takes smaller units, an object of middle size is up to eight of them")
{
	static const struct fake_table t[] = {{.name = "small", .ranges = 1, .rows = 10, .length = 10}, {.name = "middle", .ranges = 1, .rows = 20000, .length = 1000}};
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	struct run run = RUN_INIT;

	make_archive_of(&a, t, ARRAY_LEN(t), CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	static const struct {
		uint64_t least;
		size_t units;
	} c[] = {{0, 1}, {1, 8}, {8 << 20, 3}, {1 << 30, 1}};
	for (size_t k = 0; k < ARRAY_LEN(c); k++) {
		CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
		struct load_pipeline_spec spec = {.unit_least = c[k].least};
		uint64_t rows = 0;
		size_t n;

		open_load(&run, r, &spec, 2, &p);
		const struct load_plan_unit *u = load_pipeline_units(p, &n);
		CHECK_INT(n, c[k].units + 1);
		for (size_t i = 0; i < c[k].units; i++)
			rows += u[i].rows;
		CHECK_INT(rows, 20000);
	}
}

TEST("units that are done are not loaded again, and only wanted objects are")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
	CLEANUP(target_release) struct target t;
	char name[] = "orders";
	struct load_pipeline_spec spec = {.wants = want_named, .wants_ctx = name};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	size_t n;

	target_init(&t);
	const struct load_calls calls = calls_of(&t);
	make_archive(&a, CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	open_load(&run, r, &spec, 2, &p);
	struct load_plan_unit *u = load_pipeline_units(p, &n);
	CHECK_INT(n, 3);
	u[1].done = true;
	CHECK_OK(load_pipeline_run(p, &calls, &e), e);
	CHECK_INT(atomic_load(&t.units), 2);
	CHECK_INT(t.sum[0].rows, 4000);
	CHECK(!u[1].begun && u[0].begun);
	CHECK_OK(load_pipeline_run(p, &calls, &e), e);
	CHECK_INT(atomic_load(&t.units), 2);
}

TEST("a driver that does not take all chunks of a unit harms no other unit")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
	CLEANUP(target_release) struct target t;
	struct load_pipeline_spec spec = {0};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;

	target_init(&t);
	t.lazy_object = "big";
	const struct load_calls calls = calls_of(&t);
	make_archive(&a, CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	open_load(&run, r, &spec, 1, &p);
	CHECK_OK(load_pipeline_run(p, &calls, &e), e);
	CHECK_INT(t.sum[0].rows, 6000);
	CHECK_INT(t.sum[2].rows, 60);
}

/* The first member of an object, flipped in one bit or given back. */
static size_t member_at(struct archive_reader *r, uint32_t object, size_t i, size_t *length)
{
	CLEANUP(archive_object_release) struct archive_object o = {0};
	struct error e = ERROR_INIT;
	struct member_row *rows = NULL;
	size_t n;

	CHECK_OK(archive_get_object(r, object, &o, &e), e);
	CHECK_OK(archive_member_rows(r, &o, &rows, &n, &e), e);
	CHECK(i < n);
	size_t at = rows[i].offset;
	*length = rows[i].length;
	free(rows);
	return at;
}

TEST("a damaged member ends a load before a byte of it reaches the server, and preflight finds it at an end")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	size_t length;

	make_archive(&a, CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
		CLEANUP(target_release) struct target t;
		struct load_pipeline_spec spec = {0};
		size_t at = member_at(r, 1, i * 10, &length) + length / 2;

		target_init(&t);
		const struct load_calls calls = calls_of(&t);
		open_load(&run, r, &spec, 2, &p);
		a.bytes.data[at] ^= 4;
		if (i)
			CHECK_OK(load_pipeline_preflight(p, &e), e);
		else
			CHECK_ERR(load_pipeline_preflight(p, &e), e, ST_BAD, "public/big/0000-00000000.copy");
		CHECK_ERR(load_pipeline_run(p, &calls, &e), e, ST_BAD, "damaged");
		a.bytes.data[at] ^= 4;
	}
}

TEST("a salvage leaves out damaged members, and all parts of a row of which one is damaged")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
	CLEANUP(target_release) struct target t;
	struct load_pipeline_spec spec = {.salvage = true, .damaged = damaged, .damaged_ctx = &t};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	size_t length;

	target_init(&t);
	const struct load_calls calls = calls_of(&t);
	make_archive(&a, CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	a.bytes.data[member_at(r, 0, 1, &length)] ^= 1;
	a.bytes.data[member_at(r, 2, 3, &length)] ^= 1; /* 2 rows, then a large one in parts 1 to 4 */
	open_load(&run, r, &spec, 2, &p);
	CHECK_OK(load_pipeline_preflight(p, &e), e);
	CHECK_OK(load_pipeline_run(p, &calls, &e), e);
	strlist_sort(&t.damaged);
	CHECK_INT(t.damaged.len, 5);
	CHECK_HAS(t.damaged.item[0], "blobs 0-1: of the same row as part 3");
	CHECK_HAS(t.damaged.item[2], "blobs 0-3: ");
	CHECK_HAS(t.damaged.item[2], "checksum");
	CHECK_HAS(t.damaged.item[4], "orders 0-1: ");
	CHECK_INT(t.sum[2].rows, 59);
	CHECK_INT(t.sum[0].rows + t.sum[2].rows + t.rows_lost, 6060);
	CHECK_INT(t.sum[1].rows, 40000);
}

TEST("an error of one loader ends the others, and a unit whose commit is unknown is told")
{
	for (unsigned jobs = 1; jobs <= 3; jobs++) {
		CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
		CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
		CLEANUP(target_release) struct target t;
		struct load_pipeline_spec spec = {0};
		struct run run = RUN_INIT;
		struct error e = ERROR_INIT;
		size_t n, unknown = 0;

		target_init(&t);
		t.fail_object = "orders";
		t.block_object = jobs == 2 ? "big" : NULL;
		t.unknown = true;
		const struct load_calls calls = calls_of(&t);
		make_archive(&a, CHUNK);
		CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
		open_load(&run, r, &spec, jobs == 2 ? 4 : jobs, &p);
		CHECK_ERR(load_pipeline_run(p, &calls, &e), e, ST_SERVER, "orders: the server said no");
		const struct load_plan_unit *u = load_pipeline_units(p, &n);
		for (size_t i = 0; i < n; i++)
			unknown += u[i].unknown;
		CHECK(unknown >= 1);
		CHECK(jobs != 2 || atomic_load(&t.interrupts) > 0);
	}
}

TEST("a cancel and a deadline end a load")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	struct error e = ERROR_INIT;

	make_archive(&a, CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	for (int late = 0; late < 2; late++) {
		CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
		CLEANUP(target_release) struct target t;
		CLEANUP(cancel_freep) struct cancel *c = cancel_new(NULL);
		struct load_pipeline_spec spec = {0};
		struct run base = {.cancel = c}, run = late ? run_within(&base, DURATION_MS(300)) : base;

		target_init(&t);
		t.cancel = late ? NULL : c;
		t.block_object = late ? "big" : NULL;
		const struct load_calls calls = calls_of(&t);
		open_load(&run, r, &spec, 2, &p);
		CHECK_ERR(load_pipeline_run(p, &calls, &e), e, late ? ST_DEADLINE : ST_CANCELLED, "");
	}
}

TEST("a load may be ended at any moment")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;

	make_archive(&a, CHUNK);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	for (int64_t us = 0; us < 20000; us += 500) {
		CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
		CLEANUP(target_release) struct target t;
		struct load_pipeline_spec spec = {0};
		struct run open = RUN_INIT, run = RUN_INIT;
		struct error e = ERROR_INIT;

		target_init(&t);
		const struct load_calls calls = calls_of(&t);
		open_load(&run, r, &spec, 1 + (unsigned)(us / 500) % 3, &p);
		run = run_within(&open, (struct duration){us});
		enum status st = load_pipeline_run(p, &calls, &e);
		CHECK(!st || st == ST_DEADLINE);
		error_release(&e);
	}
}
