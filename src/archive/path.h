/* Names of entries. True names of databases, schemas and tables become safe path components; the true names are in the index. */
#ifndef ARCHIVE_PATH_H
#define ARCHIVE_PATH_H

#include "util/buf.h"

/* Appends one component: valid UTF-8 stays; '/', '\\', '%', control and invalid bytes, a leading dot are percent-encoded
 * (upper-case hex); an empty one, and one above 180 bytes, which is cut (not inside a character or escape), is ended by '~' and the
 * first 16 hex digits of SHA-256 of the true name. */
void path_component(struct buf *to, const char *name);

/* Remembers the paths given out in one archive so that no two are equal even where case is ignored (Unicode simple folding is not
 * attempted: ASCII case only, plus any two that differ only in non-ASCII bytes are told apart by bytes). */
struct path_set;
struct path_set *path_set_new(void);
/* Puts components together with '/', below prefix ("" for none). Where the result is taken, the last one ends by '~' and 16 hex
 * digits of SHA-256 of the true names. Owned by the caller. One thread at a time. */
char *path_set_make(struct path_set *s, const char *prefix, const char *const *component, size_t n);
void path_set_freep(struct path_set **s);

/* True for a relative path without empty, "." or ".." components, backslash, NUL and control bytes, at most 1000 bytes: what a
 * reader accepts. */
bool path_is_safe(const char *path);

#endif
