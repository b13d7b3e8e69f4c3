/* The questions of the inventory. Each gives rows of name and facts; what a restore may change without harm (numbers, physical
 * order, places of storage, versions of extensions) is in none of them. */
#ifndef DRIVERS_POSTGRES_INVENTORY_H
#define DRIVERS_POSTGRES_INVENTORY_H

#include "util/base.h"

struct inventory_question {
	const char *kind;
	int from, before; /* versions: 0: any */
	const char *sql;  /* columns: name, facts */
};
extern const struct inventory_question inventory_tables[];  /* relations and what hangs on them; ended by kind NULL */
extern const struct inventory_question inventory_objects[]; /* everything else */

/* No member of an extension: those are the extension's business. */
#define MINE(catalog, id) \
	" NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '" catalog "'::regclass AND e.objid = " id " AND e.deptype = 'e')"
#define USER_SCHEMA(n) " " n ".nspname !~ '^pg_' AND " n ".nspname <> 'information_schema'"
/* Options in an order of their own, without marks that the server itself puts among them. */
#define OPTIONS(a) "(SELECT string_agg(o, ',' ORDER BY o) FROM unnest(" a ") o WHERE o NOT LIKE 'pg\\_attver=%')"

#endif
