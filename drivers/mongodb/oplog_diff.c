#include "drivers/mongodb/oplog_diff_internal.h"

/* ---- what both kinds of updates share ---- */

bool mo_array_index(const char *text, size_t n, uint32_t *index)
{
	*index = 0;
	if (!n || n > 9)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*index = *index * 10 + (uint32_t)(text[i] - '0');
	}
	return true;
}

enum status mo_post_check(const struct buf *to, struct error *err)
{
	if (to->len > MO_OPLOG_ENTRY_MOST)
		return error_set(err, ST_BAD, "the updated document would be larger than %u bytes", MO_OPLOG_ENTRY_MOST);
	return ST_OK;
}

enum status mo_post_make(const struct buf *bytes, bson_t **post, struct error *err)
{
	bson_t b;

	if (mo_post_check(bytes, err))
		return err->code;
	if (!bson_init_static(&b, (const uint8_t *)bytes->data, bytes->len) || !mo_bson_is_sound(&b))
		return error_set(err, ST_BAD, "the updated document would be deeper than %u levels", MO_DEPTH_MOST);
	*post = bson_copy(&b);
	return ST_OK;
}

enum status mo_pre_check(const bson_t *pre, struct error *err)
{
	if (pre->len > MO_OPLOG_ENTRY_MOST || !mo_bson_is_sound(pre))
		return error_set(err, ST_BAD, "the document to update is damaged");
	return ST_OK;
}

/* ---- the sections of a diff ---- */

enum what { DROP, SET, ADD, BYTES, INSIDE };
struct change {
	struct mo_raw raw;
	uint8_t what;
	bool done;
};
struct changes {
	struct change *item; /* in the order of the diff */
	uint32_t n;
	uint32_t *by_name;
};

static void changes_release(struct changes *c)
{
	free(c->item);
	free(c->by_name);
}

static void add_change(struct changes *c, enum what what, const struct mo_raw *r)
{
	if ((c->n & (c->n - 1)) == 0)
		c->item = xrealloc(c->item, (c->n ? (size_t)c->n * 2 : 1) * sizeof *c->item);
	c->item[c->n++] = (struct change){*r, (uint8_t)what, false};
}

static int by_name(const void *a, const void *b, void *items)
{
	const struct change *item = items;

	return strcmp(item[*(const uint32_t *)a].raw.key, item[*(const uint32_t *)b].raw.key);
}

static enum status sort_changes(struct changes *c, struct error *err)
{
	c->by_name = xcalloc(c->n + 1, sizeof *c->by_name);
	for (uint32_t i = 0; i < c->n; i++)
		c->by_name[i] = i;
	qsort_r(c->by_name, c->n, sizeof *c->by_name, by_name, c->item);
	for (uint32_t i = 1; i < c->n; i++)
		if (!strcmp(c->item[c->by_name[i - 1]].raw.key, c->item[c->by_name[i]].raw.key))
			return error_set(err, ST_BAD, "the diff names the field \"%s\" twice", c->item[c->by_name[i]].raw.key);
	return ST_OK;
}

static struct change *change_of(const struct changes *c, const char *name)
{
	uint32_t low = 0, high = c->n;

