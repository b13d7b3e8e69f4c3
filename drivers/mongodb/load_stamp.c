#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"

bool mo_has_empty_stamp(const bson_t *doc)
{
	bson_iter_t at;
	uint32_t t, i;

	if (!bson_iter_init(&at, doc))
		return false;
	while (bson_iter_next(&at)) {
		if (!BSON_ITER_HOLDS_TIMESTAMP(&at))
			continue;
		bson_iter_timestamp(&at, &t, &i);
		if (!t && !i && strcmp(bson_iter_key(&at), "_id"))
			return true;
	}
	return false;
}

struct stored {
	const bson_t *wanted;
	bool found, same;
};

static enum status compare(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct stored *s = ctx;

	s->found = true;
	s->same = bson_equal(doc, s->wanted);
	return ST_OK;
}

/* {_id: X}, in a form that no X can be taken for an operator in. */
static bool put_filter(bson_t *to, const char *key, const bson_t *doc)
{
	bson_iter_t at;
	bson_t filter, equal;

	if (!bson_iter_init_find(&at, doc, "_id"))
		return false;
	BSON_APPEND_DOCUMENT_BEGIN(to, key, &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "_id", &equal);
	bson_append_iter(&equal, "$eq", -1, &at);
	bson_append_document_end(&filter, &equal);
	bson_append_document_end(to, &filter);
	return true;
}

static enum status look(struct run *run, const struct mo_insert *in, struct stored *s, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "find", in->collection);
	if (!put_filter(&command, "filter", s->wanted))
		return error_set(err, ST_UNSUPPORTED, "a document of %s.%s has a Timestamp(0,0), which this server replaces by its own time, and no _id by"
						      " which it could be mended; a server of version 8.0 keeps it", in->database, in->collection);
	BSON_APPEND_INT32(&command, "limit", 1);
	return mo_conn_each(run, in->c, in->database, &command, compare, s, err);
}

/* As the result of an aggregation it is stored as it is. */
static enum status put_again(struct run *run, const struct mo_insert *in, const bson_t *doc, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t updates, one, stages, stage, replace, root;

	BSON_APPEND_UTF8(&command, "update", in->collection);
	BSON_APPEND_ARRAY_BEGIN(&command, "updates", &updates);
	BSON_APPEND_DOCUMENT_BEGIN(&updates, "0", &one);
	(void)put_filter(&one, "q", doc);
	BSON_APPEND_ARRAY_BEGIN(&one, "u", &stages);
	BSON_APPEND_DOCUMENT_BEGIN(&stages, "0", &stage);
	BSON_APPEND_DOCUMENT_BEGIN(&stage, "$replaceRoot", &replace);
	BSON_APPEND_DOCUMENT_BEGIN(&replace, "newRoot", &root);
	BSON_APPEND_DOCUMENT(&root, "$literal", doc);
	bson_append_document_end(&replace, &root);
	bson_append_document_end(&stage, &replace);
	bson_append_document_end(&stages, &stage);
	bson_append_array_end(&one, &stages);
	bson_append_document_end(&updates, &one);
	bson_append_array_end(&command, &updates);
	if (in->unchecked)
		BSON_APPEND_BOOL(&command, "bypassDocumentValidation", true);
	return mo_change(run, in->c, in->database, &command, err);
}

static enum status mend(struct run *run, const struct mo_insert *in, const bson_t *doc, struct error *err)
{
	struct stored s = {.wanted = doc};
	CLEANUP(cstr_release) char *id = NULL;

	if (look(run, in, &s, err) || (!s.same && (put_again(run, in, doc, err) || look(run, in, &s, err))))
		return error_add(err, "a document with a Timestamp(0,0)");
	if (s.same)
		return ST_OK;
	id = mo_id_text(doc);
	return error_set(err, ST_SERVER, "the server stores the document with _id %s of %s.%s otherwise than it was given", id, in->database,
			 in->collection);
}

enum status mo_mend_stamps(struct run *run, const struct mo_insert *in, const bson_t *documents, struct error *err)
{
	bson_iter_t at;
	bson_t doc;

	if (!bson_iter_init(&at, documents))
		return ST_OK;
	while (bson_iter_next(&at))
		if (mo_look_doc(documents, bson_iter_key(&at), &doc) && mo_has_empty_stamp(&doc) && mend(run, in, &doc, err))
			return err->code;
	return ST_OK;
}
