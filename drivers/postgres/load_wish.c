#include "drivers/postgres/load.h"

#define MAX_FILE ((size_t)256 * 1024 * 1024)

/* ---- names as people write them ---- */

/* One part: up to a dot outside double quotes; "" in quotes is one ". */
static char *take_part(const char **at)
{
	struct buf part = BUF_INIT;
	bool quoted = false;
	const char *p = *at;

	for (; *p && (quoted || *p != '.'); p++) {
		if (*p == '"' && quoted && p[1] == '"')
			buf_putc(&part, *p++);
		else if (*p == '"')
			quoted = !quoted;
		else
			buf_putc(&part, *p);
	}
	*at = p;
	if (quoted)
		buf_clear(&part);
	return buf_detach(&part);
}

void object_name_release(struct object_name *n)
{
	free(n->database);
	free(n->schema);
	free(n->table);
	*n = (struct object_name)OBJECT_NAME_INIT;
}

static void parts_release(struct strlist *l) { strlist_release(l); }

enum status object_name_parse(const char *text, struct object_name *n, struct error *err)
{
	CLEANUP(parts_release) struct strlist parts = STRLIST_INIT;
	const char *at = text;
	bool empty = false;

	for (;; at++) {
		strlist_take(&parts, take_part(&at));
		empty = empty || !*parts.item[parts.len - 1];
		if (!*at)
			break;
	}
	if (empty || parts.len > 3) {
		error_set(err, ST_USAGE, "\"%s\" is no name of a table", text);
		return error_hint(err, "Write DATABASE.SCHEMA.TABLE or SCHEMA.TABLE; a part with a dot goes into double quotes.");
	}
	object_name_release(n);
	if (parts.len != 2)
		n->database = xstrdup(parts.item[0]);
	if (parts.len >= 2) {
		n->schema = xstrdup(parts.item[parts.len - 2]);
		n->table = xstrdup(parts.item[parts.len - 1]);
	}
	return ST_OK;
}

/* A name that must be one of a table. */
static enum status parse_table(const struct load_request *q, const char *text, struct object_name *n, struct error *err)
{
	if (object_name_parse(text, n, err))
		return err->code;
	if (!n->table) {
		error_set(err, ST_USAGE, "\"%s\" names no table", text);
		return error_hint(err, "Write SCHEMA.TABLE, for example public.%s.", text);
	}
	if (!n->database && q->scopes->len > 1)
		return error_set(err, ST_USAGE, "\"%s\" does not say of which of the %zu databases", text, q->scopes->len);
	return ST_OK;
}

static bool name_is(const struct object_name *n, const char *scope, const char *schema, const char *table)
{
	return n->table && schema && (!n->database || !strcmp(n->database, scope)) && !strcmp(n->schema, schema) &&
		!strcmp(n->table, table);
}

/* ---- files of the archive ---- */

static enum status file_write(void *ctx, const void *p, size_t n, struct error *err)
{
	struct buf *to = ctx;

	if (to->len + n > MAX_FILE)
		return error_set(err, ST_BAD, "a file of the archive is larger than %zu bytes", MAX_FILE);
	buf_put(to, p, n);
	return ST_OK;
}

enum status load_file(const struct load_request *q, const char *scope, const char *path, struct buf *to, bool *found,
		      struct error *err)
{
	const struct recorded *r = q->recorded;
	enum status st = r->file(r->ctx, scope, path, (struct byte_sink){.write = file_write, .ctx = to}, err);

	*found = st == ST_OK;
	if (st == ST_NOT_FOUND) {
		error_release(err);
		return ST_OK;
	}
	return st;
}

enum status load_lines(const struct load_request *q, const char *scope, const char *path, load_line_fn *fn, void *ctx,
		       struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool found;

	if (load_file(q, scope, path, &text, &found, err))
		return err->code;
	for (const char *at = buf_str(&text), *end = at + text.len; found && at < end;) {
		CLEANUP(js_decref) json_t *line = NULL;
		size_t n = (size_t)(end - at);
		const char *nl = memchr(at, '\n', n);

		n = nl ? (size_t)(nl - at) : n;
		if (n && (js_parse(at, n, path, &line, err) || fn(ctx, line, err)))
			return err->code;
		at += n + 1;
	}
	return ST_OK;
}

/* ---- the wish ---- */

struct wisher {
	const struct load_request *q;
	struct load_wish *w;
	struct object_name *exclude;
	size_t excludes;
	struct object_name *from, *to; /* --rename of tables */
	bool *renamed;
	size_t renames;
};

