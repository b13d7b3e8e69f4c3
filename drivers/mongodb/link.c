#include "drivers/mongodb/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT DURATION_SECONDS(3600)

/* Kinds of streams below 16 are libmongoc's. */
enum { STREAM_OF_OURS = 100, READ_AHEAD = 16384, VECTORS = 16 };

struct mo_link {
	mongoc_stream_t stream; /* first: libmongoc has a pointer to it */
	struct mo_links *all;
	struct mo_link *prev, *next;
	char *where;
	int fd;
	bool timed_out;
	size_t begin, end; /* of what is read ahead */
	char ahead[READ_AHEAD];
};

/* ---- all links ---- */

void mo_links_init(struct mo_links *l)
{
	*l = (struct mo_links){.each = DURATION_SECONDS(10)};
	mutex_init(&l->mutex);
}

void mo_links_release(struct mo_links *l)
{
	error_release(&l->why);
	error_release(&l->trouble);
	mutex_destroy(&l->mutex);
}

void mo_links_cut(struct mo_links *l)
{
	atomic_store(&l->interrupted, true);
	mutex_lock(&l->mutex);
	for (struct mo_link *k = l->first; k; k = k->next)
		shutdown(k->fd, SHUT_RDWR);
	mutex_unlock(&l->mutex);
}

static void enlist(struct mo_link *k)
{
	struct mo_links *all = k->all;

	mutex_lock(&all->mutex);
	k->next = all->first;
	if (k->next)
		k->next->prev = k;
	all->first = k;
	mutex_unlock(&all->mutex);
}

static void close_link(struct mo_link *k)
{
	struct mo_links *all = k->all;

	if (k->fd < 0)
		return;
	mutex_lock(&all->mutex);
	if (k->next)
		k->next->prev = k->prev;
	if (k->prev)
		k->prev->next = k->next;
	else
		all->first = k->next;
	k->prev = k->next = NULL;
	fd_release(&k->fd);
	mutex_unlock(&all->mutex);
}

/* ---- failures ---- */

static bool ended(const struct mo_links *all) { return all->why.code || atomic_load(&all->interrupted); }

/* Keeps what happened; the first goes before what follows from it. */
static void trouble(struct mo_link *k, struct error *from)
{
	error_add(from, "%s", k->where);
	if (!k->all->trouble.code)
		error_move(&k->all->trouble, from);
	else
		error_release(from);
}

static void lost(struct mo_link *k, int number)
{
	struct error err = ERROR_INIT;

	if (ended(k->all))
		return;
	if (number)
		error_errno(&err, number, "the connection broke");
	else
		error_set(&err, ST_UNREACHABLE, "the server broke the connection");
	err.code = ST_UNREACHABLE;
	err.retry = true;
	trouble(k, &err);
}

/* ---- waiting ---- */

struct limit {
	struct instant end;
};

static struct limit limit_of(struct mo_link *k, int32_t timeout_ms)
{
	struct mo_links *all = k->all;

	/* 0 is the scanner of a replica set, which has just polled: what is on its way is waited for. */
	return (struct limit){timeout_ms > 0 && all->run ? instant_add(run_mono(all->run), DURATION_MS(timeout_ms)) : INSTANT_NONE};
}

/* false: errno is set. */
static bool wait_for(struct mo_link *k, short events, struct limit limit)
{
	struct mo_links *all = k->all;
	bool ready = false;

	while (!ready) {
		struct duration d = WAIT;

		errno = ECONNABORTED;
		if (!all->run || ended(all))
			return false;
		if (limit.end.us)
			d = instant_diff(limit.end, run_mono(all->run));
		if (d.us <= 0) {
			k->timed_out = true;
			errno = ETIMEDOUT;
			return false;
		}
		if (run_poll(all->run, k->fd, events, d, &ready, &all->why)) {
			errno = ECONNABORTED;
			return false;
		}
	}
	return true;
}

/* ---- bytes ---- */

/* Some bytes; 0 the end; -1 errno. */
static ssize_t receive(struct mo_link *k, void *to, size_t n, struct limit limit)
{
	for (;;) {
		ssize_t got = k->fd < 0 ? -1 : recv(k->fd, to, n, MSG_DONTWAIT);

		if (got > 0 || (!got && !ended(k->all)))
			return got;
		if (k->fd < 0 || ended(k->all)) {
			errno = ECONNABORTED;
			return -1;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !wait_for(k, POLLIN, limit))
			return -1;
	}
}

static size_t take_ahead(struct mo_link *k, char *to, size_t n)
{
	size_t there = min_size(k->end - k->begin, n);

	memcpy(to, k->ahead + k->begin, there);
	k->begin += there;
	return there;
}

