/* Whether the collections of a scope are at its end what they were when the moment was taken: lists are of no moment, and a cursor on a collection
 * that is gone ends without an error. */
#include "drivers/mongodb/dump.h"

static enum status changed(const char *database, const char *name, const char *how, struct error *err)
{
	error_set(err, ST_SERVER, "collection %s.%s %s while the database was dumped", database, name, how);
	err->retry = true;
	return error_hint(err, "Run the backup again when no migration is at work.");
}

static bool same_indexes(const struct mo_meta *a, const struct mo_meta *b)
{
	bool same = a->indexes == b->indexes;

	for (size_t i = 0; same && i < a->indexes; i++)
		same = bson_equal(a->index[i], b->index[i]);
	return same;
}

static const char *how_altered(const struct mo_meta *was, const struct mo_meta *is)
{
	if (!bson_equal(was->options, is->options))
		return was->kind == MO_VIEW ? "(a view) was defined anew" : "was changed in its options";
	return same_indexes(was, is) ? NULL : "was changed in its indexes";
}

static const char *how_changed(const struct mo_meta *was, const struct mo_meta *is)
{
	if (was->kind != is->kind || strcmp(was->uuid, is->uuid) != 0)
		return "was dropped or renamed, and made again,";
	return how_altered(was, is);
}

/* made: what is new counts, too. */
static enum status same_listing(const char *database, const struct mo_listing *before, const struct mo_listing *now, bool made, struct error *err)
{
	for (size_t i = 0; i < before->items; i++) {
		const struct mo_listed *was = &before->item[i];
		const struct mo_listed *is = mo_listed_named(now, was->meta.name);
		const char *how = is ? how_changed(&was->meta, &is->meta) : "was dropped or renamed";

		if (how)
			return changed(database, was->meta.name, how, err);
	}
	for (size_t i = 0; made && i < now->items; i++)
		if (!mo_listed_named(before, now->item[i].meta.name))
			return changed(database, now->item[i].meta.name, "was made", err);
	return ST_OK;
}

enum status mo_dump_still(struct run *run, struct mo_dump *d, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing now = MO_LISTING_INIT;
	const struct mo_scope *s = mo_dump_scope(d);

	if (mo_list(run, d->c, &s->where, true, &now, err))
		return err->code;
	return same_listing(s->name, &s->listing, &now, !mo_dump_lists_of_moment(d), err);
}

enum status mo_dump_relist(struct run *run, struct mo_dump *d, struct error *difference, struct error *err)
{
	error_release(difference);
	for (size_t i = 0; i < d->scopes; i++) {
		struct mo_scope *s = &d->scope[i];
		struct mo_listing now = MO_LISTING_INIT;

		if (mo_list(run, d->c, &s->where, true, &now, err)) {
			mo_listing_release(&now);
			return err->code;
		}
		if (!difference->code)
			(void)!same_listing(s->name, &s->listing, &now, true, difference);
		mo_listing_release(&s->listing);
		s->listing = now;
	}
	return ST_OK;
}

/* ---- meanwhile ---- */

static bool stands_still(const struct mo_dump *d) { return !d->recorded && !d->span.has; }

enum status mo_dump_there(struct run *run, struct mo_conn *c, const struct mo_dump *d, const struct mo_reading *r, struct error *err)
{
	const struct mo_scope *s = &d->scope[d->at];
	bool there = false;

	if (!stands_still(d))
		return ST_OK;
	if (mo_collection_exists(run, c, s->where.database, r->name, &there, err))
		return err->code;
	return there ? ST_OK : changed(s->name, r->name, "was dropped or renamed", err);
}

enum status mo_dump_same(struct mo_dump *d, const struct mo_meta *is, struct error *err)
{
	const struct mo_scope *s = mo_dump_scope(d);
	const struct mo_listed *was = mo_listed_named(&s->listing, is->name);
	const char *how = stands_still(d) && was ? how_altered(&was->meta, is) : NULL;

	return how ? changed(s->name, is->name, how, err) : ST_OK;
}

enum status mo_dump_has(struct mo_dump *d, const struct strlist *names, struct error *err)
{
	const struct mo_scope *s = mo_dump_scope(d);

	if (!stands_still(d))
		return ST_OK;
	for (size_t i = 0; !mo_dump_lists_of_moment(d) && i < names->len; i++)
		if (!mo_listed_named(&s->listing, names->item[i]))
			return changed(s->name, names->item[i], "was made, or renamed to this,", err);
	for (size_t i = 0; i < s->listing.items; i++)
		if (!strlist_has(names, s->listing.item[i].meta.name))
			return changed(s->name, s->listing.item[i].meta.name, "was dropped or renamed", err);
	return ST_OK;
}
