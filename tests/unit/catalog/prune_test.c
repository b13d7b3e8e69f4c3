#include "tests/unit/catalog/fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/failpoint.h"

#define NOW "2026-11-20T12:00:00Z"
#define A "20261117T020000Z-aaaa"
#define B "20261118T020000Z-bbbb"
#define C "20261119T020000Z-cccc"
#define D "20261120T020000Z-dddd"
#define FOLDER "shop/backup/"
#define DAY 86400

static const struct keep_policy last_two = {.last = 2};

static void four(struct fix *f)
{
	static const char *const ids[] = {A, B, C, D};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		fix_backup(f, &(struct made){.id = ids[i]});
}

static struct lock *lock(struct fix *f)
{
	const struct lock_spec spec = {.store = &f->store, .source = "shop", .role = "backup", .what = "prune"};
	struct error err = ERROR_INIT;
	struct lock *l;

	CHECK_OK(lock_take(&f->run, &spec, &l, &err), err);
	return l;
}

static enum status prune(struct fix *f, const struct keep_policy *policy, bool dry_run, struct prune_result *r, struct error *err)
{
	CLEANUP(lock_release) struct lock *l = dry_run ? NULL : lock(f);
	const struct prune_input in = {.store = &f->store, .source = "shop", .policy = policy, .now = run_now(&f->run), .lock = l,
				       .dry_run = dry_run};

	return prune_run(&f->run, &in, r, err);
}

static size_t records(struct fix *f)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(storage_list(&f->run, &f->store.storage, "evidence/shop/", NULL, &l, &err), err);
	return l.len;
}

TEST("prune removes what no rule keeps, manifest and archive, and writes a record")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	four(&f);
	fix_put(&f, FOLDER A ".v0002.tar.gz", "second volume");
	fix_put(&f, FOLDER "notes.txt", "not ours");
	CHECK_OK(prune(&f, &last_two, false, &r, &err), err);
	CHECK_INT(r.backups, 4);
	CHECK_INT(r.removed, 2);
	CHECK_INT(r.freed, 7 + 13 + 7);
	CHECK_INT(r.backup[0].action, PRUNE_REMOVED);
	CHECK_INT(r.backup[3].action, PRUNE_KEPT);
	CHECK_STR(r.backup[2].reasons.item[0], "last 2 of 2");
	CHECK(!fix_has(&f, FOLDER A ".json") && !fix_has(&f, FOLDER A ".tar.gz") && !fix_has(&f, FOLDER A ".v0002.tar.gz") &&
	      !fix_has(&f, FOLDER B ".json"));
	CHECK(fix_has(&f, FOLDER C ".json") && fix_has(&f, FOLDER C ".tar.gz") && fix_has(&f, FOLDER D ".tar.gz") &&
	      fix_has(&f, FOLDER "notes.txt"));
	CHECK_INT(records(&f), 1);
	/* The record names what went, and counts what stayed. */
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *record = NULL;
	CHECK_OK(storage_list(&f.run, &f.store.storage, "evidence/shop/", NULL, &l, &err), err);
	CHECK_OK(storage_get_bytes(&f.run, &f.store.storage, l.item[0].key, 100000, &b, NULL, &err), err);
	CHECK_OK(js_parse(b.data, b.len, "record", &record, &err), err);
	const json_t *detail = json_object_get(record, "detail");
	CHECK_INT(json_array_size(json_object_get(detail, "backups")), 2);
	CHECK_INT(json_integer_value(json_object_get(detail, "kept")), 2);
	fix_close(&f);
}

TEST("a dry run leaves out what the holder of the lock may be writing")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT, free_r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, "2030-01-01T00:00:00Z", NULL);
	four(&f);
	fix_put(&f, FOLDER "20261110T020000Z-1111.tar.gz", "being written");
	CLEANUP(lock_release) struct lock *l = lock(&f);
	CHECK_OK(prune(&f, &last_two, true, &r, &err), err);
	CHECK_INT(r.abandoned.len, 0);
	lock_release(&l);
	CHECK_OK(prune(&f, &last_two, true, &free_r, &err), err);
	CHECK_INT(free_r.abandoned.len, 1);
	fix_close(&f);
}