/* At least min bytes (one where 0), at most n; fewer at the end of the stream. Large reads go to their place without a copy. */
static ssize_t read_some(struct mo_link *k, char *to, size_t n, size_t min, struct limit limit)
{
	size_t done = take_ahead(k, to, n);

	while (done < n && (!done || done < min)) {
		bool direct = n - done >= sizeof k->ahead;
		ssize_t got = receive(k, direct ? to + done : k->ahead, direct ? n - done : sizeof k->ahead, limit);

		if (got <= 0) {
			lost(k, got ? errno : 0);
			return got < 0 ? -1 : (ssize_t)done;
		}
		if (direct) {
			done += (size_t)got;
			continue;
		}
		k->begin = 0;
		k->end = (size_t)got;
		done += take_ahead(k, to + done, n - done);
	}
	return (ssize_t)done;
}

static ssize_t link_readv(mongoc_stream_t *stream, mongoc_iovec_t *iov, size_t iovcnt, size_t min_bytes, int32_t timeout_ms)
{
	struct mo_link *k = (struct mo_link *)stream;
	struct limit limit = limit_of(k, timeout_ms);
	size_t done = 0;

	k->timed_out = false;
	for (size_t i = 0; i < iovcnt; i++) {
		ssize_t got = read_some(k, iov[i].iov_base, iov[i].iov_len, min_bytes > done ? min_bytes - done : 0, limit);

		if (got < 0)
			return -1;
		done += (size_t)got;
		if ((size_t)got < iov[i].iov_len)
			break;
	}
	return (ssize_t)done;
}

/* The vectors from byte `from` on, at most VECTORS of them. */
static size_t rest_of(const mongoc_iovec_t *iov, size_t iovcnt, size_t from, struct iovec *to)
{
	size_t n = 0;

	for (size_t i = 0; i < iovcnt && n < VECTORS; i++) {
		size_t skip = min_size(from, iov[i].iov_len);

		from -= skip;
		if (iov[i].iov_len > skip)
			to[n++] = (struct iovec){(char *)iov[i].iov_base + skip, iov[i].iov_len - skip};
	}
	return n;
}

static ssize_t link_writev(mongoc_stream_t *stream, mongoc_iovec_t *iov, size_t iovcnt, int32_t timeout_ms)
{
	struct mo_link *k = (struct mo_link *)stream;
	struct limit limit = limit_of(k, timeout_ms);
	struct iovec part[VECTORS];
	size_t done = 0, n;

	k->timed_out = false;
	while ((n = rest_of(iov, iovcnt, done, part))) {
		struct msghdr m = {.msg_iov = part, .msg_iovlen = n};
		ssize_t sent = sendmsg(k->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0) {
			done += (size_t)sent;
		} else if (errno != EINTR && (errno != EAGAIN || !wait_for(k, POLLOUT, limit))) {
			lost(k, errno);
			return -1;
		}
	}
	return (ssize_t)done;
}

/* ---- the rest of a stream ---- */

static int link_close(mongoc_stream_t *stream)
{
	close_link((struct mo_link *)stream);
	return 0;
}

static void link_destroy(mongoc_stream_t *stream)
{
	struct mo_link *k = (struct mo_link *)stream;

	close_link(k);
	free(k->where);
	free(k);
}

static int link_flush(mongoc_stream_t *stream UNUSED) { return 0; }

static bool link_closed(mongoc_stream_t *stream)
{
	struct mo_link *k = (struct mo_link *)stream;
	char c;

	if (k->fd < 0)
		return true;
	if (k->begin < k->end)
		return false;
	ssize_t n = recv(k->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static bool link_timed_out(mongoc_stream_t *stream) { return ((struct mo_link *)stream)->timed_out; }
static bool link_should_retry(mongoc_stream_t *stream UNUSED) { return false; }

/* One descriptor to wait for: that of the only link, or one for all of them. -1 errno. */
static int descriptor_of(const mongoc_stream_poll_t *streams, size_t n, int *own)
{
	if (n == 1)
		return ((struct mo_link *)streams[0].stream)->fd;
	*own = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; *own >= 0 && i < n; i++) {
		struct epoll_event ev = {.events = (uint32_t)streams[i].events};

		/* A link that is closed already shows itself when it is looked at. */
		(void)epoll_ctl(*own, EPOLL_CTL_ADD, ((struct mo_link *)streams[i].stream)->fd, &ev);
	}
	return *own;
}

static ssize_t look_at(mongoc_stream_poll_t *streams, size_t n)
{
	ssize_t ready = 0;

	for (size_t i = 0; i < n; i++) {
		const struct mo_link *k = (struct mo_link *)streams[i].stream;
		struct pollfd p = {.fd = k->fd, .events = (short)streams[i].events};

		streams[i].revents = 0;
		if (k->fd < 0)
			streams[i].revents = POLLERR;
		else if ((streams[i].events & POLLIN) && k->begin < k->end)
			streams[i].revents = POLLIN;
		else if (poll(&p, 1, 0) > 0)
			streams[i].revents = p.revents;
		ready += streams[i].revents != 0;
	}
	return ready;
}

static ssize_t link_poll(mongoc_stream_poll_t *streams, size_t n, int32_t timeout_ms)
{
	struct mo_links *all = ((struct mo_link *)streams[0].stream)->all;
	CLEANUP(fd_release) int own = FD_INIT;
	ssize_t ready = look_at(streams, n);
	bool one = false;

	if (ready || !timeout_ms)
		return ready;
	if (!all->run || ended(all))
		return -1;
	int fd = descriptor_of(streams, n, &own);
	struct duration d = timeout_ms > 0 ? DURATION_MS(timeout_ms) : WAIT;

	if (fd < 0 || run_poll(all->run, fd, n == 1 ? (short)streams[0].events : POLLIN, d, &one, &all->why))
		return -1;
	return look_at(streams, n);
}

/* ---- making one ---- */

static enum status refused(int number, struct error *err)
{
	error_errno(err, number, "connect");
	err->code = ST_UNREACHABLE;
	err->retry = true;
	return err->code;
}

static enum status connect_to(struct mo_link *k, struct run *run, const struct sockaddr *to, socklen_t size, struct error *err)
{
	int problem = 0;
	socklen_t n = sizeof problem;
	bool ready = false;

	close_link(k);
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, errno, "no socket");
	k->fd = fd;
	enlist(k);
	if (!connect(k->fd, to, size))
		return ST_OK;
	if (errno != EINPROGRESS)
		return refused(errno, err);
	while (!ready)
		if (run_poll(run, k->fd, POLLOUT, WAIT, &ready, err))
			return err->code;
	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &problem, &n))
		problem = errno;
	return problem ? refused(problem, err) : ST_OK;
}

