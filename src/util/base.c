#include "util/base.h"

#include <sys/uio.h>
#include <unistd.h>

void die(const char *what)
{
	char start[] = "drtool: ", end[] = "\n";
	const struct iovec line[] = {{start, sizeof start - 1}, {(void *)(uintptr_t)what, strlen(what)}, {end, 1}};
	ssize_t ignored = writev(2, line, (int)ARRAY_LEN(line));

	(void)ignored;
	abort();
}

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

void *xmalloc(size_t n) { return must(malloc(n ? n : 1)); }
void *xcalloc(size_t count, size_t n) { return must(calloc(count ? count : 1, n ? n : 1)); }
void *xrealloc(void *p, size_t n) { return must(realloc(p, n ? n : 1)); }
char *xstrdup(const char *s) { return must(strdup(s)); }
char *xstrndup(const char *s, size_t n) { return must(strndup(s, n)); }
void *xmemdup(const void *p, size_t n) { return n ? memcpy(xmalloc(n), p, n) : xmalloc(1); }

char *xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	return vasprintf(&s, fmt, ap) < 0 ? must(NULL) : s;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void cstr_release(char **s)
{
	free(*s);
	*s = NULL;
}

void fd_release(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void secure_zero(void *p, size_t n) { explicit_bzero(p, n); }
