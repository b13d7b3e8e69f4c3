/* What a load promises where no real server of the tests can show it: options of collections, views, exchanges, refusals, servers that
 * forget or end. Against the scripted server, which answers as MongoDB's manual says. */
#include "tests/conformance/mongodb_two.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

#define DATA                                                                                                                        \
	"\"data\": {\"shop\": {"                                                                                                    \
	"\"orders\": {\"documents\": [{\"_id\": 1, \"n\": 1}, {\"_id\": 2, \"n\": -2}, {\"_id\": 3}],"                              \
	" \"indexes\": [{\"v\": 2, \"key\": {\"n\": 1}, \"name\": \"n\", \"hidden\": true}],"                                       \
	" \"options\": {\"validator\": {\"n\": {\"$gt\": 0}}, \"validationLevel\": \"moderate\"}},"                                 \
	"\"cap\": {\"documents\": [{\"_id\": 1}], \"options\": {\"capped\": true, \"size\": 4096, \"max\": 10}},"                   \
	"\"words\": {\"documents\": [{\"_id\": 1, \"w\": \"x\"}], \"indexes\": [{\"v\": 2, \"key\": {\"w\": 1}, \"name\": \"w\"}],"  \
	" \"options\": {\"collation\": {\"locale\": \"de\"}}},"                                                                    \
	"\"a_view\": {\"options\": {\"viewOn\": \"z_view\", \"pipeline\": []}},"                                                    \
	"\"z_view\": {\"options\": {\"viewOn\": \"orders\", \"pipeline\": [{\"$match\": {\"n\": {\"$gt\": 0}}}]}}}}"

static const char source[] = "{\"settings\": {\"set_name\": \"rs0\"}, " DATA "}";

TEST("MongoDB load: options, validators that its own documents break, collations, capped collections, hidden indexes and views come as they were")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	mo_shop_run_ok(&t.l);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders"), 3);
	mo_two_listed(&t, "orders", "\"validator\" : { \"n\" : { \"$gt\" : 0 } }, \"validationLevel\" : \"moderate\"");
	mo_two_listed(&t, "cap", "\"capped\" : true");
	mo_two_listed(&t, "words", "\"locale\" : \"de\"");
	mo_two_listed(&t, "a_view", "\"viewOn\" : \"z_view\"");
	mo_two_listed(&t, "z_view", "\"$match\"");
	CLEANUP(cstr_release) char *hidden = mo_shop_index(&t.to, "shop", "orders", "n"), *word = mo_shop_index(&t.to, "shop", "words", "w");
	CHECK_HAS(hidden, "\"hidden\" : true");
	CHECK_HAS(word, "\"collation\" : { \"locale\" : \"de\" }");
	CHECK_INT(mo_test_script_asked(&t.to.mo, "insert", "\"bypassDocumentValidation\" : true"), 1);
	CHECK(mo_test_script_asked(&t.to.mo, "createIndexes", "\"w\" : \"majority\"") > 0);
	mo_two_stop(&t);
}

TEST("MongoDB load: views beside keep their definition, and an exchange makes them anew on both sides")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, source, "{\"data\": {\"shop\": {\"orders\": {\"documents\": [{\"_id\": 9}]}, \"z_view\": {\"documents\": [{\"_id\": 8}]},"
			      " \"old_view\": {\"options\": {\"viewOn\": \"orders\", \"pipeline\": []}}, \"a_view\": {\"options\": {\"viewOn\": \"other\", \"pipeline\": []}}}}}");
	mo_shop_run_ok(&t.l);
	mo_two_listed(&t, "a_view" BESIDE, "\"viewOn\" : \"z_view\"");
	CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err);
	mo_two_listed(&t, "a_view", "\"viewOn\" : \"z_view\"");
	mo_two_listed(&t, "z_view", "\"viewOn\" : \"orders\"");
	mo_two_listed(&t, "a_view" ASIDE, "\"viewOn\" : \"other\"");
	mo_two_listed(&t, "old_view" ASIDE, "\"viewOn\" : \"orders\"");
	CHECK_INT(mo_shop_count(&t.to, "shop", "z_view" ASIDE), 1);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders"), 3);
	CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_BACK, &err), err);
	mo_two_listed(&t, "a_view", "\"viewOn\" : \"other\"");
	mo_two_listed(&t, "old_view", "\"viewOn\" : \"orders\"");
	CHECK_INT(mo_shop_count(&t.to, "shop", "z_view"), 1);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders" BESIDE), 3);
	mo_two_stop(&t);
}

