/* Log lines to stderr, as text or one JSON object a line. Any thread. The fields of run are added: run_id, source, backup, step. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "util/buf.h"
#include "util/run.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };
struct log_config {
	enum log_level level;
	enum log_format format;
	bool color;
};
/* Called once by main before any thread. */
void log_setup(const struct log_config *c);
void log_line(const struct run *run, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
void log_error(const struct run *run, const struct error *err); /* text, hint; with code and native in JSON */
bool log_enabled(enum log_level level);
enum log_format log_format_now(void);
bool log_to_terminal(void); /* stderr is a terminal that understands \r */
/* Text with what a terminal would obey made visible: control characters, invalid UTF-8 and direction marks as \n, \t, \xNN or
 * \u{NNNN}. Names of objects come from strangers. */
void log_visible(struct buf *to, const char *text);
/* The progress bar asks the log to clear its line first; see progress.h. */
void log_set_hook(void (*before)(void *), void (*after)(void *), void *ctx);

#endif
