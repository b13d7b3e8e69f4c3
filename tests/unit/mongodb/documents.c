#include "tests/unit/mongodb/documents.h"

#include "tests/lib/test.h"

static char *quotes(const char *text, char from, char to)
{
	char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		if (*p == from)
			*p = to;
	return copy;
}

bson_t *document(const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *json = quotes(text, '\'', '"');
	bson_t *b = NULL;

	CHECK_OK(mo_ejson_parse(json, strlen(json), &b, &err), err);
	return b;
}

void meta_of(struct mo_meta *m, const char *options, const char *indexes)
{
	CLEANUP(mo_bson_freep) bson_t *all = NULL;
	CLEANUP(cstr_release) char *text = xasprintf("{'i':%s}", indexes);
	bson_iter_t it, each;

	m->name = xstrdup("c");
	m->options = document(options);
	all = document(text);
	CHECK(bson_iter_init_find(&it, all, "i") && bson_iter_recurse(&it, &each));
	while (bson_iter_next(&each)) {
		const uint8_t *data;
		uint32_t n;
		bson_t one;

		bson_iter_document(&each, &n, &data);
		CHECK(bson_init_static(&one, data, n));
		mo_meta_add_index(m, &one);
	}
}

const char *printed(const bson_t *b)
{
	static char text[4000];
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	mo_ejson_print(b, false, &to);
	CLEANUP(cstr_release) char *shown = quotes(buf_str(&to), '"', '\'');
	CHECK(to.len < sizeof text);
	memcpy(text, shown, to.len + 1);
	return text;
}

/* ---- values of _id ---- */

static const char *const numbers[] = {
	"{'$numberInt':'-2147483648'}", "{'$numberInt':'-1'}", "{'$numberInt':'0'}", "{'$numberInt':'7'}", "{'$numberInt':'2147483647'}",
	"{'$numberLong':'-9223372036854775808'}", "{'$numberLong':'9223372036854775807'}", "{'$numberLong':'9007199254740993'}",
	"{'$numberDouble':'9007199254740992.0'}", "{'$numberDouble':'-0.0'}", "{'$numberDouble':'0.5'}", "{'$numberDouble':'1e300'}", "{'$numberDouble':'5e-324'}",
	"{'$numberDouble':'9223372036854775808.0'}", "{'$numberDouble':'Infinity'}", "{'$numberDouble':'-Infinity'}", "{'$numberDouble':'NaN'}",
	"{'$numberDecimal':'NaN'}", "{'$numberDecimal':'0.10'}", "{'$numberDecimal':'7.5'}", "{'$numberDecimal':'1E+6000'}", "{'$numberDecimal':'-1E+6000'}",
	"{'$numberDecimal':'Infinity'}", "{'$numberDecimal':'-Infinity'}", "{'$numberDecimal':'1E-6000'}",
};
static const char *const strings[] = {"''", "'A'", "'a'", "'a\\u0000'", "'a\\u0000b'", "'aa'", "'b'", "'\xc3\xa9'", "'z'", "{'$symbol':''}", "{'$symbol':'m'}", "{'$symbol':'zz'}"};
static const char *const oids[] = {"{'$oid':'000000000000000000000000'}", "{'$oid':'5f0000000000000000000000'}", "{'$oid':'5f0000000000000000000001'}",
				   "{'$oid':'7fffffffffffffffffffffff'}", "{'$oid':'ffffffffffffffffffffffff'}"};
static const char *const dates[] = {"{'$date':{'$numberLong':'-9223372036854775808'}}", "{'$date':{'$numberLong':'-1'}}", "{'$date':{'$numberLong':'0'}}",
				    "{'$date':{'$numberLong':'1600000000000'}}", "{'$date':{'$numberLong':'9223372036854775807'}}"};
static const char *const binaries[] = {"{'$binary':{'base64':'','subType':'00'}}", "{'$binary':{'base64':'/w==','subType':'00'}}",
				       "{'$binary':{'base64':'AA==','subType':'80'}}", "{'$binary':{'base64':'AAAAAAAAAAAAAAAAAAAAAA==','subType':'04'}}",
				       "{'$binary':{'base64':'ASNFZ4mrze8BI0VniavN7w==','subType':'04'}}",
				       "{'$binary':{'base64':'/////////////////////w==','subType':'04'}}", "{'$binary':{'base64':'ASNFZ4mrze8BI0VniavN7w==','subType':'03'}}"};
static const char *const timestamps[] = {"{'$timestamp':{'t':0,'i':0}}", "{'$timestamp':{'t':1,'i':4294967295}}", "{'$timestamp':{'t':2,'i':0}}",
					 "{'$timestamp':{'t':4294967295,'i':4294967295}}"};
static const char *const objects[] = {"{}", "{'a':1}", "{'a':2}", "{'a':{'$numberDouble':'NaN'}}", "{'a':{}}", "{'$ref':'c','$id':1}", "{'b':null}"};
static const char *const others[] = {"null", "true", "false", "{'$minKey':1}", "{'$maxKey':1}", "{'$undefined':true}", "{'$code':'f'}", "{'$code':'f','$scope':{}}",
				     "{'$regularExpression':{'pattern':'a','options':''}}", "{'$dbPointer':{'$ref':'c','$id':{'$oid':'000000000000000000000000'}}}"};

const struct id_kind id_kinds[ID_KINDS] = {
	[ID_NUMBERS] = {numbers, ARRAY_LEN(numbers), false},
	[ID_STRINGS] = {strings, ARRAY_LEN(strings), true},
	[ID_OBJECT_IDS] = {oids, ARRAY_LEN(oids), false},
	[ID_DATES] = {dates, ARRAY_LEN(dates), false},
	[ID_BINARIES] = {binaries, ARRAY_LEN(binaries), false},
	[ID_TIMESTAMPS] = {timestamps, ARRAY_LEN(timestamps), false},
	[ID_OBJECTS] = {objects, ARRAY_LEN(objects), true},
	[ID_OTHERS] = {others, ARRAY_LEN(others), false},
};

bson_t *document_with_id(const char *text)
{
	CLEANUP(cstr_release) char *json = xasprintf("{'a':1,'_id':%s}", text);

	return document(json);
}
