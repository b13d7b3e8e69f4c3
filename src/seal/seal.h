/* age v1 (age-encryption.org/v1): sealing a stream for recipients, opening any range of it with an identity.
 *
 * A sealed file is a header (text: one stanza per recipient, each wrapping the file key; an HMAC), a nonce of 16 bytes, and the
 * payload: chunks of SEAL_CHUNK plain bytes, each with a tag of SEAL_TAG bytes, the last one marked as last. Here "header" always
 * means text and nonce together: chunk 0 begins where the header ends. Chunks are independent, so that threads seal and open them
 * in any order, and a range of plain bytes needs only the chunks that it touches.
 *
 * Nothing here reads a store or a configuration. Keys, passphrases and what is derived from them are wiped when released. */
#ifndef SEAL_SEAL_H
#define SEAL_SEAL_H

#include "util/buf.h"
#include "util/run.h"

enum {
	SEAL_CHUNK = 64 * 1024,
	SEAL_TAG = 16,
	SEAL_STORED_CHUNK = SEAL_CHUNK + SEAL_TAG,
	SEAL_HEADER_MAX = 32 * 1024, /* a longer header is ST_BAD: this much of a file's beginning is always enough to open it */
	SEAL_RECIPIENTS_MAX = 32,    /* to seal for */
	SEAL_STANZAS_MAX = 128,      /* looked at when opening */
	SEAL_WORK_KEY = 18,          /* scrypt work factor (log2) of files with keys: 256 MiB for a moment */
	SEAL_WORK_BACKUP = 15,       /* of what is sealed within the memory budget: 32 MiB for a moment, once per volume */
	SEAL_WORK_MAX = 20,          /* a file of keys that asks for more is refused: 1 GiB */
	SEAL_WORK_BACKUP_MAX = 16,   /* what lies in a store must not take more: 64 MiB */
};

/* ---- recipients: whom to seal for ---- */

/* Immutable once made; any thread. Opaque, because a passphrase may be in it. */
struct seal_recipients;
/* Public keys as "age1..."; a key named twice counts once. ST_CONFIG with the text of the wrong one (also for ssh keys, plugins and
 * post-quantum keys, which are known and refused by name), for none at all and for too many. */
enum status seal_recipients_new(const struct strlist *keys, struct seal_recipients **r, struct error *err) MUST_CHECK;
/* A passphrase alone: the format lets nothing stand beside it. */
enum status seal_recipients_passphrase(const char *passphrase, int work, struct seal_recipients **r, struct error *err) MUST_CHECK;
void seal_recipients_freep(struct seal_recipients **r);
/* ST_CONFIG where the text is no public key that can be sealed for. */
enum status seal_recipient_check(const char *key, struct error *err) MUST_CHECK;
/* A short name of a public key, for people to compare: the first 16 digits of the SHA-256 of its text. */
#define SEAL_FINGERPRINT 17
const char *seal_fingerprint(const char *key, char *to); /* to has SEAL_FINGERPRINT bytes */

/* ---- identities: what opens ---- */

struct seal_identities;
struct seal_identities *seal_identities_new(void);
void seal_identities_freep(struct seal_identities **ids);
/* Asks for the passphrase of `what`: *text is owned by the caller, who wipes it. No callback, or an
 * error: the file cannot be opened. */
struct seal_ask {
	enum status (*passphrase)(void *ctx, const char *what, char **text, struct error *err);
	void *ctx;
};
/* Adds the keys of an identity file: AGE-SECRET-KEY-1... lines, comments, empty lines; or such a file sealed with a passphrase, armored or
 * not. what names it in errors; ask may be NULL. ST_CONFIG where it is none, with a line number and never with its text. */
enum status seal_identities_add(struct seal_identities *ids, const char *what, const void *p, size_t n, const struct seal_ask *ask,
				struct error *err) MUST_CHECK;
/* Adds a passphrase, for files that are sealed with one; work_max: the largest work factor that it is tried with. */
void seal_identities_add_passphrase(struct seal_identities *ids, const char *passphrase, int work_max);
/* From then on immutable use by any thread is fine. */
size_t seal_identities_count(const struct seal_identities *ids);
/* The public key of identity i, "" for a passphrase. Borrowed. */
const char *seal_identity_recipient(const struct seal_identities *ids, size_t i);
/* Appends its AGE-SECRET-KEY-1... text, for a page to print; nothing for a passphrase. The caller wipes it. */
void seal_identity_secret(const struct seal_identities *ids, size_t i, struct buf *secret);

