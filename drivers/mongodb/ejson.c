#include "drivers/mongodb/ejson.h"

#include <math.h>

#include "util/utf8.h"

void mo_bson_freep(bson_t **b)
{
	bson_destroy(*b);
	*b = NULL;
}

void mo_bson_clear(bson_t *b)
{
	bson_destroy(b);
}

bool mo_bson_document_at(const bson_t *b, const char *key, bson_t *to)
{
	const uint8_t *data;
	bson_iter_t it;
	uint32_t n;

	if (!bson_iter_init_find(&it, b, key) || !BSON_ITER_HOLDS_DOCUMENT(&it))
		return false;
	bson_iter_document(&it, &n, &data);
	return bson_init_static(to, data, n);
}

const char *mo_bson_text_at(const bson_t *b, const char *key)
{
	bson_iter_t it;

	return bson_iter_init_find(&it, b, key) && BSON_ITER_HOLDS_UTF8(&it) ? bson_iter_utf8(&it, NULL) : NULL;
}

static bool sound(bson_iter_t *it, unsigned depth)
{
	const uint8_t *raw = it->raw; /* gone at the end */
	const uint32_t len = it->len;
	bson_iter_t child;

	while (bson_iter_next(it)) {
		const bson_type_t type = bson_iter_type(it);
		bson_t scope;
		const uint8_t *data;
		uint32_t n, code_n;

		if (type == BSON_TYPE_DOCUMENT || type == BSON_TYPE_ARRAY) {
			if (depth + 1 >= MO_DEPTH_MOST || !bson_iter_recurse(it, &child) || !sound(&child, depth + 1))
				return false;
		} else if (type == BSON_TYPE_CODEWSCOPE) {
			(void)bson_iter_codewscope(it, &code_n, &n, &data);
			if (depth + 1 >= MO_DEPTH_MOST || !bson_init_static(&scope, data, n) || !bson_iter_init(&child, &scope) ||
			    !sound(&child, depth + 1))
				return false;
		}
	}
	/* libbson is content with any last byte, and with a last member that takes it. */
	return it->err_off == 0 && bson_iter_offset(it) + 1 == len && !raw[len - 1];
}

bool mo_bson_is_sound(const bson_t *b)
{
	bson_iter_t it;

	return bson_iter_init(&it, b) && sound(&it, 0);
}

/* ---- printing ---- */

struct printer {
	struct buf *to;
	bool facts;
	unsigned depth;
};
static void put_value(struct printer *p, const bson_iter_t *it);

