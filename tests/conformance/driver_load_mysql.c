#include "tests/conformance/mysql_shop.h"

#include "tests/lib/test.h"

TEST("MySQL: a database is restored beside, under its own name, and where it is told to")
{
	struct shop f;
	struct kept k;
	struct loading l;

	shop_make(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	CLEANUP(cstr_release) char *before = my_test_server_value(&f.my, "shop", shop_digest);

	loading_init(&l, &f.s, &k, "shop");
	shop_run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop_restore_0a1b2c");
	shop_check(&f, "shop_restore_0a1b2c");
	CHECK_VALUE(&f.my, "shop_restore_0a1b2c", shop_digest, before);
	shop_no_note(&f, "is not made as it was recorded");
	shop_has_note(&f, "a point in time after it needs a new backup");
	loading_release(&l);

	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 70;
	shop_run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	shop_check(&f, "shop");
	loading_release(&l);

	const struct load_name other = {"shop", "\"Other `\"\"db'\""};
	loading_init(&l, &f.s, &k, "shop");
	l.q.rename = &other;
	l.q.renames = 1;
	shop_run_ok(&l);
	shop_check(&f, "Other `\"db'");
	loading_release(&l);
	loading_init(&l, &f.s, &k, "shop");
	l.q.into_database = "shop";
	shop_refused(&l, "is there and not empty");
	kept_release(&k);
	shop_stop(&f);
}

TEST("MySQL: a server that forbids LOAD DATA LOCAL gets the same rows by INSERT")
{
	struct shop f;
	struct kept k;
	struct loading l;

	shop_make(&f, (const char *const[]){"local_infile=0", "max_allowed_packet=32768", NULL});
	kept_dump(&f.s, "shop", &k);
	CLEANUP(cstr_release) char *before = my_test_server_value(&f.my, "shop", shop_digest);
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 600;
	shop_run_ok(&l);
	shop_check(&f, "shop_restore_0a1b2c");
	CHECK_VALUE(&f.my, "shop_restore_0a1b2c", shop_digest, before);
	shop_has_note(&f, "rows went in by INSERT");
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}

TEST("MySQL: a restore that broke goes on without loading a row twice or losing one")
{
	struct shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	shop_make(&f, NULL);
	kept_dump(&f.s, "shop", &k);
	my_test_server_sql(&f.my, NULL, "DROP DATABASE shop");
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 100;
	shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, &(struct load_break){.units = 27}, &err), err, ST_FAILED, "broken here");
	l.resumed = true;
	/* The journal of the core may know less than the target: the mark there decides. */
	strlist_release(&l.done);
	shop_plan_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	CHECK_ERR(loading_run(&l, &(struct load_break){.before_end = true}, &err), err, ST_FAILED, "broken here");
	my_test_server_sql(&f.my, "shop", "DELETE FROM drtool_restore_0a1b2c WHERE item = 'orders' AND part = 200");
	shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_FAILED, "900 rows were committed in the target, the backup has 1000");
	my_test_server_sql(&f.my, "shop", "INSERT INTO drtool_restore_0a1b2c VALUES (1, 'orders', 0, 200, 100)");
	/* As an end that broke leaves it. */
	my_test_server_sql(&f.my, "shop", "ALTER TABLE orders ADD UNIQUE KEY un (customer, id)");
	my_test_server_sql(&f.my, "shop", "CREATE VIEW z_view AS SELECT customer AS id, sum(amount) AS total FROM orders GROUP BY customer");
	shop_run_ok(&l);
	shop_check(&f, "shop");
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}

TEST("MySQL: a single table comes with what belongs to it, beside, as rows only, or in the place of the one there")
{
	struct shop f;
	struct kept k;
	struct loading l;

	shop_make(&f, NULL);
	kept_dump(&f.s, "shop", &k);

	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	shop_refused(&l, "the table orders is there in shop");

	/* Beside the one that is there. */
	const struct load_name beside = {"shop.orders", "\"orders old\""};
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.rename = &beside;
	l.q.renames = 1;
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT concat_ws(' ', count(*), sum(amount)) FROM `orders old`", "1000 500500.00");
	loading_release(&l);
	my_test_server_sql(&f.my, "shop", "DROP TABLE `orders old`");

	/* Rows only. */
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.data_only = true;
	shop_refused(&l, "has triggers that would act on each row");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "customers");
	l.q.data_only = true;
	shop_refused(&l, "holds rows already");
	my_test_server_sql(&f.my, "shop", "UPDATE customers SET name = 'changed' WHERE id = 7");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "shop.customers");
	l.q.data_only = l.q.clean = true;
	shop_plan_ok(&l);
	CHECK_STR(l.plan.dropped.item[0], "rows of customers in shop");
	CHECK_HAS(l.plan.confirm, "shop@");
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT concat(count(*), sum(name = 'changed')) FROM customers", "1010");
	loading_release(&l);

	/* In its place. */
	my_test_server_sql(&f.my, "shop", "UPDATE orders SET note = 'changed'");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.clean = true;
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, "shop", "SELECT concat(count(*), max(note)) FROM orders", "1000note 999");
	shop_check(&f, "shop");
	loading_release(&l);

	/* Absent: with its foreign key where the parent is there. */
	my_test_server_sql(&f.my, "shop", "DROP TABLE orders");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	shop_run_ok(&l);
	shop_check(&f, "shop");
	loading_release(&l);

	/* Renamed where its name is free: the trigger goes with it. Into a database that is not there: without the foreign key. */
	const struct load_name both[] = {{"shop", "single"}, {"orders", "o2"}};
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.rename = both;
	l.q.renames = 2;
	shop_plan_ok(&l);
	CHECK_HAS(l.plan.warnings.item[0], "the table that it refers to is not there");
	shop_run_ok(&l);
	CHECK_VALUE(&f.my, "single", "SELECT concat(count(*), max(note)) FROM o2", "1000note 999");
	CHECK_VALUE(&f.my, "single", "SELECT count(*) FROM information_schema.triggers WHERE event_object_schema = 'single' AND"
				     " event_object_table = 'o2'", "2");
	loading_release(&l);
	kept_release(&k);
	shop_stop(&f);
}
