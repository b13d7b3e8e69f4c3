/* What a load promises of the log of a backup whose documents are of no one moment: archives of the server of the tests and of the scripted one, with
 * logs that are written here. */
#include "tests/conformance/mongodb_log.h"
#include "tests/conformance/mongodb_two.h"
#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

/* ---- a log ---- */

static struct kept_object *the_log(struct kept *k) { return &k->object[k->objects - 1]; }

/* ---- what is there ---- */

/* The document as Extended JSON; "" where there is none. Owned by the caller. */
static char *found(struct mo_shop *f, const char *database, const char *collection, const char *id)
{
	CLEANUP(cstr_release) char *command = xasprintf("{\"find\": \"%s\", \"filter\": {\"_id\": %s}}", collection, id);
	bson_t reply;

	mo_test_server_command(&f->mo, database, command, &reply);
	char *json = bson_as_relaxed_extended_json(&reply, NULL), *from = strstr(json, "Batch\" : [");
	char *text = xstrdup(from ? from : json);
	text[strcspn(text, "]")] = 0;
	bson_free(json);
	bson_destroy(&reply);
	char *begin = strchr(text, '{'), *only = xstrdup(begin ? begin : "");
	free(text);
	return only;
}

static void check_found(int line, struct mo_shop *f, const char *collection, const char *id, const char *part)
{
	CLEANUP(cstr_release) char *is = found(f, "shop", collection, id);

	if (*part ? !strstr(is, part) : *is)
		test_fail(__FILE__, line, "%s of %s is %s, expected %s", id, collection, is, *part ? part : "none");
}
#define CHECK_FOUND(f, collection, id, part) check_found(__LINE__, f, collection, id, part)

/* ---- documents, on the server of the tests ---- */

static void empty(struct mo_shop *f) { mo_test_server_command(&f->mo, "shop", "{\"dropDatabase\": 1}", NULL); }

#define WRITES                                                                                                                                  \
	"'op': 'n', 'ns': '', 'o': {'msg': 'begin'}", INSERT("shop.orders", "{'_id': 5000, 'n': 1}"), INSERT("shop.orders", "{'_id': 1, 'n': 'new'}"), \
		UPDATE("shop.orders", "2", "{'$v': 2, 'diff': {'u': {'customer': 77}, 'i': {'more': [1, 2]}}}"),                                 \
		UPDATE("shop.orders", "2", "{'$v': 2, 'diff': {'smore': {'a': true, 'u1': 9}}}"),                                                \
		UPDATE("shop.orders", "3", "{'$v': 1, '$set': {'note': 'set'}, '$unset': {'customer': true}}"),                                  \
		UPDATE("shop.orders", "4", "{'_id': 4, 'whole': true}"), DELETE("shop.orders", "5"), DELETE("shop.orders", "99999"),               \
		UPDATE("shop.orders", "99998", "{'$v': 2, 'diff': {'u': {'x': 1}}}"), INSERT("shop.orders", "{'_id': 6000}"), DELETE("shop.orders", "6000"), \
		INSERT("shop.customers", "{'_id': {'$oid': '65539d6a0000000000000009'}, 'mail': 'x@y'}"), DELETE("shop.customers", "{'a': 1}"),      \
		INSERT("other.orders", "{'_id': 7000}"), COMMAND("{'create': 'made'}"), INSERT("shop.made", "{'_id': 1}")

