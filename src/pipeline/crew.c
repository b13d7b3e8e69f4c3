#include "pipeline/crew.h"

#define LOOK_AGAIN DURATION_SECONDS(3600)
#define INTERRUPT_AGAIN DURATION_SECONDS(1)

void crew_begin(struct crew *c, const struct run *outer, const struct crew_calls *calls)
{
	*c = (struct crew){.run = *outer, .calls = *calls};
	c->stop = cancel_new(outer->cancel);
	c->run.cancel = c->stop;
	mutex_init(&c->mutex);
	cond_init(&c->left);
}

void crew_hold(struct crew *c)
{
	mutex_lock(&c->mutex);
	c->held++;
	mutex_unlock(&c->mutex);
}

void crew_drop(struct crew *c)
{
	mutex_lock(&c->mutex);
	if (!--c->held)
		cancel_fire(c->stop, 0); /* wakes the coordinator; nobody else is left to see it */
	mutex_unlock(&c->mutex);
}

void crew_fail(struct crew *c, struct error *err)
{
	mutex_lock(&c->mutex);
	bool first = !c->failed;
	if (first) {
		c->failed = true;
		error_move(&c->err, err);
	}
	mutex_unlock(&c->mutex);
	error_release(err);
	if (!first)
		return;
	c->calls.abort(c->calls.ctx);
	cancel_fire(c->stop, 0);
}

bool crew_enter(struct crew *c, unsigned slot, void *worker)
{
	mutex_lock(&c->mutex);
	bool on = !c->failed;
	if (on)
		c->worker[slot] = worker;
	mutex_unlock(&c->mutex);
	return on;
}

void crew_leave(struct crew *c, unsigned slot)
{
	mutex_lock(&c->mutex);
	c->worker[slot] = NULL;
	cond_broadcast(&c->left);
	mutex_unlock(&c->mutex);
}

/* Again and again until all are closed: a worker between two of its calls may miss an interrupt. */
static void interrupt_all(struct crew *c)
{
	mutex_lock(&c->mutex);
	for (;;) {
		bool any = false;

		for (unsigned i = 0; i < CREW_WORKERS; i++)
			if (c->worker[i]) {
				any = true;
				c->calls.interrupt(c->calls.ctx, c->worker[i]);
			}
		if (!any)
			break;
		cond_wait_for(&c->left, &c->mutex, INTERRUPT_AGAIN);
	}
	mutex_unlock(&c->mutex);
}

bool crew_wait(struct crew *c)
{
	struct error err = ERROR_INIT;

	while (!run_sleep(&c->run, LOOK_AGAIN, &err))
		;
	/* Ended, failed, cancelled from outside, or too late: which of them, the state says. */
	mutex_lock(&c->mutex);
	bool over = c->failed || !c->held;
	bool failed = c->failed || !over;
	mutex_unlock(&c->mutex);
	if (over)
		error_release(&err);
	else
		crew_fail(c, &err);
	if (failed)
		interrupt_all(c);
	return !failed;
}

enum status crew_end(struct crew *c, struct error *err)
{
	enum status st = c->failed ? error_move(err, &c->err) : ST_OK;

	error_release(&c->err);
	cancel_free(c->stop);
	cond_destroy(&c->left);
	mutex_destroy(&c->mutex);
	*c = (struct crew){0};
	return st;
}
