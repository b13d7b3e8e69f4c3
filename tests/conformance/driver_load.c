#include "tests/conformance/driver_load.h"

#include "drivers/postgres/conn.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;
static const struct driver *const d = &driver_postgres;

/* ---- server ---- */

void server_start(struct test_server *s)
{
	struct error err = ERROR_INIT;
	const char *version = getenv("DRTOOL_TEST_POSTGRES"); /* of another server than the usual one, its programs in PATH */
	const struct scratch_spec spec = {.dir = "/var/tmp", .version = version ? version : "15.0"};

	*s = (struct test_server){.driver = d};
	enum status st = d->scratch_start(&run, &spec, &s->url, &s->scratch, &err);
	if (st == ST_UNSUPPORTED)
		test_skip("no PostgreSQL server of this version here");
	CHECK_OK(st, err);
	s->notes = notes_new();
	s->e = (struct endpoint){.url = s->url, .password = &s->password, .notes = s->notes, .spool_dir = test_dir()};
	s->params = *pg_params(&s->e);
	s->params.client_path = getenv("DRTOOL_TEST_POSTGRES_CLIENT"); /* a folder: other programs than the fitting ones */
	s->e.params = &s->params;
}

void server_stop(struct test_server *s)
{
	d->scratch_stop(s->scratch);
	notes_freep(&s->notes);
	free(s->url);
}

void server_sql(struct test_server *s, const char *database, const char *sql)
{
	struct error err = ERROR_INIT;
	CLEANUP(conn_freep) struct conn *c = NULL;

	CHECK_OK(conn_open(&run, &s->e, database, &c, &err), err);
	CHECK_OK(conn_command(&run, c, sql, &err), err);
}

char *server_value(struct test_server *s, const char *database, const char *sql)
{
	struct error err = ERROR_INIT;
	CLEANUP(conn_freep) struct conn *c = NULL;
	char *value = NULL;

	CHECK_OK(conn_open(&run, &s->e, database, &c, &err), err);
	CHECK_OK(conn_value(&run, c, SQL(sql), &value, &err), err);
	return value ? value : xstrdup("");
}

bool server_has(struct test_server *s, const char *database)
{
	CLEANUP(cstr_release) char *sql = xasprintf("SELECT count(*) FROM pg_database WHERE datname = '%s'", database);
	CLEANUP(cstr_release) char *n = server_value(s, "template1", sql);

	return !strcmp(n, "1");
}

/* ---- dump into memory ---- */

struct keeper {
	const struct driver *d;
	struct kept *k;
	const char *scope;
	struct dump_unit *unit;
	size_t units;
	size_t first; /* object of this scope */
	struct row_sink sink;
	struct kept_object *at;
};

static enum status keep_object(void *ctx, const struct dump_object *o, uint32_t *id, struct error *err)
{
	struct keeper *p = ctx;

	(void)err;
	p->k->object = xrealloc(p->k->object, (p->k->objects + 1) * sizeof *p->k->object);
	*id = (uint32_t)p->k->objects;
	p->k->object[p->k->objects++] =
		(struct kept_object){.scope = xstrdup(p->scope), .name = xstrdup(o->name), .facts = json_deep_copy(o->facts)};
	return ST_OK;
}

static enum status keep_unit(void *ctx, const struct dump_unit *u, struct error *err)
{
	struct keeper *p = ctx;

	(void)err;
	p->unit = xrealloc(p->unit, (p->units + 1) * sizeof *p->unit);
	p->unit[p->units++] = *u;
	return ST_OK;
}

static enum status keep_entry(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err)
{
	struct keeper *p = ctx;
	struct kept_file f = {.scope = p->scope ? xstrdup(p->scope) : NULL, .path = xstrdup(e->path)};
	char piece[4096];

	for (;;) {
		size_t got = 0;

		if (src.read(src.ctx, piece, sizeof piece, &got, err))
			return err->code;
		if (!got)
			break;
		buf_put(&f.bytes, piece, got);
	}
	p->k->file = xrealloc(p->k->file, (p->k->files + 1) * sizeof *p->k->file);
	p->k->file[p->k->files++] = f;
	return ST_OK;
}

static enum status keep_row(struct row_sink *s, const void *row, size_t n, struct error *err)
{
	struct keeper *p = (struct keeper *)(void *)((char *)s - offsetof(struct keeper, sink));
	struct kept_object *o = p->at;

