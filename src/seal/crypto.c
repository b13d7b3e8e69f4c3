#include "seal/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "seal/seal.h"

struct seal_work {
	EVP_CIPHER_CTX *seal, *open;
};

void key32_release(struct key32 *k) { secure_zero(k, sizeof(*k)); }

static enum status failed(struct error *err, const char *what)
{
	ERR_clear_error();
	return error_set(err, ST_FAILED, "%s failed in the cryptographic library", what);
}

enum status crypto_hmac(struct span key, struct span data, struct key32 *out, struct error *err)
{
	unsigned len = KEY_LEN;

	if (!HMAC(EVP_sha256(), key.p, (int)key.n, data.p, data.n, out->byte, &len))
		return failed(err, "HMAC");
	return ST_OK;
}

enum status crypto_hkdf(struct span ikm, struct span salt, const char *info, struct key32 *out, struct error *err)
{
	CLEANUP(key32_release) struct key32 extracted = KEY32_INIT;
	static const struct key32 none;
	unsigned char block[64];
	size_t n = strlen(info);

	if (n >= sizeof(block))
		die("hkdf: the info is too long");
	memcpy(block, info, n);
	block[n] = 1; /* 32 bytes are the first block alone */
	struct span from = salt.n ? salt : (struct span){&none, sizeof(none)};

	if (crypto_hmac(from, ikm, &extracted, err))
		return err->code;
	return crypto_hmac((struct span){&extracted, KEY_LEN}, (struct span){block, n + 1}, out, err);
}

static void pkey_release(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
	*k = NULL;
}

static void pkey_ctx_release(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
	*c = NULL;
}

enum status crypto_x25519(const struct key32 *secret, const struct key32 *point, struct key32 *out, struct error *err)
{
	CLEANUP(pkey_release) EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret->byte, KEY_LEN);
	CLEANUP(pkey_release) EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point->byte, KEY_LEN);
	CLEANUP(pkey_ctx_release) EVP_PKEY_CTX *c = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t n = KEY_LEN;

	if (!c || !peer || EVP_PKEY_derive_init(c) <= 0)
		return failed(err, "X25519");
	/* Where the result is 0 the library fails by itself. */
	static const struct key32 zero;

	if (EVP_PKEY_derive_set_peer(c, peer) <= 0 || EVP_PKEY_derive(c, out->byte, &n) <= 0 || n != KEY_LEN ||
	    !CRYPTO_memcmp(out, &zero, KEY_LEN)) {
		ERR_clear_error();
		return error_set(err, ST_BAD, "a point of the curve that no key has");
	}
	return ST_OK;
}

enum status crypto_x25519_public(const struct key32 *secret, struct key32 *out, struct error *err)
{
	CLEANUP(pkey_release) EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret->byte, KEY_LEN);
	size_t n = KEY_LEN;

	if (!own || EVP_PKEY_get_raw_public_key(own, out->byte, &n) <= 0 || n != KEY_LEN)
		return failed(err, "X25519");
	return ST_OK;
}

enum status crypto_scrypt(const char *passphrase, const unsigned char *salt, int work, struct key32 *out, struct error *err)
{
	static const char label[] = "age-encryption.org/v1/scrypt";
	unsigned char salted[sizeof(label) - 1 + SALT_LEN];
	uint64_t n = UINT64_C(1) << work, memory = 128 * 8 * (n + 2) + 1024 * 1024;

	memcpy(salted, label, sizeof(label) - 1);
	memcpy(salted + sizeof(label) - 1, salt, SALT_LEN);
	if (EVP_PBE_scrypt(passphrase, strlen(passphrase), salted, sizeof(salted), n, 8, 1, memory, out->byte, KEY_LEN) <= 0) {
		ERR_clear_error();
		return error_set(err, ST_MEMORY, "scrypt with work factor %d did not get its %" PRIu64 " MiB of memory", work, n >> 10);
	}
	return ST_OK;
}

struct seal_work *seal_work_new(void)
{
	struct seal_work *w = xcalloc(1, sizeof(*w));

	w->seal = EVP_CIPHER_CTX_new();
	w->open = EVP_CIPHER_CTX_new();
	if (!w->seal || !w->open || EVP_EncryptInit_ex(w->seal, EVP_chacha20_poly1305(), NULL, NULL, NULL) <= 0 ||
	    EVP_DecryptInit_ex(w->open, EVP_chacha20_poly1305(), NULL, NULL, NULL) <= 0)
		die("the cryptographic library has no ChaCha20-Poly1305");
	return w;
}

void seal_work_freep(struct seal_work **w)
{
	if (!*w)
		return;
	EVP_CIPHER_CTX_free((*w)->seal); /* wipes its key */
	EVP_CIPHER_CTX_free((*w)->open);
	free(*w);
	*w = NULL;
}

enum status crypto_seal(struct seal_work *w, const struct aead *a, const void *in, size_t n, void *out, struct error *err)
{
	unsigned char *to = out;
	int len = 0, rest = 0;

	if (EVP_EncryptInit_ex(w->seal, NULL, NULL, a->key->byte, a->nonce) <= 0 ||
	    (n && EVP_EncryptUpdate(w->seal, to, &len, in, (int)n) <= 0) || EVP_EncryptFinal_ex(w->seal, to + len, &rest) <= 0 ||
	    (size_t)(len + rest) != n || EVP_CIPHER_CTX_ctrl(w->seal, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, to + n) <= 0)
		return failed(err, "ChaCha20-Poly1305");
	return ST_OK;
}

enum status crypto_open(struct seal_work *w, const struct aead *a, const void *in, size_t n, void *out, bool *good, struct error *err)
{
	const unsigned char *from = in;
	unsigned char tag[SEAL_TAG], *to = out, none[1];
	int len = 0, rest = 0;
	size_t plain = n - SEAL_TAG;

	*good = false;
	memcpy(tag, from + plain, SEAL_TAG);
	if (EVP_DecryptInit_ex(w->open, NULL, NULL, a->key->byte, a->nonce) <= 0 ||
	    EVP_CIPHER_CTX_ctrl(w->open, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) <= 0 ||
	    (plain && EVP_DecryptUpdate(w->open, to, &len, from, (int)plain) <= 0))
		return failed(err, "ChaCha20-Poly1305");
	*good = EVP_DecryptFinal_ex(w->open, plain ? to + len : none, &rest) > 0;
	if (!*good)
		ERR_clear_error();
	return ST_OK;
}

static const unsigned char nonce_zero[12];

enum status crypto_wrap(const struct key32 *key, const unsigned char *file_key, unsigned char *wrapped, struct error *err)
{
	CLEANUP(seal_work_freep) struct seal_work *w = seal_work_new();

	return crypto_seal(w, &(struct aead){key, nonce_zero}, file_key, FILE_KEY_LEN, wrapped, err);
}

enum status crypto_unwrap(const struct key32 *key, const unsigned char *wrapped, unsigned char *file_key, struct error *err)
{
	CLEANUP(seal_work_freep) struct seal_work *w = seal_work_new();
	bool good = false;

	if (crypto_open(w, &(struct aead){key, nonce_zero}, wrapped, WRAPPED_LEN, file_key, &good, err))
		return err->code;
	return good ? ST_OK : error_set(err, ST_DENIED, "the key does not open it");
}
