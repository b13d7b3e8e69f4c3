/* Users and roles as recorded: the server itself merges them from collections that are put beside, as mongorestore does it. */
#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"

#define MERGE "_mergeAuthzCollections"
#define BAD_VALUE 2

static const struct {
	const char *file, *word, *key;
} kinds[] = {
	{"accounts/system.users.bson", "users", "tempUsersCollection"},
	{"accounts/system.roles.bson", "roles", "tempRolesCollection"},
};

/* Without collections the command does nothing but say that it wants some, to those who may use it. */
enum status mo_users_able(struct run *run, struct mo_conn *c, bool *able, char **why, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error answer = ERROR_INIT;

	BSON_APPEND_INT32(&command, MERGE, 1);
	BSON_APPEND_UTF8(&command, "tempUsersCollection", "");
	BSON_APPEND_UTF8(&command, "tempRolesCollection", "");
	BSON_APPEND_BOOL(&command, "drop", false);
	BSON_APPEND_UTF8(&command, "db", "");
	*why = NULL;
	*able = !mo_conn_command(run, c, "admin", &command, NULL, &answer) || mo_conn_code(&answer) == BAD_VALUE;
	if (*able)
		return ST_OK;
	if (mo_conn_lost(&answer))
		return error_move(err, &answer);
	if (mo_conn_code(&answer) == MO_UNAUTHORIZED)
		*why = xstrdup("this account may not: it needs the role restore");
	else
		*why = xasprintf("the server has no command " MERGE " (%s)", error_text(&answer));
	return ST_OK;
}

struct putting {
	struct run *run;
	struct mo_insert in;
};

static enum status put_one(void *ctx, const bson_t *doc, struct error *err)
{
	struct putting *p = ctx;

	return mo_insert_add(p->run, &p->in, doc, err);
}

static enum status put_file(struct run *run, struct mo_load *l, const char *file, const char *collection, bool *has, struct error *err)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT, part = BUF_INIT;
	struct putting p = {.run = run, .in = {.c = l->conn, .database = "admin", .collection = collection}};

	if (mo_load_file(l->q, NULL, file, &bytes, has, err) || !*has)
		return err->code;
	*has = bytes.len > 0;
	if (mo_drop_collection(run, l->conn, "admin", collection, err))
		return err->code;
	enum status st = mo_split(&part, bytes.data, bytes.len, put_one, &p, err);
	if (!st)
		st = mo_insert_flush(run, &p.in, err);
	mo_insert_release(&p.in);
	if (!st && part.len)
		st = error_set(err, ST_BAD, "it ends inside a document");
	return st ? error_add(err, "%s", file) : ST_OK;
}

static enum status merge(struct run *run, struct mo_load *l, char *const *collection, const bool *has, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_INT32(&command, MERGE, 1);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		CLEANUP(cstr_release) char *full = has[i] ? xasprintf("admin.%s", collection[i]) : xstrdup("");

		BSON_APPEND_UTF8(&command, kinds[i].key, full);
	}
	BSON_APPEND_BOOL(&command, "drop", false);
	BSON_APPEND_UTF8(&command, "db", "");
	if (!mo_change(run, l->conn, "admin", &command, err))
		return ST_OK;
	if (mo_conn_code(err) == MO_COMMAND_NOT_FOUND)
		error_hint(err, "This server has no way to take accounts as they are: restore with --users none and make them anew.");
	return error_add(err, "making the recorded accounts");
}

enum status mo_load_users(struct run *run, struct mo_load *l, struct error *err)
{
	char *collection[ARRAY_LEN(kinds)];
	bool has[ARRAY_LEN(kinds)] = {false};
	CLEANUP(error_release) struct error why = ERROR_INIT;
	enum status st = ST_OK;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		collection[i] = xasprintf("drtool_%s_%s", kinds[i].word, l->q->run);
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !st; i++)
		st = put_file(run, l, kinds[i].file, collection[i], &has[i], err);
	if (!st && (has[0] || has[1]))
		st = merge(run, l, collection, has, err);
	/* They hold password hashes. */
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (has[i] && mo_drop_collection(run, l->conn, "admin", collection[i], &why)) {
			notes_add(l->e->notes, "drop the collection admin.%s: %s", collection[i], error_text(&why));
			error_release(&why);
		}
		free(collection[i]);
	}
	return st;
}
