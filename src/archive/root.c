/* The root of the index, line by line, and the trailer that finds it. */
#include "archive/format.h"

#include "archive/path.h"

#define WHAT "the root of the index"

/* ---- first line ---- */

void root_put_head(struct buf *to, const struct root_head *h)
{
	buf_printf(to,
		   "{\"format\":\"drtool-archive\",\"version\":%d,\"requires\":[],\"chunk_size\":%" PRIu32 ",\"volumes\":%" PRIu32,
		   ARCHIVE_FORMAT, h->chunk_size, h->volumes);
	buf_printf(to,
		   ",\"objects\":%" PRIu32 ",\"pages\":%" PRIu32 ",\"members\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"raw\":%" PRIu64
		   "}\n",
		   h->objects, h->pages, h->members, h->rows, h->raw);
}

static enum status get_u32(const json_t *j, const char *key, uint32_t max, uint32_t *to, struct error *err)
{
	uint64_t n;

	if (js_u64(j, WHAT, key, &n, err))
		return err->code;
	if (n > max)
		return error_set(err, ST_BAD, WHAT ": \"%s\" is %" PRIu64 ", more than %" PRIu32, key, n, max);
	*to = (uint32_t)n;
	return ST_OK;
}

static const struct js_format format = {"drtool-archive", ARCHIVE_FORMAT, "Read it with a newer drtool, or with tar as its RESTORE.txt says.", NULL};

enum status root_parse_head(const char *line, size_t n, struct root_head *h, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;

	if (js_parse(line, n, WHAT, &j, err) || js_format(j, WHAT, &format, err) ||
	    get_u32(j, "chunk_size", ARCHIVE_CHUNK_MAX, &h->chunk_size, err) ||
	    get_u32(j, "volumes", VOLUMES_MAX, &h->volumes, err) || get_u32(j, "objects", UINT32_MAX - 1, &h->objects, err) ||
	    get_u32(j, "pages", UINT32_MAX - 1, &h->pages, err) || js_u64(j, WHAT, "members", &h->members, err) ||
	    js_u64(j, WHAT, "rows", &h->rows, err) || js_u64(j, WHAT, "raw", &h->raw, err))
		return err->code;
	if (h->chunk_size < ARCHIVE_CHUNK_MIN)
		return error_set(err, ST_BAD, WHAT ": \"chunk_size\" is %" PRIu32 ", less than %u", h->chunk_size,
				 ARCHIVE_CHUNK_MIN);
	return ST_OK;
}

/* ---- a page ---- */

void root_put_page(struct buf *to, uint32_t number, const struct page_ref *p)
{
	char hex[SHA256_HEX];

	buf_printf(to,
		   "{\"page\":%" PRIu32 ",\"volume\":%" PRIu32 ",\"offset\":%" PRIu64 ",\"length\":%" PRIu64 ",\"plain\":%" PRIu32,
		   number, p->volume, p->offset, p->length, p->plain);
	buf_printf(to, ",\"rows\":%" PRIu32 ",\"sha256\":\"%s\"}\n", p->rows, sha256_hex(p->sha256, hex));
}

static enum status get_sha256(const json_t *j, const char *key, struct sha256 *h, struct error *err)
{
	const char *hex;

	if (js_str(j, WHAT, key, &hex, err))
		return err->code;
	return sha256_parse(hex, strlen(hex), h) ? ST_OK : error_set(err, ST_BAD, WHAT ": \"%s\" is no SHA-256", key);
}

enum status root_parse_page(const char *line, size_t n, uint32_t number, struct page_ref *p, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;
	uint32_t page = 0;

	if (js_parse(line, n, WHAT, &j, err) || get_u32(j, "page", UINT32_MAX, &page, err) ||
	    get_u32(j, "volume", VOLUMES_MAX, &p->volume, err) || js_u64(j, WHAT, "offset", &p->offset, err) ||
	    js_u64(j, WHAT, "length", &p->length, err) || get_u32(j, "plain", PAGE_TEXT_MAX, &p->plain, err) ||
	    get_u32(j, "rows", PAGE_ROWS, &p->rows, err) || get_sha256(j, "sha256", &p->sha256, err))
		return err->code;
	if (page != number)
		return error_set(err, ST_BAD, WHAT ": page %" PRIu32 " where %" PRIu32 " belongs", page, number);
	if (!p->rows || p->plain < 2 * TAR_BLOCK || p->plain % TAR_BLOCK || p->length < GZIP_LEAST ||
	    p->length > gzip_bound(NULL, p->plain))
		return error_set(err, ST_BAD, WHAT ": page %" PRIu32 " has impossible sizes", number);
	return ST_OK;
}

