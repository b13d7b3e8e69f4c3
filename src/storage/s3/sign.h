/* AWS Signature Version 4 in the header Authorization. Makes texts only: no clock, no connection.
 *
 * The path is signed as it is given (S3 neither normalises nor encodes it twice) and the query is put in order here, so that what is signed and what is
 * sent are one text. */
#ifndef STORAGE_S3_SIGN_H
#define STORAGE_S3_SIGN_H

#include "net/http.h"
#include "storage/s3/keys.h"

/* Every byte but A-Z a-z 0-9 - . _ ~ as %XX; '/' stays where slash. */
void s3_encode(struct buf *to, const char *text, bool slash);

struct s3_param {
	const char *name, *value; /* not encoded; value NULL and "" are the same: "name=" */
};

#define S3_UNSIGNED "UNSIGNED-PAYLOAD"
struct s3_signing {
	const struct s3_keys *keys;
	const char *region, *service; /* "eu-central-1", "s3" */
	struct instant now;           /* the server may differ by 15 minutes */
	const char *method;
	const char *host;  /* with the port where the URL has one; as the header Host will be */
	const char *path;  /* encoded, begins with '/' */
	const char *query; /* of s3_query; "" or NULL: none */
	/* 64 hex digits of the body's SHA-256, or S3_UNSIGNED (only where TLS guards the body). For service "s3" it is sent as x-amz-content-sha256. */
	const char *payload;
};

/* The encoded query in the order in which it is signed, without '?'. Appends to `to`. */
void s3_query(const struct s3_param *param, size_t n, struct buf *to);

/* Adds x-amz-date, x-amz-content-sha256, x-amz-security-token and Authorization to headers; those that were there (no name twice) are signed, too. Host is signed, and
 * left to be sent by http_send. */
void s3_sign(const struct s3_signing *s, struct http_headers *headers);

#endif
