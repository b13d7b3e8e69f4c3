/* Two scripted servers of MongoDB's protocol: what was dumped from one is loaded into the other, and exchanged there. */
#ifndef TESTS_CONFORMANCE_MONGODB_TWO_H
#define TESTS_CONFORMANCE_MONGODB_TWO_H

#include "tests/conformance/mongodb_script.h"
#include "tests/conformance/mongodb_shop.h"

#define A_SERVER_OF_A_SET "{\"settings\": {\"set_name\": \"rs0\"}}"

struct mo_two {
	struct mo_shop from, to;
	struct kept k;
	struct loading l;
};
/* Both scripts as in mo_shop_script; the database `shop` is dumped from the first, and to be loaded into the second. */
void mo_two_start(struct mo_two *t, const char *from, const char *to);
void mo_two_from(struct mo_two *t, const char *from); /* the first half of it */
void mo_two_to(struct mo_two *t, const char *to);     /* the second */
void mo_two_away(struct mo_two *t);                   /* the second ends */
void mo_two_stop(struct mo_two *t);
/* The restore goes on: behind what its journal has; with nothing in it; or with its log, as all documents are loaded. */
void mo_two_resume(struct mo_two *t);
void mo_two_resume_all(struct mo_two *t);
void mo_two_resume_log(struct mo_two *t);
void mo_two_refused(struct mo_two *t, const char *why);
void mo_two_listed(struct mo_two *t, const char *collection, const char *part); /* of the second */

#endif
