#include <strings.h>

#include "net/http_internal.h"

#define FIRST DURATION_MS(200)
#define MOST DURATION_SECONDS(20)
#define BUDGET DURATION_SECONDS(300)

bool http_status_retryable(int status)
{
	static const int table[] = {408, 429, 500, 502, 503, 504};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (status == table[i])
			return true;
	return false;
}

static enum status status_code(int status)
{
	if (http_status_retryable(status))
		return ST_UNREACHABLE;
	switch (status) {
	case 401:
	case 407:
		return ST_AUTH;
	case 403:
		return ST_DENIED;
	case 404:
	case 410:
		return ST_NOT_FOUND;
	case 412:
		return ST_PRECONDITION;
	default:
		return ST_IO;
	}
}

enum status http_status_error(const struct http_answer *a, struct error *err)
{
	char native[16];

	snprintf(native, sizeof native, "HTTP %d", a->status);
	error_set(err, status_code(a->status), "the server answered with status %d", a->status);
	error_native(err, native);
	err->retry = http_status_retryable(a->status);
	return err->code;
}

struct instant http_date(const char *text)
{
	time_t t = text ? curl_getdate(text, NULL) : -1;

	/* Beyond these years something else was read than a date. */
	return t > 0 && t < INT64_C(253402300800) ? (struct instant){(int64_t)t * 1000000} : INSTANT_NONE;
}

struct duration http_skew(struct run *run, const struct http_answer *a)
{
	return a->date.us ? instant_diff(a->date, run_now(run)) : (struct duration){0};
}

/* Retry-After: seconds, or a date. */
static struct duration asked_for(struct run *run, const struct http_answer *a)
{
	const char *text = a ? http_headers_get(&a->headers, "Retry-After") : NULL;
	struct duration d = {0};

	if (!text || !*text)
		return d;
	if (text[strspn(text, "0123456789")] == 0)
		return strlen(text) < 7 ? DURATION_SECONDS(strtol(text, NULL, 10)) : DURATION_SECONDS(1000000);
	struct instant t = http_date(text);

	if (t.us) /* by the server's own clock where it says what it is */
		d = instant_diff(t, a->date.us ? a->date : run_now(run));
	return d;
}

static struct duration or_default(struct duration d, struct duration otherwise) { return d.us > 0 ? d : otherwise; }

static struct duration pause(struct run *run, const struct http_backoff *b, unsigned failures, const struct http_answer *a)
{
	struct duration d = or_default(b->first, FIRST), most = or_default(b->most, MOST), asked = asked_for(run, a);
	uint32_t random = 0;

	for (unsigned i = 1; i < failures && d.us < most.us; i++)
		d.us *= 2;
	if (d.us > most.us)
		d = most;
	run_random(run, &random, sizeof random);
	d.us -= (int64_t)((double)d.us / 2 * (random / 4294967296.0));
	if (asked.us > most.us)
		asked = most;
	return asked.us > d.us ? asked : d;
}

/* The failure stays what it was; its text says how much was tried. */
static enum status give_up(struct run *run, const struct http_retry *r, struct error *err)
{
	CLEANUP(buf_release) struct buf time = BUF_INIT;

	if (r->failures < 2)
		return err->code;
	duration_print(instant_diff(run_mono(run), r->since), &time);
	return error_add(err, "tried %u times in %s", r->failures, buf_str(&time));
}

enum status http_retry_wait(struct run *run, const struct http_backoff *b, struct http_retry *r, const struct http_answer *a,
			    struct error *err)
{
	CLEANUP(error_release) struct error end = ERROR_INIT;
	struct instant now = run_mono(run);

	if (!r->since.us)
		r->since = now;
	r->failures++;
	if (!err->retry)
		return give_up(run, r, err);
	struct duration d = pause(run, b, r->failures, a), budget = or_default(b->budget, BUDGET);
	if (instant_diff(now, r->since).us + d.us > budget.us || run_left(run, d).us < d.us)
		return give_up(run, r, err);
	if (run_sleep(run, d, &end))
		return error_move(err, &end);
	error_release(err);
	return ST_OK;
}
