/* A multipart upload: parts go to the store from the memory they were gathered in, several at once. Private to put.c. */
#ifndef STORAGE_S3_UPLOAD_H
#define STORAGE_S3_UPLOAD_H

#include "storage/s3/internal.h"

/* What is put, and how it is known again. */
struct s3_put_facts {
	char *key, *token; /* owned; token: PUT_MATCHES, else NULL */
	enum put_condition condition;
	bool retain, bulk;
	char mark[33];     /* metadata of this very put: tells it from another one's where an answer was lost */
	void (*alive)(void *ctx);
	void *alive_ctx;
};
/* The headers that make an object: mark, retention, encryption, class. */
void s3_put_describe(struct run *run, const struct s3 *s, const struct s3_put_facts *f, struct http_headers *to);
void s3_put_condition(const struct s3_put_facts *f, struct http_headers *to);
/* Whether the object that is there now is of this put; *o its facts. ST_PRECONDITION where it is not. */
enum status s3_put_ours(struct run *run, struct s3 *s, const struct s3_put_facts *f, struct http_answer *a, struct storage_object *o,
	struct error *err) MUST_CHECK;

struct s3_upload;
/* buffer: of S3_PART bytes, made by malloc; the upload's from now on, as the first of its buffers. run and f outlive it. */
enum status s3_upload_open(struct run *run, struct s3 *s, const struct s3_put_facts *f, void *buffer, struct s3_upload **u,
	struct error *err) MUST_CHECK;
/* A free buffer; waits for one. Fails where a part failed. */
enum status s3_upload_buffer(struct run *run, struct s3_upload *u, void **buffer, struct error *err) MUST_CHECK;
/* Owns buffer in every case. Parts go in this order; all but the last have S3_PART bytes. */
enum status s3_upload_part(struct s3_upload *u, void *buffer, size_t n, struct error *err) MUST_CHECK;
/* Waits for all parts, makes the object, with the condition where the store heeds conditions, and compares it. */
enum status s3_upload_finish(struct run *run, struct s3_upload *u, bool heeded, struct storage_object *o, struct error *err) MUST_CHECK;
/* Ends the threads and, where it was not finished, aborts it in the store. NULL is fine. */
void s3_upload_free(struct s3_upload *u);

#endif
