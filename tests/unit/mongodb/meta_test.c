#include <math.h>

#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

/* Its text, as " or as '. */
static char *line_of(const struct mo_meta *m)
{
	struct buf to = BUF_INIT;

	mo_meta_print(m, &to);
	return buf_detach(&to);
}

/* Options go through the text and are the same bytes. `exact`: the text alone does not say them. */
static void check_through(bson_t *options, bool exact)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = {.name = xstrdup("c"), .options = options}, again = MO_META_INIT;
	CLEANUP(mo_bson_freep) bson_t *index = bson_new();

	BSON_APPEND_DOCUMENT(index, "partialFilterExpression", options);
	mo_meta_add_index(&m, index);
	CLEANUP(cstr_release) char *line = line_of(&m);
	if ((strstr(line, "\"exact\":") != NULL) != exact)
		test_fail(__FILE__, __LINE__, "exact is %swanted in %s", exact ? "" : "not ", line);
	CHECK(!strchr(line, '\n'));
	CHECK_OK(mo_meta_parse(line, strlen(line), &again, &err), err);
	CHECK(bson_equal(again.options, m.options));
	CHECK_INT(again.indexes, 1);
	CHECK(bson_equal(again.index[0], m.index[0]));
}

#define THROUGH(...)                              \
	do {                                      \
		bson_t *b = bson_new();           \
		__VA_ARGS__;                      \
		check_through(b, false);          \
	} while (0)
#define THROUGH_EXACTLY(...)                      \
	do {                                      \
		bson_t *b = bson_new();           \
		__VA_ARGS__;                      \
		check_through(b, true);           \
	} while (0)

TEST("numbers of every type and size go through a collection's description unchanged")
{
	static const double doubles[] = {1, -1, 0.1, 1.0 / 3, 1e22, 1e300, 5e-324, 1.7976931348623157e308, -0.0, (double)INFINITY, -(double)INFINITY, (double)NAN};
	static const char *const decimals[] = {"0", "-0E+3", "1.10", "NaN", "Infinity", "-Infinity", "9.999999999999999999999999999999999E+6144", "1E-6176"};
	bson_decimal128_t d;

	for (size_t i = 0; i < ARRAY_LEN(doubles); i++)
		THROUGH(BSON_APPEND_DOUBLE(b, "a", doubles[i]));
	for (size_t i = 0; i < ARRAY_LEN(decimals); i++)
		THROUGH(CHECK(bson_decimal128_from_string(decimals[i], &d)); BSON_APPEND_DECIMAL128(b, "a", &d));
	THROUGH(BSON_APPEND_INT32(b, "a", INT32_MIN); BSON_APPEND_INT32(b, "b", INT32_MAX); BSON_APPEND_INT64(b, "c", 1));
	THROUGH(BSON_APPEND_INT64(b, "a", INT64_MIN); BSON_APPEND_INT64(b, "b", INT64_MAX));
	THROUGH(BSON_APPEND_DATE_TIME(b, "a", INT64_MIN); BSON_APPEND_DATE_TIME(b, "b", INT64_MAX); BSON_APPEND_DATE_TIME(b, "c", -1));
	THROUGH(BSON_APPEND_TIMESTAMP(b, "a", UINT32_MAX, UINT32_MAX); BSON_APPEND_TIMESTAMP(b, "b", 0, 0));
}

TEST("values of every other type go through a collection's description unchanged")
{
	CLEANUP(mo_bson_freep) bson_t *scope = document("{'x':{'$numberInt':'1'}}");
	bson_oid_t oid;

	bson_oid_init_from_string(&oid, "0123456789abcdef01234567");
	THROUGH(BSON_APPEND_OID(b, "a", &oid); BSON_APPEND_DBPOINTER(b, "b", "d.c", &oid));
	for (int subtype = 0; subtype < 256; subtype += 3)
		THROUGH(BSON_APPEND_BINARY(b, "a", (bson_subtype_t)subtype, (const uint8_t *)"\0\1\377ab", 5));
	for (uint32_t n = 0; n < 5; n++)
		THROUGH(BSON_APPEND_BINARY(b, "a", BSON_SUBTYPE_BINARY, (const uint8_t *)"\377\376\375\374", n));
	THROUGH(BSON_APPEND_BINARY(b, "a", BSON_SUBTYPE_BINARY_DEPRECATED, (const uint8_t *)"ab", 2));
	THROUGH(BSON_APPEND_REGEX(b, "a", "a/b\"\\", "imx"); BSON_APPEND_CODE(b, "b", "f(\"x\")"); BSON_APPEND_CODE_WITH_SCOPE(b, "c", "f", scope));
	THROUGH(BSON_APPEND_SYMBOL(b, "a", "s"); BSON_APPEND_UNDEFINED(b, "b"); BSON_APPEND_NULL(b, "c"); BSON_APPEND_BOOL(b, "d", true));
	THROUGH(BSON_APPEND_MINKEY(b, "a"); BSON_APPEND_MAXKEY(b, "b"));
	THROUGH(bson_append_utf8(b, "a", -1, "x\0y", 3); BSON_APPEND_UTF8(b, "b", "\1\n\t\x7f\xc3\xa9\xf0\x9f\x98\x80\"\\/"); BSON_APPEND_UTF8(b, "c", ""));
}

