/* {"$oid": "..."} and its like: what stands for a value of a type that JSON has not. */
#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "drivers/mongodb/ejson.h"

struct wrapped {
	const char *key; /* where it goes */
	int key_len;
	bson_t *to;
	bson_iter_t it; /* the value of the first member */
	unsigned members;
	const char *text; /* the value where it is a text; NULL */
	uint32_t n;
};

/* Exactly these members of a document inside, in any order. */
static bool two_of(const struct wrapped *w, const char *one, const char *other, bson_iter_t *a, bson_iter_t *b)
{
	bson_iter_t it, count;
	unsigned n = 0;

	if (!BSON_ITER_HOLDS_DOCUMENT(&w->it) || !bson_iter_recurse(&w->it, &it))
		return false;
	for (count = it; bson_iter_next(&count);)
		n++;
	*a = it;
	*b = it;
	return n == 2 && bson_iter_find(a, one) && bson_iter_find(b, other);
}

static bool text_of(const bson_iter_t *it, const char **text, uint32_t *n)
{
	if (!BSON_ITER_HOLDS_UTF8(it))
		return false;
	*text = bson_iter_utf8(it, n);
	return true;
}

static bool is_cstring(const char *text, uint32_t n) { return !memchr(text, 0, n); }

static bool unwrap_oid(const struct wrapped *w)
{
	bson_oid_t oid;

	if (!w->text || !bson_oid_is_valid(w->text, w->n) || w->n != 24)
		return false;
	for (uint32_t i = 0; i < w->n; i++)
		if (isupper((unsigned char)w->text[i]))
			return false;
	bson_oid_init_from_string(&oid, w->text);
	return bson_append_oid(w->to, w->key, w->key_len, &oid);
}

static bool unwrap_whole(const struct wrapped *w, bool is32)
{
	char again[32];
	long long v;

	if (!w->text || !w->n || w->n > 20 || !is_cstring(w->text, w->n))
		return false;
	errno = 0;
	v = strtoll(w->text, NULL, 10);
	(void)snprintf(again, sizeof again, "%lld", v);
	if (errno || strcmp(again, w->text))
		return false;
	if (!is32)
		return bson_append_int64(w->to, w->key, w->key_len, v);
	return v >= INT32_MIN && v <= INT32_MAX && bson_append_int32(w->to, w->key, w->key_len, (int32_t)v);
}

static bool unwrap_double(const struct wrapped *w)
{
	char *end;
	double v;

	if (!w->text || !w->n || !is_cstring(w->text, w->n))
		return false;
	if (!strcmp(w->text, "NaN"))
		v = (double)NAN;
	else if (!strcmp(w->text, "Infinity") || !strcmp(w->text, "-Infinity"))
		v = *w->text == '-' ? -(double)INFINITY : (double)INFINITY;
	else if (strspn(w->text, "0123456789+-.eE") != w->n)
		return false;
	else if (v = strtod(w->text, &end), *end || v - v != 0)
		return false;
	return bson_append_double(w->to, w->key, w->key_len, v);
}

