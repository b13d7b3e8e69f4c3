#include "drivers/mongodb/exchange.h"

#include "drivers/mongodb/look.h"
#include "util/failpoint.h"

#define STATE_MOST (15u << 20)

static const char *const states[] = {[MO_SWAP_PUTTING] = "putting", [MO_SWAP_PUT] = "put", [MO_SWAP_BACKING] = "backing", [MO_SWAP_BACK] = "back"};

void mo_swap_release(struct mo_swap *s)
{
	mo_where_release(&s->place);
	mo_where_release(&s->loaded);
	mo_where_release(&s->aside);
	strlist_release(&s->old);
	strlist_release(&s->new);
	mo_listing_release(&s->there);
	mo_listing_release(&s->restored);
	mo_listing_release(&s->before);
}

/* ---- the state ---- */

static void take_names(const bson_t *doc, const char *key, struct strlist *to)
{
	bson_t names;
	bson_iter_t at;

	if (!mo_look_doc(doc, key, &names) || !bson_iter_init(&at, &names))
		return;
	while (bson_iter_next(&at))
		if (BSON_ITER_HOLDS_UTF8(&at))
			strlist_add(to, bson_iter_utf8(&at, NULL));
	strlist_sort(to);
}

static enum status read_state(struct run *run, struct mo_swap *s, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;

	if (mo_mark_get(run, s->c, &s->mark, "run", &doc, err))
		return err->code;
	const char *place = mo_look_str(&doc, "place");
	if (place && mo_where_parse(place, &w, err))
		return err->code;
	s->of_run = place && *w.suffix;
	if (mo_mark_has(run, s->c, &s->mark, "complete", &s->complete, err) || mo_mark_get(run, s->c, &s->mark, "exchange", &doc, err))
		return err->code;
	const char *state = mo_look_str(&doc, "state");
	for (size_t i = 1; state && i < ARRAY_LEN(states); i++)
		if (!strcmp(state, states[i]))
			s->state = (enum mo_swap_state)i;
	take_names(&doc, "old", &s->old);
	take_names(&doc, "new", &s->new);
	return ST_OK;
}

static void put_names(bson_t *doc, const char *key, const struct strlist *names)
{
	bson_t list;
	char text[16];

	BSON_APPEND_ARRAY_BEGIN(doc, key, &list);
	for (size_t i = 0; i < names->len; i++) {
		const char *number = NULL;
		size_t n = bson_uint32_to_string((uint32_t)i, &number, text, sizeof text);

		bson_append_utf8(&list, number, (int)n, names->item[i], -1);
	}
	bson_append_array_end(doc, &list);
}

static enum status write_state(struct run *run, struct mo_swap *s, enum mo_swap_state state, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&doc, "_id", "exchange");
	BSON_APPEND_UTF8(&doc, "state", states[state]);
	put_names(&doc, "old", &s->old);
	put_names(&doc, "new", &s->new);
	if (doc.len > STATE_MOST)
		return error_set(err, ST_UNSUPPORTED, "the database %s has too many collections for an exchange", s->place.database);
	if (mo_mark_put(run, s->c, &s->mark, &doc, err))
		return err->code;
	s->state = state;
	return ST_OK;
}

/* Where the state is lost, their names alone tell what the run made and set aside. */
static void leave_out_own(struct mo_swap *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->there.items; i++) {
		struct mo_listed *l = &s->there.item[i];

		if (!mo_where_holds(&s->loaded, l->collection, NULL) && !mo_where_holds(&s->aside, l->collection, NULL)) {
			s->there.item[kept++] = *l;
			continue;
		}
		mo_meta_release(&l->meta);
		free(l->collection);
		free(l->documents);
	}
	s->there.items = kept;
}

enum status mo_swap_look(struct run *run, struct mo_swap *s, struct error *err)
{
	strlist_release(&s->old);
	strlist_release(&s->new);
	s->state = MO_SWAP_NONE;
	if (read_state(run, s, err) || mo_list(run, s->c, &s->place, false, &s->there, err) ||
	    mo_list(run, s->c, &s->loaded, false, &s->restored, err) || mo_list(run, s->c, &s->aside, false, &s->before, err))
		return err->code;
	leave_out_own(s);
	return ST_OK;
}

