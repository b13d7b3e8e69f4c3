#include "seal/text.h"

#include <ctype.h>

static const char base64_digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *to, const void *p, size_t n)
{
	const unsigned char *s = p;
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = (bits << 8 | s[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			buf_putc(to, base64_digit[bits >> (have - 6) & 63]);
	}
	if (have)
		buf_putc(to, base64_digit[bits << (6 - have) & 63]);
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64_digit, c) : NULL;

	return at ? (int)(at - base64_digit) : -1;
}

bool base64_get(const char *text, size_t n, struct buf *to)
{
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < n; i++) {
		int v = base64_value(text[i]);

		if (v < 0)
			return false;
		bits = (bits << 6 | (unsigned)v) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_putc(to, (char)(bits >> have & 0xff));
		}
	}
	/* One digit alone says nothing, and the bits that are left over are 0 where an encoder wrote it. */
	return n % 4 != 1 && !(bits & ((1u << have) - 1));
}

bool base64_exact(const char *text, size_t n, void *to, size_t want)
{
	struct buf b = BUF_INIT;

	if (n != (want * 8 + 5) / 6)
		return false;
	buf_reserve(&b, want + 1);
	bool good = base64_get(text, n, &b) && b.len == want;

	if (good)
		memcpy(to, b.data, want);
	if (b.data)
		secure_zero(b.data, b.cap);
	buf_release(&b);
	return good;
}

/* ---- Bech32 ---- */

static const char bech32_digit[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t bech32_step(uint32_t sum, unsigned value)
{
	static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = sum >> 25;

	sum = (sum & 0x1ffffff) << 5 ^ value;
	for (unsigned i = 0; i < ARRAY_LEN(generator); i++)
		if (top >> i & 1)
			sum ^= generator[i];
	return sum;
}

static uint32_t bech32_prefix(const char *prefix, size_t n)
{
	uint32_t sum = 1;

	for (size_t i = 0; i < n; i++)
		sum = bech32_step(sum, (unsigned char)prefix[i] >> 5);
	sum = bech32_step(sum, 0);
	for (size_t i = 0; i < n; i++)
		sum = bech32_step(sum, (unsigned char)prefix[i] & 31);
	return sum;
}

void bech32_put(struct buf *to, const char *prefix, const void *p, size_t n, bool upper)
{
	const unsigned char *s = p;
	uint32_t sum = bech32_prefix(prefix, strlen(prefix));
	unsigned bits = 0, have = 0;
	size_t start = to->len;

	buf_printf(to, "%s1", prefix);
	for (size_t i = 0; i < n; i++) {
		bits = (bits << 8 | s[i]) & 0xffff;
		for (have += 8; have >= 5; have -= 5) {
			unsigned v = bits >> (have - 5) & 31;

			sum = bech32_step(sum, v);
			buf_putc(to, bech32_digit[v]);
		}
	}
	if (have) {
		unsigned v = bits << (5 - have) & 31;

		sum = bech32_step(sum, v);
		buf_putc(to, bech32_digit[v]);
	}
	for (unsigned i = 0; i < 6; i++)
		sum = bech32_step(sum, 0);
	sum ^= 1;
	for (unsigned i = 0; i < 6; i++)
		buf_putc(to, bech32_digit[sum >> (5 * (5 - i)) & 31]);
	for (size_t i = start; upper && i < to->len; i++)
		to->data[i] = (char)toupper((unsigned char)to->data[i]);
}

static bool one_case(const char *text, size_t n)
{
	bool lower = false, upper = false;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < 33 || text[i] > 126)
			return false;
		lower = lower || islower((unsigned char)text[i]);
		upper = upper || isupper((unsigned char)text[i]);
	}
	return !(lower && upper);
}

