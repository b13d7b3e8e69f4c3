#include "commands/command.h"

#include <errno.h>
#include <unistd.h>

#include "core/log.h"

void out_text(const char *text) { fputs(text, stdout); }

void out_printf(const char *fmt, ...)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT, shown = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	for (const char *s = buf_str(&text); *s;) {
		size_t n = strcspn(s, "\n");
		CLEANUP(cstr_release) char *line = xstrndup(s, n);

		log_visible(&shown, line);
		if (s[n])
			buf_putc(&shown, '\n');
		s += n + (s[n] == '\n');
	}
	out_text(buf_str(&shown));
}

void out_json(const json_t *j)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	js_write(j, true, &b);
	if (!b.len || b.data[b.len - 1] != '\n')
		buf_putc(&b, '\n');
	out_text(buf_str(&b));
}

enum status out_flush(struct error *err)
{
	bool failed = ferror(stdout);

	if (fflush(stdout) || failed)
		return error_errno(err, errno ? errno : EIO, "standard output");
	return ST_OK;
}

/* One line: what has several is joined. Programs put tabs into their messages. */
static void put_joined(struct buf *b, const char *text)
{
	CLEANUP(buf_release) struct buf joined = BUF_INIT;

	for (const char *s = text; *s; s++) {
		if (*s != '\n')
			buf_putc(&joined, (char)(*s == '\t' ? ' ' : *s));
		else if (s[1])
			buf_puts(&joined, " | ");
	}
	log_visible(b, buf_str(&joined));
}

/* Lines after the first are indented, so that none can pass for a message of its own. */
static void put_indented(struct buf *b, const char *text, const char *indent)
{
	for (const char *s = text; *s;) {
		size_t n = strcspn(s, "\n");
		CLEANUP(cstr_release) char *line = xstrndup(s, n);

		if (s != text)
			buf_puts(b, indent);
		for (char *tab = line; (tab = strchr(tab, '\t'));)
			*tab = ' ';
		log_visible(b, line);
		buf_putc(b, '\n');
		s += n + (s[n] == '\n');
	}
}

static void to_stderr(const struct buf *b)
{
	for (size_t done = 0; done < b->len;) {
		ssize_t n = write(STDERR_FILENO, b->data + done, b->len - done);

		if (n < 0 && errno != EINTR)
			return;
		done += n > 0 ? (size_t)n : 0;
	}
}

bool out_names(const char *text, const char *what)
{
	static const char *const before[] = {"", "source ", "store ", "backup "};

	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		size_t n = strlen(before[i]);

		if (!strncmp(text, before[i], n) && !strncmp(text + n, what, strlen(what)))
			return true;
	}
	return false;
}

void out_error(const struct cli *cli, const char *source, const char *next, const struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const char *hint = err->hint ? err->hint : next;

	if (log_format_now() == LOG_JSON) {
		struct run run = *cli->run;

		run.source = source;
		log_error(&run, err);
		return;
	}
	buf_puts(&b, "drtool: ");
	if (!cli->p.quiet)
		buf_puts(&b, "error: ");
	if (source && !out_names(error_text(err), source))
		buf_printf(&b, "%s: ", source);
	if (cli->p.quiet) {
		put_joined(&b, error_text(err));
		if (hint)
			buf_puts(&b, strchr(".!?", b.data[b.len - 1]) ? " " : ". ");
		put_joined(&b, hint ? hint : "");
		buf_putc(&b, '\n');
	} else {
		put_indented(&b, error_text(err), "    ");
		if (hint)
			buf_puts(&b, "    ");
		put_indented(&b, hint ? hint : "", "    ");
	}
	to_stderr(&b);
}

static void show_note(void *ctx, bool warning, const char *text)
{
	const struct cli *cli = ctx;

	log_line(cli->run, warning ? LOG_WARN : LOG_INFO, "%s", text);
}

void out_notes(struct cli *cli)
{
	notes_each(cli->env.notes, show_note, cli);
	notes_freep(&cli->env.notes);
	cli->env.notes = notes_new();
}
