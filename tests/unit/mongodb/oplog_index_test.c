#include "drivers/mongodb/oplog_index.h"

#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

static enum status apply(struct mo_indexes *x, const char *database, const char *o, struct error *err)
{
	CLEANUP(cstr_release) char *text = xasprintf("{'ts': {'$timestamp': {'t': 9, 'i': 1}}, 'op': 'c', 'ns': '%s.$cmd', 'o': %s}", database, o);
	CLEANUP(mo_bson_freep) bson_t *doc = document(text);
	struct mo_oplog_entry e;

	CHECK_OK(mo_oplog_parse(doc, &e, err), *err);
	return mo_indexes_apply(x, &e, err);
}

static void apply_in(int line, struct mo_indexes *x, const char *database, const char *o)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;

	if (apply(x, database, o, &err))
		test_fail(__FILE__, line, "%s failed: %s", o, error_text(&err));
}
#define APPLY(o) apply_in(__LINE__, &x, "shop", o)

static const char id_index[] = "{'v': 2, 'key': {'_id': 1}, 'name': '_id_'}";
static const char a_index[] = "{'v': 2, 'key': {'a': 1}, 'name': 'a_1'}";

static void add(struct mo_indexes *x, const char *name, const char *indexes)
{
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;

	meta_of(&m, "{'collation': {'locale': 'fr'}}", indexes);
	free(m.name);
	m.name = xstrdup(name);
	mo_indexes_add(x, "shop", &m);
}

/* Of a dump with the collection c, which has an index on a. */
static void dumped(struct mo_indexes *x)
{
	CLEANUP(cstr_release) char *indexes = xasprintf("[%s, %s]", id_index, a_index);

	add(x, "c", indexes);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* "shop.c: _id_ a_1" of each, in the order of names. */
static void check_all(int line, const struct mo_indexes *x, const char *expected)
{
	CLEANUP(buf_release) struct buf all = BUF_INIT;
	char *text[8];

	CHECK(x->items < ARRAY_LEN(text));
	for (size_t i = 0; i < x->items; i++) {
		struct buf one = BUF_INIT;

		buf_printf(&one, "%s.%s:", x->item[i].database, x->item[i].meta.name);
		for (size_t k = 0; k < x->item[i].meta.indexes; k++)
			buf_printf(&one, " %s", mo_bson_text_at(x->item[i].meta.index[k], "name"));
		text[i] = buf_detach(&one);
	}
	qsort(text, x->items, sizeof *text, by_text);
	for (size_t i = 0; i < x->items; i++) {
		buf_printf(&all, "%s%s", i ? "; " : "", text[i]);
		free(text[i]);
	}
	if (strcmp(buf_str(&all), expected))
		test_fail(__FILE__, line, "is \"%s\", expected \"%s\"", buf_str(&all), expected);
}
#define CHECK_ALL(expected) check_all(__LINE__, &x, expected)

TEST("indexes that the log makes are added, one by one and by a build that is committed")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	APPLY("{'createIndexes': 'c', 'v': 2, 'key': {'b': -1}, 'name': 'b_-1', 'unique': true}");
	APPLY("{'startIndexBuild': 'c', 'indexBuildUUID': 1, 'indexes': [{'v': 2, 'key': {'z': 1}, 'name': 'z_1'}]}");
	APPLY("{'abortIndexBuild': 'c', 'indexBuildUUID': 1, 'indexes': [{'v': 2, 'key': {'z': 1}, 'name': 'z_1'}]}");
	APPLY("{'commitIndexBuild': 'c', 'indexBuildUUID': 1, 'indexes': [{'v': 2, 'key': {'d': 1}, 'name': 'd_1'}, {'v': 2, 'key': {'e': 1}, 'name': 'e_1'}]}");
	CHECK_ALL("shop.c: _id_ a_1 b_-1 d_1 e_1");
	CHECK_STR(printed(x.item[0].meta.index[2]), "{'v':{'$numberInt':'2'},'key':{'b':{'$numberInt':'-1'}},'name':'b_-1','unique':true}");
}

