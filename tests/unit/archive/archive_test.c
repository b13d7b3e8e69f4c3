#include "tests/unit/archive/fixture.h"

#include "util/thread.h"

static const enum gzip_mode modes[] = {GZIP_FAST, GZIP_RATIO, GZIP_PORTABLE};

struct sums {
	uint32_t objects;
	uint64_t members, rows, raw;
};

/* Fetches and unpacks every member of a table and compares it with what was generated. */
static enum status look_at_table(struct archive_reader *r, const struct archive_object *o, struct sums *sums, struct error *err)
{
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	struct member_row *rows = NULL;
	size_t n = 0;

	CHECK_OK(archive_member_rows(r, o, &rows, &n, err), *err);
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf path = BUF_INIT;
		CLEANUP(cstr_release) char *stored = xmalloc(rows[i].length), *plain = xmalloc(rows[i].plain);
		CLEANUP(cstr_release) char *expected = xmalloc(rows[i].raw);
		const void *raw;

		archive_part_path(o->path, o->ext, rows[i].range, rows[i].part, &path);
		CHECK_OK(archive_fetch(r, &rows[i], stored, err), *err);
		CHECK_OK(archive_unpack(z, &rows[i], path.data, stored, plain, &raw, err), *err);
		maker_fill((unsigned char *)expected, rows[i].raw,
			   (uint64_t)o->id << 40 | (uint64_t)rows[i].range << 20 | rows[i].part);
		CHECK(!memcmp(raw, expected, rows[i].raw));
		CHECK_ERR(archive_unpack(z, &rows[i], "another/path", stored, plain, &raw, err), *err, ST_BAD, "tar header");
		sums->rows += rows[i].rows;
		sums->raw += rows[i].raw;
	}
	sums->members += n;
	free(rows);
	return ST_OK;
}

static enum status collect_file(void *ctx, const void *p, size_t n, struct error *err)
{
	(void)err;
	buf_put(ctx, p, n);
	return ST_OK;
}

struct look {
	struct archive_reader *r;
	struct sums sums;
};

static enum status look_at(void *ctx, const struct archive_object *o, struct error *err)
{
	struct look *l = ctx;
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	CHECK_INT(o->id, l->sums.objects++);
	if (!strcmp(o->kind, "table"))
		return look_at_table(l->r, o, &l->sums, err);
	CHECK_OK(archive_read_file(l->r, o, (struct byte_sink){.write = collect_file, .ctx = &text}, err), *err);
	CHECK_INT(text.len, o->raw);
	l->sums.members += o->members;
	l->sums.raw += o->raw;
	if (strcmp(o->path, "drtool/manifest.json")) {
		CLEANUP(cstr_release) char *expected = xmalloc(text.len);
		maker_fill((unsigned char *)expected, text.len, text.len);
		CHECK(!text.len || !memcmp(text.data, expected, text.len));
	}
	return ST_OK;
}

TEST("what was put into an archive comes out of it, with every engine and in any number of volumes")
{
	static const uint64_t volume_sizes[] = {0, 1, 100000, 200000};

	for (size_t i = 0; i < ARRAY_LEN(modes) * ARRAY_LEN(volume_sizes); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(volumes_release) struct volumes s = {0};
		maker_sample(&s, modes[i % 3], volume_sizes[i / 3]);
		CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
		struct look l = {.r = r};

		CHECK(volume_sizes[i / 3] ? s.volumes > 1 : s.volumes == 1);
		CHECK_INT(archive_chunk_size(r), 65536);
		CHECK_INT(archive_object_count(r), 9);
		CHECK_OK(archive_each_object(r, look_at, &l, &err), err);
		CHECK_INT(l.sums.objects, 9);
		CHECK_INT(l.sums.members, 1 + 5 + 16 + 1 + 1 + 2 + 1);
		CHECK_INT(volumes_check(&s), 0);
	}
}

TEST("an archive is made of the same bytes each time")
{
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		CLEANUP(volumes_release) struct volumes a = {0};
		CLEANUP(volumes_release) struct volumes b = {0};

		maker_sample(&a, modes[i], 100000);
		maker_sample(&b, modes[i], 100000);
		CHECK_INT(a.volumes, b.volumes);
		for (uint32_t v = 0; v < a.volumes; v++) {
			CHECK_INT(a.volume[v].len, b.volume[v].len);
			CHECK(!memcmp(a.volume[v].data, b.volume[v].data, a.volume[v].len));
			struct sha256 sum = sha256_of(a.volume[v].data, a.volume[v].len);
			CHECK(sha256_equal(sum, a.sha256[v]));
		}
	}
}

