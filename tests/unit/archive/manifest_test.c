#include "archive/manifest.h"
#include "tests/lib/test.h"

static struct manifest sample(void)
{
	struct manifest m = {.id = "20261120T020000Z-7f3a",
			     .started = {1795140000000000},
			     .finished = {1795140060000000},
			     .data_time = {1795139990000000}};

	m.source = xstrdup("shop");
	m.driver = xstrdup("postgres");
	m.kind = xstrdup("dump");
	m.url = xstrdup("postgres://backup@db/shop");
	m.identity = xstrdup("7312345678901234567");
	m.server_version = xstrdup("15.20");
	m.server_role = xstrdup("primary");
	m.tool_version = xstrdup("0.1.0");
	strlist_add(&m.client_tools, "pg_dump 15.20");
	m.oldest_client = xstrdup("15");
	m.scope = xcalloc(1, sizeof *m.scope);
	m.scopes = 1;
	m.scope[0] = (struct manifest_scope){.name = xstrdup("shop"),
					     .snapshot = {1795139990000000},
					     .position = xstrdup("0/16B3748"),
					     .objects = 4,
					     .rows = 10,
					     .raw = 500};
	m.object = xcalloc(2, sizeof *m.object);
	m.objects = 2;
	m.object[0] = (struct manifest_object){
		.key = xstrdup("20261120T020000Z-7f3a.tar.gz"), .size = 123456789012, .sha256 = sha256_of("a", 1)};
	m.object[1] = (struct manifest_object){
		.key = xstrdup("20261120T020000Z-7f3a.v0002.tar.gz"), .size = 5, .sha256 = sha256_of("b", 1)};
	m.tables = 4;
	m.nonempty_tables = 3;
	m.rows = 10;
	m.raw = 500;
	m.stored = 300;
	m.members = 7;
	m.chunk_size = 6291456;
	m.compression = xstrdup("isa-l 3");
	m.shrink = json_pack("{s:i,s:i}", "shop\tpublic.orders", 7, "shop\tpublic.items", 3);
	m.replication = json_pack("{s:s,s:[]}", "gtid", "0-1-100", "sources");
	strlist_add(&m.tags, "before=upgrade");
	strlist_add(&m.notes, "a note with \"quotes\" and \xe2\x82\xac");
	strlist_add(&m.not_contained, "password hashes");
	m.has_password_hashes = true;
	m.suspect = true;
	m.suspect_because = xstrdup("rows fell by 60 %");
	return m;
}

TEST("a manifest comes back as it was written")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(buf_release) struct buf again = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = sample();
	CLEANUP(manifest_release) struct manifest back = MANIFEST_INIT;

	CHECK_OK(manifest_write(&m, &b, &err), err);
	CHECK_OK(manifest_read(b.data, b.len, &back, &err), err);
	CHECK_STR(back.id, m.id);
	CHECK_STR(back.scope[0].position, "0/16B3748");
	CHECK_INT(back.object[0].size, 123456789012);
	CHECK_INT(back.finished.us, m.finished.us);
	CHECK_INT(json_integer_value(json_object_get(back.shrink, "shop\tpublic.items")), 3);
	CHECK_STR(json_string_value(json_object_get(back.replication, "gtid")), "0-1-100");
	CHECK(!back.truncated);
	CHECK_OK(manifest_write(&back, &again, &err), err);
	CHECK_STR(again.data, b.data);
	CLEANUP(js_decref) json_t *j = manifest_json(&m);
	CHECK(json_object_get(j, "notes") && !json_object_get(j, "checksum"));
}

TEST("a manifest tells the log from the databases")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = sample();
	CLEANUP(manifest_release) struct manifest back = MANIFEST_INIT;

	m.scope = xrealloc(m.scope, 2 * sizeof *m.scope);
	m.scope[m.scopes++] = (struct manifest_scope){.name = xstrdup("local"), .log = true};
	CHECK_OK(manifest_write(&m, &b, &err), err);
	CHECK_OK(manifest_read(b.data, b.len, &back, &err), err);
	CHECK(back.scopes == 2 && !back.scope[0].log && back.scope[1].log);
}

