#include "drivers/mongodb/meta.h"

#include "drivers/mongodb/ejson.h"
#include "util/utf8.h"

static const char *const kind_names[] = {[MO_COLLECTION] = "collection", [MO_VIEW] = "view", [MO_TIMESERIES] = "timeseries"};

void mo_meta_release(struct mo_meta *m)
{
	free(m->name);
	bson_destroy(m->options);
	for (size_t i = 0; i < m->indexes; i++)
		bson_destroy(m->index[i]);
	free(m->index);
	*m = (struct mo_meta)MO_META_INIT;
}

void mo_meta_add_index(struct mo_meta *m, const bson_t *index)
{
	if ((m->indexes & (m->indexes - 1)) == 0)
		m->index = xrealloc(m->index, (m->indexes ? m->indexes * 2 : 1) * sizeof *m->index);
	m->index[m->indexes++] = bson_copy(index);
}

static bool kind_of(const char *text, enum mo_kind *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kind_names); i++)
		if (!strcmp(text, kind_names[i])) {
			*kind = (enum mo_kind)i;
			return true;
		}
	return false;
}

static bool is_utf8(const char *s)
{
	for (size_t n; *s; s += n)
		if (!(n = utf8_character(s, NULL)))
			return false;
	return true;
}

/* A name as it can be one: not empty, without NUL, UTF-8; NULL where it is not. Borrowed. */
static const char *name_at(const bson_iter_t *it)
{
	uint32_t n;

	if (!BSON_ITER_HOLDS_UTF8(it))
		return NULL;
	const char *text = bson_iter_utf8(it, &n);
	return n && strlen(text) == n && is_utf8(text) ? text : NULL;
}

static bson_t *copy_document(const bson_iter_t *it)
{
	const uint8_t *data;
	uint32_t n;

	bson_iter_document(it, &n, &data);
	return bson_new_from_data(data, n);
}

/* ---- from the server ---- */

static bool uuid_at(const bson_iter_t *it, char *to)
{
	bson_subtype_t subtype;
	const uint8_t *data;
	uint32_t n;

	if (!BSON_ITER_HOLDS_BINARY(it))
		return false;
	bson_iter_binary(it, &subtype, &n, &data);
	if (subtype != BSON_SUBTYPE_UUID || n != 16)
		return false;
	for (uint32_t i = 0; i < n; i++)
		(void)snprintf(to + 2 * i, 3, "%02x", data[i]);
	return true;
}

static enum status listed_member(struct mo_meta *m, const bson_iter_t *it, struct error *err)
{
	const char *key = bson_iter_key(it), *name;
	bson_iter_t uuid;

	if (!strcmp(key, "name")) {
		name = name_at(it);
		if (!name || m->name)
			return error_set(err, ST_SERVER, "a collection with a name that cannot be one");
		m->name = xstrdup(name);
	} else if (!strcmp(key, "type")) {
		if (!BSON_ITER_HOLDS_UTF8(it) || !kind_of(bson_iter_utf8(it, NULL), &m->kind))
			return error_set(err, ST_SERVER, "collection %s is of a type that drtool does not know%s%s", m->name ? m->name : "",
					 BSON_ITER_HOLDS_UTF8(it) ? ": " : "", BSON_ITER_HOLDS_UTF8(it) ? bson_iter_utf8(it, NULL) : "");
	} else if (!strcmp(key, "options")) {
		if (!BSON_ITER_HOLDS_DOCUMENT(it) || m->options)
			return error_set(err, ST_SERVER, "the options of collection %s are no document", m->name ? m->name : "");
		m->options = copy_document(it);
	} else if (!strcmp(key, "info")) {
		if (BSON_ITER_HOLDS_DOCUMENT(it) && bson_iter_recurse(it, &uuid) && bson_iter_find(&uuid, "uuid") && !uuid_at(&uuid, m->uuid))
			return error_set(err, ST_SERVER, "the uuid of collection %s is none", m->name ? m->name : "");
	}
	return ST_OK;
}

enum status mo_meta_listed(const bson_t *listed, struct mo_meta *m, struct error *err)
{
	bson_iter_t it;

	if (!mo_bson_is_sound(listed) || !bson_iter_init(&it, listed))
		return error_set(err, ST_SERVER, "the server's description of a collection cannot be read");
	while (bson_iter_next(&it))
		if (listed_member(m, &it, err))
			return err->code;
	if (!m->name)
		return error_set(err, ST_SERVER, "the server's description of a collection has no name");
	if (!m->options)
		m->options = bson_new();
	return ST_OK;
}

/* ---- as text ---- */

static void append_indexes(const struct mo_meta *m, bson_t *to)
{
	char key[24];

	for (size_t i = 0; i < m->indexes; i++) {
		(void)snprintf(key, sizeof key, "%zu", i);
		if (!bson_append_document(to, key, -1, m->index[i]))
			die("more indexes than a document holds");
	}
}

static void print(const struct mo_meta *m, const bson_t *exact, struct buf *to)
{
	CLEANUP(mo_bson_clear) bson_t indexes = BSON_INITIALIZER, tail = BSON_INITIALIZER;

	append_indexes(m, &indexes);
	buf_puts(to, "{\"options\":");
	mo_ejson_print(m->options, false, to);
	buf_puts(to, ",\"indexes\":");
	mo_ejson_print(&indexes, true, to);
	buf_printf(to, ",\"uuid\":\"%s\",\"collectionName\":", m->uuid);
	mo_ejson_text(to, m->name, strlen(m->name));
	buf_printf(to, ",\"type\":\"%s\"", kind_names[m->kind]);
	if (exact) {
		(void)bson_append_binary(&tail, "exact", -1, BSON_SUBTYPE_BINARY, bson_get_data(exact), exact->len);
		buf_putc(to, ',');
		const size_t from = to->len;
		mo_ejson_print(&tail, false, to);
		/* {"exact":...} without its brackets. */
		memmove(to->data + from, to->data + from + 1, to->len - from - 2);
		to->len -= 2;
		to->data[to->len] = 0;
	}
	buf_putc(to, '}');
}