TEST("the root tells names, facts and sums of an object")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(archive_object_release) struct archive_object o = {0};

	maker_sample(&s, GZIP_FAST, 0);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	CHECK_OK(archive_get_object(r, 1, &o, &err), err);
	CHECK_STR(o.kind, "table");
	CHECK_STR(o.scope, "shop");
	CHECK_STR(o.name, "public.orders");
	CHECK_STR(o.path, "db/shop/data/public/orders");
	CHECK_STR(o.ext, "copy");
	CHECK_INT(o.members, 8);
	CHECK_INT(o.ranges, 2);
	CHECK_INT(o.raw, 1 + 511 + 512 + 513 + 65535 + 65536 + 4096 + 30000);
	CHECK_STR(json_string_value(json_array_get(json_object_get(o.facts, "columns"), 1)), "name \xe2\x82\xac");
	archive_object_release(&o);
	CHECK_OK(archive_get_object(r, 3, &o, &err), err);
	CHECK_INT(o.members, 0);
	CHECK(!o.facts);
	CHECK_ERR(archive_get_object(r, 9, &o, &err), err, ST_NOT_FOUND, "no object 9");
	CHECK_ERR(archive_find_file(r, "db/shop/data/public/orders", &o, &err), err, ST_NOT_FOUND, "no file");
	archive_object_release(&o);
	CHECK_OK(archive_find_file(r, "db/shop/schema.dump", &o, &err), err);
	CHECK_INT(o.raw, 300001);
	CHECK_INT(o.members, 5);
}

TEST("names that are no UTF-8 come back byte for byte")
{
	static const char odd[] = "caf\xe9 \xff\xfe.\"quoted\"\n\ttable";
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(archive_object_release) struct archive_object o = {0};
	CLEANUP(path_set_freep) struct path_set *paths = path_set_new();
	CLEANUP(cstr_release) char *path = path_set_make(paths, "db/shop/data", (const char *const[]){"public", odd}, 2);
	struct maker m;

	maker_start(&m, &(struct maker_spec){.store = &s});
	uint32_t id = maker_table(&m, odd, path, NULL);
	maker_part(&m, &(struct part){id, 0, 0, path, 5000, false});
	maker_finish(&m);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	CHECK_OK(archive_get_object(r, id, &o, &err), err);
	CHECK_STR(o.name, odd);
	CHECK_STR(o.path, path);
	CHECK_INT(volumes_check(&s), 0);
}

TEST("a file of many members fills pages that wait until it has ended")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	struct maker m;

	maker_start(&m, &(struct maker_spec){.store = &s, .chunk_size = 4096, .volume_size = 300000});
	uint32_t before = maker_table(&m, "t", "db/shop/data/t", NULL);
	maker_part(&m, &(struct part){before, 0, 0, "db/shop/data/t", 100, false});
	maker_file(&m, "db/shop/large.dump", 12000000);
	maker_part(&m, &(struct part){before, 0, 1, "db/shop/data/t", 100, false});
	maker_finish(&m);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	struct look l = {.r = r};
	CHECK_INT(s.volumes, 2);
	CHECK(archive_page_count(r) > 5);
	CHECK_OK(archive_each_object(r, look_at, &l, &err), err);
	CHECK_INT(l.sums.members, 2 + 2930 + 1);
	CHECK_INT(volumes_check(&s), 0);
}

TEST("many members of interleaved tables come back in the order of their bytes")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(archive_object_release) struct archive_object o = {0};
	struct member_row *rows = NULL;
	struct maker m;
	size_t n = 0;

	maker_start(&m, &(struct maker_spec){.store = &s, .chunk_size = 4096});
	uint32_t a = maker_table(&m, "a", "db/shop/data/a", NULL), b = maker_table(&m, "b", "db/shop/data/b", NULL);
	/* Neighbours are exchanged, three ranges and two tables interleaved; 5004 is a multiple of 12. */
	for (uint32_t i = 0; i < 5004; i++)
		maker_part(&m, &(struct part){i % 2 ? a : b, i / 2 % 3, (i / 6) ^ 1, i % 2 ? "db/shop/data/a" : "db/shop/data/b",
					      100 + i % 50, false});
	maker_finish(&m);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	for (uint32_t id = 0; id < 2; id++) {
		CHECK_OK(archive_get_object(r, id, &o, &err), err);
		CHECK_OK(archive_member_rows(r, &o, &rows, &n, &err), err);
		CHECK_INT(n, 2502);
		for (size_t i = 1; i < n; i++)
			CHECK(rows[i].range == rows[i - 1].range ? rows[i].part == rows[i - 1].part + 1
								 : rows[i].range == rows[i - 1].range + 1 && !rows[i].part);
		free(rows);
		archive_object_release(&o);
	}
	CHECK_INT(volumes_check(&s), 0);
}

