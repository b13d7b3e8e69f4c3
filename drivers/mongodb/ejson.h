/* Canonical Extended JSON v2, by code of our own: libbson's printer refuses texts that are no UTF-8, and its parser takes the operators $regex and
 * $type of a validator for values. Neither is a reason not to back a collection up.
 *
 * Extended JSON cannot say everything: a document {"$oid": "..."} that is no ObjectId, a decimal of unusual form, a text that is no UTF-8 are printed,
 * but do not come back. Who must have them back compares (mo_meta_print does). */
#ifndef DRIVERS_MONGODB_EJSON_H
#define DRIVERS_MONGODB_EJSON_H

#include <bson/bson.h>

#include "util/buf.h"
#include "util/error.h"

#define MO_DEPTH_MOST 256u /* levels of documents and arrays; servers have at most 200 */

void mo_bson_freep(bson_t **b);  /* for CLEANUP */
void mo_bson_clear(bson_t *b);   /* for CLEANUP: bson_destroy */
/* A member of that type and name, borrowed; false and NULL: there is none. */
bool mo_bson_document_at(const bson_t *b, const char *key, bson_t *to);
const char *mo_bson_text_at(const bson_t *b, const char *key);
/* The bytes are a whole document to its deepest level, at most MO_DEPTH_MOST deep. Unlike bson_validate it does not ask whether texts are UTF-8,
 * and does not end the process by a document of a million levels. */
bool mo_bson_is_sound(const bson_t *b);
/* For sound documents; array: the same as [...]. Bytes that are no UTF-8 become U+FFFD. */
void mo_ejson_print(const bson_t *b, bool array, struct buf *to);
/* As it is compared: numbers by value, whatever their type, as 1 or 1.5. */
void mo_ejson_facts(const bson_t *b, bool array, struct buf *to);
void mo_ejson_facts_value(const bson_iter_t *it, struct buf *to);
/* A text in quotation marks. */
void mo_ejson_text(struct buf *to, const char *text, size_t n);
/* One JSON object and nothing else but blanks; *to is the caller's, set on success only. ST_BAD with the place: no JSON, deeper than MO_DEPTH_MOST, NUL
 * in a key, a number that fits no type. A wrapper ({"$oid": ...}) that is not exactly of its form stays a document. */
enum status mo_ejson_parse(const char *text, size_t n, bson_t **to, struct error *err) MUST_CHECK;

/* ejson_types.c: the value that a document stands for is appended to `to`; false: it is a document. */
bool mo_ejson_unwrap(const bson_t *doc, const char *key, size_t key_len, bson_t *to);

#endif
