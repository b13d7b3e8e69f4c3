#include "drivers/mongodb/load.h"

/* ---- names as people write them: DATABASE.COLLECTION, divided at the first dot outside double quotes ---- */

struct name {
	char *first, *rest; /* rest NULL: one part */
	char *whole;        /* without quotes around all of it */
};

static void name_release(struct name *n)
{
	free(n->first);
	free(n->rest);
	free(n->whole);
}

static char *unquoted(const char *s, size_t n)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	if (n < 2 || s[0] != '"' || s[n - 1] != '"')
		return xstrndup(s, n);
	for (size_t i = 1; i + 1 < n; i++) {
		buf_putc(&b, s[i]);
		i += s[i] == '"' && s[i + 1] == '"' && i + 2 < n;
	}
	return buf_detach(&b);
}

static struct name name_of(const char *text)
{
	const char *dot = text;
	bool quoted = false;

	for (; *dot && (quoted || *dot != '.'); dot++)
		quoted ^= *dot == '"';
	return (struct name){
		.first = unquoted(text, (size_t)(dot - text)),
		.rest = *dot ? unquoted(dot + 1, strlen(dot + 1)) : NULL,
		.whole = unquoted(text, strlen(text)),
	};
}

/* ---- files ---- */

enum status mo_load_file(const struct load_request *q, const char *scope, const char *path, struct buf *to, bool *found, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	const struct recorded *r = q->recorded;

	buf_clear(to);
	*found = !r->file(r->ctx, scope, path, buf_sink(to), &why);
	return *found || why.code == ST_NOT_FOUND ? ST_OK : error_move(err, &why);
}

enum status mo_wish_read(const struct load_request *q, struct mo_wish *w, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool found;

	if (mo_load_file(q, w->scope, MO_COLLECTIONS_PATH, &text, &found, err))
		return err->code;
	if (!found)
		return error_set(err, ST_BAD, "the archive has no file %s for the database %s", MO_COLLECTIONS_PATH, w->scope);
	for (size_t at = 0; at < text.len;) {
		const char *line = text.data + at, *end = memchr(line, '\n', text.len - at);
		size_t n = end ? (size_t)(end - line) : text.len - at;

		at += n + 1;
		if (!n)
			continue;
		if (w->items % 64 == 0)
			w->item = xrealloc(w->item, (w->items + 64) * sizeof *w->item);
		struct mo_wanted *x = &w->item[w->items];
		*x = (struct mo_wanted){.has_rows = false};
		if (mo_meta_parse(line, n, &x->meta, err))
			return error_add(err, "%s of the database %s", MO_COLLECTIONS_PATH, w->scope);
		x->to = xstrdup(x->meta.name);
		w->items++;
	}
	return ST_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mo_wanted *)a)->meta.name, ((const struct mo_wanted *)b)->meta.name);
}

static struct mo_wanted *named(const struct mo_wish *w, const char *name)
{
	char *text = xstrdup(name);
	const struct mo_wanted key = {.meta = {.name = text}};
	struct mo_wanted *found = w->items ? bsearch(&key, w->item, w->items, sizeof *w->item, by_name) : NULL;

	free(text);
	return found;
}

static enum status sort_items(struct mo_wish *w, struct error *err)
{
	if (w->items)
		qsort(w->item, w->items, sizeof *w->item, by_name);
	for (size_t i = 1; i < w->items; i++)
		if (!strcmp(w->item[i - 1].meta.name, w->item[i].meta.name))
			return error_set(err, ST_BAD, "%s of the database %s has %s twice", MO_COLLECTIONS_PATH, w->scope, w->item[i].meta.name);
	return ST_OK;
}

/* ---- objects ---- */

static enum status take_object(void *arg, const struct recorded_object *o, struct error *err)
{
	struct mo_wish *w = arg;
	struct mo_wanted *x = named(w, o->name);

	if (!x || x->meta.kind == MO_VIEW)
		return error_set(err, ST_BAD, "%s of the database %s does not say what %s is", MO_COLLECTIONS_PATH, w->scope, o->name);
	x->has_rows = true;
	x->id = o->id;
	x->rows = o->rows;
	x->raw = o->raw;
	return ST_OK;
}

