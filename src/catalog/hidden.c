#include "catalog/hidden.h"

#include "util/failpoint.h"
#include "util/sum.h"

void hidden_backups_release(struct hidden_backups *l)
{
	for (size_t i = 0; i < l->len; i++)
		free(l->item[i].source);
	free(l->item);
	*l = (struct hidden_backups)HIDDEN_BACKUPS_INIT;
}

/* All versions of one key, as they stand in a listing: the newest first. */
struct group {
	const struct storage_version *item;
	size_t n;
};

static struct group group_at(const struct storage_versions *all, size_t i)
{
	struct group g = {.item = &all->item[i]};

	while (i + g.n < all->len && !strcmp(all->item[i + g.n].key, g.item->key))
		g.n++;
	return g;
}

/* The newest bytes behind one or more markers; NULL: visible, or nothing is left. */
static const struct storage_version *behind(struct group g)
{
	size_t i = 0;

	while (i < g.n && g.item[i].marker)
		i++;
	return i && i < g.n ? &g.item[i] : NULL;
}

static bool visible(struct group g) { return !g.item->marker; }

/* Splits "<source>/backup/<id>.<rest>"; false: another key. */
static bool backup_key(const char *key, char **source, char *id, const char **rest)
{
	const char *folder = strstr(key, "/backup/"), *name = folder ? folder + strlen("/backup/") : NULL;

	if (!folder || memchr(key, '/', (size_t)(folder - key)) || strchr(name, '/'))
		return false;
	snprintf(id, BACKUP_ID_LEN + 1, "%s", name);
	if (!backup_id_valid(id) || name[BACKUP_ID_LEN] != '.')
		return false;
	*rest = name + BACKUP_ID_LEN;
	*source = xstrndup(key, (size_t)(folder - key));
	return true;
}

static struct hidden_backup *backup_of(struct hidden_backups *to, const char *source, const char *id)
{
	struct hidden_backup *last = to->len ? &to->item[to->len - 1] : NULL;

	if (last && !strcmp(last->id, id) && !strcmp(last->source, source))
		return last;
	if (to->len == to->cap) {
		to->cap = to->cap ? 2 * to->cap : 16;
		to->item = xrealloc(to->item, to->cap * sizeof *to->item);
	}
	last = &to->item[to->len++];
	*last = (struct hidden_backup){.source = xstrdup(source)};
	memcpy(last->id, id, sizeof last->id);
	return last;
}

static void add_group(struct hidden_backups *to, struct group g)
{
	CLEANUP(cstr_release) char *source = NULL;
	const struct storage_version *bytes = behind(g);
	char id[BACKUP_ID_LEN + 1];
	const char *rest;

	if (!backup_key(g.item->key, &source, id, &rest))
		return;
	struct hidden_backup *b = backup_of(to, source, id);
	bool manifest = !strcmp(rest, ".json");

	b->manifest = b->manifest || (manifest && bytes);
	b->listed = b->listed || (manifest && visible(g));
	if (!bytes)
		return;
	b->size = sum_capped(b->size, bytes->size);
	if (g.item->modified.us > b->deleted.us)
		b->deleted = g.item->modified;
}

enum status hidden_list(struct run *run, struct storage *s, const char *source, struct hidden_backups *to, struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	CLEANUP(cstr_release) char *prefix = source ? catalog_key(source, "backup", "") : xstrdup("");
	struct group g;
	size_t kept = 0;

	if (storage_list_versions(run, s, prefix, &all, err))
		return err->code;
	for (size_t i = 0; i < all.len; i += g.n) {
		g = group_at(&all, i);
		add_group(to, g);
	}
	for (size_t i = 0; i < to->len; i++) {
		if (to->item[i].deleted.us)
			to->item[kept++] = to->item[i];
		else
			free(to->item[i].source);
	}
	to->len = kept;
	return ST_OK;
}

enum status hidden_undelete_key(struct run *run, struct storage *s, const char *key, bool *was, struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	struct group g;

	*was = false;
	if (storage_list_versions(run, s, key, &all, err))
		return err->code;
	for (size_t i = 0; i < all.len; i += g.n) {
		g = group_at(&all, i);
		*was = *was || (!strcmp(g.item->key, key) && behind(g));
	}
	return *was ? storage_undelete(run, s, key, err) : ST_OK;
}

