/* What a dump of MariaDB or MySQL promises, against a real server: one moment in all sessions, nothing lost in any type, nothing left out in
 * silence, nobody kept waiting. */
#include <stdatomic.h>

#include "drivers/mysql/facts.h"
#include "drivers/mysql/session.h"
#include "tests/conformance/mysql_server.h"
#include "tests/lib/test.h"
#include "util/hash.h"
#include "util/thread.h"

extern const struct driver driver_mysql;

static struct run run = RUN_INIT;
static const struct driver *const d = &driver_mysql;

/* ---- a dump, step by step ---- */

struct kept_object {
	char *name;
	json_t *facts;
	struct buf rows; /* of all its units, in their order */
	uint64_t count;
	size_t units;
};
struct kept_entry {
	char *path;
	struct buf bytes;
};
struct steps {
	struct my_test_server *s;
	void *dump, *worker;
	struct dump_info info;
	struct scope_info scope;
	struct kept_object object[200];
	size_t objects;
	struct dump_unit unit[2000];
	size_t units;
	struct kept_entry file[20];
	size_t files;
	struct row_sink sink;
	struct kept_object *at;
	const struct recorded *recorded;
	struct recorded_scope recorded_scope;
};

static enum status take_object(void *ctx, const struct dump_object *o, uint32_t *id, struct error *err)
{
	struct steps *t = ctx;

	(void)err;
	CHECK(t->objects < ARRAY_LEN(t->object));
	*id = (uint32_t)t->objects;
	t->object[t->objects++] = (struct kept_object){.name = xstrdup(o->name), .facts = json_deep_copy(o->facts)};
	if (o->folder)
		*o->folder = xasprintf("db/shop/data/%s", o->name);
	return ST_OK;
}

static enum status take_unit(void *ctx, const struct dump_unit *u, struct error *err)
{
	struct steps *t = ctx;

	(void)err;
	CHECK(t->units < ARRAY_LEN(t->unit));
	CHECK_INT(u->range, t->object[u->object].units);
	t->object[u->object].units++;
	t->unit[t->units++] = *u;
	return ST_OK;
}

static enum status take_entry(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err)
{
	struct steps *t = ctx;
	char piece[4096];
	size_t got = 1;

	CHECK(t->files < ARRAY_LEN(t->file));
	struct kept_entry *f = &t->file[t->files++];
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
	buf_put(&t->at->rows, p, n);
	t->at->count++;
	return ST_OK;
}

static enum status steps_open(struct steps *t, struct my_test_server *s, const char *database, struct error *err)
{
	struct strlist wanted = STRLIST_INIT, none = STRLIST_INIT;
	const struct recorded *recorded = t->recorded;
	struct recorded_scope scope = t->recorded_scope;

	memset(t, 0, sizeof *t);
	t->s = s;
	t->sink.row = take_row;
	t->recorded = recorded;
	t->recorded_scope = scope;
	strlist_add(&wanted, database);
	const struct dump_request q = {.databases = &wanted, .exclude = &none, .jobs = 2, .recorded = recorded, .scope = &t->recorded_scope,
				       .scopes = recorded ? 1 : 0};
	enum status st = d->dump_open(&run, &s->e, &q, &t->info, &t->dump, err);
	strlist_release(&wanted);
	return st;
}

static enum status steps_begin(struct steps *t, struct error *err)
{
	const struct object_sink objects = {take_object, take_unit, t};
	const struct entry_sink entries = {take_entry, t};

	if (d->dump_entries(&run, t->dump, &entries, err) || d->scope_begin(&run, t->dump, 0, &t->scope, &objects, &entries, err))
		return err->code;
	return d->worker_open(&run, t->dump, &t->worker, err);
}

static void steps_start(struct steps *t, struct my_test_server *s, const char *database)
{
	struct error err = ERROR_INIT;

	CHECK_OK(steps_open(t, s, database, &err), err);
	CHECK_OK(steps_begin(t, &err), err);
}

/* Units of an object, or of all. */
static enum status steps_read(struct steps *t, const char *name, struct error *err)
{
	for (size_t i = 0; i < t->units; i++) {
		t->at = &t->object[t->unit[i].object];
		if ((!name || !strcmp(t->at->name, name)) && d->dump_unit(&run, t->worker, &t->unit[i], &t->sink, err))
			return err->code;
	}
	return ST_OK;
}

static enum status steps_end(struct steps *t, struct error *err)
{
	const struct entry_sink entries = {take_entry, t};

	d->worker_close(t->worker);
	t->worker = NULL;
	return d->scope_end(&run, t->dump, &entries, err);
}

static struct kept_object *steps_object(struct steps *t, const char *name)
{
	for (size_t i = 0; i < t->objects; i++)
		if (!strcmp(t->object[i].name, name))
			return &t->object[i];
	test_fail(__FILE__, __LINE__, "no object %s", name);
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
	for (size_t i = 0; i < t->objects; i++) {
		free(t->object[i].name);
		json_decref(t->object[i].facts);
		buf_release(&t->object[i].rows);
	}
	for (size_t i = 0; i < t->files; i++) {
		free(t->file[i].path);
		buf_release(&t->file[i].bytes);
	}
	memset(t, 0, sizeof *t);
}

