#include "drivers/mongodb/load_plan.h"

#include "drivers/mongodb/look.h"
#include "drivers/mongodb/oplog_names.h"

struct mo_rights {
	bool known;
	/* "insert" or "insert\001shop" on collections; "insert\002shop\002ts" on those that hold the buckets of time series, empty names being any. */
	struct strlist action;
};

static void add_actions(struct mo_rights *r, const bson_t *privilege, const char *where)
{
	bson_t actions;
	bson_iter_t at;

	if (!mo_look_doc(privilege, "actions", &actions) || !bson_iter_init(&at, &actions))
		return;
	while (bson_iter_next(&at))
		if (BSON_ITER_HOLDS_UTF8(&at))
			strlist_take(&r->action, xasprintf("%s%s", bson_iter_utf8(&at, NULL), where));
}

static void add_actions_on_buckets(struct mo_rights *r, const bson_t *privilege, const char *database, const char *series)
{
	CLEANUP(cstr_release) char *where = xasprintf("\002%s\002%s", database, series);

	add_actions(r, privilege, where);
}

/* {resource: {db, collection} or {db, system_buckets}, actions: [...]}; an empty database is any, and only those on all collections count. */
static void take_privilege(struct mo_rights *r, const bson_t *privilege)
{
	const char *database = mo_look_str(privilege, "resource.db"), *collection = mo_look_str(privilege, "resource.collection");
	const char *series = collection ? mo_buckets_of(collection) : mo_look_str(privilege, "resource.system_buckets");

	if (mo_look_true(privilege, "resource.anyResource")) {
		add_actions(r, privilege, "");
		add_actions_on_buckets(r, privilege, "", "");
	} else if (database && series) {
		add_actions_on_buckets(r, privilege, database, series);
	} else if (database && collection && !*collection) {
		CLEANUP(cstr_release) char *where = *database ? xasprintf("\001%s", database) : xstrdup("");

		add_actions(r, privilege, where);
	}
}

enum status mo_rights_read(struct run *run, struct mo_conn *c, struct mo_rights **to, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	struct mo_rights *r = xcalloc(1, sizeof *r);
	bson_t users, privileges, one;
	bson_iter_t at;

	*to = r;
	BSON_APPEND_INT32(&command, "connectionStatus", 1);
	BSON_APPEND_BOOL(&command, "showPrivileges", true);
	if (mo_conn_command(run, c, "admin", &command, &reply, &why))
		return mo_conn_lost(&why) ? error_move(err, &why) : ST_OK;
	if (!mo_look_doc(&reply, "authInfo.authenticatedUsers", &users) || bson_empty(&users) ||
	    !mo_look_doc(&reply, "authInfo.authenticatedUserPrivileges", &privileges) || bson_empty(&privileges) ||
	    !bson_iter_init(&at, &privileges))
		return ST_OK;
	r->known = true;
	while (bson_iter_next(&at))
		if (mo_look_doc(&privileges, bson_iter_key(&at), &one))
			take_privilege(r, &one);
	strlist_sort(&r->action);
	return ST_OK;
}

void mo_rights_freep(struct mo_rights **r)
{
	if (!*r)
		return;
	strlist_release(&(*r)->action);
	free(*r);
	*r = NULL;
}

bool mo_rights_have(const struct mo_rights *r, const char *action, const char *database)
{
	CLEANUP(cstr_release) char *here = xasprintf("%s\001%s", action, database);

	return !r->known || mo_sorted_has(&r->action, action) || mo_sorted_has(&r->action, here);
}

bool mo_rights_have_buckets(const struct mo_rights *r, const char *action, const char *database, const char *series)
{
	const char *const databases[] = {database, ""}, *const all[] = {series, ""};

	for (size_t i = 0; r->known && i < ARRAY_LEN(databases) * ARRAY_LEN(all); i++) {
		CLEANUP(cstr_release) char *right = xasprintf("%s\002%s\002%s", action, databases[i % 2], all[i / 2]);

		if (mo_sorted_has(&r->action, right))
			return true;
	}
	return !r->known;
}
