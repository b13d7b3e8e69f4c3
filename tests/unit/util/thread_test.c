#include "util/thread.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/lib/test.h"

static void note_thread(void *arg)
{
	char *name = arg;
	sigset_t mask;

	pthread_getname_np(pthread_self(), name, 16);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	name[16] = (char)(sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM));
}

TEST("a thread has its name and all signals blocked, and the starter's mask is as before")
{
	struct thread t = THREAD_INIT;
	struct error e = ERROR_INIT;
	char name[17] = "";
	sigset_t mask;

	CHECK_OK(thread_start(&t, "a name that is too long", note_thread, name, &e), e);
	thread_join(&t);
	thread_join(&t);
	CHECK_STR(name, "a name that is ");
	CHECK_INT(name[16], 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CHECK(!sigismember(&mask, SIGINT));
}

TEST("joining a thread that was not started does nothing")
{
	struct thread t = THREAD_INIT;

	thread_join(&t);
	CHECK(!t.started);
}

struct gate {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool open;
};

static void open_gate(void *arg)
{
	struct gate *g = arg;

	usleep(10000);
	mutex_lock(&g->mutex);
	g->open = true;
	cond_broadcast(&g->cond);
	mutex_unlock(&g->mutex);
}

TEST("a timed wait ends by its time or by the signal")
{
	struct gate g = {.open = false};
	struct thread t = THREAD_INIT;
	struct error e = ERROR_INIT;
	bool in_time = true;

	mutex_init(&g.mutex);
	cond_init(&g.cond);
	mutex_lock(&g.mutex);
	CHECK(!cond_wait_for(&g.cond, &g.mutex, DURATION_MS(5)));
	CHECK(!cond_wait_for(&g.cond, &g.mutex, DURATION_MS(-5)));
	CHECK_OK(thread_start(&t, "opener", open_gate, &g, &e), e);
	while (!g.open && in_time)
		in_time = cond_wait_for(&g.cond, &g.mutex, DURATION_SECONDS(50));
	CHECK(in_time && g.open);
	mutex_unlock(&g.mutex);
	thread_join(&t);
	cond_destroy(&g.cond);
	mutex_destroy(&g.mutex);
}

TEST("a queue gives items in the order they came in")
{
	CLEANUP(queue_freep) struct queue *q = queue_new(3);
	int n[3] = {0, 1, 2};
	void *item = NULL;

	CHECK(!queue_try_pop(q, &item));
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 3; i++)
			CHECK(queue_push(q, &n[i]));
		for (int i = 0; i < 3; i++) {
			CHECK(i % 2 ? queue_try_pop(q, &item) : queue_pop(q, &item));
			CHECK(item == &n[i]);
		}
	}
}

TEST("a closed queue refuses items and gives what it holds before it says so")
{
	CLEANUP(queue_freep) struct queue *q = queue_new(2);
	int n = 0;
	void *item = NULL;

	CHECK(queue_push(q, &n));
	queue_close(q);
	CHECK(!queue_push(q, &n));
	CHECK(queue_pop(q, &item) && item == &n);
	CHECK(!queue_pop(q, &item));
	CHECK(!queue_try_pop(q, &item));
}

TEST("an aborted queue answers false at once and can still be emptied")
{
	CLEANUP(queue_freep) struct queue *q = queue_new(2);
	int n = 0;
	void *item = NULL;

	CHECK(queue_push(q, &n));
	queue_abort(q);
	CHECK(!queue_push(q, &n));
	CHECK(!queue_pop(q, &item));
	CHECK(queue_try_pop(q, &item) && item == &n);
	CHECK(!queue_try_pop(q, &item));
}

struct traffic {
	struct queue *q;
	atomic_uint_least64_t pushed, popped, refused;
};

static void produce(void *arg)
{
	struct traffic *t = arg;

	for (uintptr_t i = 1; i <= 5000; i++) {
		if (queue_push(t->q, (void *)i))
			t->pushed += i;
		else
			t->refused++;
	}
}

static void consume(void *arg)
{
	struct traffic *t = arg;
	void *item;

	while (queue_pop(t->q, &item))
		t->popped += (uintptr_t)item;
}

TEST("several producers and consumers lose and double nothing")
{
	CLEANUP(queue_freep) struct queue *q = queue_new(4);
	struct traffic traffic = {.q = q};
	struct thread producer[3] = {0}, consumer[3] = {0};
	struct error e = ERROR_INIT;

	for (int i = 0; i < 3; i++) {
		CHECK_OK(thread_start(&producer[i], "producer", produce, &traffic, &e), e);
		CHECK_OK(thread_start(&consumer[i], "consumer", consume, &traffic, &e), e);
	}
	for (int i = 0; i < 3; i++)
		thread_join(&producer[i]);
	queue_close(q);
	for (int i = 0; i < 3; i++)
		thread_join(&consumer[i]);
	CHECK_INT(traffic.popped, INT64_C(3) * 5000 * 5001 / 2);
	CHECK_INT(traffic.popped, traffic.pushed);
	CHECK_INT(traffic.refused, 0);
}

TEST("closing a queue wakes those who wait for room and for items")
{
	CLEANUP(queue_freep) struct queue *full = queue_new(1);
	CLEANUP(queue_freep) struct queue *empty = queue_new(1);
	struct traffic in = {.q = full}, out = {.q = empty};
	struct thread producer = THREAD_INIT, consumer = THREAD_INIT;
	struct error e = ERROR_INIT;

	CHECK(queue_push(full, &in));
	CHECK_OK(thread_start(&producer, "producer", produce, &in, &e), e);
	CHECK_OK(thread_start(&consumer, "consumer", consume, &out, &e), e);
	usleep(20000);
	queue_abort(full);
	queue_close(empty);
	thread_join(&producer);
	thread_join(&consumer);
	CHECK_INT(in.refused, 5000);
}