static void steps_all(struct steps *t, struct my_test_server *s, const char *database)
{
	struct error err = ERROR_INIT;

	steps_start(t, s, database);
	CHECK_OK(steps_read(t, NULL, &err), err);
	CHECK_OK(steps_end(t, &err), err);
	d->dump_close(t->dump);
	t->dump = NULL;
}

static bool has_note(const struct my_test_server *s, const char *part)
{
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;
	bool found = false;

	notes_copy(s->notes, &l);
	for (size_t i = 0; i < l.len; i++)
		found = found || strstr(l.item[i], part);
	return found;
}

static bool has_part(const struct strlist *l, const char *part)
{
	for (size_t i = 0; i < l->len; i++)
		if (strstr(l->item[i], part))
			return true;
	return false;
}

/* Statements one by one, each ended by ";;" and a line end. */
static void sql_lines(struct my_test_server *s, const char *database, const char *text)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	CHECK_OK(my_session_open_load(&run, &s->e, database, &c, &err), err);
	for (const char *end; (end = strstr(text, ";;")); text = end + 2) {
		CLEANUP(cstr_release) char *one = xstrndup(text, (size_t)(end - text));

		CHECK_OK(my_conn_command(&run, c, one, &err), err);
	}
}

/* ---- types ---- */

static const char numbers[] =
	"CREATE TABLE num (id INT AUTO_INCREMENT PRIMARY KEY, ti TINYINT, tu TINYINT UNSIGNED, si SMALLINT, me MEDIUMINT UNSIGNED, i INT,"
	" iz INT(8) ZEROFILL, b BIGINT, bu BIGINT UNSIGNED, d DECIMAL(65,30), d0 DECIMAL(65,0), du DECIMAL(10,2), dz DECIMAL(10,3) ZEROFILL,"
	" f FLOAT, fmd FLOAT(10,3), fu FLOAT UNSIGNED, fz FLOAT ZEROFILL, f74 FLOAT(7,4), db DOUBLE, dmd DOUBLE(20,5), bo BOOL, bz DOUBLE ZEROFILL);;"
	"INSERT INTO num VALUES (0,-128,255,-32768,16777215,-2147483648,7,-9223372036854775808,18446744073709551615,"
	"-99999999999999999999999999999999999.999999999999999999999999999999,-99999999999999999999999999999999999999999999999999999999999999999,"
	"0.01,1.5,16777217,123456.789,3.4028234e38,1.5,123.4567,1.7976931348623157e308,123456789012.12345,1,2.5),"
	"(1,127,0,32767,0,2147483647,0,9223372036854775807,0,0.000000000000000000000000000001,1,0,0,-3.4028234e38,-9999999.999,1.17549435e-38,0,"
	"-999.9999,-1.7976931348623157e308,-1e14,0,0),"
	"(2,0,0,0,0,0,0,0,0,0,0,0,0,1.4e-45,0.001,1e-45,1e30,0.0001,5e-324,0.00001,1,1e300),"
	"(4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),"
	"(5,0,0,0,0,0,0,0,0,0,0,0,0,0.1,0.1,0.1,0.1,0.1,0.1,0.1,1,0.1),"
	"(6,0,0,0,0,0,0,0,0,0,0,0,0,1/3,1/3,1/3,1/3,1/3,1/3e0,1/3e0,1,1/3e0),"
	"(7,0,0,0,0,0,0,0,0,0,0,0,0,123456.7890625,9999999.999,16777215.5,8388607.5,999.9999,1e-320,999999999999999.99999,1,1/3e0),"
	"(8,0,0,0,0,0,0,0,0,0,0,0,0,3.1415927,3.142,2.7182817,16777216,-0.0001,3.141592653589793,2.71828,1,123456789.123456789);;"
	"CREATE TABLE zero (id INT PRIMARY KEY, f FLOAT, d DOUBLE);;"
	"INSERT INTO zero VALUES (1, -0e0, -0e0), (2, 0, 0), (3, '-0', '-0');;";

static const char times[] =
	"CREATE TABLE tim (id INT PRIMARY KEY, d DATE, dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL, ts6 TIMESTAMP(6) NULL, t TIME, t6 TIME(6),"
	" y YEAR, dn DATE NOT NULL);;"
	"INSERT INTO tim VALUES (0,'0000-00-00','0000-00-00','0000-00-00','0000-00-00','0000-00-00','-838:59:59','-838:59:59.000000',0,"
	"'0000-00-00'),(1,'9999-12-31','9999-12-31 23:59:59','9999-12-31 23:59:59.999999','2038-01-19 03:14:07','2038-01-19 03:14:07.499999',"
	"'838:59:59','837:59:59.999999',1901,'2020-00-00'),(2,'2020-02-00','2020-00-10','1000-01-01 00:00:00.000001','1970-01-01 00:00:01',"
	"'1970-01-01 00:00:01.000001','-00:00:01','-00:00:00.000001',2155,'0000-01-01'),(3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'0001-01-01');;"
	"INSERT INTO tim VALUES (4,'2020-02-29','2021-02-28 01:02:03','2021-02-28 01:02:03.5','2021-03-28 02:30:00','2021-03-28 02:30:00.1','00:00:00',"
	"'-00:00:00',1970,'2020-02-29');;";

