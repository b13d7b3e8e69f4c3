/* `o` of an update: which form it is of, and the old one with dotted paths. */
#include "drivers/mongodb/oplog_diff_internal.h"

/* ---- $set and $unset ---- */

struct assign {
	const char *path;
	struct mo_raw value;
	bool set; /* else unset */
};
struct assigns {
	struct assign *item;
	size_t n;
};

static void assigns_release(struct assigns *a)
{
	free(a->item);
}

static enum status add_assigns(struct assigns *a, const bson_iter_t *from, bool set, struct error *err)
{
	bson_iter_t it;

	if (!BSON_ITER_HOLDS_DOCUMENT(from) || !bson_iter_recurse(from, &it))
		return error_set(err, ST_BAD, "%s of the update is no document", bson_iter_key(from));
	while (bson_iter_next(&it)) {
		unsigned dots = 0;

		for (const char *p = bson_iter_key(&it); *p; p++)
			dots += *p == '.';
		if (dots >= MO_DEPTH_MOST)
			return error_set(err, ST_BAD, "the update has a path of more than %u names", MO_DEPTH_MOST);
		if ((a->n & (a->n - 1)) == 0)
			a->item = xrealloc(a->item, (a->n ? a->n * 2 : 1) * sizeof *a->item);
		a->item[a->n++] = (struct assign){bson_iter_key(&it), mo_raw_of(&it), set};
	}
	return ST_OK;
}

/* Names are compared one by one, so that all paths through one name are neighbours and a name comes before the paths through it. */
static unsigned rank_of(char c) { return !c ? 0 : c == '.' ? 1 : (unsigned)(unsigned char)c + 1; }

static int by_path(const void *a, const void *b)
{
	const char *x = ((const struct assign *)a)->path, *y = ((const struct assign *)b)->path;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	return (int)rank_of(*x) - (int)rank_of(*y);
}

static enum status sort_assigns(struct assigns *a, struct error *err)
{
	if (a->n)
		qsort(a->item, a->n, sizeof *a->item, by_path);
	for (size_t i = 1; i < a->n; i++) {
		const char *x = a->item[i - 1].path, *y = a->item[i].path;
		const size_t n = strlen(x);

		if (!strncmp(x, y, n) && (!y[n] || y[n] == '.'))
			return error_set(err, ST_BAD, "the update changes \"%s\" and \"%s\" at once", x, y);
	}
	return ST_OK;
}

/* ---- one level of the document ---- */

/* Assignments whose paths go through one name of a level. */
struct group {
	const struct assign *first;
	size_t n;
	const char *name; /* not ended by 0 */
	size_t name_len, at; /* at: where the next name begins */
	uint32_t index;   /* in an array */
	bool leaf;        /* the name is the last of its path: there is no other assignment */
	bool sets;        /* some of them are $set */
	bool done;
};
struct groups {
	struct group *item;
	size_t n;
};

static void groups_release(struct groups *g)
{
	free(g->item);
}

static struct group *add_group(struct groups *g)
{
	if ((g->n & (g->n - 1)) == 0)
		g->item = xrealloc(g->item, (g->n ? g->n * 2 : 1) * sizeof *g->item);
	g->item[g->n] = (struct group){.n = 0};
	return &g->item[g->n++];
}

static void make_groups(const struct assign *a, size_t n, size_t at, struct groups *g)
{
	for (size_t i = 0; i < n; i++) {
		const char *name = a[i].path + at;
		const size_t len = strcspn(name, ".");
		struct group *last = g->n ? &g->item[g->n - 1] : NULL;

		if (!last || last->name_len != len || memcmp(last->name, name, len)) {
			last = add_group(g);
			last->first = &a[i];
			last->name = name;
			last->name_len = len;
			last->at = at + len + 1;
			last->leaf = !name[len];
		}
		last->n++;
		last->sets = last->sets || a[i].set;
	}
}

static struct group *group_of(const struct groups *g, const char *name)
{
	const size_t len = strlen(name);
	size_t low = 0, high = g->n;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		struct group *one = &g->item[mid];
		int order = memcmp(one->name, name, min_size(one->name_len, len));

