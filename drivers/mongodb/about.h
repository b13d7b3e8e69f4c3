/* What is asked of a server once: who it is for ever, what it is in its set, how old its data are. */
#ifndef DRIVERS_MONGODB_ABOUT_H
#define DRIVERS_MONGODB_ABOUT_H

#include "drivers/mongodb/conn.h"
#include "util/json.h"

#define MO_ROLE_PRIMARY "primary" /* whatever takes writes: the primary, a server without a set, mongos */
#define MO_ROLE_SECONDARY "secondary"
#define MO_ROLE_UNKNOWN "unknown"

struct mo_about {
	/* Hex digits of the set's replicaSetId; "cluster-..." of a sharded cluster; "server-" and the UUID of admin.system.version, which is made with
	 * a server's data. Where none of these can be read (weak), what is left: "set-NAME", or "address-" and a hash of host and port. */
	char *identity;
	char *weak;         /* why the identity is no more than that, a sentence part; NULL: it is a true one */
	char *version;      /* "7.0.14", "7.0.77 (FerretDB)" */
	const char *role;   /* MO_ROLE_* */
	struct instant data_time; /* secondary: of the last write that a majority has, 0 not known; else now */
	char *member, *primary; /* "db2:27017": this one and the set's primary, as the set calls them; NULL */
};
#define MO_ABOUT_INIT {0}
enum status mo_about_read(struct run *run, struct mo_conn *c, struct mo_about *a, struct error *err) MUST_CHECK;
void mo_about_release(struct mo_about *a);
/* The sentence that says what a weak identity means. NULL where it is none; owned by the caller. */
char *mo_about_weakness(const struct mo_about *a);
bool mo_about_is_other(const struct mo_server *s); /* it speaks the protocol and is neither MongoDB nor Percona's */

#endif
