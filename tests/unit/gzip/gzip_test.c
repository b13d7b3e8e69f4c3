#include "tests/lib/test.h"

#include "gzip/engine.h"
#include "gzip/gzip.h"

static const enum gzip_mode modes[] = {GZIP_FAST, GZIP_RATIO, GZIP_PORTABLE};

/* A fixed pseudo-random sequence. */
static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Text, zeros or noise of n bytes; owned by the caller. */
static unsigned char *make_data(int kind, size_t n)
{
	unsigned char *p = xcalloc(1, n ? n : 1);
	uint64_t s = 88172645463325252u + n;

	for (size_t i = 0; i < n && kind; i++)
		p[i] = kind == 1 ? (unsigned char)("0123456789\tabcdef shop orders\n"[next_random(&s) % 30])
				 : (unsigned char)next_random(&s);
	return p;
}

static void freep(unsigned char **p) { free(*p); }

TEST("every engine gives back what it was given, at all odd sizes and kinds of data")
{
	static const size_t sizes[] = {0, 1, 2, 511, 512, 4096, 65535, 65536, 65537, 1u << 20, (1u << 20) + 1, 6u << 20};

	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		CLEANUP(gzip_freep) struct gzip *z = gzip_new(modes[m]);
		for (size_t i = 0; i < ARRAY_LEN(sizes) * 3; i++) {
			CLEANUP(error_release) struct error err = ERROR_INIT;
			size_t n = sizes[i / 3], cap = gzip_bound(z, n), len = 0, used = 0, made = 0;
			CLEANUP(freep) unsigned char *in = make_data((int)(i % 3), n);
			CLEANUP(freep) unsigned char *out = xmalloc(cap);
			CLEANUP(freep) unsigned char *back = xmalloc(n + 1);

			CHECK_OK(gzip_member(z, in, n, out, cap, &len, &err), err);
			CHECK(len <= cap);
			CHECK_OK(gunzip_member(z, out, len, back, n, &err), err);
			CHECK(!memcmp(in, back, n));
			CHECK_OK(gunzip_next(z, out, len, &used, back, n + 1, &made, &err), err);
			CHECK_INT(used, len);
			CHECK_INT(made, n);
			CHECK_ERR(gunzip_member(z, out, len, back, n + 1, &err), err, ST_BAD, "gzip member");
			if (n)
				CHECK_ERR(gunzip_member(z, out, len, back, n - 1, &err), err, ST_BAD, "gzip member");
			CHECK_ERR(gunzip_member(z, out, len - 1, back, n, &err), err, ST_BAD, "gzip member");
		}
	}
}

#if defined HAVE_LIBISAL && defined HAVE_LIBDEFLATE
TEST("the engine of processors without AVX-512 makes the same member of the same input, whatever it did before")
{
	void *first = gzip_mixed.open(0), *second = gzip_mixed.open(0);
	size_t differ = 0;

	for (size_t n = 1; n < 200; n++) {
		size_t size = n * 331, cap = gzip_bound(NULL, size), used = 0, made = 0;
		CLEANUP(freep) unsigned char *in = make_data((int)(n % 3), size);
		CLEANUP(freep) unsigned char *out = xmalloc(cap);
		CLEANUP(freep) unsigned char *again = xmalloc(cap);
		CLEANUP(freep) unsigned char *back = xmalloc(size);
		CLEANUP(freep) unsigned char *fast = xmalloc(cap);
		void *isal = gzip_isal.open(2);
		size_t len = gzip_mixed.deflate(first, in, size, out, cap), fast_len = gzip_isal.deflate(isal, in, size, fast, cap);

		CHECK(len > 0);
		if (n > 100)
			CHECK_INT(gzip_mixed.deflate(second, in, size, again, cap), len);
		CHECK(n <= 100 || !memcmp(out, again, len));
		CHECK(gzip_mixed.inflate(second, out, len, &used, back, size, &made));
		CHECK(used == len && made == size && !memcmp(in, back, size));
		differ += len != fast_len || memcmp(out, fast, len);
		gzip_isal.close(isal);
	}
	CHECK(differ > 60 && differ < 140); /* each of the two takes its part */
	gzip_mixed.close(first);
	gzip_mixed.close(second);
}
#endif

TEST("engines read each other's members, one after the other without a gap")
{
	for (size_t w = 0; w < ARRAY_LEN(modes); w++)
		for (size_t r = 0; r < ARRAY_LEN(modes); r++) {
			CLEANUP(gzip_freep) struct gzip *writer = gzip_new(modes[w]);
			CLEANUP(gzip_freep) struct gzip *reader = gzip_new(modes[r]);
			CLEANUP(error_release) struct error err = ERROR_INIT;
			CLEANUP(freep) unsigned char *all = xmalloc(1u << 20);
			CLEANUP(freep) unsigned char *back = xmalloc(70000);
			size_t end = 0, at = 0;

			for (size_t n = 0; n < 200; n++) {
				CLEANUP(freep) unsigned char *in = make_data((int)(n % 3), n * 37);
				size_t len = 0;
				CHECK_OK(gzip_member(writer, in, n * 37, all + end, (1u << 20) - end, &len, &err), err);
				end += len;
			}
			for (size_t n = 0; n < 200; n++) {
				CLEANUP(freep) unsigned char *in = make_data((int)(n % 3), n * 37);
				size_t used = 0, made = 0;
				CHECK_OK(gunzip_next(reader, all + at, end - at, &used, back, 70000, &made, &err), err);
				CHECK_INT(made, n * 37);
				CHECK(!memcmp(in, back, made));
				at += used;
			}
			CHECK_INT(at, end);
		}
}

