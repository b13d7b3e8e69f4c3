#include "drivers/postgres/load.h"
#include "drivers/postgres/pgdriver.h"
#include "util/failpoint.h"

/* ---- materialized views ---- */

/* A session as the database's users have it: its queries may lean on the search_path that the database sets. */
static enum status open_as_users(struct run *run, struct load *l, struct conn **c, struct error *err)
{
	size_t i, k;
	json_t *of_role, *pair;

	if (conn_open(run, l->e, l->s->target, c, err) ||
	    conn_command(run, *c, "SET statement_timeout = 0; SET lock_timeout = 0; SET synchronous_commit = off;"
				  " SET default_transaction_read_only = off; SET client_min_messages = warning", err))
		return err->code;
	json_array_foreach(l->wish.db.settings, i, of_role) {
		if (js_opt_str(of_role, "role", NULL))
			continue;
		json_array_foreach(json_object_get(of_role, "settings"), k, pair) {
			CLEANUP(buf_release) struct buf sql = BUF_INIT;
			const char *text = json_string_value(pair);

			if (!text || strncmp(text, "search_path=", 12))
				continue;
			/* This role may have a search_path of its own. */
			sql_setting(&sql, text);
			if (conn_command(run, *c, buf_str(&sql), err))
				return err->code;
		}
	}
	return ST_OK;
}

struct refresher {
	struct run *run;
	struct load *l;
	struct conn *c;
	struct error first;
	unsigned failed;
};

static enum status refresh_one(void *ctx, const json_t *line, struct error *err)
{
	struct refresher *r = ctx;
	const char *schema, *name;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (js_str(line, PG_ENTRY_REFRESH, "schema", &schema, err) || js_str(line, PG_ENTRY_REFRESH, "name", &name, err))
		return err->code;
	if (!r->c && open_as_users(r->run, r->l, &r->c, err))
		return err->code;
	buf_puts(&sql, "REFRESH MATERIALIZED VIEW ");
	sql_name(&sql, schema, name);
	if (!conn_command(r->run, r->c, buf_str(&sql), &why))
		return ST_OK;
	if (why.code == ST_CANCELLED || why.code == ST_DEADLINE || why.code == ST_UNREACHABLE)
		return error_move(err, &why);
	/* The others may still work; all that is wrong with this one is said. */
	notes_add(r->l->e->notes, "database %s: materialized view %s.%s is empty: %s", r->l->s->target, schema, name,
		  error_text(&why));
	r->failed++;
	error_keep_first(&r->first, &why);
	return ST_OK;
}

static enum status refresh(struct run *run, struct load *l, struct error *err)
{
	struct refresher r = {.run = run, .l = l};

	if (l->wish.mode != LOAD_DATABASE)
		return ST_OK;
	enum status st = load_lines(l->q, l->s->scope, PG_ENTRY_REFRESH, refresh_one, &r, err);
	conn_freep(&r.c);
	if (!st && r.failed && !l->q->salvage) {
		st = error_set(err, ST_FAILED, "%u materialized views could not be filled, the first: %s", r.failed,
			       error_text(&r.first));
		error_hint(err, "Everything else is restored. Repair what the message names and run the restore again with"
				" --resume, or "
				"REFRESH MATERIALIZED VIEW by hand.");
	}
	error_release(&r.first);
	return st;
}

/* ---- the last steps ---- */

static void put_renames(struct buf *sql, const struct load_table *t)
{
	if (strcmp(t->name, t->to_name)) {
		buf_puts(sql, "ALTER TABLE ");
		sql_name(sql, t->schema, t->name);
		buf_puts(sql, " RENAME TO ");
		sql_ident(sql, t->to_name);
		buf_putc(sql, ';');
	}
	if (strcmp(t->schema, t->to_schema)) {
		buf_puts(sql, "ALTER TABLE ");
		sql_name(sql, t->schema, t->to_name);
		buf_puts(sql, " SET SCHEMA ");
		sql_ident(sql, t->to_schema);
		buf_putc(sql, ';');
	}
}

/* This commit waits for the disk, and with it everything that was written before: commits of a server are in one order. A server
 * that is set not to wait is made to, here. Tables get their new names in it too: a run that resumes looks for them under the old
 * ones. The mark itself goes when all databases of the restore are complete (load.c). */
static enum status make_complete(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (failpoint("postgres.load.end.before", err))
		return err->code;
	if (conn_command(run, l->conn,
			 "RESET synchronous_commit; SELECT pg_catalog.set_config('synchronous_commit', 'local', false)"
			 " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'",
			 err))
		return err->code;
	for (size_t i = 0; i < l->wish.tables; i++)
		if (l->wish.table[i].to_name && !l->wish.table[i].direct)
			put_renames(&sql, &l->wish.table[i]);
	const char *what = sql.len ? "giving tables their new names" : "the mark of this restore";
	mark_state_sql(&sql, l->q->run, "complete");
	return conn_command(run, l->conn, buf_str(&sql), err) ? error_add(err, "%s", what) : ST_OK;
}

static enum status finish(struct run *run, struct load *l, struct error *err)
{
	bool complete = false;

	if (mark_state(run, l->conn, l->q->run, "complete", &complete, err))
		return err->code;
	if (complete)
		return ST_OK;
	if (!l->q->salvage && mark_check(run, l->conn, l->q->run, &l->wish, err))
		return err->code;
	if (load_sequences(run, l, err) || load_after(run, l, err) || load_large_objects_end(run, l, err) ||
	    load_analyze(run, l, err))
		return err->code;
	if (load_database_settings(run, l, err) || refresh(run, l, err) || load_last(run, l, err))
		return err->code;
	return make_complete(run, l, err);
}

enum status pg_load_end(struct run *run, void *load, struct error *err)
{
	return finish(run, load, err) ? load_failed(err) : ST_OK;
}
