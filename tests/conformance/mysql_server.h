/* A MariaDB or MySQL server for tests, made by scripts/my-server; it ends with the test or the run of tests, however that ends. The
 * environment's DRTOOL_TEST_MYSQL is its version, else 10.11. */
#ifndef TESTS_CONFORMANCE_MYSQL_SERVER_H
#define TESTS_CONFORMANCE_MYSQL_SERVER_H

#include "drivers/mysql/conn.h"

struct my_test_server {
	char *dir, *socket, *url; /* url: over the socket, as root without a password */
	char *ca;                 /* of my_test_server_start_tls: the authority's certificate */
	unsigned port;            /* by TCP root has the password "mysql" */
	int watch, pid;           /* of what stops the server; pid of the server */
	bool mariadb, shared;
	struct secret password;
	struct notes *notes;
	struct my_params params;
	struct endpoint e;        /* by url; a test may change it */
};
/* The one that all tests of this run share, with local_infile=1: each finds no database, account or session of another. For tests that change
 * nothing that outlives those, such as a global variable. Skips the test where there is no server. */
void my_test_server_share(struct my_test_server *s);
/* One of the test's own. settings: "local_infile=0"..., ended by NULL; may be NULL. */
void my_test_server_start(struct my_test_server *s, const char *const *settings);
/* With TLS: a certificate for localhost, not for 127.0.0.1. */
void my_test_server_start_tls(struct my_test_server *s);
void my_test_server_stop(struct my_test_server *s);
/* Runs one statement, by url; fails the test where it fails. */
void my_test_server_sql(struct my_test_server *s, const char *database, const char *sql);
/* First value of a query; "" for null. Owned by the caller. */
char *my_test_server_value(struct my_test_server *s, const char *database, const char *sql);

#endif
