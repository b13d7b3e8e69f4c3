/* What the archive records of a table (dump_object.facts), written by the dump and read by load and digest. */
#ifndef DRIVERS_MYSQL_FACTS_H
#define DRIVERS_MYSQL_FACTS_H

#include "drivers/mysql/conn.h"

/* A column in dump order. Generated columns are not among them, invisible ones are. */
struct my_facts_column {
	char *name;
	char *read;  /* expression of the SELECT where it is not the column itself: CAST(`f` AS DOUBLE), HEX(`g`), `e`+0; NULL */
	char *load;  /* expression in which @ stands for the text of the field: UNHEX(@), CAST(@ AS UNSIGNED); NULL: the field itself */
};
struct my_facts_table {
	char *table;
	struct my_facts_column *column;
	size_t columns;
	bool history;      /* system-versioned: rows of all times, the last two columns are the borders of their time */
	bool transactional; /* false: the rows are not of one moment */
};
json_t *my_facts_json(const struct my_facts_table *t); /* owned by the caller */
enum status my_facts_read(const json_t *j, struct my_facts_table *t, struct error *err) MUST_CHECK;
void my_facts_release(struct my_facts_table *t);

/* "SELECT ... FROM `database`.`table`" with FOR SYSTEM_TIME ALL where history is. */
void my_facts_select(const struct my_facts_table *t, const char *database, const char *table, struct buf *sql);
/* "LOAD DATA LOCAL INFILE 'rows' INTO TABLE ..." of the row format below. database NULL: the default one. */
void my_facts_load(const struct my_facts_table *t, const char *database, const char *table, struct buf *sql);

/* ---- a row as text ----
 * Fields between tabs, a newline at the end; in fields NUL, tab, newline and backslash are \0 \t \n \\, and null is \N: what LOAD DATA
 * with CHARACTER SET binary and its default FIELDS and LINES reads. All other bytes stand for themselves. */
void my_row_text(struct buf *to, char *const *field, const unsigned long *len, unsigned fields); /* to is emptied first */
/* The other way, for INSERT: the next field of a row, unescaped into to; *null. false: the row is at its end. ST_BAD on what my_row_text
 * never writes. */
struct my_row_reader {
	const char *at, *end;
	bool done;
};
bool my_row_field(struct my_row_reader *r, struct buf *to, bool *null, struct error *err);

#endif
