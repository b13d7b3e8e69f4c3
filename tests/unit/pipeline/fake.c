#include "tests/unit/pipeline/fake.h"

#include "archive/archive.h"
#include "tests/lib/test.h"
#include "util/fs.h"

/* ---- rows ---- */

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t row_length(const struct fake_table *t, uint64_t i)
{
	return t->large_every && i % t->large_every == t->large_every - 1 ? t->large_length : t->length;
}

void fake_row(const struct fake_table *t, uint32_t range, uint64_t i, struct buf *to)
{
	static const char words[] = "orders\t\tpending\tshipped\tlost\t\t1.5";
	size_t n = row_length(t, i), at = 0;
	uint64_t seed = mix(i * 7919 + range * 104729 + (unsigned char)t->name[0]);

	buf_clear(to);
	buf_reserve(to, n + 8);
	if (t->noise)
		for (; at + 8 < n; at += 8, seed = mix(seed + 1))
			memcpy(to->data + at, &seed, 8);
	else
		for (; at + 8 < n; at += 8, seed = mix(seed + 1))
			memcpy(to->data + at, words + seed % (sizeof words - 8), 8);
	memset(to->data + at, 'x', n - at);
	to->data[n - 1] = '\n';
	to->len = n;
}

uint64_t fake_rows(const struct fake_table *t, uint32_t range) { return t->rows + (t->insert_at && !range); }

/* ---- the driver ---- */

struct fake_worker {
	struct fake_db *db;
};

static enum status open_worker(void *ctx, struct run *run, void **worker, struct error *err)
{
	struct fake_db *db = ctx;

	if (run_check(run, err))
		return err->code;
	if (atomic_fetch_add(&db->asked, 1) + 1 == db->refuse_worker)
		return error_set(err, ST_UNREACHABLE, "too many connections");
	struct fake_worker *w = xcalloc(1, sizeof *w);
	w->db = db;
	*worker = w;
	atomic_fetch_add(&db->opened, 1);
	return ST_OK;
}

static void close_worker(void *ctx, void *worker)
{
	struct fake_db *db = ctx;

	free(worker);
	atomic_fetch_add(&db->closed, 1);
}

static void interrupt_worker(void *ctx, void *worker)
{
	struct fake_db *db = ctx;

	CHECK(((struct fake_worker *)worker)->db == db);
	atomic_fetch_add(&db->interrupts, 1);
	atomic_store(&db->interrupted, true);
}

static bool is_named(const char *name, const struct fake_table *t) { return name && !strcmp(name, t->name); }

static enum status fault(struct fake_db *db, const struct fake_table *t, struct error *err)
{
	struct run quiet = RUN_INIT;

	while (is_named(db->fail_table, t)) {
		if (!db->block_table || atomic_load(&db->blocked))
			return error_set(err, ST_SERVER, "the server said no");
		if (run_sleep(&quiet, DURATION_MS(1), err))
			return err->code;
	}
	if (is_named(db->cancel_table, t))
		cancel_fire(db->cancel, 15);
	if (!is_named(db->block_table, t))
		return ST_OK;
	atomic_store(&db->blocked, true);
	while (!atomic_load(&db->interrupted)) /* as a client library that knows nothing of run */
		if (run_sleep(&quiet, DURATION_MS(1), err))
			return err->code;
	return error_set(err, ST_SERVER, "canceling statement due to user request");
}

static enum status dump_unit(void *ctx, struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err)
{
	struct fake_db *db = ctx;
	const struct fake_table *t = &db->table[u->object];
	CLEANUP(buf_release) struct buf row = BUF_INIT;

	(void)run;
	CHECK(((struct fake_worker *)worker)->db == db);
	CHECK_INT(u->cookie, u->object * 10000 + u->range);
	for (uint64_t i = 0; i < t->rows; i++) {
		if (i == db->at_row && fault(db, t, err))
			return err->code;
		if (t->insert_at && t->insert_at == i && !u->range && rows->row(rows, memset(row.data, '+', 100), 100, err))
			return err->code;
		fake_row(t, u->range, i, &row);
		if (rows->row(rows, row.data, row.len, err))
			return err->code;
	}
	return ST_OK;
}

struct dump_calls fake_calls(struct fake_db *db)
{
	return (struct dump_calls){
		.worker_open = open_worker, .unit = dump_unit, .worker_close = close_worker, .interrupt = interrupt_worker, .ctx = db};
}

void fake_objects(const struct fake_db *db, const struct object_sink *to)
{
	struct error e = ERROR_INIT;

	for (size_t i = 0; i < db->tables; i++) {
		const struct fake_table *t = &db->table[i];
		const char *component[] = {"public", t->name};
		CLEANUP(js_decref) json_t *facts = json_pack("{s:s}", "columns", "id, text");
		CLEANUP(cstr_release) char *folder = NULL;
		struct dump_object o = {.name = t->name, .component = component, .components = 2, .ext = "copy", .facts = facts, .folder = &folder};
		uint32_t id;

		CHECK_OK(to->object(to->ctx, &o, &id, &e), e);
		CHECK_INT(id, i);
		for (uint32_t r = 0; r < t->ranges; r++) {
			struct dump_unit u = {.object = id, .range = r, .estimated_bytes = t->rows * t->length, .cookie = i * 10000 + r};
			CHECK_OK(to->unit(to->ctx, &u, &e), e);
		}
	}
}

/* ---- the archive ---- */

static enum status sink_begin(void *ctx UNUSED, uint32_t volume, struct error *err UNUSED)
{
	CHECK_INT(volume, 0);
	return ST_OK;
}

