#include "tests/conformance/mysql_shop.h"

#include "drivers/mysql/load.h"
#include "drivers/mysql/mydriver.h"
#include "tests/lib/test.h"
#include "util/failpoint.h"

/* ---- by hand ---- */

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

static enum status load_by_hand(struct loading *l, void *worker, const char *name, struct load_unit_result *result, struct error *err)
{
	struct run run = RUN_INIT;

	for (size_t i = 0; i < l->k->objects; i++) {
		const struct kept_object *k = &l->k->object[i];
		struct one_chunk src = {.src = {give_all}, .o = k};
		const struct recorded_object o = {.id = (uint32_t)i, .scope = k->scope, .name = k->name, .facts = k->facts, .rows = k->rows,
						  .raw = k->row.len};
		const struct load_unit u = {.object = &o, .rows = k->rows};

		if (!strcmp(k->name, name))
			return my_load_unit(&run, worker, &u, &src.src, result, err);
	}
	return error_set(err, ST_FAILED, "no object %s", name);
}

/* Rows only, into the table log. */
static void begin_rows(struct loading *l, struct shop *f, struct kept *k, void **load, void **worker)
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;

	loading_init(l, &f->s, k, "shop");
	strlist_add(&l->tables, "log");
	l->q.data_only = l->q.clean = true;
	shop_plan_ok(l);
	CHECK_OK(my_load_open(&run, &f->s.e, &l->q, &l->plan, load, &err), err);
	CHECK_OK(my_load_choose(*load, 0, &err), err);
	CHECK_OK(my_load_begin(&run, *load, false, &err), err);
	CHECK_OK(my_load_worker_open(&run, *load, worker, &err), err);
}

#ifdef DRTOOL_TEST
static void kill_soon(void *arg)
{
	struct shop *f = arg;
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(run_sleep(&run, DURATION_MS(500), &err), err);
	CLEANUP(cstr_release) char *id = my_test_server_value(&f->my, NULL, "SELECT IS_USED_LOCK('drtool_restore_0a1b2c_1')");
	CLEANUP(cstr_release) char *sql = xasprintf("KILL %s", id);
	my_test_server_sql(&f->my, NULL, sql);
}

TEST("MySQL: a session that ends at a commit leaves its unit not loaded, and the server is asked which")
{
	struct shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	void *load, *worker;
	struct load_unit_result result;
	struct thread t = THREAD_INIT;

	setenv("DRTOOL_FAIL", "mysql.load.commit.before:1:delay=1500", 1);
	failpoint_init();
	shop_make(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	begin_rows(&l, &f, &k, &load, &worker);
	CHECK_OK(thread_start(&t, "kill", kill_soon, &f, &err), err);
	CHECK_ERR(load_by_hand(&l, worker, "log", &result, &err), err, ST_UNREACHABLE, "loading log");
	thread_join(&t);
	CHECK_INT(result.state, LOAD_NOT);
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM log", "0");
	/* The worker got a new session to ask with and goes on with it. */
	CHECK_OK(load_by_hand(&l, worker, "log", &result, &err), err);
	CHECK_INT(result.state, LOAD_DONE);
	CHECK_INT(result.rows, 2);
	my_load_worker_close(worker);
	my_load_close(load, false);
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}
#endif

static void interrupt_soon(void *arg)
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(run_sleep(&run, DURATION_MS(500), &err), err);
	my_interrupt_load_worker(arg);
}

