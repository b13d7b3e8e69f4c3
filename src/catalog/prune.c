#include "catalog/prune.h"

#include "catalog/evidence.h"
#include "catalog/hidden.h"
#include "catalog/remove.h"
#include "util/failpoint.h"
#include "util/sum.h"

#define ABANDONED_AGE DURATION_SECONDS(86400)
#define BACKUP_BATCH 100 /* backups whose manifests are deleted at once, where the store can */
#define VOLUME_BATCH 200

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
	struct hidden_backups hidden; /* what somebody else deleted and can bring back */
	bool written;                 /* a dry run: somebody holds the lock of the source */
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
	hidden_backups_release(&p->hidden);
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

/* What lies behind markers; nothing where the store keeps no versions, or shows them to others only. */
static enum status find_hidden(struct run *run, const struct prune_input *in, struct plan *p, struct error *err)
{
	if (!hidden_list(run, &in->store->storage, in->source, &p->hidden, err))
		return ST_OK;
	if (err->code != ST_UNSUPPORTED && err->code != ST_DENIED)
		return err->code;
	error_release(err);
	return ST_OK;
}

static int hidden_by_id(const void *id, const void *b) { return strcmp(id, ((const struct hidden_backup *)b)->id); }

static const struct hidden_backup *find_deleted(const struct plan *p, const char *id)
{
	return p->hidden.len ? bsearch(id, p->hidden.item, p->hidden.len, sizeof *p->hidden.item, hidden_by_id) : NULL;
}

/* Only a dry run meets a lock of others: what its holder writes has no manifest yet. */
static enum status find_written(struct run *run, const struct prune_input *in, struct plan *p, struct error *err)
{
	CLEANUP(lock_info_release) struct lock_info info = {0};

	if (!in->lock && lock_read(run, in->store, in->source, "backup", &info, err))
		return err->code;
	p->written = info.held && !info.stale;
	return ST_OK;
}

/* Of n parts of one id: no manifest proved absent or deleted by somebody else, nobody at it, newest byte older than a day. */
static enum status is_abandoned(struct run *run, const struct prune_input *in, const struct plan *p, const struct part *part, size_t n,
				bool *yes, struct error *err)
{
	const char *id = part->id;
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", id);
	CLEANUP(cstr_release) char *key = catalog_key(in->source, "backup", name);
	const struct hidden_backup *deleted = find_deleted(p, id);
	struct storage_object o;

	*yes = false;
	for (size_t i = 0; i < n; i++)
		if (part[i].manifest || part[i].modified.us > p->old.us)
			return ST_OK;
	if (p->written || strlist_has(&p->leased, id) || (deleted && deleted->manifest))
		return ST_OK;
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
	bool yes;

	for (size_t i = 0, n; i < p->parts; i += n) {
		for (n = 1; i + n < p->parts && !strcmp(p->part[i].id, p->part[i + n].id);)
			n++;
		if (is_abandoned(run, in, p, &p->part[i], n, &yes, err))
			return err->code;
		for (size_t k = 0; yes && k < n; k++)
			strlist_add(&p->abandoned, p->part[i + k].key);
	}
	return ST_OK;
}

