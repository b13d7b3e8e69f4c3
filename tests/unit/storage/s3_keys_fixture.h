/* What the tests of access keys share: an environment without any, files, and one look. */
#ifndef TESTS_S3_KEYS_FIXTURE_H
#define TESTS_S3_KEYS_FIXTURE_H

#include "storage/s3/keys.h"
#include "tests/lib/http_stub.h"
#include "tests/lib/test.h"
#include "util/fs.h"

/* No variable of AWS is set, HOME is the folder of the test, and no metadata are asked. */
void s3_test_bare(void);
void s3_test_setenv(const char *name, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Writes a file in the folder of the test; its path, owned by the caller. */
char *s3_test_file(const char *name, const char *text);
/* ~/.aws/credentials or ~/.aws/config. */
void s3_test_aws_file(const char *name, const char *text);
/* One look with nothing set in the store but a profile, which may be NULL. */
enum status s3_test_look(const char *profile, struct s3_keys *to, char **place, struct error *err);
/* Fails the test where there are none or others. token NULL: none expected. */
void s3_test_expect(const char *profile, const char *id, const char *secret, const char *token, const char *place);

/* An answer of STS, with keys whose id is the action that was asked for; what was asked last is in the two buffers. */
struct s3_test_sts {
	struct http_stub stub;
	struct buf body, headers; /* stable after the call was answered */
	const char *expires;
	int status;               /* 0: 200 */
	const char *error;        /* the code of a refusal */
};
void s3_test_sts_start(struct s3_test_sts *s);

#endif