TEST("an index that was being built when it was listed is none until its build is committed, and none when that ends in vain")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	APPLY("{'abortIndexBuild': 'c', 'indexBuildUUID': 1, 'indexes': [{'v': 2, 'key': {'a': 1}, 'name': 'a_1'}], 'cause': {'code': 11000}}");
	CHECK_ALL("shop.c: _id_");
	add(&x, "d", "[{'key': {'x': 1}, 'name': 'x'}, {'key': {'y': 1}, 'name': 'y'}, {'key': {'z': 1}, 'name': 'z'}]");
	APPLY("{'startIndexBuild': 'd', 'indexBuildUUID': 2, 'indexes': [{'key': {'x': 1}, 'name': 'x'}, {'key': {'y': 1}, 'name': 'y'}]}");
	CHECK_ALL("shop.c: _id_; shop.d: z");
	APPLY("{'commitIndexBuild': 'd', 'indexBuildUUID': 2, 'indexes': [{'key': {'x': 1}, 'name': 'x'}, {'key': {'y': 1}, 'name': 'y'}]}");
	CHECK_ALL("shop.c: _id_; shop.d: z x y");
}

TEST("an index that is made again takes the place of the one of its name")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	APPLY("{'createIndexes': 'c', 'v': 2, 'key': {'a': 1}, 'name': 'a_1', 'sparse': true}");
	CHECK_ALL("shop.c: _id_ a_1");
	CHECK(bson_has_field(x.item[0].meta.index[1], "sparse"));
}

TEST("indexes are dropped by name, names, key and all at once, never that of _id")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	APPLY("{'createIndexes': 'c', 'key': {'b': 1}, 'name': 'b'}");
	APPLY("{'createIndexes': 'c', 'key': {'c': 1.0, 'd': -1}, 'name': 'cd'}");
	APPLY("{'createIndexes': 'c', 'key': {'e': 1}, 'name': 'e'}");
	APPLY("{'createIndexes': 'c', 'key': {'f': 1}, 'name': 'f'}");
	APPLY("{'dropIndexes': 'c', 'index': 'a_1'}");
	CHECK_ALL("shop.c: _id_ b cd e f");
	APPLY("{'deleteIndexes': 'c', 'index': {'c': {'$numberLong': '1'}, 'd': -1}}");
	CHECK_ALL("shop.c: _id_ b e f");
	APPLY("{'dropIndex': 'c', 'index': ['b', 'e', 'gone', '_id_']}");
	CHECK_ALL("shop.c: _id_ f");
	APPLY("{'deleteIndex': 'c', 'index': '*'}");
	CHECK_ALL("shop.c: _id_");
	APPLY("{'createIndexes': 'c', 'key': {'b': 1}, 'name': 'b'}");
	CHECK_ALL("shop.c: _id_ b");
}

TEST("collMod changes an index by its name and by its key")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	add(&x, "c", "[{'key': {'t': 1}, 'name': 't_1', 'expireAfterSeconds': 60, 'hidden': true}]");
	APPLY("{'collMod': 'c', 'index': {'name': 't_1', 'expireAfterSeconds': {'$numberLong': '3600'}, 'hidden': false}}");
	CHECK_STR(printed(x.item[0].meta.index[0]), "{'key':{'t':{'$numberInt':'1'}},'name':'t_1','expireAfterSeconds':{'$numberLong':'3600'}}");
	APPLY("{'collMod': 'c', 'index': {'keyPattern': {'t': 1}, 'prepareUnique': true}}");
	CHECK_STR(printed(x.item[0].meta.index[0]), "{'key':{'t':{'$numberInt':'1'}},'name':'t_1','expireAfterSeconds':{'$numberLong':'3600'},'prepareUnique':true}");
	APPLY("{'collMod': 'c', 'index': {'name': 't_1', 'unique': true}}");
	CHECK_STR(printed(x.item[0].meta.index[0]), "{'key':{'t':{'$numberInt':'1'}},'name':'t_1','expireAfterSeconds':{'$numberLong':'3600'},'unique':true}");
	APPLY("{'collMod': 'c', 'index': {'name': 't_1', 'forceNonUnique': true}}");
	CHECK_STR(printed(x.item[0].meta.index[0]), "{'key':{'t':{'$numberInt':'1'}},'name':'t_1','expireAfterSeconds':{'$numberLong':'3600'}}");
	APPLY("{'collMod': 'c', 'index': {'name': 'gone', 'hidden': true}}");
	APPLY("{'collMod': 'c', 'validator': {}}");
}

