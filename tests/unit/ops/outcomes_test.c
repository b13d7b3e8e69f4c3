#include "ops/ops.h"
#include "tests/lib/test.h"

static void add(struct op_outcomes *o, enum status code)
{
	struct error e = ERROR_INIT;

	if (code)
		error_set(&e, code, "x");
	op_outcomes_add(o, "x", &e);
}

static enum status of(enum status a, enum status b)
{
	CLEANUP(op_outcomes_release) struct op_outcomes o = {0};

	add(&o, a);
	add(&o, b);
	return op_outcomes_status(&o);
}

TEST("several outcomes make one status: equal ones that, mixed ones incomplete")
{
	CHECK_INT(of(ST_OK, ST_OK), ST_OK);
	CHECK_INT(of(ST_OK, ST_LOCKED), ST_INCOMPLETE);
	CHECK_INT(of(ST_LOCKED, ST_LOCKED), ST_LOCKED);
	CHECK_INT(of(ST_IO, ST_UNREACHABLE), ST_IO);
	CHECK_INT(of(ST_LOCKED, ST_REFUSED), ST_INCOMPLETE);
}

TEST("nobody to ask and no --yes is refused")
{
	CLEANUP(error_release) struct error e = ERROR_INIT;
	struct op_env env = {0};

	CHECK_ERR(op_confirm(&env, "Drop it?", &e), e, ST_REFUSED, "Drop it?");
	env.yes = true;
	CHECK_OK(op_confirm(&env, "Drop it?", &e), e);
}
