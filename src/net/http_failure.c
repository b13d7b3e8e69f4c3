/* What libcurl's codes mean, and the certificate that a failed handshake showed. */
#include "net/http_internal.h"

#include <pthread.h>

#include "util/thread.h"

/* ---- the certificate ---- */

static int verdict_slot(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int slot = -1;

	mutex_lock(&mutex);
	if (slot < 0)
		slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	mutex_unlock(&mutex);
	return slot;
}

/* Keeps the first thing wrong, and in any case the server's fingerprint: curl looks at the name later, by itself. */
static int note_verdict(int ok, X509_STORE_CTX *ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());

	tls_verdict_note(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), verdict_slot()), ok, ctx);
	return ok;
}

CURLcode http_watch_handshake(CURL *easy UNUSED, void *ssl_ctx, void *verdict)
{
	*(struct tls_verdict *)verdict = (struct tls_verdict){.number = X509_V_OK};
	if (!SSL_CTX_set_ex_data(ssl_ctx, verdict_slot(), verdict))
		return CURLE_OUT_OF_MEMORY;
	SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER, note_verdict);
	return CURLE_OK;
}

static enum status not_trusted(const struct http_exchange *x, struct error *err)
{
	struct tls_verdict v = x->link->verdict;

	if (v.number == X509_V_OK)
		v.number = X509_V_ERR_HOSTNAME_MISMATCH;
	tls_not_trusted(&v, err);
	return error_add(err, "%s", x->where);
}

/* ---- codes ---- */

static enum status may_pass(const struct http_exchange *x, const char *what, struct error *err)
{
	error_set(err, ST_UNREACHABLE, "%s: %s", x->where, what);
	err->retry = true;
	return err->code;
}

static enum status no_connection(const struct http_exchange *x, struct error *err)
{
	long number = 0;

	curl_easy_getinfo(x->link->easy, CURLINFO_OS_ERRNO, &number);
	const char *why = number ? strerrordesc_np((int)number) : NULL;

	may_pass(x, why ? why : "no connection", err);
	return error_hint(err, "Check host and port, that the server runs, and what a firewall or proxy between lets through.");
}

static enum status no_name(const struct http_exchange *x, const char *what, struct error *err)
{
	may_pass(x, what, err);
	return error_hint(err, "Check the name of the host, and that its name server answers.");
}

/* A proxy that refuses the way on answers in the place of the server. */
static enum status by_proxy(const struct http_exchange *x, long status, struct error *err)
{
	error_set(err, http_status_retryable((int)status) ? ST_UNREACHABLE : ST_DENIED, "%s: the proxy answered with status %ld", x->where, status);
	err->retry = err->code == ST_UNREACHABLE;
	return error_hint(err, "Look at https_proxy, http_proxy and no_proxy in the environment.");
}

static enum status broken(const struct http_exchange *x, CURLcode code, struct error *err)
{
	long proxy = 0;

	curl_easy_getinfo(x->link->easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	if (proxy > 299)
		return by_proxy(x, proxy, err);
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return may_pass(x, "the connection was not made in time", err);
	case CURLE_GOT_NOTHING:
		return may_pass(x, "the server ended the connection without an answer", err);
	case CURLE_PARTIAL_FILE:
		return may_pass(x, "the answer ended before its end", err);
	case CURLE_SEND_ERROR:
		return may_pass(x, "the connection broke while the request was sent", err);
	default:
		return may_pass(x, "the connection broke", err);
	}
}

static enum status no_handshake(const struct http_exchange *x, struct error *err)
{
	if (x->link->verdict.number != X509_V_OK)
		return not_trusted(x, err);
	/* Else TLS itself found something wrong: so begins what OpenSSL says. */
	if (!strstr(x->text, "error:"))
		return may_pass(x, "the connection broke while TLS was begun", err);
	error_set(err, ST_TLS, "%s: the server and drtool find no common form of TLS", x->where);
	if (strstr(x->text, "wrong version number") || strstr(x->text, "packet length too long") || strstr(x->text, "http request"))
		return error_hint(err, "The server seems to speak no TLS on this port: use http://, where the network itself is trusted.");
	return err->code;
}

static enum status too_much(const struct http_exchange *x, struct error *err)
{
	return error_set(err, ST_BAD, "%s: the answer is longer than what was asked for", x->where);
}

enum status http_failure(const struct http_exchange *x, CURLcode code, struct error *err)
{
	if (x->too_long)
		return too_much(x, err);
	if (x->cut && code == CURLE_WRITE_ERROR)
		return ST_OK;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return no_name(x, "the host is not known", err);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return no_name(x, "the host of the proxy is not known", err);
	case CURLE_COULDNT_CONNECT:
		return no_connection(x, err);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return not_trusted(x, err);
	case CURLE_SSL_CONNECT_ERROR:
		return no_handshake(x, err);
	case CURLE_SSL_CACERT_BADFILE:
		return error_set(err, ST_CONFIG, "tls_ca: the certificates of authorities in %s cannot be read", x->params->ca ? x->params->ca : "the system's file");
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
		return error_set(err, ST_BAD, "%s: what answers does not speak HTTP", x->where);
	case CURLE_URL_MALFORMAT:
		return error_set(err, ST_CONFIG, "%s: the address is no URL that can be asked", x->where);
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_PROXY:
		return broken(x, code, err);
	default:
		return error_set(err, ST_IO, "%s: %s", x->where, curl_easy_strerror(code));
	}
}
