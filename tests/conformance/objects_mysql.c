#include "drivers/mysql/objects.h"

#include <unistd.h>

#include "drivers/mysql/ddl.h"
#include "drivers/mysql/inventory.h"
#include "drivers/mysql/server.h"
#include "drivers/mysql/session.h"
#include "tests/conformance/mysql_server.h"
#include "tests/lib/test.h"
#include "util/fs.h"
#include "util/process.h"

static struct run run = RUN_INIT;

static void sql_ok(struct my_conn *c, const char *sql)
{
	struct error err = ERROR_INIT;

	if (my_conn_command(&run, c, sql, &err))
		test_fail(__FILE__, __LINE__, "%s: %s", sql, error_text(&err));
}

static void all_ok(struct my_conn *c, const char *const *sql)
{
	for (; *sql; sql++)
		sql_ok(c, *sql);
}

/* ---- reading and making ---- */

struct objects {
	struct my_object *o;
	size_t n;
};

static void objects_release(struct objects *l)
{
	for (size_t i = 0; i < l->n; i++)
		my_object_release(&l->o[i]);
	free(l->o);
}

/* Each comes by way of its line in an archive. */
static enum status keep(void *ctx, const struct my_object *o, struct error *err)
{
	struct objects *l = ctx;

	(void)err;
	l->o = xrealloc(l->o, (l->n + 1) * sizeof *l->o);
	l->o[l->n++] = my_object_copy(o);
	return ST_OK;
}

static enum status keep_line(void *ctx, const struct my_object *o, struct error *err)
{
	CLEANUP(js_decref) json_t *j = my_object_json(o);
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	js_write(j, false, &line);
	buf_putc(&line, '\n');
	return my_objects_parse(buf_str(&line), line.len, keep, ctx, err);
}

static void read_objects(struct my_test_server *s, const char *database, struct objects *to)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(cstr_release) char *now = NULL;

	CHECK_OK(my_session_open(&run, &s->e, "mysql", &c, &err), err);
	CHECK_OK(my_objects_each(&run, c, database, s->notes, keep_line, to, &err), err);
	CHECK_OK(my_conn_value(&run, c, "SELECT DATABASE()", &now, &err), err);
	CHECK_STR(now, "mysql");
}

static void alter_each(struct my_conn *c, const char *table, const struct strlist *parts)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (!parts->len)
		return;
	buf_puts(&sql, "ALTER TABLE ");
	my_sql_ident(&sql, table);
	for (size_t i = 0; i < parts->len; i++)
		buf_printf(&sql, "%s %s", i ? "," : "", parts->item[i]);
	sql_ok(c, buf_str(&sql));
}

static void make_one(struct my_conn *c, const struct my_object *o, const char *sql)
{
	struct error err = ERROR_INIT;

	CHECK_OK(my_object_make(&run, c, o, sql, &err), err);
}

/* Keys and foreign keys of all tables: the foreign ones when all keys are there. */
static void make_tables(struct my_conn *c, const struct objects *l)
{
	for (int pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < l->n; i++) {
			CLEANUP(error_release) struct error err = ERROR_INIT;
			CLEANUP(my_ddl_release) struct my_ddl_table t = MY_DDL_TABLE_INIT;

			if (l->o[i].kind != OBJECT_TABLE)
				continue;
			CHECK_OK(my_ddl_split(l->o[i].sql, &t, &err), err);
			if (pass == 0)
				make_one(c, &l->o[i], t.base);
			else
				alter_each(c, l->o[i].name, pass == 1 ? &t.keys : &t.foreign);
		}
}

static void make_views(struct my_conn *c, const struct objects *l, struct notes *notes)
{
	struct error err = ERROR_INIT;
	const struct my_object **view = xcalloc(l->n + 1, sizeof *view);
	size_t n = 0;

	/* In the worst order. */
	for (size_t i = l->n; i > 0; i--)
		if (l->o[i - 1].kind == OBJECT_VIEW)
			view[n++] = &l->o[i - 1];
	CHECK_OK(my_views_make(&run, c, view, n, notes, &err), err);
	free(view);
}

static void make_kinds(struct my_conn *c, const struct objects *l, enum object_kind from, enum object_kind to)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->o[i].kind >= from && l->o[i].kind <= to)
			make_one(c, &l->o[i], NULL);
}

