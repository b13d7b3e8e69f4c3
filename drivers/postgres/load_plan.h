/* Between the parts of the preflight: load_plan.c (names of databases, what will be done), load_check.c (what the server has and
 * lacks), load_check_tables.c (tables that are there already). Nothing here changes anything. */
#ifndef DRIVERS_POSTGRES_LOAD_PLAN_H
#define DRIVERS_POSTGRES_LOAD_PLAN_H

#include "drivers/postgres/load.h"
#include "drivers/postgres/server.h"

struct planner {
	const struct endpoint *e;
	const struct load_request *q;
	struct load_plan *p;
	struct conn *admin;
	struct server_facts facts;
	bool createdb, createrole;
	/* Of the scope that is looked at. */
	struct load_wish wish;
	struct load_scope_plan *s;
	struct spool *dump;
	struct toc toc;
};

enum status check_server(struct run *run, struct planner *pl, struct error *err) MUST_CHECK;
enum status check_scope(struct run *run, struct planner *pl, struct error *err) MUST_CHECK;
enum status check_tables(struct run *run, struct planner *pl, struct error *err) MUST_CHECK;

#endif