/* ---- one thing ---- */

static bool is_system(const char *name) { return !strncmp(name, "system.", 7); }

static enum status in_the_way(const struct mo_swap *s, const char *name, struct error *err)
{
	error_set(err, ST_REFUSED, "%s.%s was made by somebody while the collections changed places", s->place.database, name);
	return error_hint(err, "Stop what writes there, move %s.%s away by renameCollection or drop it; then repeat the command, which goes on from"
			       " here.", s->place.database, name);
}

struct named {
	const struct mo_meta *wanted;
	bool same;
};

static enum status compare_named(void *ctx, const bson_t *doc, struct error *err)
{
	struct named *n = ctx;
	struct mo_meta there = MO_META_INIT;
	CLEANUP(buf_release) struct buf has = BUF_INIT, want = BUF_INIT;

	if (!mo_meta_listed(doc, &there, err)) {
		mo_options_facts(&there, &has);
		mo_options_facts(n->wanted, &want);
		n->same = there.kind == n->wanted->kind && !strcmp(buf_str(&has), buf_str(&want));
	}
	mo_meta_release(&there);
	return err->code;
}

/* What has the name already is the view itself, made before the exchange was cut off, or somebody else's. */
static enum status check_named(struct run *run, const struct mo_swap *s, const struct mo_meta *wanted, struct error *err)
{
	struct named n = {.wanted = wanted};

	if (mo_collection_named(run, s->c, s->place.database, wanted->name, compare_named, &n, err))
		return error_add(err, "looking at %s.%s", s->place.database, wanted->name);
	return n.same ? ST_OK : in_the_way(s, wanted->name, err);
}

/* A view cannot be renamed: it is made once more and dropped. What it is stands in the state until both are done. */
static enum status finish_view(struct run *run, struct mo_swap *s, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	bson_t options;

	if (mo_mark_get(run, s->c, &s->mark, "view", &doc, err) || bson_empty(&doc))
		return err->code;
	const char *from = mo_look_str(&doc, "from"), *to = mo_look_str(&doc, "to");
	if (!from || !to || !mo_look_doc(&doc, "options", &options))
		return error_set(err, ST_SERVER, "the state of the exchange of %s is not of the usual form", s->place.database);
	char *name = xstrdup(to);
	const struct mo_meta m = {.name = name, .kind = MO_VIEW, .options = &options};
	enum status st = mo_create_collection(run, s->c, s->place.database, to, &m, err);
	if (st && mo_conn_code(err) == MO_NAMESPACE_EXISTS) {
		error_release(err);
		st = check_named(run, s, &m, err);
	}
	free(name);
	if (st || failpoint("mongodb.exchange.view", err) || mo_drop_collection(run, s->c, s->place.database, from, err))
		return err->code;
	return mo_mark_forget(run, s->c, &s->mark, "view", err);
}

static enum status move_view(struct run *run, struct mo_swap *s, const struct mo_listed *from, const char *to, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&doc, "_id", "view");
	BSON_APPEND_UTF8(&doc, "from", from->collection);
	BSON_APPEND_UTF8(&doc, "to", to);
	BSON_APPEND_DOCUMENT(&doc, "options", from->meta.options);
	return mo_mark_put(run, s->c, &s->mark, &doc, err) ? err->code : finish_view(run, s, err);
}

static enum status move(struct run *run, struct mo_swap *s, const struct mo_listed *from, const struct mo_where *to, struct error *err)
{
	CLEANUP(cstr_release) char *name = mo_where_collection(to, from->meta.name);

	if (failpoint("mongodb.exchange.move", err))
		return err->code;
	if (from->meta.kind == MO_VIEW)
		return move_view(run, s, from, name, err);
	return mo_rename_collection(run, s->c, s->place.database, from->collection, name, err);
}

/* What is in `from` takes its own name; what had it goes to `away`, where nothing of that name may be yet. */
static enum status take_place(struct run *run, struct mo_swap *s, const struct mo_listing *from, const struct mo_where *away,
			      const struct mo_listing *taken, struct error *err)
{
	for (size_t i = 0; i < from->items; i++) {
		const struct mo_listed *new = &from->item[i], *old = mo_listed_named(&s->there, new->meta.name);

		if (old && mo_listed_named(taken, new->meta.name))
			return in_the_way(s, new->meta.name, err);
		if ((old && move(run, s, old, away, err)) || move(run, s, new, &s->place, err))
			return err->code;
	}
	return ST_OK;
}

