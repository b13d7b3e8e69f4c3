#include "drivers/postgres/load.h"

#define SESSION_CLASS "1685221222" /* of the advisory locks by which a run knows its sessions */
#define END_WAIT DURATION_SECONDS(15)

static void put_mark(struct buf *to, const char *run_id, const char *table)
{
	buf_printf(to, "\"drtool_restore_%s\"", run_id);
	if (table)
		buf_printf(to, ".%s", table);
}

enum status mark_make(struct run *run, struct conn *c, const char *run_id, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "BEGIN; CREATE SCHEMA IF NOT EXISTS ");
	put_mark(&sql, run_id, NULL);
	buf_puts(&sql, "; CREATE TABLE IF NOT EXISTS ");
	put_mark(&sql, run_id, "state");
	buf_puts(&sql, " (key text PRIMARY KEY); CREATE TABLE IF NOT EXISTS ");
	put_mark(&sql, run_id, "unit");
	buf_puts(&sql, " (object text, range bigint, part bigint, rows bigint, PRIMARY KEY (object, range, part)); COMMIT");
	if (!conn_command(run, c, buf_str(&sql), err))
		return ST_OK;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	(void)!conn_command(run, c, "ROLLBACK", &ignored);
	if (err->code == ST_DENIED)
		error_hint(err, "The restoring user needs: GRANT CREATE ON DATABASE ... (drtool notes there which rows have"
				" arrived).");
	return error_add(err, "making the mark of this restore");
}

enum status mark_session(struct run *run, struct conn *c, const char *run_id, struct error *err)
{
	CLEANUP(cstr_release) char *sql =
		xasprintf("SELECT pg_catalog.pg_advisory_lock_shared(" SESSION_CLASS ", x'%08lx'::integer)",
			  strtoul(run_id, NULL, 16));

	return conn_command(run, c, sql, err);
}

enum status mark_end_sessions(struct run *run, struct conn *c, const char *run_id, struct error *err)
{
	CLEANUP(cstr_release) char *sql =
		xasprintf("SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid)) FROM"
			  " (SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted"
			  " AND classid = " SESSION_CLASS " AND objid = %lu AND objsubid = 2 AND database ="
			  " (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
			  /* Those of pg_restore go by a name. */
			  " UNION SELECT pid FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database()"
			  " AND application_name = 'drtool_restore_%s') s WHERE pid <> pg_catalog.pg_backend_pid()",
			  strtoul(run_id, NULL, 16), run_id);
	struct run bounded = run_within(run, END_WAIT);

	for (;;) {
		CLEANUP(cstr_release) char *left = NULL;

		if (conn_value(&bounded, c, SQL(sql), &left, err))
			return error_add(err, "ending what an attempt before left in the server");
		if (!left || !strcmp(left, "0"))
			return ST_OK;
		if (run_sleep(&bounded, DURATION_MS(100), err))
			return error_add(err, "ending %s sessions that an attempt before left in the server", left);
	}
}

enum status mark_state(struct run *run, struct conn *c, const char *run_id, const char *key, bool *set, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(conn_result_free) PGresult *r = NULL;

	buf_puts(&sql, "SELECT true FROM ");
	put_mark(&sql, run_id, "state");
	buf_puts(&sql, " WHERE key = $1");
	if (conn_query(run, c, SQL(buf_str(&sql), key), &r, err))
		return error_add(err, "the mark of this restore");
	*set = PQntuples(r) > 0;
	return ST_OK;
}

void mark_state_sql(struct buf *to, const char *run_id, const char *key)
{
	buf_puts(to, "INSERT INTO ");
	put_mark(to, run_id, "state");
	buf_puts(to, " VALUES (");
	sql_literal(to, key);
	buf_puts(to, ") ON CONFLICT DO NOTHING;");
}

enum status mark_set(struct run *run, struct conn *c, const char *run_id, const char *key, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	mark_state_sql(&sql, run_id, key);
	return conn_command(run, c, buf_str(&sql), err);
}

