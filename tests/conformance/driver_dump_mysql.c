/* What a dump of MariaDB or MySQL promises, against a real server: one moment in all sessions, nothing left out in silence,
 * nobody kept waiting. */
#include <stdatomic.h>

#include "drivers/mysql/session.h"
#include "tests/conformance/mysql_steps.h"
#include "tests/lib/test.h"
#include "util/thread.h"

extern const struct driver driver_mysql;

static struct run run = RUN_INIT;
static const struct driver *const d = &driver_mysql;

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

	my_test_server_share(&s);
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

TEST("MySQL dump: a binlog that leaves out databases proves nothing, so that all sessions see one moment under a short lock")
{
	struct my_test_server s;

	my_test_server_start(&s, (const char *const[]){"binlog-ignore-db=shop", NULL});
	make_accounts(&s);
	dump_sums(&s, s.mariadb ? "under BACKUP STAGE BLOCK_COMMIT" : "under FLUSH TABLES WITH READ LOCK", true);
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

	my_test_server_share(&s);
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

	my_test_server_share(&s);
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

	my_test_server_share(&s);
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

/* ---- what is said ---- */

TEST("MySQL dump: tables that are not of the moment, and those without rows here, are named")
{
	struct my_test_server s;
	static struct steps t;

	my_test_server_share(&s);
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

	my_test_server_share(&s);
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
	CHECK(hash128_equal(steps_digest(&digest.object[0]), steps_digest(steps_object(&t, "a"))));
	CHECK_OK(steps_end(&digest, &err), err);
	CHECK_INT(digest.files, 0);
	steps_release(&t);
	steps_release(&digest);
	my_test_server_stop(&s);
}

TEST("MySQL dump: a value that the server gives with a warning ends the dump")
{
	struct my_test_server s;
	static struct steps t, digest;
	struct error err = ERROR_INIT;

	my_test_server_share(&s);
	sql_lines(&s, NULL, "CREATE DATABASE shop;;");
	sql_lines(&s, "shop", "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9));;INSERT INTO a VALUES (1, '7'), (2, '8 or 9');;");
	steps_all(&t, &s, "shop");
	json_t *read = json_object();
	js_set_str(read, "v", "CAST(`v` AS SIGNED)");
	js_set_new(t.object[0].facts, "read", read);
	const struct recorded r = {.each = each_kept, .ctx = &t};
	digest.recorded = &r;
	digest.recorded_scope = (struct recorded_scope){.name = "shop", .database = "shop"};
	steps_start(&digest, &s, "");
	CHECK_INT(steps_read(&digest, NULL, &err), ST_SERVER);
	CHECK_HAS(error_text(&err), "table a: the server gave rows otherwise than they are: 1292: Truncated");
	error_release(&err);
	steps_release(&t);
	steps_release(&digest);
	my_test_server_stop(&s);
}
