#include "util/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/child.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"
#include "util/thread.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHELL(script) ARGV("/bin/sh", "-c", script)

static struct process_spec spec_of(const char *const *argv) { return (struct process_spec){.argv = argv, .in = -1, .out = -1}; }

/* The output of a shell script that must succeed; owned by the caller. */
static char *output_of(const struct process_spec *spec)
{
	struct buf out = BUF_INIT;
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;

	CHECK_OK(process_capture(&run, spec, 100000, &out, &e), e);
	return buf_detach(&out);
}

/* A zombie that nobody has waited for yet is not alive. */
static bool alive(pid_t pid)
{
	CLEANUP(cstr_release) char *path = xasprintf("/proc/%d/stat", (int)pid);
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(error_release) struct error e = ERROR_INIT;

	return !fs_read_file(path, 4096, &b, &e) && !strstr(buf_str(&b), ") Z ");
}

/* Waits for what must become true soon. */
static bool soon(bool (*is)(pid_t pid), pid_t pid, bool value)
{
	for (int i = 0; i < 2000 && is(pid) != value; i++)
		usleep(5000);
	return is(pid) == value;
}

TEST("the output of a program is collected")
{
	struct process_spec spec = spec_of(ARGV("echo", "a b", "c"));
	CLEANUP(cstr_release) char *out = output_of(&spec);

	CHECK_STR(out, "a b c\n");
}

TEST("a program that is not there is an error that names it")
{
	CLEANUP(process_freep) struct process *p = NULL;
	struct error e = ERROR_INIT;
	struct process_spec spec = spec_of(ARGV("no-such-program"));

	CHECK_ERR(process_start(&p, &spec, &e), e, ST_UNSUPPORTED, "no-such-program is not in PATH");
	spec.argv = ARGV("/absent/program");
	CHECK_ERR(process_start(&p, &spec, &e), e, ST_UNSUPPORTED, "cannot start /absent/program: No such file");
	spec.argv = ARGV("/etc/passwd");
	CHECK_ERR(process_start(&p, &spec, &e), e, ST_DENIED, "cannot start /etc/passwd: Permission denied");
	spec.argv = ARGV("/bin/true");
	spec.dir = "/absent";
	CHECK_ERR(process_start(&p, &spec, &e), e, ST_UNSUPPORTED, "cannot start /bin/true");
	CHECK(!p);
}

TEST("a failing program gives its status and its last lines")
{
	CLEANUP(process_freep) struct process *p = NULL;
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;
	const char *script = "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; printf 'a\\tb\\033x\\n\\n' >&2; exit 3";
	struct process_spec spec = spec_of(SHELL(script));
	int code = 0;

	CHECK_OK(process_start(&p, &spec, &e), e);
	CHECK_INT(process_wait(&run, p, &code, &e), ST_FAILED);
	CHECK_STR(error_text(&e), "sh ended with status 3: line 4; line 5; line 6; line 7; a b x");
	CHECK_INT(code, 3);
	CHECK_HAS(process_stderr(p), "line 1\n");
	error_release(&e);
}

TEST("a program ended by a signal is told as such")
{
	CLEANUP(process_freep) struct process *p = NULL;
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;
	struct process_spec spec = spec_of(SHELL("kill -SEGV $$"));
	int code = 0;

	CHECK_OK(process_start(&p, &spec, &e), e);
	CHECK_ERR(process_wait(&run, p, &code, &e), e, ST_FAILED, "sh was ended by signal 11 (SEGV)");
	CHECK_INT(code, 128 + SIGSEGV);
	process_signal(p, SIGTERM); /* nothing there any more */
}

TEST("of a program that prints a long statement after its error, the error is told")
{
	CLEANUP(process_freep) struct process *p = NULL;
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;
	struct process_spec spec =
		spec_of(SHELL("{ echo 'tool: warning: w'; echo 'tool: error: gone'; echo 'detail: SELECT'; seq 1 400; } >&2; exit 1"));

	CHECK_OK(process_start(&p, &spec, &e), e);
	CHECK_INT(process_wait(&run, p, NULL, &e), ST_FAILED);
	CHECK_STR(error_text(&e), "sh ended with status 1: tool: error: gone; detail: SELECT; 1; 2; 3");
	error_release(&e);
}

