#include "tests/lib/child.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/lib/test.h"

int child_run(void (*fn)(void *arg), void *arg, struct buf *output)
{
	int fds[2], wstatus = 0;
	char piece[4096];
	ssize_t n;

	fflush(NULL);
	CHECK(!pipe2(fds, O_CLOEXEC));
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		fn(arg);
		exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR))
		buf_put(output, piece, (size_t)(n > 0 ? n : 0));
	close(fds[0]);
	while (waitpid(pid, &wstatus, 0) < 0 && errno == EINTR)
		;
	return wstatus;
}
