/* Ranges of a large table by its key: half open, their borders keys of real rows, so that they ascend in the server's own order whatever the
 * collation. Few questions to the server, each answered out of the index. */
#ifndef DRIVERS_MYSQL_RANGES_H
#define DRIVERS_MYSQL_RANGES_H

#include "drivers/mysql/conn.h"

enum my_key_kind {
	MY_KEY_OTHER,  /* compared as the server prints it, never divided */
	MY_KEY_NUMBER, /* integers */
	MY_KEY_TIME,   /* DATE, DATETIME, TIMESTAMP */
	MY_KEY_TEXT,   /* in charset; bytes where that is "binary" */
	MY_KEY_NOT,    /* no literal of it compares as the key does: the table is read in one go */
};
struct my_key_column {
	char *name, *charset;
	enum my_key_kind kind;
	bool folds; /* text: a and A are one letter, or neighbours */
};
struct my_key {
	char *index; /* its name */
	struct my_key_column *column;
	size_t columns;
};
void my_key_release(struct my_key *k);
void my_key_drop_columns(struct my_key *k);

/* Borders as conditions. Range r (from 0) has the rows from border r - 1 on that are before border r. */
struct my_ranges {
	char **from, **before; /* of each border */
	uint64_t *bytes;       /* of each range, estimated */
	size_t borders;
};
void my_ranges_release(struct my_ranges *r);
/* " WHERE ..." of a range, nothing where there is one. */
void my_ranges_where(const struct my_ranges *r, uint32_t range, struct buf *to);

struct my_ranges_wish {
	const char *from; /* what stands after FROM: the table, with index hints */
	const struct my_key *key;
	uint64_t bytes, rows; /* of the table, as the server estimates */
	uint64_t piece;       /* bytes that a range should have */
};
/* No borders where none are found: no failure. */
enum status my_ranges_find(struct run *run, struct my_conn *c, const struct my_ranges_wish *w, struct my_ranges *r, struct error *err) MUST_CHECK;

/* ---- ranges_mid.c: a value between two, as the server would print it ---- */

/* A value of a key column: text of MY_KEY_TEXT is its bytes. */
struct my_key_value {
	char *p;
	size_t n;
};
/* One that is above a and not above z, about at part/parts of the way; false: none can be told. For texts the order of bytes is only a guess
 * at the server's. */
bool my_key_between(const struct my_key_column *k, const struct my_key_value *a, const struct my_key_value *z, unsigned part,
		    unsigned parts, struct my_key_value *mid);

#endif