static const char busy[] = "{\"data\": {\"shop\": {\"orders\": {\"documents\": [{\"_id\": 9}]}, \"later\": {\"documents\": [{\"_id\": 8}]},"
			   " \"a_view\": {\"options\": {\"viewOn\": \"other\", \"pipeline\": []}}}}}";

/* Where the nth command of a kind fails, what is looked at says so, and both ways go on from there. */
static void break_and(struct mo_two *t, enum exchange_action after, const char *command, unsigned n)
{
	struct error err = ERROR_INIT;
	struct exchange_request q = {.action = EXCHANGE_LOOK, .run = RUN};
	CLEANUP(cstr_release) char *fault = xasprintf("[{\"command\": \"%s\", \"n\": %u, \"times\": 1, \"close\": true}]", command, n);

	mo_two_to(t, busy);
	mo_shop_run_ok(&t->l);
	CHECK_OK(driver_mongodb.exchange(&run, &t->to.s.e, &q, &err), err);
	CHECK_INT(q.pairs, 1);
	mo_test_script_faults(&t->to.mo, fault);
	q.action = EXCHANGE_PUT;
	CHECK(driver_mongodb.exchange(&run, &t->to.s.e, &q, &err) == ST_UNREACHABLE);
	error_release(&err);
	q.action = EXCHANGE_LOOK;
	CHECK_OK(driver_mongodb.exchange(&run, &t->to.s.e, &q, &err), err);
	mo_shop_note(&t->to, "the exchange was cut off");
	q.action = EXCHANGE_DROP;
	CHECK_ERR(driver_mongodb.exchange(&run, &t->to.s.e, &q, &err), err, ST_REFUSED, "is not finished");
	q.action = after;
	CHECK_OK(driver_mongodb.exchange(&run, &t->to.s.e, &q, &err), err);
	CHECK_INT(mo_shop_count(&t->to, "shop", "orders"), after == EXCHANGE_PUT ? 3 : 1);
	CHECK(mo_shop_has(&t->to, "shop", "later") == (after == EXCHANGE_BACK));
	CHECK(mo_shop_has(&t->to, "shop", "words") == (after == EXCHANGE_PUT));
	mo_two_listed(t, "a_view", after == EXCHANGE_PUT ? "\"viewOn\" : \"z_view\"" : "\"viewOn\" : \"other\"");
	CHECK_INT(mo_shop_count(&t->to, "shop", after == EXCHANGE_PUT ? "orders" ASIDE : "orders" BESIDE), after == EXCHANGE_PUT ? 1 : 3);
	CHECK(mo_shop_has(&t->to, "shop", after == EXCHANGE_PUT ? "later" ASIDE : "words" BESIDE));
	q.action = EXCHANGE_DROP;
	CHECK_OK(driver_mongodb.exchange(&run, &t->to.s.e, &q, &err), err);
	CHECK(!mo_shop_has(&t->to, "shop", "drtool_run_" RUN) && !mo_shop_has(&t->to, "shop", "orders" BESIDE) && !mo_shop_has(&t->to, "shop", "orders" ASIDE));
	free(q.pair[0].name), free(q.pair[0].loaded), free(q.pair[0].aside), free(q.pair);
	mo_two_away(t);
}

