#include "seal/header.h"
#include "seal/keys.h"
#include "seal/text.h"

struct seal_stream {
	struct key32 key;
};

void seal_stream_freep(struct seal_stream **s)
{
	if (!*s)
		return;
	secure_zero(*s, sizeof(**s));
	free(*s);
	*s = NULL;
}

struct file_key {
	unsigned char byte[FILE_KEY_LEN];
};
static void file_key_release(struct file_key *k) { secure_zero(k, sizeof(*k)); }

static enum status stream_new(const struct file_key *key, const unsigned char *nonce, struct seal_stream **s, struct error *err)
{
	CLEANUP(seal_stream_freep) struct seal_stream *made = xcalloc(1, sizeof(*made));

	if (crypto_hkdf((struct span){key, FILE_KEY_LEN}, (struct span){nonce, NONCE_LEN}, "payload", &made->key, err))
		return err->code;
	*s = made;
	made = NULL;
	return ST_OK;
}

/* ---- the header ---- */

/* The key that wraps the file key, of the secret that two keys share. */
static enum status wrap_key(const struct key32 *shared, const struct key32 *share, const struct key32 *point, struct key32 *out,
			    struct error *err)
{
	unsigned char salt[2 * KEY_LEN];

	memcpy(salt, share, KEY_LEN);
	memcpy(salt + KEY_LEN, point, KEY_LEN);
	return crypto_hkdf((struct span){shared, KEY_LEN}, (struct span){salt, sizeof(salt)}, "age-encryption.org/v1/X25519", out, err);
}

static enum status stanza_for_key(struct run *run, const struct key32 *point, const struct file_key *key, struct stanza *s,
				  struct error *err)
{
	CLEANUP(key32_release) struct key32 ephemeral = KEY32_INIT, shared = KEY32_INIT, wrap = KEY32_INIT;

	s->kind = STANZA_X25519;
	run_random(run, &ephemeral, KEY_LEN);
	if (crypto_x25519_public(&ephemeral, &s->share, err) || crypto_x25519(&ephemeral, point, &shared, err) ||
	    wrap_key(&shared, &s->share, point, &wrap, err))
		return err->code;
	return crypto_wrap(&wrap, key->byte, s->wrapped, err);
}

static enum status stanza_for_passphrase(struct run *run, const struct seal_recipients *to, const struct file_key *key, struct stanza *s,
					 struct error *err)
{
	CLEANUP(key32_release) struct key32 wrap = KEY32_INIT;

	s->kind = STANZA_SCRYPT;
	s->work = to->work;
	run_random(run, s->salt, SALT_LEN);
	if (crypto_scrypt(to->passphrase, s->salt, s->work, &wrap, err))
		return err->code;
	return crypto_wrap(&wrap, key->byte, s->wrapped, err);
}

enum status seal_begin(struct run *run, const struct seal_recipients *to, struct seal_stream **s, struct buf *header, struct error *err)
{
	CLEANUP(file_key_release) struct file_key key;
	unsigned char nonce[NONCE_LEN];
	size_t start = header->len;

	run_random(run, &key, sizeof(key));
	run_random(run, nonce, sizeof(nonce));
	header_put_version(header);
	for (size_t i = 0; i < (to->passphrase ? 1 : to->n); i++) {
		struct stanza stanza = {0};

		if (to->passphrase ? stanza_for_passphrase(run, to, &key, &stanza, err)
				   : stanza_for_key(run, &to->key[i], &key, &stanza, err))
			return err->code;
		header_put_stanza(header, &stanza);
	}
	if (header_put_end(header, start, key.byte, nonce, err))
		return err->code;
	return stream_new(&key, nonce, s, err);
}

static enum status open_by_key(const struct identity *id, const struct stanza *s, struct file_key *key, struct error *err)
{
	CLEANUP(key32_release) struct key32 shared = KEY32_INIT, wrap = KEY32_INIT;

	if (crypto_x25519(&id->secret, &s->share, &shared, err) || wrap_key(&shared, &s->share, &id->point, &wrap, err))
		return err->code;
	return crypto_unwrap(&wrap, s->wrapped, key->byte, err);
}

static enum status open_by_passphrase(const struct identity *id, const struct stanza *s, struct file_key *key, struct error *err)
{
	CLEANUP(key32_release) struct key32 wrap = KEY32_INIT;

