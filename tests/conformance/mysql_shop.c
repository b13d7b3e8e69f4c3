#include "tests/conformance/mysql_shop.h"

#include "tests/lib/test.h"

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
	"CREATE PROCEDURE fill() BEGIN DECLARE i int DEFAULT 0; START TRANSACTION; WHILE i < 1000 DO INSERT INTO customers (name) SELECT concat('name ', i) FROM"
	" dual WHERE i < 100; INSERT INTO orders VALUES (i, 1 + i % 100, 1 + i, 1 + i % 2, '2026-03-29 02:30:00', concat('note ', i), i / 3, i,"
	" point(i, -i), unhex('00095C0A00')); INSERT INTO events VALUES ('2025-12-01' +"
	" INTERVAL i DAY, concat('event ', i)); SET i = i + 1; END WHILE; COMMIT; INSERT INTO plain SELECT id, concat('line ', id) FROM orders; END",
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

void shop_start(struct shop *f, const char *const *settings)
{
	*f = (struct shop){.s = {.driver = &driver_mysql}};
	if (settings)
		my_test_server_start(&f->my, settings);
	else
		my_test_server_share(&f->my);
	f->s.notes = f->my.notes;
	f->s.e = f->my.e;
}

void shop_stop(struct shop *f) { my_test_server_stop(&f->my); }

static void run_all(struct shop *f, const char *const *sql)
{
	for (; *sql; sql++)
		my_test_server_sql(&f->my, "shop", *sql);
}

void shop_make(struct shop *f, const char *const *settings)
{
	static const char *const placeholder[] = {"CREATE VIEW z_view AS SELECT 1 AS id, 2 AS total", NULL};

	shop_start(f, settings);
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

const char shop_digest[] = "SELECT concat_ws('|', count(*), sum(amount), min(state), max(at), min(note), sum(f), sum(b+0), max(ST_AsText(g)),"
			     " max(hex(raw))) FROM orders";

void shop_check(struct shop *f, const char *db)
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
	CHECK_VALUE(s, db, "SELECT group_concat(event_name, replace(status, 'REPLICA_', 'SLAVE') ORDER BY event_name) FROM information_schema.events"
			   " WHERE event_schema = database()", strcmp(db, "shop") ? "nightlySLAVESIDE_DISABLED,restingDISABLED" : "nightlyENABLED,restingDISABLED");
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

void shop_no_note(struct shop *f, const char *part)
{
	struct strlist notes = STRLIST_INIT;

	notes_copy(f->s.notes, &notes);
	for (size_t i = 0; i < notes.len; i++)
		if (strstr(notes.item[i], part))
			test_fail(__FILE__, __LINE__, "a note: %s", notes.item[i]);
	strlist_release(&notes);
}

void shop_has_note(struct shop *f, const char *part)
{
	CLEANUP(buf_release) struct buf all = BUF_INIT;
	struct strlist notes = STRLIST_INIT;

	notes_copy(f->s.notes, &notes);
	for (size_t i = 0; i < notes.len; i++)
		buf_printf(&all, "%s\n", notes.item[i]);
	strlist_release(&notes);
	CHECK_HAS(buf_str(&all), part);
}

void shop_plan_ok(struct loading *l)
{
	struct error err = ERROR_INIT;

	CHECK_OK(loading_plan(l, &err), err);
	if (l->plan.refusals.len)
		test_fail(__FILE__, __LINE__, "refused: %s", l->plan.refusals.item[0]);
}

void shop_run_ok(struct loading *l)
{
	struct error err = ERROR_INIT;

	shop_plan_ok(l);
	CHECK_OK(loading_run(l, NULL, &err), err);
}

void shop_refused(struct loading *l, const char *why)
{
	struct error err = ERROR_INIT;

	CHECK_OK(loading_plan(l, &err), err);
	if (!l->plan.refusals.len)
		test_fail(__FILE__, __LINE__, "not refused, expected \"%s\"", why);
	CHECK_HAS(l->plan.refusals.item[0], why);
	loading_release(l);
}
