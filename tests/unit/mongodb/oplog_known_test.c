#include "drivers/mongodb/oplog_known.h"

#include "drivers/mongodb/oplog_names.h"
#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

#define OLD "00000000000000000000000000000001"
#define NEW "00000000000000000000000000000002"

/* uuid: the last digit of it; 0: the operation has none. */
struct case_ {
	int uuid;
	const char *op, *ns, *o;
	const char *expected; /* the name; NULL: passed over */
};

static void check(struct mo_known *k, const struct case_ *c, size_t cases)
{
	for (size_t i = 0; i < cases; i++, c++) {
		struct error err = ERROR_INIT;
		struct mo_oplog_entry e;
		/* fifteen bytes of 0 and the digit, as base64 */
		static const char *const base64[] = {"", "AAAAAAAAAAAAAAAAAAAAAQ==", "AAAAAAAAAAAAAAAAAAAAAg==", "AAAAAAAAAAAAAAAAAAAAAw=="};
		CLEANUP(cstr_release) char *ui = c->uuid ? xasprintf("'ui': {'$binary': {'base64': '%s', 'subType': '04'}}, ", base64[c->uuid]) : xstrdup("");
		CLEANUP(cstr_release) char *text = xasprintf("{'ts': {'$timestamp': {'t': 9, 'i': 1}}, 'op': '%s', %s'ns': '%s', 'o': %s, 'o2': {'_id': 1}}", c->op, ui, c->ns, c->o);
		CLEANUP(mo_bson_freep) bson_t *doc = document(text);

		CHECK_OK(mo_oplog_parse(doc, &e, &err), err);
		const char *name = mo_known_name(k, &e);
		if (!name != !c->expected || (name && strcmp(name, c->expected)))
			test_fail(__FILE__, __LINE__, "operation %zu, %s: is about %s, expected %s", i, c->o, name ? name : "nothing", c->expected ? c->expected : "nothing");
		mo_known_apply(k, &e);
	}
}
#define CHECK_ALL(k, ...)                                                          \
	do {                                                                       \
		const struct case_ cases_[] = {__VA_ARGS__};                       \
		check(k, cases_, ARRAY_LEN(cases_));                               \
	} while (0)

TEST("operations on a collection that was renamed before it was dumped go to it under its later name, and the rename is not done again")
{
	CLEANUP(mo_known_release) struct mo_known k = MO_KNOWN_INIT;

	mo_known_add(&k, "shop", "orders", NEW);
	CHECK_ALL(&k, {2, "c", "shop.$cmd", "{'create': 'tmp'}", NULL}, {2, "i", "shop.tmp", "{'_id': 1}", "orders"},
		  {2, "c", "shop.$cmd", "{'renameCollection': 'shop.tmp', 'to': 'shop.orders', 'dropTarget': true}", "orders"},
		  {2, "u", "shop.orders", "{'$v': 2}", "orders"}, {2, "c", "shop.$cmd", "{'drop': 'orders'}", "orders"}, {2, "i", "shop.orders", "{'_id': 1}", NULL});
}

TEST("a rename that comes after the dump is done, and operations follow it")
{
	CLEANUP(mo_known_release) struct mo_known k = MO_KNOWN_INIT;

	mo_known_add(&k, "shop", "orders", OLD);
	mo_known_add(&k, "shop", "tmp", NEW);
	CHECK_ALL(&k, {2, "i", "shop.tmp", "{'_id': 1}", "tmp"}, {1, "i", "shop.orders", "{'_id': 1}", "orders"},
		  {2, "c", "shop.$cmd", "{'renameCollection': 'shop.tmp', 'to': 'shop.orders', 'dropTarget': true}", "tmp"}, {2, "d", "shop.orders", "{'_id': 1}", "orders"},
		  {1, "i", "shop.orders", "{'_id': 1}", NULL});
}

TEST("operations on a collection that was gone when its database was dumped are passed over, and do not touch the one that has its name")
{
	CLEANUP(mo_known_release) struct mo_known k = MO_KNOWN_INIT;

	mo_known_add(&k, "shop", "orders", NEW);
	CHECK_ALL(&k, {1, "i", "shop.orders", "{'_id': 1}", NULL}, {1, "c", "shop.$cmd", "{'drop': 'orders'}", NULL}, {2, "c", "shop.$cmd", "{'create': 'orders'}", NULL},
		  {3, "i", "shop.other", "{'_id': 1}", NULL}, {2, "i", "shop.orders", "{'_id': 1}", "orders"});
}

TEST("a collection that the log makes is known from then on")
{
	CLEANUP(mo_known_release) struct mo_known k = MO_KNOWN_INIT;

	CHECK_ALL(&k, {3, "c", "shop.$cmd", "{'create': 'a.b'}", "a.b"}, {3, "i", "shop.a.b", "{'_id': 1}", "a.b"}, {3, "c", "shop.$cmd", "{'drop': 'a.b'}", "a.b"},
		  {3, "i", "shop.a.b", "{'_id': 1}", NULL});
}

TEST("without UUIDs names must do: of the archive, of the log, and of time series, which are listed without one")
{
	CLEANUP(mo_known_release) struct mo_known k = MO_KNOWN_INIT;

	mo_known_add(&k, "shop", "orders", OLD);
	mo_known_add(&k, "shop", "series", "");
	CHECK_ALL(&k, {0, "i", "shop.orders", "{'_id': 1}", "orders"}, {0, "i", "shop.others", "{'_id': 1}", "others"}, {0, "c", "shop.$cmd", "{'create': 'orders'}", NULL},
		  {3, "i", "shop.system.buckets.series", "{'_id': 1}", "system.buckets.series"}, {3, "c", "shop.$cmd", "{'drop': 'system.buckets.series'}", "system.buckets.series"},
		  {3, "c", "shop.$cmd", "{'create': 'system.buckets.series'}", "system.buckets.series"}, {3, "i", "shop.system.buckets.series", "{'_id': 2}", "system.buckets.series"},
		  {0, "c", "shop.$cmd", "{'renameCollection': 'shop.orders', 'to': 'shop.b'}", "orders"}, {0, "i", "shop.b", "{'_id': 1}", "b"});
}

TEST("views and commands that are about no collection are known by no UUID")
{
	CLEANUP(mo_known_release) struct mo_known k = MO_KNOWN_INIT;

	CHECK_ALL(&k, {3, "i", "shop.system.views", "{'_id': 'shop.v'}", "system.views"}, {3, "c", "shop.$cmd", "{'drop': 'system.views'}", "system.views"},
		  {0, "c", "shop.$cmd", "{'dropDatabase': 1}", ""}, {0, "n", "", "{'msg': 'x'}", ""});
}
