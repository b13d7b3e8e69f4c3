/* How the server's certificate is checked. In every mode that asks for TLS libmariadb is told either to verify chain and name, or the one
 * certificate that was found right: only then does it refuse to log in where TLS is missing. MYSQL_OPT_SSL_ENFORCE, or a CA file by itself,
 * does not, and then some methods of login send the password in clear. */
#include "drivers/mysql/conn_internal.h"

#include <pthread.h>

#include "util/thread.h"

/* Certificates that were found right: another look for each of many connections would fill the server's log. */
static struct {
	pthread_mutex_t mutex;
	struct {
		char *key;
		struct my_certificate cert;
	} *item;
	size_t n;
} known = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static char *key_of(const struct my_conn *c, const struct my_connect_params *p)
{
	const char *print = my_params(c->e)->tls_fingerprint;

	return xasprintf("%s %u %d %s %s", p->host, p->port, (int)p->tls, p->ca ? p->ca : "", print ? print : "");
}

static bool recall(const char *key, struct my_certificate *cert)
{
	bool found = false;

	mutex_lock(&known.mutex);
	for (size_t i = 0; i < known.n && !found; i++)
		if (!strcmp(known.item[i].key, key)) {
			*cert = known.item[i].cert;
			found = true;
		}
	mutex_unlock(&known.mutex);
	return found;
}

static void remember(const char *key, const struct my_certificate *cert)
{
	mutex_lock(&known.mutex);
	known.item = xrealloc(known.item, (known.n + 1) * sizeof *known.item);
	known.item[known.n].key = xstrdup(key);
	known.item[known.n++].cert = *cert;
	mutex_unlock(&known.mutex);
}

bool my_tls_forget(const struct my_conn *c, const struct my_connect_params *p)
{
	bool found = false;

	if (!p->host)
		return false;
	CLEANUP(cstr_release) char *key = key_of(c, p);

	mutex_lock(&known.mutex);
	for (size_t i = 0; i < known.n;)
		if (!strcmp(known.item[i].key, key)) {
			free(known.item[i].key);
			known.item[i] = known.item[--known.n];
			found = true;
		} else {
			i++;
		}
	mutex_unlock(&known.mutex);
	return found;
}

/* Whether a fingerprint as people write it, with colons or without, is that of the certificate. */
static enum status compare(const char *wanted, const struct my_certificate *cert, struct error *err)
{
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	const char *p = wanted, *of;

	for (; strchr("0123456789abcdefABCDEF: ", *p) && *p; p++)
		if (*p != ':' && *p != ' ')
			buf_printf(&hex, "%s%c", hex.len && hex.len % 3 == 2 ? ":" : "", *p >= 'a' ? *p - 32 : *p);
	of = hex.len == strlen(cert->sha1) ? cert->sha1 : cert->sha256;
	if (*p || hex.len != strlen(of)) {
		error_set(err, ST_CONFIG, "tls_fingerprint is not a fingerprint of a certificate");
		return error_hint(err, "SHA-256, 64 hex digits: `openssl x509 -noout -fingerprint -sha256 -in server-cert.pem` prints it on the server.");
	}
	if (strcmp(buf_str(&hex), of))
		return error_set(err, ST_TLS, "the server shows another certificate than that of tls_fingerprint");
	return ST_OK;
}

/* The one certificate that the session may have. *offered false: no TLS, which the mode allows. */
static enum status choose(struct run *run, const struct my_conn *c, const struct my_connect_params *p, struct my_certificate *cert,
			  struct error *err)
{
	const char *ca = NULL, *wanted = my_params(c->e)->tls_fingerprint;
	CLEANUP(cstr_release) char *key = key_of(c, p);

	if (recall(key, cert))
		return ST_OK;
	if (!wanted && p->tls == TLS_VERIFY_CA && tls_authorities(p->ca, &ca, err))
		return err->code;
	if (my_certificate_peek(run, p, ca, cert, err))
		return err->code;
	if (!cert->offered && (wanted || p->tls != TLS_PREFER)) {
		error_set(err, ST_TLS, TLS_MISSING);
		return error_hint(err, TLS_MISSING_HINT);
	}
	if (wanted && compare(wanted, cert, err))
		return err->code;
	remember(key, cert);
	return ST_OK;
}

static enum status refuse_option(struct error *err) { return error_set(err, ST_FAILED, "libmariadb refuses an option of TLS"); }

static enum status set_plain(MYSQL *my, struct error *err)
{
	const my_bool off = 0;

	/* Later versions of libmariadb try TLS by themselves. */
	return mysql_optionsv(my, MYSQL_OPT_SSL_ENFORCE, &off) || mysql_optionsv(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off) ? refuse_option(err)
															     : ST_OK;
}

static enum status set_client_certificate(const struct my_conn *c, struct error *err)
{
	const struct my_params *own = my_params(c->e);

	if (tls_readable("tls_cert", own->tls_cert, err) || tls_readable("tls_key", own->tls_key, err))
		return err->code;
	if ((own->tls_cert && mysql_optionsv(c->my, MYSQL_OPT_SSL_CERT, own->tls_cert)) ||
	    (own->tls_key && mysql_optionsv(c->my, MYSQL_OPT_SSL_KEY, own->tls_key)))
		return refuse_option(err);
	return ST_OK;
}

static enum status set_verify(const struct my_conn *c, const struct my_connect_params *p, struct error *err)
{
	const my_bool on = 1;
	const char *ca = NULL;

	if (tls_authorities(p->ca, &ca, err))
		return err->code;
	if (mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on) || mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &on) ||
	    mysql_optionsv(c->my, MYSQL_OPT_SSL_CA, ca))
		return refuse_option(err);
	return set_client_certificate(c, err);
}

static enum status set_pin(const struct my_conn *c, const struct my_certificate *cert, struct error *err)
{
	/* 3.3 takes only SHA-1, 3.4 only longer ones. Whoever could make a second certificate of the same SHA-1 could do it before too. */
	const char *print = mysql_get_client_version() >= 30400 ? cert->sha256 : cert->sha1;
	const my_bool on = 1;

	if (mysql_optionsv(c->my, MARIADB_OPT_TLS_PEER_FP, print) || mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &on))
		return refuse_option(err);
	return set_client_certificate(c, err);
}

enum status my_tls_options(struct run *run, struct my_conn *c, const struct my_connect_params *p, bool *required, struct error *err)
{
	struct my_certificate cert;
	bool pinned = my_params(c->e)->tls_fingerprint && p->tls != TLS_OFF;

	*required = false;
	if (p->socket || p->tls == TLS_OFF || (p->tls == TLS_PREFER && p->loopback && !pinned))
		return set_plain(c->my, err);
	if (p->tls == TLS_VERIFY_FULL && !pinned) {
		*required = true;
		return set_verify(c, p, err);
	}
	if (choose(run, c, p, &cert, err))
		return err->code;
	*required = cert.offered;
	return cert.offered ? set_pin(c, &cert, err) : set_plain(c->my, err);
}

enum status my_tls_hint(struct run *run, const struct my_connect_params *p, struct error *err)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run soon = run_within(run, DURATION_SECONDS(10));
	struct my_certificate cert;

	if (err->hint || p->socket || my_certificate_peek(&soon, p, NULL, &cert, &ignored))
		return err->code;
	if (!cert.offered)
		return error_hint(err, TLS_MISSING_HINT);
	return error_hint(err,
			  "Set tls_ca to the file of the authority that signed the server's certificate, or tls_fingerprint to the certificate's own "
			  "fingerprint once somebody has compared it on the server. The server shows the SHA-256 fingerprint %s",
			  cert.sha256);
}
