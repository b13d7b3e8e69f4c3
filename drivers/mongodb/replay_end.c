#include "drivers/mongodb/load_log.h"

#include "util/failpoint.h"

/* ---- what there is now ---- */

static void add_wanted(struct mo_wish *w, const struct mo_indexed *x, char *place, const struct mo_where *where)
{
	char *to = NULL;

	w->item = xrealloc(w->item, (w->items + 1) * sizeof *w->item);
	struct mo_wanted *t = &w->item[w->items++];
	*t = (struct mo_wanted){.place = place};
	t->meta.name = xstrdup(x->meta.name);
	t->meta.kind = x->meta.kind;
	t->meta.options = x->meta.options ? bson_copy(x->meta.options) : bson_new();
	for (size_t i = 0; i < x->meta.indexes; i++)
		mo_meta_add_index(&t->meta, x->meta.index[i]);
	(void)mo_where_holds(where, place, &to);
	t->to = to;
}

/* The collections of a place, with the indexes that the log left them. */
static void wish_of(const struct mo_replaying *r, const struct mo_route *route, struct mo_wish *w)
{
	for (size_t i = 0; i < r->indexes.items; i++) {
		const struct mo_indexed *x = &r->indexes.item[i];
		const struct mo_route *its = NULL;
		char *place = strcmp(x->database, route->database) ? NULL : mo_route_name(&r->routes, x->database, x->meta.name, &its);

		if (place)
			add_wanted(w, x, place, route->where);
	}
}

static enum status end_place(struct run *run, struct mo_load *l, size_t i, struct error *err)
{
	struct mo_replaying *r = l->replay;
	const struct mo_replay_place *p = &r->place[i];
	bool complete = false;

	if (mo_mark_has(run, l->conn, &p->mark, "complete", &complete, err) || complete)
		return err->code;
	mo_wish_release(&l->wish);
	mo_where_release(&l->where);
	l->where = (struct mo_where){xstrdup(p->where.database), xstrdup(p->where.suffix)};
	l->mark = p->mark;
	l->park = l->q->scratch || *p->where.suffix;
	l->wish.scope = p->wish.scope;
	wish_of(r, &r->route[i], &l->wish);
	if (mo_load_indexes(run, l, err) || failpoint("mongodb.replay.end.before", err) || mo_load_times(run, l, err))
		return error_add(err, "database %s", p->wish.scope);
	return mo_mark_set(run, l->conn, &p->mark, "complete", err);
}

/* ---- the end of the log ---- */

static enum status check_end(const struct mo_load *l, struct error *err)
{
	const struct mo_replaying *r = l->replay;
	CLEANUP(cstr_release) char *wanted = mo_optime_print(&l->log.to), *last = mo_optime_print(&r->last);

	if (mo_optime_number(&r->last) == mo_optime_number(&l->log.to))
		return ST_OK;
	return error_set(err, ST_BAD, "the log of the backup lacks its end: it is until %s, its last entry is of %s", wanted, last);
}

static void tell(const struct mo_load *l)
{
	const struct mo_replaying *r = l->replay;
	const size_t open = mo_txns_unfinished(r->txns);
	CLEANUP(cstr_release) char *at = mo_optime_print(&r->last);

	notes_tell(l->e->notes, "the log of the backup was replayed up to %s: %" PRIu64 " entries, %" PRIu64 " changes of what is restored%s", at, r->entries, r->operations, l->resumed ? " since it was resumed" : "");
	if (open)
		notes_tell(l->e->notes, "%zu transactions were open at the end of the log and are as if they had never been", open);
}

enum status mo_replay_end(struct run *run, struct mo_load *l, struct error *err)
{
	if (check_end(l, err))
		return err->code;
	for (size_t i = 0; i < l->replay->places; i++)
		if (end_place(run, l, i, err))
			return err->code;
	if (mo_load_accounts(run, l, err))
		return err->code;
	tell(l);
	return ST_OK;
}