static int by_id(const void *a, const void *b)
{
	const struct mo_wanted *x = *(struct mo_wanted *const *)a, *y = *(struct mo_wanted *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

static void index_objects(struct mo_wish *w)
{
	w->by_id = xcalloc(w->items + 1, sizeof(struct mo_wanted *));
	for (size_t i = 0; i < w->items; i++)
		if (w->item[i].has_rows) {
			w->by_id[w->objects++] = &w->item[i];
			w->rows += w->item[i].rows;
			w->raw += w->item[i].raw;
		}
	if (w->objects)
		qsort(w->by_id, w->objects, sizeof(struct mo_wanted *), by_id);
}

const struct mo_wanted *mo_wish_object(const struct mo_wish *w, uint32_t id)
{
	struct mo_wanted key = {.id = id}, *at = &key;
	struct mo_wanted **found = w->objects ? bsearch(&at, w->by_id, w->objects, sizeof(struct mo_wanted *), by_id) : NULL;

	return found ? *found : NULL;
}

/* ---- --table, --exclude-table ---- */

static void wanted_release(struct mo_wanted *x)
{
	mo_meta_release(&x->meta);
	free(x->to);
	free(x->place);
	free(x->documents);
}

/* With its database or without; a collection's own name may have dots. */
static struct mo_wanted *find(const struct mo_wish *w, const char *text)
{
	CLEANUP(name_release) struct name n = name_of(text);
	struct mo_wanted *whole = named(w, n.whole);

	if (whole)
		return whole;
	return n.rest && !strcmp(n.first, w->scope) ? named(w, n.rest) : NULL;
}

static enum status none_such(const struct mo_wish *w, const char *flag, const char *text, struct error *err)
{
	CLEANUP(buf_release) struct buf has = BUF_INIT;

	for (size_t i = 0; i < w->items && i < 20; i++)
		buf_printf(&has, "%s%s", i ? ", " : "", w->item[i].meta.name);
	error_set(err, ST_NOT_FOUND, "%s %s: the backup of the database %s has no such collection", flag, text, w->scope);
	return error_hint(err, "It has %s%s.", w->items ? buf_str(&has) : "none", w->items > 20 ? " and others" : "");
}

static enum status mark_named(const struct mo_wish *w, const struct strlist *names, const char *flag, bool *mark, struct error *err)
{
	for (size_t i = 0; i < names->len; i++) {
		const struct mo_wanted *x = find(w, names->item[i]);

		if (!x)
			return none_such(w, flag, names->item[i], err);
		mark[x - w->item] = true;
	}
	return ST_OK;
}

/* Documents only are those of collections. */
static bool is_meant(const struct mo_wish *w, const struct load_request *q, size_t i, const bool *only, const bool *without)
{
	return (!q->tables->len || only[i]) && !without[i] && (w->mode != MO_LOAD_ROWS || w->item[i].has_rows);
}

static enum status choose(const struct load_request *q, struct mo_wish *w, struct error *err)
{
	bool *only = xcalloc(w->items + 1, sizeof *only), *without = xcalloc(w->items + 1, sizeof *without);
	enum status st = mark_named(w, q->tables, "--table", only, err);
	size_t kept = 0;

	if (!st)
		st = mark_named(w, q->exclude_tables, "--exclude-table", without, err);
	for (size_t i = 0; i < w->items && !st; i++) {
		if (without[i])
			strlist_add(&w->left_out, w->item[i].meta.name);
		if (is_meant(w, q, i, only, without))
			w->item[kept++] = w->item[i];
		else
			wanted_release(&w->item[i]);
	}
	if (!st)
		w->items = kept;
	free(only);
	free(without);
	return st;
}

/* ---- --rename ---- */

/* One word is a database where the backup has one of that name and no collection that is asked for is called so. */
static bool is_database(const struct load_request *q, const struct name *n)
{
	for (size_t i = 0; !n->rest && i < q->tables->len; i++) {
		CLEANUP(name_release) struct name t = name_of(q->tables->item[i]);

		if (!strcmp(t.rest ? t.rest : t.whole, n->first))
			return false;
	}
	return !n->rest && strlist_has(q->scopes, n->first);
}

enum status mo_wish_database(const struct load_request *q, const char *scope, char **to, struct error *err)
{
	CLEANUP(cstr_release) char *told = NULL;

	*to = NULL;
	for (size_t i = 0; i < q->renames; i++) {
		CLEANUP(name_release) struct name from = name_of(q->rename[i].from), new = name_of(q->rename[i].to);

		if (!is_database(q, &from) || strcmp(from.first, scope))
			continue;
		if (new.rest)
			return error_set(err, ST_USAGE, "--rename %s=%s: one is a database, the other a collection", q->rename[i].from,
					 q->rename[i].to);
		free(told);
		told = xstrdup(new.first);
	}
	if (q->into_database && told && strcmp(q->into_database, told))
		return error_set(err, ST_USAGE, "--into names the database %s, --rename %s", q->into_database, told);
	if (q->into_database && q->scopes->len > 1)
		return error_set(err, ST_USAGE, "--into names the database %s, but %zu databases are to be restored", q->into_database,
				 q->scopes->len);
	*to = told ? told : q->into_database ? xstrdup(q->into_database) : NULL;
	told = NULL;
	return ST_OK;
}

static enum status rename_one(struct mo_wish *w, const struct load_name *r, const char *target, struct error *err)
{
	CLEANUP(name_release) struct name to = name_of(r->to);
	struct mo_wanted *x = find(w, r->from);

	if (!x)
		return none_such(w, "--rename", r->from, err);
	if (to.rest && strcmp(to.first, w->scope) && (!target || strcmp(to.first, target)))
		return error_set(err, ST_USAGE, "--rename %s=%s: a collection goes into the database %s with its own, not into %s", r->from, r->to,
				 target ? target : w->scope, to.first);
	free(x->to);
	x->to = xstrdup(to.rest ? to.rest : to.whole);
	return ST_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static enum status check_distinct(const struct mo_wish *w, struct error *err)
{
	const char **to = xcalloc(w->items + 1, sizeof *to);
	enum status st = ST_OK;

	for (size_t i = 0; i < w->items; i++)
		to[i] = w->item[i].to;
	if (w->items)
		qsort(to, w->items, sizeof *to, by_text);
	for (size_t i = 1; i < w->items && !st; i++)
		if (!strcmp(to[i - 1], to[i]))
			st = error_set(err, ST_USAGE, "--rename: two collections would be called %s", to[i]);
	free(to);
	return st;
}

static enum status apply_renames(const struct load_request *q, struct mo_wish *w, struct error *err)
{
	CLEANUP(cstr_release) char *target = NULL;

	if (mo_wish_database(q, w->scope, &target, err))
		return err->code;
	for (size_t i = 0; i < q->renames; i++) {
		CLEANUP(name_release) struct name from = name_of(q->rename[i].from);
		const bool other = from.rest && strcmp(from.first, w->scope) && strlist_has(q->scopes, from.first);

		if (!is_database(q, &from) && !other && rename_one(w, &q->rename[i], target, err))
			return err->code;
	}
	return check_distinct(w, err);
}

/* ---- the wish ---- */

enum status mo_wish_make(const struct load_request *q, const char *scope, struct mo_wish *w, struct error *err)
{
	const struct recorded *r = q->recorded;

	w->scope = scope;
	w->mode = q->data_only ? MO_LOAD_ROWS : q->tables->len ? MO_LOAD_TABLES : MO_LOAD_DATABASE;
	if (mo_wish_read(q, w, err) || sort_items(w, err) || r->each(r->ctx, scope, take_object, w, err) || choose(q, w, err) ||
	    apply_renames(q, w, err))
		return err->code;
	index_objects(w);
	return ST_OK;
}

void mo_wish_place(struct mo_wish *w, const struct mo_where *at)
{
	for (size_t i = 0; i < w->items; i++) {
		free(w->item[i].place);
		w->item[i].place = mo_where_collection(at, w->item[i].to);
	}
}

void mo_wish_release(struct mo_wish *w)
{
	for (size_t i = 0; i < w->items; i++)
		wanted_release(&w->item[i]);
	free(w->item);
	free(w->by_id);
	strlist_release(&w->left_out);
	*w = (struct mo_wish)MO_WISH_INIT;
}
