/* What a load believes of an index: parts in any order of storing, none missing, none twice. */
#include "tests/lib/test.h"
#include "tests/unit/pipeline/fake.h"

struct part {
	uint32_t range, part;
	bool open;
};

/* An archive of one table whose parts are stored in the order given, 1000 bytes and a row each. */
static void store_parts(struct fake_archive *a, const struct part *part, size_t n, const json_t *facts)
{
	const struct archive_object_spec o = {.kind = "table", .scope = "shop", .name = "t", .path = "db/shop/data/t", .ext = "copy", .facts = facts};
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();
	CLEANUP(buf_release) struct buf raw = BUF_INIT;
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	struct error e = ERROR_INIT;
	uint32_t id;

	buf_reserve(&raw, 2 * MEMBER_ROOM + 1000);
	buf_reserve(&out, member_bound(z, 1000));
	fake_archive_open(a, 4096);
	CHECK_OK(archive_add_object(a->writer, &o, &id, &e), e);
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf path = BUF_INIT;
		struct member m;

		archive_part_path(o.path, o.ext, part[i].range, part[i].part, &path);
		memset(raw.data + MEMBER_ROOM, (int)('a' + part[i].part), 1000);
		const struct member_spec spec = {
			.path = path.data, .entry_size = 1000, .raw = raw.data + MEMBER_ROOM, .raw_len = 1000, .mtime = {1},
			.row = {.object = id, .range = part[i].range, .part = part[i].part, .rows = 1, .open = part[i].open}};
		CHECK_OK(member_make(z, sha, &spec, (unsigned char *)out.data, out.cap, &m, &e), e);
		CHECK_OK(archive_append(a->writer, &m, &e), e);
	}
	fake_archive_finish(a);
}

static bool want_all(void *ctx UNUSED, const struct recorded_object *o UNUSED) { return true; }

static enum status list_with(struct fake_archive *a, const struct part *part, size_t n, const json_t *facts, struct load_pipeline **p,
			     struct error *err)
{
	struct budget budget = fake_budget(4096, 1, 1, true);
	struct run run = RUN_INIT;

	store_parts(a, part, n, facts);
	CLEANUP(archive_reader_freep) struct archive_reader *r = fake_archive_read(a);
	const struct load_pipeline_spec spec = {.budget = &budget, .reader = r, .wants = want_all};
	return load_pipeline_new(&run, &spec, "shop", p, err);
}

static enum status list(struct fake_archive *a, const struct part *part, size_t n, struct load_pipeline **p, struct error *err)
{
	return list_with(a, part, n, NULL, p, err);
}

TEST("parts may be stored in any order")
{
	static const struct part parts[] = {{1, 2, 0}, {0, 4, 0}, {1, 0, 0}, {0, 3, 1}, {0, 1, 0}, {1, 1, 0}, {0, 0, 0}, {0, 2, 1}};
	CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
	CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
	struct error e = ERROR_INIT;
	size_t n;

	CHECK_OK(list(&a, parts, ARRAY_LEN(parts), &p, &e), e);
	const struct load_plan_unit *u = load_pipeline_units(p, &n);
	CHECK_INT(n, 2);
	CHECK(u[0].range == 0 && u[0].first_part == 0 && u[0].parts == 5 && u[0].rows == 5 && u[0].raw == 5000);
	CHECK(u[1].range == 1 && u[1].first_part == 0 && u[1].parts == 3);
}

TEST("an index that lacks a part, lists one twice or ends inside a row is bad")
{
	static const struct {
		struct part part[4];
		size_t n;
		const char *text;
	} c[] = {
		{{{0, 0, 0}, {0, 2, 0}}, 2, "lacks part 0000-00000001"},
		{{{0, 1, 0}}, 1, "lacks part 0000-00000000"},
		{{{0, 0, 0}, {1, 1, 0}}, 2, "lacks part 0001-00000000"},
		{{{0, 0, 0}, {0, 1, 0}, {0, 0, 0}}, 3, "lists part 0000-00000000 twice"},
		{{{0, 1, 0}, {0, 1, 0}, {0, 0, 0}}, 3, "lacks part 0000-00000002"},
		{{{0, 0, 0}, {0, 1, 1}}, 2, "lacks part 0000-00000002"},
	};

	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
		CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
		struct error e = ERROR_INIT;

		CHECK_ERR(list(&a, c[i].part, c[i].n, &p, &e), e, ST_BAD, c[i].text);
	}
}

TEST("rows are loaded in many units, and in one for each range where their order counts")
{
	enum { MANY = 9000 };
	struct part *parts = xcalloc(MANY, sizeof *parts);

	for (uint32_t i = 0; i < MANY; i++)
		parts[i].part = i;
	for (int ordered = 0; ordered < 2; ordered++) {
		CLEANUP(fake_archive_release) struct fake_archive a = FAKE_ARCHIVE_INIT;
		CLEANUP(load_pipeline_freep) struct load_pipeline *p = NULL;
		CLEANUP(js_decref) json_t *facts = json_object();
		struct error e = ERROR_INIT;
		size_t n;

		js_set_bool(facts, "ordered", ordered);
		CHECK_OK(list_with(&a, parts, MANY, facts, &p, &e), e);
		const struct load_plan_unit *u = load_pipeline_units(p, &n);
		CHECK_INT(n, ordered ? 1 : 2);
		CHECK(u[0].parts == (ordered ? MANY : 8192));
	}
	free(parts);
}
