/* list --deleted and prune --undelete: backups behind delete markers, in a store that keeps versions. The storage is opened without
 * its identity, because whoever deleted the backups may have deleted that, too. */
#include "ops/internal.h"

static enum status open_storage(struct op_env *env, const struct op_store *from, struct storage *s, struct error *err)
{
	return storage_open(env->run, from->ops, from->url, from->params, s, err) ? error_add(err, "store %s", from->name) : ST_OK;
}

/* Among several stores, one without versions is as one without deleted backups. */
static enum status no_versions(const struct op_store *from, struct error *err)
{
	if (err->code != ST_UNSUPPORTED)
		return error_add(err, "store %s", from->name);
	error_set(err, ST_NOT_FOUND, "store %s keeps nothing of what was deleted", from->name);
	return error_hint(err, "Only a bucket with versioning does.");
}

enum status op_deleted(struct op_env *env, const struct op_store *from, const char *source, struct hidden_backups *to,
		       struct error *err)
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;

	if (open_storage(env, from, &s, err))
		return err->code;
	return hidden_list(env->run, &s, source, to, err) ? no_versions(from, err) : ST_OK;
}

/* Ids of the source that can come back: all, or the one. */
static enum status choose(struct op_env *env, const struct undelete_request *q, struct strlist *ids, struct error *err)
{
	CLEANUP(hidden_backups_release) struct hidden_backups hidden = HIDDEN_BACKUPS_INIT;
	bool all = !strcmp(q->which, "all");

	if (op_deleted(env, q->from, q->source, &hidden, err))
		return err->code;
	for (size_t i = 0; i < hidden.len; i++) {
		const struct hidden_backup *b = &hidden.item[i];

		if ((all || !strcmp(b->id, q->which)) && (b->manifest || b->listed))
			strlist_add(ids, b->id);
	}
	if (ids->len)
		return ST_OK;
	error_set(err, ST_NOT_FOUND, "store %s has no deleted backup %s%s%s that can come back", q->from->name, all ? "" : q->which,
		  all ? "of " : " of ", q->source);
	return error_hint(err, "`drtool list %s --deleted` shows what there is.", q->source);
}

static void write_record(struct op_env *env, struct store *s, const struct undelete_request *q, const char *id)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct instant now = run_now(env->run);
	const struct evidence e = {.kind = "undelete", .source = q->source, .backup = id, .outcome = EVIDENCE_GOOD, .started = now,
				   .finished = now};

	if (evidence_write(env->run, s, &e, &err))
		notes_add(env->notes, "store %s: %s", s->name, error_text(&err));
}

static enum status bring_back(struct op_env *env, const struct undelete_request *q, const struct strlist *ids, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(lock_release) struct lock *lock = NULL;

	if (store_open_one(env, q->from, &s, err))
		return err->code;
	const struct lock_spec spec = {.store = &s, .source = q->source, .role = "backup", .what = "undelete"};
	if (lock_take(env->run, &spec, &lock, err))
		return err->code;
	for (size_t i = 0; i < ids->len; i++) {
		if (lock_still_held(env->run, lock, err) || hidden_undelete(env->run, &s, q->source, ids->item[i], err))
			return err->code;
		write_record(env, &s, q, ids->item[i]);
	}
	return ST_OK;
}

/* The identity, without which a storage is no store, and the lock: behind a marker some servers neither show nor replace it. */
static enum status clear_way(struct op_env *env, const struct undelete_request *q, struct error *err)
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	CLEANUP(cstr_release) char *lock = catalog_key(q->source, "lock", "backup.json");
	bool was, locked;

	if (open_storage(env, q->from, &s, err))
		return err->code;
	if (hidden_undelete_key(env->run, &s, STORE_IDENTITY_KEY, &was, err) ||
	    hidden_undelete_key(env->run, &s, lock, &locked, err))
		return error_add(err, "store %s", q->from->name);
	if (was)
		op_say(env, "the identity of store %s was deleted, too, and is back", q->from->name);
	return ST_OK;
}

enum status op_undelete(struct op_env *env, const struct undelete_request *q, struct strlist *ids, struct error *err)
{
	if (choose(env, q, ids, err) || q->dry_run || clear_way(env, q, err))
		return err->code;
	return bring_back(env, q, ids, err);
}
