/* S3 servers for tests of storages, by scripts/s3-server (versitygw) and scripts/s3-moto. */
#ifndef TESTS_S3_SERVER_H
#define TESTS_S3_SERVER_H

#include <stdbool.h>

#include "storage/storage.h"

struct s3_test_server {
	char *dir, *endpoint, *region, *access_key, *secret_key;
	char *ca; /* of a server with TLS, else NULL */
	unsigned port;
	int pid, watch;
	const char *script;
};

/* The one that all tests of the run share; moto: that one, else versitygw. Sets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Skips the test where the
 * server is not installed. */
void s3_test_server_share(struct s3_test_server *s, bool moto);
/* One of this test alone. */
void s3_test_server_start(struct s3_test_server *s, bool moto, bool tls);
/* A new bucket; options: "versions", "lock", or NULL. Returns its URL with everything that drtool needs to reach it but the authority
 * (tls_ca); owned by the caller. */
char *s3_test_bucket(const struct s3_test_server *s, const char *options);
/* Opens a URL of s3_test_bucket; its options are settings of the store, as the command line has it. */
void s3_test_open(struct run *run, const char *url, struct storage *s);
enum status s3_test_try_open(struct run *run, const char *url, struct storage *s, struct error *err);
void s3_test_server_release(struct s3_test_server *s);

#endif