/* ---- an object ---- */

/* A string of any bytes: where it is no UTF-8, its bytes in hex stand beside it. */
static void set_bytes(json_t *j, const char *key, const char *hex_key, const char *s)
{
	CLEANUP(buf_release) struct buf hex = BUF_INIT;

	if (js_set_str(j, key, s))
		return;
	buf_hex(&hex, s, strlen(s));
	js_set_str(j, hex_key, buf_str(&hex));
}

void root_put_object_text(struct buf *to, const struct archive_object_spec *o)
{
	CLEANUP(js_decref) json_t *j = json_object();
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	js_set_str(j, "kind", o->kind);
	set_bytes(j, "scope", "scope_hex", o->scope);
	set_bytes(j, "name", "name_hex", o->name);
	js_set_str(j, "path", o->path);
	js_set_str(j, "ext", o->ext);
	js_write(j, false, &text);
	buf_put(to, text.data + 1, text.len - 2);
}

void root_put_object(struct buf *to, uint32_t id, const char *text, const char *facts, const struct object_sums *s)
{
	char hex[HASH128_HEX];

	buf_printf(to, "{\"object\":%" PRIu32 ",", id);
	buf_puts(to, text);
	buf_printf(to,
		   ",\"first_page\":%" PRIu32 ",\"last_page\":%" PRIu32 ",\"members\":%" PRIu64 ",\"rows\":%" PRIu64
		   ",\"raw\":%" PRIu64,
		   s->first_page, s->last_page, s->members, s->rows, s->raw);
	buf_printf(to, ",\"ranges\":%" PRIu32 ",\"digest\":\"%s\"", s->ranges, hash128_hex(s->digest, hex));
	if (*facts) {
		buf_puts(to, ",\"facts\":");
		buf_puts(to, facts);
	}
	buf_putc(to, '}');
}

/* Hex digits to a string; NULL where they are none or hold a 0. */
static char *bytes_of_hex(const char *hex)
{
	size_t n = strlen(hex);
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	for (size_t i = 0; i + 1 < n; i += 2) {
		char *end, pair[3] = {hex[i], hex[i + 1], 0};
		long value = strtol(pair, &end, 16);

		if (*end || value < 1 || value > 255 || pair[0] == '+' || pair[0] == ' ')
			return NULL;
		buf_putc(&b, (char)value);
	}
	return n % 2 ? NULL : buf_detach(&b);
}

static enum status get_bytes(struct archive_object *o, const char *key, const char *hex_key, const char **to, struct error *err)
{
	const char *hex = js_opt_str(o->json, hex_key, NULL);

	if (js_str(o->json, WHAT, key, to, err))
		return err->code;
	if (!hex)
		return ST_OK;
	char *bytes = bytes_of_hex(hex);
	if (!bytes)
		return error_set(err, ST_BAD, WHAT ": \"%s\" is no hex text", hex_key);
	strlist_take(&o->bytes, bytes);
	*to = bytes;
	return ST_OK;
}

static bool ext_is_valid(const char *ext)
{
	size_t n = strspn(ext, "abcdefghijklmnopqrstuvwxyz0123456789");

	return n && n <= 16 && !ext[n];
}

bool object_names_valid(const char *kind, const char *path, const char *ext)
{
	bool table = !strcmp(kind, "table");

	if (!path_is_safe(path) || (!table && strcmp(kind, "file")))
		return false;
	return table ? ext && ext_is_valid(ext) && strlen(path) + sizeof "/0000-00000000." + strlen(ext) <= TAR_PATH_MAX : !ext;
}

static enum status get_object(struct archive_object *o, uint32_t id, struct error *err)
{
	const char *hex;

