/* Where the process begins: what must be settled before the first thread, the thread that reads signals, the exit status. */
#include "commands/command.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/http.h"
#include "util/failpoint.h"
#include "util/thread.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

/* Never NULL once the thread runs; both live as long as the process. */
static struct cancel *cancel;
static sigset_t handled;

/* The first signal asks everything to end; the second does not ask. */
static void read_signals(void *arg)
{
	int first = 0, second = 0;

	(void)arg;
	if (sigwait(&handled, &first))
		return;
	cancel_fire(cancel, first);
	if (!sigwait(&handled, &second))
		_exit(128 + second);
}

/* Else the next file that is opened would be stdout, and messages would land in it. */
static void open_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			die("cannot open /dev/null");
}

static void harden(void)
{
	static const struct rlimit none = {0, 0};

	umask(077);
	/* Memory holds passwords and data: no core file, no debugger of another process. The leak check of a test build is one. */
#ifndef SANITIZED
	prctl(PR_SET_DUMPABLE, 0);
#endif
	setrlimit(RLIMIT_CORE, &none);
	setlocale(LC_ALL, "C");
	http_library_init();
}

static void start_signals(void)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct thread thread = THREAD_INIT;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&handled);
	for (size_t i = 0; i < ARRAY_LEN(ending); i++) {
		struct sigaction before;

		/* What nohup or a shell said to ignore stays ignored; once blocked it would arrive all the same. */
		if (!sigaction(ending[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaddset(&handled, ending[i]);
	}
	pthread_sigmask(SIG_BLOCK, &handled, NULL);
	cancel = cancel_new(NULL);
	if (thread_start(&thread, "signals", read_signals, NULL, &err))
		die(error_text(&err));
}

int main(int argc, char **argv)
{
	open_streams();
	failpoint_init();
	harden();
	start_signals();

	struct run run = RUN_INIT;

	run.cancel = cancel;
	int code = cli_main(&run, argc, argv);

	if (threads_left_behind()) {
		fflush(NULL);
		_exit(code);
	}
	return code;
}
