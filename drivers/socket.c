#include "drivers/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define WAIT DURATION_SECONDS(3600)

enum status socket_unreachable(int number, struct error *err)
{
	CLEANUP(error_release) struct error plain = ERROR_INIT;

	error_errno(&plain, number, "connect");
	error_set(err, ST_UNREACHABLE, "%s", strstr(error_text(&plain), ": ") + 2);
	err->retry = true;
	return error_hint(err, "Check host and port, or the path of the socket, that the server runs, and that it listens there.");
}

void socket_keep_alive(int fd)
{
	static const int on = 1, idle = 30, interval = 10, count = 6;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static enum status connect_to(struct run *run, const struct sockaddr *to, socklen_t size, int *fd, struct error *err)
{
	int problem = 0;
	socklen_t n = sizeof problem;
	bool ready = false;

	fd_release(fd);
	*fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return error_errno(err, errno, "no socket");
	if (!connect(*fd, to, size))
		return ST_OK;
	if (errno != EINPROGRESS)
		return socket_unreachable(errno, err);
	while (!ready)
		if (run_poll(run, *fd, POLLOUT, WAIT, &ready, err))
			return err->code;
	if (getsockopt(*fd, SOL_SOCKET, SO_ERROR, &problem, &n))
		problem = errno;
	return problem ? socket_unreachable(problem, err) : ST_OK;
}

static size_t count_of(const struct addrinfo *a)
{
	size_t n = 0;

	for (; a; a = a->ai_next)
		n++;
	return n;
}

/* One address that does not answer must not use up the time of the others. */
static enum status connect_one(struct run *run, const struct addrinfo *a, int *fd, struct error *err)
{
	struct duration left = run_left(run, WAIT);
	struct run share = run_within(run, (struct duration){left.us / (int64_t)count_of(a)});

	if (connect_to(&share, a->ai_addr, a->ai_addrlen, fd, err) != ST_DEADLINE || !a->ai_next)
		return err->code;
	return socket_unreachable(ETIMEDOUT, err);
}

enum status socket_connect(struct run *run, const char *host, unsigned port, int *fd, struct error *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct addrinfo *all = NULL;
	char text[16];

	snprintf(text, sizeof text, "%u", port);
	int gai = getaddrinfo(host, text, &hints, &all);
	if (gai) {
		error_set(err, ST_UNREACHABLE, "%s", gai_strerror(gai));
		err->retry = true;
		return error_hint(err, "Check the name of the host.");
	}
	enum status st = error_set(err, ST_UNREACHABLE, "the host has no address");
	for (const struct addrinfo *a = all; a && st == ST_UNREACHABLE; a = a->ai_next) {
		error_release(err);
		st = connect_one(run, a, fd, err);
	}
	freeaddrinfo(all);
	if (!st)
		socket_keep_alive(*fd);
	return st;
}

enum status socket_connect_unix(struct run *run, const char *path, int *fd, struct error *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof to.sun_path)
		return error_set(err, ST_CONFIG, "the path of the socket is too long: %s", path);
	memcpy(to.sun_path, path, strlen(path) + 1);
	return connect_to(run, (const struct sockaddr *)&to, sizeof to, fd, err);
}
