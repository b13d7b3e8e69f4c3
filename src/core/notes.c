#include "core/notes.h"

#include "util/thread.h"

enum { NOTES_MAX = 1000 };

struct notes {
	pthread_mutex_t mutex; /* guards all below */
	struct strlist list;
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

void notes_add(struct notes *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = xvasprintf(fmt, ap);

	va_end(ap);
	mutex_lock(&n->mutex);
	if (strlist_has(&n->list, text)) {
		free(text);
	} else if (n->list.len < NOTES_MAX) {
		strlist_take(&n->list, text);
	} else {
		n->beyond++;
		free(text);
	}
	mutex_unlock(&n->mutex);
}

void notes_copy(struct notes *n, struct strlist *to)
{
	mutex_lock(&n->mutex);
	for (size_t i = 0; i < n->list.len; i++)
		strlist_add(to, n->list.item[i]);
	if (n->beyond)
		strlist_take(to, xasprintf("and %zu more notes that were not kept", n->beyond));
	mutex_unlock(&n->mutex);
}
