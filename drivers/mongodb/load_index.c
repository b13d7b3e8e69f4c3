#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"
#include "util/failpoint.h"

/* What the server is asked for: as recorded, TTL parked where it must not act. */
static bool is_parked(const struct mo_load *l, const bson_t *index)
{
	bson_iter_t at;

	return l->park && mo_ttl_of(index, &at);
}

/* ---- making ---- */

static void put_indexes(const struct mo_load *l, const struct mo_meta *m, bool plain, bson_t *to, size_t *n)
{
	CLEANUP(mo_doc_release) bson_t all = BSON_INITIALIZER;
	bson_iter_t at;
	bson_t one, copy;

	mo_create_indexes(m, plain, &all, n);
	if (!bson_iter_init(&at, &all))
		return;
	while (bson_iter_next(&at)) {
		const char *key = bson_iter_key(&at);

		if (!mo_look_doc(&all, key, &one))
			continue;
		if (!is_parked(l, &one)) {
			BSON_APPEND_DOCUMENT(to, key, &one);
			continue;
		}
		BSON_APPEND_DOCUMENT_BEGIN(to, key, &copy);
		mo_ttl_park(&one, &copy);
		bson_append_document_end(to, &copy);
	}
}

static enum status create(struct run *run, const struct mo_load *l, struct mo_conn *c, const struct mo_wanted *w, bool plain, size_t *n,
			  struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t indexes;

	BSON_APPEND_UTF8(&command, "createIndexes", w->place);
	BSON_APPEND_ARRAY_BEGIN(&command, "indexes", &indexes);
	put_indexes(l, &w->meta, plain, &indexes, n);
	bson_append_array_end(&command, &indexes);
	return *n ? mo_change(run, c, l->where.database, &command, err) : ST_OK;
}

/* Some servers do not take the version of an index, which all show. */
static enum status create_somehow(struct run *run, const struct mo_load *l, struct mo_conn *c, const struct mo_wanted *w, size_t *n,
				  struct error *err)
{
	CLEANUP(error_release) struct error again = ERROR_INIT;

	if (!create(run, l, c, w, false, n, err))
		return ST_OK;
	if (mo_conn_lost(err) || mo_conn_code(err) == MO_DUPLICATE_KEY || mo_conn_denied(err) ||
	    create(run, l, c, w, true, n, &again))
		return error_add(err, "the indexes of %s", w->place);
	error_release(err);
	return ST_OK;
}

static enum status record_parked(struct run *run, const struct mo_load *l, struct mo_conn *c, const struct mo_wanted *w, struct error *err)
{
	for (size_t i = 0; i < w->meta.indexes; i++)
		if (is_parked(l, w->meta.index[i]) && mo_mark_ttl(run, c, &l->mark, w->to, w->meta.index[i], err))
			return err->code;
	return ST_OK;
}

/* ---- reading back ---- */

struct shown {
	struct strlist name, facts;
};

static void shown_release(struct shown *s)
{
	strlist_release(&s->name);
	strlist_release(&s->facts);
}

static enum status take_index(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct shown *s = ctx;
	struct buf facts = BUF_INIT;
	const char *name = mo_look_str(doc, "name");

	mo_index_facts(doc, &facts);
	strlist_add(&s->name, name ? name : "");
	strlist_take(&s->facts, buf_detach(&facts));
	return ST_OK;
}

static enum status compare(const struct mo_wanted *w, const bson_t *asked, const struct shown *s, struct error *err)
{
	CLEANUP(buf_release) struct buf facts = BUF_INIT;
	const char *name = mo_look_str(asked, "name");
	size_t i = 0;

