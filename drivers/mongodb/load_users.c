/* Users and roles as recorded: the server itself merges them from collections that are put beside, as mongorestore does it, under the only names that the
 * role restore may read. Where these are there and are not of this run, somebody else is at it. */
#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"

#define MERGE "_mergeAuthzCollections"
#define BAD_VALUE 2
#define MARK "accounts" /* in the state of the run, while its collections are there */
#define CLOSE_WAIT DURATION_SECONDS(5)

static const struct {
	const char *file, *collection, *key;
} kinds[] = {
	{MO_USERS_PATH, "tempusers", "tempUsersCollection"},
	{MO_ROLES_PATH, "temproles", "tempRolesCollection"},
};

/* ---- collections of others ---- */

static enum status take_name(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	const char *name = mo_look_str(doc, "name");
	struct buf *to = ctx;

	for (size_t i = 0; name && i < ARRAY_LEN(kinds); i++)
		if (!strcmp(name, kinds[i].collection))
			buf_printf(to, "%sadmin.%s", to->len ? ", " : "", name);
	return ST_OK;
}

/* Why they cannot be used; NULL: they can. Owned by the caller. */
static enum status find_others(struct run *run, struct mo_conn *c, const struct mo_mark *m, char **why, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	bool own = false;

	*why = NULL;
	BSON_APPEND_INT32(&command, "listCollections", 1);
	BSON_APPEND_BOOL(&command, "nameOnly", true);
	if (mo_conn_each(run, c, "admin", &command, take_name, &names, err))
		return error_add(err, "the collections of database admin");
	if (!names.len || mo_mark_has(run, c, m, MARK, &own, err) || own)
		return err->code;
	*why = xasprintf("%s is there already, where the server is to find the accounts: another restore may be at work; drop it where none is", buf_str(&names));
	return ST_OK;
}

/* In the state of the first database. */
static enum status mark_of(const struct load_plan *p, const char *run_id, struct mo_where *w, struct mo_mark *m, struct error *err)
{
	if (mo_where_parse(p->scope[0].target, w, err))
		return err->code;
	*m = (struct mo_mark){w->database, run_id};
	return ST_OK;
}

/* ---- before anything is changed ---- */

/* Without collections the command does nothing but say that it wants some, to those who may use it. */
static enum status try_merge(struct run *run, struct mo_conn *c, char **why, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error answer = ERROR_INIT;

	BSON_APPEND_INT32(&command, MERGE, 1);
	BSON_APPEND_UTF8(&command, "tempUsersCollection", "");
	BSON_APPEND_UTF8(&command, "tempRolesCollection", "");
	BSON_APPEND_BOOL(&command, "drop", false);
	BSON_APPEND_UTF8(&command, "db", "");
	if (!mo_conn_command(run, c, "admin", &command, NULL, &answer) || mo_conn_code(&answer) == BAD_VALUE)
		return ST_OK;
	if (mo_conn_lost(&answer))
		return error_move(err, &answer);
	if (mo_conn_denied(&answer))
		*why = xstrdup("this account may not: it needs the role restore on admin");
	else
		*why = xasprintf("the server has no command " MERGE " (%s)", error_text(&answer));
	return ST_OK;
}

enum status mo_users_able(struct run *run, struct mo_conn *c, const struct load_plan *p, const char *run_id, char **why, struct error *err)
{
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;
	struct mo_mark m;

	*why = NULL;
	if (try_merge(run, c, why, err) || *why)
		return err->code;
	return mark_of(p, run_id, &w, &m, err) ? err->code : find_others(run, c, &m, why, err);
}

/* ---- the accounts ---- */

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
	enum status st = mo_split(&part, bytes.data, bytes.len, put_one, &p, err);
	if (!st)
		st = mo_insert_flush(run, &p.in, err);
	mo_insert_release(&p.in);
	if (!st && part.len)
		st = error_set(err, ST_BAD, "it ends inside a document");
	return st ? error_add(err, "%s", file) : ST_OK;
}

static enum status merge(struct run *run, struct mo_load *l, const bool *has, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_INT32(&command, MERGE, 1);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		CLEANUP(cstr_release) char *full = has[i] ? xasprintf("admin.%s", kinds[i].collection) : xstrdup("");

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

static enum status drop_all(struct run *run, struct mo_conn *c, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (mo_drop_collection(run, c, "admin", kinds[i].collection, err))
			return err->code;
	return ST_OK;
}

/* From here on what has these names is the run's own, whatever ends it. */
static enum status claim(struct run *run, struct mo_load *l, const struct mo_mark *m, struct error *err)
{
	CLEANUP(cstr_release) char *why = NULL;

	if (find_others(run, l->conn, m, &why, err))
		return err->code;
	if (why)
		return error_set(err, ST_REFUSED, "--users all: %s", why);
	if (mo_mark_set(run, l->conn, m, MARK, err))
		return err->code;
	l->hashes = true;
	return drop_all(run, l->conn, err);
}

/* They hold password hashes. */
static enum status leave(struct run *run, struct mo_load *l, struct mo_conn *c, const struct mo_mark *m, struct error *err)
{
	if (!l->hashes)
		return ST_OK;
	if (drop_all(run, c, err) || mo_mark_forget(run, c, m, MARK, err))
		return err->code;
	l->hashes = false;
	return ST_OK;
}

enum status mo_load_users(struct run *run, struct mo_load *l, struct error *err)
{
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	bool has[ARRAY_LEN(kinds)] = {false};
	struct mo_mark m;

	if (mark_of(l->p, l->q->run, &w, &m, err))
		return err->code;
	enum status st = claim(run, l, &m, err);
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !st; i++)
		st = put_file(run, l, kinds[i].file, kinds[i].collection, &has[i], err);
	if (!st && (has[0] || has[1]))
		st = merge(run, l, has, err);
	/* What cannot be dropped now is at the end. */
	(void)!leave(run, l, l->conn, &m, &why);
	return st;
}

void mo_load_users_leave(struct mo_load *l)
{
	struct run none = RUN_INIT, bounded = run_within(&none, CLOSE_WAIT);
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	struct mo_mark m;

	if (l->hashes && (mark_of(l->p, l->q->run, &w, &m, &why) || mo_load_connect(&bounded, l, &c, &why) || leave(&bounded, l, c, &m, &why)))
		notes_add(l->e->notes, "drop the collections admin.%s and admin.%s, where they are there: %s", kinds[0].collection, kinds[1].collection,
			  error_text(&why));
}
