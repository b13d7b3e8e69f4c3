/* Commands of the log on the target. What is gone already is no error: the database may have been dumped later, and an attempt that was cut off may have
 * done it. */
#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/look.h"
#include "drivers/mongodb/raw.h"

struct command {
	struct run *run;
	struct mo_replaying *r;
	struct mo_conn *c;
	const struct mo_replay *to;
	const struct mo_replay_place *place;
	char *verb, *collection; /* of it */
	char *name;              /* of the collection in its place; NULL: it is a rename */
};

static void command_release(struct command *x)
{
	free(x->verb);
	free(x->collection);
	free(x->name);
}

struct mo_replay_place *mo_replay_place_of(const struct mo_replaying *r, const struct mo_route *route) { return &r->place[route - r->route]; }

/* ---- answers ---- */

static enum status passed_over(struct error *err, int code)
{
	if (err->code && mo_conn_code(err) == code)
		error_release(err);
	return err->code;
}

static enum status send_as_is(const struct command *x, const bson_t *as, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	bson_concat(&command, as);
	if (!mo_change(x->run, x->c, x->to->database, &command, err))
		return ST_OK;
	return passed_over(err, MO_NAMESPACE_NOT_FOUND) ? error_add(err, "%s of %s", x->verb, x->collection) : ST_OK;
}

/* ---- create ---- */

/* What of the command describes the collection. */
static void take_meta(const struct command *x, struct mo_meta *m)
{
	const char *const without[] = {x->verb, "idIndex", NULL};
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	bson_t id;

	(void)mo_raw_open(&bytes);
	mo_raw_put_others(&bytes, x->to->command, without);
	m->options = mo_raw_done(&bytes);
	m->name = xstrdup(x->name);
	if (mo_bson_document_at(x->to->command, "idIndex", &id))
		mo_meta_add_index(m, &id);
	if (bson_has_field(m->options, "viewOn"))
		m->kind = MO_VIEW;
	else if (bson_has_field(m->options, "timeseries"))
		m->kind = MO_TIMESERIES;
}

/* A copy beside is put in place by renames. */
static enum status check_beside(const struct command *x, const struct mo_meta *m, struct error *err)
{
	CLEANUP(cstr_release) char *why = *x->place->where.suffix && m->kind != MO_VIEW ? mo_not_renamed(x->c, m) : NULL;

	if (!why)
		return ST_OK;
	error_set(err, ST_UNSUPPORTED, "%s was made while the backup was taken, and cannot be beside what is there: %s", x->name, why);
	return error_hint(err, "Restore into another database, with --rename %s=NAME.", x->place->wish.scope);
}

static enum status read_back(const struct command *x, const struct mo_meta *m, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;
	const struct mo_wanted w = {.meta = *m, .to = x->name, .place = x->collection};

	return mo_list(x->run, x->c, &x->place->where, false, &there, err) ? err->code : mo_check_made(&w, &there, err);
}

/* A view that was dumped, and is made again further on in the log, may have the name of a collection that was there before it. */
static enum status is_view_of_restore(const struct command *x, bool *is, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;
	const struct mo_wish *w = &x->place->wish;
	size_t i = 0;

	while (i < w->items && (w->item[i].meta.kind != MO_VIEW || strcmp(w->item[i].to, x->name)))
		i++;
	if (i == w->items)
		return ST_OK;
	if (mo_list(x->run, x->c, &x->place->where, false, &there, err))
		return err->code;
	const struct mo_listed *has = mo_listed_named(&there, x->name);
	*is = has && has->meta.kind == MO_VIEW;
	return ST_OK;
}

/* Only an attempt that was cut off can have made a collection that is not known here; a view may have been dumped. */
static enum status make(const struct command *x, const struct mo_meta *m, struct error *err)
{
	if (!mo_create_collection(x->run, x->c, x->place->where.database, x->collection, m, err))
		return ST_OK;
	if (mo_conn_code(err) != MO_NAMESPACE_EXISTS)
		return err->code;
	error_release(err);
	bool ours = m->kind == MO_VIEW || x->r->l->resumed;
	if (!ours && is_view_of_restore(x, &ours, err))
		return err->code;
	if (!ours)
		return error_set(err, ST_REFUSED, "the collection %s.%s is there meanwhile", x->place->where.database, x->collection);
	if (mo_drop_collection(x->run, x->c, x->place->where.database, x->collection, err))
		return err->code;
	return mo_create_collection(x->run, x->c, x->place->where.database, x->collection, m, err);
}

/* The time of a collection is only written down, as that of what was dumped: it is set at the end. b: what says it, or that there is none. */
static enum status note_time(const struct command *x, const char *collection, const bson_t *b, struct error *err)
{
	bson_iter_t at;

	return mo_ttl_of(b, &at) ? mo_mark_ttl(x->run, x->c, &x->place->mark, collection, b, err)
				 : mo_mark_no_ttl(x->run, x->c, &x->place->mark, collection, err);
}

static enum status run_create(const struct command *x, struct error *err)
{
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;

	take_meta(x, &m);
	return check_beside(x, &m, err) || note_time(x, x->name, m.options, err) || make(x, &m, err) || read_back(x, &m, err) ? err->code : ST_OK;
}

