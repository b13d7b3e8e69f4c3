/* From the YAML tree to values: every key is looked up in the rows, every value expanded and tried. */
#include "core/config.h"
#include "core/config_internal.h"
#include "core/expand.h"
#include "core/yaml.h"

struct reader {
	const struct config_schema *schema;
	const char *name; /* of the file */
	struct config *c;
	struct error *err;
};

/* What a map of settings is read into. */
struct target {
	enum setting_scope scope;
	const char *url;              /* whose rows hold; NULL: all */
	struct config_values *values;
	const char *what;             /* "the source shop" */
	const char *const *others;    /* further keys of this level, NULL-terminated, handled by the caller */
};

static enum status fail_at(struct reader *r, unsigned line, unsigned column, char *text)
{
	error_set(r->err, ST_CONFIG, "%s:%u:%u: %s", r->name, line, column, text);
	free(text);
	return r->err->code;
}

static const char *env_get(void *ctx, const char *name)
{
	const struct reader *r = ctx;

	return config_lookup_env(r->c, name);
}

/* The expanded text of a scalar. *unset: it was nothing but variables that are empty. */
static enum status expanded(struct reader *r, const struct ynode *n, struct buf *to, bool *unset)
{
	struct expand_env env = {env_get, r};

	if (n->kind != YNODE_TEXT)
		return fail_at(r, n->line, n->column,
			       xasprintf("a text is expected here, not a %s", n->kind == YNODE_MAP ? "map" : "list"));
	if (n->null)
		return fail_at(r, n->line, n->column, xstrdup("the value is empty"));
	if (expand_text(n->text, &env, to, r->err))
		return error_add(r->err, "%s:%u:%u", r->name, n->line, n->column);
	*unset = !to->len && *n->text;
	return ST_OK;
}

static const struct setting *find_row(const struct reader *r, const struct target *t, const char *key)
{
	for (size_t g = 0; g < r->schema->groups; g++) {
		const struct setting_group *group = &r->schema->group[g];
		const struct setting *row =
			setting_group_fits(group, t->url) ? setting_find(group->rows, t->scope, key, NULL) : NULL;

		if (row)
			return row;
	}
	return NULL;
}

static void add_names(const struct reader *r, const struct target *t, const char *prefix, struct strlist *names)
{
	size_t n = strlen(prefix);

	for (size_t g = 0; g < r->schema->groups; g++) {
		const struct setting_group *group = &r->schema->group[g];

		if (!setting_group_fits(group, t->url))
			continue;
		for (const struct setting *row = group->rows; !setting_is_end(row); row++) {
			if (row->scope != t->scope || !row->key || strncmp(row->key, prefix, n))
				continue;
			const char *rest = row->key + n;

			strlist_take(names, xstrndup(rest, strcspn(rest, ".")));
			if (row->type == SET_SECRET) {
				strlist_take(names, xasprintf("%s_file", rest));
				strlist_take(names, xasprintf("%s_command", rest));
			}
		}
	}
}

static enum status unknown_key(struct reader *r, const struct target *t, const char *prefix, const struct ynode_pair *p)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(cstr_release) char *full = xasprintf("%s%s", prefix, p->key);

	add_names(r, t, prefix, &names);
	for (const char *const *o = t->others; o && *o && !*prefix; o++)
		strlist_add(&names, *o);
	const char *near = nearest_name(p->key, (const char *const *)names.item, names.len);

	if (near) {
		fail_at(r, p->line, p->column,
			xasprintf("unknown key \"%s\" in %s; did you mean \"%s%s\"?", full, t->what, prefix, near));
		return r->err->code;
	}
	fail_at(r, p->line, p->column, xasprintf("unknown key \"%s\" in %s", full, t->what));
	return error_hint(r->err, "`drtool config example` prints every key there is.");
}

static bool has_nested(const struct reader *r, const struct target *t, const char *prefix)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	add_names(r, t, prefix, &names);
	return names.len > 0;
}

