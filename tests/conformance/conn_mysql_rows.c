/* Rows of a session with MariaDB or MySQL, both ways. */
#include "drivers/mysql/session.h"

#include "tests/conformance/mysql_server.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

static void open_ok(struct my_test_server *s, struct my_conn **c)
{
	struct error err = ERROR_INIT;

	CHECK_OK(my_session_open(&run, &s->e, NULL, c, &err), err);
}

struct big {
	size_t n;
	char first, last;
};

static enum status take_big(void *ctx, char *const *field, const unsigned long *len, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct big *b = ctx;

	*b = (struct big){len[0], field[0][0], field[0][len[0] - 1]};
	return ST_OK;
}

struct feed {
	const char *p;
	size_t left, piece;
	bool fail;
};

static enum status feed_next(void *ctx, const void **p, size_t *n, struct error *err)
{
	struct feed *f = ctx;

	if (f->fail && !f->left)
		return error_set(err, ST_BAD, "a chunk is bad");
	*p = f->p;
	*n = min_size(f->piece, f->left);
	f->p += *n;
	f->left -= *n;
	return ST_OK;
}

static enum status load(struct my_conn *c, const char *sql, struct feed f, uint64_t *rows, unsigned *warnings, struct error *err)
{
	const struct my_conn_feed from = {feed_next, &f};

	return my_conn_load(&run, c, sql, &from, rows, warnings, err);
}

static uint64_t count(struct my_conn *c, const char *table)
{
	struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *sql = xasprintf("SELECT COUNT(*) FROM %s", table), *value = NULL;

	CHECK_OK(my_conn_value(&run, c, sql, &value, &err), err);
	return my_field_u64(value);
}

static void command(struct my_conn *c, const char *sql)
{
	struct error err = ERROR_INIT;

	CHECK_OK(my_conn_command(&run, c, sql, &err), err);
}

static const char into[] = "LOAD DATA LOCAL INFILE 'rows' INTO TABLE d.t CHARACTER SET binary";

static void check_big(struct my_conn *c)
{
	enum { BIG = 20 << 20 };
	struct error err = ERROR_INIT;
	struct big big = {0};
	uint64_t rows;
	unsigned warnings;
	CLEANUP(cstr_release) char *row = xmalloc(BIG + 1);

	memset(row, 'z', BIG);
	row[0] = 'a';
	row[BIG] = '\n';
	CHECK_OK(load(c, into, (struct feed){row, BIG + 1, 1 << 20, false}, &rows, &warnings, &err), err);
	CHECK(rows == 1 && !warnings);
	CHECK_OK(my_conn_each(&run, c, "SELECT b FROM d.t", take_big, &big, &err), err);
	CHECK(big.n == BIG && big.first == 'a' && big.last == 'z');
}

/* Alone, and inside of a transaction of the caller. */
static void check_undone(struct my_conn *c)
{
	struct error err = ERROR_INIT;
	uint64_t rows;
	unsigned warnings;

	CHECK_ERR(load(c, into, (struct feed){"x\ny\n", 4, 2, true}, &rows, &warnings, &err), err, ST_BAD, "a chunk is bad");
	CHECK_INT(count(c, "d.t"), 1);
	command(c, "START TRANSACTION");
	command(c, "INSERT INTO d.t VALUES ('kept')");
	CHECK_ERR(load(c, into, (struct feed){"x\ny\n", 4, 4, true}, &rows, &warnings, &err), err, ST_BAD, "a chunk is bad");
	CHECK_OK(load(c, into, (struct feed){"x\ny\n", 4, 1, false}, &rows, &warnings, &err), err);
	CHECK_INT(rows, 2);
	command(c, "COMMIT");
	CHECK_INT(count(c, "d.t"), 4);
	CHECK_OK(load(c, into, (struct feed){"", 0, 1, false}, &rows, &warnings, &err), err);
	CHECK_INT(rows, 0);
}

/* What the server makes of a bad value is a warning only. */
static void check_warnings(struct my_conn *c)
{
	struct error err = ERROR_INIT;
	CLEANUP(strlist_release) struct strlist said = STRLIST_INIT;
	uint64_t rows;
	unsigned warnings;

	command(c, "CREATE TABLE d.n (a INT PRIMARY KEY) ENGINE=InnoDB");
	command(c, "START TRANSACTION");
	CHECK_OK(load(c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE d.n", (struct feed){"1\nx\n1\n", 6, 6, false}, &rows, &warnings, &err), err);
	CHECK(rows == 2 && warnings == 2);
	CHECK_OK(my_conn_warnings(&run, c, 1, &said, &err), err);
	CHECK(said.len == 1 && !strncmp(said.item[0], "1366: ", 6));
	command(c, "ROLLBACK");
	CHECK_ERR(load(c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE d.missing", (struct feed){"1\n", 2, 2, false}, &rows, &warnings, &err), err,
		  ST_SERVER, "missing");
}

TEST("MySQL: rows of 20 MB go both ways; what a load leaves half is undone and the session lives")
{
	static const char *const settings[] = {"max_allowed_packet=64M", "local_infile=1", NULL};
	struct my_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	my_test_server_start(&s, settings);
	CHECK_OK(my_session_open_load(&run, &s.e, NULL, &c, &err), err);
	command(c, "CREATE DATABASE d");
	command(c, "CREATE TABLE d.t (b LONGBLOB) ENGINE=InnoDB");
	check_big(c);
	check_undone(c);
	check_warnings(c);
	CHECK_OK(my_conn_alive(&run, c, &err), err);
	my_conn_freep(&c);
	my_test_server_stop(&s);
}

TEST("MySQL: a server without LOAD DATA LOCAL says so before a byte is read, and a session that does not load gives no file")
{
	static const char *const settings[] = {"local_infile=0", NULL};
	static const char file[] = "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE d.t";
	struct my_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	uint64_t rows;
	unsigned warnings;

	my_test_server_start(&s, settings);
	CHECK_OK(my_session_open_load(&run, &s.e, NULL, &c, &err), err);
	command(c, "CREATE DATABASE d");
	command(c, "CREATE TABLE d.t (b TEXT) ENGINE=InnoDB");
	CHECK_INT(load(c, file, (struct feed){"x\n", 2, 2, true}, &rows, &warnings, &err), ST_UNSUPPORTED);
	CHECK_STR(err.native, s.mariadb ? "4166" : "3948");
	error_release(&err);
	command(c, "SET GLOBAL local_infile = 1");
	CHECK(my_conn_command(&run, c, file, &err) != ST_OK);
	error_release(&err);
	CHECK_OK(my_conn_alive(&run, c, &err), err);
	my_conn_freep(&c);
	open_ok(&s, &c);
	CHECK(my_conn_command(&run, c, file, &err) != ST_OK);
	error_release(&err);
	CHECK_INT(count(c, "d.t"), 0);
	my_conn_freep(&c);
	my_test_server_stop(&s);
}
