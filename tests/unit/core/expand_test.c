#include "core/expand.h"

#include "tests/lib/test.h"

static const char *get(void *ctx, const char *name)
{
	static const char *const pairs[][2] = {
		{"USER", "a b"}, {"PW", "p@/%"}, {"EMPTY", ""}, {"URL", "postgres://u:p@h/d"}, {"HOST", "db"}};

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (!strcmp(pairs[i][0], name))
			return pairs[i][1];
	return NULL;
}
static const struct expand_env env = {get, NULL};

static const char *expanded(const char *text)
{
	static struct buf b = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	buf_clear(&b);
	CHECK_OK(expand_text(text, &env, &b, &err), err);
	return buf_str(&b);
}

TEST("expand: variables, defaults for unset and empty ones, and dollars that mean nothing")
{
	CHECK_STR(expanded("a ${HOST} z"), "a db z");
	CHECK_STR(expanded("${NO:-x}${EMPTY:-y}${EMPTY}"), "xy");
	CHECK_STR(expanded("${NO:-${HOST}:1}"), "db:1");
	CHECK_STR(expanded("$HOST $ $5 pa$$word"), "$HOST $ $5 pa$$word");
	CHECK_STR(expanded("$${HOST}"), "${HOST}");
}

TEST("expand: values are percent-encoded in the user part of a URL and nowhere else")
{
	CHECK_STR(expanded("postgres://${USER}:${PW}@${HOST}/${USER}"), "postgres://a%20b:p%40%2F%25@db/a b");
	CHECK_STR(expanded("${URL}"), "postgres://u:p@h/d");
	CHECK_STR(expanded("${NO:-postgres://${USER}@h}"), "postgres://a%20b@h");
	CHECK_STR(expanded("postgres://${HOST}/x@${PW}"), "postgres://db/x@p@/%");
}

TEST("expand: an unset variable, an open brace and a strange name are errors")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	CHECK_ERR(expand_text("${NO}", &env, &b, &err), err, ST_CONFIG, "the variable NO is not set");
	CHECK_ERR(expand_text("${HOST", &env, &b, &err), err, ST_CONFIG, "without a closing brace");
	CHECK_ERR(expand_text("${a-b}", &env, &b, &err), err, ST_CONFIG, "is no variable");
	CHECK_ERR(expand_text("${}", &env, &b, &err), err, ST_CONFIG, "is no variable");
	CHECK_ERR(expand_text("${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-x}}}}}}}}}", &env, &b, &err), err, ST_CONFIG,
		  "nested too deeply");
}

static void collect(void *ctx, const char *name, const char *value, unsigned line)
{
	buf_printf(ctx, "%u %s=%s|", line, name, value ? value : "(outer)");
}

TEST("env_file: comments, quotes, escapes, several lines, export and variables as Compose reads them")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const struct env_file_spec spec = {".env", &env, collect, &b};
	static const char text[] =
		"# comment\n\nA=1\nexport B = two words  # not this\nC='$HOST #x'\nD=\"a\\n${HOST} $HOST \\$HOST\" # c\n"
		"E=\"two\nlines\"\nF=a#b\nG=\nH\nI: yes\nJ=${NO:-d}$NO\n";

	CHECK_OK(env_file_parse(&spec, text, &err), err);
	CHECK_STR(buf_str(&b),
		  "3 A=1|4 B=two words|5 C=$HOST #x|6 D=a\ndb db $HOST|7 E=two\nlines|9 F=a#b|10 G=|11 H=(outer)|12 I=yes|13 J=d|");
}

TEST("env_file: what is no pair is an error with its line")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const struct env_file_spec spec = {".env", &env, collect, &b};

	CHECK_ERR(env_file_parse(&spec, "A=1\n=2\n", &err), err, ST_CONFIG, ".env:2: no NAME=value");
	CHECK_ERR(env_file_parse(&spec, "A='x\n", &err), err, ST_CONFIG, ".env:1: a quote is not closed");
	CHECK_ERR(env_file_parse(&spec, "A=\"x\" y\n", &err), err, ST_CONFIG, ".env:1: something stands behind");
	CHECK_ERR(env_file_parse(&spec, "\nA=${X}\n", &err), err, ST_CONFIG, ".env:2: the variable X is not set");
	CHECK_ERR(env_file_parse(&spec, "A b\n", &err), err, ST_CONFIG, ".env:1: no '='");
}
