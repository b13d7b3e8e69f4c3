/* What exists in the open scope, asked without the lists of the dump. */
#include "drivers/mongodb/dump.h"

#include "drivers/mongodb/look.h"

/* An index that a restore keeps from eating documents: its recorded time. */
struct parked {
	char *what; /* "orders:by_date"; "orders:" of the collection itself */
	bson_value_t seconds;
};
struct found {
	char *collection, *name; /* on the server, in the place */
	char *type;
	bson_t *options;
};
struct taking {
	struct run *run;
	struct mo_dump *d;
	struct mo_conn *c;
	const struct mo_where *where;
	const struct inventory_sink *to;
	struct strlist runs;
	struct strlist given; /* names of collections and views */
	struct parked *parked;
	size_t parkeds;
	bool is_this; /* the state being read is of this place */
	struct found *found;
	size_t founds;
	const struct found *at;
	struct mo_meta seen; /* the same as the server shows it, to be compared with what is dumped */
	const struct mo_listing *listed; /* not NULL: what is not in it was made after the moment */
};

static void taking_release(struct taking *t)
{
	strlist_release(&t->runs);
	strlist_release(&t->given);
	for (size_t i = 0; i < t->parkeds; i++) {
		free(t->parked[i].what);
		bson_value_destroy(&t->parked[i].seconds);
	}
	free(t->parked);
	for (size_t i = 0; i < t->founds; i++) {
		free(t->found[i].collection);
		free(t->found[i].name);
		free(t->found[i].type);
		bson_destroy(t->found[i].options);
	}
	free(t->found);
	mo_meta_release(&t->seen);
}

static enum status give(const struct taking *t, const char *kind, const char *name, const char *facts, struct error *err)
{
	const struct inventory_item item = {.kind = kind, .name = name, .facts = facts};

	return t->to->item(t->to->ctx, &item, err);
}

/* ---- what there is ---- */

static enum status take_found(void *ctx, const bson_t *doc, struct error *err)
{
	struct taking *t = ctx;
	const char *name = mo_look_str(doc, "name"), *type = mo_look_str(doc, "type");
	bson_t options;

	if (!name)
		return error_set(err, ST_SERVER, "the server lists a collection without a name");
	if (mo_run_of_state(name))
		strlist_add(&t->runs, mo_run_of_state(name));
	if ((t->founds & (t->founds - 1)) == 0)
		t->found = xrealloc(t->found, (t->founds ? t->founds * 2 : 1) * sizeof *t->found);
	t->found[t->founds++] = (struct found){
		.collection = xstrdup(name),
		.type = xstrdup(type ? type : "collection"),
		.options = mo_look_doc(doc, "options", &options) ? bson_copy(&options) : bson_new(),
	};
	return ST_OK;
}

static bool belongs(const struct taking *t, struct found *f)
{
	if (mo_collection_place(t->where->database, f->collection) != MO_TAKEN || mo_look_true(f->options, "temp"))
		return false;
	if (*t->where->suffix)
		return mo_where_holds(t->where, f->collection, &f->name);
	f->name = xstrdup(f->collection);
	return !mo_is_of_runs(&t->runs, f->collection);
}

/* ---- parked ---- */

static enum status take_state(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct taking *t = ctx;
	CLEANUP(cstr_release) char *here = mo_where_print(t->where);
	const char *id = mo_look_str(doc, "_id"), *place = mo_look_str(doc, "place");
	static const char ttl[] = "ttl:";
	bson_iter_t at;

	if (id && !strcmp(id, "run"))
		t->is_this = place && !strcmp(place, here);
	if (!id || strncmp(id, ttl, strlen(ttl)) != 0 || !mo_look(doc, "seconds", &at) || !BSON_ITER_HOLDS_NUMBER(&at))
		return ST_OK;
	t->parked = xrealloc(t->parked, (t->parkeds + 1) * sizeof *t->parked);
	t->parked[t->parkeds].what = xstrdup(id + strlen(ttl));
	bson_value_copy(bson_iter_value(&at), &t->parked[t->parkeds++].seconds);
	return ST_OK;
}

static enum status read_state(struct taking *t, const char *run_name, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *state = xasprintf(MO_RUN_PREFIX "%s", run_name);
	const size_t had = t->parkeds;

	t->is_this = false;
	BSON_APPEND_UTF8(&command, "find", state);
	if (mo_conn_each(t->run, t->c, t->where->database, &command, take_state, t, err))
		return error_add(err, "the state of restore %s", run_name);
	while (!t->is_this && t->parkeds > had) {
		free(t->parked[--t->parkeds].what);
		bson_value_destroy(&t->parked[t->parkeds].seconds);
	}
	return ST_OK;
}

