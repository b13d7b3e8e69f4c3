/* URLs of sources and stores: parts, normal form, the name that a source without a name gets. */
#ifndef CORE_URL_H
#define CORE_URL_H

#include "util/buf.h"
#include "util/error.h"

struct url_param {
	char *key, *value; /* percent-decoded */
};
/* All parts are percent-decoded; NULL where absent. A folder of sockets (host "%2Fvar%2Frun" or ?host=/var/run) is a host that
 * begins with '/'. */
struct url {
	char *scheme;            /* lower case, aliases resolved: postgresql -> postgres, mariadb -> mysql */
	char *user, *password;
	char *host;              /* lower case, IPv6 without brackets; NULL: none given */
	char *others;            /* mongodb: the other members of the set that are named, "b:27018,c"; lower case; NULL: none */
	unsigned port;           /* the scheme's own where none is given; 0: the scheme has none */
	bool port_given;
	char *path;              /* without the first '/'; the database of a database URL; for file: the whole path with '/' */
	struct url_param *param; /* the query, in order, without host and port */
	size_t params;
};
#define URL_INIT {0}
/* ST_CONFIG; the text never holds the password. Several hosts (but for mongodb), a fragment, control bytes and %00 are refused. */
enum status url_parse(const char *text, struct url *u, struct error *err) MUST_CHECK;
void url_release(struct url *u); /* the password is overwritten */
const char *url_param(const struct url *u, const char *key); /* NULL: not there */
void url_param_add(struct url *u, const char *key, const char *value); /* copies; behind the others */
/* Back to text, percent-encoded; the password only where asked for. Owned by the caller. */
char *url_print(const struct url *u, bool with_password);
bool url_looks_like(const char *text); /* "word://..." */
/* "<scheme>-<host>-<port>-<database>" as a valid source name: lower case, other bytes as '-', at most 100 bytes; database "all"
 * where there is none, no port where the scheme has none; the name of this host where the URL's is local. Needs no connection. Owned by the caller. */
char *url_source_name(const struct url *u);
/* Overwrites the passwords of URLs in an argument vector, in place: what `ps` shows. True where there was one. */
bool url_scrub_args(int argc, char **argv);

#endif
