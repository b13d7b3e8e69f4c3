#include "util/hash.h"

#include "tests/lib/test.h"

static const char *sha_text(const void *p, size_t n)
{
	static char text[SHA256_HEX];

	return sha256_hex(sha256_of(p, n), text);
}

TEST("SHA-256 gives the published values")
{
	CHECK_STR(sha_text(NULL, 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	CHECK_STR(sha_text("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST("a SHA-256 state takes pieces and starts anew after its end")
{
	CLEANUP(sha256_freep) struct sha256_state *s = sha256_new();

	for (int round = 0; round < 3; round++) {
		sha256_update(s, "a", 1);
		sha256_update(s, NULL, 0);
		sha256_update(s, "bc", 2);
		CHECK(sha256_equal(sha256_final(s), sha256_of("abc", 3)));
	}
	CHECK(!sha256_equal(sha256_of("a", 1), sha256_of("b", 1)));
}

TEST("a SHA-256 is read from exactly 64 lower-case digits")
{
	struct sha256 h;
	char text[SHA256_HEX], upper[SHA256_HEX];

	sha256_hex(sha256_of("abc", 3), text);
	CHECK(sha256_parse(text, 64, &h));
	CHECK(sha256_equal(h, sha256_of("abc", 3)));
	CHECK(!sha256_parse(text, 63, &h));
	memcpy(upper, text, sizeof text);
	upper[0] = 'B';
	CHECK(!sha256_parse(upper, 64, &h));
	upper[0] = 'g';
	CHECK(!sha256_parse(upper, 64, &h));
}

TEST("XXH3-128 gives the values of xxhsum in canonical order")
{
	char text[HASH128_HEX];

	CHECK_STR(hash128_hex(xxh128("", 0), text), "99aa06d3014798d86001c324468d497f");
	CHECK_STR(hash128_hex(xxh128("abc", 3), text), "06b05ab6733a618578af5f94892f3950");
}

TEST("a row in pieces has the XXH3-128 of the whole row")
{
	CLEANUP(xxh_freep) struct xxh_state *s = xxh_new();
	unsigned char row[5000];

	for (size_t i = 0; i < sizeof row; i++)
		row[i] = (unsigned char)(i * 7);
	for (size_t piece = 1; piece < sizeof row; piece = piece * 3 + 1) {
		xxh_reset(s);
		xxh_update(s, NULL, 0);
		for (size_t at = 0; at < sizeof row; at += piece)
			xxh_update(s, row + at, min_size(piece, sizeof row - at));
		CHECK(hash128_equal(xxh_final(s), xxh128(row, sizeof row)));
	}
}

TEST("a 128-bit sum carries and wraps")
{
	struct hash128 max = {UINT64_MAX, UINT64_MAX}, one = {1, 0}, low = {UINT64_MAX, 0}, sum;

	sum = hash128_add(max, one);
	CHECK(hash128_equal(sum, (struct hash128){0, 0}));
	sum = hash128_add(low, one);
	CHECK(hash128_equal(sum, (struct hash128){0, 1}));
	CHECK(hash128_equal(hash128_add(low, max), hash128_add(max, low)));
}

TEST("a 128-bit value is read from exactly 32 lower-case digits")
{
	struct hash128 h;
	char text[HASH128_HEX];

	CHECK(hash128_parse("0123456789abcdef0000000000000001", 32, &h));
	CHECK(h.hi == UINT64_C(0x0123456789abcdef) && h.lo == 1);
	CHECK_STR(hash128_hex(h, text), "0123456789abcdef0000000000000001");
	CHECK(!hash128_parse(text, 31, &h));
	CHECK(!hash128_parse("0123456789ABCDEF0000000000000001", 32, &h));
	CHECK(!hash128_parse("0123456789abcdef 000000000000001", 32, &h));
}
