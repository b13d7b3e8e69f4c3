/* Between link.c (making links, all of them, their failures) and link_stream.c (their bytes). */
#ifndef DRIVERS_MONGODB_LINK_INTERNAL_H
#define DRIVERS_MONGODB_LINK_INTERNAL_H

#include "drivers/mongodb/frame.h"
#include "drivers/mongodb/link.h"

enum { MO_READ_AHEAD = 16384 };

struct mo_link {
	mongoc_stream_t stream; /* first: libmongoc has a pointer to it */
	struct mo_links *all;
	struct mo_link *prev, *next;
	char *where;
	int fd;
	SSL *ssl;          /* NULL: none */
	bool answered;     /* a byte came back */
	bool timed_out;
	struct mo_frame frame; /* of what was read */
	size_t begin, end; /* of what is read ahead */
	char ahead[MO_READ_AHEAD];
};

/* Keeps the failure of a link: number is an errno (EPROTO: of TLS), 0 the end of the stream. */
void mo_link_lost(struct mo_link *k, int number);
/* The same of one whose bytes are no messages. */
void mo_link_spoilt(struct mo_link *k, const char *why);
/* Any time, also when it is closed already. */
void mo_link_close(struct mo_link *k);
/* The table of functions, in an empty link. */
void mo_link_stream(mongoc_stream_t *to);

#endif
