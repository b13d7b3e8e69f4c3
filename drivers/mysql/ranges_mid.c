/* A value about half way between two others: a guess at where rows are, which the server then makes a real key. */
#include "drivers/mysql/ranges.h"
#include "util/utf8.h"

#define DIGITS 8 /* of a text that are looked at behind what both have in common */

static bool give(struct my_key_value *to, struct buf *b)
{
	to->n = b->len;
	to->p = buf_detach(b);
	return true;
}

/* a + (z - a) * part / parts, at least a + 1. */
static __int128 number_between(__int128 a, __int128 z, unsigned part, unsigned parts)
{
	__int128 mid = a + (z - a) * part / parts;

	return mid > a ? mid : a + 1;
}

/* ---- numbers ---- */

static bool number_of(const struct my_key_value *v, __int128 *n)
{
	size_t i = v->n && v->p[0] == '-';

	*n = 0;
	if (i == v->n || v->n > 20)
		return false;
	for (size_t k = i; k < v->n; k++) {
		if (v->p[k] < '0' || v->p[k] > '9')
			return false;
		*n = *n * 10 + (v->p[k] - '0');
	}
	*n = i ? -*n : *n;
	return true;
}

static bool number_mid(const struct my_key_value *a, const struct my_key_value *z, unsigned part, unsigned parts, struct buf *to)
{
	__int128 from, till;

	if (!number_of(a, &from) || !number_of(z, &till) || from >= till)
		return false;
	__int128 mid = number_between(from, till, part, parts);
	buf_printf(to, "%s%" PRIu64, mid < 0 ? "-" : "", (uint64_t)(mid < 0 ? -mid : mid));
	return true;
}

/* ---- times: "2026-11-21 15:38:03.123456", where all months have 31 days ---- */

static const unsigned radix[] = {10000, 13, 32, 24, 60, 60, 1000000};

static bool time_of(const struct my_key_value *v, __int128 *n)
{
	unsigned part[ARRAY_LEN(radix)] = {0};
	size_t parts = 0, digits = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (v->p[i] < '0' || v->p[i] > '9') {
			parts++;
			digits = 0;
			continue;
		}
		if (parts >= ARRAY_LEN(part) || ++digits > 6)
			return false;
		part[parts] = part[parts] * 10 + (unsigned)(v->p[i] - '0');
	}
	for (; parts == 6 && digits < 6; digits++)
		part[6] *= 10;
	*n = 0;
	for (size_t i = 0; i < ARRAY_LEN(radix); i++) {
		if (part[i] >= radix[i])
			return false;
		*n = *n * radix[i] + part[i];
	}
	return parts >= 2;
}

/* Days of other months than this one are cut, so that the server takes it for a time. */
static void put_time(__int128 n, struct buf *to)
{
	unsigned part[ARRAY_LEN(radix)];

	for (size_t i = ARRAY_LEN(radix); i-- > 0;) {
		part[i] = (unsigned)(n % radix[i]);
		n /= radix[i];
	}
	part[1] = part[1] ? part[1] : 1;
	part[2] = part[2] < 1 ? 1 : part[2] > 28 ? 28 : part[2];
	buf_printf(to, "%04u-%02u-%02u %02u:%02u:%02u.%06u", part[0], part[1], part[2], part[3], part[4], part[5], part[6]);
}

static bool time_mid(const struct my_key_value *a, const struct my_key_value *z, unsigned part, unsigned parts, struct buf *to)
{
	__int128 from, till, mid;

	if (!time_of(a, &from) || !time_of(z, &till) || from >= till)
		return false;
	put_time(number_between(from, till, part, parts), to);
	const struct my_key_value made = {to->data, to->len};
	if (time_of(&made, &mid) && mid > from)
		return true;
	buf_clear(to);
	buf_put(to, z->p, z->n);
	return true;
}

/* ---- texts ---- */

static unsigned char fold(const struct my_key_column *k, char c)
{
	return k->folds && c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : (unsigned char)c;
}

/* Digits of the smallest alphabet that has all characters looked at. */
struct alphabet {
	unsigned size;
	const char *digits; /* NULL: bytes from `first` on */
	unsigned first;
};

static const struct alphabet alphabets[] = {
	{10, "0123456789", 0},
	{16, "0123456789abcdef", 0},
	{16, "0123456789ABCDEF", 0},
	{36, "0123456789abcdefghijklmnopqrstuvwxyz", 0},
	{36, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0},
	{95, NULL, ' '},
	{256, NULL, 0},
};

