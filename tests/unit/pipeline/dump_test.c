#include "tests/lib/test.h"
#include "tests/unit/pipeline/fake.h"

#define CHUNK (64u * 1024)

static const struct fake_table shop[] = {
	{.name = "orders", .ranges = 5, .rows = 2000, .length = 370},
	{.name = "items", .ranges = 1, .rows = 30000, .length = 40},
	{.name = "blobs", .ranges = 2, .rows = 30, .length = 500, .large_every = 3, .large_length = 3 * CHUNK + 17, .noise = true},
	{.name = "empty", .ranges = 1, .rows = 0, .length = 1},
	{.name = "tiny", .ranges = 1, .rows = 1, .length = 1},
	{.name = "half empty", .ranges = 3, .rows = 1, .length = 60000},
};

static void dump_shop(struct fake_archive *a, const struct fake_table *t, size_t n, uint32_t chunk_size, unsigned jobs)
{
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	struct fake_db db = {.table = t, .tables = n, .at_row = UINT64_MAX};

	fake_archive_open(a, chunk_size);
	CHECK_OK(fake_dump(&run, &db, a, chunk_size, jobs, &e), e);
	CHECK_INT(atomic_load(&db.opened), atomic_load(&db.closed));
	fake_archive_finish(a);
}

TEST("any number of jobs makes the same set of members")
{
	static const uint32_t sizes[] = {4096, CHUNK, 1u << 20};

	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		CLEANUP(strlist_release) struct strlist first = STRLIST_INIT;

		for (unsigned jobs = 1; jobs <= 4; jobs++) {
			CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
			CLEANUP(strlist_release) struct strlist got = STRLIST_INIT;

			dump_shop(&a, shop, ARRAY_LEN(shop), sizes[s], jobs);
			fake_members(&a, jobs == 1 ? &first : &got);
			for (size_t i = 0; i < got.len && jobs > 1; i++)
				CHECK_STR(got.item[i], first.item[i]);
			CHECK_INT(jobs == 1 ? first.len : got.len, first.len);
		}
		CHECK(first.len > 10);
	}
}

/* What the pieces of each range join to, and the sums of the index, against the rows themselves. */
static void check_table(struct archive_reader *r, uint32_t id, const struct fake_table *t, uint32_t chunk_size)
{
	CLEANUP(archive_object_release) struct archive_object o = {0};
	CLEANUP(buf_release) struct buf joined = BUF_INIT;
	CLEANUP(buf_release) struct buf row = BUF_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	struct error e = ERROR_INIT;
	struct member_row *rows = NULL;
	struct hash128 digest = {0};
	uint64_t total = 0;
	size_t n = 0, at = 0;

	CHECK_OK(archive_get_object(r, id, &o, &e), e);
	CHECK_STR(o.name, t->name);
	CHECK_OK(archive_member_rows(r, &o, &rows, &n, &e), e);
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf stored = BUF_INIT, plain = BUF_INIT, path = BUF_INIT;
		const void *raw;

		CHECK(rows[i].raw <= chunk_size);
		buf_reserve(&stored, rows[i].length);
		buf_reserve(&plain, rows[i].plain);
		archive_part_path(o.path, o.ext, rows[i].range, rows[i].part, &path);
		CHECK_OK(archive_fetch(r, &rows[i], stored.data, &e), e);
		CHECK_OK(archive_unpack(z, &rows[i], path.data, stored.data, plain.data, &raw, &e), e);
		buf_put(&joined, raw, rows[i].raw);
	}
	free(rows);
	for (uint32_t range = 0; range < t->ranges; range++)
		for (uint64_t i = 0; i < t->rows; i++) {
			fake_row(t, range, i, &row);
			CHECK(joined.len - at >= row.len && !memcmp(joined.data + at, row.data, row.len));
			at += row.len;
			total++;
			digest = hash128_add(digest, xxh128(row.data, row.len));
		}
	CHECK_INT(at, joined.len);
	CHECK_INT(o.raw, joined.len);
	CHECK_INT(o.rows, total);
	CHECK(hash128_equal(o.digest, digest));
	CHECK(!strcmp(o.scope, "shop"));
}

