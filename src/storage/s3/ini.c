#include "storage/s3/ini.h"

#include <ctype.h>

struct reading {
	const char *what;
	unsigned number; /* of the line */
	char *section;   /* owned; NULL before the first */
	char *parent;    /* owned; the key that indented lines belong to */
	struct ini *to;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* Without blanks at both ends. */
static void trim(const char **s, size_t *n)
{
	while (*n && is_blank(**s)) {
		(*s)++;
		(*n)--;
	}
	while (*n && is_blank((*s)[*n - 1]))
		(*n)--;
}

/* A '#' or ';' behind a blank begins a comment; a command line may hold both. */
static size_t without_comment(const char *s, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if ((s[i] == '#' || s[i] == ';') && is_blank(s[i - 1]))
			return i - 1;
	return n;
}

static enum status wrong(const struct reading *r, const char *why, struct error *err)
{
	return error_set(err, ST_CONFIG, "%s, line %u: %s", r->what, r->number, why);
}

static enum status section_line(struct reading *r, const char *s, size_t n, struct error *err)
{
	CLEANUP(buf_release) struct buf name = BUF_INIT;
	const char *end = memchr(s, ']', n);

	if (!end)
		return wrong(r, "a section has no closing bracket", err);
	n = (size_t)(end - ++s);
	trim(&s, &n);
	for (size_t i = 0; i < n; i++)
		if (s[i] != '"' && s[i] != '\'' && !(is_blank(s[i]) && i && is_blank(s[i - 1])))
			buf_putc(&name, is_blank(s[i]) ? ' ' : s[i]);
	cstr_release(&r->parent);
	cstr_release(&r->section);
	r->section = xstrdup(buf_str(&name));
	strlist_add_once(&r->to->sections, r->section);
	return ST_OK;
}

/* Takes key. */
static void add(struct reading *r, char *key, const char *value, size_t n)
{
	struct ini *to = r->to;

	if (to->len == to->cap) {
		to->cap = to->cap ? 2 * to->cap : 16;
		to->line = xrealloc(to->line, to->cap * sizeof(*to->line));
	}
	to->line[to->len++] = (struct ini_line){xstrdup(r->section), key, xstrndup(value, n)};
}

static enum status value_line(struct reading *r, const char *s, size_t n, struct error *err)
{
	CLEANUP(buf_release) struct buf key = BUF_INIT;
	bool below = is_blank(s[0]) && r->parent;
	const char *equals = memchr(s, '=', n), *name = s;

	if (!r->section)
		return wrong(r, "stands before the first section", err);
	if (!equals)
		return below ? ST_OK : wrong(r, "is neither a section nor key = value", err);
	size_t name_len = (size_t)(equals - s);
	const char *value = equals + 1;
	size_t value_len = n - name_len - 1;

	trim(&name, &name_len);
	if (!name_len)
		return wrong(r, "has no key", err);
	if (below)
		buf_printf(&key, "%s.", r->parent);
	for (size_t i = 0; i < name_len; i++)
		buf_putc(&key, (char)tolower((unsigned char)name[i]));
	if (strcmp(buf_str(&key), "credential_process"))
		value_len = without_comment(value, value_len);
	trim(&value, &value_len);
	if (!below) {
		cstr_release(&r->parent);
		r->parent = value_len ? NULL : xstrdup(buf_str(&key));
	}
	add(r, buf_detach(&key), value, value_len);
	return ST_OK;
}

static enum status one_line(struct reading *r, const char *s, size_t n, struct error *err)
{
	const char *text = s;
	size_t len = n;

	trim(&text, &len);
	if (!len || *text == '#' || *text == ';')
		return ST_OK;
	return *text == '[' && text == s ? section_line(r, s, n, err) : value_line(r, s, n, err);
}

enum status ini_parse(const char *text, size_t n, const char *what, struct ini *to, struct error *err)
{
	struct reading r = {.what = what, .to = to};
	enum status st = ST_OK;

	if (n && memchr(text, 0, n))
		return error_set(err, ST_CONFIG, "%s: holds a zero byte", what);
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		n -= 3;
	}
	while (n && !st) {
		const char *end = memchr(text, '\n', n);
		size_t len = end ? (size_t)(end - text) : n;

		r.number++;
		st = one_line(&r, text, len, err);
		text += len + (end != NULL);
		n -= len + (end != NULL);
	}
	free(r.section);
	free(r.parent);
	return st;
}

const char *ini_get(const struct ini *ini, const char *section, const char *key)
{
	for (size_t i = ini->len; i--;)
		if (!strcmp(ini->line[i].section, section) && !strcmp(ini->line[i].key, key))
			return ini->line[i].value;
	return NULL;
}

void ini_release(struct ini *ini)
{
	for (size_t i = 0; i < ini->len; i++) {
		free(ini->line[i].section);
		free(ini->line[i].key);
		secure_zero(ini->line[i].value, strlen(ini->line[i].value));
		free(ini->line[i].value);
	}
	free(ini->line);
	strlist_release(&ini->sections);
	*ini = (struct ini){0};
}