/* A new key pair. secret gets the AGE-SECRET-KEY-1... text: the caller wipes it (seal_text_wipe). */
enum status seal_key_generate(struct run *run, struct buf *secret, struct buf *public_key, struct error *err) MUST_CHECK;
void seal_text_wipe(struct buf *b); /* overwrites and releases */

/* ---- streams ---- */

/* The key of one payload. Immutable once made; any thread, several at once. */
struct seal_stream;
void seal_stream_freep(struct seal_stream **s);
/* Draws the keys of a new file; its header (text and nonce) is appended to header. */
enum status seal_begin(struct run *run, const struct seal_recipients *to, struct seal_stream **s, struct buf *header,
		       struct error *err) MUST_CHECK;
/* Opens a header at the start of p[0..n), which is the first SEAL_HEADER_MAX bytes of the file or all of it. *header_len is where chunk 0
 * begins; *identity (may be NULL) which identity opened it. ST_DENIED: no identity opens it. ST_BAD: damaged, or no age file. ST_UNSUPPORTED: a
 * work factor beyond that of the passphrase. */
enum status seal_open(const struct seal_identities *ids, const void *p, size_t n, struct seal_stream **s, size_t *header_len,
		      size_t *identity, struct error *err) MUST_CHECK;
/* What a header says without a key: kinds of its stanzas in order ("X25519", "scrypt", ...). ST_BAD as above. */
enum status seal_header_kinds(const void *p, size_t n, struct strlist *kinds, size_t *header_len, struct error *err) MUST_CHECK;

/* Sizes: what `plain` bytes need behind a header; and back (ST_BAD where no payload has this length). */
uint64_t seal_stored_size(size_t header_len, uint64_t plain);
enum status seal_plain_size(size_t header_len, uint64_t stored, uint64_t *plain, struct error *err) MUST_CHECK;
/* The chunks that hold plain bytes offset..offset+n of a file (n > 0, within plain_size): where they are stored, and what to skip at the
 * beginning of the first one. */
struct seal_span {
	uint64_t chunk, chunks; /* first index, number */
	uint64_t offset, len;   /* in the stored file */
	size_t skip;            /* plain bytes of the first chunk before the range */
};
struct seal_span seal_span(size_t header_len, uint64_t plain_size, uint64_t offset, uint64_t n);

/* The cipher's working memory of one thread, for any number of streams. */
struct seal_work;
struct seal_work *seal_work_new(void);
void seal_work_freep(struct seal_work **w);
/* Seals chunk `index`: out gets n + SEAL_TAG bytes and may be in. Every chunk but the last has SEAL_CHUNK bytes; the last has 1 to
 * SEAL_CHUNK, 0 only where it is chunk 0. */
enum status seal_chunk(struct seal_work *w, const struct seal_stream *s, uint64_t index, bool last, const void *in, size_t n, void *out,
		       struct error *err) MUST_CHECK;
/* Opens it: n counts the tag; out gets n - SEAL_TAG bytes and may be in. ST_BAD where it is not what was sealed at this place. */
enum status seal_open_chunk(struct seal_work *w, const struct seal_stream *s, uint64_t index, bool last, const void *in, size_t n,
			    void *out, struct error *err) MUST_CHECK;
/* Opens whole chunks that follow each other, as a seal_span read from a file of plain_size bytes: out gets the plain bytes of all of them
 * (at most chunks * SEAL_CHUNK) and may be in, which is spoilt in every case. */
enum status seal_open_span(struct seal_work *w, const struct seal_stream *s, const struct seal_span *span, uint64_t plain_size,
			   void *in, void *out, struct error *err) MUST_CHECK;

/* ---- whole small files ---- */

/* Appends a whole sealed file. */
enum status seal_bytes(struct run *run, const struct seal_recipients *to, const void *p, size_t n, struct buf *out,
		       struct error *err) MUST_CHECK;
/* Opens one, binary or armored, and appends its bytes: all of them or, where it fails, none. */
enum status seal_open_bytes(const struct seal_identities *ids, const void *p, size_t n, struct buf *out, struct error *err) MUST_CHECK;

#endif
