#include "tests/unit/catalog/fixture.h"

#define NOW "2026-11-20T12:00:00Z"
#define A "20261118T020000Z-aaaa"
#define B "20261119T020000Z-bbbb"
#define C "20261120T020000Z-cccc"

static void three(struct fix *f)
{
	fix_backup(f, &(struct made){.id = B, .tag = "env=prod"});
	fix_backup(f, &(struct made){.id = A, .tag = "env=test"});
	fix_backup(f, &(struct made){.id = C, .tag = "weekly"});
}

static const char *find(const struct catalog *c, const char *which, const char *tag, size_t *passed)
{
	CLEANUP(strlist_release) struct strlist tags = STRLIST_INIT;
	struct error err = ERROR_INIT;
	size_t i = 0;

	if (tag)
		strlist_add(&tags, tag);
	const struct catalog_query q = {.which = which, .tags = tag ? &tags : NULL};
	if (catalog_find(c, &q, &i, passed, &err)) {
		CHECK_INT(err.code, ST_NOT_FOUND);
		error_release(&err);
		return "";
	}
	return c->backup[i].manifest.id;
}

TEST("the catalog is made of manifests only, in order of ids")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	three(&f);
	fix_put(&f, "shop/backup/20261120T030000Z-dddd.tar.gz", "no manifest, no backup");
	fix_put(&f, "shop/backup/20261120T040000Z-eeee.json", "{\"not\": \"a manifest\"}");
	fix_put(&f, "shop/backup/20261120T050000Z-ffff.json", "");
	fix_put(&f, "shop/backup/README", "hello");
	fix_read(&f, &c);
	CHECK_INT(c.backups, 3);
	CHECK_STR(c.backup[0].manifest.id, A);
	CHECK_STR(c.backup[2].manifest.id, C);
	CHECK_INT(c.unreadables, 2);
	CHECK_STR(c.unreadable[0].key, "shop/backup/20261120T040000Z-eeee.json");
	fix_close(&f);
}

TEST("a manifest under another id is not believed")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	CLEANUP(cstr_release) char *from = path_join(test_dir(), "store/shop/backup/" A ".json"),
		*to = path_join(test_dir(), "store/shop/backup/" B ".json");
	struct fix f;

	fix_open(&f, NOW, NULL);
	fix_backup(&f, &(struct made){.id = A});
	CHECK(!rename(from, to));
	fix_read(&f, &c);
	CHECK_INT(c.backups, 0);
	CHECK_HAS(c.unreadable[0].why, "another backup");
	fix_close(&f);
}

TEST("the newest good backup is of the identity asked for, and not one under another's name")
{
	CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT, other = MANIFEST_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const struct newest_query any = {.source = "shop"}, one = {.source = "shop", .identity = "id-1", .kind = "dump"},
				  none = {.source = "shop", .identity = "id-3"};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	fix_backup(&f, &(struct made){.id = A});
	fix_backup(&f, &(struct made){.id = B, .identity = "id-2"});
	CHECK_OK(storage_get_bytes(&f.run, &f.store.storage, "shop/backup/" B ".json", 100000, &b, NULL, &err), err);
	fix_put(&f, "shop/backup/" C ".json", buf_str(&b));
	CHECK_OK(catalog_newest_good(&f.run, &f.store, &any, &m, &err), err);
	CHECK_STR(m.id, B);
	CHECK_OK(catalog_newest_good(&f.run, &f.store, &one, &other, &err), err);
	CHECK_STR(other.id, A);
	CHECK_ERR(catalog_newest_good(&f.run, &f.store, &none, &m, &err), err, ST_NOT_FOUND, "no good backup");
	fix_close(&f);
}

TEST("a backup is found by latest, by tag, by a part of its id, and bad ones are passed over")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	struct fix f;
	size_t passed;

	fix_open(&f, NOW, NULL);
	CHECK_STR(find(&c, NULL, NULL, &passed), "");
	three(&f);
	fix_proof(&f, "verify", A, EVIDENCE_GOOD, PROOF_COMPARED);
	fix_proof(&f, "check", C, EVIDENCE_BAD, PROOF_STORED);
	fix_read(&f, &c);
	CHECK_STR(find(&c, NULL, NULL, &passed), B);
	CHECK_INT(passed, 1);
	CHECK_STR(find(&c, "latest-proven", NULL, &passed), A);
	CHECK_STR(find(&c, "latest", "env=test", &passed), A);
	CHECK_STR(find(&c, "latest", "env", &passed), B);
	CHECK_STR(find(&c, "latest", "en", &passed), "");
	CHECK_STR(find(&c, C, NULL, &passed), C); /* named: also when bad */
	CHECK_STR(find(&c, "20261119", NULL, &passed), B);
	CHECK_STR(find(&c, "aaaa", NULL, &passed), A);
	CHECK_STR(find(&c, "202611", NULL, &passed), "");
	CHECK_STR(find(&c, "2025", NULL, &passed), "");
	fix_close(&f);
}