static const char texts[] =
	"CREATE TABLE st (id INT PRIMARY KEY, c CHAR(10) CHARACTER SET latin1, v VARCHAR(100) CHARACTER SET latin1, v8 VARCHAR(100) CHARACTER SET"
	" utf8mb4, u2 VARCHAR(100) CHARACTER SET ucs2, u16 VARCHAR(100) CHARACTER SET utf16, u32 VARCHAR(50) CHARACTER SET utf32, sj VARCHAR(50)"
	" CHARACTER SET sjis, gb VARCHAR(50) CHARACTER SET gbk, b BINARY(5), vb VARBINARY(300), bl BLOB, tt TEXT CHARACTER SET latin1, lt LONGTEXT"
	" CHARACTER SET utf8mb4, bi BIT(64), b1 BIT(1), b7 BIT(7), e ENUM('a','1','','7') CHARACTER SET latin1, s SET('x','y','z'),"
	" nn VARCHAR(10) NOT NULL, ne ENUM('q') NOT NULL, e16 ENUM('a','b') CHARACTER SET utf16, s2 SET('a','b') CHARACTER SET ucs2,"
	" s64 SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18','19','20','21','22','23','24','25','26','27','28',"
	"'29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45','46','47','48','49','50','51','52','53','54','55','56',"
	"'57','58','59','60','61','62','63','64'));;"
	"INSERT INTO st VALUES (0,x'E9FFC0',x'E9FF00',_utf8mb4 x'F09F9880000A095C',_ucs2 x'005C00090000000A',_utf16 x'005CD83DDE00000A',"
	"_utf32 x'0000005C0001F600',_sjis x'835C5C09',_gbk x'815C09',x'005C0A0D1A',x'005C0A0D1A09275C4E',x'005C0A0D1A09',x'5C4EE9',_utf8mb4 x'5C4E',"
	"18446744073709551615,1,127,'','x,z',_utf8mb4 x'5C4E','q','a','b',18446744073709551615),"
	"(1,'','','','','','','','','','','','','',0,0,0,'7','','','q','b','a,b',0),"
	"(2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'NULL','q',NULL,NULL,NULL),"
	"(3,_utf8mb4 x'5C4E',_utf8mb4 x'5C4E',_utf8mb4 x'5C4E',_utf8mb4 x'5C4E',_utf8mb4 x'5C4E',_utf8mb4 x'5C4E',_utf8mb4 x'5C4E',_utf8mb4 x'5C4E',"
	"x'5C4E',x'5C4E',x'5C4E',x'5C4E',x'5C4E',9223372036854775808,1,64,'1','y','N','q','a','','1,64'),"
	"(4,'  x  ','  x  ','tr  ','tr  ',' ',' ',' ',' ',' ',' ',' ',' ',' ',1,1,1,'a','x,y,z','x','q','b','b','63');;"
	"CREATE TABLE geo (id INT PRIMARY KEY, g GEOMETRY, p POINT, l LINESTRING, mp MULTIPOLYGON NOT NULL);;"
	"INSERT INTO geo VALUES (1, ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))', 4326), ST_GeomFromText('POINT(1 -0.5)'),"
	" ST_GeomFromText('LINESTRING(0 0,1e300 1e-300)'), ST_GeomFromText('MULTIPOLYGON(((0 0,0 1,1 1,0 0)))')),"
	" (2, NULL, NULL, NULL, ST_GeomFromText('MULTIPOLYGON(((0 0,0 9,9 9,0 0)))'));;"
	"CREATE TABLE gen (a INT, g INT AS (a + 1) STORED, v INT AS (a + 2) VIRTUAL, PRIMARY KEY (a));;"
	"INSERT INTO gen (a) VALUES (1), (0), (-5);;"
	"CREATE TABLE `we ird.``/%#@'\\\"n` (`a b` INT, `c``d` VARCHAR(5), `@v0` ENUM('x'), `\xc3\xa9` BIT(3));;"
	"INSERT INTO `we ird.``/%#@'\\\"n` VALUES (1, 'x', 'x', 5), (1, 'x', 'x', 5), (NULL, NULL, NULL, NULL);;"
	"CREATE TABLE nokey (a INT, b TEXT);;"
	"INSERT INTO nokey VALUES (3, 'c'), (1, 'a'), (1, 'a');;"
	"CREATE TABLE nothing (a INT PRIMARY KEY);;";

static const char of_mariadb[] =
	"CREATE TABLE ma (id INT PRIMARY KEY, u UUID, i6 INET6, j JSON, cz VARCHAR(2000) COMPRESSED, cb BLOB COMPRESSED, h INT INVISIBLE DEFAULT 3);;"
	"INSERT INTO ma (id,u,i6,j,cz,cb,h) VALUES (1,'123e4567-e89b-12d3-a456-426655440000','::1','{\"a\":1.10}',REPEAT('x',500),"
	"REPEAT(x'0009',500),9),(2,'ffffffff-ffff-ffff-ffff-ffffffffffff','ffff::','null','','',NULL),(3,NULL,NULL,NULL,NULL,NULL,0);;"
	"CREATE TABLE onlygen (g INT AS (1) PERSISTENT);;"
	"INSERT INTO onlygen VALUES (), ();;"
	"CREATE TABLE ver (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING;;"
	"INSERT INTO ver VALUES (1, 1), (2, 2);;"
	"UPDATE ver SET v = 5 WHERE id = 1;;"
	"DELETE FROM ver WHERE id = 2;;"
	"CREATE TABLE ver2 (id INT PRIMARY KEY, e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, v INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START"
	" INVISIBLE, PERIOD FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING;;"
	"INSERT INTO ver2 (id, v) VALUES (1, 1), (2, 2);;"
	"UPDATE ver2 SET v = 7;;";

