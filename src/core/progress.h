/* Counters that a run moves and a display reads: a bar on a terminal, otherwise one log line a minute. */
#ifndef CORE_PROGRESS_H
#define CORE_PROGRESS_H

#include <stdatomic.h>

#include "util/run.h"

/* Shared by the threads of one operation; all members are atomic. */
struct progress {
	_Atomic uint64_t done, total; /* bytes; total 0: not known */
	_Atomic uint64_t rows, stored;
	_Atomic(const char *) phase;  /* static text: "dump", "indexes"; nothing is shown before there is one */
	_Atomic bool paused;          /* while a question is asked */
};
#define PROGRESS_INIT {0}

struct progress_display;
/* Starts the thread that shows it; quiet shows nothing. */
struct progress_display *progress_show(struct run *run, struct progress *p, bool quiet);
void progress_hide(struct progress_display **d);

#endif
