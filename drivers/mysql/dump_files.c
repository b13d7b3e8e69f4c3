/* Files of a dump beside the rows: definitions as objects and as SQL, accounts. */
#include "drivers/mysql/dump.h"

#include "drivers/mysql/ddl.h"
#include "drivers/mysql/objects.h"
#include "drivers/mysql/users.h"

#define SPOOL_MEMORY ((size_t)8 << 20)

/* ---- entries ---- */

struct spool *my_entry_spool(const struct my_dump *d) { return spool_new(d->e->spool_dir, SPOOL_MEMORY); }

struct spool_read {
	struct spool *s;
	uint64_t at;
};

static enum status read_spool(void *ctx, void *to, size_t cap, size_t *got, struct error *err)
{
	struct spool_read *r = ctx;
	size_t n = (size_t)min_u64(cap, spool_size(r->s) - r->at);

	if (n && spool_read_at(r->s, r->at, to, n, err))
		return err->code;
	r->at += n;
	*got = n;
	return ST_OK;
}

enum status my_entry_give(const struct entry_sink *entries, const char *path, struct spool *s, struct error *err)
{
	struct spool_read r = {.s = s};
	const struct dump_entry e = {.path = path, .size = spool_size(s)};

	return entries->entry(entries->ctx, &e, (struct byte_source){read_spool, &r}, err);
}

enum status my_entry_give_text(const struct entry_sink *entries, const char *path, const struct buf *text, struct error *err)
{
	struct memory_bytes m = {buf_str(text), text->len};
	const struct dump_entry e = {.path = path, .size = text->len};

	return entries->entry(entries->ctx, &e, memory_source(&m), err);
}

static enum status put(struct spool *s, const struct buf *text, struct error *err) { return spool_write(s, buf_str(text), text->len, err); }

static enum status put_json_line(struct spool *s, const json_t *j, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	js_write(j, false, &line);
	buf_putc(&line, '\n');
	enum status st = put(s, &line, err);
	secure_zero(line.data, line.len);
	return st;
}

/* ---- accounts ---- */

struct accounts {
	struct my_dump *d;
	struct buf grant, default_role; /* behind all accounts: they name others */
	bool hashes;
};

static void accounts_release(struct accounts *a)
{
	buf_release(&a->grant);
	buf_release(&a->default_role);
}

static enum status add_account(void *ctx, const struct my_user *u, struct error *err)
{
	struct accounts *a = ctx;
	CLEANUP(js_decref) json_t *j = my_user_json(u);
	CLEANUP(buf_release) struct buf create = BUF_INIT;

	if (put_json_line(a->d->users, j, err))
		return err->code;
	a->hashes = a->hashes || strstr(u->create, " USING ") || strstr(u->create, " PASSWORD '") || strstr(u->create, " AS ");
	my_user_script_part(u, MY_USER_CREATE, &create);
	my_user_script_part(u, MY_USER_GRANT, &a->grant);
	my_user_script_part(u, MY_USER_DEFAULT_ROLE, &a->default_role);
	enum status st = put(a->d->users_sql, &create, err);
	if (create.len)
		secure_zero(create.data, create.len);
	return st;
}

enum status my_dump_read_users(struct run *run, struct my_dump *d, struct dump_info *info, struct error *err)
{
	CLEANUP(accounts_release) struct accounts a = {.d = d};
	CLEANUP(buf_release) struct buf head = BUF_INIT;
	bool readable = false;

	d->users = my_entry_spool(d);
	d->users_sql = my_entry_spool(d);
	my_script_head(&head);
	if (put(d->users_sql, &head, err) || my_users_each(run, d->c, &readable, add_account, &a, err) || put(d->users_sql, &a.grant, err) ||
	    put(d->users_sql, &a.default_role, err))
		return err->code;
	info->has_password_hashes = a.hashes;
	if (readable)
		return ST_OK;
	strlist_add(&info->not_contained, "accounts, roles and their rights: this account may not read them");
	spool_freep(&d->users);
	spool_freep(&d->users_sql);
	return ST_OK;
}

/* ---- definitions ---- */

/* Views may use each other: each is written behind those that its text names. */
struct view {
	char *name, *script;
	struct strlist uses; /* quoted words of its text */
	bool placed;
};
struct definitions {
	struct my_dump *d;
	struct spool *objects, *before, *after;
	struct buf keys, foreign, values, status;
	char *collation; /* of the database */
	struct view *view;
	size_t views;
};

static void forget_views(struct definitions *x)
{
	for (size_t i = 0; i < x->views; i++) {
		free(x->view[i].name);
		free(x->view[i].script);
		strlist_release(&x->view[i].uses);
	}
	free(x->view);
	x->view = NULL;
	x->views = 0;
}

static void definitions_release(struct definitions *x)
{
	spool_freep(&x->objects);
	spool_freep(&x->before);
	spool_freep(&x->after);
	buf_release(&x->keys);
	buf_release(&x->foreign);
	buf_release(&x->values);
	buf_release(&x->status);
	free(x->collation);
	forget_views(x);
}

static void take_uses(struct view *v, const char *sql)
{
	for (const char *at = strchr(sql, '`'), *end; at && (end = strchr(at + 1, '`')); at = strchr(end + 1, '`')) {
		char *word = xstrndup(at + 1, (size_t)(end - at - 1));

		if (strcmp(word, v->name) && !strlist_has(&v->uses, word))
			strlist_take(&v->uses, word);
		else
			free(word);
	}
}