static const bson_value_t *recorded_time(const struct taking *t, const char *name, const char *index, const bson_t *facts)
{
	CLEANUP(cstr_release) char *what = xasprintf("%s:%s", name, index);

	if (*index ? mo_look_num(facts, "expireAfterSeconds", 0) != MO_TTL_PARKED : bson_has_field(facts, "expireAfterSeconds"))
		return NULL;
	for (size_t i = 0; i < t->parkeds; i++)
		if (!strcmp(t->parked[i].what, what))
			return &t->parked[i].seconds;
	return NULL;
}

/* The facts as they were recorded, in to, which is not initialised. */
static void as_recorded(const struct taking *t, const char *name, const char *index, const bson_t *facts, bson_t *to)
{
	const bson_value_t *seconds = recorded_time(t, name, index, facts);

	if (!seconds) {
		bson_copy_to(facts, to);
		return;
	}
	bson_init(to);
	bson_copy_to_excluding_noinit(facts, to, "expireAfterSeconds", NULL);
	BSON_APPEND_VALUE(to, "expireAfterSeconds", seconds);
}

/* ---- items ---- */

static enum mo_kind kind_of(const struct found *f)
{
	if (!strcmp(f->type, "view"))
		return MO_VIEW;
	return strcmp(f->type, "timeseries") ? MO_COLLECTION : MO_TIMESERIES;
}

/* A pipeline is as it is written, down to the order of its keys. */
static enum status give_view(const struct taking *t, const struct found *f, struct error *err)
{
	char *text = bson_as_canonical_extended_json(f->options, NULL);

	if (!text)
		return error_set(err, ST_SERVER, "the server lists view %s damaged", f->name);
	enum status st = give(t, "view", f->name, text, err);
	bson_free(text);
	return st;
}

static enum status take_index(void *ctx, const bson_t *doc, struct error *err)
{
	struct taking *t = ctx;
	const char *index = mo_look_str(doc, "name");
	CLEANUP(buf_release) struct buf facts = BUF_INIT;
	bson_t recorded;

	if (mo_unfinished_index(doc))
		return ST_OK;
	if (!index)
		return error_set(err, ST_SERVER, "the server lists an index without a name");
	mo_meta_add_index(&t->seen, doc);
	as_recorded(t, t->at->name, index, doc, &recorded);
	mo_index_facts(&recorded, &facts);
	bson_destroy(&recorded);
	CLEANUP(cstr_release) char *name = xasprintf("%s: %s", t->at->name, index);
	return give(t, "index", name, buf_str(&facts), err);
}

static enum status give_collection(struct taking *t, const struct found *f, struct error *err)
{
	CLEANUP(buf_release) struct buf facts = BUF_INIT;
	const bool series = kind_of(f) == MO_TIMESERIES;
	bson_t options;

	as_recorded(t, f->name, "", f->options, &options);
	const struct mo_meta m = {.name = f->name, .kind = kind_of(f), .options = &options};
	mo_options_facts(&m, &facts);
	bson_destroy(&options);
	if (give(t, series ? "time series" : "collection", f->name, buf_str(&facts), err))
		return err->code;
	return mo_each_index(t->run, t->c, t->where->database, f->collection, take_index, t, err);
}

static enum status give_found(struct taking *t, const struct found *f, struct error *err)
{
	mo_meta_release(&t->seen);
	t->seen = (struct mo_meta){.name = xstrdup(f->name), .kind = kind_of(f), .options = bson_copy(f->options)};
	t->at = f;
	if (t->seen.kind == MO_VIEW ? give_view(t, f, err) : give_collection(t, f, err))
		return error_add(err, "%s", f->collection);
	return mo_dump_same(t->d, &t->seen, err);
}

static enum status take_all(struct taking *t, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_INT32(&command, "listCollections", 1);
	if (mo_conn_each(t->run, t->c, t->where->database, &command, take_found, t, err))
		return err->code;
	for (size_t i = 0; i < t->runs.len; i++)
		if (read_state(t, t->runs.item[i], err))
			return err->code;
	for (size_t i = 0; i < t->founds; i++) {
		struct found *f = &t->found[i];

		if (!belongs(t, f) || (t->listed && !mo_listed_named(t->listed, f->name)))
			continue;
		strlist_add(&t->given, f->name);
		if (give_found(t, f, err))
			return err->code;
	}
	return ST_OK;
}

enum status mo_inventory(struct run *run, void *dump, const struct inventory_sink *items, struct error *err)
{
	struct mo_dump *d = dump;
	const struct mo_where *where = &mo_dump_scope(d)->where;
	CLEANUP(taking_release) struct taking t = {.run = run, .d = d, .c = d->c, .where = where, .to = items};

	if (mo_dump_lists_of_moment(d))
		t.listed = &mo_dump_scope(d)->listing;
	if (take_all(&t, err))
		return error_add(err, "inventory of database %s", where->database);
	return mo_dump_has(d, &t.given, err);
}
