#include "util/hash.h"

#include <openssl/evp.h>
#include <pthread.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct sha256_state {
	EVP_MD_CTX *ctx;
};

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_md; /* fetched once: EVP_sha256() would be looked up under a lock at every start of a digest */

static void fetch(void)
{
	sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256_md)
		die("libcrypto has no SHA-256");
}

static void start(EVP_MD_CTX *ctx)
{
	if (!EVP_DigestInit_ex2(ctx, sha256_md, NULL))
		die("cannot start SHA-256");
}

struct sha256_state *sha256_new(void)
{
	struct sha256_state *s = xcalloc(1, sizeof *s);

	pthread_once(&fetch_once, fetch);
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx)
		die("out of memory");
	start(s->ctx);
	return s;
}

void sha256_update(struct sha256_state *s, const void *p, size_t n)
{
	if (n && !EVP_DigestUpdate(s->ctx, p, n))
		die("SHA-256 failed");
}

struct sha256 sha256_final(struct sha256_state *s)
{
	struct sha256 h;

	if (!EVP_DigestFinal_ex(s->ctx, h.byte, NULL))
		die("SHA-256 failed");
	start(s->ctx);
	return h;
}

void sha256_freep(struct sha256_state **s)
{
	if (!*s)
		return;
	EVP_MD_CTX_free((*s)->ctx);
	free(*s);
	*s = NULL;
}

struct sha256 sha256_of(const void *p, size_t n)
{
	struct sha256 h;

	pthread_once(&fetch_once, fetch);
	if (!EVP_Digest(n ? p : "", n, h.byte, NULL, sha256_md, NULL))
		die("SHA-256 failed");
	return h;
}

static void to_hex(const unsigned char *p, size_t n, char *to)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digit[p[i] >> 4];
		to[2 * i + 1] = digit[p[i] & 15];
	}
	to[2 * n] = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *hex, unsigned char *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(hex[2 * i]), lo = hi < 0 ? -1 : hex_value(hex[2 * i + 1]);

		if (lo < 0)
			return false;
		to[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

const char *sha256_hex(struct sha256 h, char *to)
{
	to_hex(h.byte, sizeof h.byte, to);
	return to;
}

bool sha256_parse(const char *hex, size_t n, struct sha256 *h)
{
	struct sha256 r;

	if (n != 2 * sizeof r.byte || !from_hex(hex, r.byte, sizeof r.byte))
		return false;
	*h = r;
	return true;
}

bool sha256_equal(struct sha256 a, struct sha256 b) { return !memcmp(a.byte, b.byte, sizeof a.byte); }

static struct hash128 of_xxh(XXH128_hash_t h) { return (struct hash128){.lo = h.low64, .hi = h.high64}; }

struct hash128 xxh128(const void *p, size_t n) { return of_xxh(XXH3_128bits(p, n)); }

const char *hash128_hex(struct hash128 h, char *to)
{
	snprintf(to, HASH128_HEX, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
	return to;
}

bool hash128_parse(const char *hex, size_t n, struct hash128 *h)
{
	unsigned char b[16];
	struct hash128 r = {0, 0};

	if (n != 2 * sizeof b || !from_hex(hex, b, sizeof b))
		return false;
	for (size_t i = 0; i < 8; i++) {
		r.hi = r.hi << 8 | b[i];
		r.lo = r.lo << 8 | b[i + 8];
	}
	*h = r;
	return true;
}

struct xxh_state {
	XXH3_state_t *xxh; /* needs 64-byte alignment, which its own constructor gives */
};

struct xxh_state *xxh_new(void)
{
	struct xxh_state *s = xcalloc(1, sizeof *s);

	s->xxh = XXH3_createState();
	if (!s->xxh)
		die("out of memory");
	xxh_reset(s);
	return s;
}

void xxh_reset(struct xxh_state *s) { XXH3_128bits_reset(s->xxh); }

void xxh_update(struct xxh_state *s, const void *p, size_t n)
{
	if (n)
		XXH3_128bits_update(s->xxh, p, n);
}

struct hash128 xxh_final(const struct xxh_state *s) { return of_xxh(XXH3_128bits_digest(s->xxh)); }

void xxh_freep(struct xxh_state **s)
{
	if (!*s)
		return;
	XXH3_freeState((*s)->xxh);
	free(*s);
	*s = NULL;
}
