/* Rows as text, and back. */
#include "drivers/mysql/facts.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* What stands after the backslash; 0: the byte stands for itself. */
static inline char escape_of(unsigned char c)
{
	switch (c) {
	case 0: return '0';
	case '\t': return 't';
	case '\n': return 'n';
	case '\\': return '\\';
	default: return 0;
	}
}

static char *put_byte(char *to, char c)
{
	char e = escape_of((unsigned char)c);

	if (e) {
		*to++ = '\\';
		c = e;
	}
	*to = c;
	return to + 1;
}

static char *put_bytes(char *to, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to = put_byte(to, p[i]);
	return to;
}

static inline uint64_t zero_bytes(uint64_t v) { return (v - ONES) & ~v & HIGHS; }

/* Not 0 where one of the eight bytes needs an escape. */
static inline uint64_t special_of_8(uint64_t v)
{
	return zero_bytes(v) | zero_bytes(v ^ (ONES * '\t')) | zero_bytes(v ^ (ONES * '\n')) | zero_bytes(v ^ (ONES * '\\'));
}

#ifdef __SSE2__
#define STEP 16
/* Copies a step; true where none of its bytes needs an escape. */
static inline bool copy_step(char *to, const char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_setzero_si128()), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))),
				       _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'))));

	_mm_storeu_si128((__m128i *)(void *)to, v);
	return !_mm_movemask_epi8(special);
}
#else
#define STEP 8
static inline bool copy_step(char *to, const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	memcpy(to, &v, sizeof v);
	return !special_of_8(v);
}
#endif

static inline uint64_t load_4(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t load_2(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* One to seven bytes, put together in a register: what overlaps is equal. */
static inline char *put_tail(char *to, const char *p, size_t n)
{
	uint64_t v;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return put_bytes(to, p, n);
	if (n >= 4)
		v = load_4(p) | load_4(p + n - 4) << 8 * (n - 4);
	else if (n >= 2)
		v = load_2(p) | load_2(p + n - 2) << 8 * (n - 2);
	else
		v = (unsigned char)*p;
	if (special_of_8(v | ONES << 8 * n))
		return put_bytes(to, p, n);
	memcpy(to, &v, sizeof v); /* there is room: see my_row_text */
	return to + n;
}

static inline char *put_field(char *to, const char *p, size_t n)
{
	for (; n >= STEP; p += STEP, n -= STEP)
		to = copy_step(to, p) ? to + STEP : put_bytes(to, p, STEP);
#if STEP > 8
	if (n >= 8) {
		uint64_t v;

		memcpy(&v, p, sizeof v);
		if (special_of_8(v)) {
			to = put_bytes(to, p, sizeof v);
		} else {
			memcpy(to, &v, sizeof v);
			to += sizeof v;
		}
		p += sizeof v;
		n -= sizeof v;
	}
#endif
	return n ? put_tail(to, p, n) : to;
}

void my_row_text(struct buf *to, char *const *field, const unsigned long *len, unsigned fields)
{
	size_t most = 16; /* what put_tail and copy_step write too far */

	for (unsigned i = 0; i < fields; i++)
		most += 2 * (size_t)len[i] + 3;
	buf_clear(to);
	buf_reserve(to, most);
	char *at = to->data;
	for (unsigned i = 0; i < fields; i++) {
		if (field[i]) {
			at = put_field(at, field[i], len[i]);
		} else {
			*at++ = '\\';
			*at++ = 'N';
		}
		*at++ = '\t';
	}
	if (fields)
		at--;
	*at++ = '\n';
	*at = 0;
	to->len = (size_t)(at - to->data);
}

/* ---- the other way ---- */

static bool bad(struct error *err)
{
	error_set(err, ST_BAD, "a row that is not of the recorded form");
	return false;
}

static bool put_unescaped(struct buf *to, char c)
{
	switch (c) {
	case '0': buf_putc(to, 0); return true;
	case 't': buf_putc(to, '\t'); return true;
	case 'n': buf_putc(to, '\n'); return true;
	case '\\': buf_putc(to, '\\'); return true;
	default: return false;
	}
}

/* The end of a field. */
static void pass_end(struct my_row_reader *r)
{
	r->done = *r->at++ == '\n';
}

bool my_row_field(struct my_row_reader *r, struct buf *to, bool *null, struct error *err)
{
	buf_clear(to);
	*null = false;
	if (r->done)
		return false;
	if (r->end - r->at >= 3 && r->at[0] == '\\' && r->at[1] == 'N' && (r->at[2] == '\t' || r->at[2] == '\n')) {
		*null = true;
		r->at += 2;
		pass_end(r);
		return true;
	}
	while (r->at < r->end && *r->at != '\t' && *r->at != '\n') {
		const char *run = r->at;

		while (r->at < r->end && !escape_of((unsigned char)*r->at))
			r->at++;
		buf_put(to, run, (size_t)(r->at - run));
		if (r->at == r->end || !*r->at)
			return bad(err);
		if (*r->at != '\\')
			break;
		if (++r->at == r->end || !put_unescaped(to, *r->at++))
			return bad(err);
	}
	if (r->at == r->end)
		return bad(err);
	pass_end(r);
	return true;
}
