/* What a dump of a server that speaks MongoDB's protocol promises, against a real one: every document byte for byte, nothing left out in
 * silence. */
#include <math.h>

#include "tests/conformance/mongodb_steps.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

static void make_shop(struct mo_test_server *s)
{
	mo_test_server_insert(s, "shop", "orders", "{\"_id\": 1, \"total\": {\"$numberDecimal\": \"9.90\"}}, {\"_id\": \"x\", \"a.b\": {\"$numberDouble\": \"NaN\"}}");
	mo_test_server_command(s, "shop", "{\"create\": \"empty\"}", NULL);
	mo_test_server_command(s, "shop", "{\"createIndexes\": \"orders\", \"indexes\": [{\"key\": {\"at\": 1}, \"name\": \"ttl\", \"expireAfterSeconds\": 3600}]}",
			       NULL);
}

/* ---- documents ---- */

/* A document of many kinds, keys that are odd, and depth. */
static void put_odd_document(bson_t *to, int id)
{
	bson_oid_t oid;
	bson_decimal128_t decimal;
	bson_t inner;

	bson_oid_init_from_string(&oid, "65a1b2c3d4e5f60718293a4b");
	CHECK(bson_decimal128_from_string("-1.5E+6000", &decimal));
	BSON_APPEND_INT32(to, "_id", id);
	BSON_APPEND_DOUBLE(to, "", -0.0);
	BSON_APPEND_DOUBLE(to, "$not a number", NAN);
	BSON_APPEND_INT64(to, "a.b", INT64_MIN);
	BSON_APPEND_DECIMAL128(to, "decimal", &decimal);
	BSON_APPEND_OID(to, "oid", &oid);
	BSON_APPEND_BINARY(to, "binary", BSON_SUBTYPE_UUID, (const uint8_t *)"0123456789abcdef", 16);
	bson_append_utf8(to, "nul", -1, "a\0b", 3);
	BSON_APPEND_REGEX(to, "regex", "^a", "i");
	BSON_APPEND_CODE(to, "code", "f()");
	BSON_APPEND_SYMBOL(to, "symbol", "s");
	BSON_APPEND_TIMESTAMP(to, "timestamp", 0, 0);
	BSON_APPEND_DATE_TIME(to, "date", INT64_MAX);
	BSON_APPEND_MINKEY(to, "min");
	BSON_APPEND_MAXKEY(to, "max");
	BSON_APPEND_NULL(to, "null");
	BSON_APPEND_UNDEFINED(to, "undefined");
	BSON_APPEND_DOCUMENT_BEGIN(to, "inner", &inner);
	BSON_APPEND_BOOL(&inner, "twice", true);
	BSON_APPEND_BOOL(&inner, "twice", false);
	bson_append_document_end(to, &inner);
}

TEST("MongoDB dump: documents of every type pass byte for byte")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t documents, document = BSON_INITIALIZER;

	mo_test_server_share(&s);
	put_odd_document(&document, 1);
	BSON_APPEND_UTF8(&command, "insert", "odd");
	BSON_APPEND_ARRAY_BEGIN(&command, "documents", &documents);
	BSON_APPEND_DOCUMENT(&documents, "0", &document);
	bson_append_array_end(&command, &documents);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
	CHECK_OK(mo_conn_command(&run, c, "shop", &command, NULL, &err), err);
	mo_steps_all(&t, &s, "shop");
	const struct mo_kept_object *o = mo_steps_object(&t, "odd");
	CHECK_INT(o->count, 1);
	CHECK_INT(o->rows.len, document.len);
	CHECK(!memcmp(o->rows.data, bson_get_data(&document), document.len));
	CHECK_STR(js_opt_str(o->facts, "format", ""), "bson");
	CHECK_STR(js_opt_str(o->facts, "type", ""), "collection");
	bson_destroy(&document);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

/* ---- ranges ---- */

