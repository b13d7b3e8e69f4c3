#include "tests/conformance/driver_load.h"

#include <sys/stat.h>
#include <unistd.h>

#include "drivers/postgres/conn.h"
#include "drivers/scratch.h"
#include "tests/lib/test.h"
#include "util/thread.h"

#define CHECK_VALUE(server, database, sql, expected)                                              \
	do {                                                                                      \
		CLEANUP(cstr_release) char *value_ = server_value(server, database, sql);         \
		CHECK_STR(value_, expected);                                                      \
	} while (0)

/* A shop with one of most things that a dump has to get right. */
static const char shop[] =
	"CREATE ROLE app LOGIN PASSWORD 'x'; CREATE ROLE reader;"
	"CREATE SCHEMA sales AUTHORIZATION app; CREATE SCHEMA \"Odd \"\"one\"\".x\";"
	"CREATE TYPE sales.state AS ENUM ('new', 'paid'); CREATE DOMAIN sales.positive AS int CHECK (VALUE > 0);"
	"CREATE TABLE sales.customers (id serial PRIMARY KEY, name text NOT NULL, upper_name text GENERATED ALWAYS AS"
	" (upper(name)) STORED);"
	"CREATE TABLE sales.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES sales.customers,"
	" amount sales.positive, state sales.state DEFAULT 'new', at timestamptz DEFAULT '2026-01-02 03:04:05+00', note text);"
	"CREATE INDEX orders_note ON sales.orders (lower(note)); ALTER TABLE sales.orders OWNER TO app;"
	"CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note = 'touched'; RETURN NEW; END$$;"
	"CREATE TRIGGER touch BEFORE INSERT ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.touch();"
	"CREATE TABLE \"Odd \"\"one\"\".x\".\"a.b\" (\"col\tumn\" text, b int); INSERT INTO \"Odd \"\"one\"\".x\".\"a.b\" VALUES"
	" (E'\\\\ \t \n', NULL), ('\\N', 2);"
	"CREATE TABLE sales.nothing (); INSERT INTO sales.nothing DEFAULT VALUES; INSERT INTO sales.nothing DEFAULT VALUES;"
	"CREATE TABLE sales.events (at date, what text) PARTITION BY RANGE (at);"
	"CREATE TABLE sales.events_1 PARTITION OF sales.events FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');"
	"CREATE TABLE sales.events_2 PARTITION OF sales.events DEFAULT; CREATE INDEX ON sales.events (what);"
	"INSERT INTO sales.customers (name) SELECT 'name ' || i FROM generate_series(1, 100) i;"
	"INSERT INTO sales.orders (customer, amount, note) SELECT 1 + i % 100, 1 + i, 'note ' || i FROM generate_series(1, 1000) i;"
	"INSERT INTO sales.events SELECT date '2026-01-01' + i, 'event ' || i FROM generate_series(0, 299) i;"
	"CREATE MATERIALIZED VIEW sales.totals AS SELECT customer, sum(amount) FROM sales.orders GROUP BY 1;"
	"CREATE TABLE sales.log (line text); INSERT INTO sales.log VALUES ('a'), ('b');"
	"CREATE TABLE sales.log_mark (line int PRIMARY KEY); INSERT INTO sales.log_mark VALUES (1);"
	"CREATE TABLE sales.log_ref (line int REFERENCES sales.log_mark); INSERT INTO sales.log_ref VALUES (1);"
	"ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON sales.orders TO reader USING (amount > 10);"
	"GRANT SELECT ON sales.orders TO reader; CREATE PUBLICATION pub FOR TABLE sales.orders;"
	"CREATE FUNCTION sales.seen() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;"
	"CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION sales.seen();"
	"SELECT lo_put(lo_create(4711), 0, decode(repeat('ab', 5000), 'hex')); SELECT lo_create(4712);"
	"ALTER LARGE OBJECT 4711 OWNER TO app; COMMENT ON LARGE OBJECT 4711 IS 'it''s';"
	"COMMENT ON DATABASE shop IS 'the shop'; ALTER DATABASE shop SET search_path TO sales, \"Odd \"\"one\"\".x\";"
	"ALTER ROLE app IN DATABASE shop SET work_mem TO '5MB'";

