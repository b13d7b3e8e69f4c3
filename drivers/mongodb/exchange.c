#include "drivers/mongodb/exchange.h"

#include "drivers/mongodb/look.h"
#include "drivers/mongodb/modriver.h"

/* Collections are renamed one by one, so that an exchange can be cut off. The run's state says which way it was going, and a call after a
 * broken one goes on from there, or back. */

static enum status open_swap(struct run *run, struct mo_swap *s, const struct exchange_pair *p, const char *run_id, struct error *err)
{
	if (mo_where_parse(p->name, &s->place, err) || mo_where_parse(p->loaded, &s->loaded, err) ||
	    (*p->aside && mo_where_parse(p->aside, &s->aside, err)))
		return err->code;
	if (strcmp(s->place.database, s->loaded.database) || *s->place.suffix || !*s->loaded.suffix || !s->aside.database)
		return error_set(err, ST_FAILED, "%s and %s are no two places of one database", p->name, p->loaded);
	s->mark = (struct mo_mark){s->place.database, run_id};
	return mo_swap_look(run, s, err);
}

/* A copy without any collection is there, too. What is under way can be finished either way, however far it is. */
static void fill_pair(const struct mo_swap *s, struct exchange_pair *p)
{
	const bool copy = s->of_run && (s->state == MO_SWAP_NONE || s->state == MO_SWAP_BACK);
	const bool under_way = s->state == MO_SWAP_PUTTING || s->state == MO_SWAP_BACKING;

	p->name_exists = s->there.items > 0;
	p->loaded_exists = s->restored.items > 0 || under_way || copy;
	p->aside_exists = s->before.items > 0 || under_way;
}

static void tell_state(const struct mo_swap *s)
{
	if (s->state == MO_SWAP_PUTTING)
		notes_add(s->e->notes, "database %s: the exchange was cut off: %zu collections are not in place yet, %zu are set aside; drtool exchange %s goes on,"
				       " with --back it goes back", s->place.database, s->restored.items, s->before.items, s->mark.run);
	else if (s->state == MO_SWAP_BACKING)
		notes_add(s->e->notes, "database %s: going back was cut off: %zu collections are still set aside; drtool exchange %s --back goes on, without"
				       " it the copy is put in place again", s->place.database, s->before.items, s->mark.run);
}

/* ---- by the run's names ---- */

struct finding {
	const char *run;
	bool state, copy;
};

static bool ends_with(const char *s, const char *word, const char *run)
{
	CLEANUP(cstr_release) char *tail = xasprintf("%s%s", word, run);
	size_t n = strlen(s), t = strlen(tail);

	return n > t && !strcmp(s + n - t, tail);
}

static enum status look_at_name(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct finding *f = ctx;
	const char *name = mo_look_str(doc, "name");

	if (!name)
		return ST_OK;
	f->state |= !strncmp(name, MO_RUN_PREFIX, strlen(MO_RUN_PREFIX)) && !strcmp(name + strlen(MO_RUN_PREFIX), f->run);
	f->copy |= ends_with(name, "_restore_", f->run) || ends_with(name, "_before_", f->run);
	return ST_OK;
}

static void add_pair(struct exchange_request *q, const char *database)
{
	CLEANUP(cstr_release) char *restored = xasprintf("_restore_%s", q->run), *before = xasprintf("_before_%s", q->run);
	char *name = xstrdup(database);
	const struct mo_where loaded = {name, restored}, aside = {name, before};

	q->pair = xrealloc(q->pair, (q->pairs + 1) * sizeof *q->pair);
	q->pair[q->pairs++] = (struct exchange_pair){.name = name, .loaded = mo_where_print(&loaded), .aside = mo_where_print(&aside)};
}

/* A state without names may be of a restore under the database's own name, where there is nothing to exchange. */
static enum status is_copy(struct run *run, struct mo_conn *c, const char *database, struct finding *f, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	const struct mo_mark m = {database, f->run};

	if (f->copy || !f->state)
		return ST_OK;
	if (mo_mark_get(run, c, &m, "run", &doc, err))
		return err->code;
	const char *place = mo_look_str(&doc, "place");
	f->copy = place && strchr(place, '*');
	return ST_OK;
}

static enum status look_in(struct run *run, struct mo_conn *c, struct exchange_request *q, const char *database, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	struct finding f = {.run = q->run};

	BSON_APPEND_INT32(&command, "listCollections", 1);
	BSON_APPEND_BOOL(&command, "nameOnly", true);
	BSON_APPEND_BOOL(&command, "authorizedCollections", true);
	if (mo_conn_each(run, c, database, &command, look_at_name, &f, &why))
		return mo_conn_denied(&why) ? ST_OK : error_move(err, &why);
	if (is_copy(run, c, database, &f, err))
		return err->code;
	if (f.copy)
		add_pair(q, database);
	return ST_OK;
}

static enum status find_pairs(struct run *run, struct mo_conn *c, struct exchange_request *q, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply;
	bson_t all, one;
	bson_iter_t at;

	BSON_APPEND_INT32(&command, "listDatabases", 1);
	BSON_APPEND_BOOL(&command, "nameOnly", true);
	if (mo_conn_command(run, c, "admin", &command, &reply, err))
		return error_add(err, "the databases of the server");
	if (!mo_look_doc(&reply, "databases", &all) || !bson_iter_init(&at, &all))
		return error_set(err, ST_SERVER, "the server does not say which databases it has");
	while (bson_iter_next(&at)) {
		const char *name = mo_look_doc(&all, bson_iter_key(&at), &one) ? mo_look_str(&one, "name") : NULL;

		if (name && mo_database_place(name) == MO_TAKEN && look_in(run, c, q, name, err))
			return error_add(err, "database %s", name);
	}
	return ST_OK;
}

