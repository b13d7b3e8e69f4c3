/* Archives whose checksums are right and whose numbers and names are not: each is refused before anything of it is used. */
#include "tests/unit/archive/fixture.h"

#include "archive/format.h"

static void replace(struct buf *b, const char *from, const char *by)
{
	char *at = memmem(b->data, b->len, from, strlen(from));
	struct buf now = BUF_INIT;

	if (!at)
		test_fail(__FILE__, __LINE__, "\"%s\" is not in the text", from);
	buf_put(&now, b->data, (size_t)(at - b->data));
	buf_puts(&now, by);
	buf_puts(&now, at + strlen(from));
	buf_release(b);
	*b = now;
}

/* The payload of the one member at the start of p. */
static void inflate_text(const char *p, size_t n, struct buf *to)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(cstr_release) char *plain = xmalloc(1u << 20);
	size_t used = 0, made = 0;

	CHECK_OK(gunzip_next(z, p, n, &used, plain, 1u << 20, &made, &err), err);
	made = made > TAR_BLOCK ? made - TAR_BLOCK : 0;
	while (made && !plain[TAR_BLOCK + made - 1])
		made--;
	buf_put(to, plain + TAR_BLOCK, made);
}

/* Stores a text as an entry at the end of the volume. */
static struct member_row put_entry(struct buf *volume, const char *path, const struct buf *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();
	CLEANUP(cstr_release) char *chunk = xcalloc(1, text->len + 2 * MEMBER_ROOM);
	CLEANUP(cstr_release) char *out = xmalloc(member_bound(z, text->len));
	struct member m;

	memcpy(chunk + MEMBER_ROOM, text->data, text->len);
	const struct member_spec spec = {
		.path = path, .entry_size = text->len, .raw = chunk + MEMBER_ROOM, .raw_len = text->len, .mtime = {1}};
	CHECK_OK(member_make(z, sha, &spec, (unsigned char *)out, member_bound(z, text->len), &m, &err), err);
	m.row.offset = volume->len;
	buf_put(volume, m.data, m.row.length);
	return m.row;
}

struct forgery {
	const char *page_from, *page_by; /* NULL: the page stays */
	const char *root_from, *root_by;
	const char *expected; /* in the error or in one of the damages */
	bool readable;        /* the change is allowed */
	bool check_only;      /* the index can be read; what it says of the members is wrong */
};

/* A small valid archive whose page and root are written anew with a text replaced, and right checksums. */
static void forge(struct volumes *s, const struct forgery *f)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf page = BUF_INIT;
	CLEANUP(buf_release) struct buf root = BUF_INIT;
	struct trailer t;
	struct root_head head;
	struct page_ref ref;
	struct maker m;
	unsigned char stored[TRAILER_LEN];

	maker_start(&m, &(struct maker_spec){.store = s});
	maker_file(&m, "RESTORE.txt", 700);
	uint32_t id = maker_table(&m, "public.t", "db/shop/data/public/t", NULL);
	maker_part(&m, &(struct part){id, 0, 0, "db/shop/data/public/t", 1000, false});
	maker_part(&m, &(struct part){id, 0, 1, "db/shop/data/public/t", 2000, false});
	maker_finish(&m);

	struct buf *v = &s->volume[0];
	CHECK_OK(trailer_parse((unsigned char *)v->data + v->len - TRAILER_LEN, &t, &err), err);
	inflate_text(v->data + t.offset, t.length, &root);
	const char *line = strchr(root.data, '\n') + 1;
	CHECK_OK(root_parse_head(root.data, (size_t)(line - root.data - 1), &head, &err), err);
	CHECK_OK(root_parse_page(line, (size_t)(strchr(line, '\n') - line), 0, &ref, &err), err);
	CLEANUP(cstr_release) char *old_line = xstrndup(line, (size_t)(strchr(line, '\n') - line) + 1);
	inflate_text(v->data + ref.offset, ref.length, &page);
	if (f->page_from)
		replace(&page, f->page_from, f->page_by);
	v->len = ref.offset;
	struct member_row row = put_entry(v, "drtool/index/000000.tsv", &page);
	ref.length = row.length;
	ref.plain = row.plain;
	ref.sha256 = row.sha256;
	CLEANUP(buf_release) struct buf new_line = BUF_INIT;
	root_put_page(&new_line, 0, &ref);
	replace(&root, old_line, new_line.data);
	if (f->root_from)
		replace(&root, f->root_from, f->root_by);
	row = put_entry(v, ROOT_PATH, &root);
	buf_put(v, tar_end, TAR_END_LEN);
	trailer_write(&(struct trailer){.offset = row.offset, .length = row.length, .sha256 = row.sha256}, stored);
	buf_put(v, stored, TRAILER_LEN);
}

