#include "catalog/cache.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/catalog/fixture.h"

#define NOW "2030-01-01T00:00:00Z" /* long after the files were written */
#define FIRST "20261118T020000Z-0001"
#define SECOND "20261119T020000Z-0002"
#define THIRD "20261120T020000Z-0003"

static void open_cached(struct fix *f, const char *faults)
{
	fix_open(f, NOW, faults);
	f->store.state_dir = xasprintf("%s/state", test_dir());
}

static char *file_of(struct fix *f, const char *name) { return xasprintf("%s/state/catalog/%s/%s", test_dir(), f->store.id, name); }

static void look(struct fix *f, struct catalog *c)
{
	struct error err = ERROR_INIT;

	CHECK_OK(catalog_look(&f->run, &f->store, "shop", c, &err), err);
}

static void make_three(struct fix *f)
{
	fix_backup(f, &(struct made){.id = FIRST, .rows = 10, .raw = 1000});
	fix_backup(f, &(struct made){.id = SECOND, .rows = 10, .raw = 1000});
	fix_backup(f, &(struct made){.id = THIRD, .rows = 10, .raw = 1000});
	fix_proof(f, "verify", SECOND, EVIDENCE_GOOD, PROOF_COMPARED);
	fix_proof(f, "check", FIRST, EVIDENCE_BAD, PROOF_STORED);
	fix_put(f, "shop/pin/" THIRD "-00000001.json", "{\"state\": \"pinned\", \"who\": \"me\", \"because\": \"audit\"}");
}

static void expect_three(struct fix *f)
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;

	look(f, &c);
	CHECK_INT(c.backups, 3);
	CHECK_STR(c.backup[0].manifest.id, FIRST);
	CHECK(c.backup[0].bad && !c.backup[1].bad);
	CHECK_INT(c.backup[1].level, PROOF_COMPARED);
	CHECK_INT(c.backup[2].pins, 1);
	CHECK_STR(c.backup[2].pin[0].because, "audit");
}

TEST("a second look reads nothing but listings, and says the same")
{
	struct fix f;

	open_cached(&f, NULL);
	make_three(&f);
	expect_three(&f);
	fix_close(&f);
	open_cached(&f, "get[shop]:1:EIO");
	expect_three(&f);
	fix_close(&f);
}

TEST("many large records are read in windows, each record whole")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct fix f;

	open_cached(&f, NULL);
	fix_backup(&f, &(struct made){.id = FIRST, .rows = 10, .raw = 1000});
	buf_puts(&b, "{\"kind\": \"check\", \"backup\": \"" FIRST "\", \"outcome\": \"good\", \"level\": \"checked\", \"detail\": {\"text\": \"");
	for (int i = 0; i < 3 * 1024 * 1024 / 16; i++)
		buf_puts(&b, "sixteen letters ");
	buf_puts(&b, "\"}}");
	for (int i = 0; i < 8; i++) {
		CLEANUP(cstr_release) char *key = xasprintf("evidence/shop/20261118T03000%dZ-check-0000.json", i);

		fix_put(&f, key, buf_str(&b));
	}
	fix_proof(&f, "check", FIRST, EVIDENCE_BAD, PROOF_STORED);
	look(&f, &c);
	CHECK(c.backups == 1 && c.backup[0].bad);
	fix_close(&f);
}

TEST("a copy is private to its owner")
{
	CLEANUP(cstr_release) char *path = NULL;
	struct stat st;
	struct fix f;

	open_cached(&f, NULL);
	make_three(&f);
	expect_three(&f);
	path = file_of(&f, "shop.backup");
	CHECK(!stat(path, &st));
	CHECK_INT(st.st_mode & 07777, 0600);
	fix_close(&f);
}

TEST("what was added, replaced or deleted in the store is noticed by the listing alone")
{
	struct fix f;
	struct error err = ERROR_INIT;

	open_cached(&f, NULL);
	make_three(&f);
	expect_three(&f);
	for (int i = 0; i < 2; i++) {
		CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;

		if (!i) {
			CHECK_OK(storage_delete(&f.run, &f.store.storage, "shop/backup/" SECOND ".json", NULL, &err), err);
			fix_backup(&f, &(struct made){.id = "20261121T020000Z-0004", .rows = 20, .raw = 2000});
			fix_backup(&f, &(struct made){.id = FIRST, .rows = 77, .raw = 1000});
			fix_put(&f, "shop/pin/" THIRD "-00000001.json", "{\"state\": \"unpinned\"}");
		}
		look(&f, &c);
		CHECK_INT(c.backups, 3);
		CHECK_INT(c.backup[0].manifest.rows, 77);
		CHECK_STR(c.backup[1].manifest.id, THIRD);
		CHECK_INT(c.backup[1].pins, 0);
		CHECK_INT(c.backup[2].manifest.rows, 20);
	}
	fix_close(&f);
}

