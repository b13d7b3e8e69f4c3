#include "drivers/mysql/load.h"
#include "drivers/mysql/mydriver.h"
#include "tests/conformance/driver_load.h"
#include "tests/conformance/mysql_server.h"
#include "tests/lib/test.h"
#include "util/thread.h"

#define CHECK_VALUE(server, database, sql, expected)                                              \
	do {                                                                                      \
		CLEANUP(cstr_release) char *value_ = my_test_server_value(server, database, sql); \
		CHECK_STR(value_, expected);                                                      \
	} while (0)

static const struct driver under_test = {
	.name = "mysql",
	.dump_open = my_dump_open,
	.dump_entries = my_dump_entries,
	.scope_begin = my_scope_begin,
	.worker_open = my_worker_open,
	.dump_unit = my_dump_unit,
	.worker_close = my_worker_close,
	.scope_end = my_scope_end,
	.dump_close = my_dump_close,
	.load_plan = my_load_plan,
	.load_open = my_load_open,
	.load_begin = my_load_begin,
	.load_wants = my_load_wants,
	.load_has_unit = my_load_has_unit,
	.load_worker_open = my_load_worker_open,
	.load_unit = my_load_unit,
	.load_worker_close = my_load_worker_close,
	.load_end = my_load_end,
	.load_close = my_load_close,
	.exchange = my_exchange,
};

/* A shop with one of most things that a dump has to get right. */
static const char *const shop[] = {
	"CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name varchar(100) CHARACTER SET latin1 NOT NULL, upper_name varchar(100)"
	" CHARACTER SET latin1 AS (upper(name)) STORED, KEY (name)) CHARSET=utf8mb4",
	"CREATE TABLE orders (id bigint PRIMARY KEY, customer int, amount decimal(10,2), state enum('new','paid') DEFAULT 'new', at timestamp"
	" NULL DEFAULT '2026-01-02 03:04:05', note text, f float, b bit(10), g point, raw blob, UNIQUE KEY un (customer, id), FULLTEXT KEY ft"
	" (note), CHECK (amount > 0), FOREIGN KEY own (customer) REFERENCES customers (id)) CHARSET=utf8mb4",
	"CREATE TABLE `odd ``one\".x` (`col\tumn` text, b int) CHARSET=utf8mb4",
	"INSERT INTO `odd ``one\".x` VALUES ('\\\\ \t \n', NULL), ('\\\\N', 2)",
	"CREATE TABLE plain (id int PRIMARY KEY, line text, KEY (line(10))) ENGINE=MyISAM",
	"CREATE TABLE events (at date, what varchar(50), KEY (what)) PARTITION BY RANGE (year(at)) (PARTITION p0 VALUES LESS THAN (2026),"
	" PARTITION p1 VALUES LESS THAN MAXVALUE)",
	"CREATE TABLE log (line text)",
	"INSERT INTO customers (id, name) VALUES (-1, X'E9')",
	"CREATE PROCEDURE fill() BEGIN DECLARE i int DEFAULT 0; WHILE i < 1000 DO INSERT INTO customers (name) SELECT concat('name ', i) FROM"
	" dual WHERE i < 100; INSERT INTO orders VALUES (i, 1 + i % 100, 1 + i, 1 + i % 2, '2026-03-29 02:30:00', concat('note ', i), i / 3, i,"
	" point(i, -i), unhex('00095C0A00')); INSERT INTO plain VALUES (i, concat('line ', i)); INSERT INTO events VALUES ('2025-12-01' +"
	" INTERVAL i DAY, concat('event ', i)); SET i = i + 1; END WHILE; END",
	"INSERT INTO log VALUES ('a'), ('b')",
	"CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC RETURN a * 2",
	"CREATE VIEW a_view AS SELECT twice(id) AS t, total FROM z_view",
	NULL,
};
static const char *const shop_after[] = {
	"CREATE VIEW z_view AS SELECT customer AS id, sum(amount) AS total FROM orders GROUP BY customer",
	"CREATE OR REPLACE VIEW a_view AS SELECT twice(id) AS t, total FROM z_view",
	"CREATE TRIGGER touch BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = 'touched'",
	"CREATE TRIGGER touch2 BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = concat(NEW.note, '!')",
	"CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 03:00:00' DO DELETE FROM log",
	"CREATE EVENT resting ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 03:00:00' DISABLE DO DELETE FROM log",
	NULL,
};
static const char *const shop_mariadb[] = {
	"CREATE SEQUENCE numbers START WITH 7 INCREMENT BY 1 CACHE 10",
	"CREATE TABLE drawn (n bigint NOT NULL DEFAULT nextval(numbers) PRIMARY KEY, t text)",
	"INSERT INTO drawn (t) VALUES ('x'), ('y')",
	"CREATE TABLE kept (id int PRIMARY KEY, x int) WITH SYSTEM VERSIONING",
	"INSERT INTO kept VALUES (1, 1)",
	"UPDATE kept SET x = 2",
	"DELETE FROM kept",
	"INSERT INTO kept VALUES (2, 5)",
	NULL,
};