	if (get_u32(o->json, "object", UINT32_MAX, &o->id, err) || js_str(o->json, WHAT, "kind", &o->kind, err) ||
	    get_bytes(o, "scope", "scope_hex", &o->scope, err) || get_bytes(o, "name", "name_hex", &o->name, err) ||
	    js_str(o->json, WHAT, "path", &o->path, err) || get_u32(o->json, "first_page", UINT32_MAX, &o->first_page, err) ||
	    get_u32(o->json, "last_page", UINT32_MAX, &o->last_page, err) || js_u64(o->json, WHAT, "members", &o->members, err) ||
	    js_u64(o->json, WHAT, "rows", &o->rows, err) || js_u64(o->json, WHAT, "raw", &o->raw, err) ||
	    get_u32(o->json, "ranges", RANGE_MAX + 1, &o->ranges, err) || js_str(o->json, WHAT, "digest", &hex, err))
		return err->code;
	o->ext = js_opt_str(o->json, "ext", NULL);
	o->facts = json_object_get(o->json, "facts");
	if (o->id != id || !object_names_valid(o->kind, o->path, o->ext) || !hash128_parse(hex, strlen(hex), &o->digest) ||
	    (o->facts && !json_is_object(o->facts)))
		return error_set(err, ST_BAD, WHAT ": object %" PRIu32 " is malformed", id);
	return ST_OK;
}

enum status root_parse_object(const char *line, size_t n, const struct root_head *h, uint32_t id, struct archive_object *o,
			      struct error *err)
{
	struct archive_object made = {0};

	if (js_parse(line, n, WHAT, &made.json, err))
		return err->code;
	if (get_object(&made, id, err)) {
		archive_object_release(&made);
		return err->code;
	}
	if (made.members > h->members || made.rows > h->rows || made.raw > h->raw || (made.members && made.last_page >= h->pages) ||
	    made.first_page > made.last_page || made.raw / h->chunk_size > made.members || made.rows > made.raw) {
		error_set(err, ST_BAD, WHAT ": the sums of %s cannot be", made.path);
		archive_object_release(&made);
		return err->code;
	}
	*o = made;
	return ST_OK;
}

void archive_object_release(struct archive_object *o)
{
	js_decref(&o->json);
	strlist_release(&o->bytes);
	*o = (struct archive_object){0};
}

/* ---- trailer: version, volume (32 bits each), offset, length (64 bits each), SHA-256; little endian; then the first
 * bytes of the SHA-256 of all that, so that a damaged trailer is not taken for one of a later version ---- */

#define TRAILER_VERSION 1u
#define TRAILER_CHECK 4u
#define TRAILER_PAYLOAD (56u + TRAILER_CHECK)

static struct sha256 trailer_check(const unsigned char *payload) { return sha256_of(payload, TRAILER_PAYLOAD - TRAILER_CHECK); }

static unsigned char *put_le(unsigned char *to, uint64_t n, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++, n >>= 8)
		to[i] = (unsigned char)n;
	return to + bytes;
}

static uint64_t get_le(const unsigned char **p, size_t bytes)
{
	uint64_t n = 0;

	for (size_t i = bytes; i--;)
		n = n << 8 | (*p)[i];
	*p += bytes;
	return n;
}

void trailer_write(const struct trailer *t, unsigned char *to)
{
	unsigned char payload[TRAILER_PAYLOAD], *p = payload;

	p = put_le(p, TRAILER_VERSION, 4);
	p = put_le(p, t->volume, 4);
	p = put_le(p, t->offset, 8);
	p = put_le(p, t->length, 8);
	memcpy(p, t->sha256.byte, sizeof t->sha256.byte);
	memcpy(p + sizeof t->sha256.byte, trailer_check(payload).byte, TRAILER_CHECK);
	gzip_extra_member('D', 'R', payload, sizeof payload, to);
}

enum status trailer_parse(const unsigned char *in, struct trailer *t, struct error *err)
{
	const void *payload;
	size_t n;

	if (gzip_extra_parse(in, TRAILER_LEN, 'D', 'R', &payload, &n, err))
		return err->code;
	const unsigned char *p = payload;
	if (n != TRAILER_PAYLOAD || memcmp(p + n - TRAILER_CHECK, trailer_check(p).byte, TRAILER_CHECK))
		return error_set(err, ST_BAD, "the trailer is damaged");
	uint64_t version = get_le(&p, 4);
	if (version != TRAILER_VERSION)
		return error_set(err, version > TRAILER_VERSION ? ST_UNSUPPORTED : ST_BAD, "the trailer has format %" PRIu64,
				 version);
	t->volume = (uint32_t)get_le(&p, 4);
	t->offset = get_le(&p, 8);
	t->length = get_le(&p, 8);
	memcpy(t->sha256.byte, p, sizeof t->sha256.byte);
	return ST_OK;
}
