#include "storage/set_member.h"

#define UNDO_TIME DURATION_SECONDS(15)

struct hub *hub_new(void)
{
	struct hub *h = xcalloc(1, sizeof *h);

	mutex_init(&h->mutex);
	cond_init(&h->moved);
	h->refs = 1;
	return h;
}

void hub_unref(struct hub *h)
{
	mutex_lock(&h->mutex);
	bool last = --h->refs == 0;
	mutex_unlock(&h->mutex);
	if (!last)
		return;
	cond_destroy(&h->moved);
	mutex_destroy(&h->mutex);
	free(h);
}

static void block_unref(struct hub *h, struct store_block *b)
{
	mutex_lock(&h->mutex);
	bool last = --b->refs == 0;
	if (last) {
		h->in_flight -= b->n;
		cond_signal(&h->moved);
	}
	mutex_unlock(&h->mutex);
	if (last)
		b->release(b->ctx, b);
}

void step_free(struct hub *h, struct step *s)
{
	if (s->block)
		block_unref(h, s->block);
	free(s->key);
	free(s->token);
	free(s->bytes);
	free(s);
}

struct set_member *set_member_new(struct run *run, struct hub *hub, struct storage *storage)
{
	struct set_member *m = xcalloc(1, sizeof *m);

	m->hub = hub;
	m->storage = (struct storage){.ops = storage->ops, .priv = storage->priv};
	m->owner = storage;
	/* Not a child of the run's token, which may be freed while this thread hangs; store_set passes a cancel on. */
	m->run = (struct run){.cancel = cancel_new(NULL), .deadline = run->deadline, .clock = run->clock, .seed = run->seed};
	m->last = &m->first;
	m->refs = 1;
	cond_init(&m->work);
	mutex_lock(&hub->mutex);
	hub->refs++;
	mutex_unlock(&hub->mutex);
	return m;
}

void set_member_unref(struct set_member *m)
{
	struct hub *hub = m->hub;

	mutex_lock(&hub->mutex);
	bool last = --m->refs == 0;
	mutex_unlock(&hub->mutex);
	if (!last)
		return;
	cancel_free(m->run.cancel);
	cond_destroy(&m->work);
	error_release(&m->err);
	strlist_release(&m->keys);
	free(m->key);
	free(m);
	hub_unref(hub);
}

void set_member_push(struct set_member *m, struct step *s, struct instant now)
{
	if (set_member_idle(m))
		m->moved = now;
	s->next = NULL;
	*m->last = s;
	m->last = &s->next;
	cond_signal(&m->work);
}

bool set_member_idle(const struct set_member *m) { return !m->first && !m->busy; }

void set_member_fail(struct set_member *m, struct error *err)
{
	if (m->failed) {
		error_release(err);
		return;
	}
	m->failed = true;
	error_move(&m->err, err);
	if (m->doing && m->doing->block && !m->lost) {
		m->lost = true;
		if (!m->doing->block->lost++) /* once, however many hang in it */
			m->hub->lost += m->doing->block->n;
	}
	cancel_fire(m->run.cancel, 0);
}

static void put_drop(struct set_member *m)
{
	m->storage.ops->put_abort(m->put);
	m->put = NULL;
}

static enum status do_end(struct set_member *m, struct error *err)
{
	struct storage_object o = {0};
	struct instant start = run_mono(&m->run);
	struct storage_put *put = m->put;

	m->put = NULL;
	if (m->storage.ops->put_finish(&m->run, put, &o, err))
		return err->code;
	struct duration took = instant_diff(run_mono(&m->run), start);
	if (o.size != m->object_size)
		return error_set(err, ST_IO, "%s: the store holds %" PRIu64 " bytes after %" PRIu64 " were written", m->key,
				 o.size, m->object_size);
	mutex_lock(&m->hub->mutex);
	m->sync_time.us += took.us;
	if (!m->keys.len || o.proof < m->proof)
		m->proof = o.proof;
	strlist_add(&m->keys, m->key);
	mutex_unlock(&m->hub->mutex);
	return ST_OK;
}

/* The storage is at work, though no step ends. From any of its threads. */
static void still_alive(void *ctx)
{
	struct set_member *m = ctx;

	mutex_lock(&m->hub->mutex);
	m->moved = run_mono(&m->run);
	mutex_unlock(&m->hub->mutex);
}

