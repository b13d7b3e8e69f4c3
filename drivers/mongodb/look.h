/* Members of a document that came from a server or a person, by dotted path ("lastWrite.majorityOpTime.ts"). What is absent, of another type or
 * damaged is not there. What is given is borrowed from the document. */
#ifndef DRIVERS_MONGODB_LOOK_H
#define DRIVERS_MONGODB_LOOK_H

#include <bson/bson.h>

#include "util/base.h"

bool mo_look(const bson_t *b, const char *path, bson_iter_t *at);
const char *mo_look_str(const bson_t *b, const char *path); /* NULL: not there, or with a NUL inside */
/* A whole number of any numeric type that fits; doubles are cut. */
int64_t mo_look_num(const bson_t *b, const char *path, int64_t otherwise);
bool mo_look_true(const bson_t *b, const char *path); /* true, or a number other than 0 */
/* A document or an array; to needs no bson_destroy. */
bool mo_look_doc(const bson_t *b, const char *path, bson_t *to);
bool mo_look_timestamp(const bson_t *b, const char *path, uint32_t *t, uint32_t *i);
/* true, or a number other than 0. */
bool mo_look_holds(const bson_iter_t *at);

#endif
