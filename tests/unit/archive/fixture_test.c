/* Backups of each format that was ever released lie in tests/fixtures and are read for ever. Never make them anew. */
#include "tests/unit/archive/fixture.h"

#include "archive/manifest.h"
#include "util/fs.h"

TEST("a backup of format 1 is read by every later version")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT;
	CLEANUP(archive_object_release) struct archive_object o = {0};
	CLEANUP(cstr_release) char *dir = realpath("tests/fixtures/format-1", NULL);

	if (!dir)
		test_skip("not run in the top folder of the sources");
	CLEANUP(cstr_release) char *path = path_join(dir, "20261120T020000Z-7f3a.json");
	CHECK_OK(fs_read_file(path, MANIFEST_MAX, &text, &err), err);
	CHECK_OK(manifest_read(text.data, text.len, &m, &err), err);
	CHECK_STR(m.source, "shop");
	CHECK_INT(m.started.us, 1795140000000000);
	CHECK_INT(m.objects, 3);
	for (size_t v = 0; v < m.objects; v++) {
		CLEANUP(cstr_release) char *volume = path_join(dir, m.object[v].key);

		CHECK_OK(fs_read_file(volume, 1u << 20, &s.volume[v], &err), err);
		CHECK_INT(s.volume[v].len, m.object[v].size);
		struct sha256 sum = sha256_of(s.volume[v].data, s.volume[v].len);
		CHECK(sha256_equal(sum, m.object[v].sha256));
		s.volumes++;
	}
	CHECK_INT(volumes_check(&s), 0);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	CHECK_INT(archive_chunk_size(r), 4096);
	CHECK_INT(archive_object_count(r), 6);
	CHECK_OK(archive_get_object(r, 1, &o, &err), err);
	CHECK_STR(o.name, "public.orders");
	CHECK_INT(o.ranges, 2);
	CHECK_INT(o.raw, 1500 + 1501 + 1502 + 700 + 701 + 702);
	CHECK_STR(json_string_value(json_array_get(json_object_get(o.facts, "columns"), 1)), "name \xe2\x82\xac");
	archive_object_release(&o);
	CHECK_OK(archive_get_object(r, 2, &o, &err), err);
	CHECK_STR(o.name, "caf\xe9");
}