TEST("the newest conclusive record of a kind decides about a backup")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	three(&f);
	fix_proof(&f, "check", A, EVIDENCE_BAD, PROOF_STORED);
	fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_proof(&f, "check", A, EVIDENCE_INCONCLUSIVE, PROOF_STORED);
	fix_proof(&f, "verify", B, EVIDENCE_GOOD, PROOF_COMPARED);
	fix_proof(&f, "check", B, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_proof(&f, "verify", C, EVIDENCE_GOOD, PROOF_READ);
	fix_proof(&f, "verify", C, EVIDENCE_BAD, PROOF_STORED);
	fix_put(&f, "evidence/shop/20261120T000000Z-check-x.json", "not json");
	fix_read(&f, &c);
	CHECK(!c.backup[0].bad);
	CHECK_INT(c.backup[0].level, PROOF_CHECKED);
	CHECK_INT(c.backup[1].level, PROOF_COMPARED);
	CHECK_INT(c.backup[1].verify_took.us, 60 * 1000000);
	CHECK(c.backup[1].proven_at.us > 0);
	CHECK(c.backup[2].bad);
	CHECK_INT(c.backup[2].level, PROOF_STORED);
	CHECK_HAS(c.backup[2].bad_because, "verify of 2026-11-20T12:00:06Z: bytes differ");
	fix_close(&f);
}

static bool bad_of(const struct catalog *c, const char *id)
{
	for (size_t i = 0; i < c->backups; i++)
		if (!strcmp(c->backup[i].manifest.id, id))
			return c->backup[i].bad;
	return false;
}

TEST("what a check found inside of a backup is taken back by no check of the stored bytes alone")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT, later = CATALOG_INIT;
	CLEANUP(manifest_release) struct manifest newest = MANIFEST_INIT, good = MANIFEST_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	three(&f);
	fix_proof(&f, "check", C, EVIDENCE_BAD, PROOF_STORED); /* by its key */
	fix_shallow(&f, C, EVIDENCE_BAD);
	fix_shallow(&f, C, EVIDENCE_GOOD);
	fix_shallow(&f, B, EVIDENCE_BAD);
	fix_shallow(&f, B, EVIDENCE_GOOD);
	fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_shallow(&f, A, EVIDENCE_BAD);
	fix_read(&f, &c);
	CHECK(bad_of(&c, C));
	CHECK(!bad_of(&c, B));
	CHECK(bad_of(&c, A));
	CHECK_OK(catalog_newest_good(&f.run, &f.store, &(struct newest_query){.source = "shop"}, &newest, &err), err);
	CHECK_STR(newest.id, B);
	fix_proof(&f, "check", C, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_read(&f, &later);
	CHECK(!bad_of(&later, C));
	CHECK(!bad_of(&later, A));
	CHECK_OK(catalog_newest_good(&f.run, &f.store, &(struct newest_query){.source = "shop"}, &good, &err), err);
	CHECK_STR(good.id, C);
	fix_close(&f);
}

TEST("records that cannot be read are counted, and decide nothing")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	fix_backup(&f, &(struct made){.id = A});
	fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_put(&f, "evidence/shop/20261121T000000Z-check-ab12cd.json", "{");
	fix_read(&f, &c);
	CHECK_INT(c.damaged, 1);
	CHECK_INT(c.backup[0].level, PROOF_CHECKED);
	fix_close(&f);
}

