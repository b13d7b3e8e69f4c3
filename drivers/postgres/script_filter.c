#include "drivers/postgres/schema.h"

static bool starts(const struct buf *line, const char *with)
{
	size_t n = strlen(with);

	return line->len >= n && !memcmp(line->data, with, n);
}

static bool knows(const struct strlist *known, const char *name, size_t n)
{
	for (size_t i = 0; i < known->len; i++)
		if (strlen(known->item[i]) == n && !strncmp(known->item[i], name, n))
			return true;
	return false;
}

static bool is_restrict(struct script_filter *f)
{
	const char *word = starts(&f->line, "\\restrict ")     ? f->line.data + 10
			   : starts(&f->line, "\\unrestrict ") ? f->line.data + 12
							       : NULL;

	if (!word)
		return false;
	size_t n = strcspn(word, "\n");
	if (f->line.data[1] == 'r' && !f->body && !f->token) {
		f->token = xstrndup(word, n);
		return true;
	}
	return f->token && strlen(f->token) == n && !strncmp(f->token, word, n);
}

static bool is_unknown_setting(const struct script_filter *f)
{
	if (f->body || !starts(&f->line, "SET "))
		return false;
	const char *name = f->line.data + 4;
	size_t n = strcspn(name, " =\n");

	/* Only plain "SET name = value;": SET ROLE and the like have no such form. */
	return !strncmp(name + n, " = ", 3) && !knows(f->known, name, n);
}

/* The statement ends with its options, in which no blank stands inside a value. */
static void cut_option(struct script_filter *f)
{
	static const char options[] = " WITH (connect = false", option[] = ", run_as_owner = true";
	char *at = NULL;

	if (f->server >= 160000 || !starts(&f->line, "CREATE SUBSCRIPTION "))
		return;
	for (char *next = strstr(buf_str(&f->line), options); next; next = strstr(next + 1, options))
		at = next;
	at = at ? strstr(at, option) : NULL;
	if (!at)
		return;
	size_t n = sizeof option - 1;

	memmove(at, at + n, strlen(at + n) + 1);
	f->line.len -= n;
}

static enum status take_line(struct script_filter *f, struct error *err)
{
	enum status st = ST_OK;

	if (starts(&f->line, "-- Name: "))
		f->body = true;
	cut_option(f);
	if (!is_restrict(f) && !is_unknown_setting(f))
		st = spool_write(f->to, f->line.data, f->line.len, err);
	buf_clear(&f->line);
	return st;
}

enum status script_filter_put(struct script_filter *f, const char *p, size_t n, struct error *err)
{
	while (n) {
		const char *end = memchr(p, '\n', n);
		size_t piece = end ? (size_t)(end - p) + 1 : n;

		buf_put(&f->line, p, piece);
		if (end && take_line(f, err))
			return err->code;
		p += piece;
		n -= piece;
	}
	return ST_OK;
}

enum status script_filter_end(struct script_filter *f, struct error *err) { return f->line.len ? take_line(f, err) : ST_OK; }

void script_filter_release(struct script_filter *f)
{
	buf_release(&f->line);
	cstr_release(&f->token);
}
