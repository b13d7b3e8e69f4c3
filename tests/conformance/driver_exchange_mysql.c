#include "tests/conformance/mysql_shop.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"
#include "util/failpoint.h"

static void pair_free(struct exchange_pair *p)
{
	free(p->name);
	free(p->loaded);
	free(p->aside);
}

static struct exchange_pair pair_make(void)
{
	return (struct exchange_pair){.name = xstrdup("shop"), .loaded = xstrdup("shop_restore_0a1b2c"), .aside = xstrdup("shop_before_0a1b2c")};
}

/* The shop, and a copy of it that can be put in its place. */
static void restore_beside(struct shop *f)
{
	struct kept k;
	struct loading l;

	shop_make(f, NULL);
	kept_dump(&f->s, "shop", &k);
	loading_init(&l, &f->s, &k, "shop");
	l.q.in_place = true;
	shop_run_ok(&l);
	loading_release(&l);
	kept_release(&k);
}

TEST("MySQL: an exchange puts the restored database in place, goes back and drops")
{
	struct shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;

	shop_make(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	my_test_server_sql(&f.my, "shop", "DELETE FROM log");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE later (i int)");
	loading_init(&l, &f.s, &k, "shop");
	l.q.in_place = true;
	shop_run_ok(&l);
	CHECK_STR(l.plan.scope[0].replaces, "shop");
	CHECK_STR(l.plan.scope[0].aside, "shop_before_0a1b2c");
	loading_release(&l);

	struct exchange_request q = {.action = EXCHANGE_LOOK, .run = "0a1b2c"};
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	CHECK_INT(q.pairs, 1);
	CHECK_STR(q.pair[0].name, "shop");
	CHECK(q.pair[0].name_exists && q.pair[0].loaded_exists && !q.pair[0].aside_exists);
	q.action = EXCHANGE_PUT;
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	CHECK(q.pair[0].name_exists && !q.pair[0].loaded_exists && q.pair[0].aside_exists);
	shop_check(&f, "shop");
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM log", "2");
	shop_check(&f, "shop_before_0a1b2c");
	CHECK_VALUE(&f.my, "shop_before_0a1b2c", "SELECT count(*) FROM later", "0");
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	q.action = EXCHANGE_BACK;
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM log", "0");
	shop_check(&f, "shop");
	shop_check(&f, "shop_restore_0a1b2c");
	CHECK(q.pair[0].loaded_exists && !q.pair[0].aside_exists);
	q.action = EXCHANGE_PUT;
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM log", "2");
	q.action = EXCHANGE_DROP;
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	CHECK(!q.pair[0].aside_exists);
	shop_check(&f, "shop");
	free(q.pair[0].name);
	free(q.pair[0].loaded);
	free(q.pair[0].aside);
	free(q.pair);
	kept_release(&k);
	shop_stop(&f);
}

#ifdef DRTOOL_TEST
static void exchange_killed(struct shop *f, struct exchange_request *q, const char *point)
{
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		setenv("DRTOOL_FAIL", point, 1);
		failpoint_init();
		_exit(driver_mysql.exchange(&run, &f->s.e, q, &err) != ST_OK);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status));
}

TEST("MySQL: an exchange that dies on the way goes on where it stopped")
{
	static const char *const points[] = {"mysql.exchange.before:1:kill", "mysql.exchange.moved:1:kill", "mysql.exchange.made:1:kill"};
	struct shop f;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;

	restore_beside(&f);
	struct exchange_pair pair = pair_make();
	struct exchange_request q = {.pair = &pair, .pairs = 1, .run = "0a1b2c"};
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		for (int back = 0; back < 2; back++) {
			q.action = back ? EXCHANGE_BACK : EXCHANGE_PUT;
			exchange_killed(&f, &q, points[i]);
			CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
			CHECK(pair.name_exists && pair.loaded_exists == back && pair.aside_exists == !back);
			shop_check(&f, "shop");
			shop_check(&f, back ? "shop_restore_0a1b2c" : "shop_before_0a1b2c");
		}
	}
	/* The old one may be gone altogether. */
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	q.action = EXCHANGE_PUT;
	exchange_killed(&f, &q, points[1]);
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	shop_check(&f, "shop");
	CHECK(!pair.loaded_exists && !pair.aside_exists);
	pair_free(&pair);
	shop_stop(&f);
}

