/* The driver's own settings of a source. mongodb.c has the rows. */
#ifndef DRIVERS_MONGODB_PARAMS_H
#define DRIVERS_MONGODB_PARAMS_H

#include "drivers/driver.h"

enum mo_moment_way { MO_MOMENT_AUTO, MO_MOMENT_OPLOG };
struct mo_params {
	struct duration connect_timeout; /* of one connection, the choice of a server included */
	uint64_t split_above;            /* bytes of a collection's data above which it is read in ranges of _id */
	int moment;                      /* enum mo_moment_way: AUTO reads at one time where the server can */
	char *tls_cert;                  /* file with client certificate and key, PEM; NULL: none. With X.509 it is the login too */
};

/* The endpoint's, or the defaults where it has none. */
const struct mo_params *mo_params(const struct endpoint *e);

#endif
