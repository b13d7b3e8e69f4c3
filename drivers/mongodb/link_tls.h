/* TLS of a link. A server of MongoDB speaks it from the first byte or not at all, so that one who may do without it tries it, and then makes
 * another connection. */
#ifndef DRIVERS_MONGODB_LINK_TLS_H
#define DRIVERS_MONGODB_LINK_TLS_H

#include "drivers/driver.h"
#include "net/tls.h"

struct mo_tls {
	enum tls_mode mode;     /* DEFAULT: prefer for loopback, else verify-full */
	const char *ca, *cert;  /* files, borrowed; NULL: the system's, none */
};

/* What holds for this host; never on a unix socket. */
enum tls_mode mo_tls_mode(const struct mo_tls *t, const char *host);
/* The handshake on a connected socket that does not block, which the caller keeps. *spoken false, with ST_TLS: the server has no TLS. A
 * certificate that is not trusted fails before anything is told to the server; the hint shows its fingerprint and the ways on. */
enum status mo_tls_begin(struct run *run, const struct mo_tls *t, const char *host, int fd, SSL **ssl, bool *spoken, struct error *err) MUST_CHECK;

/* Servers without TLS that mode prefer has met: no second try at each connection. Any thread. */
bool mo_tls_is_plain(const char *where);
void mo_tls_remember_plain(const char *where);
void mo_tls_forget_plain(const char *where);

#endif
