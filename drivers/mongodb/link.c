#include "drivers/mongodb/link_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "drivers/socket.h"

/* A server that does not answer a greeting of TLS at all is taken for one without it, where that is allowed. */
#define PREFER_WITHIN DURATION_SECONDS(4)
#define CERTIFICATE "Where the server wants a certificate of its clients, set tls_cert to a file with one and its key."

/* ---- all links ---- */

void mo_links_init(struct mo_links *l, const struct mo_tls *tls)
{
	*l = (struct mo_links){.each = DURATION_SECONDS(10), .tls = tls};
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

void mo_link_close(struct mo_link *k)
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
	SSL_free(k->ssl);
	k->ssl = NULL;
}

/* ---- failures ---- */

bool mo_links_ended(const struct mo_links *all) { return all->why.code || atomic_load(&all->interrupted); }

/* Keeps what happened; the first goes before what follows from it. */
static void trouble(struct mo_link *k, struct error *from)
{
	error_add(from, "the server at %s", k->where);
	if (!k->all->trouble.code)
		error_move(&k->all->trouble, from);
	else
		error_release(from);
}

/* What OpenSSL has to say, such as the server's refusal of a client without a certificate. */
static void say_tls(struct error *err)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	error_set(err, ST_TLS, "TLS failed: %s", reason ? reason : "the server broke off");
	error_hint(err, CERTIFICATE);
}

void mo_link_lost(struct mo_link *k, int number)
{
	struct error err = ERROR_INIT;

	if (mo_links_ended(k->all))
		return;
	if (number == EPROTO && !k->all->complete) {
		say_tls(&err);
		trouble(k, &err);
		return;
	}
	if (number)
		error_errno(&err, number, "the connection broke");
	else
		error_set(&err, ST_UNREACHABLE, "the server broke the connection");
	err.code = ST_UNREACHABLE;
	err.retry = true;
	/* The server's reason may be lost with the link. */
	if (k->ssl && !k->answered)
		error_hint(&err, CERTIFICATE);
	if (!k->ssl && !k->answered) {
		error_hint(&err, "Where the server wants TLS, set tls to \"verify-full\".");
		mo_tls_forget_plain(k->where);
	}
	trouble(k, &err);
}

void mo_link_spoilt(struct mo_link *k, const char *why)
{
	struct error err = ERROR_INIT;

	if (mo_links_ended(k->all))
		return;
	error_set(&err, ST_UNREACHABLE, "the answer of the server cannot be read: %s", why);
	error_hint(&err, "Check host and port, and what lies between drtool and the server.");
	trouble(k, &err);
}

/* ---- making one ---- */

static enum status connect_to(struct mo_link *k, struct run *run, const mongoc_host_list_t *host, struct error *err)
{
	static const int on = 1;

	mo_link_close(k);
	k->frame = (struct mo_frame)MO_FRAME_INIT;
	if (host->family == AF_UNIX ? socket_connect_unix(run, host->host, &k->fd, err) : socket_connect(run, host->host, host->port, &k->fd, err)) {
		fd_release(&k->fd);
		return err->code;
	}
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	enlist(k);
	return ST_OK;
}

static enum status begin_tls(struct mo_link *k, struct run *run, const mongoc_host_list_t *host, enum tls_mode mode, struct error *err)
{
	CLEANUP(error_release) struct error own = ERROR_INIT;
	struct duration half = {run_left(run, (struct duration){2 * PREFER_WITHIN.us}).us / 2};
	struct run bounded = mode == TLS_PREFER ? run_within(run, half) : *run;
	bool spoken = true;

	if (!mo_tls_begin(&bounded, k->all->tls, host->host, k->fd, &k->ssl, &spoken, err))
		return ST_OK;
	bool late = err->code == ST_DEADLINE && !run_check(run, &own);
	if (mode != TLS_PREFER || spoken || (err->code != ST_TLS && !late))
		return err->code;
	error_release(err);
	mo_tls_remember_plain(k->where);
	return connect_to(k, run, host, err);
}

static enum status connect_with(struct mo_link *k, struct run *run, const mongoc_host_list_t *host, struct error *err)
{
	enum tls_mode mode = mo_tls_mode(k->all->tls, host->host);

	if (connect_to(k, run, host, err))
		return err->code;
	if (mode == TLS_OFF || (mode == TLS_PREFER && mo_tls_is_plain(k->where)))
		return ST_OK;
	return begin_tls(k, run, host, mode, err);
}

static enum status make(struct mo_link *k, const mongoc_host_list_t *host, struct error *err)
{
	struct mo_links *all = k->all;

	if (all->complete || !all->run || mo_links_ended(all))
		return error_set(err, ST_UNREACHABLE, "the session is lost");
	struct run bounded = run_within(all->run, all->each);

	if (!connect_with(k, &bounded, host, err) || (err->code != ST_DEADLINE && err->code != ST_CANCELLED))
		return err->code;
	if (run_check(all->run, &all->why))
		return err->code;
	error_set(err, ST_UNREACHABLE, "no answer within %" PRId64 " s", (all->each.us + 999999) / 1000000);
	err->retry = true;
	return err->code;
}

mongoc_stream_t *mo_link_open(const mongoc_uri_t *uri UNUSED, const mongoc_host_list_t *host, void *data, bson_error_t *error)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct mo_link *k = xcalloc(1, sizeof *k);

	mo_link_stream(&k->stream);
	k->all = data;
	k->fd = FD_INIT;
	k->where = xstrdup(host->family == AF_UNIX ? host->host : host->host_and_port);
	if (!make(k, host, &err))
		return &k->stream;
	bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, "%s", error_text(&err));
	trouble(k, &err);
	mongoc_stream_destroy(&k->stream);
	return NULL;
}