	if (s->work > id->work_max)
		return error_set(err, ST_UNSUPPORTED, "the age file asks for a scrypt work factor of %d, and drtool takes at most %d", s->work,
				 id->work_max);
	if (crypto_scrypt(id->passphrase, s->salt, s->work, &wrap, err))
		return err->code;
	return crypto_unwrap(&wrap, s->wrapped, key->byte, err);
}

/* One identity and one stanza. ST_DENIED: they do not belong together. */
static enum status try_one(const struct identity *id, const struct stanza *s, struct file_key *key, struct error *err)
{
	if (id->passphrase && s->kind == STANZA_SCRYPT)
		return open_by_passphrase(id, s, key, err);
	if (!id->passphrase && s->kind == STANZA_X25519)
		return open_by_key(id, s, key, err);
	return error_set(err, ST_DENIED, "another kind of key");
}

static enum status find_key(const struct seal_identities *ids, const struct header *h, struct file_key *key, size_t *identity,
			    struct error *err)
{
	for (size_t i = 0; i < ids->n; i++)
		for (size_t k = 0; k < h->n; k++) {
			CLEANUP(error_release) struct error e = ERROR_INIT;

			if (!try_one(&ids->item[i], &h->item[k], key, &e)) {
				*identity = i;
				return ST_OK;
			}
			if (e.code != ST_DENIED)
				return error_move(err, &e);
		}
	if (!ids->n)
		return error_set(err, ST_DENIED, "it is sealed, and no key was given to open it");
	return error_set(err, ST_DENIED, h->item[0].kind == STANZA_SCRYPT ? "it is sealed with a passphrase, which is not the one given"
									  : "it is sealed for other keys than those given");
}

enum status seal_open(const struct seal_identities *ids, const void *p, size_t n, struct seal_stream **s, size_t *header_len,
		      size_t *identity, struct error *err)
{
	CLEANUP(header_release) struct header h = HEADER_INIT;
	CLEANUP(file_key_release) struct file_key key;
	size_t which = 0;

	if (header_parse(p, n, &h, err) || find_key(ids, &h, &key, &which, err) || header_check(&h, p, key.byte, err) ||
	    stream_new(&key, h.nonce, s, err))
		return err->code;
	*header_len = h.len;
	if (identity)
		*identity = which;
	return ST_OK;
}

enum status seal_header_kinds(const void *p, size_t n, struct strlist *kinds, size_t *header_len, struct error *err)
{
	CLEANUP(header_release) struct header h = HEADER_INIT;

	if (header_parse(p, n, &h, err))
		return err->code;
	for (size_t i = 0; i < h.n; i++)
		strlist_take(kinds, xstrndup(h.item[i].name.p, h.item[i].name.n));
	*header_len = h.len;
	return ST_OK;
}

/* ---- the payload ---- */

uint64_t seal_stored_size(size_t header_len, uint64_t plain)
{
	uint64_t chunks = plain ? (plain - 1) / SEAL_CHUNK + 1 : 1;

	return header_len + plain + chunks * SEAL_TAG;
}

enum status seal_plain_size(size_t header_len, uint64_t stored, uint64_t *plain, struct error *err)
{
	uint64_t body = stored > header_len ? stored - header_len : 0;
	uint64_t full = body / SEAL_STORED_CHUNK, rest = body % SEAL_STORED_CHUNK;

	if (!body || (rest && rest < SEAL_TAG) || (rest == SEAL_TAG && full))
		return error_set(err, ST_BAD, "no sealed file has this length: it is cut off");
	*plain = full * SEAL_CHUNK + (rest ? rest - SEAL_TAG : 0);
	return ST_OK;
}

struct seal_span seal_span(size_t header_len, uint64_t plain_size, uint64_t offset, uint64_t n)
{
	uint64_t first = offset / SEAL_CHUNK, last = (offset + n - 1) / SEAL_CHUNK;
	uint64_t end = min_u64((last + 1) * SEAL_CHUNK, plain_size) + (last + 1) * SEAL_TAG;

	return (struct seal_span){
		.chunk = first,
		.chunks = last - first + 1,
		.offset = header_len + first * SEAL_STORED_CHUNK,
		.len = end - first * SEAL_STORED_CHUNK,
		.skip = (size_t)(offset % SEAL_CHUNK),
	};
}

static void chunk_nonce(uint64_t index, bool last, unsigned char *nonce)
{
	memset(nonce, 0, 12);
	for (int i = 10; i > 2; i--, index >>= 8)
		nonce[i] = (unsigned char)index;
	nonce[11] = last;
}

enum status seal_chunk(struct seal_work *w, const struct seal_stream *s, uint64_t index, bool last, const void *in, size_t n, void *out,
		       struct error *err)
{
	unsigned char nonce[12];

