/* The choice of an engine, and the empty member with an extra field, which needs none. */
#include "gzip/gzip.h"

#include "gzip/engine.h"

struct choice {
	enum gzip_mode mode;
	const char *name;
	const struct gzip_engine *engine;
	int level;
	bool (*suits)(void); /* this processor; NULL: every one */
};

#if defined HAVE_LIBISAL && defined HAVE_LIBDEFLATE
/* Where ISA-L has its level 3 for AVX2 only: it asks for the same five parts of AVX-512. */
static bool without_avx512(void)
{
#ifdef __x86_64__
	return !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512cd") ||
	       !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl");
#else
	return false;
#endif
}
#endif

/* The first row of a mode that suits is taken. Figures: docs/dependencies.md. */
static const struct choice choices[] = {
#if defined HAVE_LIBISAL && defined HAVE_LIBDEFLATE
	{GZIP_FAST, "isa-l 2 and libdeflate 1", &gzip_mixed, 0, without_avx512},
#endif
#ifdef HAVE_LIBISAL
	{GZIP_FAST, "isa-l 3", &gzip_isal, 3, NULL},
#endif
#ifdef HAVE_LIBDEFLATE
	{GZIP_FAST, "libdeflate 1", &gzip_libdeflate, 1, NULL},
	{GZIP_RATIO, "libdeflate 6", &gzip_libdeflate, 6, NULL},
#endif
	{GZIP_FAST, "zlib 1", &gzip_zlib, 1, NULL},
	{GZIP_RATIO, "zlib 6", &gzip_zlib, 6, NULL},
	{GZIP_PORTABLE, "zlib 6", &gzip_zlib, 6, NULL},
};

struct gzip {
	const struct choice *choice;
	void *state;
};

struct gzip *gzip_new(enum gzip_mode mode)
{
	const struct choice *c = choices;

	while (c->mode != mode || (c->suits && !c->suits()))
		c++;
	struct gzip *z = xcalloc(1, sizeof *z);
	z->choice = c;
	z->state = c->engine->open(c->level);
	return z;
}

void gzip_freep(struct gzip **z)
{
	if (!*z)
		return;
	(*z)->choice->engine->close((*z)->state);
	free(*z);
	*z = NULL;
}

const char *gzip_engine_name(const struct gzip *z) { return z->choice->name; }

size_t gzip_bound(const struct gzip *z, size_t n)
{
	(void)z; /* one bound for all engines: readers of archives know it, too */
	return n + n / 64 + 1024;
}

enum status gzip_member(struct gzip *z, const void *in, size_t n, void *out, size_t cap, size_t *out_len, struct error *err)
{
	if (n > GZIP_ENGINE_MAX)
		return error_set(err, ST_FAILED, "a gzip member of %zu bytes is too large", n);
	*out_len = z->choice->engine->deflate(z->state, in, n, out, min_size(cap, gzip_bound(z, n)));
	if (!*out_len)
		return error_set(err, ST_FAILED, "%s could not compress %zu bytes", z->choice->name, n);
	return ST_OK;
}

enum status gunzip_next(struct gzip *z, const void *in, size_t n, size_t *used, void *out, size_t cap, size_t *out_len,
			struct error *err)
{
	if (!z->choice->engine->inflate(z->state, in, min_size(n, GZIP_ENGINE_MAX), used, out, min_size(cap, GZIP_ENGINE_MAX),
					out_len) ||
	    *used > n || *out_len > cap)
		return error_set(err, ST_BAD, "no whole gzip member of at most %zu bytes", cap);
	return ST_OK;
}

enum status gunzip_member(struct gzip *z, const void *in, size_t n, void *out, size_t out_len, struct error *err)
{
	size_t used = 0, made = 0;

	if (gunzip_next(z, in, n, &used, out, out_len, &made, err))
		return err->code;
	if (used != n || made != out_len)
		return error_set(err, ST_BAD, "a gzip member of %zu bytes makes %zu, not %zu bytes of %zu", used, made, n, out_len);
	return ST_OK;
}

/* ---- the empty member: header, extra field with one subfield, an empty final block, CRC-32 and length 0 ---- */

static const unsigned char extra_head[10] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff};
static const unsigned char extra_tail[10] = {3, 0, 0, 0, 0, 0, 0, 0, 0, 0};
#define EXTRA_LEN_MAX 65531u
#define EXTRA_FIXED (sizeof extra_head + 2 + 4 + sizeof extra_tail)

static void put_u16(unsigned char *to, size_t n)
{
	to[0] = (unsigned char)(n & 255);
	to[1] = (unsigned char)(n >> 8);
}

size_t gzip_extra_member(char si1, char si2, const void *p, size_t n, void *out)
{
	unsigned char *to = out;

	if (n > EXTRA_LEN_MAX)
		abort();
	memcpy(to, extra_head, sizeof extra_head);
	to += sizeof extra_head;
	put_u16(to, n + 4);
	to[2] = (unsigned char)si1;
	to[3] = (unsigned char)si2;
	put_u16(to + 4, n);
	memcpy(to + 6, p, n);
	memcpy(to + 6 + n, extra_tail, sizeof extra_tail);
	return n + EXTRA_FIXED;
}

enum status gzip_extra_parse(const void *in, size_t n, char si1, char si2, const void **p, size_t *len, struct error *err)
{
	const unsigned char *c = in;
	unsigned char field[6];

	if (n < EXTRA_FIXED || n - EXTRA_FIXED > EXTRA_LEN_MAX)
		return error_set(err, ST_BAD, "no trailer of %zu bytes", n);
	*len = n - EXTRA_FIXED;
	put_u16(field, *len + 4);
	field[2] = (unsigned char)si1;
	field[3] = (unsigned char)si2;
	put_u16(field + 4, *len);
	if (memcmp(c, extra_head, sizeof extra_head) || memcmp(c + sizeof extra_head, field, sizeof field) ||
	    memcmp(c + n - sizeof extra_tail, extra_tail, sizeof extra_tail))
		return error_set(err, ST_BAD, "the last bytes are no trailer");
	*p = c + sizeof extra_head + sizeof field;
	return ST_OK;
}
