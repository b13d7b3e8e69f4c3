/* How much a connection must prove; the choices of the settings `tls`. */
#ifndef CORE_TLS_MODE_H
#define CORE_TLS_MODE_H

#include "util/base.h"

enum tls_mode { TLS_DEFAULT, TLS_OFF, TLS_PREFER, TLS_REQUIRE, TLS_VERIFY_CA, TLS_VERIFY_FULL };
extern const char *const tls_mode_names[]; /* in this order; NULL-terminated */
#define TLS_MODE_HELP "off, prefer, require, verify-ca or verify-full"

/* What TLS_DEFAULT means for a host: prefer on loopback, else verify-full. Other modes stay. */
enum tls_mode tls_mode_for(enum tls_mode mode, const char *host);

#endif
