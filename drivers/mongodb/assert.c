#include "drivers/mongodb/conn.h"
#include "drivers/mongodb/look.h"
#include "drivers/mongodb/meta.h"
#include "drivers/mongodb/modriver.h"

#define ANSWER_MOST ((size_t)200)
#define EXAMPLE "{\"count\": \"orders\"}, or an aggregate whose only document begins with true or a number other than 0"

static enum status refuse(const char *query, const char *why, struct error *err)
{
	error_set(err, ST_CONFIG, "assert \"%s\": %s", query, why);
	return error_hint(err, "Write a command in JSON that only reads: count, find, distinct or aggregate, such as %s.", EXAMPLE);
}

/* ---- what is asked ---- */

static bool stage_writes(const bson_iter_t *stage)
{
	bson_iter_t at;

	if (!BSON_ITER_HOLDS_DOCUMENT(stage) || !bson_iter_recurse(stage, &at) || !bson_iter_next(&at))
		return false;
	return !strcmp(bson_iter_key(&at), "$out") || !strcmp(bson_iter_key(&at), "$merge");
}

static bool pipeline_writes(const bson_t *command)
{
	bson_iter_t pipeline, at;
	bool writes = false;

	if (!mo_look(command, "pipeline", &pipeline) || !BSON_ITER_HOLDS_ARRAY(&pipeline) || !bson_iter_recurse(&pipeline, &at))
		return false;
	while (bson_iter_next(&at))
		writes = writes || stage_writes(&at);
	return writes;
}

enum kind { ASK_NUMBER, ASK_VALUES, ASK_CURSOR };

static bool kind_of(const char *command, enum kind *kind)
{
	static const struct {
		const char *command;
		enum kind kind;
	} known[] = {{"count", ASK_NUMBER}, {"distinct", ASK_VALUES}, {"find", ASK_CURSOR}, {"aggregate", ASK_CURSOR}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(command, known[i].command)) {
			*kind = known[i].kind;
			return true;
		}
	return false;
}

/* The command as it is sent: without what is the connection's to say. */
static enum status read_query(const char *query, bson_t *command, enum kind *kind, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t asked = BSON_INITIALIZER;
	bson_error_t wrong;
	bson_iter_t at;

	if (!bson_init_from_json(&asked, query, -1, &wrong)) {
		bson_init(&asked);
		return refuse(query, "is no JSON", err);
	}
	if (!bson_iter_init(&at, &asked) || !bson_iter_next(&at) || !kind_of(bson_iter_key(&at), kind))
		return refuse(query, "is no command that only reads", err);
	if (pipeline_writes(&asked))
		return refuse(query, "its pipeline writes", err);
	do {
		const char *key = bson_iter_key(&at);

		if (*key == '$')
			return refuse(query, "a key of a command does not begin with $", err);
		if (strcmp(key, "cursor") && strcmp(key, "batchSize"))
			bson_append_iter(command, key, -1, &at);
	} while (bson_iter_next(&at));
	return ST_OK;
}

/* ---- what is answered ---- */

struct answer {
	uint64_t documents;
	bool holds;
	char *first;
	bool enough;
};

static char *text_of(const bson_iter_t *at)
{
	bson_t one = BSON_INITIALIZER;

	BSON_APPEND_VALUE(&one, "", bson_iter_value((bson_iter_t *)(uintptr_t)at));
	char *json = bson_as_relaxed_extended_json(&one, NULL);
	const char *from = json ? strchr(json, ':') : NULL;
	size_t n = from ? strlen(from) : 0;
	char *text = NULL;

	/* { "" : VALUE } */
	if (n > 3)
		text = xstrndup(from + 2, min_size(n - 4, ANSWER_MOST));
	bson_free(json);
	bson_destroy(&one);
	return text ? text : xstrdup("");
}

static enum status take_document(void *ctx, const bson_t *doc, struct error *err)
{
	struct answer *a = ctx;
	bson_iter_t at;

