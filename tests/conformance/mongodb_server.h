/* A server that speaks MongoDB's protocol, made by scripts/mongo-server: the mongod of PATH or FerretDB. It ends with the run of tests, however that
 * ends. */
#ifndef TESTS_CONFORMANCE_MONGODB_SERVER_H
#define TESTS_CONFORMANCE_MONGODB_SERVER_H

#include "drivers/mongodb/conn.h"

struct mo_test_server {
	char *dir, *url; /* url: as root with the password "mongo", which is in e */
	unsigned port;
	int pid;         /* of the server */
	int watch;       /* of what stops it; -1: shared */
	bool mongod;
	struct secret password;
	struct notes *notes;
	struct mo_params params;
	struct endpoint e; /* by url; a test may change it */
};
/* The one that all tests of this run share: each finds no database of another. Skips the test where there is no server. */
void mo_test_server_share(struct mo_test_server *s);
/* One of the test's own, for what others would feel. */
void mo_test_server_start(struct mo_test_server *s);
void mo_test_server_stop(struct mo_test_server *s);
/* A fixture for a server that somebody else started, with the members that an endpoint needs. */
void mo_test_server_at(struct mo_test_server *s, const char *url, const char *password);
/* Runs a command, given as JSON; fails the test where it fails. reply: NULL, or uninitialised and the caller's to destroy. */
void mo_test_server_command(struct mo_test_server *s, const char *database, const char *json, bson_t *reply);
/* Inserts documents, given as JSON one after the other. */
void mo_test_server_insert(struct mo_test_server *s, const char *database, const char *collection, const char *json);
bool mo_test_server_noted(const struct mo_test_server *s, const char *part);

#endif