static void copy_database(struct my_test_server *s, const struct objects *l, const char *to)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(cstr_release) char *create = my_ddl_renamed(l->o[0].sql, to);
	CLEANUP(buf_release) struct buf use = BUF_INIT;

	CHECK_OK(my_session_open_load(&run, &s->e, NULL, &c, &err), err);
	make_one(c, &l->o[0], create);
	buf_puts(&use, "USE ");
	my_sql_ident(&use, to);
	sql_ok(c, buf_str(&use));
	CLEANUP(cstr_release) char *before = NULL, *after = NULL;
	static const char own[] = "SELECT CONCAT_WS('/', @@sql_mode, @@character_set_client, @@collation_connection, @@time_zone, @@collation_database)";
	CHECK_OK(my_conn_value(&run, c, own, &before, &err), err);
	make_kinds(c, l, OBJECT_SEQUENCE, OBJECT_SEQUENCE);
	make_tables(c, l);
	for (size_t i = 0; i < l->n; i++)
		if (l->o[i].next) {
			CLEANUP(buf_release) struct buf sql = BUF_INIT;

			my_object_value_sql(&l->o[i], &sql);
			sql_ok(c, buf_str(&sql));
		}
	make_kinds(c, l, OBJECT_FUNCTION, OBJECT_PACKAGE_BODY);
	make_views(c, l, s->notes);
	make_kinds(c, l, OBJECT_TRIGGER, OBJECT_EVENT);
	for (size_t i = 0; i < l->n; i++)
		if (l->o[i].kind == OBJECT_EVENT)
			CHECK_OK(my_event_status(&run, c, &l->o[i], s->notes, &err), err);
	CHECK_OK(my_conn_value(&run, c, own, &after, &err), err);
	CHECK_STR(after, before);
}

static void comparable(struct my_object *o)
{
	CLEANUP(cstr_release) char *sql = o->sql;

	o->sql = o->kind == OBJECT_TABLE ? my_ddl_without_counter(sql) : xstrdup(sql);
}

/* What differs between two readings of a database, "" for nothing. */
static char *difference(const struct objects *a, const struct objects *b)
{
	struct buf out = BUF_INIT;

	buf_puts(&out, "");
	if (a->n != b->n)
		buf_printf(&out, "%zu objects and %zu\n", a->n, b->n);
	for (size_t i = 1; i < a->n && i < b->n; i++) {
		comparable(&a->o[i]);
		comparable(&b->o[i]);
		CLEANUP(js_decref) json_t *one = my_object_json(&a->o[i]), *other = my_object_json(&b->o[i]);
		CLEANUP(buf_release) struct buf x = BUF_INIT, y = BUF_INIT;

		js_write(one, false, &x);
		js_write(other, false, &y);
		if (strcmp(buf_str(&x), buf_str(&y)) != 0)
			buf_printf(&out, "%s\n%s\n", buf_str(&x), buf_str(&y));
	}
	return buf_detach(&out);
}

static enum status take_item(void *ctx, const struct inventory_item *i, struct error *err)
{
	struct strlist *l = ctx;

	(void)err;
	if (strchr(i->facts, '\n'))
		test_fail(__FILE__, __LINE__, "%s %s has a line end in its facts", i->kind, i->name);
	strlist_take(l, xasprintf("%s %s: %s%s", i->kind, i->name, i->facts, i->grows ? i->sign < 0 ? " (down)" : " (up)" : ""));
	return ST_OK;
}

/* Sorted, a thing a line. */
static char *inventory_of(struct my_test_server *s, const char *database)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;
	const struct inventory_sink sink = {.item = take_item, .ctx = &l};
	struct buf out = BUF_INIT;

	CHECK_OK(my_session_open(&run, &s->e, NULL, &c, &err), err);
	CHECK_OK(my_inventory_take_all(&run, c, database, false, &sink, &err), err);
	strlist_sort(&l);
	for (size_t i = 0; i < l.len; i++) {
		size_t name = strcspn(l.item[i], ":");

		if (i && !strncmp(l.item[i], l.item[i - 1], name + 1))
			test_fail(__FILE__, __LINE__, "the inventory has two of %s", l.item[i]);
		buf_printf(&out, "%s\n", l.item[i]);
	}
	return buf_detach(&out);
}

/* The first line that one has and the other not. */
static void check_same(const char *what, const char *a, const char *b)
{
	while (*a && *b) {
		size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");

		if (n != m || strncmp(a, b, n) != 0)
			test_fail(__FILE__, __LINE__, "%s: \"%.*s\" is \"%.*s\"", what, (int)n, a, (int)m, b);
		a += n + 1;
		b += m + 1;
	}
	CHECK_STR(b, a);
}

/* ---- a database with one of most things ---- */

