/* What probe, dump and load say alike of a server. */
#ifndef DRIVERS_MONGODB_SERVER_H
#define DRIVERS_MONGODB_SERVER_H

#include "drivers/mongodb/conn.h"

/* Who the server is, for ever: the replica set's id where it has one and shows it, else what a server of its own can be known by. Owned by the caller. */
enum status mo_identity(struct run *run, struct mo_conn *c, char **identity, struct error *err) MUST_CHECK;
/* "7.0.14"; of another product "7.0.77 FerretDB". Begins with the version, as archives record it. Owned by the caller. */
char *mo_version_text(const struct mo_server *s);

/* The documents of a run's state, collection drtool_run_<run>, that others than the load read:
 *   {_id: "ttl:<collection>:<index>", seconds: N}   the recorded expireAfterSeconds of an index that is parked; collection without the place's
 *                                                   suffix; index "" is the collection's own option of that name
 *   {_id: "run", scope: "shop", place: "shop.*_restore_1a2b3c"}   what the run restores, and where */

#endif
