/* The text in front of a sealed file: its grammar alone, no key. Private to the room. */
#ifndef SEAL_HEADER_H
#define SEAL_HEADER_H

#include "seal/crypto.h"
#include "util/buf.h"

enum stanza_kind { STANZA_OTHER, STANZA_X25519, STANZA_SCRYPT };

struct stanza {
	enum stanza_kind kind;
	struct span name;                     /* first argument, into the parsed bytes */
	struct key32 share;                   /* X25519 */
	unsigned char salt[SALT_LEN];         /* scrypt */
	int work;                             /* scrypt */
	unsigned char wrapped[WRAPPED_LEN];   /* both */
};

struct header {
	struct stanza *item;
	size_t n;
	size_t maced;                         /* bytes that the MAC covers, from the start */
	struct key32 mac;
	unsigned char nonce[NONCE_LEN];
	size_t len;                           /* where chunk 0 begins */
};
#define HEADER_INIT {0}
void header_release(struct header *h);
/* Parses the header at the start of p[0..n); p outlives h. ST_BAD, ST_UNSUPPORTED for another version of the format. Stanzas of the two kinds that
 * are known are proven well-formed; one of scrypt is alone. */
enum status header_parse(const void *p, size_t n, struct header *h, struct error *err) MUST_CHECK;

void header_put_version(struct buf *to);
void header_put_stanza(struct buf *to, const struct stanza *s); /* X25519 and scrypt */
/* The last line: MAC of all before it under the file key; and the nonce. */
enum status header_put_end(struct buf *to, size_t start, const unsigned char *file_key, const unsigned char *nonce,
			   struct error *err) MUST_CHECK;
/* Whether the MAC is that of the file key: ST_BAD where not. */
enum status header_check(const struct header *h, const void *p, const unsigned char *file_key, struct error *err) MUST_CHECK;

#endif
