/* What a load promises of the time (expireAfterSeconds) of whole collections: against the scripted server, which refuses what MongoDB refuses. */
#include "tests/conformance/mongodb_log.h"
#include "tests/conformance/mongodb_steps.h"
#include "tests/conformance/mongodb_two.h"
#include "tests/lib/test.h"

#define FLAT                                                                                                                                     \
	"\"flat\": {\"documents\": [{\"_id\": {\"$date\": \"2001-01-01T00:00:00Z\"}}, {\"_id\": {\"$date\": \"2101-01-01T00:00:00Z\"}}],"          \
	" \"indexes\": [{\"v\": 2, \"key\": {\"at\": 1}, \"name\": \"ttl\", \"expireAfterSeconds\": 90}], \"options\": {\"clusteredIndex\": {\"v\": 2," \
	" \"key\": {\"_id\": 1}, \"name\": \"by\", \"unique\": true}, \"expireAfterSeconds\": {\"$numberLong\": \"3600\"}}}"
#define SERIES                                                                                                                          \
	"\"ts\": {\"documents\": [{\"_id\": 1, \"control\": {}}], \"options\": {\"timeseries\": {\"timeField\": \"t\", \"granularity\": \"minutes\"}," \
	" \"expireAfterSeconds\": {\"$numberLong\": \"2592000\"}}}"

static const char both[] = "{\"settings\": {\"set_name\": \"rs0\"}, \"data\": {\"shop\": {" FLAT ", " SERIES ", \"plain\": {\"documents\": [{\"_id\": 1}]}}}}";
static const char flat[] = "{\"data\": {\"shop\": {" FLAT "}}}";

/* seconds "": it has none. */
static void check_time(int line, struct mo_shop *f, const char *collection, const char *seconds)
{
	CLEANUP(cstr_release) char *is = mo_shop_listed(f, "shop", collection), *want = xasprintf("\"expireAfterSeconds\" : %s", seconds);

	if (!*is || (*seconds ? !strstr(is, want) : strstr(is, "expireAfterSeconds") != NULL))
		test_fail(__FILE__, line, "%s is %s, its time should be %s", collection, is, *seconds ? seconds : "none");
}
#define CHECK_TIME(f, collection, seconds) check_time(__LINE__, f, collection, seconds)

static void check_index(struct mo_shop *f, const char *collection, const char *seconds)
{
	CLEANUP(cstr_release) char *is = mo_shop_index(f, "shop", collection, "ttl");

	CHECK_HAS(is, seconds);
}

TEST("MongoDB TTL: time series and clustered collections get their time under their own name when all is loaded, and not before")
{
	struct mo_two t;

	mo_two_start(&t, both, A_SERVER_OF_A_SET);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"count\", \"ns\": \"shop.ts\", \"reply\": {\"n\": 7, \"ok\": 1.0}}]");
	mo_shop_run_ok(&t.l);
	CHECK(mo_shop_says(&t.l.plan.warnings, "TTL acts as soon as everything is loaded: the server deletes what is past its time in flat, ts; "));
	CHECK_INT(mo_test_script_asked(&t.to.mo, "create", "expireAfterSeconds"), 0);
	CHECK_TIME(&t.to, "flat", "3600");
	CHECK_TIME(&t.to, "ts", "2592000");
	check_index(&t.to, "flat", "\"expireAfterSeconds\" : 90");
	mo_shop_note(&t.to, "shop.flat: 1 documents are past the time of the collection itself, so that the server deletes them now");
	mo_shop_note(&t.to, "shop.ts: 7 documents are past the time of the collection itself, so that the server deletes them now");
	CHECK(!mo_shop_has(&t.to, "shop", "drtool_run_" RUN));
	mo_two_stop(&t);
}

