/* Between the parts of a connection: conn.c (waiting, statements), conn_load.c (LOAD DATA LOCAL), connect_params.c (what URL and settings say),
 * connect_tls.c and tls_peek.c (the server's certificate), connect.c (opening), conn_error.c (what failures mean). */
#ifndef DRIVERS_MYSQL_CONN_INTERNAL_H
#define DRIVERS_MYSQL_CONN_INTERNAL_H

#include "drivers/mysql/conn.h"
#include "net/tls.h"

/* A call into libmariadb that is under way in this thread. libmariadb's callback for waiting has no pointer of the caller, so the
 * innermost call of a thread is kept by the thread. */
struct my_call {
	struct run *run;
	struct my_conn *c;
	int connect_errno; /* of the last address tried */
	struct error why; /* what ended a wait; libmariadb itself only says that the connection is lost */
	struct my_call *outer;
};
void my_call_begin(struct my_call *k, struct run *run, struct my_conn *c);
void my_call_end(struct my_call *k); /* for CLEANUP */
/* Sets err from what failed: the run's end, an interrupt, the link, or the server's own error. Never ST_OK. */
enum status my_call_failed(struct my_call *k, struct error *err);
/* libmariadb waits by this: for MARIADB_OPT_IO_WAIT. */
int my_io_wait(my_socket fd, my_bool is_read, int timeout);

/* The connection is made: my_conn_interrupt works from now on. */
enum status my_conn_ready(struct my_conn *c, struct error *err) MUST_CHECK;
bool my_conn_was_interrupted(const struct my_conn *c);

/* No request of the server for a file is answered, from now on. */
void my_feed_none(struct my_conn *c);

/* Sets err from the error of the session's last call. */
enum status my_conn_error(const struct my_conn *c, struct error *err);
/* Sets err from number and message of a connection that could not be made. */
enum status my_connect_error(const struct my_call *k, struct error *err);
/* What an error number means to drtool. Numbers of libmariadb itself: the session is lost. */
enum status my_number_status(unsigned number);
bool my_number_retry(unsigned number);
bool my_number_of_client(unsigned number);
const char *my_product(const struct my_conn *c); /* "MariaDB" */

struct my_connect_params {
	char *host, *socket; /* one of them */
	unsigned port;
	char *user, *database, *ca;
	enum tls_mode tls;   /* never TLS_DEFAULT */
	bool loopback;
	struct duration timeout;
};
#define MY_CONNECT_PARAMS_INIT {0}
enum status my_connect_params_fill(const struct endpoint *e, struct my_connect_params *p, struct error *err) MUST_CHECK;
void my_connect_params_release(struct my_connect_params *p);

/* TLS as p->tls and the params want it, before the connection is made. *required: a session without TLS must not go on. */
enum status my_tls_options(struct run *run, struct my_conn *c, const struct my_connect_params *p, bool *required, struct error *err) MUST_CHECK;
/* The server may have a new certificate. false: the one wanted was not known from before. */
bool my_tls_forget(const struct my_conn *c, const struct my_connect_params *p);
/* The ways on after a failure of TLS. Returns err's code. */
enum status my_tls_hint(struct run *run, const struct my_connect_params *p, struct error *err);

/* The certificate of a server, seen before any login; ca NULL: whatever it is, else its chain (not its name) is verified. */
struct my_certificate {
	bool offered;                 /* the server has TLS */
	char sha1[TLS_SHA1_TEXT], sha256[TLS_SHA256_TEXT]; /* "AB:CD:..." */
};
enum status my_certificate_peek(struct run *run, const struct my_connect_params *p, const char *ca, struct my_certificate *found,
				struct error *err) MUST_CHECK;
/* For an error of the server before libmariadb: text without the server's name, like the others of tls_peek. */
enum status my_number_error(unsigned number, const char *text, struct error *err);

#endif
