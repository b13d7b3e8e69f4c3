#include "drivers/mysql/load.h"

/* ---- the database ---- */

static enum status make_database(struct run *run, struct my_load *l, struct my_conn *c, struct error *err)
{
	const struct my_object *o = my_load_wish_object(&l->wish, OBJECT_DATABASE, NULL);
	CLEANUP(cstr_release) char *sql = my_ddl_renamed(o->sql, l->s->target);

	if (!sql)
		return error_set(err, ST_BAD, "the archive does not say how the database %s is made", l->s->scope);
	return my_conn_command(run, c, sql, err) ? error_add(err, "creating the database %s", l->s->target) : ST_OK;
}

static enum status is_complete(struct run *run, struct my_load *l, struct my_conn *c, bool ours, bool *complete, struct error *err)
{
	*complete = false;
	return ours ? my_mark_state(run, c, &l->mark, "definitions", complete, err) : ST_OK;
}

/* What is there under the name, and may it go? */
static enum status clear_name(struct run *run, struct my_load *l, struct my_conn *c, bool *keep, struct error *err)
{
	CLEANUP(my_database_state_release) struct my_database_state st = MY_DATABASE_STATE_INIT;
	bool complete;

	*keep = false;
	if (my_database_look(run, c, l->s->target, l->q->run, &st, err) || !st.exists || is_complete(run, l, c, st.ours, &complete, err))
		return err->code;
	*keep = l->resumed && complete;
	if (*keep)
		return ST_OK;
	/* What this run left behind without complete definitions holds no row yet. */
	if (st.ours || st.empty || (l->q->clean && l->s->exists))
		return my_database_drop(run, c, l->s->target, err);
	return error_set(err, ST_REFUSED, "the database %s is there meanwhile and not empty", l->s->target);
}

/* One that was made for this restore, and is empty, gets the recorded character set: new tables and routines go by it. */
static enum status check_target(struct run *run, struct my_load *l, struct my_conn *c, struct error *err)
{
	CLEANUP(my_database_state_release) struct my_database_state st = MY_DATABASE_STATE_INIT;
	const struct my_object *o = my_load_wish_object(&l->wish, OBJECT_DATABASE, NULL);
	CLEANUP(cstr_release) char *sql = my_ddl_alter_database(o->sql, l->s->target);

	if (my_database_look(run, c, l->s->target, l->q->run, &st, err))
		return err->code;
	if (!st.exists)
		return error_set(err, ST_REFUSED, "the database %s is not there any more", l->s->target);
	if (l->wish.mode != MY_LOAD_DATABASE || st.ours)
		return ST_OK;
	if (!st.empty)
		return error_set(err, ST_REFUSED, "the database %s is not empty any more", l->s->target);
	return sql ? my_conn_command(run, c, sql, err) : ST_OK;
}

static enum status create_database(struct run *run, struct my_load *l, struct my_conn *c, struct error *err)
{
	bool keep;

	if (!l->s->create)
		return check_target(run, l, c, err);
	if (clear_name(run, l, c, &keep, err))
		return err->code;
	return keep ? ST_OK : make_database(run, l, c, err);
}

/* ---- its definitions ---- */

static char *direct_key(const struct my_load_table *t) { return xasprintf("direct %s", t->name); }

/* Whether the old name is taken is decided once and for all, as it was before anything was made: later it always is, by the table that was
 * restored. */
static enum status choose_direct(struct run *run, struct my_load *l, bool complete, struct error *err)
{
	CLEANUP(strlist_release) struct strlist there = STRLIST_INIT;
	bool decided = false;

