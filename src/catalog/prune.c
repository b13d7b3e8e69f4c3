#include "catalog/prune.h"

#include "catalog/evidence.h"
#include "util/failpoint.h"

#define ABANDONED_AGE DURATION_SECONDS(86400)

/* An object in the source's backup folder. */
struct part {
	char *key;
	char id[BACKUP_ID_LEN + 1];
	bool manifest; /* <id>.json */
	uint64_t size;
	struct instant modified;
};

/* All that was read before the first decision. */
struct plan {
	struct catalog catalog;
	struct strlist leased;
	struct part *part; /* of valid ids, in order of keys */
	size_t parts;
	struct keep_decision *decision;
	struct strlist abandoned; /* keys of volumes without a manifest */
	struct storage_objects unfinished;
	struct instant old;       /* what was written before may be abandoned */
};

static void plan_release(struct plan *p)
{
	for (size_t i = 0; p->decision && i < p->catalog.backups; i++)
		keep_decision_release(&p->decision[i]);
	free(p->decision);
	for (size_t i = 0; i < p->parts; i++)
		free(p->part[i].key);
	free(p->part);
	catalog_release(&p->catalog);
	strlist_release(&p->leased);
	strlist_release(&p->abandoned);
	storage_objects_release(&p->unfinished);
}

void prune_result_release(struct prune_result *r)
{
	for (size_t i = 0; i < r->backups; i++) {
		strlist_release(&r->backup[i].reasons);
		free(r->backup[i].until);
	}
	free(r->backup);
	strlist_release(&r->unreadable);
	strlist_release(&r->abandoned);
	strlist_release(&r->notes);
	free(r->blocked);
	*r = (struct prune_result)PRUNE_RESULT_INIT;
}

static enum status list_parts(struct run *run, const struct prune_input *in, struct plan *p, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *prefix = catalog_key(in->source, "backup", "");

	if (storage_list(run, &in->store->storage, prefix, NULL, &l, err))
		return err->code;
	p->part = xcalloc(l.len + 1, sizeof *p->part);
	for (size_t i = 0; i < l.len; i++) {
		struct part *part = &p->part[p->parts];
		const char *name = l.item[i].key + strlen(prefix);

		snprintf(part->id, sizeof part->id, "%s", name);
		if (!backup_id_valid(part->id) || name[BACKUP_ID_LEN] != '.')
			continue; /* not written by drtool: left alone */
		part->manifest = !strcmp(name + BACKUP_ID_LEN, ".json");
		part->size = l.item[i].size;
		part->modified = l.item[i].modified;
		part->key = l.item[i].key;
		l.item[i].key = NULL;
		p->parts++;
	}
	return ST_OK;
}

/* A day before now, by this machine's clock and by the store's, whichever is earlier. */
static enum status find_old(struct run *run, const struct prune_input *in, struct plan *p, struct error *err)
{
	struct instant now = in->now, store_now;

	if (in->lock) {
		if (lock_store_time(run, in->lock, &store_now, err))
			return err->code;
		if (store_now.us < now.us)
			now = store_now;
	}
	p->old = instant_add(now, (struct duration){-ABANDONED_AGE.us});
	return ST_OK;
}

/* A live lock other than ours that names the backup: it is being written. */
static enum status names_in_locks(struct run *run, const struct prune_input *in, const char *id, bool *named, struct error *err)
{
	static const char *const roles[] = {"backup", "log"};

	*named = false;
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		CLEANUP(lock_info_release) struct lock_info info = {0};

		if (lock_read(run, in->store, in->source, roles[i], &info, err))
			return err->code;
		*named = *named || (info.held && !info.stale && strstr(info.what, id));
	}
	return ST_OK;
}