static int digit_of(const struct alphabet *a, unsigned char c)
{
	if (!a->digits)
		return c >= a->first && c < a->first + a->size ? (int)(c - a->first) : -1;
	const char *at = c ? strchr(a->digits, c) : NULL;
	return at ? (int)(at - a->digits) : -1;
}

/* How many of the characters from `at` on are digits of it, in both. */
static size_t digits_in(const struct alphabet *al, const struct my_key_column *k, const struct my_key_value *a,
			const struct my_key_value *z, size_t at)
{
	size_t n = 0;

	for (; n < DIGITS && at + n < z->n; n++) {
		if (digit_of(al, fold(k, z->p[at + n])) < 0 || (at + n < a->n && digit_of(al, fold(k, a->p[at + n])) < 0))
			break;
	}
	return n;
}

static uint64_t value_of(const struct alphabet *al, const struct my_key_column *k, const struct my_key_value *v, size_t at, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = at; i < at + n; i++)
		sum = sum * al->size + (i < v->n ? (uint64_t)digit_of(al, fold(k, v->p[i])) : 0);
	return sum;
}

static void put_digits(const struct alphabet *al, uint64_t value, size_t n, struct buf *to)
{
	char text[DIGITS];

	for (size_t i = n; i-- > 0; value /= al->size) {
		uint64_t digit = value % al->size;

		if (al->digits)
			text[i] = al->digits[digit];
		else
			text[i] = (char)(al->first + digit);
	}
	buf_put(to, text, n);
}

/* Between two characters beyond ASCII. */
static bool character_mid(const struct my_key_value *a, const struct my_key_value *z, size_t at, unsigned part, unsigned parts, struct buf *to)
{
	uint32_t from = 0, till = 0;

	while (at && ((unsigned char)z->p[at] & 0xc0) == 0x80)
		at--;
	if (!utf8_character(z->p + at, &till) || (at < a->n && !utf8_character(a->p + at, &from)) || from >= till)
		return false;
	uint32_t c = (uint32_t)number_between(from, till, part, parts);
	if (c >= 0xd800 && c < 0xe000)
		c = 0xe000;
	buf_put(to, a->p, min_size(at, a->n));
	if (c < 0x80)
		buf_putc(to, (char)c);
	else if (c < 0x800)
		buf_printf(to, "%c%c", (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)));
	else if (c < 0x10000)
		buf_printf(to, "%c%c%c", (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f)));
	else
		buf_printf(to, "%c%c%c%c", (char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)), (char)(0x80 | (c >> 6 & 0x3f)),
			   (char)(0x80 | (c & 0x3f)));
	return true;
}

static bool text_mid(const struct my_key_column *k, const struct my_key_value *a, const struct my_key_value *z, unsigned part,
		     unsigned parts, struct buf *to)
{
	bool bytes = !strcmp(k->charset, "binary"), utf8 = !strncmp(k->charset, "utf8", 4);
	size_t at = 0;

	if (!bytes && !utf8 && strcmp(k->charset, "ascii") && strncmp(k->charset, "latin", 5))
		return false;
	while (at < a->n && at < z->n && fold(k, a->p[at]) == fold(k, z->p[at]))
		at++;
	if (at >= z->n)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(alphabets); i++) {
		const struct alphabet *al = &alphabets[i];
		size_t n = digits_in(al, k, a, z, at);

		/* Where letters follow the digits, the next alphabet has them all. */
		if (!n || (al->digits && at + n < z->n && n < DIGITS && z->p[at + n] != '-'))
			continue;
		if (al->size == 256 && !bytes)
			break;
		uint64_t from = value_of(al, k, a, at, n), till = value_of(al, k, z, at, n);
		if (from >= till)
			return false;
		buf_put(to, z->p, at);
		put_digits(al, (uint64_t)number_between(from, till, part, parts), n, to);
		return true;
	}
	return utf8 && character_mid(a, z, at, part, parts, to);
}

bool my_key_between(const struct my_key_column *k, const struct my_key_value *a, const struct my_key_value *z, unsigned part,
		    unsigned parts, struct my_key_value *mid)
{
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	switch (k->kind) {
	case MY_KEY_NUMBER: return number_mid(a, z, part, parts, &to) && give(mid, &to);
	case MY_KEY_TIME: return time_mid(a, z, part, parts, &to) && give(mid, &to);
	case MY_KEY_TEXT: return text_mid(k, a, z, part, parts, &to) && give(mid, &to);
	case MY_KEY_OTHER:
	case MY_KEY_NOT: break;
	}
	return false;
}