static bool same(const struct mo_meta *a, const struct mo_meta *b)
{
	if (!bson_equal(a->options, b->options) || a->indexes != b->indexes)
		return false;
	for (size_t i = 0; i < a->indexes; i++)
		if (!bson_equal(a->index[i], b->index[i]))
			return false;
	return true;
}

void mo_meta_print(const struct mo_meta *m, struct buf *to)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta again = MO_META_INIT;
	CLEANUP(mo_bson_clear) bson_t exact = BSON_INITIALIZER;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bson_t indexes;

	print(m, NULL, &text);
	if (!mo_meta_parse(buf_str(&text), text.len, &again, &why) && same(m, &again)) {
		buf_put(to, buf_str(&text), text.len);
		return;
	}
	if (!BSON_APPEND_DOCUMENT(&exact, "options", m->options) || !BSON_APPEND_ARRAY_BEGIN(&exact, "indexes", &indexes))
		die("options that no document holds");
	append_indexes(m, &indexes);
	(void)bson_append_array_end(&exact, &indexes);
	print(m, &exact, to);
}

static enum status take_indexes(const bson_iter_t *array, struct mo_meta *m)
{
	bson_iter_t it;

	if (!BSON_ITER_HOLDS_ARRAY(array) || !bson_iter_recurse(array, &it) || m->indexes)
		return ST_BAD;
	while (bson_iter_next(&it)) {
		CLEANUP(mo_bson_freep) bson_t *one = BSON_ITER_HOLDS_DOCUMENT(&it) ? copy_document(&it) : NULL;

		if (!one)
			return ST_BAD;
		mo_meta_add_index(m, one);
	}
	return ST_OK;
}

static enum status take_options(const bson_iter_t *it, struct mo_meta *m)
{
	if (!BSON_ITER_HOLDS_DOCUMENT(it) || m->options)
		return ST_BAD;
	m->options = copy_document(it);
	return ST_OK;
}

/* Options and indexes again, which go before those of the text. */
static enum status take_exact(const bson_iter_t *it, struct mo_meta *m)
{
	CLEANUP(mo_meta_release) struct mo_meta exact = MO_META_INIT;
	bson_subtype_t subtype;
	const uint8_t *data;
	bson_iter_t member;
	uint32_t n;
	bson_t b;

	if (!BSON_ITER_HOLDS_BINARY(it))
		return ST_BAD;
	bson_iter_binary(it, &subtype, &n, &data);
	if (!bson_init_static(&b, data, n) || !mo_bson_is_sound(&b) || !bson_iter_init(&member, &b))
		return ST_BAD;
	if (!bson_iter_next(&member) || strcmp(bson_iter_key(&member), "options") || take_options(&member, &exact) || !bson_iter_next(&member) ||
	    strcmp(bson_iter_key(&member), "indexes") || take_indexes(&member, &exact) || bson_iter_next(&member))
		return ST_BAD;
	exact.name = m->name;
	exact.kind = m->kind;
	memcpy(exact.uuid, m->uuid, sizeof exact.uuid);
	const struct mo_meta old = *m;
	*m = exact;
	exact = old;
	exact.name = NULL;
	return ST_OK;
}

static enum status take_uuid(const bson_iter_t *it, struct mo_meta *m)
{
	uint32_t n;

	if (!BSON_ITER_HOLDS_UTF8(it))
		return ST_BAD;
	const char *text = bson_iter_utf8(it, &n);
	if (strspn(text, "0123456789abcdef") != n || (n && n != sizeof m->uuid - 1))
		return ST_BAD;
	memcpy(m->uuid, text, n + 1);
	return ST_OK;
}

static enum status take_member(const bson_iter_t *it, struct mo_meta *m)
{
	const char *key = bson_iter_key(it), *name;

	if (!strcmp(key, "options"))
		return take_options(it, m);
	if (!strcmp(key, "indexes"))
		return take_indexes(it, m);
	if (!strcmp(key, "uuid"))
		return take_uuid(it, m);
	if (!strcmp(key, "type"))
		return BSON_ITER_HOLDS_UTF8(it) && kind_of(bson_iter_utf8(it, NULL), &m->kind) ? ST_OK : ST_BAD;
	if (strcmp(key, "collectionName"))
		return ST_OK; /* of a later version */
	name = name_at(it);
	if (!name || m->name)
		return ST_BAD;
	m->name = xstrdup(name);
	return ST_OK;
}

enum status mo_meta_parse(const char *text, size_t n, struct mo_meta *m, struct error *err)
{
	CLEANUP(mo_bson_freep) bson_t *doc = NULL;
	bson_iter_t it;

	if (mo_ejson_parse(text, n, &doc, err))
		return error_add(err, "the description of a collection");
	if (!bson_iter_init(&it, doc))
		return error_set(err, ST_BAD, "the description of a collection cannot be read");
	while (bson_iter_next(&it))
		if (take_member(&it, m))
			return error_set(err, ST_BAD, "the description of collection %s: %s is of another form", m->name ? m->name : "",
					 bson_iter_key(&it));
	if (!m->name)
		return error_set(err, ST_BAD, "the description of a collection has no name");
	if (!m->options)
		m->options = bson_new();
	if (bson_iter_init_find(&it, doc, "exact") && take_exact(&it, m))
		return error_set(err, ST_BAD, "the description of collection %s: exact is of another form", m->name);
	return ST_OK;
}