static const char of_mysql[] =
	"CREATE TABLE my (id INT PRIMARY KEY, j JSON, v VECTOR(3), h INT DEFAULT 3 INVISIBLE);;"
	"INSERT INTO my (id,j,v,h) VALUES (1,'{\"a\":1.10,\"b\":18446744073709551615,\"c\":\"\\\\n\\\\t\\\\\\\\ \xf0\x9f\x98\x80\"}',x'000080BF0000000000000080',9),"
	"(2,'null',NULL,NULL),(3,NULL,NULL,0);;";

static enum status feed_next(void *ctx, const void **p, size_t *n, struct error *err)
{
	struct memory_bytes *m = ctx;

	(void)err;
	*p = m->p;
	*n = min_size(m->left, 1000);
	m->p += *n;
	m->left -= *n;
	return ST_OK;
}

/* Rows go into a table of the same form; no warning may come of it, except where said. */
static void load_back(struct my_conn *c, const struct kept_object *o, unsigned allowed)
{
	struct error err = ERROR_INIT;
	struct my_facts_table f;
	CLEANUP(buf_release) struct buf make = BUF_INIT, sql = BUF_INIT;
	CLEANUP(strlist_release) struct strlist said = STRLIST_INIT;
	struct memory_bytes all = {buf_str(&o->rows), o->rows.len};
	const struct my_conn_feed feed = {feed_next, &all};
	uint64_t rows = 0;
	unsigned warnings = 0;

	CHECK_OK(my_facts_read(o->facts, &f, &err), err);
	buf_puts(&make, "CREATE TABLE ");
	my_sql_name(&make, "copy", f.table);
	buf_puts(&make, " LIKE ");
	my_sql_name(&make, "shop", f.table);
	CHECK_OK(my_conn_command(&run, c, buf_str(&make), &err), err);
	my_facts_load(&f, "copy", f.table, &sql);
	CHECK_OK(my_conn_load(&run, c, buf_str(&sql), &feed, &rows, &warnings, &err), err);
	if (warnings != allowed) {
		CHECK_OK(my_conn_warnings(&run, c, 5, &said, &err), err);
		test_fail(__FILE__, __LINE__, "table %s: %u warnings, such as %s", o->name, warnings, said.len ? said.item[0] : "");
	}
	CHECK_INT(rows, o->count);
	my_facts_release(&f);
}

static char *checksum(struct my_test_server *s, const char *database, const struct kept_object *o)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	struct my_facts_table f;

	CHECK_OK(my_facts_read(o->facts, &f, &err), err);
	buf_puts(&sql, "CHECKSUM TABLE ");
	my_sql_name(&sql, database, f.table);
	my_facts_release(&f);
	CHECK_OK(my_session_open(&run, &s->e, NULL, &c, &err), err);
	CHECK_OK(my_conn_query(&run, c, buf_str(&sql), &r, &err), err);
	MYSQL_ROW row = mysql_fetch_row(r);
	CHECK(row && row[1]);
	return xstrdup(row[1]);
}

TEST("MySQL dump: the extremes of every type come back with equal bytes, an equal CHECKSUM TABLE and no warning")
{
	struct my_test_server s;
	static struct steps t, again;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	my_test_server_start(&s, (const char *const[]){"local_infile=1", NULL});
	sql_lines(&s, NULL, "CREATE DATABASE shop;;CREATE DATABASE copy;;");
	sql_lines(&s, "shop", numbers);
	sql_lines(&s, "shop", times);
	sql_lines(&s, "shop", texts);
	sql_lines(&s, "shop", s.mariadb ? of_mariadb : of_mysql);
	steps_all(&t, &s, "shop");
	CHECK_OK(my_session_open_load(&run, &s.e, NULL, &c, &err), err);
	for (size_t i = 0; i < t.objects; i++)
		load_back(c, &t.object[i], 0);
	steps_all(&again, &s, "copy");
	CHECK_INT(again.objects, t.objects);
	for (size_t i = 0; i < t.objects; i++) {
		CLEANUP(cstr_release) char *was = checksum(&s, "shop", &t.object[i]), *is = checksum(&s, "copy", &again.object[i]);

		if (t.object[i].rows.len != again.object[i].rows.len || strcmp(was, is) ||
		    memcmp(buf_str(&t.object[i].rows), buf_str(&again.object[i].rows), t.object[i].rows.len))
			test_fail(__FILE__, __LINE__, "table %s: %s, was %s\n%s----\n%s", t.object[i].name, is, was, buf_str(&t.object[i].rows),
				  buf_str(&again.object[i].rows));
	}
	CHECK_INT(steps_object(&t, "nothing")->count, 0);
	bool old = c->mariadb && c->version < 110000; /* prints -0 as 0 */
	CHECK_STR(buf_str(&steps_object(&t, "zero")->rows), old ? "1\t0\t0\n2\t0\t0\n3\t0\t0\n" : "1\t-0\t-0\n2\t0\t0\n3\t-0\t-0\n");
	CHECK_INT(s.mariadb ? steps_object(&t, "ver")->count : 3, 3);
	CHECK(!s.mariadb || steps_object(&t, "ver2")->count == 4);
	steps_release(&t);
	steps_release(&again);
	my_conn_freep(&c);
	my_test_server_stop(&s);
}

