/* A dump kept in memory, and loaded again from there, through the driver's table alone: what the core does with an archive,
 * without one. */
#ifndef TESTS_CONFORMANCE_DRIVER_LOAD_H
#define TESTS_CONFORMANCE_DRIVER_LOAD_H

#include "drivers/postgres/params.h"

struct kept_object {
	char *scope, *name;
	json_t *facts;
	struct buf row;       /* all rows, ranges one after the other */
	uint64_t *end;        /* of each row */
	size_t rows;
};
struct kept_file {
	char *scope, *path; /* scope NULL: of none */
	struct buf bytes;
};
struct kept {
	struct kept_object *object;
	size_t objects;
	struct kept_file *file;
	size_t files;
	char *version;
};

/* A server of its own for the test, ended by server_stop. */
struct test_server {
	const struct driver *driver; /* what is tested */
	char *url;
	void *scratch;
	struct secret password;
	struct notes *notes;
	struct pg_params params;
	struct endpoint e;
};
extern const struct driver driver_postgres;

void server_start(struct test_server *s);
void server_stop(struct test_server *s);
/* Runs statements in a database; fails the test where they fail. */
void server_sql(struct test_server *s, const char *database, const char *sql);
/* First value of a query; "" for null. Owned by the caller. */
char *server_value(struct test_server *s, const char *database, const char *sql);
bool server_has(struct test_server *s, const char *database);

void kept_dump(struct test_server *s, const char *database, struct kept *k);
void kept_release(struct kept *k);
struct recorded kept_recorded(struct kept *k);

/* Where loading shall break. */
struct load_break {
	uint32_t units;    /* after so many units; 0: never */
	bool before_end;
};
struct loading {
	struct test_server *s;
	struct kept *k;
	struct load_request q;
	struct strlist scopes, tables, exclude;
	size_t rows_per_unit; /* 0: all rows of an object are one unit */
	struct strlist done;  /* journal of units, "name/first row" */
	bool resumed;
	bool log_only;        /* the databases are loaded already */
	struct load_plan plan;
};
void loading_init(struct loading *l, struct test_server *s, struct kept *k, const char *scope);
enum status loading_plan(struct loading *l, struct error *err);
enum status loading_run(struct loading *l, const struct load_break *at, struct error *err); /* after loading_plan */
void loading_release(struct loading *l);

#endif