/* No manifest proved absent, nobody at it, newest byte older than a day. */
static enum status is_abandoned(struct run *run, const struct prune_input *in, const struct plan *p, const char *id, bool *yes,
				struct error *err)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", id);
	CLEANUP(cstr_release) char *key = catalog_key(in->source, "backup", name);
	struct storage_object o;
	bool named;

	*yes = false;
	for (size_t i = 0; i < p->parts; i++)
		if (!strcmp(p->part[i].id, id) && (p->part[i].manifest || p->part[i].modified.us > p->old.us))
			return ST_OK;
	if (strlist_has(&p->leased, id))
		return ST_OK;
	if (names_in_locks(run, in, id, &named, err) || named)
		return err->code;
	if (!storage_stat(run, &in->store->storage, key, &o, err))
		return ST_OK;
	if (err->code != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	*yes = true;
	return ST_OK;
}

static enum status find_abandoned(struct run *run, const struct prune_input *in, struct plan *p, struct error *err)
{
	const char *judged = "";
	bool yes = false;

	for (size_t i = 0; i < p->parts; i++) {
		if (strcmp(p->part[i].id, judged) && is_abandoned(run, in, p, p->part[i].id, &yes, err))
			return err->code;
		judged = p->part[i].id;
		if (yes)
			strlist_add(&p->abandoned, p->part[i].key);
	}
	return ST_OK;
}

static enum status find_unfinished(struct run *run, const struct prune_input *in, struct plan *p, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = xasprintf("%s/", in->source);

	return storage_uncommitted(run, &in->store->storage, prefix, INSTANT_NONE, &p->unfinished, err);
}

static int by_key(const void *key, const void *part) { return strcmp(key, ((const struct part *)part)->key); }

static const struct part *find_part(const struct plan *p, const char *key)
{
	return p->parts ? bsearch(key, p->part, p->parts, sizeof *p->part, by_key) : NULL;
}

/* Why the backup cannot be whole, by names and sizes alone; NULL: nothing known. Owned. */
static char *why_not_whole(const struct plan *p, const char *source, const struct manifest *m)
{
	for (size_t i = 0; i < m->objects; i++) {
		CLEANUP(cstr_release) char *key = catalog_key(source, "backup", m->object[i].key);
		const struct part *part = find_part(p, key);

		if (!part)
			return xasprintf("volume %s is missing", m->object[i].key);
		if (part->size != m->object[i].size)
			return xasprintf("volume %s has %" PRIu64 " bytes, the manifest says %" PRIu64, m->object[i].key, part->size,
					 m->object[i].size);
	}
	return NULL;
}

/* Before the decision: what is not whole must not count as good. */
static void find_not_whole(const char *source, struct plan *p, struct strlist *notes)
{
	for (size_t i = 0; i < p->catalog.backups; i++) {
		struct catalog_backup *b = &p->catalog.backup[i];

		if (b->bad)
			continue;
		b->bad_because = why_not_whole(p, source, &b->manifest);
		b->bad = b->bad_because != NULL;
		if (b->bad)
			strlist_take(notes, xasprintf("backup %s is bad: %s", b->manifest.id, b->bad_because));
	}
}

static enum status make_plan(struct run *run, const struct prune_input *in, struct plan *p, struct prune_result *result,
			     struct error *err)
{
	if (lease_list(run, in->store, in->source, &p->leased, err) || catalog_read(run, in->store, in->source, &p->catalog, err) ||
	    list_parts(run, in, p, err) || find_old(run, in, p, err) || find_abandoned(run, in, p, err) ||
	    find_unfinished(run, in, p, err))
		return error_add(err, "prune of %s deleted nothing", in->source);
	find_not_whole(in->source, p, &result->notes);
	p->decision = xcalloc(p->catalog.backups + 1, sizeof *p->decision);
	const struct retention_input r = {.catalog = &p->catalog, .policy = in->policy, .leased = &p->leased, .now = in->now};
	retention_decide(&r, p->decision, &result->blocked);
	return ST_OK;
}

