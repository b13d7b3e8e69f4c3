#include "drivers/mongodb/load.h"

#include "drivers/mongodb/about.h"
#include "drivers/mongodb/look.h"

#define BATCH_BYTES ((size_t)1 << 20) /* of a command with several documents */
/* DocumentDB takes 25,000, whatever it says of itself. */
#define BATCH_DOCUMENTS 20000u
#define COMMAND_ROOM 1024u            /* of all but the documents */
#define ID_SHOWN 200u

/* ---- messages ---- */

char *mo_id_text(const bson_t *doc)
{
	CLEANUP(mo_doc_release) bson_t id = BSON_INITIALIZER;
	bson_iter_t at;

	if (!bson_iter_init_find(&at, doc, "_id"))
		return xstrdup("none");
	bson_append_iter(&id, "_id", -1, &at);
	char *json = bson_as_canonical_extended_json(&id, NULL), *text;
	if (!json)
		return xstrdup("not readable");
	/* Without the braces and the name around it. */
	size_t n = strlen(json), begin = strcspn(json, ":") + 1;
	while (begin < n && json[begin] == ' ')
		begin++;
	while (n > begin && (json[n - 1] == ' ' || (json[n - 1] == '}' && json[begin] != '{')))
		n--;
	if (n > begin && json[begin] == '{' && json[n - 1] == '}')
		for (n--; n > begin && json[n - 1] == ' ';)
			n--;
	text = n - begin > ID_SHOWN ? xasprintf("%.*s...", (int)ID_SHOWN, json + begin) : xstrndup(json + begin, n - begin);
	bson_free(json);
	return text;
}

/* ---- what the server did not write ---- */

static bool is_there_already(const bson_t *error)
{
	bson_t pattern;
	const char *text = mo_look_str(error, "errmsg");
	bson_iter_t at;

	if (mo_look_num(error, "code", 0) != MO_DUPLICATE_KEY)
		return false;
	if (mo_look_doc(error, "keyPattern", &pattern))
		return bson_count_keys(&pattern) == 1 && bson_iter_init_find(&at, &pattern, "_id");
	return text && strstr(text, "_id_");
}

static enum status refused(const struct mo_insert *in, const bson_t *error, const bson_t *documents, struct error *err)
{
	const char *why = mo_look_str(error, "errmsg");
	CLEANUP(cstr_release) char *key = xasprintf("%" PRId64, mo_look_num(error, "index", 0)), *id = NULL;
	CLEANUP(cstr_release) char *code = xasprintf("%" PRId64, mo_look_num(error, "code", 0));
	bson_t doc;

	id = mo_look_doc(documents, key, &doc) ? mo_id_text(&doc) : xstrdup("not known");
	error_set(err, ST_SERVER, "the server does not take the document with _id %s into %s.%s: %s", id, in->database, in->collection,
		  why ? why : "it does not say why");
	error_native(err, code);
	return err->code;
}

/* again: of some of them the server may have been given before. */
static enum status count_rows(struct mo_insert *in, bool again, const bson_t *reply, const bson_t *documents, struct error *err)
{
	int64_t n = mo_look_num(reply, "n", -1);
	bson_t errors, one;
	bson_iter_t at;

	if (n < 0 || n > in->n)
		return error_set(err, ST_SERVER, "the server does not say how many documents it took into %s.%s", in->database, in->collection);
	in->rows += (uint64_t)n;
	if (!mo_look_doc(reply, "writeErrors", &errors) || !bson_iter_init(&at, &errors))
		return ST_OK;
	while (bson_iter_next(&at)) {
		if (!mo_look_doc(&errors, bson_iter_key(&at), &one))
			return error_set(err, ST_SERVER, "the server's answer to insert is not of the usual form");
		if (!again || !is_there_already(&one))
			return refused(in, &one, documents, err);
		in->rows++;
	}
	return ST_OK;
}

/* ---- the command ---- */

static void begin(struct mo_insert *in)
{
	bson_init(&in->command);
	BSON_APPEND_UTF8(&in->command, "insert", in->collection);
	BSON_APPEND_ARRAY_BEGIN(&in->command, "documents", &in->documents);
	in->open = true;
	in->stamps = false;
	in->n = 0;
	in->bytes = 0;
}

