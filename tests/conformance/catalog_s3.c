/* The catalog in a bucket: copies on this machine, deletions in numbers, versions. */
#include "tests/conformance/s3_server.h"
#include "tests/unit/catalog/fixture.h"

#include "catalog/hidden.h"
#include "core/url.h"
#include "storage/s3/s3.h"

static void open_bucket(struct fix *f, bool moto, const char *options)
{
	CLEANUP(s3_test_server_release) struct s3_test_server server;

	s3_test_server_share(&server, moto);
	CLEANUP(cstr_release) char *url = s3_test_bucket(&server, options);
	fix_open_s3(f, url);
	f->store.state_dir = xasprintf("%s/state", test_dir());
}

static void make(struct fix *f, int n)
{
	for (int i = 0; i < n; i++) {
		CLEANUP(cstr_release) char *id = xasprintf("202611%02dT020000Z-%04x", i + 1, i);

		fix_backup(f, &(struct made){.id = id, .rows = 10, .raw = 1000});
	}
}

static enum status prune(struct fix *f, uint32_t last, struct prune_result *r, struct error *err)
{
	CLEANUP(lock_release) struct lock *l = NULL;
	const struct lock_spec spec = {.store = &f->store, .source = "shop", .role = "backup", .what = "prune"};
	const struct keep_policy policy = {.last = last};

	if (lock_take(&f->run, &spec, &l, err))
		return err->code;
	const struct prune_input in = {.store = &f->store, .source = "shop", .policy = &policy, .now = run_now(&f->run), .lock = l};
	return prune_run(&f->run, &in, r, err);
}

static void look_and_prune(struct fix *f)
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;

	make(f, 5);
	for (int i = 0; i < 2; i++) {
		CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;

		CHECK_OK(catalog_look(&f->run, &f->store, "shop", &c, &err), err);
		CHECK_INT(c.backups, 5);
	}
	CHECK_OK(prune(f, 2, &r, &err), err);
	CHECK_INT(r.removed, 3);
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	CHECK_OK(catalog_read(&f->run, &f->store, "shop", &c, &err), err);
	CHECK_INT(c.backups, 2);
	CHECK(!fix_has(f, "shop/backup/20261101T020000Z-0000.tar.gz"));
	CHECK(fix_has(f, "shop/backup/20261104T020000Z-0003.tar.gz"));
	CHECK_OK(catalog_confirm(&f->run, &f->store, "shop", "20261104T020000Z-0003", &err), err);
	CHECK_ERR(catalog_confirm(&f->run, &f->store, "shop", "20261101T020000Z-0000", &err), err, ST_NOT_FOUND, "");
	fix_close(f);
}

TEST("a catalog in versitygw is looked at twice and pruned")
{
	struct fix f;

	open_bucket(&f, false, NULL);
	look_and_prune(&f);
}

TEST("a catalog in moto is looked at twice and pruned")
{
	struct fix f;

	open_bucket(&f, true, NULL);
	look_and_prune(&f);
}

static size_t versions(struct fix *f, const char *prefix)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(storage_list_versions(&f->run, &f->store.storage, prefix, &all, &err), err);
	return all.len;
}

TEST("old versions of locks go after a day and those of other objects after a month, and what is visible stays")
{
	struct hidden_swept swept = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	open_bucket(&f, false, "versions");
	for (int i = 0; i < 3; i++) {
		fix_put(&f, "shop/lock/backup.json", i ? "two" : "one");
		fix_put(&f, "shop/source.json", i ? "two" : "one");
	}
	const struct instant day = instant_add(run_now(&f.run), DURATION_SECONDS(86400)),
			     month = instant_add(day, DURATION_SECONDS(30 * 86400));
	const struct hidden_sweep now = {.source = "shop", .old = instant_add(run_now(&f.run), DURATION_SECONDS(-86400))},
				  later = {.source = "shop", .old = day}, last = {.source = "shop", .old = month};
	CHECK_OK(hidden_sweep(&f.run, &f.store, &now, &swept, &err), err);
	CHECK_INT(swept.removed, 0);
	CHECK_OK(hidden_sweep(&f.run, &f.store, &later, &swept, &err), err);
	CHECK_INT(swept.removed, 2);
	CHECK_INT(versions(&f, "shop/lock/"), 1);
	CHECK_INT(versions(&f, "shop/source.json"), 3);
	CHECK_OK(hidden_sweep(&f.run, &f.store, &last, &swept, &err), err);
	CHECK_INT(swept.removed, 4);
	CHECK_INT(versions(&f, "shop/"), 2);
	CHECK(fix_has(&f, "shop/lock/backup.json") && fix_has(&f, "shop/source.json"));
	fix_close(&f);
}
