/* Documents of the tests, out of Extended JSON. */
#ifndef TESTS_UNIT_MONGODB_DOCUMENTS_H
#define TESTS_UNIT_MONGODB_DOCUMENTS_H

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/meta.h"

/* Owned by the caller; ' stands for ". The test fails where the text is none. */
bson_t *document(const char *text);
/* A collection "c" with these options and indexes ({"0": {...}, ...} as [...]). */
void meta_of(struct mo_meta *m, const char *options, const char *indexes);
const char *printed(const bson_t *b); /* valid until the next call; " as ' */

#endif
