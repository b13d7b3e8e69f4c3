#include "drivers/postgres/load_plan.h"

#define SHOWN_MOST 20 /* refusals of one kind: the rest is more of the same */
#define AT_ONCE 200

/* What the target has under the names of the wanted tables, by one query. */
struct target_table {
	bool exists, triggers;
	json_t *columns; /* names; NULL where it does not exist */
};
struct targets {
	struct target_table *table; /* as wish.table */
	size_t tables;
	unsigned shown;
};

static void targets_release(struct targets *t)
{
	for (size_t i = 0; i < t->tables; i++)
		json_decref(t->table[i].columns);
	free(t->table);
}

static const char look_sql[] =
	"SELECT w.i, c.oid IS NOT NULL, EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid),"
	" (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT"
	" a.attisdropped"
	"  AND a.attgenerated = '')"
	" FROM unnest($1::text[], $2::text[]) WITH ORDINALITY w(s, n, i)"
	" LEFT JOIN pg_catalog.pg_namespace ns ON ns.nspname = w.s"
	" LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = ns.oid AND c.relname = w.n AND c.relkind IN ('r', 'p', 'f')";

/* place: under the name where the rows go, else under the recorded one. */
static enum status look_at(struct run *run, struct planner *pl, struct conn *c, bool place, struct targets *t, struct error *err)
{
	CLEANUP(buf_release) struct buf schemas = BUF_INIT, names = BUF_INIT;
	CLEANUP(conn_result_free) PGresult *r = NULL;
	size_t n = pl->wish.tables;
	const char **schema = xcalloc(n + 1, sizeof *schema), **name = xcalloc(n + 1, sizeof *name);

	for (size_t i = 0; i < n; i++) {
		schema[i] = pl->wish.table[i].schema;
		name[i] = pl->wish.table[i].name;
		if (place)
			load_table_place(&pl->wish.table[i], &schema[i], &name[i]);
	}
	sql_array(&schemas, schema, n);
	sql_array(&names, name, n);
	free(schema);
	free(name);
	t->table = xcalloc(n + 1, sizeof *t->table);
	t->tables = n;
	if (conn_query(run, c, SQL(look_sql, buf_str(&schemas), buf_str(&names)), &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++) {
		size_t at = (size_t)res_u64(r, i, 0) - 1;
		const char *columns = res_text(r, i, 3);

		if (at >= n)
			continue;
		t->table[at].exists = res_bool(r, i, 1);
		t->table[at].triggers = res_bool(r, i, 2);
		if (columns && js_parse(columns, strlen(columns), "columns", &t->table[at].columns, err))
			return err->code;
	}
	return ST_OK;
}

static void refuse_table(struct planner *pl, struct targets *t, char *text)
{
	if (t->shown++ < SHOWN_MOST)
		plan_line(&pl->p->refusals, "%s", text);
	else if (t->shown == SHOWN_MOST + 1)
		plan_line(&pl->p->refusals, "and so on for more tables");
	free(text);
}

static bool has_name(const json_t *names, const char *name)
{
	size_t i;
	json_t *one;

	json_array_foreach(names, i, one)
		if (!strcmp(json_string_value(one), name))
			return true;
	return false;
}

static void check_columns(struct planner *pl, struct targets *t, size_t at)
{
	const struct load_table *w = &pl->wish.table[at];
	size_t i;
	json_t *column;

	json_array_foreach(w->columns, i, column)
		if (!has_name(t->table[at].columns, json_string_value(column)))
			refuse_table(pl, t, xasprintf("%s: the table in %s has no column %s that rows could go into", w->shown,
						      pl->s->target, json_string_value(column)));
}

/* ---- rows only ---- */

static enum status check_empty(struct run *run, struct planner *pl, struct conn *c, struct targets *t, struct error *err)
{
	for (size_t from = 0; from < t->tables; from += AT_ONCE) {
		CLEANUP(buf_release) struct buf sql = BUF_INIT;
		CLEANUP(conn_result_free) PGresult *r = NULL;

		for (size_t i = from; i < t->tables && i < from + AT_ONCE; i++) {
			const char *schema, *name;

			if (!t->table[i].exists)
				continue;
			load_table_place(&pl->wish.table[i], &schema, &name);
			buf_printf(&sql, "%sSELECT %zu, EXISTS (SELECT FROM ONLY ", sql.len ? " UNION ALL " : "", i);
			sql_name(&sql, schema, name);
			buf_putc(&sql, ')');
		}
		if (sql.len && conn_query(run, c, SQL(buf_str(&sql)), &r, err))
			return err->code;
		for (int k = 0; r && k < PQntuples(r); k++) {
			const char *shown = pl->wish.table[res_u64(r, k, 0)].shown;

			if (!res_bool(r, k, 1))
				continue;
			if (pl->q->clean)
				strlist_take(&pl->p->dropped, xasprintf("rows of %s in %s", shown, pl->s->target));
			else
				refuse_table(pl, t, xasprintf("%s in %s holds rows already: empty it first", shown, pl->s->target));
		}
	}
	return ST_OK;
}

static enum status check_triggers(struct run *run, struct planner *pl, struct conn *c, struct targets *t, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT, ignored = ERROR_INIT;
	size_t i = 0;

	while (i < t->tables && !t->table[i].triggers)
		i++;
	if (i == t->tables || !conn_command(run, c, "BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK", &why))
		return ST_OK;
	if (why.code == ST_CANCELLED || why.code == ST_DEADLINE || why.code == ST_UNREACHABLE)
		return error_move(err, &why);
	(void)!conn_command(run, c, "ROLLBACK", &ignored);
	plan_line(&pl->p->refusals, "%s has triggers or foreign keys, and %s may not keep them still while rows are loaded: restore as a"
			" superuser%s",
		    pl->wish.table[i].shown, pl->facts.user, c->version >= 150000
			    ? ", or GRANT SET ON PARAMETER session_replication_role" : "");
	return ST_OK;
}

static enum status check_rows(struct run *run, struct planner *pl, struct conn *c, struct error *err)
{
	CLEANUP(targets_release) struct targets t = {0};