static void check_written(struct mo_shop *f, const char *suffix)
{
	CLEANUP(cstr_release) char *orders = xasprintf("orders%s", suffix), *customers = xasprintf("customers%s", suffix), *made = xasprintf("made%s", suffix);

	CHECK_INT(mo_shop_count(f, "shop", orders), 1000);
	CHECK_FOUND(f, orders, "5000", "\"n\" : 1");
	CHECK_FOUND(f, orders, "1", "\"n\" : \"new\"");
	CHECK_FOUND(f, orders, "2", "\"customer\" : 77");
	CHECK_FOUND(f, orders, "2", "\"more\" : [ 1, 9");
	CHECK_FOUND(f, orders, "3", "\"note\" : \"set\"");
	CHECK_FOUND(f, orders, "4", "\"whole\" : true");
	CHECK_FOUND(f, orders, "5", "");
	CHECK_FOUND(f, orders, "99998", "");
	CHECK_INT(mo_shop_count(f, "shop", customers), 3);
	CHECK_INT(mo_shop_count(f, "shop", made), 1);
	CLEANUP(cstr_release) char *unique = mo_shop_index(f, "shop", customers, "m"), *other = mo_shop_index(f, "shop", orders, "c");
	CHECK_HAS(unique, "\"unique\" : true");
	CHECK(*other);
}

TEST("MongoDB replay: documents are as they were at the end of the log, and unique indexes come behind it")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	ADD_LOG(&k, WRITES);
	empty(&f);
	loading_init(&l, &f.s, &k, "shop");
	mo_shop_run_ok(&l);
	check_written(&f, "");
	CHECK(!mo_shop_has(&f, "shop", "drtool_run_" RUN) && !mo_shop_has(&f, "other", "orders"));
	mo_shop_note(&f, "replayed up to 100:17: 17 entries, 15 changes");
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB replay: what is loaded beside gets the log beside, and what is there keeps its documents")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	ADD_LOG(&k, WRITES);
	loading_init(&l, &f.s, &k, "shop");
	mo_shop_run_ok(&l);
	check_written(&f, BESIDE);
	CHECK_FOUND(&f, "orders", "5", "\"_id\" : 5");
	CHECK_FOUND(&f, "orders", "5000", "");
	CHECK(!mo_shop_has(&f, "shop", "made"));
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

TEST("MongoDB replay: of one collection under another name only its own entries are replayed")
{
	struct mo_shop f;
	struct kept k;
	struct loading l;
	const struct load_name beside = {"shop.orders", "shop.orders.old"};

	mo_shop_make(&f);
	kept_dump(&f.s, "shop", &k);
	ADD_LOG(&k, WRITES);
	loading_init(&l, &f.s, &k, "shop");
	strlist_add(&l.tables, "orders");
	l.q.rename = &beside;
	l.q.renames = 1;
	mo_shop_run_ok(&l);
	CHECK_INT(mo_shop_count(&f, "shop", "orders.old"), 1000);
	CHECK_FOUND(&f, "orders.old", "5000", "\"n\" : 1");
	CHECK_FOUND(&f, "orders", "5000", "");
	CHECK(!mo_shop_has(&f, "shop", "made"));
	loading_release(&l);
	kept_release(&k);
	mo_shop_stop(&f);
}

/* ---- commands, transactions and accidents, on the scripted server ---- */

#define DATA                                                                                                                                    \
	"\"data\": {\"shop\": {\"orders\": {\"documents\": [{\"_id\": 1, \"n\": 1}, {\"_id\": 2, \"n\": 2}],"                                      \
	" \"indexes\": [{\"v\": 2, \"key\": {\"n\": 1}, \"name\": \"n\"}]},"                                                                     \
	"\"old\": {\"documents\": [{\"_id\": 1}]}, \"a_view\": {\"options\": {\"viewOn\": \"orders\", \"pipeline\": []}}}}"

static const char source[] = "{\"settings\": {\"set_name\": \"rs0\"}, " DATA "}";

