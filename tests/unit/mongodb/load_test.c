#include "drivers/mongodb/load.h"

#include "tests/lib/test.h"

/* ---- documents out of bytes ---- */

struct seen {
	size_t n;
	int32_t sum;
};

static enum status see(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct seen *s = ctx;
	bson_iter_t at;

	s->n++;
	if (bson_iter_init_find(&at, doc, "i") && BSON_ITER_HOLDS_INT32(&at))
		s->sum += bson_iter_int32(&at);
	return ST_OK;
}

static void put(struct buf *to, int32_t i, size_t size)
{
	bson_t b = BSON_INITIALIZER;
	char *text = xcalloc(1, size + 1);

	memset(text, 'x', size);
	BSON_APPEND_INT32(&b, "i", i);
	BSON_APPEND_UTF8(&b, "t", text);
	buf_put(to, bson_get_data(&b), b.len);
	bson_destroy(&b);
	free(text);
}

TEST("MongoDB load: documents are found in pieces of any size")
{
	CLEANUP(buf_release) struct buf all = BUF_INIT;
	struct error err = ERROR_INIT;

	for (int32_t i = 0; i < 40; i++)
		put(&all, i, (size_t)i * 3);
	for (size_t piece = 1; piece <= all.len; piece += piece < 70 ? 1 : 997) {
		CLEANUP(buf_release) struct buf part = BUF_INIT;
		struct seen s = {0};

		for (size_t at = 0; at < all.len; at += piece)
			CHECK_OK(mo_split(&part, all.data + at, min_size(piece, all.len - at), see, &s, &err), err);
		CHECK_INT(s.n, 40);
		CHECK_INT(s.sum, 40 * 39 / 2);
		CHECK_INT(part.len, 0);
	}
}

static void refused(const void *p, size_t n, const char *why)
{
	for (size_t piece = 1; piece <= n; piece += n - 1) {
		CLEANUP(buf_release) struct buf part = BUF_INIT;
		struct error err = ERROR_INIT;
		struct seen s = {0};
		enum status st = ST_OK;

		for (size_t at = 0; at < n && !st; at += piece)
			st = mo_split(&part, (const char *)p + at, min_size(piece, n - at), see, &s, &err);
		CHECK_ERR(st, err, ST_BAD, why);
	}
}

TEST("MongoDB load: bytes that are no documents are refused before anything of them is sent")
{
	refused("\4\0\0\0\0", 5, "says that it has 4 bytes");
	refused("\377\377\377\377\0", 5, "says that it has 4294967295 bytes");
	refused("\0\0\0\20\0", 5, "says that it has 268435456 bytes");
	refused("\6\0\0\0\0\1", 6, "6 bytes in the archive");
	refused("\14\0\0\0\20a\0\1\0\0\0\1", 12, "12 bytes in the archive");
	refused("\20\0\0\0\2a\0\377\0\0\0x\0\0\0\0", 16, "is damaged");
}

TEST("MongoDB load: the _id of a document is shown as Extended JSON, and cut")
{
	const struct {
		const char *json, *shown;
	} all[] = {
		{"{\"_id\": 7}", "{ \"$numberInt\" : \"7\" }"},
		{"{\"a\": 1, \"_id\": \"x\"}", "\"x\""},
		{"{\"_id\": {\"a\": {\"b\": true}}}", "{ \"a\" : { \"b\" : true } }"},
		{"{\"a\": 1}", "none"},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		bson_t *b = bson_new_from_json((const uint8_t *)all[i].json, -1, NULL);
		CLEANUP(cstr_release) char *text = mo_id_text(b);

		CHECK_STR(text, all[i].shown);
		bson_destroy(b);
	}
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	char long_text[1000];
	memset(long_text, 'y', sizeof long_text);
	long_text[sizeof long_text - 1] = 0;
	BSON_APPEND_UTF8(&doc, "_id", long_text);
	CLEANUP(cstr_release) char *text = mo_id_text(&doc);
	CHECK_INT(strlen(text), 203);
}

/* ---- what is meant ---- */

static const char collections[] =
	"{\"options\":{},\"indexes\":[],\"uuid\":\"\",\"collectionName\":\"fs.files\",\"type\":\"collection\"}\n"
	"{\"options\":{},\"indexes\":[],\"uuid\":\"\",\"collectionName\":\"orders\",\"type\":\"collection\"}\n"
	"{\"options\":{\"viewOn\":\"orders\",\"pipeline\":[]},\"indexes\":[],\"collectionName\":\"v\",\"type\":\"view\"}\n";

static enum status each(void *ctx UNUSED, const char *scope, enum status (*fn)(void *arg, const struct recorded_object *o, struct error *err), void *arg,
			struct error *err)
{
	const struct recorded_object a = {.id = 4, .scope = scope, .name = "fs.files", .rows = 2, .raw = 20}, b = {.id = 1, .scope = scope, .name = "orders", .rows = 3, .raw = 30};

	return fn(arg, &a, err) ? err->code : fn(arg, &b, err);
}

