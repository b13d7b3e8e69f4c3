#include "drivers/mongodb/oplog_names.h"

#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

/* A restore of shop into `place`, of one collection where `only` is given. */
struct request {
	struct mo_where where;
	struct strlist only, left_out;
	struct mo_new_name rename[1];
	struct mo_route route[1];
	struct mo_routes routes;
	struct error err;
};

static void request_begin(struct request *q, const char *place, const char *only)
{
	*q = (struct request){.where = MO_WHERE_INIT};
	CHECK_OK(mo_where_parse(place, &q->where, &q->err), q->err);
	if (only)
		strlist_add(&q->only, only);
	q->rename[0] = (struct mo_new_name){"renamed", "other"};
	q->route[0] = (struct mo_route){.database = "shop", .where = &q->where, .collections = &q->only, .left_out = &q->left_out, .rename = q->rename, .renames = 1};
	q->routes = (struct mo_routes){q->route, 1, NULL};
}

static void request_release(struct request *q)
{
	mo_where_release(&q->where);
	strlist_release(&q->only);
	strlist_release(&q->left_out);
	error_release(&q->err);
}

static enum status make(struct request *q, const char *op, const char *ns, const char *o, const char *o2, struct mo_replay *to)
{
	CLEANUP(cstr_release) char *text = xasprintf("{'ts': {'$timestamp': {'t': 9, 'i': 1}}, 'op': '%s', 'ns': '%s', 'o': %s%s%s}", op, ns, o,
						     o2 ? ", 'o2': " : "", o2 ? o2 : "");
	CLEANUP(mo_bson_freep) bson_t *doc = document(text);
	struct mo_oplog_entry e;

	CHECK_OK(mo_oplog_parse(doc, &e, &q->err), q->err);
	return mo_replay_make(&q->routes, &e, to, &q->err);
}

/* What becomes of an operation, as text. */
static char *shown(int line, struct request *q, const char *op, const char *ns, const char *o, const char *o2)
{
	CLEANUP(mo_replay_release) struct mo_replay to = MO_REPLAY_INIT;

	if (make(q, op, ns, o, o2, &to))
		test_fail(__FILE__, line, "%s failed: %s", o, error_text(&q->err));
	if (to.kind != MO_REPLAY_NOTHING && to.route != &q->route[0])
		test_fail(__FILE__, line, "%s has no route", o);
	switch (to.kind) {
	case MO_REPLAY_WRITE:
		return xasprintf("write %s.%s%s", to.database, to.collection, to.buckets ? " (buckets)" : "");
	case MO_REPLAY_COMMAND:
		return xasprintf("%s %s", to.database, printed(to.command));
	case MO_REPLAY_DROP_VIEWS:
		return xasprintf("drop views of %s", to.database);
	default:
		return xstrdup("nothing");
	}
}

static void check_replay(int line, struct request *q, const char *op, const char *ns, const char *o, const char *o2, const char *expected)
{
	CLEANUP(cstr_release) char *got = shown(line, q, op, ns, o, o2);

	if (strcmp(got, expected))
		test_fail(__FILE__, line, "is \"%s\", expected \"%s\"", got, expected);
}
#define CHECK_OP(op, ns, o, expected) check_replay(__LINE__, &q, op, ns, o, NULL, expected)
#define CHECK_COMMAND(o, expected) check_replay(__LINE__, &q, "c", "shop.$cmd", o, NULL, expected)
#define CHECK_REFUSED(op, ns, o, code, part)                                                                      \
	do {                                                                                                      \
		CLEANUP(mo_replay_release) struct mo_replay to_ = MO_REPLAY_INIT;                                 \
		CHECK_ERR(make(&q, op, ns, o, NULL, &to_), q.err, code, part);                                    \
	} while (0)

TEST("writes go to the collection's name in the target's place")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "copy.*_restore_1a2b3c", NULL);
	CHECK_OP("i", "shop.a.b", "{'_id': 1}", "write copy.a.b_restore_1a2b3c");
	CHECK_OP("d", "shop.renamed", "{'_id': 1}", "write copy.other_restore_1a2b3c");
	check_replay(__LINE__, &q, "u", "shop.a", "{'$v': 2, 'diff': {'u': {'x': 1}}}", "{'_id': 1}", "write copy.a_restore_1a2b3c");
	CHECK_OP("i", "shop.system.js", "{'_id': 'f'}", "write copy.system.js_restore_1a2b3c");
}

