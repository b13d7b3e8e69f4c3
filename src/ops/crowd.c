#include "ops/crowd.h"

#include "util/thread.h"

#define THREADS_MAX 16u

struct crowd {
	const struct crowd_work *work;
	struct run run;
	pthread_mutex_t mutex; /* guards all below */
	size_t next;
	struct error err;
};

static bool claim(struct crowd *c, size_t *i)
{
	mutex_lock(&c->mutex);
	bool more = !c->err.code && c->next < c->work->n;
	if (more)
		*i = c->next++;
	mutex_unlock(&c->mutex);
	return more;
}

static void work(void *arg)
{
	struct crowd *c = arg;
	size_t i;

	while (claim(c, &i)) {
		struct error err = ERROR_INIT;

		if (!c->work->fn(&c->run, c->work->ctx, i, &err))
			continue;
		mutex_lock(&c->mutex);
		error_keep_first(&c->err, &err);
		mutex_unlock(&c->mutex);
		cancel_fire(c->run.cancel, 0);
	}
}

enum status crowd_do(struct run *run, const struct crowd_work *w, struct error *err)
{
	CLEANUP(cancel_freep) struct cancel *stop = cancel_new(run->cancel);
	struct crowd c = {.work = w, .run = *run};
	struct thread thread[THREADS_MAX];
	unsigned started = 0;

	c.run.cancel = stop;
	mutex_init(&c.mutex);
	/* This thread is one of them, so that all is done even where no other can be started. */
	while (started + 1 < w->threads && started + 1 < w->n && started < THREADS_MAX) {
		struct error none = ERROR_INIT;

		if (thread_start(&thread[started], "copy", work, &c, &none)) {
			error_release(&none);
			break;
		}
		started++;
	}
	work(&c);
	for (unsigned i = 0; i < started; i++)
		thread_join(&thread[i]);
	mutex_destroy(&c.mutex);
	/* An outer cancel is told in its own words. */
	if (run_check(run, err)) {
		error_release(&c.err);
		return err->code;
	}
	return error_move(err, &c.err);
}