TEST("keys that are empty, twice there, with dots, dollars or quotes go through a collection's description unchanged")
{
	THROUGH(BSON_APPEND_INT32(b, "", 1); BSON_APPEND_INT32(b, "", 2));
	THROUGH(BSON_APPEND_INT32(b, "a", 1); BSON_APPEND_UTF8(b, "a", "2"); BSON_APPEND_INT32(b, "a", 1));
	THROUGH(BSON_APPEND_INT32(b, "a.b", 1); BSON_APPEND_INT32(b, "$x", 2); BSON_APPEND_INT32(b, "\"\n\\\xc3\xa9", 3));
}

TEST("operators of validators that look like values of Extended JSON stay operators")
{
	static const char *const texts[] = {
		"{'$regex':'^a'}", "{'$regex':'^a','$options':'i'}", "{'$regex':{'$regularExpression':{'pattern':'^a','options':''}}}", "{'$options':'i'}",
		"{'$type':'string'}", "{'$type':['int','long']}", "{'$type':{'$numberInt':'2'}}", "{'$date':'2020-01-01T00:00:00Z'}", "{'$oid':'x'}",
		"{'$ref':'c','$id':{'$oid':'0123456789abcdef01234567'}}", "{'$binary':'x'}", "{'$timestamp':{'x':true}}", "{'$minKey':{'$numberInt':'2'}}",
		"{'$numberLong':'zz'}", "{'$numberInt':'99999999999'}", "{'$numberDouble':'1e999'}", "{'$scope':{}}", "{'$undefined':false}", "{'$dbPointer':'x'}",
		"{'$oid':'0123456789abcdef01234567','a':null}", "{'$numberInt':'05'}", "{'$uuid':'01234567-89ab-cdef-0123-456789abcdef'}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(cstr_release) char *text = xasprintf("{'a':%s}", texts[i]);

		check_through(document(text), false);
	}
}