TEST("the pieces of every table join to its rows, and the index holds their sums, at every size of chunk")
{
	static const uint32_t sizes[] = {4096, 10000, CHUNK, 6u << 20};

	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;

		dump_shop(&a, shop, ARRAY_LEN(shop), sizes[s], 3);
		CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
		for (uint32_t i = 0; i < ARRAY_LEN(shop); i++)
			check_table(r, i, &shop[i], sizes[s]);
	}
}

TEST("an object without rows has a line in the index and no member")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(archive_object_release) struct archive_object o = {0};
	struct error e = ERROR_INIT;

	dump_shop(&a, shop, ARRAY_LEN(shop), CHUNK, 2);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	CHECK_OK(archive_get_object(r, 3, &o, &e), e);
	CHECK_STR(o.name, "empty");
	CHECK_STR(o.path, "db/shop/data/public/empty");
	CHECK_INT(o.members, 0);
	CHECK_INT(o.rows, 0);
}

TEST("a row that is inserted early changes few members")
{
	struct fake_table t = {.name = "orders", .ranges = 1, .rows = 40000, .length = 300};
	CLEANUP(strlist_release) struct strlist before = STRLIST_INIT, after = STRLIST_INIT;
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT, b = FAKE_ARCHIVE_INIT;
	size_t same = 0;

	dump_shop(&a, &t, 1, CHUNK, 2);
	fake_members(&a, &before);
	t.insert_at = 50;
	dump_shop(&b, &t, 1, CHUNK, 2);
	fake_members(&b, &after);
	CHECK(before.len > 100);
	for (size_t i = 0; i < after.len; i++)
		for (size_t k = 0; k < before.len; k++)
			same += !strncmp(strstr(after.item[i], " digest"), strstr(before.item[k], " digest"), strlen(" digest ") + HASH128_HEX - 1);
	CHECK(same + 5 > before.len);
}

TEST("rows at every border of chunk_size are cut where they must be")
{
	static const int around[] = {-1, 0, 1};

	for (size_t k = 0; k < ARRAY_LEN(around); k++)
		for (uint64_t every = 1; every <= 3; every++)
			for (size_t times = 1; times <= 3; times++) {
				struct fake_table t = {.name = "blobs", .ranges = 2, .rows = 12, .length = 1365, .large_every = every,
						       .large_length = (size_t)((int)(4096 * times) + around[k])};
				CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;

				dump_shop(&a, &t, 1, 4096, 2);
				CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
				check_table(r, 0, &t, 4096);
			}
}

TEST("a row larger than a chunk has its parts for itself, all but the last open")
{
	struct fake_table t = {.name = "blobs", .ranges = 1, .rows = 3, .length = 10, .large_every = 2, .large_length = 10000};
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(strlist_release) struct strlist m = STRLIST_INIT;

	dump_shop(&a, &t, 1, 4096, 1);
	fake_members(&a, &m);
	CHECK_INT(m.len, 5);
	CHECK_HAS(m.item[0], "0000-00000000 rows 1 raw 10 open 0");
	CHECK_HAS(m.item[1], "0000-00000001 rows 1 raw 4096 open 1 digest 00000000000000000000000000000000");
	CHECK_HAS(m.item[2], "0000-00000002 rows 0 raw 4096 open 1 digest 00000000000000000000000000000000");
	CHECK_HAS(m.item[3], "0000-00000003 rows 0 raw 1808 open 0");
	CHECK_HAS(m.item[4], "0000-00000004 rows 1 raw 10 open 0");
}

TEST("ten thousand small tables are dumped by several readers")
{
	struct fake_table *t = xcalloc(10000, sizeof *t);
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;

	for (size_t i = 0; i < 10000; i++)
		t[i] = (struct fake_table){.name = xasprintf("t%zu", i), .ranges = 1, .rows = i % 7, .length = 90};
	dump_shop(&a, t, 10000, 6u << 20, 3);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	CHECK_INT(archive_object_count(r) > 10000, 1);
	check_table(r, 6, &t[6], 6u << 20);
	check_table(r, 9999, &t[9999], 6u << 20);
	for (size_t i = 0; i < 10000; i++)
		free((char *)(uintptr_t)t[i].name);
	free(t);
}