TEST("MongoDB TTL: what a restore that was cut off has made has no time yet, and a resumed one sets it, whether it was set or not")
{
	static const char *const faults[] = {
		"[{\"command\": \"createIndexes\", \"n\": 1, \"times\": 1, \"close\": true}]",
		"[{\"command\": \"collMod\", \"n\": 2, \"times\": 1, \"close\": true}]",
		"[{\"command\": \"collMod\", \"n\": 2, \"times\": 1, \"cut\": true}]",
	};

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct mo_two t;
		struct error err = ERROR_INIT;

		mo_two_start(&t, both, A_SERVER_OF_A_SET);
		mo_shop_plan_ok(&t.l);
		mo_test_script_faults(&t.to.mo, faults[i]);
		CHECK(loading_run(&t.l, NULL, &err) == ST_UNREACHABLE);
		error_release(&err);
		CHECK_TIME(&t.to, "flat", i ? "3600" : "");
		CHECK_TIME(&t.to, "ts", i == 2 ? "2592000" : "");
		mo_two_resume(&t);
		CHECK_TIME(&t.to, "flat", "3600");
		CHECK_TIME(&t.to, "ts", "2592000");
		mo_two_stop(&t);
	}
}

TEST("MongoDB TTL: a server that takes the time of a collection and forgets it ends the restore")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, both, A_SERVER_OF_A_SET);
	mo_shop_plan_ok(&t.l);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"collMod\", \"ns\": \"shop.ts\", \"reply\": {\"ok\": 1.0}}]");
	CHECK_ERR(loading_run(&t.l, NULL, &err), err, ST_UNSUPPORTED, "the server did not set expireAfterSeconds of ts to 2592000, and said nothing");
	mo_two_stop(&t);
}

TEST("MongoDB TTL: a restore of documents only into collections that have a time is warned of, and of those alone")
{
	struct mo_two t;

	mo_two_start(&t, flat, flat);
	mo_test_server_command(&t.to.mo, "shop", "{\"delete\": \"flat\", \"deletes\": [{\"q\": {}, \"limit\": 0}]}", NULL);
	t.l.q.data_only = true;
	mo_shop_plan_ok(&t.l);
	CHECK(mo_shop_says(&t.l.plan.warnings, "TTL acts while documents are loaded: the server deletes what is past its time in flat; "));
	mo_test_server_command(&t.to.mo, "shop", "{\"collMod\": \"flat\", \"expireAfterSeconds\": \"off\"}", NULL);
	mo_shop_plan_ok(&t.l);
	CHECK(mo_shop_says(&t.l.plan.warnings, "TTL acts while documents are loaded: the server deletes what is past its time in flat; "));
	mo_test_server_command(&t.to.mo, "shop", "{\"dropIndexes\": \"flat\", \"index\": \"ttl\"}", NULL);
	mo_shop_plan_ok(&t.l);
	CHECK(!mo_shop_says(&t.l.plan.warnings, "TTL"));
	mo_two_stop(&t);
}

TEST("MongoDB TTL: a restore under its own name that has to set the time of a collection needs the right to")
{
	struct mo_two t;

	mo_two_start(&t, flat,
		  "{\"settings\": {\"account\": {\"authenticatedUsers\": [{\"user\": \"u\", \"db\": \"admin\"}], \"authenticatedUserPrivileges\": [{\"resource\":"
		  " {\"db\": \"shop\", \"collection\": \"\"}, \"actions\": [\"find\", \"insert\", \"update\", \"remove\", \"listCollections\", \"createCollection\","
		  " \"dropCollection\", \"createIndex\", \"listIndexes\"]}]}}}");
	mo_two_refused(&t, "this account may not do on the database shop: collMod");
	mo_two_stop(&t);
}