/* The keys of the backup with bytes behind markers. */
static enum status hidden_keys(struct run *run, struct storage *s, const char *prefix, struct strlist *to, struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	struct group g;

	if (storage_list_versions(run, s, prefix, &all, err))
		return err->code;
	for (size_t i = 0; i < all.len; i += g.n) {
		g = group_at(&all, i);
		if (behind(g))
			strlist_add(to, g.item->key);
	}
	return ST_OK;
}

enum status hidden_undelete(struct run *run, struct store *s, const char *source, const char *id, struct error *err)
{
	CLEANUP(cstr_release) char *dotted = xasprintf("%s.", id), *prefix = catalog_key(source, "backup", dotted);
	CLEANUP(cstr_release) char *manifest = xasprintf("%sjson", prefix), *facts = xasprintf("%s/source.json", source);
	CLEANUP(strlist_release) struct strlist keys = STRLIST_INIT;
	bool was;

	if (hidden_keys(run, &s->storage, prefix, &keys, err))
		return err->code;
	if (!keys.len)
		return error_set(err, ST_NOT_FOUND, "nothing of backup %s of %s is deleted in store %s", id, source, s->name);
	for (size_t i = 0; i < keys.len; i++)
		if (strcmp(keys.item[i], manifest) && storage_undelete(run, &s->storage, keys.item[i], err))
			return error_add(err, "cannot bring %s back", id);
	if (hidden_undelete_key(run, &s->storage, facts, &was, err) || failpoint("undelete.manifest.before", err))
		return error_add(err, "cannot bring %s back", id);
	if (strlist_has(&keys, manifest) && storage_undelete(run, &s->storage, manifest, err))
		return error_add(err, "cannot bring %s back", id);
	return ST_OK;
}

struct sweeping {
	struct run *run;
	struct store *store;
	const struct hidden_sweep *w;
	struct instant final; /* what was hidden before may go */
	struct hidden_swept *swept;
};

static bool below(const char *key, const char *source, const char *folder)
{
	CLEANUP(cstr_release) char *prefix = catalog_key(source, folder, "");

	return !strncmp(key, prefix, strlen(prefix));
}

static enum status sweep_version(struct sweeping *k, const struct storage_version *v, bool *retained, struct error *err)
{
	if (storage_version_delete(k->run, &k->store->storage, v->key, v->id, err)) {
		if (err->code != ST_RETAINED && err->code != ST_NOT_FOUND)
			return err->code;
		*retained = *retained || err->code == ST_RETAINED;
		error_release(err);
		return ST_OK;
	}
	k->swept->removed++;
	k->swept->freed = sum_capped(k->swept->freed, v->size);
	return ST_OK;
}

/* From the oldest on, so that nothing comes into sight: each version was hidden when the next one was written. A marker on top goes
 * last, when nothing is behind it. */
static enum status sweep_group(struct sweeping *k, struct group g, struct error *err)
{
	bool own = below(g.item->key, k->w->source, "lock") || below(g.item->key, k->w->source, "lease");
	struct instant before = own ? k->w->old : k->final;
	bool retained = false;

	for (size_t i = g.n; i-- > 1;) {
		if (g.item[i - 1].modified.us >= before.us)
			return ST_OK;
		if (sweep_version(k, &g.item[i], &retained, err))
			return err->code;
	}
	if (g.item->marker && !retained && g.item->modified.us < before.us)
		return sweep_version(k, g.item, &retained, err);
	return ST_OK;
}

enum status hidden_sweep(struct run *run, struct store *s, const struct hidden_sweep *w, struct hidden_swept *swept, struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	CLEANUP(cstr_release) char *prefix = xasprintf("%s/", w->source);
	struct sweeping k = {.run = run, .store = s, .w = w, .swept = swept};
	struct group g;
	uint32_t caps;

	if (storage_caps(run, &s->storage, &caps, err) || !(caps & STORAGE_VERSIONS) ||
	    storage_list_versions(run, &s->storage, prefix, &all, err))
		return err->code;
	k.final = instant_add(w->old, (struct duration){-HIDDEN_KEEP.us});
	for (size_t i = 0; i < all.len; i += g.n) {
		g = group_at(&all, i);
		if (sweep_group(&k, g, err))
			return err->code;
	}
	return ST_OK;
}
