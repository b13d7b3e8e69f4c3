/* What a PostgreSQL dump promises, against a real server: one snapshot, no wait behind somebody else's lock, nothing left out in
 * silence. */
#include "drivers/postgres/conn.h"
#include "drivers/postgres/facts.h"
#include "tests/conformance/driver_load.h"
#include "tests/lib/test.h"
#include "util/failpoint.h"
#include "util/hash.h"
#include "util/thread.h"

static struct run run = RUN_INIT;
static const struct driver *const d = &driver_postgres;

/* A dump of one database, step by step. */
struct steps {
	struct test_server *s;
	void *dump, *worker;
	struct dump_info info;
	struct scope_info scope;
	struct strlist names; /* of objects, by number */
	struct dump_unit unit[500];
	size_t units;
	struct kept_file file[32];
	size_t files;
	struct row_sink sink;
	struct buf rows; /* of the last unit */
	uint64_t count;
	struct hash128 digest; /* over all rows of all units */
	struct strlist items;
};

static enum status take_object(void *ctx, const struct dump_object *o, uint32_t *id, struct error *err)
{
	struct steps *t = ctx;

	(void)err;
	*id = (uint32_t)t->names.len;
	strlist_add(&t->names, o->name);
	if (o->folder)
		*o->folder = xstrdup(o->name);
	return ST_OK;
}

static enum status take_unit(void *ctx, const struct dump_unit *u, struct error *err)
{
	struct steps *t = ctx;

	(void)err;
	CHECK(t->units < ARRAY_LEN(t->unit));
	t->unit[t->units++] = *u;
	return ST_OK;
}

static enum status take_entry(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err)
{
	struct steps *t = ctx;
	char piece[4096];
	size_t got = 1;

	CHECK(t->files < ARRAY_LEN(t->file));
	struct kept_file *f = &t->file[t->files++];
	f->path = xstrdup(e->path);
	while (got) {
		if (src.read(src.ctx, piece, sizeof piece, &got, err))
			return err->code;
		buf_put(&f->bytes, piece, got);
	}
	CHECK_INT(f->bytes.len, e->size);
	return ST_OK;
}

static enum status take_row(struct row_sink *s, const void *p, size_t n, struct error *err)
{
	struct steps *t = (struct steps *)(void *)((char *)s - offsetof(struct steps, sink));

	(void)err;
	CHECK(((const char *)p)[n - 1] == '\n');
	buf_put(&t->rows, p, n);
	t->digest = hash128_add(t->digest, xxh128(p, n));
	t->count++;
	return ST_OK;
}

static enum status take_item(void *ctx, const struct inventory_item *i, struct error *err)
{
	struct steps *t = ctx;

	(void)err;
	strlist_take(&t->items, xasprintf("%s\t%s\t%s", i->kind, i->name, i->grows ? "" : i->facts));
	return ST_OK;
}

static enum status steps_open(struct steps *t, struct test_server *s, const char *database, struct error *err)
{
	struct strlist wanted = STRLIST_INIT, none = STRLIST_INIT;
	const struct dump_request q = {.databases = &wanted, .exclude = &none, .jobs = 1};

	*t = (struct steps){.s = s, .sink = {take_row}};
	strlist_add(&wanted, database);
	enum status st = d->dump_open(&run, &s->e, &q, &t->info, &t->dump, err);
	strlist_release(&wanted);
	return st;
}

static enum status steps_begin(struct steps *t, struct error *err)
{
	const struct object_sink objects = {take_object, take_unit, t};
	const struct entry_sink entries = {take_entry, t};

	if (d->scope_begin(&run, t->dump, 0, &t->scope, &objects, &entries, err))
		return err->code;
	return d->worker_open(&run, t->dump, &t->worker, err);
}

static void steps_start(struct steps *t, struct test_server *s, const char *database)
{
	struct error err = ERROR_INIT;

	CHECK_OK(steps_open(t, s, database, &err), err);
	CHECK_OK(steps_begin(t, &err), err);
}

/* Units of an object, or of all. Their rows are in t->rows. */
static enum status steps_read(struct steps *t, const char *name, struct error *err)
{
	buf_clear(&t->rows);
	t->count = 0;
	for (size_t i = 0; i < t->units; i++)
		if ((!name || !strcmp(t->names.item[t->unit[i].object], name)) &&
		    d->dump_unit(&run, t->worker, &t->unit[i], &t->sink, err))
			return err->code;
	return ST_OK;
}

