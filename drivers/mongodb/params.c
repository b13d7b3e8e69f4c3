#include "drivers/mongodb/params.h"

const struct mo_params *mo_params(const struct endpoint *e)
{
	static const struct mo_params defaults = {.connect_timeout = DURATION_SECONDS(30), .split_above = 256ull << 20};

	return e->params ? e->params : &defaults;
}
