#include "core/log.h"

#include <errno.h>
#include <unistd.h>

#include "util/json.h"
#include "util/thread.h"
#include "util/utf8.h"

static struct log_config config = {.level = LOG_INFO};
static bool terminal;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the hook, and keeps lines whole */
static struct {
	void (*before)(void *), (*after)(void *);
	void *ctx;
} hook;

static const char *const level_name[] = {"error", "warning", "info", "debug"};
static const char *const level_color[] = {"\033[31m", "\033[33m", "", "\033[2m"};

void log_setup(const struct log_config *c)
{
	const char *term = getenv("TERM");

	config = *c;
	terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

bool log_enabled(enum log_level level) { return level <= config.level; }
enum log_format log_format_now(void) { return config.format; }
bool log_to_terminal(void) { return terminal; }

void log_set_hook(void (*before)(void *), void (*after)(void *), void *ctx)
{
	mutex_lock(&mutex);
	hook.before = before;
	hook.after = after;
	hook.ctx = ctx;
	mutex_unlock(&mutex);
}

void log_visible(struct buf *to, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		uint32_t c = 0;
		size_t n = utf8_character(s, &c);

		if (!n)
			buf_printf(to, "\\x%02x", *s);
		else if (c == '\n' || c == '\t' || c == '\r')
			buf_printf(to, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
		else if (c < 0x20 || c == 0x7f)
			buf_printf(to, "\\x%02x", c);
		else if ((c >= 0x80 && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
			 (c >= 0x2066 && c <= 0x2069))
			buf_printf(to, "\\u{%04x}", c);
		else
			buf_put(to, s, n);
		s += n ? n : 1;
	}
}

static void write_line(const struct buf *b)
{
	mutex_lock(&mutex);
	if (hook.before)
		hook.before(hook.ctx);
	for (size_t done = 0; done < b->len;) {
		ssize_t n = write(STDERR_FILENO, b->data + done, b->len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	if (hook.after)
		hook.after(hook.ctx);
	mutex_unlock(&mutex);
}

/* The lines of a text, each made visible; those after the first are indented, so that none can pass for a line of its own. */
static void put_lines(struct buf *b, const char *text)
{
	for (const char *s = text;; s++) {
		size_t n = strcspn(s, "\n");
		char *part = xstrndup(s, n);

		log_visible(b, part);
		free(part);
		s += n;
		if (!*s || !s[1])
			break;
		buf_puts(b, "\n    ");
	}
	buf_putc(b, '\n');
}

static void text_line(struct run *run, enum log_level level, const char *source, const char *text)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	char when[INSTANT_TEXT];

	if (!terminal)
		buf_printf(&b, "%s ", instant_iso(run_now(run), when));
	if (level != LOG_INFO || !terminal)
		buf_printf(&b, "%s%s%s: ", config.color ? level_color[level] : "", level_name[level],
			   config.color && *level_color[level] ? "\033[0m" : "");
	if (source)
		buf_printf(&b, "%s: ", source);
	put_lines(&b, text);
	write_line(&b);
}

static void json_line(struct run *run, enum log_level level, const struct run *fields, json_t *members)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *o = json_object();
	char when[INSTANT_TEXT];

	js_set_str(o, "time", instant_iso(run_now(run), when));
	js_set_str(o, "level", level_name[level]);
	if (fields) {
		js_set_str(o, "run_id", fields->run_id);
		js_set_str(o, "source", fields->source);
		js_set_str(o, "backup", fields->backup);
		js_set_str(o, "step", fields->step);
	}
	json_object_update(o, members);
	js_write(o, false, &b);
	buf_putc(&b, '\n');
	write_line(&b);
}

/* The clock of the run, where there is one: a log line may come before any run. */
static struct run clock_of(const struct run *run)
{
	struct run r = RUN_INIT;

	r.clock = run ? run->clock : NULL;
	return r;
}

void log_line(const struct run *run, enum log_level level, const char *fmt, ...)
{
	struct run r = clock_of(run);
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	char *text = xvasprintf(fmt, ap);

	va_end(ap);
	if (config.format == LOG_JSON) {
		CLEANUP(js_decref) json_t *o = json_object();

		js_set_str(o, "message", text);
		json_line(&r, level, run, o);
	} else {
		text_line(&r, level, run ? run->source : NULL, text);
	}
	free(text);
}

void log_error(const struct run *run, const struct error *err)
{
	struct run r = clock_of(run);

	if (!log_enabled(LOG_ERROR))
		return;
	if (config.format == LOG_JSON) {
		CLEANUP(js_decref) json_t *o = json_object();

		js_set_str(o, "message", error_text(err));
		js_set_str(o, "hint", err->hint);
		js_set_str(o, "code", status_name(err->code));
		js_set_str(o, "native", *err->native ? err->native : NULL);
		json_line(&r, LOG_ERROR, run, o);
		return;
	}
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	buf_puts(&b, error_text(err));
	if (err->hint)
		buf_printf(&b, "\n%s", err->hint);
	text_line(&r, LOG_ERROR, run ? run->source : NULL, buf_str(&b));
}