static enum status steps_end(struct steps *t, struct error *err)
{
	const struct entry_sink entries = {take_entry, t};

	d->worker_close(t->worker);
	t->worker = NULL;
	return d->scope_end(&run, t->dump, &entries, err);
}

static const char *steps_file(const struct steps *t, const char *path)
{
	for (size_t i = 0; i < t->files; i++)
		if (!strcmp(t->file[i].path, path))
			return buf_str(&t->file[i].bytes);
	test_fail(__FILE__, __LINE__, "no file %s", path);
}

static void steps_release(struct steps *t)
{
	if (t->worker)
		d->worker_close(t->worker);
	if (t->dump)
		d->dump_close(t->dump);
	dump_info_release(&t->info);
	scope_info_release(&t->scope);
	strlist_release(&t->names);
	strlist_release(&t->items);
	for (size_t i = 0; i < t->files; i++) {
		free(t->file[i].path);
		buf_release(&t->file[i].bytes);
	}
	buf_release(&t->rows);
}

/* A statement that runs, or waits for a lock, in a session of its own. */
struct other {
	struct test_server *s;
	const char *database, *sql;
	struct conn *c;
	struct thread thread;
	struct error err;
};

static void other_thread(void *arg)
{
	struct other *o = arg;

	(void)!conn_command(&run, o->c, o->sql, &o->err);
}

static void other_start(struct other *o, struct test_server *s, const char *database, const char *sql)
{
	struct error err = ERROR_INIT;

	*o = (struct other){.s = s, .database = database, .sql = sql};
	CHECK_OK(conn_open(&run, &s->e, database, &o->c, &err), err);
	CHECK_OK(thread_start(&o->thread, "other", other_thread, o, &err), err);
	for (int i = 0; i < 200; i++) {
		CLEANUP(cstr_release) char *n = server_value(s, "postgres", "SELECT count(*) FROM pg_stat_activity"
		" WHERE wait_event_type = 'Lock'");

		if (strcmp(n, "0"))
			return;
		CHECK_OK(run_sleep(&run, DURATION_MS(20), &err), err);
	}
	test_fail(__FILE__, __LINE__, "the statement does not wait: %s", sql);
}

static void other_join(struct other *o)
{
	thread_join(&o->thread);
	conn_freep(&o->c);
	error_release(&o->err);
}

/* Until pg_dump, which runs beside, is done: it cannot get past a lock that waits, only end in time. Two seconds without it, since it
 * may not have begun yet. */