TEST("records are written one after the other, each naming the hash of the one before")
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(buf_release) struct buf first = BUF_INIT, second = BUF_INIT;
	CLEANUP(js_decref) json_t *root = NULL;
	struct error err = ERROR_INIT;
	char hex[SHA256_HEX];
	struct fix f;

	fix_open(&f, NOW, NULL);
	f.run.run_id = "ab12cd";
	fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
	fix_move(&f, DURATION_SECONDS(-1));
	fix_proof(&f, "check", A, EVIDENCE_BAD, PROOF_STORED); /* the same second and run: gets a name of its own */
	CHECK_OK(storage_list(&f.run, &f.store.storage, "evidence/shop/", NULL, &l, &err), err);
	CHECK_INT(l.len, 3);
	CHECK_STR(l.item[0].key, "evidence/shop/20261120T120000Z-check-ab12cd.json");
	CHECK_OK(storage_get_bytes(&f.run, &f.store.storage, l.item[0].key, 100000, &first, NULL, &err), err);
	CHECK_OK(storage_get_bytes(&f.run, &f.store.storage, "evidence/shop/20261120T120001Z-check-ab12cd.json", 100000, &second,
				   NULL, &err), err);
	CHECK_OK(js_parse(second.data, second.len, "record", &root, &err), err);
	CHECK_STR(json_string_value(json_object_get(json_object_get(root, "previous"), "sha256")),
		  sha256_hex(sha256_of(first.data, first.len), hex));
	/* The newest is found, however long ago that was. */
	CLEANUP(buf_release) struct buf last = BUF_INIT;
	CLEANUP(js_decref) json_t *late = NULL;
	fix_move(&f, DURATION_SECONDS(30 * 86400));
	fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
	CHECK_OK(storage_get_bytes(&f.run, &f.store.storage, "evidence/shop/20261220T120002Z-check-ab12cd.json", 100000, &last, NULL, &err), err);
	CHECK_OK(js_parse(last.data, last.len, "record", &late, &err), err);
	CHECK_STR(json_string_value(json_object_get(json_object_get(late, "previous"), "key")), l.item[2].key);
	fix_close(&f);
}

TEST("pins hold until their time or until they are taken off, a damaged one holds")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT, d = CATALOG_INIT, e = CATALOG_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	three(&f);
	const struct catalog_mark forever = {.backup = A, .who = "ada@host", .because = "audit"};
	struct catalog_mark week = {.backup = B, .who = "ada@host", .because = "move"};
	week.until = instant_add(run_now(&f.run), DURATION_SECONDS(7 * 86400));
	CHECK_OK(catalog_pin_backup(&f.run, &f.store, "shop", &forever, &err), err);
	CHECK_OK(catalog_pin_backup(&f.run, &f.store, "shop", &week, &err), err);
	fix_put(&f, "shop/pin/" C "-broken.json", "{");
	fix_read(&f, &c);
	CHECK_INT(c.backup[0].pins, 1);
	CHECK_STR(c.backup[0].pin[0].because, "audit");
	CHECK_STR(c.backup[0].pin[0].who, "ada@host");
	CHECK_INT(c.backup[1].pins, 1);
	CHECK_INT(c.backup[2].pins, 1);
	fix_move(&f, DURATION_SECONDS(8 * 86400));
	fix_read(&f, &d);
	CHECK_INT(d.backup[1].pins, 0);
	CHECK_OK(catalog_unpin_backup(&f.run, &f.store, "shop", &forever, &err), err);
	fix_read(&f, &e);
	CHECK_INT(e.backup[0].pins, 0);
	CHECK_ERR(catalog_unpin_backup(&f.run, &f.store, "shop", &(struct catalog_mark){.backup = "20261120T020000Z-0000",
			.who = "a", .because = "b"}, &err), err, ST_NOT_FOUND, "not pinned");
	fix_close(&f);
}

TEST("a suspect backup is one until it is accepted")
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT, d = CATALOG_INIT;
	const struct catalog_mark m = {.backup = A, .who = "ada@host", .because = "we deleted a tenant"};
	struct error err = ERROR_INIT;
	struct fix f;
	size_t passed;

	fix_open(&f, NOW, NULL);
	fix_backup(&f, &(struct made){.id = A, .suspect = true});
	fix_read(&f, &c);
	CHECK(c.backup[0].suspect);
	CHECK_STR(find(&c, NULL, NULL, &passed), "");
	CHECK_OK(catalog_accept(&f.run, &f.store, "shop", &m, &err), err);
	fix_read(&f, &d);
	CHECK(!d.backup[0].suspect);
	CHECK_STR(find(&d, NULL, NULL, &passed), A);
	fix_close(&f);
}