/* ---- others ---- */

static enum status run_drop(const struct command *x, struct error *err)
{
	return mo_mark_no_ttl(x->run, x->c, &x->place->mark, x->name, err) ? err->code : send_as_is(x, x->to->command, err);
}

static enum status run_coll_mod(const struct command *x, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t others = BSON_INITIALIZER;

	if (!bson_has_field(x->to->command, "expireAfterSeconds"))
		return send_as_is(x, x->to->command, err);
	if (note_time(x, x->name, x->to->command, err))
		return err->code;
	mo_ttl_leave_out(x->to->command, &others);
	return bson_count_keys(&others) > 1 ? send_as_is(x, &others, err) : ST_OK;
}

/* Servers take that command inside applyOps only. */
static enum status run_empty(const struct command *x, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t deletes, one, all;

	BSON_APPEND_UTF8(&command, "delete", x->collection);
	BSON_APPEND_ARRAY_BEGIN(&command, "deletes", &deletes);
	BSON_APPEND_DOCUMENT_BEGIN(&deletes, "0", &one);
	BSON_APPEND_DOCUMENT_BEGIN(&one, "q", &all);
	bson_append_document_end(&one, &all);
	BSON_APPEND_INT32(&one, "limit", 0);
	bson_append_document_end(&deletes, &one);
	bson_append_array_end(&command, &deletes);
	return send_as_is(x, &command, err);
}

/* The time of a collection goes where it goes. It stands under both names while the rename is on its way, which an attempt that was cut off has done or
 * not: behind it there is nothing to move any more. */
static enum status move_time(const struct command *x, const char *collection, const char *from, const char *target, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t noted = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t time = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *id = xasprintf(MO_MARK_TTL "%s:", from);
	bool exists = false;
	bson_iter_t at;

	if (mo_collection_exists(x->run, x->c, x->place->where.database, collection, &exists, err) || !exists ||
	    mo_mark_get(x->run, x->c, &x->place->mark, id, &noted, err))
		return err->code;
	if (bson_iter_init_find(&at, &noted, "seconds"))
		bson_append_iter(&time, "expireAfterSeconds", -1, &at);
	return note_time(x, target, &time, err);
}

static enum status run_rename(const struct command *x, struct error *err)
{
	CLEANUP(cstr_release) char *from = NULL, *target = NULL;
	const char *to_ns = mo_bson_text_at(x->to->command, "to");
	struct mo_name old, new;

	if (!mo_name_of(x->collection, &old) || !to_ns || !mo_name_of(to_ns, &new))
		return error_set(err, ST_FAILED, "a rename without names");
	(void)mo_where_holds(&x->place->where, old.collection, &from);
	(void)mo_where_holds(&x->place->where, new.collection, &target);
	if (from && target && move_time(x, old.collection, from, target, err))
		return err->code;
	if (send_as_is(x, x->to->command, err))
		return err->code;
	return from && target ? mo_mark_no_ttl(x->run, x->c, &x->place->mark, from, err) : ST_OK;
}

static enum status drop_views(const struct command *x, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;
	const struct mo_replay_place *p = x->place;

	if (mo_list(x->run, x->c, &p->where, false, &there, err))
		return err->code;
	for (size_t i = 0; i < there.items; i++) {
		bool wanted = !p->only.len;

		if (there.item[i].meta.kind != MO_VIEW)
			continue;
		for (size_t k = 0; k < p->wish.items; k++)
			wanted = wanted || !strcmp(p->wish.item[k].to, there.item[i].meta.name);
		if (wanted && mo_drop_collection(x->run, x->c, p->where.database, there.item[i].collection, err))
			return err->code;
	}
	return ST_OK;
}

enum status mo_replay_run(struct run *run, struct mo_replaying *r, struct mo_conn *c, const struct mo_replay *to, struct error *err)
{
	static const struct {
		const char *verb;
		enum status (*fn)(const struct command *x, struct error *err);
	} own[] = {{"create", run_create}, {"drop", run_drop}, {"collMod", run_coll_mod}, {"emptycapped", run_empty}, {"renameCollection", run_rename}};
	CLEANUP(command_release) struct command x = {.run = run, .r = r, .c = c, .to = to, .place = mo_replay_place_of(r, to->route)};
	bson_iter_t at;

	if (to->kind == MO_REPLAY_DROP_VIEWS)
		return drop_views(&x, err);
	if (!bson_iter_init(&at, to->command) || !bson_iter_next(&at) || !BSON_ITER_HOLDS_UTF8(&at))
		return error_set(err, ST_FAILED, "a command without a collection");
	x.verb = xstrdup(bson_iter_key(&at));
	x.collection = xstrdup(bson_iter_utf8(&at, NULL));
	if (strcmp(x.verb, "renameCollection") && !mo_where_holds(&x.place->where, x.collection, &x.name))
		return error_set(err, ST_FAILED, "%s is not of the restore", x.collection);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (!strcmp(x.verb, own[i].verb))
			return own[i].fn(&x, err);
	return send_as_is(&x, to->command, err);
}