TEST("what Extended JSON cannot say is in a collection's description once more as BSON")
{
	static const char *const keys[] = {"$oid", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$symbol", "$code"};
	static const char *const values[] = {"0123456789abcdef01234567", "5", "5", "5", "5", "s", "f"};
	bson_decimal128_t odd = {.low = 1, .high = UINT64_MAX};
	bson_t child;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		THROUGH_EXACTLY(BSON_APPEND_DOCUMENT_BEGIN(b, "a", &child); BSON_APPEND_UTF8(&child, keys[i], values[i]); bson_append_document_end(b, &child));
	THROUGH_EXACTLY(BSON_APPEND_DECIMAL128(b, "a", &odd));
	THROUGH_EXACTLY(bson_append_utf8(b, "a", -1, "\xff\xfe", 2));
	THROUGH_EXACTLY(bson_append_utf8(b, "a", -1, "\xed\xa0\x80", 3));
	THROUGH_EXACTLY(BSON_APPEND_INT32(b, "\xc3", 1));
}

static bson_t *nested(unsigned levels)
{
	bson_t *b = bson_new();

	for (unsigned i = 1; i < levels; i++) {
		bson_t *outer = bson_new();

		if (i % 2)
			BSON_APPEND_DOCUMENT(outer, "0", b);
		else
			BSON_APPEND_ARRAY(outer, "0", b);
		bson_destroy(b);
		b = outer;
	}
	return b;
}

TEST("options nested a hundred and two hundred levels deep go through a collection's description unchanged")
{
	check_through(nested(100), false);
	check_through(nested(200), false);
}

TEST("a document of a million levels is told apart without reading to its end")
{
	const size_t levels = 1000000;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	bson_t doc;

	for (size_t i = 0; i < levels; i++) {
		const uint32_t n = (uint32_t)((levels - i - 1) * 8 + 5);

		buf_put(&b, &n, 4);
		if (i + 1 < levels)
			buf_put(&b, "\3d\0", 3);
	}
	for (size_t i = 0; i < levels; i++)
		buf_putc(&b, 0);
	CHECK(bson_init_static(&doc, (const uint8_t *)b.data, b.len));
	CHECK(!mo_bson_is_sound(&doc));
	CHECK_ERR(mo_meta_listed(&doc, &m, &err), err, ST_SERVER, "cannot be read");
}

TEST("a document that does not end by a byte 0 of its own is none")
{
	static const uint8_t good[] = {13, 0, 0, 0, 3, 'a', 0, 5, 0, 0, 0, 0, 0}, member[] = {14, 0, 0, 0, 3, 'a', 0, 6, 0, 0, 0, 10, 0, 0},
			     other[] = {13, 0, 0, 0, 3, 'a', 0, 5, 0, 0, 0, 1, 0}, shared[] = {12, 0, 0, 0, 3, 'a', 0, 5, 0, 0, 0, 0};
	bson_t doc;

	CHECK(bson_init_static(&doc, good, sizeof good));
	CHECK(mo_bson_is_sound(&doc));
	CHECK(bson_init_static(&doc, member, sizeof member));
	CHECK(!mo_bson_is_sound(&doc));
	CHECK(bson_init_static(&doc, other, sizeof other));
	CHECK(!mo_bson_is_sound(&doc));
	CHECK(bson_init_static(&doc, shared, sizeof shared));
	CHECK(!mo_bson_is_sound(&doc));
}

TEST("a collection without options and indexes is described with empty ones, as mongorestore wants them")
{
	CLEANUP(mo_meta_release) struct mo_meta m = {.name = xstrdup("a\"b"), .options = bson_new()};
	CLEANUP(cstr_release) char *line = line_of(&m);

	CHECK_STR(line, "{\"options\":{},\"indexes\":[],\"uuid\":\"\",\"collectionName\":\"a\\\"b\",\"type\":\"collection\"}");
}

TEST("what the server lists of a collection is its name, kind, options and uuid")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	CLEANUP(mo_bson_freep) bson_t *b = document("{'name':'o','type':'collection','options':{'capped':true,'size':{'$numberInt':'4096'}},'info':{'readOnly':false,"
						    "'uuid':{'$binary':{'base64':'ASNFZ4mrze8BI0VniavN7w==','subType':'04'}}},"
						    "'idIndex':{'v':{'$numberInt':'2'},'key':{'_id':{'$numberInt':'1'}},'name':'_id_'}}");
	CLEANUP(mo_bson_freep) bson_t *index = document("{'v':{'$numberInt':'2'},'key':{'_id':{'$numberInt':'1'}},'name':'_id_'}");

	CHECK_OK(mo_meta_listed(b, &m, &err), err);
	mo_meta_add_index(&m, index);
	CLEANUP(cstr_release) char *line = line_of(&m);
	CHECK_STR(line, "{\"options\":{\"capped\":true,\"size\":{\"$numberInt\":\"4096\"}},\"indexes\":[{\"v\":{\"$numberInt\":\"2\"},\"key\":{\"_id\":"
			"{\"$numberInt\":\"1\"}},\"name\":\"_id_\"}],\"uuid\":\"0123456789abcdef0123456789abcdef\",\"collectionName\":\"o\","
			"\"type\":\"collection\"}");
}

TEST("views and time series are read from the server's list and back from their description")
{
	static const struct {
		const char *text;
		enum mo_kind kind;
	} listed[] = {{"{'name':'v','type':'view','options':{'viewOn':'o','pipeline':[]},'info':{'readOnly':true}}", MO_VIEW},
		      {"{'name':'t','type':'timeseries','options':{'timeseries':{'timeField':'t'}},'info':{}}", MO_TIMESERIES},
		      {"{'name':'c'}", MO_COLLECTION}};

	for (size_t i = 0; i < ARRAY_LEN(listed); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT, again = MO_META_INIT;
		CLEANUP(mo_bson_freep) bson_t *b = document(listed[i].text);

		CHECK_OK(mo_meta_listed(b, &m, &err), err);
		CHECK_INT(m.kind, listed[i].kind);
		CLEANUP(cstr_release) char *line = line_of(&m);
		CHECK_OK(mo_meta_parse(line, strlen(line), &again, &err), err);
		CHECK_INT(again.kind, listed[i].kind);
		CHECK_STR(again.name, m.name);
		CHECK_STR(again.uuid, "");
	}
}