static void note_damage(void *ctx, const char *text)
{
	buf_puts(ctx, text);
	buf_putc(ctx, '\n');
}

static enum status read_rows(void *ctx, const struct archive_object *o, struct error *err)
{
	struct member_row *rows = NULL;
	size_t n;

	if (archive_member_rows(ctx, o, &rows, &n, err))
		return err->code;
	free(rows);
	return ST_OK;
}

static void check_forgery(const struct forgery *f)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(volumes_release) struct volumes s = {0};
	CLEANUP(archive_reader_freep) struct archive_reader *r = NULL;
	CLEANUP(buf_release) struct buf found = BUF_INIT;
	struct run run = RUN_INIT;
	const char *name = f->page_by ? f->page_by : f->root_by;

	forge(&s, f);
	const struct range_source src = volumes_source(&s);
	if (f->readable) {
		CHECK_INT(volumes_check(&s), 0);
		return;
	}
	enum status st =
		archive_check_all(&run, &src, test_dir(), &(struct archive_check){.found = note_damage, .ctx = &found}, &err);
	buf_puts(&found, error_text(&err));
	if ((st != ST_BAD && st != ST_UNSUPPORTED) || !strstr(found.data, f->expected))
		test_fail(__FILE__, __LINE__, "\"%s\" gave %s: %s", name, status_name(st), found.data);
	error_release(&err);
	st = archive_reader_open(&run, &src, test_dir(), &r, &err);
	st = st ? st : archive_each_object(r, read_rows, r, &err);
	if (st != ST_BAD && st != ST_UNSUPPORTED && !(st == ST_OK && f->check_only))
		test_fail(__FILE__, __LINE__, "\"%s\" is read: %s", name, error_text(&err));
}

TEST("an archive whose index was written anew unchanged, or with an unknown key, is whole")
{
	check_forgery(&(struct forgery){.readable = true});
	check_forgery(
		&(struct forgery){.root_from = "\"chunk_size\"", .root_by = "\"future\":[1,2],\"chunk_size\"", .readable = true});
	check_forgery(&(struct forgery){
		.root_from = "\"kind\":\"table\"", .root_by = "\"future\":{},\"kind\":\"table\"", .readable = true});
}

TEST("a root of a later format or with an unknown requirement is unsupported, not bad")
{
	static const char *const by[] = {"\"version\":2,\"requires\":[]", "\"version\":1,\"requires\":[\"dictionary\"]"};

	for (size_t i = 0; i < ARRAY_LEN(by); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(volumes_release) struct volumes s = {0};
		struct archive_reader *r = NULL;
		struct run run = RUN_INIT;

		forge(&s, &(struct forgery){.root_from = "\"version\":1,\"requires\":[]", .root_by = by[i]});
		const struct range_source src = volumes_source(&s);
		CHECK_INT(archive_reader_open(&run, &src, test_dir(), &r, &err), ST_UNSUPPORTED);
		CHECK_HAS(err.text, i ? "requires dictionary" : "format 2");
		CHECK_HAS(err.hint, "RESTORE.txt");
		error_release(&err);
		CHECK_ERR(archive_check_all(&run, &src, test_dir(), &(struct archive_check){0}, &err), err, ST_UNSUPPORTED,
			  "this drtool reads");
	}
}

