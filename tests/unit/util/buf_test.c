#include "util/buf.h"

#include "tests/lib/test.h"

TEST("a buffer is a C string whatever was put in")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	CHECK_STR(buf_str(&b), "");
	buf_puts(&b, "abc");
	buf_putc(&b, '-');
	buf_printf(&b, "%d/%s", 7, "x");
	buf_hex(&b, "\x00\xff\x1a", 3);
	buf_put(&b, NULL, 0);
	CHECK_STR(buf_str(&b), "abc-7/x00ff1a");
	CHECK_INT(b.len, 13);
	buf_clear(&b);
	CHECK_STR(buf_str(&b), "");
	for (int i = 0; i < 10000; i++)
		buf_putc(&b, 'x');
	CHECK_INT(strlen(buf_str(&b)), 10000);
}

TEST("detaching leaves an empty buffer and never gives NULL")
{
	struct buf b = BUF_INIT;
	CLEANUP(cstr_release) char *none = buf_detach(&b);

	buf_puts(&b, "abc");
	CLEANUP(cstr_release) char *some = buf_detach(&b);
	CHECK_STR(none, "");
	CHECK_STR(some, "abc");
	CHECK(!b.data && !b.len);
}

TEST("a list of strings is sorted by bytes and finds what it holds")
{
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;

	strlist_sort(&l);
	CHECK(!strlist_has(&l, "b"));
	strlist_add(&l, "b");
	strlist_add(&l, "\xc3\xa4");
	strlist_take(&l, xstrdup("B"));
	for (int i = 0; i < 20; i++)
		strlist_add(&l, "c");
	strlist_sort(&l);
	CHECK_STR(l.item[0], "B");
	CHECK_STR(l.item[1], "b");
	CHECK_STR(l.item[l.len - 1], "\xc3\xa4");
	CHECK(strlist_has(&l, "c") && !strlist_has(&l, "C"));
}

TEST("a buffer with room and nothing in it is an empty string")
{
	/* Memory that was used before comes back first. */
	char *used = xmalloc(5000);
	memset(used, 'x', 5000);
	free(used);
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	buf_reserve(&b, 4999);
	CHECK_STR(buf_str(&b), "");
}

TEST("a list of shell patterns tells whether one of them fits")
{
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;

	CHECK(!strlist_matches(&l, "shop"));
	strlist_add(&l, "test_*");
	strlist_add(&l, "sho?");
	CHECK(strlist_matches(&l, "shop"));
	CHECK(strlist_matches(&l, "test_"));
	CHECK(!strlist_matches(&l, "shops"));
}