static void wait_for_schema(struct test_server *s)
{
	struct error err = ERROR_INIT;

	for (int quiet = 0, i = 0; quiet < 40; i++) {
		CLEANUP(cstr_release) char *n = server_value(s, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'");

		CHECK(i < 800);
		quiet = strcmp(n, "2") ? 0 : quiet + 1;
		CHECK_OK(run_sleep(&run, DURATION_MS(50), &err), err);
	}
}

TEST("PostgreSQL dump: a change of a table that waits behind our locks neither fails nor stops the dump")
{
	struct test_server s;
	struct steps t;
	struct other alter;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE TABLE a AS SELECT generate_series(1, 100) i; CREATE TABLE b AS SELECT generate_series(1,"
	" 10) i");
	steps_start(&t, &s, "shop");
	CHECK_OK(steps_read(&t, "public.b", &err), err);
	wait_for_schema(&s);
	other_start(&alter, &s, "shop", "ALTER TABLE a ADD COLUMN j int DEFAULT 7");
	CHECK_OK(steps_read(&t, "public.a", &err), err);
	CHECK_INT(t.count, 100);
	CHECK_OK(steps_read(&t, "public.b", &err), err);
	CHECK_OK(steps_end(&t, &err), err);
	other_join(&alter);
	CHECK(!strstr(steps_file(&t, PG_ENTRY_SCHEMA_PRE_SQL), "j integer"));
	steps_release(&t);
	server_stop(&s);
}

TEST("PostgreSQL dump: a change of a table that waits behind our locks does not keep the inventory either")
{
#ifdef DRTOOL_TEST
	struct test_server s;
	struct steps t;
	struct other alter;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE TABLE a (i int DEFAULT 1 + 1, CHECK (i > 0))");
	setenv("DRTOOL_FAIL", "postgres.inventory:1:delay=6000", 1);
	failpoint_init();
	steps_start(&t, &s, "shop");
	wait_for_schema(&s);
	other_start(&alter, &s, "shop", "ALTER TABLE a ADD COLUMN j int DEFAULT 7");
	const struct inventory_sink items = {take_item, &t};
	CHECK_OK(d->inventory(&run, t.dump, &items, &err), err);
	CHECK(strlist_has(&t.items, "column\tpublic.a.i\tinteger default (1 + 1)"));
	CHECK(!strlist_has(&t.items, "column\tpublic.a.j\tinteger default 7"));
	CHECK_OK(steps_end(&t, &err), err);
	other_join(&alter);
	steps_release(&t);
	server_stop(&s);
#else
	test_skip("needs failpoints");
#endif
}

TEST("PostgreSQL dump: a table that stays locked by somebody else ends it in time, and is named")
{
	struct test_server s;
	struct steps t;
	struct error err = ERROR_INIT;
	CLEANUP(conn_freep) struct conn *c = NULL;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE TABLE held (i int)");
	s.params.lock_timeout = DURATION_MS(300);
	CHECK_OK(conn_open(&run, &s.e, "shop", &c, &err), err);
	CHECK_OK(conn_command(&run, c, "BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE", &err), err);
	CHECK_OK(steps_open(&t, &s, "shop", &err), err);
	CHECK_INT(steps_begin(&t, &err), ST_SERVER);
	CHECK(err.retry);
	CHECK_STR(err.native, "55P03");
	CHECK_HAS(err.hint, "public.held");
	error_release(&err);
	steps_release(&t);
	conn_freep(&c);
	server_stop(&s);
}

TEST("PostgreSQL dump: what changes after the snapshot is not in it, but sequences are at least as far as the rows")
{
	struct test_server s;
	struct steps t;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'x'"
	" FROM generate_series(1, 50);"
			       "CREATE SEQUENCE fresh; CREATE SEQUENCE put START 5; SELECT setval('put', 9, false)");
	steps_start(&t, &s, "shop");
	server_sql(&s, "shop", "INSERT INTO t (v) VALUES ('late'); UPDATE t SET v = 'changed'; CREATE TABLE late (i int)");
	CHECK_OK(steps_read(&t, NULL, &err), err);
	CHECK_INT(t.count, 50);
	CHECK(!strstr(buf_str(&t.rows), "changed"));
	CHECK_OK(steps_end(&t, &err), err);
	CHECK_HAS(steps_file(&t, PG_ENTRY_SEQUENCES_SQL), "'\"public\".\"t_id_seq\"', 51, true");
	CHECK_HAS(steps_file(&t, PG_ENTRY_SEQUENCES_SQL), "'\"public\".\"fresh\"', 1, false");
	CHECK_HAS(steps_file(&t, PG_ENTRY_SEQUENCES), "{\"schema\":\"public\",\"name\":\"put\",\"last_value\":\"9\",\"is_called\":"
						      "false,\"persistence\":\"p\"}");
	CHECK(!strstr(steps_file(&t, PG_ENTRY_SCHEMA_PRE_SQL), "late"));
	steps_release(&t);
	server_stop(&s);
}

TEST("PostgreSQL dump: the ranges of a split table hold each row once, whatever the size of a range")
{
	struct test_server s;
	struct error err = ERROR_INIT;
	struct hash128 whole = {0, 0};
	const uint64_t above[] = {1u << 30, 1u << 20, 64u * 1024, 8192, 0};

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE TABLE t (id int, v text, twice int GENERATED ALWAYS AS (id * 2) STORED);"
			       "INSERT INTO t (id, v) SELECT i, repeat('x', i % 300) FROM generate_series(1, 20000) i; DELETE"
			       " FROM t WHERE id % 7 = 0;"
			       "INSERT INTO t (id, v) SELECT -i, repeat(md5(i::text), 100000) FROM generate_series(1, 3) i");
	for (size_t i = 0; i < ARRAY_LEN(above); i++) {
		struct steps t;

		s.params.split_above = above[i];
		steps_start(&t, &s, "shop");
		CHECK(i ? t.units > 1 : t.units == 1);
		CHECK_OK(steps_read(&t, NULL, &err), err);
		CHECK_INT(t.count, 20000 - 20000 / 7 + 3);
		CHECK(!i || hash128_equal(t.digest, whole));
		whole = t.digest;
		CHECK_OK(steps_end(&t, &err), err);
		steps_release(&t);
	}
	server_stop(&s);
}

