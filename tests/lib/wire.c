#include "tests/lib/wire.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/test.h"

static ssize_t get(struct wire *w, char *to, size_t n) { return w->ssl ? SSL_read(w->ssl, to, (int)n) : read(w->fd, to, n); }

static ssize_t put(struct wire *w, const char *p, size_t n)
{
	return w->ssl ? SSL_write(w->ssl, p, (int)n) : send(w->fd, p, n, MSG_NOSIGNAL);
}

static size_t length_in(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");

	return at ? (size_t)strtoul(at + 17, NULL, 10) : 0;
}

static void read_request(struct wire *w)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const char *end = NULL;
	char piece[16384];

	for (;;) {
		ssize_t n = get(w, piece, sizeof piece);

		if (n <= 0)
			break;
		buf_put(&b, piece, (size_t)n);
		end = strstr(b.data, "\r\n\r\n");
		if (end && b.len >= (size_t)(end - b.data) + 4 + length_in(b.data))
			break;
	}
	buf_put(&w->seen, buf_str(&b), b.len);
}

static void send_text(struct wire *w, const char *text)
{
	size_t n = strlen(text);

	for (size_t done = 0; done < n;) {
		ssize_t put_now = put(w, text + done, n - done);

		if (put_now <= 0)
			return;
		done += (size_t)put_now;
	}
}

static void end_link(struct wire *w, bool reset)
{
	const struct linger now = {.l_onoff = 1};

	if (w->fd < 0)
		return;
	if (w->ssl && !reset)
		SSL_shutdown(w->ssl);
	SSL_free(w->ssl);
	w->ssl = NULL;
	if (reset)
		CHECK(!setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
	fd_release(&w->fd);
}

static void begin_tls(struct wire *w)
{
	w->ssl = SSL_new(w->ctx);
	CHECK(w->ssl && SSL_set_fd(w->ssl, w->fd));
	if (SSL_accept(w->ssl) == 1)
		return;
	SSL_free(w->ssl);
	w->ssl = NULL;
}

/* False: the listener was closed. */
static bool accept_next(struct wire *w)
{
	unsigned n = atomic_load(&w->connections);

	SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->fd >= 0)
		w->open[n % ARRAY_LEN(w->open)] = w->fd;
	w->fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
	if (w->fd >= 0)
		atomic_fetch_add(&w->connections, 1);
	return w->fd >= 0;
}

static bool step(struct wire *w, const struct wire_step *s)
{
	char byte;

	switch (s->act) {
	case WIRE_ACCEPT:
		return accept_next(w);
	case WIRE_TLS:
		begin_tls(w);
		return true;
	case WIRE_REQUEST:
		read_request(w);
		return true;
	case WIRE_SEND:
		send_text(w, s->text);
		return true;
	case WIRE_HANG:
		while (get(w, &byte, 1) > 0)
			;
		return true;
	case WIRE_PAUSE:
		usleep(1300000);
		return true;
	case WIRE_CLOSE:
	case WIRE_RESET:
		end_link(w, s->act == WIRE_RESET);
		return true;
	case WIRE_END:
		break;
	}
	return false;
}

static void follow(void *arg)
{
	struct wire *w = arg;

	for (const struct wire_step *s = w->script; step(w, s); s++)
		;
	shutdown(w->listener, SHUT_RDWR);
}

static void use_certificates(struct wire *w)
{
	CLEANUP(cstr_release) char *cert = xasprintf("%s/cert.pem", w->certificates), *key = xasprintf("%s/key.pem", w->certificates);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	CHECK(ctx && SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 && SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1);
	w->ctx = ctx;
}

void wire_start(struct wire *w)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to what the other side closed */
	w->fd = -1;
	for (size_t i = 0; i < ARRAY_LEN(w->open); i++)
		w->open[i] = -1;
	if (w->certificates)
		use_certificates(w);
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(w->listener >= 0 && !bind(w->listener, (const struct sockaddr *)&a, sizeof a) && !listen(w->listener, 16));
	CHECK(!getsockname(w->listener, (struct sockaddr *)&a, &n));
	w->port = ntohs(a.sin_port);
	CHECK_OK(thread_start(&w->thread, "wire", follow, w, &err), err);
}

void wire_stop(struct wire *w) { thread_join(&w->thread); }

void wire_release(struct wire *w)
{
	thread_join(&w->thread);
	end_link(w, false);
	fd_release(&w->listener);
	for (size_t i = 0; i < ARRAY_LEN(w->open); i++)
		fd_release(&w->open[i]);
	SSL_CTX_free(w->ctx);
	buf_release(&w->seen);
}
