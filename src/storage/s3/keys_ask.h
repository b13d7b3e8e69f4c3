/* Requests for access keys. Answers hold secrets: they are overwritten. */
#ifndef STORAGE_S3_KEYS_ASK_H
#define STORAGE_S3_KEYS_ASK_H

#include "net/http.h"

struct s3_asking {
	struct http_params params;
	struct http_request request;
	bool single; /* one try */
};
/* OK for an answer of any status that another try would not change. a is _INIT before. */
enum status s3_ask(struct run *run, const struct s3_asking *q, struct http_answer *a, struct error *err) MUST_CHECK;
void s3_answer_wipe(struct http_answer *a); /* for CLEANUP */
/* The host, without port and brackets, owned by the caller also after a failure. ST_CONFIG for what is not http or https; the text does not name the
 * URL. */
enum status s3_split_url(const char *url, bool *https, char **host, struct error *err) MUST_CHECK;

#endif
