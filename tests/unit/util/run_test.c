#include "util/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/child.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"
#include "util/thread.h"

#define START ((struct instant){INT64_C(1795140000000000)})

TEST("a run without token and deadline goes on")
{
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;

	CHECK_OK(run_check(&run, &e), e);
	CHECK_OK(run_sleep(&run, DURATION_MS(1), &e), e);
}

TEST("a fired token cancels the run and names the signal")
{
	CLEANUP(cancel_freep) struct cancel *c = cancel_new(NULL);
	struct error e = ERROR_INIT;
	struct run run = {.cancel = c};

	CHECK_OK(run_check(&run, &e), e);
	cancel_fire(c, SIGTERM);
	cancel_fire(c, SIGINT);
	CHECK(cancel_fired(c));
	CHECK_INT(run_check(&run, &e), ST_CANCELLED);
	CHECK_INT(e.exit_signal, SIGTERM);
	CHECK_STR(error_text(&e), "interrupted");
	CHECK_INT(cancel_signal(c), SIGTERM);
	error_release(&e);
}

TEST("firing a parent fires its children, also those made afterwards, and not the other way round")
{
	CLEANUP(cancel_freep) struct cancel *parent = cancel_new(NULL);
	CLEANUP(cancel_freep) struct cancel *child = cancel_new(parent);
	CLEANUP(cancel_freep) struct cancel *other = cancel_new(parent);
	CLEANUP(cancel_freep) struct cancel *grandchild = cancel_new(child);

	cancel_fire(grandchild, 0);
	CHECK(!cancel_fired(child) && !cancel_fired(parent));
	cancel_fire(parent, SIGINT);
	CHECK(cancel_fired(child) && cancel_fired(other));
	CHECK_INT(cancel_signal(child), SIGINT);
	CHECK_INT(cancel_signal(grandchild), 0);
	CLEANUP(cancel_freep) struct cancel *late = cancel_new(child);
	CHECK(cancel_fired(late));
	CHECK_INT(cancel_signal(late), SIGINT);
}

static void make_and_free(void *parent)
{
	for (int i = 0; i < 2000; i++) {
		struct cancel *a = cancel_new(parent), *b = cancel_new(a);

		cancel_free(b);
		cancel_free(a);
	}
}

TEST("tokens may be made and freed while their parent fires")
{
	CLEANUP(cancel_freep) struct cancel *parent = cancel_new(NULL);
	struct thread t[3] = {THREAD_INIT, THREAD_INIT, THREAD_INIT};
	struct error e = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		CHECK_OK(thread_start(&t[i], "maker", make_and_free, parent, &e), e);
	cancel_fire(parent, 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_join(&t[i]);
	CHECK(cancel_fired(parent));
}

static void free_parent_first(void *arg UNUSED)
{
	struct cancel *parent = cancel_new(NULL);

	cancel_new(parent);
	cancel_free(parent);
}

TEST("freeing a token before its child ends the process")
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;

	CHECK(WIFSIGNALED(child_run(free_parent_first, NULL, &out)));
	CHECK_HAS(buf_str(&out), "drtool: a cancel token is freed before its child");
}

TEST("a deadline ends a run and the earlier of two counts")
{
	struct fake_clock f;
	struct error e = ERROR_INIT;

	fake_clock_init(&f, START);
	struct run run = {.clock = &f.clock};
	struct run hour = run_within(&run, DURATION_SECONDS(3600)), minute = run_within(&hour, DURATION_SECONDS(60));
	struct run day = run_within(&minute, DURATION_SECONDS(86400));

	CHECK_INT(run_left(&day, DURATION_SECONDS(1000)).us, 60000000);
	CHECK_INT(run_left(&day, DURATION_SECONDS(10)).us, 10000000);
	CHECK_INT(run_left(&run, DURATION_SECONDS(10)).us, 10000000);
	CHECK_OK(run_sleep(&day, DURATION_SECONDS(59), &e), e);
	CHECK_ERR(run_sleep(&day, DURATION_SECONDS(5), &e), e, ST_DEADLINE, "time limit");
	CHECK_INT(run_mono(&run).us, 61000000);
	CHECK_INT(run_now(&run).us, START.us + 60000000);
	CHECK_INT(run_left(&day, DURATION_SECONDS(10)).us, 0);
	CHECK_ERR(run_check(&minute, &e), e, ST_DEADLINE, "time limit");
	CHECK_OK(run_check(&hour, &e), e);
}

TEST("a deadline in the past is still a deadline")
{
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT, past = run_within(&run, (struct duration){INT64_MIN / 2});

	CHECK_ERR(run_check(&past, &e), e, ST_DEADLINE, "");
}

static void fire_soon(void *c)
{
	usleep(20000);
	cancel_fire(c, SIGINT);
}

