/* Names and values as SQL text. */
#ifndef DRIVERS_MYSQL_QUOTE_H
#define DRIVERS_MYSQL_QUOTE_H

#include "util/buf.h"

void my_sql_ident(struct buf *to, const char *name);                       /* `quoted` */
void my_sql_name(struct buf *to, const char *database, const char *name);  /* `database`.`name`; database NULL: only the name */
void my_sql_literal(struct buf *to, const char *text);                     /* 'quoted', right under every sql_mode: hex where it has a backslash */
void my_sql_literal_n(struct buf *to, const void *p, size_t n);            /* the same: UTF-8 text, which may hold NUL */
/* _binary '...': bytes that go into a column as they are, whatever its type and character set (not MySQL's JSON, not BIT, not GEOMETRY). */
void my_sql_bytes(struct buf *to, const void *p, size_t n);
/* As people write it: DATABASE.TABLE with double quotes only where needed. */
void my_sql_shown(struct buf *to, const char *name);

/* "a, b, c" for a hint: the first twenty, "none" where there is none. */
void my_put_names(struct buf *to, const struct strlist *names);

#endif
