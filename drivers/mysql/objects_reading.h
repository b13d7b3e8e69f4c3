/* Between the files that read objects from a server. */
#ifndef DRIVERS_MYSQL_OBJECTS_READING_H
#define DRIVERS_MYSQL_OBJECTS_READING_H

#include "drivers/mysql/objects.h"

struct my_reading {
	struct run *run;
	struct my_conn *c;
	const char *database;
	struct notes *notes;
	my_object_fn *fn;
	void *ctx;
};

/* A field that may be null. Owned by the caller. */
static inline char *my_reading_copy(const char *field) { return field ? xstrdup(field) : NULL; }

/* objects_rights.c: ST_DENIED with the GRANT to paste, where the server would show this account less than there is. */
enum status my_reading_rights(struct my_reading *r, struct error *err) MUST_CHECK;
/* ST_DENIED: what of the database may not be read; grant: without " TO account". */
enum status my_reading_denied(struct my_reading *r, const char *what, const char *grant, struct error *err);

/* "SELECT columns_from WHERE column is the database order". */
enum status my_reading_list(struct my_reading *r, const char *columns_from, const char *column, const char *order, MYSQL_RES **to,
			    struct error *err) MUST_CHECK;
/* The row of SHOW CREATE. Retry where what was listed is gone. */
enum status my_reading_show(struct my_reading *r, const char *kind, const char *name, MYSQL_RES **to, MYSQL_ROW *row,
			    struct error *err) MUST_CHECK;

/* objects_programs.c */
enum status my_reading_routines(struct my_reading *r, struct error *err) MUST_CHECK;
enum status my_reading_triggers(struct my_reading *r, struct error *err) MUST_CHECK;
enum status my_reading_events(struct my_reading *r, struct error *err) MUST_CHECK;

#endif
