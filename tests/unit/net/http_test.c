#include "net/http.h"

#include <unistd.h>

#include "tests/lib/test.h"
#include "tests/lib/wire.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define EMPTY_OK OK_HEAD "Content-Length: 0\r\n\r\n"

static struct run run = RUN_INIT;

/* A script, its server, a client, and what came of the last request. */
struct fixture {
	struct wire wire;
	struct http_client *client;
	struct http_answer a;
	struct http_headers headers;
	struct error err;
};

static void fixture_release(struct fixture *f)
{
	http_client_freep(&f->client); /* ends what hangs */
	wire_release(&f->wire);
	http_answer_release(&f->a);
	http_headers_release(&f->headers);
	error_release(&f->err);
}

static void set_up(struct fixture *f, const struct wire_step *script, struct http_params params)
{
	unsetenv("http_proxy");
	*f = (struct fixture){.wire = {.script = script}};
	wire_start(&f->wire);
	f->client = http_client_new(&params);
}

static enum status send_to(struct fixture *f, struct http_request q, const char *path)
{
	CLEANUP(cstr_release) char *url = xasprintf("http://127.0.0.1:%u%s", f->wire.port, path);

	http_answer_release(&f->a);
	error_release(&f->err);
	q.url = url;
	q.headers = &f->headers;
	if (!q.method)
		q.method = "GET";
	return http_send(&run, f->client, &q, &f->a, &f->err);
}

#define FIXTURE(f, params, ...)                                                                     \
	CLEANUP(fixture_release) struct fixture f;                                                  \
	static const struct wire_step script_[] = {__VA_ARGS__, {WIRE_END, NULL}};                  \
	set_up(&f, script_, (struct http_params)params)
#define NO_PARAMS {0}
#define ONE_ANSWER(text) {WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_SEND, text}

/* ---- requests and answers ---- */

TEST("HTTP: path, query and headers are sent as they are given, and the answer is whole")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(OK_HEAD "Content-Length: 5\r\nETag:  \"x\" \r\nX-Empty:\r\nDate: Fri, 24 May 2013 00:00:00 GMT\r\n\r\nhello"));

	http_headers_add(&f.headers, "X-Mine", "%s", "a: b");
	http_headers_add(&f.headers, "X-Nothing", "%s", "");
	CHECK_OK(send_to(&f, (struct http_request){0}, "/a%20b/../c//%2B+?uploads=&x=%26"), f.err);
	CHECK_INT(f.a.status, 200);
	CHECK_STR(buf_str(&f.a.body), "hello");
	CHECK_STR(http_headers_get(&f.a.headers, "etag"), "\"x\"");
	CHECK_STR(http_headers_get(&f.a.headers, "x-empty"), "");
	CHECK(f.a.date.us == INT64_C(1369353600000000));
	CHECK(f.a.sent);
	wire_stop(&f.wire);
	CHECK_HAS(buf_str(&f.wire.seen), "GET /a%20b/../c//%2B+?uploads=&x=%26 HTTP/1.1\r\nHost: 127.0.0.1:");
	CHECK_HAS(buf_str(&f.wire.seen), "\r\nX-Mine: a: b\r\nX-Nothing:");
	CHECK(!strcasestr(buf_str(&f.wire.seen), "\r\nExpect"));
	CHECK(!strcasestr(buf_str(&f.wire.seen), "\r\nContent-Length"));
}

TEST("HTTP: no value of a header makes a second one")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(EMPTY_OK));

	http_headers_add(&f.headers, "X-Mine", "%s", "a\r\nX-Other: b");
	CHECK_OK(send_to(&f, (struct http_request){0}, "/"), f.err);
	wire_stop(&f.wire);
	CHECK_HAS(buf_str(&f.wire.seen), "\r\nX-Mine: a  X-Other: b\r\n");
}

TEST("HTTP: a body is sent whole with its length, and an empty one says so")
{
	enum { LARGE = 3 << 20 };
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(EMPTY_OK), {WIRE_REQUEST, NULL}, {WIRE_SEND, EMPTY_OK}, {WIRE_REQUEST, NULL}, {WIRE_SEND, EMPTY_OK});
	CLEANUP(buf_release) struct buf body = BUF_INIT;

	while (body.len < LARGE)
		buf_printf(&body, "%zu ", body.len);
	CHECK_OK(send_to(&f, (struct http_request){.method = "PUT", .body = body.data, .body_len = body.len}, "/large"), f.err);
	CHECK_OK(send_to(&f, (struct http_request){.method = "POST"}, "/empty"), f.err);
	CHECK_OK(send_to(&f, (struct http_request){.method = "DELETE"}, "/gone"), f.err);
	wire_stop(&f.wire);
	const char *seen = buf_str(&f.wire.seen), *at = strstr(seen, "\r\n\r\n");

	CHECK(!strncmp(seen, "PUT /large HTTP/1.1\r\n", 21));
	CHECK(at && !memcmp(at + 4, body.data, body.len));
	at += 4 + body.len;
	CHECK(!strncmp(at, "POST /empty HTTP/1.1\r\n", 22));
	CHECK_HAS(at, "\r\nContent-Length: 0\r\n");
	CHECK_HAS(at, "\r\n\r\nDELETE /gone HTTP/1.1\r\n");
	CHECK_INT(f.wire.connections, 1);
}