static void fill(struct mo_test_server *s, const char *format, int n)
{
	CLEANUP(buf_release) struct buf all = BUF_INIT;

	for (int i = 0; i < n; i++) {
		buf_puts(&all, all.len ? ", {\"_id\": " : "{\"_id\": ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		buf_printf(&all, format, i);
#pragma GCC diagnostic pop
		buf_printf(&all, ", \"text\": \"%0200d\"}", i);
	}
	mo_test_server_insert(s, "shop", "large", buf_str(&all));
}

static void check_split(struct mo_test_server *s)
{
	static struct mo_steps whole, split;

	s->params.split_above = 1ull << 30;
	mo_steps_all(&whole, s, "shop");
	s->params.split_above = 20000;
	mo_steps_all(&split, s, "shop");
	const struct mo_kept_object *a = mo_steps_object(&whole, "large"), *b = mo_steps_object(&split, "large");
	CHECK_INT(a->units, 1);
	CHECK(b->units > 5);
	CHECK_INT(b->count, a->count);
	CHECK(hash128_equal(a->digest, b->digest));
	mo_steps_release(&whole);
	mo_steps_release(&split);
}

TEST("MongoDB dump: ranges of _id of one type and of several give every document once")
{
	static const char *const ids[] = {"%d", "\"k%05d\"", "{\"$oid\": \"65a1b2c3d4e5f607%08x\"}", "{\"part\": %d}"};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct mo_test_server s;

		mo_test_server_share(&s);
		fill(&s, ids[i], 400);
		if (i < 3)
			check_split(&s);
		if (i) {
			fill(&s, ids[0], 900);
			mo_test_server_insert(&s, "shop", "large", "{\"_id\": null}, {\"_id\": {\"$numberDouble\": \"NaN\"}}, {\"_id\": {\"$minKey\": 1}}, {\"_id\": true}");
			check_split(&s);
		}
		mo_test_server_stop(&s);
	}
}

/* ---- what is said ---- */

TEST("MongoDB dump: a server without a set is dumped, and the backup says that it is of no one moment")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(t.objects, 2);
	CHECK_INT(mo_steps_object(&t, "orders")->count, 2);
	CHECK_INT(mo_steps_object(&t, "empty")->count, 0);
	CHECK(t.scope.position == NULL && t.scope.snapshot.us);
	CHECK(mo_test_server_noted(&s, "the server is no member of a replica set, so the collections were read one after the other"));
	CHECK(mo_steps_has(&t.info.not_contained, "one moment"));
	CHECK_STR(t.info.role, "primary");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: metadata and scripts are in the archive as mongorestore and drtool read them")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_steps_all(&t, &s, "shop");
	CHECK_HAS(mo_steps_file(&t, "orders.metadata.json"), "\"expireAfterSeconds\":{\"$numberInt\":\"3600\"}");
	CHECK_HAS(mo_steps_file(&t, "collections.jsonl"), "\"collectionName\":\"empty\"");
	CHECK_HAS(mo_steps_file(&t, "load.sh"), "orders");
	CHECK_HAS(buf_str(&t.items), "index orders: ttl = {\"expireAfterSeconds\":3600");
	CHECK_HAS(buf_str(&t.items), "collection empty = ");
	CHECK_HAS(t.info.restore_text, "mongorestore");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: the database of the URL is dumped, without one all; others are named, and one that is not there is an error that names those that are")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_test_server_insert(&s, "other", "a", "{\"_id\": 1}");
	mo_steps_all(&t, &s, "");
	CHECK_INT(t.info.scopes.len, 2);
	mo_steps_release(&t);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://root@127.0.0.1:%u/other?authSource=admin", s.port);
	s.e.url = url;
	mo_steps_all(&t, &s, "");
	CHECK_INT(t.info.scopes.len, 1);
	CHECK_STR(t.info.scopes.item[0], "other");
	CHECK_STR(t.info.uncovered.item[0], "shop");
	mo_steps_release(&t);
	CHECK_ERR(mo_steps_open(&t, &s, "gone", &err), err, ST_NOT_FOUND, "there is no database gone");
	mo_steps_release(&t);
	CHECK_ERR(mo_steps_open(&t, &s, "local", &err), err, ST_UNSUPPORTED, "belongs to the server itself");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: accounts of a server that keeps them out of sight are named as missing")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_server_share(&s);
	if (s.mongod)
		test_skip("mongod shows its accounts");
	make_shop(&s);
	mo_steps_all(&t, &s, "shop");
	CHECK(mo_steps_has(&t.info.not_contained, "accounts, roles and their rights (root)"));
	CHECK(!t.info.has_password_hashes);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