/* ---- ends ---- */

static enum status dump_fault(struct run *run, struct fake_db *db, struct fake_archive *a, unsigned jobs, struct error *err)
{
	db->table = shop;
	db->tables = ARRAY_LEN(shop);
	fake_archive_open(a, CHUNK);
	enum status st = fake_dump(run, db, a, CHUNK, jobs, err);
	CHECK_INT(atomic_load(&db->opened), atomic_load(&db->closed));
	return st;
}

TEST("an error of one reader ends the others and is the error of the run")
{
	for (unsigned jobs = 1; jobs <= 4; jobs++) {
		CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
		struct fake_db db = {.fail_table = "items", .at_row = 20000};
		struct run run = RUN_INIT;
		struct error e = ERROR_INIT;

		CHECK_ERR(dump_fault(&run, &db, &a, jobs, &e), e, ST_SERVER, "items: the server said no");
	}
}

TEST("a reader that hangs in its client library is interrupted when another fails")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	struct fake_db db = {.fail_table = "items", .at_row = 20, .block_table = "orders"};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;

	CHECK_ERR(dump_fault(&run, &db, &a, 3, &e), e, ST_SERVER, "items: the server said no");
	CHECK(atomic_load(&db.interrupts) > 0);
}

TEST("a connection that is refused ends the dump")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	struct fake_db db = {.refuse_worker = 2, .at_row = UINT64_MAX};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;

	CHECK_ERR(dump_fault(&run, &db, &a, 3, &e), e, ST_UNREACHABLE, "too many connections");
}

TEST("an archive that cannot be written ends the dump with its own error")
{
	for (unsigned jobs = 1; jobs <= 4; jobs++) {
		CLEANUP(fake_archive_release) struct fake_archive a = {.fail_after = 100000};
		struct fake_db db = {.at_row = UINT64_MAX};
		struct run run = RUN_INIT;
		struct error e = ERROR_INIT;

		CHECK_ERR(dump_fault(&run, &db, &a, jobs, &e), e, ST_NO_SPACE, "no room on the fake disk");
	}
}

TEST("a cancel in the middle of a dump ends it as cancelled, with the signal, whatever the driver says then")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(cancel_freep) struct cancel *c = cancel_new(NULL);
	struct fake_db db = {.cancel_table = "items", .cancel = c, .at_row = 20, .block_table = "orders"};
	struct run run = {.cancel = c};
	struct error e = ERROR_INIT;

	CHECK_INT(dump_fault(&run, &db, &a, 3, &e), ST_CANCELLED);
	CHECK_INT(e.exit_signal, 15);
	error_release(&e);
}

TEST("a dump ends at its deadline even when a reader hangs")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	struct fake_db db = {.at_row = 20, .block_table = "orders"};
	struct run base = RUN_INIT, run = run_within(&base, DURATION_MS(50));
	struct error e = ERROR_INIT;

	CHECK_ERR(dump_fault(&run, &db, &a, 2, &e), e, ST_DEADLINE, "time limit");
}

TEST("a dump may be ended at any moment")
{
	for (int64_t us = 0; us < 30000; us += 500) {
		CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
		struct fake_db db = {.at_row = UINT64_MAX};
		struct run base = RUN_INIT, run = run_within(&base, (struct duration){us});
		struct error e = ERROR_INIT;
		enum status st = dump_fault(&run, &db, &a, 1 + (unsigned)(us / 500) % 4, &e);

		CHECK(!st || st == ST_DEADLINE);
		error_release(&e);
	}
}

TEST("a slow store holds the readers back and nothing is lost")
{
	CLEANUP(fake_archive_release) struct fake_archive a = {.slow = DURATION_MS(2)};
	CLEANUP(strlist_release) struct strlist m = STRLIST_INIT;

	dump_shop(&a, shop, 2, CHUNK, 4);
	fake_members(&a, &m);
	CHECK(m.len > 50);
}