TEST("no byte of a manifest can change, go or be added unseen")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = sample();
	struct manifest back = MANIFEST_INIT;

	CHECK_OK(manifest_write(&m, &b, &err), err);
	for (size_t i = 0; i < b.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			b.data[i] ^= (char)(1 << bit);
			CHECK_ERR(manifest_read(b.data, b.len, &back, &err), err, ST_BAD, "the manifest");
			b.data[i] ^= (char)(1 << bit);
		}
		CHECK_ERR(manifest_read(b.data, i, &back, &err), err, ST_BAD, "the manifest");
	}
	buf_putc(&b, '\n');
	CHECK_ERR(manifest_read(b.data, b.len, &back, &err), err, ST_BAD, "the manifest");
}

static void put_sum(struct buf *b)
{
	char hex[SHA256_HEX];
	struct sha256 sum = sha256_of(b->data, b->len);

	buf_printf(b, "\"checksum\": \"%s\"\n}\n", sha256_hex(sum, hex));
}

TEST("a manifest of a later format or with an unknown requirement is refused with a way on")
{
	static const char *const text[] = {"{\"format\": \"drtool-backup\", \"version\": 2, \"requires\": [], ",
					   "{\"format\": \"drtool-backup\", \"version\": 1, \"requires\": [\"dictionary\"], "};

	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(buf_release) struct buf b = BUF_INIT;
		struct manifest back = MANIFEST_INIT;

		buf_puts(&b, text[i]);
		put_sum(&b);
		CHECK_INT(manifest_read(b.data, b.len, &back, &err), ST_UNSUPPORTED);
		CHECK_HAS(err.text, i ? "requires dictionary" : "format 2");
		CHECK_HAS(err.hint, "newer drtool");
	}
}

TEST("a manifest that lacks what is needed or names objects elsewhere is bad")
{
	static const char start[] = "{\"format\": \"drtool-backup\", \"version\": 1, \"requires\": [], ";
#define NAMES "\"id\": \"20261120T020000Z-7f3a\", \"source\": \"s\", \"driver\": \"p\", \"kind\": \"dump\", \"identity\": \"1\", "
#define NO_BYTES "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	static const char *const rest[] = {
		"",
		"\"id\": \"../../etc\", ",
		"\"id\": \"20261120T020000Z-7f3a\", ",
		NAMES "\"scopes\": [], \"objects\": [{\"key\": \"../x\", \"size\": 1, \"sha256\": \"" NO_BYTES "\"}], ",
		NAMES "\"scopes\": [3], ",
		NAMES "\"scopes\": [], \"objects\": [], ",
	};

	for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(buf_release) struct buf b = BUF_INIT;
		struct manifest back = MANIFEST_INIT;

		buf_puts(&b, start);
		buf_puts(&b, rest[i]);
		put_sum(&b);
		CHECK_ERR(manifest_read(b.data, b.len, &back, &err), err, ST_BAD, "the manifest");
	}
}

