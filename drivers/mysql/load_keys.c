#include "drivers/mysql/load.h"

#define FEW_BYTES ((uint64_t)32 * 1024)

bool my_is_made_whole(const struct my_load *l, const struct my_object *o)
{
	const struct my_load_table *t = my_load_wish_named(&l->wish, o->name);

	return l->wish.mode == MY_LOAD_DATABASE && (!t || t->raw < FEW_BYTES);
}

bool my_foreign_fits(const struct my_load_wish *w, const struct strlist *there, const char *foreign)
{
	CLEANUP(cstr_release) char *database = NULL, *table = NULL;

	/* What is in another database is that one's affair: the server takes a key to a table that is not there. */
	if (w->mode == MY_LOAD_DATABASE || !my_text_references(foreign, &database, &table) || (database && strcmp(database, w->scope)))
		return true;
	return my_sorted_has(there, table) || strlist_has(&w->asked, table);
}

/* A table that this restore made, and what its definition still lacks. */
struct keyed {
	const char *name; /* as it is called now */
	uint64_t raw;
	struct my_ddl_table d;
};
struct keys {
	struct my_load *l;
	struct keyed *table;
	size_t tables;
	struct strlist there;
};

static void keys_release(struct keys *k)
{
	for (size_t i = 0; i < k->tables; i++)
		my_ddl_release(&k->table[i].d);
	free(k->table);
	strlist_release(&k->there);
}

static int by_size(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->raw != y->raw)
		return x->raw < y->raw ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void add_table(struct keys *k, const struct my_object *o)
{
	const struct my_load_table *t = my_load_wish_named(&k->l->wish, o->name);
	struct keyed *to = &k->table[k->tables++];

	*to = (struct keyed){.name = t ? my_load_table_place(t) : o->name, .raw = t ? t->raw : 0};
	if (my_is_made_whole(k->l, o))
		return;
	my_definition_read(o->sql, k->l->wish.scope, &to->d);
	/* One that comes beside its elder would have constraints of the same names. */
	if (t && t->direct)
		strlist_release(&to->d.foreign);
}

static void list_tables(struct keys *k)
{
	const struct my_load_wish *w = &k->l->wish;

	k->table = xcalloc(w->objects + 1, sizeof *k->table);
	for (size_t i = 0; i < w->objects; i++)
		if (w->object[i].kind == OBJECT_TABLE && my_load_wish_makes(w, &w->object[i]))
			add_table(k, &w->object[i]);
	qsort(k->table, k->tables, sizeof *k->table, by_size);
}

static void leave_out(struct strlist *from, const struct strlist *what)
{
	struct strlist left = STRLIST_INIT;

	for (size_t i = 0; i < from->len; i++)
		if (!strlist_has(what, from->item[i]))
			strlist_add(&left, from->item[i]);
	strlist_release(from);
	*from = left;
}

/* What an attempt before has added. */
static enum status look_at_table(struct keys *k, struct run *run, struct my_conn *c, struct keyed *t, struct error *err)
{
	CLEANUP(my_ddl_release) struct my_ddl_table now = MY_DDL_TABLE_INIT;
	CLEANUP(cstr_release) char *create = NULL;

	if (my_show_create(run, c, t->name, &create, err))
		return err->code;
	my_definition_read(create, k->l->s->target, &now);
	leave_out(&t->d.keys, &now.keys);
	leave_out(&t->d.foreign, &now.foreign);
	return ST_OK;
}

static enum status alter(struct run *run, struct my_conn *c, const char *table, const struct strlist *parts, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (!parts->len)
		return ST_OK;
	buf_puts(&sql, "ALTER TABLE ");
	my_sql_ident(&sql, table);
	for (size_t i = 0; i < parts->len; i++)
		buf_printf(&sql, "%s %s", i ? "," : "", parts->item[i]);
	return my_conn_command(run, c, buf_str(&sql), err) ? error_add(err, "table %s", table) : ST_OK;
}

static enum status build(void *ctx, struct run *run, struct my_conn *c, size_t i, struct error *err)
{
	struct keys *k = ctx;
	struct keyed *t = &k->table[i];

	if (k->l->resumed && look_at_table(k, run, c, t, err))
		return err->code;
	return alter(run, c, t->name, &t->d.keys, err);
}

static enum status add_foreign(struct run *run, struct keys *k, struct keyed *t, struct error *err)
{
	struct strlist fit = STRLIST_INIT;

	for (size_t i = 0; i < t->d.foreign.len; i++)
		if (my_foreign_fits(&k->l->wish, &k->there, t->d.foreign.item[i]))
			strlist_add(&fit, t->d.foreign.item[i]);
		else
			notes_add(k->l->e->notes, MY_FOREIGN_LEFT, k->l->s->target, t->name, t->d.foreign.item[i]);
	alter(run, k->l->conn, t->name, &fit, err);
	strlist_release(&fit);
	return err->code;
}

/* Foreign keys one after the other: each locks two tables, and takes no time since nothing is checked. */
enum status my_load_keys(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(keys_release) struct keys k = {.l = l};

	list_tables(&k);
	if (my_load_each(run, l, k.tables, build, &k, err) || my_tables_there(run, l->conn, l->s->target, &k.there, err))
		return error_add(err, "the indexes of the database %s", l->s->scope);
	for (size_t i = 0; i < k.tables; i++)
		if (add_foreign(run, &k, &k.table[i], err))
			return error_add(err, "the foreign keys of the database %s", l->s->scope);
	return ST_OK;
}
