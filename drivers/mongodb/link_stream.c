#include "drivers/mongodb/link_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define WAIT DURATION_SECONDS(3600)

/* Kinds of streams below 16 are libmongoc's. */
enum { STREAM_OF_OURS = 100 };

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
		if (!all->run || mo_links_ended(all))
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

/* What a call of OpenSSL came to, in the terms of recv and send. */
static ssize_t ssl_result(struct mo_link *k, int r, size_t n, short *want)
{
	int why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(k->ssl, r);

	if (why == SSL_ERROR_NONE)
		return (ssize_t)n;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		*want = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		errno = EAGAIN;
	} else if (why == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		return 0;
	} else if (why == SSL_ERROR_SSL) {
		errno = EPROTO;
	} else if (!errno) {
		errno = ECONNRESET;
	}
	return -1;
}

/* Some bytes; 0 the end; -1 errno, with EAGAIN what to wait for. */
static ssize_t pull(struct mo_link *k, void *to, size_t n, short *want)
{
	size_t got = 0;

	*want = POLLIN;
	errno = ECONNABORTED;
	if (k->fd < 0)
		return -1;
	if (!k->ssl)
		return recv(k->fd, to, n, MSG_DONTWAIT);
	errno = 0;
	ERR_clear_error();
	int r = SSL_read_ex(k->ssl, to, n, &got);

	return ssl_result(k, r, got, want);
}

static ssize_t push(struct mo_link *k, struct iovec piece, short *want)
{
	size_t sent = 0;

	*want = POLLOUT;
	errno = ECONNABORTED;
	if (k->fd < 0)
		return -1;
	if (!k->ssl)
		return send(k->fd, piece.iov_base, piece.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	errno = 0;
	ERR_clear_error();
	int r = SSL_write_ex(k->ssl, piece.iov_base, piece.iov_len, &sent);
	ssize_t done = ssl_result(k, r, sent, want);

	if (!done)
		errno = ECONNRESET;
	return done ? done : -1;
}

static ssize_t receive(struct mo_link *k, void *to, size_t n, struct limit limit)
{
	for (;;) {
		short want;
		ssize_t got = pull(k, to, n, &want);

		if (got > 0) {
			k->answered = true;
			return got;
		}
		if (mo_links_ended(k->all)) {
			errno = ECONNABORTED;
			return -1;
		}
		if (!got)
			return 0;
		if (errno != EINTR && (errno != EAGAIN || !wait_for(k, want, limit)))
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
			mo_link_lost(k, got ? errno : 0);
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
		const char *why = mo_frame_take(&k->frame, iov[i].iov_base, (size_t)got);
		if (why) {
			mo_link_spoilt(k, why);
			return -1;
		}
		done += (size_t)got;
		if ((size_t)got < iov[i].iov_len)
			break;
	}
	return (ssize_t)done;
}

/* What to send next, from byte `from` of all on: a large vector as it lies, small ones together in room. Empty at the end. */
static struct iovec next_piece(const mongoc_iovec_t *iov, size_t iovcnt, size_t from, struct iovec room)
{
	size_t used = 0;

	for (size_t i = 0; i < iovcnt && used < room.iov_len; i++) {
		size_t skip = min_size(from, iov[i].iov_len), left = iov[i].iov_len - skip;
		char *p = (char *)iov[i].iov_base + skip;

		from -= skip;
		if (!used && left >= room.iov_len)
			return (struct iovec){p, left};
		left = min_size(left, room.iov_len - used);
		memcpy((char *)room.iov_base + used, p, left);
		used += left;
	}
	return (struct iovec){room.iov_base, used};
}

static ssize_t link_writev(mongoc_stream_t *stream, mongoc_iovec_t *iov, size_t iovcnt, int32_t timeout_ms)
{
	struct mo_link *k = (struct mo_link *)stream;
	struct limit limit = limit_of(k, timeout_ms);
	struct iovec piece;
	char room[4096];
	size_t done = 0;
	short want;

	k->timed_out = false;
	while (piece = next_piece(iov, iovcnt, done, (struct iovec){room, sizeof room}), piece.iov_len) {
		ssize_t sent = push(k, piece, &want);

		if (sent >= 0) {
			done += (size_t)sent;
		} else if (errno != EINTR && (errno != EAGAIN || !wait_for(k, want, limit))) {
			mo_link_lost(k, errno);
			return -1;
		}
	}
	return (ssize_t)done;
}

/* ---- the rest of a stream ---- */

static int link_close(mongoc_stream_t *stream)
{
	mo_link_close((struct mo_link *)stream);
	return 0;
}

static void link_destroy(mongoc_stream_t *stream)
{
	struct mo_link *k = (struct mo_link *)stream;

	mo_link_close(k);
	free(k->where);
	free(k);
}

static int link_flush(mongoc_stream_t *stream UNUSED) { return 0; }

/* Bytes that the descriptor does not show. */
static bool has_more(const struct mo_link *k) { return k->begin < k->end || (k->ssl && SSL_pending(k->ssl) > 0); }

static bool link_closed(mongoc_stream_t *stream)
{
	struct mo_link *k = (struct mo_link *)stream;
	char c;

	if (k->fd < 0)
		return true;
	if (has_more(k))
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
		else if ((streams[i].events & POLLIN) && has_more(k))
			streams[i].revents = POLLIN;
		else if (poll(&p, 1, 0) > 0)
			/* What broke is found by using it, with what the server still had to say. */
			streams[i].revents = p.revents & (POLLERR | POLLHUP) ? streams[i].events : p.revents;
		ready += streams[i].revents != 0;
	}
	return ready;
}

/* libmongoc would only poll again where it is told of a failure itself. */
static ssize_t all_failed(mongoc_stream_poll_t *streams, size_t n)
{
	for (size_t i = 0; i < n; i++)
		streams[i].revents = POLLERR;
	return (ssize_t)n;
}

static ssize_t link_poll(mongoc_stream_poll_t *streams, size_t n, int32_t timeout_ms)
{
	struct mo_links *all = ((struct mo_link *)streams[0].stream)->all;
	CLEANUP(fd_release) int own = FD_INIT;
	ssize_t ready = look_at(streams, n);
	bool one = false;

	if (!all->run || mo_links_ended(all))
		return all_failed(streams, n);
	if (ready || !timeout_ms)
		return ready;
	int fd = descriptor_of(streams, n, &own);
	struct duration d = timeout_ms > 0 ? DURATION_MS(timeout_ms) : WAIT;

	if (fd < 0 || run_poll(all->run, fd, n == 1 ? (short)streams[0].events : POLLIN, d, &one, &all->why))
		return all_failed(streams, n);
	return look_at(streams, n);
}

void mo_link_stream(mongoc_stream_t *to)
{
	*to = (mongoc_stream_t){
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
}
