/* When keys are looked for again. */
#include "tests/lib/fake_clock.h"
#include "tests/unit/storage/s3_keys_fixture.h"

/* Gives keys that hold for ten minutes of the fake clock, a new id each time. */
struct giver {
	struct http_stub stub;
	struct fake_clock *clock;
	atomic_bool fails;
	atomic_int hold; /* seconds */
	atomic_bool slow;
};

static int give(void *ctx, const struct http_stub_call *call UNUSED, struct buf *body)
{
	struct giver *g = ctx;
	char end[INSTANT_TEXT];

	if (atomic_load(&g->slow)) {
		struct run real = RUN_INIT;
		CLEANUP(error_release) struct error err = ERROR_INIT;

		CHECK_OK(run_sleep(&real, DURATION_MS(100), &err), err);
	}
	if (atomic_load(&g->fails))
		return 403;
	instant_iso((struct instant){atomic_load(&g->clock->now) + (int64_t)atomic_load(&g->hold) * 1000000}, end);
	buf_printf(body, "{\"AccessKeyId\": \"AKID%u\", \"SecretAccessKey\": \"hush\", \"Token\": \"t\", \"Expiration\": \"%s\"}",
		   atomic_load(&g->stub.calls), end);
	return 200;
}

static void giver_start(struct giver *g, struct fake_clock *clock)
{
	s3_test_bare();
	fake_clock_init(clock, (struct instant){1700000000000000});
	g->clock = clock;
	g->stub.answer = give;
	g->stub.ctx = g;
	atomic_store(&g->hold, 600);
	http_stub_start(&g->stub);
	s3_test_setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:%u/", g->stub.port);
}

static void expect_id(struct run *run, struct s3_keychain *c, const char *id)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;

	CHECK_OK(s3_keys_get(run, c, &k, &err), err);
	CHECK_STR(k.id, id);
}

TEST("keychain: keys are looked for once, and again five minutes before their end")
{
	struct giver g = {0};
	struct fake_clock clock;
	struct s3_key_params params = {.profile = NULL};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params);

	giver_start(&g, &clock);
	struct run run = {.clock = &clock.clock};

	expect_id(&run, c, "AKID1");
	fake_clock_advance(&clock, DURATION_SECONDS(290));
	expect_id(&run, c, "AKID1");
	CHECK_INT(atomic_load(&g.stub.calls), 1);
	fake_clock_advance(&clock, DURATION_SECONDS(20));
	expect_id(&run, c, "AKID2");
	http_stub_stop(&g.stub);
}

TEST("keychain: while the place refuses, the old keys are used until they end, and it is asked once a minute")
{
	struct giver g = {0};
	struct fake_clock clock;
	struct s3_key_params params = {.profile = NULL};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params);
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;

	giver_start(&g, &clock);
	struct run run = {.clock = &clock.clock};

	expect_id(&run, c, "AKID1");
	atomic_store(&g.fails, true);
	fake_clock_advance(&clock, DURATION_SECONDS(310));
	expect_id(&run, c, "AKID1");
	expect_id(&run, c, "AKID1");
	CHECK_INT(atomic_load(&g.stub.calls), 2);
	fake_clock_advance(&clock, DURATION_SECONDS(61));
	expect_id(&run, c, "AKID1");
	CHECK_INT(atomic_load(&g.stub.calls), 3);
	fake_clock_advance(&clock, DURATION_SECONDS(230));
	CHECK_ERR(s3_keys_get(&run, c, &k, &err), err, ST_AUTH, "container: ");
	atomic_store(&g.fails, false);
	expect_id(&run, c, "AKID5");
	http_stub_stop(&g.stub);
}

TEST("keychain: keys that are over when they are given are used for a minute, since a clock may be wrong")
{
	struct giver g = {0};
	struct fake_clock clock;
	struct s3_key_params params = {.profile = NULL};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params);

	giver_start(&g, &clock);
	atomic_store(&g.hold, -3600);
	struct run run = {.clock = &clock.clock};

	expect_id(&run, c, "AKID1");
	expect_id(&run, c, "AKID1");
	CHECK_INT(atomic_load(&g.stub.calls), 1);
	fake_clock_advance(&clock, DURATION_SECONDS(61));
	expect_id(&run, c, "AKID2");
	http_stub_stop(&g.stub);
}

TEST("keychain: refused keys are read again, and where they are the same another attempt is not worth it")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys first = S3_KEYS_INIT, again = S3_KEYS_INIT, third = S3_KEYS_INIT;
	struct run run = RUN_INIT;
	struct s3_key_params params = {.profile = NULL};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params);

	s3_test_bare();
	s3_test_aws_file("credentials", "[default]\naws_access_key_id = AKID1\naws_secret_access_key = hush\n");
	CHECK_OK(s3_keys_get(&run, c, &first, &err), err);
	CHECK(s3_keys_refused(c, &first));
	CHECK_OK(s3_keys_get(&run, c, &again, &err), err);
	CHECK_INT(again.look, first.look);
	CHECK(!s3_keys_refused(c, &again));
	s3_test_aws_file("credentials", "[default]\naws_access_key_id = AKID2\naws_secret_access_key = hush\n");
	CHECK_OK(s3_keys_get(&run, c, &third, &err), err);
	CHECK_STR(third.id, "AKID2");
	/* Somebody who was slow: there are others already. */
	CHECK(s3_keys_refused(c, &first));
	expect_id(&run, c, "AKID2");
	CHECK(s3_keys_refused(c, &third));
}

struct asker {
	struct s3_keychain *c;
	struct run run;
	struct thread thread;
	bool fails;
};

static void ask(void *arg)
{
	struct asker *a = arg;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;

	if (a->fails)
		CHECK_ERR(s3_keys_get(&a->run, a->c, &k, &err), err, ST_AUTH, "container: ");
	else
		CHECK_OK(s3_keys_get(&a->run, a->c, &k, &err), err);
}

static void ask_at_once(struct s3_keychain *c, struct run run, bool fails)
{
	struct asker asker[8];
	CLEANUP(error_release) struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(asker); i++) {
		asker[i] = (struct asker){.c = c, .run = run, .fails = fails};
		CHECK_OK(thread_start(&asker[i].thread, "asker", ask, &asker[i], &err), err);
	}
	for (size_t i = 0; i < ARRAY_LEN(asker); i++)
		thread_join(&asker[i].thread);
}

TEST("keychain: of many threads one looks, the others wait for what it finds, be it keys or a failure")
{
	struct giver g = {0};
	struct fake_clock clock;
	struct s3_key_params params = {.profile = NULL};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params), *other = s3_keychain_new(&params);

	giver_start(&g, &clock);
	atomic_store(&g.slow, true);
	struct run run = {.clock = &clock.clock};

	ask_at_once(c, run, false);
	CHECK_INT(atomic_load(&g.stub.calls), 1);
	atomic_store(&g.fails, true);
	ask_at_once(other, run, true);
	CHECK(atomic_load(&g.stub.calls) < 9);
	/* Those who find the keys about to end go on with them, all but one. */
	atomic_store(&g.fails, false);
	fake_clock_advance(&clock, DURATION_SECONDS(310));
	unsigned before = atomic_load(&g.stub.calls);

	ask_at_once(c, run, false);
	CHECK_INT(atomic_load(&g.stub.calls), before + 1);
	http_stub_stop(&g.stub);
}