	if (a->documents++) {
		a->enough = true;
		return error_set(err, ST_FAILED, "more than one document");
	}
	if (!bson_iter_init(&at, doc) || !bson_iter_next(&at))
		return ST_OK;
	a->holds = mo_look_holds(&at);
	a->first = text_of(&at);
	return ST_OK;
}

static void take_number(const bson_t *reply, struct answer *a)
{
	bson_iter_t at;

	if (!mo_look(reply, "n", &at))
		return;
	a->documents = 1;
	a->holds = mo_look_holds(&at);
	a->first = text_of(&at);
}

static void take_values(const bson_t *reply, struct answer *a)
{
	bson_iter_t values, at;

	if (!mo_look(reply, "values", &values) || !BSON_ITER_HOLDS_ARRAY(&values) || !bson_iter_recurse(&values, &at))
		return;
	while (bson_iter_next(&at))
		if (!a->documents++) {
			a->holds = mo_look_holds(&at);
			a->first = text_of(&at);
		}
}

static enum status ask(struct run *run, struct mo_conn *c, const char *database, const bson_t *command, enum kind kind, struct answer *a,
		       struct error *err)
{
	CLEANUP(mo_doc_release) bson_t reply = BSON_INITIALIZER;

	if (kind == ASK_CURSOR) {
		if (mo_conn_each(run, c, database, command, take_document, a, err) && a->enough)
			error_release(err);
		return err->code;
	}
	if (mo_conn_command(run, c, database, command, &reply, err))
		return err->code;
	if (kind == ASK_NUMBER)
		take_number(&reply, a);
	else
		take_values(&reply, a);
	return ST_OK;
}

static enum status find_place(const struct endpoint *e, const char *database, struct mo_where *to, struct error *err)
{
	CLEANUP(cstr_release) char *of_url = NULL;

	if (!database && mo_conn_url_database(e, &of_url, err))
		return err->code;
	if (database || of_url)
		return mo_where_parse(database ? database : of_url, to, err);
	error_set(err, ST_CONFIG, "assert: the URL names no database");
	return error_hint(err, "Write it into the URL: mongodb://HOST/DATABASE.");
}

/* The collection as it is called in the place. */
static void put_in_place(const struct mo_where *w, bson_t *command)
{
	bson_iter_t at;
	bson_t moved = BSON_INITIALIZER;

	if (!*w->suffix || !bson_iter_init(&at, command) || !bson_iter_next(&at) || !BSON_ITER_HOLDS_UTF8(&at))
		return;
	CLEANUP(cstr_release) char *name = mo_where_collection(w, bson_iter_utf8(&at, NULL));
	BSON_APPEND_UTF8(&moved, bson_iter_key(&at), name);
	while (bson_iter_next(&at))
		bson_append_iter(&moved, bson_iter_key(&at), -1, &at);
	bson_destroy(command);
	bson_steal(command, &moved);
}

enum status mo_assert_query(struct run *run, const struct endpoint *e, const char *database, const char *query, bool *holds, char **answer,
			    struct error *err)
{
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_where_release) struct mo_where where = MO_WHERE_INIT;
	struct answer a = {0};
	enum kind kind = ASK_NUMBER;

	*holds = false;
	*answer = NULL;
	if (read_query(query, &command, &kind, err) || find_place(e, database, &where, err) || mo_conn_open(run, e, MO_READ, &c, err))
		return err->code;
	put_in_place(&where, &command);
	if (ask(run, c, where.database, &command, kind, &a, err)) {
		free(a.first);
		return error_add(err, "assert \"%s\"", query);
	}
	*holds = a.documents == 1 && a.holds;
	*answer = a.documents == 1 ? a.first : xasprintf("%s", a.documents ? "more than one document" : "no document");
	if (a.documents == 1)
		*answer = *answer ? *answer : xstrdup("an empty document");
	else
		free(a.first);
	return ST_OK;
}