struct fixture {
	struct my_test_server my;
	struct test_server s;
};

static void start(struct fixture *f, const char *const *settings)
{
	*f = (struct fixture){.s = {.driver = &under_test}};
	my_test_server_start(&f->my, settings);
	f->s.notes = f->my.notes;
	f->s.e = f->my.e;
}

static void stop(struct fixture *f) { my_test_server_stop(&f->my); }

static void run_all(struct fixture *f, const char *const *sql)
{
	for (; *sql; sql++)
		my_test_server_sql(&f->my, "shop", *sql);
}

static void make_shop(struct fixture *f, const char *const *settings)
{
	static const char *const placeholder[] = {"CREATE VIEW z_view AS SELECT 1 AS id, 2 AS total", NULL};

	start(f, settings);
	my_test_server_sql(&f->my, NULL, "CREATE USER app@'%' IDENTIFIED BY 'x'");
	my_test_server_sql(&f->my, NULL, "CREATE DATABASE shop CHARACTER SET latin1");
	run_all(f, placeholder);
	my_test_server_sql(&f->my, "shop", "CREATE DEFINER=app@'%' PROCEDURE old() SELECT 1");
	for (const char *const *sql = shop; *sql; sql++)
		my_test_server_sql(&f->my, "shop", *sql);
	my_test_server_sql(&f->my, "shop", "CALL fill()");
	my_test_server_sql(&f->my, "shop", "DROP VIEW z_view");
	run_all(f, shop_after);
	if (f->my.mariadb)
		run_all(f, shop_mariadb);
}

static const char digest[] = "SELECT concat_ws('|', count(*), sum(amount), min(state), max(at), min(note), sum(f), sum(b+0), max(astext(g)),"
			     " max(hex(raw))) FROM orders";

static void check_shop(struct fixture *f, const char *db)
{
	struct my_test_server *s = &f->my;

	CHECK_VALUE(s, db, "SELECT concat_ws(' ', count(*), sum(amount), max(note), min(at), sum(b+0), max(hex(raw))) FROM orders",
		    "1000 500500.00 note 999 2026-03-29 02:30:00 499500 00095C0A00");
	CHECK_VALUE(s, db, "SELECT concat(count(*), max(upper_name)) FROM customers", "101NAME 99");
	CHECK_VALUE(s, db, "SELECT concat(hex(name), hex(upper_name)) FROM customers WHERE id = -1", "E9C9");
	CHECK_VALUE(s, db, "SELECT group_concat(`col\tumn` ORDER BY b DESC SEPARATOR '|') FROM `odd ``one\".x`", "\\N|\\ \t \n");
	CHECK_VALUE(s, db, "SELECT concat(count(*), max(line)) FROM plain", "1000line 999");
	CHECK_VALUE(s, db, "SELECT concat_ws(' ', (SELECT count(*) FROM events), (SELECT count(*) FROM events PARTITION (p0)))", "1000 31");
	CHECK_VALUE(s, db, "SELECT count(*) FROM a_view WHERE t = 2 * 1", "1");
	CHECK_VALUE(s, db, "SELECT group_concat(DISTINCT index_name ORDER BY index_name) FROM information_schema.statistics WHERE table_schema ="
			   " database() AND table_name = 'orders'", "ft,PRIMARY,un");
	CHECK_VALUE(s, db, "SELECT count(*) FROM information_schema.referential_constraints WHERE constraint_schema = database()", "1");
	CHECK_VALUE(s, db, "SELECT group_concat(trigger_name ORDER BY action_order) FROM information_schema.triggers WHERE trigger_schema ="
			   " database()", "touch,touch2");
	CHECK_VALUE(s, db, "SELECT group_concat(event_name, status ORDER BY event_name) FROM information_schema.events WHERE event_schema ="
			   " database()", "nightlyENABLED,restingDISABLED");
	CHECK_VALUE(s, db, "SELECT definer FROM information_schema.routines WHERE routine_schema = database() AND routine_name = 'old'", "app@%");
	CHECK_VALUE(s, db, "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE 'drtool%'", "0");
	CHECK_VALUE(s, db, "SELECT @@character_set_database", "latin1");
	if (!f->my.mariadb)
		return;
	CHECK_VALUE(s, db, "SELECT concat_ws(' ', count(*), min(n), max(n)) FROM drawn", "2 7 8");
	CHECK_VALUE(s, db, "SELECT nextval(numbers) > 8", "1");
	CHECK_VALUE(s, db, "SELECT concat_ws(' ', count(*), max(id)) FROM kept", "1 2");
	CHECK_VALUE(s, db, "SELECT group_concat(id, ':', x ORDER BY id, x) FROM kept FOR SYSTEM_TIME ALL", "1:1,1:2,2:5");
	CHECK_VALUE(s, db, "SELECT column_default = concat('nextval(`', replace(database(), '`', '``'), '`.`numbers`)') FROM"
			   " information_schema.columns WHERE table_schema = database() AND table_name = 'drawn' AND column_name = 'n'", "1");
}