/* ---- both ways ---- */

static void names_of(const struct mo_listing *l, struct strlist *to)
{
	strlist_release(to);
	for (size_t i = 0; i < l->items; i++)
		if (!is_system(l->item[i].meta.name))
			strlist_add(to, l->item[i].meta.name);
}

/* Before the first is moved: one that cannot be would leave the exchange half done. */
static enum status check_movable(const struct mo_swap *s, const struct mo_listing *l, struct error *err)
{
	for (size_t i = 0; i < l->items; i++) {
		CLEANUP(cstr_release) char *why = is_system(l->item[i].meta.name) ? NULL : mo_not_renamed(s->c, &l->item[i].meta);

		if (why)
			return error_set(err, ST_REFUSED, "%s.%s cannot change its place: %s", s->place.database, l->item[i].collection, why);
	}
	return ST_OK;
}

static enum status begin_put(struct run *run, struct mo_swap *s, struct error *err)
{
	if (s->state == MO_SWAP_PUTTING || s->state == MO_SWAP_BACKING)
		return write_state(run, s, MO_SWAP_PUTTING, err);
	if (check_movable(s, &s->there, err) || check_movable(s, &s->restored, err))
		return err->code;
	names_of(&s->there, &s->old);
	names_of(&s->restored, &s->new);
	return write_state(run, s, MO_SWAP_PUTTING, err);
}

/* What was broken inside is done first, and looked at again. */
static enum status prepare(struct run *run, struct mo_swap *s, struct error *err)
{
	return finish_view(run, s, err) ? err->code : mo_swap_look(run, s, err);
}

enum status mo_swap_put(struct run *run, struct mo_swap *s, struct error *err)
{
	if (prepare(run, s, err) || begin_put(run, s, err) || mo_swap_ttl_park_old(run, s, err) ||
	    take_place(run, s, &s->restored, &s->aside, &s->before, err))
		return err->code;
	/* What the backup does not have. */
	for (size_t i = 0; i < s->there.items; i++) {
		const struct mo_listed *old = &s->there.item[i];

		if (!mo_sorted_has(&s->old, old->meta.name) || mo_sorted_has(&s->new, old->meta.name))
			continue;
		if (mo_listed_named(&s->before, old->meta.name))
			return in_the_way(s, old->meta.name, err);
		if (move(run, s, old, &s->aside, err))
			return err->code;
	}
	return mo_swap_ttl_loaded(run, s, false, err) ? err->code : write_state(run, s, MO_SWAP_PUT, err);
}

static enum status begin_back(struct run *run, struct mo_swap *s, struct error *err)
{
	if (s->state == MO_SWAP_NONE)
		names_of(&s->before, &s->old);
	return write_state(run, s, MO_SWAP_BACKING, err);
}

enum status mo_swap_back(struct run *run, struct mo_swap *s, struct error *err)
{
	if (prepare(run, s, err) || begin_back(run, s, err) || take_place(run, s, &s->before, &s->loaded, &s->restored, err))
		return err->code;
	/* What only the copy has, and what was made since. */
	for (size_t i = 0; i < s->there.items; i++) {
		const struct mo_listed *new = &s->there.item[i];

		if (is_system(new->meta.name) || mo_sorted_has(&s->old, new->meta.name) || mo_listed_named(&s->before, new->meta.name))
			continue;
		if (new->meta.kind == MO_TIMESERIES) {
			notes_add(s->e->notes, "the time series %s.%s was made since and stays, as no server renames one", s->place.database, new->collection);
			continue;
		}
		if (mo_listed_named(&s->restored, new->meta.name))
			return in_the_way(s, new->meta.name, err);
		if (move(run, s, new, &s->loaded, err))
			return err->code;
	}
	if (mo_swap_ttl_loaded(run, s, true, err) || mo_swap_ttl_wake_old(run, s, err))
		return err->code;
	return write_state(run, s, MO_SWAP_BACK, err);
}
