/* The format of AWS' shared files: [sections], "key = value" lines, comments, and indented lines below a key that has no value, which
 * are read as "key.subkey". */
#ifndef STORAGE_S3_INI_H
#define STORAGE_S3_INI_H

#include "util/buf.h"
#include "util/error.h"

struct ini_line {
	char *section, *key, *value; /* section and value may be ""; the key is lower case */
};
struct ini {
	struct ini_line *line;
	size_t len, cap;
	struct strlist sections; /* also those without a line */
};
#define INI_INIT {0}
/* ST_CONFIG names what and the line's number, never what is in it. Sections "profile x" and "x" are kept as they are written, with one
 * blank between the words and without quotes. */
enum status ini_parse(const char *text, size_t n, const char *what, struct ini *to, struct error *err) MUST_CHECK;
/* The last value given; NULL: none. Borrowed. */
const char *ini_get(const struct ini *ini, const char *section, const char *key);
void ini_release(struct ini *ini); /* overwrites the values */

#endif
