/* The only way to a thread, and the bounded queue between threads. */
#ifndef UTIL_THREAD_H
#define UTIL_THREAD_H

#include <pthread.h>

#include "util/error.h"
#include "util/time.h"

struct thread {
	pthread_t id;
	bool started;
};
#define THREAD_INIT {0}
/* Starts fn(arg) with all signals blocked, a name of at most 15 bytes for ps and gdb, and a stack of 512 KiB. */
enum status thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg, struct error *err) MUST_CHECK;
void thread_join(struct thread *t); /* nothing where it was not started */
/* Nobody waits for it any more: it hangs. From now on the process ends by _exit, because the thread may be inside a library that would be taken down. */
void thread_leave_behind(struct thread *t);
bool threads_left_behind(void);

/* Wrappers that end the process where the primitive itself is misused. */
void mutex_init(pthread_mutex_t *m);
void mutex_lock(pthread_mutex_t *m);
void mutex_unlock(pthread_mutex_t *m);
void mutex_destroy(pthread_mutex_t *m);
void cond_init(pthread_cond_t *c); /* CLOCK_MONOTONIC */
void cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
bool cond_wait_for(pthread_cond_t *c, pthread_mutex_t *m, struct duration d); /* false: time over */
void cond_signal(pthread_cond_t *c);
void cond_broadcast(pthread_cond_t *c);
void cond_destroy(pthread_cond_t *c);

/* A bounded first-in first-out queue of pointers. Any number of producers and consumers. Push takes ownership on success; what is
 * left at the end belongs to the caller, who takes it out before queue_freep: by queue_pop after queue_close, by queue_try_pop also
 * after queue_abort. */
struct queue;
struct queue *queue_new(size_t capacity);
bool queue_push(struct queue *q, void *item);  /* waits for room; false: closed, the item stays the caller's */
bool queue_pop(struct queue *q, void **item);  /* waits for an item; false: closed and empty */
bool queue_try_pop(struct queue *q, void **item); /* false: nothing there now */
void queue_close(struct queue *q);             /* wakes all; pushes fail from now on */
void queue_abort(struct queue *q);             /* as close, and pop answers false at once even with items left */
void queue_freep(struct queue **q);

#endif