static bool unwrap_decimal(const struct wrapped *w)
{
	bson_decimal128_t v;

	return w->text && is_cstring(w->text, w->n) && bson_decimal128_from_string(w->text, &v) &&
	       bson_append_decimal128(w->to, w->key, w->key_len, &v);
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool from_base64(const char *text, size_t n, struct buf *to)
{
	if (n % 4)
		return false;
	for (size_t i = 0; i < n; i += 4) {
		const size_t have = i + 4 < n || text[i + 3] != '=' ? 4 : text[i + 2] != '=' ? 3 : 2;
		uint32_t bits = 0;

		for (size_t k = 0; k < 4; k++) {
			const int d = k < have ? base64_digit(text[i + k]) : 0;

			if (d < 0)
				return false;
			bits = bits << 6 | (uint32_t)d;
		}
		for (size_t k = 0; k + 1 < have; k++)
			buf_putc(to, (char)(bits >> (16 - 8 * k) & 0xff));
	}
	return true;
}

static bool unwrap_binary(const struct wrapped *w)
{
	CLEANUP(buf_release) struct buf data = BUF_INIT;
	const char *text, *subtype;
	bson_iter_t base64, sub;
	uint32_t n, sub_n;

	if (!two_of(w, "base64", "subType", &base64, &sub) || !text_of(&base64, &text, &n) || !text_of(&sub, &subtype, &sub_n) || !sub_n ||
	    sub_n > 2 || strspn(subtype, "0123456789abcdefABCDEF") != sub_n || !from_base64(text, n, &data))
		return false;
	return bson_append_binary(w->to, w->key, w->key_len, (bson_subtype_t)strtoul(subtype, NULL, 16), (const uint8_t *)buf_str(&data),
				  (uint32_t)data.len);
}

static bool unwrap_regex(const struct wrapped *w)
{
	const char *pattern, *options;
	bson_iter_t a, b;
	uint32_t n, options_n;

	return two_of(w, "pattern", "options", &a, &b) && text_of(&a, &pattern, &n) && text_of(&b, &options, &options_n) && is_cstring(pattern, n) &&
	       is_cstring(options, options_n) && bson_append_regex(w->to, w->key, w->key_len, pattern, options);
}

static bool unwrap_pointer(const struct wrapped *w)
{
	const char *collection;
	bson_iter_t a, b;
	uint32_t n;

	return two_of(w, "$ref", "$id", &a, &b) && text_of(&a, &collection, &n) && is_cstring(collection, n) && BSON_ITER_HOLDS_OID(&b) &&
	       bson_append_dbpointer(w->to, w->key, w->key_len, collection, bson_iter_oid(&b));
}

static bool seconds(const bson_iter_t *it, uint32_t *v)
{
	if ((!BSON_ITER_HOLDS_INT32(it) && !BSON_ITER_HOLDS_INT64(it)) || bson_iter_as_int64(it) < 0 || bson_iter_as_int64(it) > UINT32_MAX)
		return false;
	*v = (uint32_t)bson_iter_as_int64(it);
	return true;
}

static bool unwrap_timestamp(const struct wrapped *w)
{
	bson_iter_t a, b;
	uint32_t t, i;

	return two_of(w, "t", "i", &a, &b) && seconds(&a, &t) && seconds(&b, &i) && bson_append_timestamp(w->to, w->key, w->key_len, t, i);
}

static bool unwrap_code_with_scope(const struct wrapped *w, bson_iter_t scope)
{
	const uint8_t *data;
	uint32_t n;
	bson_t b;

	if (!w->text || !is_cstring(w->text, w->n) || !bson_iter_next(&scope) || strcmp(bson_iter_key(&scope), "$scope") ||
	    !BSON_ITER_HOLDS_DOCUMENT(&scope))
		return false;
	bson_iter_document(&scope, &n, &data);
	return bson_init_static(&b, data, n) && bson_append_code_with_scope(w->to, w->key, w->key_len, w->text, &b);
}

static bool unwrap_one(const struct wrapped *w, const char *as)
{
	if (!strcmp(as, "$oid"))
		return unwrap_oid(w);
	if (!strcmp(as, "$numberInt") || !strcmp(as, "$numberLong"))
		return unwrap_whole(w, !strcmp(as, "$numberInt"));
	if (!strcmp(as, "$numberDouble"))
		return unwrap_double(w);
	if (!strcmp(as, "$numberDecimal"))
		return unwrap_decimal(w);
	if (!strcmp(as, "$date"))
		return BSON_ITER_HOLDS_INT64(&w->it) && bson_append_date_time(w->to, w->key, w->key_len, bson_iter_int64(&w->it));
	if (!strcmp(as, "$binary"))
		return unwrap_binary(w);
	if (!strcmp(as, "$regularExpression"))
		return unwrap_regex(w);
	if (!strcmp(as, "$timestamp"))
		return unwrap_timestamp(w);
	if (!strcmp(as, "$dbPointer"))
		return unwrap_pointer(w);
	if (!strcmp(as, "$symbol"))
		return w->text && bson_append_symbol(w->to, w->key, w->key_len, w->text, (int)w->n);
	if (!strcmp(as, "$code"))
		return w->text && is_cstring(w->text, w->n) && bson_append_code(w->to, w->key, w->key_len, w->text);
	if (!strcmp(as, "$undefined"))
		return BSON_ITER_HOLDS_BOOL(&w->it) && bson_iter_bool(&w->it) && bson_append_undefined(w->to, w->key, w->key_len);
	if (strcmp(as, "$minKey") && strcmp(as, "$maxKey"))
		return false;
	if (!BSON_ITER_HOLDS_INT32(&w->it) || bson_iter_int32(&w->it) != 1)
		return false;
	return as[2] == 'i' ? bson_append_minkey(w->to, w->key, w->key_len) : bson_append_maxkey(w->to, w->key, w->key_len);
}

bool mo_ejson_unwrap(const bson_t *doc, const char *key, size_t key_len, bson_t *to)
{
	struct wrapped w = {.key = key, .key_len = (int)key_len, .to = to};

	if (!bson_iter_init(&w.it, doc) || !bson_iter_next(&w.it) || *bson_iter_key(&w.it) != '$')
		return false;
	(void)text_of(&w.it, &w.text, &w.n);
	const bson_iter_t first = w.it;
	bson_iter_t rest = w.it;
	for (w.members = 1; bson_iter_next(&rest);)
		w.members++;
	if (w.members == 2)
		return !strcmp(bson_iter_key(&first), "$code") && unwrap_code_with_scope(&w, first);
	return w.members == 1 && unwrap_one(&w, bson_iter_key(&first));
}
