#include "archive/path.h"
#include "tests/lib/test.h"

static void check_component(const char *name, const char *expected)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	path_component(&b, name);
	CHECK_STR(b.data, expected);
	CHECK(path_is_safe(b.data));
}

TEST("a component keeps UTF-8 and encodes what would be unsafe in a path")
{
	check_component("orders", "orders");
	check_component("Größe €", "Größe €");
	check_component("a/b", "a%2Fb");
	check_component("100%", "100%25");
	check_component(".hidden", "%2Ehidden");
	check_component("..", "%2E.");
	check_component("a.b", "a.b");
	check_component("back\\slash", "back%5Cslash");
	check_component("line\nend\t\x7f", "line%0Aend%09%7F");
	check_component("c1 \xc2\x85", "c1 %C2%85");
	check_component("latin \xe9 cut \xe2\x82", "latin %E9 cut %E2%82");
	check_component("overlong \xc0\xaf surrogate \xed\xa0\x80 beyond \xf4\x90\x80\x80",
			"overlong %C0%AF surrogate %ED%A0%80 beyond %F4%90%80%80");
	check_component("", "~e3b0c44298fc1c14");
}

TEST("a long component is cut at a character or escape and told apart by a hash")
{
	CLEANUP(buf_release) struct buf name = BUF_INIT;

	for (size_t shift = 0; shift < 4; shift++) {
		CLEANUP(buf_release) struct buf a = BUF_INIT;
		CLEANUP(buf_release) struct buf b = BUF_INIT;

		buf_clear(&name);
		for (size_t i = 0; i < shift; i++)
			buf_putc(&name, 'x');
		for (size_t i = 0; i < 40; i++)
			buf_puts(&name, "\xe2\x82\xac/");
		path_component(&a, name.data);
		buf_putc(&name, 'y');
		path_component(&b, name.data);
		CHECK(a.len <= 180 && b.len <= 180 && a.len > 170);
		CHECK(strcmp(a.data, b.data));
		CHECK_INT(a.data[a.len - 17], '~');
		CHECK(path_is_safe(a.data));
		CHECK(a.data[a.len - 18] == 'F' || (unsigned char)a.data[a.len - 18] == 0xac);
	}
	/* Exactly at the limit nothing is cut. */
	buf_clear(&name);
	for (size_t i = 0; i < 180; i++)
		buf_putc(&name, 'z');
	check_component(name.data, name.data);
}

TEST("no two objects share a path, not even where case is ignored or names are built to collide")
{
	CLEANUP(path_set_freep) struct path_set *s = path_set_new();
	CLEANUP(cstr_release) char *a = path_set_make(s, "db/x/data", (const char *const[]){"public", "Orders"}, 2);
	CLEANUP(cstr_release) char *b = path_set_make(s, "db/x/data", (const char *const[]){"public", "orders"}, 2);
	CLEANUP(cstr_release) char *c = path_set_make(s, "db/x/data", (const char *const[]){"PUBLIC", "orders"}, 2);
	CLEANUP(cstr_release) char *d = path_set_make(s, "db/x/data", (const char *const[]){"a.b", "c"}, 2);
	CLEANUP(cstr_release) char *e = path_set_make(s, "db/x/data", (const char *const[]){"a", "b.c"}, 2);
	CLEANUP(cstr_release) char *f = path_set_make(s, "db/x/data", (const char *const[]){"public", strrchr(b, '/') + 1}, 2);
	CLEANUP(cstr_release) char *g = path_set_make(s, "", (const char *const[]){"same"}, 1);
	CLEANUP(cstr_release) char *h = path_set_make(s, "", (const char *const[]){"same"}, 1);
	CLEANUP(cstr_release) char *i = path_set_make(s, "", (const char *const[]){"same"}, 1);
	const char *const all[] = {a, b, c, d, e, f, g, h, i};

	CHECK_STR(a, "db/x/data/public/Orders");
	CHECK_HAS(b, "db/x/data/public/orders~");
	CHECK_HAS(c, "db/x/data/PUBLIC/orders~");
	CHECK_STR(d, "db/x/data/a.b/c");
	CHECK_STR(e, "db/x/data/a/b.c");
	CHECK_STR(g, "same");
	for (size_t x = 0; x < ARRAY_LEN(all); x++)
		for (size_t y = 0; y < x; y++)
			CHECK(strcasecmp(all[x], all[y]));
}

TEST("a hundred thousand paths stay distinct")
{
	CLEANUP(path_set_freep) struct path_set *s = path_set_new();

	for (unsigned i = 0; i < 100000; i++) {
		CLEANUP(cstr_release) char *name = xasprintf("table_%u", i);
		CLEANUP(cstr_release) char *path = path_set_make(s, "d", (const char *const[]){name}, 1);
		CLEANUP(cstr_release) char *expected = xasprintf("d/table_%u", i);
		CHECK_STR(path, expected);
	}
	CLEANUP(cstr_release) char *again = path_set_make(s, "d", (const char *const[]){"TABLE_77777"}, 1);
	CHECK_HAS(again, "d/TABLE_77777~");
}

TEST("a reader accepts only relative paths that stay below the top")
{
	static const char *const good[] = {"a", "a/b", "db/shop/data/public/Größe/0000-00000001.copy", "...", "a/..b/c.", "a b"};
	static const char *const bad[] = {"",     "/",    "/a",     "a/",    "a//b", ".",    "..",   "./a",
					  "../a", "a/..", "a/../b", "a/./b", "a\\b", "a\nb", "a\x7f"};
	CLEANUP(cstr_release) char *longest = xcalloc(1, 1002);

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(path_is_safe(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!path_is_safe(bad[i]));
	memset(longest, 'x', 1000);
	CHECK(path_is_safe(longest));
	longest[1000] = 'x';
	CHECK(!path_is_safe(longest));
}
