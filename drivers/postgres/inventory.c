#include "drivers/postgres/inventory.h"

#include "drivers/postgres/dump.h"

#define BATCH 200

struct taking {
	const struct inventory_sink *to;
	const char *kind;
	struct buf facts;
};

/* One line: backslashes and line ends are escaped. */
static void put_line(struct buf *to, const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			buf_puts(to, "\\n");
		else if (*text == '\r')
			buf_puts(to, "\\r");
		else if (*text == '\\')
			buf_puts(to, "\\\\");
		else
			buf_putc(to, *text);
}

static enum status take_row(void *ctx, const PGresult *r, struct error *err)
{
	struct taking *t = ctx;
	const char *name = res_text(r, 0, 0), *facts = res_text(r, 0, 1);

	/* Something that was dropped while it was described: not there any more, and not in the snapshot's dump either way. */
	if (!name)
		return ST_OK;
	buf_clear(&t->facts);
	put_line(&t->facts, facts ? facts : "");
	struct inventory_item item = {.kind = t->kind, .name = name, .facts = buf_str(&t->facts)};
	return t->to->item(t->to->ctx, &item, err);
}

/* Functions such as pg_get_viewdef see the catalog of now, not that of the snapshot: what was dropped since is an internal error
 * there. */
static enum status explain(const char *kind, struct error *err)
{
	if (!strcmp(err->native, "XX000")) {
		err->retry = true;
		error_hint(err, "A %s was dropped or changed while it was read: run again when no migration is at work.", kind);
	}
	return error_add(err, "inventory, %s", kind);
}

static enum status ask(struct run *run, struct conn *c, const struct inventory_question *q, struct taking *t, struct error *err)
{
	for (; q->kind; q++) {
		if ((q->from && c->version < q->from) || (q->before && c->version >= q->before))
			continue;
		t->kind = q->kind;
		if (conn_each(run, c, SQL(q->sql), take_row, t, err))
			return explain(q->kind, err);
	}
	return ST_OK;
}

/* ---- values of sequences ---- */

/* Columns: name, value (NULL: not drawn from yet), increment, schema, sequence. What was never drawn from stands one step before
 * its next value. Sequences that begin anew at their end are no measure. */
static const char sequences_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname), pg_sequence_last_value(c.oid), s.seqincrement, n.nspname, c.relname"
	" FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relpersistence <> 't' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())"
	" AND NOT s.seqcycle AND" USER_SCHEMA("n")
	" AND NOT EXISTS (SELECT FROM pg_depend e LEFT JOIN pg_extension x ON x.oid = e.refobjid"
	" WHERE e.classid = 'pg_class'::regclass"
	"  AND e.objid = c.oid AND e.deptype = 'e' AND NOT c.oid = ANY (coalesce(x.extconfig, '{}')))";

static enum status give_value(struct taking *t, const char *name, const char *value, bool down, struct error *err)
{
	struct inventory_item item = {.kind = "sequence value", .name = name, .facts = value, .grows = true, .sign = down ? -1 : 1};

	return t->to->item(t->to->ctx, &item, err);
}

static enum status take_value(void *ctx, const PGresult *r, struct error *err)
{
	return give_value(ctx, res_text(r, 0, 0), res_text(r, 0, 1), *res_text(r, 0, 2) == '-', err);
}

static enum status ask_untouched(struct run *run, struct conn *c, struct taking *t, struct buf *sql, struct error *err)
{
	enum status st = sql->len ? conn_each(run, c, SQL(buf_str(sql)), take_value, t, err) : ST_OK;

	buf_clear(sql);
	return st;
}

static enum status sequence_values(struct run *run, struct conn *c, struct taking *t, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	int in_batch = 0;

	if (conn_query(run, c, SQL(sequences_sql), &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++) {
		if (res_text(r, i, 1)) {
			if (give_value(t, res_text(r, i, 0), res_text(r, i, 1), *res_text(r, i, 2) == '-', err))
				return err->code;
			continue;
		}
		buf_puts(&sql, sql.len ? " UNION ALL SELECT " : "SELECT ");
		sql_literal(&sql, res_text(r, i, 0));
		buf_printf(&sql, "::text, last_value::numeric - CASE WHEN is_called THEN 0 ELSE %s END, %s"
		" FROM ", res_text(r, i, 2), res_text(r, i, 2));
		sql_name(&sql, res_text(r, i, 3), res_text(r, i, 4));
		if (++in_batch % BATCH == 0 && ask_untouched(run, c, t, &sql, err))
			return err->code;
	}
	return ask_untouched(run, c, t, &sql, err);
}

enum status inventory_take_all(struct run *run, struct conn *c, const struct inventory_sink *items, struct error *err)
{
	struct taking t = {.to = items};
	enum status st = ask(run, c, inventory_tables, &t, err);

	if (!st)
		st = ask(run, c, inventory_objects, &t, err);
	if (!st && sequence_values(run, c, &t, err))
		st = error_add(err, "inventory, values of sequences");
	buf_release(&t.facts);
	return st;
}