	if (last ? n > SEAL_CHUNK || (!n && index) : n != SEAL_CHUNK)
		die("seal: a chunk has a wrong length");
	chunk_nonce(index, last, nonce);
	return crypto_seal(w, &(struct aead){&s->key, nonce}, in, n, out, err);
}

enum status seal_open_chunk(struct seal_work *w, const struct seal_stream *s, uint64_t index, bool last, const void *in, size_t n,
			    void *out, struct error *err)
{
	unsigned char nonce[12];
	bool good = last ? n >= SEAL_TAG && n <= SEAL_STORED_CHUNK && (n > SEAL_TAG || !index) : n == SEAL_STORED_CHUNK;

	chunk_nonce(index, last, nonce);
	if (good && crypto_open(w, &(struct aead){&s->key, nonce}, in, n, out, &good, err))
		return err->code;
	return good ? ST_OK
		    : error_set(err, ST_BAD, "chunk %" PRIu64 " of the sealed file is not what was sealed: damaged, or cut off", index);
}

enum status seal_open_span(struct seal_work *w, const struct seal_stream *s, const struct seal_span *span, uint64_t plain_size,
			   void *in, void *out, struct error *err)
{
	uint64_t last = plain_size ? (plain_size - 1) / SEAL_CHUNK : 0;
	char *from = in, *to = out;
	uint64_t left = span->len;

	for (uint64_t i = span->chunk; i < span->chunk + span->chunks; i++) {
		size_t n = (size_t)min_u64(left, SEAL_STORED_CHUNK);
		/* Where both are one buffer, the chunk is opened where it lies and then moved: ciphers do not promise to run over
		 * bytes that overlap. */
		char *at = in == out ? from : to;

		if (seal_open_chunk(w, s, i, i == last, from, n, at, err))
			return err->code;
		if (at != to)
			memmove(to, at, n - SEAL_TAG);
		from += n;
		to += n - SEAL_TAG;
		left -= n;
	}
	return ST_OK;
}

/* ---- whole files ---- */

enum status seal_bytes(struct run *run, const struct seal_recipients *to, const void *p, size_t n, struct buf *out, struct error *err)
{
	CLEANUP(seal_stream_freep) struct seal_stream *s = NULL;
	CLEANUP(seal_work_freep) struct seal_work *w = seal_work_new();
	const char *from = p;

	if (seal_begin(run, to, &s, out, err))
		return err->code;
	buf_reserve(out, n + (n / SEAL_CHUNK + 1) * SEAL_TAG);
	for (uint64_t i = 0; n || !i; i++) {
		size_t part = min_size(n, SEAL_CHUNK);

		if (seal_chunk(w, s, i, part == n, from, part, out->data + out->len, err))
			return err->code;
		out->len += part + SEAL_TAG;
		from += part;
		n -= part;
	}
	out->data[out->len] = 0;
	return ST_OK;
}

/* The chunks of a payload, all of them, appended to out, which has room. */
static enum status open_chunks(const struct seal_stream *s, const char *from, size_t left, struct buf *out, struct error *err)
{
	CLEANUP(seal_work_freep) struct seal_work *w = seal_work_new();

	for (uint64_t i = 0; left; i++) {
		size_t part = min_size(left, SEAL_STORED_CHUNK);

		if (seal_open_chunk(w, s, i, part == left, from, part, out->data + out->len, err))
			return err->code;
		out->len += part - SEAL_TAG;
		from += part;
		left -= part;
	}
	return ST_OK;
}

enum status seal_open_bytes(const struct seal_identities *ids, const void *p, size_t n, struct buf *out, struct error *err)
{
	CLEANUP(buf_release) struct buf binary = BUF_INIT;
	CLEANUP(seal_stream_freep) struct seal_stream *s = NULL;
	size_t header = 0, start = out->len;
	uint64_t plain = 0;

	if (armor_begins(p, n)) {
		if (armor_get(p, n, &binary, err))
			return err->code;
		p = buf_str(&binary);
		n = binary.len;
	}
	if (seal_open(ids, p, n, &s, &header, NULL, err) || seal_plain_size(header, n, &plain, err))
		return err->code;
	buf_reserve(out, (size_t)plain + 1);
	enum status st = open_chunks(s, (const char *)p + header, n - header, out, err);

	if (st) {
		secure_zero(out->data + start, out->len - start);
		out->len = start;
	}
	out->data[out->len] = 0;
	return st;
}