TEST("PostgreSQL dump: settings of role, database and server do not change a byte of it, nor of the inventory")
{
	static const char *const opposite[] = {
		"ALTER DATABASE shop SET DateStyle TO 'German, DMY'; ALTER DATABASE shop SET IntervalStyle TO 'sql_standard';"
		"ALTER DATABASE shop SET TimeZone TO 'Asia/Kathmandu'; ALTER DATABASE shop SET extra_float_digits TO -15;"
		"ALTER DATABASE shop SET bytea_output TO 'escape'; ALTER DATABASE shop SET search_path TO odd, public;"
		"ALTER DATABASE shop SET statement_timeout TO '30ms'; ALTER DATABASE shop SET xmlbinary TO 'hex'",
		"ALTER ROLE postgres SET DateStyle TO 'Postgres, MDY'; ALTER ROLE postgres SET quote_all_identifiers TO on;"
		"ALTER ROLE postgres SET standard_conforming_strings TO off; ALTER ROLE postgres SET default_transaction_read_only "
		"TO on;"
		"ALTER ROLE postgres SET row_security TO on; ALTER ROLE postgres SET array_nulls TO off; ALTER ROLE postgres SET "
		"client_encoding TO 'LATIN1';"
		"ALTER ROLE postgres SET enable_tidscan TO off; ALTER ROLE postgres SET lc_monetary TO 'C.UTF-8'"};
	struct test_server s;
	struct error err = ERROR_INIT;
	struct steps before;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop",
		   "CREATE SCHEMA odd; CREATE TABLE odd.t (at timestamptz DEFAULT '2026-03-04 05:06:07+00', d date, i interval, f "
		   "float8, g float4, b bytea,"
		   " x text, m money, a int[]); INSERT INTO odd.t SELECT '2026-03-04 05:06:07.5+00', '2026-03-04', '1"
		   " year -2 days 03:00', 1.0 / 3,"
		   " 1.0 / 3, '\\x00ff41', E'\\\\ \u00e9', 12.5::numeric::money, '{1,NULL}'"
		   " FROM generate_series(1, 500);"
		   "CREATE VIEW odd.v AS SELECT at, '3 days'::interval AS i, E'a\\\\b' AS t"
		   " FROM odd.t; CREATE TYPE odd.e AS ENUM ('x')");
	s.params.split_above = 16384;
	steps_start(&before, &s, "shop");
	CHECK_OK(steps_read(&before, NULL, &err), err);
	const struct inventory_sink first = {take_item, &before};
	CHECK_OK(d->inventory(&run, before.dump, &first, &err), err);
	CHECK_OK(steps_end(&before, &err), err);
	strlist_sort(&before.items);
	for (size_t k = 0; k < ARRAY_LEN(opposite); k++) {
		struct steps t;
		size_t at = 0;

		server_sql(&s, "postgres", opposite[k]);
		steps_start(&t, &s, "shop");
		CHECK_OK(steps_read(&t, NULL, &err), err);
		CHECK(hash128_equal(before.digest, t.digest));
		const struct inventory_sink again = {take_item, &t};
		CHECK_OK(d->inventory(&run, t.dump, &again, &err), err);
		CHECK_OK(steps_end(&t, &err), err);
		strlist_sort(&t.items);
		for (size_t i = 0; i < t.items.len; i++) {
			if (!strncmp(t.items.item[i], "database setting", 16))
				continue;
			while (at < before.items.len && !strncmp(before.items.item[at], "database setting", 16))
				at++;
			CHECK(at < before.items.len);
			CHECK_STR(t.items.item[i], before.items.item[at]);
			at++;
		}
		steps_release(&t);
	}
	steps_release(&before);
	server_stop(&s);
}

