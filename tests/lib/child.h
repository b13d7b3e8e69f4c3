/* Runs a function in a forked child, for what ends the process or must not touch this one. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <sys/wait.h>

#include "util/buf.h"

/* The status as of waitpid; what the child wrote to stdout and stderr is appended to output. The child exits 0 where fn returns. */
int child_run(void (*fn)(void *arg), void *arg, struct buf *output);

#endif