TEST("MySQL dump: an ENUM that holds none of its words comes back as such, with the one warning that the server has for it")
{
	struct my_test_server s;
	static struct steps t, again;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	my_test_server_start(&s, (const char *const[]){"local_infile=1", NULL});
	sql_lines(&s, NULL, "CREATE DATABASE shop;;CREATE DATABASE copy;;");
	sql_lines(&s, "shop", "CREATE TABLE e (id INT PRIMARY KEY, a ENUM('x','0','2'), b ENUM('y') NOT NULL);;"
			      "INSERT INTO e VALUES (1, 'bad', 'bad'), (2, '0', 'y'), (3, NULL, 'y'), (4, '2', 'y'), (5, 'x', 'y');;");
	steps_all(&t, &s, "shop");
	CHECK_STR(buf_str(&t.object[0].rows), "1\t0\t0\n2\t2\t1\n3\t\\N\t1\n4\t3\t1\n5\t1\t1\n");
	CHECK_OK(my_session_open_load(&run, &s.e, NULL, &c, &err), err);
	load_back(c, &t.object[0], 2);
	steps_all(&again, &s, "copy");
	CHECK_STR(buf_str(&again.object[0].rows), buf_str(&t.object[0].rows));
	steps_release(&t);
	steps_release(&again);
	my_conn_freep(&c);
	my_test_server_stop(&s);
}

/* ---- one moment ---- */

/* Somebody who moves money between two tables as fast as the server takes it. */
struct mover {
	struct my_test_server *s;
	struct thread thread;
	atomic_bool stop;
	unsigned moves;
};

static void move_money(void *arg)
{
	struct mover *m = arg;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	CHECK_OK(my_session_open(&run, &m->s->e, "shop", &c, &err), err);
	for (; !atomic_load(&m->stop); m->moves++) {
		CHECK_OK(my_conn_command(&run, c, "START TRANSACTION", &err), err);
		CHECK_OK(my_conn_commandf(&run, c, &err, "UPDATE a SET v = v - 1 WHERE id = %u", m->moves % 100), err);
		CHECK_OK(my_conn_commandf(&run, c, &err, "UPDATE b SET v = v + 1 WHERE id = %u", m->moves % 100), err);
		CHECK_OK(my_conn_command(&run, c, "COMMIT", &err), err);
	}
}

static long long sum_of(const struct kept_object *o)
{
	long long sum = 0;

	for (const char *p = buf_str(&o->rows); (p = strchr(p, '\t')); p++)
		sum += strtoll(p + 1, NULL, 10);
	return sum;
}

static void make_accounts(struct my_test_server *s)
{
	sql_lines(s, NULL, "CREATE DATABASE shop;;");
	sql_lines(s, "shop", "CREATE TABLE a (id INT PRIMARY KEY, v INT);;CREATE TABLE b (id INT PRIMARY KEY, v INT);;");
	for (int i = 0; i < 100; i++) {
		CLEANUP(cstr_release) char *sql = xasprintf("INSERT INTO a VALUES (%d, 1000);;INSERT INTO b VALUES (%d, 1000);;", i, i);
		sql_lines(s, "shop", sql);
	}
}

/* The two tables are read by two workers; the sum is the same in every dump. */
static void dump_sums(struct my_test_server *s, const char *way, bool position)
{
	static struct steps t;
	struct mover m = {.s = s};
	struct error err = ERROR_INIT;

	CHECK_OK(thread_start(&m.thread, "mover", move_money, &m, &err), err);
	for (int i = 0; i < 12; i++) {
		void *first, *second;

		CHECK_OK(run_sleep(&run, DURATION_MS(10), &err), err);
		steps_start(&t, s, "shop");
		first = t.worker;
		CHECK_OK(steps_read(&t, "a", &err), err);
		CHECK_OK(d->worker_open(&run, t.dump, &second, &err), err);
		t.worker = second;
		CHECK_OK(steps_read(&t, "b", &err), err);
		CHECK_INT(sum_of(steps_object(&t, "a")) + sum_of(steps_object(&t, "b")), 200000);
		CHECK(!position == !t.scope.position);
		d->worker_close(first);
		CHECK_OK(steps_end(&t, &err), err);
		steps_release(&t);
	}
	atomic_store(&m.stop, true);
	thread_join(&m.thread);
	CHECK(m.moves > 100);
	if (!has_note(s, way)) {
		CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;

		notes_copy(s->notes, &l);
		for (size_t i = 0; i < l.len; i++)
			fprintf(stderr, "note: %s\n", l.item[i]);
		test_fail(__FILE__, __LINE__, "not taken: %s", way);
	}
}

TEST("MySQL dump: all sessions see one moment while somebody writes, without a lock")
{
	struct my_test_server s;

	my_test_server_start(&s, NULL);
	make_accounts(&s);
	dump_sums(&s, s.mariadb ? "proven by equal coordinates in the binlog" : "proven by performance_schema.log_status", true);
	my_test_server_stop(&s);
}

TEST("MySQL dump: without a binlog all sessions see one moment under a short lock")
{
	struct my_test_server s;

	my_test_server_start(&s, (const char *const[]){"log_bin=off", NULL});
	make_accounts(&s);
	dump_sums(&s, s.mariadb ? "under BACKUP STAGE BLOCK_COMMIT" : "under FLUSH TABLES WITH READ LOCK", false);
	my_test_server_stop(&s);
}