/* A command written as a list of words becomes the text that a shell-like splitting takes apart again. */
static enum status join_words(struct reader *r, const struct ynode *n, struct buf *to)
{
	bool unset = false;

	for (size_t i = 0; i < n->items; i++) {
		CLEANUP(buf_release) struct buf word = BUF_INIT;

		if (expanded(r, n->item[i], &word, &unset))
			return r->err->code;
		buf_puts(to, i ? " \"" : "\"");
		for (const char *s = buf_str(&word); *s; s++) {
			if (*s == '"' || *s == '\\')
				buf_putc(to, '\\');
			buf_putc(to, *s);
		}
		buf_putc(to, '"');
	}
	return ST_OK;
}

static enum status text_of(struct reader *r, const struct setting *row, const char *key, const struct ynode *n, struct buf *to,
			   bool *unset)
{
	const struct setting one[] = {*row, SETTING_END};
	enum secret_form form = SECRET_VALUE;

	if (row->type == SET_SECRET && n->kind == YNODE_LIST && n->items && setting_find(one, row->scope, key, &form) &&
	    form == SECRET_COMMAND)
		return join_words(r, n, to);
	return expanded(r, n, to, unset);
}

static enum status add_text(struct reader *r, const struct target *t, const struct setting *row, const char *key,
			    const struct ynode *n, const char *pair_key)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool unset = false;

	if (pair_key)
		buf_printf(&text, "%s=", pair_key);
	if (text_of(r, row, key, n, &text, &unset))
		return r->err->code;
	if (unset)
		return ST_OK;
	if (setting_check(row, buf_str(&text), r->err)) {
		error_add(r->err, "%s", key);
		return error_add(r->err, "%s:%u:%u", r->name, n->line, n->column);
	}
	struct config_value *v = config_set(t->values, t->scope, key, buf_str(&text), row->type == SET_LIST);

	v->secret = row->secret || row->type == SET_SECRET;
	if (!v->origin)
		v->origin = xasprintf("%s:%u:%u", r->name, n->line, n->column);
	if (text.data)
		secure_zero(text.data, text.cap);
	return ST_OK;
}

static enum status read_value(struct reader *r, const struct target *t, const struct setting *row, const char *key,
			      const struct ynode *n)
{
	if (n->kind == YNODE_TEXT || row->type != SET_LIST)
		return add_text(r, t, row, key, n, NULL);
	for (size_t i = 0; i < n->items; i++)
		if (add_text(r, t, row, key, n->item[i], NULL))
			return r->err->code;
	for (size_t i = 0; i < n->pairs; i++)
		if (add_text(r, t, row, key, n->pair[i].value, n->pair[i].key))
			return r->err->code;
	/* An empty list is a value: it takes away what `defaults:` says. */
	if (!n->items && !n->pairs) {
		struct config_value *v = config_set(t->values, t->scope, key, NULL, true);

		v->origin = xasprintf("%s:%u:%u", r->name, n->line, n->column);
	}
	return ST_OK;
}

/* A secret may be said in one form only. */
static enum status one_form(struct reader *r, const struct target *t, const struct setting *row, const struct ynode_pair *p)
{
	const struct config_value *other = config_get_row(t->values, row);

	if (row->type != SET_SECRET || !other || !strcmp(other->key, p->key))
		return ST_OK;
	return fail_at(r, p->line, p->column, xasprintf("both \"%s\" and \"%s\" are set", other->key, p->key));
}

static enum status read_map(struct reader *r, const struct target *t, const char *prefix, const struct ynode *n)
{
	for (size_t i = 0; i < n->pairs; i++) {
		const struct ynode_pair *p = &n->pair[i];
		CLEANUP(cstr_release) char *key = xasprintf("%s%s", prefix, p->key), *below = xasprintf("%s.", key);
		const struct setting *row = find_row(r, t, key);
		bool other = false;

		for (const char *const *o = t->others; o && *o && !*prefix; o++)
			other |= !strcmp(*o, p->key);
		if (other)
			continue;
		if (row ? one_form(r, t, row, p) || read_value(r, t, row, key, p->value) : false)
			return r->err->code;
		if (row)
			continue;
		if (!has_nested(r, t, below))
			return unknown_key(r, t, prefix, p);
		if (p->value->kind != YNODE_MAP)
			return fail_at(r, p->value->line, p->value->column, xasprintf("%s: a map is expected here", key));
		if (read_map(r, t, below, p->value))
			return r->err->code;
	}
	return ST_OK;
}

