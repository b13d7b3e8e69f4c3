/* `config example`: every setting there is, as a file that the parser accepts. Rows without a default are comments; without "# "
 * they are settings too. */
#include "commands/command.h"

enum { HELP_COLUMN = 44 };

static const char *sample(const struct setting *row)
{
	if (row->def)
		return row->def;
	switch (row->type) {
	case SET_BOOL:
		return "false";
	case SET_INT:
	case SET_COUNT:
		return row->min > 3 ? "64" : "3";
	case SET_SIZE:
		return "64MiB";
	case SET_DURATION:
		return "24h";
	case SET_TIME:
		return "2026-11-20";
	case SET_CHOICE:
		return row->choices[0];
	case SET_ROOM:
		return "10%";
	case SET_LIST:
		return "[]";
	case SET_SECRET:
		return "/run/secrets/name";
	case SET_STRING:
		break;
	}
	return "\"\"";
}

/* `parent` is the nested key whose line was written last. */
static void put_row(struct buf *to, const struct setting *row, const char *indent, struct buf *parent)
{
	const char *dot = strchr(row->key, '.'), *mark = row->def ? "" : "# ", *nest = "", *key = row->key;
	size_t start;

	if (dot) {
		size_t n = (size_t)(dot - row->key);

		if (parent->len != n || memcmp(buf_str(parent), row->key, n)) {
			buf_clear(parent);
			buf_put(parent, row->key, n);
			buf_printf(to, "%s%s%s:\n", indent, mark, buf_str(parent));
		}
		nest = "  ";
		key = dot + 1;
	}
	start = to->len;
	buf_printf(to, "%s%s%s%s%s: %s", indent, mark, nest, key, row->type == SET_SECRET ? "_file" : "", sample(row));
	for (size_t n = to->len - start; n < HELP_COLUMN; n++)
		buf_putc(to, ' ');
	buf_printf(to, " # %s\n", row->help);
}

static void put_rows(const struct config_schema *s, enum setting_scope scope, const char *url, const char *indent, struct buf *to)
{
	CLEANUP(buf_release) struct buf parent = BUF_INIT;

	for (size_t g = 0; g < s->groups; g++) {
		if (!setting_group_fits(&s->group[g], url))
			continue;
		for (const struct setting *row = s->group[g].rows; !setting_is_end(row); row++)
			if (row->scope == scope && row->key && strcmp(row->key, "url"))
				put_row(to, row, indent, &parent);
	}
}

static void put_sections(const struct config_schema *s, enum setting_scope scope, struct buf *to)
{
	size_t n = 0;

	for (size_t g = 0; g < s->groups; g++) {
		const struct setting_group *group = &s->group[g];
		CLEANUP(cstr_release) char *url = NULL, *name = NULL;

		if (!group->owner || group->scope != scope)
			continue;
		if (scope == SCOPE_STORE) {
			url = strcmp(group->schemes[0], "file") ? xasprintf("%s://bucket/prefix", group->schemes[0])
								: xstrdup("file:///var/backups/drtool");
			name = xstrdup(group->owner);
		} else {
			const struct driver *d = driver_named(group->owner);

			url = xasprintf("%s://drtool_backup@localhost/shop%s", group->schemes[0], d && d->example_query ? d->example_query : "");
			name = n ? xasprintf("shop-%s", group->owner) : xstrdup("shop");
		}
		n++;
		buf_printf(to, "  %s:\n    url: \"%s\"\n", name, url);
		put_rows(s, scope, url, "    ", to);
	}
}

void config_example(const struct config_schema *s, struct buf *to)
{
	buf_puts(to, "# drtool.yaml: every setting with its default; what has none is a comment.\n"
		     "# ${NAME} and ${NAME:-otherwise} take variables of the environment and of env_file.\n"
		     "# A secret x may be x_file (first line of a file) or x_command (first line of what a program prints).\n\n"
		     "# env_file: .env                             # variables, as Compose reads them\n");
	put_rows(s, SCOPE_GLOBAL, NULL, "", to);
	buf_puts(to, "\nstores:\n");
	put_sections(s, SCOPE_STORE, to);
	buf_puts(to, "\n# What every source has unless it says otherwise; every key but url. `keep` is merged rule by rule.\n"
		"defaults:\n  keep: {last: 3, daily: 7, weekly: 4, monthly: 12}\n\nsources:\n");
	put_sections(s, SCOPE_SOURCE, to);
}
