#include "util/json.h"

#include "tests/lib/child.h"
#include "tests/lib/test.h"

static json_t *parsed(const char *text)
{
	struct error e = ERROR_INIT;
	json_t *j = NULL;

	CHECK_OK(js_parse(text, strlen(text), "test", &j, &e), e);
	return j;
}

TEST("JSON that is read and written keeps the order of its keys")
{
	static const char text[] = "{\"b\":1,\"a\":[true,null,\"x\"],\"c\":{\"z\":1.5,\"y\":-2}}";
	CLEANUP(js_decref) json_t *j = parsed(text);
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	js_write(j, false, &b);
	CHECK_STR(buf_str(&b), text);
	buf_clear(&b);
	js_write(j, true, &b);
	CHECK_HAS(buf_str(&b), "{\n  \"b\": 1,\n");
}

TEST("broken JSON is refused with line and column")
{
	static const struct {
		const char *text, *part;
	} bad[] = {{"", "test:1:0: "},
		   {"{\"a\":1,\n \"a\":2}", "test:2:4: duplicate object key"},
		   {"{} x", "test:1:4: end of file expected"},
		   {"{\"a\":01}", "test:1:"},
		   {"{\"a\":9223372036854775808}", "too big"},
		   {"{\"a\":\"\xff\"}", "test:1:"},
		   {"{\"a\":\"x\\u0000y\"}", "test:1:"},
		   {"[1,]", "test:1:"},
		   {"3", "test:1:"}};
	struct error e = ERROR_INIT;
	json_t *j = NULL;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_ERR(js_parse(bad[i].text, strlen(bad[i].text), "test", &j, &e), e, ST_BAD, bad[i].part);
	CHECK_ERR(js_parse(NULL, 0, "test", &j, &e), e, ST_BAD, "test:1:");
	CHECK(!j);
}

TEST("JSON nested 64 deep is read and one level more is not")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct error e = ERROR_INIT;
	json_t *j = NULL;

	for (int i = 0; i < 64; i++)
		buf_putc(&b, '[');
	buf_puts(&b, "\"[[[\\\"[[[\"");
	for (int i = 0; i < 64; i++)
		buf_putc(&b, ']');
	CHECK_OK(js_parse(b.data, b.len, "test", &j, &e), e);
	js_decref(&j);
	buf_clear(&b);
	buf_putc(&b, '\n');
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, '[');
	CHECK_ERR(js_parse(b.data, b.len, "test", &j, &e), e, ST_BAD, "test:2:65: nested deeper than 64 levels");
}

TEST("a required member of the right type is given")
{
	CLEANUP(js_decref) json_t *j = parsed("{\"s\":\"x\",\"n\":7,\"b\":true,\"t\":\"2026-11-20T02:00:00Z\",\"l\":[],\"o\":{}}");
	struct error e = ERROR_INIT;
	const char *s;
	uint64_t n;
	bool b;
	struct instant t;
	json_t *inner;

	CHECK_OK(js_str(j, "m", "s", &s, &e), e);
	CHECK_STR(s, "x");
	CHECK_OK(js_u64(j, "m", "n", &n, &e), e);
	CHECK_INT(n, 7);
	CHECK_OK(js_bool(j, "m", "b", &b, &e), e);
	CHECK(b);
	CHECK_OK(js_time(j, "m", "t", &t, &e), e);
	CHECK_INT(t.us, INT64_C(1795140000000000));
	CHECK_OK(js_arr(j, "m", "l", &inner, &e), e);
	CHECK(json_is_array(inner));
	CHECK_OK(js_obj(j, "m", "o", &inner, &e), e);
	CHECK(json_is_object(inner));
}

