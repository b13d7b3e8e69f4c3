/* Between the parts of a connection: conn_url.c (what URL and settings say), connect.c (opening), conn.c (commands), conn_error.c (what
 * failures mean), link.c (bytes). */
#ifndef DRIVERS_MONGODB_CONN_INTERNAL_H
#define DRIVERS_MONGODB_CONN_INTERNAL_H

#include "drivers/mongodb/conn.h"
#include "drivers/mongodb/link.h"

/* What URL, settings and defaults say of a connection. */
struct mo_url {
	const char *only;     /* borrowed: the one server to connect to; NULL: those of the URL */
	mongoc_uri_t *uri;    /* for libmongoc: without TLS, password and time limits, which are drtool's */
	char *database;       /* NULL: none */
	char *ca, *cert;      /* files; NULL: none given */
	enum tls_mode tls;    /* DEFAULT: by the host */
	struct duration timeout, each; /* of the whole, of one member */
	unsigned hosts;       /* named in the URL */
};
#define MO_URL_INIT {0}
/* only: the one server to connect to ("db1:27017"), whatever hosts the URL names; NULL: those of the URL. */
enum status mo_url_read(const struct endpoint *e, const char *only, struct mo_url *u, struct error *err) MUST_CHECK;
/* Reads the password into u->uri. */
enum status mo_url_login(struct run *run, const struct endpoint *e, const struct mo_url *u, struct error *err) MUST_CHECK;
/* A URL of one server only leaves DNS out: takes what that said of the login and of a balancer of load from the URI of a client that asked it.
 * libmongoc puts it into a client's URI before it gives the client away, and leaves that alone from then on: any thread. */
void mo_url_as_found(struct mo_url *u, const mongoc_uri_t *found);
void mo_url_release(struct mo_url *u);

struct mo_conn_cancel {
	struct mo_links links;
	struct mo_url url;
	struct mo_tls tls;
	mongoc_client_session_t *session; /* NULL: the server has none */
	mongoc_read_prefs_t *prefs;       /* of every command; NULL: the primary's */
	bson_t opts;                      /* of every command: serverId, sessionId */
	bson_t *time;                     /* $clusterTime for those that are opened like this one; NULL */
	bool known;                       /* a member has answered */
	bool gone;                        /* the session is lost */
	bool ended_there;                 /* the server was told, or could not be */
};

/* A call into libmongoc: what waits meanwhile ends by run. */
void mo_call_begin(struct mo_conn **busy, struct mo_conn *c, struct run *run);
void mo_call_end(struct mo_conn **busy); /* for CLEANUP */
/* Sets err from what failed: the run's end, an interrupt, the link, or the server's own error. reply may be NULL. Never ST_OK. */
enum status mo_call_failed(struct mo_conn *c, const bson_error_t *why, const bson_t *reply, struct error *err);

/* Ends in the server, once, what a cut session was doing there, over a session of its own and within two seconds. Failures do not matter. */
void mo_conn_end_there(struct mo_conn *c);

#define MO_MEMBERS_HINT                                                                                                     \
	"A replica set tells its clients under which names they reach its members. Where these cannot be reached from here, set "    \
	"directConnection=true in the URL: only the server that it names is used then."
/* Sets err from a server's answer {code, errmsg, errorLabels}. */
enum status mo_server_error(const struct mo_conn *c, int code, const char *text, const bson_t *reply, struct error *err);
/* What a server's error number means to drtool. */
enum status mo_number_status(int number);
bool mo_number_retry(int number);
const char *mo_product(const struct mo_conn *c); /* "MongoDB" */

#endif
