/* The driver's own settings of a source. postgres.c has the rows. */
#ifndef DRIVERS_POSTGRES_PARAMS_H
#define DRIVERS_POSTGRES_PARAMS_H

#include "drivers/driver.h"

struct pg_params {
	struct duration connect_timeout; /* of one connection */
	struct duration lock_timeout;    /* wait for table locks held by others */
	uint64_t split_above;            /* bytes of a table's heap above which it is read in ranges */
	char *client_path;               /* folder with pg_dump and pg_restore; NULL: searched */
	char *tls_cert, *tls_key;        /* client certificate; NULL: none */
};

/* The endpoint's, or the defaults where it has none. */
const struct pg_params *pg_params(const struct endpoint *e);

#endif