TEST("lists that do not fit are cut and counted, and the manifest stays within its limit")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = sample();
	CLEANUP(manifest_release) struct manifest back = MANIFEST_INIT;

	for (unsigned i = 0; i < 3000; i++) {
		CLEANUP(cstr_release) char *note = xasprintf("note %u of many", i);
		CLEANUP(cstr_release) char *table = xasprintf("shop\tpublic.table_%u", i);
		strlist_add(&m.notes, note);
		strlist_add(&m.not_contained, note);
		json_object_set_new(m.shrink, table, json_integer(i));
	}
	CLEANUP(cstr_release) char *huge = xcalloc(1, 100001);
	memset(huge, 'e', 100000);
	strlist_add(&m.tags, huge);
	CHECK_OK(manifest_write(&m, &b, &err), err);
	CHECK(b.len <= MANIFEST_MAX && b.len > MANIFEST_MAX / 2);
	CHECK_OK(manifest_read(b.data, b.len, &back, &err), err);
	CHECK(back.truncated);
	CHECK_INT(back.objects, 2);
	CHECK_STR(back.notes.item[0], m.notes.item[0]);
	CHECK(back.notes.len > 100 && back.notes.len < 3000);
	CLEANUP(js_decref) json_t *j = NULL;
	CHECK_OK(js_parse(b.data, b.len, "test", &j, &err), err);
	CHECK_INT(json_integer_value(json_object_get(json_object_get(j, "cut"), "notes")), 3001 - back.notes.len);
	CHECK_INT(json_integer_value(json_object_get(json_object_get(j, "cut"), "shrink")), 3002 - json_object_size(back.shrink));
	CHECK(json_object_get(back.shrink, "shop\tpublic.table_2999") && !json_object_get(back.shrink, "shop\tpublic.table_0"));
}

static void add_volumes(struct manifest *m, size_t n)
{
	m->object = xrealloc(m->object, n * sizeof *m->object);
	for (; m->objects < n; m->objects++)
		m->object[m->objects] =
			(struct manifest_object){.key = xasprintf("%s.v%04zu.tar.gz", m->id, m->objects + 1), .size = 137438953472};
}

TEST("a set of GTIDs that is too long for a manifest is left out and counted, never cut")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT, gtid = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = sample(), back = MANIFEST_INIT;

	for (int i = 0; i < 2000; i++)
		buf_printf(&gtid, "%s%d-1-%d", i ? "," : "", i, i * 7);
	json_object_set_new(m.replication, "gtid", json_string(buf_str(&gtid)));
	CHECK_OK(manifest_write(&m, &b, &err), err);
	CHECK_OK(manifest_read(b.data, b.len, &back, &err), err);
	CHECK(!back.replication && back.truncated);
	CHECK_HAS(buf_str(&b), "\"replication\": 1");
	CLEANUP(js_decref) json_t *whole = manifest_json(&m);
	CHECK_STR(json_string_value(json_object_get(json_object_get(whole, "replication"), "gtid")), buf_str(&gtid));
}

TEST("three hundred volumes fit into a manifest")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = sample();
	CLEANUP(manifest_release) struct manifest back = MANIFEST_INIT;

	add_volumes(&m, 300);
	CHECK_OK(manifest_write(&m, &b, &err), err);
	CHECK(b.len <= MANIFEST_MAX);
	CHECK_OK(manifest_read(b.data, b.len, &back, &err), err);
	CHECK_INT(back.objects, 300);
	CHECK_STR(back.object[299].key, "20261120T020000Z-7f3a.v0300.tar.gz");
}

TEST("more volumes than fit into a manifest are an error, not a manifest that nobody reads")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = sample();

	add_volumes(&m, 500);
	CHECK_ERR(manifest_write(&m, &b, &err), err, ST_FAILED, "500 volumes");
}

TEST("a backup's id tells its start")
{
	char id[BACKUP_ID_LEN + 1];

	backup_id_make((struct instant){1795140000000000}, 0x7f3a, id);
	CHECK(backup_id_valid(id));
	CHECK_INT(strlen(id), BACKUP_ID_LEN);
	CHECK_STR(id + 16, "-7f3a");
	CHECK_INT(backup_id_time(id).us, 1795140000000000);
	CHECK(!backup_id_valid("20261120T020000Z-7F3A"));
	CHECK(!backup_id_valid("20261120T020000Z-7f3"));
	CHECK(!backup_id_valid("20261120T020000Z-7f3aa"));
	CHECK(!backup_id_valid("20261320T020000Z-7f3a"));
	CHECK(!backup_id_valid("latest"));
	CHECK(!backup_id_valid(""));
}
