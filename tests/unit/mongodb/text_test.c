#include <sys/stat.h>
#include <sys/wait.h>

#include "drivers/mongodb/dump_text.h"
#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"
#include "util/fs.h"

/* A shell in the test's folder; its exit status. */
static int shell(const char *command)
{
	CLEANUP(cstr_release) char *line = xasprintf("cd '%s' && %s", test_dir(), command);

	return WEXITSTATUS(system(line));
}

static void write_file(const char *path, const char *text)
{
	CLEANUP(cstr_release) char *full = xasprintf("%s/%s", test_dir(), path);
	FILE *f = fopen(full, "w");

	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static const char *read_text(const char *path)
{
	static char text[20000];
	CLEANUP(cstr_release) char *full = xasprintf("%s/%s", test_dir(), path);
	FILE *f = fopen(full, "r");

	if (!f)
		return "none";
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	CHECK(!fclose(f));
	return text;
}

static void write_script(const char *database, const struct mo_load_item *item, size_t items)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	mo_load_script(database, item, items, &text);
	write_file("db/x/load.sh", buf_str(&text));
}

static void write_metadata(const char *name)
{
	CLEANUP(cstr_release) char *file = mo_file_name(name);
	CLEANUP(cstr_release) char *path = xasprintf("db/x/%s.metadata.json", file);

	write_file(path, name);
}

/* Names with everything that a shell or a path could stumble over. */
#define ODD "-a b'c\"$(exit)`x`/\\*?\n;&|<>#~\xc3\xa9"

static void unpack(void)
{
	CHECK_INT(shell("mkdir -p db/x/data/orders \"db/x/data/o 'd\" db/x/data/t"), 0);
	write_file("db/x/data/orders/0000-00000010.bson", "d");
	write_file("db/x/data/orders/0000-00000009.bson", "bc");
	write_file("db/x/data/orders/0001-00000000.bson", "e");
	write_file("db/x/data/orders/0000-00000000.bson", "a");
	write_file("db/x/data/o 'd/0000-00000000.bson", "odd");
	write_file("db/x/data/t/0000-00000000.bson", "bucket");
	write_metadata("orders");
	write_metadata("empty");
	write_metadata("a view");
	write_metadata("t");
	write_metadata(ODD);
}

static const struct mo_load_item items[] = {
	{.name = "orders", .folder = "db/x/data/orders", .bytes = 5},
	{.name = ODD, .folder = "db/x/data/o 'd", .bytes = 3},
	{.name = "t", .kind = MO_TIMESERIES, .folder = "db/x/data/t", .bytes = 6},
	{.name = "empty", .folder = "db/x/data/empty", .bytes = 0},
	{.name = "a view", .kind = MO_VIEW},
};

TEST("load.sh joins the pieces of each collection to mongodump's folder, whatever the names")
{
	CLEANUP(cstr_release) char *odd = mo_file_name(ODD);
	CLEANUP(cstr_release) char *file = xasprintf("out dir/my '$db/%s.bson", odd), *json = xasprintf("out dir/my '$db/%s.metadata.json", odd);

	unpack();
	write_script("my '$db", items, ARRAY_LEN(items));
	CHECK_INT(shell("sh db/x/load.sh 'out dir' > said"), 0);
	CHECK_STR(read_text("out dir/my '$db/orders.bson"), "abcde");
	CHECK_STR(read_text("out dir/my '$db/orders.metadata.json"), "orders");
	CHECK_STR(read_text(file), "odd");
	CHECK_STR(read_text(json), ODD);
	CHECK_STR(read_text("out dir/my '$db/system.buckets.t.bson"), "bucket");
	CHECK_STR(read_text("out dir/my '$db/t.metadata.json"), "t");
	CHECK_STR(read_text("out dir/my '$db/t.bson"), "none");
	CHECK_STR(read_text("out dir/my '$db/empty.bson"), "");
	CHECK_STR(read_text("out dir/my '$db/a%20view.metadata.json"), "a view");
	CHECK_STR(read_text("out dir/my '$db/a%20view.bson"), "none");
	CHECK_HAS(read_text("said"), "The next step is in RESTORE.txt");
	CHECK_HAS(read_text("said"), "To be restored by itself: mongorestore --db='my '\\''$db' --collection='-a b'\\''c\"$(exit)`x`/\\*?\n;&|<>#~\xc3\xa9' ");
	CHECK_INT(shell("test $(ls 'out dir/my '\"'\"'$db' | wc -l) -eq 9"), 0);
}