struct breach {
	const char *command;
	unsigned n;
};

static void break_each(enum exchange_action after, const struct breach *breach, size_t breaches)
{
	struct mo_two t;

	mo_two_from(&t, source);
	for (size_t i = 0; i < breaches; i++)
		break_and(&t, after, breach[i].command, breach[i].n);
	kept_release(&t.k);
	mo_shop_stop(&t.from);
}

static const struct breach renames[] = {{"renameCollection", 1}, {"renameCollection", 2}, {"renameCollection", 3}, {"renameCollection", 4}};
static const struct breach views[] = {{"create", 1}, {"create", 2}, {"drop", 1}, {"drop", 2}};

TEST("MongoDB exchange that is cut off at any rename goes on from there")
{
	break_each(EXCHANGE_PUT, renames, ARRAY_LEN(renames));
}

TEST("MongoDB exchange that is cut off at any rename goes back from there")
{
	break_each(EXCHANGE_BACK, renames, ARRAY_LEN(renames));
}

TEST("MongoDB exchange that is cut off while a view changes its place goes on from there")
{
	break_each(EXCHANGE_PUT, views, ARRAY_LEN(views));
}

TEST("MongoDB exchange that is cut off while a view changes its place goes back from there")
{
	break_each(EXCHANGE_BACK, views, ARRAY_LEN(views));
}

TEST("MongoDB exchange: a collection that somebody made meanwhile is not touched, and nothing is lost")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, source, "{\"data\": {\"shop\": {\"orders\": {\"documents\": [{\"_id\": 9}]}}}}");
	mo_shop_run_ok(&t.l);
	/* Between the two renames of `orders`, the second and the third. */
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"renameCollection\", \"n\": 3, \"times\": 1, \"run\": {\"insert\": \"orders\", \"$db\": \"shop\","
					" \"documents\": [{\"_id\": 77}]}}]");
	CHECK_ERR(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err, ST_SERVER, "orders");
	CHECK_ERR(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err, ST_REFUSED, "shop.orders was made by somebody");
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders" ASIDE), 1);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders"), 1);
	mo_test_server_command(&t.to.mo, "shop", "{\"drop\": \"orders\"}", NULL);
	CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders"), 3);
	mo_two_stop(&t);
}

/* Between the drop of the old view and the making of the new one, `made` is run. */
static void take_name_of_view(enum exchange_action action, unsigned nth_create, const char *taken, const char *made)
{
	struct mo_two t;
	struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *fault = xasprintf("[{\"command\": \"create\", \"n\": %u, \"times\": 1, \"run\": %s}]", nth_create, made);
	CLEANUP(cstr_release) char *why = xasprintf("shop.%s was made by somebody", taken), *drop = xasprintf("{\"drop\": \"%s\"}", taken);

	mo_two_start(&t, source, busy);
	mo_shop_run_ok(&t.l);
	if (action == EXCHANGE_BACK)
		CHECK_OK(mo_shop_exchange(&t.to, EXCHANGE_PUT, &err), err);
	mo_test_script_faults(&t.to.mo, fault);
	for (int i = 0; i < 2; i++)
		CHECK_ERR(mo_shop_exchange(&t.to, action, &err), err, ST_REFUSED, why);
	CHECK(mo_shop_has(&t.to, "shop", taken));
	mo_two_listed(&t, "a_view" BESIDE, "\"viewOn\" : \"z_view\"");
	mo_test_server_command(&t.to.mo, "shop", drop, NULL);
	CHECK_OK(mo_shop_exchange(&t.to, action, &err), err);
	mo_two_listed(&t, "a_view", action == EXCHANGE_PUT ? "\"viewOn\" : \"z_view\"" : "\"viewOn\" : \"other\"");
	mo_two_listed(&t, action == EXCHANGE_PUT ? "a_view" ASIDE : "a_view" BESIDE, action == EXCHANGE_PUT ? "\"viewOn\" : \"other\"" : "\"viewOn\" : \"z_view\"");
	mo_two_stop(&t);
}

