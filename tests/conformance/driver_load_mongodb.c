/* Loads and exchanges against a real server. */
#include "tests/conformance/mongodb_shop.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

TEST("MongoDB: a database is restored beside, under its own name, and where it is told to")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	CHECK_INT(k.objects, 3);

	loading_init(&l, &f.s, &k, "shop");
	mo_shop_run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop.*" BESIDE);
	CHECK(l.plan.scope[0].beside && l.plan.scope[0].create);
	mo_shop_check(&f, &k, "shop", BESIDE);
	mo_shop_check(&f, &k, "shop", "");
	loading_release(&l);

	mo_test_server_command(&f.mo, "shop", "{\"dropDatabase\": 1}", NULL);
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 70;
	mo_shop_run_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	mo_shop_check(&f, &k, "shop", "");
	CHECK(!mo_shop_has(&f, "shop", "drtool_run_" RUN));
	CLEANUP(cstr_release) char *unique = mo_shop_index(&f, "shop", "customers", "m");
	CHECK_HAS(unique, "\"unique\" : true");
	CHECK_HAS(unique, "partialFilterExpression");
	loading_release(&l);

	const struct load_name other = {"shop", "Other-db"};
	loading_init(&l, &f.s, &k, "shop");
	l.q.rename = &other;
	l.q.renames = 1;
	mo_shop_run_ok(&l);
	mo_shop_check(&f, &k, "Other-db", "");
	loading_release(&l);
	loading_init(&l, &f.s, &k, "shop");
	l.q.into_database = "shop";
	mo_shop_refused(&l, "is there and not empty");
	loading_init(&l, &f.s, &k, "shop");
	l.q.into_database = "config";
	mo_shop_refused(&l, "the server's own database");
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB: a restore that broke goes on without loading a document twice or losing one")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	mo_test_server_command(&f.mo, "shop", "{\"dropDatabase\": 1}", NULL);
	loading_init(&l, &f.s, &k, "shop");
	l.rows_per_unit = 100;
	mo_shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, &(struct load_break){.units = 7}, &err), err, ST_FAILED, "broken here");
	l.resumed = true;
	/* The journal of the core may know less than the target, and a unit may be there in part. */
	strlist_release(&l.done);
	mo_test_server_command(&f.mo, "shop", "{\"delete\": \"drtool_run_" RUN "\", \"deletes\": [{\"q\": {\"_id\": \"unit:orders:0:200\"}, \"limit\": 1}]}", NULL);
	mo_test_server_command(&f.mo, "shop", "{\"delete\": \"orders\", \"deletes\": [{\"q\": {\"_id\": {\"$gte\": 250, \"$lt\": 300}}, \"limit\": 0}]}", NULL);
	mo_shop_plan_ok(&l);
	CHECK_STR(l.plan.scope[0].target, "shop");
	CHECK_ERR(loading_run(&l, &(struct load_break){.before_end = true}, &err), err, ST_FAILED, "broken here");
	mo_test_server_command(&f.mo, "shop", "{\"delete\": \"drtool_run_" RUN "\", \"deletes\": [{\"q\": {\"_id\": \"unit:orders:0:200\"}, \"limit\": 1}]}", NULL);
	mo_shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_FAILED, "900 documents were put into the target, the backup has 1000");
	strlist_release(&l.done);
	mo_shop_run_ok(&l);
	mo_shop_check(&f, &k, "shop", "");
	CHECK(!mo_shop_has(&f, "shop", "drtool_run_" RUN));
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB: a single collection comes with what belongs to it, beside, as documents only, or in the place of the one there")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);

	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	mo_shop_refused(&l, "the collection orders is there in shop");
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "no such");
	CHECK_ERR(loading_plan(&l, &err), err, ST_NOT_FOUND, "has no such collection");
	loading_release(&l);

	/* Beside the one that is there. */
	const struct load_name beside = {"shop.orders", "shop.orders.old"};
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.rename = &beside;
	l.q.renames = 1;
	mo_shop_run_ok(&l);
	CHECK_INT(mo_shop_count(&f, "shop", "orders.old"), 1000);
	CHECK(!mo_shop_has(&f, "shop", "customers.old") && !mo_shop_has(&f, "shop", "drtool_run_" RUN));
	CLEANUP(cstr_release) char *ttl = mo_shop_index(&f, "shop", "orders.old", "ttl");
	CHECK_HAS(ttl, "2000000000");
	loading_release(&l);

	/* Documents only. */
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "shop.orders");
	l.q.data_only = true;
	mo_shop_refused(&l, "holds documents already");
	mo_test_server_command(&f.mo, "shop", "{\"delete\": \"orders\", \"deletes\": [{\"q\": {}, \"limit\": 0}]}", NULL);
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "shop.orders");
	l.q.data_only = true;
	mo_shop_run_ok(&l);
	mo_shop_check(&f, &k, "shop", "");
	loading_release(&l);

	/* In its place. */
	mo_test_server_command(&f.mo, "shop", "{\"delete\": \"orders\", \"deletes\": [{\"q\": {\"_id\": 7}, \"limit\": 0}]}", NULL);
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.clean = true;
	mo_shop_plan_ok(&l);
	CHECK_STR(l.plan.dropped.item[0], "orders in shop");
	CHECK_HAS(l.plan.confirm, "shop@");
	mo_shop_run_ok(&l);
	mo_shop_check(&f, &k, "shop", "");
	loading_release(&l);

	/* All but one, elsewhere. */
	const struct load_name both[] = {{"shop", "single"}, {"customers", "people"}};
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.exclude, "orders");
	l.q.rename = both;
	l.q.renames = 2;
	l.q.rename = both;
	mo_shop_run_ok(&l);
	CHECK_INT(mo_shop_count(&f, "single", "people"), 3);
	CHECK(mo_shop_has(&f, "single", "empty") && !mo_shop_has(&f, "single", "orders") && !mo_shop_has(&f, "single", "customers"));
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB: --clean drops what is in the database, but no copies of other runs")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	mo_test_server_insert(&f.mo, "shop", "later", "{\"_id\": 1}");
	mo_test_server_insert(&f.mo, "shop", "drtool_run_abcdef", "{\"_id\": \"run\", \"scope\": \"shop\", \"place\": \"shop.*_restore_abcdef\"}");
	mo_test_server_insert(&f.mo, "shop", "orders_before_abcdef", "{\"_id\": 1}");
	loading_init(&l, &f.s, &k, "shop");
	l.q.clean = true;
	mo_shop_plan_ok(&l);
	CHECK_STR(l.plan.dropped.item[0], "all collections and views of the database shop");
	mo_shop_run_ok(&l);
	mo_shop_check(&f, &k, "shop", "");
	CHECK(!mo_shop_has(&f, "shop", "later"));
	CHECK_INT(mo_shop_count(&f, "shop", "orders_before_abcdef"), 1);
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB: a document that the server does not take is named by its _id and fails the restore")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	mo_test_server_command(&f.mo, "shop", "{\"drop\": \"orders\"}", NULL);
	mo_test_server_command(&f.mo, "shop", "{\"createIndexes\": \"orders\", \"indexes\": [{\"key\": {\"customer\": 1}, \"name\": \"c\", \"unique\": true}]}", NULL);
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.data_only = true;
	mo_shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_SERVER, "loading orders: the server does not take the document with _id { \"$numberInt\" : \"100\" } into shop.orders");
	/* It is no better the second time: that it is there already is no excuse. */
	l.resumed = true;
	strlist_release(&l.done);
	mo_shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, NULL, &err), err, ST_SERVER, "the server does not take the document with _id { \"$numberInt\" : \"100\" }");
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB: documents of all types and sizes up to 16 MB come back byte for byte")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	CLEANUP(buf_release) struct buf big = BUF_INIT;

	mo_shop_start(&f);
	mo_test_server_insert(&f.mo, "odd", "types",
			      "{\"_id\": 1, \"d\": {\"$numberDecimal\": \"NaN\"}, \"n\": {\"$numberDouble\": \"NaN\"}, \"z\": {\"$numberDouble\": \"-0.0\"}},"
			      "{\"_id\": {\"$minKey\": 1}, \"l\": {\"$numberLong\": \"9223372036854775807\"}},"
			      "{\"_id\": {\"$numberLong\": \"2\"}, \"ts\": {\"$timestamp\": {\"t\": 0, \"i\": 0}}},"
			      "{\"_id\": null, \"b\": {\"$binary\": {\"base64\": \"AAECAw==\", \"subType\": \"80\"}}, \"r\": {\"$regularExpression\": {\"pattern\": \"^a\", \"options\": \"i\"}}},"
			      "{\"_id\": \"\\u0000x\", \"deep\": {\"a\": [[[{\"b\": {}}]]]}, \"$x\": 1, \"a.b\": {\"$y.z\": 2}, \"\": 3}");
	buf_puts(&big, "{\"_id\": 1, \"x\": \"");
	for (int i = 0; i < (16 << 20) - 200; i++)
		buf_putc(&big, 'y');
	buf_puts(&big, "\"}");
	mo_test_server_insert(&f.mo, "odd", "big", buf_str(&big));
	kept_dump(&f.s, "odd", &k);
	loading_init(&l, &f.s, &k, "odd");
	mo_shop_run_ok(&l);
	mo_shop_check(&f, &k, "odd", BESIDE);
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB: TTL waits in a copy, in what is set aside and in a server for tests, acts under its own name with a word about it, and comes back with the exchange")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;

	mo_shop_make(&f);
	mo_test_server_command(&f.mo, "shop", "{\"createIndexes\": \"customers\", \"indexes\": [{\"key\": {\"gone\": 1}, \"name\": \"g\", \"expireAfterSeconds\": 60}]}", NULL);
	mo_test_server_insert(&f.mo, "shop", "customers", "{\"_id\": 5, \"gone\": {\"$date\": \"2100-01-01T00:00:00Z\"}}");
	kept_dump(&f.s, "shop", &k);
	loading_init(&l, &f.s, &k, "shop");
	mo_shop_run_ok(&l);
	CHECK(!mo_shop_says(&l.plan.warnings, "TTL"));
	CLEANUP(cstr_release) char *parked = mo_shop_index(&f, "shop", "customers" BESIDE, "g");
	CHECK_HAS(parked, "\"expireAfterSeconds\" : 1500000000");
	CHECK_OK(mo_shop_exchange(&f, EXCHANGE_PUT, &err), err);
	CLEANUP(cstr_release) char *live = mo_shop_index(&f, "shop", "customers", "g");
	CHECK_HAS(live, "\"expireAfterSeconds\" : 60");
	CLEANUP(cstr_release) char *aside = mo_shop_index(&f, "shop", "customers" ASIDE, "g");
	CHECK_HAS(aside, "\"expireAfterSeconds\" : 1500000000");
	CHECK_OK(mo_shop_exchange(&f, EXCHANGE_BACK, &err), err);
	CLEANUP(cstr_release) char *again = mo_shop_index(&f, "shop", "customers" BESIDE, "g");
	CHECK_HAS(again, "\"expireAfterSeconds\" : 1500000000");
	CLEANUP(cstr_release) char *old = mo_shop_index(&f, "shop", "customers", "g");
	CHECK_HAS(old, "\"expireAfterSeconds\" : 60");
	loading_release(&l);

	const struct load_name other = {"shop", "t1"};
	loading_init(&l, &f.s, &k, "shop");
	l.q.rename = &other;
	l.q.renames = 1;
	l.q.scratch = true;
	l.q.run = "0a1b2d";
	mo_shop_run_ok(&l);
	CLEANUP(cstr_release) char *scratch = mo_shop_index(&f, "t1", "customers", "g");
	CHECK_HAS(scratch, "\"expireAfterSeconds\" : 1500000000");
	loading_release(&l);
	struct exchange_pair thrown = {.name = xstrdup("t1"), .loaded = xstrdup("t1"), .aside = xstrdup("")};
	struct exchange_request drop = {.action = EXCHANGE_DROP, .pair = &thrown, .pairs = 1, .run = "0a1b2d"};
	CHECK_OK(driver_mongodb.exchange(&run, &f.s.e, &drop, &err), err);
	CHECK(!mo_shop_has(&f, "t1", "customers") && !mo_shop_has(&f, "t1", "drtool_run_0a1b2d"));

	/* Its documents are past their time: the server may have taken some of them by now. */
	mo_test_server_command(&f.mo, "shop", "{\"dropDatabase\": 1}", NULL);
	loading_init(&l, &f.s, &k, "shop");
	mo_shop_run_ok(&l);
	CHECK(mo_shop_says(&l.plan.warnings, "TTL acts as soon as everything is loaded: the server deletes what is past its time in customers"));
	CLEANUP(cstr_release) char *own = mo_shop_index(&f, "shop", "customers", "g");
	CHECK_HAS(own, "\"expireAfterSeconds\" : 60");
	loading_release(&l);
	kept_release(&k);
	free(thrown.name), free(thrown.loaded), free(thrown.aside);
	mo_shop_stop(&f);
}