static void check_left_out(const char *damage)
{
	unpack();
	write_script("shop", items, ARRAY_LEN(items));
	CHECK_INT(shell(damage), 0);
	CHECK_INT(shell("sh db/x/load.sh out 2> said > told"), 1);
	CHECK_STR(read_text("out/shop/orders.bson"), "none");
	CHECK_STR(read_text("out/shop/orders.metadata.json"), "none");
	CHECK_HAS(read_text("said"), "orders: not all of it can be read");
	CHECK(!strstr(read_text("told"), "is made"));
	CHECK_STR(read_text("out/shop/system.buckets.t.bson"), "bucket");
	CHECK_INT(shell("rm -r out"), 0);
}

TEST("load.sh takes no part of a collection of which a piece is missing, short or too much, and fails")
{
	check_left_out("rm db/x/data/orders/0000-00000009.bson");
	check_left_out("printf b > db/x/data/orders/0000-00000009.bson");
	check_left_out("printf e > db/x/data/orders/0001-00000001.bson");
	CHECK_INT(shell("rm -r db"), 0);
	check_left_out("rm -r db/x/data/orders");
	check_left_out("rm db/x/orders.metadata.json");
}

TEST("load.sh does not write into a folder that is there, and without one it says how it is used")
{
	unpack();
	write_script("shop", items, ARRAY_LEN(items));
	CHECK_INT(shell("mkdir -p out/shop && sh db/x/load.sh out 2> said"), 1);
	CHECK_HAS(read_text("said"), "out/shop is there already");
	CHECK(shell("sh db/x/load.sh 2> said") != 0);
	CHECK_HAS(read_text("said"), "usage: sh load.sh OUT");
}

TEST("load.sh of a database with a name that is none stays in its folder")
{
	unpack();
	write_script("../../evil", items, ARRAY_LEN(items));
	CHECK_INT(shell("sh db/x/load.sh out >/dev/null"), 0);
	CHECK_STR(read_text("out/..%2F..%2Fevil/orders.bson"), "abcde");
}

static char *restore_text(const struct mo_restore_about *a)
{
	struct buf to = BUF_INIT;

	mo_restore_text(a, &to);
	return buf_detach(&to);
}

TEST("RESTORE.txt of MongoDB has the commands for each database and for accounts where there are any")
{
	static const char *const scopes[] = {"shop", "my db"};
	CLEANUP(cstr_release) char *both = restore_text(&(struct mo_restore_about){"MongoDB", "7.0.14", scopes, 2, .users = true, .roles = true, .at_moment = true});
	CLEANUP(cstr_release) char *plain = restore_text(&(struct mo_restore_about){"FerretDB", "7.0.77", scopes, 1, .users = false});

	CHECK_HAS(both, "A backup of MongoDB 7.0.14");
	CHECK_HAS(both, "\n  sh \001shop\001/load.sh dump\n  sh \001my db\001/load.sh dump\n");
	CHECK_HAS(both, "\n  mongorestore --dir=dump --stopOnError");
	CHECK_HAS(both, "cp accounts/system.users.bson accounts/dump/admin/\n  cp accounts/system.roles.bson");
	CHECK(!strstr(both, "not at one moment"));
	CHECK_HAS(plain, "not at one moment");
	CHECK(!strstr(plain, "accounts"));
}

TEST("the form of accounts that RESTORE.txt writes for mongorestore is a document that says schema 5")
{
	static const char *const scopes[] = {"shop"};
	CLEANUP(cstr_release) char *text = restore_text(&(struct mo_restore_about){"MongoDB", "7.0.14", scopes, 1, .users = true});
	const char *line = strstr(text, "  printf '");
	bson_t b;

	CHECK(line);
	CLEANUP(cstr_release) char *command = xstrndup(line, strcspn(line, "\n"));
	CHECK_INT(shell("mkdir -p accounts/dump/admin"), 0);
	CHECK_INT(shell(command), 0);
	const char *data = read_text("accounts/dump/admin/system.version.bson");
	CHECK(bson_init_static(&b, (const uint8_t *)data, 45));
	CHECK_STR(printed(&b), "{'_id':'authSchema','currentVersion':{'$numberInt':'5'}}");
}

TEST("RESTORE.txt of MongoDB names the first fifty databases and counts the others")
{
	const char *scopes[60];

	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		scopes[i] = "d";
	CLEANUP(cstr_release) char *text = restore_text(&(struct mo_restore_about){"MongoDB", "8.0.1", scopes, ARRAY_LEN(scopes), .users = false});
	CHECK_HAS(text, "the other 10 folders below db");
}
