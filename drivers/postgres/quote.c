#include "drivers/postgres/conn.h"

void sql_ident(struct buf *to, const char *name)
{
	buf_putc(to, '"');
	for (; *name; name++) {
		if (*name == '"')
			buf_putc(to, '"');
		buf_putc(to, *name);
	}
	buf_putc(to, '"');
}

void sql_name(struct buf *to, const char *schema, const char *name)
{
	sql_ident(to, schema);
	buf_putc(to, '.');
	sql_ident(to, name);
}

void sql_literal(struct buf *to, const char *text)
{
	if (strchr(text, '\\'))
		buf_puts(to, " E");
	buf_putc(to, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_putc(to, *text);
		buf_putc(to, *text);
	}
	buf_putc(to, '\'');
}

/* The value of a setting that is a list of names, as the server keeps it: each is quoted anew, since an archive may say anything.
 */
static void put_list(struct buf *to, const char *value)
{
	bool first = true;

	while (*value) {
		struct buf item = BUF_INIT;
		bool quoted = false;

		while (*value == ' ' || *value == ',')
			value++;
		for (; *value && (quoted || *value != ','); value++) {
			if (*value == '"' && quoted && value[1] == '"')
				buf_putc(&item, *value++);
			else if (*value == '"')
				quoted = !quoted;
			else
				buf_putc(&item, *value);
		}
		while (item.len && item.data[item.len - 1] == ' ')
			item.data[--item.len] = 0;
		buf_puts(to, first ? "" : ", ");
		sql_literal(to, buf_str(&item));
		first = false;
		buf_release(&item);
	}
	if (first)
		buf_puts(to, "''");
}

void sql_setting(struct buf *to, const char *name_value)
{
	/* Their values are lists of names. */
	static const char *const lists[] = {"local_preload_libraries",  "search_path",      "session_preload_libraries",
					    "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"};
	const char *equals = strchr(name_value, '=');

	if (!equals)
		return;
	CLEANUP(cstr_release) char *name = xstrndup(name_value, (size_t)(equals - name_value));
	buf_puts(to, "SET ");
	/* A name of two parts, "app.tenant", is quoted part by part. */
	char *dot = strchr(name, '.');
	if (dot) {
		*dot = 0;
		sql_name(to, name, dot + 1);
		*dot = '.';
	} else {
		sql_ident(to, name);
	}
	buf_puts(to, " TO ");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (!strcmp(name, lists[i])) {
			put_list(to, equals + 1);
			return;
		}
	sql_literal(to, equals + 1);
}

static bool is_plain(const char *name)
{
	/* Reserved words that are likely as names; where one is missing the name is only shown without quotes. */
	static const char *const reserved[] = {
		"all",          "analyse",      "analyze",      "and",          "any",
		"array",        "as",           "asc",          "asymmetric",   "authorization",
		"binary",       "both",         "case",         "cast",         "check",
		"collate",      "collation",    "column",       "concurrently", "constraint",
		"create",       "cross",        "current_date", "current_role", "current_time",
		"current_user", "default",      "deferrable",   "desc",         "distinct",
		"do",           "else",         "end",          "except",       "false",
		"fetch",        "for",          "foreign",      "freeze",       "from",
		"full",         "grant",        "group",        "having",       "ilike",
		"in",           "initially",    "inner",        "intersect",    "into",
		"is",           "isnull",       "join",         "lateral",      "leading",
		"left",         "like",         "limit",        "localtime",    "natural",
		"not",          "notnull",      "null",         "offset",       "on",
		"only",         "or",           "order",        "outer",        "overlaps",
		"placing",      "primary",      "references",   "returning",    "right",
		"select",       "session_user", "similar",      "some",         "symmetric",
		"table",        "tablesample",  "then",         "to",           "trailing",
		"true",         "union",        "unique",       "user",         "using",
		"variadic",     "verbose",      "when",         "where",        "window",
		"with",
	};

	if (!((*name >= 'a' && *name <= 'z') || *name == '_'))
		return false;
	for (const char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (!strcmp(name, reserved[i]))
			return false;
	return true;
}

void sql_shown(struct buf *to, const char *name)
{
	if (is_plain(name))
		buf_puts(to, name);
	else
		sql_ident(to, name);
}
