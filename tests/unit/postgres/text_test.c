#include <sys/stat.h>

#include "drivers/postgres/client.h"
#include "drivers/postgres/conn.h"
#include "drivers/postgres/schema.h"
#include "tests/lib/test.h"

static void filter_ok(const char *text, size_t step, struct buf *out)
{
	struct error err = ERROR_INIT;
	CLEANUP(strlist_release) struct strlist known = STRLIST_INIT;
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 1 << 20);
	struct script_filter f = {.known = &known, .to = s};
	size_t n = strlen(text);

	strlist_add(&known, "statement_timeout");
	for (size_t i = 0; i < n; i += step)
		CHECK_OK(script_filter_put(&f, text + i, min_size(step, n - i), &err), err);
	CHECK_OK(script_filter_end(&f, &err), err);
	script_filter_release(&f);
	buf_clear(out);
	buf_reserve(out, spool_size(s) + 1);
	CHECK_OK(spool_read_at(s, 0, out->data, spool_size(s), &err), err);
	out->len = spool_size(s);
	out->data[out->len] = 0;
}

TEST("a readable schema loses the settings that the server does not know, and nothing of a function that sets them too")
{
	static const char before[] = "--\n-- dump\n--\n\n\\restrict Abc123\n\nSET statement_timeout = 0;\nSET transaction_timeout "
				     "= 0;\nSET SESSION AUTHORIZATION x;\n\n"
				     "-- Name: f; Type: FUNCTION\n\nCREATE FUNCTION f() AS $$\nSET transaction_timeout = "
				     "0;\n\\restrict Abc\n\\unrestrict Abc\n$$;\n"
				     "\\unrestrict Abc123\n\nend without line end";
	static const char after[] = "--\n-- dump\n--\n\n\nSET statement_timeout = 0;\nSET SESSION AUTHORIZATION x;\n\n"
				    "-- Name: f; Type: FUNCTION\n\nCREATE FUNCTION f() AS $$\nSET transaction_timeout = "
				    "0;\n\\restrict Abc\n\\unrestrict Abc\n$$;\n"
				    "\nend without line end";
	CLEANUP(buf_release) struct buf out = BUF_INIT;

	for (size_t step = 1; step < 40; step += 7) {
		filter_ok(before, step, &out);
		CHECK_STR(buf_str(&out), after);
	}
}

static const char *shown(struct buf *b, const char *name)
{
	buf_clear(b);
	sql_shown(b, name);
	return buf_str(b);
}

TEST("names are quoted where people quote them, and statements quote all")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	CHECK_STR(shown(&b, "orders_2"), "orders_2");
	CHECK_STR(shown(&b, "Orders"), "\"Orders\"");
	CHECK_STR(shown(&b, "order"), "\"order\"");
	CHECK_STR(shown(&b, "2x"), "\"2x\"");
	CHECK_STR(shown(&b, "a.b"), "\"a.b\"");
	CHECK_STR(shown(&b, "q\"q"), "\"q\"\"q\"");
	buf_clear(&b);
	sql_name(&b, "a\"", "b.c");
	CHECK_STR(buf_str(&b), "\"a\"\"\".\"b.c\"");
	buf_clear(&b);
	sql_literal(&b, "it's");
	CHECK_STR(buf_str(&b), "'it''s'");
	buf_clear(&b);
	sql_literal(&b, "a\\b'");
	CHECK_STR(buf_str(&b), " E'a\\\\b'''");
	buf_clear(&b);
	sql_setting(&b, "app.tenant=x y");
	CHECK_STR(buf_str(&b), "SET \"app\".\"tenant\" TO 'x y'");
}

static void make_program(const char *dir, const char *name, const char *version)
{
	struct error err = ERROR_INIT;
	CLEANUP(cstr_release)
	char *path = path_join(dir, name),
	     *text = xasprintf("#!/bin/sh\necho 'pg_dump (PostgreSQL) %s'\n", version);

	CHECK_OK(fs_write_file(path, 0700, text, strlen(text), &err), err);
}

/* Folders of client programs of these versions, and a pattern that finds them. */
static char *make_clients(const char *const *version)
{
	struct error err = ERROR_INIT;

	for (; *version; version++) {
		CLEANUP(cstr_release) char *dir = xasprintf("%s/pg-%s/bin", test_dir(), *version);

		CHECK_OK(fs_mkdirs(dir, 0700, &err), err);
		make_program(dir, "pg_dump", *version);
		make_program(dir, "pg_restore", *version);
	}
	return xasprintf("%s/pg-*/bin", test_dir());
}

TEST("pg_dump of the server's version is taken, else the nearest newer one, never an older one")
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	CLEANUP(notes_freep) struct notes *notes = notes_new();
	struct secret none = SECRET_INIT;
	CLEANUP(cstr_release) char *pattern = make_clients((const char *const[]){"14.9", "16.14", "18.4", NULL});
	struct pg_params params = {.client_path = pattern};
	const struct endpoint e = {
		.url = "postgres://h/d", .password = &none, .notes = notes, .params = &params, .spool_dir = test_dir()};
	struct strlist said = STRLIST_INIT;
	struct client c = CLIENT_INIT;

	CHECK_OK(client_for_server(&run, &e, 14, &c, &err), err);
	CHECK_STR(c.version, "14.9");
	client_release(&c);
	notes_copy(notes, &said);
	CHECK_INT(said.len, 0);
	CHECK_OK(client_for_server(&run, &e, 15, &c, &err), err);
	CHECK_STR(c.version, "16.14");
	client_release(&c);
	notes_copy(notes, &said);
	CHECK_INT(said.len, 1);
	CHECK_HAS(said.item[0], "pg_dump 15 is not installed");
	CHECK_OK(client_for_server(&run, &e, 12, &c, &err), err);
	CHECK_INT(c.major, 14);
	client_release(&c);
	CHECK_INT(client_for_server(&run, &e, 19, &c, &err), ST_UNSUPPORTED);
	CHECK_HAS(error_text(&err), "18.4");
	CHECK_HAS(err.hint, "postgresql-client-19");
	error_release(&err);
	strlist_release(&said);
}

TEST("pg_restore is taken that can read the format of the pg_dump that wrote")
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	CLEANUP(notes_freep) struct notes *notes = notes_new();
	struct secret none = SECRET_INIT;
	CLEANUP(cstr_release) char *pattern = make_clients((const char *const[]){"13.1", "17.2", NULL});
	struct pg_params params = {.client_path = pattern};
	const struct endpoint e = {
		.url = "postgres://h/d", .password = &none, .notes = notes, .params = &params, .spool_dir = test_dir()};
	struct client c = CLIENT_INIT;

	CHECK_OK(client_for_archive(&run, &e, 12, &c, &err), err);
	CHECK_INT(c.major, 13);
	client_release(&c);
	CHECK_OK(client_for_archive(&run, &e, 15, &c, &err), err);
	CHECK_INT(c.major, 17);
	client_release(&c);
	CHECK_OK(client_for_archive(&run, &e, 18, &c, &err), err);
	CHECK_INT(c.major, 17);
	client_release(&c);
	CHECK_INT(client_oldest_reader(15), 12);
	CHECK_INT(client_oldest_reader(16), 16);
	CHECK_INT(client_oldest_reader(18), 17);
}
