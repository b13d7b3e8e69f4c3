/* What a window holds, as commands of a client. Each document is replaced as a whole or deleted by its _id, so that it is no matter which of them
 * were there before: what is done twice ends the same. */
#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/look.h"
#include "drivers/mongodb/raw.h"
#include "util/failpoint.h"

#define BATCH_BYTES ((size_t)1 << 20)
#define BATCH_MOST 1000u
#define COMMAND_ROOM 1024u
#define GROUP_FIRST 16u
#define GROUP_MOST 1000u
#define GROUP_SMALL ((size_t)1 << 20)
#define GROUP_LARGE ((size_t)4 << 20)

/* Of one target. */
struct writing {
	struct run *run;
	struct mo_conn *c;
	struct mo_window *w;
	uint32_t target;
	const char *database, *collection;
	bool raw_data, unchecked, mixed;
	/* The open command. */
	const char *verb;
	bson_t command, all;
	bool open, stamps;
	uint32_t n, sent[BATCH_MOST];
	size_t bytes;
	/* The documents that were asked for. */
	size_t got;
};

/* ---- the target ---- */

struct shown {
	bool there, validator;
};

static enum status take_shown(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct shown *s = ctx;
	bson_iter_t at;

	s->there = true;
	s->validator = mo_look(doc, "options.validator", &at);
	return ST_OK;
}

/* Newer servers have no collection of a time series' buckets: they are given to the series itself. */
static enum status look_at_target(struct writing *x, struct error *err)
{
	const struct mo_window_target *t = &x->w->target[x->target];
	struct shown s = {false, false};

	x->database = t->database;
	x->collection = t->collection;
	if (mo_collection_named(x->run, x->c, t->database, t->collection, take_shown, &s, err))
		return error_add(err, "looking at %s.%s", t->database, t->collection);
	x->unchecked = s.validator;
	x->raw_data = t->buckets && !s.there;
	if (x->raw_data)
		x->collection = mo_buckets_of(t->collection);
	return ST_OK;
}

/* ---- commands ---- */

/* In a form that no value can be taken for an operator in. */
static void put_id(bson_t *to, const char *key, const bson_t *id)
{
	bson_t filter, equal;
	bson_iter_t at;

	if (!bson_iter_init_find(&at, id, "_id"))
		return;
	if (!BSON_ITER_HOLDS_DOCUMENT(&at)) {
		BSON_APPEND_DOCUMENT(to, key, id);
		return;
	}
	BSON_APPEND_DOCUMENT_BEGIN(to, key, &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "_id", &equal);
	bson_append_iter(&equal, "$eq", -1, &at);
	bson_append_document_end(&filter, &equal);
	bson_append_document_end(to, &filter);
}

static void begin(struct writing *x, const char *verb, const char *list)
{
	bson_init(&x->command);
	bson_append_utf8(&x->command, verb, -1, x->collection, -1);
	bson_append_array_begin(&x->command, list, -1, &x->all);
	x->verb = verb;
	x->open = true;
	x->stamps = false;
	x->n = 0;
	x->bytes = 0;
}

static void writing_release(struct writing *x)
{
	if (!x->open)
		return;
	bson_append_array_end(&x->command, &x->all);
	bson_destroy(&x->command);
	x->open = false;
}

static enum status check_answer(const struct writing *x, const bson_t *reply, struct error *err)
{
	const char *why = mo_look_str(reply, "writeErrors.0.errmsg");
	const int64_t index = mo_look_num(reply, "writeErrors.0.index", -1);
	bson_iter_t at;

	if (!mo_look(reply, "writeErrors.0", &at))
		return ST_OK;
	CLEANUP(cstr_release) char *code = xasprintf("%" PRId64, mo_look_num(reply, "writeErrors.0.code", 0));
	error_set(err, ST_SERVER, "the server does not take it into %s.%s: %s", x->database, x->collection, why ? why : "it does not say why");
	error_native(err, code);
	return index >= 0 && index < x->n ? mo_change_blame(x->w, &x->w->change[x->sent[index]], err) : err->code;
}

static enum status send_command(struct writing *x, bson_t *reply, struct error *err)
{
	if (mo_conn_command(x->run, x->c, x->database, &x->command, reply, err))
		return error_add(err, "%s of %s.%s", x->verb, x->database, x->collection);
	return ST_OK;
}

