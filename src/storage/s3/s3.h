/* Objects in a bucket of AWS S3, or of a server that speaks its protocol. */
#ifndef STORAGE_S3_S3_H
#define STORAGE_S3_S3_H

#include "core/tls_mode.h"
#include "storage/storage.h"

enum s3_style { S3_STYLE_AUTO, S3_STYLE_PATH, S3_STYLE_HOST }; /* bucket in the path or in the host's name */
enum s3_lock_mode { S3_GOVERNANCE, S3_COMPLIANCE };
enum s3_sse { S3_SSE_DEFAULT, S3_SSE_AES256, S3_SSE_KMS };     /* default: what the bucket does */

struct s3_params {
	char *endpoint, *region; /* NULL: as the environment and the profile say, else AWS */
	char *profile, *tls_ca;
	int path_style;          /* enum s3_style */
	int tls;                 /* enum tls_mode */
	struct secret access_key, secret_key, session_token;
	struct duration object_lock; /* 0: none */
	int object_lock_mode;    /* enum s3_lock_mode */
	int sse;                 /* enum s3_sse */
	char *sse_kms_key, *storage_class;
	struct duration retry;   /* for all tries of a request together; 0: 5 min */
};

#define S3_PART ((size_t)16 << 20)
#define S3_PARTS_MAX 10000u
#define S3_PARTS_GOOD 6000u /* of objects that drtool cuts itself: their list stays below 1 MiB, which is all that some servers read */
extern const struct storage_ops storage_s3;

#endif
