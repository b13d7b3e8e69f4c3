#include "core/notes.h"

#include "util/thread.h"

enum { NOTES_MAX = 1000 };

struct notes {
	pthread_mutex_t mutex; /* guards all below */
	struct strlist list;
	bool told[NOTES_MAX]; /* of list: it is no warning */
	size_t beyond;
};

struct notes *notes_new(void)
{
	struct notes *n = xcalloc(1, sizeof(*n));

	mutex_init(&n->mutex);
	return n;
}

void notes_freep(struct notes **n)
{
	if (!*n)
		return;
	strlist_release(&(*n)->list);
	mutex_destroy(&(*n)->mutex);
	free(*n);
	*n = NULL;
}

static void put(struct notes *n, bool told, char *text)
{
	mutex_lock(&n->mutex);
	if (strlist_has(&n->list, text)) {
		free(text);
	} else if (n->list.len < NOTES_MAX) {
		n->told[n->list.len] = told;
		strlist_take(&n->list, text);
	} else {
		n->beyond++;
		free(text);
	}
	mutex_unlock(&n->mutex);
}

void notes_add(struct notes *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(n, false, xvasprintf(fmt, ap));
	va_end(ap);
}

void notes_tell(struct notes *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(n, true, xvasprintf(fmt, ap));
	va_end(ap);
}

void notes_each(struct notes *n, void (*fn)(void *ctx, bool warning, const char *text), void *ctx)
{
	mutex_lock(&n->mutex);
	for (size_t i = 0; i < n->list.len; i++)
		fn(ctx, !n->told[i], n->list.item[i]);
	if (n->beyond) {
		CLEANUP(cstr_release) char *text = xasprintf("and %zu more notes that were not kept", n->beyond);

		fn(ctx, true, text);
	}
	mutex_unlock(&n->mutex);
}

static void copy_one(void *to, bool warning UNUSED, const char *text) { strlist_add(to, text); }

void notes_copy(struct notes *n, struct strlist *to) { notes_each(n, copy_one, to); }