static void no_note(struct fixture *f, const char *part)
{
	struct strlist notes = STRLIST_INIT;

	notes_copy(f->s.notes, &notes);
	for (size_t i = 0; i < notes.len; i++)
		if (strstr(notes.item[i], part))
			test_fail(__FILE__, __LINE__, "a note: %s", notes.item[i]);
	strlist_release(&notes);
}

static void has_note(struct fixture *f, const char *part)
{
	CLEANUP(buf_release) struct buf all = BUF_INIT;
	struct strlist notes = STRLIST_INIT;

	notes_copy(f->s.notes, &notes);
	for (size_t i = 0; i < notes.len; i++)
		buf_printf(&all, "%s\n", notes.item[i]);
	strlist_release(&notes);
	CHECK_HAS(buf_str(&all), part);
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

TEST("MySQL: a database is restored beside, under its own name, and where it is told to")
{
	struct fixture f;
	struct kept k;
	struct loading l;

	make_shop(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	CLEANUP(cstr_release) char *before = my_test_server_value(&f.my, "shop", digest);

	loading_init(&l, &f.s, &k, "shop");
	run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop_restore_0a1b2c");
	check_shop(&f, "shop_restore_0a1b2c");
	CHECK_VALUE(&f.my, "shop_restore_0a1b2c", digest, before);
	no_note(&f, "is not made as it was recorded");
	has_note(&f, "a point in time after it needs a new backup");
	loading_release(&l);

	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 70;
	run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	check_shop(&f, "shop");
	loading_release(&l);

	const struct load_name other = {"shop", "\"Other `\"\"db'\""};
	loading_init(&l, &f.s, &k, "shop");
	l.q.rename = &other;
	l.q.renames = 1;
	run_ok(&l);
	check_shop(&f, "Other `\"db'");
	loading_release(&l);
	loading_init(&l, &f.s, &k, "shop");
	l.q.into_database = "shop";
	refused(&l, "is there and not empty");
	kept_release(&k);
	stop(&f);
}

TEST("MySQL: a server that forbids LOAD DATA LOCAL gets the same rows by INSERT")
{
	struct fixture f;
	struct kept k;
	struct loading l;

	make_shop(&f, (const char *const[]){"local_infile=0", "max_allowed_packet=32768", NULL});
	kept_dump(&f.s, "shop", &k);
	CLEANUP(cstr_release) char *before = my_test_server_value(&f.my, "shop", digest);
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 600;
	run_ok(&l);
	check_shop(&f, "shop_restore_0a1b2c");
	CHECK_VALUE(&f.my, "shop_restore_0a1b2c", digest, before);
	has_note(&f, "rows went in by INSERT");
	loading_release(&l);
	kept_release(&k);
	stop(&f);
}

TEST("MySQL: a restore that broke goes on without loading a row twice or losing one")
{
	struct fixture f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	make_shop(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 100;
	plan_ok(&l);
	CHECK_ERR(loading_run(&l, &(struct load_break){.units = 27}, &err), err, ST_FAILED, "broken here");
	l.resumed = true;
	/* The journal of the core may know less than the target: the mark there decides. */
	strlist_release(&l.done);
	plan_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	CHECK_ERR(loading_run(&l, &(struct load_break){.before_end = true}, &err), err, ST_FAILED, "broken here");
	my_test_server_sql(&f.my, "shop", "DELETE FROM drtool_restore_0a1b2c WHERE item = 'orders' AND part = 200");
	plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_FAILED, "900 rows were committed in the target, the backup has 1000");
	my_test_server_sql(&f.my, "shop", "INSERT INTO drtool_restore_0a1b2c VALUES (1, 'orders', 0, 200, 100)");
	/* As an end that broke leaves it. */
	my_test_server_sql(&f.my, "shop", "ALTER TABLE customers ADD KEY name (name)");
	my_test_server_sql(&f.my, "shop", "CREATE VIEW z_view AS SELECT customer AS id, sum(amount) AS total FROM orders GROUP BY customer");
	run_ok(&l);
	check_shop(&f, "shop");
	loading_release(&l);
	kept_release(&k);
	stop(&f);
}

TEST("MySQL: an exchange puts the restored database in place, goes back and drops")
{
	struct fixture f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;

	make_shop(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	my_test_server_sql(&f.my, "shop", "DELETE FROM log");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE later (i int)");
	loading_init(&l, &f.s, &k, "shop");
	l.q.in_place = true;
	run_ok(&l);
	CHECK_STR(l.plan.scope[0].replaces, "shop");
	CHECK_STR(l.plan.scope[0].aside, "shop_before_0a1b2c");
	loading_release(&l);

	struct exchange_request q = {.action = EXCHANGE_LOOK, .run = "0a1b2c"};
	CHECK_OK(under_test.exchange(&run, &f.s.e, &q, &err), err);
	CHECK_INT(q.pairs, 1);
	CHECK_STR(q.pair[0].name, "shop");
	CHECK(q.pair[0].name_exists && q.pair[0].loaded_exists && !q.pair[0].aside_exists);
	q.action = EXCHANGE_PUT;
	CHECK_OK(under_test.exchange(&run, &f.s.e, &q, &err), err);
	CHECK(q.pair[0].name_exists && !q.pair[0].loaded_exists && q.pair[0].aside_exists);
	check_shop(&f, "shop");
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM log", "2");
	check_shop(&f, "shop_before_0a1b2c");
	CHECK_VALUE(&f.my, "shop_before_0a1b2c", "SELECT count(*) FROM later", "0");
	CHECK_OK(under_test.exchange(&run, &f.s.e, &q, &err), err);
	q.action = EXCHANGE_BACK;
	CHECK_OK(under_test.exchange(&run, &f.s.e, &q, &err), err);
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM log", "0");
	check_shop(&f, "shop");
	check_shop(&f, "shop_restore_0a1b2c");
	CHECK(q.pair[0].loaded_exists && !q.pair[0].aside_exists);
	q.action = EXCHANGE_PUT;
	CHECK_OK(under_test.exchange(&run, &f.s.e, &q, &err), err);
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM log", "2");
	q.action = EXCHANGE_DROP;
	CHECK_OK(under_test.exchange(&run, &f.s.e, &q, &err), err);
	CHECK(!q.pair[0].aside_exists);
	check_shop(&f, "shop");
	free(q.pair[0].name);
	free(q.pair[0].loaded);
	free(q.pair[0].aside);
	free(q.pair);
	kept_release(&k);
	stop(&f);
}

TEST("MySQL: a single table comes with what belongs to it, beside, as rows only, or in the place of the one there")
{
	struct fixture f;
	struct kept k;
	struct loading l;

	make_shop(&f, NULL);
	kept_dump(&f.s, "shop", &k);

	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	refused(&l, "the table orders is there in shop");

	/* Beside the one that is there. */
	const struct load_name beside = {"shop.orders", "\"orders old\""};
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.rename = &beside;
	l.q.renames = 1;
	run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT concat_ws(' ', count(*), sum(amount)) FROM `orders old`", "1000 500500.00");
	loading_release(&l);
	my_test_server_sql(&f.my, "shop", "DROP TABLE `orders old`");

	/* Rows only. */
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.data_only = true;
	refused(&l, "has triggers that would act on each row");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "customers");
	l.q.data_only = true;
	refused(&l, "holds rows already");
	my_test_server_sql(&f.my, "shop", "UPDATE customers SET name = 'changed' WHERE id = 7");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "shop.customers");
	l.q.data_only = l.q.clean = true;
	plan_ok(&l);
	CHECK_STR(l.plan.dropped.item[0], "rows of customers in shop");
	CHECK_HAS(l.plan.confirm, "shop@");
	run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT concat(count(*), sum(name = 'changed')) FROM customers", "1010");
	loading_release(&l);

	/* In its place. */
	my_test_server_sql(&f.my, "shop", "UPDATE orders SET note = 'changed'");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.clean = true;
	run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT concat(count(*), max(note)) FROM orders", "1000note 999");
	check_shop(&f, "shop");
	loading_release(&l);

	/* Absent: with its foreign key where the parent is there. */
	my_test_server_sql(&f.my, "shop", "DROP TABLE orders");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	run_ok(&l);
	check_shop(&f, "shop");
	loading_release(&l);

	/* Renamed where its name is free: the trigger goes with it. Into a database that is not there: without the foreign key. */
	const struct load_name both[] = {{"shop", "single"}, {"orders", "o2"}};
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.rename = both;
	l.q.renames = 2;
	plan_ok(&l);
	CHECK_HAS(l.plan.warnings.item[0], "the table that it refers to is not there");
	run_ok(&l);
	CHECK_VALUE(&f.my, "single", "SELECT concat(count(*), max(note)) FROM o2", "1000note 999");
	CHECK_VALUE(&f.my, "single", "SELECT count(*) FROM information_schema.triggers WHERE event_object_schema = 'single' AND"
				     " event_object_table = 'o2'", "2");
	loading_release(&l);
	kept_release(&k);
	stop(&f);
}
