#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/oplog_diff.h"
#include "drivers/mongodb/raw.h"
#include "util/hash.h"

#define CHANGES_MOST 4096u
#define SLOTS (4 * CHANGES_MOST)
#define BYTES_MOST ((size_t)8 << 20)
#define FREE_SLOT UINT32_MAX

static void forget_updates(struct mo_change *c)
{
	for (size_t i = 0; i < c->updates; i++)
		bson_destroy(c->update[i]);
	free(c->update);
	c->update = NULL;
	c->updates = 0;
}

void mo_window_clear(struct mo_window *w)
{
	for (uint32_t i = 0; i < w->changes; i++) {
		forget_updates(&w->change[i]);
		bson_destroy(w->change[i].id);
		bson_destroy(w->change[i].doc);
	}
	for (uint32_t i = 0; i < w->targets; i++) {
		free(w->target[i].database);
		free(w->target[i].collection);
		free(w->target[i].ns);
	}
	w->changes = w->targets = 0;
	w->bytes = 0;
	if (w->slot)
		memset(w->slot, 0xff, SLOTS * sizeof *w->slot);
}

void mo_window_release(struct mo_window *w)
{
	mo_window_clear(w);
	free(w->target);
	free(w->change);
	free(w->slot);
	*w = (struct mo_window)MO_WINDOW_INIT;
}

bool mo_window_full(const struct mo_window *w) { return w->changes >= CHANGES_MOST || w->bytes >= BYTES_MOST; }

enum status mo_change_blame(const struct mo_window *w, const struct mo_change *c, struct error *err)
{
	CLEANUP(cstr_release) char *id = mo_id_text(c->id);

	error_add(err, "the document with _id %s", id);
	return error_add(err, "oplog entry %" PRIu32 ":%" PRIu32 " (%s)", c->at.t, c->at.i, w->target[c->target].ns);
}

/* ---- which document ---- */

static uint32_t target_of(struct mo_window *w, const struct mo_replay *to, const char *ns)
{
	for (uint32_t i = w->targets; i-- > 0;)
		if (!strcmp(w->target[i].collection, to->collection) && !strcmp(w->target[i].database, to->database))
			return i;
	if ((w->targets & (w->targets - 1)) == 0)
		w->target = xrealloc(w->target, (w->targets ? (size_t)w->targets * 2 : 1) * sizeof *w->target);
	w->target[w->targets] = (struct mo_window_target){xstrdup(to->database), xstrdup(to->collection), to->buckets, xstrdup(ns)};
	return w->targets++;
}

/* {_id: X} of a document; NULL: it has none. */
static bson_t *id_of(const bson_t *doc)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	bson_iter_t at;

	if (!bson_iter_init_find(&at, doc, "_id"))
		return NULL;
	const struct mo_raw raw = mo_raw_of(&at);
	(void)mo_raw_open(&bytes);
	mo_raw_put(&bytes, "_id", strlen("_id"), &raw);
	return mo_raw_done(&bytes);
}

static uint64_t hash_of(const bson_t *id) { return xxh128(bson_get_data(id), id->len).lo; }

/* The slot where it is, or where it would be. */
static uint32_t *slot_of(const struct mo_window *w, uint32_t target, const bson_t *id, uint64_t hash)
{
	for (uint32_t i = (uint32_t)hash % SLOTS;; i = (i + 1) % SLOTS) {
		const struct mo_change *c = w->slot[i] == FREE_SLOT ? NULL : &w->change[w->slot[i]];

		if (!c || (c->hash == hash && c->target == target && bson_equal(c->id, id)))
			return &w->slot[i];
	}
}

struct mo_change *mo_window_find(const struct mo_window *w, uint32_t target, const bson_t *doc)
{
	CLEANUP(mo_bson_freep) bson_t *id = id_of(doc);

	if (!id || !w->slot)
		return NULL;
	const uint32_t at = *slot_of(w, target, id, hash_of(id));
	return at == FREE_SLOT ? NULL : &w->change[at];
}