static void wisher_release(struct wisher *s)
{
	for (size_t i = 0; i < s->excludes; i++)
		object_name_release(&s->exclude[i]);
	for (size_t i = 0; i < s->renames; i++) {
		object_name_release(&s->from[i]);
		object_name_release(&s->to[i]);
	}
	free(s->exclude);
	free(s->from);
	free(s->to);
	free(s->renamed);
}

/* A partition or an inheriting table belongs to what was asked for by the name of its parent. */
static bool names_object(const struct object_name *n, const char *scope, const struct facts_table *f)
{
	return !f->large_objects && (name_is(n, scope, f->schema, f->name) || name_is(n, scope, f->parent_schema, f->parent_name));
}

static bool is_wanted(struct wisher *s, const struct facts_table *f)
{
	struct load_wish *w = s->w;
	/* Large objects have no table that they belong to: they come with the whole database only. */
	bool wanted = !s->q->tables->len && !(f->large_objects && w->mode == LOAD_ROWS);

	for (size_t i = 0; i < w->asks; i++)
		if (names_object(&w->asked[i], w->scope, f)) {
			w->asked_found[i] = true;
			wanted = true;
		}
	for (size_t i = 0; i < s->excludes; i++)
		if (names_object(&s->exclude[i], w->scope, f)) {
			strlist_take(&w->excluded, xasprintf("%s\001%s", f->schema, f->name));
			return false;
		}
	return wanted;
}

static void apply_rename(struct wisher *s, struct load_table *t)
{
	for (size_t i = 0; i < s->renames && !t->large_objects; i++)
		if (name_is(&s->from[i], s->w->scope, t->schema, t->name)) {
			t->to_schema = xstrdup(s->to[i].schema);
			t->to_name = xstrdup(s->to[i].table);
			t->direct = s->w->mode == LOAD_ROWS;
			s->renamed[i] = true;
		}
}

static char *copy_or_null(const char *s) { return s ? xstrdup(s) : NULL; }

static enum status add_object(void *arg, const struct recorded_object *o, struct error *err)
{
	struct wisher *s = arg;
	struct load_wish *w = s->w;
	struct facts_table f;

	if (facts_table(o->facts, &f, err))
		return error_add(err, "%s", o->name);
	if (!is_wanted(s, &f))
		return ST_OK;
	if (w->tables % 64 == 0)
		w->table = xrealloc(w->table, (w->tables + 64) * sizeof *w->table);
	struct load_table *t = &w->table[w->tables++];
	*t = (struct load_table){.id = o->id, .large_objects = f.large_objects, .replace = f.replace, .rows = o->rows,
				 .raw = o->raw};
	t->schema = copy_or_null(f.schema);
	t->name = copy_or_null(f.name);
	t->shown = xstrdup(o->name);
	t->where = copy_or_null(f.where);
	t->extension = copy_or_null(f.extension);
	t->columns = f.columns && w->mode != LOAD_DATABASE ? json_deep_copy(f.columns) : NULL;
	w->raw += o->raw;
	apply_rename(s, t);
	return ST_OK;
}

