/* The primitives of age over OpenSSL. Private to the room. */
#ifndef SEAL_CRYPTO_H
#define SEAL_CRYPTO_H

#include "util/error.h"

enum { KEY_LEN = 32, FILE_KEY_LEN = 16, WRAPPED_LEN = 32, NONCE_LEN = 16, SALT_LEN = 16, MAC_LEN = 32 };

struct key32 {
	unsigned char byte[KEY_LEN];
};
#define KEY32_INIT {{0}}
void key32_release(struct key32 *k); /* wipes */

/* Bytes with their length, borrowed. */
struct span {
	const void *p;
	size_t n;
};

/* HKDF-SHA-256 to 32 bytes; salt may be empty. */
enum status crypto_hkdf(struct span ikm, struct span salt, const char *info, struct key32 *out, struct error *err) MUST_CHECK;
enum status crypto_hmac(struct span key, struct span data, struct key32 *out, struct error *err) MUST_CHECK;
/* ST_BAD where the result is 0 or the point is none. */
enum status crypto_x25519(const struct key32 *secret, const struct key32 *point, struct key32 *out, struct error *err) MUST_CHECK;
enum status crypto_x25519_public(const struct key32 *secret, struct key32 *out, struct error *err) MUST_CHECK;
/* N = 2^work, r 8, p 1, with the salt of age. ST_MEMORY where there is not enough for it. */
enum status crypto_scrypt(const char *passphrase, const unsigned char *salt, int work, struct key32 *out, struct error *err) MUST_CHECK;
/* ChaCha20-Poly1305 of a file key under a key of its own (nonce 0). Unwrapping: ST_DENIED where the key is not the right one. */
enum status crypto_wrap(const struct key32 *key, const unsigned char *file_key, unsigned char *wrapped, struct error *err) MUST_CHECK;
enum status crypto_unwrap(const struct key32 *key, const unsigned char *wrapped, unsigned char *file_key, struct error *err) MUST_CHECK;

/* One thread's cipher. */
struct seal_work;
struct aead {
	const struct key32 *key;
	const unsigned char *nonce; /* 12 bytes */
};
/* out: n + 16 bytes, may be in. */
enum status crypto_seal(struct seal_work *w, const struct aead *a, const void *in, size_t n, void *out, struct error *err) MUST_CHECK;
/* n counts the tag; out: n - 16 bytes, may be in. *good false: it is not what was sealed. */
enum status crypto_open(struct seal_work *w, const struct aead *a, const void *in, size_t n, void *out, bool *good, struct error *err) MUST_CHECK;

#endif