		if (!order)
			order = (one->name_len > len) - (one->name_len < len);
		if (!order)
			return one;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static enum status update_document(const bson_t *pre, const struct assign *a, size_t n, size_t at, struct buf *to, struct error *err);
static enum status update_array(const bson_t *pre, const struct assign *a, size_t n, size_t at, struct buf *to, struct error *err);

/* A value that was not there, with documents for the names between. Nothing of $unset. */
static enum status create_value(const struct group *g, const char *key, size_t key_len, struct buf *to, struct error *err)
{
	if (g->leaf) {
		mo_raw_put(to, key, key_len, &g->first->value);
		return mo_post_check(to, err);
	}
	const size_t at = mo_raw_open_in(to, BSON_TYPE_DOCUMENT, key, key_len);
	if (update_document(NULL, g->first, g->n, g->at, to, err))
		return err->code;
	mo_raw_close(to, at);
	return ST_OK;
}

/* A value that is there. One that a path cannot go through stays as it is. */
static enum status update_value(const struct mo_raw *was, const struct group *g, bool in_array, const char *key, size_t key_len, struct buf *to,
				struct error *err)
{
	bson_t pre;

	if (g->leaf) {
		if (g->sets)
			mo_raw_put(to, key, key_len, &g->first->value);
		else if (in_array)
			mo_raw_put_null(to, key, key_len);
		return ST_OK;
	}
	if (!mo_raw_inside(was, &pre)) {
		mo_raw_put(to, key, key_len, was);
		return ST_OK;
	}
	const size_t at = mo_raw_open_in(to, was->type, key, key_len);
	if ((was->type == BSON_TYPE_ARRAY ? update_array : update_document)(&pre, g->first, g->n, g->at, to, err))
		return err->code;
	mo_raw_close(to, at);
	return ST_OK;
}

/* The elements only: the caller opens and closes. pre NULL: there was nothing. New fields come in the order of their names. */
static enum status update_document(const bson_t *pre, const struct assign *a, size_t n, size_t at, struct buf *to, struct error *err)
{
	CLEANUP(groups_release) struct groups g = {0};
	bson_iter_t it;

	make_groups(a, n, at, &g);
	if (pre && !bson_iter_init(&it, pre))
		return error_set(err, ST_BAD, "the document to update is damaged");
	while (pre && bson_iter_next(&it)) {
		const struct mo_raw was = mo_raw_of(&it);
		struct group *one = group_of(&g, was.key);
		const size_t len = strlen(was.key);

		if (!one || one->done)
			mo_raw_put(to, was.key, len, &was);
		else if (update_value(&was, one, false, was.key, len, to, err))
			return err->code;
		if (one)
			one->done = true;
		if (mo_post_check(to, err))
			return err->code;
	}
	for (size_t i = 0; i < g.n; i++)
		if (!g.item[i].done && g.item[i].sets && create_value(&g.item[i], g.item[i].name, g.item[i].name_len, to, err))
			return err->code;
	return ST_OK;
}

static int by_index(const void *a, const void *b)
{
	const uint32_t x = ((const struct group *)a)->index, y = ((const struct group *)b)->index;

	return (x > y) - (x < y);
}

/* Names that are no index lead nowhere in an array. */
static enum status index_groups(struct groups *g, struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		if (mo_array_index(g->item[i].name, g->item[i].name_len, &g->item[i].index))
			g->item[n++] = g->item[i];
	g->n = n;
	if (n)
		qsort(g->item, n, sizeof *g->item, by_index);
	for (size_t i = 1; i < n; i++)
		if (g->item[i - 1].index == g->item[i].index)
			return error_set(err, ST_BAD, "the update changes element %u of an array twice", g->item[i].index);
	return ST_OK;
}

/* What is beyond the end: nulls up to each element that is set. */
static enum status extend_array(const struct group *g, size_t n, uint32_t length, struct buf *to, struct error *err)
{
	char key[MO_INDEX_TEXT];

	for (size_t i = 0; i < n; i++) {
		if (!g[i].sets)
			continue;
		for (; length < g[i].index; length++) {
			mo_raw_put_null(to, key, (size_t)snprintf(key, sizeof key, "%u", length));
			if (mo_post_check(to, err))
				return err->code;
		}
		if (create_value(&g[i], key, (size_t)snprintf(key, sizeof key, "%u", length), to, err))
			return err->code;
		length++;
	}
	return ST_OK;
}

static enum status update_array(const bson_t *pre, const struct assign *a, size_t n, size_t at, struct buf *to, struct error *err)
{
	CLEANUP(groups_release) struct groups g = {0};
	char key[MO_INDEX_TEXT];
	uint32_t index = 0;
	size_t next = 0;
	bson_iter_t it;

