#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"

void mo_put_majority(const struct mo_conn *c, bson_t *command)
{
	bson_t concern;

	if (!c->server.set_name && !c->server.mongos)
		return;
	BSON_APPEND_DOCUMENT_BEGIN(command, "writeConcern", &concern);
	BSON_APPEND_UTF8(&concern, "w", "majority");
	bson_append_document_end(command, &concern);
}

static enum status check_write(const bson_t *reply, struct error *err)
{
	const char *why = mo_look_str(reply, "writeErrors.0.errmsg");
	bson_iter_t at;

	if (!mo_look(reply, "writeErrors.0", &at))
		return ST_OK;
	CLEANUP(cstr_release) char *code = xasprintf("%" PRId64, mo_look_num(reply, "writeErrors.0.code", 0));
	error_set(err, ST_SERVER, "%s", why ? why : "the server did not write a document");
	error_native(err, code);
	return err->code;
}

enum status mo_change(struct run *run, struct mo_conn *c, const char *database, bson_t *command, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t reply;

	mo_put_majority(c, command);
	return mo_conn_command(run, c, database, command, &reply, err) ? err->code : check_write(&reply, err);
}

enum status mo_drop_collection(struct run *run, struct mo_conn *c, const char *database, const char *name, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "drop", name);
	if (!mo_change(run, c, database, &command, err))
		return ST_OK;
	if (mo_conn_code(err) != MO_NAMESPACE_NOT_FOUND)
		return error_add(err, "dropping %s.%s", database, name);
	error_release(err);
	return ST_OK;
}

enum status mo_rename_collection(struct run *run, struct mo_conn *c, const char *database, const char *from, const char *to, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(cstr_release) char *old = xasprintf("%s.%s", database, from), *new = xasprintf("%s.%s", database, to);

	BSON_APPEND_UTF8(&command, "renameCollection", old);
	BSON_APPEND_UTF8(&command, "to", new);
	return mo_change(run, c, "admin", &command, err) ? error_add(err, "renaming %s to %s", old, to) : ST_OK;
}

char *mo_not_renamed(const struct mo_conn *c, const struct mo_meta *m)
{
	const char *product = c->server.product;

	if (m->kind == MO_TIMESERIES)
		return xstrdup("no server renames a time series");
	if (product && !strcmp(product, "FerretDB") && m->kind == MO_COLLECTION && strchr(m->name, '.'))
		return xasprintf("%s renames no collection with a dot in its name", product);
	return NULL;
}

static enum status has_room(const bson_t *b, const char *what, struct error *err)
{
	return b->len < INT32_MAX / 2 ? ST_OK : error_set(err, ST_BAD, "the definition of %s is too large", what);
}

enum status mo_create_collection(struct run *run, struct mo_conn *c, const char *database, const char *name, const struct mo_meta *m, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t all = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&all, "create", name);
	mo_create_options(m, &all);
	if (has_room(&all, name, err))
		return err->code;
	mo_ttl_leave_out(&all, &command);
	return mo_change(run, c, database, &command, err) ? error_add(err, "making %s.%s", database, name) : ST_OK;
}

enum status mo_drop_place(struct run *run, struct mo_conn *c, const struct mo_where *w, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing l = MO_LISTING_INIT;

	if (mo_list(run, c, w, false, &l, err))
		return err->code;
	for (int views = 1; views >= 0; views--)
		for (size_t i = 0; i < l.items; i++)
			if ((l.item[i].meta.kind == MO_VIEW) == (views != 0) &&
			    mo_drop_collection(run, c, w->database, l.item[i].collection, err))
				return err->code;
	return ST_OK;
}

static int by_text(const void *key, const void *item) { return strcmp(key, *(char *const *)item); }

bool mo_sorted_has(const struct strlist *l, const char *s) { return l->len && bsearch(s, l->item, l->len, sizeof *l->item, by_text); }

/* ---- what was asked for, and what the server shows ---- */

static const char *const kinds[] = {[MO_COLLECTION] = "a plain collection", [MO_VIEW] = "a view", [MO_TIMESERIES] = "a time series collection"};

static void put_lost(const struct mo_meta *wanted, const struct mo_meta *made, struct buf *lost)
{
	bson_iter_t at, there;

	if (!bson_iter_init(&at, wanted->options))
		return;
	while (bson_iter_next(&at))
		if (!bson_iter_init_find(&there, made->options, bson_iter_key(&at)))
			buf_printf(lost, "%s%s", lost->len ? ", " : "", bson_iter_key(&at));
}

static enum status differs(const struct mo_wanted *w, const struct mo_meta *asked, const struct mo_meta *made, struct error *err)
{
	CLEANUP(buf_release) struct buf want = BUF_INIT, has = BUF_INIT, lost = BUF_INIT;

	mo_options_facts(asked, &want);
	mo_options_facts(made, &has);
	if (made->kind == asked->kind && !strcmp(buf_str(&want), buf_str(&has)))
		return ST_OK;
	put_lost(asked, made, &lost);
	if (made->kind != asked->kind)
		error_set(err, ST_UNSUPPORTED, "the server made %s of %s, which is %s", kinds[made->kind], w->place, kinds[asked->kind]);
	else if (lost.len)
		error_set(err, ST_UNSUPPORTED, "the server made %s without what it was asked for and said nothing: %s", w->place, buf_str(&lost));
	else
		error_set(err, ST_UNSUPPORTED, "the server made %s with other options: asked for were %.300s, it shows %.300s", w->place,
			  buf_str(&want), buf_str(&has));
	return error_hint(err, "Restore into a server that has them, or leave it out with --exclude-table %s.", w->meta.name);
}

enum status mo_check_made(const struct mo_wanted *w, const struct mo_listing *l, struct error *err)
{
	const struct mo_listed *made = mo_listed_named(l, w->to);
	CLEANUP(mo_doc_release) bson_t asked_for = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t shown = BSON_INITIALIZER;
	struct mo_meta asked = w->meta, is;

	if (!made)
		return error_set(err, ST_SERVER, "%s is not there, though the server said that it made it", w->place);
	is = made->meta;
	mo_ttl_leave_out(asked.options, &asked_for);
	mo_ttl_leave_out(is.options, &shown);
	asked.options = &asked_for;
	is.options = &shown;
	return differs(w, &asked, &is, err);
}

enum status mo_find_documents(struct mo_wish *w, const struct mo_listing *l, struct error *err)
{
	for (size_t i = 0; i < w->objects; i++) {
		struct mo_wanted *x = w->by_id[i];
		const struct mo_listed *there = mo_listed_named(l, x->to);

		if (!there || there->meta.kind == MO_VIEW)
			return error_set(err, ST_NOT_FOUND, "the collection %s is not there", x->place);
		if (there->meta.kind != x->meta.kind)
			return error_set(err, ST_REFUSED, "%s is %s, the backup has %s", x->place, kinds[there->meta.kind], kinds[x->meta.kind]);
		free(x->documents);
		x->documents = xstrdup(there->documents);
		x->raw_data = there->raw_data;
	}
	return ST_OK;
}
