/* Names as people write them: parts divided by dots outside double quotes, patterns, OLD=NEW. */
#include "ops/names.h"

size_t name_parts(const char *name)
{
	size_t n = 1;
	bool quoted = false;

	for (; *name; name++)
		if (*name == '"')
			quoted = !quoted;
		else if (*name == '.' && !quoted)
			n++;
	return n;
}

const char *name_after_first_part(const char *name)
{
	bool quoted = false;

	for (; *name; name++)
		if (*name == '"')
			quoted = !quoted;
		else if (*name == '.' && !quoted)
			return name + 1;
	return NULL;
}

char *name_first_part(const char *name)
{
	const char *rest = name_after_first_part(name);
	size_t n = rest ? (size_t)(rest - name) - 1 : strlen(name);
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		if (name[i] != '"')
			buf_putc(&b, name[i]);
		else if (i + 1 < n && name[i + 1] == '"')
			buf_putc(&b, name[i++]);
	return buf_detach(&b);
}

enum status name_pair(const char *text, char **from, char **to, struct error *err)
{
	bool quoted = false;
	const char *equals = NULL;

	for (const char *p = text; *p && !equals; p++)
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '=' && !quoted)
			equals = p;
	if (!equals || equals == text || !equals[1])
		return error_set(err, ST_USAGE, "--rename %s: OLD=NEW is wanted", text);
	*from = xstrndup(text, (size_t)(equals - text));
	*to = xstrdup(equals + 1);
	return ST_OK;
}

/* The six hex digits at the end of NAME_restore_RUN and NAME_before_RUN; NULL. */
static const char *run_of_copy(const char *database)
{
	static const char *const words[] = {"_restore_", "_before_"};
	size_t n = strlen(database);

	if (n < 6 || strspn(database + n - 6, "0123456789abcdef") != 6)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t w = strlen(words[i]);

		if (n > 6 + w && !memcmp(database + n - 6 - w, words[i], w))
			return database + n - 6;
	}
	return NULL;
}

char *uncovered_text(const char *database)
{
	const char *run = run_of_copy(database);

	if (!run)
		return xasprintf("database %s of this server is in no source", database);
	return xasprintf("database %s looks like what a restore left; when it is not wanted any more: drtool exchange %s --drop",
			 database, run);
}
