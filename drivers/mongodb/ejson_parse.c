#include <ctype.h>
#include <errno.h>

#include "drivers/mongodb/ejson.h"

#include "util/utf8.h"

struct parser {
	const char *text, *p; /* ends by a byte 0, which is not part of it */
	unsigned depth;
	struct buf word;      /* the string that was read last */
	struct error *err;
};
static enum status read_value(struct parser *s, const char *key, size_t key_len, bson_t *to);

static enum status bad(struct parser *s, const char *what)
{
	return error_set(s->err, ST_BAD, "%s at byte %zu", what, (size_t)(s->p - s->text));
}

static char next(struct parser *s)
{
	s->p += strspn(s->p, " \t\r\n");
	return *s->p;
}

static bool read_hex4(const char *p, uint32_t *c)
{
	*c = 0;
	for (int i = 0; i < 4; i++) {
		const char d = p[i];

		if (!isxdigit((unsigned char)d))
			return false;
		*c = *c * 16 + (uint32_t)(d <= '9' ? d - '0' : (d | 0x20) - 'a' + 10);
	}
	return true;
}

static void put_utf8(struct buf *to, uint32_t c)
{
	if (c < 0x80) {
		buf_putc(to, (char)c);
	} else if (c < 0x800) {
		buf_putc(to, (char)(0xc0 | c >> 6));
		buf_putc(to, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_putc(to, (char)(0xe0 | c >> 12));
		buf_putc(to, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(to, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_putc(to, (char)(0xf0 | c >> 18));
		buf_putc(to, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_putc(to, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(to, (char)(0x80 | (c & 0x3f)));
	}
}

/* After the backslash. */
static enum status read_escape(struct parser *s)
{
	static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
	const char *at = *s->p ? strchr(from, *s->p) : NULL;
	uint32_t c, low;

	if (at) {
		buf_putc(&s->word, is[at - from]);
		s->p++;
		return ST_OK;
	}
	if (*s->p != 'u' || !read_hex4(s->p + 1, &c))
		return bad(s, "an escape that is none");
	s->p += 5;
	if (c >= 0xd800 && c < 0xe000) {
		if (c >= 0xdc00 || s->p[0] != '\\' || s->p[1] != 'u' || !read_hex4(s->p + 2, &low) || low < 0xdc00 || low >= 0xe000)
			return bad(s, "half a character");
		s->p += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(&s->word, c);
	return ST_OK;
}

static enum status read_string(struct parser *s)
{
	buf_clear(&s->word);
	for (s->p++; *s->p != '"';) {
		const size_t n = (unsigned char)*s->p < 0x20 ? 0 : utf8_character(s->p, NULL);

		if (!n)
			return bad(s, *s->p ? "a byte that no text may have" : "a text without end");
		if (*s->p == '\\') {
			s->p++;
			if (read_escape(s))
				return s->err->code;
			continue;
		}
		buf_put(&s->word, s->p, n);
		s->p += n;
	}
	s->p++;
	return ST_OK;
}

static enum status read_number(struct parser *s, const char *key, int key_len, bson_t *to)
{
	const char *p = s->p + (*s->p == '-'), *first = p;
	bool whole = true, ok;

	p += strspn(p, "0123456789");
	if (p == first || (*first == '0' && p - first > 1))
		return bad(s, "a value that is none");
	if (*p == '.') {
		const size_t n = strspn(p + 1, "0123456789");

		whole = false;
		p += 1 + n;
		if (!n)
			return bad(s, "a number without end");
	}
	if (*p == 'e' || *p == 'E') {
		p += 1 + (p[1] == '-' || p[1] == '+');
		const size_t n = strspn(p, "0123456789");

		whole = false;
		p += n;
		if (!n)
			return bad(s, "a number without end");
	}
	errno = 0;
	if (whole) {
		const long long v = strtoll(s->p, NULL, 10);

		ok = !errno && (v >= INT32_MIN && v <= INT32_MAX ? bson_append_int32(to, key, key_len, (int32_t)v)
								 : bson_append_int64(to, key, key_len, v));
	} else {
		const double v = strtod(s->p, NULL);

		ok = v - v == 0 && bson_append_double(to, key, key_len, v);
	}
	if (!ok)
		return bad(s, "a number that is too large");
	s->p = p;
	return ST_OK;
}

static enum status read_word(struct parser *s, const char *key, int key_len, bson_t *to)
{
	bool ok = true;

	if (!strncmp(s->p, "true", 4) || !strncmp(s->p, "false", 5)) {
		ok = bson_append_bool(to, key, key_len, *s->p == 't');
		s->p += *s->p == 't' ? 4 : 5;
	} else if (!strncmp(s->p, "null", 4)) {
		ok = bson_append_null(to, key, key_len);
		s->p += 4;
	} else {
		return read_number(s, key, key_len, to);
	}
	return ok ? ST_OK : bad(s, "more than a document holds");
}

/* From the opening bracket to behind the closing one. */
static enum status read_members(struct parser *s, bool array, bson_t *to)
{
	CLEANUP(buf_release) struct buf key = BUF_INIT;
	char end = array ? ']' : '}';
	uint32_t i = 0;

	if (s->depth >= MO_DEPTH_MOST)
		return bad(s, "a document nested too deeply");
	s->depth++;
	s->p++;
	while (next(s) != end || i) {
		if (i && *s->p == end)
			break;
		if (i) {
			if (*s->p != ',')
				return bad(s, *s->p ? "no comma" : "a document without end");
			s->p++;
			(void)next(s);
		}
		buf_clear(&key);
		if (array) {
			buf_printf(&key, "%" PRIu32, i);
		} else {
			if (*s->p != '"')
				return bad(s, "no key");
			if (read_string(s))
				return s->err->code;
			buf_put(&key, buf_str(&s->word), s->word.len);
			if (memchr(buf_str(&key), 0, key.len))
				return bad(s, "a key with a byte 0");
			if (next(s) != ':')
				return bad(s, "no colon");
			s->p++;
			(void)next(s);
		}
		if (read_value(s, buf_str(&key), key.len, to))
			return s->err->code;
		i++;
	}
	s->p++;
	s->depth--;
	return ST_OK;
}

static enum status read_nested(struct parser *s, const char *key, int key_len, bson_t *to)
{
	CLEANUP(mo_bson_clear) bson_t child = BSON_INITIALIZER;
	const bool array = *s->p == '[';

	if (read_members(s, array, &child))
		return s->err->code;
	if (!array && mo_ejson_unwrap(&child, key, (size_t)key_len, to))
		return ST_OK;
	if (!(array ? bson_append_array(to, key, key_len, &child) : bson_append_document(to, key, key_len, &child)))
		return bad(s, "more than a document holds");
	return ST_OK;
}

static enum status read_value(struct parser *s, const char *key, size_t key_len, bson_t *to)
{
	const int n = (int)key_len; /* the whole text is shorter than that */

	if (*s->p == '{' || *s->p == '[')
		return read_nested(s, key, n, to);
	if (*s->p != '"')
		return read_word(s, key, n, to);
	if (read_string(s))
		return s->err->code;
	return bson_append_utf8(to, key, n, buf_str(&s->word), (int)s->word.len) ? ST_OK : bad(s, "more than a document holds");
}

/* Larger than what any server keeps of a collection. */
#define TEXT_MOST ((size_t)256 * 1024 * 1024)

enum status mo_ejson_parse(const char *text, size_t n, bson_t **to, struct error *err)
{
	CLEANUP(mo_bson_freep) bson_t *doc = bson_new();
	CLEANUP(cstr_release) char *copy = NULL;
	struct parser s = {.err = err};
	enum status st;

	if (n > TEXT_MOST)
		return error_set(err, ST_BAD, "a text of %zu bytes", n);
	copy = xmalloc(n + 1);
	if (n)
		memcpy(copy, text, n);
	copy[n] = 0;
	s.text = s.p = copy;
	if (next(&s) != '{')
		return bad(&s, "no document");
	st = read_members(&s, false, doc);
	if (!st && (next(&s) || s.p != copy + n))
		st = bad(&s, "something behind the document");
	buf_release(&s.word);
	if (!st) {
		*to = doc;
		doc = NULL;
	}
	return st;
}