void mo_ejson_text(struct buf *to, const char *text, size_t n)
{
	/* A copy, because a character is read up to a byte 0. */
	CLEANUP(cstr_release) char *copy = xmalloc(n + 1);

	if (n)
		memcpy(copy, text, n);
	copy[n] = 0;
	buf_putc(to, '"');
	for (size_t i = 0; i < n;) {
		const unsigned char c = (unsigned char)copy[i];
		const size_t len = c < 0x80 ? 1 : utf8_character(copy + i, NULL);

		if (c == '"' || c == '\\')
			buf_printf(to, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			buf_puts(to, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(to, "\\u%04x", c);
		else if (!len)
			buf_puts(to, "\xef\xbf\xbd");
		else
			buf_put(to, copy + i, len);
		i += len ? len : 1;
	}
	buf_putc(to, '"');
}

static void put_children(struct printer *p, bson_iter_t *it, bool array)
{
	bool first = true;

	buf_putc(p->to, array ? '[' : '{');
	while (bson_iter_next(it)) {
		if (!first)
			buf_putc(p->to, ',');
		first = false;
		if (!array) {
			mo_ejson_text(p->to, bson_iter_key(it), strlen(bson_iter_key(it)));
			buf_putc(p->to, ':');
		}
		put_value(p, it);
	}
	buf_putc(p->to, array ? ']' : '}');
}

/* Sound documents are never that deep; whatever else comes does not exhaust the stack. */
static void put_nested(struct printer *p, const bson_iter_t *it, bool array)
{
	bson_iter_t child;

	if (p->depth >= MO_DEPTH_MOST || !bson_iter_recurse(it, &child)) {
		buf_puts(p->to, "null");
		return;
	}
	p->depth++;
	put_children(p, &child, array);
	p->depth--;
}

/* The shortest digits that make the same number again. */
static void put_double(struct printer *p, double d)
{
	char text[40];

	if (isnan(d) || isinf(d)) {
		buf_puts(p->to, isnan(d) ? "NaN" : d < 0 ? "-Infinity" : "Infinity");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	buf_puts(p->to, text);
	if (!strpbrk(text, ".e"))
		buf_puts(p->to, ".0");
}

static void put_fact_double(struct printer *p, double d)
{
	if (d == floor(d) && fabs(d) < 9e18)
		buf_printf(p->to, "%" PRId64, (int64_t)d);
	else
		put_double(p, d);
}

static void put_number(struct printer *p, const bson_iter_t *it)
{
	const bson_type_t type = bson_iter_type(it);
	char text[BSON_DECIMAL128_STRING];
	bson_decimal128_t dec;

	if (type == BSON_TYPE_DECIMAL128) {
		(void)bson_iter_decimal128(it, &dec);
		bson_decimal128_to_string(&dec, text);
		buf_printf(p->to, p->facts ? "%s" : "{\"$numberDecimal\":\"%s\"}", text);
	} else if (type == BSON_TYPE_DOUBLE) {
		if (p->facts) {
			put_fact_double(p, bson_iter_double(it));
			return;
		}
		buf_puts(p->to, "{\"$numberDouble\":\"");
		put_double(p, bson_iter_double(it));
		buf_puts(p->to, "\"}");
	} else {
		const char *form = type == BSON_TYPE_INT32 ? "Int" : "Long";

		if (p->facts)
			buf_printf(p->to, "%" PRId64, bson_iter_as_int64(it));
		else
			buf_printf(p->to, "{\"$number%s\":\"%" PRId64 "\"}", form, bson_iter_as_int64(it));
	}
}

static void put_base64(struct buf *to, const uint8_t *p, size_t n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		const size_t have = n - i < 3 ? n - i : 3;
		const uint32_t three = (uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (have > 2 ? p[i + 2] : 0);

		buf_putc(to, digit[three >> 18]);
		buf_putc(to, digit[three >> 12 & 63]);
		buf_putc(to, have > 1 ? digit[three >> 6 & 63] : '=');
		buf_putc(to, have > 2 ? digit[three & 63] : '=');
	}
}

static void put_binary(struct buf *to, const bson_iter_t *it)
{
	bson_subtype_t subtype;
	const uint8_t *data;
	uint32_t n;

	bson_iter_binary(it, &subtype, &n, &data);
	buf_puts(to, "{\"$binary\":{\"base64\":\"");
	put_base64(to, data, n);
	buf_printf(to, "\",\"subType\":\"%02x\"}}", (unsigned)subtype & 0xffu);
}

static void put_oid(struct buf *to, const bson_oid_t *oid)
{
	char hex[25];

	bson_oid_to_string(oid, hex);
	buf_printf(to, "{\"$oid\":\"%s\"}", hex);
}

static void put_regex(struct buf *to, const bson_iter_t *it)
{
	const char *options, *pattern = bson_iter_regex(it, &options);

	buf_puts(to, "{\"$regularExpression\":{\"pattern\":");
	mo_ejson_text(to, pattern, strlen(pattern));
	buf_puts(to, ",\"options\":");
	mo_ejson_text(to, options, strlen(options));
	buf_puts(to, "}}");
}

static void put_wrapped(struct buf *to, const char *name, const char *text, uint32_t n)
{
	buf_printf(to, "{\"%s\":", name);
	mo_ejson_text(to, text, n);
	buf_putc(to, '}');
}

static void put_code_with_scope(struct printer *p, const bson_iter_t *it)
{
	const uint8_t *data;
	uint32_t code_n, n;
	bson_t scope;
	bson_iter_t child;
	const char *code = bson_iter_codewscope(it, &code_n, &n, &data);

	buf_puts(p->to, "{\"$code\":");
	mo_ejson_text(p->to, code, code_n);
	buf_puts(p->to, ",\"$scope\":");
	if (p->depth < MO_DEPTH_MOST && bson_init_static(&scope, data, n) && bson_iter_init(&child, &scope)) {
		p->depth++;
		put_children(p, &child, false);
		p->depth--;
	} else {
		buf_puts(p->to, "{}");
	}
	buf_putc(p->to, '}');
}

static void put_pointer(struct buf *to, const bson_iter_t *it)
{
	const bson_oid_t *oid;
	const char *collection;
	uint32_t n;

	bson_iter_dbpointer(it, &n, &collection, &oid);
	buf_puts(to, "{\"$dbPointer\":{\"$ref\":");
	mo_ejson_text(to, collection, strnlen(collection, n));
	buf_puts(to, ",\"$id\":");
	put_oid(to, oid);
	buf_puts(to, "}}");
}

static void put_value(struct printer *p, const bson_iter_t *it)
{
	struct buf *to = p->to;
	const char *text;
	uint32_t n, t, i;

	switch (bson_iter_type(it)) {
	case BSON_TYPE_DOUBLE:
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
	case BSON_TYPE_DECIMAL128:
		put_number(p, it);
		break;
	case BSON_TYPE_UTF8:
		text = bson_iter_utf8(it, &n);
		mo_ejson_text(to, text, n);
		break;
	case BSON_TYPE_DOCUMENT:
	case BSON_TYPE_ARRAY:
		put_nested(p, it, bson_iter_type(it) == BSON_TYPE_ARRAY);
		break;
	case BSON_TYPE_BINARY:
		put_binary(to, it);
		break;
	case BSON_TYPE_OID:
		put_oid(to, bson_iter_oid(it));
		break;
	case BSON_TYPE_BOOL:
		buf_puts(to, bson_iter_bool(it) ? "true" : "false");
		break;
	case BSON_TYPE_DATE_TIME:
		buf_printf(to, "{\"$date\":{\"$numberLong\":\"%" PRId64 "\"}}", bson_iter_date_time(it));
		break;
	case BSON_TYPE_REGEX:
		put_regex(to, it);
		break;
	case BSON_TYPE_DBPOINTER:
		put_pointer(to, it);
		break;
	case BSON_TYPE_CODE:
		text = bson_iter_code(it, &n);
		put_wrapped(to, "$code", text, n);
		break;
	case BSON_TYPE_SYMBOL:
		text = bson_iter_symbol(it, &n);
		put_wrapped(to, "$symbol", text, n);
		break;
	case BSON_TYPE_CODEWSCOPE:
		put_code_with_scope(p, it);
		break;
	case BSON_TYPE_TIMESTAMP:
		bson_iter_timestamp(it, &t, &i);
		buf_printf(to, "{\"$timestamp\":{\"t\":%" PRIu32 ",\"i\":%" PRIu32 "}}", t, i);
		break;
	case BSON_TYPE_UNDEFINED:
		buf_puts(to, "{\"$undefined\":true}");
		break;
	case BSON_TYPE_MINKEY:
		buf_puts(to, "{\"$minKey\":1}");
		break;
	case BSON_TYPE_MAXKEY:
		buf_puts(to, "{\"$maxKey\":1}");
		break;
	case BSON_TYPE_NULL:
	case BSON_TYPE_EOD:
	default:
		buf_puts(to, "null");
	}
}

static void print(const bson_t *b, bool array, bool facts, struct buf *to)
{
	struct printer p = {.to = to, .facts = facts};
	bson_iter_t it;

	if (bson_iter_init(&it, b))
		put_children(&p, &it, array);
	else
		buf_puts(to, array ? "[]" : "{}");
}

void mo_ejson_print(const bson_t *b, bool array, struct buf *to)
{
	print(b, array, false, to);
}

void mo_ejson_facts(const bson_t *b, bool array, struct buf *to)
{
	print(b, array, true, to);
}

void mo_ejson_facts_value(const bson_iter_t *it, struct buf *to)
{
	put_value(&(struct printer){.to = to, .facts = true}, it);
}
