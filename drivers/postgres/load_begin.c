#include "drivers/postgres/load.h"

static void put_place(struct buf *sql, const struct load_table *t)
{
	const char *schema, *name;

	load_table_place(t, &schema, &name);
	sql_name(sql, schema, name);
}

static enum status table_exists(struct run *run, struct load *l, const char *schema, const char *name, bool *exists,
				struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, l->conn,
		       SQL("SELECT true FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
			   " WHERE n.nspname = $1 AND c.relname = $2",
			   schema, name),
		       &r, err))
		return err->code;
	*exists = PQntuples(r) > 0;
	return ST_OK;
}

static char *direct_key(const struct load_table *t) { return xasprintf("direct %s", t->shown); }

/* Once and for all, as it was before anything was made: later the old name is always taken, by the table that was restored. */
static enum status decide_direct(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	for (size_t i = 0; i < l->wish.tables; i++) {
		struct load_table *t = &l->wish.table[i];
		CLEANUP(cstr_release) char *key = direct_key(t);

		if (!t->to_name)
			continue;
		if (table_exists(run, l, t->schema, t->name, &t->direct, err))
			return err->code;
		if (t->direct)
			mark_state_sql(&sql, l->q->run, key);
	}
	mark_state_sql(&sql, l->q->run, "decided");
	return conn_command(run, l->conn, buf_str(&sql), err);
}

/* A renamed table whose old name is taken is made like the one that is there. */
static enum status choose_direct(struct run *run, struct load *l, bool complete, struct error *err)
{
	bool decided = false;

	if (l->wish.mode != LOAD_TABLES)
		return ST_OK;
	if (mark_state(run, l->conn, l->q->run, "decided", &decided, err))
		return err->code;
	if (!decided && !complete)
		return decide_direct(run, l, err);
	for (size_t i = 0; i < l->wish.tables; i++) {
		struct load_table *t = &l->wish.table[i];
		CLEANUP(cstr_release) char *key = direct_key(t);

		if (t->to_name && mark_state(run, l->conn, l->q->run, key, &t->direct, err))
			return err->code;
	}
	return ST_OK;
}

static enum status run_definitions(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(strlist_release) struct strlist there = STRLIST_INIT;

	/* An earlier run may have made some of them beside what else is there. */
	if (l->resumed && l->wish.mode == LOAD_TABLES && load_existing(run, l->conn, &there, err))
		return err->code;
	size_t *list = xcalloc(l->toc.entries + 1, sizeof *list), n = 0;
	for (size_t i = 0; i < l->toc.entries; i++) {
		const struct toc_entry *e = &l->toc.entry[i];

		/* Rights come at the end: they may take from the owner what loading needs. */
		if (l->sel.pick[i] && e->part == TOC_PRE && !toc_is(e, "ACL") && !(there.len && load_exists(&there, e)))
			list[n++] = i;
	}
	const struct restore_job job = {.entry = list, .entries = n, .jobs = 1};
	enum status st = restore_program_run(run, l, &job, err);
	free(list);
	return st ? error_add(err, "the definitions of the database %s", l->s->scope) : ST_OK;
}

/* In an empty database the schema public is there unless the template was changed; the dump says nothing where the source had
 * none. */
static enum status drop_public(struct run *run, struct load *l, struct error *err)
{
	if (l->wish.mode != LOAD_DATABASE || l->wish.db.public_schema)
		return ST_OK;
	return conn_command(run, l->conn, "DROP SCHEMA IF EXISTS public", err);
}

static enum status make_like(struct run *run, struct load *l, const struct load_table *t, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *key = xasprintf("like %s", t->shown);
	bool made = false;

	if (mark_state(run, l->conn, l->q->run, key, &made, err))
		return err->code;
	if (made)
		return ST_OK;
	buf_puts(&sql, "CREATE TABLE ");
	put_place(&sql, t);
	buf_puts(&sql, " (LIKE ");
	sql_name(&sql, t->schema, t->name);
	buf_puts(&sql, " INCLUDING ALL);");
	mark_state_sql(&sql, l->q->run, key);
	return conn_command(run, l->conn, buf_str(&sql), err) ? error_add(err, "%s", t->shown) : ST_OK;
}

