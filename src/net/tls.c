#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <unistd.h>

#include "util/fs.h"

#define WAIT DURATION_SECONDS(3600)

static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
				      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

enum status tls_readable(const char *setting, const char *path, struct error *err)
{
	if (!path || !access(path, R_OK))
		return ST_OK;
	error_errno(err, errno, "%s: reading %s", setting, path);
	return err->code = ST_CONFIG;
}

enum status tls_authorities(const char *set, const char **file, struct error *err)
{
	*file = set && strcmp(set, "system") ? set : NULL;
	for (size_t i = 0; !*file && i < ARRAY_LEN(bundles); i++)
		if (fs_exists(bundles[i]))
			*file = bundles[i];
	if (*file)
		return tls_readable("tls_ca", *file, err);
	error_set(err, ST_TLS, "no certificates of authorities are on this system, so that of the server cannot be checked");
	return error_hint(err, "Install the package ca-certificates, or set tls_ca to the file of the authority's certificate.");
}

enum status tls_handshake(struct run *run, SSL *ssl, struct error *err)
{
	bool ready = false;

	for (;;) {
		ERR_clear_error();
		int r = SSL_connect(ssl), why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, r);

		if (r == 1)
			return ST_OK;
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return error_set(err, ST_TLS, "the server and drtool find no common form of TLS");
		for (ready = false; !ready;)
			if (run_poll(run, SSL_get_fd(ssl), why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, WAIT, &ready, err))
				return err->code;
	}
}

void tls_fingerprint(const X509 *cert, const EVP_MD *kind, char *to, size_t room)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	size_t at = 0;

	*to = 0;
	if (X509_digest(cert, kind, md, &n))
		for (unsigned i = 0; i < n && at + 4 <= room; i++)
			at += (size_t)snprintf(to + at, room - at, "%s%02X", i ? ":" : "", md[i]);
}

void tls_verdict_note(struct tls_verdict *v, int ok, X509_STORE_CTX *ctx)
{
	const X509 *leaf = X509_STORE_CTX_get0_cert(ctx);

	if (leaf && !*v->sha256)
		tls_fingerprint(leaf, EVP_sha256(), v->sha256, sizeof v->sha256);
	if (!ok && v->number == X509_V_OK)
		v->number = X509_STORE_CTX_get_error(ctx);
}

enum status tls_not_trusted(const struct tls_verdict *v, struct error *err)
{
	bool name = v->number == X509_V_ERR_HOSTNAME_MISMATCH || v->number == X509_V_ERR_IP_ADDRESS_MISMATCH;
	const char *shown = *v->sha256 ? v->sha256 : "(not known)";

	error_set(err, ST_TLS, "the server's certificate is not trusted: %s", X509_verify_cert_error_string(v->number));
	if (name)
		return error_hint(err,
				  "Use a name of the server that its certificate has, or set tls to \"verify-ca\". The server shows the SHA-256 "
				  "fingerprint %s",
				  shown);
	return error_hint(err,
			  "Set tls_ca to the file of the authority that signed the server's certificate, or, once somebody has compared the "
			  "fingerprint on the server and where the network itself is trusted, tls to \"require\". The server shows the SHA-256 "
			  "fingerprint %s",
			  shown);
}
