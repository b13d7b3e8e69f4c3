/* ${NAME} in texts, and the env_file of Compose. Private to core. */
#ifndef CORE_EXPAND_H
#define CORE_EXPAND_H

#include "util/buf.h"
#include "util/error.h"

struct expand_env {
	const char *(*get)(void *ctx, const char *name); /* NULL: not set; "" counts as empty */
	void *ctx;
};
/* Replaces ${NAME} and ${NAME:-default}; "$${" stands for "${", every other '$' for itself. Inside the user part of a URL written
 * out in the text the values are percent-encoded. Appends to `to`. ST_CONFIG where a variable is not set or a brace not closed. */
enum status expand_text(const char *text, const struct expand_env *env, struct buf *to, struct error *err) MUST_CHECK;

/* As Compose reads it: NAME=value, export, comments, single quotes (literal), double quotes (escapes, variables), values over
 * several lines inside quotes. Each pair is given to fn in order; env sees what the caller makes visible. Errors begin with
 * "<name>:<line>: ". */
struct env_file_spec {
	const char *name;
	const struct expand_env *env;
	void (*fn)(void *ctx, const char *name, const char *value,
		   unsigned line); /* value NULL: "NAME" alone, which hands the outer one on */
	void *ctx;
};
enum status env_file_parse(const struct env_file_spec *spec, const char *text, struct error *err) MUST_CHECK;

#endif