	(void)err;
	buf_put(&o->row, row, n);
	o->end = xrealloc(o->end, (o->rows + 1) * sizeof *o->end);
	o->end[o->rows++] = o->row.len;
	return ST_OK;
}

static int by_range(const void *a, const void *b)
{
	const struct dump_unit *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->range < y->range ? -1 : x->range > y->range;
}

static void dump_scope(void *dump, size_t i, struct keeper *p)
{
	struct error err = ERROR_INIT;
	struct scope_info info = {0};
	const struct object_sink objects = {keep_object, keep_unit, p};
	const struct entry_sink entries = {keep_entry, p};
	void *worker = NULL;

	CHECK_OK(p->d->scope_begin(&run, dump, i, &info, &objects, &entries, &err), err);
	qsort(p->unit, p->units, sizeof *p->unit, by_range);
	CHECK_OK(p->d->worker_open(&run, dump, &worker, &err), err);
	for (size_t u = 0; u < p->units; u++) {
		p->at = &p->k->object[p->unit[u].object];
		CHECK_OK(p->d->dump_unit(&run, worker, &p->unit[u], &p->sink, &err), err);
	}
	p->d->worker_close(worker);
	CHECK_OK(p->d->scope_end(&run, dump, &entries, &err), err);
	scope_info_release(&info);
	free(p->unit);
	p->unit = NULL;
	p->units = 0;
}

void kept_dump(struct test_server *s, const char *database, struct kept *k)
{
	struct error err = ERROR_INIT;
	struct strlist wanted = STRLIST_INIT, none = STRLIST_INIT;
	const struct dump_request q = {.databases = &wanted, .exclude = &none, .jobs = 1};
	struct dump_info info = {0};
	void *dump = NULL;
	struct keeper p = {.d = s->driver, .k = k, .sink = {keep_row}};
	const struct entry_sink entries = {keep_entry, &p};

	*k = (struct kept){0};
	strlist_add(&wanted, database);
	CHECK_OK(p.d->dump_open(&run, &s->e, &q, &info, &dump, &err), err);
	CHECK_OK(p.d->dump_entries(&run, dump, &entries, &err), err);
	for (size_t i = 0; i < info.scopes.len; i++) {
		p.scope = info.scopes.item[i];
		dump_scope(dump, i, &p);
	}
	k->version = xstrdup(info.version);
	p.d->dump_close(dump);
	dump_info_release(&info);
	strlist_release(&wanted);
}

void kept_release(struct kept *k)
{
	for (size_t i = 0; i < k->objects; i++) {
		free(k->object[i].scope);
		free(k->object[i].name);
		free(k->object[i].end);
		json_decref(k->object[i].facts);
		buf_release(&k->object[i].row);
	}
	for (size_t i = 0; i < k->files; i++) {
		free(k->file[i].scope);
		free(k->file[i].path);
		buf_release(&k->file[i].bytes);
	}
	free(k->object);
	free(k->file);
	free(k->version);
}

/* ---- what a load reads ---- */

static struct recorded_object as_recorded(const struct kept *k, size_t i)
{
	const struct kept_object *o = &k->object[i];

	return (struct recorded_object){.id = (uint32_t)i, .scope = o->scope, .name = o->name, .facts = o->facts, .rows = o->rows,
					.raw = o->row.len};
}

static enum status each(void *ctx, const char *scope, enum status (*fn)(void *arg, const struct recorded_object *o,
									struct error *err), void *arg,
			struct error *err)
{
	const struct kept *k = ctx;

	for (size_t i = 0; i < k->objects; i++) {
		const struct recorded_object o = as_recorded(k, i);

		if (!strcmp(o.scope, scope) && fn(arg, &o, err))
			return err->code;
	}
	return ST_OK;
}

static enum status file(void *ctx, const char *scope, const char *path, struct byte_sink to, struct error *err)
{
	const struct kept *k = ctx;

	for (size_t i = 0; i < k->files; i++) {
		const struct kept_file *f = &k->file[i];

		if (!strcmp(f->path, path) && (scope ? f->scope && !strcmp(f->scope, scope) : !f->scope))
			return to.write(to.ctx, buf_str(&f->bytes), f->bytes.len, err);
	}
	return error_set(err, ST_NOT_FOUND, "no file %s", path);
}

struct recorded kept_recorded(struct kept *k) { return (struct recorded){each, file, k}; }

/* ---- loading ---- */

