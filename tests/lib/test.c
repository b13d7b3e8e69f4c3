/* The runner of unit tests: build/<variant>/unit [-l] [PART...]. Every test runs in its own child, so that a crash or a hang is one
 * failure and nothing of one test reaches the next. A PART selects tests whose sentence or file contains it; TEST_SHARE=1/2 or 2/2 in the
 * environment each second one of all, so that two runners share the work. */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_SECONDS 300 /* a test that hangs; what is merely slow on a busy machine is fine */
#define REPORT_MAX 4000 /* below PIPE_BUF, so that a report is written whole */

enum outcome { PASSED, FAILED, SKIPPED };

static struct test *tests;
static size_t test_count;

/* Of the child. */
static int report_fd = -1;
static char dir_path[512];
static bool dir_made;

void test_register(struct test *t)
{
	t->next = tests;
	tests = t;
	test_count++;
}

/* kind is 'F' or 'S'. A report is also sent from other threads and from processes that the test forked. */
static void report(char kind, const char *text)
{
	char line[REPORT_MAX];
	int n = snprintf(line, sizeof line, "%c%s", kind, text);
	size_t len = min_size((size_t)(n < 0 ? 0 : n), sizeof line - 1);

	ssize_t ignored = write(report_fd, line, len);
	(void)ignored;
	fflush(NULL);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	report('F', xasprintf("%s:%d: %s", file, line, text));
	_exit(1);
}

void test_skip(const char *reason)
{
	report('S', reason);
	_exit(0);
}

const char *test_dir(void)
{
	if (!dir_made && mkdir(dir_path, 0700))
		test_fail(__FILE__, __LINE__, "cannot make the folder %s: %s", dir_path, strerrordesc_np(errno));
	dir_made = true;
	return dir_path;
}

static int remove_entry(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *ftw UNUSED)
{
	return remove(path);
}

static int by_place(const void *a, const void *b)
{
	const struct test *x = *(struct test *const *)a, *y = *(struct test *const *)b;
	int files = strcmp(x->file, y->file);

	return files ? files : (x->line > y->line) - (x->line < y->line);
}

/* "2/3": of each three the second. */
struct share {
	unsigned long which, of;
};

static struct share share_of(const char *text)
{
	struct share s = {1, 1};

	if (text && *text && (sscanf(text, "%lu/%lu", &s.which, &s.of) != 2 || !s.which || s.which > s.of)) {
		fprintf(stderr, "TEST_SHARE=%s: write 1/2, or 2/2\n", text);
		exit(2);
	}
	return s;
}

static bool wanted(const struct test *t, char **part)
{
	if (!*part)
		return true;
	for (; *part; part++)
		if (strstr(t->sentence, *part) || strstr(t->file, *part))
			return true;
	return false;
}

static void child_main(const struct test *t, int fd, pid_t parent) __attribute__((noreturn));
static void child_main(const struct test *t, int fd, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	report_fd = fd;
	t->fn();
	exit(0); /* not _exit: the leak check of AddressSanitizer runs here */
}

/* Waits for the end, at most the time a test has. Returns false where it had to be killed. */
static bool wait_child(pid_t pid, int *wstatus, int seconds)
{
	int fd = pidfd_open(pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n = -1;

	if (fd >= 0)
		do
			n = poll(&p, 1, seconds * 1000);
		while (n < 0 && errno == EINTR);
	if (n == 0)
		kill(pid, SIGKILL);
	kill(-pid, fd >= 0 ? SIGKILL : 0); /* what the test left behind in its group */
	while (waitpid(pid, wstatus, 0) < 0 && errno == EINTR)
		;
	fd_release(&fd);
	return n != 0;
}

static enum outcome judge(bool in_time, int wstatus, int seconds, char *text, size_t cap)
{
	if (text[0] == 'F' || (text[0] == 'S' && in_time && WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0)) {
		enum outcome o = text[0] == 'F' ? FAILED : SKIPPED;

		memmove(text, text + 1, strlen(text));
		return o;
	}
	if (!in_time)
		snprintf(text, cap, "not done after %d s", seconds);
	else if (WIFSIGNALED(wstatus))
		snprintf(text, cap, "ended by signal %d (%s)", WTERMSIG(wstatus), sigabbrev_np(WTERMSIG(wstatus)));
	else if (WEXITSTATUS(wstatus))
		snprintf(text, cap, "exit status %d", WEXITSTATUS(wstatus));
	else
		return PASSED;
	return FAILED;
}

static enum outcome run_test(const struct test *t, int seconds, char *text, size_t cap)
{
	int pipe_fd[2], wstatus = 0;
	pid_t parent = getpid();

	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK))
		abort();
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (!pid)
		child_main(t, pipe_fd[1], parent);
	setpgid(pid, pid);
	close(pipe_fd[1]);
	bool in_time = wait_child(pid, &wstatus, seconds);
	ssize_t n = read(pipe_fd[0], text, min_size(cap - 1, REPORT_MAX));
	text[n > 0 ? n : 0] = 0;
	close(pipe_fd[0]);
	nftw(dir_path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return judge(in_time, wstatus, seconds, text, cap);
}

static void print_outcome(const struct test *t, enum outcome o, const char *text)
{
	if (o == PASSED)
		printf("ok - %s\n", t->sentence);
	else if (o == SKIPPED)
		printf("skip - %s: %s\n", t->sentence, text);
	else
		printf("not ok - %s\n    %s\n    (%s:%d)\n", t->sentence, text, t->file, t->line);
}

int main(int argc UNUSED, char **argv)
{
	const char *tmp = getenv("TMPDIR"), *limit = getenv("TEST_SECONDS");
	long seconds = limit ? strtol(limit, NULL, 10) : TEST_SECONDS;
	bool list_only = argv[1] && !strcmp(argv[1], "-l");
	char **part = argv + 1 + list_only, text[2 * REPORT_MAX];
	const struct share share = share_of(getenv("TEST_SHARE"));
	size_t count[3] = {0}, i = 0;
	struct test **all = xcalloc(test_count, sizeof *all);

	for (struct test *t = tests; t; t = t->next)
		all[i++] = t;
	if (test_count)
		qsort(all, test_count, sizeof *all, by_place);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < test_count; i++) {
		if (i % share.of != share.which - 1 || !wanted(all[i], part))
			continue;
		if (list_only) {
			printf("%s:%d: %s\n", all[i]->file, all[i]->line, all[i]->sentence);
			continue;
		}
		snprintf(dir_path, sizeof dir_path, "%s/drtool-unit-%d-%zu", tmp && *tmp ? tmp : "/tmp", (int)getpid(), i);
		enum outcome o = run_test(all[i], seconds > 0 ? (int)seconds : TEST_SECONDS, text, sizeof text);
		print_outcome(all[i], o, text);
		count[o]++;
	}
	free(all);
	if (list_only)
		return 0;
	printf("%zu passed, %zu failed, %zu skipped\n", count[PASSED], count[FAILED], count[SKIPPED]);
	return count[FAILED] || !(count[PASSED] + count[SKIPPED]) ? 1 : 0;
}
