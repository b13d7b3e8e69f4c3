#include "util/run.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "util/thread.h"

/* A child has a descriptor of its own and is fired together with its parent, so that a waiter polls one descriptor only. */
struct cancel {
	atomic_int fired; /* 0, or 1 + signal */
	int fd;           /* readable once fired; nobody reads it */
	struct cancel *parent, *child, *next; /* under tree_mutex */
};

static pthread_mutex_t tree_mutex = PTHREAD_MUTEX_INITIALIZER;

static void fire_locked(struct cancel *c, int state)
{
	int none = 0;
	uint64_t one = 1;

	if (!atomic_compare_exchange_strong(&c->fired, &none, state))
		return;
	if (write(c->fd, &one, sizeof one) != sizeof one)
		die("cannot write to an eventfd");
	for (struct cancel *child = c->child; child; child = child->next)
		fire_locked(child, state);
}

struct cancel *cancel_new(struct cancel *parent)
{
	struct cancel *c = xcalloc(1, sizeof *c);

	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0)
		die("cannot make an eventfd");
	if (!parent)
		return c;
	mutex_lock(&tree_mutex);
	c->parent = parent;
	c->next = parent->child;
	parent->child = c;
	int state = atomic_load(&parent->fired);
	if (state)
		fire_locked(c, state);
	mutex_unlock(&tree_mutex);
	return c;
}

void cancel_free(struct cancel *c)
{
	if (!c)
		return;
	mutex_lock(&tree_mutex);
	if (c->child)
		die("a cancel token is freed before its child");
	if (c->parent) {
		struct cancel **at = &c->parent->child;

		while (*at != c)
			at = &(*at)->next;
		*at = c->next;
	}
	mutex_unlock(&tree_mutex);
	close(c->fd);
	free(c);
}

void cancel_freep(struct cancel **c)
{
	cancel_free(*c);
	*c = NULL;
}

void cancel_fire(struct cancel *c, int signal)
{
	mutex_lock(&tree_mutex);
	fire_locked(c, 1 + signal);
	mutex_unlock(&tree_mutex);
}

bool cancel_fired(const struct cancel *c) { return atomic_load_explicit(&c->fired, memory_order_acquire) != 0; }

int cancel_signal(const struct cancel *c)
{
	int state = atomic_load(&c->fired);

	return state ? state - 1 : 0;
}

