#include "drivers/mysql/load.h"

#define MAX_FILE ((size_t)256 * 1024 * 1024)

/* ---- files of the archive ---- */

static enum status file_write(void *ctx, const void *p, size_t n, struct error *err)
{
	struct buf *to = ctx;

	if (to->len + n > MAX_FILE)
		return error_set(err, ST_BAD, "a file of the archive is larger than %zu bytes", MAX_FILE);
	buf_put(to, p, n);
	return ST_OK;
}

enum status my_load_file(const struct load_request *q, const char *scope, const char *path, struct buf *to, bool *found,
			 struct error *err)
{
	const struct recorded *r = q->recorded;
	enum status st = r->file(r->ctx, scope, path, (struct byte_sink){.write = file_write, .ctx = to}, err);

	*found = st == ST_OK;
	if (st == ST_NOT_FOUND) {
		error_release(err);
		return ST_OK;
	}
	return st;
}

/* ---- words of a statement as SHOW CREATE writes it ---- */

/* The end of what is quoted at p: behind the closing quote, or the end of the text. */
static const char *after_quoted(const char *p)
{
	char quote = *p++;

	for (; *p; p++) {
		if (*p == '\\' && quote != '`' && p[1])
			p++;
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
	}
	return p;
}

static bool is_quote(char c) { return c == '`' || c == '\'' || c == '"'; }

/* The next place from p on, outside of quotes, that begins with word; NULL. */
static const char *find_word(const char *p, const char *word)
{
	size_t n = strlen(word);

	while (*p) {
		if (!strncmp(p, word, n))
			return p;
		p = is_quote(*p) ? after_quoted(p) : p + 1;
	}
	return NULL;
}

/* A quoted name at *p, which moves behind it; NULL where there is none. Owned by the caller. */
static char *take_name(const char **p)
{
	const char *from = *p;
	struct buf name = BUF_INIT;

	if (*from != '`' && *from != '"')
		return NULL;
	const char *end = after_quoted(from);
	for (const char *at = from + 1; at < end - 1; at++) {
		buf_putc(&name, *at);
		if (*at == *from)
			at++;
	}
	*p = end;
	return buf_detach(&name);
}

/* ---- sequences in defaults: the server writes them with their database ---- */

/* Behind the bracket of the next function of a sequence. */
static const char *next_use(const char *p)
{
	static const char *const words[] = {"nextval(", "lastval("};
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *at = find_word(p, words[i]);

		if (at && (!first || at + strlen(words[i]) < first))
			first = at + strlen(words[i]);
	}
	return first;
}

bool my_text_uses_sequence(const char *create, const char *database, const char *sequence)
{
	for (const char *use = next_use(create); use; use = next_use(use)) {
		CLEANUP(cstr_release) char *first = take_name(&use);
		CLEANUP(cstr_release) char *second = NULL;

		if (first && *use == '.') {
			use++;
			second = take_name(&use);
		}
		if (first && !strcmp(second ? second : first, sequence) && (!second || !strcmp(first, database)))
			return true;
	}
	return false;
}

/* ---- names in other places ---- */

bool my_text_references(const char *constraint, char **database, char **table)
{
	static const char word[] = "REFERENCES ";
	const char *at = find_word(constraint, word);

	*database = *table = NULL;
	if (!at)
		return false;
	at += strlen(word);
	char *first = take_name(&at);
	if (first && *at == '.') {
		at++;
		*database = first;
		*table = take_name(&at);
	} else {
		*table = first;
	}
	return *table != NULL;
}

char *my_text_nameless_checks(const char *create)
{
	static const char word[] = "CONSTRAINT ";
	struct buf text = BUF_INIT;
	const char *at = create;

	for (const char *found = find_word(at, word); found; found = find_word(at, word)) {
		const char *end = found + strlen(word);
		CLEANUP(cstr_release) char *name = take_name(&end);
		bool check = name && !strncmp(end, " CHECK", 6);

		buf_put(&text, at, (size_t)(found - at));
		at = check ? end + 1 : found;
		if (!check) {
			buf_puts(&text, word);
			at += strlen(word);
		}
	}
	buf_puts(&text, at);
	return buf_detach(&text);
}

char *my_text_engine(const char *create)
{
	static const char word[] = " ENGINE=";
	const char *at = find_word(create, word);

	return at ? xstrndup(at + strlen(word), strcspn(at + strlen(word), " ;\n")) : NULL;
}

void my_definition_read(const char *create, const char *database, struct my_ddl_table *d)
{
	CLEANUP(cstr_release) char *own = my_ddl_unqualified(create, database);
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	my_ddl_release(d);
	if (my_ddl_split(own, d, &ignored)) {
		my_ddl_release(d);
		d->base = xstrdup(own);
	}
}
