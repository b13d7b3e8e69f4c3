/* What may block takes struct run * first: the cancel token, the deadline, the clock, the random source and the fields that a
 * log line carries. Nothing else in drtool reads a clock, sleeps, or draws a random number. */
#ifndef UTIL_RUN_H
#define UTIL_RUN_H

#include "util/time.h"

/* A cancel token. Fired at most once, from any thread; firing a parent fires its children. Waiters poll its descriptor. */
struct cancel;
struct cancel *cancel_new(struct cancel *parent); /* parent may be NULL and outlives the child */
void cancel_free(struct cancel *c);               /* NULL is fine */
void cancel_freep(struct cancel **c);             /* for CLEANUP */
void cancel_fire(struct cancel *c, int signal);   /* signal 0: not by a signal. Async-signal-unsafe; the signal thread calls it. */
bool cancel_fired(const struct cancel *c);        /* cheap: one or two atomic loads */
int cancel_signal(const struct cancel *c);

struct clock {
	struct instant (*now)(void *ctx);  /* wall clock, UTC */
	struct instant (*mono)(void *ctx); /* monotonic, only differences count */
	/* Waits until fd is readable (fd may be -1) or the time is over. */
	void (*wait)(void *ctx, int fd, struct duration d);
	void *ctx;
};
extern const struct clock clock_real;

struct run {
	struct cancel *cancel; /* borrowed; NULL: cannot be cancelled */
	struct instant deadline; /* monotonic; INSTANT_NONE: none */
	const struct clock *clock; /* NULL: clock_real */
	uint64_t seed; /* 0: the kernel's random source; else a fixed sequence, for tests */
	/* Log fields, borrowed, NULL where not known. */
	const char *run_id, *source, *backup, *step;
};
#define RUN_INIT {0}

/* Copies run with an earlier deadline: now + d, where that comes first. */
struct run run_within(const struct run *run, struct duration d);
/* For what must be cleaned up whatever became of run: a copy without its cancel token, with the deadline now + d alone. */
struct run run_after(const struct run *run, struct duration d);
/* OK, CANCELLED or DEADLINE. Cheap enough for every chunk. */
enum status run_check(struct run *run, struct error *err) MUST_CHECK;
enum status run_sleep(struct run *run, struct duration d, struct error *err) MUST_CHECK;
struct instant run_now(struct run *run);
struct instant run_mono(struct run *run);
/* Readable once run is cancelled, for polls that are not run_poll's; -1: it cannot be. Not to be read or closed. */
int run_cancel_fd(const struct run *run);
/* Time left to the deadline, at most `most`; never negative. */
struct duration run_left(struct run *run, struct duration most);
void run_random(struct run *run, void *to, size_t n);
/* n hex digits and a 0. */
void run_random_hex(struct run *run, char *to, size_t n);
/* Polls fd for events (POLLIN...) until ready, cancelled, the deadline, or d (ready false, OK). */
enum status run_poll(struct run *run, int fd, short events, struct duration d, bool *ready, struct error *err) MUST_CHECK;

#endif
