/* list: what is in a store, by manifests and evidence. */
#include "catalog/cache.h"
#include "ops/internal.h"
#include "ops/private.h"

/* Names that private manifests hide are for those to see who have the key. */
static enum status open_manifests(struct op_env *env, struct catalog *c, struct error *err)
{
	const struct seal_identities *ids = NULL;

	for (size_t i = 0; i < c->backups; i++) {
		CLEANUP(error_release) struct error why = ERROR_INIT;

		if (!c->backup[i].manifest.hidden)
			continue;
		if (!ids && op_identities(env, &ids, err))
			return err->code;
		if (!seal_identities_count(ids))
			return ST_OK;
		if (private_manifest_open(ids, &c->backup[i].manifest, &why) && why.code != ST_DENIED)
			notes_add(env->notes, "%s", error_text(&why));
	}
	return ST_OK;
}

enum status op_sources(struct op_env *env, const struct op_store *from, struct strlist *names, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;

	return store_open_one(env, from, &s, err) ? err->code : catalog_sources(env->run, &s, names, err);
}

enum status op_list(struct op_env *env, const struct op_store *from, const char *source, struct list_result *r, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	if (store_open_one(env, from, &s, err) || catalog_sources(env->run, &s, &names, err))
		return err->code;
	r->source = xcalloc(names.len, sizeof *r->source);
	for (size_t i = 0; i < names.len; i++) {
		CLEANUP(error_release) struct error no_info = ERROR_INIT;

		if (source && strcmp(source, names.item[i]))
			continue;
		struct op_list_source *to = &r->source[r->sources++];
		to->name = xstrdup(names.item[i]);
		if (catalog_look(env->run, &s, to->name, &to->catalog, err))
			return error_add(err, "source %s", to->name);
		if (open_manifests(env, &to->catalog, err))
			return err->code;
		if (catalog_source_read(env->run, &s, to->name, &to->info, &no_info) && no_info.code != ST_NOT_FOUND)
			notes_add(env->notes, "source %s: %s", to->name, error_text(&no_info));
	}
	cache_sweep(env->run, &s, &names);
	if (source && !r->sources) {
		CLEANUP(buf_release) struct buf known = BUF_INIT;

		for (size_t i = 0; i < names.len; i++)
			buf_printf(&known, "%s%s", i ? ", " : "", names.item[i]);
		error_set(err, ST_NOT_FOUND, "store %s has no source %s", s.name, source);
		return error_hint(err, "It has: %s.", names.len ? buf_str(&known) : "nothing yet");
	}
	return ST_OK;
}

void list_result_release(struct list_result *r)
{
	for (size_t i = 0; i < r->sources; i++) {
		free(r->source[i].name);
		catalog_release(&r->source[i].catalog);
		catalog_source_release(&r->source[i].info);
	}
	free(r->source);
	*r = (struct list_result){0};
}
