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
/* ---- its state (exchange_state.c), a table of `in` ---- */

struct my_moved {
	struct my_object *object; /* all but tables and sequences */
	size_t objects;
};
struct my_mover {
	struct my_swap *s;
	struct my_moved out, in;  /* as recorded */
	struct strlist tables_in; /* of `in`, as recorded */
};
void my_mover_release(struct my_mover *m);
enum status my_swap_use(struct run *run, struct my_swap *s, const char *database, struct error *err) MUST_CHECK;
/* Tables and sequences, sorted. */
enum status my_swap_tables(struct run *run, struct my_conn *c, const char *database, struct strlist *to, struct error *err) MUST_CHECK;
/* Writes definitions and names; whole, or not at all: the step "recorded" is its last line. */
enum status my_swap_record(struct run *run, struct my_swap *s, struct error *err) MUST_CHECK;
enum status my_swap_read(struct run *run, struct my_mover *m, struct error *err) MUST_CHECK;
enum status my_swap_step(struct run *run, struct my_swap *s, const char *step, bool *done, struct error *err) MUST_CHECK;
/* side 'o', 'i': an object of out, of in; 't': a table of in; 's': a step that is done. */
enum status my_swap_line(struct run *run, struct my_swap *s, char side, const char *text, struct error *err) MUST_CHECK;
enum status my_swap_forget(struct run *run, struct my_swap *s, struct error *err) MUST_CHECK;

/* Whether one of this run began and did not end: then `in` holds its state. */
enum status my_swap_begun(struct run *run, struct my_conn *c, const char *in, const char *run_id, bool *begun,
			  struct error *err) MUST_CHECK;
/* Goes on where a call before ended. Where nothing could be moved all is as it was. */
enum status my_swap_do(struct run *run, struct my_swap *s, struct error *err) MUST_CHECK;

#endif
