/* The only way to another program: no shell, its own process group, ends with its parent, an environment that is built and not
 * inherited, and the last 64 KiB of its stderr for the error text. */
#ifndef UTIL_PROCESS_H
#define UTIL_PROCESS_H

#include <sys/types.h>

#include "util/buf.h"
#include "util/fs.h"
#include "util/run.h"

struct process_spec {
	const char *const *argv;  /* argv[0] is a path with a slash or is looked up in PATH; NULL-terminated; never a secret */
	const char *const *env;   /* "NAME=value", NULL-terminated; PATH, HOME, LANG=C, TZ are added where absent */
	int in, out;              /* descriptors for stdin and stdout, borrowed; -1: /dev/null */
	const int *keep;          /* further descriptors kept open under their own numbers, ended by -1; may be NULL */
	const char *dir;          /* working directory; NULL: / */
	uid_t uid;                /* 0: as drtool runs */
	gid_t gid;
	bool nice;                /* nice 19 and idle I/O class */
};
struct process;
enum status process_start(struct process **p, const struct process_spec *spec, struct error *err) MUST_CHECK;
/* Waits for the end; what is left of the process group is killed then. Cancel and deadline: SIGTERM to the group, 5 s later
 * SIGKILL, then that error. A non-zero exit is ST_FAILED with lines of stderr in the text, from its last error: on; *exit_code (may be NULL) is
 * 128+n where signal n ended it. One thread waits. */
enum status process_wait(struct run *run, struct process *p, int *exit_code, struct error *err) MUST_CHECK;
void process_signal(struct process *p, int signal); /* to the group; from any thread */
pid_t process_pid(const struct process *p);
/* The last 64 KiB of stderr so far; call after process_wait. */
const char *process_stderr(struct process *p);
void process_freep(struct process **p); /* kills what still runs */
/* start + wait with stdout appended to out; more than max bytes is ST_BAD. */
enum status process_capture(struct run *run, const struct process_spec *spec, size_t max, struct buf *out,
			    struct error *err) MUST_CHECK;
/* Full path of a program: `dirs` first (NULL-terminated, may be NULL), then PATH. NULL: not found. Owned by the caller. */
char *process_find(const char *name, const char *const *dirs);

#endif
