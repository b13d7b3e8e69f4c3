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
	char *sql_mode, *charset, *collation, *db_collation; /* under which it was made; NULL where the kind has none. Of the database
							      * db_collation is its own. */
	char *time_zone;    /* event */
	char *status;       /* event: ENABLED, DISABLED, SLAVESIDE_DISABLED */
	char *definer;      /* "app@%"; NULL where the kind has none */
	char *table;        /* trigger: on which */
	char *next;         /* sequence: arguments of SETVAL after the name, "1001, 0, 0"; NULL in objects read without values */
	bool invalid;       /* view: what it needs is not there, so that it cannot be made */
};
#define MY_OBJECT_INIT {.kind = OBJECT_DATABASE}
void my_object_release(struct my_object *o);
struct my_object my_object_copy(const struct my_object *o);
json_t *my_object_json(const struct my_object *o);
enum status my_object_from_json(const json_t *j, struct my_object *o, struct error *err) MUST_CHECK;

typedef enum status my_object_fn(void *ctx, const struct my_object *o, struct error *err);
/* All objects of a database, in the order of the kinds, tables and views by name, triggers of an event in their order. Statements do not
 * hold the database's own name where the server can do without. An object whose definition may not be read (a NULL body, a right that
 * lacks) is an error that names the right, as is a right without which objects would not be seen. A view that is invalid on the server is
 * given with a note. What was dropped meanwhile is an error with retry. The session's default database is the same afterwards. */
enum status my_objects_each(struct run *run, struct my_conn *c, const char *database, struct notes *notes, my_object_fn *fn, void *ctx,
			 struct error *err) MUST_CHECK;
/* Of the sequences only; the same values as above, read again. */
enum status my_sequences_each(struct run *run, struct my_conn *c, const char *database, my_object_fn *fn, void *ctx,
			      struct error *err) MUST_CHECK;
/* The same from the lines of an archive. */
enum status my_objects_parse(const char *text, size_t n, my_object_fn *fn, void *ctx, struct error *err) MUST_CHECK;

/* The statement to make an object by: events as DISABLED. Owned by the caller. */
char *my_object_sql(const struct my_object *o);
/* "app@%" of my_object.definer in two; host "" of a role. Both owned. */
void my_text_account(const char *definer, char **name, char **host);

/* Makes an object in the default database of the session, under its own settings; the session's own are put back. `sql` NULL:
 * my_object_sql. A database is made by o->sql or sql as it is. An event whose time is over is not made by the server:
 * my_event_status notes it. */
enum status my_object_make(struct run *run, struct my_conn *c, const struct my_object *o, const char *sql, struct error *err) MUST_CHECK;
/* Views in the order that they need, found by rounds, in the place of those that are there. Those that are invalid in the archive and fail here
 * too are noted. */
enum status my_views_make(struct run *run, struct my_conn *c, const struct my_object *const *view, size_t n,
			  struct notes *notes, struct error *err) MUST_CHECK;
/* The recorded status of an event that was made. */
enum status my_event_status(struct run *run, struct my_conn *c, const struct my_object *o, struct notes *notes,
			    struct error *err) MUST_CHECK;
/* SELECT SETVAL of a sequence; "" where it has no value. */
void my_object_value_sql(const struct my_object *o, struct buf *sql);

/* The same as text for the stock client (DELIMITER and all), for a file of SQL in utf8mb4. `sql` NULL: my_object_sql.
 * db_collation: of the database, so that objects made under another get theirs; NULL: all are taken to be made under it. */
void my_object_script(const struct my_object *o, const char *sql, struct buf *to);
void my_object_script_in(const struct my_object *o, const char *sql, const char *db_collation, struct buf *to);
/* ALTER EVENT with the recorded status, for the end of such a file; nothing where it is DISABLED. */
void my_event_status_script(const struct my_object *o, struct buf *to);

#endif