static void as_account(struct my_test_server *s, char **url, const char *grant)
{
	CLEANUP(cstr_release) char *sql = xasprintf("CREATE USER few@'127.0.0.1' IDENTIFIED BY 'mysql';;%s;;", grant);
	static char password[] = "mysql";

	sql_lines(s, NULL, sql);
	*url = xasprintf("mysql://few@127.0.0.1:%u/", s->port);
	s->e.url = *url;
	s->password.value = password;
}

TEST("MySQL dump: an account that may lock nothing but tables still sees one moment")
{
	struct my_test_server s;
	CLEANUP(cstr_release) char *url = NULL;
	struct error err = ERROR_INIT;
	static struct steps t;

	my_test_server_start(&s, (const char *const[]){"log_bin=off", NULL});
	make_accounts(&s);
	as_account(&s, &url, "GRANT SELECT, UPDATE, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON *.* TO few@'127.0.0.1'");
	dump_sums(&s, "under LOCK TABLES ... READ", false);
	s.e.url = s.url;
	s.password.value = NULL;
	sql_lines(&s, NULL, "REVOKE LOCK TABLES ON *.* FROM few@'127.0.0.1';;");
	s.e.url = url;
	static char password[] = "mysql";
	s.password.value = password;
	CHECK_INT(steps_open(&t, &s, "shop", &err), ST_DENIED);
	CHECK_HAS(err.hint, "GRANT");
	error_release(&err);
	steps_release(&t);
	my_test_server_stop(&s);
}

/* ---- changes meanwhile ---- */

TEST("MySQL dump: a table that was read can be altered at once: MariaDB's dump says that it was, MySQL's holds it as it had been")
{
	struct my_test_server s;
	static struct steps t;
	struct error err = ERROR_INIT;

	my_test_server_start(&s, NULL);
	sql_lines(&s, NULL, "CREATE DATABASE shop;;");
	sql_lines(&s, "shop", "CREATE TABLE a (id INT PRIMARY KEY);;INSERT INTO a VALUES (1);;CREATE TABLE b LIKE a;;INSERT INTO b VALUES (1);;");
	s.params.lock_timeout = DURATION_SECONDS(2);
	steps_start(&t, &s, "shop");
	CHECK_OK(steps_read(&t, NULL, &err), err);
	sql_lines(&s, "shop", "ALTER TABLE a ADD COLUMN n INT DEFAULT 7;;");
	if (s.mariadb) {
		CHECK_INT(steps_end(&t, &err), ST_SERVER);
		CHECK_HAS(error_text(&err), "table a was altered while it was dumped");
		CHECK(err.retry);
		error_release(&err);
	} else {
		CHECK_OK(steps_end(&t, &err), err);
		CHECK_STR(buf_str(&steps_object(&t, "a")->rows), "1\n");
		CHECK(!strstr(steps_file(&t, "before.sql"), "`n`"));
	}
	steps_release(&t);
	my_test_server_stop(&s);
}

TEST("MySQL dump: with lock_ddl a migration waits until the dump has ended; MariaDB, which has no such lock, refuses the setting")
{
	struct my_test_server s;
	static struct steps t;
	struct error err = ERROR_INIT;

	my_test_server_start(&s, NULL);
	sql_lines(&s, NULL, "CREATE DATABASE shop;;");
	sql_lines(&s, "shop", "CREATE TABLE a (id INT PRIMARY KEY);;INSERT INTO a VALUES (1);;");
	s.params.lock_timeout = DURATION_SECONDS(2);
	s.params.lock_ddl = true;
	if (s.mariadb) {
		CHECK_INT(steps_open(&t, &s, "shop", &err), ST_CONFIG);
		CHECK_HAS(error_text(&err), "lock_ddl");
		error_release(&err);
	} else {
		CLEANUP(my_conn_freep) struct my_conn *c = NULL;

		steps_start(&t, &s, "shop");
		CHECK_OK(steps_read(&t, NULL, &err), err);
		CHECK_OK(my_session_open_load(&run, &s.e, "shop", &c, &err), err);
		CHECK_INT(my_conn_command(&run, c, "ALTER TABLE a ADD COLUMN n INT DEFAULT 7", &err), ST_SERVER);
		error_release(&err);
		CHECK_OK(steps_end(&t, &err), err);
		steps_release(&t);
		CHECK_OK(my_conn_command(&run, c, "ALTER TABLE a ADD COLUMN n INT DEFAULT 7", &err), err);
	}
	my_test_server_stop(&s);
}

TEST("MySQL dump: a table that was changed before it was read ends the dump with its name")
{
	static const char *const changes[] = {"TRUNCATE TABLE a", "RENAME TABLE a TO z", "DROP TABLE a", "ALTER TABLE a DROP COLUMN v",
					      "ALTER TABLE a FORCE"};
	struct my_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *url = NULL;

	my_test_server_start(&s, NULL);
	if (!s.mariadb)
		sql_lines(&s, NULL, "CREATE DATABASE shop;;");
	as_account(&s, &url, "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, RELOAD ON *.* TO few@'127.0.0.1'");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		static struct steps t;
		CLEANUP(cstr_release) char *change = xasprintf("%s;;", changes[i]);

		s.e.url = s.url;
		s.password.value = NULL;
		sql_lines(&s, NULL, "DROP DATABASE IF EXISTS shop;;CREATE DATABASE shop;;");
		sql_lines(&s, "shop", "CREATE TABLE a (id INT PRIMARY KEY, v INT);;INSERT INTO a VALUES (1, 1);;");
		static char password[] = "mysql";
		s.e.url = url;
		s.password.value = password;
		steps_start(&t, &s, "shop");
		s.e.url = s.url;
		s.password.value = NULL;
		sql_lines(&s, "shop", change);
		CHECK_INT(steps_read(&t, NULL, &err), ST_SERVER);
		CHECK_HAS(error_text(&err), "table a was altered while it was dumped");
		error_release(&err);
		steps_release(&t);
	}
	my_test_server_stop(&s);
}