static void damage(const char *path, long at, char xor)
{
	FILE *file = fopen(path, "r+");
	int c;

	CHECK(file != NULL);
	CHECK(!fseek(file, at, at < 0 ? SEEK_END : SEEK_SET));
	c = fgetc(file);
	CHECK(!fseek(file, -1, SEEK_CUR));
	fputc(c ^ xor, file);
	CHECK(!fclose(file));
}

TEST("a damaged, cut, foreign or missing copy is read anew")
{
	static const char *const files[] = {"shop.backup", "shop.evidence", "shop.pin"};
	struct fix f;

	open_cached(&f, NULL);
	make_three(&f);
	expect_three(&f);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(cstr_release) char *path = file_of(&f, files[i]);
		struct stat st;

		damage(path, -20, 1);
		expect_three(&f);
		damage(path, 70, 1);
		expect_three(&f);
		damage(path, 20, 3); /* the id of the store */
		expect_three(&f);
		CHECK(!stat(path, &st) && !truncate(path, st.st_size - 9));
		expect_three(&f);
		CHECK(!truncate(path, 0));
		expect_three(&f);
		CHECK(!unlink(path));
		expect_three(&f);
		CHECK(fs_exists(path));
	}
	fix_close(&f);
}

TEST("copies of sources that are gone are removed")
{
	CLEANUP(cstr_release) char *path = NULL, *other = NULL;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct fix f;

	open_cached(&f, NULL);
	make_three(&f);
	expect_three(&f);
	path = file_of(&f, "shop.backup");
	other = file_of(&f, "web.shop.backup");
	CHECK_OK(fs_write_file(other, 0600, "x", 1, &err), err);
	strlist_add(&names, "shop");
	cache_sweep(&f.run, &f.store, &names);
	CHECK(fs_exists(path) && !fs_exists(other));
	cache_forget(&f.store, "shop");
	CHECK(!fs_exists(path));
	fix_close(&f);
}

TEST("without a folder that can be written everything is read from the store")
{
	CLEANUP(cstr_release) char *state = xasprintf("%s/state", test_dir());
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct fix f;

	CHECK_OK(fs_write_file(state, 0600, "a file", 6, &err), err);
	open_cached(&f, NULL);
	make_three(&f);
	expect_three(&f);
	expect_three(&f);
	fix_close(&f);
}

TEST("what acts on a backup reads a local manifest itself, however old the copy")
{
	CLEANUP(catalog_release) struct catalog shown = CATALOG_INIT, c = CATALOG_INIT;
	CLEANUP(cstr_release) char *path = xasprintf("%s/store/shop/backup/" SECOND ".json", test_dir());
	struct error err = ERROR_INIT;
	struct stat st;
	struct fix f;

	open_cached(&f, NULL);
	make_three(&f);
	expect_three(&f);
	CHECK(!stat(path, &st));
	damage(path, 100, 1); /* a disk that forgets: neither size nor time say so */
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
	CHECK(!utimensat(AT_FDCWD, path, times, 0));
	look(&f, &shown);
	CHECK_INT(shown.unreadables, 0);
	fix_read(&f, &c);
	CHECK_INT(c.unreadables, 1);
	CHECK_ERR(catalog_confirm(&f.run, &f.store, "shop", SECOND, &err), err, ST_BAD, "damaged");
	fix_close(&f);
}

TEST("what acts on a backup notices that its manifest names other volumes now")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	open_cached(&f, NULL);
	make_three(&f);
	fix_read(&f, &c);
	struct manifest *m = &c.backup[1].manifest;
	CHECK_OK(catalog_confirm_volumes(&f.run, &f.store, "shop", m, &err), err);
	m->object[0].sha256 = sha256_of("other", 5); /* as if it had been encrypted anew since it was read */
	CHECK_ERR(catalog_confirm_volumes(&f.run, &f.store, "shop", m, &err), err, ST_BAD, "other volumes");
	fix_close(&f);
}

TEST("what was written a moment ago is not kept where only its time would tell that it changed")
{
	CLEANUP(cstr_release) char *path = xasprintf("%s/store/shop/backup/" FIRST ".json", test_dir());
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT, again = CATALOG_INIT;
	struct stat st;
	struct fix f;

	open_cached(&f, NULL);
	fix_backup(&f, &(struct made){.id = FIRST, .rows = 10, .raw = 1000});
	CHECK(!stat(path, &st));
	atomic_store(&f.us, (int64_t)st.st_mtim.tv_sec * 1000000 + 1500000);
	look(&f, &c);
	CHECK_INT(c.backup[0].manifest.rows, 10);
	fix_backup(&f, &(struct made){.id = FIRST, .rows = 77, .raw = 1000});
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
	CHECK(!utimensat(AT_FDCWD, path, times, 0));
	look(&f, &again);
	CHECK_INT(again.backup[0].manifest.rows, 77);
	fix_close(&f);
}