static enum status connect_unix(struct mo_link *k, struct run *run, const char *path, struct error *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof to.sun_path)
		return error_set(err, ST_CONFIG, "the path of the socket is too long");
	memcpy(to.sun_path, path, strlen(path) + 1);
	return connect_to(k, run, (const struct sockaddr *)&to, sizeof to, err);
}

/* Resolving has no bound of its own. */
static enum status connect_tcp(struct mo_link *k, struct run *run, const mongoc_host_list_t *host, struct error *err)
{
	static const int on = 1, idle = 30, interval = 10, count = 6;
	const struct addrinfo hints = {.ai_family = host->family, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct addrinfo *all = NULL;
	char port[16];

	snprintf(port, sizeof port, "%u", host->port);
	int gai = getaddrinfo(host->host, port, &hints, &all);
	if (gai) {
		error_set(err, ST_UNREACHABLE, "%s", gai_strerror(gai));
		err->retry = gai == EAI_AGAIN;
		return error_hint(err, "Check the name of the host.");
	}
	enum status st = error_set(err, ST_UNREACHABLE, "the host has no address");
	for (const struct addrinfo *a = all; a && st == ST_UNREACHABLE; a = a->ai_next) {
		error_release(err);
		st = connect_to(k, run, a->ai_addr, a->ai_addrlen, err);
	}
	freeaddrinfo(all);
	if (st)
		return st;
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(k->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	return ST_OK;
}

static enum status make(struct mo_link *k, const mongoc_host_list_t *host, struct error *err)
{
	struct mo_links *all = k->all;
	struct run bounded;

	if (all->complete || !all->run)
		return error_set(err, ST_UNREACHABLE, "the session is lost");
	bounded = run_within(all->run, all->each);
	if (host->family == AF_UNIX ? connect_unix(k, &bounded, host->host, err) : connect_tcp(k, &bounded, host, err)) {
		if (err->code != ST_DEADLINE && err->code != ST_CANCELLED)
			return err->code;
		if (run_check(all->run, &all->why))
			return err->code;
		error_set(err, ST_UNREACHABLE, "no answer within %" PRId64 " s", (all->each.us + 999999) / 1000000);
		err->retry = true;
	}
	return err->code;
}

mongoc_stream_t *mo_link_open(const mongoc_uri_t *uri UNUSED, const mongoc_host_list_t *host, void *data, bson_error_t *error)
{
	struct error err = ERROR_INIT;
	struct mo_link *k = xcalloc(1, sizeof *k);

	k->stream = (mongoc_stream_t){
		.type = STREAM_OF_OURS,
		.destroy = link_destroy,
		.close = link_close,
		.flush = link_flush,
		.writev = link_writev,
		.readv = link_readv,
		.check_closed = link_closed,
		.poll = link_poll,
		.failed = link_destroy,
		.timed_out = link_timed_out,
		.should_retry = link_should_retry,
	};
	k->all = data;
	k->fd = FD_INIT;
	k->where = xstrdup(host->family == AF_UNIX ? host->host : host->host_and_port);
	if (!make(k, host, &err))
		return &k->stream;
	bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, "%s", error_text(&err));
	trouble(k, &err);
	error_release(&err);
	link_destroy(&k->stream);
	return NULL;
}
