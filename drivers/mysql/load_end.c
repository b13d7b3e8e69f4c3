#include "drivers/mysql/load.h"
#include "drivers/mysql/mydriver.h"
#include "util/failpoint.h"

/* An attempt before may have got as far as the new names, which come last but the mark. */
static enum status look_for_new_names(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(strlist_release) struct strlist there = STRLIST_INIT;

	if (!l->resumed)
		return ST_OK;
	if (my_tables_there(run, l->conn, l->s->target, &there, err))
		return err->code;
	for (size_t i = 0; i < l->wish.tables; i++) {
		struct my_load_table *t = &l->wish.table[i];

		if (t->to_name && my_sorted_has(&there, t->to_name) && !my_sorted_has(&there, t->name))
			t->direct = true;
	}
	return ST_OK;
}

/* All in one statement: all of them or none. */
static enum status rename_tables(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	for (size_t i = 0; i < l->wish.tables; i++) {
		const struct my_load_table *t = &l->wish.table[i];

		if (!t->to_name || t->direct)
			continue;
		buf_puts(&sql, sql.len ? ", " : "RENAME TABLE ");
		my_sql_ident(&sql, t->name);
		buf_puts(&sql, " TO ");
		my_sql_ident(&sql, t->to_name);
	}
	return sql.len && my_conn_command(run, l->conn, buf_str(&sql), err) ? error_add(err, "giving tables their new names") : ST_OK;
}

/* A server that is set not to wait for the disk at each commit is asked to write what it has; who may not ask relies on the server. */
static enum status make_durable(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (my_conn_command(run, l->conn, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", &why) &&
	    (why.code == ST_CANCELLED || why.code == ST_DEADLINE || why.code == ST_UNREACHABLE))
		return error_move(err, &why);
	return ST_OK;
}

static enum status make_complete(struct run *run, struct my_load *l, struct error *err)
{
	if (failpoint("mysql.load.end.before", err) || rename_tables(run, l, err) || make_durable(run, l, err))
		return err->code;
	return my_mark_set(run, l->conn, &l->mark, "complete", err);
}

static enum status finish(struct run *run, struct my_load *l, struct error *err)
{
	bool complete = false;

	if (my_mark_state(run, l->conn, &l->mark, "complete", &complete, err) || complete)
		return err->code;
	if (look_for_new_names(run, l, err))
		return err->code;
	if (!l->q->salvage && my_mark_check(run, l->conn, &l->mark, &l->wish, err))
		return err->code;
	if (l->wish.mode != MY_LOAD_ROWS && my_load_keys(run, l, err))
		return err->code;
	if (my_load_sequences(run, l, err) || my_load_after(run, l, err) || my_load_rights(run, l, err))
		return err->code;
	if (l->wish.mode != MY_LOAD_ROWS && my_load_compare(run, l, err))
		return err->code;
	if (my_load_orphans(run, l, err) || my_load_events(run, l, err))
		return err->code;
	return make_complete(run, l, err);
}

enum status my_load_end(struct run *run, void *load, struct error *err)
{
	struct my_load *l = load;
	struct run mine = my_load_run(run, l);

	if (!l->conn)
		return error_set(err, ST_CANCELLED, "the restore was interrupted");
	if (!finish(&mine, l, err))
		return ST_OK;
	return my_load_failed(err);
}