	if (l->wish.mode != MY_LOAD_TABLES)
		return ST_OK;
	if (my_mark_state(run, l->conn, &l->mark, "decided", &decided, err) ||
	    my_tables_there(run, l->conn, l->s->target, &there, err))
		return err->code;
	for (size_t i = 0; i < l->wish.tables; i++) {
		struct my_load_table *t = &l->wish.table[i];
		CLEANUP(cstr_release) char *key = direct_key(t);

		if (!t->to_name)
			continue;
		if ((decided || complete) && my_mark_state(run, l->conn, &l->mark, key, &t->direct, err))
			return err->code;
		if (decided || complete)
			continue;
		t->direct = my_sorted_has(&there, t->name);
		if (t->direct && my_mark_set(run, l->conn, &l->mark, key, err))
			return err->code;
	}
	return my_mark_set(run, l->conn, &l->mark, "decided", err);
}

/* Versioned tables cannot be truncated. */
static enum status empty_table(struct run *run, struct my_load *l, const char *name, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT, rest = BUF_INIT;

	buf_puts(&sql, "TRUNCATE TABLE ");
	my_sql_ident(&sql, name);
	if (!my_conn_command(run, l->conn, buf_str(&sql), err))
		return ST_OK;
	if (my_conn_errno(err) != 4137)
		return error_add(err, "emptying %s", name);
	error_release(err);
	buf_clear(&sql);
	buf_puts(&sql, "DELETE FROM ");
	my_sql_ident(&sql, name);
	buf_puts(&rest, "DELETE HISTORY FROM ");
	my_sql_ident(&rest, name);
	return my_conn_command(run, l->conn, buf_str(&sql), err) || my_conn_command(run, l->conn, buf_str(&rest), err)
		       ? error_add(err, "emptying %s", name)
		       : ST_OK;
}

static enum status empty_tables(struct run *run, struct my_load *l, struct error *err)
{
	for (size_t i = 0; i < l->wish.tables; i++)
		if (empty_table(run, l, my_load_table_place(&l->wish.table[i]), err))
			return err->code;
	return ST_OK;
}

/* The mark says that it was done, not only begun: what an earlier attempt could not drop must not be taken for what it made. */
static enum status drop_tables(struct run *run, struct my_load *l, struct error *err)
{
	bool dropped = false;

	if (my_mark_state(run, l->conn, &l->mark, "dropped", &dropped, err) || dropped)
		return err->code;
	for (size_t i = 0; i < l->wish.asked.len; i++) {
		const struct my_load_table *t = my_load_wish_named(&l->wish, l->wish.asked.item[i]);
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		if (t && t->to_name) /* it comes beside what is there */
			continue;
		buf_puts(&sql, "DROP TABLE IF EXISTS ");
		my_sql_ident(&sql, l->wish.asked.item[i]);
		if (my_conn_command(run, l->conn, buf_str(&sql), err))
			return error_add(err, "--clean");
	}
	return my_mark_set(run, l->conn, &l->mark, "dropped", err);
}

struct maker {
	struct my_load *l;
	const struct my_object **object; /* tables to make */
	size_t objects;
	struct strlist there;
};

static void maker_release(struct maker *m)
{
	free(m->object);
	strlist_release(&m->there);
}

static enum status make_table(void *ctx, struct run *run, struct my_conn *c, size_t i, struct error *err)
{
	struct maker *m = ctx;
	const struct my_object *o = m->object[i];
	const struct my_load_table *t = my_load_wish_named(&m->l->wish, o->name);
	CLEANUP(my_ddl_release) struct my_ddl_table d = MY_DDL_TABLE_INIT;
	CLEANUP(cstr_release) char *renamed = NULL;

	if (my_is_made_whole(m->l, o))
		d.base = my_ddl_unqualified(o->sql, m->l->wish.scope);
	else
		my_definition_read(o->sql, m->l->wish.scope, &d);
	if (t && t->direct) {
		CLEANUP(cstr_release) char *nameless = my_text_nameless_checks(d.base);
		renamed = my_ddl_renamed(c->mariadb ? d.base : nameless, t->to_name);
		if (!renamed)
			return error_set(err, ST_BAD, "the definition of the table %s is not of the usual form: it cannot be renamed", o->name);
	}
	return my_object_make(run, c, o, renamed ? renamed : d.base, err);
}