TEST("MySQL: an interrupt ends a unit that waits for a lock; a server's refusal leaves the session usable")
{
	struct shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	void *load, *worker;
	struct load_unit_result result;
	struct run run = RUN_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	struct thread t = THREAD_INIT;

	shop_make(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	begin_rows(&l, &f, &k, &load, &worker);
	my_test_server_sql(&f.my, "shop", "ALTER TABLE log MODIFY line int");
	CHECK_ERR(load_by_hand(&l, worker, "log", &result, &err), err, ST_FAILED, "took rows otherwise than they are, 2 warnings: 1366:");
	CHECK_INT(result.state, LOAD_NOT);
	my_test_server_sql(&f.my, "shop", "ALTER TABLE log MODIFY line text");
	CHECK_OK(my_conn_open(&run, &f.s.e, "shop", false, &c, &err), err);
	CHECK_OK(my_conn_command(&run, c, "LOCK TABLES log WRITE", &err), err);
	CHECK_OK(thread_start(&t, "interrupt", interrupt_soon, worker, &err), err);
	struct instant from = run_mono(&run);
	CHECK_ERR(load_by_hand(&l, worker, "log", &result, &err), err, ST_CANCELLED, "interrupted");
	CHECK(instant_diff(run_mono(&run), from).us < 5000000);
	thread_join(&t);
	my_load_worker_close(worker);
	my_interrupt_load(load);
	CHECK_ERR(my_load_end(&run, load, &err), err, ST_CANCELLED, "");
	my_load_close(load, false);
	/* Nothing of it goes on in the server. */
	for (int i = 0; i < 50; i++) {
		CLEANUP(cstr_release) char *left = my_test_server_value(&f.my, NULL, "SELECT count(*) FROM information_schema.processlist WHERE"
										     " info LIKE 'LOAD DATA%'");
		if (!strcmp(left, "0"))
			break;
		CHECK_OK(run_sleep(&run, DURATION_MS(100), &err), err);
		CHECK(i < 49);
	}
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}

/* ---- refusals ---- */

TEST("MySQL: what a restore needs and lacks is said before anything is changed")
{
	struct shop f;
	struct kept k;
	struct loading l;
	CLEANUP(buf_release) struct buf url = BUF_INIT;

	shop_make(&f, (const char *const[]){"local_infile=1", NULL});
	kept_dump(&f.s, "shop", &k);
	loading_init(&l, &f.s, &k, "shop");
	l.q.archive_version = f.my.mariadb ? "8.4.2" : "10.11.6-MariaDB";
	shop_refused(&l, "restore it into a server of its own kind");
	loading_init(&l, &f.s, &k, "shop");
	l.q.archive_version = f.my.mariadb ? "99.1.0-MariaDB" : "99.1.0";
	shop_refused(&l, "an older one does not know all of its definitions");

	my_test_server_sql(&f.my, NULL, "CREATE USER dbo@localhost IDENTIFIED BY ''");
	my_test_server_sql(&f.my, NULL, "GRANT SELECT ON *.* TO dbo@localhost");
	my_test_server_sql(&f.my, NULL, "GRANT REPLICATION CLIENT ON *.* TO dbo@localhost");
	if (f.my.mariadb)
		my_test_server_sql(&f.my, NULL, "GRANT SLAVE MONITOR ON *.* TO dbo@localhost");
	my_test_server_sql(&f.my, NULL, "GRANT ALL ON `shop%`.* TO dbo@localhost");
	CHECK_HAS(f.my.url, "root@");
	const char *after = strchr(f.my.url, '@');
	buf_printf(&url, "mysql://dbo%s", after);
	f.s.e.url = buf_str(&url);
	loading_init(&l, &f.s, &k, "shop");
	shop_refused(&l, "may not make what belongs to others");
	loading_init(&l, &f.s, &k, "shop");
	l.q.into_database = "other";
	l.q.no_owner = true;
	shop_refused(&l, "lacks rights on the database other: GRANT INSERT, CREATE,");
	loading_init(&l, &f.s, &k, "shop");
	l.q.no_owner = true;
	shop_refused(&l, "log_bin_trust_function_creators");
	my_test_server_sql(&f.my, NULL, "SET GLOBAL log_bin_trust_function_creators = 1");
	/* Without owners all belongs to who restores. */
	loading_init(&l, &f.s, &k, "shop");
	l.q.no_owner = true;
	l.q.users = LOAD_USERS_NONE;
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, "shop_restore_0a1b2c", "SELECT definer FROM information_schema.routines WHERE routine_schema = database() AND"
						  " routine_name = 'old'", "dbo@localhost");
	CHECK_VALUE(&f.my, "shop_restore_0a1b2c", "SELECT group_concat(DISTINCT definer) FROM information_schema.triggers WHERE trigger_schema ="
						  " database()", "dbo@localhost");
	CHECK_VALUE(&f.my, "shop_restore_0a1b2c", "SELECT count(*) FROM a_view", "100");
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}