	while (i < s->name.len && strcmp(s->name.item[i], name ? name : ""))
		i++;
	if (i == s->name.len)
		return error_set(err, ST_UNSUPPORTED, "the server did not make the index %s of %s, and said nothing", name ? name : "without a name",
				 w->place);
	mo_index_facts(asked, &facts);
	if (!strcmp(buf_str(&facts), s->facts.item[i]))
		return ST_OK;
	return error_set(err, ST_UNSUPPORTED, "the server made the index %s of %s otherwise: asked for was %.400s, it shows %.400s", name, w->place,
			 buf_str(&facts), s->facts.item[i]);
}

static enum status read_back(struct run *run, const struct mo_load *l, struct mo_conn *c, const struct mo_wanted *w, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(shown_release) struct shown s = {.name = STRLIST_INIT};

	BSON_APPEND_UTF8(&command, "listIndexes", w->place);
	if (mo_conn_each(run, c, l->where.database, &command, take_index, &s, err))
		return error_add(err, "the indexes of %s", w->place);
	for (size_t i = 0; i < w->meta.indexes; i++) {
		CLEANUP(mo_doc_release) bson_t parked = BSON_INITIALIZER;
		const char *name = mo_look_str(w->meta.index[i], "name");

		if (name && !strcmp(name, "_id_"))
			continue;
		if (is_parked(l, w->meta.index[i]))
			mo_ttl_park(w->meta.index[i], &parked);
		if (compare(w, bson_empty(&parked) ? w->meta.index[i] : &parked, &s, err))
			return err->code;
	}
	return ST_OK;
}

/* ---- what is past its time ---- */

static bool one_field(const bson_t *index, const char **field)
{
	bson_t key;
	bson_iter_t at;

	if (!mo_look_doc(index, "key", &key) || bson_count_keys(&key) != 1 || !bson_iter_init(&at, &key) || !bson_iter_next(&at))
		return false;
	*field = bson_iter_key(&at);
	return true;
}

/* The index is there, so that this is quick. */
static enum status tell_expired(struct run *run, const struct mo_load *l, struct mo_conn *c, const struct mo_wanted *w, const bson_t *index,
				struct error *err)
{
	const char *field = NULL, *name = mo_look_str(index, "name");
	CLEANUP(cstr_release) char *what = xasprintf("the TTL index %s", name ? name : "");

	if (!one_field(index, &field))
		return ST_OK;
	return mo_tell_expired(run, l, c, w->place, field, mo_look_num(index, "expireAfterSeconds", 0), what, err);
}

static enum status tell_all_expired(struct run *run, const struct mo_load *l, struct mo_conn *c, const struct mo_wanted *w, struct error *err)
{
	bson_iter_t at;

	for (size_t i = 0; i < w->meta.indexes && !l->park; i++)
		if (mo_ttl_of(w->meta.index[i], &at) && tell_expired(run, l, c, w, w->meta.index[i], err))
			return err->code;
	return ST_OK;
}

/* ---- all collections ---- */

struct builder {
	struct mo_load *l;
	const struct mo_wanted **item;
	size_t items;
};

static void builder_release(struct builder *b) { free(b->item); }

static enum status build(void *ctx, struct run *run, struct mo_conn *c, size_t i, struct error *err)
{
	struct builder *b = ctx;
	const struct mo_wanted *w = b->item[i];
	size_t n = 0;

	if (record_parked(run, b->l, c, w, err) || failpoint("mongodb.load.index.before", err) || create_somehow(run, b->l, c, w, &n, err))
		return err->code;
	return n && (read_back(run, b->l, c, w, err) || tell_all_expired(run, b->l, c, w, err)) ? err->code : ST_OK;
}

enum status mo_load_indexes(struct run *run, struct mo_load *l, struct error *err)
{
	CLEANUP(builder_release) struct builder b = {.l = l, .item = xcalloc(l->wish.items + 1, sizeof(struct mo_wanted *))};

	for (size_t i = 0; i < l->wish.items; i++)
		if (l->wish.item[i].meta.kind != MO_VIEW && l->wish.item[i].meta.indexes)
			b.item[b.items++] = &l->wish.item[i];
	return mo_load_each(run, l, b.items, build, &b, err);
}
