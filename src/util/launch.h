/* The steps between fork and exec. Only process.c uses it. */
#ifndef UTIL_LAUNCH_H
#define UTIL_LAUNCH_H

#include <sys/types.h>

#include "util/buf.h"

struct launch {
	char *program;            /* full path; owned */
	struct strlist argv, env; /* each ends with a NULL item */
	char *dir;                /* owned */
	int in, out;              /* borrowed; -1: /dev/null */
	const int *keep;          /* borrowed, ended by -1, used by launch_program only; may be NULL */
	uid_t uid;                /* 0: unchanged */
	gid_t gid;
	bool nice;
};

/* Starts the program as the leader of a new process group; it dies with the calling thread, which has all signals blocked. Returns
 * 0 and the read end of its stderr (non-blocking), or the errno of what failed. */
int launch_program(const struct launch *l, pid_t *pid, int *err_fd);
void launch_release(struct launch *l);

#endif
