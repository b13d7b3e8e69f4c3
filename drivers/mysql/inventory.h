/* What exists in a database, by questions of its own to information_schema: shares no code with the dump's. */
#ifndef DRIVERS_MYSQL_INVENTORY_H
#define DRIVERS_MYSQL_INVENTORY_H

#include "drivers/mysql/conn.h"

/* Facts hold no name of the database itself (a copy has another), nothing that a restore may not keep (AUTO_INCREMENT may be ahead: `grows`),
 * and the same words on MariaDB and MySQL of all versions where the thing is the same. beside: a copy under
 * another name, where definers of views need no rights and events are parked. */
enum status my_inventory_take_all(struct run *run, struct my_conn *c, const char *database, bool beside, const struct inventory_sink *items,
			       struct error *err) MUST_CHECK;

#endif
