/* Documents with a field at the top whose name begins with "$". Since 5.0 servers take them in an insert and as what an aggregation made, but not in a
 * replacement, with upsert or without. So they are inserted, whether they are there or not, and then set by an aggregation. */
#include "drivers/mongodb/load_log.h"

bool mo_has_dollars(const bson_t *doc)
{
	bson_iter_t at;

	if (!bson_iter_init(&at, doc))
		return false;
	while (bson_iter_next(&at))
		if (*bson_iter_key(&at) == '$')
			return true;
	return false;
}

static enum status insert_all(struct run *run, const struct mo_window *w, uint32_t target, struct mo_insert *in, struct error *err)
{
	for (uint32_t i = 0; i < w->changes; i++) {
		const struct mo_change *c = &w->change[i];

		if (c->target == target && c->state == MO_CHANGE_PUT && mo_has_dollars(c->doc) && mo_insert_add(run, in, c->doc, err))
			return err->code;
	}
	return mo_insert_flush(run, in, err);
}

enum status mo_dollars_insert(struct run *run, const struct mo_window *w, uint32_t target, struct mo_insert *in, struct error *err)
{
	const enum status st = insert_all(run, w, target, in, err);

	mo_insert_release(in);
	return st ? error_add(err, "oplog entries of %s", w->target[target].ns) : ST_OK;
}