TEST("MongoDB TTL: a server for tests gets collections without their time, and the inventory shows it as recorded")
{
	struct mo_two t;
	static struct mo_steps now, then;

	mo_two_start(&t, both, A_SERVER_OF_A_SET);
	t.l.q.scratch = true;
	mo_shop_run_ok(&t.l);
	CHECK(!mo_shop_says(&t.l.plan.warnings, "TTL"));
	CHECK_TIME(&t.to, "flat", "");
	CHECK_TIME(&t.to, "ts", "");
	check_index(&t.to, "flat", "\"expireAfterSeconds\" : 1500000000");
	mo_steps_all(&then, &t.from.mo, "shop");
	mo_steps_all(&now, &t.to.mo, "shop");
	CHECK_HAS(buf_str(&then.items), "collection flat = {\"clusteredIndex\":{\"key\":{\"_id\":1},\"name\":\"by\",\"unique\":true},\"expireAfterSeconds\":3600}");
	/* In whatever order the server lists them. */
	CHECK_INT(now.items.len, then.items.len);
	for (char *rest = then.items.data, *line; (line = strsep(&rest, "\n")) != NULL;)
		CHECK_HAS(buf_str(&now.items), line);
	mo_steps_release(&now);
	mo_steps_release(&then);
	mo_two_stop(&t);
}

TEST("MongoDB TTL: a clustered collection has no time while it is beside or aside, and its own in its place, exchanged there and back")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, flat, flat);
	mo_test_server_command(&t.to.mo, "shop", "{\"collMod\": \"flat\", \"expireAfterSeconds\": 7200}", NULL);
	mo_shop_run_ok(&t.l);
	CHECK(!mo_shop_says(&t.l.plan.warnings, "TTL"));
	CHECK_TIME(&t.to, "flat" BESIDE, "");
	check_index(&t.to, "flat" BESIDE, "\"expireAfterSeconds\" : 1500000000");
	for (int i = 0; i < 2; i++) {
		CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err);
		CHECK_TIME(&t.to, "flat", "3600");
		CHECK_TIME(&t.to, "flat" ASIDE, "");
		check_index(&t.to, "flat" ASIDE, "\"expireAfterSeconds\" : 1500000000");
		CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_BACK, &err), err);
		CHECK_TIME(&t.to, "flat", "7200");
		CHECK_TIME(&t.to, "flat" BESIDE, "");
		check_index(&t.to, "flat", "\"expireAfterSeconds\" : 90");
	}
	CHECK(!mo_test_server_noted(&t.to.mo, "could not be set"));
	mo_two_stop(&t);
}

TEST("MongoDB TTL: a time that was changed between two attempts at an exchange is the one that comes back")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, flat, flat);
	mo_test_server_command(&t.to.mo, "shop", "{\"collMod\": \"flat\", \"index\": {\"name\": \"ttl\", \"expireAfterSeconds\": 1500000000}}", NULL);
	mo_shop_run_ok(&t.l);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"renameCollection\", \"n\": 1, \"times\": 1, \"close\": true}]");
	CHECK(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err) == ST_UNREACHABLE);
	error_release(&err);
	mo_test_server_command(&t.to.mo, "shop", "{\"collMod\": \"flat\", \"index\": {\"name\": \"ttl\", \"expireAfterSeconds\": 60}}", NULL);
	CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err);
	check_index(&t.to, "flat" ASIDE, "\"expireAfterSeconds\" : 1500000000");
	CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_BACK, &err), err);
	check_index(&t.to, "flat", "\"expireAfterSeconds\" : 60");
	mo_two_stop(&t);
}

/* ---- a log ---- */

#define CLUSTERED "'clusteredIndex': {'v': 2, 'key': {'_id': 1}, 'name': '_id_', 'unique': true}"
#define TIMED(name) "\"" name "\": {\"documents\": [{\"_id\": 1}], \"options\": {\"clusteredIndex\": {\"v\": 2, \"key\": {\"_id\": 1}, \"name\": \"_id_\"," \
		    " \"unique\": true}, \"expireAfterSeconds\": {\"$numberLong\": \"60\"}}}"

static const char timed[] = "{\"data\": {\"shop\": {" TIMED("off") ", " TIMED("off:too") ", " TIMED("dropped") ", " TIMED("over") ", " TIMED("later") ", " TIMED("moved") "}}}";
static const char *const times[] = {
	COMMAND("{'collMod': 'off', 'expireAfterSeconds': 'off'}"), COMMAND("{'drop': 'dropped'}"), COMMAND("{'create': 'dropped', " CLUSTERED "}"),
	COMMAND("{'create': 'bare', " CLUSTERED "}"), COMMAND("{'renameCollection': 'shop.bare', 'to': 'shop.over', 'dropTarget': true}"),
	COMMAND("{'collMod': 'later', 'expireAfterSeconds': {'$numberLong': '77'}}"), COMMAND("{'renameCollection': 'shop.moved', 'to': 'shop.there'}"),
	COMMAND("{'create': 'moved', " CLUSTERED "}"), INSERT("shop.moved", "{'_id': 5}"),
};