TEST("MongoDB replay: collections, indexes and views are made, changed, renamed and dropped as the log says")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, COMMAND("{'create': 'tmp', 'idIndex': {'v': 2, 'key': {'_id': 1}, 'name': '_id_'}}"), INSERT("shop.tmp", "{'_id': 1, 'w': 'x'}"),
		COMMAND("{'createIndexes': 'tmp', 'v': 2, 'key': {'w': 1}, 'name': 'w', 'unique': true}"),
		COMMAND("{'renameCollection': 'shop.tmp', 'to': 'shop.old', 'stayTemp': false, 'dropTarget': true}"), INSERT("shop.old", "{'_id': 2, 'w': 'y'}"),
		COMMAND("{'collMod': 'orders', 'validator': {'n': {'$gt': 0}}}"), COMMAND("{'dropIndexes': 'orders', 'index': 'n'}"),
		"'op': 'd', 'ns': 'shop.system.views', 'o': {'_id': 'shop.a_view'}",
		"'op': 'i', 'ns': 'shop.system.views', 'o': {'_id': 'shop.new_view', 'viewOn': 'old', 'pipeline': []}", COMMAND("{'create': 'gone'}"),
		INSERT("shop.gone", "{'_id': 1}"), COMMAND("{'drop': 'gone'}"), COMMAND("{'create': 'cap', 'capped': true, 'size': 4096, 'max': 3}"));
	mo_shop_run_ok(&t.l);
	CHECK_INT(mo_shop_count(&t.to, "shop", "old"), 2);
	CHECK(!mo_shop_has(&t.to, "shop", "tmp") && !mo_shop_has(&t.to, "shop", "gone") && !mo_shop_has(&t.to, "shop", "a_view"));
	mo_two_listed(&t, "new_view", "\"viewOn\" : \"old\"");
	mo_two_listed(&t, "orders", "\"validator\" : { \"n\" : { \"$gt\" : 0 } }");
	mo_two_listed(&t, "cap", "\"capped\" : true");
	CLEANUP(cstr_release) char *n = mo_shop_index(&t.to, "shop", "orders", "n"), *w = mo_shop_index(&t.to, "shop", "old", "w");
	CHECK_STR(n, "");
	CHECK_HAS(w, "\"unique\" : true");
	mo_two_stop(&t);
}

#define TXN(number, more, ops) "'op': 'c', 'ns': 'admin.$cmd', 'lsid': {'id': 1}, 'txnNumber': {'$numberLong': '" #number "'}, 'prevOpTime': {'ts': {'$timestamp': {'t': 0, 'i': 0}}, 't': {'$numberLong': '-1'}}, 'o': {'applyOps': [" ops "]" more "}"
#define END(number, i, command) "'op': 'c', 'ns': 'admin.$cmd', 'lsid': {'id': 1}, 'txnNumber': {'$numberLong': '" #number "'}, 'prevOpTime': {'ts': {'$timestamp': {'t': 100, 'i': " #i "}}, 't': {'$numberLong': '1'}}, 'o': {" command "}"

TEST("MongoDB replay: transactions are done when they are committed, and not at all without")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, TXN(1, "", "{'op': 'i', 'ns': 'shop.orders', 'o': {'_id': 10}}, {'op': 'd', 'ns': 'shop.orders', 'o': {'_id': 1}}"),
		TXN(2, ", 'prepare': true", "{'op': 'i', 'ns': 'shop.orders', 'o': {'_id': 20}}"),
		TXN(3, ", 'prepare': true", "{'op': 'i', 'ns': 'shop.orders', 'o': {'_id': 30}}"), TXN(4, ", 'partialTxn': true", "{'op': 'i', 'ns': 'shop.orders', 'o': {'_id': 40}}"),
		END(2, 2, "'commitTransaction': 1, 'commitTimestamp': {'$timestamp': {'t': 100, 'i': 2}}"), END(3, 3, "'abortTransaction': 1"));
	mo_shop_run_ok(&t.l);
	CHECK_FOUND(&t.to, "orders", "10", "10");
	CHECK_FOUND(&t.to, "orders", "1", "");
	CHECK_FOUND(&t.to, "orders", "20", "20");
	CHECK_FOUND(&t.to, "orders", "30", "");
	CHECK_FOUND(&t.to, "orders", "40", "");
	mo_shop_note(&t.to, "1 transactions were open at the end of the log");
	mo_two_stop(&t);
}

static const char *const swap[] = {
	INSERT("shop.orders", "{'_id': 3}"), COMMAND("{'create': 'tmp'}"), INSERT("shop.tmp", "{'_id': 1}"), INSERT("shop.tmp", "{'_id': 2}"),
	COMMAND("{'renameCollection': 'shop.tmp', 'to': 'shop.old', 'dropTarget': true}"), INSERT("shop.old", "{'_id': 3}"), DELETE("shop.orders", "1"),
};