static const char *const common[] = {
	"CREATE DATABASE `o``dd.x` CHARACTER SET latin1 COLLATE latin1_german1_ci",
	"CREATE DATABASE elsewhere",
	"CREATE TABLE elsewhere.far (id int PRIMARY KEY) ENGINE=InnoDB",
	"USE `o``dd.x`",
	"CREATE TABLE par (id int PRIMARY KEY, a int, KEY (a))",
	"CREATE TABLE `o``dd.x` (id int NOT NULL AUTO_INCREMENT COMMENT 'a, (b) `c` ''q'' FOREIGN KEY',"
	" `na``me, (x` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT 'x, `y` \\\\', e enum('a,b','c''d)') DEFAULT NULL,"
	" d decimal(10,2) NOT NULL DEFAULT 3, ts timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
	" at timestamp NOT NULL DEFAULT '2026-01-01 10:00:00', fk int, fk2 int, fk3 int, geo point NOT NULL, txt varchar(99), b varchar(10)"
	" NOT NULL DEFAULT '', g int GENERATED ALWAYS AS (fk2 + 1) VIRTUAL, gs int GENERATED ALWAYS AS (fk2 * 2) STORED,"
	" PRIMARY KEY (d, id), UNIQUE KEY u1 (e), KEY k1 (`na``me, (x`(5)) COMMENT 'c,) d', KEY auto (id), FULLTEXT KEY ft (txt),"
	" SPATIAL KEY sp (geo), KEY kd (fk DESC), KEY kg (g), CONSTRAINT c1 CHECK (d >= 0 OR e = 'a,b'),"
	" CONSTRAINT fk_a FOREIGN KEY (fk) REFERENCES par (id) ON DELETE CASCADE ON UPDATE CASCADE,"
	" CONSTRAINT fk_far FOREIGN KEY (fk3) REFERENCES elsewhere.far (id))"
	" COMMENT='a) ENGINE=x' ROW_FORMAT=DYNAMIC AUTO_INCREMENT=77",
	"CREATE TABLE parts (id int, d date, KEY (d)) PARTITION BY RANGE (to_days(d))"
	" (PARTITION p0 VALUES LESS THAN (100), PARTITION `p 1` VALUES LESS THAN MAXVALUE COMMENT = 'a')",
	"CREATE TABLE hashed (id int, KEY k (id)) PARTITION BY HASH (id) PARTITIONS 3",
	"CREATE TABLE nopk (a int NOT NULL, b int NOT NULL, c int, UNIQUE KEY ub (b), UNIQUE KEY ua (a), UNIQUE KEY uc (c), KEY kc (c))",
	"CREATE TABLE self (id int PRIMARY KEY, up int, CONSTRAINT fk_self FOREIGN KEY (up) REFERENCES self (id))",
	"CREATE TABLE mem (a int PRIMARY KEY, k int, KEY kk (k) USING HASH, KEY (a, k)) ENGINE=MEMORY",
	"CREATE TABLE isam (a int AUTO_INCREMENT, k int, PRIMARY KEY (k, a), FULLTEXT KEY f (t), t text) ENGINE=MyISAM",
	"INSERT INTO par VALUES (1, 1)",
	"CREATE FUNCTION f(p int) RETURNS int DETERMINISTIC SQL SECURITY INVOKER COMMENT 'it''s' RETURN p + 1",
	"CREATE FUNCTION t(a varchar(10)) RETURNS varchar(20) CHARACTER SET utf8mb4 DETERMINISTIC RETURN CONCAT(a, 'é\\'')",
	"SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
	"CREATE PROCEDURE \"p \"\"q\"(INOUT a int, b varchar(9)) MODIFIES SQL DATA BEGIN SET a = a + 1; -- it's\n SELECT 'a\\' FROM par; END",
	"CREATE PROCEDURE commented() SQL SECURITY INVOKER COMMENT 'a\\b ''q'' \n \"d\"\\' SELECT 'x\\' AS \"c\\\\d\"",
	"CREATE FUNCTION commented() RETURNS varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DETERMINISTIC COMMENT 'a\\' RETURN 'x\\'",
	"CREATE EVENT commented ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE COMMENT 'a\\b\n''' DO SELECT 'x\\\\'",
	"SET sql_mode = ''",
	"CREATE PROCEDURE with_escapes() COMMENT 'a\\\\b ''q'' \\n \\r \\Z \"d\"\\\\' SELECT 'x\\\\'",
	"CREATE EVENT with_escapes ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE COMMENT 'a\\\\b\\n''' DO SELECT 'x\\\\'",
	"CREATE TABLE with_escapes (a int COMMENT 'a\\\\b ''q'' \\n \"d\"', KEY k (a) COMMENT 'k\\\\ \\n') COMMENT 't\\\\ ''q'' \\n'"
	" PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN (5) COMMENT 'p\\\\ ''q''')",
	"CREATE VIEW v1 AS SELECT par.*, f(a) AS fa, `o``dd.x`.f(id) AS fb, 'a\\'\"\\\\' AS q FROM par",
	"CREATE VIEW a_first AS SELECT v1.* FROM v1 JOIN par AS `o``dd.x` USING (id)",
	"CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW a_check AS SELECT id, a FROM par WHERE a > 0 WITH CASCADED CHECK OPTION",
	"CREATE VIEW b_view AS SELECT a_first.id FROM a_first",
	"CREATE VIEW far_view AS SELECT far.id FROM elsewhere.far",
	"CREATE TRIGGER `o``dd.x`.`t r` BEFORE INSERT ON `o``dd.x`.par FOR EACH ROW SET NEW.a = 1",
	"CREATE TRIGGER t2 BEFORE INSERT ON par FOR EACH ROW FOLLOWS `t r` SET NEW.a = NEW.a * 2",
	"CREATE TRIGGER t1 BEFORE INSERT ON par FOR EACH ROW PRECEDES t2 SET NEW.a = NEW.a + 5",
	"CREATE TRIGGER ta AFTER DELETE ON `o``dd.x` . `self` FOR EACH ROW BEGIN SET @a = 1; SET @b = 2; END",
	"SET time_zone = '+05:00', NAMES utf8mb4 COLLATE utf8mb4_bin",
	"CREATE EVENT e1 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'c' DO DELETE FROM par",
	"CREATE EVENT e2 ON SCHEDULE AT '2035-01-01 00:00:00' DO DELETE FROM par",
	"CREATE DEFINER = nobody@nowhere EVENT e3 ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2034-01-01 00:00:00' ENDS '2035-01-01 00:00:00'"
	" DO BEGIN DELETE FROM par; END",
	"SET time_zone = '+00:00', NAMES utf8mb4",
	"CREATE DEFINER = nobody@nowhere VIEW of_nobody AS SELECT 1 AS x",
	/* Made under another collation of the database, and under another character set of the client. */
	"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	"CREATE PROCEDURE other_collation(a varchar(10)) SELECT a",
	"ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci",
	"SET NAMES latin1",
	"CREATE VIEW latin AS SELECT 'caf\xe9' AS x, _latin1'\xe9' AS y",
	"CREATE FUNCTION latin_f() RETURNS varchar(9) CHARACTER SET latin1 DETERMINISTIC RETURN _latin1'\xe9'",
	"CREATE TRIGGER latin_t BEFORE UPDATE ON par FOR EACH ROW SET @e = _latin1'\xe9\xe8'",
	"SET NAMES utf8mb4",
	"CREATE TABLE gone (id int, a int)",
	"CREATE DEFINER = nobody@nowhere VIEW broken AS SELECT * FROM gone",
	"DROP TABLE gone",
	NULL,
};

