/* A look at a server's certificate before anything is told to the server. libmariadb 3.3 knows only "chain and name" and "this SHA-1"; with
 * what is found here the second serves for every other mode. */
#include "drivers/mysql/conn_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "drivers/socket.h"

#define WAIT DURATION_SECONDS(3600)

enum { CAP_PROTOCOL_41 = 1 << 9, CAP_SSL = 1 << 11, CAP_SECURE = 1 << 15, CAP_PLUGIN_AUTH = 1 << 19 };

struct peek {
	struct run *run;
	const struct my_connect_params *p;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
};

static void peek_release(struct peek *k)
{
	SSL_free(k->ssl);
	SSL_CTX_free(k->ctx);
	fd_release(&k->fd);
}

static enum status unreachable(struct error *err, const char *what)
{
	error_set(err, ST_UNREACHABLE, "%s", what);
	err->retry = true;
	return err->code;
}

static enum status wait_for(struct peek *k, struct error *err)
{
	bool ready = false;

	while (!ready)
		if (run_poll(k->run, k->fd, POLLIN, WAIT, &ready, err))
			return err->code;
	return ST_OK;
}

static enum status get(struct peek *k, unsigned char *to, size_t n, struct error *err)
{
	while (n) {
		ssize_t got = recv(k->fd, to, n, MSG_DONTWAIT);

		if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
			return unreachable(err, "the server broke the connection before its greeting");
		if (got < 0 && wait_for(k, err))
			return err->code;
		if (got > 0) {
			to += got;
			n -= (size_t)got;
		}
	}
	return ST_OK;
}

/* The server's greeting: *offers, whether it has TLS. */
static enum status greet(struct peek *k, bool *offers, struct error *err)
{
	unsigned char head[4], body[1024];

	if (get(k, head, sizeof head, err))
		return err->code;
	size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
	if (n < 4 || n >= sizeof body)
		return unreachable(err, "what answers is not a MySQL server");
	if (get(k, body, n, err))
		return err->code;
	body[n] = 0;
	if (body[0] == 0xff)
		return my_number_error((unsigned)(body[1] | body[2] << 8), (const char *)body + (n > 9 && body[3] == '#' ? 9 : 3), err);
	size_t at = 1 + strlen((const char *)body + 1) + 1 + 4 + 8 + 1;
	if (body[0] != 10 || at + 2 > n)
		return unreachable(err, "what answers is not a MySQL server");
	*offers = (body[at] | body[at + 1] << 8) & CAP_SSL;
	return ST_OK;
}

static enum status ask_for_tls(struct peek *k, struct error *err)
{
	const unsigned caps = CAP_PROTOCOL_41 | CAP_SSL | CAP_SECURE | CAP_PLUGIN_AUTH;
	unsigned char packet[36] = {32, 0, 0, 1, caps & 255, caps >> 8 & 255, caps >> 16 & 255, caps >> 24, 0, 0, 0, 1, 45};

	if (send(k->fd, packet, sizeof packet, MSG_NOSIGNAL) != (ssize_t)sizeof packet)
		return unreachable(err, "the server broke the connection");
	return ST_OK;
}

static enum status look(struct peek *k, const char *ca, struct my_certificate *found, struct error *err)
{
	if (!(k->ctx = SSL_CTX_new(TLS_client_method())) || !SSL_CTX_set_min_proto_version(k->ctx, TLS1_VERSION))
		return error_set(err, ST_MEMORY, "no memory for TLS");
	if (ca && !SSL_CTX_load_verify_locations(k->ctx, ca, NULL))
		return error_set(err, ST_CONFIG, "tls_ca: the certificates of authorities in %s cannot be read", ca);
	SSL_CTX_set_verify(k->ctx, SSL_VERIFY_NONE, NULL);
	if (!(k->ssl = SSL_new(k->ctx)) || !SSL_set_fd(k->ssl, k->fd))
		return error_set(err, ST_MEMORY, "no memory for TLS");
	if (tls_handshake(k->run, k->ssl, err))
		return err->code;
	X509 *cert = SSL_get1_peer_certificate(k->ssl);
	if (!cert)
		return error_set(err, ST_TLS, "the server shows no certificate");
	tls_fingerprint(cert, EVP_sha1(), found->sha1, sizeof found->sha1);
	tls_fingerprint(cert, EVP_sha256(), found->sha256, sizeof found->sha256);
	X509_free(cert);
	long verdict = SSL_get_verify_result(k->ssl);
	(void)SSL_shutdown(k->ssl);
	if (ca && verdict != X509_V_OK)
		return error_set(err, ST_TLS, "the server's certificate is not trusted: %s", X509_verify_cert_error_string(verdict));
	return ST_OK;
}

enum status my_certificate_peek(struct run *run, const struct my_connect_params *p, const char *ca, struct my_certificate *found,
				struct error *err)
{
	CLEANUP(peek_release) struct peek k = {.run = run, .p = p, .fd = FD_INIT};

	*found = (struct my_certificate){.offered = false};
	if (socket_connect(run, p->host, p->port, &k.fd, err) || greet(&k, &found->offered, err))
		return err->code;
	if (!found->offered)
		return ST_OK;
	return ask_for_tls(&k, err) ? err->code : look(&k, ca, found, err);
}
