#include "core/config_text.h"

#include "core/config_internal.h"
#include "core/log.h"

struct writer {
	const struct config_schema *schema;
	struct buf *to;
};

/* As a double-quoted scalar, in which "${" is no variable. */
static void put_quoted(struct buf *to, const char *text)
{
	buf_putc(to, '"');
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			buf_printf(to, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			buf_printf(to, "\\x%02x", c);
		else if (c == '$' && p[1] == '{')
			buf_puts(to, "$$");
		else
			buf_putc(to, *p);
	}
	buf_putc(to, '"');
}

static void put_value(struct writer *w, const struct setting *row, const struct config_value *v)
{
	if (row->type == SET_LIST)
		buf_putc(w->to, '[');
	for (size_t i = 0; i < v->text.len; i++) {
		CLEANUP(cstr_release) char *shown = url_without_secrets(v->text.item[i]);

		buf_puts(w->to, i ? ", " : "");
		put_quoted(w->to, shown);
	}
	if (row->type == SET_LIST)
		buf_putc(w->to, ']');
	buf_putc(w->to, '\n');
}

/* One row. *group: the first part of a nested key, whose line is written once. */
static void put_row(struct writer *w, const struct setting *row, const struct config_value *v, const char *indent, char **group)
{
	const char *dot = strchr(v->key, '.'), *name = dot ? dot + 1 : v->key;
	bool secret = v->secret && strcmp(v->key + strlen(row->key), "_file"); /* a command may have had one filled in */
	size_t n = dot ? (size_t)(dot - v->key) : 0;

	if (dot && (!*group || strlen(*group) != n || strncmp(*group, v->key, n))) {
		cstr_release(group);
		*group = xstrndup(v->key, n);
		buf_printf(w->to, "%s%s:\n", indent, *group);
	}
	buf_printf(w->to, "%s%s%s%s: ", indent, dot ? "  " : "", secret ? "# " : "", name);
	if (secret)
		buf_puts(w->to, "left out\n");
	else
		put_value(w, row, v);
}

static void put_values(struct writer *w, enum setting_scope scope, const char *url, const struct config_values *values, const char *indent)
{
	CLEANUP(cstr_release) char *group = NULL;

	for (size_t g = 0; g < w->schema->groups; g++) {
		if (!setting_group_fits(&w->schema->group[g], url))
			continue;
		for (const struct setting *row = w->schema->group[g].rows; !setting_is_end(row); row++) {
			const struct config_value *v = row->scope == scope && row->key ? config_get_row(values, row) : NULL;

			if (v)
				put_row(w, row, v, indent, &group);
		}
	}
}

static void put_sections(struct writer *w, enum setting_scope scope, const char *title, const struct config_section *list, size_t n)
{
	if (n)
		buf_printf(w->to, "%s:\n", title);
	for (size_t i = 0; i < n; i++) {
		buf_printf(w->to, "  %s:\n", list[i].name);
		put_values(w, scope, list[i].url, &list[i].values, "    ");
	}
}

void config_text(const struct config_schema *schema, const struct config *c, struct buf *to)
{
	struct writer w = {schema, to};

	put_values(&w, SCOPE_GLOBAL, NULL, &c->global, "");
	put_sections(&w, SCOPE_STORE, "stores", c->store, c->stores);
	put_sections(&w, SCOPE_SOURCE, "sources", c->source, c->sources);
}
