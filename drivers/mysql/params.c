#include "drivers/mysql/params.h"

/* Kept in step with the defaults of the rows in mysql.c, by a test. */
static const struct my_params defaults = {
	.connect_timeout = {30000000},
	.lock_timeout = {60000000},
	.split_above = 256u * 1024 * 1024,
};

const struct my_params *my_params(const struct endpoint *e) { return e->params ? e->params : &defaults; }