static const char *const of_mariadb[] = {
	"ALTER DATABASE `o``dd.x` COMMENT 'it''s; \"x\"'",
	"CREATE SEQUENCE s1 START 5 INCREMENT 3 MINVALUE 1 MAXVALUE 1000 CYCLE",
	"CREATE SEQUENCE s2 INCREMENT -1",
	"CREATE SEQUENCE s3 MAXVALUE 5 CACHE 2 ENGINE=Aria COMMENT='x'",
	"SELECT NEXTVAL(s1), NEXTVAL(s2)",
	"SELECT NEXTVAL(s3), NEXTVAL(s3), NEXTVAL(s3), NEXTVAL(s3), NEXTVAL(s3)",
	"CREATE TABLE uses_seq (id int PRIMARY KEY DEFAULT NEXTVAL(s1), j json, u uuid, inv int INVISIBLE DEFAULT 3, c varchar(9) COMPRESSED,"
	" x int CHECK (x > 1), KEY i (u) IGNORED, UNIQUE KEY long_u (t), t text, CONSTRAINT jj CHECK (x < 100))",
	"CREATE VIEW v_seq AS SELECT NEXTVAL(s1) AS n",
	"CREATE TABLE versioned (a int, KEY (a), FULLTEXT KEY f (t), t text) WITH SYSTEM VERSIONING",
	"CREATE TABLE versioned2 (a int, w int WITHOUT SYSTEM VERSIONING, s timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE,"
	" e timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e), KEY (a)) WITH SYSTEM VERSIONING"
	" PARTITION BY SYSTEM_TIME LIMIT 1000 (PARTITION p0 HISTORY, PARTITION pc CURRENT)",
	"CREATE TABLE period (a int, s date, e date, PERIOD FOR p(s, e), UNIQUE (a, p WITHOUT OVERLAPS))",
	"CREATE TABLE aria (a int PRIMARY KEY, k int, KEY (k)) ENGINE=Aria",
	"CREATE TABLE paged (a int PRIMARY KEY, k int, KEY (k)) PAGE_COMPRESSED=1",
	"SET sql_mode = 'ORACLE'",
	"CREATE PACKAGE pk AS FUNCTION pf(a int) RETURN int; PROCEDURE pp; END;",
	"CREATE PACKAGE BODY pk AS FUNCTION pf(a int) RETURN int AS BEGIN RETURN a; END; PROCEDURE pp AS BEGIN NULL; END; END;",
	"SET sql_mode = ''",
	"CREATE EVENT on_replica ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE ON SLAVE DO SET @a = 1",
	NULL,
};