TEST("MySQL: an exchange that cannot go on leaves what others made meanwhile under the name")
{
	struct shop f;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;

	restore_beside(&f);
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	struct exchange_pair pair = pair_make();
	struct exchange_request q = {.action = EXCHANGE_PUT, .pair = &pair, .pairs = 1, .run = "0a1b2c"};
	exchange_killed(&f, &q, "mysql.exchange.before:1:kill");
	my_test_server_sql(&f.my, "shop", "CREATE TABLE orders (i int)");
	my_test_server_sql(&f.my, "shop", "INSERT INTO orders VALUES (1)");
	CHECK_ERR(driver_mysql.exchange(&run, &f.s.e, &q, &err), err, ST_SERVER, "orders");
	CHECK_VALUE(&f.my, "shop", "SELECT count(*) FROM orders", "1");
	shop_check(&f, "shop_restore_0a1b2c");
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	shop_check(&f, "shop");
	pair_free(&pair);
	shop_stop(&f);
}
#endif

TEST("MySQL: an exchange that cannot have the tables leaves all as it was")
{
	struct shop f;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	struct my_params impatient;

	restore_beside(&f);
	struct exchange_pair pair = pair_make();
	struct exchange_request q = {.action = EXCHANGE_PUT, .pair = &pair, .pairs = 1, .run = "0a1b2c"};
	CHECK_OK(my_conn_open(&run, &f.s.e, NULL, false, &c, &err), err);
	CHECK_OK(my_conn_command(&run, c, "START TRANSACTION", &err), err);
	CHECK_OK(my_conn_command(&run, c, "SELECT * FROM shop.orders LIMIT 1", &err), err);
	impatient = *my_params(&f.s.e);
	impatient.lock_timeout = DURATION_SECONDS(1);
	f.s.e.params = &impatient;
	CHECK_ERR(driver_mysql.exchange(&run, &f.s.e, &q, &err), err, ST_LOCKED, "shop_restore_0a1b2c in the place of shop");
	CHECK(pair.name_exists && pair.loaded_exists && !pair.aside_exists);
	shop_check(&f, "shop");
	shop_check(&f, "shop_restore_0a1b2c");
	CHECK_OK(my_conn_command(&run, c, "COMMIT", &err), err);
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	shop_check(&f, "shop");
	shop_check(&f, "shop_before_0a1b2c");
	pair_free(&pair);
	shop_stop(&f);
}

TEST("MySQL: an exchange drops no database while foreign keys of another one refer to it")
{
	struct shop f;
	struct error err = ERROR_INIT;
	struct run run = RUN_INIT;

	restore_beside(&f);
	my_test_server_sql(&f.my, NULL, "CREATE DATABASE reviews");
	my_test_server_sql(&f.my, "reviews", "CREATE TABLE r (id int PRIMARY KEY, o bigint, CONSTRAINT of_order FOREIGN KEY (o) REFERENCES shop.orders (id))");
	struct exchange_pair pair = pair_make();
	struct exchange_request q = {.action = EXCHANGE_PUT, .pair = &pair, .pairs = 1, .run = "0a1b2c"};
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	q.action = EXCHANGE_DROP;
	CHECK_ERR(driver_mysql.exchange(&run, &f.s.e, &q, &err), err, ST_REFUSED,
		  "shop_before_0a1b2c is not dropped: the foreign key of_order of reviews.r refers to tables of it");
	CHECK(pair.aside_exists);
	my_test_server_sql(&f.my, "reviews", "ALTER TABLE r DROP FOREIGN KEY of_order");
	CHECK_OK(driver_mysql.exchange(&run, &f.s.e, &q, &err), err);
	CHECK(!pair.aside_exists);
	pair_free(&pair);
	shop_stop(&f);
}