TEST("MongoDB exchange: what takes the name of a view meanwhile, a collection or another view, is not touched, and the view is not lost")
{
	take_name_of_view(EXCHANGE_PUT, 2, "a_view", "{\"insert\": \"a_view\", \"$db\": \"shop\", \"documents\": [{\"_id\": 77}]}");
	take_name_of_view(EXCHANGE_PUT, 2, "a_view", "{\"create\": \"a_view\", \"$db\": \"shop\", \"viewOn\": \"words\", \"pipeline\": []}");
	take_name_of_view(EXCHANGE_BACK, 2, "a_view", "{\"insert\": \"a_view\", \"$db\": \"shop\", \"documents\": [{\"_id\": 77}]}");
}

TEST("MongoDB exchange: without the state of its run the names are enough to put a copy in place and to go back")
{
	struct mo_two t;
	struct error err = ERROR_INIT;
	struct exchange_request q = {.action = EXCHANGE_LOOK, .run = RUN};

	mo_two_start(&t, source, "{\"data\": {\"shop\": {\"orders\": {\"documents\": [{\"_id\": 9}]}}}}");
	mo_shop_run_ok(&t.l);
	mo_test_server_command(&t.to.mo, "shop", "{\"drop\": \"drtool_run_" RUN "\"}", NULL);
	CHECK_OK(driver_mongodb.exchange(&run, &t.to.s.e, &q, &err), err);
	CHECK_INT(q.pairs, 1);
	q.action = EXCHANGE_PUT;
	CHECK_OK(driver_mongodb.exchange(&run, &t.to.s.e, &q, &err), err);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders"), 3);
	mo_test_server_command(&t.to.mo, "shop", "{\"drop\": \"drtool_run_" RUN "\"}", NULL);
	q.action = EXCHANGE_BACK;
	CHECK_OK(driver_mongodb.exchange(&run, &t.to.s.e, &q, &err), err);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders"), 1);
	CHECK_INT(mo_shop_count(&t.to, "shop", "orders" BESIDE), 3);
	free(q.pair[0].name), free(q.pair[0].loaded), free(q.pair[0].aside), free(q.pair);
	mo_two_stop(&t);
}

/* ---- servers that do otherwise ---- */

TEST("MongoDB load: an option that the server takes and forgets ends the restore before any document")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	/* The collection comes without what was asked for. */
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"create\", \"ns\": \"shop.cap\", \"run\": {\"create\": \"cap\", \"$db\": \"shop\"}, \"reply\": {\"ok\": 1.0}}]");
	mo_shop_plan_ok(&t.l);
	CHECK_ERR(loading_run(&t.l, NULL, &err), err, ST_UNSUPPORTED, "the server made cap without what it was asked for and said nothing: capped, size, max");
	CHECK_INT(mo_test_script_asked(&t.to.mo, "insert", ""), 0);
	mo_two_stop(&t);
}

TEST("MongoDB load: a view that the server makes a collection of ends the restore")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"create\", \"ns\": \"shop.z_view\", \"run\": {\"create\": \"z_view\", \"$db\": \"shop\"}, \"reply\": {\"ok\": 1.0}}]");
	mo_shop_plan_ok(&t.l);
	CHECK_ERR(loading_run(&t.l, NULL, &err), err, ST_UNSUPPORTED, "the server made a plain collection of z_view, which is a view");
	mo_two_stop(&t);
}

TEST("MongoDB load: a server that takes no version of an index gets them without")
{
	struct mo_two t;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"createIndexes\", \"ns\": \"shop.orders\", \"times\": 1, \"error\": 67, \"message\": \"unknown field v\"}]");
	mo_shop_run_ok(&t.l);
	CHECK_INT(mo_test_script_asked(&t.to.mo, "createIndexes", "\"orders\""), 2);
	mo_two_stop(&t);
}

