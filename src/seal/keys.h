/* What recipients and identities are made of. Private to the room. */
#ifndef SEAL_KEYS_H
#define SEAL_KEYS_H

#include "seal/crypto.h"
#include "seal/seal.h"

enum { PUBLIC_TEXT = 64 }; /* "age1..." and its 0 */

struct seal_recipients {
	struct key32 *key;  /* X25519 points */
	size_t n;
	char *passphrase;   /* alone; else NULL */
	int work;
};

struct identity {
	struct key32 secret, point;
	char text[PUBLIC_TEXT]; /* the public key; "" for a passphrase */
	char *passphrase;       /* NULL for a key */
	int work_max;           /* of a passphrase */
};
struct seal_identities {
	struct identity *item;
	size_t n;
};

#endif