/* ---- ranges ---- */

static struct hash128 digest_of(const struct kept_object *o)
{
	struct hash128 sum = {0, 0};

	for (const char *p = buf_str(&o->rows), *end; (end = strchr(p, '\n')); p = end + 1)
		sum = hash128_add(sum, xxh128(p, (size_t)(end + 1 - p)));
	return sum;
}

/* Rows of each unit. */
static void read_counting(struct steps *t, uint64_t *most)
{
	struct error err = ERROR_INIT;

	*most = 0;
	for (size_t i = 0; i < t->units; i++) {
		t->at = &t->object[t->unit[i].object];
		uint64_t before = t->at->count;
		CHECK_OK(d->dump_unit(&run, t->worker, &t->unit[i], &t->sink, &err), err);
		if (t->at->count - before > *most)
			*most = t->at->count - before;
	}
}

static void check_ranges(struct my_test_server *s, const char *table, const char *fill, size_t least, size_t skew)
{
	static struct steps whole, parts;
	struct error err = ERROR_INIT;
	uint64_t most = 0;

	sql_lines(s, NULL, "DROP DATABASE IF EXISTS shop;;CREATE DATABASE shop;;");
	sql_lines(s, "shop", table);
	sql_lines(s, "shop", fill);
	sql_lines(s, "shop", "ANALYZE TABLE t;;");
	s->params.split_above = (uint64_t)1 << 40;
	steps_all(&whole, s, "shop");
	CHECK_INT(whole.units, 1);
	s->params.split_above = (uint64_t)1 << 20;
	steps_start(&parts, s, "shop");
	read_counting(&parts, &most);
	CHECK_OK(steps_end(&parts, &err), err);
	CHECK_INT(parts.object[0].count, whole.object[0].count);
	CHECK(hash128_equal(digest_of(&parts.object[0]), digest_of(&whole.object[0])));
	CHECK(parts.units >= least);
	CHECK(most < parts.object[0].count * skew / parts.units);
	steps_release(&whole);
	steps_release(&parts);
}

/* 65536 rows with numbers n from 0. */
#define NUMBERS                                                                                                                      \
	"CREATE TABLE n (n INT);;INSERT INTO n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12),(13),(14),(15);;"               \
	"INSERT INTO t SELECT "
#define FROM_NUMBERS                                                                                                                 \
	" FROM (SELECT a.n + 16 * b.n + 256 * c.n + 4096 * e.n n FROM n a, n b, n c, n e) x ORDER BY x.n;;DROP TABLE n;;"

TEST("MySQL dump: the ranges of a large table have every row once, whatever its key")
{
	struct my_test_server s;

	my_test_server_start(&s, NULL);
	check_ranges(&s, "CREATE TABLE t (id INT PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1;;", NUMBERS "x.n, REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (id BIGINT PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1;;",
		     NUMBERS "IF(x.n < 65000, x.n - 70000, IF(x.n % 2, 9000000000000000000, -9000000000000000000) + x.n), REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1;;",
		     NUMBERS "18446744073709551615 - x.n * x.n, REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (a INT, b INT, v CHAR(60), PRIMARY KEY (a, b)) CHARACTER SET latin1;;",
		     NUMBERS "x.n % 3, x.n, REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (k CHAR(36) PRIMARY KEY, v CHAR(30)) CHARACTER SET utf8mb4;;",
		     NUMBERS "INSERT(INSERT(INSERT(INSERT(LEFT(SHA2(x.n, 256), 32), 21, 0, '-'), 17, 0, '-'), 13, 0, '-'), 9, 0, '-'), REPEAT('x', 30)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (k VARCHAR(40) PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1;;",
		     NUMBERS "CONCAT(CHAR(97 + x.n % 7), 'ustomer', x.n, '@example.com'), REPEAT('x', 60)" FROM_NUMBERS, 5, 4);
	check_ranges(&s, "CREATE TABLE t (k BINARY(16) PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1;;",
		     NUMBERS "UNHEX(LEFT(SHA2(x.n, 256), 32)), REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (k VARCHAR(30) COLLATE utf8mb4_bin, i INT, v CHAR(60), PRIMARY KEY (k, i)) CHARACTER SET utf8mb4;;",
		     NUMBERS "TO_BASE64(UNHEX(LEFT(LEFT(SHA2(x.n % 9, 256), 32), 20))), x.n, REPEAT('x', 60)" FROM_NUMBERS, 5, 4);
	check_ranges(&s, "CREATE TABLE t (d DATETIME(3), i INT, v CHAR(60), PRIMARY KEY (d, i)) CHARACTER SET latin1;;",
		     NUMBERS "'2020-01-31 23:00:00.5' + INTERVAL x.n * 307 SECOND, x.n, REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (k VARCHAR(30) COLLATE utf8mb4_unicode_ci, v CHAR(60), UNIQUE (k)) CHARACTER SET utf8mb4;;",
		     NUMBERS "CONCAT(CONVERT(CHAR(1040 + x.n % 32 USING utf16) USING utf8mb4), x.n), REPEAT('x', 60)" FROM_NUMBERS, 1, 3);
	check_ranges(&s, "CREATE TABLE t (k VARCHAR(30) COLLATE utf8mb4_unicode_ci NOT NULL, v CHAR(60), UNIQUE (k)) CHARACTER SET utf8mb4;;",
		     NUMBERS "CONCAT(CONVERT(_utf16 0x0416 USING utf8mb4), x.n), REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (id INT PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1 PARTITION BY HASH (id) PARTITIONS 4;;",
		     NUMBERS "x.n, REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (id INT, v CHAR(60), KEY (id)) CHARACTER SET latin1;;", NUMBERS "x.n, REPEAT('x', 60)" FROM_NUMBERS, 1, 2);
	if (s.mariadb)
		check_ranges(&s, "CREATE TABLE t (id INT PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1 WITH SYSTEM VERSIONING;;",
			     NUMBERS "x.n, REPEAT('x', 60)" FROM_NUMBERS "UPDATE t SET v = 'y' WHERE id % 3;;", 5, 3);
	my_test_server_stop(&s);
}

