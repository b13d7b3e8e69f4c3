#include "drivers/mongodb/link_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>

#include "util/thread.h"

/* ---- which mode ---- */

enum tls_mode mo_tls_mode(const struct mo_tls *t, const char *host)
{
	if (*host == '/')
		return TLS_OFF;
	return tls_mode_for(t->mode, host);
}

static struct {
	pthread_mutex_t mutex;
	struct strlist where;
} plain = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool mo_tls_is_plain(const char *where)
{
	mutex_lock(&plain.mutex);
	bool found = strlist_has(&plain.where, where);
	mutex_unlock(&plain.mutex);
	return found;
}

void mo_tls_remember_plain(const char *where)
{
	mutex_lock(&plain.mutex);
	strlist_add_once(&plain.where, where);
	mutex_unlock(&plain.mutex);
}

void mo_tls_forget_plain(const char *where)
{
	mutex_lock(&plain.mutex);
	for (size_t i = 0; i < plain.where.len; i++)
		if (!strcmp(plain.where.item[i], where)) {
			free(plain.where.item[i]);
			plain.where.item[i--] = plain.where.item[--plain.where.len];
		}
	mutex_unlock(&plain.mutex);
}

/* ---- the certificate ---- */

static int verdict_slot(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int slot = -1;

	mutex_lock(&mutex);
	if (slot < 0)
		slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	mutex_unlock(&mutex);
	return slot;
}

static int note_verdict(int ok, X509_STORE_CTX *ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());

	tls_verdict_note(SSL_get_ex_data(ssl, verdict_slot()), ok, ctx);
	return ok;
}

/* ---- the handshake ---- */

/* A server without TLS takes the greeting's first four bytes for the length of a message, and would wait for that many bytes. With a greeting
 * of more than three times 256 bytes they say more than the 48,000,000 that a message may have, so that it breaks off at once. A server with
 * TLS overlooks an extension that it does not know. */
enum { FILLER_EXTENSION = 65400, FILLER = 768 };

static int add_filler(SSL *ssl UNUSED, unsigned type UNUSED, unsigned context UNUSED, const unsigned char **out, size_t *n, X509 *cert UNUSED,
		      size_t chain UNUSED, int *alert UNUSED, void *arg UNUSED)
{
	static const unsigned char filler[FILLER];

	*out = filler;
	*n = sizeof filler;
	return 1;
}

static int no_password(char *to UNUSED, int size UNUSED, int writing UNUSED, void *data UNUSED) { return 0; }

static enum status use_certificate(SSL_CTX *ctx, const char *file, struct error *err)
{
	if (tls_readable("tls_cert", file, err))
		return err->code;
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	if (SSL_CTX_use_certificate_chain_file(ctx, file) == 1 && SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1)
		return ST_OK;
	error_set(err, ST_CONFIG, "tls_cert: %s does not hold a certificate and its key", file);
	return error_hint(err, "One PEM file with the certificate, the chain below it, and the key without a password.");
}

static enum status use_authorities(SSL_CTX *ctx, const struct mo_tls *t, struct error *err)
{
	const char *file = NULL;

	if (tls_authorities(t->ca, &file, err))
		return err->code;
	if (!SSL_CTX_load_verify_locations(ctx, file, NULL))
		return error_set(err, ST_CONFIG, "tls_ca: the certificates of authorities in %s cannot be read", file);
	return ST_OK;
}

static bool is_address(const char *host)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, room) == 1 || inet_pton(AF_INET6, host, room) == 1;
}

static bool set_name(SSL *ssl, const char *host, enum tls_mode mode)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

	if (is_address(host))
		return mode != TLS_VERIFY_FULL || X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1;
	CLEANUP(cstr_release) char *name = xstrdup(host); /* OpenSSL's macro takes no const */
	return SSL_set_tlsext_host_name(ssl, name) && (mode != TLS_VERIFY_FULL || X509_VERIFY_PARAM_set1_host(p, host, 0) == 1);
}

static enum status prepare(const struct mo_tls *t, const char *host, SSL_CTX *ctx, SSL **ssl, struct error *err)
{
	enum tls_mode mode = mo_tls_mode(t, host);
	bool verify = mode == TLS_VERIFY_CA || mode == TLS_VERIFY_FULL;

	if ((verify && use_authorities(ctx, t, err)) || (t->cert && use_certificate(ctx, t->cert, err)))
		return err->code;
	SSL_CTX_set_verify(ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, verify ? note_verdict : NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    !SSL_CTX_add_custom_ext(ctx, FILLER_EXTENSION, SSL_EXT_CLIENT_HELLO, add_filler, NULL, NULL, NULL, NULL) || !(*ssl = SSL_new(ctx)) || !set_name(*ssl, host, mode))
		return error_set(err, ST_MEMORY, "no memory for TLS");
	return ST_OK;
}

/* Whether what came back to a greeting of TLS was none. */
static bool was_spoken(SSL *ssl)
{
	int reason = ERR_GET_REASON(ERR_peek_error());

	return BIO_number_read(SSL_get_rbio(ssl)) > 0 && reason != SSL_R_WRONG_VERSION_NUMBER && reason != SSL_R_HTTP_REQUEST &&
	       reason != SSL_R_PACKET_LENGTH_TOO_LONG;
}

static enum status shake(struct run *run, SSL *ssl, bool *spoken, struct error *err)
{
	struct tls_verdict v = {.number = X509_V_OK};

	if (!SSL_set_ex_data(ssl, verdict_slot(), &v))
		return error_set(err, ST_MEMORY, "no memory for TLS");
	enum status st = tls_handshake(run, ssl, err);

	SSL_set_ex_data(ssl, verdict_slot(), NULL);
	if (!st)
		return ST_OK;
	*spoken = was_spoken(ssl);
	if (err->code != ST_TLS)
		return err->code;
	if (v.number)
		return tls_not_trusted(&v, err);
	if (!*spoken) {
		error_set(err, ST_TLS, TLS_MISSING);
		return error_hint(err, TLS_MISSING_HINT);
	}
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	return reason ? error_set(err, ST_TLS, "the server and drtool find no common form of TLS: %s", reason) : err->code;
}

static void context_release(SSL_CTX **ctx) { SSL_CTX_free(*ctx); }
static void session_release(SSL **ssl) { SSL_free(*ssl); }

enum status mo_tls_begin(struct run *run, const struct mo_tls *t, const char *host, int fd, SSL **to, bool *spoken, struct error *err)
{
	CLEANUP(context_release) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	CLEANUP(session_release) SSL *ssl = NULL;

	*to = NULL;
	*spoken = true;
	if (!ctx)
		return error_set(err, ST_MEMORY, "no memory for TLS");
	if (prepare(t, host, ctx, &ssl, err))
		return err->code;
	if (!SSL_set_fd(ssl, fd))
		return error_set(err, ST_MEMORY, "no memory for TLS");
	if (shake(run, ssl, spoken, err))
		return err->code;
	*to = ssl;
	ssl = NULL;
	return ST_OK;
}
