/* Helpers over jansson: typed members with errors that name the path, strict parsing, and writing into a buf. */
#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include <jansson.h>

#include "util/buf.h"
#include "util/error.h"
#include "util/hash.h"
#include "util/time.h"

/* Duplicate keys, trailing bytes and depth above 64 are errors (ST_BAD, with line and column). */
enum status js_parse(const void *p, size_t n, const char *what, json_t **root, struct error *err) MUST_CHECK;
void js_decref(json_t **j); /* for CLEANUP */
void js_write(const json_t *j, bool pretty, struct buf *to); /* keys in insertion order; compact has no spaces */

/* A required member of the type; ST_BAD names what and key. What is given is borrowed from obj. The optional
 * forms give `otherwise` where the key is absent, null or of another type. */
enum status js_str(const json_t *obj, const char *what, const char *key, const char **to, struct error *err) MUST_CHECK;
enum status js_u64(const json_t *obj, const char *what, const char *key, uint64_t *to, struct error *err) MUST_CHECK;
enum status js_bool(const json_t *obj, const char *what, const char *key, bool *to, struct error *err) MUST_CHECK;
enum status js_time(const json_t *obj, const char *what, const char *key, struct instant *to, struct error *err) MUST_CHECK;
enum status js_arr(const json_t *obj, const char *what, const char *key, json_t **to, struct error *err) MUST_CHECK;
enum status js_obj(const json_t *obj, const char *what, const char *key, json_t **to, struct error *err) MUST_CHECK;
const char *js_opt_str(const json_t *obj, const char *key, const char *otherwise);
uint64_t js_opt_u64(const json_t *obj, const char *key, uint64_t otherwise);
bool js_opt_bool(const json_t *obj, const char *key, bool otherwise);
struct instant js_opt_time(const json_t *obj, const char *key);

/* "format" is the word, "version" at most the newest, "requires" has known words only; else ST_BAD, or ST_UNSUPPORTED with the hint for a later one. */
struct js_format {
	const char *word;
	uint64_t newest;
	const char *hint;
	const char *const *words; /* of "requires" that are known, NULL-terminated; NULL: none */
};
enum status js_format(const json_t *obj, const char *what, const struct js_format *f, struct error *err) MUST_CHECK;

/* Setting members. A string that is not valid UTF-8 is set with its invalid bytes as \uFFFD and reported false; NULL sets nothing.
 * A number above INT64_MAX ends the process: values that large are written as text. */
bool js_set_str(json_t *obj, const char *key, const char *s);
void js_set_u64(json_t *obj, const char *key, uint64_t n);
void js_set_bool(json_t *obj, const char *key, bool b);
void js_set_time(json_t *obj, const char *key, struct instant t); /* ISO; INSTANT_NONE sets nothing */
void js_set_sha256(json_t *obj, const char *key, struct sha256 h);
void js_set_hash128(json_t *obj, const char *key, struct hash128 h);
void js_set_new(json_t *obj, const char *key, json_t *value); /* takes value */
void js_add_str(json_t *array, const char *s);
json_t *js_list(const struct strlist *l); /* array of its texts; owned by the caller */

#endif
