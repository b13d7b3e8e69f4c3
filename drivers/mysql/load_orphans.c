/* Rows without a parent: while it loads the server does not look, and adds foreign keys as they come. What the source had is restored, and
 * said. */
#include "drivers/mysql/load.h"

struct foreign {
	char *constraint, *table, *parent_table;
	struct buf parent, no_null, equal;
};
struct orphans {
	struct my_load *l;
	struct foreign *foreign;
	size_t n;
};

static void orphans_release(struct orphans *o)
{
	for (size_t i = 0; i < o->n; i++) {
		struct foreign *f = &o->foreign[i];

		free(f->constraint);
		free(f->table);
		free(f->parent_table);
		buf_release(&f->parent);
		buf_release(&f->no_null);
		buf_release(&f->equal);
	}
	free(o->foreign);
}

/* ---- which keys ---- */

static bool is_loaded(const struct my_load *l, const char *table)
{
	for (size_t i = 0; i < l->wish.tables; i++) {
		const struct my_load_table *t = &l->wish.table[i];

		if (!strcmp(my_load_table_place(t), table) || (t->to_name && !strcmp(t->to_name, table)))
			return true;
	}
	return strlist_has(&l->wish.asked, table);
}

static void put_pair(struct buf *to, const char *a, const char *b)
{
	buf_puts(to, to->len ? " AND p." : "p.");
	my_sql_ident(to, b);
	buf_puts(to, " = c.");
	my_sql_ident(to, a);
}

enum { CONSTRAINT, TABLE, COLUMN, PARENT_DATABASE, PARENT_TABLE, PARENT_COLUMN };

static enum status add_column(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct orphans *o = ctx;
	struct foreign *f = o->n ? &o->foreign[o->n - 1] : NULL;

	if (!f || strcmp(f->table, field[TABLE]) || strcmp(f->constraint, field[CONSTRAINT])) {
		o->foreign = xrealloc(o->foreign, (o->n + 1) * sizeof *o->foreign);
		f = &o->foreign[o->n++];
		*f = (struct foreign){.constraint = xstrdup(field[CONSTRAINT]), .table = xstrdup(field[TABLE]),
				      .parent_table = xstrdup(field[PARENT_TABLE])};
		my_sql_name(&f->parent, field[PARENT_DATABASE], field[PARENT_TABLE]);
	}
	buf_puts(&f->no_null, f->no_null.len ? " AND c." : "c.");
	my_sql_ident(&f->no_null, field[COLUMN]);
	buf_puts(&f->no_null, " IS NOT NULL");
	put_pair(&f->equal, field[COLUMN], field[PARENT_COLUMN]);
	return ST_OK;
}

/* ---- looking ---- */

static bool holds_all(const struct my_load *l)
{
	return l->wish.mode == MY_LOAD_DATABASE && !l->wish.excluded.len && !l->q->salvage;
}

/* A server that cannot answer (a parent that is not there or may not be read, types that do not compare) ends nothing. */
static enum status count(void *ctx, struct run *run, struct my_conn *c, size_t i, struct error *err)
{
	const struct orphans *o = ctx;
	const struct my_load *l = o->l;
	const struct foreign *f = &o->foreign[i];
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (l->wish.mode != MY_LOAD_DATABASE && !is_loaded(l, f->table) && !is_loaded(l, f->parent_table))
		return ST_OK;
	buf_puts(&sql, "SELECT COUNT(*) FROM ");
	my_sql_ident(&sql, f->table);
	buf_printf(&sql, " c WHERE %s AND NOT EXISTS (SELECT 1 FROM %s p WHERE %s)", buf_str(&f->no_null), buf_str(&f->parent),
		   buf_str(&f->equal));
	if (my_conn_value(run, c, buf_str(&sql), &n, &why)) {
		if (!my_conn_errno(&why) || why.code == ST_CANCELLED || why.code == ST_DEADLINE)
			return error_move(err, &why);
		notes_add(l->e->notes, "database %s: whether rows of %s have parents by the foreign key %s cannot be told: %s", l->s->target, f->table,
			  f->constraint, error_text(&why));
	}
	if (my_field_u64(n))
		notes_add(l->e->notes, "database %s: %s rows of the table %s have no parent in %s by the foreign key %s%s", l->s->target, n, f->table,
			  buf_str(&f->parent), f->constraint, holds_all(l) ? ": so they are in the backup" : "");
	return ST_OK;
}

enum status my_load_orphans(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(orphans_release) struct orphans o = {.l = l};
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT CONSTRAINT_NAME, TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,"
		       " REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND");
	my_sql_is_name(&sql, "TABLE_SCHEMA", l->s->target);
	buf_puts(&sql, " ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION");
	if (my_conn_each(run, l->conn, buf_str(&sql), add_column, &o, err))
		return err->code;
	return my_load_each(run, l, o.n, count, &o, err) ? error_add(err, "rows without a parent in the database %s", l->s->target) : ST_OK;
}