TEST("the bytes of a member do not depend on what was compressed before, nor on where the input lies")
{
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		size_t n = 300001, len[4] = {0};
		CLEANUP(freep) unsigned char *in = make_data(1, n);
		CLEANUP(freep) unsigned char *other = make_data(1, n + 13);
		unsigned char *out[4];

		for (size_t i = 0; i < 4; i++) {
			CLEANUP(gzip_freep) struct gzip *z = gzip_new(modes[m]);
			CLEANUP(freep) unsigned char *moved = xmalloc(n + 64);
			size_t cap = gzip_bound(z, n + 13), unused = 0;
			out[i] = xmalloc(cap);
			for (size_t k = 0; k < i; k++)
				CHECK_OK(gzip_member(z, other, n + 13 - k * 1000, out[i], cap, &unused, &err), err);
			memcpy(moved + 5 * i, in, n);
			CHECK_OK(gzip_member(z, moved + 5 * i, n, out[i], cap, &len[i], &err), err);
			CHECK_INT(len[i], len[0]);
			CHECK(!memcmp(out[i], out[0], len[0]));
		}
		for (size_t i = 0; i < 4; i++)
			free(out[i]);
	}
}

TEST("a member with any one flipped bit inflates to the same bytes or is refused")
{
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		CLEANUP(gzip_freep) struct gzip *z = gzip_new(modes[m]);
		CLEANUP(error_release) struct error err = ERROR_INIT;
		size_t n = 700, cap = gzip_bound(z, n), len = 0, refused = 0;
		CLEANUP(freep) unsigned char *in = make_data(1, n);
		CLEANUP(freep) unsigned char *out = xmalloc(cap);
		CLEANUP(freep) unsigned char *back = xmalloc(n);

		CHECK_OK(gzip_member(z, in, n, out, cap, &len, &err), err);
		for (size_t bit = 0; bit < len * 8; bit++) {
			out[bit / 8] ^= (unsigned char)(1 << bit % 8);
			if (gunzip_member(z, out, len, back, n, &err)) {
				CHECK_INT(err.code, ST_BAD);
				error_release(&err);
				refused++;
			} else {
				CHECK(!memcmp(in, back, n));
			}
			out[bit / 8] ^= (unsigned char)(1 << bit % 8);
		}
		CHECK(refused > len * 8 - 80);
	}
}

TEST("a member that inflates to more than the room is refused")
{
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		CLEANUP(gzip_freep) struct gzip *z = gzip_new(modes[m]);
		CLEANUP(error_release) struct error err = ERROR_INIT;
		size_t n = 10u << 20, len = 0, used = 0, made = 0;
		CLEANUP(freep) unsigned char *in = make_data(0, n);
		CLEANUP(freep) unsigned char *out = xmalloc(gzip_bound(z, n));
		CLEANUP(freep) unsigned char *back = xmalloc(1000);

		CHECK_OK(gzip_member(z, in, n, out, gzip_bound(z, n), &len, &err), err);
		CHECK(len < 100000);
		CHECK_ERR(gunzip_next(z, out, len, &used, back, 1000, &made, &err), err, ST_BAD, "at most 1000 bytes");
	}
}

TEST("the empty member carries its subfield, and gunzip reads it as nothing")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	unsigned char made[256], back[8];
	const void *p = NULL;
	size_t len = 0, used = 0, n = gzip_extra_member('D', 'R', "where the root is", 17, made);

	CHECK(n <= 17 + 64);
	CHECK_OK(gzip_extra_parse(made, n, 'D', 'R', &p, &len, &err), err);
	CHECK_INT(len, 17);
	CHECK(!memcmp(p, "where the root is", 17));
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		CLEANUP(gzip_freep) struct gzip *z = gzip_new(modes[m]);
		CHECK_OK(gunzip_next(z, made, n, &used, back, sizeof back, &len, &err), err);
		CHECK_INT(used, n);
		CHECK_INT(len, 0);
	}
	CHECK_ERR(gzip_extra_parse(made, n, 'D', 'X', &p, &len, &err), err, ST_BAD, "no trailer");
	CHECK_ERR(gzip_extra_parse(made, n - 1, 'D', 'R', &p, &len, &err), err, ST_BAD, "no trailer");
	CHECK_ERR(gzip_extra_parse(made, 3, 'D', 'R', &p, &len, &err), err, ST_BAD, "no trailer");
	for (size_t i = 0; i < n; i++) {
		if (i >= 16 && i < 33)
			continue; /* the payload is the caller's */
		made[i] ^= 0x10;
		CHECK_ERR(gzip_extra_parse(made, n, 'D', 'R', &p, &len, &err), err, ST_BAD, "no trailer");
		made[i] ^= 0x10;
	}
}
