/* Deletions in numbers, and the versions that a store keeps of what is gone. */
#include "storage/storage.h"

const char *storage_proof_name(enum storage_proof p)
{
	static const char *const names[] = {"length", "md5", "sha256", "read-back"};

	return names[p];
}

/* The failures that meet every object alike: the next one is not worth a try. */
static bool ends_all(enum status code)
{
	return code == ST_CANCELLED || code == ST_DEADLINE || code == ST_UNREACHABLE || code == ST_AUTH || code == ST_TLS;
}

static enum status delete_each(struct run *run, struct storage *s, struct storage_deletion *d, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!storage_delete(run, s, d[i].key, NULL, &d[i].err))
			continue;
		if (d[i].err.code == ST_NOT_FOUND)
			error_release(&d[i].err);
		else if (ends_all(d[i].err.code))
			return error_move(err, &d[i].err);
	}
	return ST_OK;
}

enum status storage_delete_many(struct run *run, struct storage *s, struct storage_deletion *d, size_t n, struct error *err)
{
	for (size_t done = 0, some; done < n; done += some) {
		some = min_size(n - done, STORAGE_DELETE_BATCH);
		if (run_check(run, err))
			return err->code;
		if (s->stuck)
			return error_set(err, ST_UNREACHABLE, "the store stopped answering");
		for (size_t i = done; i < done + some; i++)
			if (storage_key_check(d[i].key, err))
				return err->code;
		if (s->ops->delete_many ? s->ops->delete_many(run, s->priv, d + done, some, err) :
					  delete_each(run, s, d + done, some, err))
			return err->code;
	}
	return ST_OK;
}

void storage_versions_release(struct storage_versions *l)
{
	for (size_t i = 0; i < l->len; i++) {
		free(l->item[i].key);
		free(l->item[i].id);
	}
	free(l->item);
	*l = (struct storage_versions)STORAGE_VERSIONS_INIT;
}

static enum status need_versions(struct run *run, struct storage *s, struct error *err)
{
	uint32_t caps;

	if (storage_caps(run, s, &caps, err))
		return err->code;
	return caps & STORAGE_VERSIONS ? ST_OK : error_set(err, ST_UNSUPPORTED, "%s keeps no versions of what is deleted", s->url);
}

enum status storage_list_versions(struct run *run, struct storage *s, const char *prefix, struct storage_versions *to,
				  struct error *err)
{
	return need_versions(run, s, err) ? err->code : s->ops->versions(run, s->priv, prefix, to, err);
}

enum status storage_version_delete(struct run *run, struct storage *s, const char *key, const char *id, struct error *err)
{
	if (storage_key_check(key, err) || need_versions(run, s, err))
		return err->code;
	return s->ops->version_delete(run, s->priv, key, id, err);
}

enum status storage_undelete(struct run *run, struct storage *s, const char *key, struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	size_t newest = 0, mine = 0;

	if (storage_key_check(key, err) || storage_list_versions(run, s, key, &all, err))
		return err->code;
	while (mine < all.len && strcmp(all.item[mine].key, key))
		mine++;
	for (newest = mine; newest < all.len && !strcmp(all.item[newest].key, key) && all.item[newest].marker;)
		newest++;
	if (newest == all.len || strcmp(all.item[newest].key, key))
		return error_set(err, ST_NOT_FOUND, "%s: no version of it is left", key);
	for (size_t i = mine; i < newest; i++) {
		if (s->ops->version_delete(run, s->priv, key, all.item[i].id, err)) {
			if (err->code != ST_NOT_FOUND)
				return err->code;
			error_release(err);
		}
	}
	return ST_OK;
}