TEST("what is not of the request is passed over: other databases and collections, and what no dump takes")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "shop", NULL);
	strlist_add(&q.left_out, "log");
	CHECK_OP("i", "shops.a", "{'_id': 1}", "nothing");
	CHECK_OP("i", "shop.log", "{'_id': 1}", "nothing");
	CHECK_OP("i", "shop.system.profile", "{'_id': 1}", "nothing");
	CHECK_OP("i", "shop.x$y", "{'_id': 1}", "nothing");
	CHECK_OP("i", "shop", "{'_id': 1}", "nothing");
	CHECK_COMMAND("{'drop': 'log'}", "nothing");
	CHECK_OP("c", "other.$cmd", "{'drop': 'a'}", "nothing");
	CHECK_OP("c", "other.$cmd", "{'importCollection': 'other.a'}", "nothing");
	CHECK_OP("i", "shop.a", "{'_id': 1}", "write shop.a");

	CLEANUP(request_release) struct request one;
	request_begin(&one, "shop", "a");
	check_replay(__LINE__, &one, "i", "shop.a", "{'_id': 1}", NULL, "write shop.a");
	check_replay(__LINE__, &one, "i", "shop.b", "{'_id': 1}", NULL, "nothing");
	one.route[0].database = "config";
	check_replay(__LINE__, &one, "i", "config.a", "{'_id': 1}", NULL, "nothing");
}

TEST("the server's own operations are passed over")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "shop", NULL);
	CHECK_OP("n", "shop.a", "{'msg': 'x'}", "nothing");
	CHECK_OP("ci", "shop.a", "{'k': 1}", "nothing");
	CHECK_OP("km", "", "{'k': 1}", "nothing");
	CHECK_COMMAND("{'setMultikeyMetadata': 'a'}", "nothing");
	CHECK_COMMAND("{'dropIdent': 'x'}", "nothing");
	CHECK_COMMAND("{'dbCheck': 'a'}", "nothing");
	CHECK_COMMAND("{'createDatabaseMetadata': 'a'}", "nothing");
	CHECK_COMMAND("{'dropDatabase': 1}", "nothing");
	CHECK_COMMAND("{'createIndexes': 'a', 'key': {'b': 1}, 'name': 'b'}", "nothing");
	CHECK_COMMAND("{'commitIndexBuild': 'a', 'indexes': []}", "nothing");
	CHECK_COMMAND("{'dropIndexes': 'a', 'index': '*'}", "nothing");
}

TEST("create comes under the target's name with its options and an index of _id that is not the usual one")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "copy", NULL);
	CHECK_COMMAND("{'create': 'renamed', 'capped': true, 'size': 4096, 'uuid': 1, 'autoIndexId': true, 'recordIdsReplicated': false, 'temp': true, "
		      "'idIndex': {'v': 2, 'key': {'_id': 1}, 'name': '_id_'}}",
		      "copy {'create':'other','capped':true,'size':{'$numberInt':'4096'}}");
	CHECK_COMMAND("{'create': 'a', 'idIndex': {'v': 2, 'key': {'_id': 1}, 'name': '_id_', 'collation': {'locale': 'fr'}}}",
		      "copy {'create':'a','idIndex':{'key':{'_id':{'$numberInt':'1'}},'name':'_id_','collation':{'locale':'fr'}}}");
	CHECK_COMMAND("{'create': 'system.profile', 'capped': true}", "nothing");
}