char *mark_unit_key(const struct load_unit *u)
{
	return xasprintf("%s\001%" PRIu32 "\001%" PRIu32, u->object->name, u->range, u->first_part);
}

void mark_unit_sql(struct buf *to, const char *run_id, const struct load_unit *u, uint64_t rows)
{
	buf_puts(to, "INSERT INTO ");
	put_mark(to, run_id, "unit");
	buf_puts(to, " VALUES (");
	sql_literal(to, u->object->name);
	buf_printf(to, ", %" PRIu32 ", %" PRIu32 ", %" PRIu64 ")", u->range, u->first_part, rows);
}

static enum status take_unit(void *ctx, const PGresult *r, struct error *err)
{
	(void)err;
	strlist_take(ctx, xasprintf("%s\001%s\001%s", res_text(r, 0, 0), res_text(r, 0, 1), res_text(r, 0, 2)));
	return ST_OK;
}

enum status mark_units(struct run *run, struct conn *c, const char *run_id, struct strlist *keys, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT object, range, part FROM ");
	put_mark(&sql, run_id, "unit");
	if (conn_each(run, c, SQL(buf_str(&sql)), take_unit, keys, err))
		return error_add(err, "the mark of this restore");
	strlist_sort(keys);
	return ST_OK;
}

/* Sums by object, in the order of names in bytes. */
struct sums {
	struct strlist name;
	uint64_t *rows;
};

static void sums_release(struct sums *s)
{
	strlist_release(&s->name);
	free(s->rows);
}

static enum status take_sum(void *ctx, const PGresult *r, struct error *err)
{
	struct sums *s = ctx;

	(void)err;
	if (s->name.len % 64 == 0)
		s->rows = xrealloc(s->rows, (s->name.len + 64) * sizeof *s->rows);
	s->rows[s->name.len] = res_u64(r, 0, 1);
	strlist_add(&s->name, res_text(r, 0, 0));
	return ST_OK;
}

static uint64_t sum_of(const struct sums *s, const char *name)
{
	size_t low = 0, high = s->name.len;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int cmp = strcmp(s->name.item[mid], name);

		if (!cmp)
			return s->rows[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

enum status mark_check(struct run *run, struct conn *c, const char *run_id, const struct load_wish *w, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(sums_release) struct sums s = {0};

	buf_puts(&sql, "SELECT object, sum(rows) FROM ");
	put_mark(&sql, run_id, "unit");
	buf_puts(&sql, " GROUP BY object ORDER BY object COLLATE \"C\"");
	if (conn_each(run, c, SQL(buf_str(&sql)), take_sum, &s, err))
		return error_add(err, "the mark of this restore");
	for (size_t i = 0; i < w->tables; i++) {
		const struct load_table *t = &w->table[i];
		uint64_t there = sum_of(&s, t->shown);

		if (there == t->rows)
			continue;
		error_set(err, ST_FAILED, "%s: %" PRIu64 " rows were committed in the target, the backup has %" PRIu64, t->shown,
			  there, t->rows);
		return error_hint(err, "Begin this restore again: the server may have lost what it had confirmed, for example by"
				       " a crash.");
	}
	return ST_OK;
}

enum status mark_exists(struct run *run, struct conn *c, const char *run_id, bool *exists, struct error *err)
{
	CLEANUP(cstr_release) char *schema = xasprintf("drtool_restore_%s", run_id);
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, c, SQL("SELECT pg_catalog.to_regnamespace($1) IS NOT NULL", schema), &r, err))
		return err->code;
	*exists = res_bool(r, 0, 0);
	return ST_OK;
}

enum status mark_remove(struct run *run, struct conn *c, const char *run_id, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "BEGIN; DROP TABLE IF EXISTS ");
	put_mark(&sql, run_id, "unit");
	buf_puts(&sql, ", ");
	put_mark(&sql, run_id, "state");
	buf_puts(&sql, "; DROP SCHEMA IF EXISTS ");
	put_mark(&sql, run_id, NULL);
	buf_puts(&sql, "; COMMIT");
	return conn_command(run, c, buf_str(&sql), err);
}