/* ---- what is said ---- */

TEST("MySQL dump: tables that are not of the moment, and those without rows here, are named")
{
	struct my_test_server s;
	static struct steps t;

	my_test_server_start(&s, NULL);
	sql_lines(&s, NULL, "CREATE DATABASE shop;;CREATE DATABASE other;;");
	sql_lines(&s, "shop", "CREATE TABLE m (a INT) ENGINE=MyISAM;;INSERT INTO m VALUES (1), (2);;CREATE TABLE e (a INT) ENGINE=MEMORY;;"
			      "CREATE TABLE g (a INT) ENGINE=MRG_MyISAM UNION=(m);;CREATE TABLE i (a INT);;");
	steps_all(&t, &s, "shop");
	CHECK_INT(t.objects, 3);
	CHECK_INT(steps_object(&t, "m")->count, 2);
	CHECK(!js_opt_bool(steps_object(&t, "m")->facts, "transactional", true) && js_opt_bool(steps_object(&t, "i")->facts, "transactional", true));
	CHECK(has_part(&t.info.not_contained, "database shop, tables g: the definition only"));
	CHECK(has_part(&t.info.not_contained, "database shop, tables e, m: their engines know no transactions"));
	CHECK_STR(t.info.uncovered.item[0], "other");
	CHECK_HAS(steps_file(&t, "before.sql"), "CREATE TABLE `g`");
	CHECK_HAS(steps_file(&t, "load.sql"), "'rows/m'");
	CHECK(!strstr(steps_file(&t, "load.sql"), "'rows/i'"));
	steps_release(&t);
	my_test_server_stop(&s);
}

/* ---- a digest ---- */

static enum status each_kept(void *ctx, const char *scope, enum status (*fn)(void *arg, const struct recorded_object *o, struct error *err), void *arg,
			     struct error *err)
{
	struct steps *t = ctx;

	for (uint32_t i = 0; i < t->objects; i++) {
		const struct recorded_object o = {.id = i, .scope = scope, .name = t->object[i].name, .facts = t->object[i].facts, .rows = t->object[i].count};

		if (fn(arg, &o, err))
			return err->code;
	}
	return ST_OK;
}

TEST("MySQL dump: a digest reads the recorded columns of the recorded tables in another database, and misses what is not there")
{
	struct my_test_server s;
	static struct steps t, digest;
	struct error err = ERROR_INIT;

	my_test_server_start(&s, NULL);
	sql_lines(&s, NULL, "CREATE DATABASE shop;;CREATE DATABASE copy;;");
	sql_lines(&s, "shop", "CREATE TABLE a (id INT PRIMARY KEY, v ENUM('x', 'y'), f FLOAT);;INSERT INTO a VALUES (1, 'y', 0.1), (2, NULL, 3);;"
			      "CREATE TABLE b (id INT);;CREATE TABLE c (id INT, gone INT);;");
	sql_lines(&s, "copy", "CREATE TABLE a (later INT, f FLOAT, id INT, v ENUM('x', 'y'));;INSERT INTO a VALUES (9, 3, 2, NULL), (8, 0.1, 1, 'y');;"
			      "CREATE TABLE c (id INT);;CREATE TABLE more (id INT);;");
	steps_all(&t, &s, "shop");
	const struct recorded r = {.each = each_kept, .ctx = &t};
	digest.recorded = &r;
	digest.recorded_scope = (struct recorded_scope){.name = "shop", .database = "copy"};
	steps_start(&digest, &s, "");
	CHECK_INT(digest.objects, 1);
	CHECK_OK(steps_read(&digest, NULL, &err), err);
	CHECK(hash128_equal(digest_of(&digest.object[0]), digest_of(steps_object(&t, "a"))));
	CHECK_OK(steps_end(&digest, &err), err);
	CHECK_INT(digest.files, 0);
	steps_release(&t);
	steps_release(&digest);
	my_test_server_stop(&s);
}