TEST("a collection that the server lists in a form that drtool does not know is an error that names it")
{
	static const struct {
		const char *text, *part;
	} listed[] = {{"{'type':'collection'}", "no name"}, {"{'name':''}", "cannot be one"}, {"{'name':'a\\u0000b'}", "cannot be one"},
		      {"{'name':true}", "cannot be one"}, {"{'name':'o','type':'queue'}", "collection o is of a type that drtool does not know: queue"},
		      {"{'name':'o','type':null}", "collection o"}, {"{'name':'o','options':[]}", "options of collection o"},
		      {"{'name':'o','info':{'uuid':'x'}}", "uuid of collection o"}, {"{'name':'o','name':'p'}", "cannot be one"}};

	for (size_t i = 0; i < ARRAY_LEN(listed); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
		CLEANUP(mo_bson_freep) bson_t *b = document(listed[i].text);

		CHECK_ERR(mo_meta_listed(b, &m, &err), err, ST_SERVER, listed[i].part);
	}
}

TEST("a description of a collection that is hostile or of another form is bad")
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{"", "no document"}, {"[]", "no document"}, {"{", "no key"}, {"{}", "no name"}, {"{'collectionName':'c'} x", "behind"},
		{"{'collectionName':'c'}{}", "behind"}, {"{'collectionName':''}", "another form"}, {"{'collectionName':'a\\u0000'}", "another form"},
		{"{'collectionName':'c','collectionName':'c'}", "another form"}, {"{'collectionName':'c','type':'queue'}", "type is of another form"},
		{"{'collectionName':'c','options':[]}", "options is of another form"}, {"{'collectionName':'c','options':{},'options':{}}", "another form"},
		{"{'collectionName':'c','indexes':{}}", "indexes is of another form"}, {"{'collectionName':'c','indexes':[{},1]}", "another form"},
		{"{'collectionName':'c','uuid':'x'}", "uuid is of another form"}, {"{'collectionName':'c','uuid':'0123'}", "another form"},
		{"{'collectionName':'c','exact':true}", "exact is of another form"},
		{"{'collectionName':'c','exact':{'$binary':{'base64':'BQAAAAA=','subType':'00'}}}", "exact is of another form"},
		{"{'collectionName':'c','exact':{'$binary':{'base64':'BQAAAA==','subType':'00'}}}", "exact is of another form"},
		{"{'a\\u0000b':1}", "a key with a byte 0"}, {"{'a':'\\ud800'}", "half a character"}, {"{'a':'\\udc00\\ud800'}", "half a character"},
		{"{'a':'\xff'}", "a byte that no text may have at byte 6"}, {"{'a':'\n'}", "a byte that no text may have"}, {"{'a':'", "a text without end"},
		{"{'a':'\\x'}", "an escape"}, {"{'a':1,}", "no key"}, {"{'a' 1}", "no colon"}, {"{'a':1 'b':2}", "no comma"}, {"{a:1}", "no key"},
		{"{'a':99999999999999999999}", "too large"}, {"{'a':1e999}", "too large"}, {"{'a':01}", "a value that is none"}, {"{'a':-}", "a value"},
		{"{'a':1.}", "a number without end"}, {"{'a':1e}", "a number without end"}, {"{'a':nul}", "a value that is none"}, {"{'a':[1,]}", "a value"},
		{"{'a':[1", "a document without end"}, {"{'a':[1}", "no comma"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
		CLEANUP(cstr_release) char *text = xstrdup(bad[i].text);

		for (char *p = text; *p; p++)
			if (*p == '\'')
				*p = '"';
		CHECK_ERR(mo_meta_parse(text, strlen(text), &m, &err), err, ST_BAD, bad[i].part);
	}
}

TEST("a description with a byte 0 behind it or nested without end is bad")
{
	static const char text[] = "{\"collectionName\":\"c\"}";
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	CLEANUP(buf_release) struct buf deep = BUF_INIT;

	CHECK_ERR(mo_meta_parse(text, sizeof text, &m, &err), err, ST_BAD, "behind");
	for (int i = 0; i < 1000000; i++)
		buf_puts(&deep, "{\"a\":");
	CHECK_ERR(mo_meta_parse(buf_str(&deep), deep.len, &m, &err), err, ST_BAD, "nested too deeply");
}

TEST("a description made by mongodump or with plain numbers is read too, and unknown members are passed over")
{
	static const char text[] = " {\"indexes\":[{\"v\":2,\"key\":{\"a\":1.5},\"x\":5000000000,\"name\":\"a_1\"}],\"later\":{\"x\":[1]},\"uuid\":\"\","
				   "\"collectionName\":\"c\"}\n";
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;

	CHECK_OK(mo_meta_parse(text, strlen(text), &m, &err), err);
	CHECK_INT(m.kind, MO_COLLECTION);
	CHECK_STR(printed(m.options), "{}");
	CHECK_INT(m.indexes, 1);
	CHECK_STR(printed(m.index[0]), "{'v':{'$numberInt':'2'},'key':{'a':{'$numberDouble':'1.5'}},'x':{'$numberLong':'5000000000'},'name':'a_1'}");
}
