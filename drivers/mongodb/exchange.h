/* Between exchange.c (which databases, the actions), exchange_move.c (how collections change places, one by one) and exchange_ttl.c. */
#ifndef DRIVERS_MONGODB_EXCHANGE_H
#define DRIVERS_MONGODB_EXCHANGE_H

#include "drivers/mongodb/load.h"

/* How far an exchange got; written in the run's state, {_id: "exchange", state, old: [...], new: [...]}, with the names that were in place and
 * beside when it began. Whoever comes later goes on by these and by what is where. */
enum mo_swap_state { MO_SWAP_NONE, MO_SWAP_PUTTING, MO_SWAP_PUT, MO_SWAP_BACKING, MO_SWAP_BACK };

struct mo_swap {
	const struct endpoint *e;
	struct mo_conn *c;
	struct mo_where place, loaded, aside;
	struct mo_mark mark;  /* its database is that of place */
	bool of_run, complete; /* the state says: this is a copy; all of it is there */
	enum mo_swap_state state;
	struct strlist old, new; /* sorted */
	struct mo_listing there, restored, before;
};
#define MO_SWAP_INIT {0}
void mo_swap_release(struct mo_swap *s);
/* Reads state and listings of the pair's places. */
enum status mo_swap_look(struct run *run, struct mo_swap *s, struct error *err) MUST_CHECK;
/* Each goes on where a call before ended, whichever way that one went. */
enum status mo_swap_put(struct run *run, struct mo_swap *s, struct error *err) MUST_CHECK;
enum status mo_swap_back(struct run *run, struct mo_swap *s, struct error *err) MUST_CHECK;

/* exchange_ttl.c: what is not in place loses no document to its TTL. A time that cannot be set is told and ends nothing. */
/* Of the copy: its recorded times, when it has come into place; parked again (park), when it has gone back. */
enum status mo_swap_ttl_loaded(struct run *run, struct mo_swap *s, bool park, struct error *err) MUST_CHECK;
/* Of what will be set aside: its times are written down and parked before the first rename, and come back when it is in place again. */
enum status mo_swap_ttl_park_old(struct run *run, struct mo_swap *s, struct error *err) MUST_CHECK;
enum status mo_swap_ttl_wake_old(struct run *run, struct mo_swap *s, struct error *err) MUST_CHECK;

#endif
