#include "drivers/mysql/exchange.h"

#include "drivers/mysql/binlog.h"
#include "drivers/mysql/definers.h"
#include "drivers/mysql/mydriver.h"
#include "drivers/mysql/session.h"
#include "util/utf8.h"

#define CUT_CHARACTERS 64u /* a name that was cut has all that a name may have */

/* Databases cannot be renamed: their tables change places. While that is under way the database that will be gone holds the state of it,
 * and a call after a broken one goes on from there. */

static enum status fill_pair(struct run *run, struct my_conn *c, struct exchange_pair *p, struct error *err)
{
	p->aside_exists = false;
	return my_database_exists(run, c, p->name, &p->name_exists, err) || my_database_exists(run, c, p->loaded, &p->loaded_exists, err) ||
			       (*p->aside && my_database_exists(run, c, p->aside, &p->aside_exists, err))
		       ? err->code
		       : ST_OK;
}

/* ---- by the run's names ---- */

static bool pair_known(const struct exchange_request *q, const char *name)
{
	for (size_t i = 0; i < q->pairs; i++)
		if (!strcmp(q->pair[i].name, name))
			return true;
	return false;
}

/* Takes name. */
static void add_pair(struct exchange_request *q, char *name)
{
	if (pair_known(q, name)) {
		free(name);
		return;
	}
	q->pair = xrealloc(q->pair, (q->pairs + 1) * sizeof *q->pair);
	q->pair[q->pairs++] = (struct exchange_pair){
		.name = name,
		.loaded = my_database_beside(name, "_restore_", q->run),
		.aside = my_database_beside(name, "_before_", q->run),
	};
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);

	return n > t && !strcmp(s + n - t, tail);
}

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; n++) {
		size_t one = utf8_character(s, NULL);

		s += one ? one : 1;
	}
	return n;
}

static enum status which(struct error *err)
{
	return error_hint(err, "Nothing was changed. Restore once more under a short name with --rename.");
}

/* The name that became this one, NULL where found is not of this run. A long name was cut: then it is known only by the one
 * database that is there and would be cut so. */
static enum status name_of(const struct strlist *all, const char *found, const char *word, const char *run_id, char **name,
			   struct error *err)
{
	CLEANUP(cstr_release) char *tail = xasprintf("%s%s", word, run_id), *any = xasprintf("_%s", run_id);
	const char *fits = NULL;

	*name = NULL;
	if (!ends_with(found, tail))
		return ST_OK;
	for (size_t i = 0; i < all->len; i++) {
		const char *other = all->item[i];
		CLEANUP(cstr_release) char *made = my_database_beside(other, word, run_id);

		/* A long name of this run, cut again, would be itself. */
		if (ends_with(other, any) || strcmp(made, found))
			continue;
		if (fits) {
			error_set(err, ST_REFUSED, "%s may belong to %s or to %s: long names are cut", found, fits, other);
			return which(err);
		}
		fits = other;
	}
	if (!fits && characters(found) >= CUT_CHARACTERS) {
		error_set(err, ST_REFUSED, "%s may belong to a database whose long name was cut, and none that is there fits", found);
		return which(err);
	}
	*name = fits ? xstrdup(fits) : xstrndup(found, strlen(found) - strlen(tail));
	return ST_OK;
}

static enum status find_pairs(struct run *run, struct my_conn *c, struct exchange_request *q, struct error *err)
{
	static const char *const words[] = {"_restore_", "_before_"};
	CLEANUP(strlist_release) struct strlist all = STRLIST_INIT;

