#include "drivers/mysql/conn.h"
#include "drivers/mysql/mydriver.h"

#define NO_DEADLINE DURATION_SECONDS(7 * 86400)
#define LOCK_WAIT "30" /* seconds */
#define ANSWER_MOST ((size_t)200)

struct answer {
	uint64_t rows;
	char *first; /* of the first row; NULL: null */
	bool holds;
};

/* The server has no truth values: true is the number 1, in any type that reads as a number, and in a column of the type BIT. */
static bool is_true(const char *text, size_t n)
{
	char *end = NULL;

	if (n == 1 && *text == 1)
		return true;
	if (!n || strspn(text, "0123456789+-.eE") != n)
		return false;
	double d = strtod(text, &end);
	return end == text + n && (d < 0 || d > 0);
}

static enum status take_row(void *ctx, char *const *field, const unsigned long *len, unsigned fields, struct error *err)
{
	struct answer *a = ctx;

	(void)err;
	if (a->rows++ || !fields || !field[0])
		return ST_OK;
	a->holds = is_true(field[0], len[0]);
	if (a->holds && *field[0] == 1)
		a->first = xstrdup("1");
	else
		a->first = xstrndup(field[0], min_size(len[0], ANSWER_MOST));
	return ST_OK;
}

/* Read only, with the settings that the server's users have: the query is written as they write theirs. Of the session too: a
 * statement that ends the transaction by itself is refused only so. */
static enum status begin(struct run *run, struct my_conn *c, struct error *err)
{
	uint64_t ms = max_u64(1, (uint64_t)run_left(run, NO_DEADLINE).us / 1000);
	const char *limit = c->mariadb ? "max_statement_time" : "max_execution_time"; /* seconds; milliseconds */

	if (my_conn_commandf(run, c, err, "SET SESSION lock_wait_timeout = " LOCK_WAIT ", SESSION innodb_lock_wait_timeout = " LOCK_WAIT
					  ", SESSION %s = %" PRIu64, limit, c->mariadb ? (ms + 999) / 1000 : ms) ||
	    my_conn_command(run, c, "SET SESSION TRANSACTION READ ONLY", err) ||
	    my_conn_command(run, c, "START TRANSACTION READ ONLY", err))
		return err->code;
	return ST_OK;
}

enum status my_assert_query(struct run *run, const struct endpoint *e, const char *database, const char *query, bool *holds,
			    char **answer, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	struct answer a = {0};

	*holds = false;
	*answer = NULL;
	if (my_conn_open(run, e, database, false, &c, err) || begin(run, c, err))
		return error_add(err, "assert");
	if (my_conn_each(run, c, query, take_row, &a, err)) {
		free(a.first);
		return error_add(err, "assert \"%s\"", query);
	}
	*holds = a.rows == 1 && a.holds;
	if (a.rows == 1)
		*answer = a.first ? xstrdup(a.first) : xstrdup("null");
	else
		*answer = xasprintf("%" PRIu64 " rows", a.rows);
	free(a.first);
	return ST_OK;
}