/* ---- changes meanwhile ---- */

static void check_change(const char *command, const char *said)
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_steps_start(&t, &s, "shop");
	mo_test_server_command(&s, "shop", command, NULL);
	if (strstr(said, "made again"))
		mo_test_server_insert(&s, "shop", "orders", "{\"_id\": 1}");
	mo_steps_ended(&t, said);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: a collection dropped meanwhile ends the dump with its name") { check_change("{\"drop\": \"orders\"}", "collection shop.orders was dropped or renamed while"); }

TEST("MongoDB dump: a collection dropped and made again meanwhile ends the dump with its name")
{
	check_change("{\"drop\": \"orders\"}", "collection shop.orders was dropped or renamed, and made again");
}

TEST("MongoDB dump: a collection made meanwhile ends the dump with its name") { check_change("{\"create\": \"late\"}", "collection shop.late was made"); }

TEST("MongoDB dump: a collection that has its name again at the end, but had another when it was read, is not dumped as empty")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_steps_start(&t, &s, "shop");
	mo_test_server_command(&s, "admin", "{\"renameCollection\": \"shop.orders\", \"to\": \"shop.away\"}", NULL);
	CHECK_INT(mo_steps_read(&t, NULL, &err), ST_SERVER);
	CHECK_HAS(error_text(&err), "collection shop.orders was dropped or renamed while");
	error_release(&err);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: an index dropped meanwhile ends the dump with the name of its collection")
{
	check_change("{\"dropIndexes\": \"orders\", \"index\": \"ttl\"}", "collection shop.orders was changed in its indexes");
}

