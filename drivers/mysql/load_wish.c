#include "drivers/mysql/load.h"

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

void my_table_name_release(struct my_table_name *n)
{
	free(n->database);
	free(n->table);
	*n = (struct my_table_name)MY_TABLE_NAME_INIT;
}

enum status my_table_name_parse(const char *text, struct my_table_name *n, struct error *err)
{
	CLEANUP(strlist_release) struct strlist parts = STRLIST_INIT;
	const char *at = text;
	bool empty = false;

	for (;; at++) {
		strlist_take(&parts, take_part(&at));
		empty = empty || !*parts.item[parts.len - 1];
		if (!*at)
			break;
	}
	if (empty || parts.len > 2) {
		error_set(err, ST_USAGE, "\"%s\" is no name of a table", text);
		return error_hint(err, "Write DATABASE.TABLE or TABLE; a part with a dot goes into double quotes.");
	}
	my_table_name_release(n);
	if (parts.len == 2)
		n->database = xstrdup(parts.item[0]);
	n->table = xstrdup(parts.item[parts.len - 1]);
	return ST_OK;
}

/* A name that must be one of a table. */
static enum status parse_table(const struct load_request *q, const char *text, struct my_table_name *n, struct error *err)
{
	if (my_table_name_parse(text, n, err))
		return err->code;
	if (!n->database && q->scopes->len > 1)
		return error_set(err, ST_USAGE, "\"%s\" does not say of which of the %zu databases", text, q->scopes->len);
	return ST_OK;
}

/* ---- --rename: of a database, or of a table ---- */

struct rename {
	struct my_table_name from, to;
	bool of_database;
};

static void rename_release(struct rename *r)
{
	my_table_name_release(&r->from);
	my_table_name_release(&r->to);
}

/* A single word is a database where the backup has one of that name and no single tables are asked for, or none of them is called so. */
static bool is_database(const struct load_request *q, const char *name)
{
	for (size_t i = 0; i < q->tables->len; i++) {
		CLEANUP(my_table_name_release) struct my_table_name n = MY_TABLE_NAME_INIT;
		CLEANUP(error_release) struct error ignored = ERROR_INIT;

		if (!my_table_name_parse(q->tables->item[i], &n, &ignored) && !strcmp(n.table, name))
			return false;
	}
	return strlist_has(q->scopes, name);
}

static enum status read_rename(const struct load_request *q, const struct load_name *name, struct rename *r, struct error *err)
{
	if (my_table_name_parse(name->from, &r->from, err) || my_table_name_parse(name->to, &r->to, err))
		return error_add(err, "--rename");
	r->of_database = !r->from.database && is_database(q, r->from.table);
	if (r->of_database && r->to.database)
		return error_set(err, ST_USAGE, "--rename %s=%s: one is a table, the other a database", name->from, name->to);
	if (!r->of_database && !r->from.database && q->scopes->len > 1)
		return error_set(err, ST_USAGE, "--rename %s: of which database?", name->from);
	return ST_OK;
}

enum status my_load_wish_rename(const struct load_request *q, const char *scope, char **to, struct error *err)
{
	CLEANUP(cstr_release) char *told = NULL;

	*to = NULL;
	for (size_t i = 0; i < q->renames; i++) {
		CLEANUP(rename_release) struct rename r = {.of_database = false};

		if (read_rename(q, &q->rename[i], &r, err))
			return err->code;
		if (!r.of_database || strcmp(r.from.table, scope))
			continue;
		free(told);
		told = xstrdup(r.to.table);
	}
	if (q->into_database && told && strcmp(q->into_database, told))
		return error_set(err, ST_USAGE, "--into names the database %s, --rename %s", q->into_database, told);
	if (q->into_database && q->scopes->len > 1)
		return error_set(err, ST_USAGE, "--into names the database %s, but %zu databases are to be restored",
				 q->into_database, q->scopes->len);
	*to = told ? told : q->into_database ? xstrdup(q->into_database) : NULL;
	told = NULL;
	return ST_OK;
}

/* ---- the objects of the archive ---- */

static enum status take_object(void *ctx, const struct my_object *o, struct error *err)
{
	struct my_load_wish *w = ctx;

	(void)err;
	if (w->objects % 64 == 0)
		w->object = xrealloc(w->object, (w->objects + 64) * sizeof *w->object);
	w->object[w->objects++] = my_object_copy(o);
	return ST_OK;
}