TEST("PostgreSQL dump: rows that row security hides, and tables that may not be read, are refused before the first byte")
{
	struct test_server s;
	struct steps t;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE ROLE backup LOGIN; CREATE TABLE open (i int); CREATE TABLE \"Secret one\" (i int); GRANT"
	" SELECT ON open TO backup;"
			       "CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1'");
	s.e.user = "backup";
	CHECK_ERR(steps_open(&t, &s, "shop", &err), err, ST_DENIED,
		  "may not read these tables of database shop: public.\"Secret one\"");
	steps_release(&t);
	struct probe p = PROBE_INIT;
	CHECK_OK(d->probe(&run, &s.e, true, &p, &err), err);
	CHECK_INT(p.missing.len, 1);
	CHECK_HAS(p.missing.item[0], "\"backup\";");
	probe_release(&p);

	s.e.user = NULL;
	server_sql(&s, "shop", "GRANT SELECT ON \"Secret one\" TO backup; ALTER TABLE open ENABLE ROW LEVEL SECURITY; CREATE"
	" POLICY few ON open USING (i > 1)");
	s.e.user = "backup";
	CHECK_ERR(steps_open(&t, &s, "shop", &err), err, ST_DENIED,
		  "row level security would hide rows of these tables of database shop from user backup: public.open");
	steps_release(&t);

	s.e.user = NULL;
	server_sql(&s, "shop", "ALTER ROLE backup BYPASSRLS; INSERT INTO open VALUES (1), (2)");
	s.e.user = "backup";
	steps_start(&t, &s, "shop");
	CHECK_OK(steps_read(&t, "public.open", &err), err);
	CHECK_INT(t.count, 2);
	CHECK_OK(steps_end(&t, &err), err);
	CHECK(!t.info.has_password_hashes);
	CHECK_HAS(t.info.not_contained.item[0], "passwords of roles");
	steps_release(&t);
	server_stop(&s);
}

TEST("PostgreSQL dump: large objects read by their functions give the same rows as by the table of their pages")
{
	struct test_server s;
	struct steps all, own;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE ROLE backup LOGIN; SELECT lo_from_bytea(1001, decode(repeat('ab', 5000), 'hex')); SELECT"
	" lo_create(1002);"
			       "SELECT lo_from_bytea(1003, decode(repeat('00', 2048), 'hex')); SELECT lo_from_bytea(1004, 'x');"
			       "GRANT SELECT ON LARGE OBJECT 1001, 1002, 1003, 1004 TO backup; COMMENT ON LARGE OBJECT 1004 IS"
			       " 'it''s'");
	steps_start(&all, &s, "shop");
	CHECK_OK(steps_read(&all, "large objects", &err), err);
	CHECK_INT(all.count, 5);
	CHECK_OK(steps_end(&all, &err), err);
	CHECK_HAS(steps_file(&all, PG_ENTRY_LARGE_OBJECTS_SQL), "COMMENT ON LARGE OBJECT 1004 IS 'it''s';");
	CHECK_HAS(steps_file(&all, PG_ENTRY_LARGE_OBJECTS_SQL), "GRANT SELECT ON LARGE OBJECT 1003 TO \"backup\";");
	s.e.user = "backup";
	steps_start(&own, &s, "shop");
	CHECK_OK(steps_read(&own, "large objects", &err), err);
	CHECK_STR(buf_str(&own.rows), buf_str(&all.rows));
	CHECK_OK(steps_end(&own, &err), err);
	steps_release(&all);
	steps_release(&own);
	server_stop(&s);
}

