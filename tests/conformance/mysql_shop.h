/* A server of a test's own with the database `shop`, which has one of most things that a dump has to get right, and what tests of loads
 * say often. */
#ifndef TESTS_CONFORMANCE_MYSQL_SHOP_H
#define TESTS_CONFORMANCE_MYSQL_SHOP_H

#include "tests/conformance/mysql_server.h"
#include "tests/conformance/driver_load.h"

#define CHECK_VALUE(server, database, sql, expected)                                              \
	do {                                                                                      \
		CLEANUP(cstr_release) char *value_ = my_test_server_value(server, database, sql); \
		CHECK_STR(value_, expected);                                                      \
	} while (0)

struct shop {
	struct my_test_server my;
	struct test_server s; /* the same server, for driver_load.h */
};
extern const struct driver driver_mysql;
extern const char shop_digest[]; /* a query whose answer is the same where the rows are */

void shop_start(struct shop *f, const char *const *settings); /* an empty server */
void shop_make(struct shop *f, const char *const *settings);
void shop_stop(struct shop *f);
void shop_check(struct shop *f, const char *db);
void shop_no_note(struct shop *f, const char *part);
void shop_has_note(struct shop *f, const char *part);
void shop_plan_ok(struct loading *l);
void shop_run_ok(struct loading *l);
void shop_refused(struct loading *l, const char *why); /* releases l */

#endif