TEST("impossible numbers in the root are refused")
{
	static const struct forgery all[] = {
		{.root_from = "\"chunk_size\":65536", .root_by = "\"chunk_size\":1", .expected = "chunk_size"},
		{.root_from = "\"chunk_size\":65536", .root_by = "\"chunk_size\":4294967295", .expected = "chunk_size"},
		{.root_from = "\"chunk_size\":65536", .root_by = "\"chunk_size\":-1", .expected = "chunk_size"},
		{.root_from = "\"chunk_size\":65536", .root_by = "\"chunk_size\":99999999999999999999", .expected = "root"},
		{.root_from = "\"chunk_size\":65536", .root_by = "\"chunk_size\":\"65536\"", .expected = "chunk_size"},
		{.root_from = "\"volumes\":1", .root_by = "\"volumes\":2", .expected = "first line"},
		{.root_from = "\"objects\":3", .root_by = "\"objects\":4", .expected = "lacks lines"},
		{.root_from = "\"objects\":3", .root_by = "\"objects\":2", .expected = "more lines"},
		{.root_from = "\"objects\":3", .root_by = "\"objects\":4294967290", .expected = "first line"},
		{.root_from = "\"pages\":1", .root_by = "\"pages\":4294967290", .expected = "first line"},
		{.root_from = "\"pages\":1", .root_by = "\"pages\":2", .expected = "root"},
		{.root_from = "\"pages\":1", .root_by = "\"pages\":0", .expected = "rows"},
		{.root_from = "\"members\":4", .root_by = "\"members\":5", .expected = "rows"},
		{.root_from = "{\"page\":0,\"volume\":0", .root_by = "{\"page\":1,\"volume\":0", .expected = "page 1"},
		{.root_from = "{\"page\":0,\"volume\":0", .root_by = "{\"page\":0,\"volume\":1", .expected = "cannot be"},
		{.root_from = "{\"page\":0,\"volume\":0,\"offset\":",
		 .root_by = "{\"page\":0,\"volume\":0,\"offset\":9",
		 .expected = "outside"},
		{.root_from = "{\"page\":0,\"volume\":0,\"offset\":",
		 .root_by = "{\"page\":0,\"volume\":0,\"offset\":922337203685477580",
		 .expected = "root"},
		{.root_from = ",\"rows\":4,", .root_by = ",\"rows\":0,", .expected = "impossible"},
		{.root_from = ",\"rows\":4,", .root_by = ",\"rows\":1025,", .expected = "rows"},
		{.root_from = ",\"rows\":4,", .root_by = ",\"rows\":3,", .expected = "rows"},
		{.root_from = ",\"plain\":", .root_by = ",\"plain\":9", .expected = "page 0"},
		{.root_from = ",\"plain\":", .root_by = ",\"plain\":9999999", .expected = "plain"},
		{.root_from = "\"first_page\":0,\"last_page\":0,\"members\":2",
		 .root_by = "\"first_page\":0,\"last_page\":7,\"members\":2",
		 .expected = "cannot be"},
		{.root_from = "\"first_page\":0,\"last_page\":0,\"members\":2",
		 .root_by = "\"first_page\":0,\"last_page\":0,\"members\":3",
		 .expected = "missing"},
		{.root_from = "\"raw\":3000", .root_by = "\"raw\":3001", .expected = "bytes differs"},
		{.root_from = "\"raw\":3000", .root_by = "\"raw\":9999999999", .expected = "cannot be"},
		{.root_from = "\"ranges\":1", .root_by = "\"ranges\":0", .expected = "ranges"},
		{.root_from = "\"ranges\":1", .root_by = "\"ranges\":4000000", .expected = "ranges"},
		{.root_from = "{\"object\":1", .root_by = "{\"object\":2", .expected = "malformed"},
		{.root_from = "{\"object\":1", .root_by = "{{\"object\":1", .expected = "root"},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		check_forgery(&all[i]);
}

TEST("names that lead out of the target are refused")
{
	static const char *const path[] = {"../../../etc/passwd", "/etc/passwd", "db/../../x", "db//x", "", ".",
					   "db/shop\\\\..\\\\x",  "db/x\\n"};

	for (size_t i = 0; i < ARRAY_LEN(path); i++) {
		CLEANUP(cstr_release) char *by = xasprintf("\"path\":\"%s\"", path[i]);
		check_forgery(&(struct forgery){
			.root_from = "\"path\":\"db/shop/data/public/t\"", .root_by = by, .expected = "malformed"});
	}
	check_forgery(
		&(struct forgery){.root_from = "\"ext\":\"copy\"", .root_by = "\"ext\":\"../copy\"", .expected = "malformed"});
	check_forgery(&(struct forgery){.root_from = "\"ext\":\"copy\"", .root_by = "\"extra\":\"copy\"", .expected = "malformed"});
	check_forgery(
		&(struct forgery){.root_from = "\"kind\":\"table\"", .root_by = "\"kind\":\"link\"", .expected = "malformed"});
	check_forgery(&(struct forgery){.root_from = "\"path\":\"db/shop/data/public/t\"",
					.root_by = "\"path\":\"db/shop/data/public/u\"",
					.expected = "tar header",
					.check_only = true});
}

TEST("impossible numbers in an index page are refused")
{
	static const struct forgery all[] = {
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n99\t0\t0\t0\t0\t", .expected = "cannot be"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n2\t0\t0\t0\t0\t", .expected = "drtool/manifest.json"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t10000\t0\t0\t0\t", .expected = "cannot be"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t100000000\t0\t0\t", .expected = "cannot be"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t1\t0\t0\t", .expected = "range 0"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t0\t5\t0\t", .expected = "impossible"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t0\t0\t1\t", .expected = "outside"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t0\t0\t0\t9", .expected = "outside"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t0\t0\t0\t1844674407370955", .expected = "page 0"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t0\t0\t0\t0", .expected = "malformed"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n-1\t0\t0\t0\t0\t", .expected = "malformed"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n+1\t0\t0\t0\t0\t", .expected = "malformed"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n\t0\t0\t0\t0\t", .expected = "malformed"},
		{.page_from = "\n1\t0\t0\t0\t0\t", .page_by = "\n1\t0\t0\t0\t0\n", .expected = "malformed"},
		{.page_from = "\t512\t1000\t1536\t", .page_by = "\t512\t1000\t4294967295\t", .expected = "impossible"},
		{.page_from = "\t512\t1000\t1536\t", .page_by = "\t4294966784\t1000\t488\t", .expected = "impossible"},
		{.page_from = "\t512\t1000\t1536\t",
		 .page_by = "\t512\t1000\t1537\t",
		 .expected = "gzip member",
		 .check_only = true},
		{.page_from = "\t512\t1000\t1536\t", .page_by = "\t512\t4000000000\t1536\t", .expected = "impossible"},
		{.page_from = "\t512\t1000\t1536\t", .page_by = "\t512\t999\t1536\t", .expected = "t/0000-00000000.copy"},
		{.page_from = "\t512\t1000\t1536\t25\t0\t", .page_by = "\t512\t1000\t1536\t1001\t0\t", .expected = "impossible"},
		{.page_from = "\t512\t1000\t1536\t25\t0\t", .page_by = "\t512\t1000\t1536\t25\t2\t", .expected = "malformed"},
		{.page_from = "\t512\t1000\t1536\t25\t0\t", .page_by = "\t512\t1000\t1536\t24\t0\t", .expected = "rows differs"},
		{.page_from = "\t512\t2000\t2560\t50\t0\t", .page_by = "\t512\t2000\t2560\t50\t1\t", .expected = "range 0"},
		{.page_from = "#drtool-page 1", .page_by = "#drtool-page 2", .expected = "known form"},
		{.page_from = "\tdigest\n", .page_by = "\tdigest\textra\n", .expected = "known form"},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		check_forgery(&all[i]);
}

TEST("a trailer that points elsewhere is refused")
{
	CLEANUP(volumes_release) struct volumes s = {0};

	forge(&s, &(struct forgery){0});
	struct buf *v = &s.volume[0];
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct trailer t, bad;
	CHECK_OK(trailer_parse((unsigned char *)v->data + v->len - TRAILER_LEN, &t, &err), err);
	for (int i = 0; i < 6; i++) {
		bad = t;
		if (i == 0)
			bad.volume = 1;
		else if (i == 1)
			bad.offset = UINT64_MAX;
		else if (i == 2)
			bad.length = UINT64_MAX;
		else if (i == 3)
			bad.offset++, bad.length--;
		else if (i == 4)
			bad.offset += t.length, bad.length = 0;
		else
			bad.offset = UINT64_MAX - 5, bad.length = t.offset + t.length + 6;
		trailer_write(&bad, (unsigned char *)v->data + v->len - TRAILER_LEN);
		CHECK(volumes_check(&s) > 0);
	}
	trailer_write(&t, (unsigned char *)v->data + v->len - TRAILER_LEN);
	CHECK_INT(volumes_check(&s), 0);
}

TEST("an archive of nothing, of no volume or of noise is bad, never a crash")
{
	CLEANUP(volumes_release) struct volumes s = {0};

	CHECK(volumes_check(&s) > 0);
	s.volumes = 1;
	CHECK(volumes_check(&s) > 0);
	for (size_t n = 1; n < 400; n++) {
		buf_putc(&s.volume[0], (char)(n * 37));
		CHECK(volumes_check(&s) > 0);
	}
}
