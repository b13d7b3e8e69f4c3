#include "drivers/postgres/dump.h"

#include "drivers/postgres/facts.h"
#include "drivers/postgres/server.h"

#define LOCK_BATCH 500
#define LOCK_ATTEMPTS 5
#define RANGES_MAX 9999 /* the archive numbers them with four digits */

/* Tables that belong to a dump: no temporary ones, none that an extension makes by itself except its configuration tables. A row
 * security policy or missing right does not hide one: then the dump fails instead of being short. */
#define FROM_TABLES                                                                                              \
	" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                                          \
	" LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'" \
	" AND d.refclassid = 'pg_extension'::regclass"                                                             \
	" LEFT JOIN pg_extension x ON x.oid = d.refobjid"
#define WHERE_TABLES                                                                              \
	" c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"    \
	" AND (x.oid IS NULL OR c.oid = ANY (x.extconfig))"

/* ---- locks and snapshot ---- */

static enum status add_name(void *ctx, const PGresult *r, struct error *err)
{
	struct strlist *names = ctx;
	struct buf name = BUF_INIT;

	(void)err;
	sql_name(&name, res_text(r, 0, 0), res_text(r, 0, 1));
	buf_printf(&name, "\n%s", res_text(r, 0, 2)); /* with its number: a table that took the name of another is another */
	strlist_take(names, buf_detach(&name));
	return ST_OK;
}

static enum status list_names(struct run *run, struct dump *d, struct strlist *names, struct error *err)
{
	return conn_each(run, d->c,
			 SQL("SELECT n.nspname, c.relname, c.oid" FROM_TABLES " WHERE c.relkind IN ('r', 'p')"
			     " AND" WHERE_TABLES " ORDER BY c.oid"),
			 add_name, names, err);
}

static bool same_names(const struct strlist *a, const struct strlist *b)
{
	bool same = a->len == b->len;

	for (size_t i = 0; same && i < a->len; i++)
		same = !strcmp(a->item[i], b->item[i]);
	return same;
}

/* Who keeps us waiting, for the message. Fails silently: the error is known already. */
static void name_blockers(struct run *run, struct dump *d, struct error *err)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(buf_release) struct buf who = BUF_INIT;

	if (conn_command(run, d->c, "ROLLBACK", &ignored) ||
	    conn_query(run, d->c,
		       SQL("SELECT DISTINCT n.nspname, c.relname, l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
			   " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE l.mode = 'AccessExclusiveLock'"
			   " AND l.locktype = 'relation'"
			   " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
			   " AND c.relkind IN ('r', 'p')"
			   " AND n.nspname !~ '^pg_' ORDER BY 1, 2 LIMIT 5"),
		       &r, &ignored))
		return;
	for (int i = 0; i < PQntuples(r); i++) {
		buf_puts(&who, who.len ? ", " : "");
		sql_shown(&who, res_text(r, i, 0));
		buf_putc(&who, '.');
		sql_shown(&who, res_text(r, i, 1));
		buf_printf(&who, " (process %s)", res_text(r, i, 2));
	}
	if (who.len)
		error_hint(err,
			   "These are locked exclusively, or wait to be: %s. Run again when that is over, or raise lock_timeout.",
			   buf_str(&who));
}

static enum status lock_all(struct run *run, struct dump *d, const struct strlist *names, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	for (size_t i = 0; i < names->len; i++) {
		buf_puts(&sql, sql.len ? ", " : "LOCK TABLE ");
		buf_puts(&sql, "ONLY ");
		buf_put(&sql, names->item[i], (size_t)(strrchr(names->item[i], '\n') - names->item[i]));
		if ((i + 1) % LOCK_BATCH && i + 1 < names->len)
			continue;
		buf_puts(&sql, " IN ACCESS SHARE MODE");
		if (conn_command(run, d->c, buf_str(&sql), err))
			return error_add(err, "locks against changes of tables");
		buf_clear(&sql);
	}
	return ST_OK;
}

