/* Sessions whose answers do not depend on the settings of role, database or server. Every dump, digest and inventory uses these and
 * nothing else, so that both sides of a comparison speak alike. */
#ifndef DRIVERS_POSTGRES_SESSION_H
#define DRIVERS_POSTGRES_SESSION_H

#include "drivers/postgres/conn.h"

/* conn_open, then search_path empty, fixed output formats, no timeouts but the given one for locks, row_security off (a role that
 * row security holds back gets an error, never a part of the rows). */
enum status session_open(struct run *run, const struct endpoint *e, const char *database, struct duration lock_timeout,
			 struct conn **c, struct error *err) MUST_CHECK;
/* The same for a session that is open already. */
enum status session_setup(struct run *run, struct conn *c, struct duration lock_timeout, struct error *err) MUST_CHECK;

#endif
