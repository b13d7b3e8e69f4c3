/* Which databases a dump is of. */
#include "drivers/mongodb/dump.h"

#include "drivers/mongodb/look.h"

static bool matches(const struct strlist *patterns, const char *name) { return patterns && strlist_matches(patterns, name); }

enum status mo_dump_add_scope(struct mo_dump *d, const char *name, const char *place, struct error *err)
{
	struct mo_where where = MO_WHERE_INIT;

	if (mo_where_parse(place, &where, err)) {
		mo_where_release(&where);
		return err->code;
	}
	d->scope = xrealloc(d->scope, (d->scopes + 1) * sizeof *d->scope);
	d->scope[d->scopes++] = (struct mo_scope){.name = xstrdup(name), .where = where};
	return ST_OK;
}

/* The databases that a person could dump, by name. An account that may not list them has that of the URL. */
static enum status all_databases(struct run *run, struct mo_dump *d, const char *of_url, struct strlist *all, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply = BSON_INITIALIZER;
	bson_iter_t at, item;

	BSON_APPEND_INT32(&command, "listDatabases", 1);
	BSON_APPEND_BOOL(&command, "nameOnly", true);
	if (mo_conn_command(run, d->c, "admin", &command, &reply, err)) {
		if (!mo_conn_denied(err) || !of_url)
			return error_add(err, "the list of databases");
		error_release(err);
		strlist_add(all, of_url);
		return ST_OK;
	}
	if (!mo_look(&reply, "databases", &at) || !BSON_ITER_HOLDS_ARRAY(&at) || !bson_iter_recurse(&at, &item))
		return error_set(err, ST_SERVER, "the server gave no list of databases");
	while (bson_iter_next(&item)) {
		bson_iter_t name;

		if (BSON_ITER_HOLDS_DOCUMENT(&item) && bson_iter_recurse(&item, &name) && bson_iter_find(&name, "name") && BSON_ITER_HOLDS_UTF8(&name))
			strlist_add(all, bson_iter_utf8(&name, NULL));
	}
	strlist_sort(all);
	return ST_OK;
}

static enum status no_database(const struct strlist *all, const char *name, struct error *err)
{
	CLEANUP(buf_release) struct buf seen = BUF_INIT;

	if (mo_database_place(name) != MO_TAKEN) {
		error_set(err, ST_UNSUPPORTED, "database %s belongs to the server itself and is not dumped", name);
		return error_hint(err, "Accounts and roles are in every backup by themselves, where the account may read them.");
	}
	for (size_t i = 0; i < all->len; i++)
		buf_printf(&seen, "%s%s", i ? ", " : "", all->item[i]);
	error_set(err, ST_NOT_FOUND, "there is no database %s on this server, or this account may not see it", name);
	return error_hint(err, "The account sees %s.", seen.len ? buf_str(&seen) : "none");
}

static enum status check_named(const struct mo_dump *d, const struct dump_request *q, const char *of_url, const struct strlist *all,
			       struct error *err)
{
	const struct strlist none = STRLIST_INIT, *named = q->databases ? q->databases : &none;
	char *url_item[] = {(char *)(uintptr_t)of_url};
	const struct strlist url_only = {url_item, 1, 1};

	if (!named->len && of_url)
		named = &url_only;
	for (size_t i = 0; i < named->len; i++) {
		bool found = !dump_must_have(q->exclude, named->item[i]);

		for (size_t k = 0; !found && k < d->scopes; k++)
			found = !strcmp(d->scope[k].name, named->item[i]);
		if (!found)
			return no_database(all, named->item[i], err);
	}
	return ST_OK;
}

/* Every server has a database admin, mostly for itself. */
static enum status has_own_collections(struct run *run, struct mo_dump *d, const char *database, bool *has, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing l = MO_LISTING_INIT;
	CLEANUP(mo_where_release) struct mo_where w = {xstrdup(database), xstrdup("")};
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	*has = false;
	if (!mo_list(run, d->c, &w, false, &l, &refused)) {
		*has = l.items > 0;
		return ST_OK;
	}
	return mo_conn_denied(&refused) ? ST_OK : error_move(err, &refused);
}

static bool is_named(const struct dump_request *q, const char *of_url, const char *name)
{
	return (q->databases && strlist_has(q->databases, name)) || (of_url && !strcmp(of_url, name));
}

enum status mo_dump_choose(struct run *run, struct mo_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err)
{
	CLEANUP(strlist_release) struct strlist all = STRLIST_INIT;
	CLEANUP(cstr_release) char *of_url = NULL;

	if (mo_conn_url_database(d->e, &of_url, err) || all_databases(run, d, of_url, &all, err))
		return err->code;
	for (size_t i = 0; i < all.len; i++) {
		const char *name = all.item[i];
		bool counts = mo_database_place(name) == MO_TAKEN;

		if (counts && !strcmp(name, "admin") && !is_named(q, of_url, name) && has_own_collections(run, d, name, &counts, err))
			return err->code;
		if (!counts)
			continue;
		if (!dump_wants(q->databases, q->exclude, of_url, name)) {
			if (!matches(q->exclude, name))
				strlist_add(&info->uncovered, name);
		} else if (mo_dump_add_scope(d, name, name, err)) {
			return err->code;
		}
	}
	return check_named(d, q, of_url, &all, err);
}