	for (size_t i = 0; i < pl->wish.asks; i++)
		if (!pl->wish.asked_found[i])
			return error_set(err, ST_NOT_FOUND, "the backup of the database %s has no rows of a table %s.%s",
					 pl->wish.scope,
					 pl->wish.asked[i].schema, pl->wish.asked[i].table);
	if (look_at(run, pl, c, true, &t, err))
		return err->code;
	for (size_t i = 0; i < t.tables; i++) {
		if (!t.table[i].exists)
			refuse_table(pl, &t, xasprintf("%s is not there in %s, and --data-only makes no table",
						       pl->wish.table[i].shown, pl->s->target));
		else
			check_columns(pl, &t, i);
	}
	if (json_integer_value(pl->wish.db.large_objects) > 0 && !pl->q->tables->len)
		plan_line(&pl->p->warnings, "large objects are not restored by --data-only: they have no table that they belong to");
	return check_empty(run, pl, c, &t, err) || check_triggers(run, pl, c, &t, err) ? err->code : ST_OK;
}

/* ---- tables with their definitions ---- */

/* New names must be free, and the schemas there. */
static enum status check_renamed(struct run *run, struct planner *pl, struct conn *c, struct error *err)
{
	for (size_t i = 0; i < pl->wish.tables; i++) {
		const struct load_table *t = &pl->wish.table[i];
		CLEANUP(conn_result_free) PGresult *r = NULL;

		if (!t->to_name)
			continue;
		if (conn_query(run, c,
			       SQL("SELECT n.oid IS NOT NULL, c.oid IS NOT NULL FROM (SELECT $1::text s, $2::text t) w"
				   " LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.s"
				   " LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.t",
				   t->to_schema, t->to_name),
			       &r, err))
			return err->code;
		if (!res_bool(r, 0, 0))
			plan_line(&pl->p->refusals, "--rename: there is no schema %s in %s", t->to_schema, pl->s->target);
		if (res_bool(r, 0, 1))
			plan_line(&pl->p->refusals, "--rename: %s.%s is there already in %s", t->to_schema, t->to_name, pl->s->target);
	}
	return ST_OK;
}

/* What a DROP TABLE would be refused for. */
static enum status check_dependents(struct run *run, struct planner *pl, struct conn *c, const struct object_name *n,
				    struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(buf_release) struct buf table = BUF_INIT;

	sql_name(&table, n->schema, n->table);
	if (conn_query(run, c,
		       SQL("SELECT 'foreign key ' || pg_catalog.quote_ident(conname) || ' of ' || conrelid::regclass FROM"
			   " pg_catalog.pg_constraint"
			   " WHERE contype = 'f' AND confrelid = $1::regclass AND conrelid <> confrelid AND conparentid = 0"
			   " UNION SELECT 'view ' || w.ev_class::regclass FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite"
			   " w ON w.oid = d.objid"
			   " WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass"
			   " AND d.refobjid = $1::regclass AND w.ev_class <> $1::regclass ORDER BY 1",
			   buf_str(&table)),
		       &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++)
		plan_line(&pl->p->refusals, "%s.%s cannot be dropped: %s depends on it; restore it under another name with --rename, or"
				" empty it and restore its rows with --data-only",
			    n->schema, n->table, res_text(r, i, 0));
	return ST_OK;
}

static enum status check_present(struct run *run, struct planner *pl, struct conn *c, struct error *err)
{
	for (size_t i = 0; i < pl->wish.asks; i++) {
		const struct object_name *n = &pl->wish.asked[i];
		CLEANUP(conn_result_free) PGresult *r = NULL;
		CLEANUP(buf_release) struct buf table = BUF_INIT;

		sql_name(&table, n->schema, n->table);
		if (conn_query(run, c, SQL("SELECT pg_catalog.to_regclass($1) IS NOT NULL", buf_str(&table)), &r, err))
			return err->code;
		if (!res_bool(r, 0, 0) || load_wish_renamed(&pl->wish, n))
			continue;
		if (!pl->q->clean) {
			plan_line(&pl->p->refusals, "the table %s.%s is there in %s: take --rename %s.%s=%s.NEW to have both, --data-only for"
					" its rows, or --clean to drop it",
				    n->schema, n->table, pl->s->target, n->schema, n->table, n->schema);
			continue;
		}
		strlist_take(&pl->p->dropped, xasprintf("table %s.%s of %s", n->schema, n->table, pl->s->target));
		if (check_dependents(run, pl, c, n, err))
			return err->code;
	}
	return ST_OK;
}

static enum status check_definitions(struct run *run, struct planner *pl, struct conn *c, struct error *err)
{
	CLEANUP(targets_release) struct targets t = {0};
	CLEANUP(load_selection_release) struct load_selection sel = LOAD_SELECTION_INIT;

	if (c && (check_present(run, pl, c, err) || check_renamed(run, pl, c, err) || look_at(run, pl, c, false, &t, err)))
		return err->code;
	for (size_t i = 0; i < t.tables; i++)
		if (pl->wish.table[i].to_name && t.table[i].exists) {
			pl->wish.table[i].direct = true;
			check_columns(pl, &t, i);
			plan_line(&pl->p->warnings, "%s is there: the renamed one is made like it, without foreign keys and triggers",
				  pl->wish.table[i].shown);
		}
	if (load_select(run, c, &pl->wish, &pl->toc, &sel, err))
		return err->code;
	for (size_t i = 0; i < sel.left_out.len; i++)
		plan_line(&pl->p->warnings, "%s", sel.left_out.item[i]);
	for (size_t i = 0; i < sel.brought.len; i++)
		plan_line(&pl->p->steps, "%s", sel.brought.item[i]);
	return ST_OK;
}

enum status check_tables(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	bool marked = false;

	if (!pl->s->exists)
		return pl->wish.mode == LOAD_TABLES ? check_definitions(run, pl, NULL, err) : ST_OK;
	if (load_connect(run, pl->e, pl->s->target, &c, err) || mark_exists(run, c, pl->q->run, &marked, err))
		return err->code;
	if (marked || pl->q->resumed) /* what is there was looked at before it began */
		return ST_OK;
	return pl->wish.mode == LOAD_ROWS ? check_rows(run, pl, c, err) : check_definitions(run, pl, c, err);
}
