/* What the server says of the tables that were made, against what was recorded. */
#include "drivers/mysql/load.h"

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool same_list(struct strlist *a, struct strlist *b)
{
	if (a->len != b->len)
		return false;
	if (a->len) {
		qsort(a->item, a->len, sizeof *a->item, by_text);
		qsort(b->item, b->len, sizeof *b->item, by_text);
	}
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->item[i], b->item[i]))
			return false;
	return true;
}

/* Split, without counter and name. */
static void normal(const char *create, const char *database, struct my_ddl_table *d)
{
	CLEANUP(cstr_release) char *still = my_ddl_without_counter(create);
	CLEANUP(cstr_release) char *nameless = my_ddl_renamed(still, "t");

	my_definition_read(nameless ? nameless : still, database, d);
}

struct comparer {
	struct my_load *l;
	const struct my_object **object;
	size_t objects;
};

static enum status compare_table(void *ctx, struct run *run, struct my_conn *c, size_t i, struct error *err)
{
	struct comparer *p = ctx;
	const struct my_object *o = p->object[i];
	const struct my_load_table *t = my_load_wish_named(&p->l->wish, o->name);
	CLEANUP(my_ddl_release) struct my_ddl_table then = MY_DDL_TABLE_INIT, now = MY_DDL_TABLE_INIT;
	CLEANUP(cstr_release) char *create = NULL;
	const char *what = NULL;

	if (my_show_create(run, c, t ? my_load_table_place(t) : o->name, &create, err))
		return err->code;
	normal(o->sql, p->l->wish.scope, &then);
	normal(create, p->l->s->target, &now);
	if (strcmp(then.base, now.base))
		what = "columns, checks or options";
	else if (!same_list(&then.keys, &now.keys))
		what = "indexes";
	else if (p->l->wish.mode == MY_LOAD_DATABASE && !same_list(&then.foreign, &now.foreign))
		what = "foreign keys";
	if (what)
		notes_add(p->l->e->notes, "database %s: the table %s is not made as it was recorded: its %s differ", p->l->s->target,
			  t ? my_load_table_place(t) : o->name, what);
	return ST_OK;
}

enum status my_load_compare(struct run *run, struct my_load *l, struct error *err)
{
	struct comparer p = {.l = l, .object = xcalloc(l->wish.objects + 1, sizeof *p.object)};

	for (size_t i = 0; i < l->wish.objects; i++)
		if (l->wish.object[i].kind == OBJECT_TABLE && my_load_wish_makes(&l->wish, &l->wish.object[i]))
			p.object[p.objects++] = &l->wish.object[i];
	enum status st = my_load_each(run, l, p.objects, compare_table, &p, err);
	free(p.object);
	return st ? error_add(err, "comparing the definitions of the database %s", l->s->scope) : ST_OK;
}
