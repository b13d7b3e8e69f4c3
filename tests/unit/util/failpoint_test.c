#include "util/failpoint.h"

#ifdef DRTOOL_TEST /* another build has no failpoints */

#include <signal.h>
#include <unistd.h>

#include "tests/lib/child.h"
#include "tests/lib/test.h"
#include "util/run.h"

static enum status pass_one(struct error *err)
{
	if (failpoint("test.failpoint.one", err))
		return err->code;
	return ST_OK;
}

static enum status pass_two(struct error *err)
{
	if (failpoint("test.failpoint.two", err))
		return err->code;
	return failpoint("test.failpoint.one", err);
}

static void init(void *spec)
{
	setenv("DRTOOL_FAIL", spec, 1);
	failpoint_init();
}

static int run_init(const char *spec, struct buf *out) { return child_run(init, (void *)(uintptr_t)spec, out); }

TEST("failpoints do nothing unless one is named")
{
	struct error e = ERROR_INIT;

	unsetenv("DRTOOL_FAIL");
	failpoint_init();
	setenv("DRTOOL_FAIL", "", 1);
	failpoint_init();
	for (int i = 0; i < 3; i++) {
		CHECK_OK(pass_one(&e), e);
		CHECK_OK(pass_two(&e), e);
	}
}

TEST("the list has every failpoint once and ends the program well")
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;

	CHECK_INT(run_init("list", &out), 0);
	const char *one = strstr(buf_str(&out), "test.failpoint.one\n");
	CHECK(one);
	CHECK(!strstr(one + 1, "test.failpoint.one\n"));
	CHECK_HAS(one, "test.failpoint.two\n");
}

TEST("a failpoint fails at the passing that was asked for and at no other")
{
	struct error e = ERROR_INIT;

	init((void *)(uintptr_t) "test.failpoint.one:3:error");
	CHECK_OK(pass_one(&e), e);
	CHECK_OK(pass_two(&e), e);
	CHECK_ERR(pass_one(&e), e, ST_IO, "injected failure at test.failpoint.one");
	CHECK_OK(pass_one(&e), e);
}

TEST("a failpoint delays")
{
	struct error e = ERROR_INIT;
	struct run run = RUN_INIT;

	init((void *)(uintptr_t) "test.failpoint.two:1:delay=30");
	struct instant start = run_mono(&run);
	CHECK_OK(pass_two(&e), e);
	CHECK(instant_diff(run_mono(&run), start).us >= 30000);
}

static void be_killed(void *arg UNUSED)
{
	struct error e = ERROR_INIT;

	init((void *)(uintptr_t) "test.failpoint.two:1:kill");
	if (pass_two(&e))
		_exit(9);
}

TEST("a failpoint kills")
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	int wstatus = child_run(be_killed, NULL, &out);

	CHECK(WIFSIGNALED(wstatus) && WTERMSIG(wstatus) == SIGKILL);
}

TEST("a failpoint that does not exist or is wrongly written ends the program with status 2")
{
	static const char *const bad[] = {"x", "test.failpoint.one", "test.failpoint.one:1", "test.failpoint.one:0:kill",
					  "test.failpoint.one:1:die",
					  "test.failpoint.one:x:kill", "test.failpoint.one:1:delay=", "test.failpoint.one:-1:kill"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT;
		int wstatus = run_init(bad[i], &out);

		CHECK(WIFEXITED(wstatus));
		CHECK_INT(WEXITSTATUS(wstatus), 2);
		CHECK_HAS(buf_str(&out), "DRTOOL_FAIL");
	}
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CHECK_INT(WEXITSTATUS(run_init("test.failpoint.on:1:kill", &out)), 2);
	CHECK_HAS(buf_str(&out), "names no failpoint: test.failpoint.on");
}

#endif