static void fill_result(const struct plan *p, struct prune_result *r)
{
	r->backups = p->catalog.backups;
	r->backup = xcalloc(r->backups + 1, sizeof *r->backup);
	for (size_t i = 0; i < r->backups; i++) {
		struct prune_backup *b = &r->backup[i];

		snprintf(b->id, sizeof b->id, "%s", p->catalog.backup[i].manifest.id);
		b->stored = p->catalog.backup[i].manifest.stored;
		b->action = p->decision[i].keep ? PRUNE_KEPT : PRUNE_PENDING;
		for (size_t k = 0; k < p->decision[i].reasons.len; k++)
			strlist_add(&b->reasons, p->decision[i].reasons.item[k]);
	}
	for (size_t i = 0; i < p->catalog.unreadables; i++)
		strlist_add(&r->unreadable, p->catalog.unreadable[i].key);
}

/* One delete, after proof that the lock is still ours. *retained gets the store's words; owned. */
static enum status delete_object(struct run *run, const struct prune_input *in, const char *key, char **retained, struct error *err)
{
	*retained = NULL;
	if (lock_still_held(run, in->lock, err) || failpoint("prune.delete.before", err))
		return err->code;
	if (!storage_delete(run, &in->store->storage, key, NULL, err))
		return ST_OK;
	if (err->code == ST_RETAINED)
		*retained = xstrdup(error_text(err));
	else if (err->code != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	return ST_OK;
}

/* Looked at again: a restore may have begun since the decision, or somebody may have pinned it. *why NULL: no. */
static enum status why_needed(struct run *run, const struct prune_input *in, const char *id, const char **why, struct error *err)
{
	CLEANUP(strlist_release) struct strlist leased = STRLIST_INIT;
	bool pinned = false;

	if (lease_list(run, in->store, in->source, &leased, err) || catalog_pinned(run, in->store, in->source, id, &pinned, err))
		return err->code;
	*why = strlist_has(&leased, id) ? "leased" : pinned ? "pinned" : NULL;
	return ST_OK;
}

static enum status remove_backup(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
				 struct prune_backup *b, struct error *err)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", b->id);
	CLEANUP(cstr_release) char *key = catalog_key(in->source, "backup", name);
	const char *needed = NULL;

	if (why_needed(run, in, b->id, &needed, err))
		return err->code;
	if (needed) {
		b->action = PRUNE_KEPT;
		strlist_add(&b->reasons, needed);
		return ST_OK;
	}
	if (delete_object(run, in, key, &b->until, err))
		return err->code;
	if (b->until) {
		b->action = PRUNE_RETAINED;
		r->retained++;
		return ST_OK; /* while the manifest stays, so does the archive */
	}
	b->action = PRUNE_REMOVED;
	r->removed++;
	if (failpoint("prune.manifest.deleted", err))
		return err->code;
	for (size_t i = 0; i < p->parts; i++) {
		CLEANUP(cstr_release) char *retained = NULL;

		if (strcmp(p->part[i].id, b->id) || p->part[i].manifest)
			continue;
		if (delete_object(run, in, p->part[i].key, &retained, err))
			return err->code;
		if (retained)
			strlist_take(&r->notes, xasprintf("a volume without a manifest stays for now: %s", retained));
		else
			r->freed += p->part[i].size;
	}
	return ST_OK;
}

static uint64_t size_of(const struct plan *p, const char *key)
{
	const struct part *part = find_part(p, key);

	return part ? part->size : 0;
}

static enum status remove_abandoned(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
				    struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects removed = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *prefix = xasprintf("%s/", in->source);

	for (size_t i = 0; i < p->abandoned.len; i++) {
		CLEANUP(cstr_release) char *retained = NULL;

		if (delete_object(run, in, p->abandoned.item[i], &retained, err))
			return err->code;
		if (retained)
			continue;
		strlist_add(&r->abandoned, p->abandoned.item[i]);
		r->freed += size_of(p, p->abandoned.item[i]);
	}
	if (lock_still_held(run, in->lock, err) || storage_uncommitted(run, &in->store->storage, prefix, p->old, &removed, err))
		return err->code;
	for (size_t i = 0; i < removed.len; i++)
		if (removed.item[i].modified.us < p->old.us) {
			strlist_add(&r->abandoned, removed.item[i].key);
			r->freed += removed.item[i].size;
		}
	return lease_sweep(run, in->store, in->source, p->old, err);
}

