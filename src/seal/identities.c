#include "core/secret.h"
#include "seal/keys.h"
#include "seal/text.h"

enum { IDENTITIES_MAX = 256 };

struct seal_identities *seal_identities_new(void) { return xcalloc(1, sizeof(struct seal_identities)); }

void seal_identities_freep(struct seal_identities **ids)
{
	if (!*ids)
		return;
	for (size_t i = 0; i < (*ids)->n; i++) {
		secret_text_release(&(*ids)->item[i].passphrase);
		secure_zero(&(*ids)->item[i], sizeof((*ids)->item[i]));
	}
	free((*ids)->item);
	free(*ids);
	*ids = NULL;
}

size_t seal_identities_count(const struct seal_identities *ids) { return ids->n; }
const char *seal_identity_recipient(const struct seal_identities *ids, size_t i) { return ids->item[i].text; }

/* By hand instead of realloc, which would leave a copy of the keys behind. */
static struct identity *identity_add(struct seal_identities *ids)
{
	struct identity *item = xcalloc(ids->n + 1, sizeof(*item));

	if (ids->n) {
		memcpy(item, ids->item, ids->n * sizeof(*item));
		secure_zero(ids->item, ids->n * sizeof(*item));
	}
	free(ids->item);
	ids->item = item;
	return &item[ids->n++];
}

void seal_identities_add_passphrase(struct seal_identities *ids, const char *passphrase, int work_max)
{
	struct identity *added = identity_add(ids);

	added->passphrase = xstrdup(passphrase);
	added->work_max = work_max;
}

static enum status public_text(const struct key32 *secret, struct key32 *point, char *text, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	if (crypto_x25519_public(secret, point, err))
		return err->code;
	bech32_put(&b, "age", point, KEY_LEN, false);
	if (b.len >= PUBLIC_TEXT)
		die("a public key is longer than it can be");
	memcpy(text, b.data, b.len + 1);
	return ST_OK;
}

/* Room for all of it at once: a buffer that grows leaves copies behind. */
static void put_secret(const struct key32 *key, struct buf *secret)
{
	buf_reserve(secret, 128);
	bech32_put(secret, "age-secret-key-", key, KEY_LEN, true);
}

void seal_identity_secret(const struct seal_identities *ids, size_t i, struct buf *secret)
{
	if (!ids->item[i].passphrase)
		put_secret(&ids->item[i].secret, secret);
}

enum status seal_key_generate(struct run *run, struct buf *secret, struct buf *public_key, struct error *err)
{
	CLEANUP(key32_release) struct key32 key = KEY32_INIT, point = KEY32_INIT;
	char text[PUBLIC_TEXT];

	run_random(run, &key, KEY_LEN);
	if (public_text(&key, &point, text, err))
		return err->code;
	put_secret(&key, secret);
	buf_puts(public_key, text);
	return ST_OK;
}

struct where {
	const char *what;
	size_t line;
};

static enum status refuse(const struct where *w, const char *why, struct error *err)
{
	return error_set(err, ST_CONFIG, "%s, line %zu: %s", w->what, w->line, why);
}

static bool begins(const char *s, size_t n, const char *with) { return n >= strlen(with) && !strncasecmp(s, with, strlen(with)); }

static enum status add_key(struct seal_identities *ids, const struct where *w, const char *line, size_t n, struct error *err)
{
	CLEANUP(buf_release) struct buf prefix = BUF_INIT;
	CLEANUP(seal_text_wipe) struct buf bytes = BUF_INIT;
	CLEANUP(key32_release) struct key32 key = KEY32_INIT;

	if (begins(line, n, "AGE-SECRET-KEY-PQ-"))
		return refuse(w, "a post-quantum key, which drtool cannot use", err);
	if (begins(line, n, "AGE-PLUGIN-"))
		return refuse(w, "a key of an age plugin, which drtool cannot use", err);
	if (begins(line, n, "-----BEGIN ") || begins(line, n, "ssh-"))
		return refuse(w, "an SSH or PEM key, and drtool opens with age keys only", err);
	if (begins(line, n, "age1"))
		return refuse(w, "a public key, which opens nothing: the secret key is needed", err);
	if (!begins(line, n, "AGE-SECRET-KEY-1"))
		return refuse(w, "no secret key of age (AGE-SECRET-KEY-1...)", err);
	if (line[0] != 'A' || !bech32_get(line, n, &prefix, &bytes) || bytes.len != KEY_LEN)
		return refuse(w, "the secret key is damaged: a letter is wrong or missing", err);
	memcpy(&key, bytes.data, KEY_LEN);
	struct identity *added = identity_add(ids);

	added->secret = key;
	return public_text(&key, &added->point, added->text, err);
}

static enum status add_lines(struct seal_identities *ids, const char *what, const char *p, size_t n, struct error *err)
{
	struct where w = {what, 0};
	size_t before = ids->n;

	for (const char *s = p, *end = p + n; s < end;) {
		const char *lf = memchr(s, '\n', (size_t)(end - s));
		size_t len = (size_t)((lf ? lf : end) - s);

		w.line++;
		while (len && (s[len - 1] == '\r' || s[len - 1] == ' ' || s[len - 1] == '\t'))
			len--;
		if (len && *s != '#') {
			if (ids->n - before == IDENTITIES_MAX)
				return refuse(&w, "more keys than drtool takes from one file", err);
			if (add_key(ids, &w, s, len, err))
				return err->code;
		}
		s = lf ? lf + 1 : end;
	}
	return ids->n > before ? ST_OK : error_set(err, ST_CONFIG, "%s: there is no secret key in it", what);
}

static enum status add_sealed(struct seal_identities *ids, const char *what, struct span file, const struct seal_ask *ask, struct error *err)
{
	CLEANUP(seal_identities_freep) struct seal_identities *with = seal_identities_new();
	CLEANUP(secret_text_release) char *passphrase = NULL;
	CLEANUP(seal_text_wipe) struct buf plain = BUF_INIT;

	if (!ask || !ask->passphrase)
		return error_set(err, ST_CONFIG, "%s: the keys in it are sealed with a passphrase, and nobody can be asked for it", what);
	if (ask->passphrase(ask->ctx, what, &passphrase, err))
		return err->code;
	seal_identities_add_passphrase(with, passphrase, SEAL_WORK_MAX);
	buf_reserve(&plain, file.n);
	if (seal_open_bytes(with, file.p, file.n, &plain, err)) {
		if (err->code == ST_DENIED)
			return error_set(err, ST_DENIED, "%s: the passphrase is wrong", what);
		err->code = err->code == ST_BAD ? ST_CONFIG : err->code;
		return error_add(err, "%s", what);
	}
	return add_lines(ids, what, buf_str(&plain), plain.len, err);
}

enum status seal_identities_add(struct seal_identities *ids, const char *what, const void *p, size_t n, const struct seal_ask *ask,
				struct error *err)
{
	if (armor_begins(p, n) || begins(p, n, "age-encryption.org/"))
		return add_sealed(ids, what, (struct span){p, n}, ask, err);
	return add_lines(ids, what, p, n, err);
}
