#include "ops/kept.h"
#include "tests/lib/test.h"

TEST("a range that was kept is given back once, for the same request only")
{
	CLEANUP(kept_freep) struct kept *k = kept_new(100);
	char to[10] = "";

	kept_put(k, 1, 50, "0123456789", 10);
	CHECK(!kept_take(k, 0, 50, to, 10));
	CHECK(!kept_take(k, 1, 51, to, 10));
	CHECK(!kept_take(k, 1, 50, to, 9));
	CHECK(kept_take(k, 1, 50, to, 10));
	CHECK(!memcmp(to, "0123456789", 10));
	CHECK(!kept_take(k, 1, 50, to, 10));
}

TEST("no more is kept than the limit, and what is taken makes room")
{
	CLEANUP(kept_freep) struct kept *k = kept_new(10);
	char to[10];

	kept_put(k, 0, 0, "abcdef", 6);
	kept_put(k, 0, 6, "ghijk", 5);
	CHECK(!kept_take(k, 0, 6, to, 5));
	CHECK(kept_take(k, 0, 0, to, 6));
	kept_put(k, 0, 6, "ghijk", 5);
	CHECK(kept_take(k, 0, 6, to, 5));
}
