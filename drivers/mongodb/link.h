/* Streams of our own under libmongoc, over our own sockets: its own would wait where no run can end it. Every wait ends by the run of the
 * call under way, by an interrupt, and by the time limit that libmongoc asks for. */
#ifndef DRIVERS_MONGODB_LINK_H
#define DRIVERS_MONGODB_LINK_H

#include <mongoc/mongoc.h>
#include <stdatomic.h>

#include "drivers/mongodb/link_tls.h"
#include "util/thread.h"

struct mo_link;

/* All links of one client; each member of a replica set has one. One thread, but for `interrupted`, `mutex` and `first`. */
struct mo_links {
	struct run *run;           /* of the call under way; NULL: nobody may wait */
	struct error why;          /* what of the run ended a wait */
	struct error trouble;      /* the first failure of a link, with the name of the server */
	const struct mo_tls *tls;
	struct duration each;      /* for making one link */
	bool complete;             /* no link is made any more */
	atomic_bool interrupted;
	pthread_mutex_t mutex;
	struct mo_link *first;     /* under mutex: those that are open */
};
void mo_links_init(struct mo_links *l, const struct mo_tls *tls);
void mo_links_release(struct mo_links *l); /* the client, and so every link, is gone */
/* Any thread, at once: every wait ends, and so does the use of every link. */
void mo_links_cut(struct mo_links *l);

/* The run or an interrupt has ended what is under way. */
bool mo_links_ended(const struct mo_links *l);

/* libmongoc's stream initiator: data is struct mo_links. NULL and error where there is no link; the whole story is in trouble or why. */
mongoc_stream_t *mo_link_open(const mongoc_uri_t *uri, const mongoc_host_list_t *host, void *data, bson_error_t *error);

#endif