TEST("a token that is fired by another thread wakes a sleep and a poll at once")
{
	CLEANUP(cancel_freep) struct cancel *parent = cancel_new(NULL);
	CLEANUP(cancel_freep) struct cancel *c = cancel_new(parent);
	CLEANUP(cancel_freep) struct cancel *c2 = cancel_new(NULL);
	struct thread t = THREAD_INIT;
	struct error e = ERROR_INIT;
	struct run run = {.cancel = c};
	int fds[2];
	bool ready;

	CHECK(!pipe2(fds, O_CLOEXEC));
	struct instant start = run_mono(&run);
	CHECK_OK(thread_start(&t, "firer", fire_soon, parent, &e), e);
	CHECK_ERR(run_sleep(&run, DURATION_SECONDS(50), &e), e, ST_CANCELLED, "interrupted");
	thread_join(&t);
	run.cancel = c2;
	CHECK_OK(thread_start(&t, "firer", fire_soon, c2, &e), e);
	CHECK_ERR(run_poll(&run, fds[0], POLLIN, DURATION_SECONDS(50), &ready, &e), e, ST_CANCELLED, "interrupted");
	thread_join(&t);
	CHECK(instant_diff(run_mono(&run), start).us < 20000000);
	close(fds[0]);
	close(fds[1]);
}

TEST("a poll tells readiness, the end of its time and a deadline apart")
{
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT, brief = run_within(&run, DURATION_MS(30));
	bool ready = true;
	int fds[2];

	CHECK(!pipe2(fds, O_CLOEXEC));
	CHECK_OK(run_poll(&run, fds[0], POLLIN, DURATION_MS(10), &ready, &e), e);
	CHECK(!ready);
	CHECK_ERR(run_poll(&brief, fds[0], POLLIN, DURATION_SECONDS(50), &ready, &e), e, ST_DEADLINE, "");
	CHECK_OK(run_poll(&run, fds[1], POLLOUT, DURATION_SECONDS(50), &ready, &e), e);
	CHECK(ready);
	CHECK_INT(write(fds[1], "x", 1), 1);
	CHECK_OK(run_poll(&run, fds[0], POLLIN, DURATION_MS(0), &ready, &e), e);
	CHECK(ready);
	close(fds[1]);
	CHECK_INT(read(fds[0], &(char){0}, 1), 1);
	CHECK_OK(run_poll(&run, fds[0], POLLIN, DURATION_SECONDS(50), &ready, &e), e);
	CHECK(ready); /* the end is something to read */
	close(fds[0]);
}

TEST("in simulated time a poll sees its descriptor and its deadline")
{
	struct fake_clock f;
	struct error e = ERROR_INIT;
	bool ready = true;
	int fds[2];

	fake_clock_init(&f, START);
	CHECK(!pipe2(fds, O_CLOEXEC));
	struct run run = {.clock = &f.clock}, brief = run_within(&run, DURATION_SECONDS(2));
	CHECK_OK(run_poll(&run, fds[0], POLLIN, DURATION_SECONDS(1), &ready, &e), e);
	CHECK(!ready);
	CHECK_ERR(run_poll(&brief, fds[0], POLLIN, DURATION_SECONDS(9), &ready, &e), e, ST_DEADLINE, "");
	CHECK_INT(write(fds[1], "x", 1), 1);
	CHECK_OK(run_poll(&run, fds[0], POLLIN, DURATION_SECONDS(1), &ready, &e), e);
	CHECK(ready);
	close(fds[0]);
	close(fds[1]);
}

static void ignore_signal(int s UNUSED) {}

TEST("signals that interrupt a system call shorten no sleep")
{
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;
	struct sigaction sa = {.sa_handler = ignore_signal};
	struct itimerval every = {.it_interval = {.tv_usec = 2000}, .it_value = {.tv_usec = 2000}};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	struct instant start = run_mono(&run);
	CHECK_OK(run_sleep(&run, DURATION_MS(60), &e), e);
	CHECK(instant_diff(run_mono(&run), start).us >= 60000);
}

TEST("random numbers differ without a seed and repeat with one")
{
	struct run a = {.seed = 7}, b = {.seed = 7}, kernel = RUN_INIT;
	char x[41], y[41];

	run_random_hex(&a, x, 40);
	run_random_hex(&b, y, 40);
	CHECK_STR(x, y);
	CHECK_INT(strspn(x, "0123456789abcdef"), 40);
	run_random_hex(&a, y, 40);
	CHECK(strcmp(x, y));
	run_random_hex(&kernel, x, 40);
	run_random_hex(&kernel, y, 40);
	CHECK(strcmp(x, y));
	run_random_hex(&a, x, 0);
	CHECK_STR(x, "");
}
