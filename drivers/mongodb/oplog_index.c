#include "drivers/mongodb/oplog_index.h"

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/look.h"
#include "drivers/mongodb/oplog_names.h"
#include "drivers/mongodb/raw.h"

void mo_indexes_release(struct mo_indexes *x)
{
	for (size_t i = 0; i < x->items; i++) {
		free(x->item[i].database);
		mo_meta_release(&x->item[i].meta);
	}
	free(x->item);
	*x = (struct mo_indexes)MO_INDEXES_INIT;
}

/* ---- collections ---- */

static struct mo_indexed *find_item(const struct mo_indexes *x, const char *database, const char *collection)
{
	const char *series = mo_buckets_of(collection);
	const char *name = series ? series : collection;

	for (size_t i = 0; i < x->items; i++)
		if (!strcmp(x->item[i].meta.name, name) && !strcmp(x->item[i].database, database))
			return &x->item[i];
	return NULL;
}

static void remove_item(struct mo_indexes *x, struct mo_indexed *it)
{
	if (!it)
		return;
	free(it->database);
	mo_meta_release(&it->meta);
	*it = x->item[--x->items];
}

static struct mo_indexed *add_item(struct mo_indexes *x, const char *database, const char *collection)
{
	const char *series = mo_buckets_of(collection);

	remove_item(x, find_item(x, database, collection));
	if ((x->items & (x->items - 1)) == 0)
		x->item = xrealloc(x->item, (x->items ? x->items * 2 : 1) * sizeof *x->item);
	struct mo_indexed *it = &x->item[x->items++];
	*it = (struct mo_indexed){.database = xstrdup(database), .meta = MO_META_INIT};
	it->meta.name = xstrdup(series ? series : collection);
	it->meta.kind = series ? MO_TIMESERIES : MO_COLLECTION;
	return it;
}

void mo_indexes_add(struct mo_indexes *x, const char *database, const struct mo_meta *m)
{
	if (m->kind == MO_VIEW)
		return;
	struct mo_indexed *it = add_item(x, database, m->name);
	it->meta.kind = m->kind;
	it->meta.options = bson_copy(m->options);
	memcpy(it->meta.uuid, m->uuid, sizeof m->uuid);
	for (size_t i = 0; i < m->indexes; i++)
		mo_meta_add_index(&it->meta, m->index[i]);
}

/* ---- one index ---- */

static bool is_named(const bson_t *index, const char *name)
{
	const char *its = mo_bson_text_at(index, "name");

	return its && !strcmp(its, name);
}

static bool has_key(const bson_t *index, const bson_t *key)
{
	CLEANUP(buf_release) struct buf a = BUF_INIT, b = BUF_INIT;
	bson_t its;

	if (!mo_bson_document_at(index, "key", &its))
		return false;
	mo_ejson_facts(key, false, &a);
	mo_ejson_facts(&its, false, &b);
	return !strcmp(buf_str(&a), buf_str(&b));
}

static bool is_of_id(const bson_t *index) { return is_named(index, "_id_"); }

static void remove_index(struct mo_meta *m, size_t i)
{
	bson_destroy(m->index[i]);
	m->indexes--;
	memmove(&m->index[i], &m->index[i + 1], (m->indexes - i) * sizeof(bson_t *));
}

/* In the place of the one of its name. */
static enum status put_index(struct mo_meta *m, const bson_t *spec, struct error *err)
{
	const char *name = mo_bson_text_at(spec, "name");
	bson_t original, key;

	/* An index of the buckets of a time series says how it was asked for, which is how it has to be asked for again. */
	if (m->kind == MO_TIMESERIES && mo_bson_document_at(spec, "originalSpec", &original))
		return put_index(m, &original, err);
	if (!name || !mo_bson_document_at(spec, "key", &key))
		return error_set(err, ST_BAD, "an index without name or key");
	for (size_t i = 0; i < m->indexes; i++)
		if (is_named(m->index[i], name)) {
			bson_destroy(m->index[i]);
			m->index[i] = bson_copy(spec);
			return ST_OK;
		}
	mo_meta_add_index(m, spec);
	return ST_OK;
}

static enum status take_index_out(struct mo_meta *m, const bson_t *spec, struct error *err)
{
	const char *name = mo_bson_text_at(spec, "name");

	if (!name)
		return error_set(err, ST_BAD, "an index without name or key");
	for (size_t i = m->indexes; i-- > 0;)
		if (is_named(m->index[i], name) && !is_of_id(m->index[i]))
			remove_index(m, i);
	return ST_OK;
}

/* ---- commands ---- */

typedef enum status apply_fn(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err);