bool mo_keeps_stamps(const struct mo_conn *c)
{
	return !mo_about_is_other(&c->server) && c->server.version >= 80000;
}

void mo_insert_release(struct mo_insert *in)
{
	if (!in->open)
		return;
	bson_append_array_end(&in->command, &in->documents);
	bson_destroy(&in->command);
	in->open = false;
}

/* The series is told to take buckets of mixed schema, once; then the whole batch is tried again, of which some are there by now. */
static enum status send_mixed(struct run *run, struct mo_insert *in, const bson_t *command, bson_t *reply, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t again;

	bson_init(&again);
	bson_copy_to_excluding_noinit(command, &again, "ordered", NULL);
	BSON_APPEND_BOOL(&again, "ordered", false);
	in->mixed = true;
	if (mo_allow_mixed(run, in->c, in->database, in->collection, err))
		return err->code;
	bson_destroy(reply);
	return mo_conn_command(run, in->c, in->database, &again, reply, err);
}

static enum status send_batch(struct run *run, struct mo_insert *in, bson_t *command, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t reply;
	bson_t documents;
	bool again = in->again;

	/* After an attempt that broke each document is tried, whatever is there already. */
	BSON_APPEND_BOOL(command, "ordered", !again);
	if (in->unchecked)
		BSON_APPEND_BOOL(command, "bypassDocumentValidation", true);
	if (in->raw_data)
		BSON_APPEND_BOOL(command, "rawData", true);
	if (in->stamps && mo_keeps_stamps(in->c))
		BSON_APPEND_BOOL(command, "bypassEmptyTsReplacement", true);
	if (mo_conn_command(run, in->c, in->database, command, &reply, err))
		return err->code;
	if (!in->mixed && mo_refuses_mixed(&reply)) {
		again = true;
		if (send_mixed(run, in, command, &reply, err))
			return err->code;
	}
	if (!mo_look_doc(command, "documents", &documents))
		return error_set(err, ST_FAILED, "an insert without documents");
	if (count_rows(in, again, &reply, &documents, err))
		return err->code;
	return in->stamps && !mo_keeps_stamps(in->c) && !in->raw_data ? mo_mend_stamps(run, in, &documents, err) : ST_OK;
}

enum status mo_insert_flush(struct run *run, struct mo_insert *in, struct error *err)
{
	if (!in->open)
		return ST_OK;
	bson_append_array_end(&in->command, &in->documents);
	in->open = false;
	enum status st = in->n ? send_batch(run, in, &in->command, err) : ST_OK;
	bson_destroy(&in->command);
	return st;
}

enum status mo_insert_add(struct run *run, struct mo_insert *in, const bson_t *doc, struct error *err)
{
	const struct mo_server *s = &in->c->server;
	char text[16];
	const char *key = NULL;

	if (doc->len > (uint32_t)s->max_document) {
		CLEANUP(cstr_release) char *id = mo_id_text(doc);

		return error_set(err, ST_SERVER, "the server takes documents of %" PRId32 " bytes at most; the one with _id %s of %s.%s has %" PRIu32,
				 s->max_document, id, in->database, in->collection, doc->len);
	}
	if (in->open && in->n && (in->bytes + doc->len > BATCH_BYTES || in->n >= min_u64(BATCH_DOCUMENTS, (uint64_t)s->max_batch) ||
				  in->bytes + doc->len + COMMAND_ROOM > (size_t)s->max_message) &&
	    mo_insert_flush(run, in, err))
		return err->code;
	if (!in->open)
		begin(in);
	int n = (int)bson_uint32_to_string(in->n, &key, text, sizeof text);
	if (!bson_append_document(&in->documents, key, n, doc))
		return error_set(err, ST_MEMORY, "a document of %" PRIu32 " bytes does not fit into a command", doc->len);
	in->stamps |= mo_has_empty_stamp(doc);
	in->n++;
	in->bytes += doc->len + (size_t)n + 2;
	return ST_OK;
}