TEST("the last 64 KiB of stderr are kept however much there is")
{
	CLEANUP(process_freep) struct process *p = NULL;
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;
	struct process_spec spec = spec_of(SHELL("yes 0123456 | head -c 1000000 >&2; echo the end >&2"));

	CHECK_OK(process_start(&p, &spec, &e), e);
	CHECK_OK(process_wait(&run, p, NULL, &e), e);
	CHECK_INT(strlen(process_stderr(p)), 65536);
	CHECK_STR(process_stderr(p) + 65536 - 8, "the end\n");
}

TEST("the environment is built and not inherited")
{
	struct process_spec spec = spec_of(ARGV("/usr/bin/env"));

	setenv("PGPASSWORD", "secret", 1);
	setenv("HOME", "/home/x", 1);
	setenv("PATH", "/usr/bin:/bin", 1);
	spec.env = ARGV("LANG=de_DE", "A=1");
	CLEANUP(cstr_release) char *out = output_of(&spec);
	CHECK_STR(out, "LANG=de_DE\nA=1\nPATH=/usr/bin:/bin\nHOME=/home/x\nTZ=UTC\n");
}

TEST("a program has the folder, the descriptors and the signals it should have and no others")
{
	CLEANUP(cstr_release) char *folder = realpath(test_dir(), NULL);
	const char *script = "pwd; ls /proc/self/fd | tr '\\n' ' '; grep -E 'SigBlk|SigIgn' /proc/self/status; cat";
	struct process_spec spec = spec_of(SHELL(script));
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	sigset_t all;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	int leaky = dup(0), kept = fcntl(0, F_DUPFD_CLOEXEC, 77), keep[] = {kept, -1};
	CHECK(leaky > 2 && kept >= 77);
	CLEANUP(cstr_release) char *path = path_join(folder, "in");
	CHECK_OK(fs_write_file(path, 0600, "from stdin", 10, &e), e);
	CLEANUP(fd_release) int in = open(path, O_RDONLY | O_CLOEXEC);
	spec.in = in;
	spec.keep = keep;
	spec.dir = folder;
	CHECK_OK(process_capture(&run, &spec, 10000, &out, &e), e);
	CLEANUP(cstr_release) char *expected = xasprintf("%s\n0 1 2 3 77 SigBlk:\t%016d\nSigIgn:\t%016d\nfrom stdin", folder, 0, 0);
	CHECK_STR(buf_str(&out), expected); /* 3 is the folder that ls reads */
}

TEST("a program leads its own process group")
{
	struct process_spec spec = spec_of(SHELL("cut -d' ' -f5 /proc/$$/stat; echo $$"));
	CLEANUP(cstr_release) char *out = output_of(&spec);
	char *second = strchr(out, '\n');

	CHECK(second);
	*second++ = 0;
	second[strlen(second) - 1] = 0;
	CHECK_STR(out, second);
}

TEST("a program runs as another user with only the group of that user")
{
	struct process_spec spec = spec_of(SHELL("id -u; id -g; id -G; echo $HOME; grep NoNewPrivs /proc/self/status >/dev/null"));
	struct error e = ERROR_INIT;
	CLEANUP(process_freep) struct process *p = NULL;

	if (getuid())
		test_skip("needs root");
	spec.uid = 65534;
	CHECK_ERR(process_start(&p, &spec, &e), e, ST_FAILED, "a user without a group");
	spec.gid = 65534;
	CLEANUP(cstr_release) char *out = output_of(&spec);
	CHECK_STR(out, "65534\n65534\n65534\n/\n");
	CHECK_INT(getuid(), 0);
}

TEST("a nice program has the lowest priority")
{
	struct process_spec spec = spec_of(ARGV("nice"));

	spec.nice = true;
	CLEANUP(cstr_release) char *out = output_of(&spec);
	CHECK_STR(out, "19\n");
}

static void fire_soon(void *c)
{
	usleep(50000);
	cancel_fire(c, SIGTERM);
}

