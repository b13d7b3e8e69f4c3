#include "tests/lib/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"
#include "util/fs.h"
#include "util/process.h"

static struct run run = RUN_INIT;

enum status test_script(const char *const *argv, struct buf *out, struct error *err)
{
	CLEANUP(cstr_release) char *here = getcwd(NULL, 0);
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = here};

	return process_capture(&run, &spec, 65536, out, err);
}

char *test_script_value(const struct buf *lines, const char *name)
{
	const char *at = strstr(buf_str(lines), name);

	CHECK(at != NULL);
	at += strlen(name) + 1;
	return xstrndup(at, strcspn(at, "\n"));
}

#define STOP "\"$1\" stop \"$2\" immediate; rm -rf \"$2\" \"$2.tls\""

/* Its input ends when the test does, whatever way. */
int test_server_watch(const char *script, const char *dir)
{
	static const char stop[] = "read -r _; " STOP;
	int pipe_fd[2];

	CHECK(!pipe2(pipe_fd, O_CLOEXEC));
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setsid();
		dup2(pipe_fd[0], STDIN_FILENO);
		execl("/bin/sh", "sh", "-c", stop, "sh", script, dir, (char *)NULL);
		_exit(127);
	}
	close(pipe_fd[0]);
	return pipe_fd[1];
}

/* This is a child of the runner. */
void test_server_watch_run(const char *script, const char *dir)
{
	struct pollfd runner = {.fd = pidfd_open(getppid(), 0), .events = POLLIN};

	CHECK(runner.fd >= 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setsid();
		if (fork())
			_exit(0);
		int nothing = open("/dev/null", O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(nothing, i);
		dup2(runner.fd, 3);
		close_range(4, ~0u, 0);
		runner.fd = 3;
		poll(&runner, 1, -1);
		execl("/bin/sh", "sh", "-c", STOP, "sh", script, dir, (char *)NULL);
		_exit(127);
	}
	close(runner.fd);
	waitpid(pid, NULL, 0);
}

static char *folder_of_tests(const char *script, const char *prefix, pid_t of, const char *which)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	if (access(script, X_OK))
		test_skip("a script that starts servers is not here");
	CHECK_OK(test_script((const char *const[]){script, "dir", NULL}, &out, &err), err);
	return xasprintf("%.*s/%s-%d-%s", (int)strcspn(buf_str(&out), "\n"), buf_str(&out), prefix, (int)of, which);
}

char *test_server_folder(const char *script, const char *prefix)
{
	static unsigned number;
	CLEANUP(cstr_release) char *which = xasprintf("%u", number++);

	return folder_of_tests(script, prefix, getpid(), which);
}

char *test_server_shared_folder(const char *script, const char *prefix) { return folder_of_tests(script, prefix, getppid(), "all"); }

static pid_t launch_helper(const char *const *argv, int *watch)
{
	int pipe_fd[2];

	CHECK(!pipe2(pipe_fd, O_CLOEXEC));
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setsid();
		dup2(pipe_fd[0], STDIN_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(pipe_fd[0]);
	*watch = pipe_fd[1];
	return pid;
}

int test_helper_start(const char *const *argv, const char *port_file, unsigned *port, int *watch)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	pid_t pid = launch_helper(argv, watch);

	while (access(port_file, R_OK)) {
		CHECK(waitpid(pid, NULL, WNOHANG) == 0);
		CHECK_OK(run_sleep(&run, DURATION_MS(10), &err), err);
	}
	CHECK_OK(fs_read_file(port_file, 64, &text, &err), err);
	*port = (unsigned)strtoul(buf_str(&text), NULL, 10);
	return (int)pid;
}
