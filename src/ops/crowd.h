/* A few threads that do the items of a list, each once. */
#ifndef OPS_CROWD_H
#define OPS_CROWD_H

#include "util/run.h"

struct crowd_work {
	/* Any thread, several at once. A failure ends the whole: no item is begun any more, and run is cancelled for the others. */
	enum status (*fn)(struct run *run, void *ctx, size_t i, struct error *err);
	void *ctx;
	size_t n;
	unsigned threads; /* at most; 1: this one */
};
enum status crowd_do(struct run *run, const struct crowd_work *w, struct error *err) MUST_CHECK;

#endif
