#include "util/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/launch.h"
#include "util/thread.h"

#define STDERR_KEPT ((size_t)64 * 1024)
#define TEXT_LINES 5   /* of stderr in an error text */
#define TEXT_BYTES 1000
#define GRACE DURATION_SECONDS(5)

/* A program is launched, read and watched by a thread of its own. The kernel sends the parent-death signal when the thread that
 * launched ends, not the process: with a caller's thread the program could end before its work is done. */
struct process {
	char *name; /* for error texts */
	struct launch launch;
	struct thread thread;
	int done_fd; /* readable once the program ended and stderr is collected */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t launched_cond;
	bool launched; /* launch_errno is known */
	int launch_errno;
	pid_t pid;
	bool reaped;
	int wstatus;
	struct buf text; /* the end of stderr */
};

static void keep_stderr(struct process *p, const char *piece, size_t n)
{
	mutex_lock(&p->mutex);
	buf_put(&p->text, piece, n);
	/* Twice the kept size before anything is moved, so that moving costs little a byte. */
	if (p->text.len > 2 * STDERR_KEPT) {
		memmove(p->text.data, p->text.data + p->text.len - STDERR_KEPT, STDERR_KEPT + 1);
		p->text.len = STDERR_KEPT;
	}
	mutex_unlock(&p->mutex);
}

/* Takes what is there. False: the end. */
static bool drain(struct process *p, int fd)
{
	char piece[4096];

	for (;;) {
		ssize_t n = read(fd, piece, sizeof piece);

		if (n > 0)
			keep_stderr(p, piece, (size_t)n);
		else if (n == 0 || (errno != EINTR && errno != EAGAIN))
			return false;
		else if (errno == EAGAIN)
			return true;
	}
}

static bool has_ended(pid_t pid)
{
	siginfo_t si = {0};

	/* The zombie stays, and with it the number, until process_wait: nobody else can get a signal meant for it. */
	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) != 0 || si.si_pid == pid;
}

/* Until the program itself has ended: others that it left behind may hold its stderr for ever. */
static void collect(struct process *p, int err_fd)
{
	CLEANUP(fd_release) int pid_fd = pidfd_open(p->pid, 0);
	struct pollfd fds[] = {{.fd = err_fd, .events = POLLIN}, {.fd = pid_fd, .events = POLLIN}};

	while (!has_ended(p->pid)) {
		/* Without pidfd the end is looked for now and then; in most cases the end of stderr tells it first. */
		poll(fds, 2, pid_fd >= 0 ? -1 : 20);
		if (fds[0].fd >= 0 && !drain(p, err_fd))
			fds[0].fd = -1;
	}
	kill(-p->pid, SIGKILL); /* what is left of its group ends with it */
	if (fds[0].fd >= 0)
		drain(p, err_fd);
}

static void process_thread(void *arg)
{
	struct process *p = arg;
	CLEANUP(fd_release) int err_fd = FD_INIT;
	uint64_t one = 1;
	pid_t pid = -1;
	int failed = launch_program(&p->launch, &pid, &err_fd);

	mutex_lock(&p->mutex);
	p->pid = pid;
	p->launch_errno = failed;
	p->launched = true;
	cond_signal(&p->launched_cond);
	mutex_unlock(&p->mutex);
	if (failed)
		return;
	collect(p, err_fd);
	if (write(p->done_fd, &one, sizeof one) != sizeof one)
		die("cannot write to an eventfd");
}

static bool env_has(const struct strlist *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->len; i++)
		if (!strncmp(env->item[i], name, n) && env->item[i][n] == '=')
			return true;
	return false;
}

static void env_default(struct strlist *env, const char *name, const char *value)
{
	if (!env_has(env, name))
		strlist_take(env, xasprintf("%s=%s", name, value));
}

