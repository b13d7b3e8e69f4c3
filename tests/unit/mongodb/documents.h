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

/* Values of _id of all types, at the edges of their order, as text. */
enum { ID_NUMBERS, ID_STRINGS, ID_OBJECT_IDS, ID_DATES, ID_BINARIES, ID_TIMESTAMPS, ID_OBJECTS, ID_OTHERS, ID_KINDS };
extern const struct id_kind {
	const char *const *text;
	size_t n;
	bool sorted; /* borders of it must come in order: a driver cannot tell it */
} id_kinds[ID_KINDS];
/* {a: 1, _id: ...}, owned by the caller. */
bson_t *document_with_id(const char *text);

#endif
