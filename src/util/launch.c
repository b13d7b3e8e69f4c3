#include "util/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's view. It shares the memory of the parent until exec (vfork), so it only reads this, calls the kernel and ends: no
 * lock, no allocation, no function of libc that touches the state of threads. */
struct child {
	const struct launch *l;
	int null_in, null_out, err, report;
	pid_t parent;
};

static void give_up(int report, int errnum) __attribute__((noreturn));
static void give_up(int report, int errnum)
{
	ssize_t ignored = write(report, &errnum, sizeof errnum);

	(void)ignored;
	_exit(127);
}

/* Handlers of the parent would run in memory that is not the child's; ignored signals would stay ignored in the program. By the system
 * call: the library hides the signals 32 and 33 from itself, and whoever started drtool may have left them ignored. */
static void reset_signals(void)
{
	static const unsigned long dfl[8]; /* the kernel's struct, in which 0 everywhere is SIG_DFL */

	for (int s = 1; s < NSIG; s++)
		syscall(SYS_rt_sigaction, s, dfl, NULL, (size_t)8);
}

/* Standard descriptors in place; everything else closes at exec except what is to be kept. */
static int arrange_descriptors(const struct child *c, int *report)
{
	const struct launch *l = c->l;
	int in = fcntl(l->in >= 0 ? l->in : c->null_in, F_DUPFD_CLOEXEC, 3);
	int out = fcntl(l->out >= 0 ? l->out : c->null_out, F_DUPFD_CLOEXEC, 3);
	int err = fcntl(c->err, F_DUPFD_CLOEXEC, 3);
	int rep = fcntl(*report, F_DUPFD_CLOEXEC, 3);

	if (in < 0 || out < 0 || err < 0 || rep < 0)
		return -1;
	*report = rep;
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		return -1;
	/* Where the kernel lacks this, the descriptors of drtool are close-on-exec by how they are made. */
	syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
	for (const int *fd = l->keep; fd && *fd >= 0; fd++)
		if (fcntl(*fd, F_SETFD, 0))
			return -1;
	return 0;
}

/* Plain system calls: the functions of libc change all threads of the process, which here are those of the parent. */
static int change_user(const struct launch *l)
{
	if (!l->uid)
		return 0;
	if (syscall(SYS_setgroups, 1, &l->gid) || syscall(SYS_setresgid, l->gid, l->gid, l->gid))
		return -1;
	return (int)syscall(SYS_setresuid, l->uid, l->uid, l->uid);
}

static void be_nice(void)
{
	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static void child_main(const struct child *c) __attribute__((noreturn, noinline));
static void child_main(const struct child *c)
{
	const struct launch *l = c->l;
	int report = c->report;
	sigset_t none;

	setpgid(0, 0);
	reset_signals();
	if (l->nice)
		be_nice();
	if (arrange_descriptors(c, &report) || change_user(l) || chdir(l->dir))
		give_up(report, errno);
	/* After the change of user, which clears it. A parent that died before is not noticed by the signal. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != c->parent)
		give_up(report, ESRCH);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(l->program, l->argv.item, l->env.item);
	give_up(report, errno);
}

struct launch_fds {
	int null_in, null_out, err[2], report[2];
};

static void pair_release(int *fd)
{
	fd_release(&fd[0]);
	fd_release(&fd[1]);
}

static void launch_fds_release(struct launch_fds *f)
{
	fd_release(&f->null_in);
	fd_release(&f->null_out);
	pair_release(f->err);
	pair_release(f->report);
}

static int open_fds(struct launch_fds *f)
{
	f->null_in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	f->null_out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (f->null_in < 0 || f->null_out < 0 || pipe2(f->err, O_CLOEXEC) || pipe2(f->report, O_CLOEXEC))
		return errno;
	/* Only the reading side is not blocking. */
	return fcntl(f->err[0], F_SETFL, O_NONBLOCK) ? errno : 0;
}

/* The errno that the child reported; 0 where exec closed the pipe. */
static int read_report(int fd)
{
	int errnum = 0;
	ssize_t n;

	do
		n = read(fd, &errnum, sizeof errnum);
	while (n < 0 && errno == EINTR);
	return n == sizeof errnum ? errnum : 0;
}

int launch_program(const struct launch *l, pid_t *pid, int *err_fd)
{
	CLEANUP(launch_fds_release) struct launch_fds f = {-1, -1, {-1, -1}, {-1, -1}};
	int failed = open_fds(&f);
	const struct child c = {l, f.null_in, f.null_out, f.err[1], f.report[1], getpid()};

	if (failed)
		return failed;
	/* The caller has all signals blocked, so none is handled between here and exec. */
	pid_t made = vfork();
	if (made < 0)
		return errno;
	if (made == 0)
		child_main(&c);
	fd_release(&f.report[1]);
	failed = read_report(f.report[0]);
	if (failed) {
		while (waitpid(made, NULL, 0) < 0 && errno == EINTR)
			;
		return failed;
	}
	*pid = made;
	*err_fd = f.err[0];
	f.err[0] = -1;
	return 0;
}

void launch_release(struct launch *l)
{
	cstr_release(&l->program);
	cstr_release(&l->dir);
	strlist_release(&l->argv);
	strlist_release(&l->env);
}