	make_groups(a, n, at, &g);
	if (index_groups(&g, err))
		return err->code;
	if (!bson_iter_init(&it, pre))
		return error_set(err, ST_BAD, "the document to update is damaged");
	for (; bson_iter_next(&it); index++) {
		const struct mo_raw was = mo_raw_of(&it);
		const size_t len = (size_t)snprintf(key, sizeof key, "%u", index);

		if (next == g.n || g.item[next].index != index)
			mo_raw_put(to, key, len, &was);
		else if (update_value(&was, &g.item[next++], true, key, len, to, err))
			return err->code;
		if (mo_post_check(to, err))
			return err->code;
	}
	return extend_array(g.item + next, g.n - next, index, to, err);
}

/* ---- the forms ---- */

struct update {
	struct assigns assigns;
	const bson_t *diff; /* NULL: none */
	bson_t diff_document;
	int64_t version;
};

static void update_release(struct update *u)
{
	assigns_release(&u->assigns);
}

static enum status read_member(struct update *u, const bson_iter_t *it, struct error *err)
{
	const struct mo_raw raw = mo_raw_of(it);
	const char *key = raw.key;

	if (!strcmp(key, "$v") && (BSON_ITER_HOLDS_INT32(it) || BSON_ITER_HOLDS_INT64(it))) {
		u->version = bson_iter_as_int64(it);
		return ST_OK;
	}
	if (!strcmp(key, "$set") || !strcmp(key, "$unset"))
		return add_assigns(&u->assigns, it, key[1] == 's', err);
	if (!strcmp(key, "diff") && !u->diff && raw.type == BSON_TYPE_DOCUMENT && mo_raw_inside(&raw, &u->diff_document)) {
		u->diff = &u->diff_document;
		return ST_OK;
	}
	return error_set(err, ST_BAD, "the update has \"%s\", which is of no form that drtool knows", key);
}

static enum status read_update(const bson_t *o, struct update *u, struct error *err)
{
	bson_iter_t it;

	u->version = 1;
	if (o->len > MO_OPLOG_ENTRY_MOST || !mo_bson_is_sound(o) || !bson_iter_init(&it, o))
		return error_set(err, ST_BAD, "the update is damaged");
	while (bson_iter_next(&it))
		if (read_member(u, &it, err))
			return err->code;
	if ((u->version == 2) != (u->diff != NULL) || (u->version == 2 && u->assigns.n) || u->version < 1 || u->version > 2)
		return error_set(err, ST_BAD, "the update is of version %lld, which does not fit its form", (long long)u->version);
	return sort_assigns(&u->assigns, err);
}

bool mo_update_is_replacement(const bson_t *o)
{
	bson_iter_t it;

	return !bson_iter_init(&it, o) || !bson_iter_next(&it) || *bson_iter_key(&it) != '$';
}

static enum status replace(const bson_t *o, bson_t **post, struct error *err)
{
	if (o->len > MO_OPLOG_ENTRY_MOST || !mo_bson_is_sound(o))
		return error_set(err, ST_BAD, "the new document of the update is damaged");
	*post = bson_copy(o);
	return ST_OK;
}

enum status mo_update_apply(const bson_t *pre, const bson_t *o, bson_t **post, struct error *err)
{
	CLEANUP(update_release) struct update u = {.diff = NULL};
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	if (mo_update_is_replacement(o))
		return replace(o, post, err);
	if (!pre)
		return error_set(err, ST_BAD, "the document to update is not there");
	if (read_update(o, &u, err))
		return err->code;
	if (u.diff)
		return mo_diff_apply(pre, u.diff, post, err);
	if (mo_pre_check(pre, err))
		return err->code;
	const size_t at = mo_raw_open(&to);
	if (update_document(pre, u.assigns.item, u.assigns.n, 0, &to, err))
		return err->code;
	mo_raw_close(&to, at);
	return mo_post_make(&to, post, err);
}