/* The link breaks at the nth command of a kind, which is done or not; the replay goes on from there. */
static void break_and_resume(const char *fault)
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	mo_log_add(&t.k, swap, ARRAY_LEN(swap));
	mo_shop_plan_ok(&t.l);
	mo_test_script_faults(&t.to.mo, fault);
	CHECK(loading_run(&t.l, NULL, &err) == ST_UNREACHABLE);
	error_release(&err);
	mo_two_resume_log(&t);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders"), 2);
	CHECK_INT(mo_shop_count(&t.to, "shop", "old"), 3);
	CHECK(!mo_shop_has(&t.to, "shop", "tmp") && !mo_shop_has(&t.to, "shop", "drtool_run_" RUN));
	mo_two_stop(&t);
}

TEST("MongoDB replay that is cut off at a rename goes on from there, whether it was done or not")
{
	break_and_resume("[{\"command\": \"renameCollection\", \"n\": 1, \"times\": 1, \"close\": true}]");
	break_and_resume("[{\"command\": \"renameCollection\", \"n\": 1, \"times\": 1, \"close\": true, \"run\": {\"renameCollection\": \"shop.tmp\", \"to\": \"shop.old\","
			 " \"dropTarget\": true, \"$db\": \"admin\"}}]");
}

TEST("MongoDB replay that is cut off while it makes a collection goes on from there, whether it was made or not")
{
	break_and_resume("[{\"command\": \"create\", \"n\": 4, \"times\": 1, \"close\": true}]");
	break_and_resume("[{\"command\": \"create\", \"n\": 4, \"times\": 1, \"close\": true, \"run\": {\"create\": \"tmp\", \"$db\": \"shop\"}}]");
}

TEST("MongoDB replay that is cut off between its documents goes on from there")
{
	break_and_resume("[{\"command\": \"update\", \"ns\": \"shop.tmp\", \"n\": 1, \"times\": 1, \"close\": true}]");
	break_and_resume("[{\"command\": \"update\", \"ns\": \"shop.old\", \"n\": 1, \"times\": 1, \"close\": true}]");
	break_and_resume("[{\"command\": \"delete\", \"ns\": \"shop.orders\", \"n\": 1, \"times\": 1, \"close\": true}]");
}

static void check_fails(struct mo_two *t, enum status code, const char *part)
{
	struct error err = ERROR_INIT;

	mo_shop_plan_ok(&t->l);
	CHECK_ERR(loading_run(&t->l, NULL, &err), err, code, part);
}

TEST("MongoDB replay: a document that the server does not take is named with its entry")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 3}"), INSERT("shop.orders", "{'_id': 'four'}"));
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"update\", \"ns\": \"shop.orders\", \"n\": 1, \"reply\": {\"ok\": 1, \"n\": 1, \"nModified\": 0,"
					" \"writeErrors\": [{\"index\": 1, \"code\": 121, \"errmsg\": \"no room for it\"}]}}]");
	check_fails(&t, ST_SERVER, "oplog entry 100:2 (shop.orders): the document with _id \"four\": the server does not take it into shop.orders: no room for it");
	mo_two_stop(&t);
}

TEST("MongoDB replay: an operation that no replay can do ends it, named with its entry")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 3}"), COMMAND("{'importCollection': 'shop.x'}"));
	check_fails(&t, ST_UNSUPPORTED, "oplog entry 100:2 (shop.$cmd): importCollection cannot be replayed");
	mo_two_stop(&t);
}