static enum status find_unfinished(struct run *run, const struct prune_input *in, struct plan *p, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = xasprintf("%s/", in->source);

	return p->written ? ST_OK : storage_uncommitted(run, &in->store->storage, prefix, INSTANT_NONE, &p->unfinished, err);
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

/* What lacks volumes that can come back stays until they cannot. */
static void keep_deleted(struct plan *p)
{
	for (size_t i = 0; i < p->catalog.backups; i++) {
		if (!find_deleted(p, p->catalog.backup[i].manifest.id))
			continue;
		p->decision[i].keep = true;
		strlist_add(&p->decision[i].reasons, "volumes deleted by somebody else; --undelete brings them back");
	}
}

static enum status make_plan(struct run *run, const struct prune_input *in, struct plan *p, struct prune_result *result,
			     struct error *err)
{
	if (lease_list(run, in->store, in->source, &p->leased, err) || catalog_read(run, in->store, in->source, &p->catalog, err) ||
	    list_parts(run, in, p, err) || find_hidden(run, in, p, err) || find_old(run, in, p, err) ||
	    find_written(run, in, p, err) || find_abandoned(run, in, p, err) || find_unfinished(run, in, p, err))
		return error_add(err, "prune of %s deleted nothing", in->source);
	find_not_whole(in->source, p, &result->notes);
	p->decision = xcalloc(p->catalog.backups + 1, sizeof *p->decision);
	const struct retention_input r = {.catalog = &p->catalog, .policy = in->policy, .leased = &p->leased, .now = in->now};
	retention_decide(&r, p->decision, &result->blocked);
	keep_deleted(p);
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

/* Deletes, after proof that the lock is still ours. What the store retains says so in r; other failures end it. */
static enum status delete_objects(struct run *run, const struct prune_input *in, struct removal *r, size_t n, struct error *err)
{
	if (!n)
		return ST_OK;
	if (lock_still_held(run, in->lock, err) || failpoint("prune.delete.before", err))
		return err->code;
	return objects_remove(run, &in->store->storage, r, n, err);
}

/* Looked at again: a restore may have begun since the decision, or somebody may have pinned them. Takes those that are needed
 * out of b. */
static enum status leave_needed(struct run *run, const struct prune_input *in, struct prune_backup **b, size_t *n, struct error *err)
{
	CLEANUP(strlist_release) struct strlist leased = STRLIST_INIT, ids = STRLIST_INIT, pinned = STRLIST_INIT;
	size_t left = 0;

	for (size_t i = 0; i < *n; i++)
		strlist_add(&ids, b[i]->id);
	if (lease_list(run, in->store, in->source, &leased, err) ||
	    catalog_pinned(run, in->store, in->source, &ids, &pinned, err))
		return err->code;
	for (size_t i = 0; i < *n; i++) {
		const char *needed = strlist_has(&leased, b[i]->id) ? "leased" : strlist_has(&pinned, b[i]->id) ? "pinned" : NULL;

		if (needed) {
			b[i]->action = PRUNE_KEPT;
			strlist_add(&b[i]->reasons, needed);
		} else {
			b[left++] = b[i];
		}
	}
	*n = left;
	return ST_OK;
}

static void add_freed(struct prune_result *r, uint64_t bytes) { r->freed = sum_capped(r->freed, bytes); }

static int doomed_by_id(const void *id, const void *b) { return strcmp(id, (*(const struct prune_backup *const *)b)->id); }

/* b: n, ascending. */
static bool is_removed(struct prune_backup *const *b, size_t n, const char *id)
{
	struct prune_backup *const *found = bsearch(id, b, n, sizeof *b, doomed_by_id);

	return found && (*found)->action == PRUNE_REMOVED;
}

/* Volumes of those backups whose manifest is gone. */
static enum status remove_volumes(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
				  struct prune_backup **b, size_t backups, struct error *err)
{
	struct removal removal[VOLUME_BATCH] = {0};
	size_t n = 0, batch = removal_batch(&in->store->storage);

	for (size_t i = 0; i <= p->parts; i++) {
		bool more = i < p->parts;

		if (more && !p->part[i].manifest && is_removed(b, backups, p->part[i].id))
			removal[n++] = (struct removal){.key = p->part[i].key, .size = p->part[i].size};
		if (more && n < min_size(batch, VOLUME_BATCH))
			continue;
		enum status st = delete_objects(run, in, removal, n, err);
		for (size_t k = 0; k < n; k++) {
			if (removal[k].retained)
				strlist_take(&r->notes, xasprintf("a volume without a manifest stays for now: %s",
								  removal[k].retained));
			add_freed(r, removal[k].gone ? removal[k].size : 0);
			cstr_release(&removal[k].retained);
		}
		n = 0;
		if (st)
			return st;
	}
	return ST_OK;
}

/* Manifests first: whatever ends it, no manifest stays without its archive. */
static enum status remove_manifests(struct run *run, const struct prune_input *in, struct prune_result *r, struct prune_backup **b,
				    size_t n, struct error *err)
{
	struct removal removal[BACKUP_BATCH] = {0};
	CLEANUP(strlist_release) struct strlist keys = STRLIST_INIT;

	for (size_t i = 0; i < n; i++) {
		CLEANUP(cstr_release) char *name = xasprintf("%s.json", b[i]->id);

		strlist_take(&keys, catalog_key(in->source, "backup", name));
		removal[i].key = keys.item[i];
	}
	enum status st = delete_objects(run, in, removal, n, err);
	for (size_t i = 0; i < n; i++) {
		b[i]->until = removal[i].retained;
		if (removal[i].retained)
			b[i]->action = PRUNE_RETAINED; /* while the manifest stays, so does the archive */
		else if (removal[i].gone)
			b[i]->action = PRUNE_REMOVED;
		r->retained += b[i]->action == PRUNE_RETAINED;
		r->removed += b[i]->action == PRUNE_REMOVED;
	}
	return st;
}

static enum status remove_backups(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
				  struct prune_backup **b, size_t n, struct error *err)
{
	if (leave_needed(run, in, b, &n, err))
		return err->code;
	enum status st = remove_manifests(run, in, r, b, n, err);
	if (st || failpoint("prune.manifest.deleted", err))
		return err->code;
	return remove_volumes(run, in, p, r, b, n, err);
}

static uint64_t size_of(const struct plan *p, const char *key)
{
	const struct part *part = find_part(p, key);

	return part ? part->size : 0;
}

/* A lease that lives names the backup that the key belongs to. */
static bool is_live(const struct plan *p, const char *key)
{
	const char *name = strrchr(key, '/');
	char id[BACKUP_ID_LEN + 1];

	snprintf(id, sizeof id, "%s", name ? name + 1 : key);
	return backup_id_valid(id) && strlist_has(&p->leased, id);
}

/* Puts that were never finished and stood still for a day. */
static enum status remove_unfinished(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
				     struct error *err)
{
	for (size_t i = 0; i < p->unfinished.len; i++) {
		CLEANUP(storage_objects_release) struct storage_objects removed = STORAGE_OBJECTS_INIT;
		const char *key = p->unfinished.item[i].key;

		if (p->unfinished.item[i].modified.us >= p->old.us || (i && !strcmp(key, p->unfinished.item[i - 1].key)) ||
		    is_live(p, key))
			continue;
		if (lock_still_held(run, in->lock, err) ||
		    storage_uncommitted(run, &in->store->storage, key, p->old, &removed, err))
			return err->code;
		for (size_t k = 0; k < removed.len; k++)
			if (!strcmp(removed.item[k].key, key) && removed.item[k].modified.us < p->old.us) {
				strlist_add(&r->abandoned, key);
				add_freed(r, removed.item[k].size);
			}
	}
	return ST_OK;
}

static enum status remove_abandoned(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
				    struct error *err)
{
	size_t batch = min_size(removal_batch(&in->store->storage), VOLUME_BATCH);

	for (size_t i = 0, n; i < p->abandoned.len; i += n) {
		struct removal removal[VOLUME_BATCH] = {0};

		n = min_size(batch, p->abandoned.len - i);
		for (size_t k = 0; k < n; k++)
			removal[k].key = p->abandoned.item[i + k];
		enum status st = delete_objects(run, in, removal, n, err);
		for (size_t k = 0; k < n; k++) {
			cstr_release(&removal[k].retained);
			if (!removal[k].gone)
				continue;
			strlist_add(&r->abandoned, removal[k].key);
			add_freed(r, size_of(p, removal[k].key));
		}
		if (st)
			return st;
	}
	if (remove_unfinished(run, in, p, r, err) || lock_still_held(run, in->lock, err) ||
	    lease_sweep(run, in->store, in->source, instant_add(p->old, ABANDONED_AGE), err))
		return err->code;
	return ST_OK;
}

/* What is old and hidden. A right that is missing for that is no failure: nothing that is visible depends on it. */
static enum status remove_hidden(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
				 struct error *err)
{
	const struct hidden_sweep w = {.source = in->source, .old = p->old};
	struct hidden_swept swept = {0};

	if (lock_still_held(run, in->lock, err))
		return err->code;
	if (hidden_sweep(run, in->store, &w, &swept, err)) {
		if (err->code != ST_DENIED && err->code != ST_UNSUPPORTED)
			return err->code;
		strlist_take(&r->notes, xasprintf("old versions stay: %s", error_text(err)));
		error_release(err);
	}
	add_freed(r, swept.freed);
	if (swept.removed)
		strlist_take(&r->notes, xasprintf("%" PRIu64 " old versions of objects were removed", swept.removed));
	return ST_OK;
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
				add_freed(r, p->part[k].size);
	}
	for (size_t i = 0; i < p->abandoned.len; i++) {
		strlist_add(&r->abandoned, p->abandoned.item[i]);
		add_freed(r, size_of(p, p->abandoned.item[i]));
	}
	for (size_t i = 0; i < p->unfinished.len; i++)
		if (p->unfinished.item[i].modified.us < p->old.us) {
			strlist_add(&r->abandoned, p->unfinished.item[i].key);
			add_freed(r, p->unfinished.item[i].size);
		}
}

static enum status execute(struct run *run, const struct prune_input *in, const struct plan *p, struct prune_result *r,
			   struct error *err)
{
	struct prune_backup *doomed[BACKUP_BATCH];
	size_t batch = min_size(removal_batch(&in->store->storage), BACKUP_BATCH), n = 0;

	/* Oldest first: what a broken-off prune leaves is what retention would choose. */
	for (size_t i = 0; i < r->backups; i++) {
		if (r->backup[i].action == PRUNE_PENDING)
			doomed[n++] = &r->backup[i];
		if (n && (n == batch || i + 1 == r->backups)) {
			if (remove_backups(run, in, p, r, doomed, n, err))
				return error_add(err, "prune of %s", in->source);
			n = 0;
		}
	}
	if (remove_abandoned(run, in, p, r, err) || remove_hidden(run, in, p, r, err))
		return error_add(err, "prune of %s", in->source);
	return ST_OK;
}

/* What was kept is counted only: that can be thousands, each time. */
static json_t *result_json(const struct prune_result *r)
{
	static const char *const words[] = {[PRUNE_REMOVED] = "removed", [PRUNE_RETAINED] = "retained", [PRUNE_PENDING] = "pending"};
	json_t *o = json_object(), *backups = json_array();
	uint64_t kept = 0;

	for (size_t i = 0; i < r->backups; i++) {
		if (r->backup[i].action == PRUNE_KEPT) {
			kept++;
			continue;
		}
		json_t *b = json_object();

		js_set_str(b, "id", r->backup[i].id);
		js_set_str(b, "action", words[r->backup[i].action]);
		js_set_str(b, "until", r->backup[i].until);
		json_array_append_new(backups, b);
	}
	js_set_new(o, "backups", backups);
	js_set_u64(o, "kept", kept);
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