static enum status do_put(struct set_member *m, const struct step *s, struct error *err)
{
	const struct put_spec spec = {.key = s->key, .condition = s->condition, .token = s->token, .retain = s->retain,
				      .alive = still_alive, .alive_ctx = m};

	if (storage_put_bytes(&m->run, &m->storage, &spec, s->bytes, s->n, NULL, err))
		return err->code;
	mutex_lock(&m->hub->mutex);
	if (s->condition == PUT_ABSENT) /* else something may have been there before, which undo must not take away */
		strlist_add(&m->keys, s->key);
	mutex_unlock(&m->hub->mutex);
	return ST_OK;
}

static enum status do_write(struct set_member *m, const struct store_block *b, struct error *err)
{
	if (!m->put)
		return error_set(err, ST_IO, "nothing is open to be written");
	if (m->storage.ops->put_write(&m->run, m->put, b->p, b->n, err))
		return err->code;
	m->object_size += b->n;
	mutex_lock(&m->hub->mutex);
	m->written += b->n;
	mutex_unlock(&m->hub->mutex);
	return ST_OK;
}

static enum status do_begin(struct set_member *m, const struct step *s, struct error *err)
{
	const struct put_spec spec = {.key = s->key, .condition = PUT_ABSENT, .retain = true, .bulk = true,
				      .alive = still_alive, .alive_ctx = m};

	free(m->key);
	m->key = xstrdup(s->key);
	m->object_size = 0;
	return storage_put_open(&m->run, &m->storage, &spec, &m->put, err);
}

/* Best effort, after a failure that fired the token of this member. */
static void do_delete(struct set_member *m, const char *key)
{
	struct run run = run_after(&m->run, UNDO_TIME);
	struct error ignored = ERROR_INIT;

	if (storage_delete(&run, &m->storage, key, NULL, &ignored))
		error_release(&ignored);
}

static enum status do_step(struct set_member *m, const struct step *s, struct error *err)
{
	switch (s->kind) {
	case STEP_BEGIN:
		return do_begin(m, s, err);
	case STEP_WRITE:
		return do_write(m, s->block, err);
	case STEP_END:
		return do_end(m, err);
	case STEP_PUT:
		return do_put(m, s, err);
	case STEP_DELETE:
		do_delete(m, s->key);
		return ST_OK;
	case STEP_ABORT:
	case STEP_STOP:
		put_drop(m);
		return ST_OK;
	}
	return ST_OK;
}

static struct step *take_step(struct set_member *m)
{
	while (!m->first)
		cond_wait(&m->work, &m->hub->mutex);
	struct step *s = m->first;
	m->first = s->next;
	if (!m->first)
		m->last = &m->first;
	m->doing = s;
	m->busy = true;
	return s;
}

/* Does one step with the mutex released around it. False: the thread ends. */
static bool one_step(struct set_member *m, bool *abandoned)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct step *s = take_step(m);
	bool skip = m->failed && s->kind <= STEP_PUT;

	mutex_unlock(&m->hub->mutex);
	enum status st = skip ? ST_OK : do_step(m, s, &err);
	if (st)
		put_drop(m);
	mutex_lock(&m->hub->mutex);
	*abandoned = m->abandoned;
	if (*abandoned) {
		s->block = NULL; /* its owner has given it up */
		step_free(m->hub, s);
		return false;
	}
	if (m->lost) {
		m->lost = false;
		if (!--s->block->lost)
			m->hub->lost -= s->block->n;
	}
	m->doing = NULL;
	if (st)
		set_member_fail(m, &err);
	bool go_on = s->kind != STEP_STOP;
	mutex_unlock(&m->hub->mutex);
	step_free(m->hub, s);
	mutex_lock(&m->hub->mutex);
	m->busy = false;
	m->moved = run_mono(&m->run);
	cond_signal(&m->hub->moved);
	return go_on;
}

static void set_member_main(void *arg)
{
	struct set_member *m = arg;
	bool abandoned = false;

	mutex_lock(&m->hub->mutex);
	while (one_step(m, &abandoned))
		;
	m->ended = true;
	cond_signal(&m->hub->moved);
	mutex_unlock(&m->hub->mutex);
	if (abandoned)
		put_drop(m);
	set_member_unref(m);
}

enum status set_member_start(struct set_member *m, struct error *err)
{
	mutex_lock(&m->hub->mutex);
	m->refs++;
	mutex_unlock(&m->hub->mutex);
	if (!thread_start(&m->thread, "store", set_member_main, m, err))
		return ST_OK;
	set_member_unref(m);
	return err->code;
}
