#include "util/error.h"

#include <errno.h>

static const struct {
	const char *name, *text;
	int exit;
} table[] = {
#define STATUS_ROW(code, exit, text) [code] = {#code, text, exit},
	STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

static void replace_text(struct error *err, char *text)
{
	free(err->text);
	err->text = text;
}

enum status error_set(struct error *err, enum status code, const char *fmt, ...)
{
	va_list ap;

	error_release(err);
	err->code = code;
	va_start(ap, fmt);
	err->text = xvasprintf(fmt, ap);
	va_end(ap);
	return code;
}

static enum status from_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return ST_NO_SPACE;
	case EACCES:
	case EPERM:
	case EROFS:
		return ST_DENIED;
	case ENOENT:
		return ST_NOT_FOUND;
	default:
		return ST_IO;
	}
}

enum status error_errno(struct error *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	char *what;

	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	const char *why = strerrordesc_np(errnum);
	error_set(err, from_errno(errnum), "%s: %s", what, why ? why : "unknown error");
	free(what);
	if (strerrorname_np(errnum))
		error_native(err, strerrorname_np(errnum));
	return err->code;
}

enum status error_add(struct error *err, const char *fmt, ...)
{
	va_list ap;
	char *context;

	va_start(ap, fmt);
	context = xvasprintf(fmt, ap);
	va_end(ap);
	replace_text(err, xasprintf("%s: %s", context, error_text(err)));
	free(context);
	return err->code;
}

enum status error_hint(struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *hint = xvasprintf(fmt, ap);
	va_end(ap);
	free(err->hint);
	err->hint = hint;
	return err->code;
}

void error_native(struct error *err, const char *native)
{
	snprintf(err->native, sizeof err->native, "%s", native);
}

enum status error_move(struct error *to, struct error *from)
{
	if (to != from) {
		error_release(to);
		*to = *from;
		*from = (struct error)ERROR_INIT;
	}
	return to->code;
}

enum status error_copy(struct error *to, const struct error *from)
{
	error_release(to);
	if (!from->code)
		return ST_OK;
	error_set(to, from->code, "%s", error_text(from));
	error_native(to, from->native);
	to->retry = from->retry;
	to->exit_signal = from->exit_signal;
	return from->hint ? error_hint(to, "%s", from->hint) : to->code;
}

void error_keep_first(struct error *to, struct error *from)
{
	bool free_place = to->code == ST_OK || (to->code == ST_CANCELLED && from->code != ST_OK);

	if (free_place)
		error_move(to, from);
	else
		error_release(from);
}

void error_release(struct error *err)
{
	free(err->text);
	free(err->hint);
	*err = (struct error)ERROR_INIT;
}

const char *error_text(const struct error *err) { return err->text ? err->text : ""; }
int status_exit(enum status code) { return table[code].exit; }
const char *status_text(enum status code) { return table[code].text; }
const char *status_name(enum status code) { return table[code].name + strlen("ST_"); }