static enum status send_open(struct writing *x, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t reply;

	BSON_APPEND_BOOL(&x->command, "ordered", true);
	if (x->unchecked && *x->verb == 'u')
		BSON_APPEND_BOOL(&x->command, "bypassDocumentValidation", true);
	if (x->raw_data)
		BSON_APPEND_BOOL(&x->command, "rawData", true);
	if (x->stamps && mo_keeps_stamps(x->c))
		BSON_APPEND_BOOL(&x->command, "bypassEmptyTsReplacement", true);
	if (send_command(x, &reply, err))
		return err->code;
	if (x->mixed || !mo_refuses_mixed(&reply))
		return check_answer(x, &reply, err);
	/* What is done twice ends the same. */
	x->mixed = true;
	if (mo_allow_mixed(x->run, x->c, x->database, x->collection, err))
		return err->code;
	bson_destroy(&reply);
	return send_command(x, &reply, err) ? err->code : check_answer(x, &reply, err);
}

static enum status flush(struct writing *x, struct error *err)
{
	if (!x->open)
		return ST_OK;
	bson_append_array_end(&x->command, &x->all);
	x->open = false;
	enum status st = x->n ? send_open(x, err) : ST_OK;
	bson_destroy(&x->command);
	return st;
}

/* Servers before 8.0 put their time in the place of a Timestamp(0,0) of a new document, but not in what an aggregation made. */
static void put_document(bson_t *to, const bson_t *doc, bool literal)
{
	bson_t stages, stage, replace, root;

	if (!literal) {
		BSON_APPEND_DOCUMENT(to, "u", doc);
		return;
	}
	BSON_APPEND_ARRAY_BEGIN(to, "u", &stages);
	BSON_APPEND_DOCUMENT_BEGIN(&stages, "0", &stage);
	BSON_APPEND_DOCUMENT_BEGIN(&stage, "$replaceRoot", &replace);
	BSON_APPEND_DOCUMENT_BEGIN(&replace, "newRoot", &root);
	BSON_APPEND_DOCUMENT(&root, "$literal", doc);
	bson_append_document_end(&replace, &root);
	bson_append_document_end(&stage, &replace);
	bson_append_document_end(&stages, &stage);
	bson_append_array_end(to, &stages);
}

static enum status check_size(const struct writing *x, const struct mo_change *c, struct error *err)
{
	if (c->doc->len <= (uint32_t)x->c->server.max_document)
		return ST_OK;
	error_set(err, ST_SERVER, "the server takes documents of %" PRId32 " bytes at most, it has %" PRIu32 " now", x->c->server.max_document, c->doc->len);
	return mo_change_blame(x->w, c, err);
}

/* A place in a command of that kind. */
static enum status make_room(struct writing *x, const char *verb, size_t size, struct error *err)
{
	const bool full = x->n >= BATCH_MOST || x->n >= (uint32_t)x->c->server.max_batch || x->bytes + size > BATCH_BYTES;

	if (x->open && (full || strcmp(x->verb, verb)) && flush(x, err))
		return err->code;
	if (!x->open)
		begin(x, verb, *verb == 'd' ? "deletes" : "updates");
	x->bytes += size;
	return ST_OK;
}

static void begin_one(struct writing *x, uint32_t i, bson_t *one)
{
	const char *key = NULL;
	char text[16];
	const int n = (int)bson_uint32_to_string(x->n, &key, text, sizeof text);

	bson_append_document_begin(&x->all, key, n, one);
	put_id(one, "q", x->w->change[i].id);
	x->sent[x->n++] = i;
}

static enum status put_drop(struct writing *x, uint32_t i, struct error *err)
{
	bson_t one;

	if (make_room(x, "delete", x->w->change[i].id->len + COMMAND_ROOM / 4, err))
		return err->code;
	begin_one(x, i, &one);
	BSON_APPEND_INT32(&one, "limit", 1);
	bson_append_document_end(&x->all, &one);
	return ST_OK;
}

static enum status put_new(struct writing *x, uint32_t i, bool literal, bool upsert, struct error *err)
{
	const struct mo_change *c = &x->w->change[i];
	bson_t one;

	if (make_room(x, "update", c->id->len + c->doc->len + COMMAND_ROOM / 4, err))
		return err->code;
	begin_one(x, i, &one);
	put_document(&one, c->doc, literal);
	BSON_APPEND_BOOL(&one, "upsert", upsert);
	bson_append_document_end(&x->all, &one);
	return ST_OK;
}

static enum status put_change(struct writing *x, uint32_t i, struct error *err)
{
	const struct mo_change *c = &x->w->change[i];

	if (c->state == MO_CHANGE_DROP)
		return put_drop(x, i, err);
	const bool stamp = !x->raw_data && mo_has_empty_stamp(c->doc), literal = stamp && !mo_keeps_stamps(x->c), dollars = mo_has_dollars(c->doc);
	if (check_size(x, c, err) || put_new(x, i, literal || dollars, !dollars, err))
		return err->code;
	x->stamps = x->stamps || stamp;
	/* Once more, as the first may have made the document. */
	return literal && !dollars ? put_new(x, i, true, true, err) : ST_OK;
}