TEST("HTTP: HEAD gives headers and waits for no body")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(OK_HEAD "Content-Length: 1000\r\n\r\n"), {WIRE_REQUEST, NULL}, {WIRE_SEND, EMPTY_OK});

	CHECK_OK(send_to(&f, (struct http_request){.method = "HEAD"}, "/"), f.err);
	CHECK_STR(http_headers_get(&f.a.headers, "Content-Length"), "1000");
	CHECK_OK(send_to(&f, (struct http_request){0}, "/"), f.err);
	CHECK_INT(f.wire.connections, 1);
}

TEST("HTTP: what comes before the answer is passed over, and chunks are joined")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER("HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n" OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"));

	CHECK_OK(send_to(&f, (struct http_request){.method = "PUT", .body = "x", .body_len = 1}, "/"), f.err);
	CHECK_STR(buf_str(&f.a.body), "abcdefg");
	CHECK(!http_headers_get(&f.a.headers, "X-Early"));
}

TEST("HTTP: a body goes into the caller's memory, and one that is longer is refused")
{
	char to[8] = "-------";
	FIXTURE(f, NO_PARAMS, ONE_ANSWER("HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\nabcd"), {WIRE_REQUEST, NULL},
		{WIRE_SEND, "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nabcde"}, ONE_ANSWER(OK_HEAD "Content-Length: 9\r\n\r\n123456789"),
		ONE_ANSWER("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n123456789"));
	struct http_request into = {.to = to, .to_len = 4};

	CHECK_OK(send_to(&f, into, "/"), f.err);
	CHECK_INT(f.a.got, 4);
	CHECK_STR(to, "abcd---");
	CHECK_ERR(send_to(&f, into, "/"), f.err, ST_BAD, "longer than what was asked for");
	CHECK_STR(to, "abcd---");
	CHECK_ERR(send_to(&f, (struct http_request){.max = 8}, "/"), f.err, ST_BAD, "longer than what was asked for");
	CHECK_OK(send_to(&f, into, "/"), f.err); /* what an error says is no data */
	CHECK_INT(f.a.status, 404);
	CHECK_STR(buf_str(&f.a.body), "123456789");
	CHECK_INT(f.a.got, 0);
}

TEST("HTTP: headers without end are refused")
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	buf_puts(&text, OK_HEAD);
	for (int i = 0; i < 2000; i++)
		buf_printf(&text, "X-%d: %040d\r\n", i, i);
	buf_puts(&text, "\r\n");
	const struct wire_step script[] = {ONE_ANSWER(text.data), {WIRE_CLOSE, NULL}, {WIRE_END, NULL}};
	CLEANUP(fixture_release) struct fixture f;

	set_up(&f, script, (struct http_params){0});
	CHECK_ERR(send_to(&f, (struct http_request){0}, "/"), f.err, ST_BAD, "longer");
}

TEST("HTTP: a redirect is an answer like others")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 4\r\n\r\ngone"));

	CHECK_OK(send_to(&f, (struct http_request){0}, "/"), f.err);
	CHECK_INT(f.a.status, 307);
	CHECK_STR(http_headers_get(&f.a.headers, "location"), "http://127.0.0.1:1/");
	CHECK_STR(buf_str(&f.a.body), "gone");
}

TEST("HTTP: an answer that comes before the body was sent is the answer")
{
	enum { LARGE = 8 << 20 };
	CLEANUP(cstr_release) char *body = xcalloc(1, LARGE);
	FIXTURE(f, NO_PARAMS, {WIRE_ACCEPT, NULL}, {WIRE_SEND, "HTTP/1.1 503 Slow Down\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow"}, {WIRE_HANG, NULL});

	CHECK_OK(send_to(&f, (struct http_request){.method = "PUT", .body = body, .body_len = LARGE}, "/"), f.err);
	CHECK_INT(f.a.status, 503);
	CHECK_STR(buf_str(&f.a.body), "slow");
}