TEST("what the log says of a view is passed over where a collection of its name was dumped, until that is dropped")
{
	CLEANUP(mo_known_release) struct mo_known known = MO_KNOWN_INIT;
	CLEANUP(request_release) struct request q;

	request_begin(&q, "copy", NULL);
	mo_known_add(&known, "shop", "v", "00000000000000000000000000000001");
	q.routes.known = &known;
	CHECK_OP("i", "shop.system.views", "{'_id': 'shop.v', 'viewOn': 'a', 'pipeline': []}", "nothing");
	CHECK_OP("d", "shop.system.views", "{'_id': 'shop.v'}", "nothing");
	CHECK_OP("d", "shop.system.views", "{'_id': 'shop.w'}", "copy {'drop':'w'}");
	mo_known_release(&known);
	CHECK_OP("i", "shop.system.views", "{'_id': 'shop.v', 'viewOn': 'a', 'pipeline': []}", "copy {'create':'v','viewOn':'a','pipeline':[]}");
	CHECK_OP("d", "shop.system.views", "{'_id': 'shop.v'}", "copy {'drop':'v'}");
}

TEST("drop, convertToCapped and emptycapped come under the target's name")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "shop.*_restore_1a2b3c", NULL);
	CHECK_COMMAND("{'drop': 'a'}", "shop {'drop':'a_restore_1a2b3c'}");
	CHECK_COMMAND("{'convertToCapped': 'a', 'size': 4096.0}", "shop {'convertToCapped':'a_restore_1a2b3c','size':{'$numberDouble':'4096.0'}}");
	CHECK_COMMAND("{'emptycapped': 'a'}", "shop {'emptycapped':'a_restore_1a2b3c'}");
}

TEST("collMod comes without its change of an index, and one of an index alone is nothing")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "copy", NULL);
	CHECK_COMMAND("{'collMod': 'a', 'index': {'name': 'b_1', 'hidden': true}, 'validator': {'x': 1}, 'validationLevel': 'moderate', '_internal': true}",
		      "copy {'collMod':'a','validator':{'x':{'$numberInt':'1'}},'validationLevel':'moderate'}");
	CHECK_COMMAND("{'collMod': 'a', 'index': {'name': 'b_1', 'hidden': true}}", "nothing");
}

TEST("renameCollection has both names of the target, and drops what is there where the log did")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "copy.*_restore_1a2b3c", NULL);
	CHECK_COMMAND("{'renameCollection': 'shop.a', 'to': 'shop.b', 'stayTemp': false, 'dropTarget': {'$binary': {'base64': 'AAECAwQFBgcICQoLDA0ODw==', 'subType': '04'}}}",
		      "admin {'renameCollection':'copy.a_restore_1a2b3c','to':'copy.b_restore_1a2b3c','dropTarget':true}");
	CHECK_COMMAND("{'renameCollection': 'shop.a', 'to': 'shop.renamed', 'stayTemp': true, 'dropTarget': false}",
		      "admin {'renameCollection':'copy.a_restore_1a2b3c','to':'copy.other_restore_1a2b3c'}");
}

TEST("a collection that is renamed out of the request is dropped, and one that is renamed into it is refused")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "shop", "a");
	CHECK_COMMAND("{'renameCollection': 'shop.a', 'to': 'shop.b'}", "shop {'drop':'a'}");
	CHECK_COMMAND("{'renameCollection': 'shop.c', 'to': 'shop.b'}", "nothing");
	CHECK_REFUSED("c", "shop.$cmd", "{'renameCollection': 'shop.b', 'to': 'shop.a', 'dropTarget': true}", ST_UNSUPPORTED,
		      "oplog entry 9:1 (shop.$cmd): shop.b, which is not restored, was renamed to shop.a");
	CHECK_REFUSED("c", "shop.$cmd", "{'renameCollection': 'shop.b', 'to': 'shop'}", ST_BAD, "from what to what");
}