TEST("cancelling asks the whole group to end")
{
	CLEANUP(process_freep) struct process *p = NULL;
	CLEANUP(cancel_freep) struct cancel *c = cancel_new(NULL);
	struct error e = ERROR_INIT;
	struct run run = {.cancel = c};
	struct thread t = THREAD_INIT;
	struct process_spec spec = spec_of(SHELL("trap 'echo asked >&2; exit 4' TERM; sleep 1000 & wait"));
	int code = 0;

	CHECK_OK(process_start(&p, &spec, &e), e);
	CHECK_OK(thread_start(&t, "firer", fire_soon, c, &e), e);
	CHECK_INT(process_wait(&run, p, &code, &e), ST_CANCELLED);
	CHECK_STR(error_text(&e), "sh: interrupted");
	CHECK_INT(e.exit_signal, SIGTERM);
	error_release(&e);
	thread_join(&t);
	if (code != 128 + SIGTERM) { /* the shell may not have come to its trap yet */
		CHECK_INT(code, 4);
		CHECK_STR(process_stderr(p), "asked\n");
	}
}

TEST("a program that does not end when asked is killed after its grace")
{
	CLEANUP(process_freep) struct process *p = NULL;
	struct fake_clock f;
	struct error e = ERROR_INIT;
	struct process_spec spec = spec_of(SHELL("trap '' TERM; echo ready; while :; do sleep 1; done"));
	int fds[2], code = 0;
	char c;

	fake_clock_init(&f, (struct instant){INT64_C(1795140000000000)});
	struct run run = {.clock = &f.clock}, brief = run_within(&run, DURATION_SECONDS(1));
	CHECK(!pipe2(fds, O_CLOEXEC));
	spec.out = fds[1];
	CHECK_OK(process_start(&p, &spec, &e), e);
	CHECK_INT(read(fds[0], &c, 1), 1);
	CHECK_ERR(process_wait(&brief, p, &code, &e), e, ST_DEADLINE, "sh: the time limit was reached");
	CHECK_INT(code, 128 + SIGKILL);
	CHECK(instant_diff(run_mono(&run), brief.deadline).us >= 5000000);
	close(fds[0]);
	close(fds[1]);
}

TEST("freeing a process kills its group")
{
	struct process *p = NULL;
	struct error e = ERROR_INIT;
	struct process_spec spec = spec_of(SHELL("sleep 1000 & echo $!; exec sleep 1000"));
	int fds[2];
	char text[32] = "";

	CHECK(!pipe2(fds, O_CLOEXEC));
	spec.out = fds[1];
	CHECK_OK(process_start(&p, &spec, &e), e);
	CHECK(read(fds[0], text, sizeof text - 1) > 0);
	pid_t inner = (pid_t)strtol(text, NULL, 10), pid = process_pid(p);
	CHECK(inner > 0 && alive(inner) && alive(pid));
	process_freep(&p);
	CHECK(!p);
	CHECK(!alive(pid));
	CHECK(soon(alive, inner, false));
	process_freep(&p);
	close(fds[0]);
	close(fds[1]);
}

TEST("what a program leaves behind in its group ends with it and holds nobody up")
{
	struct process_spec spec = spec_of(SHELL("sleep 1000 & echo $!"));
	CLEANUP(cstr_release) char *out = output_of(&spec);

	CHECK(soon(alive, (pid_t)strtol(out, NULL, 10), false));
}

TEST("a program that left its group and holds the pipes holds nobody up")
{
	struct process_spec spec = spec_of(SHELL("setsid sleep 1000 & echo $!; sleep 0.2"));
	CLEANUP(cstr_release) char *out = output_of(&spec);
	pid_t pid = (pid_t)strtol(out, NULL, 10);

	CHECK(alive(pid));
	kill(pid, SIGKILL);
}

TEST("output beyond the limit is an error and ends the program")
{
	struct process_spec spec = spec_of(ARGV("yes"));
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;

	CHECK_ERR(process_capture(&run, &spec, 100000, &out, &e), e, ST_BAD, "yes wrote more than 100000 bytes");
}

