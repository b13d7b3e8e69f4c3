/* Documents put together of pieces of others, byte for byte: libbson's own appenders take values apart, and sort the options of a regular
 * expression. Pure functions, any thread. */
#ifndef DRIVERS_MONGODB_RAW_H
#define DRIVERS_MONGODB_RAW_H

#include <bson/bson.h>

#include "util/buf.h"

/* An element, borrowed from the document it is in. */
struct mo_raw {
	const char *key;
	const uint8_t *value;
	uint32_t n; /* bytes of value */
	uint8_t type;
};
struct mo_raw mo_raw_of(const bson_iter_t *it);
/* The document or array that it is, borrowed; false: it is neither, or damaged. */
bool mo_raw_inside(const struct mo_raw *r, bson_t *b);

/* Appends an element with that key and the value of r. */
void mo_raw_put(struct buf *to, const char *key, size_t key_len, const struct mo_raw *r);
void mo_raw_put_null(struct buf *to, const char *key, size_t key_len);
/* Begins a document or array, as an element or as the whole; what is returned goes to mo_raw_close. */
size_t mo_raw_open(struct buf *to);
size_t mo_raw_open_in(struct buf *to, uint8_t type, const char *key, size_t key_len);
void mo_raw_close(struct buf *to, size_t at);
/* The elements of b but those with these keys (ended by NULL). */
void mo_raw_put_others(struct buf *to, const bson_t *b, const char *const *without);
/* Closes the whole document, which began at 0. The caller's. */
bson_t *mo_raw_done(struct buf *to);

#endif