TEST("views come out of what is written to system.views")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "copy.*_restore_1a2b3c", NULL);
	CHECK_OP("i", "shop.system.views", "{'_id': 'shop.v.w', 'viewOn': 'a', 'pipeline': []}", "copy {'create':'v.w_restore_1a2b3c','viewOn':'a','pipeline':[]}");
	check_replay(__LINE__, &q, "u", "shop.system.views", "{'_id': 'shop.v', 'viewOn': 'b', 'pipeline': [1]}", "{'_id': 'shop.v'}",
		     "copy {'collMod':'v_restore_1a2b3c','viewOn':'b','pipeline':[{'$numberInt':'1'}]}");
	CHECK_OP("d", "shop.system.views", "{'_id': 'shop.v'}", "copy {'drop':'v_restore_1a2b3c'}");
	CHECK_COMMAND("{'create': 'system.views'}", "nothing");
	CHECK_COMMAND("{'drop': 'system.views'}", "drop views of copy");
	CHECK_REFUSED("i", "shop.system.views", "{'_id': 5, 'viewOn': 'a'}", ST_BAD, "a view without a name");
	CLEANUP(mo_replay_release) struct mo_replay to = MO_REPLAY_INIT;
	CHECK_ERR(make(&q, "u", "shop.system.views", "{'$v': 2, 'diff': {'u': {'viewOn': 'c'}}}", "{'_id': 'shop.v'}", &to), q.err, ST_UNSUPPORTED, "the view shop.v");
}

TEST("a time series is made, written and dropped by its own name and that of its buckets, and its view is nothing of its own")
{
	CLEANUP(request_release) struct request q;

	request_begin(&q, "copy", NULL);
	CHECK_COMMAND("{'create': 'system.buckets.w', 'validator': {'x': 1}, 'clusteredIndex': true, 'timeseries': {'timeField': 't'}, 'expireAfterSeconds': 60}",
		      "copy {'create':'w','timeseries':{'timeField':'t'},'expireAfterSeconds':{'$numberInt':'60'}}");
	CHECK_OP("i", "shop.system.views", "{'_id': 'shop.w', 'viewOn': 'system.buckets.w', 'pipeline': []}", "nothing");
	CHECK_OP("i", "shop.system.buckets.w", "{'_id': 1}", "write copy.system.buckets.w (buckets)");
	CHECK_COMMAND("{'collMod': 'system.buckets.w', 'timeseries': {'granularity': 'hours'}}", "copy {'collMod':'w','timeseries':{'granularity':'hours'}}");
	CHECK_COMMAND("{'drop': 'system.buckets.w'}", "copy {'drop':'w'}");
}

TEST("what cannot be replayed is refused with its entry and a way on")
{
	CLEANUP(request_release) struct request q;
	CLEANUP(mo_replay_release) struct mo_replay to = MO_REPLAY_INIT;

	request_begin(&q, "shop", NULL);
	CHECK_INT(make(&q, "c", "shop.$cmd", "{'importCollection': 'shop.a'}", NULL, &to), ST_UNSUPPORTED);
	CHECK_STR(error_text(&q.err), "oplog entry 9:1 (shop.$cmd): importCollection cannot be replayed");
	CHECK_HAS(q.err.hint, "before this");
	CHECK_REFUSED("c", "shop.$cmd", "{'upgradeDowngradeViewlessTimeseries': 'w'}", ST_UNSUPPORTED, "cannot be replayed");
	CHECK_REFUSED("c", "shop.$cmd", "{'inventedLater': 'a'}", ST_UNSUPPORTED, "inventedLater is no command that drtool can replay");
	CHECK_REFUSED("c", "shop.$cmd", "{'drop': 1}", ST_BAD, "does not name a collection");
	CHECK_REFUSED("d", "shop.a", "{'x': 1}", ST_BAD, "has no _id");
}

TEST("a name that is too long for the target is refused")
{
	CLEANUP(request_release) struct request q;
	char name[245];

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	CLEANUP(cstr_release) char *o = xasprintf("{'create': '%s'}", name);
	CLEANUP(cstr_release) char *expected = xasprintf("shop {'create':'%s'}", name);
	request_begin(&q, "shop", NULL);
	CHECK_COMMAND(o, expected);
	CLEANUP(request_release) struct request beside;
	CLEANUP(mo_replay_release) struct mo_replay to = MO_REPLAY_INIT;
	request_begin(&beside, "shop.*_restore_1a2b3c", NULL);
	CHECK_ERR(make(&beside, "c", "shop.$cmd", o, NULL, &to), beside.err, ST_UNSUPPORTED, "a name of 264 bytes where servers take 255");
}