/* Says what would be done. */
static void pretend(const struct plan *p, struct prune_result *r)
{
	for (size_t i = 0; i < r->backups; i++) {
		if (r->backup[i].action != PRUNE_PENDING)
			continue;
		r->backup[i].action = PRUNE_REMOVED;
		r->removed++;
		for (size_t k = 0; k < p->parts; k++)
			if (!strcmp(p->part[k].id, r->backup[i].id) && !p->part[k].manifest)
				r->freed += p->part[k].size;
	}
	for (size_t i = 0; i < p->abandoned.len; i++) {
		strlist_add(&r->abandoned, p->abandoned.item[i]);
		r->freed += size_of(p, p->abandoned.item[i]);
	}
	for (size_t i = 0; i < p->unfinished.len; i++)
		if (p->unfinished.item[i].modified.us < p->old.us) {
			strlist_add(&r->abandoned, p->unfinished.item[i].key);
			r->freed += p->unfinished.item[i].size;
		}
}

static enum status execute(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
			   struct error *err)
{
	/* Oldest first: what a broken-off prune leaves is what retention would choose. */
	for (size_t i = 0; i < r->backups; i++)
		if (r->backup[i].action == PRUNE_PENDING && remove_backup(run, in, p, r, &r->backup[i], err))
			return error_add(err, "prune of %s", in->source);
	return remove_abandoned(run, in, p, r, err) ? error_add(err, "prune of %s", in->source) : ST_OK;
}

static json_t *result_json(const struct prune_result *r)
{
	static const char *const words[] = {[PRUNE_KEPT] = "kept", [PRUNE_REMOVED] = "removed", [PRUNE_RETAINED] = "retained",
					    [PRUNE_PENDING] = "pending"};
	json_t *o = json_object(), *backups = json_array();

	for (size_t i = 0; i < r->backups; i++) {
		json_t *b = json_object();

		js_set_str(b, "id", r->backup[i].id);
		js_set_str(b, "action", words[r->backup[i].action]);
		js_set_new(b, "reasons", js_list(&r->backup[i].reasons));
		js_set_str(b, "until", r->backup[i].until);
		json_array_append_new(backups, b);
	}
	js_set_new(o, "backups", backups);
	js_set_new(o, "abandoned", js_list(&r->abandoned));
	js_set_u64(o, "unreadable", r->unreadable.len);
	js_set_u64(o, "freed", r->freed);
	js_set_str(o, "blocked", r->blocked);
	return o;
}

static void write_record(struct run *run, const struct prune_input *in, struct instant started, struct prune_result *r,
			 const struct error *failed)
{
	CLEANUP(js_decref) json_t *detail = result_json(r);
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const struct evidence e = {
		.kind = "prune",
		.source = in->source,
		.outcome = failed->code ? EVIDENCE_INCONCLUSIVE : EVIDENCE_GOOD,
		.started = started,
		.finished = run_now(run),
		.cause = failed->code ? error_text(failed) : NULL,
		.detail = detail,
	};

	if (evidence_write(run, in->store, &e, &err))
		strlist_take(&r->notes, xasprintf("store %s: %s", in->store->name, error_text(&err)));
}

enum status prune_run(struct run *run, const struct prune_input *in, struct prune_result *result, struct error *err)
{
	CLEANUP(plan_release) struct plan plan = {0};
	struct instant started = run_now(run);

	if (!in->dry_run && !in->lock)
		return error_set(err, ST_FAILED, "prune of %s without a lock", in->source);
	if (!make_plan(run, in, &plan, result, err)) {
		fill_result(&plan, result);
		if (result->blocked) {
			error_set(err, ST_REFUSED, "prune of %s deleted nothing: %s", in->source, result->blocked);
			error_hint(err, "Look at it; if it is as it should be, run `drtool accept %s` and prune again.",
				   in->source);
		} else if (in->dry_run) {
			pretend(&plan, result);
		} else {
			execute(run, in, &plan, result, err);
		}
	}
	if (!in->dry_run)
		write_record(run, in, started, result, err);
	return err->code;
}
