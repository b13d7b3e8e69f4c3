#include <strings.h>

#include "net/http_internal.h"

static void add_taken(struct http_headers *h, char *name, char *value)
{
	if (h->len == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 16;
		h->item = xrealloc(h->item, h->cap * sizeof *h->item);
	}
	for (char *p = value; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			*p = ' ';
	h->item[h->len++] = (struct http_header){.name = name, .value = value};
}

void http_headers_add(struct http_headers *h, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_taken(h, xstrdup(name), xvasprintf(fmt, ap));
	va_end(ap);
}

void http_headers_add_line(struct http_headers *h, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n), *end = line + n;

	if (!colon || colon == line)
		return;
	const char *value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	add_taken(h, xstrndup(line, (size_t)(colon - line)), xstrndup(value, (size_t)(end - value)));
}

const char *http_headers_get(const struct http_headers *h, const char *name)
{
	for (size_t i = 0; i < h->len; i++)
		if (!strcasecmp(h->item[i].name, name))
			return h->item[i].value;
	return NULL;
}

void http_headers_release(struct http_headers *h)
{
	for (size_t i = 0; i < h->len; i++) {
		secure_zero(h->item[i].value, strlen(h->item[i].value));
		free(h->item[i].name);
		free(h->item[i].value);
	}
	free(h->item);
	*h = (struct http_headers)HTTP_HEADERS_INIT;
}

void http_answer_release(struct http_answer *a)
{
	http_headers_release(&a->headers);
	if (a->body.data)
		secure_zero(a->body.data, a->body.cap);
	buf_release(&a->body);
	*a = (struct http_answer)HTTP_ANSWER_INIT;
}
