/* Questions to information_schema, each giving things of one kind: their name in the first `parts` columns, and a fact in each of the others
 * under its label. */
#ifndef DRIVERS_MYSQL_INVENTORY_ASK_H
#define DRIVERS_MYSQL_INVENTORY_ASK_H

#include "drivers/mysql/inventory.h"

struct my_taking;

enum my_product { MY_ANY, MY_MARIADB, MY_MYSQL };
struct my_question {
	const char *kind;
	enum my_product product;
	int from, before; /* versions; 0: no limit */
	unsigned parts;
	bool tables_only; /* the first part is a table; rows of views and sequences are passed over */
	const char *columns, *table, *schema; /* SELECT columns FROM table WHERE schema is the database ... */
	const char *more;  /* ... and the rest of the statement */
	const char *label; /* of the facts, between commas; a fact that is null or empty is left out */
	/* Both may be NULL. seen: a row, whose columns behind those with labels are for it alone. needed: else the question is not put. */
	enum status (*seen)(struct my_taking *t, const char *name, char *const *field, struct error *err);
	bool (*needed)(const struct my_taking *t);
};
extern const struct my_question my_inventory_tables[], my_inventory_programs[]; /* ended by a kind of NULL */

struct my_taking {
	struct run *run;
	struct my_conn *c;
	const char *database;
	const struct inventory_sink *to;
	struct strlist tables, counted, sequences; /* sorted; counted: those with an AUTO_INCREMENT */
	bool beside; /* a copy under another name: definers need not have rights there, and events are parked */
	bool perhaps; /* what is given now may be missing in the source */
	bool partitioned, foreign; /* some table is, or has foreign keys: each such list opens all tables of MariaDB */
};
enum status my_inventory_ask(struct my_taking *t, const struct my_question *q, struct error *err) MUST_CHECK;
/* "SELECT columns FROM table WHERE schema = database more". */
void my_inventory_sql(const struct my_taking *t, const char *columns, const char *table, const char *schema, const char *more, struct buf *sql);
bool my_inventory_has(const struct strlist *sorted, const char *name);
/* In one line. */
void my_inventory_line(struct buf *to, const char *text);
enum status my_inventory_give(const struct my_taking *t, const char *kind, const char *name, const char *facts, struct error *err) MUST_CHECK;
enum status my_inventory_grows(const struct my_taking *t, const char *kind, const char *name, const char *value, int sign,
			       struct error *err) MUST_CHECK;
/* inventory_views.c: views one by one, in the default database, since information_schema prints their bodies with its name everywhere. */
enum status my_inventory_views(struct my_taking *t, struct error *err) MUST_CHECK;

#endif