static enum status apply_create(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	static const char *const without[] = {"create", "idIndex", NULL};
	struct mo_indexed *it = add_item(x, e->database, collection);
	CLEANUP(buf_release) struct buf options = BUF_INIT;
	bson_t id;

	(void)err;
	(void)mo_raw_open(&options);
	mo_raw_put_others(&options, &e->o, without);
	it->meta.options = mo_raw_done(&options);
	if (bson_has_field(it->meta.options, "timeseries"))
		it->meta.kind = MO_TIMESERIES;
	if (mo_bson_document_at(&e->o, "idIndex", &id))
		mo_meta_add_index(&it->meta, &id);
	return ST_OK;
}

static enum status apply_drop(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	(void)err;
	remove_item(x, find_item(x, e->database, collection));
	return ST_OK;
}

/* o is the index itself, behind the command. */
static enum status apply_create_indexes(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	const char *const without[] = {e->command, NULL};
	struct mo_indexed *it = find_item(x, e->database, collection);
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	(void)mo_raw_open(&to);
	mo_raw_put_others(&to, &e->o, without);
	CLEANUP(mo_bson_freep) bson_t *spec = mo_raw_done(&to);
	return it ? put_index(&it->meta, spec, err) : ST_OK;
}

typedef enum status index_fn(struct mo_meta *m, const bson_t *spec, struct error *err);

static enum status each_of_build(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, index_fn *fn, struct error *err)
{
	struct mo_indexed *it = find_item(x, e->database, collection);
	bson_iter_t member, each;

	if (!bson_iter_init_find(&member, &e->o, "indexes") || !BSON_ITER_HOLDS_ARRAY(&member) || !bson_iter_recurse(&member, &each))
		return error_set(err, ST_BAD, "%s without indexes", e->command);
	while (it && bson_iter_next(&each)) {
		const struct mo_raw raw = mo_raw_of(&each);
		bson_t spec;

		if (raw.type != BSON_TYPE_DOCUMENT || !mo_raw_inside(&raw, &spec))
			return error_set(err, ST_BAD, "an index that is no document");
		if (fn(&it->meta, &spec, err))
			return err->code;
	}
	return ST_OK;
}

static enum status apply_commit_build(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	return each_of_build(x, e, collection, put_index, err);
}

/* Lists of indexes have those too that are being built: what begins or ends in vain is none, until it is committed. */
static enum status apply_no_index(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	return each_of_build(x, e, collection, take_index_out, err);
}

static void drop_indexes(struct mo_meta *m, const char *name, const bson_t *key)
{
	const bool all = name && !strcmp(name, "*");

	for (size_t i = m->indexes; i-- > 0;)
		if (!is_of_id(m->index[i]) && (all || (name ? is_named(m->index[i], name) : has_key(m->index[i], key))))
			remove_index(m, i);
}

static enum status drop_which(struct mo_meta *m, const bson_iter_t *which, struct error *err)
{
	const struct mo_raw raw = mo_raw_of(which);
	bson_iter_t each;
	bson_t key;

	if (BSON_ITER_HOLDS_UTF8(which)) {
		drop_indexes(m, bson_iter_utf8(which, NULL), NULL);
	} else if (BSON_ITER_HOLDS_DOCUMENT(which) && mo_raw_inside(&raw, &key)) {
		drop_indexes(m, NULL, &key);
	} else if (BSON_ITER_HOLDS_ARRAY(which) && bson_iter_recurse(which, &each)) {
		while (bson_iter_next(&each)) {
			if (!BSON_ITER_HOLDS_UTF8(&each))
				return error_set(err, ST_BAD, "dropIndexes names something that is no name");
			drop_indexes(m, bson_iter_utf8(&each, NULL), NULL);
		}
	} else {
		return error_set(err, ST_BAD, "dropIndexes does not say which index");
	}
	return ST_OK;
}

static enum status apply_drop_indexes(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	struct mo_indexed *it = find_item(x, e->database, collection);
	bson_iter_t which;

	if (!bson_iter_init_find(&which, &e->o, "index"))
		return error_set(err, ST_BAD, "%s does not say which index", e->command);
	return it ? drop_which(&it->meta, &which, err) : ST_OK;
}

static enum status apply_to_capped(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	struct mo_indexed *it = find_item(x, e->database, collection);

	(void)err;
	if (it)
		drop_indexes(&it->meta, "*", NULL);
	return ST_OK;
}

/* ---- collMod ---- */

/* Members of an index that collMod sets. forceNonUnique is the way back from unique. */
static bool is_changed(const char *key, const bson_t *change)
{
	bson_iter_t it;

	if (!strcmp(key, "unique") && mo_look_true(change, "forceNonUnique"))
		return true;
	if (!strcmp(key, "prepareUnique") && mo_look_true(change, "unique"))
		return true;
	return (!strcmp(key, "expireAfterSeconds") || !strcmp(key, "hidden") || !strcmp(key, "unique") || !strcmp(key, "prepareUnique")) &&
	       bson_iter_init_find(&it, change, key);
}