static const char *const of_mariadb_11_8[] = {
	"CREATE TABLE vectors (id int PRIMARY KEY, v vector(3) NOT NULL, a int, KEY (a), VECTOR KEY (v) M=8 DISTANCE=cosine)",
	"CREATE FUNCTION with_default(a int, b int DEFAULT 5) RETURNS int DETERMINISTIC RETURN a + b",
	NULL,
};

static const char *const of_mysql[] = {
	"CREATE TABLE newer (a int, b varchar(9) DEFAULT (uuid()), inv int INVISIBLE, p point SRID 4326 NOT NULL, j json, KEY fi ((lower(b))),"
	" KEY hidden (a) INVISIBLE, SPATIAL KEY sp (p), CONSTRAINT ne CHECK (a > 0) NOT ENFORCED, KEY many ((CAST(j AS UNSIGNED ARRAY))))",
	"SET sql_generate_invisible_primary_key = 1",
	"CREATE TABLE gipk (a int, KEY (a))",
	"SET sql_generate_invisible_primary_key = 0",
	"CREATE EVENT on_replica ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE ON REPLICA DO SET @a = 1",
	NULL,
};

#define ODD "o`dd.x"

static void make_odd(struct my_test_server *s)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	CHECK_OK(my_session_open(&run, &s->e, NULL, &c, &err), err);
	all_ok(c, common);
	all_ok(c, s->mariadb ? of_mariadb : of_mysql);
	if (s->mariadb && c->version >= 110800)
		all_ok(c, of_mariadb_11_8);
}

static bool has_note(struct my_test_server *s, const char *part)
{
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;

	notes_copy(s->notes, &l);
	for (size_t i = 0; i < l.len; i++)
		if (strstr(l.item[i], part))
			return true;
	return false;
}

TEST("MySQL: a database made again from its objects under another name has the same objects and the same inventory")
{
	struct my_test_server s;
	CLEANUP(objects_release) struct objects there = {.o = NULL}, copied = {.o = NULL};

	my_test_server_share(&s);
	make_odd(&s);
	read_objects(&s, ODD, &there);
	CHECK_INT(there.o[0].kind, OBJECT_DATABASE);
	CHECK(has_note(&s, "broken is invalid"));
	copy_database(&s, &there, "copy");
	CHECK(has_note(&s, "broken was invalid"));
	my_test_server_sql(&s, "copy", "CREATE TABLE gone (id int, a int)");
	my_test_server_sql(&s, "copy", "CREATE DEFINER = nobody@nowhere VIEW broken AS SELECT * FROM gone");
	my_test_server_sql(&s, "copy", "DROP TABLE gone");
	read_objects(&s, "copy", &copied);
	for (size_t i = 0; i < there.n && i < copied.n; i++)
		if (there.o[i].invalid && copied.o[i].invalid) {
			cstr_release(&copied.o[i].charset);
			cstr_release(&copied.o[i].collation);
			copied.o[i].charset = xstrdup(there.o[i].charset);
			copied.o[i].collation = xstrdup(there.o[i].collation);
		}
	CLEANUP(cstr_release) char *differs = difference(&there, &copied);
	check_same("objects", differs, "");
	CLEANUP(cstr_release) char *one = inventory_of(&s, ODD), *other = inventory_of(&s, "copy");
	check_same("inventory", one, other);
	CHECK(!strstr(one, "broken") && strstr(one, "of_nobody"));
	CLEANUP(cstr_release) char *bytes = my_test_server_value(&s, "copy", "SELECT HEX(latin_f())");
	CHECK_STR(bytes, "E9");
	my_test_server_stop(&s);
}

/* ---- the inventory sees every change ---- */

