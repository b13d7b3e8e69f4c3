#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"
#include "util/failpoint.h"

/* ---- collections with their options ---- */

struct maker {
	struct mo_load *l;
	const struct mo_wanted **item;
	size_t items;
};

static void maker_release(struct maker *m) { free(m->item); }

static enum status make_one(void *ctx, struct run *run, struct mo_conn *c, size_t i, struct error *err)
{
	struct maker *m = ctx;
	const struct mo_wanted *w = m->item[i];
	const struct mo_load *l = m->l;
	bson_iter_t at;

	if (mo_ttl_of(w->meta.options, &at) && mo_mark_ttl(run, c, &l->mark, w->to, w->meta.options, err))
		return err->code;
	if (!mo_create_collection(run, c, l->where.database, w->place, &w->meta, err))
		return ST_OK;
	if (mo_conn_code(err) != MO_NAMESPACE_EXISTS)
		return err->code;
	return error_set(err, ST_REFUSED, "the collection %s.%s is there meanwhile", l->where.database, w->place);
}

/* What an attempt before made is kept; what was not there at the plan and is none of ours is somebody else's. */
static enum status make_collections(struct run *run, struct mo_load *l, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;
	CLEANUP(maker_release) struct maker m = {.l = l, .item = xcalloc(l->wish.items + 1, sizeof(struct mo_wanted *))};

	if (mo_list(run, l->conn, &l->where, false, &there, err))
		return err->code;
	for (size_t i = 0; i < l->wish.items; i++) {
		const struct mo_wanted *w = &l->wish.item[i];
		const bool has = mo_listed_named(&there, w->to) != NULL;

		if (has && !l->resumed)
			return error_set(err, ST_REFUSED, "the collection %s.%s is there meanwhile", l->where.database, w->place);
		if (!has && w->meta.kind != MO_VIEW)
			m.item[m.items++] = w;
	}
	if (mo_load_each(run, l, m.items, make_one, &m, err))
		return error_add(err, "the collections of the database %s", l->s->scope);
	return ST_OK;
}

/* Some servers take options and forget them. No document goes into what is not what it was. */
static enum status check_collections(struct run *run, struct mo_load *l, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;

	if (mo_list(run, l->conn, &l->where, false, &there, err))
		return err->code;
	for (size_t i = 0; i < l->wish.items && l->wish.mode != MO_LOAD_ROWS; i++)
		if (l->wish.item[i].meta.kind != MO_VIEW && mo_check_made(&l->wish.item[i], &there, err))
			return err->code;
	return mo_find_documents(&l->wish, &there, err);
}

/* ---- --clean ---- */

static enum status drop_asked(struct run *run, struct mo_load *l, struct error *err)
{
	for (size_t i = 0; i < l->wish.items; i++)
		if (mo_drop_collection(run, l->conn, l->where.database, l->wish.item[i].place, err))
			return err->code;
	return ST_OK;
}

static enum status empty_asked(struct run *run, struct mo_load *l, struct error *err)
{
	for (size_t i = 0; i < l->wish.items; i++) {
		CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
		bson_t deletes, one, all;

		BSON_APPEND_UTF8(&command, "delete", l->wish.item[i].place);
		BSON_APPEND_ARRAY_BEGIN(&command, "deletes", &deletes);
		BSON_APPEND_DOCUMENT_BEGIN(&deletes, "0", &one);
		BSON_APPEND_DOCUMENT_BEGIN(&one, "q", &all);
		bson_append_document_end(&one, &all);
		BSON_APPEND_INT32(&one, "limit", 0);
		bson_append_document_end(&deletes, &one);
		bson_append_array_end(&command, &deletes);
		if (mo_change(run, l->conn, l->where.database, &command, err))
			return error_add(err, "emptying %s.%s", l->where.database, l->wish.item[i].place);
	}
	return ST_OK;
}

/* The mark says that it was done, not only begun: what an earlier attempt could not drop must not be taken for what it made. */
static enum status drop_first(struct run *run, struct mo_load *l, struct error *err)
{
	bool dropped = false;
	enum status st;

	if (!l->q->clean || l->s->beside)
		return ST_OK;
	if (mo_mark_has(run, l->conn, &l->mark, "dropped", &dropped, err) || dropped)
		return err->code;
	if (l->wish.mode == MO_LOAD_DATABASE)
		st = mo_drop_place(run, l->conn, &l->where, err);
	else
		st = l->wish.mode == MO_LOAD_TABLES ? drop_asked(run, l, err) : empty_asked(run, l, err);
	return st ? error_add(err, "--clean") : mo_mark_set(run, l->conn, &l->mark, "dropped", err);
}

enum status mo_load_definitions(struct run *run, struct mo_load *l, struct error *err)
{
	bool complete = false;

	if (mo_mark_has(run, l->conn, &l->mark, "definitions", &complete, err))
		return err->code;
	if (!complete && drop_first(run, l, err))
		return err->code;
	if (!complete && l->wish.mode != MO_LOAD_ROWS && make_collections(run, l, err))
		return err->code;
	if (failpoint("mongodb.load.made", err) || check_collections(run, l, err))
		return err->code;
	if (!complete && mo_mark_set(run, l->conn, &l->mark, "definitions", err))
		return err->code;
	return l->resumed ? mo_mark_units(run, l->conn, &l->mark, &l->done, err) : ST_OK;
}
