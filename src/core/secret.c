#include "core/secret.h"

#include <ctype.h>

#include "util/process.h"

enum { SECRET_MAX = 64 * 1024 };

bool secret_set(const struct secret *s) { return s->value || s->file || s->command; }

void secret_text_release(char **text)
{
	if (*text)
		secure_zero(*text, strlen(*text));
	cstr_release(text);
}

void secret_release(struct secret *s)
{
	secret_text_release(&s->value);
	cstr_release(&s->file);
	cstr_release(&s->command);
}

struct secret secret_copy(const struct secret *s)
{
	return (struct secret){
		.value = s->value ? xstrdup(s->value) : NULL,
		.file = s->file ? xstrdup(s->file) : NULL,
		.command = s->command ? xstrdup(s->command) : NULL,
	};
}

void wiped_release(struct buf *b)
{
	if (b->data)
		secure_zero(b->data, b->cap);
	buf_release(b);
}

static enum status first_line(const struct buf *b, char **to, struct error *err)
{
	const char *text = buf_str(b);
	size_t n = strcspn(text, "\r\n");

	if (!n)
		return error_set(err, ST_CONFIG, "the first line is empty");
	if (strlen(text) < b->len && strlen(text) <= n)
		return error_set(err, ST_CONFIG, "the first line holds a zero byte");
	*to = xstrndup(text, n);
	return ST_OK;
}

static enum status read_file(const char *path, struct buf *to, struct error *err)
{
	/* The most that a secret can need; more is another file than was meant. */
	buf_reserve(to, SECRET_MAX);
	if (fs_read_file(path, SECRET_MAX, to, err)) {
		/* "Nothing matches" is the answer to another question. */
		err->code = err->code == ST_NOT_FOUND ? ST_CONFIG : err->code;
		return error_add(err, "secret");
	}
	return ST_OK;
}

enum status command_words(const char *text, struct strlist *to, struct error *err)
{
	CLEANUP(buf_release) struct buf word = BUF_INIT;
	bool in_word = false;
	char quote = 0;

	for (const char *s = text; *s; s++) {
		if (*s == '\\' && quote != '\'' && s[1]) {
			buf_putc(&word, *++s);
			in_word = true;
		} else if (quote ? *s == quote : *s == '\'' || *s == '"') {
			quote = quote ? 0 : *s;
			in_word = true;
		} else if (!quote && isspace((unsigned char)*s)) {
			if (in_word)
				strlist_take(to, buf_detach(&word));
			in_word = false;
		} else {
			buf_putc(&word, *s);
			in_word = true;
		}
	}
	if (quote)
		return error_set(err, ST_CONFIG, "a quote is not closed");
	if (in_word)
		strlist_take(to, buf_detach(&word));
	if (!to->len)
		return error_set(err, ST_CONFIG, "the command is empty");
	return ST_OK;
}

static enum status run_command(struct run *run, const char *command, struct buf *to, struct error *err)
{
	CLEANUP(strlist_release) struct strlist words = STRLIST_INIT;

	if (command_words(command, &words, err))
		return error_add(err, "secret: command");
	const char **argv = xcalloc(words.len + 1, sizeof(*argv));

	for (size_t i = 0; i < words.len; i++)
		argv[i] = words.item[i];
	struct process_spec spec = {.argv = argv, .in = -1, .out = -1};
	struct run limited = run_within(run, DURATION_SECONDS(60));

	buf_reserve(to, SECRET_MAX);
	enum status st = process_capture(&limited, &spec, SECRET_MAX, to, err);

	if (st)
		error_add(err, "secret: command %s", argv[0]);
	free(argv);
	return st;
}

enum status secret_read_all(struct run *run, const struct secret *s, struct buf *to, struct error *err)
{
	if (s->value)
		buf_puts(to, s->value);
	else if (s->file)
		return read_file(s->file, to, err);
	else if (s->command)
		return run_command(run, s->command, to, err);
	return ST_OK;
}

enum status secret_read(struct run *run, const struct secret *s, char **to, struct error *err)
{
	CLEANUP(wiped_release) struct buf text = BUF_INIT;

	*to = NULL;
	if (s->value)
		*to = xstrdup(s->value);
	if (s->value || !secret_set(s))
		return ST_OK;
	if (secret_read_all(run, s, &text, err))
		return err->code;
	if (!first_line(&text, to, err))
		return ST_OK;
	return s->file ? error_add(err, "secret: %s", s->file) : error_add(err, "secret: command");
}

static bool secret_param(const char *key, size_t n)
{
	static const char *const names[] = {"password", "secret", "token", "key", "passfile", "credential", "signature"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t m = strlen(names[i]);

		for (size_t at = 0; at + m <= n; at++)
			if (!strncasecmp(key + at, names[i], m))
				return true;
	}
	return false;
}

char *url_without_secrets(const char *url)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const char *s = strstr(url, "://");

	if (!s)
		return xstrdup(url);
	s += 3;
	buf_put(&b, url, (size_t)(s - url));
	/* A password may hold '/' or '?' where somebody forgot to encode it: the last @ before the end of the authority, or of all
	 * where the authority has none, ends it. */
	size_t authority = strcspn(s, "/?#");
	const char *at = memrchr(s, '@', authority);

	if (!at && memchr(s, ':', authority))
		at = strrchr(s, '@');
	if (at) {
		const char *colon = memchr(s, ':', (size_t)(at - s));

		buf_put(&b, s, (size_t)((colon ? colon : at) - s));
		s = at;
	}
	const char *query = strchr(s, '?');

	buf_put(&b, s, query ? (size_t)(query - s) : strlen(s));
	for (char mark = '?'; query; mark = '&') {
		const char *part = query + 1;
		size_t n = strcspn(part, "&#"), key = min_size(n, strcspn(part, "="));

		if (key == n || !secret_param(part, key))
			buf_printf(&b, "%c%.*s", mark, (int)n, part);
		else
			buf_printf(&b, "%c%.*s=", mark, (int)key, part);
		query = part[n] == '&' ? part + n : NULL;
	}
	return buf_detach(&b);
}