/* Digits to bytes; what is left over is less than a digit and 0. */
static bool bech32_bytes(const unsigned char *value, size_t n, struct buf *bytes)
{
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = (bits << 5 | value[i]) & 0xffff;
		have += 5;
		if (have >= 8) {
			have -= 8;
			buf_putc(bytes, (char)(bits >> have & 0xff));
		}
	}
	return have < 5 && !(bits & ((1u << have) - 1));
}

bool bech32_get(const char *text, size_t n, struct buf *prefix, struct buf *bytes)
{
	const char *one = n ? memrchr(text, '1', n) : NULL;
	size_t at = one ? (size_t)(one - text) : 0;
	unsigned char value[256];
	size_t digits = at ? n - at - 1 : 0;

	/* Longer keys are known to nobody here; see the kinds that are refused by name. */
	if (!at || digits < 6 || digits > sizeof(value) || !one_case(text, n))
		return false;
	size_t start = prefix->len;

	for (size_t i = 0; i < at; i++)
		buf_putc(prefix, (char)tolower((unsigned char)text[i]));
	uint32_t sum = bech32_prefix(prefix->data + start, at);
	bool good = true;

	for (size_t i = 0; i < digits && good; i++) {
		const char *d = strchr(bech32_digit, tolower((unsigned char)one[1 + i]));

		good = d != NULL;
		value[i] = good ? (unsigned char)(d - bech32_digit) : 0;
		sum = bech32_step(sum, value[i]);
	}
	buf_reserve(bytes, digits);
	good = good && sum == 1 && bech32_bytes(value, digits - 6, bytes);
	secure_zero(value, sizeof(value));
	return good;
}

/* ---- armor ---- */

static const char armor_begin[] = "-----BEGIN AGE ENCRYPTED FILE-----", armor_end[] = "-----END AGE ENCRYPTED FILE-----";

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool armor_begins(const void *p, size_t n)
{
	const char *s = p;

	while (n && blank(*s)) {
		s++;
		n--;
	}
	return n >= sizeof(armor_begin) - 1 && !memcmp(s, armor_begin, sizeof(armor_begin) - 1);
}

/* The next line without its end (LF or CRLF); false at the end of all. */
static bool next_line(const char **s, const char *end, const char **line, size_t *len)
{
	if (*s >= end)
		return false;
	const char *lf = memchr(*s, '\n', (size_t)(end - *s)), *stop = lf ? lf : end;

	*line = *s;
	*len = (size_t)(stop - *s);
	if (lf && *len && stop[-1] == '\r')
		--*len;
	*s = lf ? lf + 1 : end;
	return true;
}

static bool line_is(const char *line, size_t len, const char *text) { return len == strlen(text) && !memcmp(line, text, len); }

/* One line of padded base64: 64 characters, the last one 4 to 64, all but it without padding. */
static bool armor_line(const char *line, size_t len, struct buf *to, bool *last)
{
	size_t pad = 0;

	if (*last || !len || len > 64 || len % 4)
		return false;
	while (pad < 2 && line[len - 1 - pad] == '=')
		pad++;
	*last = len < 64 || pad;
	return base64_get(line, len - pad, to);
}

enum status armor_get(const void *p, size_t n, struct buf *to, struct error *err)
{
	const char *s = p, *end = s + n, *line = NULL;
	size_t len = 0;
	bool last = false, ended = false;

	while (s < end && blank(*s))
		s++;
	while (s < end && blank(end[-1]))
		end--;
	if (!next_line(&s, end, &line, &len) || !line_is(line, len, armor_begin))
		return error_set(err, ST_BAD, "no armored age file");
	while (!ended && next_line(&s, end, &line, &len)) {
		ended = line_is(line, len, armor_end);
		if (!ended && !armor_line(line, len, to, &last))
			return error_set(err, ST_BAD, "the armor of the age file is damaged");
	}
	if (!ended || s < end)
		return error_set(err, ST_BAD, "the armor of the age file %s", ended ? "has something behind it" : "is cut off");
	return ST_OK;
}