TEST("members out of order, unknown objects and wrong sizes are refused by the writer")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	struct maker m;
	struct member made;
	uint32_t id = 0;

	maker_start(&m, &(struct maker_spec){.store = &s});
	struct member_spec spec = {.path = "f", .entry_size = 100, .raw = m.chunk + MEMBER_ROOM, .raw_len = 60, .mtime = {1}};
	CHECK_OK(member_make(m.z, m.sha, &spec, m.out, m.out_cap, &made, &err), err);
	CHECK_ERR(archive_append(m.w, &made, &err), err, ST_FAILED, "out of order");
	const struct archive_object_spec f = {.kind = "file", .scope = "", .name = "f", .path = "f"};
	CHECK_OK(archive_add_object(m.w, &f, &id, &err), err);
	CHECK_OK(archive_append(m.w, &made, &err), err);
	CHECK_ERR(archive_append(m.w, &made, &err), err, ST_FAILED, "out of order");
	CHECK_ERR(archive_finish(m.w, NULL, &err), err, ST_FAILED, "cannot end");
	spec.row.at = 60;
	CHECK_ERR(member_make(m.z, m.sha, &spec, m.out, m.out_cap, &made, &err), err, ST_FAILED, "no member");
	const struct archive_object_spec bad[] = {
		{.kind = "file", .scope = "", .name = "x", .path = "../x"},
		{.kind = "file", .scope = "", .name = "x", .path = "x", .ext = "copy"},
		{.kind = "table", .scope = "", .name = "x", .path = "x"},
		{.kind = "table", .scope = "", .name = "x", .path = "x", .ext = "../copy"},
		{.kind = "folder", .scope = "", .name = "x", .path = "x"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_ERR(archive_add_object(m.w, &bad[i], &id, &err), err, ST_FAILED, "cannot be stored");
	maker_release(&m);
}

static enum status too_little(void *ctx, void *to, size_t cap, size_t *got, struct error *err)
{
	size_t *left = ctx;

	(void)err;
	*got = min_size(*left, cap);
	memset(to, 'x', *got);
	*left -= *got;
	return ST_OK;
}

TEST("a file that is shorter or longer than announced fails the archive")
{
	const struct archive_object_spec o = {.kind = "file", .scope = "", .name = "f", .path = "f"};

	for (size_t given = 99; given <= 101; given += 2) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(volumes_release) struct volumes s = {0};
		struct maker m;
		size_t left = given;

		maker_start(&m, &(struct maker_spec){.store = &s});
		CHECK_ERR(archive_add_file(m.w, &o, 100, (struct byte_source){.read = too_little, .ctx = &left}, &err), err,
			  ST_FAILED, "100");
		maker_release(&m);
	}
}

static void register_many(void *arg)
{
	struct archive_writer *w = arg;

	for (int i = 0; i < 2000; i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(cstr_release) char *path = xasprintf("db/%d", i);
		const struct archive_object_spec o = {.kind = "table", .scope = "shop", .name = path, .path = path, .ext = "copy"};
		uint32_t id;

		CHECK_OK(archive_add_object(w, &o, &id, &err), err);
		CHECK(archive_totals(w).objects > id);
	}
}

TEST("objects are registered by several threads while another appends")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	struct thread threads[3] = {THREAD_INIT, THREAD_INIT, THREAD_INIT};
	struct maker m;

	maker_start(&m, &(struct maker_spec){.store = &s});
	uint32_t id = maker_table(&m, "t", "t", NULL);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		CHECK_OK(thread_start(&threads[i], "register", register_many, m.w, &err), err);
	for (uint32_t i = 0; i < 2000; i++)
		maker_part(&m, &(struct part){id, 0, i, "t", 100, false});
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		thread_join(&threads[i]);
	maker_finish(&m);
	CLEANUP(archive_reader_freep) struct archive_reader *r = volumes_open(&s);
	CHECK_INT(archive_object_count(r), 6002);
	CHECK_INT(volumes_check(&s), 0);
}

TEST("after 64 volumes, then after each 16, their size doubles")
{
	CLEANUP(volumes_release) struct volumes s = {0};
	struct maker m;

	maker_start(&m, &(struct maker_spec){.store = &s, .chunk_size = 4096, .volume_size = 2000});
	uint32_t id = maker_table(&m, "t", "t", NULL);
	for (uint32_t i = 0; i < 400; i++)
		maker_part(&m, &(struct part){id, 0, i, "t", 4000, false});
	maker_finish(&m);
	CHECK(s.volume[10].len > 2000 && s.volume[10].len < 5000);
	CHECK(s.volume[70].len > 4000);
	CHECK(s.volume[84].len > 8000);
	CHECK(s.volumes > 64 && s.volumes < VOLUMES_KEPT);
	CHECK_INT(volumes_check(&s), 0);
}

TEST("volumes do not grow beyond what a store can hold")
{
	CLEANUP(volumes_release) struct volumes s = {0};
	struct maker m;

	maker_start(&m, &(struct maker_spec){.store = &s, .chunk_size = 4096, .volume_size = 2000, .volume_max = 3000});
	uint32_t id = maker_table(&m, "t", "t", NULL);
	for (uint32_t i = 0; i < 300; i++)
		maker_part(&m, &(struct part){id, 0, i, "t", 4000, false});
	maker_finish(&m);
	CHECK(s.volumes > 90);
	for (uint32_t v = 64; v < 90; v++)
		CHECK(s.volume[v].len < 3000 + 4096);
	CHECK_INT(volumes_check(&s), 0);
}
