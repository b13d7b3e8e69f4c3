/* Names as people write them on the command line. */
#ifndef OPS_NAMES_H
#define OPS_NAMES_H

#include "util/buf.h"
#include "util/error.h"

/* Number of parts divided by dots outside double quotes. */
size_t name_parts(const char *name);
/* What follows the first such dot, borrowed; NULL where there is one part. */
const char *name_after_first_part(const char *name);
/* The first part with its quotes taken away (a doubled one is one); owned by the caller. */
char *name_first_part(const char *name);
/* OLD=NEW; both owned by the caller. */
enum status name_pair(const char *text, char **from, char **to, struct error *err) MUST_CHECK;

/* What to say of a database of the server that no source covers: a copy that a restore left beside is known by its name. */
char *uncovered_text(const char *database);

#endif
