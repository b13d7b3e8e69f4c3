#include "drivers/mongodb/list.h"

#include "drivers/mongodb/about.h"
#include "drivers/mongodb/look.h"

#define RUN_DIGITS ((size_t)6)
#define BUCKETS "system.buckets."

static void listed_release(struct mo_listed *l)
{
	mo_meta_release(&l->meta);
	free(l->collection);
	free(l->documents);
}

void mo_listing_release(struct mo_listing *l)
{
	for (size_t i = 0; i < l->items; i++)
		listed_release(&l->item[i]);
	free(l->item);
	strlist_release(&l->not_taken);
	strlist_release(&l->runs);
	strlist_release(&l->of_runs);
	strlist_release(&l->unfinished);
	*l = (struct mo_listing)MO_LISTING_INIT;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mo_listed *)a)->meta.name, ((const struct mo_listed *)b)->meta.name);
}

struct mo_listed *mo_listed_named(const struct mo_listing *l, const char *name)
{
	const struct mo_listed wanted = {.meta.name = (char *)(uintptr_t)name};

	return l->items ? bsearch(&wanted, l->item, l->items, sizeof wanted, by_name) : NULL;
}

bool mo_is_capped(const struct mo_listed *l) { return mo_look_true(l->meta.options, "capped"); }

/* ---- collections ---- */

struct listing {
	struct mo_listing *l;
	const struct mo_where *w;
	struct strlist buckets; /* names of the time series that have them */
};

static void listing_release(struct listing *k) { strlist_release(&k->buckets); }

const char *mo_run_of_state(const char *name)
{
	const char *run = name + strlen(MO_RUN_PREFIX);

	if (strncmp(name, MO_RUN_PREFIX, strlen(MO_RUN_PREFIX)) || strlen(run) != RUN_DIGITS || strspn(run, "0123456789abcdef") != RUN_DIGITS)
		return NULL;
	return run;
}

static enum status take_listed(void *ctx, const bson_t *doc, struct error *err)
{
	struct listing *k = ctx;
	struct mo_listing *l = k->l;
	struct mo_listed one = {.meta = MO_META_INIT};

	if (mo_meta_listed(doc, &one.meta, err)) {
		mo_meta_release(&one.meta);
		return err->code;
	}
	if (mo_run_of_state(one.meta.name))
		strlist_add(&l->runs, mo_run_of_state(one.meta.name));
	if (!strncmp(one.meta.name, BUCKETS, strlen(BUCKETS)))
		strlist_add(&k->buckets, one.meta.name + strlen(BUCKETS));
	one.collection = xstrdup(one.meta.name);
	if ((l->items & (l->items - 1)) == 0)
		l->item = xrealloc(l->item, (l->items ? l->items * 2 : 1) * sizeof *l->item);
	l->item[l->items++] = one;
	return ST_OK;
}

bool mo_is_of_runs(const struct strlist *runs, const char *name)
{
	static const char *const words[] = {"_restore_", "_before_"};
	const size_t n = strlen(name);

	if (mo_run_of_state(name))
		return true;
	if (n <= RUN_DIGITS || !strlist_has(runs, name + n - RUN_DIGITS))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t word = strlen(words[i]);

		if (n > RUN_DIGITS + word && !strncmp(name + n - RUN_DIGITS - word, words[i], word))
			return true;
	}
	return false;
}

/* Whether it is of the place. Its name there is put into meta. */
static bool belongs(struct listing *k, struct mo_listed *one)
{
	char *name = NULL;
	const enum mo_place place = mo_collection_place(k->w->database, one->collection);

	if (place == MO_NOT_TAKEN && !*k->w->suffix)
		strlist_add(&k->l->not_taken, one->collection);
	if (place != MO_TAKEN || mo_look_true(one->meta.options, "temp"))
		return false;
	if (!*k->w->suffix) {
		if (mo_is_of_runs(&k->l->runs, one->collection)) {
			strlist_add(&k->l->of_runs, one->collection);
			return false;
		}
		return true;
	}
	if (!mo_where_holds(k->w, one->collection, &name))
		return false;
	free(one->meta.name);
	one->meta.name = name;
	return true;
}

static void choose(struct listing *k)
{
	struct mo_listing *l = k->l;
	size_t kept = 0;

	strlist_sort(&k->buckets);
	for (size_t i = 0; i < l->items; i++) {
		struct mo_listed one = l->item[i];

		if (!belongs(k, &one)) {
			listed_release(&one);
			continue;
		}
		one.raw_data = one.meta.kind == MO_TIMESERIES && !strlist_has(&k->buckets, one.collection);
		if (one.meta.kind == MO_TIMESERIES && !one.raw_data)
			one.documents = xasprintf(BUCKETS "%s", one.collection);
		else
			one.documents = xstrdup(one.collection);
		l->item[kept++] = one;
	}
	l->items = kept;
	if (kept)
		qsort(l->item, kept, sizeof *l->item, by_name);
	strlist_sort(&l->not_taken);
	strlist_sort(&l->runs);
	strlist_sort(&l->of_runs);
}