static const char *const changes[] = {
	"ALTER DATABASE COLLATE latin1_bin",
	"ALTER TABLE par DROP KEY a",
	"ALTER TABLE par ADD KEY a (a, id)",
	"ALTER TABLE par ALTER a SET DEFAULT 5",
	"ALTER TABLE par MODIFY a bigint DEFAULT 5",
	"ALTER TABLE par MODIFY a bigint NOT NULL DEFAULT 5",
	"ALTER TABLE par MODIFY a bigint NOT NULL DEFAULT 5 COMMENT 'x'",
	"ALTER TABLE par COMMENT 'x'",
	"ALTER TABLE par ADD z int FIRST",
	"ALTER TABLE par MODIFY z int AFTER a",
	"ALTER TABLE par RENAME COLUMN z TO y",
	"ALTER TABLE mem ENGINE = InnoDB",
	"ALTER TABLE nopk CONVERT TO CHARACTER SET utf8mb4",
	"ALTER TABLE nopk DROP KEY ub, ADD KEY ub (b)",
	"ALTER TABLE nopk ADD t text, ADD KEY tk (t(5))",
	"ALTER TABLE nopk DROP KEY tk, ADD KEY tk (t(6))",
	"ALTER TABLE nopk MODIFY t varchar(500) COLLATE utf8mb4_bin",
	"ALTER TABLE nopk ROW_FORMAT = COMPACT",
	"ALTER TABLE `o``dd.x` DROP CONSTRAINT c1",
	"ALTER TABLE `o``dd.x` ADD CONSTRAINT c1 CHECK (d > 0)",
	"ALTER TABLE `o``dd.x` DROP FOREIGN KEY fk_a",
	"ALTER TABLE `o``dd.x` ADD CONSTRAINT fk_a FOREIGN KEY (fk) REFERENCES par (id)",
	"ALTER TABLE `o``dd.x` DROP FOREIGN KEY fk_far",
	"ALTER TABLE `o``dd.x` DROP KEY kg, MODIFY g int GENERATED ALWAYS AS (fk2 + 2) VIRTUAL",
	"ALTER TABLE `o``dd.x` DROP gs",
	"ALTER TABLE `o``dd.x` AUTO_INCREMENT = 100",
	"ALTER TABLE `o``dd.x` MODIFY ts timestamp NULL DEFAULT CURRENT_TIMESTAMP",
	"ALTER TABLE hashed PARTITION BY HASH (id) PARTITIONS 4",
	"ALTER TABLE parts REMOVE PARTITIONING",
	"DROP TABLE self",
	"DROP TRIGGER t1",
	"CREATE OR REPLACE VIEW a_check AS SELECT id, a FROM par WHERE a > 1",
	"CREATE OR REPLACE SQL SECURITY INVOKER VIEW a_check AS SELECT id, a FROM par WHERE a > 1",
	"CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW a_check AS SELECT id, a FROM par WHERE a > 1",
	"CREATE OR REPLACE ALGORITHM = MERGE DEFINER = x@y SQL SECURITY INVOKER VIEW a_check AS SELECT id, a FROM par WHERE a > 1",
	"DROP VIEW far_view",
	"ALTER FUNCTION f COMMENT 'other'",
	"ALTER FUNCTION f SQL SECURITY DEFINER",
	"DROP FUNCTION t",
	"DROP PROCEDURE other_collation",
	"CREATE PROCEDURE other_collation(a varchar(10)) SELECT a",
	"DROP PROCEDURE other_collation",
	"CREATE PROCEDURE other_collation(a varchar(11)) SELECT a",
	"DROP PROCEDURE other_collation",
	"CREATE PROCEDURE other_collation(a varchar(11)) SELECT a, 1",
	"ALTER DEFINER = nobody@nowhere EVENT e3 COMMENT 'x'",
	"ALTER DEFINER = nobody@nowhere EVENT e3 DISABLE",
	"ALTER DEFINER = nobody@nowhere EVENT e3 ON COMPLETION PRESERVE",
	"ALTER DEFINER = x@nowhere EVENT e3 DO SET @b = 2",
	"ALTER EVENT e2 ON SCHEDULE AT '2035-01-01 00:00:01'",
	"DROP EVENT e1",
	NULL,
};

static const char *const changes_of_mariadb[] = {
	"ALTER DATABASE COMMENT 'x'",
	"ALTER SEQUENCE s1 MAXVALUE 2000",
	"ALTER SEQUENCE s2 CACHE 5",
	"SELECT SETVAL(s2, -5000)",
	"DROP SEQUENCE s3",
	"ALTER TABLE uses_seq ALTER id DROP DEFAULT",
	"ALTER TABLE uses_seq MODIFY inv int DEFAULT 3",
	"ALTER TABLE uses_seq ALTER KEY i NOT IGNORED",
	"ALTER TABLE uses_seq DROP CONSTRAINT jj",
	"ALTER TABLE uses_seq MODIFY x int",
	"ALTER TABLE versioned DROP SYSTEM VERSIONING",
	"ALTER TABLE period DROP KEY a",
	"SET sql_mode = 'ORACLE'",
	"DROP PACKAGE BODY pk",
	"DROP PACKAGE pk",
	NULL,
};

static const char *const changes_of_mysql[] = {
	"ALTER TABLE newer ALTER INDEX hidden VISIBLE",
	"ALTER TABLE newer ALTER CHECK ne ENFORCED",
	"ALTER TABLE newer ALTER COLUMN inv SET VISIBLE",
	"ALTER TABLE newer DROP KEY fi",
	"ALTER TABLE newer DROP KEY sp",
	"ALTER TABLE newer MODIFY p point NOT NULL",
	"ALTER TABLE gipk DROP PRIMARY KEY, DROP COLUMN my_row_id",
	NULL,
};

