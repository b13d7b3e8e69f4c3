/* A dump of MariaDB or MySQL reads large tables by ranges, each row once. */
#include "tests/conformance/mysql_steps.h"
#include "tests/lib/test.h"

extern const struct driver driver_mysql;

static struct run run = RUN_INIT;
static const struct driver *const d = &driver_mysql;

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

/* The table t that these statements make and fill, read in one piece and by ranges, has the same rows. */
static void compare(struct my_test_server *s, const char *table, const char *fill, struct steps *parts, uint64_t *most)
{
	static struct steps whole;
	struct error err = ERROR_INIT;
	uint64_t split_above = s->params.split_above;

	sql_lines(s, NULL, "DROP DATABASE IF EXISTS shop;;CREATE DATABASE shop;;");
	sql_lines(s, "shop", table);
	sql_lines(s, "shop", fill);
	sql_lines(s, "shop", "ANALYZE TABLE t;;");
	s->params.split_above = (uint64_t)1 << 40;
	steps_all(&whole, s, "shop");
	CHECK_INT(whole.units, 1);
	s->params.split_above = split_above;
	steps_start(parts, s, "shop");
	read_counting(parts, most);
	CHECK_OK(steps_end(parts, &err), err);
	CHECK_INT(parts->object[0].count, whole.object[0].count);
	CHECK(hash128_equal(steps_digest(&parts->object[0]), steps_digest(&whole.object[0])));
	steps_release(&whole);
}

static void check_ranges(struct my_test_server *s, const char *table, const char *fill, size_t least, size_t skew)
{
	static struct steps parts;
	uint64_t most = 0;

	s->params.split_above = 256 * 1024;
	compare(s, table, fill, &parts, &most);
	CHECK(parts.units >= least);
	CHECK(most < parts.object[0].count * skew / parts.units);
	steps_release(&parts);
}

/* 16384 rows with numbers n from 0. */
#define NUMBERS                                                                                                                      \
	"CREATE TABLE n (n INT);;INSERT INTO n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12),(13),(14),(15);;"               \
	"INSERT INTO t SELECT "
#define FROM_NUMBERS                                                                                                                 \
	" FROM (SELECT a.n + 16 * b.n + 256 * c.n + 4096 * e.n n FROM n a, n b, n c, n e WHERE e.n < 4) x ORDER BY x.n;;DROP TABLE n;;"

TEST("MySQL dump: the ranges of a large table have every row once, whatever its key")
{
	struct my_test_server s;

	my_test_server_share(&s);
	check_ranges(&s, "CREATE TABLE t (id INT PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1;;", NUMBERS "x.n, REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
	check_ranges(&s, "CREATE TABLE t (id BIGINT PRIMARY KEY, v CHAR(60)) CHARACTER SET latin1;;",
		     NUMBERS "IF(x.n < 16250, x.n - 17500, IF(x.n % 2, 9000000000000000000, -9000000000000000000) + x.n), REPEAT('x', 60)" FROM_NUMBERS, 5, 3);
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

/* Texts of few letters, so that many are neighbours of a border. */
#define FEW_LETTERS                                                                                                                  \
	"CREATE TABLE n (n INT);;INSERT INTO n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);;"                                       \
	"SET unique_checks = 1;;INSERT IGNORE INTO t SELECT m.n % 2, CONCAT(ELT(1 + x.n % 7, 'a', 'A', 'b', ' ', '\t', 'z', '_')," \
	" ELT(1 + x.n DIV 7 % 7, 'a', 'B', '\t', ' ', '-', 'A', '0'), ELT(1 + x.n DIV 49 % 6, 'a', '', '\t', ' ', CHAR(1), 'A')," \
	" ELT(1 + x.n DIV 294, '', ' ', '\t', 'b')), REPEAT('x', 200) FROM (SELECT a.n + 10 * b.n + 100 * c.n n FROM n a, n b, n c) x," \
	" n m WHERE m.n < 2;;DROP TABLE n;;"

/* Before 11.4 MariaDB has none of MySQL's. */
static bool knows(struct my_test_server *s, const char *collation)
{
	CLEANUP(cstr_release) char *sql = xasprintf("SHOW COLLATION LIKE '%s'", collation), *name = my_test_server_value(s, NULL, sql);

	return *name;
}

TEST("MySQL dump: texts that differ in case, in blanks at the end or in what sorts below a blank are in one range each, whatever the collation")
{
	static const char *const mariadb[] = {"latin1_swedish_ci", "latin1_nopad_bin", "utf8mb4_nopad_bin", "utf8mb4_general_nopad_ci",
					      "utf8mb4_unicode_520_nopad_ci", "utf8mb4_general_ci", "utf16_nopad_bin", "utf8mb4_0900_as_cs", NULL};
	static const char *const mysql[] = {"latin1_swedish_ci", "utf8mb4_0900_ai_ci", "utf8mb4_0900_bin", "utf8mb4_ja_0900_as_cs", "utf16_bin", "utf8mb3_general_ci", NULL};
	static struct steps parts;
	struct my_test_server s;
	uint64_t most;

	my_test_server_share(&s);
	s.params.split_above = 16 * 1024;
	for (const char *const *collation = s.mariadb ? mariadb : mysql; *collation; collation++) {
		if (!knows(&s, *collation))
			continue;
		for (int padded = 0; padded < 2; padded++) {
			CLEANUP(cstr_release) char *table = xasprintf("CREATE TABLE t (i INT, k %sCHAR(12) CHARACTER SET %.*s COLLATE %s, v CHAR(200),"
								      " PRIMARY KEY (i, k)) CHARACTER SET latin1;;", padded ? "" : "VAR",
								      (int)strcspn(*collation, "_"), *collation, *collation);

			compare(&s, table, FEW_LETTERS, &parts, &most);
			CHECK(parts.units > 1);
			steps_release(&parts);
		}
	}
	my_test_server_stop(&s);
}