	while (low < high) {
		const uint32_t mid = low + (high - low) / 2;
		const int order = strcmp(c->item[c->by_name[mid]].raw.key, name);

		if (!order)
			return &c->item[c->by_name[mid]];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Which section, in the order in which they come; -1: none. */
static int section_of(const char *key)
{
	static const char names[] = {[DROP] = 'd', [SET] = 'u', [ADD] = 'i', [BYTES] = 'b'};

	if (*key == 's')
		return INSIDE;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (*key == names[i] && !key[1])
			return (int)i;
	return -1;
}

static enum status read_section(struct changes *c, enum what what, const struct mo_raw *section, struct error *err)
{
	struct mo_raw field = *section;
	bson_iter_t it;
	bson_t inside;

	if (section->type != BSON_TYPE_DOCUMENT || !mo_raw_inside(section, &inside) || !bson_iter_init(&it, &inside))
		return error_set(err, ST_BAD, "section \"%s\" of the diff is no document", section->key);
	if (what == INSIDE) {
		field.key++;
		add_change(c, what, &field);
		return ST_OK;
	}
	while (bson_iter_next(&it)) {
		field = mo_raw_of(&it);
		add_change(c, what, &field);
	}
	return ST_OK;
}

static enum status read_changes(const bson_t *diff, struct changes *c, struct error *err)
{
	int before = -1;
	bson_iter_t it;

	if (!bson_iter_init(&it, diff))
		return error_set(err, ST_BAD, "the diff is damaged");
	while (bson_iter_next(&it)) {
		const struct mo_raw section = mo_raw_of(&it);
		const int what = section_of(section.key);

		if (what < 0 || what < before || (what == before && what != INSIDE))
			return error_set(err, ST_BAD, "the diff has a section \"%s\" where none of that name can be", section.key);
		if (read_section(c, (enum what)what, &section, err))
			return err->code;
		before = what;
	}
	if (before < 0)
		return error_set(err, ST_BAD, "the diff is empty");
	return sort_changes(c, err);
}

/* ---- applying it ---- */

static enum status apply_document(const bson_t *pre, const bson_t *diff, struct buf *to, struct error *err);
static enum status apply_array(const bson_t *pre, const bson_t *diff, struct buf *to, struct error *err);

static bool is_array_diff(const bson_t *diff)
{
	bson_iter_t it;

	return bson_iter_init(&it, diff) && bson_iter_next(&it) && !strcmp(bson_iter_key(&it), "a");
}

/* Changes inside of a value; was NULL: there is none. */
static enum status apply_inside(const struct mo_raw *was, const struct mo_raw *change, const char *key, size_t key_len, struct buf *to,
				struct error *err)
{
	bson_t pre, diff;

	if (!mo_raw_inside(change, &diff))
		return error_set(err, ST_BAD, "the diff of \"%s\" is damaged", change->key);
	const bool array = is_array_diff(&diff);
	if (!was || was->type != (array ? BSON_TYPE_ARRAY : BSON_TYPE_DOCUMENT) || !mo_raw_inside(was, &pre)) {
		mo_raw_put_null(to, key, key_len);
		return ST_OK;
	}
	const size_t at = mo_raw_open_in(to, was->type, key, key_len);
	if (array ? apply_array(&pre, &diff, to, err) : apply_document(&pre, &diff, to, err))
		return err->code;
	mo_raw_close(to, at);
	return ST_OK;
}

static enum status bytes_of(const struct mo_raw *change, int64_t *offset, const uint8_t **data, uint32_t *n, struct error *err)
{
	bson_subtype_t subtype;
	bson_iter_t it;
	bson_t b;

	if (change->type == BSON_TYPE_DOCUMENT && mo_raw_inside(change, &b) && bson_iter_init_find(&it, &b, "o") &&
	    (BSON_ITER_HOLDS_INT32(&it) || BSON_ITER_HOLDS_INT64(&it)) && (*offset = bson_iter_as_int64(&it)) >= 0 &&
	    bson_iter_init_find(&it, &b, "d") && BSON_ITER_HOLDS_BINARY(&it)) {
		bson_iter_binary(&it, &subtype, n, data);
		return ST_OK;
	}
	return error_set(err, ST_BAD, "the diff has bytes of \"%s\" of an unknown form", change->key);
}

/* The binary up to an offset, and then the bytes of the diff. A binary that ends before it is of a later time. */
static enum status apply_bytes(const struct mo_raw *was, const struct mo_raw *change, struct buf *to, struct error *err)
{
	const uint32_t head = 5; /* length and subtype */
	const uint8_t *data = NULL;
	int64_t offset = 0;
	uint32_t n = 0;

	if (bytes_of(change, &offset, &data, &n, err))
		return err->code;
	if (was->type != BSON_TYPE_BINARY || was->n < head || was->value[4] == BSON_SUBTYPE_BINARY_DEPRECATED || offset > was->n - head) {
		mo_raw_put(to, was->key, strlen(was->key), was);
		return ST_OK;
	}
	const uint32_t length = BSON_UINT32_TO_LE((uint32_t)offset + n);
	const struct mo_raw kept = {.type = BSON_TYPE_BINARY, .value = was->value, .n = head + (uint32_t)offset};
	mo_raw_put(to, was->key, strlen(was->key), &kept);
	memcpy(to->data + to->len - kept.n, &length, sizeof length);
	if (n)
		buf_put(to, data, n);
	return ST_OK;
}

static enum status apply_field(const struct mo_raw *was, struct change *c, struct buf *to, struct error *err)
{
	const size_t key_len = strlen(was->key);

	switch (c ? (int)c->what : -1) {
	case DROP:
	case ADD: /* It comes again at the end. */
		return ST_OK;
	case SET:
		c->done = true;
		mo_raw_put(to, was->key, key_len, &c->raw);
		return ST_OK;
	case BYTES:
		return apply_bytes(was, &c->raw, to, err);
	case INSIDE:
		return apply_inside(was, &c->raw, was->key, key_len, to, err);
	default:
		mo_raw_put(to, was->key, key_len, was);
		return ST_OK;
	}
}

/* The elements only: the caller opens and closes. */
static enum status apply_document(const bson_t *pre, const bson_t *diff, struct buf *to, struct error *err)
{
	CLEANUP(changes_release) struct changes c = {0};
	bson_iter_t it;

	if (read_changes(diff, &c, err))
		return err->code;
	if (!bson_iter_init(&it, pre))
		return error_set(err, ST_BAD, "the document to update is damaged");
	while (bson_iter_next(&it)) {
		const struct mo_raw was = mo_raw_of(&it);

		if (apply_field(&was, change_of(&c, was.key), to, err) || mo_post_check(to, err))
			return err->code;
	}
	for (uint32_t i = 0; i < c.n; i++) {
		const struct change *one = &c.item[i];

		if (one->what == ADD || (one->what == SET && !one->done))
			mo_raw_put(to, one->raw.key, strlen(one->raw.key), &one->raw);
	}
	return mo_post_check(to, err);
}

struct array_diff {
	bson_iter_t it;
	int64_t length; /* -1 not given */
	bool more;      /* there is a change: */
	bool inside;
	uint32_t index;
	struct mo_raw raw;
};

static enum status array_diff_next(struct array_diff *a, struct error *err)
{
	const bool first = !a->raw.key;
	const uint32_t before = a->index;

	a->more = bson_iter_next(&a->it);
	if (!a->more)
		return ST_OK;
	a->raw = mo_raw_of(&a->it);
	const char *key = a->raw.key;
	a->inside = *key == 's';
	if ((*key != 'u' && *key != 's') || !mo_array_index(key + 1, strlen(key + 1), &a->index) || (!first && a->index <= before))
		return error_set(err, ST_BAD, "the diff of an array has \"%s\" where it cannot be", key);
	if (a->length >= 0 && a->index >= a->length)
		return error_set(err, ST_BAD, "the diff of an array changes element %u of %lld", a->index, (long long)a->length);
	if (a->inside && a->raw.type != BSON_TYPE_DOCUMENT)
		return error_set(err, ST_BAD, "\"%s\" of the diff of an array is no document", key);
	return ST_OK;
}

static enum status array_diff_begin(struct array_diff *a, const bson_t *diff, struct error *err)
{
	bson_iter_t ahead;

	if (!bson_iter_init(&a->it, diff) || !bson_iter_next(&a->it) || !BSON_ITER_HOLDS_BOOL(&a->it) || !bson_iter_bool(&a->it))
		return error_set(err, ST_BAD, "the diff of an array does not begin with a: true");
	ahead = a->it;
	if (bson_iter_next(&ahead) && !strcmp(bson_iter_key(&ahead), "l")) {
		if (!BSON_ITER_HOLDS_INT32(&ahead) || bson_iter_int32(&ahead) < 0)
			return error_set(err, ST_BAD, "the diff of an array has a length that is none");
		a->length = bson_iter_int32(&ahead);
		a->it = ahead;
	}
	return array_diff_next(a, err);
}

static enum status apply_array(const bson_t *pre, const bson_t *diff, struct buf *to, struct error *err)
{
	struct array_diff a = {.length = -1};
	char key[MO_INDEX_TEXT];
	bson_iter_t it;

	if (array_diff_begin(&a, diff, err))
		return err->code;
	if (!bson_iter_init(&it, pre))
		return error_set(err, ST_BAD, "the document to update is damaged");
	bool has = bson_iter_next(&it);
	for (uint32_t i = 0; a.length >= 0 ? i < a.length : has || a.more; i++) {
		const struct mo_raw was = has ? mo_raw_of(&it) : (struct mo_raw){.type = BSON_TYPE_NULL};
		const size_t n = (size_t)snprintf(key, sizeof key, "%u", i);

		if (!a.more || a.index != i)
			mo_raw_put(to, key, n, &was);
		else if (!a.inside)
			mo_raw_put(to, key, n, &a.raw);
		else if (apply_inside(has ? &was : NULL, &a.raw, key, n, to, err))
			return err->code;
		if (mo_post_check(to, err) || (a.more && a.index == i && array_diff_next(&a, err)))
			return err->code;
		has = has && bson_iter_next(&it);
	}
	return ST_OK;
}

enum status mo_diff_apply(const bson_t *pre, const bson_t *diff, bson_t **post, struct error *err)
{
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	if (mo_pre_check(pre, err))
		return err->code;
	if (diff->len > MO_OPLOG_ENTRY_MOST || !mo_bson_is_sound(diff))
		return error_set(err, ST_BAD, "the diff is damaged");
	const size_t at = mo_raw_open(&to);
	if (apply_document(pre, diff, &to, err))
		return err->code;
	mo_raw_close(&to, at);
	return mo_post_make(&to, post, err);
}