static enum status export_snapshot(struct run *run, struct dump *d, struct scope_info *info, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(error_release) struct error not_a_time = ERROR_INIT;

	if (conn_query(run, d->c,
		       SQL("SELECT pg_export_snapshot(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
		           " ELSE pg_current_wal_lsn() END,"
			   " " SERVER_DATA_TIME),
		       &r, err))
		return error_add(err, "snapshot");
	cstr_release(&d->snapshot);
	d->snapshot = xstrdup(res_text(r, 0, 0));
	cstr_release(&info->position);
	info->position = res_text(r, 0, 1) ? xstrdup(res_text(r, 0, 1)) : NULL;
	info->snapshot = INSTANT_NONE;
	if (res_text(r, 0, 2) && instant_parse(res_text(r, 0, 2), &info->snapshot, &not_a_time))
		info->snapshot = INSTANT_NONE;
	/* It may have fallen behind since the first database. */
	return dump_check_lag(run, d, info->snapshot, err);
}

/* One attempt. *fits: the snapshot sees exactly the tables that are locked. */
static enum status lock_once(struct run *run, struct dump *d, struct scope_info *info, bool *fits, struct error *err)
{
	CLEANUP(strlist_release) struct strlist before = STRLIST_INIT, now = STRLIST_INIT;

	*fits = false;
	if (list_names(run, d, &before, err) || conn_command(run, d->c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err))
		return err->code;
	/* LOCK takes no snapshot: the one that comes after it sees the tables as the locks keep them. */
	if (lock_all(run, d, &before, err)) {
		if (!strcmp(err->native, "55P03"))
			name_blockers(run, d, err);
		/* A table was dropped or renamed meanwhile. */
		if (strcmp(err->native, "42P01") && strcmp(err->native, "3F000"))
			return err->code;
		error_release(err);
		return ST_OK;
	}
	if (export_snapshot(run, d, info, err) || list_names(run, d, &now, err))
		return err->code;
	*fits = same_names(&before, &now);
	return ST_OK;
}

enum status dump_lock_and_export(struct run *run, struct dump *d, struct scope_info *info, struct error *err)
{
	bool fits = false;

	if (d->recorded) {
		if (conn_command(run, d->c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err))
			return err->code;
		return export_snapshot(run, d, info, err);
	}
	for (int i = 0; i < LOCK_ATTEMPTS; i++) {
		if (lock_once(run, d, info, &fits, err) || fits)
			return err->code;
		if (conn_command(run, d->c, "ROLLBACK", err) || run_sleep(run, DURATION_MS(200 << i), err))
			return err->code;
	}
	error_set(err, ST_SERVER, "tables of database %s come and go faster than they can be locked", dump_database(d));
	err->retry = true;
	return error_hint(err, "Run again when no migration is at work.");
}

/* ---- objects ---- */

static void table_release(struct pg_table *t)
{
	cstr_release(&t->shown);
	cstr_release(&t->name);
	cstr_release(&t->columns);
	cstr_release(&t->where);
}

void dump_tables_release(struct dump *d)
{
	for (size_t i = 0; i < d->tables; i++)
		table_release(&d->table[i]);
	free(d->table);
	d->table = NULL;
	d->tables = 0;
}

static enum status load_line(struct dump *d, const struct pg_table *t, const char *folder, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	if (!d->load || !folder)
		return ST_OK;
	load_script_table(d, t, folder, &line);
	return spool_write(d->load, line.data, line.len, err);
}

enum status dump_give_object(struct dump *d, struct object_spec *o, const struct object_sink *objects, struct error *err)
{
	const char *component[2] = {o->schema ? o->schema : o->name, o->name};
	CLEANUP(cstr_release) char *folder = NULL;
	struct dump_object object = {
		.name = o->table.shown,
		.component = component,
		.components = o->schema ? 2 : 1,
		.ext = "copy",
		.facts = o->facts,
		.folder = &folder,
	};
	struct dump_unit u = {.cookie = d->tables, .estimated_bytes = o->bytes / o->table.ranges};