/* ---- connections ---- */

TEST("HTTP: a connection is kept for the next request")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(EMPTY_OK), {WIRE_REQUEST, NULL}, {WIRE_SEND, "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"}, {WIRE_REQUEST, NULL},
		{WIRE_SEND, EMPTY_OK});

	for (int i = 0; i < 3; i++)
		CHECK_OK(send_to(&f, (struct http_request){0}, "/"), f.err);
	CHECK_INT(f.wire.connections, 1);
}

TEST("HTTP: a kept connection that has ended is replaced, and the body is sent from its beginning")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(EMPTY_OK), {WIRE_REQUEST, NULL}, {WIRE_CLOSE, NULL}, ONE_ANSWER(EMPTY_OK));

	CHECK_OK(send_to(&f, (struct http_request){0}, "/first"), f.err);
	CHECK_OK(send_to(&f, (struct http_request){.method = "PUT", .body = "abc", .body_len = 3}, "/second"), f.err);
	wire_stop(&f.wire);
	CHECK_HAS(buf_str(&f.wire.seen), "\r\n\r\nabcPUT /second");
	CHECK_STR(buf_str(&f.wire.seen) + f.wire.seen.len - 7, "\r\n\r\nabc");
	CHECK_INT(f.wire.connections, 2);
}

TEST("HTTP: a request that is to be sent once has a connection of its own, and its loss is told")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(EMPTY_OK), {WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_CLOSE, NULL});

	CHECK_OK(send_to(&f, (struct http_request){0}, "/"), f.err);
	CHECK_INT(send_to(&f, (struct http_request){.method = "POST", .once = true}, "/complete"), ST_UNREACHABLE);
	CHECK_HAS(error_text(&f.err), "without an answer");
	CHECK(f.err.retry);
	CHECK(f.a.sent);
	wire_stop(&f.wire);
	CHECK_INT(f.wire.connections, 2);
}

TEST("HTTP: nobody who listens is told with the reason")
{
	FIXTURE(f, NO_PARAMS, {WIRE_END, NULL});

	wire_stop(&f.wire);
	CHECK_INT(send_to(&f, (struct http_request){0}, "/secret?token=secret"), ST_UNREACHABLE);
	CHECK_HAS(error_text(&f.err), "Connection refused");
	CHECK(!strstr(error_text(&f.err), "secret"));
	CHECK(f.err.retry && f.err.hint);
	CHECK(!f.a.sent);
}

TEST("HTTP: a connection that breaks is told, and worth another try")
{
	FIXTURE(f, NO_PARAMS, {WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_RESET, NULL}, ONE_ANSWER(OK_HEAD "Content-Length: 10\r\n\r\nabc"), {WIRE_CLOSE, NULL},
		ONE_ANSWER(OK_HEAD "Content-Le"), {WIRE_CLOSE, NULL}, ONE_ANSWER(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), {WIRE_CLOSE, NULL});
	static const char *const says[] = {"the connection broke", "the answer ended before its end", "", "the answer ended before its end"};

	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		CHECK_INT(send_to(&f, (struct http_request){0}, "/"), ST_UNREACHABLE);
		CHECK_HAS(error_text(&f.err), says[i]);
		CHECK(f.err.retry);
	}
}

TEST("HTTP: what does not speak HTTP is told")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER("220 mail.example.com ESMTP\r\n"), {WIRE_CLOSE, NULL});

	CHECK_ERR(send_to(&f, (struct http_request){0}, "/"), f.err, ST_BAD, "does not speak HTTP");
}

/* ---- waits ---- */

TEST("HTTP: an answer that stalls ends the wait")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(OK_HEAD "Content-Length: 10\r\n\r\nabc"), {WIRE_HANG, NULL});

	CHECK_ERR(send_to(&f, (struct http_request){.stall = DURATION_MS(300)}, "/"), f.err, ST_UNREACHABLE, "nothing was sent or received for 0.3s");
}

TEST("HTTP: a request has a time of its own, and the run's deadline")
{
	FIXTURE(f, NO_PARAMS, {WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_HANG, NULL}, {WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_HANG, NULL});

	CHECK_ERR(send_to(&f, (struct http_request){.time = DURATION_MS(300)}, "/"), f.err, ST_UNREACHABLE, "no whole answer within 0.3s");
	run = run_within(&run, DURATION_MS(300));
	CHECK_INT(send_to(&f, (struct http_request){0}, "/"), ST_DEADLINE);
	CHECK(!f.err.retry);
}

