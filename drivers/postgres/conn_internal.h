/* Between the parts of a connection: conn.c (statements), connect.c (parameters, opening), conn_error.c (what failures mean),
 * quote.c. */
#ifndef DRIVERS_POSTGRES_CONN_INTERNAL_H
#define DRIVERS_POSTGRES_CONN_INTERNAL_H

#include "drivers/postgres/conn.h"

/* Waits for the socket; a cancelled run or a passed deadline interrupts the session first. */
enum status conn_wait(struct run *run, struct conn *c, short events, struct error *err) MUST_CHECK;
enum status conn_flush(struct run *run, struct conn *c, struct error *err) MUST_CHECK;
/* The connection is made: conn_interrupt works from now on. */
void conn_ready(struct conn *c);
bool conn_was_interrupted(const struct conn *c);

/* Sets err from a result that is an error; with SQLSTATE, detail, hint. Returns its code, never ST_OK. */
enum status conn_error(struct conn *c, const PGresult *r, struct error *err);
/* Sets err from the connection's own message: the link or the protocol broke. */
enum status conn_lost(struct conn *c, struct error *err);
/* Sets err from the message of a connection that could not be made. */
enum status connect_error(struct conn *c, const char *message, struct error *err);
/* What a SQLSTATE means to drtool. */
enum status sqlstate_status(const char *state);
bool sqlstate_retry(const char *state);

/* Connection parameters: keyword and value in step, as libpq takes them, the last keyword NULL. */
struct connect_params {
	const char *keyword[40];
	char *value[40]; /* owned; overwritten on release, as one is the password */
	int n;
	bool loopback, verifies; /* verifies: a certificate that is not trusted ends the attempt */
};
#define CONNECT_PARAMS_INIT {0}
void connect_params_release(struct connect_params *p);
/* All but password and database. */
enum status connect_params_fill(const struct endpoint *e, struct connect_params *p, struct error *err) MUST_CHECK;
void connect_params_set(struct connect_params *p, const char *keyword, const char *value); /* replaces */
const char *connect_params_get(const struct connect_params *p, const char *keyword);      /* NULL: not there */

/* SHA-256 of the certificate that the server shows, "AB:CD:..."; nothing is believed and no password sent. NULL where it cannot be
 * had. */
char *server_fingerprint(struct run *run, const struct endpoint *e);

#endif
