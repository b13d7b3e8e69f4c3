/* Index pages: rows of members as lines of fields separated by tabs, in the order in which the members are stored. */
#include "archive/format.h"

static const char page_header[] =
	"#drtool-page 1\tobject\trange\tpart\tat\tvolume\toffset\tlength\thead\traw\tplain\trows\topen\traw_hash\tsha256\tdigest\n";
#define HEADER_LEN (sizeof page_header - 1)

void page_path(uint32_t page, char *to) { snprintf(to, PAGE_PATH_LEN, "drtool/index/%06" PRIu32 ".tsv", page); }
void page_begin(struct buf *to) { buf_put(to, page_header, HEADER_LEN); }

/* Decimal digits and a tab; printf would be a third of the time of a small member. */
static char *put_number(char *to, uint64_t n)
{
	char digit[20];
	size_t len = 0;

	do
		digit[len++] = (char)('0' + n % 10);
	while (n /= 10);
	while (len)
		*to++ = digit[--len];
	*to++ = '\t';
	return to;
}

static char *put_hex(char *to, const char *hex, char end)
{
	size_t n = strlen(hex);

	memcpy(to, hex, n);
	to[n] = end;
	return to + n + 1;
}

void page_add(struct buf *to, const struct member_row *row)
{
	char line[512], hex[SHA256_HEX], *p = line;
	const uint64_t number[] = {row->object, row->range, row->part, row->at,    row->volume, row->offset,
				   row->length, row->head,  row->raw,  row->plain, row->rows,   row->open};

	for (size_t i = 0; i < ARRAY_LEN(number); i++)
		p = put_number(p, number[i]);
	p = put_hex(p, hash128_hex(row->raw_hash, hex), '\t');
	p = put_hex(p, sha256_hex(row->sha256, hex), '\t');
	p = put_hex(p, hash128_hex(row->digest, hex), '\n');
	buf_put(to, line, (size_t)(p - line));
}

/* What is left of a line while it is read. */
struct fields {
	const char *p, *end;
};

static bool take_field(struct fields *f, const char **field, size_t *n)
{
	if (f->p > f->end)
		return false;
	const char *tab = memchr(f->p, '\t', (size_t)(f->end - f->p));
	*field = f->p;
	*n = (size_t)((tab ? tab : f->end) - f->p);
	f->p = tab ? tab + 1 : f->end + 1;
	return true;
}

static bool take_number(struct fields *f, uint64_t max, uint64_t *to)
{
	const char *field;
	size_t n;

	if (!take_field(f, &field, &n) || !n || n > 20 || (*field == '0' && n > 1))
		return false;
	*to = 0;
	for (size_t i = 0; i < n; i++) {
		if (field[i] < '0' || field[i] > '9' || __builtin_mul_overflow(*to, 10u, to) ||
		    __builtin_add_overflow(*to, (uint64_t)(field[i] - '0'), to))
			return false;
	}
	return *to <= max;
}

static bool take_u32(struct fields *f, uint32_t *to)
{
	uint64_t n;

	if (!take_number(f, UINT32_MAX, &n))
		return false;
	*to = (uint32_t)n;
	return true;
}

static bool take_hash128(struct fields *f, struct hash128 *h)
{
	const char *field;
	size_t n;

	return take_field(f, &field, &n) && hash128_parse(field, n, h);
}

static bool take_sha256(struct fields *f, struct sha256 *h)
{
	const char *field;
	size_t n;

	return take_field(f, &field, &n) && sha256_parse(field, n, h);
}

static bool parse_row(const char *line, size_t n, struct member_row *r)
{
	struct fields f = {line, line + n};
	uint64_t open;

	if (!take_u32(&f, &r->object) || !take_u32(&f, &r->range) || !take_u32(&f, &r->part) ||
	    !take_number(&f, UINT64_MAX, &r->at) || !take_u32(&f, &r->volume) || !take_number(&f, UINT64_MAX, &r->offset) ||
	    !take_number(&f, UINT64_MAX, &r->length) || !take_u32(&f, &r->head) || !take_u32(&f, &r->raw) ||
	    !take_u32(&f, &r->plain) || !take_number(&f, UINT64_MAX, &r->rows) || !take_number(&f, 1, &open))
		return false;
	r->open = open;
	return take_hash128(&f, &r->raw_hash) && take_sha256(&f, &r->sha256) && take_hash128(&f, &r->digest) && f.p == f.end + 1;
}

enum status page_parse(const char *text, size_t n, struct member_row **rows, size_t *count, struct error *err)
{
	const char *end = text + n, *p = text + HEADER_LEN;
	size_t lines = 0;

	if (n <= HEADER_LEN || memcmp(text, page_header, HEADER_LEN))
		return error_set(err, ST_BAD, "not an index page of a known form");
	for (const char *c = p; c < end && (c = memchr(c, '\n', (size_t)(end - c))); c++)
		lines++;
	if (!lines || lines > PAGE_ROWS || end[-1] != '\n')
		return error_set(err, ST_BAD, "an index page has %zu rows", lines);
	struct member_row *r = xcalloc(lines, sizeof *r);
	for (size_t i = 0; i < lines; i++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		if (!parse_row(p, (size_t)(stop - p), &r[i])) {
			free(r);
			return error_set(err, ST_BAD, "row %zu of an index page is malformed", i);
		}
		p = stop + 1;
	}
	*rows = r;
	*count = lines;
	return ST_OK;
}