TEST("MongoDB load: an index that the server does not make, though it says so, ends the restore")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"createIndexes\", \"ns\": \"shop.orders\", \"reply\": {\"ok\": 1.0}}]");
	mo_shop_plan_ok(&t.l);
	CHECK_ERR(loading_run(&t.l, NULL, &err), err, ST_UNSUPPORTED, "the server did not make the index n of orders, and said nothing");
	mo_two_stop(&t);
}

TEST("MongoDB load: a link that breaks inside of a batch loses nothing and doubles nothing")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, source, A_SERVER_OF_A_SET);
	t.l.rows_per_unit = 2;
	/* The server has taken the documents, and nobody hears of it. */
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"insert\", \"ns\": \"shop.orders\", \"times\": 1, \"cut\": true}]");
	mo_shop_plan_ok(&t.l);
	CHECK(loading_run(&t.l, NULL, &err) == ST_UNREACHABLE);
	error_release(&err);
	mo_two_resume_all(&t);
	mo_shop_check(&t.to, &t.k, "shop", "");
	mo_two_stop(&t);
}

/* bypassed: how many inserts tell the server to keep them. */
static void check_stamps(const char *settings, size_t bypassed)
{
	struct mo_two t;
	CLEANUP(cstr_release) char *to = xasprintf("{\"settings\": {%s}}", settings);

	mo_two_start(&t, "{\"settings\": {\"version\": \"4.4.0\"}, \"data\": {\"shop\": {\"t\": {\"documents\": [{\"_id\": 1, \"x\": 1, \"at\": {\"$timestamp\": {\"t\": 0, \"i\": 0}}},"
		      " {\"_id\": 2, \"in\": {\"at\": {\"$timestamp\": {\"t\": 0, \"i\": 0}}}}]}}}}", to);
	mo_shop_run_ok(&t.l);
	mo_shop_check(&t.to, &t.k, "shop", "");
	CHECK_INT(mo_test_script_asked(&t.to.mo, "insert", "bypassEmptyTsReplacement"), bypassed);
	mo_two_stop(&t);
}

TEST("MongoDB load: empty timestamps, which a server would replace by its own time, stay empty, before version 8.0 and since")
{
	check_stamps("\"version\": \"7.0.14\"", 0);
	check_stamps("\"version\": \"8.0.1\"", 1);
	check_stamps("\"version\": \"8.0.4-1\", \"build_info\": {\"psmdbVersion\": \"8.0.4-1\"}", 1);
}

/* ---- refusals ---- */

static void check_refused(const char *from, const char *to, const char *why)
{
	struct mo_two t;

	mo_two_start(&t, from, to);
	mo_two_refused(&t, why);
	CHECK_INT(mo_test_script_asked(&t.to.mo, "create", ""), 0);
	mo_two_stop(&t);
}

TEST("MongoDB load: what a target cannot hold is refused before anything is changed, with the way on")
{
	CLEANUP(cstr_release) char *name = xcalloc(1, 246), *long_name = NULL;

	memset(name, 'n', 245);
	long_name = xasprintf("{\"data\": {\"shop\": {\"%s\": {\"documents\": []}}}}", name);
	check_refused(source, "{\"settings\": {\"version\": \"6.0.3\"}}", "an older one does not know all of its options");
	check_refused(source, "{\"settings\": {\"version\": \"4.2.3\", \"wire\": 8}}", "drtool restores into servers from 4.4 on");
	check_refused(source, "{\"settings\": {\"build_info\": {\"ferretdb\": {\"version\": \"v2.7.0\"}}}}", "which FerretDB takes and forgets");
	check_refused("{\"data\": {\"shop\": {\"ts\": {\"options\": {\"timeseries\": {\"timeField\": \"t\"}}}}}}", busy,
		      "ts cannot be beside what is there: no server renames a time series; restore into another database with --rename shop=NAME, or leave it out with"
		      " --exclude-table ts");
	check_refused("{\"data\": {\"shop\": {\"system.js\": {\"documents\": [{\"_id\": \"f\"}]}}}}", busy, "system.js cannot be beside");
	check_refused(long_name, busy, "where 255 are possible");
	check_refused(source, "{\"settings\": {\"account\": {\"authenticatedUsers\": [{\"user\": \"u\", \"db\": \"admin\"}], \"authenticatedUserPrivileges\": [{\"resource\":"
			      " {\"db\": \"shop\", \"collection\": \"\"}, \"actions\": [\"find\", \"insert\", \"update\", \"remove\", \"listCollections\"]}]}}}",
		      "this account may not do on the database shop: createCollection, dropCollection, createIndex, listIndexes, bypassDocumentValidation");
}

