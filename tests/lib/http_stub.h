/* A server of HTTP for tests: one connection and one request at a time, answered by a function. */
#ifndef TESTS_HTTP_STUB_H
#define TESTS_HTTP_STUB_H

#include <stdatomic.h>

#include "util/buf.h"
#include "util/thread.h"

struct http_stub_call {
	const char *method, *path; /* with the query */
	const char *headers;       /* as they came, from the first line on */
	const char *body;
};

struct http_stub {
	/* In the stub's thread. Fills the body and returns the status; 0 closes without an answer. */
	int (*answer)(void *ctx, const struct http_stub_call *call, struct buf *body);
	void *ctx;
	const char *headers; /* lines of the answers beside Content-Length, each with "\r\n"; set by answer; NULL: none */
	unsigned port;     /* on 127.0.0.1 */
	atomic_uint calls; /* so far */
	int listener;
	struct thread thread;
};
/* answer and ctx are set before. Fails the test where it fails. */
void http_stub_start(struct http_stub *s);
void http_stub_stop(struct http_stub *s);
/* The value of a header, whatever the case; NULL: not there. Owned by the caller. */
char *http_stub_header(const struct http_stub_call *call, const char *name);

#endif
