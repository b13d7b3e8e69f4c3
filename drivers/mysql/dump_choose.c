/* Which databases a dump is of. */
#include "drivers/mysql/dump.h"

static bool matches(const struct strlist *patterns, const char *name) { return patterns && strlist_matches(patterns, name); }

void my_dump_add_scope(struct my_dump *d, const char *name, const char *database)
{
	d->scope = xrealloc(d->scope, (d->scopes + 1) * sizeof *d->scope);
	d->scope[d->scopes++] = (struct my_scope){.name = xstrdup(name), .database = xstrdup(database)};
}

static enum status no_database(const struct strlist *all, const char *name, struct error *err)
{
	CLEANUP(buf_release) struct buf seen = BUF_INIT;

	my_put_names(&seen, all);
	error_set(err, ST_NOT_FOUND, "there is no database %s on this server, or this account may not see it", name);
	return error_hint(err, "The account sees %s.", buf_str(&seen));
}

static enum status check_named(const struct my_dump *d, const struct dump_request *q, const char *of_url, const struct strlist *all,
			       struct error *err)
{
	const struct strlist none = STRLIST_INIT, *named = q->databases ? q->databases : &none;
	char *url_item[] = {(char *)(uintptr_t)of_url};
	const struct strlist url_only = {url_item, 1, 1};

	if (!named->len && of_url)
		named = &url_only;
	for (size_t i = 0; i < named->len; i++) {
		const char *name = named->item[i];
		bool found = !dump_must_have(q->exclude, name);

		for (size_t k = 0; !found && k < d->scopes; k++)
			found = !strcmp(d->scope[k].name, name);
		if (!found && my_system_database(name)) {
			error_set(err, ST_UNSUPPORTED, "%s belongs to the server itself and is not dumped", name);
			return error_hint(err, "Accounts, roles and their grants are in every backup by themselves.");
		}
		if (!found)
			return no_database(all, name, err);
	}
	return ST_OK;
}

static enum status add_name(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	if (field[0] && !my_system_database(field[0]))
		strlist_add(ctx, field[0]);
	return ST_OK;
}

enum status my_dump_choose(struct run *run, struct my_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err)
{
	CLEANUP(strlist_release) struct strlist all = STRLIST_INIT;
	CLEANUP(cstr_release) char *of_url = NULL;

	if (my_conn_url_database(d->e, &of_url, err) || my_conn_each(run, d->c, "SHOW DATABASES", add_name, &all, err))
		return err->code;
	strlist_sort(&all);
	for (size_t i = 0; i < all.len; i++) {
		if (dump_wants(q->databases, q->exclude, of_url, all.item[i]))
			my_dump_add_scope(d, all.item[i], all.item[i]);
		else if (!matches(q->exclude, all.item[i]))
			strlist_add(&info->uncovered, all.item[i]);
	}
	return check_named(d, q, of_url, &all, err);
}
