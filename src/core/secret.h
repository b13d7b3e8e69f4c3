/* A secret that is read again each time it is needed, so that rotation needs no restart. */
#ifndef CORE_SECRET_H
#define CORE_SECRET_H

#include "util/buf.h"
#include "util/run.h"

/* One of: value (config, URL or environment), file, command. */
struct secret {
	char *value;   /* owned, overwritten on release */
	char *file;    /* first line of this file */
	char *command; /* first line of this command's stdout; split at spaces with quotes, no shell */
};
#define SECRET_INIT {0}
bool secret_set(const struct secret *s);
/* The secret now, in *to (owned, release with secret_text_release); *to NULL where none is set. */
enum status secret_read(struct run *run, const struct secret *s, char **to, struct error *err) MUST_CHECK;
/* All of it, for a secret of several lines: appended to `to`, which the caller wipes. At most 64 KiB. */
struct buf;
enum status secret_read_all(struct run *run, const struct secret *s, struct buf *to, struct error *err) MUST_CHECK;
void secret_text_release(char **text); /* overwrites and frees */
void wiped_release(struct buf *b); /* as buf_release, and overwrites first */
void secret_release(struct secret *s);
struct secret secret_copy(const struct secret *s);
/* The words of a command line, appended: split at blanks; quotes of either kind keep blanks, a backslash outside single quotes keeps the next byte.
 * ST_CONFIG where there are none or a quote is open. */
enum status command_words(const char *text, struct strlist *to, struct error *err) MUST_CHECK;
/* A URL with its password (user:PASSWORD@) and secret query values replaced by nothing, for messages and manifests. Owned. */
char *url_without_secrets(const char *url);

#endif