static void check_seen(struct my_test_server *s, struct my_conn *c, const char *const *change, char **inventory)
{
	for (; *change; change++) {
		sql_ok(c, *change);
		if (!strncmp(*change, "SET ", 4))
			continue;
		CLEANUP(cstr_release) char *before = *inventory;

		*inventory = inventory_of(s, ODD);
		if (!strcmp(before, *inventory))
			test_fail(__FILE__, __LINE__, "the inventory does not see: %s", *change);
	}
}

TEST("MySQL: the inventory sees every kind of change in a database")
{
	struct error err = ERROR_INIT;
	struct my_test_server s;

	my_test_server_share(&s);
	make_odd(&s);
	{
		CLEANUP(my_conn_freep) struct my_conn *c = NULL;
		CLEANUP(cstr_release) char *inventory = inventory_of(&s, ODD);

		CHECK_OK(my_session_open(&run, &s.e, ODD, &c, &err), err);
		check_seen(&s, c, changes, &inventory);
		check_seen(&s, c, s.mariadb ? changes_of_mariadb : changes_of_mysql, &inventory);
	}
	my_test_server_stop(&s);
}

/* ---- as a file for the stock client ---- */

/* Without the views that the server calls invalid: a client stops at them. */
static void put_script(const struct objects *l, const char *to, struct buf *out)
{
	CLEANUP(cstr_release) char *create = my_ddl_renamed(l->o[0].sql, to);

	buf_puts(out, "SET NAMES utf8mb4, sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', foreign_key_checks = 0;\n");
	my_object_script(&l->o[0], create, out);
	buf_printf(out, "USE `%s`;\n", to);
	for (size_t i = 1; i < l->n; i++)
		if (!l->o[i].invalid && l->o[i].kind != OBJECT_VIEW)
			my_object_script_in(&l->o[i], NULL, l->o[0].db_collation, out);
	for (size_t i = 1; i < l->n; i++)
		if (l->o[i].next) {
			my_object_value_sql(&l->o[i], out);
			buf_puts(out, ";\n");
		}
	/* v1 comes before those that use it in no order of names. */
	for (int first = 1; first >= 0; first--)
		for (size_t i = 1; i < l->n; i++)
			if (l->o[i].kind == OBJECT_VIEW && !l->o[i].invalid && (strcmp(l->o[i].name, "v1") == 0) == first)
				my_object_script_in(&l->o[i], NULL, l->o[0].db_collation, out);
	for (size_t i = 1; i < l->n; i++)
		if (l->o[i].kind == OBJECT_EVENT)
			my_event_status_script(&l->o[i], out);
}

static void run_script(struct my_test_server *s, const struct buf *text)
{
	static const char sh[] = "bin=$(scripts/my-server bin \"$1\") && c=$(ls \"$bin/mariadb\" \"$bin/mysql\" 2>/dev/null | head -n 1) && "
				 "\"$c\" --no-defaults --binary-mode --comments --default-character-set=utf8mb4 -uroot -S \"$2\" <\"$3\" 2>&1";
	struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *file = path_join(test_dir(), "objects.sql"), *here = getcwd(NULL, 0);
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	const char *version = getenv("DRTOOL_TEST_MYSQL");
	const char *const argv[] = {"/bin/sh", "-c", sh, "sh", version ? version : "10.11", s->socket, file, NULL};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = here};
	FILE *f = fopen(file, "w");

	CHECK(f && fwrite(text->data, text->len, 1, f) == 1 && !fclose(f));
	if (process_capture(&run, &spec, 1 << 20, &out, &err))
		test_fail(__FILE__, __LINE__, "%s: %s", error_text(&err), buf_str(&out));
}

TEST("MySQL: objects as a file are made by the stock client as they were")
{
	struct my_test_server s;
	CLEANUP(objects_release) struct objects there = {.o = NULL};
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	my_test_server_share(&s);
	make_odd(&s);
	/* The client gives what is not ASCII as utf8mb4, and that is what the server notes then. */
	my_test_server_sql(&s, ODD, "DROP VIEW latin");
	my_test_server_sql(&s, ODD, "DROP FUNCTION latin_f");
	my_test_server_sql(&s, ODD, "DROP TRIGGER latin_t");
	read_objects(&s, ODD, &there);
	put_script(&there, "copy", &text);
	run_script(&s, &text);
	CLEANUP(cstr_release) char *one = inventory_of(&s, ODD), *other = inventory_of(&s, "copy");
	check_same("inventory", one, other);
	my_test_server_stop(&s);
}

/* ---- dividing tables ---- */

