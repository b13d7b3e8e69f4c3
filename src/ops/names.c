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