TEST("indexes move with a renamed collection, also onto another and into another database")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	add(&x, "d", "[{'key': {'x': 1}, 'name': 'x'}]");
	add(&x, "e", "[{'key': {'y': 1}, 'name': 'y'}]");
	APPLY("{'renameCollection': 'shop.c', 'to': 'shop.d', 'stayTemp': false, 'dropTarget': {'$binary': {'base64': 'AAECAwQFBgcICQoLDA0ODw==', 'subType': '04'}}}");
	CHECK_ALL("shop.d: _id_ a_1; shop.e: y");
	APPLY("{'renameCollection': 'shop.e', 'to': 'bak.e.1', 'stayTemp': false}");
	CHECK_ALL("bak.e.1: y; shop.d: _id_ a_1");
	APPLY("{'createIndexes': 'd', 'key': {'b': 1}, 'name': 'b'}");
	CHECK_ALL("bak.e.1: y; shop.d: _id_ a_1 b");
}

TEST("a collection that was dumped under its later name keeps the indexes of that time")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	APPLY("{'createIndexes': 'old', 'key': {'b': 1}, 'name': 'b'}");
	APPLY("{'dropIndexes': 'old', 'index': 'a_1'}");
	APPLY("{'renameCollection': 'shop.old', 'to': 'shop.c', 'dropTarget': true}");
	CHECK_ALL("shop.c: _id_ a_1");
	APPLY("{'renameCollection': 'shop.c', 'to': 'shop.c'}");
	CHECK_ALL("shop.c: _id_ a_1");
}

TEST("a collection that is made begins without indexes and with its own collation, and a dropped one is gone")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;
	CLEANUP(mo_bson_clear) bson_t made = BSON_INITIALIZER;
	size_t n;

	dumped(&x);
	APPLY("{'create': 'c', 'collation': {'locale': 'de'}, 'idIndex': {'v': 2, 'key': {'_id': 1}, 'name': '_id_', 'collation': {'locale': 'de'}}}");
	APPLY("{'createIndexes': 'c', 'v': 2, 'key': {'b': 1}, 'name': 'b_1'}");
	CHECK_ALL("shop.c: _id_ b_1");
	mo_create_indexes(&x.item[0].meta, false, &made, &n);
	CHECK_STR(printed(&made), "{'0':{'v':{'$numberInt':'2'},'key':{'b':{'$numberInt':'1'}},'name':'b_1','collation':{'locale':'simple'}}}");
	APPLY("{'create': 'd'}");
	APPLY("{'drop': 'c'}");
	CHECK_ALL("shop.d:");
	apply_in(__LINE__, &x, "bak", "{'create': 'd'}");
	APPLY("{'dropDatabase': 1}");
	CHECK_ALL("bak.d:");
}

TEST("a collection that became capped has no index but that of _id")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	APPLY("{'convertToCapped': 'c', 'size': 4096}");
	CHECK_ALL("shop.c: _id_");
}