/* ---- the actions ---- */

static enum status check_complete(const struct mo_swap *s, struct error *err)
{
	if (!s->of_run || s->complete)
		return ST_OK;
	error_set(err, ST_REFUSED, "%s.*%s is not restored completely", s->loaded.database, s->loaded.suffix);
	return error_hint(err, "Finish the restore with --resume=%s first.", s->mark.run);
}

/* The state goes where nothing is aside that it could be needed for. */
static enum status put(struct run *run, struct mo_swap *s, const struct exchange_pair *p, struct error *err)
{
	if (!p->loaded_exists && p->aside_exists)
		return ST_OK; /* done before */
	if (!p->loaded_exists)
		return error_set(err, ST_NOT_FOUND, "there is no copy %s to put in the place of %s", p->loaded, p->name);
	if (check_complete(s, err) || mo_swap_put(run, s, err))
		return err->code;
	return s->old.len ? ST_OK : mo_mark_drop(run, s->c, &s->mark, err);
}

static enum status back(struct run *run, struct mo_swap *s, const struct exchange_pair *p, struct error *err)
{
	if (!p->aside_exists && s->state == MO_SWAP_BACK)
		return ST_OK;
	if (!p->aside_exists)
		return error_set(err, ST_NOT_FOUND, "nothing is set aside as %s to go back to", p->aside);
	return mo_swap_back(run, s, err);
}

static enum status drop(struct run *run, struct mo_swap *s, const struct exchange_pair *p, struct error *err)
{
	if (s->state == MO_SWAP_PUTTING || s->state == MO_SWAP_BACKING || (s->before.items && s->restored.items)) {
		error_set(err, ST_REFUSED, "the exchange of %s is not finished: neither %s nor %s is known to be needless", p->name, p->aside, p->loaded);
		return error_hint(err, "drtool exchange %s goes on with it, with --back it goes back.", s->mark.run);
	}
	if (!p->name_exists && (s->before.items || s->restored.items))
		return error_set(err, ST_REFUSED, "there is nothing in the database %s now: put one in its place before the other is dropped", p->name);
	/* After going back the restored copy is what was set aside. */
	if (mo_drop_place(run, s->c, &s->aside, err) || mo_drop_place(run, s->c, &s->loaded, err))
		return err->code;
	return mo_mark_drop(run, s->c, &s->mark, err);
}

static enum status act(struct run *run, const struct exchange_request *q, struct mo_swap *s, const struct exchange_pair *p, struct error *err)
{
	switch (q->action) {
	case EXCHANGE_PUT:
		return put(run, s, p, err) ? error_add(err, "putting %s in the place of %s", p->loaded, p->name) : ST_OK;
	case EXCHANGE_BACK:
		return back(run, s, p, err) ? error_add(err, "putting %s back", p->aside) : ST_OK;
	case EXCHANGE_DROP:
		return drop(run, s, p, err);
	case EXCHANGE_LOOK:
		tell_state(s);
		break;
	}
	return ST_OK;
}

/* ---- copies of which nothing else is in the database ---- */

static enum status drop_throwaway(struct run *run, struct mo_conn *c, const struct exchange_request *q, struct exchange_pair *p, struct error *err)
{
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	if (mo_where_parse(p->loaded, &w, err))
		return err->code;
	const struct mo_mark m = {w.database, q->run};
	BSON_APPEND_INT32(&command, "dropDatabase", 1);
	if (*w.suffix ? mo_drop_place(run, c, &w, err) || mo_mark_drop(run, c, &m, err) : mo_change(run, c, w.database, &command, err))
		return error_add(err, "dropping %s", p->loaded);
	p->name_exists = p->loaded_exists = p->aside_exists = false;
	return ST_OK;
}

static enum status exchange_one(struct run *run, const struct endpoint *e, struct mo_conn *c, struct exchange_request *q, size_t i,
				struct error *err)
{
	struct exchange_pair *p = &q->pair[i];
	CLEANUP(mo_swap_release) struct mo_swap s = {.e = e, .c = c};
	CLEANUP(error_release) struct error why = ERROR_INIT, ignored = ERROR_INIT;

	if (q->action == EXCHANGE_DROP && !strcmp(p->name, p->loaded))
		return drop_throwaway(run, c, q, p, err);
	if (open_swap(run, &s, p, q->run, err))
		return err->code;
	fill_pair(&s, p);
	enum status st = act(run, q, &s, p, &why);
	/* As it is now, also where it failed. */
	if (q->action != EXCHANGE_LOOK && !mo_swap_look(run, &s, &ignored))
		fill_pair(&s, p);
	return st ? error_move(err, &why) : ST_OK;
}

enum status mo_exchange(struct run *run, const struct endpoint *e, struct exchange_request *q, struct error *err)
{
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	if (mo_conn_open(run, e, MO_WRITE, &c, err))
		return err->code;
	if (q->action == EXCHANGE_LOOK && !q->pairs && find_pairs(run, c, q, err))
		return err->code;
	for (size_t i = 0; i < q->pairs; i++)
		if (exchange_one(run, e, c, q, i, err))
			return mo_load_failed(err);
	return ST_OK;
}
