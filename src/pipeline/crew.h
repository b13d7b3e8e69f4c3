/* Threads that end together: the first failure is kept, all are told to stop, the driver's workers are interrupted. Used by the
 * dump and the load side. Internal to the room.
 *
 * crew_begin     a coordinator starts its threads; each holds the crew (crew_hold) as does every piece of work on its way
 * crew_wait      returns when nobody holds it, or after a failure, cancel or deadline, with all workers closed ... the
 * coordinator joins its threads ... crew_end       gives the outcome / */
#ifndef PIPELINE_CREW_H
#define PIPELINE_CREW_H

#include "util/run.h"
#include "util/thread.h"

#define CREW_WORKERS 64u

struct crew_calls {
	/* Wakes all that wait in queues and pools, for good. Called once, after a failure, from any thread. */
	void (*abort)(void *ctx);
	/* Makes the calls of a driver's worker fail. Called from the coordinator, maybe more than once. */
	void (*interrupt)(void *ctx, void *worker);
	void *ctx;
};

struct crew {
	struct run run;      /* for the threads: the outer one with a token that is fired when the crew stops */
	struct cancel *stop; /* owned */
	struct crew_calls calls;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t left;
	unsigned held;
	bool failed;
	struct error err;
	void *worker[CREW_WORKERS]; /* open ones, by slot */
};

void crew_begin(struct crew *c, const struct run *outer, const struct crew_calls *calls);
void crew_hold(struct crew *c);
void crew_drop(struct crew *c);
/* Takes err (it is _INIT afterwards); only the first one is kept, what follows is its echo. */
void crew_fail(struct crew *c, struct error *err);
/* A worker that can be interrupted. False: the crew has failed, and the worker is to be closed. */
bool crew_enter(struct crew *c, unsigned slot, void *worker);
/* From now on the worker is not interrupted and may be closed. */
void crew_leave(struct crew *c, unsigned slot);
bool crew_wait(struct crew *c); /* false: failed; only then threads other than those that held it may still be at work */
enum status crew_end(struct crew *c, struct error *err) MUST_CHECK;

#endif