/* An extension's own rows came with it; those that the dump holds replace what it brought of them. */
static enum status clear_brought(struct run *run, struct load *l, const struct load_table *t, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "DELETE FROM ONLY ");
	put_place(&sql, t);
	if (t->where)
		buf_printf(&sql, " %s", t->where);
	return conn_command(run, l->conn, buf_str(&sql), err) ? error_add(err, "%s", t->shown) : ST_OK;
}

static enum status prepare_tables(struct run *run, struct load *l, struct error *err)
{
	for (size_t i = 0; i < l->wish.tables; i++) {
		const struct load_table *t = &l->wish.table[i];

		if (t->direct && l->wish.mode == LOAD_TABLES && make_like(run, l, t, err))
			return err->code;
		if (t->replace && clear_brought(run, l, t, err))
			return err->code;
	}
	return ST_OK;
}

/* All of them in one statement: they may refer to each other. */
static enum status empty_tables(struct run *run, struct load *l, const char *verb, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < l->wish.tables; i++) {
		const struct load_table *t = &l->wish.table[i];
		const char *schema, *name;
		bool exists = false;

		if (t->large_objects || (t->to_name && !t->direct))
			continue;
		load_table_place(t, &schema, &name);
		if (table_exists(run, l, schema, name, &exists, err))
			return err->code;
		if (!exists)
			continue;
		buf_puts(&sql, n++ ? ", " : verb);
		sql_name(&sql, schema, name);
	}
	return n ? conn_command(run, l->conn, buf_str(&sql), err) : ST_OK;
}

/* Parents of partitions and tables without rows are no objects with rows; they go by the names that were asked for. The mark says
 * that it was done, not only begun: what an earlier attempt could not drop must not be taken for what it made. */
static enum status drop_tables(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	bool dropped = false;

	if (mark_state(run, l->conn, l->q->run, "dropped", &dropped, err))
		return err->code;
	if (dropped)
		return ST_OK;
	for (size_t i = 0; i < l->wish.asks; i++) {
		const struct object_name *n = &l->wish.asked[i];

		if (load_wish_renamed(&l->wish, n)) /* it comes beside what is there */
			continue;
		buf_puts(&sql, "DROP TABLE IF EXISTS ");
		sql_name(&sql, n->schema, n->table);
		buf_putc(&sql, ';');
	}
	mark_state_sql(&sql, l->q->run, "dropped");
	return conn_command(run, l->conn, buf_str(&sql), err) ? error_add(err, "--clean") : ST_OK;
}

/* Whether this role may keep triggers and foreign keys from acting: a superuser, or who was granted it. */
static void look_for_replica(struct run *run, struct load *l)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;

	l->replica = !conn_command(run, l->conn, "BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK", &why);
	if (!l->replica && why.code != ST_CANCELLED) {
		error_release(&why);
		(void)!conn_command(run, l->conn, "ROLLBACK", &why);
	}
}

static enum status make_definitions(struct run *run, struct load *l, struct error *err)
{
	if (l->q->clean && l->wish.mode == LOAD_ROWS && empty_tables(run, l, "TRUNCATE ONLY ", err))
		return err->code;
	if (l->wish.mode == LOAD_ROWS)
		return prepare_tables(run, l, err);
	if (drop_public(run, l, err) || run_definitions(run, l, err) || prepare_tables(run, l, err))
		return err->code;
	return load_large_objects(run, l, err);
}

enum status load_definitions(struct run *run, struct load *l, struct error *err)
{
	bool complete = false;

	if (mark_state(run, l->conn, l->q->run, "definitions", &complete, err) || choose_direct(run, l, complete, err))
		return err->code;
	if (l->q->clean && l->wish.mode == LOAD_TABLES && !complete && drop_tables(run, l, err))
		return err->code;
	if (l->wish.mode != LOAD_ROWS && (load_select(run, l->conn, &l->wish, &l->toc, &l->sel, err) ||
					  restore_program_find(run, l, err)))
		return err->code;
	for (size_t i = 0; i < l->sel.left_out.len; i++)
		notes_add(l->e->notes, "database %s: %s", l->s->target, l->sel.left_out.item[i]);
	look_for_replica(run, l);
	if (complete)
		return ST_OK;
	return make_definitions(run, l, err) ? err->code : mark_set(run, l->conn, l->q->run, "definitions", err);
}
