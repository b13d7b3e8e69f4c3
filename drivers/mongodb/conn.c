#include "drivers/mongodb/conn_internal.h"

#include "drivers/mongodb/look.h"

/* Memory of an answer is a power of two above its size, twice. */
#define BATCH_BYTES (900u << 10)
enum { FIRST_BATCH = 16, GROW = 8, MOST_BATCH = 1 << 20, CHECK_DOCUMENTS = 64 };
#define END_WITHIN DURATION_SECONDS(2)

void mo_doc_release(bson_t *b) { bson_destroy(b); }

void mo_call_begin(struct mo_conn **busy, struct mo_conn *c, struct run *run)
{
	*busy = c;
	error_release(&c->cancel->links.trouble);
	c->cancel->links.run = run;
}

void mo_call_end(struct mo_conn **busy)
{
	if (*busy)
		(*busy)->cancel->links.run = NULL;
}

void mo_conn_interrupt(struct mo_conn *c) { mo_links_cut(&c->cancel->links); }

void mo_conn_freep(struct mo_conn **to)
{
	struct run none = RUN_INIT, soon = run_within(&none, END_WITHIN);
	struct mo_conn *c = *to;

	if (!c)
		return;
	*to = NULL;
	/* libmongoc says goodbye to the server. */
	c->cancel->links.run = &soon;
	if (c->cancel->session)
		mongoc_client_session_destroy(c->cancel->session);
	if (c->client)
		mongoc_client_destroy(c->client);
	if (c->cancel->prefs)
		mongoc_read_prefs_destroy(c->cancel->prefs);
	mo_links_release(&c->cancel->links);
	mo_url_release(&c->cancel->url);
	bson_destroy(&c->cancel->opts);
	if (c->cancel->time)
		bson_destroy(c->cancel->time);
	free(c->cancel);
	free(c->server.where);
	free(c->server.version_text);
	free(c->server.product);
	free(c->server.set_name);
	free(c);
}

/* ---- commands ---- */

/* writeConcernError of an answer that is "ok". */
static enum status check_write_concern(const struct mo_conn *c, const bson_t *reply, struct error *err)
{
	const char *text = mo_look_str(reply, "writeConcernError.errmsg");

	if (!bson_has_field(reply, "writeConcernError"))
		return ST_OK;
	return mo_server_error(c, (int)mo_look_num(reply, "writeConcernError.code", 64),
			       text ? text : "the members of the replica set did not confirm the change", reply, err);
}

static enum status command(struct run *run, struct mo_conn *c, const char *database, const bson_t *what, bson_t *reply, struct error *err)
{
	CLEANUP(mo_call_end) struct mo_conn *busy = NULL;
	struct mo_conn_cancel *in = c->cancel;
	bson_error_t why = {0};

	mo_call_begin(&busy, c, run);
	if (in->gone || mo_links_ended(&in->links) || run_check(run, &in->links.why)) {
		bson_set_error(&why, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_NOT_ESTABLISHED, "the session is lost");
		bson_init(reply);
		return mo_call_failed(c, &why, NULL, err);
	}
	if (mongoc_client_command_with_opts(c->client, database, what, in->prefs, &in->opts, reply, &why))
		return check_write_concern(c, reply, err);
	mo_call_failed(c, &why, reply, err);
	in->gone = mo_conn_lost(err);
	/* What was ended here may go on there. */
	if (err->code == ST_CANCELLED || err->code == ST_DEADLINE)
		mo_conn_end_there(c);
	return err->code;
}

enum status mo_conn_command(struct run *run, struct mo_conn *c, const char *database, const bson_t *what, bson_t *reply, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t own = BSON_INITIALIZER;

	if (reply)
		return command(run, c, database, what, reply, err);
	bson_destroy(&own);
	return command(run, c, database, what, &own, err);
}

/* ---- documents of a cursor ---- */

struct cursor {
	struct run *run;
	struct mo_conn *c;
	mo_doc_fn *fn;
	void *ctx;
	int64_t id;               /* 0: at its end */
	char *database, *collection;
	int32_t batch;            /* documents to ask for next */
	uint64_t documents, bytes; /* so far */
};

static void cursor_release(struct cursor *k)
{
	free(k->database);
	free(k->collection);
}

static enum status no_cursor(const struct cursor *k, struct error *err)
{
	return error_set(err, ST_SERVER, "%s at %s: the answer to a command is not a cursor of documents", mo_product(k->c), k->c->server.where);
}

/* The command with its batchSize: of find beside the rest, of others in `cursor`. */
static void first_command(const bson_t *what, int32_t batch, bson_t *to)
{
	bson_iter_t at, in;
	bson_t cursor;

	bson_init(to);
	if (bson_iter_init(&at, what) && bson_iter_next(&at) && !strcmp(bson_iter_key(&at), "find")) {
		bson_concat(to, what);
		BSON_APPEND_INT32(to, "batchSize", batch);
		return;
	}
	bson_copy_to_excluding_noinit(what, to, "cursor", NULL);
	bson_append_document_begin(to, "cursor", -1, &cursor);
	if (bson_iter_init_find(&at, what, "cursor") && BSON_ITER_HOLDS_DOCUMENT(&at) && bson_iter_recurse(&at, &in))
		while (bson_iter_next(&in))
			bson_append_iter(&cursor, NULL, -1, &in);
	BSON_APPEND_INT32(&cursor, "batchSize", batch);
	bson_append_document_end(to, &cursor);
}

