#include "drivers/postgres/params.h"

/* Kept in step with the defaults of the rows in postgres.c, by a test. */
static const struct pg_params defaults = {
	.connect_timeout = {30000000},
	.lock_timeout = {60000000},
	.split_above = 256u * 1024 * 1024,
};

const struct pg_params *pg_params(const struct endpoint *e) { return e->params ? e->params : &defaults; }