static struct mo_change *change_of(struct mo_window *w, const struct mo_replay *to, const struct mo_oplog_entry *op, const bson_t *key)
{
	CLEANUP(mo_bson_freep) bson_t *id = id_of(key);

	if (!id)
		return NULL;
	if (!w->slot) {
		w->slot = xcalloc(SLOTS, sizeof *w->slot);
		memset(w->slot, 0xff, SLOTS * sizeof *w->slot);
	}
	const uint64_t hash = hash_of(id);
	const uint32_t target = target_of(w, to, op->ns);
	uint32_t *slot = slot_of(w, target, id, hash);
	if (*slot == FREE_SLOT) {
		if ((w->changes & (w->changes - 1)) == 0)
			w->change = xrealloc(w->change, (w->changes ? (size_t)w->changes * 2 : 1) * sizeof *w->change);
		*slot = w->changes;
		w->change[w->changes++] = (struct mo_change){.target = target, .id = id, .hash = hash};
		w->bytes += id->len;
		id = NULL;
	}
	w->change[*slot].at = op->at;
	return &w->change[*slot];
}

/* ---- what becomes of it ---- */

static void set_doc(struct mo_window *w, struct mo_change *c, bson_t *doc)
{
	forget_updates(c);
	bson_destroy(c->doc);
	c->doc = doc;
	c->state = doc ? MO_CHANGE_PUT : MO_CHANGE_DROP;
	w->bytes += doc ? doc->len : 0;
}

static enum status update_now(struct mo_window *w, struct mo_change *c, const bson_t *o, struct error *err)
{
	bson_t *post = NULL;

	if (mo_update_apply(c->doc, o, &post, err))
		return err->code;
	set_doc(w, c, post);
	return ST_OK;
}

static void wait_with(struct mo_window *w, struct mo_change *c, const bson_t *o)
{
	if ((c->updates & (c->updates - 1)) == 0)
		c->update = xrealloc(c->update, (c->updates ? c->updates * 2 : 1) * sizeof(bson_t *));
	c->update[c->updates++] = bson_copy(o);
	w->bytes += o->len;
}

static enum status update(struct mo_window *w, struct mo_change *c, const bson_t *o, struct error *err)
{
	if (mo_update_is_replacement(o)) {
		set_doc(w, c, bson_copy(o));
		return ST_OK;
	}
	if (c->state == MO_CHANGE_PUT)
		return update_now(w, c, o, err);
	if (c->state == MO_CHANGE_WAITS)
		wait_with(w, c, o);
	else
		w->missing++;
	return ST_OK;
}

enum status mo_window_add(struct mo_window *w, const struct mo_replay *to, const struct mo_oplog_entry *op, struct error *err)
{
	struct mo_change *c = change_of(w, to, op, op->op == MO_OP_UPDATE ? &op->o2 : &op->o);

	if (!c) {
		(void)error_set(err, ST_UNSUPPORTED, "a document without _id cannot be replayed");
		return mo_oplog_blame(op, err);
	}
	if (op->op == MO_OP_UPDATE)
		return update(w, c, &op->o, err) ? mo_change_blame(w, c, err) : ST_OK;
	set_doc(w, c, op->op == MO_OP_INSERT ? bson_copy(&op->o) : NULL);
	return ST_OK;
}

enum status mo_change_meets(struct mo_window *w, struct mo_change *c, const bson_t *doc, struct error *err)
{
	CLEANUP(mo_bson_freep) bson_t *pre = doc ? bson_copy(doc) : NULL;

	c->found = doc != NULL;
	if (!doc) {
		w->missing += c->updates;
		return ST_OK;
	}
	for (size_t i = 0; i < c->updates; i++) {
		bson_t *post = NULL;

		if (mo_update_apply(pre, c->update[i], &post, err))
			return mo_change_blame(w, c, err);
		bson_destroy(pre);
		pre = post;
	}
	set_doc(w, c, pre);
	pre = NULL;
	return ST_OK;
}
