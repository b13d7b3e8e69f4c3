/* What the files of the S3 storage share.
 *
 * Layout: the object "a/b" is the key "<prefix>/a/b" of the bucket. One PROBE_KEY beside the objects, which no listing shows, is what conditions are tried
 * on. A put of at most S3_PART bytes is one PutObject, a longer one a multipart upload. */
#ifndef STORAGE_S3_INTERNAL_H
#define STORAGE_S3_INTERNAL_H

#include <stdatomic.h>

#include "net/http.h"
#include "storage/s3/keys.h"
#include "storage/s3/s3.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"
#include "util/hash.h"
#include "util/thread.h"

#define PROBE_KEY ".drtool-probe"
#define PREFIX_MAX 120 /* with STORAGE_KEY_MAX below the 1024 bytes of S3 */

/* endpoint.c: where the requests go. */
struct s3_place {
	char *bucket;   /* lower case, as a bucket's name is */
	char *prefix;   /* "" or "path/" */
	char *endpoint; /* normal form, "https://s3.eu-central-1.amazonaws.com"; no '/' at its end */
	char *host;     /* of requests, with the port where it is not the scheme's */
	char *base;     /* "https://host" + path: what comes before the key, without '/' at its end */
	char *path;     /* the path in it, "" or "/bucket" */
	char *region;
	bool aws, path_style, tls;
	enum tls_mode mode; /* as it was set */
};
/* url: of the store, without options. endpoint and region may be NULL. ST_CONFIG. */
enum status s3_place_make(const char *url, const char *endpoint, const char *region, enum s3_style style, struct s3_place *p,
	struct error *err) MUST_CHECK;
void s3_place_release(struct s3_place *p);
char *s3_place_url(const struct s3_place *p); /* the one spelling; owned by the caller */

enum s3_known { S3_UNKNOWN, S3_NO, S3_YES };

struct s3 {
	struct s3_place place;
	struct s3_params params; /* copies */
	struct s3_key_params key_params;
	struct http_client *http;
	struct s3_keychain *keys;
	atomic_bool bucket_seen; /* the bucket exists: 404 means the key */
	atomic_bool answered;    /* something that speaks HTTP is there */
	atomic_bool plain;       /* it refuses headers that speak of checksums */
	_Atomic unsigned parts;  /* buffers of a put */
	pthread_mutex_t mutex;   /* one looks, the others wait; guards the three below */
	enum s3_known absent, matches, versions;
};

/* request.c */

/* What a request says of checksums. A store that refuses such a header (Backblaze B2 does, HTTP 400) is asked again without, and from then on: the
 * body is then sent with Content-MD5. */
enum s3_sum {
	S3_SUM_NONE,
	S3_SUM_BODY,  /* the SHA-256 of the body, which a bucket that retains by itself wants */
	S3_SUM_BATCH, /* the same and, for older stores that want it of such a request, Content-MD5 */
	S3_SUM_PARTS, /* the parts that follow will have one */
	S3_SUM_ASK,   /* the answer shall tell that of the object */
};
struct s3_request {
	const char *method, *doing; /* "cannot <doing>" in errors */
	const char *key;            /* of the storage; NULL: the bucket itself */
	const struct s3_param *param;
	size_t params;
	const struct http_headers *headers; /* NULL: none */
	const void *body;
	size_t n;
	const struct sha256 *sha;   /* of the body; NULL: made here */
	enum s3_sum sum;
	void *to;                   /* as in http_request */
	size_t to_len, max;
	struct duration stall;
	void (*alive)(void *ctx);   /* with the next two: as in http_request */
	void *alive_ctx;
	bool patient;
	bool *repeated;             /* set where an earlier try may have been done; NULL: nobody asks */
};
/* Signed, sent, tried again while that may help. OK: a 2xx answer in a, which the caller releases in every case. Codes as in storage.h;
 * err->native is "HTTP 404". */
enum status s3_send(struct run *run, struct s3 *s, const struct s3_request *q, struct http_answer *a, struct error *err) MUST_CHECK;
/* The same where the answer matters only for being 2xx. */
enum status s3_do(struct run *run, struct s3 *s, const struct s3_request *q, struct error *err) MUST_CHECK;
void s3_base64(const void *p, size_t n, struct buf *to);
/* True where the header x-amz-checksum-sha256 is there and of a whole object (not of parts); *same: it is that of sha. */
bool s3_checksum(const struct http_answer *a, const struct sha256 *sha, bool *same);
void s3_md5(const void *p, size_t n, unsigned char to[16]);

/* object.c */
enum status s3_get(struct run *run, void *priv, const char *key, uint64_t offset, void *to, size_t n, struct error *err);
enum status s3_get_whole(struct run *run, void *priv, const char *key, size_t max, struct buf *to, struct storage_object *o,
	struct error *err);
enum status s3_stat(struct run *run, void *priv, const char *key, struct storage_object *o, struct error *err);
/* As s3_stat; a holds the headers. */
enum status s3_head(struct run *run, struct s3 *s, const char *key, const char *version, struct http_answer *a, struct storage_object *o,
	struct error *err);

/* list.c */
enum status s3_list(struct run *run, void *priv, const char *prefix, const char *start_after, const struct storage_listing *l,
	struct error *err);
enum status s3_versions(struct run *run, void *priv, const char *prefix, struct storage_versions *to, struct error *err);
enum status s3_uncommitted(struct run *run, void *priv, const char *prefix, struct instant abort_older,
	const struct storage_listing *l, struct error *err);
enum status s3_abort_upload(struct run *run, struct s3 *s, const char *key, const char *id, struct error *err);

/* delete.c */
enum status s3_delete(struct run *run, void *priv, const char *key, const char *token, struct error *err);
enum status s3_delete_many(struct run *run, void *priv, struct storage_deletion *d, size_t n, struct error *err);
enum status s3_version_delete(struct run *run, void *priv, const char *key, const char *id, struct error *err);

/* bucket.c: what the store can, looked at once */
enum status s3_conditions(struct run *run, struct s3 *s, bool *absent, bool *matches, struct error *err);
enum status s3_versioned(struct run *run, struct s3 *s, bool *versioned, struct error *err);
enum status s3_caps(struct run *run, void *priv, uint32_t *caps, struct error *err);
enum status s3_remarks(struct run *run, void *priv, struct strlist *to, struct error *err);

/* put.c */
enum status s3_put_open(struct run *run, void *priv, const struct put_spec *spec, struct storage_put **put, struct error *err);
enum status s3_put_write(struct run *run, struct storage_put *put, const void *p, size_t n, struct error *err);
enum status s3_put_finish(struct run *run, struct storage_put *put, struct storage_object *o, struct error *err);
void s3_put_abort(struct storage_put *put);

#endif