TEST("indexes of the buckets of a time series are those of the time series, as they were asked for")
{
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	APPLY("{'create': 'system.buckets.w', 'timeseries': {'timeField': 't', 'metaField': 'm'}, 'clusteredIndex': true}");
	APPLY("{'createIndexes': 'system.buckets.w', 'key': {'meta.a': 1}, 'name': 'm.a_1', 'originalSpec': {'key': {'m.a': 1}, 'name': 'm.a_1', 'v': 2}}");
	APPLY("{'createIndexes': 'system.buckets.w', 'key': {'meta': 1}, 'name': 'm_1'}");
	CHECK_ALL("shop.w: m.a_1 m_1");
	CHECK_INT(x.item[0].meta.kind, MO_TIMESERIES);
	CHECK_STR(printed(x.item[0].meta.index[0]), "{'key':{'m.a':{'$numberInt':'1'}},'name':'m.a_1','v':{'$numberInt':'2'}}");
	APPLY("{'dropIndexes': 'system.buckets.w', 'index': 'm_1'}");
	CHECK_ALL("shop.w: m.a_1");
	APPLY("{'drop': 'system.buckets.w'}");
	CHECK_ALL("");
}

TEST("views have no indexes, and writes change none")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	CLEANUP(mo_bson_freep) bson_t *doc = document("{'ts': {'$timestamp': {'t': 9, 'i': 1}}, 'op': 'i', 'ns': 'shop.c', 'o': {'drop': 'c'}}");
	struct mo_oplog_entry e;

	meta_of(&m, "{'viewOn': 'c', 'pipeline': []}", "[]");
	m.kind = MO_VIEW;
	mo_indexes_add(&x, "shop", &m);
	CHECK_ALL("");
	dumped(&x);
	CHECK_OK(mo_oplog_parse(doc, &e, &err), err);
	CHECK_OK(mo_indexes_apply(&x, &e, &err), err);
	CHECK_ALL("shop.c: _id_ a_1");
}

TEST("commands about indexes of another form than in the oplog are refused with their entry")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_indexes_release) struct mo_indexes x = MO_INDEXES_INIT;

	dumped(&x);
	CHECK_ERR(apply(&x, "shop", "{'createIndexes': 'c', 'key': {'b': 1}}", &err), err, ST_BAD, "oplog entry 9:1 (shop.$cmd): an index without name or key");
	CHECK_ERR(apply(&x, "shop", "{'createIndexes': 'c', 'key': 1, 'name': 'b'}", &err), err, ST_BAD, "without name or key");
	CHECK_ERR(apply(&x, "shop", "{'createIndexes': 1}", &err), err, ST_BAD, "does not name a collection");
	CHECK_ERR(apply(&x, "shop", "{'commitIndexBuild': 'c'}", &err), err, ST_BAD, "without indexes");
	CHECK_ERR(apply(&x, "shop", "{'commitIndexBuild': 'c', 'indexes': [1]}", &err), err, ST_BAD, "no document");
	CHECK_ERR(apply(&x, "shop", "{'abortIndexBuild': 'c'}", &err), err, ST_BAD, "abortIndexBuild without indexes");
	CHECK_ERR(apply(&x, "shop", "{'startIndexBuild': 'c', 'indexes': [{'key': {'b': 1}}]}", &err), err, ST_BAD, "without name");
	CHECK_ERR(apply(&x, "shop", "{'dropIndexes': 'c'}", &err), err, ST_BAD, "which index");
	CHECK_ERR(apply(&x, "shop", "{'dropIndexes': 'c', 'index': 1}", &err), err, ST_BAD, "which index");
	CHECK_ERR(apply(&x, "shop", "{'dropIndexes': 'c', 'index': [1]}", &err), err, ST_BAD, "no name");
	CHECK_ERR(apply(&x, "shop", "{'collMod': 'c', 'index': 1}", &err), err, ST_BAD, "no document");
	CHECK_ERR(apply(&x, "shop", "{'collMod': 'c', 'index': {'hidden': true}}", &err), err, ST_BAD, "which index");
	CHECK_ERR(apply(&x, "shop", "{'renameCollection': 'shop.c'}", &err), err, ST_BAD, "from what to what");
	CHECK_ERR(apply(&x, "shop", "{'renameCollection': 'shop', 'to': 'shop.d'}", &err), err, ST_BAD, "from what to what");
	CHECK_ALL("shop.c: _id_ a_1");
}