static const char *path_variable(void)
{
	const char *path = getenv("PATH");

	return path && *path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* NULL-terminated, so that its items are an argv or envp. */
static void copy_list(struct strlist *to, const char *const *from)
{
	for (; from && *from; from++)
		strlist_add(to, *from);
}

static void fill_launch(struct launch *l, const struct process_spec *spec)
{
	const char *home = getenv("HOME");

	copy_list(&l->argv, spec->argv);
	strlist_take(&l->argv, NULL);
	copy_list(&l->env, spec->env);
	env_default(&l->env, "PATH", path_variable());
	env_default(&l->env, "HOME", home && *home && !spec->uid ? home : "/");
	env_default(&l->env, "LANG", "C");
	env_default(&l->env, "TZ", "UTC");
	strlist_take(&l->env, NULL);
	l->dir = xstrdup(spec->dir ? spec->dir : "/");
	l->in = spec->in;
	l->out = spec->out;
	l->keep = spec->keep;
	l->uid = spec->uid;
	l->gid = spec->gid;
	l->nice = spec->nice;
}

static struct process *process_new(const struct process_spec *spec)
{
	struct process *p = xcalloc(1, sizeof *p);
	const char *slash = strrchr(spec->argv[0], '/');

	p->name = xstrdup(slash ? slash + 1 : spec->argv[0]);
	p->pid = -1;
	p->done_fd = -1;
	mutex_init(&p->mutex);
	cond_init(&p->launched_cond);
	fill_launch(&p->launch, spec);
	return p;
}

/* What has ended has been waited for; nothing of the process is left but memory. */
static void dispose(struct process *p)
{
	thread_join(&p->thread);
	fd_release(&p->done_fd);
	mutex_destroy(&p->mutex);
	cond_destroy(&p->launched_cond);
	launch_release(&p->launch);
	buf_release(&p->text);
	free(p->name);
	free(p);
}

static enum status start(struct process *p, struct error *err)
{
	struct sigaction chld;

	/* Where a parent left SIGCHLD ignored, the kernel would throw exit statuses away. */
	if (!sigaction(SIGCHLD, NULL, &chld) && chld.sa_handler == SIG_IGN)
		signal(SIGCHLD, SIG_DFL);
	p->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->done_fd < 0)
		return error_errno(err, errno, "cannot start %s", p->name);
	if (thread_start(&p->thread, "process", process_thread, p, err))
		return error_add(err, "cannot start %s", p->name);
	mutex_lock(&p->mutex);
	while (!p->launched)
		cond_wait(&p->launched_cond, &p->mutex);
	int failed = p->launch_errno;
	mutex_unlock(&p->mutex);
	if (!failed)
		return ST_OK;
	error_errno(err, failed, "cannot start %s", p->launch.program);
	/* "Nothing matches" is the answer to another question. */
	if (failed == ENOENT)
		err->code = ST_UNSUPPORTED;
	return err->code;
}

enum status process_start(struct process **p, const struct process_spec *spec, struct error *err)
{
	const char *name = spec->argv[0];
	CLEANUP(cstr_release) char *program = strchr(name, '/') ? xstrdup(name) : process_find(name, NULL);

	if (!program)
		return error_set(err, ST_UNSUPPORTED, "the program %s is not in PATH", name);
	if (spec->uid && !spec->gid)
		return error_set(err, ST_FAILED, "cannot start %s: a user without a group", name);
	struct process *made = process_new(spec);
	made->launch.program = program;
	program = NULL;
	if (start(made, err)) {
		dispose(made);
		return err->code;
	}
	*p = made;
	return ST_OK;
}

void process_signal(struct process *p, int signal)
{
	mutex_lock(&p->mutex);
	if (!p->reaped)
		kill(-p->pid, signal);
	mutex_unlock(&p->mutex);
}

/* The program has ended. */
static void reap(struct process *p)
{
	thread_join(&p->thread);
	mutex_lock(&p->mutex);
	if (!p->reaped)
		while (waitpid(p->pid, &p->wstatus, 0) < 0 && errno == EINTR)
			;
	p->reaped = true;
	mutex_unlock(&p->mutex);
}

/* Ends the program: asks for it, then insists. The run itself is over, so only its clock is of use. */
static void end_program(const struct run *run, struct process *p)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run grace = {.clock = run->clock};
	bool ended = false;

	process_signal(p, SIGTERM);
	process_signal(p, SIGCONT);
	if (run_poll(&grace, p->done_fd, POLLIN, GRACE, &ended, &ignored) || !ended)
		process_signal(p, SIGKILL);
}

/* The last line that calls itself an error, where one does: a client may print the whole statement after it. Else the end. */
static const char *telling_line(const char *text, const char *end)
{
	for (const char *line = end, *next = end; line > text; next = line) {
		for (line--; line > text && line[-1] != '\n';)
			line--;
		if (memmem(line, (size_t)(next - line), "error: ", 7))
			return line;
	}
	return end;
}

/* Up to TEXT_LINES lines of stderr from where it becomes interesting, as one line without control characters. */
static void put_telling_lines(struct process *p, struct buf *to)
{
	const char *text = process_stderr(p), *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	const char *from = telling_line(text, end);
	int lines = 0;

	if (from == end)
		for (; from > text && (size_t)(end - from) < TEXT_BYTES; from--)
			if (from[-1] == '\n' && ++lines == TEXT_LINES)
				break;
	if ((size_t)(end - from) > TEXT_BYTES)
		end = from + TEXT_BYTES;
	for (lines = 0; from < end; from++)
		if (*from == '\n' && ++lines == TEXT_LINES)
			break;
		else if (*from == '\n')
			buf_puts(to, "; ");
		else if (*from != '\r')
			buf_putc(to, iscntrl((unsigned char)*from) ? ' ' : *from);
}