	if ((d->tables & (d->tables - 1)) == 0)
		d->table = xrealloc(d->table, (d->tables ? d->tables * 2 : 1) * sizeof *d->table);
	struct pg_table *t = &d->table[d->tables++];
	*t = o->table;
	o->table = (struct pg_table){0};
	if (objects->object(objects->ctx, &object, &u.object, err))
		return error_add(err, "%s", t->shown);
	for (u.range = 0; u.range < t->ranges; u.range++)
		if (objects->unit(objects->ctx, &u, err))
			return error_add(err, "%s", t->shown);
	return load_line(d, t, folder, err);
}

/* Ranges of the heap by its blocks: equal ones, so that the borders stay where they are while a table grows at its end, and
 * numbered by data and settings only. Servers before 14 would read the whole table for each. */
static void cut(const struct dump *d, struct pg_table *t, const char *method, uint64_t bytes, uint64_t block)
{
	uint64_t above = max_u64(pg_params(d->e)->split_above, block);

	t->ranges = 1;
	if (d->version < 140000 || bytes <= above || !method || strcmp(method, "heap") || t->where)
		return;
	uint64_t piece = max_u64(above / 2, bytes / RANGES_MAX + block);
	t->range_blocks = (uint32_t)(piece / block);
	if (!t->range_blocks)
		t->range_blocks = 1;
	t->ranges = (uint32_t)min_u64((bytes / block + t->range_blocks - 1) / t->range_blocks, RANGES_MAX);
}

void dump_copy_text(const struct dump *d, const struct pg_table *t, uint32_t range, struct buf *sql)
{
	const char *word = " WHERE";

	buf_puts(sql, "COPY ");
	if (t->pages || t->where || t->ranges > 1) {
		buf_printf(sql, "(SELECT %s FROM %s%s", t->columns ? t->columns : "", t->pages ? "" : "ONLY ", t->name);
		if (t->where)
			buf_printf(sql, " %s", t->where);
		if (range) {
			buf_printf(sql, "%s ctid >= '(%" PRIu64 ",0)'::tid", word, (uint64_t)range * t->range_blocks);
			word = " AND";
		}
		/* The last has no end: rows may have come to blocks that were not there when the table was measured. */
		if (range + 1 < t->ranges)
			buf_printf(sql, "%s ctid < '(%" PRIu64 ",0)'::tid", word, ((uint64_t)range + 1) * t->range_blocks);
		buf_putc(sql, ')');
	} else {
		buf_puts(sql, t->name);
		if (t->columns)
			buf_printf(sql, " (%s)", t->columns);
	}
	buf_puts(sql, " TO STDOUT WITH (FORMAT text, ENCODING ");
	sql_literal(sql, d->encoding);
	buf_putc(sql, ')');
}

/* Columns of facts_sql. */
enum {
	COL_SCHEMA,
	COL_NAME,
	COL_OID,
	COL_PERSISTENCE,
	COL_RLS,
	COL_SIZE,
	COL_TOAST,
	COL_METHOD,
	COL_COLUMNS,
	COL_EXTENSION,
	COL_WHERE,
	COL_PARENT_SCHEMA,
	COL_PARENT_NAME,
	COL_BLOCK
};

static const char facts_sql[] =
	"SELECT n.nspname, c.relname, c.oid, c.relpersistence, c.relrowsecurity, pg_relation_size(c.oid),"
	" coalesce(t.relpages, 0)::bigint * current_setting('block_size')::bigint, am.amname,"
	/* By its index for each table: joined as a set it is read anew for each table where the catalog was never analyzed. */
	" (SELECT coalesce(json_agg(attname ORDER BY attnum), '[]') FROM pg_attribute"
	"  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''), x.extname,"
	" nullif(x.extcondition[array_position(x.extconfig, c.oid)], ''), pn.nspname, pc.relname, "
	"current_setting('block_size')" FROM_TABLES
	" LEFT JOIN pg_class t ON t.oid = c.reltoastrelid LEFT JOIN pg_am am ON am.oid = c.relam"
	" LEFT JOIN pg_class pc ON c.relispartition AND pc.oid = pg_partition_root(c.oid) LEFT"
	" JOIN pg_namespace pn ON pn.oid = pc.relnamespace"
	" WHERE c.relkind = 'r' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery()) AND" WHERE_TABLES " ORDER BY n.nspname,"
	" c.relname";