static enum status read_objects(const struct load_request *q, struct my_load_wish *w, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool found;

	if (my_load_file(q, w->scope, OBJECTS_PATH, &text, &found, err))
		return err->code;
	if (!found)
		return error_set(err, ST_BAD, "the archive has no file %s for the database %s", OBJECTS_PATH, w->scope);
	if (my_objects_parse(buf_str(&text), text.len, take_object, w, err))
		return error_add(err, "%s of the database %s", OBJECTS_PATH, w->scope);
	if (!my_load_wish_object(w, OBJECT_DATABASE, NULL))
		return error_set(err, ST_BAD, "%s of the database %s does not say how the database is made", OBJECTS_PATH, w->scope);
	return ST_OK;
}

/* ---- the wish ---- */

struct wisher {
	const struct load_request *q;
	struct my_load_wish *w;
	struct strlist exclude, from, to; /* from and to: --rename of tables of this scope */
	bool *renamed;
};

static void wisher_release(struct wisher *s)
{
	strlist_release(&s->exclude);
	strlist_release(&s->from);
	strlist_release(&s->to);
	free(s->renamed);
}

static void apply_rename(struct wisher *s, struct my_load_table *t)
{
	for (size_t i = 0; i < s->from.len; i++)
		if (!strcmp(s->from.item[i], t->name)) {
			free(t->to_name);
			t->to_name = xstrdup(s->to.item[i]);
			t->direct = s->w->mode == MY_LOAD_ROWS;
			s->renamed[i] = true;
		}
}

static void take_facts(const struct my_load_wish *w, const struct my_facts_table *f, struct my_load_table *t)
{
	t->name = xstrdup(f->table);
	t->history = f->history;
	t->transactional = f->transactional;
	for (size_t i = 0; w->mode != MY_LOAD_DATABASE && i < f->columns; i++)
		strlist_add(&t->columns, f->column[i].name);
}

static enum status add_object(void *arg, const struct recorded_object *o, struct error *err)
{
	struct wisher *s = arg;
	struct my_load_wish *w = s->w;
	CLEANUP(my_facts_release) struct my_facts_table f = {0};

	if (my_facts_read(o->facts, &f, err))
		return error_add(err, "%s", o->name);
	if (s->q->tables->len && !strlist_has(&w->asked, f.table))
		return ST_OK;
	if (strlist_has(&s->exclude, f.table)) {
		strlist_add(&w->excluded, f.table);
		return ST_OK;
	}
	if (w->tables % 64 == 0)
		w->table = xrealloc(w->table, (w->tables + 64) * sizeof *w->table);
	struct my_load_table *t = &w->table[w->tables++];
	*t = (struct my_load_table){.id = o->id, .rows = o->rows, .raw = o->raw, .shown = xstrdup(o->name)};
	take_facts(w, &f, t);
	w->raw += o->raw;
	apply_rename(s, t);
	return ST_OK;
}