static enum status sink_write(void *ctx, const void *p, size_t n, struct error *err)
{
	struct fake_archive *a = ctx;
	struct run quiet = RUN_INIT;

	CHECK_INT(atomic_fetch_add(&a->inside, 1), 0);
	if (a->slow.us && run_sleep(&quiet, a->slow, err))
		return err->code;
	a->written += n;
	if (a->fd > 0 && fs_write_all(a->fd, p, n, "archive", err))
		return err->code;
	if (!a->discard && a->fd <= 0)
		buf_put(&a->bytes, p, n);
	atomic_fetch_sub(&a->inside, 1);
	if (a->fail_after && a->written >= a->fail_after)
		return error_set(err, ST_NO_SPACE, "no room on the fake disk");
	return ST_OK;
}

static enum status sink_end(void *ctx UNUSED, uint32_t volume UNUSED, uint64_t size UNUSED, struct sha256 sha UNUSED, struct error *err UNUSED)
{
	return ST_OK;
}

void fake_archive_open(struct fake_archive *a, uint32_t chunk_size)
{
	struct error e = ERROR_INIT;
	const struct archive_spec spec = {.chunk_size = chunk_size,
					  .volume_size = UINT64_C(1) << 40,
					  .mtime = {1},
					  .spool_dir = test_dir(),
					  .sink = {.begin = sink_begin, .write = sink_write, .end = sink_end, .ctx = a}};

	CHECK_OK(archive_writer_new(&a->writer, &spec, &e), e);
}

void fake_archive_finish(struct fake_archive *a)
{
	struct error e = ERROR_INIT;
	CLEANUP(js_decref) json_t *head = json_object();

	CHECK_OK(archive_finish(a->writer, head, &e), e);
	archive_writer_freep(&a->writer);
}

static enum status read_at(void *ctx, uint32_t volume UNUSED, uint64_t offset, void *to, size_t n, struct error *err)
{
	struct fake_archive *a = ctx;

	atomic_fetch_add(&a->reads, 1);
	if (a->fd > 0)
		return fs_read_at(a->fd, offset, to, n, "archive", err);
	if (offset > a->bytes.len || n > a->bytes.len - offset)
		return error_set(err, ST_BAD, "the object is shorter");
	memcpy(to, a->bytes.data + offset, n);
	return ST_OK;
}

static enum status size_of(void *ctx, uint32_t volume UNUSED, uint64_t *size, struct error *err UNUSED)
{
	struct fake_archive *a = ctx;
	struct stat st = {.st_size = (off_t)a->bytes.len};

	if (a->fd > 0)
		CHECK(!fstat(a->fd, &st));
	*size = (uint64_t)st.st_size;
	return ST_OK;
}

struct archive_reader *fake_archive_read(struct fake_archive *a)
{
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;
	const struct range_source src = {.read_at = read_at, .size = size_of, .volumes = 1, .ctx = a};
	struct archive_reader *r;

	CHECK_OK(archive_reader_open(&run, &src, test_dir(), &r, &e), e);
	return r;
}

void fake_archive_release(struct fake_archive *a)
{
	archive_writer_freep(&a->writer);
	buf_release(&a->bytes);
}

struct budget fake_budget(uint32_t chunk_size, unsigned jobs, unsigned compressors, bool load)
{
	struct error e = ERROR_INIT;
	struct budget_request q = {.mem_limit = UINT64_C(1) << 40, .jobs = jobs, .chunk_size = chunk_size, .load = load};
	struct budget b;

	CHECK_OK(budget_divide(&q, &b, &e), e);
	if (load)
		return b;
	b.compressors = b.stored_buffers = compressors;
	b.raw_buffers = jobs + compressors;
	return b;
}

enum status fake_dump(struct run *run, struct fake_db *db, struct fake_archive *a, uint32_t chunk_size, unsigned jobs, struct error *err)
{
	CLEANUP(dump_pipeline_freep) struct dump_pipeline *p = NULL;
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	struct budget budget = fake_budget(chunk_size, jobs, 2, false);
	const struct dump_pipeline_spec spec = {.budget = &budget, .chunk_size = chunk_size, .mtime = {1}, .writer = a->writer};
	const struct dump_calls calls = fake_calls(db);

	if (dump_pipeline_new(run, &spec, &p, err))
		return err->code;
	struct object_sink sink = dump_object_sink(p, plan, "shop");
	fake_objects(db, &sink);
	return dump_pipeline_run(p, plan, &calls, err);
}

static enum status add_members(void *ctx, const struct archive_object *o, struct error *err)
{
	struct archive_reader *r = ((void **)ctx)[0];
	struct strlist *to = ((void **)ctx)[1];
	struct member_row *rows = NULL;
	size_t n = 0;

	if (strcmp(o->kind, "table"))
		return ST_OK;
	if (archive_member_rows(r, o, &rows, &n, err))
		return err->code;
	for (size_t i = 0; i < n; i++) {
		char sha[SHA256_HEX], digest[HASH128_HEX];
		strlist_take(to, xasprintf("%s/%04u-%08u rows %" PRIu64 " raw %u open %d digest %s sha256 %s", o->path, rows[i].range, rows[i].part,
					   rows[i].rows, rows[i].raw, rows[i].open, hash128_hex(rows[i].digest, digest),
					   sha256_hex(rows[i].sha256, sha)));
	}
	free(rows);
	return ST_OK;
}

void fake_members(struct fake_archive *a, struct strlist *to)
{
	struct error e = ERROR_INIT;
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(a);
	void *ctx[] = {r, to};

	CHECK_OK(archive_each_object(r, add_members, ctx, &e), e);
	strlist_sort(to);
}