static const char *const some_columns[] = {"a", "b", "c", "t(7)", "d", "e"};

/* A table of random keys: the counter needs one of them. */
static void put_random_table(unsigned number, struct buf *sql)
{
	static const char *const kind[] = {"KEY", "UNIQUE KEY", "KEY", "FULLTEXT KEY"};
	unsigned seed = number * 2654435761u + 12345;
	bool counted = false;

	buf_printf(sql, "CREATE TABLE r%u (a int NOT NULL%s, b int NOT NULL, c int, t text, d date NOT NULL, e int", number,
		   number % 3 ? " AUTO_INCREMENT" : "");
	for (unsigned i = 0, n = 1 + number % 7; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		unsigned k = seed >> 16 & 3, first = (seed >> 18) % 6, second = (seed >> 21) % 6;

		if (k == 3) {
			buf_printf(sql, ", FULLTEXT KEY `k%u` (t)", i);
			continue;
		}
		buf_printf(sql, ", %s `k%u` (%s", kind[k], i, some_columns[first]);
		counted |= !first;
		if (second != first)
			buf_printf(sql, ", %s", some_columns[second]);
		buf_puts(sql, ")");
	}
	if (!counted && number % 3)
		buf_puts(sql, ", KEY counter (a)");
	if (number % 2)
		buf_printf(sql, ", PRIMARY KEY (%s)", number % 4 == 1 ? "d, a" : "b");
	if (number % 5 == 0)
		buf_printf(sql, ", CONSTRAINT fk_%u FOREIGN KEY (e) REFERENCES par (id), CONSTRAINT up_%u FOREIGN KEY (c) REFERENCES par (id)",
			   number, number);
	buf_puts(sql, ") ENGINE=InnoDB");
}

TEST("MySQL: a divided table is the same when its keys and foreign keys were added, in the same order")
{
	enum { TABLES = 120 };
	struct my_test_server s;
	struct error err = ERROR_INIT;

	my_test_server_share(&s);
	{
		CLEANUP(my_conn_freep) struct my_conn *c = NULL;
		CLEANUP(objects_release) struct objects there = {.o = NULL}, copied = {.o = NULL};

		CHECK_OK(my_session_open(&run, &s.e, NULL, &c, &err), err);
		all_ok(c, (const char *const[]){"CREATE DATABASE one", "USE one", "CREATE TABLE par (id int PRIMARY KEY)", NULL});
		for (unsigned i = 0; i < TABLES; i++) {
			CLEANUP(buf_release) struct buf sql = BUF_INIT;

			put_random_table(i, &sql);
			sql_ok(c, buf_str(&sql));
		}
		read_objects(&s, "one", &there);
		CHECK_INT(there.n, TABLES + 2);
		copy_database(&s, &there, "two");
		read_objects(&s, "two", &copied);
		CLEANUP(cstr_release) char *differs = difference(&there, &copied);
		check_same("objects", differs, "");
	}
	my_test_server_stop(&s);
}

/* ---- rights ---- */

TEST("MySQL: an account that sees less than there is fails with the GRANT to paste, until it has them all")
{
	struct my_test_server s;
	struct error err = ERROR_INIT;
	unsigned granted = 0;
	size_t seen = 0;

	my_test_server_share(&s);
	make_odd(&s);
	my_test_server_sql(&s, NULL, "CREATE USER weak@'127.0.0.1' IDENTIFIED BY 'weak-1.A'");
	my_test_server_sql(&s, NULL, "GRANT INSERT ON `o``dd.x`.* TO weak@'127.0.0.1'");
	CLEANUP(cstr_release) char *url = xasprintf("mysql://weak@127.0.0.1:%u/", s.port);
	char password[] = "weak-1.A";
	struct secret secret = {.value = password};
	struct endpoint e = s.e;
	e.url = url;
	e.password = &secret;
	for (; !seen; granted++) {
		CLEANUP(my_conn_freep) struct my_conn *c = NULL;
		CLEANUP(objects_release) struct objects l = {.o = NULL};

		CHECK_OK(my_session_open(&run, &e, NULL, &c, &err), err);
		if (!my_objects_each(&run, c, ODD, s.notes, keep, &l, &err)) {
			seen = l.n;
			break;
		}
		CHECK_INT(err.code, ST_DENIED);
		CHECK(err.hint && !strncmp(err.hint, "GRANT ", 6) && granted < 5 && strstr(err.hint, "`weak`@`127.0.0.1`"));
		my_test_server_sql(&s, NULL, err.hint);
		error_release(&err);
	}
	CHECK_INT(granted, 2);
	CLEANUP(objects_release) struct objects all = {.o = NULL};
	read_objects(&s, ODD, &all);
	CHECK_INT(seen, all.n);
	my_test_server_stop(&s);
}
