/* What stands in front of a server in tests: TLS with certificates of the test's own, or a unix socket (tests/lib/mongo_front.py). It ends with the
 * test. */
#ifndef TESTS_CONFORMANCE_MONGODB_FRONT_H
#define TESTS_CONFORMANCE_MONGODB_FRONT_H

#include "util/base.h"

struct mo_test_front {
	char *dir;     /* certificates, as tests/lib/certs.h names them */
	char *path;    /* of the socket; NULL */
	unsigned port;
	int watch;
};
/* clients: who connects must show a certificate of the test's authority. */
void mo_test_front_tls(struct mo_test_front *f, unsigned port, bool clients);
void mo_test_front_socket(struct mo_test_front *f, unsigned port);
char *mo_test_front_file(const struct mo_test_front *f, const char *name); /* in dir; owned by the caller */
void mo_test_front_stop(struct mo_test_front *f);

#endif