/* All changes of the target from `at` up to `end` that are in this state. */
static enum status put_all(struct writing *x, uint32_t at, uint32_t end, enum mo_change_state state, struct error *err)
{
	for (; at < end; at++)
		if (x->w->change[at].target == x->target && x->w->change[at].state == state && put_change(x, at, err))
			return err->code;
	return flush(x, err);
}

/* ---- documents whose content is needed ---- */

static enum status take_found(void *ctx, const bson_t *doc, struct error *err)
{
	struct writing *x = ctx;
	struct mo_change *c = mo_window_find(x->w, x->target, doc);

	x->got += doc->len;
	return c && c->state == MO_CHANGE_WAITS ? mo_change_meets(x->w, c, doc, err) : ST_OK;
}

static enum status ask(struct writing *x, const uint32_t *wanted, uint32_t n, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t filter, in, list;
	bson_iter_t at;

	BSON_APPEND_UTF8(&command, "find", x->collection);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "_id", &in);
	BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
	for (uint32_t i = 0; i < n; i++) {
		char text[16];
		const char *key = NULL;
		const int len = (int)bson_uint32_to_string(i, &key, text, sizeof text);

		if (bson_iter_init_find(&at, x->w->change[wanted[i]].id, "_id"))
			bson_append_iter(&list, key, len, &at);
	}
	bson_append_array_end(&in, &list);
	bson_append_document_end(&filter, &in);
	bson_append_document_end(&command, &filter);
	if (x->raw_data)
		BSON_APPEND_BOOL(&command, "rawData", true);
	x->got = 0;
	return mo_conn_each(x->run, x->c, x->database, &command, take_found, x, err) ? error_add(err, "find of %s.%s", x->database, x->collection) : ST_OK;
}

/* So many that their documents are a few MiB. */
static void choose_group(struct mo_window *w, uint32_t n, size_t got)
{
	if (got > GROUP_LARGE)
		w->group = w->group > 4 ? w->group / 4 : 1;
	else if (got < GROUP_SMALL && n == w->group)
		w->group = w->group * 2 < GROUP_MOST ? w->group * 2 : GROUP_MOST;
}

static void forget_document(struct mo_change *c)
{
	bson_destroy(c->doc);
	c->doc = NULL;
}

static enum status mend_group(struct writing *x, const uint32_t *wanted, uint32_t n, struct error *err)
{
	if (ask(x, wanted, n, err))
		return err->code;
	choose_group(x->w, n, x->got);
	for (uint32_t i = 0; i < n; i++) {
		struct mo_change *c = &x->w->change[wanted[i]];

		if (c->state == MO_CHANGE_WAITS ? mo_change_meets(x->w, c, NULL, err) : put_change(x, wanted[i], err))
			return err->code;
	}
	if (flush(x, err))
		return err->code;
	for (uint32_t i = 0; i < n; i++)
		forget_document(&x->w->change[wanted[i]]);
	return ST_OK;
}

static enum status mend_waiting(struct writing *x, struct error *err)
{
	uint32_t wanted[GROUP_MOST], n = 0;

	if (!x->w->group)
		x->w->group = GROUP_FIRST;
	for (uint32_t i = 0; i < x->w->changes; i++) {
		const struct mo_change *c = &x->w->change[i];

		if (c->target != x->target || c->state != MO_CHANGE_WAITS)
			continue;
		wanted[n++] = i;
		if (n < x->w->group)
			continue;
		if (mend_group(x, wanted, n, err))
			return err->code;
		n = 0;
	}
	return n ? mend_group(x, wanted, n, err) : ST_OK;
}

/* ---- all ---- */

static enum status put_target(struct writing *x, struct error *err)
{
	struct mo_insert in = {.c = x->c, .again = true};
	const uint32_t end = x->w->changes;

	if (look_at_target(x, err) || put_all(x, 0, end, MO_CHANGE_DROP, err))
		return err->code;
	in.database = x->database;
	in.collection = x->collection;
	in.unchecked = x->unchecked;
	in.raw_data = x->raw_data;
	if (mo_dollars_insert(x->run, x->w, x->target, &in, err) || put_all(x, 0, end, MO_CHANGE_PUT, err))
		return err->code;
	return mend_waiting(x, err);
}

enum status mo_window_flush(struct run *run, struct mo_conn *c, struct mo_window *w, struct error *err)
{
	if (!w->changes)
		return ST_OK;
	if (failpoint("mongodb.replay.write.before", err))
		return err->code;
	for (uint32_t i = 0; i < w->targets; i++) {
		CLEANUP(writing_release) struct writing x = {.run = run, .c = c, .w = w, .target = i};

		if (put_target(&x, err))
			return err->code;
	}
	mo_window_clear(w);
	return failpoint("mongodb.replay.write.after", err);
}
