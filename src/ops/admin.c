/* Store administration: prune, pin, unpin, accept, unlock. */
#include "ops/internal.h"
#include "ops/recover.h"

#include <pwd.h>
#include <unistd.h>

/* user@host, for marks that others read. */
static char *who_am_i(void)
{
	char host[256] = "?", text[4096];
	struct passwd pw, *found = NULL;

	if (gethostname(host, sizeof host))
		host[0] = 0;
	host[sizeof host - 1] = 0;
	if (getpwuid_r(geteuid(), &pw, text, sizeof text, &found) || !found)
		return xasprintf("uid %u@%s", (unsigned)geteuid(), host);
	return xasprintf("%s@%s", found->pw_name, host);
}

enum status op_prune(struct op_env *env, const struct prune_request *q, struct prune_result *r, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(lock_release) struct lock *lock = NULL;

	if (store_open_one(env, q->from, &s, err))
		return err->code;
	struct lock_spec spec = {.store = &s, .source = q->source, .role = "backup", .what = "prune"};
	if (!q->dry_run && lock_take(env->run, &spec, &lock, err))
		return err->code;
	struct prune_input in = {
		.store = &s,
		.source = q->source,
		.policy = q->policy,
		.now = run_now(env->run),
		.lock = lock,
		.dry_run = q->dry_run,
	};
	enum status st = prune_run(env->run, &in, r, err);

	if (!q->dry_run && st != ST_CANCELLED)
		recover_write(env, &s);
	return st;
}

static enum status mark_one(struct op_env *env, struct store *s, const struct mark_request *q, const char *who, const char *id, struct error *err)
{
	struct catalog_mark m = {.backup = id, .because = q->because, .who = who, .until = q->until};

	switch (q->kind) {
	case MARK_PIN:
		/* Looked at after it: prune may have chosen the backup before the pin was there. */
		return catalog_pin_backup(env->run, s, q->source, &m, err) ? err->code : catalog_confirm(env->run, s, q->source, id, err);
	case MARK_UNPIN:
		return catalog_unpin_backup(env->run, s, q->source, &m, err);
	case MARK_ACCEPT:
	default:
		return catalog_accept(env->run, s, q->source, &m, err);
	}
}

/* accept without a name means the newest suspect one; pin means the newest good one. */
static enum status chosen(const struct catalog *c, const struct mark_request *q, size_t *index, struct error *err)
{
	struct catalog_query query = {.which = q->which};
	size_t passed_over;

	if (q->kind == MARK_ACCEPT && !q->which) {
		for (size_t i = c->backups; i-- > 0;)
			if (c->backup[i].suspect) {
				*index = i;
				return ST_OK;
			}
		return error_set(err, ST_NOT_FOUND, "no backup of %s is suspect", q->source);
	}
	return catalog_find(c, &query, index, &passed_over, err);
}

/* Of those since a time: what there is nothing to say about is passed over. */
static bool is_meant(const struct catalog_backup *b, enum mark_kind kind)
{
	return kind == MARK_UNPIN ? b->pins > 0 : kind == MARK_ACCEPT ? b->suspect : true;
}

enum status op_mark(struct op_env *env, const struct mark_request *q, struct strlist *ids, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	CLEANUP(cstr_release) char *who = who_am_i();
	size_t index;

	if (!q->because || !*q->because)
		return error_set(err, ST_USAGE, "--because TEXT is needed: whoever reads it later wants to know why");
	if (store_open_one(env, q->from, &s, err) || catalog_read(env->run, &s, q->source, &c, err))
		return err->code;
	if (!q->since.us) {
		if (chosen(&c, q, &index, err))
			return err->code;
		strlist_add(ids, c.backup[index].manifest.id);
	}
	for (size_t i = 0; q->since.us && i < c.backups; i++)
		if (c.backup[i].manifest.started.us >= q->since.us && is_meant(&c.backup[i], q->kind))
			strlist_add(ids, c.backup[i].manifest.id);
	if (!ids->len)
		return error_set(err, ST_NOT_FOUND, "%s has no %sbackup since then", q->source,
				 q->kind == MARK_UNPIN ? "pinned " : q->kind == MARK_ACCEPT ? "suspect " : "");
	for (size_t i = 0; i < ids->len; i++)
		if (mark_one(env, &s, q, who, ids->item[i], err))
			return error_add(err, "backup %s", ids->item[i]);
	return ST_OK;
}

enum status op_unlock(struct op_env *env, const struct op_store *from, const char *source, const char *role, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(lock_info_release) struct lock_info i = {0};
	char since[INSTANT_TEXT], beat[INSTANT_TEXT];

	if (store_open_one(env, from, &s, err) || lock_read(env->run, &s, source, role, &i, err))
		return err->code;
	if (!i.held)
		return error_set(err, ST_NOT_FOUND, "%s has no %s lock in store %s", source, role, s.name);
	op_say(env, "%s lock of %s in %s: %s, by process %" PRId64 " on %s since %s, last heartbeat %s%s", role, source, s.name, i.what, i.pid, i.host,
	       instant_iso(i.since, since), instant_iso(i.heartbeat, beat), i.same_process_gone ? "; that process is gone" : i.stale ? "; stale" : "");
	if (op_confirm(env, i.stale || i.same_process_gone ? "Break the lock?" : "The holder looks ALIVE. Break its lock all the same?", err))
		return err->code;
	return lock_break(env->run, &s, source, role, &i, err);
}
