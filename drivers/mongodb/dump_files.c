/* Files of a dump beside the documents: metadata of collections and views, accounts. */
#include "drivers/mongodb/dump.h"

#include "drivers/mongodb/dump_text.h"
#include "drivers/mongodb/look.h"

#define SPOOL_MEMORY ((size_t)8 << 20)

static enum status give_spool(const struct entry_sink *entries, const char *path, struct spool *s, struct error *err)
{
	const struct dump_entry e = {.path = path, .size = spool_size(s)};

	return entries->entry(entries->ctx, &e, spool_source(s), err);
}

enum status mo_entry_give_text(const struct entry_sink *entries, const char *path, const struct buf *text, struct error *err)
{
	struct memory_bytes m = {buf_str(text), text->len};
	const struct dump_entry e = {.path = path, .size = text->len};

	return entries->entry(entries->ctx, &e, memory_source(&m), err);
}

/* ---- metadata ---- */

enum status mo_dump_metadata(const struct mo_dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(spool_freep) struct spool *all = spool_new(d->e->spool_dir, SPOOL_MEMORY);
	const struct mo_listing *l = &d->scope[d->at].listing;

	for (size_t i = 0; i < l->items; i++) {
		const struct mo_meta *m = &l->item[i].meta;
		CLEANUP(buf_release) struct buf line = BUF_INIT;
		CLEANUP(cstr_release) char *file = mo_file_name(m->name);
		CLEANUP(cstr_release) char *path = xasprintf("%s.metadata.json", file);

		mo_meta_print(m, &line);
		if (mo_entry_give_text(entries, path, &line, err))
			return error_add(err, "metadata of collection %s", m->name);
		buf_putc(&line, '\n');
		if (spool_write(all, line.data, line.len, err))
			return err->code;
	}
	return give_spool(entries, MO_COLLECTIONS_PATH, all, err);
}

/* Readings are the listing without its views, in its order. */
enum status mo_dump_script(const struct mo_dump *d, const struct entry_sink *entries, struct error *err)
{
	const struct mo_scope *s = &d->scope[d->at];
	struct mo_load_item *item = xcalloc(s->listing.items + 1, sizeof *item);
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	size_t at = 0;

	for (size_t i = 0; i < s->listing.items; i++) {
		const struct mo_meta *m = &s->listing.item[i].meta;
		const struct mo_reading *r = m->kind == MO_VIEW ? NULL : d->reading[at++];

		item[i] = (struct mo_load_item){.name = m->name, .kind = m->kind};
		if (r) {
			item[i].folder = r->folder;
			item[i].bytes = atomic_load(&r->bytes);
		}
	}
	mo_load_script(s->name, item, s->listing.items, &text);
	free(item);
	return mo_entry_give_text(entries, "load.sh", &text, err);
}

/* ---- accounts ---- */

struct accounts {
	struct spool *to;
	size_t n;
	bool hashes;
};

static enum status add_account(void *ctx, const bson_t *doc, struct error *err)
{
	struct accounts *a = ctx;
	bson_iter_t at;

	a->n++;
	a->hashes = a->hashes || mo_look(doc, "credentials.SCRAM-SHA-1", &at) || mo_look(doc, "credentials.SCRAM-SHA-256", &at);
	return spool_write(a->to, bson_get_data(doc), doc->len, err);
}

/* *why: NULL, or why they cannot be read. */
static enum status read_accounts(struct run *run, struct mo_dump *d, const char *collection, struct accounts *a, char **why, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	BSON_APPEND_UTF8(&command, "find", collection);
	if (!mo_conn_each(run, d->c, "admin", &command, add_account, a, &refused))
		return ST_OK;
	if (mo_conn_lost(&refused) || !mo_conn_code(&refused))
		return error_move(err, &refused);
	free(*why);
	*why = xasprintf("%s", mo_conn_denied(&refused) ? "this account may not read them" : error_text(&refused));
	return ST_OK;
}

struct names {
	struct buf text;
	size_t n;
};

static void names_release(struct names *n) { buf_release(&n->text); }

/* Names of the accounts of a server that keeps them where no dump sees them. */
static enum status names_of_accounts(struct run *run, struct mo_dump *d, struct names *names, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	bson_iter_t at, item;

	BSON_APPEND_INT32(&command, "usersInfo", 1);
	if (mo_conn_command(run, d->c, "admin", &command, &reply, &refused))
		return mo_conn_lost(&refused) || !mo_conn_code(&refused) ? error_move(err, &refused) : ST_OK;
	if (!mo_look(&reply, "users", &at) || !BSON_ITER_HOLDS_ARRAY(&at) || !bson_iter_recurse(&at, &item))
		return ST_OK;
	while (bson_iter_next(&item)) {
		bson_iter_t user;

		if (BSON_ITER_HOLDS_DOCUMENT(&item) && bson_iter_recurse(&item, &user) && bson_iter_find(&user, "user") && BSON_ITER_HOLDS_UTF8(&user))
			buf_printf(&names->text, "%s%s", names->n++ ? ", " : " (", bson_iter_utf8(&user, NULL));
	}
	if (names->n)
		buf_putc(&names->text, ')');
	return ST_OK;
}

static enum status say_missing(struct run *run, struct mo_dump *d, const char *why, struct dump_info *info, struct error *err)
{
	CLEANUP(names_release) struct names names = {.n = 0};

	spool_freep(&d->users);
	spool_freep(&d->roles);
	if (names_of_accounts(run, d, &names, err))
		return error_add(err, "accounts");
	strlist_take(&info->not_contained, xasprintf("accounts, roles and their rights%s: %s", buf_str(&names.text), why));
	return ST_OK;
}

enum status mo_dump_read_users(struct run *run, struct mo_dump *d, struct dump_info *info, struct error *err)
{
	CLEANUP(cstr_release) char *why = NULL;

	d->users = spool_new(d->e->spool_dir, SPOOL_MEMORY);
	d->roles = spool_new(d->e->spool_dir, SPOOL_MEMORY);
	struct accounts users = {.to = d->users}, roles = {.to = d->roles};
	if (read_accounts(run, d, "system.users", &users, &why, err) || read_accounts(run, d, "system.roles", &roles, &why, err))
		return error_add(err, "accounts");
	info->has_password_hashes = users.hashes;
	if (why)
		return say_missing(run, d, why, info, err);
	if (!users.n && mo_about_is_other(&d->c->server))
		return say_missing(run, d, "this server does not keep them where a backup can read them", info, err);
	return ST_OK;
}

enum status mo_dump_entries(struct run *run UNUSED, void *dump, const struct entry_sink *entries, struct error *err)
{
	struct mo_dump *d = dump;

	if (!d->users)
		return ST_OK;
	return give_spool(entries, MO_USERS_PATH, d->users, err) || give_spool(entries, MO_ROLES_PATH, d->roles, err) ? err->code : ST_OK;
}
