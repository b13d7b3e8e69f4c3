#include "util/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

#define STACK_SIZE (512 * 1024)
#define NAME_SIZE 16

struct start {
	void (*fn)(void *arg);
	void *arg;
	char name[NAME_SIZE];
};

static void must(int errnum, const char *what)
{
	if (errnum)
		die(what);
}

static void *thread_main(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	pthread_setname_np(pthread_self(), s.name);
	s.fn(s.arg);
	return NULL;
}

static int create(pthread_t *id, struct start *s)
{
	pthread_attr_t attr;
	sigset_t all, before;

	must(pthread_attr_init(&attr), "pthread_attr_init failed");
	must(pthread_attr_setstacksize(&attr, STACK_SIZE), "pthread_attr_setstacksize failed");
	sigfillset(&all);
	must(pthread_sigmask(SIG_SETMASK, &all, &before), "pthread_sigmask failed");
	int failed = pthread_create(id, &attr, thread_main, s);
	must(pthread_sigmask(SIG_SETMASK, &before, NULL), "pthread_sigmask failed");
	pthread_attr_destroy(&attr);
	return failed;
}

enum status thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg, struct error *err)
{
	struct start *s = xcalloc(1, sizeof *s);

	s->fn = fn;
	s->arg = arg;
	snprintf(s->name, sizeof s->name, "%.15s", name);
	int failed = create(&t->id, s);
	if (failed) {
		free(s);
		return error_errno(err, failed, "cannot start the thread %s", name);
	}
	t->started = true;
	return ST_OK;
}

void thread_join(struct thread *t)
{
	if (!t->started)
		return;
	must(pthread_join(t->id, NULL), "pthread_join failed");
	t->started = false;
}

static atomic_bool left_behind;

void thread_leave_behind(struct thread *t)
{
	atomic_store(&left_behind, true);
	pthread_detach(t->id);
}

bool threads_left_behind(void) { return atomic_load(&left_behind); }

void mutex_init(pthread_mutex_t *m) { must(pthread_mutex_init(m, NULL), "pthread_mutex_init failed"); }
void mutex_lock(pthread_mutex_t *m) { must(pthread_mutex_lock(m), "pthread_mutex_lock failed"); }
void mutex_unlock(pthread_mutex_t *m) { must(pthread_mutex_unlock(m), "pthread_mutex_unlock failed"); }
void mutex_destroy(pthread_mutex_t *m) { must(pthread_mutex_destroy(m), "pthread_mutex_destroy failed"); }

void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr), "pthread_condattr_init failed");
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), "pthread_condattr_setclock failed");
	must(pthread_cond_init(c, &attr), "pthread_cond_init failed");
	pthread_condattr_destroy(&attr);
}

void cond_wait(pthread_cond_t *c, pthread_mutex_t *m) { must(pthread_cond_wait(c, m), "pthread_cond_wait failed"); }

bool cond_wait_for(pthread_cond_t *c, pthread_mutex_t *m, struct duration d)
{
	struct timespec ts;
	int64_t us = d.us > 0 ? d.us : 0;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	us += ts.tv_nsec / 1000;
	ts.tv_sec += (time_t)(us / 1000000);
	ts.tv_nsec = (long)(us % 1000000 * 1000);
	int r = pthread_cond_timedwait(c, m, &ts);
	if (r == ETIMEDOUT)
		return false;
	must(r, "pthread_cond_timedwait failed");
	return true;
}

void cond_signal(pthread_cond_t *c) { must(pthread_cond_signal(c), "pthread_cond_signal failed"); }
void cond_broadcast(pthread_cond_t *c) { must(pthread_cond_broadcast(c), "pthread_cond_broadcast failed"); }
void cond_destroy(pthread_cond_t *c) { must(pthread_cond_destroy(c), "pthread_cond_destroy failed"); }

struct queue {
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t not_full, not_empty;
	size_t capacity, first, count;
	bool closed, aborted;
	void *item[];
};

struct queue *queue_new(size_t capacity)
{
	size_t n = capacity ? capacity : 1;
	struct queue *q = xcalloc(1, sizeof *q + n * sizeof q->item[0]);

	q->capacity = n;
	mutex_init(&q->mutex);
	cond_init(&q->not_full);
	cond_init(&q->not_empty);
	return q;
}

bool queue_push(struct queue *q, void *item)
{
	mutex_lock(&q->mutex);
	while (q->count == q->capacity && !q->closed)
		cond_wait(&q->not_full, &q->mutex);
	bool taken = !q->closed;
	if (taken) {
		q->item[(q->first + q->count++) % q->capacity] = item;
		cond_signal(&q->not_empty);
	}
	mutex_unlock(&q->mutex);
	return taken;
}

static bool take_locked(struct queue *q, void **item)
{
	if (!q->count)
		return false;
	*item = q->item[q->first];
	q->first = (q->first + 1) % q->capacity;
	q->count--;
	cond_signal(&q->not_full);
	return true;
}

bool queue_pop(struct queue *q, void **item)
{
	mutex_lock(&q->mutex);
	while (!q->count && !q->closed)
		cond_wait(&q->not_empty, &q->mutex);
	bool got = !q->aborted && take_locked(q, item);
	mutex_unlock(&q->mutex);
	return got;
}

bool queue_try_pop(struct queue *q, void **item)
{
	mutex_lock(&q->mutex);
	bool got = take_locked(q, item);
	mutex_unlock(&q->mutex);
	return got;
}

static void close_queue(struct queue *q, bool aborted)
{
	mutex_lock(&q->mutex);
	q->closed = true;
	q->aborted = q->aborted || aborted;
	cond_broadcast(&q->not_full);
	cond_broadcast(&q->not_empty);
	mutex_unlock(&q->mutex);
}

void queue_close(struct queue *q) { close_queue(q, false); }
void queue_abort(struct queue *q) { close_queue(q, true); }

void queue_freep(struct queue **q)
{
	if (!*q)
		return;
	cond_destroy(&(*q)->not_full);
	cond_destroy(&(*q)->not_empty);
	mutex_destroy(&(*q)->mutex);
	free(*q);
	*q = NULL;
}
