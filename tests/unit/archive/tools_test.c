/* What others make of our archives: GNU tar, bsdtar, busybox, python, gzip and libarchive get every file out of every volume. */
#include "tests/unit/archive/fixture.h"

#include <archive.h>
#include <archive_entry.h>

#include "util/fs.h"
#include "util/process.h"

#define SIXTY "sixty_bytes_of_a_name_which_is_what_a_server_allows_at_most_x"
#define COMPONENT_180 SIXTY "%2F" SIXTY "%2F" SIXTY

/* Plain, UTF-8, too long for one field, too long for two, and without any place to divide. */
static const char *const file_path[] = {
	"RESTORE.txt",
	"db/Größe €/schema.dump",
	"db/" SIXTY "/data/" SIXTY "/" SIXTY "/notes.txt",
	"db/" COMPONENT_180 "/schema.dump",
	"db/" COMPONENT_180 "/" COMPONENT_180 "/" COMPONENT_180 "/" COMPONENT_180,
};
static const size_t file_size[] = {1234, 70000, 0, 513, 200001};
static const char table_path[] = "db/shop/data/public/" COMPONENT_180;

static char *volume_path(uint32_t v) { return xasprintf("%s/v%04u.tar.gz", test_dir(), v); }

static void build(struct volumes *s, uint64_t volume_size)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct maker m;

	maker_start(&m, &(struct maker_spec){.store = s, .volume_size = volume_size});
	for (size_t i = 0; i < ARRAY_LEN(file_path); i++)
		maker_file(&m, file_path[i], file_size[i]);
	uint32_t id = maker_table(&m, "public.x", table_path, NULL);
	for (uint32_t i = 0; i < 5; i++)
		maker_part(&m, &(struct part){id, 0, i, table_path, 50000 + i, false});
	maker_finish(&m);
	CHECK(volume_size ? s->volumes > 2 : s->volumes == 1);
	for (uint32_t v = 0; v < s->volumes; v++) {
		CLEANUP(cstr_release) char *path = volume_path(v);
		CHECK_OK(fs_write_file(path, 0600, s->volume[v].data, s->volume[v].len, &err), err);
	}
}

static void same_file(const char *dir, const char *path, size_t n, uint64_t seed)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf got = BUF_INIT;
	CLEANUP(cstr_release) char *expected = xmalloc(n);
	CLEANUP(cstr_release) char *full = path_join(dir, path);

	CHECK_OK(fs_read_file(full, 1u << 20, &got, &err), err);
	maker_fill((unsigned char *)expected, n, seed);
	CHECK_INT(got.len, n);
	CHECK(!n || !memcmp(got.data, expected, n));
}

static void all_files(const char *dir, uint32_t table)
{
	for (size_t i = 0; i < ARRAY_LEN(file_path); i++)
		same_file(dir, file_path[i], file_size[i], file_size[i]);
	for (uint32_t i = 0; i < 5; i++) {
		CLEANUP(buf_release) struct buf path = BUF_INIT;
		archive_part_path(table_path, "copy", 0, i, &path);
		same_file(dir, path.data, 50000 + i, (uint64_t)table << 40 | i);
	}
}

/* argv with %s for the volume; runs in a folder of its own. */
static void extract_with(const char *tool, const char *const *argv, uint64_t volume_size)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(cstr_release) char *found = process_find(tool, NULL);
	CLEANUP(cstr_release) char *dir = xasprintf("%s/out", test_dir());
	struct run run = RUN_INIT;

	if (!found) {
		CLEANUP(cstr_release) char *why = xasprintf("%s is not installed", tool);
		test_skip(why);
	}
	build(&s, volume_size);
	CHECK_OK(fs_mkdirs(dir, 0700, &err), err);
	for (uint32_t v = 0; v < s.volumes; v++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT;
		CLEANUP(cstr_release) char *path = volume_path(v);
		const char *args[12] = {0};

		for (size_t i = 0; argv[i]; i++)
			args[i] = !strcmp(argv[i], "%s") ? path : argv[i];
		const struct process_spec spec = {.argv = args, .in = -1, .out = -1, .dir = dir};
		CHECK_OK(process_capture(&run, &spec, 1u << 20, &out, &err), err);
	}
	all_files(dir, ARRAY_LEN(file_path));
	CLEANUP(cstr_release) char *stray = path_join(dir, "PaxHeaders");
	CHECK(!fs_exists(stray));
}

TEST("GNU tar extracts an archive") { extract_with("tar", (const char *const[]){"tar", "xzf", "%s", NULL}, 0); }

TEST("GNU tar extracts each volume by itself")
{
	extract_with("tar", (const char *const[]){"tar", "--warning=all", "-xzf", "%s", NULL}, 100000);
}

TEST("bsdtar extracts an archive and each volume")
{
	extract_with("bsdtar", (const char *const[]){"bsdtar", "xzf", "%s", NULL}, 100000);
}

TEST("busybox tar extracts an archive and each volume")
{
	extract_with("busybox", (const char *const[]){"busybox", "tar", "xzf", "%s", NULL}, 100000);
}

TEST("python's tarfile extracts an archive and each volume")
{
	static const char program[] =
		"import sys, tarfile\nwith tarfile.open(sys.argv[1], 'r:gz', errorlevel=2) as t: t.extractall('.')\n";

	extract_with("python3", (const char *const[]){"python3", "-c", program, "%s", NULL}, 100000);
}

