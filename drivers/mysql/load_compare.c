/* What the server says of the tables that were made, against what was recorded; rows without a parent. */
#include "drivers/mysql/load.h"

/* ---- definitions ---- */

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

/* ---- rows without a parent ---- */

struct foreign {
	char *constraint, *table;
	struct buf parent, no_null, equal;
};

static void foreign_release(struct foreign *f)
{
	free(f->constraint);
	free(f->table);
	buf_release(&f->parent);
	buf_release(&f->no_null);
	buf_release(&f->equal);
	*f = (struct foreign){.table = NULL};
}

static enum status count_orphans(struct run *run, struct my_load *l, const struct foreign *f, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	if (!f->table)
		return ST_OK;
	buf_puts(&sql, "SELECT COUNT(*) FROM ");
	my_sql_ident(&sql, f->table);
	buf_printf(&sql, " c WHERE %s AND NOT EXISTS (SELECT 1 FROM %s p WHERE %s)", buf_str(&f->no_null), buf_str(&f->parent),
		   buf_str(&f->equal));
	if (my_conn_value(run, l->conn, buf_str(&sql), &n, err)) {
		if (my_conn_errno(err) != 1146)
			return error_add(err, "rows of %s without a parent", f->table);
		error_release(err);
		notes_add(l->e->notes, "%s: the foreign key %s refers to %s, which is not there", f->table, f->constraint, buf_str(&f->parent));
	}
	if (my_field_u64(n))
		notes_add(l->e->notes, "%s: %s rows have no parent by the foreign key %s: so they were recorded", f->table, n, f->constraint);
	return ST_OK;
}

static void put_pair(struct buf *to, const char *a, const char *b)
{
	buf_puts(to, to->len ? " AND p." : "p.");
	my_sql_ident(to, b);
	buf_puts(to, " = c.");
	my_sql_ident(to, a);
}

static void add_column(struct foreign *f, MYSQL_ROW row)
{
	if (!f->table) {
		f->constraint = xstrdup(row[0]);
		f->table = xstrdup(row[1]);
		my_sql_name(&f->parent, row[3], row[4]);
	}
	buf_puts(&f->no_null, f->no_null.len ? " AND c." : "c.");
	my_sql_ident(&f->no_null, row[2]);
	buf_puts(&f->no_null, " IS NOT NULL");
	put_pair(&f->equal, row[2], row[5]);
}

enum status my_load_orphans(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(foreign_release) struct foreign f = {.table = NULL};
	MYSQL_ROW row;

	buf_puts(&sql, "SELECT CONSTRAINT_NAME, TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,"
		       " REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND");
	my_sql_is_name(&sql, "TABLE_SCHEMA", l->s->target);
	buf_puts(&sql, " ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION");
	if (my_conn_query(run, l->conn, buf_str(&sql), &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r))) {
		if (f.table && (strcmp(f.table, row[1]) || strcmp(f.constraint, row[0]))) {
			if (count_orphans(run, l, &f, err))
				return err->code;
			foreign_release(&f);
		}
		add_column(&f, row);
	}
	return count_orphans(run, l, &f, err);
}
