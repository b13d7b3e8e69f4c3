/* What is read last: values of sequences; and what a restore does last: materialized views to fill. */
#include "drivers/postgres/dump.h"

#include "drivers/postgres/facts.h"

#define BATCH 200 /* sequences in one query, before 18 */

struct sequences {
	struct spool *lines, *sql;
	struct buf text;
};

static enum status put_sequence(void *ctx, const PGresult *r, struct error *err)
{
	struct sequences *s = ctx;
	CLEANUP(js_decref) json_t *j = json_object();
	CLEANUP(buf_release) struct buf name = BUF_INIT;
	const char *value = res_text(r, 0, 2);

	/* An unlogged sequence on a standby has none. */
	if (!value)
		return ST_OK;
	if (!js_set_str(j, "schema", res_text(r, 0, 0)) || !js_set_str(j, "name", res_text(r, 0, 1)))
		return error_set(err, ST_UNSUPPORTED, "sequence %s: a name that is not valid UTF-8", res_text(r, 0, 1));
	js_set_str(j, "last_value", value);
	js_set_bool(j, "is_called", res_bool(r, 0, 3));
	js_set_str(j, "persistence", res_text(r, 0, 4));
	buf_clear(&s->text);
	js_write(j, false, &s->text);
	buf_putc(&s->text, '\n');
	if (spool_write(s->lines, s->text.data, s->text.len, err))
		return err->code;
	sql_name(&name, res_text(r, 0, 0), res_text(r, 0, 1));
	buf_clear(&s->text);
	buf_puts(&s->text, "SELECT pg_catalog.setval(");
	sql_literal(&s->text, buf_str(&name));
	buf_printf(&s->text, ", %s, %s);\n", value, res_bool(r, 0, 3) ? "true" : "false");
	return spool_write(s->sql, s->text.data, s->text.len, err);
}

#define SEQUENCES_SQL                                                                                                     \
	" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                                                   \
	" LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'" \
	" LEFT JOIN pg_extension x ON x.oid = d.refobjid"                                                                   \
	" WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"   \
	" AND (x.oid IS NULL OR c.oid = ANY (x.extconfig)) ORDER BY n.nspname, c.relname"

static enum status read_batch(struct run *run, struct dump *d, struct sequences *s, struct buf *sql, struct error *err)
{
	enum status st = sql->len ? conn_each(run, d->c, SQL(buf_str(sql)), put_sequence, s, err) : ST_OK;

	buf_clear(sql);
	return st;
}

/* One branch of a UNION ALL for each, since older servers have no function that tells all. */
static enum status read_by_select(struct run *run, struct dump *d, struct sequences *s, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (conn_query(run, d->c, SQL("SELECT n.nspname, c.relname, c.relpersistence" SEQUENCES_SQL), &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++) {
		/* On a standby the server refuses to read an unlogged one. */
		if (d->standby && *res_text(r, i, 2) == 'u')
			continue;
		buf_puts(&sql, sql.len ? " UNION ALL SELECT " : "SELECT ");
		sql_literal(&sql, res_text(r, i, 0));
		buf_puts(&sql, "::text, ");
		sql_literal(&sql, res_text(r, i, 1));
		buf_printf(&sql, "::text, last_value, is_called, '%s'::text FROM ", res_text(r, i, 2));
		sql_name(&sql, res_text(r, i, 0), res_text(r, i, 1));
		if ((i + 1) % BATCH == 0 && read_batch(run, d, s, &sql, err))
			return err->code;
	}
	return read_batch(run, d, s, &sql, err);
}

static enum status read_sequences(struct run *run, struct dump *d, struct sequences *s, struct error *err)
{
	if (d->version < 180000)
		return read_by_select(run, d, s, err);
	return conn_each(run, d->c,
			 SQL("SELECT q.nspname, q.relname, v.last_value, v.is_called, q.relpersistence"
			     " FROM (SELECT c.oid, n.nspname, c.relname,"
			     " c.relpersistence" SEQUENCES_SQL ") q, pg_get_sequence_data(q.oid) v"),
			 put_sequence, s, err);
}

enum status dump_sequences(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(spool_freep) struct spool *lines = entry_spool(d), *sql = entry_spool(d);
	struct sequences s = {.lines = lines, .sql = sql};
	CLEANUP(buf_release) struct buf head = BUF_INIT;

	script_head(d, &head);
	if (spool_write(sql, head.data, head.len, err))
		return err->code;
	enum status st = read_sequences(run, d, &s, err);

	buf_release(&s.text);
	if (st)
		return error_add(err, "values of sequences");
	if (entry_give(entries, PG_ENTRY_SEQUENCES, lines, NULL, err))
		return err->code;
	return entry_give(entries, PG_ENTRY_SEQUENCES_SQL, sql, NULL, err);
}

/* Those that were populated, each after those that it reads: views may lie between, so dependencies are followed through them. */
static const char refresh_sql[] =
	"WITH RECURSIVE uses(id, needs) AS ("
	" SELECT DISTINCT w.ev_class, d.refobjid FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass"
	" AND d.objid = w.oid"
	" AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class JOIN pg_class c ON c.oid = d.refobjid"
	" AND c.relkind IN ('v', 'm')),"
	" depth(id, n) AS (SELECT oid, 0 FROM pg_class WHERE relkind IN ('v', 'm') UNION SELECT u.id, p.n + 1 FROM uses u"
	" JOIN depth p ON p.id = u.needs"
	" WHERE p.n < 1000)"
	" SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	" JOIN (SELECT id, max(n) AS n FROM depth GROUP BY id) o ON o.id = c.oid"
	" WHERE c.relkind = 'm' AND c.relispopulated AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
	"  AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e') ORDER BY o.n, n.nspname, c.relname";

enum status dump_refresh(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(buf_release) struct buf lines = BUF_INIT, sql = BUF_INIT;

	script_head(d, &sql);
	buf_puts(&sql, "-- Event triggers are there already and shall not fire.\nSET session_replication_role = 'replica';\n");
	if (conn_query(run, d->c, SQL(refresh_sql), &r, err))
		return error_add(err, "materialized views");
	for (int i = 0; i < PQntuples(r); i++) {
		CLEANUP(js_decref) json_t *j = json_object();

		if (!js_set_str(j, "schema", res_text(r, i, 0)) || !js_set_str(j, "name", res_text(r, i, 1)))
			return error_set(err, ST_UNSUPPORTED, "materialized view %s: a name that is not valid UTF-8",
					 res_text(r, i, 1));
		js_write(j, false, &lines);
		buf_putc(&lines, '\n');
		buf_puts(&sql, "REFRESH MATERIALIZED VIEW ");
		sql_name(&sql, res_text(r, i, 0), res_text(r, i, 1));
		buf_puts(&sql, ";\n");
	}
	if (!lines.len)
		return ST_OK;
	if (entry_give_text(entries, PG_ENTRY_REFRESH, &lines, err))
		return err->code;
	return entry_give_text(entries, PG_ENTRY_REFRESH_SQL, &sql, err);
}