TEST("gzip finds nothing wrong with an archive")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	struct run run = RUN_INIT;

	build(&s, 100000);
	for (uint32_t v = 0; v < s.volumes; v++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT;
		CLEANUP(cstr_release) char *path = volume_path(v);
		const struct process_spec spec = {.argv = (const char *const[]){"gzip", "-tv", path, NULL}, .in = -1, .out = -1};
		CHECK_OK(process_capture(&run, &spec, 4096, &out, &err), err);
	}
}

/* A header of one entry as libarchive sees it: it is the judge of ours. */
static void judge(const char *path, uint64_t size)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	unsigned char bytes[8192] = {0};
	struct member_spec spec = {.path = path, .entry_size = size, .raw = bytes, .mtime = {1763600000000000}};
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();
	CLEANUP(cstr_release) char *chunk = xcalloc(1, 2 * MEMBER_ROOM + 1024), *out = xmalloc(65536), *plain = xmalloc(65536);
	struct member m;
	size_t made = 0, used = 0;

	spec.raw = chunk + MEMBER_ROOM;
	spec.raw_len = (size_t)min_u64(size, 1024);
	CHECK_OK(member_make(z, sha, &spec, (unsigned char *)out, 65536, &m, &err), err);
	CHECK_OK(gunzip_next(z, out, m.row.length, &used, plain, 65536, &made, &err), err);
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	archive_read_support_format_tar(a);
	CHECK_INT(archive_read_open_memory(a, plain, made), ARCHIVE_OK);
	CHECK_INT(archive_read_next_header(a, &e), ARCHIVE_OK);
	CHECK_STR(archive_entry_pathname(e), path);
	CHECK_INT(archive_entry_size(e), size);
	CHECK_INT(archive_entry_mtime(e), 1763600000);
	CHECK_INT(archive_entry_perm(e), 0600);
	CHECK_INT(archive_entry_filetype(e), AE_IFREG);
	CHECK_INT(archive_entry_uid(e), 0);
	archive_read_free(a);
}

TEST("libarchive agrees with our tar headers, whatever the length of the path and the size of the entry")
{
	static const uint64_t sizes[] = {0, 1, 512, 8589934591, 8589934592, 1ull << 40, 1ull << 60};
	CLEANUP(cstr_release) char *path = xcalloc(1, 1001);

	for (size_t n = 1; n <= 1000; n++) {
		for (size_t slash = 7; slash <= 300; slash += n < 300 ? 37 : 150) {
			for (size_t i = 0; i < n; i++)
				path[i] = i % slash == slash - 1 && i + 1 < n ? '/' : 'a';
			judge(path, sizes[n % ARRAY_LEN(sizes)]);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(file_path); i++)
		judge(file_path[i], sizes[i]);
}

/* ---- another reader, made from docs/format.md ---- */

struct listing {
	struct archive_reader *r;
	struct gzip *z;
	struct buf text, content;
};

static enum status keep(void *ctx, const void *p, size_t n, struct error *err)
{
	(void)err;
	buf_put(ctx, p, n);
	return ST_OK;
}

static void join_table(struct listing *l, const struct archive_object *o)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct member_row *rows = NULL;
	size_t n = 0;

	CHECK_OK(archive_member_rows(l->r, o, &rows, &n, &err), err);
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf path = BUF_INIT;
		CLEANUP(cstr_release) char *stored = xmalloc(rows[i].length), *plain = xmalloc(rows[i].plain);
		const void *raw;

		archive_part_path(o->path, o->ext, rows[i].range, rows[i].part, &path);
		CHECK_OK(archive_fetch(l->r, &rows[i], stored, &err), err);
		CHECK_OK(archive_unpack(l->z, &rows[i], path.data, stored, plain, &raw, &err), err);
		buf_put(&l->content, raw, rows[i].raw);
	}
	free(rows);
}

static enum status list_object(void *ctx, const struct archive_object *o, struct error *err)
{
	struct listing *l = ctx;
	char hex[SHA256_HEX];

	buf_clear(&l->content);
	if (o->ext)
		join_table(l, o);
	else
		CHECK_OK(archive_read_file(l->r, o, (struct byte_sink){.write = keep, .ctx = &l->content}, err), *err);
	struct sha256 sum = sha256_of(l->content.data, l->content.len);
	buf_printf(&l->text, "%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s\n", o->kind, o->path, o->rows, o->raw, sha256_hex(sum, hex));
	return ST_OK;
}

TEST("a reader made from the description of the format alone finds the same objects and bytes")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(cstr_release) char *program = realpath("tests/lib/format_reader.py", NULL);
	CLEANUP(cstr_release) char *python = process_find("python3", NULL);
	char *volume[8] = {0};
	const char *argv[12] = {"python3", program};
	struct run run = RUN_INIT;

	if (!program || !python)
		test_skip(program ? "python3 is not installed" : "not run in the top folder of the sources");
	maker_sample(&s, GZIP_FAST, 100000);
	CHECK(s.volumes > 1 && s.volumes < ARRAY_LEN(volume));
	for (uint32_t v = 0; v < s.volumes; v++) {
		argv[2 + v] = volume[v] = volume_path(v);
		CHECK_OK(fs_write_file(volume[v], 0600, s.volume[v].data, s.volume[v].len, &err), err);
	}
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1};
	CHECK_OK(process_capture(&run, &spec, 1u << 20, &out, &err), err);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	struct listing l = {.r = r, .z = gzip_new(GZIP_FAST)};
	CHECK_OK(archive_each_object(r, list_object, &l, &err), err);
	CHECK_STR(out.data, l.text.data);
	gzip_freep(&l.z);
	buf_release(&l.text);
	buf_release(&l.content);
	for (uint32_t v = 0; v < s.volumes; v++)
		free(volume[v]);
}
