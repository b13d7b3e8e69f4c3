#include "catalog/remove.h"

/* Moves one outcome into r; another failure than "retained" into err. */
static void settle(struct removal *r, struct error *one, struct error *err)
{
	if (one->code == ST_RETAINED)
		r->retained = xstrdup(error_text(one));
	r->gone = !one->code || one->code == ST_NOT_FOUND;
	if (r->gone || r->retained)
		error_release(one);
	else
		error_keep_first(err, one);
}

/* Old versions first: while one of them is retained, the newest stays what everybody sees. */
static enum status remove_versions(struct run *run, struct storage *s, const char *key, struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;

	if (storage_list_versions(run, s, key, &all, err))
		return err->code;
	for (size_t i = all.len; i-- > 0;) {
		if (strcmp(all.item[i].key, key))
			continue;
		if (storage_version_delete(run, s, key, all.item[i].id, err) && err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err);
	}
	return ST_OK;
}

static enum status remove_many(struct run *run, struct storage *s, struct removal *r, size_t n, struct error *err)
{
	struct storage_deletion *d = xcalloc(n, sizeof *d);

	for (size_t i = 0; i < n; i++)
		d[i].key = r[i].key;
	struct error whole = ERROR_INIT;
	enum status st = storage_delete_many(run, s, d, n, &whole);
	for (size_t i = 0; i < n; i++) {
		if (!st)
			settle(&r[i], &d[i].err, err);
		error_release(&d[i].err);
	}
	error_keep_first(err, &whole);
	free(d);
	return err->code;
}

enum status objects_remove(struct run *run, struct storage *s, struct removal *r, size_t n, struct error *err)
{
	uint32_t caps;

	if (storage_caps(run, s, &caps, err))
		return err->code;
	if (n > 1 && !(caps & STORAGE_VERSIONS))
		return remove_many(run, s, r, n, err);
	for (size_t i = 0; i < n && !err->code; i++) {
		struct error one = ERROR_INIT;

		if (caps & STORAGE_VERSIONS)
			remove_versions(run, s, r[i].key, &one);
		else if (storage_delete(run, s, r[i].key, NULL, &one) && one.code == ST_NOT_FOUND)
			error_release(&one);
		settle(&r[i], &one, err);
	}
	return err->code;
}

size_t removal_batch(const struct storage *s) { return s->ops->delete_many ? STORAGE_DELETE_BATCH : 1; }
