#include "drivers/mongodb/oplog_names_internal.h"

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/look.h"

/* ---- names ---- */

const char *mo_buckets_of(const char *collection)
{
	static const char begin[] = "system.buckets.";

	return strncmp(collection, begin, strlen(begin)) || !collection[strlen(begin)] ? NULL : collection + strlen(begin);
}

bool mo_name_of(const char *ns, struct mo_name *n)
{
	const size_t len = strcspn(ns, ".");

	if (!len || len >= sizeof n->database || !ns[len] || !ns[len + 1])
		return false;
	memcpy(n->database, ns, len);
	n->database[len] = 0;
	n->collection = ns + len + 1;
	return true;
}

enum status mo_renaming_of(const struct mo_oplog_entry *op, struct mo_renaming *r, struct error *err)
{
	const char *from = mo_bson_text_at(&op->o, "renameCollection"), *to = mo_bson_text_at(&op->o, "to");
	bson_iter_t it;

	if (!from || !to || !mo_name_of(from, &r->from) || !mo_name_of(to, &r->to))
		return error_set(err, ST_BAD, "renameCollection does not say from what to what");
	/* The UUID of what it drops, or true. */
	r->drop_target = bson_iter_init_find(&it, &op->o, "dropTarget") && (BSON_ITER_HOLDS_BINARY(&it) || mo_look_holds(&it));
	return ST_OK;
}

/* ---- routes ---- */

static bool is_wanted(const struct mo_route *r, const char *collection)
{
	if (r->collections && r->collections->len && !strlist_has(r->collections, collection))
		return false;
	return !r->left_out || !strlist_has(r->left_out, collection);
}

const struct mo_route *mo_route_of(const struct mo_routes *r, const char *database)
{
	if (mo_database_place(database) != MO_TAKEN)
		return NULL;
	for (size_t i = 0; i < r->items; i++)
		if (!strcmp(r->item[i].database, database))
			return &r->item[i];
	return NULL;
}

char *mo_route_name(const struct mo_routes *r, const char *database, const char *collection, const struct mo_route **route)
{
	const char *series = mo_buckets_of(collection);
	const char *name = series ? series : collection;

	*route = mo_route_of(r, database);
	if (!*route || !*name || mo_collection_place(database, name) != MO_TAKEN || !is_wanted(*route, name))
		return NULL;
	for (size_t i = 0; i < (*route)->renames; i++)
		if (!strcmp((*route)->rename[i].from, name))
			return mo_where_collection((*route)->where, (*route)->rename[i].to);
	return mo_where_collection((*route)->where, name);
}
