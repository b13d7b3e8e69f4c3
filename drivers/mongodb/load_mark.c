#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"

static char *collection_of(const struct mo_mark *m) { return xasprintf(MO_RUN_PREFIX "%s", m->run); }

static enum status failed(const struct mo_mark *m, struct error *err)
{
	return error_add(err, "the state of this restore in %s." MO_RUN_PREFIX "%s", m->database, m->run);
}

enum status mo_mark_exists(struct run *run, struct mo_conn *c, const struct mo_mark *m, bool *exists, struct error *err)
{
	CLEANUP(cstr_release) char *name = collection_of(m);

	return mo_collection_exists(run, c, m->database, name, exists, err) ? failed(m, err) : ST_OK;
}

enum status mo_mark_make(struct run *run, struct mo_conn *c, const struct mo_mark *m, const struct load_scope_plan *s, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&doc, "_id", "run");
	BSON_APPEND_UTF8(&doc, "scope", s->scope);
	BSON_APPEND_UTF8(&doc, "place", s->target);
	return mo_mark_put(run, c, m, &doc, err);
}

/* ---- one document ---- */

static void put_id_filter(bson_t *to, const char *key, const char *id)
{
	bson_t filter;

	BSON_APPEND_DOCUMENT_BEGIN(to, key, &filter);
	BSON_APPEND_UTF8(&filter, "_id", id);
	bson_append_document_end(to, &filter);
}

static enum status take_doc(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	bson_t *to = ctx;

	bson_destroy(to);
	bson_copy_to(doc, to);
	return ST_OK;
}

enum status mo_mark_get(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *id, bson_t *doc, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *name = collection_of(m);

	bson_reinit(doc);
	BSON_APPEND_UTF8(&command, "find", name);
	put_id_filter(&command, "filter", id);
	return mo_conn_each(run, c, m->database, &command, take_doc, doc, err) ? failed(m, err) : ST_OK;
}

enum status mo_mark_has(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *id, bool *has, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;

	if (mo_mark_get(run, c, m, id, &doc, err))
		return err->code;
	*has = !bson_empty(&doc);
	return ST_OK;
}

enum status mo_mark_put(struct run *run, struct mo_conn *c, const struct mo_mark *m, const bson_t *doc, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *name = collection_of(m);
	const char *id = mo_look_str(doc, "_id");
	bson_t updates, one;

	BSON_APPEND_UTF8(&command, "update", name);
	BSON_APPEND_ARRAY_BEGIN(&command, "updates", &updates);
	BSON_APPEND_DOCUMENT_BEGIN(&updates, "0", &one);
	put_id_filter(&one, "q", id);
	BSON_APPEND_DOCUMENT(&one, "u", doc);
	BSON_APPEND_BOOL(&one, "upsert", true);
	bson_append_document_end(&updates, &one);
	bson_append_array_end(&command, &updates);
	return mo_change(run, c, m->database, &command, err) ? failed(m, err) : ST_OK;
}

enum status mo_mark_set(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *id, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&doc, "_id", id);
	return mo_mark_put(run, c, m, &doc, err);
}

/* ---- many ---- */

/* From `begin` to what comes after all that begins so; begin ends in a character below the last of its kind. */
static void put_range(bson_t *to, const char *key, const char *begin)
{
	CLEANUP(cstr_release) char *end = xstrdup(begin);
	bson_t filter, range;

	end[strlen(end) - 1]++;
	BSON_APPEND_DOCUMENT_BEGIN(to, key, &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "_id", &range);
	BSON_APPEND_UTF8(&range, "$gte", begin);
	BSON_APPEND_UTF8(&range, "$lt", end);
	bson_append_document_end(&filter, &range);
	bson_append_document_end(to, &filter);
}

enum status mo_mark_each(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *begin, mo_doc_fn *fn, void *ctx,
			 struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *name = collection_of(m);

	BSON_APPEND_UTF8(&command, "find", name);
	put_range(&command, "filter", begin);
	return mo_conn_each(run, c, m->database, &command, fn, ctx, err) ? failed(m, err) : ST_OK;
}

/* As put_range and put_id_filter. */
typedef void filter_fn(bson_t *to, const char *key, const char *id);

static enum status forget(struct run *run, struct mo_conn *c, const struct mo_mark *m, filter_fn *filter, const char *id, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *name = collection_of(m);
	bson_t deletes, one;

	BSON_APPEND_UTF8(&command, "delete", name);
	BSON_APPEND_ARRAY_BEGIN(&command, "deletes", &deletes);
	BSON_APPEND_DOCUMENT_BEGIN(&deletes, "0", &one);
	filter(&one, "q", id);
	BSON_APPEND_INT32(&one, "limit", 0);
	bson_append_document_end(&deletes, &one);
	bson_append_array_end(&command, &deletes);
	return mo_change(run, c, m->database, &command, err) ? failed(m, err) : ST_OK;
}

