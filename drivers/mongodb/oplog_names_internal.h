/* Between oplog_names.c and oplog_replay.c. */
#ifndef DRIVERS_MONGODB_OPLOG_NAMES_INTERNAL_H
#define DRIVERS_MONGODB_OPLOG_NAMES_INTERNAL_H

#include "drivers/mongodb/oplog_names.h"

/* The route of a database; NULL: it is not of the restore. */
const struct mo_route *mo_route_of(const struct mo_routes *r, const char *database);

#endif
