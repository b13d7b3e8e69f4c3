/* A growable byte buffer that is also a C string: data[len] is always 0 where there is data. */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include "util/base.h"

struct buf {
	char *data; /* owned; NULL while empty and never grown */
	size_t len, cap;
};
#define BUF_INIT {0}

void buf_reserve(struct buf *b, size_t extra);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void buf_hex(struct buf *b, const void *p, size_t n); /* lower case */
void buf_shell_word(struct buf *b, const char *s);    /* as one word of a shell command, whatever bytes it has */
void buf_clear(struct buf *b);                        /* keeps the memory */
void buf_release(struct buf *b);
const char *buf_str(const struct buf *b); /* "" while empty, never NULL */
/* The caller owns the string; the buffer is empty again. Never NULL. */
char *buf_detach(struct buf *b);

/* A list of owned strings. */
struct strlist {
	char **item;
	size_t len, cap;
};
#define STRLIST_INIT {0}
void strlist_add(struct strlist *l, const char *s);
void strlist_add_once(struct strlist *l, const char *s); /* where it is not there yet */
void strlist_take(struct strlist *l, char *s); /* owns s from now on */
bool strlist_has(const struct strlist *l, const char *s);
/* True where one of the list's shell patterns fits s. */
bool strlist_matches(const struct strlist *patterns, const char *s);
void strlist_sort(struct strlist *l); /* byte order */
void strlist_release(struct strlist *l);

#endif
