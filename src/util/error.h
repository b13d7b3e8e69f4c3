/* The one way to fail: a function that can returns enum status and takes struct error *err last.
 *
 * err is never NULL, belongs to one thread and is moved, never shared. On success it is untouched. The callee
 * sets it once (error_set, error_errno); each level above may add context with error_add and pass the code on:
 *
 *	if (fs_mkdirs(path, 0700, err))
 *		return error_add(err, "store %s", name);
 *
 * Texts are lower case, without a final dot, and name the thing; a hint is a full sentence that says what to do.
 * Only main prints. No secret ever enters a text. */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include "util/base.h"

/* code, exit status, text for the manual. Exit 130/143 of CANCELLED is chosen by main from the signal. */
#define STATUS_TABLE(_)                                                                        \
	_(ST_OK, 0, "done")                                                                    \
	_(ST_FAILED, 1, "failed")                                                              \
	_(ST_USAGE, 2, "wrong use of the command line")                                        \
	_(ST_CONFIG, 2, "wrong or missing configuration")                                      \
	_(ST_INCOMPLETE, 3, "some sources or stores failed, or a backup is suspect")           \
	_(ST_BAD, 4, "the backup is bad or differs from what it should be")                    \
	_(ST_NOT_FOUND, 5, "nothing matches")                                                  \
	_(ST_LOCKED, 6, "another run holds the lock")                                          \
	_(ST_REFUSED, 7, "refused for safety")                                                 \
	_(ST_CANCELLED, 130, "interrupted")                                                    \
	_(ST_DEADLINE, 1, "a time limit was reached")                                          \
	_(ST_IO, 1, "input or output failed")                                                  \
	_(ST_NO_SPACE, 1, "no room left")                                                      \
	_(ST_MEMORY, 1, "the memory budget is used up")                                        \
	_(ST_UNREACHABLE, 1, "a server or store does not answer")                              \
	_(ST_DENIED, 1, "a right is missing")                                                  \
	_(ST_AUTH, 1, "login refused")                                                         \
	_(ST_TLS, 1, "no trusted connection")                                                  \
	_(ST_SERVER, 1, "the database server reported an error")                               \
	_(ST_PRECONDITION, 1, "the object was changed by somebody else")                       \
	_(ST_RETAINED, 1, "the object is under retention")                                     \
	_(ST_UNSUPPORTED, 1, "not possible with this server, version or format")

enum status {
#define STATUS_ENUM(code, exit, text) code,
	STATUS_TABLE(STATUS_ENUM)
#undef STATUS_ENUM
};

struct error {
	enum status code;
	bool retry;       /* the same call may succeed later */
	int exit_signal;  /* CANCELLED: the signal that did it, or 0 */
	char native[16];  /* SQLSTATE, errno name, HTTP status; "" if none */
	char *text;       /* owned; NULL on success */
	char *hint;       /* owned; a full sentence, or NULL */
};
#define ERROR_INIT {0}

/* Sets code and text (a text already there is replaced). Returns code. */
enum status error_set(struct error *err, enum status code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As error_set with ": <strerror>" appended; the code is made from errnum: ENOSPC, EDQUOT -> NO_SPACE, EACCES, EPERM,
 * EROFS -> DENIED, ENOENT -> NOT_FOUND, else IO. */
enum status error_errno(struct error *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "<context>: " before the text. Returns the code. */
enum status error_add(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Sets the hint; returns the code. */
enum status error_hint(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_native(struct error *err, const char *native);
/* Moves from into to (releasing what to held); from is _INIT afterwards. Returns to->code. */
enum status error_move(struct error *to, struct error *from);
/* Sets to to all that from says, which stays: each thread's error is its own. Returns to->code. */
enum status error_copy(struct error *to, const struct error *from);
/* Keeps the first error that is not CANCELLED: moves `from` into `to` where `to` is OK or CANCELLED, else drops `from`. */
void error_keep_first(struct error *to, struct error *from);
void error_release(struct error *err);
/* "" for success, never NULL. */
const char *error_text(const struct error *err);

int status_exit(enum status code);
const char *status_text(enum status code); /* the sentence of the table */
const char *status_name(enum status code); /* "NOT_FOUND" */

#endif
