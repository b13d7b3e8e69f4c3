/* What a database has besides rows, as the server's own statements. Read from a server by SHOW CREATE, kept in the archive as
 * db/<database>/objects.jsonl, one object a line in the order in which they can be made. */
#ifndef DRIVERS_MYSQL_OBJECTS_H
#define DRIVERS_MYSQL_OBJECTS_H

#include "drivers/mysql/conn.h"

#define OBJECTS_PATH "objects.jsonl"

enum object_kind {
	OBJECT_DATABASE, /* the first: character set, collation, comment */
	OBJECT_SEQUENCE, /* MariaDB; its value is in `next` */
	OBJECT_TABLE,
	OBJECT_FUNCTION,
	OBJECT_PROCEDURE,
	OBJECT_PACKAGE,
	OBJECT_PACKAGE_BODY,
	OBJECT_VIEW,
	OBJECT_TRIGGER,
	OBJECT_EVENT,
	OBJECT_KINDS,
};
const char *my_object_kind_name(enum object_kind k); /* "table", "package body" */

struct my_object {
	enum object_kind kind;
	char *name;
	char *sql;          /* of SHOW CREATE, utf8mb4 */
	char *sql_mode, *charset, *collation, *db_collation; /* under which it was made; NULL where the kind has none */
	char *time_zone;    /* event */
	char *status;       /* event: ENABLED, DISABLED, SLAVESIDE_DISABLED */
	char *definer;      /* "app@%"; NULL where the kind has none */
	char *table;        /* trigger: on which */
	char *next;         /* sequence: arguments of SETVAL after the name, "1001, 0, 0"; NULL in objects read without values */
};
void my_object_release(struct my_object *o);
json_t *my_object_json(const struct my_object *o);
enum status my_object_from_json(const json_t *j, struct my_object *o, struct error *err) MUST_CHECK;

typedef enum status my_object_fn(void *ctx, const struct my_object *o, struct error *err);
/* All objects of a database, in the order of the kinds, tables and views by name, triggers of an event in their order. An object whose definition may
 * not be read (a NULL body, a right that lacks) is an error that names the right. A view that is invalid on the server is given with its text from
 * information_schema and a note. */
enum status my_objects_each(struct run *run, struct my_conn *c, const char *database, struct notes *notes, my_object_fn *fn, void *ctx,
			 struct error *err) MUST_CHECK;
/* The same from the lines of an archive. */
enum status my_objects_parse(const char *text, size_t n, my_object_fn *fn, void *ctx, struct error *err) MUST_CHECK;

/* Makes an object in the default database of the session, under its own settings; the session's own are put back. `sql` NULL: o->sql. */
enum status my_object_make(struct run *run, struct my_conn *c, const struct my_object *o, const char *sql, struct error *err) MUST_CHECK;
/* The same as text for the stock client (DELIMITER and all), for a file of SQL. */
void my_object_script(const struct my_object *o, const char *sql, struct buf *to);

#endif