static void fire(void *arg)
{
	struct run plain = RUN_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	CHECK_OK(run_sleep(&plain, DURATION_MS(200), &err), err);
	cancel_fire(arg, 2);
}

TEST("HTTP: a cancelled run ends a request that waits")
{
	struct thread t = THREAD_INIT;
	FIXTURE(f, NO_PARAMS, {WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_HANG, NULL});

	run.cancel = cancel_new(NULL);
	CHECK_OK(thread_start(&t, "fire", fire, run.cancel, &f.err), f.err);
	CHECK_INT(send_to(&f, (struct http_request){.stall = DURATION_SECONDS(200)}, "/"), ST_CANCELLED);
	CHECK_INT(f.err.exit_signal, 2);
	thread_join(&t);
	cancel_freep(&run.cancel);
}

/* ---- proxies ---- */

TEST("HTTP: the environment's proxy is used, but not by a client that goes directly")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER(EMPTY_OK), ONE_ANSWER(EMPTY_OK));
	CLEANUP(cstr_release) char *proxy = xasprintf("http://127.0.0.1:%u", f.wire.port);
	const struct http_params direct = {.direct = true};
	struct http_request q = {.method = "GET", .url = "http://nobody.invalid/x"};

	setenv("http_proxy", proxy, 1);
	const struct http_params open = {.tls = TLS_OFF};
	http_client_freep(&f.client);
	f.client = http_client_new(&open);
	CHECK_OK(http_send(&run, f.client, &q, &f.a, &f.err), f.err);
	http_client_freep(&f.client);
	f.client = http_client_new(&direct);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	CHECK_OK(send_to(&f, (struct http_request){0}, "/y"), f.err);
	wire_stop(&f.wire);
	CHECK_HAS(buf_str(&f.wire.seen), "GET http://nobody.invalid/x HTTP/1.1\r\n");
	CHECK_HAS(buf_str(&f.wire.seen), "GET /y HTTP/1.1\r\n");
}

TEST("HTTP: a proxy that refuses the way is told apart from the server")
{
	FIXTURE(f, NO_PARAMS, ONE_ANSWER("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), {WIRE_CLOSE, NULL});
	CLEANUP(cstr_release) char *proxy = xasprintf("http://127.0.0.1:%u", f.wire.port);
	struct http_request q = {.method = "GET", .url = "https://nobody.invalid/x"};

	setenv("https_proxy", proxy, 1);
	CHECK_INT(http_send(&run, f.client, &q, &f.a, &f.err), ST_DENIED);
	CHECK_HAS(error_text(&f.err), "the proxy answered with status 403");
}

TEST("HTTP: addresses that are none are refused")
{
	static const char *const wrong[] = {"", "127.0.0.1:80 x", "ftp://127.0.0.1/", "file:///etc/passwd"};
	FIXTURE(f, NO_PARAMS, {WIRE_END, NULL});

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

		CHECK_INT(http_send(&run, f.client, &(struct http_request){.method = "GET", .url = wrong[i]}, &a, &err), ST_CONFIG);
		CHECK_INT(a.status, 0);
	}
}

/* ---- signs of life ---- */

static void count(void *ctx) { ++*(unsigned *)ctx; }

TEST("a body that a server takes slowly shows that it is alive")
{
	FIXTURE(f, NO_PARAMS, {WIRE_ACCEPT, NULL}, {WIRE_PAUSE, NULL}, {WIRE_REQUEST, NULL}, {WIRE_SEND, EMPTY_OK});
	const size_t n = (size_t)24 << 20; /* more than lies in a connection */
	CLEANUP(cstr_release) char *body = xcalloc(1, n);
	unsigned calls = 0;

	CHECK_OK(send_to(&f, (struct http_request){.method = "PUT", .body = body, .body_len = n, .alive = count, .alive_ctx = &calls}, "/"), f.err);
	CHECK(calls >= 1);
}

TEST("an answer that lets wait is a sign of life only for who is patient")
{
	FIXTURE(f, NO_PARAMS, {WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_PAUSE, NULL}, {WIRE_SEND, EMPTY_OK}, {WIRE_REQUEST, NULL},
		{WIRE_PAUSE, NULL}, {WIRE_SEND, EMPTY_OK});
	unsigned calls = 0;

	CHECK_OK(send_to(&f, (struct http_request){.method = "POST", .body = "x", .body_len = 1, .alive = count, .alive_ctx = &calls}, "/"), f.err);
	CHECK_INT(calls, 0);
	CHECK_OK(send_to(&f, (struct http_request){.method = "POST", .alive = count, .alive_ctx = &calls, .patient = true}, "/"), f.err);
	CHECK(calls >= 1);
}
