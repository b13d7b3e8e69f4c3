#include "drivers/mysql/load.h"

#define END_WAIT DURATION_SECONDS(15)
#define SESSIONS_MOST 128u
#define KIND_STATE 0
#define KIND_UNIT 1

static void put_mark(struct buf *to, const struct my_mark *m)
{
	CLEANUP(cstr_release) char *table = xasprintf("drtool_restore_%s", m->run);

	my_sql_name(to, m->database, table);
}

enum status my_mark_make(struct run *run, struct my_conn *c, const struct my_mark *m, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "CREATE TABLE IF NOT EXISTS ");
	put_mark(&sql, m);
	buf_puts(&sql, " (kind tinyint NOT NULL, item varbinary(600) NOT NULL, span int unsigned NOT NULL, part int unsigned NOT NULL,"
		       " n bigint unsigned NOT NULL, PRIMARY KEY (kind, item, span, part)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC");
	return my_conn_command(run, c, buf_str(&sql), err) ? error_add(err, "making the mark of this restore") : ST_OK;
}

enum status my_mark_exists(struct run *run, struct my_conn *c, const struct my_mark *m, bool *exists, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM information_schema.TABLES WHERE");
	my_sql_is_name(&sql, "TABLE_SCHEMA", m->database);
	buf_printf(&sql, " AND TABLE_NAME = 'drtool_restore_%s'", m->run);
	if (my_conn_value(run, c, buf_str(&sql), &n, err))
		return err->code;
	*exists = my_field_u64(n) > 0;
	return ST_OK;
}

/* ---- sessions of the run ---- */

enum status my_mark_session(struct run *run, struct my_conn *c, const char *run_id, char **lock, struct error *err)
{
	for (unsigned i = 0; i < SESSIONS_MOST; i++) {
		CLEANUP(cstr_release) char *name = xasprintf("drtool_restore_%s_%u", run_id, i);
		CLEANUP(cstr_release) char *sql = xasprintf("SELECT GET_LOCK('%s', 0)", name);
		CLEANUP(cstr_release) char *got = NULL;

		if (my_conn_value(run, c, sql, &got, err))
			return error_add(err, "the session's lock");
		if (!my_field_u64(got))
			continue;
		free(*lock);
		*lock = name;
		name = NULL;
		return ST_OK;
	}
	return error_set(err, ST_LOCKED, "more than %u sessions load for the restore %s", SESSIONS_MOST, run_id);
}

enum status my_mark_gone(struct run *run, struct my_conn *c, const char *lock, bool *gone, struct error *err)
{
	CLEANUP(cstr_release) char *sql = xasprintf("SELECT IS_USED_LOCK('%s')", lock), *id = NULL;

	if (my_conn_value(run, c, sql, &id, err))
		return err->code;
	*gone = !id;
	return ST_OK;
}

enum status my_mark_end_sessions(struct run *run, struct my_conn *c, const char *run_id, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	struct run bounded = run_within(run, END_WAIT);

	buf_puts(&sql, "SELECT DISTINCT id FROM (");
	for (unsigned i = 0; i < SESSIONS_MOST; i++)
		buf_printf(&sql, "%sSELECT IS_USED_LOCK('drtool_restore_%s_%u') AS id", i ? " UNION ALL " : "", run_id, i);
	buf_puts(&sql, ") l WHERE id <> CONNECTION_ID()");
	for (;;) {
		CLEANUP(strlist_release) struct strlist left = STRLIST_INIT;

		if (my_list(&bounded, c, buf_str(&sql), &left, err))
			return error_add(err, "ending what an attempt before left in the server");
		if (!left.len)
			return ST_OK;
		for (size_t i = 0; i < left.len; i++) {
			CLEANUP(error_release) struct error ignored = ERROR_INIT;

			(void)!my_conn_commandf(&bounded, c, &ignored, "KILL %s", left.item[i]);
		}
		if (run_sleep(&bounded, DURATION_MS(100), err))
			return error_add(err, "ending %zu sessions that an attempt before left in the server", left.len);
	}
}

/* ---- states ---- */

enum status my_mark_state(struct run *run, struct my_conn *c, const struct my_mark *m, const char *key, bool *set, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM ");
	put_mark(&sql, m);
	buf_printf(&sql, " WHERE kind = %d AND item = ", KIND_STATE);
	my_sql_literal(&sql, key);
	if (my_conn_value(run, c, buf_str(&sql), &n, err))
		return error_add(err, "the mark of this restore");
	*set = my_field_u64(n) > 0;
	return ST_OK;
}

enum status my_mark_set(struct run *run, struct my_conn *c, const struct my_mark *m, const char *key, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "INSERT IGNORE INTO ");
	put_mark(&sql, m);
	buf_printf(&sql, " VALUES (%d, ", KIND_STATE);
	my_sql_literal(&sql, key);
	buf_puts(&sql, ", 0, 0, 0)");
	return my_conn_command(run, c, buf_str(&sql), err) ? error_add(err, "the mark of this restore") : ST_OK;
}

