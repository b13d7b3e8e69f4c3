#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

TEST("databases of MongoDB's own are no part of a backup")
{
	CHECK_INT(mo_database_place("local"), MO_SILENT);
	CHECK_INT(mo_database_place("config"), MO_SILENT);
	CHECK_INT(mo_database_place("__mdb_internal_search"), MO_SILENT);
	CHECK_INT(mo_database_place("admin"), MO_TAKEN);
	CHECK_INT(mo_database_place("locals"), MO_TAKEN);
}

TEST("of MongoDB's system collections a backup takes system.js, and says what it leaves out that comes in no other form")
{
	CHECK_INT(mo_collection_place("shop", "system.js"), MO_TAKEN);
	CHECK_INT(mo_collection_place("shop", "systems"), MO_TAKEN);
	CHECK_INT(mo_collection_place("shop", "system"), MO_TAKEN);
	CHECK_INT(mo_collection_place("shop", "a.system.views"), MO_TAKEN);
	CHECK_INT(mo_collection_place("shop", "system.profile"), MO_SILENT);
	CHECK_INT(mo_collection_place("shop", "system.views"), MO_SILENT);
	CHECK_INT(mo_collection_place("shop", "system.buckets.t"), MO_SILENT);
	CHECK_INT(mo_collection_place("shop", "system.indexes"), MO_SILENT);
	CHECK_INT(mo_collection_place("admin", "system.users"), MO_SILENT);
	CHECK_INT(mo_collection_place("admin", "system.version"), MO_SILENT);
	CHECK_INT(mo_collection_place("shop", "system.users"), MO_NOT_TAKEN);
	CHECK_INT(mo_collection_place("shop", "system.later"), MO_NOT_TAKEN);
	CHECK_INT(mo_collection_place("shop", "a$b"), MO_NOT_TAKEN);
}

static void check_file_name(const char *name, const char *expected)
{
	CLEANUP(cstr_release) char *file = mo_file_name(name);

	CHECK_STR(file, expected);
}

static char *repeated(const char *part, size_t times)
{
	struct buf b = BUF_INIT;

	while (times--)
		buf_puts(&b, part);
	return buf_detach(&b);
}

TEST("a collection's file is named so that every version of mongorestore reads the name back")
{
	check_file_name("orders", "orders");
	check_file_name("a.b-c_d~E9", "a.b-c_d~E9");
	check_file_name("a b+c", "a%20b%2Bc");
	check_file_name("a/b\\c%d$e\"'*", "a%2Fb%5Cc%25d%24e%22%27%2A");
	check_file_name("\xc3\xa9", "%C3%A9");
	check_file_name("..", "..");
}

TEST("a collection's file whose name would be above 238 bytes has mongodump's short name")
{
	CLEANUP(cstr_release) char *fits = repeated("a", 238), *longer = repeated("a", 239), *coded = repeated("\xc3\xa9", 80), *as = repeated("a", 208);
	CLEANUP(cstr_release) char *of_coded = mo_file_name(coded), *of_longer = mo_file_name(longer);
	CLEANUP(cstr_release) char *expected = xasprintf("%s%%24%s", as, "_cMIV897lX9H69gojV5ddCb0Q5Q");

	check_file_name(fits, fits);
	CHECK_INT(strlen(of_coded), 238);
	CHECK_INT(strlen(of_longer), 238);
	CHECK_STR(of_longer, expected);
	/* The first 208 bytes may end within an escape: the name is then read from the metadata. */
	CHECK(!strncmp(of_coded + 203, "9%C3%%24", 8));
}

static void check_where(const char *place, const char *database, const char *suffix)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;

	CHECK_OK(mo_where_parse(place, &w, &err), err);
	CHECK_STR(w.database, database);
	CHECK_STR(w.suffix, suffix);
	CLEANUP(cstr_release) char *again = mo_where_print(&w);
	CHECK_STR(again, place);
}

TEST("the place of a scope in MongoDB is a database, or its collections whose names have a run's suffix")
{
	check_where("shop", "shop", "");
	check_where("shop_restore_1a2b3c", "shop_restore_1a2b3c", "");
	check_where("shop.*_restore_1a2b3c", "shop", "_restore_1a2b3c");
	check_where("shop.*_before_000000", "shop", "_before_000000");
}

TEST("what is no place of a scope in MongoDB is refused")
{
	static const char *const bad[] = {"", ".", "shop.", "shop.x", "shop.*", "shop.*_restore_", "shop.*_restore_1A2b3c", "shop.*_restore_1a2b3", "shop.*_restore_1a2b3cd",
					  "shop.*x_restore_1a2b3c", "shop.a*_restore_1a2b3c", ".*_restore_1a2b3c", "a/b", "a\\b", "a\"b", "a$b", "../x",
					  "x123456789012345678901234567890123456789012345678901234567890123"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;

		CHECK_ERR(mo_where_parse(bad[i], &w, &err), err, ST_USAGE, "is no place of a database");
	}
}

TEST("a collection beside has the run's suffix, and only such a one is of that place")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_where_release) struct mo_where beside = MO_WHERE_INIT, plain = MO_WHERE_INIT;
	char *name = NULL;

	CHECK_OK(mo_where_parse("shop.*_restore_1a2b3c", &beside, &err), err);
	CHECK_OK(mo_where_parse("shop", &plain, &err), err);
	CLEANUP(cstr_release) char *there = mo_where_collection(&beside, "a.b"), *same = mo_where_collection(&plain, "a.b");
	CHECK_STR(there, "a.b_restore_1a2b3c");
	CHECK_STR(same, "a.b");
	CHECK(mo_where_holds(&beside, there, &name));
	CHECK_STR(name, "a.b");
	cstr_release(&name);
	CHECK(!mo_where_holds(&beside, "a.b", &name) && !name);
	CHECK(!mo_where_holds(&beside, "_restore_1a2b3c", NULL));
	CHECK(!mo_where_holds(&beside, "a_restore_1a2b3d", NULL));
	CHECK(mo_where_holds(&plain, there, &name));
	CHECK_STR(name, there);
	cstr_release(&name);
}