void loading_init(struct loading *l, struct test_server *s, struct kept *k, const char *scope)
{
	*l = (struct loading){.s = s, .k = k};
	strlist_add(&l->scopes, scope);
	l->q = (struct load_request){.archive_version = k->version, .run = "0a1b2c", .jobs = 2};
}

void loading_release(struct loading *l)
{
	load_plan_release(&l->plan);
	strlist_release(&l->scopes);
	strlist_release(&l->tables);
	strlist_release(&l->exclude);
	strlist_release(&l->done);
}

enum status loading_plan(struct loading *l, struct error *err)
{
	static struct recorded r;

	r = kept_recorded(l->k);
	l->q.recorded = &r;
	l->q.scopes = &l->scopes;
	l->q.tables = &l->tables;
	l->q.exclude_tables = &l->exclude;
	l->q.resumed = l->resumed;
	load_plan_release(&l->plan);
	return l->s->driver->load_plan(&run, &l->s->e, &l->q, &l->plan, err);
}

struct rows_source {
	struct chunk_source src;
	const struct kept_object *o;
	size_t next, end; /* rows */
};

/* Odd pieces: some rows at once, and a row may be cut in two. */
static enum status next_chunk(struct chunk_source *s, struct chunk *c, bool *end, struct error *err)
{
	struct rows_source *r = (struct rows_source *)(void *)s;
	size_t n = min_size(r->end - r->next, 7);
	uint64_t from = r->next ? r->o->end[r->next - 1] : 0;

	(void)err;
	*end = !n;
	if (!n)
		return ST_OK;
	*c = (struct chunk){.data = r->o->row.data + from, .len = (size_t)(r->o->end[r->next + n - 1] - from), .rows = n};
	r->next += n;
	return ST_OK;
}

static enum status load_one(struct loading *l, void *worker, size_t i, size_t first, size_t n, struct error *err)
{
	const struct recorded_object o = as_recorded(l->k, i);
	const struct load_unit u = {.object = &o, .range = 0, .first_part = (uint32_t)first, .rows = n};
	struct rows_source src = {.src = {next_chunk}, .o = &l->k->object[i], .next = first, .end = first + n};
	struct load_unit_result result;
	char *key = xasprintf("%s/%zu", o.name, first);

	if (strlist_has(&l->done, key)) {
		free(key);
		return ST_OK;
	}
	strlist_take(&l->done, key);
	if (l->s->driver->load_unit(&run, worker, &u, &src.src, &result, err))
		return err->code;
	CHECK_INT(result.state, LOAD_DONE);
	CHECK_INT(result.rows, n);
	return ST_OK;
}

static enum status load_rows(struct loading *l, void *load, void *worker, const char *scope, const struct load_break *at, struct error *err)
{
	uint32_t units = 0;

	for (size_t i = 0; i < l->k->objects; i++) {
		const struct recorded_object o = as_recorded(l->k, i);

		if (strcmp(o.scope, scope) || !l->s->driver->load_wants(load, &o))
			continue;
		for (size_t first = 0; first == 0 || first < o.rows;) {
			size_t n = min_size(o.rows - first, l->rows_per_unit ? l->rows_per_unit : o.rows);

			if (at && at->units && units++ >= at->units)
				return error_set(err, ST_FAILED, "broken here");
			if (load_one(l, worker, i, first, n, err))
				return err->code;
			first += n ? n : 1;
		}
	}
	return at && at->before_end ? error_set(err, ST_FAILED, "broken here") : ST_OK;
}

static enum status load_scope(struct loading *l, void *load, size_t i, const struct load_break *at, struct error *err)
{
	const struct driver *driver = l->s->driver;
	void *worker = NULL;
	enum status st = driver->load_choose(load, i, err) ? err->code : driver->load_begin(&run, load, l->resumed, err);

	if (!st)
		st = driver->load_worker_open(&run, load, &worker, err);
	if (!st)
		st = load_rows(l, load, worker, l->plan.scope[i].scope, at, err);
	driver->load_worker_close(worker);
	return st ? st : driver->load_end(&run, load, err);
}

enum status loading_run(struct loading *l, const struct load_break *at, struct error *err)
{
	const struct driver *driver = l->s->driver;
	void *load = NULL;
	enum status st = ST_OK;

	CHECK_OK(driver->load_open(&run, &l->s->e, &l->q, &l->plan, &load, err), *err);
	for (size_t i = l->log_only ? l->plan.scopes - 1 : 0; i < l->plan.scopes && !st; i++)
		st = load_scope(l, load, i, at, err);
	driver->load_close(load, !st);
	return st;
}