static void next_command(const struct cursor *k, bson_t *to)
{
	bson_init(to);
	BSON_APPEND_INT64(to, "getMore", k->id);
	BSON_APPEND_UTF8(to, "collection", k->collection);
	BSON_APPEND_INT32(to, "batchSize", k->batch);
}

static enum status take_namespace(struct cursor *k, const char *ns, struct error *err)
{
	const char *dot = strchr(ns, '.');

	if (!dot)
		return no_cursor(k, err);
	free(k->database);
	free(k->collection);
	k->database = xstrndup(ns, (size_t)(dot - ns));
	k->collection = xstrdup(dot + 1);
	return ST_OK;
}

/* Gives the documents of a batch away as they lie in the answer. */
static enum status give_batch(struct cursor *k, bson_iter_t *batch, struct error *err)
{
	uint64_t documents = 0, bytes = 0;

	while (bson_iter_next(batch)) {
		const uint8_t *data;
		uint32_t n;
		bson_t doc;

		if (!BSON_ITER_HOLDS_DOCUMENT(batch))
			return no_cursor(k, err);
		bson_iter_document(batch, &n, &data);
		if (!bson_init_static(&doc, data, n))
			return no_cursor(k, err);
		if (documents % CHECK_DOCUMENTS == 0 && run_check(k->run, err))
			return err->code;
		documents++;
		bytes += n;
		if (k->fn(k->ctx, &doc, err))
			return err->code;
	}
	if (batch->err_off)
		return no_cursor(k, err);
	k->documents += documents;
	k->bytes += bytes;
	if (!documents)
		return ST_OK;
	/* The larger of the means of this batch and of all. */
	uint64_t mean = max_u64(max_u64(bytes / documents, k->bytes / k->documents), 1);
	uint64_t fit = min_u64(BATCH_BYTES / mean, min_u64((uint64_t)k->batch * GROW, MOST_BATCH));
	k->batch = (int32_t)max_u64(fit, 1);
	return ST_OK;
}

static enum status take_reply(struct cursor *k, const bson_t *reply, struct error *err)
{
	bson_iter_t at, in, batch;
	bool has_id = false, has_batch = false;

	if (!bson_iter_init_find(&at, reply, "cursor") || !BSON_ITER_HOLDS_DOCUMENT(&at) || !bson_iter_recurse(&at, &in))
		return no_cursor(k, err);
	while (bson_iter_next(&in)) {
		const char *key = bson_iter_key(&in);

		if (!strcmp(key, "id") && (BSON_ITER_HOLDS_INT64(&in) || BSON_ITER_HOLDS_INT32(&in))) {
			k->id = bson_iter_as_int64(&in);
			has_id = true;
		} else if (!strcmp(key, "ns") && BSON_ITER_HOLDS_UTF8(&in)) {
			if (take_namespace(k, bson_iter_utf8(&in, NULL), err))
				return err->code;
		} else if ((!strcmp(key, "firstBatch") || !strcmp(key, "nextBatch")) && BSON_ITER_HOLDS_ARRAY(&in)) {
			has_batch = bson_iter_recurse(&in, &batch);
		}
	}
	if (!has_id || !has_batch || (k->id && !k->collection))
		return no_cursor(k, err);
	return give_batch(k, &batch, err);
}

/* Where the link still stands; its own failure does not matter. */
static void kill_cursor(struct cursor *k)
{
	CLEANUP(mo_doc_release) bson_t what = BSON_INITIALIZER;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run none = RUN_INIT, soon = run_within(&none, END_WITHIN);
	bson_t ids;

	BSON_APPEND_UTF8(&what, "killCursors", k->collection);
	BSON_APPEND_ARRAY_BEGIN(&what, "cursors", &ids);
	BSON_APPEND_INT64(&ids, "0", k->id);
	bson_append_array_end(&what, &ids);
	(void)!mo_conn_command(&soon, k->c, k->database, &what, NULL, &ignored);
}

static enum status one_batch(struct cursor *k, const char *database, const bson_t *what, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t reply = BSON_INITIALIZER;

	bson_destroy(&reply);
	if (command(k->run, k->c, database, what, &reply, err)) {
		k->id = mo_conn_code(err) ? 0 : k->id;
		return err->code;
	}
	return take_reply(k, &reply, err);
}

static enum status all_batches(struct cursor *k, const char *database, const bson_t *what, struct error *err)
{
	bson_t first;

	first_command(what, k->batch, &first);
	one_batch(k, database, &first, err);
	bson_destroy(&first);
	while (!err->code && k->id) {
		bson_t next;

		next_command(k, &next);
		one_batch(k, k->database, &next, err);
		bson_destroy(&next);
	}
	return err->code;
}

enum status mo_conn_each(struct run *run, struct mo_conn *c, const char *database, const bson_t *what, mo_doc_fn *fn, void *ctx,
			 struct error *err)
{
	CLEANUP(cursor_release) struct cursor k = {.run = run, .c = c, .fn = fn, .ctx = ctx, .batch = FIRST_BATCH};

	if (!all_batches(&k, database, what, err))
		return ST_OK;
	if (!k.id || !k.collection)
		return err->code;
	if (mo_links_ended(&c->cancel->links))
		mo_conn_end_there(c);
	else if (!c->cancel->gone)
		kill_cursor(&k);
	return err->code;
}