static enum status make_sequences(struct run *run, struct maker *m, struct error *err)
{
	for (size_t i = 0; i < m->l->wish.objects; i++) {
		const struct my_object *o = &m->l->wish.object[i];

		if (o->kind != OBJECT_SEQUENCE || !my_load_wish_makes(&m->l->wish, o) || my_sorted_has(&m->there, o->name))
			continue;
		CLEANUP(cstr_release) char *key = xasprintf("sequence %s", o->name);
		/* For the end: one that was there before keeps its value. */
		if (my_mark_set(run, m->l->conn, &m->l->mark, key, err) || my_object_make(run, m->l->conn, o, NULL, err))
			return err->code;
	}
	return ST_OK;
}

static enum status make_tables(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(maker_release) struct maker m = {.l = l};

	m.object = xcalloc(l->wish.objects + 1, sizeof *m.object);
	if (my_tables_there(run, l->conn, l->s->target, &m.there, err) || make_sequences(run, &m, err))
		return err->code;
	for (size_t i = 0; i < l->wish.objects; i++) {
		const struct my_object *o = &l->wish.object[i];
		const struct my_load_table *t = o->kind == OBJECT_TABLE ? my_load_wish_named(&l->wish, o->name) : NULL;

		/* An earlier attempt may have made some of them. */
		if (o->kind == OBJECT_TABLE && my_load_wish_makes(&l->wish, o) &&
		    !my_sorted_has(&m.there, t ? my_load_table_place(t) : o->name))
			m.object[m.objects++] = o;
	}
	if (my_load_each(run, l, m.objects, make_table, &m, err))
		return error_add(err, "the definitions of the database %s", l->s->scope);
	return ST_OK;
}

/* Tables whose rows are there whatever becomes of their transaction. */
static enum status look_for_plain(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT t.TABLE_NAME FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE"
		       " WHERE COALESCE(e.TRANSACTIONS, 'NO') <> 'YES' AND");
	my_sql_is_name(&sql, "t.TABLE_SCHEMA", l->s->target);
	if (my_list(run, l->conn, buf_str(&sql), &l->plain, err))
		return error_add(err, "looking at the engines of tables");
	strlist_sort(&l->plain);
	return ST_OK;
}

static enum status go_on(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(strlist_release) struct strlist again = STRLIST_INIT;

	if (my_mark_forget(run, l->conn, &l->mark, &l->wish, &l->plain, &again, err))
		return err->code;
	for (size_t i = 0; i < again.len; i++)
		if (empty_table(run, l, again.item[i], err))
			return err->code;
	return my_mark_units(run, l->conn, &l->mark, &l->done, err);
}

enum status my_load_definitions(struct run *run, struct my_load *l, struct error *err)
{
	bool complete = false;

	if (my_mark_state(run, l->conn, &l->mark, "definitions", &complete, err) || choose_direct(run, l, complete, err))
		return err->code;
	if (!complete && l->q->clean && l->wish.mode == MY_LOAD_TABLES && drop_tables(run, l, err))
		return err->code;
	if (!complete && l->q->clean && l->wish.mode == MY_LOAD_ROWS && empty_tables(run, l, err))
		return err->code;
	if (!complete && l->wish.mode != MY_LOAD_ROWS && make_tables(run, l, err))
		return err->code;
	if ((!complete && my_mark_set(run, l->conn, &l->mark, "definitions", err)) || look_for_plain(run, l, err))
		return err->code;
	return l->resumed ? go_on(run, l, err) : ST_OK;
}

enum status my_load_prepare(struct run *run, struct my_load *l, struct my_conn *c, struct error *err)
{
	return my_load_accounts(run, l, c, err) ? err->code : create_database(run, l, c, err);
}