/* ---- units ---- */

char *my_mark_unit_key(const struct load_unit *u)
{
	return xasprintf("%s\001%" PRIu32 "\001%" PRIu32, u->object->name, u->range, u->first_part);
}

void my_mark_unit_sql(struct buf *to, const struct my_mark *m, const struct load_unit *u, uint64_t rows)
{
	buf_puts(to, "INSERT INTO ");
	put_mark(to, m);
	buf_printf(to, " VALUES (%d, ", KIND_UNIT);
	my_sql_literal(to, u->object->name);
	buf_printf(to, ", %" PRIu32 ", %" PRIu32 ", %" PRIu64 ")", u->range, u->first_part, rows);
}

enum status my_mark_units(struct run *run, struct my_conn *c, const struct my_mark *m, struct strlist *keys, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	buf_puts(&sql, "SELECT item, span, part FROM ");
	put_mark(&sql, m);
	buf_printf(&sql, " WHERE kind = %d", KIND_UNIT);
	if (my_conn_query(run, c, buf_str(&sql), &r, err))
		return error_add(err, "the mark of this restore");
	while ((row = mysql_fetch_row(r)))
		strlist_take(keys, xasprintf("%s\001%s\001%s", row[0], row[1], row[2]));
	strlist_sort(keys);
	return ST_OK;
}

enum status my_mark_has_unit(struct run *run, struct my_conn *c, const struct my_mark *m, const struct load_unit *u, bool *has,
			     struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM ");
	put_mark(&sql, m);
	buf_printf(&sql, " WHERE kind = %d AND span = %" PRIu32 " AND part = %" PRIu32 " AND item = ", KIND_UNIT, u->range, u->first_part);
	my_sql_literal(&sql, u->object->name);
	if (my_conn_value(run, c, buf_str(&sql), &n, err))
		return error_add(err, "the mark of this restore");
	*has = my_field_u64(n) > 0;
	return ST_OK;
}

/* ---- sums of rows, by object, in the order of names in bytes ---- */

struct sums {
	struct strlist name;
	uint64_t *rows;
};

static void sums_release(struct sums *s)
{
	strlist_release(&s->name);
	free(s->rows);
}

static enum status read_sums(struct run *run, struct my_conn *c, const struct my_mark *m, struct sums *s, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	buf_puts(&sql, "SELECT item, SUM(n) FROM ");
	put_mark(&sql, m);
	buf_printf(&sql, " WHERE kind = %d GROUP BY item ORDER BY item", KIND_UNIT);
	if (my_conn_query(run, c, buf_str(&sql), &r, err))
		return error_add(err, "the mark of this restore");
	s->rows = xcalloc((size_t)mysql_num_rows(r) + 1, sizeof *s->rows);
	while ((row = mysql_fetch_row(r))) {
		s->rows[s->name.len] = my_field_u64(row[1]);
		strlist_add(&s->name, row[0]);
	}
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

enum status my_mark_check(struct run *run, struct my_conn *c, const struct my_mark *m, const struct my_load_wish *w, struct error *err)
{
	CLEANUP(sums_release) struct sums s = {.rows = NULL};

	if (read_sums(run, c, m, &s, err))
		return err->code;
	for (size_t i = 0; i < w->tables; i++) {
		const struct my_load_table *t = &w->table[i];
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

enum status my_mark_forget(struct run *run, struct my_conn *c, const struct my_mark *m, const struct my_load_wish *w,
			   const struct strlist *plain, struct strlist *again, struct error *err)
{
	CLEANUP(sums_release) struct sums s = {.rows = NULL};

	if (read_sums(run, c, m, &s, err))
		return err->code;
	for (size_t i = 0; i < w->tables; i++) {
		const struct my_load_table *t = &w->table[i];
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		if (!strlist_has(plain, my_load_table_place(t)) || !t->rows || sum_of(&s, t->shown) == t->rows)
			continue;
		strlist_add(again, my_load_table_place(t));
		buf_puts(&sql, "DELETE FROM ");
		put_mark(&sql, m);
		buf_printf(&sql, " WHERE kind = %d AND item = ", KIND_UNIT);
		my_sql_literal(&sql, t->shown);
		if (my_conn_command(run, c, buf_str(&sql), err))
			return error_add(err, "the mark of this restore");
	}
	return ST_OK;
}

enum status my_mark_remove(struct run *run, struct my_conn *c, const struct my_mark *m, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "DROP TABLE IF EXISTS ");
	put_mark(&sql, m);
	return my_conn_command(run, c, buf_str(&sql), err);
}
