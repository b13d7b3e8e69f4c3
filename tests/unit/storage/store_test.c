#include "tests/lib/test.h"

#include "storage/local/local.h"
#include "storage/store.h"
#include "util/fs.h"

static struct run run = RUN_INIT;
static const struct local_params params = {0};

static char *at(const char *name) { return path_join(test_dir(), name); }

static enum status open_store(const char *name, bool init, struct store *s, struct error *err)
{
	CLEANUP(cstr_release) char *path = at(name), *url = xasprintf("file://%s", path), *state = at("state");
	const struct store_spec spec = {.name = "offsite", .url = url, .ops = &storage_local, .params = &params,
					.state_dir = state, .init = init};

	return store_open(&run, &spec, s, err);
}

static void initialise(const char *name, char *id)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(open_store(name, true, &s, &err), err);
	CHECK_INT(strlen(s.id), 32);
	snprintf(id, 33, "%s", s.id);
}

TEST("a first backup initialises an absent or empty folder, and the id stays")
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(cstr_release) char *empty = at("empty");
	struct error err = ERROR_INIT;
	char first[33], second[33], third[33];

	CHECK_ERR(open_store("absent", false, &s, &err), err, ST_NOT_FOUND, "store offsite: there is no store at file://");
	CHECK_OK(fs_mkdirs(empty, 0700, &err), err);
	CHECK_ERR(open_store("empty", false, &s, &err), err, ST_NOT_FOUND, "offsite");
	initialise("absent", first);
	initialise("empty", second);
	CHECK(strcmp(first, second));
	initialise("absent", third);
	CHECK_STR(third, first);
	CHECK_OK(open_store("absent", false, &s, &err), err);
	CHECK_STR(s.id, first);
	CHECK_STR(s.name, "offsite");
}

TEST("a folder with foreign files is never made a store")
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(cstr_release) char *dir = at("home"), *file = at("home/thesis.txt");
	struct error err = ERROR_INIT;

	CHECK_OK(fs_mkdirs(dir, 0700, &err), err);
	CHECK_OK(fs_write_file(file, 0600, "x", 1, &err), err);
	CHECK_ERR(open_store("home", true, &s, &err), err, ST_REFUSED, "thesis.txt");
}

TEST("a store that is not mounted is refused, also for a first backup")
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(cstr_release) char *dir = at("mnt"), *away = at("away");
	struct error err = ERROR_INIT;
	char id[33];

	initialise("mnt", id);
	CHECK(!rename(dir, away));
	CHECK_ERR(open_store("mnt", true, &s, &err), err, ST_REFUSED, id);
	CHECK_OK(fs_mkdirs(dir, 0700, &err), err);
	CHECK_INT(open_store("mnt", false, &s, &err), ST_REFUSED);
	CHECK_HAS(err.hint, "Is it mounted?");
	error_release(&err);
	CHECK_OK(fs_remove_tree(dir, &err), err);
	CHECK(!rename(away, dir));
	CHECK_OK(open_store("mnt", true, &s, &err), err);
}

TEST("another store in the place of a known one is refused")
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(cstr_release) char *a = at("a"), *b = at("b");
	struct error err = ERROR_INIT;
	char id[33], other[33];

	initialise("a", id);
	initialise("b", other);
	CHECK_OK(fs_remove_tree(a, &err), err);
	CHECK(!rename(b, a));
	CHECK_ERR(open_store("a", true, &s, &err), err, ST_REFUSED, other);
}

TEST("a damaged identity stops a backup but no restore")
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(cstr_release) char *file = at("a/drtool-store.json");
	struct error err = ERROR_INIT;
	char id[33];

	initialise("a", id);
	CHECK_OK(fs_write_file(file, 0600, "{", 1, &err), err);
	CHECK_ERR(open_store("a", true, &s, &err), err, ST_BAD, "drtool-store.json");
	CHECK_OK(open_store("a", false, &s, &err), err);
	CHECK_STR(s.id, "");
}

TEST("a store opens where nothing can be remembered")
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(cstr_release) char *url = xasprintf("file://%s/s", test_dir());
	struct store_spec spec = {.name = "s", .url = url, .ops = &storage_local, .params = &params, .state_dir = "/proc/nowhere",
				  .init = true};
	struct error err = ERROR_INIT;

	CHECK_OK(store_open(&run, &spec, &s, &err), err);
	store_release(&s);
	spec.state_dir = NULL;
	spec.name = NULL;
	CHECK_OK(store_open(&run, &spec, &s, &err), err);
	CHECK_STR(s.name, s.storage.url);
}