TEST("a backup whose volume is gone or cut does not count: the restorable one before it stays")
{
	static const struct {
		const char *volume, *why; /* NULL: deleted */
	} cases[] = {{NULL, "volume " D ".tar.gz is missing"}, {"arch", "volume " D ".tar.gz has 4 bytes, the manifest says 7"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
		struct error err = ERROR_INIT;
		struct fix f;

		fix_open(&f, NOW, NULL);
		four(&f);
		if (cases[i].volume)
			fix_put(&f, FOLDER D ".tar.gz", cases[i].volume);
		else
			CHECK_OK(storage_delete(&f.run, &f.store.storage, FOLDER D ".tar.gz", NULL, &err), err);
		CHECK_OK(prune(&f, &(struct keep_policy){.last = 1}, false, &r, &err), err);
		CHECK_INT(r.removed, 2);
		CHECK(fix_has(&f, FOLDER C ".json") && fix_has(&f, FOLDER C ".tar.gz") && !fix_has(&f, FOLDER B ".json"));
		CHECK_STR(r.backup[2].reasons.item[0], "last 1 of 1");
		CHECK_STR(r.backup[3].reasons.item[0], "bad, but newer than the last good");
		CHECK_INT(r.notes.len, 1);
		CHECK_HAS(r.notes.item[0], cases[i].why);
		fix_close(&f);
	}
}

TEST("a dry run of prune says the same and deletes nothing")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	four(&f);
	CHECK_OK(prune(&f, &last_two, true, &r, &err), err);
	CHECK_INT(r.removed, 2);
	CHECK_INT(r.freed, 14);
	CHECK_INT(r.backup[1].action, PRUNE_REMOVED);
	CHECK(fix_has(&f, FOLDER A ".json") && fix_has(&f, FOLDER A ".tar.gz"));
	CHECK_INT(records(&f), 0);
	fix_close(&f);
}

TEST("prune without a policy removes no backup")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	four(&f);
	CHECK_OK(prune(&f, &(struct keep_policy){0}, false, &r, &err), err);
	CHECK_INT(r.removed, 0);
	CHECK(fix_has(&f, FOLDER A ".json"));
	fix_close(&f);
}

TEST("a suspect backup stops prune until it is accepted")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT, again = PRUNE_RESULT_INIT;
	const struct catalog_mark m = {.backup = D, .who = "ada@host", .because = "expected"};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	four(&f);
	fix_backup(&f, &(struct made){.id = D, .suspect = true});
	fix_put(&f, FOLDER "20261101T020000Z-0000.tar.gz", "abandoned");
	fix_age(&f, FOLDER "20261101T020000Z-0000.tar.gz", 30 * DAY);
	CHECK_INT(prune(&f, &last_two, false, &r, &err), ST_REFUSED);
	CHECK_HAS(error_text(&err), D " is suspect");
	CHECK_HAS(err.hint, "drtool accept shop");
	error_release(&err);
	CHECK(r.blocked && r.backups == 4 && !r.removed);
	CHECK(fix_has(&f, FOLDER A ".json") && fix_has(&f, FOLDER "20261101T020000Z-0000.tar.gz"));
	CHECK_OK(catalog_accept(&f.run, &f.store, "shop", &m, &err), err);
	CHECK_OK(prune(&f, &last_two, false, &again, &err), err);
	CHECK_INT(again.removed, 2);
	fix_close(&f);
}

TEST("prune obeys pins and leases, and keeps and reports manifests that it cannot read")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	CLEANUP(lease_release) struct lease *lease = NULL;
	const struct catalog_mark m = {.backup = A, .who = "ada@host", .because = "audit"};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	four(&f);
	CHECK_OK(catalog_pin_backup(&f.run, &f.store, "shop", &m, &err), err);
	CHECK_OK(lease_take(&f.run, &f.store, "shop", B, &lease, &err), err);
	fix_put(&f, FOLDER "20261101T020000Z-0000.json", "{}");
	fix_put(&f, FOLDER "20261101T020000Z-0000.tar.gz", "its archive");
	fix_age(&f, FOLDER "20261101T020000Z-0000.tar.gz", 30 * DAY);
	CHECK_OK(prune(&f, &last_two, false, &r, &err), err);
	CHECK_INT(r.removed, 0);
	CHECK_STR(r.backup[0].reasons.item[0], "pinned: audit");
	CHECK_STR(r.backup[1].reasons.item[0], "leased");
	CHECK_INT(r.unreadable.len, 1);
	CHECK(fix_has(&f, FOLDER "20261101T020000Z-0000.json") && fix_has(&f, FOLDER "20261101T020000Z-0000.tar.gz"));
	lease_release(&lease);
	fix_close(&f);
}

/* Leaves an unfinished put as a crash does. */
static void crash_while_writing(struct fix *f, const char *key)
{
	const struct put_spec spec = {.key = key};
	pid_t pid = fork();

	if (!pid) {
		struct storage_put *p;
		struct error err = ERROR_INIT;

		_exit(storage_put_open(&f->run, &f->store.storage, &spec, &p, &err) != ST_OK);
	}
	waitpid(pid, NULL, 0);
}