static enum status judge(struct process *p, int *exit_code, struct error *err)
{
	CLEANUP(buf_release) struct buf lines = BUF_INIT;
	int code = WIFSIGNALED(p->wstatus) ? 128 + WTERMSIG(p->wstatus) : WEXITSTATUS(p->wstatus);

	if (exit_code)
		*exit_code = code;
	if (!code)
		return ST_OK;
	put_telling_lines(p, &lines);
	const char *colon = lines.len ? ": " : "";
	if (WIFSIGNALED(p->wstatus)) {
		int number = WTERMSIG(p->wstatus);
		const char *name = sigabbrev_np(number);

		return error_set(err, ST_FAILED, "%s was ended by signal %d (%s)%s%s", p->name, number, name ? name : "?", colon,
				 buf_str(&lines));
	}
	return error_set(err, ST_FAILED, "%s ended with status %d%s%s", p->name, code, colon, buf_str(&lines));
}

enum status process_wait(struct run *run, struct process *p, int *exit_code, struct error *err)
{
	CLEANUP(error_release) struct error stopped = ERROR_INIT;
	bool ended = false;

	while (!ended && !run_poll(run, p->done_fd, POLLIN, DURATION_SECONDS(3600), &ended, &stopped))
		;
	if (stopped.code)
		end_program(run, p);
	reap(p);
	if (stopped.code) {
		CLEANUP(error_release) struct error ignored = ERROR_INIT;

		judge(p, exit_code, &ignored);
		error_move(err, &stopped);
		return error_add(err, "%s", p->name);
	}
	return judge(p, exit_code, err);
}

pid_t process_pid(const struct process *p) { return p->pid; }

const char *process_stderr(struct process *p)
{
	mutex_lock(&p->mutex);
	size_t skip = p->text.len > STDERR_KEPT ? p->text.len - STDERR_KEPT : 0;
	const char *text = buf_str(&p->text) + skip;
	mutex_unlock(&p->mutex);
	return text;
}

void process_freep(struct process **p)
{
	if (!*p)
		return;
	process_signal(*p, SIGKILL);
	reap(*p);
	dispose(*p);
	*p = NULL;
}

/* Reads until the end of the pipe, or until the program ended and nothing more is there: what it left behind may hold the pipe. */
static enum status read_output(struct run *run, struct process *p, int fd, size_t max, struct buf *out, struct error *err)
{
	size_t before = out->len;
	char piece[4096];

	for (;;) {
		struct pollfd done = {.fd = p->done_fd, .events = POLLIN};
		bool ended = poll(&done, 1, 0) == 1, ready;

		if (run_poll(run, fd, POLLIN, ended ? DURATION_MS(0) : DURATION_MS(100), &ready, err))
			return err->code;
		if (!ready && ended)
			return ST_OK;
		if (!ready)
			continue;
		ssize_t n = read(fd, piece, sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read from %s", p->name);
		if (n == 0)
			return ST_OK;
		buf_put(out, piece, (size_t)n);
		if (out->len - before > max)
			return error_set(err, ST_BAD, "%s wrote more than %zu bytes", p->name, max);
	}
}

static void stop_and_free(struct run *run, struct process **p)
{
	end_program(run, *p);
	process_freep(p);
}

enum status process_capture(struct run *run, const struct process_spec *spec, size_t max, struct buf *out, struct error *err)
{
	CLEANUP(process_freep) struct process *p = NULL;
	CLEANUP(fd_release) int from = FD_INIT;
	struct process_spec piped = *spec;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return error_errno(err, errno, "cannot make a pipe for %s", spec->argv[0]);
	from = fds[0];
	piped.out = fds[1];
	enum status started = process_start(&p, &piped, err);
	close(fds[1]);
	if (started)
		return started;
	if (read_output(run, p, from, max, out, err)) {
		stop_and_free(run, &p);
		return err->code;
	}
	return process_wait(run, p, NULL, err);
}

static char *usable(const char *dir, size_t n, const char *name)
{
	char *path = xasprintf("%.*s/%s", (int)n, dir, name);
	struct stat st;

	/* A program is never looked for relative to the place where drtool happens to be started. */
	if (dir[0] == '/' && n < PATH_MAX && !access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode))
		return path;
	free(path);
	return NULL;
}

char *process_find(const char *name, const char *const *dirs)
{
	char *path = NULL;

	for (; !path && dirs && *dirs; dirs++)
		path = usable(*dirs, strlen(*dirs), name);
	for (const char *dir = path_variable(); !path && *dir;) {
		size_t n = strcspn(dir, ":");

		if (n)
			path = usable(dir, n, name);
		dir += n + (dir[n] == ':');
	}
	return path;
}