TEST("a pipeline that has failed refuses to run again")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(dump_pipeline_freep) struct dump_pipeline *p = NULL;
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	struct fake_db db = {.table = shop, .tables = 2, .fail_table = "items", .at_row = 5};
	struct budget budget = fake_budget(CHUNK, 2, 2, false);
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	const struct dump_calls calls = fake_calls(&db);

	fake_archive_open(&a, CHUNK);
	const struct dump_pipeline_spec spec = {.budget = &budget, .chunk_size = CHUNK, .writer = a.writer};
	CHECK_OK(dump_pipeline_new(&run, &spec, &p, &e), e);
	struct object_sink sink = dump_object_sink(p, plan, "shop");
	fake_objects(&db, &sink);
	CHECK_ERR(dump_pipeline_run(p, plan, &calls, &e), e, ST_SERVER, "the server said no");
	CHECK_ERR(dump_pipeline_run(p, plan, &calls, &e), e, ST_FAILED, "failed before");
}

/* ---- sums, entries, scopes ---- */

TEST("a digest gives the sums of a dump and keeps nothing")
{
	CLEANUP(dump_pipeline_freep) struct dump_pipeline *p = NULL;
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	struct fake_db db = {.table = shop, .tables = ARRAY_LEN(shop), .at_row = UINT64_MAX};
	struct budget budget = fake_budget(CHUNK, 3, 2, false);
	struct progress progress = PROGRESS_INIT;
	const struct dump_pipeline_spec spec = {.budget = &budget, .chunk_size = CHUNK, .progress = &progress};
	const struct dump_calls calls = fake_calls(&db);
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;
	uint64_t raw = 0;

	CHECK_OK(dump_pipeline_new(&run, &spec, &p, &e), e);
	struct object_sink sink = dump_object_sink(p, plan, "shop");
	fake_objects(&db, &sink);
	CHECK_INT(dump_plan_objects(plan), ARRAY_LEN(shop));
	CHECK_OK(dump_pipeline_run(p, plan, &calls, &e), e);
	dump_shop(&a, shop, ARRAY_LEN(shop), CHUNK, 2);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	for (uint32_t i = 0; i < ARRAY_LEN(shop); i++) {
		CLEANUP(archive_object_release) struct archive_object o = {0};
		struct object_sum s = dump_plan_sum(plan, i);

		CHECK_OK(archive_get_object(r, i, &o, &e), e);
		CHECK_INT(s.rows, o.rows);
		CHECK_INT(s.raw, o.raw);
		CHECK(hash128_equal(s.digest, o.digest));
		raw += s.raw;
	}
	CHECK_INT(atomic_load(&progress.done), raw);
}

TEST("a digest ends at a cancel")
{
	CLEANUP(dump_pipeline_freep) struct dump_pipeline *p = NULL;
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	CLEANUP(cancel_freep) struct cancel *c = cancel_new(NULL);
	static const struct fake_table endless = {.name = "endless", .ranges = 1, .rows = UINT64_MAX, .length = 50};
	struct fake_db db = {.table = &endless, .tables = 1, .cancel_table = "endless", .at_row = 1000, .cancel = c};
	struct budget budget = fake_budget(CHUNK, 1, 1, false);
	const struct dump_pipeline_spec spec = {.budget = &budget, .chunk_size = CHUNK};
	const struct dump_calls calls = fake_calls(&db);
	struct run run = {.cancel = c};
	struct error e = ERROR_INIT;

	CHECK_OK(dump_pipeline_new(&run, &spec, &p, &e), e);
	struct object_sink sink = dump_object_sink(p, plan, "shop");
	fake_objects(&db, &sink);
	CHECK_ERR(dump_pipeline_run(p, plan, &calls, &e), e, ST_CANCELLED, "");
}

struct text {
	const char *p;
	size_t left;
};

static enum status read_text(void *ctx, void *to, size_t cap, size_t *got, struct error *err UNUSED)
{
	struct text *t = ctx;

	*got = min_size(cap, t->left);
	memcpy(to, t->p, *got);
	t->p += *got;
	t->left -= *got;
	return ST_OK;
}