static enum status need_map(struct reader *r, const struct ynode *n, const char *what)
{
	return n->kind == YNODE_MAP ? ST_OK : fail_at(r, n->line, n->column, xasprintf("%s: a map is expected here", what));
}

static const struct ynode_pair *find_pair(const struct ynode *n, const char *key)
{
	for (size_t i = 0; i < n->pairs; i++)
		if (!strcmp(n->pair[i].key, key))
			return &n->pair[i];
	return NULL;
}

static enum status known_scheme(struct reader *r, enum setting_scope scope, const struct ynode *at, const char *url)
{
	CLEANUP(buf_release) struct buf known = BUF_INIT;

	for (size_t g = 0; g < r->schema->groups; g++) {
		const struct setting_group *group = &r->schema->group[g];
		bool here = group->owner && group->scope == scope;

		if (here && setting_group_fits(group, url))
			return ST_OK;
		if (here)
			buf_printf(&known, "%s%s://", known.len ? ", " : "", group->schemes[0]);
	}
	/* Only the scheme: the rest may hold a password. */
	return fail_at(r, at->line, at->column,
		       xasprintf("url: no %s is of the kind \"%.*s\"; there are %s", scope == SCOPE_STORE ? "store" : "source",
				 (int)min_size(strstr(url, "://") ? strcspn(url, ":") : 0, 20), url, buf_str(&known)));
}

static bool store_name_valid(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return n && n <= 100 && !s[n] && *s != '.' && *s != '_' && *s != '-';
}

static enum status check_name(struct reader *r, enum setting_scope scope, const struct ynode_pair *p)
{
	bool (*valid)(const char *) =
		scope == SCOPE_SOURCE && r->schema->source_name_valid ? r->schema->source_name_valid : store_name_valid;

	if (valid(p->key))
		return ST_OK;
	fail_at(r, p->line, p->column,
		xasprintf("\"%s\" cannot be the name of a %s", p->key, scope == SCOPE_STORE ? "store" : "source"));
	return error_hint(r->err,
			  "Names are made of a-z, 0-9, '.', '_' and '-', begin with a letter or digit and are no longer than 100.");
}

static enum status read_section(struct reader *r, enum setting_scope scope, const struct ynode_pair *p, struct config_section *s)
{
	CLEANUP(buf_release) struct buf url = BUF_INIT;
	CLEANUP(cstr_release) char *what = xasprintf("the %s %s", scope == SCOPE_STORE ? "store" : "source", p->key);
	bool unset = false;

	if (check_name(r, scope, p))
		return r->err->code;
	s->name = xstrdup(p->key);
	s->origin = xasprintf("%s:%u:%u", r->name, p->line, p->column);
	if (need_map(r, p->value, what))
		return r->err->code;
	const struct ynode_pair *u = find_pair(p->value, "url");

	if (!u) {
		/* A key that is spelt wrong may be the cause. */
		struct target any = {.scope = scope, .values = &s->values, .what = what};

		return read_map(r, &any, "", p->value) ? r->err->code
						       : fail_at(r, p->line, p->column, xasprintf("%s has no url", what));
	}
	if (expanded(r, u->value, &url, &unset))
		return r->err->code;
	if (!url.len)
		return fail_at(r, u->value->line, u->value->column, xasprintf("url: %s has an empty one", what));
	s->url = xstrdup(buf_str(&url));
	secure_zero(url.data, url.cap);
	if (known_scheme(r, scope, u->value, s->url))
		return r->err->code;
	struct target t = {.scope = scope, .url = s->url, .values = &s->values, .what = what};

	return read_map(r, &t, "", p->value);
}

