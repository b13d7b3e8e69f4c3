/* What is sent to a server to make collections and indexes again. */
#include <math.h>

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/meta_internal.h"

static bool has_collation(const struct mo_meta *m, bson_t *collation)
{
	return mo_bson_document_at(m->options, "collation", collation) && !mo_is_simple(collation);
}

/* Its key is _id alone, in order. */
static bool is_id_index(const bson_t *index)
{
	bson_iter_t it;
	bson_t key;

	return mo_bson_document_at(index, "key", &key) && bson_iter_init(&it, &key) && bson_iter_next(&it) && !strcmp(bson_iter_key(&it), "_id") &&
	       BSON_ITER_HOLDS_NUMBER(&it) && !bson_iter_next(&it);
}

static void append(bson_t *to, const bson_iter_t *it)
{
	if (!bson_append_iter(to, bson_iter_key(it), -1, it))
		die("more than a document holds");
}

/* ---- create ---- */

/* The index of _id where it has another collation than the collection, or another direction. */
static bool is_usual_id(const struct mo_meta *m, const bson_t *index)
{
	bson_t of_collection, of_index, key;
	const bool has = has_collation(m, &of_collection);
	bson_iter_t it;

	if (mo_bson_document_at(index, "collation", &of_index) && !mo_is_simple(&of_index)) {
		const char *a = has ? mo_bson_text_at(&of_collection, "locale") : NULL, *b = mo_bson_text_at(&of_index, "locale");

		if (!a || !b || strcmp(a, b))
			return false;
	} else if (has) {
		return false;
	}
	return mo_bson_document_at(index, "key", &key) && bson_iter_init_find(&it, &key, "_id") && bson_iter_as_double(&it) == 1;
}

static bool is_clustered(const struct mo_meta *m) { return bson_has_field(m->options, "clusteredIndex"); }

static void append_id_index(const struct mo_meta *m, const bson_t *index, bson_t *to)
{
	bson_iter_t it;
	bson_t spec, collation, simple;

	if (!bson_iter_init(&it, index) || !BSON_APPEND_DOCUMENT_BEGIN(to, "idIndex", &spec))
		return;
	while (bson_iter_next(&it))
		if (strcmp(bson_iter_key(&it), "v") && strcmp(bson_iter_key(&it), "ns"))
			append(&spec, &it);
	if (has_collation(m, &collation) && !bson_has_field(index, "collation")) {
		BSON_APPEND_DOCUMENT_BEGIN(&spec, "collation", &simple);
		BSON_APPEND_UTF8(&simple, "locale", "simple");
		bson_append_document_end(&spec, &simple);
	}
	bson_append_document_end(to, &spec);
}

void mo_create_options(const struct mo_meta *m, bson_t *to)
{
	bson_iter_t it;

	if (bson_iter_init(&it, m->options))
		while (bson_iter_next(&it))
			if (!mo_is_left_out(bson_iter_key(&it)))
				append(to, &it);
	for (size_t i = 0; i < m->indexes && m->kind == MO_COLLECTION && !is_clustered(m); i++)
		if (is_id_index(m->index[i]) && !is_usual_id(m, m->index[i]))
			append_id_index(m, m->index[i], to);
}

/* ---- createIndexes ---- */

static bool is_plugin(const bson_t *index, const char *plugin)
{
	bson_iter_t it;
	bson_t key;

	if (!mo_bson_document_at(index, "key", &key) || !bson_iter_init(&it, &key))
		return false;
	while (bson_iter_next(&it))
		if (BSON_ITER_HOLDS_UTF8(&it) && !strcmp(bson_iter_utf8(&it, NULL), plugin))
			return true;
	return false;
}

