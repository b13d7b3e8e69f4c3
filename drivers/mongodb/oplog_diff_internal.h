/* Between oplog_diff.c and oplog_update.c. */
#ifndef DRIVERS_MONGODB_OPLOG_DIFF_INTERNAL_H
#define DRIVERS_MONGODB_OPLOG_DIFF_INTERNAL_H

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/oplog_diff.h"
#include "drivers/mongodb/oplog_entry.h"
#include "drivers/mongodb/raw.h"

/* Room for the digits of an index of an array. */
#define MO_INDEX_TEXT 24
/* Nine digits are more elements than a document can hold. */
bool mo_array_index(const char *text, size_t n, uint32_t *index);
/* ST_BAD where what is there of the result is larger than it may be. */
enum status mo_post_check(const struct buf *to, struct error *err) MUST_CHECK;
/* The finished bytes as a document. */
enum status mo_post_make(const struct buf *bytes, bson_t **post, struct error *err) MUST_CHECK;
/* ST_BAD where the document of an update is damaged. */
enum status mo_pre_check(const bson_t *pre, struct error *err) MUST_CHECK;

#endif