TEST("MySQL: an account that objects need and the server lacks is made without login")
{
	struct shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	shop_make(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	my_test_server_sql(&f.my, NULL, "DROP USER app@'%'");
	loading_init(&l, &f.s, &k, "shop");
	l.q.users = LOAD_USERS_NONE;
	shop_refused(&l, "the server lacks the accounts app@%");
	loading_init(&l, &f.s, &k, "shop");
	CHECK_OK(loading_plan(&l, &err), err);
	CHECK_HAS(l.plan.steps.item[0], "make without login the accounts that the server lacks: app@%");
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, NULL, f.my.mariadb ? "SELECT json_value(priv, '$.account_locked') FROM mysql.global_priv WHERE user = 'app'"
					      : "SELECT account_locked FROM mysql.user WHERE user = 'app'", f.my.mariadb ? "1" : "Y");
	loading_release(&l);

	/* As recorded, with login, where that is asked for and confirmed. */
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop_restore_0a1b2c");
	my_test_server_sql(&f.my, NULL, "DROP USER app@'%'");
	loading_init(&l, &f.s, &k, "shop");
	l.q.users = LOAD_USERS_ALL;
	shop_plan_ok(&l);
	CHECK_HAS(l.plan.confirm, "shop_restore_0a1b2c@");
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, NULL, f.my.mariadb ? "SELECT json_value(priv, '$.account_locked') IS NULL FROM mysql.global_priv WHERE user = 'app'"
					      : "SELECT account_locked = 'N' FROM mysql.user WHERE user = 'app'", "1");
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}

TEST("MariaDB: names that would be one without regard to case are refused where the server has none")
{
	struct shop f;
	struct kept k;
	struct loading l;

	shop_start(&f, NULL);
	my_test_server_sql(&f.my, NULL, "CREATE DATABASE shop");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE Log (i int PRIMARY KEY)");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE log (i int PRIMARY KEY)");
	kept_dump(&f.s, "shop", &k);
	bool mariadb = f.my.mariadb;
	shop_stop(&f);
	if (!mariadb)
		test_skip("MySQL wants it from the first start on");
	shop_start(&f, (const char *const[]){"lower_case_table_names=1", NULL});
	loading_init(&l, &f.s, &k, "shop");
	shop_refused(&l, "would be one on this server");
	kept_release(&k);
	shop_stop(&f);
}

TEST("MySQL: a row larger than the server takes is said where rows go in by INSERT, and LOAD DATA takes it")
{
	struct shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	shop_start(&f, (const char *const[]){"local_infile=1", NULL});
	my_test_server_sql(&f.my, NULL, "CREATE DATABASE shop");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE wide (i int PRIMARY KEY, t longtext)");
	my_test_server_sql(&f.my, "shop", "INSERT INTO wide VALUES (1, 'short'), (2, repeat('long', 20000))");
	kept_dump(&f.s, "shop", &k);
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	my_test_server_sql(&f.my, NULL, "SET GLOBAL max_allowed_packet = 32768");
	loading_init(&l, &f.s, &k, "shop");
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT max(length(t)) FROM wide", "80000");
	loading_release(&l);
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	my_test_server_sql(&f.my, NULL, "SET GLOBAL local_infile = 0");
	loading_init(&l, &f.s, &k, "shop");
	shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_FAILED, "the server takes 32768");
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}

TEST("MySQL: rows without a parent are restored as they were, and a verify says so")
{
	struct shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	shop_start(&f, NULL);
	my_test_server_sql(&f.my, NULL, "CREATE DATABASE shop");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b))");
	my_test_server_sql(&f.my, "shop", "INSERT INTO parent VALUES (1, 1)");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE child (i int PRIMARY KEY, a int, b int)");
	my_test_server_sql(&f.my, "shop", "INSERT INTO child VALUES (1, 1, 1), (2, 1, NULL), (3, 7, 7), (4, 8, 8)");
	CHECK_OK(my_conn_open(&run, &f.s.e, "shop", false, &c, &err), err);
	CHECK_OK(my_conn_command(&run, c, "SET foreign_key_checks = 0", &err), err);
	CHECK_OK(my_conn_command(&run, c, "ALTER TABLE child ADD CONSTRAINT up FOREIGN KEY (a, b) REFERENCES parent (a, b)", &err), err);
	kept_dump(&f.s, "shop", &k);
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	loading_init(&l, &f.s, &k, "shop");
	l.q.scratch = true;
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM child", "4");
	shop_has_note(&f, "2 rows of the table child have no parent in `shop`.`parent` by the foreign key up: so they are in the backup");
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}
