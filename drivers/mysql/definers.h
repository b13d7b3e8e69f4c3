/* To whom objects belong (their definers), and to whom they will on a restore: the setting `definers`, --no-owner. */
#ifndef DRIVERS_MYSQL_DEFINERS_H
#define DRIVERS_MYSQL_DEFINERS_H

#include "drivers/mysql/load.h"

struct my_definers {
	bool strip;              /* whom no pair names: who restores takes his place */
	struct strlist from, to; /* "app@%", pair by pair */
};
#define MY_DEFINERS_INIT {0}
/* As a restore was asked for; on a scratch server all are kept. mariadb: there a name without a host is a role, else "%" is its host.
 * ST_USAGE where the setting is none of keep, strip, OLD=NEW. */
enum status my_definers_read(const struct endpoint *e, const struct load_request *q, bool mariadb, struct my_definers *d,
			     struct error *err) MUST_CHECK;
void my_definers_release(struct my_definers *d);
/* Whether the setting asks for others than those that were recorded. */
bool my_definers_changed(const struct endpoint *e);
/* Changes the objects of the wish. mapped: those of d->from that it found are added; may be NULL. */
void my_definers_apply(const struct my_definers *d, struct my_load_wish *w, struct strlist *mapped);

/* Definers of what will be made, each once; added to `to`. */
void my_definers_needed(const struct my_load_wish *w, struct strlist *to);
/* Those that the server does not have. */
enum status my_definers_missing(struct run *run, struct my_conn *c, const struct strlist *definers, struct strlist *missing,
				struct error *err) MUST_CHECK;
/* "app@% (view v, trigger t and 3 more), ..." */
void my_definers_shown(const struct my_load_wish *w, const struct strlist *definers, struct buf *to);
/* Rights that the account `me` lacks to make objects of these definers, of which `missing` do not exist, as they stand in a GRANT; nothing
 * where it may. */
struct my_definers_question {
	const struct my_rights *rights;
	const char *me;
	const struct strlist *definers, *missing;
};
enum status my_definers_lack(struct run *run, struct my_conn *c, const struct my_definers_question *q, struct buf *lack,
			     struct error *err) MUST_CHECK;
/* ST_REFUSED, with the rights to grant, where this account may not make again what two databases hold (b NULL: one) with its definers. */
enum status my_definers_may_move(struct run *run, struct my_conn *c, const char *a, const char *b, struct error *err) MUST_CHECK;

#endif