static enum status read_sections(struct reader *r, enum setting_scope scope, const struct ynode_pair *p)
{
	struct config_section **list = scope == SCOPE_STORE ? &r->c->store : &r->c->source;
	size_t *n = scope == SCOPE_STORE ? &r->c->stores : &r->c->sources;

	if (need_map(r, p->value, p->key))
		return r->err->code;
	*list = xcalloc(p->value->pairs, sizeof(**list));
	for (size_t i = 0; i < p->value->pairs; i++)
		if (read_section(r, scope, &p->value->pair[i], &(*list)[(*n)++]))
			return r->err->code;
	return ST_OK;
}

/* Gives every source what `defaults:` says and it does not, where its driver has such a row. */
static void apply_defaults(struct reader *r, const struct config_values *defaults)
{
	for (size_t i = 0; i < r->c->sources; i++) {
		struct config_section *s = &r->c->source[i];
		struct target t = {.scope = SCOPE_SOURCE, .url = s->url};

		for (size_t k = 0; k < defaults->len; k++) {
			const struct config_value *from = &defaults->item[k];
			const struct setting *row = find_row(r, &t, from->key);

			if (row && !config_get_row(&s->values, row))
				config_copy(&s->values, from);
		}
	}
}

static enum status read_defaults(struct reader *r, const struct ynode_pair *p)
{
	CLEANUP(config_values_release) struct config_values defaults = CONFIG_VALUES_INIT;
	const struct target t = {.scope = SCOPE_SOURCE, .values = &defaults, .what = "defaults"};

	if (need_map(r, p->value, "defaults"))
		return r->err->code;
	const struct ynode_pair *url = find_pair(p->value, "url");

	if (url)
		return fail_at(r, url->line, url->column, xstrdup("a url belongs to one source and cannot be a default"));
	if (read_map(r, &t, "", p->value))
		return r->err->code;
	apply_defaults(r, &defaults);
	return ST_OK;
}

static enum status read_env_files(struct reader *r, const struct ynode *n)
{
	for (size_t i = 0; i < (n->kind == YNODE_LIST ? n->items : 1); i++) {
		const struct ynode *one = n->kind == YNODE_LIST ? n->item[i] : n;
		CLEANUP(buf_release) struct buf path = BUF_INIT;
		bool unset = false;

		if (expanded(r, one, &path, &unset))
			return r->err->code;
		if (path.len && config_read_env_file(r->c, r->name, buf_str(&path), r->err))
			return error_add(r->err, "%s:%u:%u: env_file", r->name, one->line, one->column);
	}
	return ST_OK;
}

static enum status read_root(struct reader *r, const struct ynode *root)
{
	static const char *const others[] = {"stores", "defaults", "sources", "env_file", NULL};
	const struct target t = {.scope = SCOPE_GLOBAL, .values = &r->c->global, .what = "the configuration", .others = others};
	const struct ynode_pair *env = find_pair(root, "env_file"), *stores = find_pair(root, "stores");
	const struct ynode_pair *defaults = find_pair(root, "defaults"), *sources = find_pair(root, "sources");

	/* Variables first: everything else may use them. */
	if (env && read_env_files(r, env->value))
		return r->err->code;
	if (read_map(r, &t, "", root) || (stores && read_sections(r, SCOPE_STORE, stores)) ||
	    (sources && read_sections(r, SCOPE_SOURCE, sources)))
		return r->err->code;
	return defaults ? read_defaults(r, defaults) : ST_OK;
}

enum status config_read(const struct config_schema *schema, const char *name, const void *text, size_t len, struct config *c,
			struct error *err)
{
	CLEANUP(ynode_freep) struct ynode *root = NULL;
	struct reader r = {.schema = schema, .name = name, .c = c, .err = err};

	if (ynode_parse(name, text, len, &root, err))
		return err->code;
	if (!root || (root->kind == YNODE_TEXT && root->null))
		return ST_OK;
	if (need_map(&r, root, "configuration"))
		return err->code;
	return read_root(&r, root);
}
