/* Between exchange.c (which databases, the actions) and exchange_move.c (how tables and all that belongs to them change places). */
#ifndef DRIVERS_MYSQL_EXCHANGE_H
#define DRIVERS_MYSQL_EXCHANGE_H

#include "drivers/mysql/load.h"

/* What is in `out` goes to `away` (NULL: out is not there), what is in `in` goes to `out`; `in` is dropped then. */
struct my_swap {
	const struct endpoint *e;
	struct my_conn *c;      /* no default database of its own: the swap changes it */
	const char *out, *away, *in, *run;
};
/* Whether one of this run began and did not end: then `in` holds its state. */
enum status my_swap_begun(struct run *run, struct my_conn *c, const char *in, const char *run_id, bool *begun,
			  struct error *err) MUST_CHECK;
/* Goes on where a call before ended. Where nothing could be moved all is as it was. */
enum status my_swap_do(struct run *run, struct my_swap *s, struct error *err) MUST_CHECK;

#endif