/* ---- exchanges ---- */

static void look(struct mo_shop *f, struct exchange_request *q)
{
	struct error err = ERROR_INIT;

	*q = (struct exchange_request){.action = EXCHANGE_LOOK, .run = RUN};
	CHECK_OK(driver_mongodb.exchange(&run, &f->s.e, q, &err), err);
}

static void request_free(struct exchange_request *q)
{
	for (size_t i = 0; i < q->pairs; i++) {
		free(q->pair[i].name);
		free(q->pair[i].loaded);
		free(q->pair[i].aside);
	}
	free(q->pair);
}

TEST("MongoDB: an exchange puts the restored collections in place, goes back and drops")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	struct exchange_request q;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	mo_test_server_command(&f.mo, "shop", "{\"drop\": \"empty\"}", NULL);
	mo_test_server_command(&f.mo, "shop", "{\"delete\": \"orders\", \"deletes\": [{\"q\": {}, \"limit\": 0}]}", NULL);
	mo_test_server_insert(&f.mo, "shop", "later", "{\"_id\": 1}");
	loading_init(&l, &f.s, &k, "shop");
	l.q.in_place = true;
	mo_shop_run_ok(&l);
	CHECK_STR(l.plan.scope[0].replaces, "shop");
	CHECK_STR(l.plan.scope[0].aside, "shop.*" ASIDE);
	loading_release(&l);

	look(&f, &q);
	CHECK_INT(q.pairs, 1);
	CHECK_STR(q.pair[0].name, "shop");
	CHECK_STR(q.pair[0].loaded, "shop.*" BESIDE);
	CHECK(q.pair[0].name_exists && q.pair[0].loaded_exists && !q.pair[0].aside_exists);
	q.action = EXCHANGE_PUT;
	CHECK_OK(driver_mongodb.exchange(&run, &f.s.e, &q, &err), err);
	CHECK(q.pair[0].name_exists && !q.pair[0].loaded_exists && q.pair[0].aside_exists);
	mo_shop_check(&f, &k, "shop", "");
	CHECK_INT(mo_shop_count(&f, "shop", "orders" ASIDE), 0);
	/* What the backup does not have is set aside, too. */
	CHECK(!mo_shop_has(&f, "shop", "later") && mo_shop_has(&f, "shop", "later" ASIDE));
	CHECK_OK(driver_mongodb.exchange(&run, &f.s.e, &q, &err), err);
	mo_test_server_insert(&f.mo, "shop", "since", "{\"_id\": 1}");
	q.action = EXCHANGE_BACK;
	CHECK_OK(driver_mongodb.exchange(&run, &f.s.e, &q, &err), err);
	CHECK_INT(mo_shop_count(&f, "shop", "orders"), 0);
	CHECK(mo_shop_has(&f, "shop", "later") && !mo_shop_has(&f, "shop", "empty") && !mo_shop_has(&f, "shop", "since"));
	CHECK(mo_shop_has(&f, "shop", "since" BESIDE));
	mo_shop_check(&f, &k, "shop", BESIDE);
	CHECK(q.pair[0].loaded_exists && !q.pair[0].aside_exists);
	q.action = EXCHANGE_PUT;
	CHECK_OK(driver_mongodb.exchange(&run, &f.s.e, &q, &err), err);
	mo_shop_check(&f, &k, "shop", "");
	q.action = EXCHANGE_DROP;
	CHECK_OK(driver_mongodb.exchange(&run, &f.s.e, &q, &err), err);
	CHECK(!q.pair[0].aside_exists && !mo_shop_has(&f, "shop", "later" ASIDE) && !mo_shop_has(&f, "shop", "drtool_run_" RUN));
	mo_shop_check(&f, &k, "shop", "");
	request_free(&q);
	look(&f, &q);
	CHECK_INT(q.pairs, 0);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB: a copy that is not complete is not put in place")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	struct error err = ERROR_INIT;
	struct exchange_request q;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	loading_init(&l, &f.s, &k, "shop");
	l.q.in_place = true;
	mo_shop_plan_ok(&l);
	CHECK_ERR(loading_run(&l, &(struct load_break){.units = 1}, &err), err, ST_FAILED, "broken here");
	look(&f, &q);
	q.action = EXCHANGE_PUT;
	CHECK_ERR(driver_mongodb.exchange(&run, &f.s.e, &q, &err), err, ST_REFUSED, "is not restored completely");
	l.resumed = true;
	strlist_release(&l.done);
	mo_shop_run_ok(&l);
	CHECK_STR(l.plan.scope[0].aside, "shop.*" ASIDE);
	CHECK_OK(driver_mongodb.exchange(&run, &f.s.e, &q, &err), err);
	mo_shop_check(&f, &k, "shop", "");
	request_free(&q);
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}
