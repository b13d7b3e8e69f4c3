/* What a dump promises where no real server of the tests can show it: one moment of a replica set, views, time series, errors of the
 * server. Against the scripted server, which answers as MongoDB's manual says. */
#include <stdatomic.h>

#include "tests/conformance/mongodb_script.h"
#include "tests/conformance/mongodb_steps.h"
#include "tests/lib/test.h"
#include "util/fs.h"
#include "util/thread.h"

static struct run run = RUN_INIT;

#define ORDERS "{\"documents\": [{\"_id\": 1}, {\"_id\": 2}, {\"_id\": 3}]}"
#define SHOP "\"data\": {\"shop\": {\"orders\": " ORDERS "}}"
#define SET(more) "\"settings\": {\"set_name\": \"rs0\"" more "}"

/* ---- one moment ---- */

TEST("MongoDB dump of a set: every cursor of all databases reads at one time, which is the position, and later writes are not in it")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"orders\": " ORDERS "}, \"stock\": {\"items\": " ORDERS "}}}");
	mo_steps_start(&t, &s, "");
	CHECK_INT(t.info.scopes.len, 2);
	mo_test_server_insert(&s, "shop", "orders", "{\"_id\": 4}");
	mo_test_server_insert(&s, "stock", "items", "{\"_id\": 4}");
	CHECK_OK(mo_steps_read(&t, NULL, &err), err);
	CHECK_INT(mo_steps_object(&t, "orders")->count, 3);
	CHECK_OK(mo_steps_end(&t, &err), err);
	CHECK(t.scope.position != NULL);
	CLEANUP(cstr_release) char *at = xasprintf("\"atClusterTime\" : { \"$timestamp\" : { \"t\" : %.*s, \"i\" : %s } }", (int)strcspn(t.scope.position, ":"),
						   t.scope.position, strchr(t.scope.position, ':') + 1);
	CHECK_INT(mo_test_script_asked(&s, "find", at), 2); /* the one that tried it, and that of the documents */
	CHECK_INT(mo_test_script_asked(&s, "find", "atClusterTime"), 3); /* and one of a time to come */
	CHECK_INT(t.scope.snapshot.us / 1000000, strtoll(t.scope.position, NULL, 10));
	CHECK(mo_test_server_noted(&s, "all collections are of one moment"));
	CHECK(!mo_steps_has(&t.info.not_contained, "one moment"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

static void check_waits(const char *role)
{
	CLEANUP(cstr_release) char *script = xasprintf("{" SET(", \"role\": \"%s\"") ", " SHOP "}", role);
	CLEANUP(cstr_release) char *url = NULL;
	struct mo_test_server s;
	static struct mo_steps t;

	/* The first answer about the time is of long ago. */
	mo_test_script_start(&s, script);
	s.e.url = url = xasprintf("mongodb://127.0.0.1:%u/?readPreference=secondaryPreferred", s.port);
	mo_test_script_faults(&s, "[{\"command\": \"hello\", \"n\": 3, \"reply\": {\"ok\": 1, \"operationTime\": {\"$timestamp\": {\"t\": 1000000000, \"i\": 2}},"
				  " \"lastWrite\": {\"majorityOpTime\": {\"ts\": {\"$timestamp\": {\"t\": 1000000000, \"i\": 1}}}}}}]");
	mo_steps_all(&t, &s, "shop");
	CHECK_STR(t.info.role, role);
	CHECK(t.scope.position && strncmp(t.scope.position, "1000000000:", 11) != 0);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump of a set: the moment waits until a majority has what was there when the collections were listed, on a secondary, too")
{
	check_waits("primary");
	check_waits("secondary");
}

TEST("MongoDB dump of a set: a collection that was changed just now keeps nobody from one moment")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", " SHOP ", \"faults\": [{\"command\": \"find\", \"ns\": \"shop.orders\", \"error\": 246, \"times\": 2}]}");
	mo_steps_all(&t, &s, "shop");
	CHECK(t.scope.position != NULL);
	CHECK_INT(mo_steps_object(&t, "orders")->count, 3);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

static void check_no_moment(const char *script, const char *why)
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, script);
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(mo_steps_object(&t, "orders")->count, 3);
	CHECK(!t.scope.position);
	CHECK(mo_test_server_noted(&s, why));
	CHECK(mo_steps_has(&t.info.not_contained, "one moment"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump of a set that refuses to read at one moment goes on without, and says why")
{
	check_no_moment("{" SET(", \"snapshot\": 246") ", " SHOP "}", "the server refused to read at one moment");
}

TEST("MongoDB dump of a server that takes the time of a read and gives what is there now is of no one moment, and says why")
{
	check_no_moment("{" SET(", \"snapshot\": \"ignored\"") ", " SHOP "}", "the server does not keep to the time that it is asked for");
	check_no_moment("{\"settings\": {\"role\": \"mongos\", \"snapshot\": \"ignored\"}, " SHOP "}", "the server does not keep to the time that it is asked for");
}

TEST("MongoDB dump of a server that takes the time of a read and gives what is there now has the oplog where there is one")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET(", \"snapshot\": \"ignored\", \"oplog\": 1000") ", " SHOP "}");
	mo_steps_all(&t, &s, "shop");
	CHECK(t.info.has_log);
	CHECK(!t.scope.position);
	CHECK(!mo_steps_has(&t.info.not_contained, "one moment"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump without one moment: documents that a shard still has after they were moved are not read twice")
{
	check_no_moment("{\"settings\": {\"role\": \"mongos\", \"version\": \"4.4.29\", \"wire\": 9, \"orphans\": true}, " SHOP "}", "version 4.4.29");
}

TEST("MongoDB dump of a set before 5.0 goes on without one moment, and says why")
{
	check_no_moment("{" SET(", \"version\": \"4.4.29\", \"wire\": 9") ", " SHOP "}", "version 4.4.29 cannot read at one moment");
}

TEST("MongoDB dump of a set that does not tell its time goes on without one moment, and says why")
{
	check_no_moment("{" SET(", \"hello\": {\"lastWrite\": null}") ", " SHOP "}", "does not tell the time of its last write");
}

TEST("MongoDB dump of a set whose majority does not confirm its writes goes on without one moment, and says why")
{
	check_no_moment("{" SET(", \"majority\": {\"$timestamp\": {\"t\": 1000000000, \"i\": 1}}") ", " SHOP "}", "a majority of the replica set did not confirm");
}

TEST("MongoDB dump of a server without a set: the way to one moment is said")
{
	check_no_moment("{" SHOP "}", "run the server as a replica set of one member");
}

TEST("MongoDB dump through mongos: the time comes from its answers, the identity from the cluster")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{\"settings\": {\"role\": \"mongos\"}, \"data\": {\"shop\": {\"orders\": " ORDERS "},"
				  " \"config\": {\"version\": {\"documents\": [{\"_id\": 1, \"clusterId\": {\"$oid\": \"65a1b2c3d4e5f60718293a4b\"}}]}}}}");
	mo_steps_all(&t, &s, "");
	CHECK_INT(t.info.scopes.len, 1);
	CHECK_STR(t.info.identity, "cluster-65a1b2c3d4e5f60718293a4b");
	CHECK_STR(t.info.role, "primary");
	CHECK(t.scope.position != NULL);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump through several mongos behind one name: one that has not heard of the dump's moment yet is told of it")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, "{\"settings\": {\"role\": \"mongos\"}, \"data\": {\"shop\": {\"orders\": " ORDERS "}}}");
	CHECK_OK(mo_steps_open(&t, &s, "shop", &err), err);
	mo_test_server_command(&s, "admin", "{\"script\": 1, \"settings\": {\"behind\": {\"$timestamp\": {\"t\": 1, \"i\": 1}}}}", NULL);
	CHECK_OK(mo_steps_begin(&t, &err), err);
	CHECK_OK(mo_steps_read(&t, NULL, &err), err);
	CHECK_INT(mo_steps_object(&t, "orders")->count, 3);
	CHECK(t.scope.position != NULL);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

/* ---- errors of cursors ---- */

static void check_lost(const char *fault, enum status code, const char *text, const char *hint)
{
	CLEANUP(cstr_release) char *script = xasprintf("{" SET("") ", \"stream\": {\"shop.orders\": {\"mb\": 4, \"document\": 2000}}, \"faults\": [%s]}", fault);
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, script);
	mo_steps_start(&t, &s, "shop");
	CHECK_INT(mo_steps_read(&t, NULL, &err), code);
	CHECK_HAS(error_text(&err), text);
	if (hint)
		CHECK_HAS(err.hint, hint);
	error_release(&err);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: a snapshot that is too old is an error that names the window to set")
{
	check_lost("{\"command\": \"getMore\", \"n\": 2, \"error\": 239}", ST_SERVER, "collection shop.orders", "minSnapshotHistoryWindowInSeconds");
}

TEST("MongoDB dump: a cursor that the server gave up is an error that says so")
{
	check_lost("{\"command\": \"getMore\", \"n\": 2, \"kill_cursor\": true}", ST_SERVER, "collection shop.orders", "gave the cursor up");
}

TEST("MongoDB dump: a collection that is dropped under its cursor is an error that names it")
{
	check_lost("{\"command\": \"getMore\", \"error\": 175}", ST_SERVER, "collection shop.orders", "dropped, renamed");
}

TEST("MongoDB dump: a link that is cut in a batch is an error that names the collection")
{
	check_lost("{\"command\": \"getMore\", \"cut\": true}", ST_UNREACHABLE, "collection shop.orders", NULL);
}

/* Whoever interrupts a worker from another thread. */
struct interrupting {
	struct mo_test_server *s;
	void *worker;
};

static void interrupt_later(void *arg)
{
	struct interrupting *i = arg;
	struct error err = ERROR_INIT;

	while (!mo_test_script_asked(i->s, "find", "noCursorTimeout\" : true, \"readConcern") && !run_sleep(&run, DURATION_MS(20), &err))
		;
	mo_interrupt_worker(i->worker);
}

TEST("MongoDB dump: an interrupted worker ends at once, also while the server is silent")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct thread thread = THREAD_INIT;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, "{" SET("") ", \"stream\": {\"shop.orders\": {\"mb\": 4, \"document\": 2000}}, \"faults\": [{\"command\": \"getMore\", \"delay\": 600}]}");
	mo_steps_start(&t, &s, "shop");
	struct interrupting i = {&s, t.worker};
	CHECK_OK(thread_start(&thread, "interrupt", interrupt_later, &i, &err), err);
	CHECK_INT(mo_steps_read(&t, NULL, &err), ST_CANCELLED);
	thread_join(&thread);
	error_release(&err);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

struct closing {
	struct mo_steps *t;
	atomic_bool closed;
};

static void close_dump(void *arg)
{
	struct closing *c = arg;

	mo_dump_close(c->t->dump);
	c->t->dump = NULL;
	atomic_store(&c->closed, true);
}

/* How often somebody has said goodbye, asked over a session that stays. */
static size_t goodbyes(struct mo_conn *c)
{
	static const char name[] = "\"endSessions\"";
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply;
	struct error err = ERROR_INIT;
	size_t n = 0;

	BSON_APPEND_INT32(&command, "script", 1);
	CHECK_OK(mo_conn_command(&run, c, "admin", &command, &reply, &err), err);
	char *json = bson_as_relaxed_extended_json(&reply, NULL);
	for (const char *at = json; (at = strstr(at, name)); at += strlen(name))
		n++;
	bson_free(json);
	return n;
}

TEST("MongoDB dump: an interrupt does not wait for a dump that is closing while the server is silent")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct closing closing = {&t, false};
	struct thread thread = THREAD_INIT;
	struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;

	mo_test_script_start(&s, "{" SET("") ", " SHOP "}");
	CHECK_OK(mo_steps_open(&t, &s, "shop", &err), err);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
	/* The first goodbye is that of the session that says so. */
	mo_test_script_faults(&s, "[{\"command\": \"endSessions\", \"n\": 2, \"delay\": 600}]");
	CHECK_OK(thread_start(&thread, "close", close_dump, &closing, &err), err);
	while (goodbyes(c) < 2)
		CHECK_OK(run_sleep(&run, DURATION_MS(10), &err), err);
	mo_interrupt_dump(t.dump);
	(void)goodbyes(c);
	CHECK(!atomic_load(&closing.closed));
	thread_join(&thread);
	mo_conn_freep(&c);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

/* ---- what there is ---- */

TEST("MongoDB dump: a view has its metadata and a line of the inventory, and no documents")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"orders\": " ORDERS ", \"big\": {\"options\": {\"viewOn\": \"orders\","
				  " \"pipeline\": [{\"$match\": {\"_id\": {\"$gt\": {\"$numberInt\": \"1\"}}}}]}}}}}");
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(t.objects, 1);
	CHECK_HAS(mo_steps_file(&t, "big.metadata.json"), "\"type\":\"view\"");
	CHECK_HAS(mo_steps_file(&t, "collections.jsonl"), "\"viewOn\":\"orders\"");
	CHECK_HAS(buf_str(&t.items), "view big = { \"viewOn\" : \"orders\"");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: a view that is defined anew meanwhile ends the dump with its name")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"orders\": " ORDERS ", \"big\": {\"options\": {\"viewOn\": \"orders\", \"pipeline\": []}}}}}");
	mo_steps_start(&t, &s, "shop");
	mo_test_server_command(&s, "shop", "{\"drop\": \"big\"}", NULL);
	mo_test_server_command(&s, "shop", "{\"create\": \"big\", \"viewOn\": \"orders\", \"pipeline\": [{\"$match\": {\"_id\": 1}}]}", NULL);
	CHECK_ERR(mo_steps_end(&t, &err), err, ST_SERVER, "collection shop.big (a view) was defined anew");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

static void check_capped(const char *version, bool at_moment)
{
	CLEANUP(cstr_release) char *script = xasprintf("{" SET(", \"version\": \"%s\"") ", \"data\": {\"shop\": {\"orders\": " ORDERS ", \"log\": {\"options\": {\"capped\": true,"
						       " \"size\": 4096}, \"documents\": [{\"_id\": 1}]}}}}", version);
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, script);
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(mo_test_script_asked(&s, "find", "atClusterTime"), at_moment ? 5 : 4); /* the two that tried it, the capped one tried, orders, log */
	CHECK(mo_steps_has(&t.info.not_contained, "log: capped collections") == !at_moment);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: capped collections are read at the moment where the server can, else later, which is said")
{
	check_capped("7.0.14", false);
	check_capped("8.0.1", true);
}

TEST("MongoDB dump: a time series is read as its buckets, under its own name")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"weather\": {\"options\": {\"timeseries\": {\"timeField\": \"at\"}}, \"documents\": [{\"_id\": 7,"
				  " \"control\": {}}]}}}}");
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(t.objects, 1);
	CHECK_INT(mo_steps_object(&t, "weather")->count, 1);
	CHECK_STR(js_opt_str(mo_steps_object(&t, "weather")->facts, "type", ""), "timeseries");
	CHECK(mo_test_script_asked(&s, "find", "system.buckets.weather") > 0);
	CHECK_HAS(mo_steps_file(&t, "weather.metadata.json"), "\"type\":\"timeseries\"");
	CHECK_HAS(buf_str(&t.items), "time series weather = ");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: collections of the server itself are not read, and those that matter are named")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"orders\": " ORDERS ", \"system.js\": {\"documents\": [{\"_id\": \"f\"}]}, \"system.profile\": " ORDERS "},"
				  " \"local\": {\"startup_log\": " ORDERS "}, \"config\": {\"x\": " ORDERS "}, \"admin\": {\"system.version\": " ORDERS "}}}");
	mo_steps_all(&t, &s, "");
	CHECK_INT(t.info.scopes.len, 1);
	CHECK_STR(t.info.scopes.item[0], "shop");
	CHECK_INT(t.info.uncovered.len, 0);
	CHECK_INT(t.objects, 2);
	CHECK_INT(mo_steps_object(&t, "system.js")->count, 1);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: a collection without an index of _id is read in one go, however large")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", \"stream\": {\"shop.orders\": {\"mb\": 1, \"document\": 2000}}, \"faults\": [{\"command\": \"listIndexes\", \"times\": null,"
				  " \"reply\": {\"ok\": 1, \"cursor\": {\"id\": {\"$numberLong\": \"0\"}, \"ns\": \"shop.orders\", \"firstBatch\": []}}}]}");
	s.params.split_above = 10000;
	mo_steps_start(&t, &s, "shop");
	CHECK_INT(mo_steps_object(&t, "orders")->units, 1);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: a server that gives more _id than were asked for is read in one go, and that is said")
{
	struct mo_test_server s;
	static struct mo_steps t;
	CLEANUP(buf_release) struct buf faults = BUF_INIT;

	/* The second aggregate is that of the sample: 240 of 31457 documents. */
	mo_test_script_start(&s, "{" SET("") ", \"stream\": {\"shop.orders\": {\"mb\": 3, \"document\": 100}}}");
	buf_puts(&faults, "[{\"command\": \"aggregate\", \"n\": 2, \"reply\": {\"ok\": 1, \"cursor\": {\"id\": {\"$numberLong\": \"0\"}, \"ns\": \"shop.orders\", \"firstBatch\": [");
	for (int i = 0; i < 1000; i++)
		buf_printf(&faults, "%s{\"_id\": %d}", i ? ", " : "", i * 31);
	buf_puts(&faults, "]}}}]");
	mo_test_script_faults(&s, buf_str(&faults));
	s.params.split_above = 1 << 20;
	mo_steps_start(&t, &s, "shop");
	CHECK_INT(mo_steps_object(&t, "orders")->units, 1);
	CHECK(mo_test_server_noted(&s, "collection shop.orders is read in one go"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: of long _id a part is enough to divide a collection evenly")
{
	struct mo_test_server s;
	static struct mo_steps t;
	CLEANUP(buf_release) struct buf script = BUF_INIT;
	enum { DOCUMENTS = 6000, LENGTH = 3000 };

	buf_puts(&script, "{" SET("") ", \"data\": {\"shop\": {\"orders\": {\"documents\": [");
	for (int i = 0; i < DOCUMENTS; i++)
		buf_printf(&script, "%s{\"_id\": \"%0*d\"}", i ? ", " : "", LENGTH, i);
	buf_puts(&script, "]}}}}");
	CLEANUP(cstr_release) char *file = xasprintf("%s/long_ids.json", test_dir());
	struct error err = ERROR_INIT;
	CHECK_OK(fs_write_file(file, 0600, script.data, script.len, &err), err);
	mo_test_script_start(&s, file);
	s.params.split_above = 4 << 20;
	mo_steps_all(&t, &s, "shop");
	const struct mo_kept_object *o = mo_steps_object(&t, "orders");
	CHECK_INT(o->count, DOCUMENTS);
	CHECK_INT(o->units, 10); /* 9 of 2 MiB, and what is no string */
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

/* ---- collections that come and go ---- */

#define TEMPORARY "\"tmp.agg_out.1\": {\"options\": {\"temp\": true}}"
#define KEPT_NAME "{\"renameCollection\": \"shop.tmp.agg_out.1\", \"to\": \"shop.report\"}"

TEST("MongoDB dump at one moment: what is made meanwhile and what is temporary is not in it, and disturbs nobody")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"orders\": " ORDERS ", " TEMPORARY "}}}");
	mo_steps_start(&t, &s, "shop");
	mo_test_server_insert(&s, "shop", "of_today", "{\"_id\": 1}");
	mo_test_server_command(&s, "admin", KEPT_NAME, NULL);
	CHECK_OK(mo_steps_read(&t, NULL, &err), err);
	CHECK_OK(mo_steps_inventory(&t, &err), err);
	CHECK_OK(mo_steps_end(&t, &err), err);
	CHECK_INT(t.objects, 1);
	CHECK_HAS(buf_str(&t.items), "collection orders = ");
	CHECK(!strstr(buf_str(&t.items), "of_today") && !strstr(buf_str(&t.items), "report"));
	CHECK(!strstr(mo_steps_file(&t, "collections.jsonl"), "tmp.agg_out.1"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump at one moment: a collection made or renamed while the moment is taken is in it")
{
	static const char *const run_meanwhile[] = {"{\"create\": \"report\", \"$db\": \"shop\"}",
						    "{\"renameCollection\": \"shop.tmp.agg_out.1\", \"to\": \"shop.report\", \"$db\": \"admin\"}"};

	for (size_t i = 0; i < ARRAY_LEN(run_meanwhile); i++) {
		CLEANUP(cstr_release) char *script = xasprintf("{" SET("") ", \"data\": {\"shop\": {\"orders\": " ORDERS ", " TEMPORARY "}}, \"faults\": [{\"command\": \"find\","
							       " \"ns\": \"shop.orders\", \"run\": %s}]}", run_meanwhile[i]);
		struct mo_test_server s;
		static struct mo_steps t;

		mo_test_script_start(&s, script);
		mo_steps_all(&t, &s, "shop");
		CHECK_INT(t.objects, 2);
		CHECK_INT(mo_steps_object(&t, "report")->count, 0);
		CHECK(t.scope.position != NULL);
		mo_steps_release(&t);
		mo_test_server_stop(&s);
	}
}

TEST("MongoDB dump at one moment: the collection that was to be tried may be dropped meanwhile")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"first\": " ORDERS ", \"orders\": " ORDERS "}}, \"faults\": [{\"command\": \"find\","
				  " \"ns\": \"shop.first\", \"run\": {\"drop\": \"first\", \"$db\": \"shop\"}}]}");
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(t.objects, 1);
	CHECK_INT(mo_steps_object(&t, "orders")->count, 3);
	CHECK(t.scope.position != NULL);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump at one moment: collections that never stand still while it is taken end the dump with a name")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf faults = BUF_INIT;

	mo_test_script_start(&s, "{" SET("") ", " SHOP "}");
	/* The moment is tried twice each time, the second time with one to come. */
	for (int i = 1; i <= 20; i++)
		buf_printf(&faults, "%s{\"command\": \"find\", \"n\": %d, \"ns\": \"shop.orders\", \"run\": {\"create\": \"zone%d\", \"$db\": \"shop\"}}", i > 1 ? ", " : "[", i, i);
	buf_puts(&faults, "]");
	mo_test_script_faults(&s, buf_str(&faults));
	CHECK_INT(mo_steps_open(&t, &s, "shop", &err), ST_SERVER);
	CHECK_HAS(error_text(&err), "collection shop.zone");
	CHECK(err.retry);
	error_release(&err);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

static void check_ends(const char *settings, const char *database, const char *command, const char *said)
{
	CLEANUP(cstr_release) char *script = xasprintf("{\"settings\": {%s}, \"data\": {\"shop\": {\"orders\": " ORDERS ", " TEMPORARY "}}}", settings);
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, script);
	mo_steps_start(&t, &s, "shop");
	mo_test_server_command(&s, database, command, NULL);
	mo_steps_ended(&t, said);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

#define A_SET "\"set_name\": \"rs0\""
#define ONTO_ORDERS "{\"renameCollection\": \"shop.tmp.agg_out.1\", \"to\": \"shop.orders\", \"dropTarget\": true}"

TEST("MongoDB dump at one moment: a collection of the moment that is dropped, renamed or replaced before its end ends the dump with its name")
{
	check_ends(A_SET, "shop", "{\"drop\": \"orders\"}", "collection shop.orders was dropped or renamed while");
	check_ends(A_SET, "admin", "{\"renameCollection\": \"shop.orders\", \"to\": \"shop.away\"}", "collection shop.orders was dropped or renamed while");
	check_ends(A_SET, "admin", ONTO_ORDERS, "shop.orders");
}

TEST("MongoDB dump at one moment through mongos: a collection made meanwhile ends the dump, as it may be of the moment")
{
	check_ends("\"role\": \"mongos\"", "shop", "{\"create\": \"late\"}", "collection shop.late was made");
}

TEST("MongoDB dump without one moment: a temporary collection that gets a lasting name ends the dump with it")
{
	check_ends(A_SET ", \"snapshot\": 246", "admin", KEPT_NAME, "collection shop.report was made");
}

TEST("MongoDB dump at one moment: a collection that has its name again at the end, but had another when it was read, is not dumped as empty")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, "{" SET("") ", " SHOP "}");
	mo_steps_start(&t, &s, "shop");
	mo_test_server_command(&s, "admin", "{\"renameCollection\": \"shop.orders\", \"to\": \"shop.away\"}", NULL);
	CHECK_ERR(mo_steps_read(&t, NULL, &err), err, ST_SERVER, "collection shop.orders was dropped or renamed while");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}