static void make_shop(struct test_server *s)
{
	server_start(s);
	server_sql(s, NULL, "CREATE DATABASE shop ENCODING 'UTF8' TEMPLATE template0");
	server_sql(s, "shop", shop);
}

static void check_shop(struct test_server *s, const char *db)
{
	CHECK_VALUE(s, db, "SELECT count(*) || ' ' || sum(amount) || ' ' || max(note) FROM sales.orders", "1000 501500 touched");
	CHECK_VALUE(s, db, "SELECT count(*) || max(upper_name) FROM sales.customers", "100NAME 99");
	CHECK_VALUE(s, db, "SELECT string_agg(\"col\tumn\", '|' ORDER BY b) FROM \"Odd \"\"one\"\".x\".\"a.b\"", "\\N|\\ \t \n");
	CHECK_VALUE(s, db, "SELECT count(*) FROM sales.nothing", "2");
	CHECK_VALUE(s, db, "SELECT (SELECT count(*) FROM sales.events) || ' ' || (SELECT count(*) FROM sales.events_1)", "300 181");
	CHECK_VALUE(s, db, "SELECT count(*) FROM sales.totals", "100");
	CHECK_VALUE(s, db, "SELECT nextval('sales.customers_id_seq') || ' ' || nextval('sales.orders_id_seq')", "101 1001");
	CHECK_VALUE(s, db, "SELECT string_agg(indexrelid::regclass || ' ' || indisvalid, ',' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE"
			   " indrelid = 'sales.orders'::regclass",
		    "orders_note true,orders_pkey true");
	CHECK_VALUE(s, db, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'", "2");
	CHECK_VALUE(s, db, "SELECT tableowner || relrowsecurity FROM pg_tables JOIN pg_class ON relname = tablename WHERE"
			   " tablename = 'orders'", "apptrue");
	CHECK_VALUE(s, db, "SELECT has_table_privilege('reader', 'sales.orders', 'SELECT')", "t");
	CHECK_VALUE(s, db, "SELECT length(lo_get(4711)) || ' ' || length(lo_get(4712))", "5000 0");
	CHECK_VALUE(s, db, "SELECT lomowner::regrole || ' ' || obj_description(oid, 'pg_largeobject') FROM"
			   " pg_largeobject_metadata WHERE oid = 4711", "app it's");
	CHECK_VALUE(s, db, "SELECT evtname FROM pg_event_trigger", "watch");
	CHECK_VALUE(s, db, "SELECT pubname || ' ' || tablename FROM pg_publication_tables", "pub orders");
	CHECK_VALUE(s, db, "SHOW search_path", "sales, \"Odd \"\"one\"\".x\"");
	CHECK_VALUE(s, db, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()",
		    "the shop");
	CHECK_VALUE(s, db, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'drtool%'", "0");
	CHECK_VALUE(s, db, "SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'orders'", "1000");
}

static void plan_ok(struct loading *l)
{
	struct error err = ERROR_INIT;

	CHECK_OK(loading_plan(l, &err), err);
	if (l->plan.refusals.len)
		test_fail(__FILE__, __LINE__, "refused: %s", l->plan.refusals.item[0]);
}

static void run_ok(struct loading *l)
{
	struct error err = ERROR_INIT;

	plan_ok(l);
	CHECK_OK(loading_run(l, NULL, &err), err);
}

static void refused(struct loading *l, const char *why)
{
	struct error err = ERROR_INIT;

	CHECK_OK(loading_plan(l, &err), err);
	if (!l->plan.refusals.len)
		test_fail(__FILE__, __LINE__, "not refused, expected \"%s\"", why);
	CHECK_HAS(l->plan.refusals.item[0], why);
	loading_release(l);
}

TEST("PostgreSQL: a database is restored beside, under its own name, and where it is told to")
{
	struct test_server s;
	struct kept k;
	struct loading l;

	make_shop(&s);
	kept_dump(&s, "shop", &k);

	loading_init(&l, &s, &k, "shop");
	run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop_restore_0a1b2c");
	check_shop(&s, "shop_restore_0a1b2c");
	loading_release(&l);

	server_sql(&s, "template1", "DROP DATABASE shop");
	loading_init(&l, &s, &k, "shop");
	l.rows_per_unit = 70;
	run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	check_shop(&s, "shop");
	loading_release(&l);

	const struct load_name other = {"shop", "\"Other \"\"db'\""};
	loading_init(&l, &s, &k, "shop");
	l.q.rename = &other;
	l.q.renames = 1;
	run_ok(&l);
	check_shop(&s, "Other \"db'");
	loading_release(&l);
	loading_init(&l, &s, &k, "shop");
	l.q.into_database = "shop";
	refused(&l, "is there and not empty");
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: a restore that broke goes on without loading a row twice or losing one")
{
	struct test_server s;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	make_shop(&s);
	kept_dump(&s, "shop", &k);
	server_sql(&s, "template1", "DROP DATABASE shop");
	loading_init(&l, &s, &k, "shop");
	l.rows_per_unit = 100;
	plan_ok(&l);
	CHECK_ERR(loading_run(&l, &(struct load_break){.units = 9}, &err), err, ST_FAILED, "broken here");
	l.resumed = true;
	/* The journal of the core may know less than the target: the mark there decides. */
	strlist_release(&l.done);
	plan_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	CHECK_ERR(loading_run(&l, &(struct load_break){.before_end = true}, &err), err, ST_FAILED, "broken here");
	server_sql(&s, "shop", "DELETE FROM drtool_restore_0a1b2c.unit WHERE object = 'sales.orders' AND part = 200");
	plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_FAILED, "900 rows were committed in the target, the backup has 1000");
	server_sql(&s, "shop", "INSERT INTO drtool_restore_0a1b2c.unit VALUES ('sales.orders', 0, 200, 100); CREATE INDEX"
			       " orders_note ON sales.orders (lower(note))");
	run_ok(&l);
	check_shop(&s, "shop");
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: an exchange puts the restored database in place, goes back and drops")
{
	struct test_server s;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;

	make_shop(&s);
	kept_dump(&s, "shop", &k);
	server_sql(&s, "shop", "DELETE FROM sales.log");
	loading_init(&l, &s, &k, "shop");
	l.q.in_place = true;
	run_ok(&l);
	CHECK_STR(l.plan.scope[0].replaces, "shop");
	CHECK_STR(l.plan.scope[0].aside, "shop_before_0a1b2c");
	loading_release(&l);

	struct exchange_request q = {.action = EXCHANGE_LOOK, .run = "0a1b2c"};
	CHECK_OK(driver_postgres.exchange(&run, &s.e, &q, &err), err);
	CHECK_INT(q.pairs, 1);
	CHECK_STR(q.pair[0].name, "shop");
	CHECK(q.pair[0].name_exists && q.pair[0].loaded_exists && !q.pair[0].aside_exists);
	q.action = EXCHANGE_PUT;
	CHECK_OK(driver_postgres.exchange(&run, &s.e, &q, &err), err);
	CHECK(q.pair[0].name_exists && !q.pair[0].loaded_exists && q.pair[0].aside_exists);
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM sales.log", "2");
	CHECK_OK(driver_postgres.exchange(&run, &s.e, &q, &err), err);
	q.action = EXCHANGE_BACK;
	CHECK_OK(driver_postgres.exchange(&run, &s.e, &q, &err), err);
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM sales.log", "0");
	CHECK(q.pair[0].loaded_exists);
	/* As a broken exchange leaves it. */
	server_sql(&s, "template1", "ALTER DATABASE shop RENAME TO shop_before_0a1b2c");
	q.action = EXCHANGE_DROP;
	CHECK_ERR(driver_postgres.exchange(&run, &s.e, &q, &err), err, ST_REFUSED, "there is no database shop now");
	q.action = EXCHANGE_PUT;
	CHECK_OK(driver_postgres.exchange(&run, &s.e, &q, &err), err);
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM sales.log", "2");
	q.action = EXCHANGE_DROP;
	CHECK_OK(driver_postgres.exchange(&run, &s.e, &q, &err), err);
	CHECK(!server_has(&s, "shop_before_0a1b2c"));
	free(q.pair[0].name);
	free(q.pair[0].loaded);
	free(q.pair[0].aside);
	free(q.pair);
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: a single table comes with what belongs to it, beside, as rows only, or in the place of the one there")
{
	struct test_server s;
	struct kept k;
	struct loading l;

	make_shop(&s);
	kept_dump(&s, "shop", &k);

	loading_init(&l, &s, &k, "shop");
	strlist_add(&l.tables, "sales.orders");
	refused(&l, "the table sales.orders is there in shop");

	/* Beside, like the one that is there. */
	const struct load_name beside = {"sales.orders", "sales.\"orders old\""};
	loading_init(&l, &s, &k, "shop");
	strlist_add(&l.tables, "sales.orders");
	l.q.rename = &beside;
	l.q.renames = 1;
	run_ok(&l);
	CHECK_VALUE(&s, "shop", "SELECT count(*) || ' ' || sum(amount) FROM sales.\"orders old\"", "1000 501500");
	loading_release(&l);
	server_sql(&s, "shop", "DROP TABLE sales.\"orders old\"");

	/* Rows only. */
	loading_init(&l, &s, &k, "shop");
	strlist_add(&l.tables, "sales.orders");
	l.q.data_only = true;
	refused(&l, "holds rows already");
	server_sql(&s, "shop", "UPDATE sales.orders SET note = 'changed'");
	loading_init(&l, &s, &k, "shop");
	strlist_add(&l.tables, "shop.sales.orders");
	l.q.data_only = l.q.clean = true;
	plan_ok(&l);
	CHECK_STR(l.plan.dropped.item[0], "rows of sales.orders in shop");
	CHECK_HAS(l.plan.confirm, "shop@");
	run_ok(&l);
	CHECK_VALUE(&s, "shop", "SELECT count(*) || max(note) FROM sales.orders", "1000touched");
	loading_release(&l);

	/* In its place. */
	loading_init(&l, &s, &k, "shop");
	strlist_add(&l.tables, "sales.orders");
	l.q.clean = true;
	refused(&l, "view sales.totals depends on it");
	server_sql(&s, "shop", "DROP MATERIALIZED VIEW sales.totals");
	loading_init(&l, &s, &k, "shop");
	strlist_add(&l.tables, "sales.orders");
	l.q.clean = true;
	run_ok(&l);
	CHECK_VALUE(&s, "shop", "SELECT count(*) || max(note) FROM sales.orders", "1000touched");
	CHECK_VALUE(&s, "shop",
		    "SELECT count(*) FROM pg_constraint WHERE conrelid = 'sales.orders'::regclass AND contype IN ('p', 'f')", "2");
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM pg_trigger WHERE tgname = 'touch'", "1");
	CHECK_VALUE(&s, "shop", "SELECT nextval(pg_get_serial_sequence('sales.orders', 'id'))", "1001");
	loading_release(&l);

	/* Where it is not: into another database, which lacks its schema and types too; a partitioned one with its parts. */
	server_sql(&s, NULL, "CREATE DATABASE empty_one TEMPLATE template0");
	loading_init(&l, &s, &k, "shop");
	strlist_add(&l.tables, "sales.orders");
	strlist_add(&l.tables, "sales.events");
	l.q.into_database = "empty_one";
	run_ok(&l);
	CHECK_HAS(l.plan.warnings.item[0], "foreign key sales.orders orders_customer_fkey is not made");
	CHECK_VALUE(&s, "empty_one", "SELECT count(*) || max(note) FROM sales.orders", "1000touched");
	CHECK_VALUE(&s, "empty_one", "SELECT count(*) FROM sales.events", "300");
	CHECK_VALUE(&s, "empty_one",
		    "SELECT count(*) FROM pg_class WHERE relnamespace = 'sales'::regnamespace AND relkind IN ('r', 'p')", "4");
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: a table without its rows, without owners, renamed; and roles that the server lacks")
{
	struct test_server s;
	struct kept k;
	struct loading l;

	make_shop(&s);
	kept_dump(&s, "shop", &k);
	server_sql(&s, "template1", "DROP DATABASE shop; ");
	server_sql(&s, "template1", "DROP ROLE app; DROP ROLE reader");
	loading_init(&l, &s, &k, "shop");
	l.q.users = LOAD_USERS_NONE;
	refused(&l, "the server lacks the roles app, reader");

	const struct load_name names[] = {{"sales.customers", "public.people"}};
	loading_init(&l, &s, &k, "shop");
	l.q.rename = names;
	l.q.renames = 1;
	strlist_add(&l.exclude, "sales.log_mark");
	run_ok(&l);
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM public.people", "100");
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM sales.log_mark", "0");
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM pg_constraint WHERE contype = 'f'", "1");
	CHECK_VALUE(&s, "shop", "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'app'", "f");
	loading_release(&l);

	server_sql(&s, "template1", "DROP DATABASE shop");
	server_sql(&s, "template1", "DROP ROLE app; DROP ROLE reader");
	loading_init(&l, &s, &k, "shop");
	l.q.users = LOAD_USERS_NONE;
	l.q.no_owner = true;
	run_ok(&l);
	CHECK_VALUE(&s, "shop", "SELECT tableowner FROM pg_tables WHERE tablename = 'orders'", "postgres");
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM sales.orders", "1000");
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM pg_roles WHERE rolname = 'app'", "0");
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: an assertion holds by a true first column of its only row, and cannot write")
{
	struct test_server s;
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	static const struct {
		const char *query;
		bool holds;
		const char *answer;
	} rows[] = {
		{"SELECT true", true, "t"},         {"SELECT 1 = 2", false, "f"},          {"SELECT 3", true, "3"},
		{"SELECT 0.0", false, "0.0"},       {"SELECT null::bool", false, "null"},  
		{"SELECT true WHERE false", false, "0 rows"},
		{"VALUES (true), (true)", false, "2 rows"}, {"SELECT 'true'", false, "true"},
	};

	server_start(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(cstr_release) char *answer = NULL;
		bool holds;

		CHECK_OK(driver_postgres.assert_query(&run, &s.e, "postgres", rows[i].query, &holds, &answer, &err), err);
		CHECK_STR(answer, rows[i].answer);
		CHECK_INT(holds, rows[i].holds);
	}
	CLEANUP(cstr_release) char *answer = NULL;
	bool holds;
	CHECK_ERR(driver_postgres.assert_query(&run, &s.e, "postgres", "CREATE TABLE t ()", &holds, &answer, &err), err, ST_SERVER,
		  "read-only");
	server_stop(&s);
}

/* ---- faults ---- */

struct one_chunk {
	struct chunk_source src;
	const struct kept_object *o;
	bool given;
};

static enum status give_all(struct chunk_source *s, struct chunk *c, bool *end, struct error *err)
{
	struct one_chunk *one = (struct one_chunk *)(void *)s;

	(void)err;
	*end = one->given;
	one->given = true;
	*c = (struct chunk){.data = buf_str(&one->o->row), .len = one->o->row.len, .rows = one->o->rows};
	return ST_OK;
}

/* Loads one object by hand and gives what came of it. */
static enum status load_by_hand(struct loading *l, void *worker, const char *name, struct load_unit_result *result,
				struct error *err)
{
	struct run run = RUN_INIT;

	for (size_t i = 0; i < l->k->objects; i++) {
		const struct kept_object *o = &l->k->object[i];
		const struct recorded_object r = {.id = (uint32_t)i, .scope = o->scope, .name = o->name, .facts = o->facts,
						  .rows = o->rows, .raw = o->row.len};
		const struct load_unit u = {.object = &r, .rows = o->rows};
		struct one_chunk src = {.src = {give_all}, .o = o};

		if (!strcmp(o->name, name))
			return driver_postgres.load_unit(&run, worker, &u, &src.src, result, err);
	}
	return error_set(err, ST_FAILED, "no object %s", name);
}

/* Rows only, into a table with a trigger that acts whatever the session wants. */
static void begin_rows(struct loading *l, struct test_server *s, struct kept *k, void **load, void **worker)
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;

	loading_init(l, s, k, "shop");
	strlist_add(&l->tables, "sales.log");
	l->q.data_only = l->q.clean = true;
	plan_ok(l);
	CHECK_OK(driver_postgres.load_open(&run, &s->e, &l->q, &l->plan, load, &err), err);
	CHECK_OK(driver_postgres.load_choose(*load, 0, &err), err);
	CHECK_OK(driver_postgres.load_begin(&run, *load, false, &err), err);
	CHECK_OK(driver_postgres.load_worker_open(&run, *load, worker, &err), err);
}

TEST("PostgreSQL: a session that ends at a commit leaves its unit not loaded, and the server is asked which")
{
	struct test_server s;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	void *load, *worker;
	struct load_unit_result result;

	make_shop(&s);
	kept_dump(&s, "shop", &k);
	server_sql(&s, "shop", "DROP EVENT TRIGGER watch; CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
			       " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END$$;"
			       "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON sales.log DEFERRABLE INITIALLY DEFERRED FOR EACH"
			       " ROW EXECUTE FUNCTION die();"
			       "ALTER TABLE sales.log ENABLE ALWAYS TRIGGER die");
	begin_rows(&l, &s, &k, &load, &worker);
	CHECK_ERR(load_by_hand(&l, worker, "sales.log", &result, &err), err, ST_UNREACHABLE, "loading sales.log");
	CHECK_INT(result.state, LOAD_NOT);
	/* The worker got a new session to ask with and goes on with it. */
	server_sql(&s, "shop", "DROP TRIGGER die ON sales.log");
	CHECK_OK(load_by_hand(&l, worker, "sales.log", &result, &err), err);
	CHECK_INT(result.state, LOAD_DONE);
	CHECK_INT(result.rows, 2);
	driver_postgres.load_worker_close(worker);
	driver_postgres.load_close(load, false);
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

static void interrupt_soon(void *arg)
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(run_sleep(&run, DURATION_MS(500), &err), err);
	driver_postgres.interrupt(arg, HANDLE_LOAD_WORKER);
}

TEST("PostgreSQL: an interrupt ends a unit that waits for a lock; a server's refusal leaves the session usable")
{
	struct test_server s;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	void *load, *worker;
	struct load_unit_result result;
	struct run run = RUN_INIT;
	CLEANUP(conn_freep) struct conn *c = NULL;
	struct thread t = THREAD_INIT;

	make_shop(&s);
	kept_dump(&s, "shop", &k);
	begin_rows(&l, &s, &k, &load, &worker);
	server_sql(&s, "shop", "ALTER TABLE sales.log ADD CHECK (line <> 'b')");
	CHECK_ERR(load_by_hand(&l, worker, "sales.log", &result, &err), err, ST_SERVER, "violates check constraint");
	CHECK_INT(result.state, LOAD_NOT);
	server_sql(&s, "shop", "ALTER TABLE sales.log DROP CONSTRAINT log_line_check");
	CHECK_OK(conn_open(&run, &s.e, "shop", &c, &err), err);
	CHECK_OK(conn_command(&run, c, "BEGIN; LOCK sales.log", &err), err);
	CHECK_OK(thread_start(&t, "interrupt", interrupt_soon, worker, &err), err);
	struct instant from = run_mono(&run);
	CHECK_ERR(load_by_hand(&l, worker, "sales.log", &result, &err), err, ST_CANCELLED, "interrupted");
	CHECK(instant_diff(run_mono(&run), from).us < 5000000);
	thread_join(&t);
	driver_postgres.load_worker_close(worker);
	driver_postgres.interrupt(load, HANDLE_LOAD);
	CHECK_ERR(driver_postgres.load_end(&run, load, &err), err, ST_CANCELLED, "");
	driver_postgres.load_close(load, false);
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: bytes without encoding and Latin-1 come back as they were")
{
	struct test_server s;
	static const char *const encodings[] = {"SQL_ASCII", "LATIN1"};

	server_start(&s);
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
		struct kept k;
		struct loading l;
		CLEANUP(cstr_release) char *create = xasprintf("CREATE DATABASE shop TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE"
							       " 'C' ENCODING '%s'", encodings[i]);

		server_sql(&s, NULL, create);
		server_sql(&s, "shop",
			   "CREATE TABLE t (b text); INSERT INTO t VALUES (convert_from('\\xe4', getdatabaseencoding()))");
		kept_dump(&s, "shop", &k);
		server_sql(&s, NULL, "DROP DATABASE shop");
		loading_init(&l, &s, &k, "shop");
		run_ok(&l);
		CHECK_VALUE(&s, "shop",
			    "SELECT getdatabaseencoding() || ' ' || encode(convert_to(b, getdatabaseencoding()), 'hex') FROM t",
			    i ? "LATIN1 e4" : "SQL_ASCII e4");
		server_sql(&s, NULL, "DROP DATABASE shop");
		loading_release(&l);
		kept_release(&k);
	}
	server_stop(&s);
}

TEST("PostgreSQL: a view that cannot be filled is said after everything else is done, and a resumed run fills it")
{
	struct test_server s;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop TEMPLATE template0");
	server_sql(&s, NULL, "CREATE ROLE lonely");
	server_sql(&s, "shop", "CREATE SCHEMA hidden; CREATE TABLE hidden.t AS SELECT 1 i; GRANT USAGE ON SCHEMA hidden TO lonely;"
			       "CREATE MATERIALIZED VIEW v AS SELECT * FROM hidden.t; ALTER MATERIALIZED VIEW v OWNER TO lonely;"
			       "CREATE TABLE other (i int PRIMARY KEY)");
	kept_dump(&s, "shop", &k);
	server_sql(&s, NULL, "DROP DATABASE shop");
	loading_init(&l, &s, &k, "shop");
	plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_FAILED, "1 materialized views could not be filled");
	CHECK_VALUE(&s, "shop", "SELECT count(*) FROM pg_index WHERE indrelid = 'other'::regclass", "1");
	server_sql(&s, "shop", "GRANT SELECT ON hidden.t TO lonely");
	l.resumed = true;
	run_ok(&l);
	CHECK_VALUE(&s, "shop", "SELECT i FROM v", "1");
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: who is no superuser restores without owners, and is told what was left out")
{
	struct test_server s;
	struct kept k;
	struct loading l;
	struct strlist notes = STRLIST_INIT;
	CLEANUP(buf_release) struct buf url = BUF_INIT;

	make_shop(&s);
	server_sql(&s, "shop", "ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO reader; CREATE PUBLICATION"
			       " whole FOR ALL TABLES");
	kept_dump(&s, "shop", &k);
	server_sql(&s, NULL, "CREATE ROLE dbo LOGIN CREATEDB");
	buf_printf(&url, "postgres://dbo%s", strchr(s.url, '@'));
	s.e.url = buf_str(&url);
	loading_init(&l, &s, &k, "shop");
	refused(&l, "no member of the owners app, postgres");
	loading_init(&l, &s, &k, "shop");
	l.q.no_owner = true;
	l.q.users = LOAD_USERS_NONE;
	run_ok(&l);
	CHECK_VALUE(&s, "shop_restore_0a1b2c", "SELECT count(*) || ' ' || sum(amount) FROM sales.orders", "1000 501500");
	CHECK_VALUE(&s, "shop_restore_0a1b2c", "SELECT count(*) FROM sales.totals", "100");
	CHECK_VALUE(&s, "shop_restore_0a1b2c", "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()",
		    "dbo");
	CHECK_VALUE(&s, "shop_restore_0a1b2c", "SELECT string_agg(pubname, ' ') FROM pg_publication", "pub");
	notes_copy(s.notes, &notes);
	CLEANUP(buf_release) struct buf all = BUF_INIT;
	for (size_t i = 0; i < notes.len; i++)
		buf_printf(&all, "%s\n", notes.item[i]);
	CHECK_HAS(buf_str(&all), "PUBLICATION whole was not made");
	CHECK_HAS(buf_str(&all), "EVENT TRIGGER watch was not made");
	strlist_release(&notes);
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

TEST("PostgreSQL: a database whose schema public was dropped has none after the restore either")
{
	struct test_server s;
	struct kept k;
	struct loading l;

	server_start(&s);
	server_sql(&s, NULL, "CREATE DATABASE shop TEMPLATE template0");
	server_sql(&s, "shop", "DROP SCHEMA public; CREATE SCHEMA own; CREATE TABLE own.t (i int)");
	kept_dump(&s, "shop", &k);
	loading_init(&l, &s, &k, "shop");
	run_ok(&l);
	CHECK_VALUE(&s, "shop_restore_0a1b2c", "SELECT count(*) FROM pg_namespace WHERE nspname = 'public'", "0");
	loading_release(&l);
	kept_release(&k);
	server_stop(&s);
}

TEST("what a killed run left of its scratch server goes when the next one starts, and nothing else")
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	struct scratch_place left = SCRATCH_PLACE_INIT, next = SCRATCH_PLACE_INIT;
	const char *const users[] = {"postgres", "nobody", NULL};
	CLEANUP(cstr_release) char *other = xasprintf("%s/drtool-0123456789ab", test_dir());

	CHECK_INT(chmod(test_dir(), 0755), 0);
	CHECK_INT(mkdir(other, 0700), 0);
	CHECK_OK(scratch_place_make(&run, test_dir(), users, 0, &left, &err), err);
	CLEANUP(cstr_release) char *first = xstrdup(left.dir);
	CHECK_OK(scratch_place_make(&run, test_dir(), users, 0, &next, &err), err);
	CHECK(fs_exists(first));
	scratch_place_release(&next);
	close(left.lock - 1); /* as the end of the process does */
	CHECK_OK(scratch_place_make(&run, test_dir(), users, 0, &next, &err), err);
	CHECK(!fs_exists(first));
	CHECK(fs_exists(other));
	scratch_place_release(&next);
	left.lock = 0;
	scratch_place_release(&left);
}

TEST("a scratch server is refused where its user cannot enter the folder, and where room is short")
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	char *url = NULL;
	void *scratch = NULL;
	CLEANUP(cstr_release) char *closed = xasprintf("%s/closed", test_dir());
	struct scratch_spec spec = {.dir = closed, .version = "15.0"};

	if (geteuid() != 0)
		test_skip("only root starts servers as somebody else");
	CHECK_INT(mkdir(closed, 0700), 0);
	CHECK_ERR(driver_postgres.scratch_start(&run, &spec, &url, &scratch, &err), err, ST_CONFIG, "cannot enter");
	spec.dir = "/var/tmp";
	spec.room_needed = UINT64_MAX;
	CHECK_ERR(driver_postgres.scratch_start(&run, &spec, &url, &scratch, &err), err, ST_NO_SPACE,
		  "the scratch server needs about");
	spec.room_needed = 0;
	spec.user = "no-such-user";
	CHECK_ERR(driver_postgres.scratch_start(&run, &spec, &url, &scratch, &err), err, ST_CONFIG, "no-such-user");
	spec.user = NULL;
	spec.version = "99.1";
	CHECK_ERR(driver_postgres.scratch_start(&run, &spec, &url, &scratch, &err), err, ST_UNSUPPORTED,
		  "could not verify: no PostgreSQL 99 server");
}