TEST("prune removes what failed runs left, once it is older than a day and nobody is at it")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	CLEANUP(lease_release) struct lease *lease = NULL;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, "2030-01-01T00:00:00Z", NULL); /* a clock that runs ahead makes nothing old */
	four(&f);
	crash_while_writing(&f, FOLDER "20261120T040000Z-4444.tar.gz");
	fix_put(&f, FOLDER "20261110T020000Z-1111.tar.gz", "old");
	fix_put(&f, FOLDER "20261110T020000Z-1111.v0002.tar.gz", "old too");
	fix_put(&f, FOLDER "20261111T020000Z-2222.tar.gz", "old, but read");
	fix_put(&f, FOLDER "20261112T020000Z-3333.tar.gz", "old");
	fix_put(&f, FOLDER "20261112T020000Z-3333.v0002.tar.gz", "but this one grows");
	CHECK_OK(lease_take(&f.run, &f.store, "shop", "20261111T020000Z-2222", &lease, &err), err);
	fix_age(&f, FOLDER "20261110T020000Z-1111.tar.gz", 2 * DAY);
	fix_age(&f, FOLDER "20261110T020000Z-1111.v0002.tar.gz", 2 * DAY);
	fix_age(&f, FOLDER "20261111T020000Z-2222.tar.gz", 2 * DAY);
	fix_age(&f, FOLDER "20261112T020000Z-3333.tar.gz", 2 * DAY);
	CHECK_OK(prune(&f, &(struct keep_policy){0}, false, &r, &err), err);
	CHECK_INT(r.abandoned.len, 2);
	CHECK_STR(r.abandoned.item[0], FOLDER "20261110T020000Z-1111.tar.gz");
	CHECK(!fix_has(&f, r.abandoned.item[0]) && !fix_has(&f, r.abandoned.item[1]));
	CHECK(fix_has(&f, FOLDER "20261111T020000Z-2222.tar.gz") && fix_has(&f, FOLDER "20261112T020000Z-3333.tar.gz"));
	CHECK_OK(storage_uncommitted(&f.run, &f.store.storage, "", INSTANT_NONE, &l, &err), err);
	CHECK_INT(l.len, 1); /* the young one stays */
	lease_release(&lease);
	fix_close(&f);
}

TEST("prune removes an old unfinished put and dead leases")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(cstr_release) char *folder = path_join(test_dir(), "store/shop/backup");
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, "2030-01-01T00:00:00Z", NULL);
	four(&f);
	crash_while_writing(&f, FOLDER "20261120T040000Z-4444.tar.gz");
	CHECK_OK(fs_list(folder, &names, &err), err);
	for (size_t i = 0; i < names.len; i++) {
		CLEANUP(cstr_release) char *key = xasprintf(FOLDER "%s", names.item[i]);

		if (!strncmp(names.item[i], ".part", 5))
			fix_age(&f, key, 2 * DAY);
	}
	fix_put(&f, "shop/lease/dead.json", "{}");
	fix_age(&f, "shop/lease/dead.json", DAY + 3600);
	CHECK_OK(prune(&f, &(struct keep_policy){0}, false, &r, &err), err);
	CHECK_INT(r.abandoned.len, 1);
	CHECK_OK(storage_uncommitted(&f.run, &f.store.storage, "", INSTANT_NONE, &l, &err), err);
	CHECK_INT(l.len, 0);
	CHECK(!fix_has(&f, "shop/lease/dead.json"));
	fix_close(&f);
}

TEST("prune without a lock, or with one that was lost, deletes nothing")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT, s = PRUNE_RESULT_INIT;
	CLEANUP(lock_info_release) struct lock_info seen = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	four(&f);
	struct prune_input in = {.store = &f.store, .source = "shop", .policy = &last_two, .now = run_now(&f.run)};
	CHECK_ERR(prune_run(&f.run, &in, &r, &err), err, ST_FAILED, "without a lock");
	in.lock = lock(&f);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &seen, &err), err);
	CHECK_OK(lock_break(&f.run, &f.store, "shop", "backup", &seen, &err), err);
	CHECK_ERR(prune_run(&f.run, &in, &s, &err), err, ST_LOCKED, "taken over");
	CHECK_INT(s.backup[0].action, PRUNE_PENDING);
	CHECK(fix_has(&f, FOLDER A ".json") && fix_has(&f, FOLDER A ".tar.gz"));
	CHECK_INT(records(&f), 1); /* a record of the failure */
	lock_release(&in.lock);
	fix_close(&f);
}

#ifdef DRTOOL_TEST