TEST("sources are what has backups or facts, and valid names")
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	three(&f);
	fix_put(&f, "orders/source.json", "{}");
	fix_put(&f, "orders/lock/backup.json", "{}");
	fix_put(&f, "empty/lock/backup.json", "{}");
	fix_put(&f, "evidence/shop/x.json", "{}");
	fix_put(&f, "drtool/config/x.yaml", "");
	fix_put(&f, "Photos/backup/x.jpg", "");
	fix_put(&f, "Photos/\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf", ""); /* the last characters that there are */
	fix_put(&f, "orders0/source.json", "{}");
	CHECK_OK(catalog_sources(&f.run, &f.store, &names, &err), err);
	CHECK_INT(names.len, 3);
	CHECK_STR(names.item[0], "orders");
	CHECK_STR(names.item[1], "orders0");
	CHECK_STR(names.item[2], "shop");
	CHECK(source_name_valid("a.b-c_d0") && !source_name_valid("") && !source_name_valid(".a") && !source_name_valid("a/b") &&
	      !source_name_valid("evidence") && !source_name_valid("Shop"));
	fix_close(&f);
}

TEST("facts of a source come back as they were written")
{
	CLEANUP(catalog_source_release) struct catalog_source back = CATALOG_SOURCE_INIT, s = CATALOG_SOURCE_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	CHECK_ERR(catalog_source_read(&f.run, &f.store, "shop", &back, &err), err, ST_NOT_FOUND, "");
	s.driver = xstrdup("postgres");
	s.identity = xstrdup("7301");
	s.url = xstrdup("postgres://db/shop");
	s.rpo = DURATION_SECONDS(86400);
	strlist_add(&s.uncovered, "other");
	CHECK_OK(catalog_source_write(&f.run, &f.store, "shop", &s, &err), err);
	CHECK_OK(catalog_source_read(&f.run, &f.store, "shop", &back, &err), err);
	CHECK_STR(back.identity, "7301");
	CHECK_INT(back.rpo.us, s.rpo.us);
	CHECK_INT(back.expect_every.us, 0);
	CHECK_STR(back.uncovered.item[0], "other");
	fix_close(&f);
}

/* Time passes by waiting. */
static void passing_wait(void *ctx, int fd UNUSED, struct duration d)
{
	fix_move(ctx, d);
}

TEST("the next id is in a second of its own, and a clock that runs behind is named")
{
	struct error err = ERROR_INIT;
	struct instant start, newest = INSTANT_NONE;
	char id[BACKUP_ID_LEN + 1];
	struct fix f;

	fix_open(&f, NOW, NULL);
	f.clock.wait = passing_wait;
	CHECK_OK(catalog_newest_id(&f.run, &f.store, "shop", &newest, &err), err);
	CHECK_OK(catalog_new_id(&f.run, "shop", newest, id, &start, &err), err);
	CHECK(!strncmp(id, "20261120T120000Z-", 17) && backup_id_valid(id));
	CHECK_INT(start.us, run_now(&f.run).us);
	fix_put(&f, "shop/backup/20261120T120003Z-0001.tar.gz", "x");
	CHECK_OK(catalog_newest_id(&f.run, &f.store, "shop", &newest, &err), err);
	CHECK_OK(catalog_new_id(&f.run, "shop", newest, id, &start, &err), err);
	CHECK(!strncmp(id, "20261120T120004Z-", 17));
	fix_put(&f, "shop/backup/20261120T120010Z-0001.json", "x");
	CHECK_OK(catalog_newest_id(&f.run, &f.store, "shop", &newest, &err), err);
	CHECK_ERR(catalog_new_id(&f.run, "shop", newest, id, &start, &err), err, ST_REFUSED,
		  "clock of this machine says 2026-11-20T12:00:04Z");
	fix_close(&f);
}

#ifdef DRTOOL_TEST
TEST("an error of the store is an error of the catalog, not an empty one")
{
	static const char *const faults[] = {"list[shop/backup]:1:EIO", "get[shop/backup]:1:EIO", "list[evidence/]:1:EIO",
					     "get[evidence]:1:EIO", "list[shop/pin]:1:EIO"};

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
		struct error err = ERROR_INIT;
		struct fix f;

		fix_open(&f, NOW, NULL);
		three(&f);
		fix_proof(&f, "check", A, EVIDENCE_GOOD, PROOF_CHECKED);
		fix_close(&f);
		fix_open(&f, NOW, faults[i]);
		CHECK_ERR(catalog_read(&f.run, &f.store, "shop", &c, &err), err, ST_IO, "cannot read what store local has of shop");
		fix_close(&f);
	}
}
#endif