enum status mo_mark_forget(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *begin, struct error *err)
{
	return forget(run, c, m, put_range, begin, err);
}

enum status mo_mark_drop(struct run *run, struct mo_conn *c, const struct mo_mark *m, struct error *err)
{
	CLEANUP(cstr_release) char *name = collection_of(m);

	return mo_drop_collection(run, c, m->database, name, err);
}

static enum status put_ttl(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *kind, const char *collection, const bson_t *b,
			   struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	const char *index = mo_look_str(b, "name");
	CLEANUP(cstr_release) char *id = xasprintf("%s%s:%s", kind, collection, index ? index : "");
	bson_iter_t at;

	BSON_APPEND_UTF8(&doc, "_id", id);
	BSON_APPEND_UTF8(&doc, "collection", collection);
	BSON_APPEND_UTF8(&doc, "index", index ? index : "");
	if (mo_ttl_of(b, &at))
		bson_append_iter(&doc, "seconds", -1, &at);
	return mo_mark_put(run, c, m, &doc, err);
}

enum status mo_mark_ttl(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *collection, const bson_t *b, struct error *err)
{
	return put_ttl(run, c, m, MO_MARK_TTL, collection, b, err);
}

enum status mo_mark_no_ttl(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *collection, struct error *err)
{
	CLEANUP(cstr_release) char *id = xasprintf(MO_MARK_TTL "%s:", collection);

	return forget(run, c, m, put_id_filter, id, err);
}

enum status mo_mark_aside_ttl(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *collection, const bson_t *b,
			      struct error *err)
{
	return put_ttl(run, c, m, MO_MARK_ASIDE_TTL, collection, b, err);
}

/* ---- units ---- */

char *mo_mark_unit_id(const struct load_unit *u)
{
	return xasprintf(MO_MARK_UNIT "%s:%" PRIu32 ":%" PRIu32, u->object->name, u->range, u->first_part);
}

enum status mo_mark_unit(struct run *run, struct mo_conn *c, const struct mo_mark *m, const struct load_unit *u, uint64_t rows,
			 struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *id = mo_mark_unit_id(u);

	BSON_APPEND_UTF8(&doc, "_id", id);
	BSON_APPEND_UTF8(&doc, "object", u->object->name);
	BSON_APPEND_INT64(&doc, "rows", (int64_t)rows);
	return mo_mark_put(run, c, m, &doc, err);
}

static enum status take_id(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	const char *id = mo_look_str(doc, "_id");

	if (id)
		strlist_add(ctx, id);
	return ST_OK;
}

enum status mo_mark_units(struct run *run, struct mo_conn *c, const struct mo_mark *m, struct strlist *ids, struct error *err)
{
	if (mo_mark_each(run, c, m, MO_MARK_UNIT, take_id, ids, err))
		return err->code;
	strlist_sort(ids);
	return ST_OK;
}

struct sum {
	char *name;
	uint64_t rows;
};
struct sums {
	struct sum *sum;
	size_t n;
};

static void sums_release(struct sums *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->sum[i].name);
	free(s->sum);
}

static enum status take_rows(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct sums *s = ctx;
	const char *name = mo_look_str(doc, "object");
	int64_t rows = mo_look_num(doc, "rows", 0);

	if (!name || rows < 0)
		return ST_OK;
	if (s->n % 256 == 0)
		s->sum = xrealloc(s->sum, (s->n + 256) * sizeof *s->sum);
	s->sum[s->n++] = (struct sum){xstrdup(name), (uint64_t)rows};
	return ST_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct sum *)a)->name, ((const struct sum *)b)->name); }

static uint64_t sum_of(const struct sums *s, const char *name)
{
	size_t low = 0, high = s->n;
	uint64_t rows = 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(s->sum[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < s->n && !strcmp(s->sum[low].name, name); low++)
		rows += s->sum[low].rows;
	return rows;
}

enum status mo_mark_check(struct run *run, struct mo_conn *c, const struct mo_mark *m, const struct mo_wish *w, struct error *err)
{
	CLEANUP(sums_release) struct sums s = {0};

	if (mo_mark_each(run, c, m, MO_MARK_UNIT, take_rows, &s, err))
		return err->code;
	if (s.n)
		qsort(s.sum, s.n, sizeof *s.sum, by_name);
	for (size_t i = 0; i < w->objects; i++) {
		const struct mo_wanted *t = w->by_id[i];
		uint64_t there = sum_of(&s, t->meta.name);

		if (there == t->rows)
			continue;
		error_set(err, ST_FAILED, "%s: %" PRIu64 " documents were put into the target, the backup has %" PRIu64, t->meta.name, there, t->rows);
		return error_hint(err, "Begin this restore again: the server may have lost what it had confirmed, for example by a crash.");
	}
	return ST_OK;
}
