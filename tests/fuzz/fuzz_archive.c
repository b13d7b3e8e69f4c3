/* Any bytes as an archive: opened, every object and page read, everything checked. Texts are also built into archives with right
 * checksums, so that the parsers behind them are reached. */
#include "archive/format.h"

#define VOLUMES_MOST 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const unsigned char *p;
	size_t n[VOLUMES_MOST], start[VOLUMES_MOST];
};

static enum status read_at(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	const struct input *in = ctx;

	if (offset > in->n[volume] || n > in->n[volume] - offset)
		return error_set(err, ST_BAD, "short");
	if (n)
		memcpy(to, in->p + in->start[volume] + offset, n);
	return ST_OK;
}

static enum status size_of(void *ctx, uint32_t volume, uint64_t *size, struct error *err)
{
	const struct input *in = ctx;

	(void)err;
	*size = in->n[volume];
	return ST_OK;
}

static enum status drop(void *ctx, const void *p, size_t n, struct error *err)
{
	(void)ctx, (void)p, (void)n, (void)err;
	return ST_OK;
}

static enum status read_object(void *ctx, const struct archive_object *o, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	struct member_row *rows = NULL;
	size_t n;

	(void)err;
	if (!strcmp(o->kind, "file")) {
		if (archive_read_file(ctx, o, (struct byte_sink){.write = drop}, &why))
			return ST_OK;
	} else if (!archive_member_rows(ctx, o, &rows, &n, &why)) {
		free(rows);
	}
	return ST_OK;
}

static void read_all(const struct range_source *src)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(archive_reader_freep) struct archive_reader *r = NULL;
	struct run run = RUN_INIT;

	if (archive_reader_open(&run, src, "/tmp", &r, &err) || archive_each_object(r, read_object, r, &err))
		error_release(&err);
	if (archive_check_all(&run, src, "/tmp", &(struct archive_check){0}, &err))
		error_release(&err);
}

/* An archive out of three texts: members of any bytes, the text of one page, the text of the root, with "@" where the numbers of
 * the page belong. All checksums are right, so what is read are the numbers and names. */
static void put_entry(struct buf *to, const char *path, const unsigned char *text, size_t n, struct page_ref *ref)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();
	CLEANUP(buf_release) struct buf chunk = BUF_INIT, out = BUF_INIT;
	struct member m;

	buf_reserve(&chunk, n + 2 * MEMBER_ROOM);
	buf_reserve(&out, member_bound(z, n));
	if (n)
		memcpy(chunk.data + MEMBER_ROOM, text, n);
	const struct member_spec spec = {
		.path = path, .entry_size = n, .raw = chunk.data + MEMBER_ROOM, .raw_len = n, .mtime = {1}};
	if (member_make(z, sha, &spec, (unsigned char *)out.data, member_bound(z, n), &m, &err))
		abort();
	*ref = (struct page_ref){
		.offset = to->len, .length = m.row.length, .plain = m.row.plain, .rows = 1, .sha256 = m.row.sha256};
	buf_put(to, m.data, m.row.length);
}

static void build(const unsigned char *p, size_t n, struct buf *to)
{
	const unsigned char *end = p + n, *page = memchr(p, 0, n);
	const unsigned char *root = page ? memchr(page + 1, 0, (size_t)(end - page - 1)) : NULL;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	unsigned char trailer[TRAILER_LEN];
	struct page_ref ref, at;

	if (!root)
		return;
	put_entry(to, "f", p, (size_t)(page - p), &at);
	put_entry(to, "drtool/index/000000.tsv", page + 1, (size_t)(root - page - 1), &ref);
	for (const unsigned char *c = root + 1; c < end; c++) {
		if (*c == '@')
			root_put_page(&text, 0, &ref);
		else
			buf_putc(&text, (char)*c);
	}
	put_entry(to, ROOT_PATH, (const unsigned char *)buf_str(&text), text.len, &at);
	buf_put(to, tar_end, TAR_END_LEN);
	trailer_write(&(struct trailer){.offset = at.offset, .length = at.length, .sha256 = at.sha256}, trailer);
	buf_put(to, trailer, TRAILER_LEN);
}

/* The first byte chooses: whole archives in 1 to 3 volumes, or texts that are built into one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf built = BUF_INIT;
	struct input in = {.p = data + 1};

	if (!size)
		return 0;
	uint32_t volumes = data[0] % 4;
	if (!volumes) {
		build(data + 1, size - 1, &built);
		in = (struct input){.p = (unsigned char *)built.data, .n = {built.len}};
	}
	for (uint32_t v = 0; v < volumes; v++) {
		in.start[v] = (size - 1) * v / volumes;
		in.n[v] = (size - 1) * (v + 1) / volumes - in.start[v];
	}
	const struct range_source src = {.read_at = read_at, .size = size_of, .volumes = volumes ? volumes : 1, .ctx = &in};
	read_all(&src);
	return 0;
}