static enum status add_entry(const struct entry_sink *s, const char *path, const char *text, struct error *err)
{
	struct text t = {text, strlen(text)};
	const struct dump_entry entry = {.path = path, .size = t.left};

	return s->entry(s->ctx, &entry, (struct byte_source){.read = read_text, .ctx = &t}, err);
}

static enum status to_buf(void *ctx, const void *p, size_t n, struct error *err UNUSED)
{
	buf_put(ctx, p, n);
	return ST_OK;
}

static enum status count_object(void *arg, const struct recorded_object *o, struct error *err)
{
	++*(unsigned *)arg;
	if (!strcmp(o->name, "stop"))
		return error_set(err, ST_FAILED, "stop");
	CHECK_STR(js_opt_str(o->facts, "columns", ""), "id, text");
	return ST_OK;
}

TEST("two databases and entries of none share an archive, and each is found again by its name")
{
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(dump_pipeline_freep) struct dump_pipeline *p = NULL;
	struct fake_db db = {.table = shop, .tables = 2, .at_row = UINT64_MAX};
	struct budget budget = fake_budget(CHUNK, 2, 2, false);
	static const char *const scopes[] = {"Shop", "shop"};
	const struct dump_calls calls = fake_calls(&db);
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;

	fake_archive_open(&a, CHUNK);
	const struct dump_pipeline_spec spec = {.budget = &budget, .chunk_size = CHUNK, .writer = a.writer};
	CHECK_OK(dump_pipeline_new(&run, &spec, &p, &e), e);
	struct entry_sink top = dump_entry_sink(p, NULL);
	CHECK_OK(add_entry(&top, "RESTORE.txt", "by hand", &e), e);
	CHECK_ERR(add_entry(&top, "../passwd", "x", &e), e, ST_FAILED, "no path");
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
		struct object_sink sink = dump_object_sink(p, plan, scopes[i]);
		struct entry_sink entries = dump_entry_sink(p, scopes[i]);

		fake_objects(&db, &sink);
		CHECK_OK(dump_pipeline_run(p, plan, &calls, &e), e);
		CHECK_OK(add_entry(&entries, "schema.dump", scopes[i], &e), e);
	}
	dump_pipeline_freep(&p);
	fake_archive_finish(&a);

	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(&a);
	struct recorded rec = load_recorded(r);
	for (size_t i = 0; i < 3; i++) {
		const char *scope = i < 2 ? scopes[i] : NULL;
		CLEANUP(buf_release) struct buf got = BUF_INIT;
		struct byte_sink to = {.write = to_buf, .ctx = &got};
		unsigned n = 0;

		CHECK_OK(rec.file(rec.ctx, scope, scope ? "schema.dump" : "RESTORE.txt", to, &e), e);
		CHECK_STR(got.data, scope ? scope : "by hand");
		CHECK_ERR(rec.file(rec.ctx, scope, "absent", to, &e), e, ST_NOT_FOUND, "absent");
		CHECK_OK(rec.each(rec.ctx, scope ? scope : "", count_object, &n, &e), e);
		CHECK_INT(n, scope ? 2 : 0);
	}
}

TEST("units out of order are refused")
{
	CLEANUP(dump_pipeline_freep) struct dump_pipeline *p = NULL;
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	struct budget budget = fake_budget(CHUNK, 1, 1, false);
	const struct dump_pipeline_spec spec = {.budget = &budget, .chunk_size = CHUNK};
	struct run run = RUN_INIT;
	struct error e = ERROR_INIT;

	CHECK_OK(dump_pipeline_new(&run, &spec, &p, &e), e);
	struct object_sink sink = dump_object_sink(p, plan, "shop");
	CHECK_ERR(sink.unit(sink.ctx, &(struct dump_unit){.object = 0}, &e), e, ST_FAILED, "out of order");
	fake_objects(&(struct fake_db){.table = shop, .tables = 1}, &sink);
	CHECK_ERR(sink.unit(sink.ctx, &(struct dump_unit){.object = 0, .range = 6}, &e), e, ST_FAILED, "out of order");
}
