#include "core/expand.h"

#include <ctype.h>

enum { MAX_NESTING = 8, MAX_EXPANDED = 1024 * 1024 };

static size_t name_length(const char *s)
{
	size_t n = 0;

	if (isalpha((unsigned char)*s) || *s == '_')
		while (isalnum((unsigned char)s[n]) || s[n] == '_')
			n++;
	return n;
}

/* The brace that closes the one at s[-1]; NULL: none. */
static const char *closing_brace(const char *s)
{
	for (unsigned open = 1; *s; s++) {
		if (*s == '$' && s[1] == '{')
			open++;
		else if (*s == '}' && !--open)
			return s;
	}
	return NULL;
}

/* The user part of a URL in the text: from behind "://" to the last '@' before the path. Braces may hold anything. */
static void user_part(const char *text, const char **from, const char **to)
{
	const char *s = strstr(text, "://"), *variable = strstr(text, "${");

	*from = *to = NULL;
	/* A URL that only a variable's default spells out is no URL of this text. */
	if (!s || (variable && variable < s && closing_brace(variable + 2) > s))
		return;
	*from = s += 3;
	while (*s && !strchr("/?#", *s)) {
		if (*s == '@')
			*to = s;
		if (*s == '$' && s[1] == '{') {
			const char *end = closing_brace(s + 2);

			if (!end)
				break;
			s = end;
		}
		s++;
	}
	if (!*to)
		*from = NULL;
}

static void put_encoded(struct buf *to, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~", *s))
			buf_putc(to, *s);
		else
			buf_printf(to, "%%%02X", (unsigned char)*s);
	}
}

struct expander {
	const struct expand_env *env;
	struct error *err;
	unsigned depth;
};

static enum status expand(struct expander *x, const char *text, size_t n, struct buf *to);

/* *s stands behind "${"; afterwards behind the closing brace. */
static enum status expand_variable(struct expander *x, const char **s, struct buf *to)
{
	const char *end = closing_brace(*s), *value;
	size_t n = name_length(*s);

	if (!end)
		return error_set(x->err, ST_CONFIG, "\"${\" without a closing brace");
	if (!n || ((*s)[n] != '}' && strncmp(*s + n, ":-", 2))) {
		error_set(x->err, ST_CONFIG, "\"${%.*s}\" is no variable", (int)(end - *s), *s);
		return error_hint(x->err, "There are ${NAME} and ${NAME:-default}; write $${ for a text that begins with ${.");
	}
	char *name = xstrndup(*s, n);
	const char *otherwise = (*s)[n] == ':' ? *s + n + 2 : NULL;
	enum status st = ST_OK;

	value = x->env->get(x->env->ctx, name);
	if (value && (*value || !otherwise))
		buf_puts(to, value);
	else if (otherwise)
		st = expand(x, otherwise, (size_t)(end - otherwise), to);
	else
		st = error_set(x->err, ST_CONFIG, "the variable %s is not set", name);
	free(name);
	*s = end + 1;
	return st;
}

static enum status expand(struct expander *x, const char *text, size_t n, struct buf *to)
{
	CLEANUP(buf_release) struct buf copy = BUF_INIT;
	const char *from, *until;

	if (++x->depth > MAX_NESTING)
		return error_set(x->err, ST_CONFIG, "variables are nested too deeply");
	buf_put(&copy, text, n);
	const char *s = buf_str(&copy);

	user_part(s, &from, &until);
	while (*s) {
		if (!strncmp(s, "$${", 3)) {
			buf_puts(to, "${");
			s += 3;
		} else if (!strncmp(s, "${", 2)) {
			CLEANUP(buf_release) struct buf value = BUF_INIT;
			bool encode = from && s >= from && s < until;

			s += 2;
			if (expand_variable(x, &s, &value))
				return x->err->code;
			if (encode)
				put_encoded(to, buf_str(&value));
			else
				buf_puts(to, buf_str(&value));
		} else {
			buf_putc(to, *s++);
		}
		if (to->len > MAX_EXPANDED)
			return error_set(x->err, ST_CONFIG, "the text is too long after its variables are filled in");
	}
	x->depth--;
	return ST_OK;
}

enum status expand_text(const char *text, const struct expand_env *env, struct buf *to, struct error *err)
{
	struct expander x = {.env = env, .err = err};

	return expand(&x, text, strlen(text), to);
}

/* ---- env_file ---- */

struct env_reader {
	const struct env_file_spec *spec;
	const char *s;
	unsigned line;
	struct error *err;
};

static enum status env_fail(struct env_reader *r, const char *what)
{
	return error_set(r->err, ST_CONFIG, "%s:%u: %s", r->spec->name, r->line, what);
}

static void skip_blanks(struct env_reader *r)
{
	while (*r->s == ' ' || *r->s == '\t')
		r->s++;
}