static int by_id(const void *a, const void *b)
{
	const struct load_table *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* --rename without dots is of a database; the others are read here. */
static enum status read_renames(struct wisher *s, struct error *err)
{
	const struct load_request *q = s->q;

	s->from = xcalloc(q->renames + 1, sizeof *s->from);
	s->to = xcalloc(q->renames + 1, sizeof *s->to);
	s->renamed = xcalloc(q->renames + 1, sizeof *s->renamed);
	for (size_t i = 0; i < q->renames; i++) {
		CLEANUP(object_name_release) struct object_name from = OBJECT_NAME_INIT, to = OBJECT_NAME_INIT;

		if (object_name_parse(q->rename[i].from, &from, err) || object_name_parse(q->rename[i].to, &to, err))
			return error_add(err, "--rename");
		if (!from.table != !to.table)
			return error_set(err, ST_USAGE, "--rename %s=%s: one is a table, the other a database", q->rename[i].from,
					 q->rename[i].to);
		if (!from.table || (from.database && strcmp(from.database, s->w->scope)))
			continue;
		if (!from.database && q->scopes->len > 1)
			return error_set(err, ST_USAGE, "--rename %s: of which database?", q->rename[i].from);
		s->from[s->renames] = from;
		s->to[s->renames++] = to;
		from = to = (struct object_name)OBJECT_NAME_INIT;
	}
	return ST_OK;
}

static enum status read_names(struct wisher *s, struct error *err)
{
	const struct load_request *q = s->q;
	struct load_wish *w = s->w;

	w->asked = xcalloc(q->tables->len + 1, sizeof *w->asked);
	w->asked_found = xcalloc(q->tables->len + 1, sizeof *w->asked_found);
	s->exclude = xcalloc(q->exclude_tables->len + 1, sizeof *s->exclude);
	for (size_t i = 0; i < q->tables->len; i++) {
		CLEANUP(object_name_release) struct object_name n = OBJECT_NAME_INIT;

		if (parse_table(q, q->tables->item[i], &n, err))
			return error_add(err, "--table");
		if (n.database && strcmp(n.database, w->scope))
			continue;
		w->asked[w->asks++] = n;
		n = (struct object_name)OBJECT_NAME_INIT;
	}
	for (size_t i = 0; i < q->exclude_tables->len; i++) {
		s->excludes++;
		if (parse_table(q, q->exclude_tables->item[i], &s->exclude[i], err))
			return error_add(err, "--exclude-table");
	}
	return read_renames(s, err);
}

static enum status read_database(const struct load_request *q, struct load_wish *w, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool found;

	if (load_file(q, w->scope, PG_ENTRY_DATABASE, &text, &found, err))
		return err->code;
	if (!found)
		return error_set(err, ST_BAD, "the archive has no file %s for the database %s", PG_ENTRY_DATABASE, w->scope);
	if (js_parse(buf_str(&text), text.len, PG_ENTRY_DATABASE, &w->database_json, err))
		return err->code;
	return facts_database(w->database_json, &w->db, err);
}

enum status load_wish_make(const struct load_request *q, const char *scope, struct load_wish *w, struct error *err)
{
	CLEANUP(wisher_release) struct wisher s = {.q = q, .w = w};
	const struct recorded *r = q->recorded;

	w->scope = scope;
	w->mode = q->data_only ? LOAD_ROWS : q->tables->len ? LOAD_TABLES : LOAD_DATABASE;
	if (read_names(&s, err) || read_database(q, w, err) || r->each(r->ctx, scope, add_object, &s, err))
		return err->code;
	if (w->tables)
		qsort(w->table, w->tables, sizeof *w->table, by_id);
	for (size_t i = 0; i < s.renames; i++)
		if (!s.renamed[i])
			return error_set(err, ST_NOT_FOUND, "--rename: the backup has no rows of a table %s.%s to restore",
					 s.from[i].schema, s.from[i].table);
	strlist_sort(&w->excluded);
	return ST_OK;
}

void load_wish_release(struct load_wish *w)
{
	for (size_t i = 0; i < w->tables; i++) {
		struct load_table *t = &w->table[i];

		free(t->schema);
		free(t->name);
		free(t->shown);
		free(t->to_schema);
		free(t->to_name);
		free(t->where);
		free(t->extension);
		json_decref(t->columns);
	}
	for (size_t i = 0; i < w->asks; i++)
		object_name_release(&w->asked[i]);
	free(w->table);
	free(w->asked);
	free(w->asked_found);
	strlist_release(&w->excluded);
	js_decref(&w->database_json);
	*w = (struct load_wish)LOAD_WISH_INIT;
}

const struct load_table *load_wish_table(const struct load_wish *w, uint32_t id)
{
	const struct load_table key = {.id = id};

	return w->tables ? bsearch(&key, w->table, w->tables, sizeof *w->table, by_id) : NULL;
}

bool load_wish_renamed(const struct load_wish *w, const struct object_name *n)
{
	for (size_t i = 0; i < w->tables; i++) {
		const struct load_table *t = &w->table[i];

		if (t->to_name && !strcmp(t->schema, n->schema) && !strcmp(t->name, n->table))
			return true;
	}
	return false;
}

void load_table_place(const struct load_table *t, const char **schema, const char **name)
{
	*schema = t->direct ? t->to_schema : t->schema;
	*name = t->direct ? t->to_name : t->name;
}

enum status load_wish_rename(const struct load_request *q, const char *scope, char **to, struct error *err)
{
	*to = NULL;
	for (size_t i = 0; i < q->renames; i++) {
		CLEANUP(object_name_release) struct object_name from = OBJECT_NAME_INIT, name = OBJECT_NAME_INIT;

		if (object_name_parse(q->rename[i].from, &from, err) || object_name_parse(q->rename[i].to, &name, err))
			return error_add(err, "--rename");
		if (from.table || name.table || strcmp(from.database, scope))
			continue;
		free(*to);
		*to = xstrdup(name.database);
	}
	if (q->into_database && *to && strcmp(q->into_database, *to))
		return error_set(err, ST_USAGE, "--into names the database %s, --rename %s", q->into_database, *to);
	if (q->into_database && q->scopes->len > 1)
		return error_set(err, ST_USAGE, "--into names the database %s, but %zu databases are to be restored",
				 q->into_database, q->scopes->len);
	if (q->into_database && !*to)
		*to = xstrdup(q->into_database);
	return ST_OK;
}