TEST("MongoDB dump: an index that is there only while the inventory is taken ends the dump, as the backup would promise what it does not hold")
{
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_steps_start(&t, &s, "shop");
	CHECK_OK(mo_steps_read(&t, NULL, &err), err);
	mo_test_server_command(&s, "shop", "{\"createIndexes\": \"orders\", \"indexes\": [{\"key\": {\"total\": 1}, \"name\": \"late\"}]}", NULL);
	CHECK_INT(mo_steps_inventory(&t, &err), ST_SERVER);
	CHECK_HAS(error_text(&err), "collection shop.orders was changed in its indexes while");
	error_release(&err);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

/* ---- a digest ---- */

TEST("MongoDB dump: a digest reads the recorded collections at their place beside, shows parked times as recorded, and misses what is not there")
{
	struct mo_test_server s;
	static struct mo_steps t, digest;
	struct error err = ERROR_INIT;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_steps_all(&t, &s, "shop");
	mo_test_server_insert(&s, "shop", "orders_restore_1a2b3c", "{\"_id\": \"x\", \"a.b\": {\"$numberDouble\": \"NaN\"}}, {\"_id\": 1, \"total\": {\"$numberDecimal\": \"9.90\"}}");
	mo_test_server_command(&s, "shop", "{\"createIndexes\": \"orders_restore_1a2b3c\", \"indexes\": [{\"key\": {\"at\": 1}, \"name\": \"ttl\", \"expireAfterSeconds\": 1500000000}]}",
			       NULL);
	mo_test_server_insert(&s, "shop", "drtool_run_1a2b3c", "{\"_id\": \"run\", \"scope\": \"shop\", \"place\": \"shop.*_restore_1a2b3c\"}, {\"_id\": \"ttl:orders:ttl\", \"seconds\": 3600}");
	const struct recorded r = mo_steps_recorded(&t);
	digest.recorded = &r;
	digest.recorded_scope = (struct recorded_scope){.name = "shop", .database = "shop.*_restore_1a2b3c"};
	mo_steps_start(&digest, &s, "");
	CHECK_INT(digest.objects, 1);
	CHECK_OK(mo_steps_read(&digest, NULL, &err), err);
	CHECK(hash128_equal(digest.object[0].digest, mo_steps_object(&t, "orders")->digest));
	CHECK_OK(mo_steps_inventory(&digest, &err), err);
	CHECK_HAS(buf_str(&digest.items), "index orders: ttl = {\"expireAfterSeconds\":3600");
	CHECK(!strstr(buf_str(&digest.items), "drtool_run") && !strstr(buf_str(&digest.items), "empty"));
	CHECK_OK(mo_steps_end(&digest, &err), err);
	CHECK_INT(digest.files, 0);
	mo_steps_release(&digest);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: what a restore has beside is not part of a backup, which says so")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_server_share(&s);
	make_shop(&s);
	mo_test_server_insert(&s, "shop", "orders_restore_1a2b3c", "{\"_id\": 1}");
	mo_test_server_insert(&s, "shop", "notes_restore_ffffff", "{\"_id\": 1}");
	mo_test_server_insert(&s, "shop", "drtool_run_1a2b3c", "{\"_id\": \"run\", \"scope\": \"shop\", \"place\": \"shop.*_restore_1a2b3c\"}");
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(t.objects, 3);
	mo_steps_object(&t, "notes_restore_ffffff");
	CHECK(!strstr(buf_str(&t.items), "1a2b3c"));
	CHECK(mo_steps_has(&t.info.not_contained, "drtool_run_1a2b3c, orders_restore_1a2b3c: what restores made"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

/* ---- probe and assert ---- */

TEST("MongoDB probe: it tells version, role, databases with their sizes, and what a backup will not have")
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct probe p = PROBE_INIT;

	mo_test_server_share(&s);
	make_shop(&s);
	CHECK_OK(mo_probe(&run, &s.e, true, &p, &err), err);
	CHECK_STR(p.role, "primary");
	CHECK(*p.identity && *p.version && p.data_time.us);
	CHECK_INT(p.databases, 1);
	CHECK_STR(p.database[0].name, "shop");
	CHECK(!p.database[0].empty);
	CHECK_INT(p.missing.len, 0);
	CHECK_INT(p.impossible.len, 0);
	CHECK(mo_steps_has(&p.limits, "not of one moment"));
	probe_release(&p);
	mo_test_server_stop(&s);
}

static void check_assert(struct mo_test_server *s, const char *query, bool expected, const char *expected_answer)
{
	CLEANUP(cstr_release) char *answer = NULL;
	struct error err = ERROR_INIT;
	bool holds = !expected;

	CHECK_OK(mo_assert_query(&run, &s->e, "shop", query, &holds, &answer, &err), err);
	CHECK_STR(answer, expected_answer);
	CHECK(holds == expected);
}

TEST("MongoDB assert: count, find, distinct and aggregate hold where their one answer begins with true or a number that is not 0")
{
	struct mo_test_server s;

	mo_test_server_share(&s);
	make_shop(&s);
	check_assert(&s, "{\"count\": \"orders\"}", true, "2");
	check_assert(&s, "{\"count\": \"orders\", \"query\": {\"_id\": 7}}", false, "0");
	check_assert(&s, "{\"find\": \"orders\", \"filter\": {\"_id\": 1}}", true, "1");
	check_assert(&s, "{\"find\": \"orders\"}", false, "more than one document");
	check_assert(&s, "{\"find\": \"empty\"}", false, "no document");
	check_assert(&s, "{\"distinct\": \"orders\", \"key\": \"_id\", \"query\": {\"_id\": \"x\"}}", false, "\"x\"");
	check_assert(&s, "{\"aggregate\": \"orders\", \"pipeline\": [{\"$count\": \"n\"}], \"cursor\": {}}", true, "2");
	mo_test_server_stop(&s);
}

TEST("MongoDB assert: what writes, is no command or no JSON is refused before the server hears of it")
{
	static const char *const queries[] = {
		"{\"drop\": \"orders\"}", "{\"aggregate\": \"orders\", \"pipeline\": [{\"$out\": \"x\"}]}", "{\"aggregate\": \"orders\", \"pipeline\": [{\"$merge\": \"x\"}]}",
		"db.orders.count()", "{}", "{\"count\": \"orders\", \"$db\": \"admin\"}",
	};
	struct mo_test_server s;
	struct error err = ERROR_INIT;

	mo_test_server_at(&s, "mongodb://127.0.0.1:1/shop", NULL);
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		char *answer = NULL;
		bool holds = true;

		CHECK_INT(mo_assert_query(&run, &s.e, "shop", queries[i], &holds, &answer, &err), ST_CONFIG);
		CHECK_HAS(err.hint, "only reads");
		CHECK(!holds && !answer);
		error_release(&err);
	}
	mo_test_server_stop(&s);
}