TEST("a required member that is absent, null or of another type is an error with its name")
{
	CLEANUP(js_decref) json_t *j = parsed("{\"null\":null,\"neg\":-1,\"real\":1.0,\"s\":\"x\"}");
	struct error e = ERROR_INIT;
	const char *s;
	uint64_t n;
	bool b;
	struct instant t;
	json_t *inner;

	CHECK_ERR(js_str(j, "manifest", "absent", &s, &e), e, ST_BAD, "manifest: \"absent\" is missing");
	CHECK_ERR(js_u64(j, "manifest", "null", &n, &e), e, ST_BAD, "manifest: \"null\" is missing");
	CHECK_ERR(js_u64(j, "manifest", "neg", &n, &e), e, ST_BAD, "\"neg\" is not a number from 0");
	CHECK_ERR(js_u64(j, "manifest", "real", &n, &e), e, ST_BAD, "\"real\" is not a number from 0");
	CHECK_ERR(js_str(j, "manifest", "neg", &s, &e), e, ST_BAD, "\"neg\" is not a string");
	CHECK_ERR(js_bool(j, "manifest", "s", &b, &e), e, ST_BAD, "\"s\" is not true or false");
	CHECK_ERR(js_time(j, "manifest", "s", &t, &e), e, ST_BAD, "manifest: \"s\": not a time: \"x\"");
	CHECK_ERR(js_arr(j, "manifest", "s", &inner, &e), e, ST_BAD, "\"s\" is not a list");
	CHECK_ERR(js_obj(j, "manifest", "s", &inner, &e), e, ST_BAD, "\"s\" is not an object");
	CHECK_ERR(js_str(NULL, "manifest", "s", &s, &e), e, ST_BAD, "missing");
}

TEST("an optional member falls back where it is absent or null")
{
	CLEANUP(js_decref) json_t *j = parsed("{\"s\":\"x\",\"n\":7,\"b\":false,\"t\":\"2026-11-20\",\"null\":null}");

	CHECK_STR(js_opt_str(j, "s", "y"), "x");
	CHECK_STR(js_opt_str(j, "null", "y"), "y");
	CHECK_INT(js_opt_u64(j, "n", 1), 7);
	CHECK_INT(js_opt_u64(j, "absent", 1), 1);
	CHECK(!js_opt_bool(j, "b", true));
	CHECK(js_opt_bool(j, "absent", true));
	CHECK_INT(js_opt_time(j, "t").us, INT64_C(1795132800000000));
	CHECK_INT(js_opt_time(j, "absent").us, 0);
	CHECK_INT(js_opt_time(j, "s").us, 0);
}

TEST("members are set in their text forms and nothing is set for none")
{
	CLEANUP(js_decref) json_t *j = json_object();
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	json_t *list = json_array();

	CHECK(js_set_str(j, "s", "x"));
	CHECK(js_set_str(j, "none", NULL));
	js_set_u64(j, "n", INT64_MAX);
	js_set_bool(j, "b", true);
	js_set_time(j, "t", (struct instant){INT64_C(1795140000999999)});
	js_set_time(j, "no_time", INSTANT_NONE);
	js_set_hash128(j, "h", (struct hash128){.lo = 1, .hi = 2});
	js_add_str(list, "y");
	js_set_new(j, "l", list);
	js_write(j, false, &b);
	CHECK_STR(buf_str(&b), "{\"s\":\"x\",\"n\":9223372036854775807,\"b\":true,\"t\":\"2026-11-20T02:00:00Z\","
			       "\"h\":\"00000000000000020000000000000001\",\"l\":[\"y\"]}");
	js_set_sha256(j, "sha", sha256_of("abc", 3));
	CHECK_HAS(js_opt_str(j, "sha", ""), "ba7816bf");
}

TEST("bytes that are not UTF-8 become replacement characters and are reported")
{
	static const struct {
		const char *raw, *clean;
	} rows[] = {{"a\xff"
		     "b",
		     "a\xef\xbf\xbd"
		     "b"},
		    {"\xc3\xa4\xc3", "\xc3\xa4\xef\xbf\xbd"},
		    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
		    {"\xf0\x9f\x90\x98\xf4\x90\x80\x80", "\xf0\x9f\x90\x98\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};
	CLEANUP(js_decref) json_t *j = json_object();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK(!js_set_str(j, "s", rows[i].raw));
		CHECK_STR(js_opt_str(j, "s", ""), rows[i].clean);
	}
	CHECK(js_set_str(j, "s", "\xf0\x9f\x90\x98 \xc3\xa4"));
}

static void set_too_large(void *obj) { js_set_u64(obj, "n", UINT64_MAX); }

TEST("a number that JSON readers would misread ends the process")
{
	CLEANUP(js_decref) json_t *j = json_object();
	CLEANUP(buf_release) struct buf out = BUF_INIT;

	CHECK(WIFSIGNALED(child_run(set_too_large, j, &out)));
	CHECK_HAS(buf_str(&out), "drtool: a number is too large for JSON");
}
