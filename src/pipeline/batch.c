#include "pipeline/batch.h"

#include "archive/archive.h"
#include "util/thread.h"

#define ROUND_TO 4096u

struct batch_pool {
	struct region memory;
	struct batch *batch; /* all */
	unsigned count;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t given;
	struct batch **shelf; /* the free ones, a stack */
	unsigned on_shelf;
	bool aborted;
};

size_t batch_payload(uint32_t chunk_size) { return (size_t)chunk_size + BATCH_EXTRA; }

size_t batch_size(uint32_t chunk_size)
{
	return (batch_payload(chunk_size) + 2 * MEMBER_ROOM + ROUND_TO - 1) / ROUND_TO * ROUND_TO;
}

enum status batch_pool_new(struct batch_pool **to, unsigned count, uint32_t chunk_size, struct error *err)
{
	struct region memory = REGION_INIT;

	if (region_map(&memory, count * batch_size(chunk_size), err))
		return err->code;
	struct batch_pool *p = xcalloc(1, sizeof *p);
	p->memory = memory;
	p->count = count;
	p->batch = xcalloc(count, sizeof *p->batch);
	p->shelf = xcalloc(count, sizeof(struct batch *));
	mutex_init(&p->mutex);
	cond_init(&p->given);
	for (unsigned i = 0; i < count; i++) {
		p->batch[i].payload = memory.p + i * batch_size(chunk_size) + MEMBER_ROOM;
		p->shelf[p->on_shelf++] = &p->batch[i];
	}
	*to = p;
	return ST_OK;
}

struct batch *batch_take(struct batch_pool *p)
{
	mutex_lock(&p->mutex);
	while (!p->on_shelf && !p->aborted)
		cond_wait(&p->given, &p->mutex);
	struct batch *b = p->aborted ? NULL : p->shelf[--p->on_shelf];
	mutex_unlock(&p->mutex);
	if (b)
		b->used = b->cuts = 0;
	return b;
}

void batch_give(struct batch_pool *p, struct batch *b)
{
	mutex_lock(&p->mutex);
	p->shelf[p->on_shelf++] = b;
	cond_signal(&p->given);
	mutex_unlock(&p->mutex);
}

void batch_pool_abort(struct batch_pool *p)
{
	mutex_lock(&p->mutex);
	p->aborted = true;
	cond_broadcast(&p->given);
	mutex_unlock(&p->mutex);
}

void batch_pool_trim(struct batch_pool *p) { region_trim(&p->memory); }

void batch_pool_freep(struct batch_pool **p)
{
	if (!*p)
		return;
	region_release(&(*p)->memory);
	cond_destroy(&(*p)->given);
	mutex_destroy(&(*p)->mutex);
	free((*p)->batch);
	free((*p)->shelf);
	free(*p);
	*p = NULL;
}
