#include "net/http.h"

#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

#define START ((struct instant){INT64_C(1369353600000000)}) /* Fri, 24 May 2013 00:00:00 GMT */

struct fixture {
	struct fake_clock clock;
	struct run run;
	struct http_retry retry;
	struct http_answer a;
	struct error err;
};

static void fixture_release(struct fixture *f)
{
	http_answer_release(&f->a);
	error_release(&f->err);
}

static void set_up(struct fixture *f)
{
	*f = (struct fixture){0};
	fake_clock_init(&f->clock, START);
	f->run = (struct run){.clock = &f->clock.clock, .seed = 7};
}

/* Fails once more; returns how long the wait was, in ms, or -1 where there was none. */
static int64_t fail(struct fixture *f, const struct http_backoff *b)
{
	struct instant before = run_mono(&f->run);

	error_set(&f->err, ST_UNREACHABLE, "nobody there");
	f->err.retry = true;
	if (http_retry_wait(&f->run, b, &f->retry, &f->a, &f->err))
		return -1;
	CHECK_INT(f->err.code, ST_OK);
	return instant_diff(run_mono(&f->run), before).us / 1000;
}

TEST("HTTP: waits before a retry double up to their bound, of which chance takes up to a half")
{
	CLEANUP(fixture_release) struct fixture f;
	const struct http_backoff b = {.first = DURATION_MS(100), .most = DURATION_SECONDS(2), .budget = DURATION_SECONDS(3600)};
	bool differ = false;
	int64_t last = 0;

	set_up(&f);
	for (int64_t i = 0, most = 100; i < 20; i++, most = (int64_t)min_u64(2 * (uint64_t)most, 2000)) {
		int64_t ms = fail(&f, &b);

		CHECK(ms >= most / 2 && ms <= most);
		differ = differ || (i > 10 && ms != last);
		last = ms;
	}
	CHECK(differ);
}

TEST("HTTP: a retry waits for as long as the server asks, within its bound")
{
	CLEANUP(fixture_release) struct fixture f;
	const struct http_backoff b = {.first = DURATION_MS(1), .most = DURATION_SECONDS(60), .budget = DURATION_SECONDS(3600)};

	set_up(&f);
	http_headers_add(&f.a.headers, "Retry-After", "7");
	CHECK_INT(fail(&f, &b), 7000);
	http_answer_release(&f.a);
	http_headers_add(&f.a.headers, "retry-after", "Fri, 24 May 2013 00:00:30 GMT");
	CHECK_INT(fail(&f, &b), 23000);
	http_answer_release(&f.a);
	http_headers_add(&f.a.headers, "Retry-After", "99999999999999999999");
	CHECK_INT(fail(&f, &b), 60000);
	http_answer_release(&f.a);
	http_headers_add(&f.a.headers, "Retry-After", "soon");
	CHECK(fail(&f, &b) < 100);
}

TEST("HTTP: retries end with their budget, and the text says what was tried")
{
	CLEANUP(fixture_release) struct fixture f;
	const struct http_backoff b = {.first = DURATION_SECONDS(1), .most = DURATION_SECONDS(4), .budget = DURATION_SECONDS(20)};
	unsigned tries = 1;

	set_up(&f);
	while (fail(&f, &b) >= 0)
		tries++;
	CHECK(tries > 5 && tries < 15);
	CHECK(instant_diff(run_mono(&f.run), f.retry.since).us <= b.budget.us);
	CHECK_INT(f.err.code, ST_UNREACHABLE);
	CLEANUP(cstr_release) char *text = xasprintf("tried %u times in ", tries);
	CHECK_HAS(error_text(&f.err), text);
	CHECK_HAS(error_text(&f.err), "nobody there");
}

TEST("HTTP: no retry is begun that the run's deadline would end, or that is not worth it")
{
	CLEANUP(fixture_release) struct fixture f;
	const struct http_backoff b = {.first = DURATION_SECONDS(10), .most = DURATION_SECONDS(10)};

	set_up(&f);
	f.run = run_within(&f.run, DURATION_SECONDS(2));
	CHECK_INT(fail(&f, &b), -1);
	CHECK_STR(error_text(&f.err), "nobody there");
	f.run.deadline = INSTANT_NONE;
	error_set(&f.err, ST_DENIED, "no");
	CHECK_INT(http_retry_wait(&f.run, &b, &f.retry, NULL, &f.err), ST_DENIED);
}

TEST("HTTP: a wait before a retry ends when the run is cancelled")
{
	CLEANUP(fixture_release) struct fixture f;
	CLEANUP(cancel_freep) struct cancel *c = cancel_new(NULL);

	set_up(&f);
	f.run.cancel = c;
	cancel_fire(c, 15);
	CHECK_INT(fail(&f, &(struct http_backoff){0}), -1);
	CHECK_INT(f.err.code, ST_CANCELLED);
}

TEST("HTTP: statuses have codes, and those that pass are worth a retry")
{
	static const struct {
		int status;
		enum status code;
		bool retry;
	} table[] = {{301, ST_IO, false},	    {400, ST_IO, false},	  {401, ST_AUTH, false},	{403, ST_DENIED, false},
		     {404, ST_NOT_FOUND, false},    {408, ST_UNREACHABLE, true},  {412, ST_PRECONDITION, false}, {429, ST_UNREACHABLE, true},
		     {500, ST_UNREACHABLE, true},   {501, ST_IO, false},	  {503, ST_UNREACHABLE, true},	{504, ST_UNREACHABLE, true}};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(cstr_release) char *native = xasprintf("HTTP %d", table[i].status);

		CHECK_INT(http_status_error(&(struct http_answer){.status = table[i].status}, &err), table[i].code);
		CHECK_INT(err.retry, table[i].retry);
		CHECK_STR(err.native, native);
	}
}

TEST("HTTP: dates are read in the three forms that HTTP has, and nothing else is one")
{
	static const char *const good[] = {"Fri, 24 May 2013 00:00:00 GMT", "Friday, 24-May-13 00:00:00 GMT", "Fri May 24 00:00:00 2013"};
	static const char *const wrong[] = {"", "soon", "Fri, 99 May 2013 00:00:00 GMT", "-1"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(http_date(good[i]).us == START.us);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK(!http_date(wrong[i]).us);
	CHECK(!http_date(NULL).us);
}

TEST("HTTP: the server's clock is compared with this one")
{
	CLEANUP(fixture_release) struct fixture f;

	set_up(&f);
	CHECK_INT(http_skew(&f.run, &f.a).us, 0);
	f.a.date = instant_add(START, DURATION_SECONDS(-3600));
	CHECK_INT(http_skew(&f.run, &f.a).us, -INT64_C(3600000000));
}
