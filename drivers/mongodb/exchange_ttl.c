/* The times of TTL while collections change places. What is beside or aside must be as it was when it is needed, so that its indexes have a time that
 * never comes, and collections have none; the real ones stand in the state of the run. */
#include "drivers/mongodb/exchange.h"

#include "drivers/mongodb/look.h"

#define SECONDS "expireAfterSeconds"

/* collMod of an index, or of the collection itself where it has no name. seconds NULL: parked. */
static enum status set_time(struct run *run, struct mo_swap *s, const char *collection, const char *index, const bson_iter_t *seconds,
			    struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	bson_t one, *to = &command;

	BSON_APPEND_UTF8(&command, "collMod", collection);
	if (*index) {
		BSON_APPEND_DOCUMENT_BEGIN(&command, "index", &one);
		BSON_APPEND_UTF8(&one, "name", index);
		to = &one;
	}
	if (seconds)
		bson_append_iter(to, SECONDS, -1, seconds);
	else if (*index)
		BSON_APPEND_INT32(to, SECONDS, MO_TTL_PARKED);
	else
		BSON_APPEND_UTF8(to, SECONDS, "off");
	if (*index)
		bson_append_document_end(&command, &one);
	if (!mo_change(run, s->c, s->place.database, &command, &why))
		return ST_OK;
	if (mo_conn_lost(&why))
		return error_move(err, &why);
	notes_add(s->e->notes, "%s.%s: " SECONDS " of %s could not be set to what it %s: %s", s->place.database, collection,
		  *index ? index : "the collection", seconds ? "was" : "is in a copy", error_text(&why));
	return ST_OK;
}

/* ---- what is written down ---- */

/* Not inside the loop over a cursor, which holds the session. */
static enum status keep_doc(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	bson_t *all = ctx;
	char key[16];

	snprintf(key, sizeof key, "%" PRIu32, bson_count_keys(all));
	BSON_APPEND_DOCUMENT(all, key, doc);
	return ST_OK;
}

static enum status set_recorded(struct run *run, struct mo_swap *s, const bson_t *doc, const struct mo_where *at_place, bool park, struct error *err)
{
	const char *collection = mo_look_str(doc, "collection"), *index = mo_look_str(doc, "index");
	CLEANUP(cstr_release) char *name = collection ? mo_where_collection(at_place, collection) : NULL;
	bson_iter_t seconds;

	if (!name || !index || !bson_iter_init_find(&seconds, doc, "seconds"))
		return ST_OK;
	return set_time(run, s, name, index, park ? NULL : &seconds, err);
}

static enum status set_all_recorded(struct run *run, struct mo_swap *s, const char *kind, const struct mo_where *at_place, bool park,
				    struct error *err)
{
	CLEANUP(mo_doc_release) bson_t all = BSON_INITIALIZER;
	bson_iter_t at;
	bson_t doc;

	if (mo_mark_each(run, s->c, &s->mark, kind, keep_doc, &all, err) || !bson_iter_init(&at, &all))
		return err->code;
	while (bson_iter_next(&at))
		if (mo_look_doc(&all, bson_iter_key(&at), &doc) && set_recorded(run, s, &doc, at_place, park, err))
			return err->code;
	return ST_OK;
}

enum status mo_swap_ttl_loaded(struct run *run, struct mo_swap *s, bool park, struct error *err)
{
	return set_all_recorded(run, s, MO_MARK_TTL, park ? &s->loaded : &s->place, park, err);
}

enum status mo_swap_ttl_wake_old(struct run *run, struct mo_swap *s, struct error *err)
{
	if (set_all_recorded(run, s, MO_MARK_ASIDE_TTL, &s->place, false, err))
		return err->code;
	return mo_mark_forget(run, s->c, &s->mark, MO_MARK_ASIDE_TTL, err);
}

/* ---- before the first rename ---- */

/* A call before this one may have parked it: then its time is written down already. */
static enum status is_parked(struct run *run, struct mo_swap *s, const char *collection, const char *index, const bson_t *of, bool *parked,
			     struct error *err)
{
	CLEANUP(cstr_release) char *id = xasprintf(MO_MARK_ASIDE_TTL "%s:%s", collection, index);

	*parked = false;
	return *index && mo_look_num(of, SECONDS, 0) == MO_TTL_PARKED ? mo_mark_has(run, s->c, &s->mark, id, parked, err) : ST_OK;
}

static enum status park_one(struct run *run, struct mo_swap *s, const struct mo_listed *l, const bson_t *of, struct error *err)
{
	const char *index = mo_look_str(of, "name");
	bool parked = false;
	bson_iter_t at;

	if (!mo_ttl_of(of, &at) || is_parked(run, s, l->meta.name, index ? index : "", of, &parked, err) || parked)
		return err->code;
	if (mo_mark_aside_ttl(run, s->c, &s->mark, l->meta.name, of, err))
		return err->code;
	return set_time(run, s, l->collection, index ? index : "", NULL, err);
}

/* What is in place and was there before the exchange. */
static bool is_old(const struct mo_swap *s, const char *name)
{
	return mo_sorted_has(&s->old, name) && !mo_listed_named(&s->before, name);
}

enum status mo_swap_ttl_park_old(struct run *run, struct mo_swap *s, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;

	if (mo_list(run, s->c, &s->place, true, &there, err))
		return err->code;
	for (size_t i = 0; i < there.items; i++) {
		const struct mo_listed *l = &there.item[i];

		if (!is_old(s, l->meta.name))
			continue;
		if (park_one(run, s, l, l->meta.options, err))
			return err->code;
		for (size_t k = 0; k < l->meta.indexes; k++)
			if (park_one(run, s, l, l->meta.index[k], err))
				return err->code;
	}
	return ST_OK;
}
