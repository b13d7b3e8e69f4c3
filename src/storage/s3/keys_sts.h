/* The answers of the Security Token Service. */
#ifndef STORAGE_S3_KEYS_STS_H
#define STORAGE_S3_KEYS_STS_H

#include "util/buf.h"

/* Of keys or of a refusal; NULL where the answer does not have it. Owned. */
struct sts_answer {
	char *id, *secret, *token, *expires;
	char *code, *message;
};
#define STS_ANSWER_INIT {0}
/* False: no XML, or with a document type. */
bool sts_answer_read(const struct buf *body, struct sts_answer *to);
void sts_answer_release(struct sts_answer *a); /* overwrites */

#endif