TEST("any list or read error ends prune before the first delete")
{
	static const char *const faults[] = {"list[shop/backup]:1:EIO",   "list[shop/backup]:2:EIO", "get[" C "]:1:EIO",
					     "list[shop/lease]:1:EIO",
					     "list[evidence]:1:EIO:once", "list[shop/pin]:1:EIO",    "list[shop/accept]:1:EIO",
						"uncommitted:1:EIO",
					     "stat[1111.json]:1:EIO",	  "get[shop/pin]:1:EIO"};

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
		const struct catalog_mark m = {.backup = A, .who = "ada@host", .because = "audit"};
		struct error err = ERROR_INIT;
		struct fix f;

		fix_open(&f, NOW, NULL);
		four(&f);
		fix_put(&f, FOLDER "20261110T020000Z-1111.tar.gz", "old");
		fix_age(&f, FOLDER "20261110T020000Z-1111.tar.gz", 30 * DAY);
		if (!i)
			CHECK_OK(catalog_pin_backup(&f.run, &f.store, "shop", &m, &err), err);
		fix_close(&f);
		fix_open(&f, NOW, faults[i]);
		fix_move(&f, DURATION_SECONDS(365 * DAY));
		enum status st = prune(&f, &last_two, false, &r, &err);
		if (st != ST_IO || !strstr(error_text(&err), "deleted nothing"))
			test_fail(__FILE__, __LINE__, "%s: %s %s", faults[i], status_name(st), error_text(&err));
		error_release(&err);
		fix_close(&f);
		fix_open(&f, NOW, NULL);
		CHECK(fix_has(&f, FOLDER A ".json") && fix_has(&f, FOLDER B ".json") &&
		      fix_has(&f, FOLDER "20261110T020000Z-1111.tar.gz"));
		fix_close(&f);
	}
}

TEST("what is under retention is reported, and its archive stays with its manifest")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, "delete[" A "]:1:retained,delete[" B ".tar]:1:retained");
	four(&f);
	CHECK_OK(prune(&f, &last_two, false, &r, &err), err);
	CHECK_INT(r.backup[0].action, PRUNE_RETAINED);
	CHECK_HAS(r.backup[0].until, "retained until 2030");
	CHECK_INT(r.backup[1].action, PRUNE_REMOVED);
	CHECK_INT(r.removed, 1);
	CHECK_INT(r.retained, 1);
	CHECK_INT(r.notes.len, 1);
	CHECK(fix_has(&f, FOLDER A ".json") && fix_has(&f, FOLDER A ".tar.gz") && fix_has(&f, FOLDER B ".tar.gz"));
	fix_close(&f);
}

TEST("a delete that fails ends prune, and what was not reached is pending")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, "delete[" A ".tar]:1:EIO");
	four(&f);
	CHECK_ERR(prune(&f, &last_two, false, &r, &err), err, ST_IO, "prune of shop");
	CHECK_INT(r.backup[0].action, PRUNE_REMOVED);
	CHECK_INT(r.backup[1].action, PRUNE_PENDING);
	CHECK(!fix_has(&f, FOLDER A ".json") && fix_has(&f, FOLDER B ".json"));
	CHECK_INT(records(&f), 1);
	fix_close(&f);
}

TEST("evidence that cannot be written is a note of prune, no failure")
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, "open[evidence]:1:EACCES");
	four(&f);
	CHECK_OK(prune(&f, &last_two, false, &r, &err), err);
	CHECK_INT(r.notes.len, 1);
	CHECK_HAS(r.notes.item[0], "store local: cannot write the record of this prune");
	fix_close(&f);
}

TEST("a prune killed at any point leaves no manifest without its archive")
{
	static const char *const points[] = {"prune.delete.before", "prune.manifest.deleted", "local.delete.before",
					     "local.delete.after"};

	for (size_t i = 0; i < ARRAY_LEN(points); i++)
		for (int nth = 1; nth <= 5; nth++) {
			CLEANUP(cstr_release) char *spec = xasprintf("%s:%d:kill", points[i], nth);
			CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
			struct error err = ERROR_INIT;
			struct fix f;

			fix_open(&f, NOW, NULL);
			four(&f);
			pid_t pid = fork();
			if (!pid) {
				struct prune_result r = PRUNE_RESULT_INIT;

				setenv("DRTOOL_FAIL", spec, 1);
				failpoint_init();
				_exit(prune(&f, &last_two, false, &r, &err) != ST_OK);
			}
			waitpid(pid, NULL, 0);
			fix_read(&f, &c);
			CHECK(c.backups >= 2 && !c.unreadables);
			for (size_t k = 0; k < c.backups; k++) {
				CLEANUP(cstr_release) char *key = xasprintf(FOLDER "%s.tar.gz", c.backup[k].manifest.id);

				CHECK(fix_has(&f, key));
			}
			fix_close(&f);
		}
}

#endif
