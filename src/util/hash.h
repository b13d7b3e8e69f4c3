/* SHA-256 of stored bytes, XXH3-128 of raw bytes, and the order-independent digest of rows. */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include "util/error.h"

struct sha256 {
	unsigned char byte[32];
};
struct sha256_state; /* over OpenSSL */
struct sha256_state *sha256_new(void);
void sha256_update(struct sha256_state *s, const void *p, size_t n);
struct sha256 sha256_final(struct sha256_state *s); /* and starts anew */
void sha256_freep(struct sha256_state **s);
struct sha256 sha256_of(const void *p, size_t n);
#define SHA256_HEX 65
const char *sha256_hex(struct sha256 h, char *to); /* to has SHA256_HEX bytes */
bool sha256_parse(const char *hex, size_t n, struct sha256 *h); /* exactly 64 lower-case digits */
bool sha256_equal(struct sha256 a, struct sha256 b);

/* A number modulo 2^128. As text: 32 hex digits, most significant first (the canonical form of XXH3-128). */
struct hash128 {
	uint64_t lo, hi;
};
struct hash128 xxh128(const void *p, size_t n); /* XXH3, seed 0 */
static inline struct hash128 hash128_add(struct hash128 a, struct hash128 b)
{
	struct hash128 r = {a.lo + b.lo, a.hi + b.hi};

	r.hi += r.lo < a.lo;
	return r;
}
static inline bool hash128_equal(struct hash128 a, struct hash128 b) { return a.lo == b.lo && a.hi == b.hi; }
#define HASH128_HEX 33
const char *hash128_hex(struct hash128 h, char *to);
bool hash128_parse(const char *hex, size_t n, struct hash128 *h); /* exactly 32 lower-case digits */

/* XXH3-128 over a row that arrives in pieces (a row larger than a chunk). */
struct xxh_state;
struct xxh_state *xxh_new(void);
void xxh_reset(struct xxh_state *s);
void xxh_update(struct xxh_state *s, const void *p, size_t n);
struct hash128 xxh_final(const struct xxh_state *s);
void xxh_freep(struct xxh_state **s);

#endif
