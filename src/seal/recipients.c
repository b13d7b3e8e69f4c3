#include "seal/keys.h"
#include "seal/text.h"
#include "util/hash.h"

void seal_text_wipe(struct buf *b)
{
	if (b->data)
		secure_zero(b->data, b->cap);
	buf_release(b);
}

const char *seal_fingerprint(const char *key, char *to)
{
	char hex[SHA256_HEX];

	sha256_hex(sha256_of(key, strlen(key)), hex);
	memcpy(to, hex, SEAL_FINGERPRINT - 1);
	to[SEAL_FINGERPRINT - 1] = 0;
	return to;
}

static bool begins(const char *s, const char *with) { return !strncasecmp(s, with, strlen(with)); }

/* Keys that age knows and drtool cannot seal for, by name; the secret one without its text. */
static enum status other_key(const char *key, const char *prefix, struct error *err)
{
	if (begins(key, "AGE-SECRET-KEY-") || begins(key, "AGE-PLUGIN-")) {
		error_set(err, ST_CONFIG, "a secret key stands where a public key belongs");
		return error_hint(err, "Take it away from this machine, and name its public key (age1...): drtool key show prints it.");
	}
	if (begins(key, "ssh-")) {
		error_set(err, ST_CONFIG, "\"%.20s...\" is an SSH key, and drtool seals for age keys only", key);
		return error_hint(err, "Make a key with: drtool key generate --output FILE");
	}
	if (begins(key, "age1pq1") || begins(key, "age1tagpq1"))
		return error_set(err, ST_CONFIG, "\"%.20s...\" is a post-quantum key, and drtool seals for X25519 keys (age1...) only", key);
	if (strcmp(prefix, "age") && begins(prefix, "age1"))
		return error_set(err, ST_CONFIG, "\"%.20s...\" is a key of the age plugin %s, and drtool seals for X25519 keys (age1...) only", key,
				 prefix + 4);
	return error_set(err, ST_CONFIG, "\"%.80s\" is no public key of age (age1...): a letter is wrong or missing", key);
}

static enum status parse_key(const char *key, struct key32 *point, struct error *err)
{
	CLEANUP(buf_release) struct buf prefix = BUF_INIT;
	CLEANUP(seal_text_wipe) struct buf bytes = BUF_INIT;
	static const struct key32 probe = {{9}};
	struct key32 shared = KEY32_INIT;

	if (!bech32_get(key, strlen(key), &prefix, &bytes) || strcmp(buf_str(&prefix), "age") || bytes.len != KEY_LEN || key[0] != 'a')
		return other_key(key, buf_str(&prefix), err);
	memcpy(point, bytes.data, KEY_LEN);
	/* A point with which no secret can be shared is the key of nobody. */
	if (crypto_x25519(&probe, point, &shared, err))
		return error_set(err, ST_CONFIG, "\"%s\" is the public key of nobody", key);
	return ST_OK;
}

enum status seal_recipient_check(const char *key, struct error *err)
{
	struct key32 point;

	return parse_key(key, &point, err);
}

static void add_once(struct seal_recipients *r, const struct key32 *point)
{
	for (size_t i = 0; i < r->n; i++)
		if (!memcmp(&r->key[i], point, KEY_LEN))
			return;
	r->key = xrealloc(r->key, (r->n + 1) * sizeof(*r->key));
	r->key[r->n++] = *point;
}

enum status seal_recipients_new(const struct strlist *keys, struct seal_recipients **r, struct error *err)
{
	CLEANUP(seal_recipients_freep) struct seal_recipients *made = xcalloc(1, sizeof(*made));

	for (size_t i = 0; i < keys->len; i++) {
		struct key32 point;

		if (parse_key(keys->item[i], &point, err))
			return err->code;
		add_once(made, &point);
	}
	if (!made->n)
		return error_set(err, ST_CONFIG, "no public key to seal for");
	if (made->n > SEAL_RECIPIENTS_MAX)
		return error_set(err, ST_CONFIG, "%zu public keys to seal for, and at most %d are possible", made->n, SEAL_RECIPIENTS_MAX);
	*r = made;
	made = NULL;
	return ST_OK;
}

enum status seal_recipients_passphrase(const char *passphrase, int work, struct seal_recipients **r, struct error *err)
{
	if (!*passphrase)
		return error_set(err, ST_CONFIG, "the passphrase is empty");
	*r = xcalloc(1, sizeof(**r));
	(*r)->passphrase = xstrdup(passphrase);
	(*r)->work = work;
	return ST_OK;
}

void seal_recipients_freep(struct seal_recipients **r)
{
	if (!*r)
		return;
	if ((*r)->passphrase)
		secure_zero((*r)->passphrase, strlen((*r)->passphrase));
	free((*r)->passphrase);
	free((*r)->key);
	free(*r);
	*r = NULL;
}
