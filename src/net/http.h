/* One HTTP/1.1 request and its answer, over connections that are kept. It follows no redirect, knows no cookie and, but for a kept connection
 * that turns out to be dead before a byte of the answer, sends each request once: what is worth another try is the caller's to know
 * (http_retry_wait).
 *
 *	http_client_new; then per try: http_headers_add..., http_send, look at answer.status, http_answer_release
 *
 * The environment's proxies (https_proxy, http_proxy, all_proxy, no_proxy) are used. No text of an error holds a header, a query or a body. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "core/tls_mode.h"
#include "util/run.h"

/* Before the first thread; once. */
void http_library_init(void);

/* Headers of a request, copied; overwritten on release. */
struct http_header {
	char *name, *value;
};
struct http_headers {
	struct http_header *item;
	size_t len, cap;
};
#define HTTP_HEADERS_INIT {0}
/* Control bytes but the tab become blanks: no value makes a second header. */
void http_headers_add(struct http_headers *h, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
const char *http_headers_get(const struct http_headers *h, const char *name); /* whatever the case; NULL: not there */
void http_headers_release(struct http_headers *h);

struct http_params {
	enum tls_mode tls;       /* an http:// URL is refused where this, or what TLS_DEFAULT means for its host, requires TLS */
	const char *ca;          /* file of the authorities to trust, instead of the system's; NULL and "system": the system's. Copied. */
	struct duration connect; /* until the connection stands, TLS included; 0: 30 s */
	struct duration stall;   /* without a byte in either direction; 0: 60 s */
	unsigned keep;           /* idle connections that are kept; 0: 16 */
	bool direct;             /* through no proxy, whatever the environment says */
};

/* Any thread, several at once: each request has a connection of its own. */
struct http_client;
struct http_client *http_client_new(const struct http_params *params);
void http_client_freep(struct http_client **c); /* nobody is inside; NULL is fine */

struct http_request {
	const char *method;
	const char *url; /* absolute and percent-encoded; its path and query are sent as they are */
	const struct http_headers *headers; /* NULL: none. Host and Content-Length are made. */
	const void *body; /* borrowed; NULL with body_len 0. PUT and POST say "Content-Length: 0" then. */
	size_t body_len;
	struct duration stall; /* 0: the client's */
	struct duration time;  /* for the whole of it, beside run's deadline; 0: none */
	bool once; /* on a new connection, so that it is sent once for certain */
	/* The body of an answer 2xx: to `to`, of at most to_len bytes; where `to` is NULL, to answer.body, of at most `max` bytes (0:
	 * HTTP_BODY_MAX). More is ST_BAD. Of any other answer HTTP_BODY_MAX bytes are kept in answer.body and the rest is dropped. */
	void *to;
	size_t to_len, max;
	/* Called about once a second while the body is taken, in a request that takes longer; patient: also while the answer is waited for. NULL: nobody
	 * asks. */
	void (*alive)(void *ctx);
	void *alive_ctx;
	bool patient;
};
#define HTTP_BODY_MAX ((size_t)1 << 20)
#define HTTP_HEADERS_MAX ((size_t)64 << 10)

struct http_answer {
	int status; /* 0: none came */
	struct http_headers headers;
	struct buf body;
	size_t got;          /* bytes in request.to */
	struct instant date; /* header Date; NONE: none that can be read */
	bool sent;           /* the server may have got the request, also after a failure */
	bool resent;         /* it may have got it twice: a kept connection ended before a byte of the answer */
};
#define HTTP_ANSWER_INIT {0}
void http_answer_release(struct http_answer *a);

/* OK for a complete answer of any status. ST_UNREACHABLE (err.retry is set: no connection, a reset, a time-out, a stall, an answer that ends
 * early), ST_TLS, ST_BAD (a body too long; no HTTP), ST_CONFIG, ST_DENIED (by a proxy), ST_CANCELLED, ST_DEADLINE. a is _INIT before. */
enum status http_send(struct run *run, struct http_client *c, const struct http_request *q, struct http_answer *a, struct error *err)
	MUST_CHECK;

/* ---- what callers do with answers ---- */

/* 408, 429, 500, 502, 503, 504: the same request may be answered otherwise later. */
bool http_status_retryable(int status);
/* Sets err from a status that is not 2xx: ST_AUTH for 401, ST_DENIED for 403, ST_NOT_FOUND for 404 and 410, ST_PRECONDITION for 412, ST_UNREACHABLE with
 * err.retry for the retryable, else ST_IO; native "HTTP 503". Returns the code. */
enum status http_status_error(const struct http_answer *a, struct error *err);
/* How far the server's clock is ahead of this one's; 0 without a date. */
struct duration http_skew(struct run *run, const struct http_answer *a);
/* A date as HTTP has it; NONE where it cannot be read. */
struct instant http_date(const char *text);

/* Before another try. Waits first * 2^n, at most `most`, of which a random half is taken away so that many do not come back at once; at least what the
 * server asks for by Retry-After, at most `most` of it. */
struct http_backoff {
	struct duration first, most; /* 0: 200 ms, 20 s */
	struct duration budget;      /* for all tries together, from the first failure on; 0: 5 min */
};
struct http_retry {
	struct instant since; /* of the first failure, monotonic; NONE: none yet */
	unsigned failures;
};
#define HTTP_RETRY_INIT {0}
/* err holds the failure of this try. Where it has err.retry and there is budget and time left: waits, empties err and returns OK. Else returns its code;
 * the text says how often it was tried. a: what was answered, or NULL; it is only read. */
enum status http_retry_wait(struct run *run, const struct http_backoff *b, struct http_retry *r, const struct http_answer *a,
			    struct error *err) MUST_CHECK;

#endif
