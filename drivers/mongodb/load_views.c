#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"

/* A view comes after the views that it reads. One of a circle, which no server makes, comes as it may. */
static bool waits(const struct mo_wish *w, const bool *made, size_t i)
{
	const char *on = mo_look_str(w->item[i].meta.options, "viewOn");

	for (size_t k = 0; on && k < w->items; k++)
		if (k != i && !made[k] && w->item[k].meta.kind == MO_VIEW && !strcmp(w->item[k].meta.name, on))
			return true;
	return false;
}

static enum status make_view(struct run *run, struct mo_load *l, const struct mo_listing *there, const struct mo_wanted *w, struct error *err)
{
	const struct mo_listed *has = mo_listed_named(there, w->to);

	if (has && !l->resumed)
		return error_set(err, ST_REFUSED, "%s.%s is there meanwhile", l->where.database, w->place);
	return has ? ST_OK : mo_create_collection(run, l->conn, l->where.database, w->place, &w->meta, err);
}

static enum status make_all(struct run *run, struct mo_load *l, const struct mo_listing *there, bool *made, struct error *err)
{
	bool any = true, force = false;

	while (any || !force) {
		force = !any;
		any = false;
		for (size_t i = 0; i < l->wish.items; i++) {
			if (l->wish.item[i].meta.kind != MO_VIEW || made[i] || (!force && waits(&l->wish, made, i)))
				continue;
			if (make_view(run, l, there, &l->wish.item[i], err))
				return err->code;
			made[i] = any = true;
		}
	}
	return ST_OK;
}

enum status mo_load_views(struct run *run, struct mo_load *l, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;
	bool *made = xcalloc(l->wish.items + 1, sizeof *made);
	enum status st = mo_list(run, l->conn, &l->where, false, &there, err);

	if (!st)
		st = make_all(run, l, &there, made, err);
	free(made);
	if (st || mo_list(run, l->conn, &l->where, false, &there, err))
		return err->code;
	for (size_t i = 0; i < l->wish.items; i++)
		if (l->wish.item[i].meta.kind == MO_VIEW && mo_check_made(&l->wish.item[i], &there, err))
			return err->code;
	return ST_OK;
}