static void check_times(struct mo_shop *f)
{
	CHECK_TIME(f, "off", "");
	CHECK_TIME(f, "off:too", "60");
	CHECK_TIME(f, "dropped", "");
	CHECK_TIME(f, "over", "");
	CHECK_TIME(f, "later", "77");
	CHECK_TIME(f, "there", "60");
	CHECK_TIME(f, "moved", "");
}

static void two_timed(struct mo_two *t, const char *to)
{
	mo_two_from(t, timed);
	mo_log_add(&t->k, times, ARRAY_LEN(times));
	mo_two_to(t, to);
}

TEST("MongoDB TTL: collections have the times that the log left them, set behind it, and those that it switched off stay off")
{
	struct mo_two t;

	two_timed(&t, A_SERVER_OF_A_SET);
	mo_shop_run_ok(&t.l);
	check_times(&t.to);
	CHECK_INT(mo_test_script_asked(&t.to.mo, "create", "expireAfterSeconds"), 0);
	CHECK_INT(mo_test_script_asked(&t.to.mo, "collMod", "expireAfterSeconds"), 3);
	mo_two_stop(&t);
}

TEST("MongoDB TTL: an exchange switches on no time that the log had switched off")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	two_timed(&t, "{\"data\": {\"shop\": {\"x\": {\"documents\": [{\"_id\": 1}]}}}}");
	mo_shop_run_ok(&t.l);
	CHECK_INT(mo_test_script_asked(&t.to.mo, "collMod", ""), 0);
	CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err);
	check_times(&t.to);
	CHECK(!mo_test_server_noted(&t.to.mo, "could not be set"));
	mo_two_stop(&t);
}

static void break_times(const char *faults)
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	two_timed(&t, A_SERVER_OF_A_SET);
	mo_shop_plan_ok(&t.l);
	mo_test_script_faults(&t.to.mo, faults);
	CHECK(loading_run(&t.l, NULL, &err) == ST_UNREACHABLE);
	error_release(&err);
	mo_two_resume_log(&t);
	check_times(&t.to);
	mo_two_stop(&t);
}

TEST("MongoDB TTL: a log that is cut off at a rename moves the time of the collection once, whether the rename was done or not")
{
	break_times("[{\"command\": \"renameCollection\", \"n\": 2, \"times\": 1, \"close\": true}]");
	break_times("[{\"command\": \"renameCollection\", \"n\": 2, \"times\": 1, \"cut\": true}]");
	break_times("[{\"command\": \"collMod\", \"n\": 1, \"times\": 1, \"cut\": true}]");
}

TEST("MongoDB TTL: a log that is resumed when the documents are beside already parks the times of indexes all the same")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, flat, flat);
	ADD_LOG(&t.k, COMMAND("{'createIndexes': 'flat', 'v': 2, 'key': {'n': 1}, 'name': 'at', 'expireAfterSeconds': 90}"), INSERT("shop.flat", "{'_id': 3}"));
	mo_shop_plan_ok(&t.l);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"createIndexes\", \"n\": 1, \"times\": 1, \"close\": true}]");
	CHECK(loading_run(&t.l, NULL, &err) == ST_UNREACHABLE);
	error_release(&err);
	mo_two_resume_log(&t);
	CLEANUP(cstr_release) char *at = mo_shop_index(&t.to, "shop", "flat" BESIDE, "at");
	CHECK_HAS(at, "1500000000");
	check_index(&t.to, "flat" BESIDE, "\"expireAfterSeconds\" : 1500000000");
	mo_two_stop(&t);
}
