/* Between the parts of the preflight: load_plan.c (names of databases, what will be done), load_check.c (what the server has and
 * lacks), load_check_tables.c (tables that are there already). Nothing here changes anything. */
#ifndef DRIVERS_MYSQL_LOAD_PLAN_H
#define DRIVERS_MYSQL_LOAD_PLAN_H

#include "drivers/mysql/definers.h"

struct my_planner {
	const struct endpoint *e;
	const struct load_request *q;
	struct load_plan *p;
	struct my_conn *c;
	struct my_server server;
	struct my_rights *rights;
	struct strlist engines; /* that the server has, in capitals */
	char *me;               /* "root@localhost" */
	struct my_definers definers;
	struct strlist mapped;  /* those of definers.from that some object had */
	/* Of the scope that is looked at. */
	struct my_load_wish wish;
	struct load_scope_plan *s;
};

enum status my_check_server(struct run *run, struct my_planner *pl, struct error *err) MUST_CHECK;
enum status my_check_binlog(struct run *run, struct my_planner *pl, struct error *err) MUST_CHECK; /* after all scopes have their targets */
enum status my_check_scope(struct run *run, struct my_planner *pl, struct error *err) MUST_CHECK;
enum status my_check_tables(struct run *run, struct my_planner *pl, struct error *err) MUST_CHECK;

#endif
