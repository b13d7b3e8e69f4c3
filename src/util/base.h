/* What every file includes first: the standard headers, checked allocation and the banned functions. */
#ifndef UTIL_BASE_H
#define UTIL_BASE_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The one cleanup style of the project: a local is declared with CLEANUP(x_release) and its _INIT value,
 * and is released on every way out. Release on an _INIT value does nothing. No goto. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* Small allocations: a failing one ends the process with a message. Large, budgeted memory is taken from
 * the pipeline's pool, which returns an error. */
void *xmalloc(size_t n) __attribute__((malloc));
void *xcalloc(size_t count, size_t n) __attribute__((malloc));
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s) __attribute__((malloc));
char *xstrndup(const char *s, size_t n) __attribute__((malloc));
void *xmemdup(const void *p, size_t n) __attribute__((malloc));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0);

/* Ends the process by abort with "drtool: <what>" on stderr: a bug of drtool, or a resource without which nothing goes on. */
void die(const char *what) __attribute__((noreturn));

/* Cleanup functions for the plain types. */
void cstr_release(char **s);  /* free and NULL */
void fd_release(int *fd);     /* close and -1; -1 is none */
#define FD_INIT (-1)

/* Overwrites secrets in a way that the compiler keeps. */
void secure_zero(void *p, size_t n);

/* Unbounded, ambiguous or not thread-safe. With _FORTIFY_SOURCE two of them are macros for clang. */
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets gmtime localtime ctime asctime atoi atol strncpy strerror

#endif