TEST("MongoDB replay: a log that lacks its beginning, its end or its order is refused as bad")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 3}"), INSERT("shop.orders", "{'_id': 4}"));
	js_set_str(the_log(&t.k)->facts, "from", "99:1");
	check_fails(&t, ST_BAD, "lacks its beginning: it is from 99:1, its first entry is of 100:1");
	CHECK_FOUND(&t.to, "orders", "3", "");
	mo_two_stop(&t);

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 3}"), INSERT("shop.orders", "{'_id': 4}"));
	js_set_str(the_log(&t.k)->facts, "to", "100:3");
	check_fails(&t, ST_BAD, "lacks its end: it is until 100:3, its last entry is of 100:2");
	mo_two_stop(&t);

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 3}"), INSERT("shop.orders", "{'_id': 4}"), "'ts': 1, 'op': 'n', 'ns': '', 'o': {}");
	check_fails(&t, ST_BAD, "ts is there twice");
	mo_two_stop(&t);
}

TEST("MongoDB replay: a transaction that began before the log is refused as bad")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 3}"), END(9, 0, "'commitTransaction': 1, 'commitTimestamp': {'$timestamp': {'t': 99, 'i': 2}}"));
	check_fails(&t, ST_BAD, "oplog entry 100:2");
	mo_two_stop(&t);
}

TEST("MongoDB replay: empty timestamps stay empty, before version 8.0 and since")
{
	static const char *const servers[] = {"{\"settings\": {\"version\": \"7.0.14\"}}", "{\"settings\": {\"version\": \"8.0.4\", \"wire\": 25}}"};

	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		struct mo_two t;

		mo_two_start(&t, source, servers[i]);
		ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 1, 'at': {'$timestamp': {'t': 0, 'i': 0}}}"), INSERT("shop.orders", "{'_id': 9, 'at': {'$timestamp': {'t': 0, 'i': 0}}}"));
		mo_shop_run_ok(&t.l);
		CHECK_FOUND(&t.to, "orders", "1", "\"t\" : 0, \"i\" : 0");
		CHECK_FOUND(&t.to, "orders", "9", "\"t\" : 0, \"i\" : 0");
		mo_two_stop(&t);
	}
}

TEST("MongoDB replay: documents alone are refused, and a salvage goes without the log and says so")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	ADD_LOG(&t.k, INSERT("shop.orders", "{'_id': 3}"));
	t.l.q.salvage = true;
	mo_shop_plan_ok(&t.l);
	CHECK(mo_shop_says(&t.l.plan.warnings, "the log of the backup is not replayed") && !plan_has_log(&t.l.plan));
	t.l.q.salvage = false;
	mo_shop_plan_ok(&t.l);
	CHECK(mo_shop_says(&t.l.plan.steps, "replay the log of the backup, 1 entries up to 100:1"));
	t.l.q.data_only = true;
	mo_two_refused(&t, "--data-only: the documents of this backup are of one moment only when its log is replayed");
	mo_two_stop(&t);
}

TEST("MongoDB replay: the time of what the log makes beside is recorded and waits: that of an index is parked, a collection has none")
{
	struct mo_two t;

	mo_two_start(&t, source, "{" DATA "}");
	ADD_LOG(&t.k, COMMAND("{'create': 'made', 'clusteredIndex': {'v': 2, 'key': {'_id': 1}, 'name': '_id_', 'unique': true}, 'expireAfterSeconds': {'$numberLong': '60'}}"),
		COMMAND("{'createIndexes': 'orders', 'v': 2, 'key': {'at': 1}, 'name': 'at', 'expireAfterSeconds': 90}"),
		COMMAND("{'renameCollection': 'shop.made', 'to': 'shop.kept'}"));
	mo_shop_run_ok(&t.l);
	CLEANUP(cstr_release) char *kept = mo_shop_listed(&t.to, "shop", "kept" BESIDE), *at = mo_shop_index(&t.to, "shop", "orders" BESIDE, "at");
	CHECK(*kept && !strstr(kept, "expireAfterSeconds"));
	CHECK_HAS(at, "1500000000");
	CHECK_FOUND(&t.to, "drtool_run_" RUN, "\"ttl:kept:\"", "60");
	CHECK_FOUND(&t.to, "drtool_run_" RUN, "\"ttl:orders:at\"", "90");
	mo_two_stop(&t);
}
