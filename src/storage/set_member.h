/* One member of a store_set: the thread that writes to one store, and its bounded queue. Private to store_set.
 *
 * A thread can hang inside the kernel (write(2) to a dead NFS) with no way to end it. Therefore all that it touches lives in
 * memory of its own: the hub and the member are counted, and whoever goes last frees them. When a hanging thread is given up
 * ("abandoned"), it is detached, its store is marked stuck so that nobody closes it, and the block in its hands is never
 * released. Should it come back, it removes its unfinished put and ends without touching anything else. */
#ifndef STORAGE_SET_MEMBER_H
#define STORAGE_SET_MEMBER_H

#include "storage/store_set.h"
#include "util/thread.h"

struct hub {
	pthread_mutex_t mutex;  /* guards all members' shared fields too */
	pthread_cond_t moved;   /* a member finished a step */
	unsigned refs;
	size_t in_flight;       /* bytes of blocks that were not released yet */
	size_t lost;            /* of these, bytes in the hands of members that stand still */
};
struct hub *hub_new(void);

enum step_kind {
	STEP_BEGIN, STEP_WRITE, STEP_END, STEP_PUT, /* a failed member skips these */
	STEP_ABORT, STEP_DELETE, STEP_STOP,
};
struct step {
	enum step_kind kind;
	struct store_block *block; /* WRITE; one reference */
	char *key, *token;         /* BEGIN, PUT, DELETE */
	enum put_condition condition;
	bool retain;               /* BEGIN, PUT */
	void *bytes;               /* PUT */
	size_t n;
	struct step *next;
};

struct set_member {
	struct hub *hub;
	/* table and private data, without the url: the thread may outlive the struct that it was copied from */
	struct storage storage;
	struct storage *owner;  /* that struct; of store_set's thread alone */
	struct run run;         /* a copy with a cancel token of its own */
	struct thread thread;
	unsigned refs;          /* under hub->mutex: set and thread */
	/* Under hub->mutex. */
	pthread_cond_t work;
	struct step *first, **last;
	struct step *doing;     /* the thread is at it */
	bool busy;              /* also while it frees a step that is done */
	struct instant moved;   /* monotonic: when it last took something, or got work after none */
	bool failed, abandoned, ended;
	bool lost;              /* doing->block is counted in hub->lost */
	bool stalled;           /* owner->stuck is set because of it */
	struct error err;
	uint64_t written;
	struct duration sync_time;
	enum storage_proof proof; /* the weakest of the objects */
	struct strlist keys;    /* put there by this set, whole */
	/* Of the thread alone. */
	struct storage_put *put;
	char *key;
	uint64_t object_size;
};
struct set_member *set_member_new(struct run *run, struct hub *hub, struct storage *storage);
enum status set_member_start(struct set_member *m, struct error *err);
/* All below with hub->mutex held. */
void set_member_push(struct set_member *m, struct step *s, struct instant now);
bool set_member_idle(const struct set_member *m);
/* Marks it failed with err (moved) and interrupts what it does; what is queued is released by the thread. */
void set_member_fail(struct set_member *m, struct error *err);
/* Gives up references; frees. Without hub->mutex. */
void set_member_unref(struct set_member *m);
void hub_unref(struct hub *h);
void step_free(struct hub *h, struct step *s); /* without hub->mutex; releases the block */

#endif