static int by_id(const void *a, const void *b)
{
	const struct my_load_table *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* A table goes into the database that its own goes into; that one may be named. */
static enum status check_same_database(const struct wisher *s, const struct rename *r, const char *target, struct error *err)
{
	if (!r->to.database || !strcmp(r->to.database, s->w->scope) || (target && !strcmp(r->to.database, target)))
		return ST_OK;
	return error_set(err, ST_USAGE, "--rename: the table %s goes into the database %s with its own, not into %s", r->from.table,
			 target ? target : s->w->scope, r->to.database);
}

static enum status read_renames(struct wisher *s, struct error *err)
{
	const struct load_request *q = s->q;
	CLEANUP(cstr_release) char *target = NULL;

	if (my_load_wish_rename(q, s->w->scope, &target, err))
		return err->code;
	for (size_t i = 0; i < q->renames; i++) {
		CLEANUP(rename_release) struct rename r = {.of_database = false};

		if (read_rename(q, &q->rename[i], &r, err))
			return err->code;
		if (r.of_database || (r.from.database && strcmp(r.from.database, s->w->scope)))
			continue;
		if (check_same_database(s, &r, target, err))
			return err->code;
		strlist_add(&s->from, r.from.table);
		strlist_add(&s->to, r.to.table);
	}
	s->renamed = xcalloc(s->from.len + 1, sizeof *s->renamed);
	return ST_OK;
}

static enum status read_tables(const struct wisher *s, const struct strlist *names, const char *flag, struct strlist *to,
			       struct error *err)
{
	for (size_t i = 0; i < names->len; i++) {
		CLEANUP(my_table_name_release) struct my_table_name n = MY_TABLE_NAME_INIT;

		if (parse_table(s->q, names->item[i], &n, err))
			return error_add(err, "%s", flag);
		if (!n.database || !strcmp(n.database, s->w->scope))
			strlist_add(to, n.table);
	}
	return ST_OK;
}

static enum status no_table(const struct my_load_wish *w, const char *name, struct error *err)
{
	CLEANUP(strlist_release) struct strlist tables = STRLIST_INIT;
	CLEANUP(buf_release) struct buf has = BUF_INIT;

	for (size_t i = 0; i < w->objects; i++)
		if (w->object[i].kind == OBJECT_TABLE)
			strlist_add(&tables, w->object[i].name);
	my_put_names(&has, &tables);
	error_set(err, ST_NOT_FOUND, "the backup of the database %s has no table %s", w->scope, name);
	return error_hint(err, "It has %s.", buf_str(&has));
}

static enum status check_asked(const struct wisher *s, struct error *err)
{
	const struct my_load_wish *w = s->w;

	for (size_t i = 0; i < w->asked.len; i++)
		if (!my_load_wish_object(w, OBJECT_TABLE, w->asked.item[i]) && !my_load_wish_named(w, w->asked.item[i]))
			return no_table(w, w->asked.item[i], err);
	for (size_t i = 0; i < s->from.len; i++)
		if (!s->renamed[i])
			return error_set(err, ST_NOT_FOUND, "--rename: the backup has no rows of a table %s to restore",
					 s->from.item[i]);
	return ST_OK;
}

enum status my_load_wish_make(const struct load_request *q, const char *scope, struct my_load_wish *w, struct error *err)
{
	CLEANUP(wisher_release) struct wisher s = {.q = q, .w = w};
	const struct recorded *r = q->recorded;

	w->scope = scope;
	w->mode = q->data_only ? MY_LOAD_ROWS : q->tables->len ? MY_LOAD_TABLES : MY_LOAD_DATABASE;
	if (read_tables(&s, q->tables, "--table", &w->asked, err) ||
	    read_tables(&s, q->exclude_tables, "--exclude-table", &s.exclude, err) || read_renames(&s, err))
		return err->code;
	if (read_objects(q, w, err) || r->each(r->ctx, scope, add_object, &s, err))
		return err->code;
	if (w->tables)
		qsort(w->table, w->tables, sizeof *w->table, by_id);
	return check_asked(&s, err);
}

void my_load_wish_release(struct my_load_wish *w)
{
	for (size_t i = 0; i < w->tables; i++) {
		struct my_load_table *t = &w->table[i];

		free(t->name);
		free(t->shown);
		free(t->to_name);
		strlist_release(&t->columns);
	}
	for (size_t i = 0; i < w->objects; i++)
		my_object_release(&w->object[i]);
	free(w->table);
	free(w->object);
	strlist_release(&w->asked);
	strlist_release(&w->excluded);
	*w = (struct my_load_wish)MY_LOAD_WISH_INIT;
}

const struct my_load_table *my_load_wish_table(const struct my_load_wish *w, uint32_t id)
{
	const struct my_load_table key = {.id = id};

	return w->tables ? bsearch(&key, w->table, w->tables, sizeof *w->table, by_id) : NULL;
}

const struct my_load_table *my_load_wish_named(const struct my_load_wish *w, const char *name)
{
	for (size_t i = 0; i < w->tables; i++)
		if (!strcmp(w->table[i].name, name))
			return &w->table[i];
	return NULL;
}

const struct my_object *my_load_wish_object(const struct my_load_wish *w, enum object_kind kind, const char *name)
{
	for (size_t i = 0; i < w->objects; i++)
		if (w->object[i].kind == kind && (!name || !strcmp(w->object[i].name, name)))
			return &w->object[i];
	return NULL;
}

/* A sequence comes along with the tables that draw from it. */
static bool is_drawn_from(const struct my_load_wish *w, const char *sequence)
{
	for (size_t i = 0; i < w->objects; i++)
		if (w->object[i].kind == OBJECT_TABLE && strlist_has(&w->asked, w->object[i].name) &&
		    my_text_uses_sequence(w->object[i].sql, w->scope, sequence))
			return true;
	return false;
}

bool my_load_wish_makes(const struct my_load_wish *w, const struct my_object *o)
{
	const struct my_load_table *t;

	if (w->mode == MY_LOAD_ROWS)
		return false;
	if (w->mode == MY_LOAD_DATABASE || (o->kind == OBJECT_TABLE && strlist_has(&w->asked, o->name)))
		return true;
	if (o->kind == OBJECT_SEQUENCE)
		return is_drawn_from(w, o->name);
	t = o->kind == OBJECT_TRIGGER && o->table ? my_load_wish_named(w, o->table) : NULL;
	return o->kind == OBJECT_TRIGGER && o->table && strlist_has(&w->asked, o->table) && !(t && t->direct);
}

const char *my_load_table_place(const struct my_load_table *t) { return t->direct ? t->to_name : t->name; }