	if (my_list(run, c, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME", &all, err))
		return err->code;
	for (size_t i = 0; i < all.len; i++)
		for (size_t k = 0; k < ARRAY_LEN(words); k++) {
			char *name;

			if (name_of(&all, all.item[i], words[k], q->run, &name, err))
				return err->code;
			if (name)
				add_pair(q, name);
		}
	return ST_OK;
}

/* ---- the actions ---- */

struct exchanger {
	const struct endpoint *e;
	struct my_conn *c;
	const struct exchange_request *q;
};

static enum status check_complete(struct run *run, const struct exchanger *x, const struct exchange_pair *p, struct error *err)
{
	const struct my_mark m = {p->loaded, x->q->run};
	bool marked = false, complete = false;

	if (my_mark_exists(run, x->c, &m, &marked, err) || !marked || my_mark_state(run, x->c, &m, "complete", &complete, err))
		return err->code;
	if (complete)
		return my_mark_remove(run, x->c, &m, err);
	error_set(err, ST_REFUSED, "the database %s is not restored completely", p->loaded);
	return error_hint(err, "Finish the restore with --resume=%s first.", x->q->run);
}

/* The session leaves the binlog where the copy did. */
static enum status choose_log(struct run *run, const struct my_server *server, struct my_conn *c, struct exchange_request *q, struct error *err)
{
	CLEANUP(my_binlog_choice_release) struct my_binlog_choice x = MY_BINLOG_CHOICE_INIT;
	const struct endpoint *e = c->e;
	const struct my_binlog_request choice = {.e = e, .server = server, .what = "the exchange", .copy = q->logged};

	if (my_binlog_choose(run, c, &choice, &x, err))
		return err->code;
	if (x.refusal)
		return error_set(err, ST_REFUSED, "%s", x.refusal);
	if (x.warning)
		notes_add(e->notes, "%s", x.warning);
	if (x.out)
		my_binlog_tell(e);
	q->logged = x.out ? LOAD_UNLOGGED : LOAD_LOGGED;
	return ST_OK;
}

static enum status swap(struct run *run, const struct exchanger *x, const char *out, const char *away, const char *in, struct error *err)
{
	struct my_swap s = {.e = x->e, .c = x->c, .out = out, .away = away, .in = in, .run = x->q->run};

	if (my_definers_may_move(run, x->c, in, away ? out : NULL, err) || my_swap_do(run, &s, err))
		return error_add(err, "putting the database %s in the place of %s", in, out);
	return ST_OK;
}

static enum status put(struct run *run, const struct exchanger *x, struct exchange_pair *p, struct error *err)
{
	bool begun = false;

	if (!p->loaded_exists && p->name_exists && p->aside_exists)
		return ST_OK; /* done before */
	if (!p->loaded_exists)
		return error_set(err, ST_NOT_FOUND, "there is no database %s to put in the place of %s", p->loaded, p->name);
	if (my_swap_begun(run, x->c, p->loaded, x->q->run, &begun, err))
		return err->code;
	if (!begun && p->name_exists && p->aside_exists)
		return error_set(err, ST_REFUSED, "%s cannot be set aside: %s is there already", p->name, p->aside);
	if (check_complete(run, x, p, err))
		return err->code;
	return swap(run, x, p->name, p->name_exists ? p->aside : NULL, p->loaded, err);
}

static enum status back(struct run *run, const struct exchanger *x, struct exchange_pair *p, struct error *err)
{
	bool begun = false;

	if (!p->aside_exists && p->name_exists && p->loaded_exists)
		return ST_OK;
	if (!p->aside_exists)
		return error_set(err, ST_NOT_FOUND, "there is no database %s to go back to", p->aside);
	if (my_swap_begun(run, x->c, p->aside, x->q->run, &begun, err))
		return err->code;
	if (!begun && p->name_exists && p->loaded_exists)
		return error_set(err, ST_REFUSED, "%s cannot be moved away: %s is there already", p->name, p->loaded);
	return swap(run, x, p->name, p->name_exists ? p->loaded : NULL, p->aside, err);
}

/* Without their parents, foreign keys of other databases would refuse every new row. */
static enum status drop_database(struct run *run, const struct exchanger *x, const char *name, const char *stays, struct error *err)
{
	CLEANUP(strlist_release) struct strlist keys = STRLIST_INIT;

	if (my_foreign_from_outside(run, x->c, name, &keys, err))
		return err->code;
	if (!keys.len)
		return my_database_drop(run, x->c, name, err);
	error_set(err, ST_REFUSED, "%s is not dropped: %s%s to tables of it", name, keys.item[0], keys.len > 1 ? " and others refer" : " refers");
	return error_hint(err, "Drop each such foreign key, and add it again so that it refers to %s: ALTER TABLE ... DROP FOREIGN KEY ..., ADD"
			       " CONSTRAINT ...", stays);
}

static enum status drop(struct run *run, const struct exchanger *x, struct exchange_pair *p, struct error *err)
{
	if (!strcmp(p->name, p->loaded))
		return my_database_drop(run, x->c, p->loaded, err);
	if (!p->name_exists && (p->aside_exists || p->loaded_exists))
		return error_set(err, ST_REFUSED, "there is no database %s now: put one in its place before the other is dropped",
				 p->name);
	if (p->aside_exists && p->loaded_exists)
		return error_set(err, ST_REFUSED, "both %s and %s are there: neither is known to be needless", p->aside, p->loaded);
	if (p->aside_exists)
		return drop_database(run, x, p->aside, p->name, err);
	/* After going back the restored copy is what was set aside. */
	return p->loaded_exists ? drop_database(run, x, p->loaded, p->name, err) : ST_OK;
}

static enum status act(struct run *run, const struct exchanger *x, struct exchange_pair *p, struct error *err)
{
	switch (x->q->action) {
	case EXCHANGE_PUT:
		return put(run, x, p, err);
	case EXCHANGE_BACK:
		return back(run, x, p, err);
	case EXCHANGE_DROP:
		return drop(run, x, p, err);
	case EXCHANGE_LOOK:
		break;
	}
	return ST_OK;
}

/* A replica may have the names of the run, too, by its source. */
static enum status check_server(struct run *run, struct my_conn *c, struct exchange_request *q, struct error *err)
{
	CLEANUP(my_server_release) struct my_server server = {.identity = NULL};

	if (my_server_look(run, c, &server, err))
		return err->code;
	if (server.replica) {
		error_set(err, ST_REFUSED, "the server is a replica: an exchange is for its source, from where it gets it");
		return error_hint(err, "Name the source with --into.");
	}
	/* A drop says IF EXISTS, so that it does no harm where the database never was. */
	return q->action == EXCHANGE_PUT || q->action == EXCHANGE_BACK ? choose_log(run, &server, c, q, err) : ST_OK;
}

enum status my_exchange(struct run *run, const struct endpoint *e, struct exchange_request *q, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	if (my_session_open_load(run, e, NULL, &c, err) || check_server(run, c, q, err))
		return err->code;
	const struct exchanger x = {.e = e, .c = c, .q = q};
	if (q->action == EXCHANGE_LOOK && !q->pairs && find_pairs(run, c, q, err))
		return err->code;
	for (size_t i = 0; i < q->pairs; i++)
		if (fill_pair(run, c, &q->pair[i], err))
			return err->code;
	for (size_t i = 0; i < q->pairs; i++) {
		CLEANUP(error_release) struct error why = ERROR_INIT, ignored = ERROR_INIT;
		enum status st = act(run, &x, &q->pair[i], &why);

		/* As it is now, also where it failed. */
		(void)!fill_pair(run, c, &q->pair[i], &ignored);
		if (st)
			return error_move(err, &why);
	}
	return ST_OK;
}
