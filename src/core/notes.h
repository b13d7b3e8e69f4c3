/* What is worth saying but is no failure. The same list reaches manifest, log and terminal. Any thread. */
#ifndef CORE_NOTES_H
#define CORE_NOTES_H

#include "util/buf.h"

struct notes;
struct notes *notes_new(void);
void notes_freep(struct notes **n);
/* Equal texts are kept once; beyond 1000 only counted. */
void notes_add(struct notes *n, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same for what needs nobody's attention, such as the way in which something was done: no warning. */
void notes_tell(struct notes *n, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A copy of all, in order of arrival. */
void notes_copy(struct notes *n, struct strlist *to);
/* Calls fn with each, in order of arrival, and whether it is a warning. fn adds none. */
void notes_each(struct notes *n, void (*fn)(void *ctx, bool warning, const char *text), void *ctx);

#endif