/* Switches that are off are left out, as listIndexes leaves them out. */
static bool is_kept(const bson_iter_t *it)
{
	return !strcmp(bson_iter_key(it), "expireAfterSeconds") || mo_look_holds(it);
}

static bson_t *changed_index(const bson_t *index, const bson_t *change)
{
	static const char *const keys[] = {"expireAfterSeconds", "hidden", "unique", "prepareUnique"};
	CLEANUP(buf_release) struct buf to = BUF_INIT;
	bson_iter_t it;

	(void)mo_raw_open(&to);
	if (bson_iter_init(&it, index))
		while (bson_iter_next(&it)) {
			const struct mo_raw raw = mo_raw_of(&it);

			if (!is_changed(raw.key, change))
				mo_raw_put(&to, raw.key, strlen(raw.key), &raw);
		}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (bson_iter_init_find(&it, change, keys[i]) && is_kept(&it)) {
			const struct mo_raw raw = mo_raw_of(&it);

			mo_raw_put(&to, raw.key, strlen(raw.key), &raw);
		}
	return mo_raw_done(&to);
}

static enum status apply_coll_mod(struct mo_indexes *x, const struct mo_oplog_entry *e, const char *collection, struct error *err)
{
	struct mo_indexed *it = find_item(x, e->database, collection);
	bson_t change, key;

	if (!bson_has_field(&e->o, "index"))
		return ST_OK;
	if (!mo_bson_document_at(&e->o, "index", &change))
		return error_set(err, ST_BAD, "collMod of an index that is no document");
	const char *name = mo_bson_text_at(&change, "name");
	const bool by_key = !name && mo_bson_document_at(&change, "keyPattern", &key);
	if (!name && !by_key)
		return error_set(err, ST_BAD, "collMod does not say which index");
	for (size_t i = 0; it && i < it->meta.indexes; i++)
		if (name ? is_named(it->meta.index[i], name) : has_key(it->meta.index[i], &key)) {
			bson_t *old = it->meta.index[i];

			it->meta.index[i] = changed_index(old, &change);
			bson_destroy(old);
		}
	return ST_OK;
}

/* ---- commands of other form ---- */

static void drop_database(struct mo_indexes *x, const char *database)
{
	for (size_t i = x->items; i-- > 0;)
		if (!strcmp(x->item[i].database, database))
			remove_item(x, &x->item[i]);
}

static enum status apply_rename(struct mo_indexes *x, const struct mo_oplog_entry *e, struct error *err)
{
	struct mo_renaming r;

	if (mo_renaming_of(e, &r, err))
		return err->code;
	struct mo_indexed *moved = find_item(x, r.from.database, r.from.collection), *replaced = find_item(x, r.to.database, r.to.collection);
	if (!moved || moved == replaced)
		return ST_OK;
	remove_item(x, replaced);
	/* Again, because that may have moved it. */
	moved = find_item(x, r.from.database, r.from.collection);
	const char *series = mo_buckets_of(r.to.collection);
	free(moved->database);
	free(moved->meta.name);
	moved->database = xstrdup(r.to.database);
	moved->meta.name = xstrdup(series ? series : r.to.collection);
	return ST_OK;
}

static enum status apply(struct mo_indexes *x, const struct mo_oplog_entry *e, struct error *err)
{
	static const struct {
		const char *command;
		apply_fn *fn;
	} commands[] = {
		{"create", apply_create},
		{"drop", apply_drop},
		{"createIndexes", apply_create_indexes},
		{"startIndexBuild", apply_no_index},
		{"abortIndexBuild", apply_no_index},
		{"commitIndexBuild", apply_commit_build},
		{"dropIndexes", apply_drop_indexes},
		{"dropIndex", apply_drop_indexes},
		{"deleteIndexes", apply_drop_indexes},
		{"deleteIndex", apply_drop_indexes},
		{"collMod", apply_coll_mod},
		{"convertToCapped", apply_to_capped},
	};

	if (!strcmp(e->command, "renameCollection"))
		return apply_rename(x, e, err);
	if (!strcmp(e->command, "dropDatabase"))
		drop_database(x, e->database);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(e->command, commands[i].command))
			continue;
		const char *collection = mo_bson_text_at(&e->o, e->command);
		if (!collection || !*collection)
			return error_set(err, ST_BAD, "%s does not name a collection", e->command);
		return commands[i].fn(x, e, collection, err);
	}
	return ST_OK;
}

enum status mo_indexes_apply(struct mo_indexes *x, const struct mo_oplog_entry *e, struct error *err)
{
	if (e->op != MO_OP_COMMAND)
		return ST_OK;
	return apply(x, e, err) ? mo_oplog_blame(e, err) : ST_OK;
}
