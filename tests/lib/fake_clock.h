/* A clock whose time passes only while somebody waits: tests of deadlines and sleeps take no time. Any thread may use it. */
#ifndef TESTS_FAKE_CLOCK_H
#define TESTS_FAKE_CLOCK_H

#include <stdatomic.h>

#include "util/run.h"

struct fake_clock {
	_Atomic int64_t now, mono; /* microseconds */
	struct clock clock;        /* for run.clock */
};

/* Starts at the given wall time, with a monotonic time that has nothing to do with it. */
void fake_clock_init(struct fake_clock *f, struct instant now);
void fake_clock_advance(struct fake_clock *f, struct duration d);

#endif
