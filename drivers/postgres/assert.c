#include "drivers/postgres/conn.h"
#include "drivers/postgres/pgdriver.h"

#define NO_DEADLINE DURATION_SECONDS(7 * 86400)
#define ANSWER_MOST ((size_t)200)

enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_FLOAT4 = 700, OID_FLOAT8 = 701, OID_NUMERIC = 1700 };

struct answer {
	uint64_t rows;
	char *first; /* of the first row; NULL: null */
	bool holds;
};

static bool is_true(const PGresult *r)
{
	const char *text = res_text(r, 0, 0);

	switch (text ? (int)PQftype(r, 0) : 0) {
	case OID_BOOL:
		return *text == 't';
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
	case OID_FLOAT4:
	case OID_FLOAT8:
	case OID_NUMERIC:
		return strcmp(text, "NaN") && strtod(text, NULL) != 0;
	default:
		return false;
	}
}

static enum status take_row(void *ctx, const PGresult *r, struct error *err)
{
	struct answer *a = ctx;

	(void)err;
	if (!a->rows++ && PQnfields(r) > 0) {
		a->first = res_text(r, 0, 0) ? xstrndup(res_text(r, 0, 0), ANSWER_MOST) : NULL;
		a->holds = is_true(r);
	}
	return ST_OK;
}

/* Read only, with the settings that the database's users have: the query is written as they write theirs. */
enum status pg_assert_query(struct run *run, const struct endpoint *e, const char *database, const char *query, bool *holds,
			    char **answer,
			    struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	struct answer a = {0};
	CLEANUP(cstr_release) char *begin = NULL;

	*holds = false;
	*answer = NULL;
	begin = xasprintf("SET default_transaction_read_only = on; SET statement_timeout = %" PRIu64
			  "; SET lock_timeout = '30s'; BEGIN READ ONLY",
			  max_u64(1, (uint64_t)run_left(run, NO_DEADLINE).us / 1000));
	if (conn_open(run, e, database, &c, err) || conn_command(run, c, begin, err))
		return error_add(err, "assert");
	if (conn_each(run, c, SQL(query), take_row, &a, err)) {
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