struct listing {
	struct dump *d;
	const struct object_sink *objects;
};

static enum status set_name(json_t *j, const char *key, const char *value, const char *shown, struct error *err)
{
	if (value && !js_set_str(j, key, value)) {
		error_set(err, ST_UNSUPPORTED, "%s: a name that is not valid UTF-8, in a database without encoding (SQL_ASCII)",
			  shown);
		return error_hint(err, "Rename it, or leave its database out with exclude.");
	}
	return ST_OK;
}

static enum status make_facts(const struct dump *d, const PGresult *r, const struct pg_table *t, json_t *j, struct error *err)
{
	json_t *columns = NULL;
	const char *extension = res_text(r, 0, COL_EXTENSION), *parent = res_text(r, 0, COL_PARENT_NAME);

	js_set_str(j, "class", PG_CLASS_TABLE);
	if (set_name(j, "schema", res_text(r, 0, COL_SCHEMA), t->shown, err) ||
	    set_name(j, "name", res_text(r, 0, COL_NAME), t->shown, err))
		return err->code;
	if (js_parse(res_text(r, 0, COL_COLUMNS), strlen(res_text(r, 0, COL_COLUMNS)), "columns", &columns, err))
		return error_add(err, "%s", t->shown);
	js_set_new(j, "columns", columns);
	js_set_str(j, "encoding", d->encoding);
	js_set_str(j, "format", "text");
	if (set_name(j, "where", t->where, t->shown, err))
		return err->code;
	if (extension) {
		js_set_str(j, "extension", extension);
		js_set_bool(j, "replace", true);
	}
	if (strcmp(res_text(r, 0, COL_PERSISTENCE), "p"))
		js_set_str(j, "persistence", res_text(r, 0, COL_PERSISTENCE));
	if (res_bool(r, 0, COL_RLS))
		js_set_bool(j, "rls", true);
	if (t->ranges > 1)
		js_set_u64(j, "ranges", t->ranges);
	if (!parent)
		return ST_OK;
	json_t *p = json_object();
	js_set_new(j, "parent", p);
	return set_name(p, "schema", res_text(r, 0, COL_PARENT_SCHEMA), t->shown, err) || set_name(p, "name", parent, t->shown, err)
		       ? err->code
		       : ST_OK;
}

static void name_table(struct pg_table *t, const char *schema, const char *name)
{
	struct buf quoted = BUF_INIT, shown = BUF_INIT;

	sql_name(&quoted, schema, name);
	sql_shown(&shown, schema);
	buf_putc(&shown, '.');
	sql_shown(&shown, name);
	t->name = buf_detach(&quoted);
	t->shown = buf_detach(&shown);
}

/* "a", "b"; NULL where there is none. */
static char *column_list(const json_t *columns)
{
	struct buf b = BUF_INIT;
	size_t i;
	json_t *name;

	json_array_foreach(columns, i, name) {
		buf_puts(&b, i ? ", " : "");
		sql_ident(&b, json_string_value(name));
	}
	return b.len ? buf_detach(&b) : NULL;
}

static enum status give_table(void *ctx, const PGresult *r, struct error *err)
{
	struct listing *l = ctx;
	CLEANUP(js_decref) json_t *facts = json_object();
	struct object_spec o = {.facts = facts, .schema = res_text(r, 0, COL_SCHEMA), .name = res_text(r, 0, COL_NAME)};
	uint64_t bytes = res_u64(r, 0, COL_SIZE);

	name_table(&o.table, o.schema, o.name);
	o.table.oid = (uint32_t)res_u64(r, 0, COL_OID);
	o.table.where = res_text(r, 0, COL_WHERE) ? xstrdup(res_text(r, 0, COL_WHERE)) : NULL;
	o.table.replace = res_text(r, 0, COL_EXTENSION) != NULL;
	cut(l->d, &o.table, res_text(r, 0, COL_METHOD), bytes, res_u64(r, 0, COL_BLOCK));
	o.bytes = bytes + res_u64(r, 0, COL_TOAST);
	if (make_facts(l->d, r, &o.table, facts, err)) {
		table_release(&o.table);
		return err->code;
	}
	o.table.columns = column_list(json_object_get(facts, "columns"));
	return dump_give_object(l->d, &o, l->objects, err);
}

