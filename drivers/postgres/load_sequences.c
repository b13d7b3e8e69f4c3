#include "drivers/postgres/load.h"

#define AT_ONCE 500

/* The values as recorded after the data, set by one statement for many. */
static const char set_all[] =
	"SELECT pg_catalog.count(pg_catalog.setval(pg_catalog.format('%I.%I', x.schema, x.name)::regclass, x.last_value::bigint,"
	" x.is_called))"
	" FROM pg_catalog.json_to_recordset($1::json) x(schema text, name text, last_value text, is_called boolean)";

/* Beside rows that are there a sequence only moves on: those that belong to tables that were loaded. */
static const char move_on[] =
	"SELECT pg_catalog.count(pg_catalog.setval(s.oid::regclass, x.last_value::bigint, x.is_called))"
	" FROM pg_catalog.json_to_recordset($1::json) x(schema text, name text, last_value text, is_called boolean)"
	" JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema JOIN pg_catalog.pg_class s ON s.relnamespace = n.oid AND"
	" s.relname = x.name"
	" JOIN pg_catalog.pg_sequences v ON v.schemaname = x.schema AND v.sequencename = x.name"
	" WHERE (v.last_value IS NULL OR CASE WHEN v.increment_by > 0 THEN x.last_value::bigint > v.last_value ELSE"
	" x.last_value::bigint < v.last_value END)"
	" AND EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid"
	"  AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')"
	"  AND d.refobjid = ANY (SELECT pg_catalog.to_regclass(t) FROM pg_catalog.unnest($2::text[]) t))";

struct setter {
	struct run *run;
	struct load *l;
	json_t *batch; /* an array */
	struct buf tables; /* LOAD_ROWS: text[] */
};

static enum status flush(struct setter *s, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (!json_array_size(s->batch))
		return ST_OK;
	js_write(s->batch, false, &text);
	json_array_clear(s->batch);
	enum status st = s->l->wish.mode == LOAD_ROWS ? conn_query(s->run, s->l->conn,
								   SQL(move_on, buf_str(&text), buf_str(&s->tables)), &r, err)
						      : conn_query(s->run, s->l->conn, SQL(set_all, buf_str(&text)), &r, err);
	return st ? error_add(err, "setting sequences") : ST_OK;
}

static enum status take_line(void *ctx, const json_t *line, struct error *err)
{
	struct setter *s = ctx;
	const char *schema, *name;

	if (js_str(line, PG_ENTRY_SEQUENCES, "schema", &schema, err) || js_str(line, PG_ENTRY_SEQUENCES, "name", &name, err))
		return err->code;
	if (s->l->wish.mode == LOAD_TABLES) {
		const struct toc_entry *e = toc_find(&s->l->toc, "SEQUENCE", schema, name);

		if (!e || !s->l->sel.pick[e - s->l->toc.entry])
			return ST_OK;
	}
	json_array_append_new(s->batch, json_deep_copy(line));
	return json_array_size(s->batch) >= AT_ONCE ? flush(s, err) : ST_OK;
}

static void list_tables(struct setter *s)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	for (size_t i = 0; i < s->l->wish.tables; i++) {
		const struct load_table *t = &s->l->wish.table[i];
		struct buf name = BUF_INIT;
		const char *schema, *table;

		if (t->large_objects)
			continue;
		load_table_place(t, &schema, &table);
		sql_name(&name, schema, table);
		strlist_take(&names, buf_detach(&name));
	}
	sql_array(&s->tables, (const char *const *)names.item, names.len);
}

/* A table that was made like another has identity sequences of its own, which the archive does not know: they go to the largest
 * value. */
static enum status set_identities(struct run *run, struct load *l, const struct load_table *t, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(buf_release) struct buf table = BUF_INIT;

	sql_name(&table, t->to_schema, t->to_name);
	if (conn_query(run, l->conn,
		       SQL("SELECT pg_catalog.quote_ident(attname),"
			   " pg_catalog.quote_literal(pg_catalog.pg_get_serial_sequence($1, attname))"
			   " FROM pg_catalog.pg_attribute WHERE attrelid = $1::regclass AND attidentity <> ''",
			   buf_str(&table)),
		       &r, err))
		return error_add(err, "%s", t->shown);
	for (int i = 0; i < PQntuples(r); i++) {
		CLEANUP(cstr_release) char *sql = xasprintf("SELECT pg_catalog.setval(%s, pg_catalog.max(%s)) FROM %s",
							    res_text(r, i, 1),
							    res_text(r, i, 0), buf_str(&table));

		if (conn_command(run, l->conn, sql, err))
			return error_add(err, "%s", t->shown);
	}
	return ST_OK;
}

enum status load_sequences(struct run *run, struct load *l, struct error *err)
{
	struct setter s = {.run = run, .l = l, .batch = json_array()};

	if (l->wish.mode == LOAD_ROWS)
		list_tables(&s);
	enum status st = load_lines(l->q, l->s->scope, PG_ENTRY_SEQUENCES, take_line, &s, err);
	if (!st)
		st = flush(&s, err);
	for (size_t i = 0; !st && l->wish.mode == LOAD_TABLES && i < l->wish.tables; i++)
		if (l->wish.table[i].direct)
			st = set_identities(run, l, &l->wish.table[i], err);
	json_decref(s.batch);
	buf_release(&s.tables);
	return st;
}
