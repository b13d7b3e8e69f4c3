/* Between the parts of the preflight: load_plan.c (places, what will be done), load_check.c (what the server has and lacks), load_rights.c
 * (what the account may do). Nothing here changes anything. */
#ifndef DRIVERS_MONGODB_LOAD_PLAN_H
#define DRIVERS_MONGODB_LOAD_PLAN_H

#include "drivers/mongodb/about.h"
#include "drivers/mongodb/load.h"

/* What an account may do: actions on a database as a whole. All, where the server keeps no accounts or does not tell. */
struct mo_rights;
enum status mo_rights_read(struct run *run, struct mo_conn *c, struct mo_rights **r, struct error *err) MUST_CHECK;
void mo_rights_freep(struct mo_rights **r);
bool mo_rights_have(const struct mo_rights *r, const char *action, const char *database);
/* The same of the collection that holds the buckets of a time series: rights on a database as a whole do not reach it. */
bool mo_rights_have_buckets(const struct mo_rights *r, const char *action, const char *database, const char *series);

struct mo_planner {
	const struct endpoint *e;
	const struct load_request *q;
	struct load_plan *p;
	struct mo_conn *c;
	struct mo_about about;
	struct mo_rights *rights;
	/* Of the scope that is looked at. */
	struct mo_wish wish;
	struct load_scope_plan *s;
	struct mo_where where;    /* the target */
	struct mo_listing there;  /* what the database has, by its own names */
};

enum status mo_check_server(struct run *run, struct mo_planner *pl, struct error *err) MUST_CHECK;
/* After the targets of all databases are known. */
enum status mo_check_users(struct run *run, struct mo_planner *pl, struct error *err) MUST_CHECK;
/* After its target is known. */
enum status mo_check_scope(struct run *run, struct mo_planner *pl, struct error *err) MUST_CHECK;

#endif
