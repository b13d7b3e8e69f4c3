/* The driver's own settings of a source. mysql.c has the rows. */
#ifndef DRIVERS_MYSQL_PARAMS_H
#define DRIVERS_MYSQL_PARAMS_H

#include "drivers/driver.h"

enum my_replicas { MY_REPLICAS_REFUSE, MY_REPLICAS_FOLLOW, MY_REPLICAS_REBUILD }; /* in the order of the row's choices */
struct my_params {
	struct duration connect_timeout; /* of one connection */
	struct duration lock_timeout;    /* wait for locks held by others; also the longest that writers may be blocked */
	bool lock_ddl;                   /* hold changes of tables back while a backup runs */
	uint64_t split_above;            /* bytes of a table's data above which it is read in ranges */
	bool history;                    /* also the rows that system-versioned tables had before (10.11 and later) */
	struct strlist definers;         /* of a restore: "keep", "strip", "OLD=NEW"; empty: keep */
	int replicas;                    /* enum my_replicas: what becomes of those of a target */
	char *tls_cert, *tls_key;        /* client certificate; NULL: none */
	char *tls_fingerprint;           /* of the server's certificate: SHA-256 in hex, with colons or without (SHA-1 too); NULL: the
	                                  * chain is verified as `tls` says */
};

/* The endpoint's, or the defaults where it has none. */
const struct my_params *my_params(const struct endpoint *e);

#endif