TEST("MongoDB load: a time series comes under its own name, its buckets byte for byte")
{
	struct mo_two t;

	mo_two_start(&t, "{\"data\": {\"shop\": {\"ts\": {\"options\": {\"timeseries\": {\"timeField\": \"t\", \"granularity\": \"minutes\"}, \"expireAfterSeconds\":"
		      " {\"$numberLong\": \"86400\"}}, \"documents\": [{\"_id\": 1, \"control\": {}}, {\"_id\": 2, \"control\": {}}]}}}}", A_SERVER_OF_A_SET);
	mo_shop_run_ok(&t.l);
	mo_two_listed(&t, "ts", "\"granularity\" : \"minutes\"");
	CHECK_INT(mo_shop_count(&t.to, "shop", "system.buckets.ts"), 2);
	mo_two_stop(&t);
}

#define MIXED "\"control\": {\"version\": 1, \"min\": {\"t\": 1, \"a\": 1}, \"max\": {\"t\": 2, \"a\": \"x\"}}, \"data\": {\"a\": {\"0\": 1, \"1\": \"x\"}}"
static const char mixed[] = "{\"settings\": {\"version\": \"6.0.3\"}, \"data\": {\"shop\": {\"ts\": {\"options\": {\"timeseries\": {\"timeField\": \"t\"}},"
			    " \"documents\": [{\"_id\": 1, \"control\": {}}, {\"_id\": 2, " MIXED "}, {\"_id\": 3, \"control\": {}}, {\"_id\": 4, " MIXED "}]}}}}";

TEST("MongoDB load: a time series whose buckets hold values of several types, which newer servers refuse at first, comes byte for byte")
{
	struct mo_two t;

	mo_two_start(&t, mixed, "{\"settings\": {\"set_name\": \"rs0\", \"version\": \"8.0.4\"}}");
	mo_shop_run_ok(&t.l);
	CHECK_INT(mo_shop_count(&t.to, "shop", "system.buckets.ts"), 4);
	CHECK_INT(mo_test_script_asked(&t.to.mo, "collMod", "\"ts\", \"timeseriesBucketsMayHaveMixedSchemaData\" : true"), 1);
	CHECK_INT(mo_test_script_asked(&t.to.mo, "insert", "system.buckets.ts"), 2);
	mo_two_stop(&t);
}

TEST("MongoDB load: where a time series may not be told to take buckets of mixed schema, it fails and says so; resumed with the right, it goes on")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	mo_two_start(&t, mixed, "{\"settings\": {\"version\": \"8.0.4\"}}");
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"collMod\", \"error\": 13, \"message\": \"not authorized\"}]");
	mo_shop_plan_ok(&t.l);
	CHECK_ERR(loading_run(&t.l, NULL, &err), err, ST_DENIED, "letting shop.ts have buckets of mixed schema");
	mo_two_resume_all(&t);
	CHECK_INT(mo_shop_count(&t.to, "shop", "system.buckets.ts"), 4);
	mo_two_stop(&t);
}
