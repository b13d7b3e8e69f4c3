#include "drivers/mysql/load_plan.h"

#define SHOWN_MOST 20 /* refusals of one kind: the rest is more of the same */

/* What the target has. */
struct targets {
	struct strlist there;    /* tables, sequences and views, sorted */
	struct strlist triggers; /* tables with triggers that act on INSERT, sorted */
	unsigned shown;
};

static void targets_release(struct targets *t)
{
	strlist_release(&t->there);
	strlist_release(&t->triggers);
}

static enum status look_at(struct run *run, struct my_planner *pl, struct targets *t, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT DISTINCT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE EVENT_MANIPULATION = 'INSERT' AND");
	my_sql_is_name(&sql, "EVENT_OBJECT_SCHEMA", pl->s->target);
	if (my_tables_there(run, pl->c, pl->s->target, &t->there, err) || my_list(run, pl->c, buf_str(&sql), &t->triggers, err))
		return err->code;
	strlist_sort(&t->triggers);
	return ST_OK;
}

static void refuse_table(struct my_planner *pl, struct targets *t, char *text)
{
	if (t->shown++ < SHOWN_MOST)
		plan_line(&pl->p->refusals, "%s", text);
	else if (t->shown == SHOWN_MOST + 1)
		plan_line(&pl->p->refusals, "and so on for more tables");
	free(text);
}

/* ---- rows only ---- */

static enum status check_columns(struct run *run, struct my_planner *pl, struct targets *t, const struct my_load_table *w,
				 struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(strlist_release) struct strlist has = STRLIST_INIT;

	buf_puts(&sql, "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE");
	my_sql_is_name(&sql, "TABLE_SCHEMA", pl->s->target);
	buf_puts(&sql, " AND");
	my_sql_is_name(&sql, "TABLE_NAME", my_load_table_place(w));
	buf_puts(&sql, " AND EXTRA NOT LIKE '%VIRTUAL%' AND EXTRA NOT LIKE '%STORED%'");
	if (my_list(run, pl->c, buf_str(&sql), &has, err))
		return err->code;
	strlist_sort(&has);
	/* The borders of a row's time are columns that need not show. */
	for (size_t i = 0; i + (w->history ? 2 : 0) < w->columns.len; i++)
		if (!my_sorted_has(&has, w->columns.item[i]))
			refuse_table(pl, t, xasprintf("%s: the table in %s has no column %s that rows could go into", w->shown,
						      pl->s->target, w->columns.item[i]));
	return ST_OK;
}

static enum status check_empty(struct run *run, struct my_planner *pl, struct targets *t, const struct my_load_table *w,
			       struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *any = NULL;

	buf_puts(&sql, "SELECT EXISTS (SELECT 1 FROM ");
	my_sql_name(&sql, pl->s->target, my_load_table_place(w));
	buf_putc(&sql, ')');
	if (my_conn_value(run, pl->c, buf_str(&sql), &any, err))
		return error_add(err, "%s", w->shown);
	if (!my_field_u64(any))
		return ST_OK;
	if (pl->q->clean)
		strlist_take(&pl->p->dropped, xasprintf("rows of %s in %s", w->shown, pl->s->target));
	else
		refuse_table(pl, t, xasprintf("%s in %s holds rows already: empty it first", w->shown, pl->s->target));
	return ST_OK;
}

static enum status check_rows(struct run *run, struct my_planner *pl, struct targets *t, struct error *err)
{
	for (size_t i = 0; i < pl->wish.tables; i++) {
		const struct my_load_table *w = &pl->wish.table[i];

		if (!my_sorted_has(&t->there, my_load_table_place(w))) {
			refuse_table(pl, t, xasprintf("%s is not there in %s, and --data-only makes no table", w->shown, pl->s->target));
			continue;
		}
		if (my_sorted_has(&t->triggers, my_load_table_place(w)))
			refuse_table(pl, t, xasprintf("%s in %s has triggers that would act on each row: drop them, and make them again"
						      " after the restore", w->shown, pl->s->target));
		if (check_columns(run, pl, t, w, err) || check_empty(run, pl, t, w, err))
			return err->code;
	}
	return ST_OK;
}

/* ---- tables with their definitions ---- */

/* New names must be free. */
static void check_renamed(struct my_planner *pl, const struct targets *t)
{
	for (size_t i = 0; i < pl->wish.tables; i++) {
		struct my_load_table *w = &pl->wish.table[i];

		if (!w->to_name)
			continue;
		if (my_sorted_has(&t->there, w->to_name))
			plan_line(&pl->p->refusals, "--rename: %s is there already in %s", w->to_name, pl->s->target);
		w->direct = my_sorted_has(&t->there, w->name);
		if (w->direct)
			plan_line(&pl->p->warnings, "%s is there: the renamed one is made without foreign keys and triggers", w->shown);
	}
}

