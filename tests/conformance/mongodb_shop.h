/* What tests of loads into a server that speaks MongoDB's protocol say often. */
#ifndef TESTS_CONFORMANCE_MONGODB_SHOP_H
#define TESTS_CONFORMANCE_MONGODB_SHOP_H

#include "tests/conformance/driver_load.h"
#include "tests/conformance/mongodb_server.h"

/* The run of loading_init, and the names that it gives. */
#define RUN "0a1b2c"
#define BESIDE "_restore_" RUN
#define ASIDE "_before_" RUN

struct mo_shop {
	struct mo_test_server mo;
	struct test_server s; /* the same server, for driver_load.h */
};
extern const struct driver driver_mongodb;

void mo_shop_start(struct mo_shop *f); /* the shared server, empty */
void mo_shop_script(struct mo_shop *f, const char *script);
void mo_shop_make(struct mo_shop *f); /* the shared server with the database `shop` */
void mo_shop_stop(struct mo_shop *f);
/* Every collection of the dump is there under its name and this suffix, with the same documents byte for byte. */
void mo_shop_check(struct mo_shop *f, struct kept *k, const char *database, const char *suffix);
uint64_t mo_shop_count(struct mo_shop *f, const char *database, const char *collection);
bool mo_shop_has(struct mo_shop *f, const char *database, const char *collection);
/* The document of listIndexes as Extended JSON; "" where there is none. Owned by the caller. */
char *mo_shop_index(struct mo_shop *f, const char *database, const char *collection, const char *index);
/* The document of listCollections as Extended JSON; "" where there is none. Owned by the caller. */
char *mo_shop_listed(struct mo_shop *f, const char *database, const char *collection);
void mo_shop_note(struct mo_shop *f, const char *part);
void mo_shop_plan_ok(struct loading *l);
void mo_shop_run_ok(struct loading *l);
void mo_shop_refused(struct loading *l, const char *why); /* releases l */
/* The exchange of the database `shop`, which a run has loaded beside. */
enum status mo_shop_exchange(struct mo_shop *f, enum exchange_action action, struct error *err);
bool mo_shop_says(const struct strlist *l, const char *part);

#endif
