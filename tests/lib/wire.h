/* A server that follows a script, over TCP or TLS: it expects, sends, waits and cuts. */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include <stdatomic.h>

#include "util/buf.h"
#include "util/thread.h"

enum wire_act {
	WIRE_END,     /* no connection is taken any more */
	WIRE_ACCEPT,  /* the next connection, in the place of the one before, which stays open */
	WIRE_TLS,     /* the handshake; one that fails is no failure of the test */
	WIRE_REQUEST, /* reads a whole HTTP request, with as much body as Content-Length says, into `seen` */
	WIRE_SEND,    /* text */
	WIRE_PAUSE,   /* of 1.3 s */
	WIRE_HANG,    /* until the other side closes */
	WIRE_CLOSE,
	WIRE_RESET,
};
struct wire_step {
	enum wire_act act;
	const char *text;
};

struct wire {
	const struct wire_step *script; /* ended by WIRE_END */
	const char *certificates;       /* folder of test_make_certificates, for WIRE_TLS; NULL */
	unsigned port;                  /* on 127.0.0.1 */
	struct buf seen;                /* the requests; to be looked at after wire_stop */
	atomic_uint connections;
	int listener, fd;
	void *ctx, *ssl;
	int open[16];
	struct thread thread;
};
/* script and certificates are set before. Fails the test where it fails. */
void wire_start(struct wire *w);
/* Waits for the script's end. */
void wire_stop(struct wire *w);
void wire_release(struct wire *w);

#endif
