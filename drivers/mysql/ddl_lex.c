#include "drivers/mysql/ddl_lex.h"

#include <ctype.h>
#include <strings.h>

static bool has_mode(const char *sql_mode, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = sql_mode; p && *p; p += strcspn(p, ",")) {
		p += *p == ',';
		if (strcspn(p, ",") == n && !strncasecmp(p, word, n))
			return true;
	}
	return false;
}

struct my_lex my_lex_of(const char *text, const char *sql_mode)
{
	return (struct my_lex){.at = text,
			       .p = text,
			       .ansi = has_mode(sql_mode, "ANSI_QUOTES"),
			       .no_backslash = has_mode(sql_mode, "NO_BACKSLASH_ESCAPES")};
}

static bool is_plain(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80; }

static const char *line_end(const char *p) { return p + strcspn(p, "\n"); }

/* Start of the next word; NULL where a comment has no end. */
static const char *skip(struct my_lex *l)
{
	const char *p = l->at;

	for (;;) {
		if (isspace((unsigned char)*p)) {
			p++;
		} else if (*p == '#' || (p[0] == '-' && p[1] == '-' && (!p[2] || isspace((unsigned char)p[2])))) {
			p = line_end(p);
		} else if (p[0] == '/' && p[1] == '*' && (p[2] == '!' || (p[2] == 'M' && p[3] == '!'))) {
			p += p[2] == '!' ? 3 : 4;
			p += strspn(p, "0123456789");
			l->versioned = true;
		} else if (p[0] == '/' && p[1] == '*') {
			p = strstr(p + 2, "*/");
			if (!p)
				return NULL;
			p += 2;
		} else if (l->versioned && p[0] == '*' && p[1] == '/') {
			p += 2;
			l->versioned = false;
		} else {
			return p;
		}
	}
}

static const char *quote_end(const struct my_lex *l, const char *p)
{
	const char quote = *p++;
	const bool escapes = !l->no_backslash && (quote == '\'' || (quote == '"' && !l->ansi));

	for (; *p; p++) {
		if (escapes && *p == '\\' && p[1])
			p++;
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
	}
	return NULL;
}

static void set_word(struct my_lex *l, enum my_word kind, const char *p, const char *end)
{
	l->kind = kind;
	l->p = p;
	l->n = (size_t)(end - p);
	l->at = end;
}

void my_lex_next(struct my_lex *l)
{
	if (l->kind == MY_WORD_BAD)
		return;
	if (l->kind == MY_WORD_SIGN && *l->p == '(')
		l->depth++;
	const char *p = skip(l), *end = p;

	if (p && *p && strchr("'\"`", *p)) {
		end = quote_end(l, p);
		if (end) {
			set_word(l, *p == '`' || (*p == '"' && l->ansi) ? MY_WORD_NAME : MY_WORD_TEXT, p, end);
			return;
		}
	}
	if (!end) {
		set_word(l, MY_WORD_BAD, l->at, l->at);
		return;
	}
	while (is_plain(*end))
		end++;
	if (end > p) {
		set_word(l, MY_WORD_PLAIN, p, end);
		return;
	}
	set_word(l, *p ? MY_WORD_SIGN : MY_WORD_END, p, *p ? p + 1 : p);
	if (*p == ')' && l->depth)
		l->depth--;
}

bool my_lex_is(const struct my_lex *l, const char *keyword)
{
	return l->kind == MY_WORD_PLAIN && strlen(keyword) == l->n && !strncasecmp(l->p, keyword, l->n);
}

bool my_lex_sign(const struct my_lex *l, char c) { return l->kind == MY_WORD_SIGN && *l->p == c; }

bool my_lex_name(const struct my_lex *l) { return l->kind == MY_WORD_PLAIN || l->kind == MY_WORD_NAME; }

char *my_lex_unquoted(const struct my_lex *l)
{
	struct buf b = BUF_INIT;

	if (l->kind != MY_WORD_NAME)
		return xstrndup(l->p, l->n);
	buf_puts(&b, "");
	for (const char *p = l->p + 1, *end = l->p + l->n - 1; p < end; p++) {
		buf_putc(&b, *p);
		p += *p == *l->p; /* doubled */
	}
	return buf_detach(&b);
}

bool my_lex_named(const struct my_lex *l, const char *name)
{
	if (!my_lex_name(l))
		return false;
	CLEANUP(cstr_release) char *own = my_lex_unquoted(l);

	return !strcmp(own, name);
}

void my_edit_put(struct my_edit *e, const char *from, const char *to, const char *instead)
{
	buf_put(&e->out, e->done, (size_t)(from - e->done));
	buf_puts(&e->out, instead);
	e->done = to;
}

char *my_edit_end(struct my_edit *e)
{
	buf_puts(&e->out, e->done);
	return buf_detach(&e->out);
}