static void add_view(struct definitions *x, const struct my_object *o)
{
	struct buf script = BUF_INIT;

	if ((x->views & (x->views - 1)) == 0)
		x->view = xrealloc(x->view, (x->views ? x->views * 2 : 1) * sizeof *x->view);
	struct view *v = &x->view[x->views++];
	my_object_script_in(o, NULL, x->collation, &script);
	*v = (struct view){.name = xstrdup(o->name), .script = buf_detach(&script)};
	take_uses(v, o->sql);
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct view *)a)->name, ((const struct view *)b)->name); }

static void place_view(struct definitions *x, struct view *v, struct buf *to)
{
	if (v->placed)
		return;
	v->placed = true; /* before those it uses: a circle of names ends here */
	for (size_t i = 0; i < v->uses.len; i++) {
		const struct view wanted = {.name = v->uses.item[i]};
		struct view *other = bsearch(&wanted, x->view, x->views, sizeof wanted, by_name);

		if (other)
			place_view(x, other, to);
	}
	buf_puts(to, v->script);
}

static enum status put_views(struct definitions *x, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (x->views)
		qsort(x->view, x->views, sizeof *x->view, by_name);
	for (size_t i = 0; i < x->views; i++)
		place_view(x, &x->view[i], &text);
	forget_views(x);
	return put(x->after, &text, err);
}

/* ALTER TABLE with all parts; those of one kind in one statement. */
static void add_alter(struct buf *to, const char *table, const struct strlist *parts)
{
	for (size_t i = 0; i < parts->len; i++) {
		if (!i) {
			buf_puts(to, "ALTER TABLE ");
			my_sql_ident(to, table);
		}
		buf_printf(to, "%s\n  %s", i ? "," : "", parts->item[i]);
	}
	buf_puts(to, parts->len ? ";\n" : "");
}

static enum status add_table(struct definitions *x, const struct my_object *o, struct error *err)
{
	CLEANUP(my_ddl_release) struct my_ddl_table t = MY_DDL_TABLE_INIT;
	CLEANUP(error_release) struct error unusual = ERROR_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool whole = my_ddl_split(o->sql, &t, &unusual) != ST_OK;

	my_object_script_in(o, whole ? o->sql : t.base, x->collation, &text);
	if (!whole) {
		add_alter(&x->keys, o->name, &t.keys);
		add_alter(&x->foreign, o->name, &t.foreign);
	}
	return put(x->before, &text, err);
}

static enum status add_database(struct definitions *x, const struct my_object *o, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	x->collation = o->db_collation ? xstrdup(o->db_collation) : NULL;
	my_object_script(o, NULL, &text);
	buf_puts(&text, "USE ");
	my_sql_ident(&text, o->name);
	buf_puts(&text, ";\n");
	return put(x->before, &text, err);
}

static enum status add_sequence(struct definitions *x, const struct my_object *o, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	size_t had = x->values.len;

	my_object_script_in(o, NULL, x->collation, &text);
	my_object_value_sql(o, &x->values);
	buf_puts(&x->values, x->values.len > had ? ";\n" : "");
	return put(x->before, &text, err);
}

/* What has been gathered for the front of after.sql goes there once. */
static enum status put_gathered(struct definitions *x, struct error *err)
{
	struct buf *const part[] = {&x->keys, &x->foreign, &x->values};

	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		if (put(x->after, part[i], err))
			return err->code;
		buf_release(part[i]);
	}
	return ST_OK;
}

static enum status add_after(struct definitions *x, const struct my_object *o, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (put_gathered(x, err) || (o->kind > OBJECT_VIEW && put_views(x, err)))
		return err->code;
	my_object_script_in(o, NULL, x->collation, &text);
	if (o->kind == OBJECT_EVENT)
		my_event_status_script(o, &x->status);
	return put(x->after, &text, err);
}

static enum status add_object(void *ctx, const struct my_object *o, struct error *err)
{
	struct definitions *x = ctx;
	CLEANUP(js_decref) json_t *j = my_object_json(o);

	my_seen_add(&x->d->seen, o);
	if (put_json_line(x->objects, j, err))
		return err->code;
	switch (o->kind) {
	case OBJECT_DATABASE: return add_database(x, o, err);
	case OBJECT_SEQUENCE: return add_sequence(x, o, err);
	case OBJECT_TABLE: return add_table(x, o, err);
	case OBJECT_VIEW: add_view(x, o); return ST_OK;
	default: return add_after(x, o, err);
	}
}

enum status my_dump_definitions(struct run *run, struct my_dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(definitions_release)
	struct definitions x = {.d = d, .objects = my_entry_spool(d), .before = my_entry_spool(d), .after = my_entry_spool(d)};
	CLEANUP(buf_release) struct buf head = BUF_INIT;

	my_script_head(&head);
	if (put(x.before, &head, err) || put(x.after, &head, err) ||
	    my_objects_each(run, d->c, my_dump_database(d), d->e->notes, add_object, &x, err) ||
	    my_seen_count(run, d->c, &d->seen.count, err) || put_gathered(&x, err) || put_views(&x, err) ||
	    put(x.after, &x.status, err))
		return err->code;
	return my_entry_give(entries, OBJECTS_PATH, x.objects, err) || my_entry_give(entries, "before.sql", x.before, err) ||
			       my_entry_give(entries, "after.sql", x.after, err)
		       ? err->code
		       : ST_OK;
}
