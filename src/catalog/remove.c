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

static enum status remove_many(struct run *run, struct storage *s, struct removal *r, size_t n, struct error *err)
{
	struct storage_deletion *d = xcalloc(n, sizeof *d);
	struct error whole = ERROR_INIT;

	for (size_t i = 0; i < n; i++)
		d[i].key = r[i].key;
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
	if (n > 1)
		return remove_many(run, s, r, n, err);
	for (size_t i = 0; i < n; i++) {
		struct error one = ERROR_INIT;

		r[i].gone = !storage_delete(run, s, r[i].key, NULL, &one);
		if (!r[i].gone)
			settle(&r[i], &one, err);
	}
	return err->code;
}

size_t removal_batch(const struct storage *s) { return s->ops->delete_many ? STORAGE_DELETE_BATCH : 1; }