/* "$NAME" as a variable too: Compose knows it, the YAML of drtool does not. */
static void put_braced(struct buf *to, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t name = s[i] == '$' ? min_size(name_length(s + i + 1), n - i - 1) : 0;

		buf_putc(to, s[i]);
		if (name) {
			buf_printf(to, "{%.*s:-}", (int)name, s + i + 1);
			i += name;
		}
	}
}

static enum status put_expanded(struct env_reader *r, const char *s, size_t n, struct buf *to)
{
	CLEANUP(buf_release) struct buf braced = BUF_INIT;
	struct expander x = {.env = r->spec->env, .err = r->err};

	put_braced(&braced, s, n);
	if (expand(&x, buf_str(&braced), braced.len, to))
		return error_add(r->err, "%s:%u", r->spec->name, r->line);
	return ST_OK;
}

static enum status read_single(struct env_reader *r, struct buf *to)
{
	const char *end = strchr(++r->s, '\'');

	if (!end)
		return env_fail(r, "a quote is not closed");
	buf_put(to, r->s, (size_t)(end - r->s));
	for (; r->s < end; r->s++)
		r->line += *r->s == '\n';
	r->s++;
	return ST_OK;
}

static enum status read_double(struct env_reader *r, struct buf *to)
{
	CLEANUP(buf_release) struct buf raw = BUF_INIT;
	unsigned lines = 0;

	for (r->s++; *r->s != '"'; r->s++) {
		if (!*r->s)
			return env_fail(r, "a quote is not closed");
		lines += *r->s == '\n';
		if (*r->s == '\\' && r->s[1]) {
			/* An escaped '$' begins no variable: it waits as a byte that no text file has. */
			static const char from[] = "nrt\"\\$", is[] = "\n\r\t\"\\\001";
			const char *known = strchr(from, *++r->s);

			if (!known)
				buf_putc(&raw, '\\');
			buf_putc(&raw, known ? is[known - from] : *r->s);
		} else {
			buf_putc(&raw, *r->s);
		}
	}
	r->s++;
	if (put_expanded(r, buf_str(&raw), raw.len, to))
		return r->err->code;
	for (size_t i = 0; i < to->len; i++)
		if (to->data[i] == '\001')
			to->data[i] = '$';
	r->line += lines;
	return ST_OK;
}

/* To the end of the line or to a '#' behind a blank, without blanks at the end. */
static enum status read_plain(struct env_reader *r, struct buf *to)
{
	size_t n = 0;

	while (r->s[n] && r->s[n] != '\n' && !(r->s[n] == '#' && n && isblank((unsigned char)r->s[n - 1])))
		n++;
	const char *start = r->s;

	r->s += strcspn(r->s, "\n");
	while (n && isspace((unsigned char)start[n - 1]))
		n--;
	return *start == '#' ? ST_OK : put_expanded(r, start, n, to);
}

static enum status read_value(struct env_reader *r, struct buf *to)
{
	skip_blanks(r);
	if (*r->s != '\'' && *r->s != '"')
		return read_plain(r, to);
	if (*r->s == '\'' ? read_single(r, to) : read_double(r, to))
		return r->err->code;
	skip_blanks(r);
	if (*r->s && *r->s != '\n' && *r->s != '\r' && *r->s != '#')
		return env_fail(r, "something stands behind the closing quote");
	r->s += strcspn(r->s, "\n");
	return ST_OK;
}

static enum status read_pair(struct env_reader *r)
{
	CLEANUP(buf_release) struct buf value = BUF_INIT;
	CLEANUP(cstr_release) char *name = NULL;
	unsigned line = r->line;

	if (!strncmp(r->s, "export", 6) && isblank((unsigned char)r->s[6])) {
		r->s += 7;
		skip_blanks(r);
	}
	size_t n = name_length(r->s);

	if (!n)
		return env_fail(r, "no NAME=value");
	name = xstrndup(r->s, n);
	r->s += n;
	skip_blanks(r);
	if (!*r->s || *r->s == '\n' || *r->s == '\r' || *r->s == '#') {
		r->s += strcspn(r->s, "\n");
		r->spec->fn(r->spec->ctx, name, NULL, line);
		return ST_OK;
	}
	if (*r->s != '=' && *r->s != ':')
		return env_fail(r, "no '=' behind the name");
	r->s++;
	if (read_value(r, &value))
		return r->err->code;
	r->spec->fn(r->spec->ctx, name, buf_str(&value), line);
	return ST_OK;
}

enum status env_file_parse(const struct env_file_spec *spec, const char *text, struct error *err)
{
	struct env_reader r = {.spec = spec, .s = text, .line = 1, .err = err};

	if (!strncmp(r.s, "\xef\xbb\xbf", 3))
		r.s += 3;
	while (*r.s) {
		r.s += strspn(r.s, " \t\r");
		if (*r.s == '#')
			r.s += strcspn(r.s, "\n");
		else if (*r.s && *r.s != '\n' && read_pair(&r))
			return err->code;
		if (*r.s == '\n') {
			r.line++;
			r.s++;
		}
	}
	return ST_OK;
}