TEST("PostgreSQL dump: databases in LATIN1 and without encoding give their bytes as they are")
{
	struct test_server s;
	struct steps t;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
	server_sql(&s, NULL, "CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
	server_sql(&s, "latin", "CREATE TABLE \"t\u00e4\" (\"c\u00f6\" text); INSERT INTO \"t\u00e4\" VALUES ('\u00e9')");
	server_sql(&s, "bytes", "CREATE TABLE t (v text); INSERT INTO t VALUES (E'\\xff\\xfe\\xe9')");
	steps_start(&t, &s, "latin");
	CHECK_STR(t.names.item[0], "public.\"t\u00e4\"");
	CHECK_OK(steps_read(&t, NULL, &err), err);
	CHECK_STR(buf_str(&t.rows), "\xe9\n");
	CHECK_OK(steps_end(&t, &err), err);
	CHECK_HAS(steps_file(&t, PG_ENTRY_LOAD), "(\"c\u00f6\") FROM STDIN WITH (ENCODING '\\''LATIN1'\\'')");
	steps_release(&t);
	steps_start(&t, &s, "bytes");
	CHECK_OK(steps_read(&t, NULL, &err), err);
	CHECK_STR(buf_str(&t.rows), "\xff\xfe\xe9\n");
	CHECK_OK(steps_end(&t, &err), err);
	steps_release(&t);
	server_stop(&s);
}

TEST("PostgreSQL dump: a session that is lost in the middle is told as such, and the dump does not end well")
{
	struct test_server s;
	struct steps t;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE TABLE t AS SELECT generate_series(1, 10) i");
	steps_start(&t, &s, "shop");
	server_sql(&s, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'"
	" ORDER BY backend_start LIMIT 1");
	CHECK_OK(run_sleep(&run, DURATION_MS(200), &err), err);
	CHECK_INT(steps_read(&t, NULL, &err), ST_UNREACHABLE);
	CHECK_HAS(error_text(&err), "session that holds the snapshot was lost");
	error_release(&err);
	CHECK(steps_end(&t, &err) != ST_OK);
	error_release(&err);
	steps_release(&t);
	server_stop(&s);
}

struct interrupting {
	struct steps *t;
	struct thread thread;
};

static void interrupt_thread(void *arg)
{
	struct interrupting *i = arg;
	struct error ignored = ERROR_INIT;

	(void)!run_sleep(&run, DURATION_MS(200), &ignored);
	d->interrupt(i->t->worker, HANDLE_WORKER);
}

TEST("PostgreSQL dump: interrupt, cancel and deadline each end a running COPY within two seconds")
{
	struct test_server s;
	struct steps t;
	struct error err = ERROR_INIT;
	struct instant began;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	/* A table whose reading takes long: a column that is computed with a pause. */
	server_sql(&s, "shop", "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 3); CREATE EXTENSION IF NOT EXISTS"
	" plpgsql");
	steps_start(&t, &s, "shop");
	struct interrupting i = {.t = &t};
	CHECK_OK(thread_start(&i.thread, "interrupt", interrupt_thread, &i, &err), err);
	CLEANUP(conn_freep) struct conn *c = NULL;
	began = run_mono(&run);
	while (!steps_read(&t, NULL, &err))
		;
	CHECK_INT(err.code, ST_CANCELLED);
	CHECK(instant_diff(run_mono(&run), began).us < 2000000);
	error_release(&err);
	thread_join(&i.thread);
	steps_release(&t);

	struct run soon = run_within(&run, DURATION_MS(200));
	CHECK_OK(conn_open(&run, &s.e, "shop", &c, &err), err);
	began = run_mono(&run);
	CHECK_INT(conn_command(&soon, c, "SELECT pg_sleep(60)", &err), ST_DEADLINE);
	CHECK(instant_diff(run_mono(&run), began).us < 2000000);
	error_release(&err);
	CLEANUP(cstr_release) char *left = NULL;
	for (int n = 0; n < 100; n++) {
		cstr_release(&left);
		left = server_value(&s, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'");
		if (!strcmp(left, "0"))
			break;
		CHECK_OK(run_sleep(&run, DURATION_MS(20), &err), err);
	}
	CHECK_STR(left, "0");
	conn_freep(&c);
	server_stop(&s);
}

TEST("PostgreSQL dump: a function changed while pg_dump looks is found out")
{
#ifdef DRTOOL_TEST
	struct test_server s;
	struct steps t;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop");
	server_sql(&s, "shop", "CREATE TABLE t (i int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'");
	setenv("DRTOOL_FAIL", "postgres.schema.dumped:1:delay", 1);
	failpoint_init();
	steps_start(&t, &s, "shop");
	server_sql(&s, "shop", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE TABLE another (i"
	" int)");
	CHECK_ERR(steps_end(&t, &err), err, ST_SERVER, "a function was changed while the schema was read");
	steps_release(&t);
	server_stop(&s);
#else
	test_skip("needs failpoints");
#endif
}