/* ---- a digest: the objects of an archive, where they are on this server ---- */

struct present {
	char *name; /* quoted */
	json_t *columns;
	char *method;
	uint64_t bytes, block;
};
struct presents {
	struct present *item;
	size_t n;
	struct listing l;
};

static enum status add_present(void *ctx, const PGresult *r, struct error *err)
{
	struct presents *all = ctx;
	struct buf name = BUF_INIT;

	if ((all->n & (all->n - 1)) == 0)
		all->item = xrealloc(all->item, (all->n ? all->n * 2 : 1) * sizeof *all->item);
	struct present *p = &all->item[all->n++];
	*p = (struct present){.bytes = res_u64(r, 0, COL_SIZE), .block = res_u64(r, 0, COL_BLOCK)};
	sql_name(&name, res_text(r, 0, COL_SCHEMA), res_text(r, 0, COL_NAME));
	p->name = buf_detach(&name);
	p->method = res_text(r, 0, COL_METHOD) ? xstrdup(res_text(r, 0, COL_METHOD)) : NULL;
	return js_parse(res_text(r, 0, COL_COLUMNS), strlen(res_text(r, 0, COL_COLUMNS)), "columns", &p->columns, err);
}

static void presents_release(struct presents *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->item[i].name);
		free(all->item[i].method);
		json_decref(all->item[i].columns);
	}
	free(all->item);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct present *)a)->name, ((const struct present *)b)->name);
}

static bool has_columns(const json_t *all, const json_t *wanted)
{
	size_t i, k;
	json_t *w, *a;

	json_array_foreach(wanted, i, w) {
		bool found = false;

		json_array_foreach(all, k, a)
			found = found || json_equal(w, a);
		if (!found)
			return false;
	}
	return true;
}

/* What is not there, or lacks a column, is not given: the caller misses it. */
static enum status give_recorded(void *ctx, const struct recorded_object *ro, struct error *err)
{
	struct presents *all = ctx;
	struct dump *d = all->l.d;
	struct facts_table f;
	struct object_spec o = {.facts = ro->facts, .bytes = ro->raw};

	if (facts_table(ro->facts, &f, err))
		return error_add(err, "%s", ro->name);
	free(d->encoding);
	d->encoding = xstrdup(f.encoding);
	if (f.large_objects) {
		dump_pages_table(d, &o.table);
		o.name = o.table.shown;
		return dump_give_object(d, &o, all->l.objects, err);
	}
	name_table(&o.table, f.schema, f.name);
	struct present wanted = {.name = o.table.name};
	const struct present *p = all->n ? bsearch(&wanted, all->item, all->n, sizeof wanted, by_name) : NULL;
	if (!p || !has_columns(p->columns, f.columns)) {
		table_release(&o.table);
		return ST_OK;
	}
	free(o.table.shown);
	o.table.shown = xstrdup(ro->name);
	o.table.where = f.where ? xstrdup(f.where) : NULL;
	o.table.columns = column_list(f.columns);
	cut(d, &o.table, p->method, p->bytes, p->block);
	o.schema = f.schema;
	o.name = f.name;
	return dump_give_object(d, &o, all->l.objects, err);
}

static enum status list_recorded(struct run *run, struct dump *d, const struct object_sink *objects, struct error *err)
{
	CLEANUP(presents_release) struct presents all = {.l = {d, objects}};

	if (conn_each(run, d->c, SQL(facts_sql), add_present, &all, err))
		return err->code;
	if (all.n)
		qsort(all.item, all.n, sizeof *all.item, by_name);
	return d->recorded->each(d->recorded->ctx, d->scope[d->at].name, give_recorded, &all, err);
}

enum status dump_list_objects(struct run *run, struct dump *d, const struct object_sink *objects, struct error *err)
{
	struct listing l = {d, objects};

	if (d->recorded)
		return list_recorded(run, d, objects, err);
	return conn_each(run, d->c, SQL(facts_sql), give_table, &l, err);
}