/* ---- one name ---- */

enum status mo_collection_named(struct run *run, struct mo_conn *c, const char *database, const char *name, mo_doc_fn *fn, void *ctx, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t filter;

	BSON_APPEND_INT32(&command, "listCollections", 1);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	BSON_APPEND_UTF8(&filter, "name", name);
	bson_append_document_end(&command, &filter);
	return mo_conn_each(run, c, database, &command, fn, ctx, err);
}

static enum status seen(void *ctx, const bson_t *doc UNUSED, struct error *err UNUSED)
{
	*(bool *)ctx = true;
	return ST_OK;
}

enum status mo_collection_exists(struct run *run, struct mo_conn *c, const char *database, const char *name, bool *exists, struct error *err)
{
	*exists = false;
	return mo_collection_named(run, c, database, name, seen, exists, err);
}

/* ---- indexes ---- */

struct asking {
	mo_doc_fn *fn;
	void *ctx;
	bool any;
};

static enum status pass_on(void *ctx, const bson_t *doc, struct error *err)
{
	struct asking *a = ctx;

	a->any = true;
	return a->fn(a->ctx, doc, err);
}

static enum status ask(struct run *run, struct mo_conn *c, const char *database, const char *collection, bool tell, struct asking *a, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "listIndexes", collection);
	if (tell)
		BSON_APPEND_BOOL(&command, "includeBuildUUIDs", true);
	return mo_conn_each(run, c, database, &command, pass_on, a, err);
}

enum status mo_each_index(struct run *run, struct mo_conn *c, const char *database, const char *collection, mo_doc_fn *fn, void *ctx, struct error *err)
{
	const bool tell = c->server.version >= 40400 && !mo_about_is_other(&c->server);
	struct asking a = {fn, ctx, false};

	if (!ask(run, c, database, collection, tell, &a, err))
		return ST_OK;
	/* Products that pass for MongoDB may refuse to be asked so. */
	if (!tell || a.any || !mo_conn_code(err) || mo_conn_code(err) == MO_NAMESPACE_NOT_FOUND)
		return err->code;
	error_release(err);
	return ask(run, c, database, collection, false, &a, err);
}

const char *mo_unfinished_index(const bson_t *doc) { return bson_has_field(doc, "buildUUID") ? mo_look_str(doc, "spec.name") : NULL; }

struct indexing {
	struct mo_listing *l;
	struct mo_meta *meta;
};

static enum status take_index(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct indexing *x = ctx;
	const char *name = mo_unfinished_index(doc);

	if (name)
		strlist_take(&x->l->unfinished, xasprintf("%s.%s", x->meta->name, name));
	else
		mo_meta_add_index(x->meta, doc);
	return ST_OK;
}

static enum status list_indexes(struct run *run, struct mo_conn *c, const char *database, struct mo_listing *l, struct mo_listed *one, bool *gone,
				struct error *err)
{
	struct indexing x = {l, &one->meta};

	if (!mo_each_index(run, c, database, one->collection, take_index, &x, err))
		return ST_OK;
	if (mo_conn_code(err) != MO_NAMESPACE_NOT_FOUND)
		return error_add(err, "the indexes of collection %s.%s", database, one->collection);
	error_release(err);
	*gone = true;
	return ST_OK;
}

static enum status list_all_indexes(struct run *run, struct mo_conn *c, const char *database, struct mo_listing *l, struct error *err)
{
	size_t kept = 0, i = 0;

	for (enum status st = ST_OK; i < l->items && !st; i++) {
		bool gone = false;

		if (l->item[i].meta.kind != MO_VIEW)
			st = list_indexes(run, c, database, l, &l->item[i], &gone, err);
		if (gone)
			listed_release(&l->item[i]);
		else
			l->item[kept++] = l->item[i];
	}
	for (; i < l->items; i++)
		l->item[kept++] = l->item[i];
	l->items = kept;
	return err->code;
}

enum status mo_list(struct run *run, struct mo_conn *c, const struct mo_where *w, bool indexes, struct mo_listing *l, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(listing_release) struct listing k = {.l = l, .w = w};

	mo_listing_release(l);
	BSON_APPEND_INT32(&command, "listCollections", 1);
	if (mo_conn_each(run, c, w->database, &command, take_listed, &k, err))
		return error_add(err, "the collections of database %s", w->database);
	choose(&k);
	return indexes ? list_all_indexes(run, c, w->database, l, err) : ST_OK;
}
