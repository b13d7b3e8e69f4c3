#include "ops/kept.h"

#include "util/thread.h"

/* A list is looked through: enough ranges for a few tables, too few to be slow. */
#define RANGES_MAX 512

struct range {
	struct range *next;
	uint64_t offset;
	uint32_t volume;
	size_t n;
	unsigned char bytes[];
};

struct kept {
	pthread_mutex_t mutex; /* guards all */
	struct range *first;
	size_t left, ranges;
};

struct kept *kept_new(size_t limit)
{
	struct kept *k = xcalloc(1, sizeof *k);

	mutex_init(&k->mutex);
	k->left = limit;
	return k;
}

void kept_freep(struct kept **k)
{
	if (!*k)
		return;
	while ((*k)->first) {
		struct range *r = (*k)->first;

		(*k)->first = r->next;
		free(r);
	}
	mutex_destroy(&(*k)->mutex);
	free(*k);
	*k = NULL;
}

void kept_put(struct kept *k, uint32_t volume, uint64_t offset, const void *p, size_t n)
{
	mutex_lock(&k->mutex);
	if (n <= k->left && k->ranges < RANGES_MAX) {
		struct range *r = xmalloc(sizeof *r + n);

		*r = (struct range){.next = k->first, .offset = offset, .volume = volume, .n = n};
		memcpy(r->bytes, p, n);
		k->first = r;
		k->left -= n;
		k->ranges++;
	}
	mutex_unlock(&k->mutex);
}

bool kept_take(struct kept *k, uint32_t volume, uint64_t offset, void *to, size_t n)
{
	struct range *found = NULL;

	mutex_lock(&k->mutex);
	for (struct range **r = &k->first; *r && !found; r = &(*r)->next)
		if ((*r)->volume == volume && (*r)->offset == offset && (*r)->n == n) {
			found = *r;
			*r = found->next;
			k->left += n;
			k->ranges--;
			break;
		}
	mutex_unlock(&k->mutex);
	if (!found)
		return false;
	memcpy(to, found->bytes, n);
	free(found);
	return true;
}
