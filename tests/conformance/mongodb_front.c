#include "tests/conformance/mongodb_front.h"

#include <unistd.h>

#include "tests/lib/certs.h"
#include "tests/lib/server.h"
#include "tests/lib/test.h"
#include "util/fs.h"

#define FRONT "tests/lib/mongo_front.py"

static void start(struct mo_test_front *f, const char *const *more, unsigned port)
{
	static unsigned number;
	CLEANUP(cstr_release) char *port_file = xasprintf("%s/front-%u.port", test_dir(), number++), *to = xasprintf("%u", port);
	const char *argv[16] = {FRONT, "--port-file", port_file, "--to", to};

	for (size_t i = 0; more[i]; i++)
		argv[5 + i] = more[i];
	test_helper_start(argv, port_file, &f->port, &f->watch);
}

void mo_test_front_tls(struct mo_test_front *f, unsigned port, bool clients)
{
	*f = (struct mo_test_front){.dir = path_join(test_dir(), "tls")};
	test_make_certificates(f->dir);
	CLEANUP(cstr_release) char *cert = path_join(f->dir, "cert.pem"), *key = path_join(f->dir, "key.pem"), *ca = path_join(f->dir, "ca.pem");
	start(f, (const char *const[]){"--cert", cert, "--key", key, clients ? "--clients" : NULL, ca, NULL}, port);
}

void mo_test_front_socket(struct mo_test_front *f, unsigned port)
{
	*f = (struct mo_test_front){.path = path_join(test_dir(), "server.sock")};
	start(f, (const char *const[]){"--listen", f->path, NULL}, port);
}

char *mo_test_front_file(const struct mo_test_front *f, const char *name) { return path_join(f->dir, name); }

void mo_test_front_stop(struct mo_test_front *f)
{
	close(f->watch);
	free(f->dir);
	free(f->path);
}