/* What indexes of version 2 take. */
static bool is_key_value(const bson_iter_t *it)
{
	bson_decimal128_t d;
	char text[BSON_DECIMAL128_STRING];

	if (BSON_ITER_HOLDS_UTF8(it))
		return *bson_iter_utf8(it, NULL) != 0;
	if (BSON_ITER_HOLDS_DECIMAL128(it)) {
		(void)bson_iter_decimal128(it, &d);
		bson_decimal128_to_string(&d, text);
		return strpbrk(text, "123456789I") && strcmp(text, "NaN");
	}
	return BSON_ITER_HOLDS_NUMBER(it) && bson_iter_as_double(it) != 0 && !isnan(bson_iter_as_double(it));
}

static void append_key(const bson_iter_t *from, bson_t *to)
{
	bson_iter_t it;
	bson_t key;

	if (!bson_iter_recurse(from, &it) || !BSON_APPEND_DOCUMENT_BEGIN(to, "key", &key))
		return;
	while (bson_iter_next(&it))
		if (is_key_value(&it))
			append(&key, &it);
		else
			BSON_APPEND_INT32(&key, bson_iter_key(&it), 1);
	bson_append_document_end(to, &key);
}

/* An index of version 1 has no collation, and where the collection has one it would get that. */
static bool keeps_version(const struct mo_meta *m, const bson_t *index)
{
	bson_iter_t it;
	bson_t collation;

	return !has_collation(m, &collation) || !bson_iter_init_find(&it, index, "v") || bson_iter_as_int64(&it) != 1;
}

static void append_index(const struct mo_meta *m, const bson_t *index, bool plain, bson_t *to)
{
	bson_iter_t it;
	bson_t collation;

	plain = plain || !keeps_version(m, index);
	if (!bson_iter_init(&it, index))
		return;
	while (bson_iter_next(&it)) {
		const char *key = bson_iter_key(&it);

		if (!strcmp(key, "ns") || (plain && !strcmp(key, "v")))
			continue;
		if (plain && !strcmp(key, "key") && BSON_ITER_HOLDS_DOCUMENT(&it))
			append_key(&it, to);
		else
			append(to, &it);
	}
	if (has_collation(m, &collation) && !bson_has_field(index, "collation")) {
		bson_t simple;

		BSON_APPEND_DOCUMENT_BEGIN(to, "collation", &simple);
		BSON_APPEND_UTF8(&simple, "locale", "simple");
		bson_append_document_end(to, &simple);
	}
	/* The first version did not say so. */
	if (is_plugin(index, "2dsphere") && !bson_has_field(index, "2dsphereIndexVersion"))
		BSON_APPEND_INT32(to, "2dsphereIndexVersion", 1);
}

static void facts_without_name(const bson_t *index, struct buf *to)
{
	CLEANUP(mo_bson_clear) bson_t rest = BSON_INITIALIZER;

	bson_copy_to_excluding_noinit(index, &rest, "name", NULL);
	mo_index_facts(&rest, to);
}

/* Another of the same key and options. */
static bool is_there(const bson_t *all, const bson_t *index)
{
	CLEANUP(buf_release) struct buf mine = BUF_INIT, its = BUF_INIT;
	const uint8_t *data;
	bson_iter_t it;
	uint32_t n;
	bson_t b;

	facts_without_name(index, &mine);
	if (!bson_iter_init(&it, all))
		return false;
	while (bson_iter_next(&it)) {
		bson_iter_document(&it, &n, &data);
		if (!bson_init_static(&b, data, n))
			continue;
		buf_clear(&its);
		facts_without_name(&b, &its);
		if (!strcmp(buf_str(&its), buf_str(&mine)))
			return true;
	}
	return false;
}

void mo_create_indexes(const struct mo_meta *m, bool plain, bson_t *to, size_t *n)
{
	char key[24];

	*n = 0;
	for (size_t i = 0; i < m->indexes; i++) {
		CLEANUP(mo_bson_clear) bson_t one = BSON_INITIALIZER;

		if (is_id_index(m->index[i]))
			continue;
		append_index(m, m->index[i], plain, &one);
		if (plain && is_there(to, &one))
			continue;
		(void)snprintf(key, sizeof key, "%zu", (*n)++);
		if (!BSON_APPEND_DOCUMENT(to, key, &one))
			die("more than a document holds");
	}
}