static enum status warn_of_children(struct run *run, struct my_planner *pl, const char *table, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(strlist_release) struct strlist children = STRLIST_INIT;

	buf_puts(&sql, "SELECT DISTINCT CONCAT('foreign key ', CONSTRAINT_NAME, ' of ', TABLE_SCHEMA, '.', TABLE_NAME) FROM"
		       " information_schema.KEY_COLUMN_USAGE WHERE");
	my_sql_is_name(&sql, "REFERENCED_TABLE_SCHEMA", pl->s->target);
	buf_puts(&sql, " AND");
	my_sql_is_name(&sql, "REFERENCED_TABLE_NAME", table);
	buf_puts(&sql, " AND NOT (");
	my_sql_is_name(&sql, "TABLE_SCHEMA", pl->s->target);
	buf_puts(&sql, " AND");
	my_sql_is_name(&sql, "TABLE_NAME", table);
	buf_putc(&sql, ')');
	if (my_list(run, pl->c, buf_str(&sql), &children, err))
		return err->code;
	for (size_t i = 0; i < children.len; i++)
		plan_line(&pl->p->warnings, "%s refers to %s: its rows are not checked against the restored ones", children.item[i], table);
	return ST_OK;
}

static enum status check_present(struct run *run, struct my_planner *pl, const struct targets *t, struct error *err)
{
	for (size_t i = 0; i < pl->wish.asked.len; i++) {
		const char *name = pl->wish.asked.item[i];
		const struct my_load_table *w = my_load_wish_named(&pl->wish, name);

		if (!my_sorted_has(&t->there, name) || (w && w->to_name))
			continue;
		if (!pl->q->clean) {
			plan_line(&pl->p->refusals, "the table %s is there in %s: take --rename %s.%s=NEW to have both, --data-only for its rows, or"
					   " --clean to drop it", name, pl->s->target, pl->s->scope, name);
			continue;
		}
		strlist_take(&pl->p->dropped, xasprintf("table %s of %s", name, pl->s->target));
		if (warn_of_children(run, pl, name, err))
			return err->code;
	}
	return ST_OK;
}

static void tell_foreign(struct my_planner *pl, const struct targets *t, const struct my_object *o)
{
	CLEANUP(my_ddl_release) struct my_ddl_table d = MY_DDL_TABLE_INIT;
	const struct my_load_table *w = my_load_wish_named(&pl->wish, o->name);

	if (w && w->direct)
		return;
	my_definition_read(o->sql, pl->wish.scope, &d);
	for (size_t i = 0; i < d.foreign.len; i++)
		if (!my_foreign_fits(&pl->wish, &t->there, d.foreign.item[i]))
			plan_line(&pl->p->warnings, MY_FOREIGN_LEFT, pl->s->target, o->name, d.foreign.item[i]);
}

static enum status check_definitions(struct run *run, struct my_planner *pl, const struct targets *t, struct error *err)
{
	if (check_present(run, pl, t, err))
		return err->code;
	check_renamed(pl, t);
	for (size_t i = 0; i < pl->wish.objects; i++) {
		const struct my_object *o = &pl->wish.object[i];

		if (o->kind == OBJECT_TABLE && my_load_wish_makes(&pl->wish, o))
			tell_foreign(pl, t, o);
		if (o->kind == OBJECT_SEQUENCE && my_load_wish_makes(&pl->wish, o) && !my_sorted_has(&t->there, o->name))
			plan_line(&pl->p->steps, "make the sequence %s, from which a table draws", o->name);
	}
	return ST_OK;
}

enum status my_check_tables(struct run *run, struct my_planner *pl, struct error *err)
{
	CLEANUP(targets_release) struct targets t = {.shown = 0};
	const struct my_mark m = {pl->s->target, pl->q->run};
	bool marked = false;

	if (pl->s->exists && (look_at(run, pl, &t, err) || my_mark_exists(run, pl->c, &m, &marked, err)))
		return err->code;
	if (marked || pl->q->resumed) /* what is there was looked at before it began */
		return ST_OK;
	if (pl->wish.mode == MY_LOAD_ROWS)
		return pl->s->exists ? check_rows(run, pl, &t, err) : ST_OK;
	return check_definitions(run, pl, &t, err);
}