static struct instant read_clock(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return (struct instant){(int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

static struct instant real_now(void *ctx UNUSED) { return read_clock(CLOCK_REALTIME); }
static struct instant real_mono(void *ctx UNUSED) { return read_clock(CLOCK_MONOTONIC); }

/* As poll, to the microsecond and not ended by signals. A negative d is taken as none. */
static int poll_for(struct pollfd *p, nfds_t n, struct duration d)
{
	struct instant end = instant_add(real_mono(NULL), d);

	for (;;) {
		struct duration left = instant_diff(end, real_mono(NULL));
		int64_t us = left.us > 0 ? left.us : 0;
		struct timespec ts = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
		int r = ppoll(p, n, &ts, NULL);

		if (r >= 0 || errno != EINTR)
			return r;
	}
}

static void real_wait(void *ctx UNUSED, int fd, struct duration d)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	poll_for(&p, 1, d);
}

const struct clock clock_real = {.now = real_now, .mono = real_mono, .wait = real_wait};

static const struct clock *clock_of(const struct run *run) { return run->clock ? run->clock : &clock_real; }
int run_cancel_fd(const struct run *run) { return run->cancel ? run->cancel->fd : -1; }

struct instant run_now(struct run *run) { return clock_of(run)->now(clock_of(run)->ctx); }
struct instant run_mono(struct run *run) { return clock_of(run)->mono(clock_of(run)->ctx); }

struct run run_within(const struct run *run, struct duration d)
{
	struct run r = *run;
	struct instant end = instant_add(run_mono(&r), d);

	if (end.us < 1)
		end.us = 1; /* 0 would be none */
	if (!r.deadline.us || end.us < r.deadline.us)
		r.deadline = end;
	return r;
}

struct run run_after(const struct run *run, struct duration d)
{
	struct run r = *run;

	r.cancel = NULL;
	r.deadline = INSTANT_NONE;
	return run_within(&r, d);
}

enum status run_check(struct run *run, struct error *err)
{
	if (run->cancel && cancel_fired(run->cancel)) {
		error_set(err, ST_CANCELLED, "interrupted");
		err->exit_signal = cancel_signal(run->cancel);
		return ST_CANCELLED;
	}
	if (run->deadline.us && run_mono(run).us >= run->deadline.us)
		return error_set(err, ST_DEADLINE, "the time limit was reached");
	return ST_OK;
}

struct duration run_left(struct run *run, struct duration most)
{
	struct duration left = most;

	if (run->deadline.us) {
		struct duration d = instant_diff(run->deadline, run_mono(run));

		if (d.us < left.us)
			left = d;
	}
	return left.us > 0 ? left : (struct duration){0};
}

enum status run_sleep(struct run *run, struct duration d, struct error *err)
{
	struct instant end = instant_add(run_mono(run), d);

	for (;;) {
		if (run_check(run, err))
			return err->code;
		struct duration left = instant_diff(end, run_mono(run));
		if (left.us <= 0)
			return ST_OK;
		clock_of(run)->wait(clock_of(run)->ctx, run_cancel_fd(run), run_left(run, left));
	}
}

/* One wait for fd or the cancel token, at most d. Where time is simulated, fd is looked at between small steps of it. */
static int poll_step(struct run *run, struct pollfd *p, struct duration d)
{
	const struct clock *clock = clock_of(run);
	int r;

	if (clock == &clock_real)
		return poll_for(p, 2, d);
	r = poll_for(p, 2, (struct duration){0});
	if (r == 0 && d.us > 0) {
		clock->wait(clock->ctx, run_cancel_fd(run), d.us < 10000 ? d : DURATION_MS(10));
		r = poll_for(p, 2, (struct duration){0});
	}
	return r;
}

enum status run_poll(struct run *run, int fd, short events, struct duration d, bool *ready, struct error *err)
{
	struct instant end = instant_add(run_mono(run), d);

	for (;;) {
		struct pollfd p[] = {{.fd = fd, .events = events}, {.fd = run_cancel_fd(run), .events = POLLIN}};
		struct duration left = instant_diff(end, run_mono(run));

		*ready = false;
		if (run_check(run, err))
			return err->code;
		if (poll_step(run, p, run_left(run, left)) < 0)
			return error_errno(err, errno, "cannot wait for a descriptor");
		if (run->cancel && cancel_fired(run->cancel))
			return run_check(run, err);
		if (p[0].revents) {
			*ready = true;
			return ST_OK;
		}
		if (left.us <= 0)
			return ST_OK;
	}
}

/* The nth number of the fixed sequence of a seed. Seeds are changed atomically, because threads of a test share a run. */
static uint64_t seeded(struct run *run)
{
	const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = __atomic_add_fetch(&run->seed, step, __ATOMIC_RELAXED);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t random_piece(struct run *run, void *to, size_t n)
{
	if (run->seed) {
		uint64_t v = seeded(run);
		size_t part = min_size(n, sizeof v);

		memcpy(to, &v, part);
		return part;
	}
	ssize_t got = getrandom(to, n, 0);
	if (got < 0 && errno != EINTR)
		die("the kernel gives no random bytes");
	return got > 0 ? (size_t)got : 0;
}

void run_random(struct run *run, void *to, size_t n)
{
	for (size_t done = 0; done < n;)
		done += random_piece(run, (char *)to + done, n - done);
}

void run_random_hex(struct run *run, char *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c;

		run_random(run, &c, 1);
		to[i] = "0123456789abcdef"[c & 15];
	}
	to[n] = 0;
}