static void start_and_die(void *arg UNUSED)
{
	struct process *p = NULL;
	struct error e = ERROR_INIT;
	struct process_spec spec = spec_of(ARGV("sleep", "1000"));

	CHECK_OK(process_start(&p, &spec, &e), e);
	printf("%d\n", (int)process_pid(p));
	fflush(stdout);
	raise(SIGKILL);
}

TEST("a program ends when drtool is killed")
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;

	CHECK(WIFSIGNALED(child_run(start_and_die, NULL, &out)));
	pid_t pid = (pid_t)strtol(buf_str(&out), NULL, 10);
	CHECK(pid > 0);
	CHECK(soon(alive, pid, false));
}

static void start_sleep(void *p)
{
	struct error e = ERROR_INIT;
	struct process_spec spec = spec_of(ARGV("sleep", "0.3"));

	CHECK_OK(process_start(p, &spec, &e), e);
}

TEST("a program outlives the thread that started it")
{
	CLEANUP(process_freep) struct process *p = NULL;
	struct thread t = THREAD_INIT;
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;

	CHECK_OK(thread_start(&t, "starter", start_sleep, &p, &e), e);
	thread_join(&t);
	CHECK_OK(process_wait(&run, p, NULL, &e), e);
}

static void run_many(void *arg UNUSED)
{
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;

	for (int i = 0; i < 20; i++) {
		CLEANUP(process_freep) struct process *p = NULL;
		struct process_spec spec = spec_of(ARGV("/bin/sh", "-c", "exit 5"));
		int code;

		CHECK_OK(process_start(&p, &spec, &e), e);
		CHECK_ERR(process_wait(&run, p, &code, &e), e, ST_FAILED, "status 5");
		CHECK_INT(code, 5);
	}
}

TEST("several threads start programs at once and no descriptor stays open")
{
	struct thread t[4] = {0};
	struct error e = ERROR_INIT;
	CLEANUP(strlist_release) struct strlist before = STRLIST_INIT;
	CLEANUP(strlist_release) struct strlist after = STRLIST_INIT;

	CHECK_OK(fs_list("/proc/self/fd", &before, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		CHECK_OK(thread_start(&t[i], "many", run_many, NULL, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_join(&t[i]);
	CHECK_OK(fs_list("/proc/self/fd", &after, &e), e);
	CHECK_INT(after.len, before.len);
}

TEST("an exit status is seen even where drtool was started with SIGCHLD ignored")
{
	signal(SIGCHLD, SIG_IGN);
	run_many(NULL);
}

TEST("a sealed spool is handed to a program by its path in /proc")
{
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 100);
	struct error e = ERROR_INIT;

	CHECK_OK(spool_write(s, "hello", 5, &e), e);
	CHECK_OK(spool_seal(s, &e), e);
	CLEANUP(cstr_release) char *path = xasprintf("/proc/self/fd/%d", spool_fd(s));
	int keep[] = {spool_fd(s), -1};
	struct process_spec spec = spec_of(ARGV("cat", path));
	spec.keep = keep;
	CLEANUP(cstr_release) char *out = output_of(&spec);
	CHECK_STR(out, "hello");
}

TEST("a program is found in the given folders first, then in PATH, and never relative to anything")
{
	CLEANUP(cstr_release) char *tool = path_join(test_dir(), "sh");
	struct error e = ERROR_INIT;

	setenv("PATH", ".::bin:/absent:/bin", 1);
	CLEANUP(cstr_release) char *plain = process_find("sh", NULL);
	CHECK_STR(plain, "/bin/sh");
	CHECK_OK(fs_write_file(tool, 0600, "", 0, &e), e);
	CLEANUP(cstr_release) char *not_executable = process_find("sh", ARGV(test_dir()));
	CHECK_STR(not_executable, "/bin/sh");
	CHECK(!chmod(tool, 0700));
	CLEANUP(cstr_release) char *given = process_find("sh", ARGV(test_dir()));
	CHECK_STR(given, tool);
	CHECK(!process_find("no-such-program", NULL));
	CHECK(!chdir("/"));
	setenv("PATH", "bin", 1);
	CHECK(!process_find("sh", NULL));
}