static enum status file(void *ctx UNUSED, const char *scope UNUSED, const char *path, struct byte_sink to, struct error *err)
{
	if (strcmp(path, MO_COLLECTIONS_PATH))
		return error_set(err, ST_NOT_FOUND, "no file %s", path);
	return to.write(to.ctx, collections, strlen(collections), err);
}

static const struct recorded recorded = {each, file, NULL};

struct asking {
	struct strlist scopes, tables, exclude;
	struct load_request q;
	struct mo_wish w;
};

static void asking_init(struct asking *a)
{
	*a = (struct asking){.q = {.recorded = &recorded, .run = "0a1b2c"}};
	strlist_add(&a->scopes, "shop");
	a->q.scopes = &a->scopes;
	a->q.tables = &a->tables;
	a->q.exclude_tables = &a->exclude;
}

static void asking_release(struct asking *a)
{
	strlist_release(&a->scopes);
	strlist_release(&a->tables);
	strlist_release(&a->exclude);
	mo_wish_release(&a->w);
}

TEST("MongoDB load: all collections of the archive are meant, with the suffix of their place")
{
	CLEANUP(asking_release) struct asking a;
	struct error err = ERROR_INIT;
	char database[] = "shop", suffix[] = "_restore_0a1b2c";
	const struct mo_where at = {database, suffix};

	asking_init(&a);
	CHECK_OK(mo_wish_make(&a.q, "shop", &a.w, &err), err);
	CHECK_INT(a.w.items, 3);
	CHECK_INT(a.w.objects, 2);
	CHECK_INT(a.w.rows, 5);
	mo_wish_place(&a.w, &at);
	CHECK_STR(mo_wish_object(&a.w, 4)->place, "fs.files_restore_0a1b2c");
	CHECK(!mo_wish_object(&a.w, 2));
}

TEST("MongoDB load: a collection is named with its database or without, in quotes or not, whatever dots its name has")
{
	static const char *const names[] = {"fs.files", "shop.fs.files", "\"fs.files\"", "shop.\"fs.files\"", "\"shop\".fs.files"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(asking_release) struct asking a;
		struct error err = ERROR_INIT;
		const struct load_name rename = {names[i], i % 2 ? "shop.new.name" : "\"new.name\""};

		asking_init(&a);
		strlist_add(&a.tables, names[i]);
		a.q.rename = &rename;
		a.q.renames = 1;
		CHECK_OK(mo_wish_make(&a.q, "shop", &a.w, &err), err);
		CHECK_INT(a.w.items, 1);
		CHECK_STR(a.w.item[0].to, "new.name");
	}
}

TEST("MongoDB load: --rename of a database is told from that of a collection, and what fits nothing is refused")
{
	CLEANUP(asking_release) struct asking a;
	struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *to = NULL;
	struct load_name rename[] = {{"shop", "shop2"}, {"orders", "shop2.o2"}};

	asking_init(&a);
	a.q.rename = rename;
	a.q.renames = 2;
	CHECK_OK(mo_wish_database(&a.q, "shop", &to, &err), err);
	CHECK_STR(to, "shop2");
	CHECK_OK(mo_wish_make(&a.q, "shop", &a.w, &err), err);
	CHECK_STR(mo_wish_object(&a.w, 1)->to, "o2");
	mo_wish_release(&a.w);
	rename[1].to = "elsewhere.o2";
	CHECK_ERR(mo_wish_make(&a.q, "shop", &a.w, &err), err, ST_USAGE, "goes into the database shop2 with its own, not into elsewhere");
	mo_wish_release(&a.w);
	rename[1].to = "fs.files";
	CHECK_ERR(mo_wish_make(&a.q, "shop", &a.w, &err), err, ST_USAGE, "");
	mo_wish_release(&a.w);
	rename[1].to = "v";
	CHECK_ERR(mo_wish_make(&a.q, "shop", &a.w, &err), err, ST_USAGE, "two collections would be called v");
	mo_wish_release(&a.w);
	rename[1].from = "nothing";
	CHECK_ERR(mo_wish_make(&a.q, "shop", &a.w, &err), err, ST_NOT_FOUND, "has no such collection");
}

/* ---- TTL ---- */

TEST("MongoDB load: a parked index keeps all but its time")
{
	bson_t *b = bson_new_from_json((const uint8_t *)"{\"v\": 2, \"expireAfterSeconds\": 60, \"name\": \"n\", \"key\": {\"a\": 1}}", -1, NULL);
	CLEANUP(mo_doc_release) bson_t to = BSON_INITIALIZER;
	bson_iter_t at;

	CHECK(mo_ttl_of(b, &at));
	mo_ttl_park(b, &to);
	char *json = bson_as_relaxed_extended_json(&to, NULL);
	CHECK_STR(json, "{ \"v\" : 2, \"expireAfterSeconds\" : 1500000000, \"name\" : \"n\", \"key\" : { \"a\" : 1 } }");
	bson_free(json);
	bson_destroy(b);
}
