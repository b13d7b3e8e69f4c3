#include "core/tls_mode.h"

const char *const tls_mode_names[] = {"default", "off", "prefer", "require", "verify-ca", "verify-full", NULL};

static bool is_loopback(const char *host) { return !strcmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "::1"); }

enum tls_mode tls_mode_for(enum tls_mode mode, const char *host)
{
	return mode != TLS_DEFAULT ? mode : is_loopback(host) ? TLS_PREFER : TLS_VERIFY_FULL;
}
