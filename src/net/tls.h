/* What those share that look at a server's certificate themselves. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/ssl.h>

#include "util/run.h"

/* ST_CONFIG where a file of a setting cannot be read; libraries do not say which. path NULL: fine. */
enum status tls_readable(const char *setting, const char *path, struct error *err) MUST_CHECK;
/* The file of the authorities' certificates: `set`, or for NULL and "system" that of the distribution. Borrowed. ST_CONFIG, ST_TLS. */
enum status tls_authorities(const char *set, const char **file, struct error *err) MUST_CHECK;
/* A client's side of the handshake; ssl has the descriptor, which does not block. ST_TLS. */
enum status tls_handshake(struct run *run, SSL *ssl, struct error *err) MUST_CHECK;
/* "AB:CD:..." in to. */
#define TLS_SHA1_TEXT (20 * 3 + 1)
#define TLS_SHA256_TEXT (32 * 3 + 1)
void tls_fingerprint(const X509 *cert, const EVP_MD *kind, char *to, size_t room);
/* What the check of a certificate found wrong. */
struct tls_verdict {
	int number; /* X509_V_OK: nothing */
	char sha256[TLS_SHA256_TEXT]; /* of the server's certificate; "" where it showed none */
};
/* For the callback of a check: keeps the first thing wrong, and the fingerprint. OpenSSL forgets the certificate with the handshake. */
void tls_verdict_note(struct tls_verdict *v, int ok, X509_STORE_CTX *ctx);
/* ST_TLS with the fingerprint and both ways on. */
enum status tls_not_trusted(const struct tls_verdict *v, struct error *err);
/* For a server without TLS. */
#define TLS_MISSING "the server does not offer TLS"
#define TLS_MISSING_HINT "Switch TLS on in the server, or, where the network itself is trusted, set tls to \"prefer\" or \"off\"."

#endif
