#include "drivers/postgres/session.h"

/* Those that the server does not know are passed over: they came with later versions or minor releases. */
static const char *const setting[][2] = {
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "3"},
	{"bytea_output", "hex"},
	{"xmlbinary", "base64"},
	{"xmloption", "content"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"},
	{"array_nulls", "on"},
	{"standard_conforming_strings", "on"},
	{"quote_all_identifiers", "off"},
	{"synchronize_seqscans", "off"},
	{"enable_tidscan", "on"},
	{"row_security", "off"},
	{"restrict_nonsystem_relation_kind", "view, foreign-table"}, /* no code of strangers runs when a table is read */
	{"statement_timeout", "0"},
	{"transaction_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"idle_session_timeout", "0"},
	{"client_min_messages", "warning"},
	{"default_transaction_deferrable", "off"},
	{"jit", "off"},
};

static void put_pair(struct buf *sql, bool first, const char *name, const char *value)
{
	buf_puts(sql, first ? "(" : ",(");
	sql_literal(sql, name);
	buf_putc(sql, ',');
	sql_literal(sql, value);
	buf_putc(sql, ')');
}

enum status session_setup(struct run *run, struct conn *c, struct duration lock_timeout, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	char ms[32];

	snprintf(ms, sizeof ms, "%" PRId64, lock_timeout.us / 1000);
	/* First and alone: what follows must not find functions in the schemas of strangers. */
	buf_puts(&sql, "SET statement_timeout = 0; SELECT pg_catalog.set_config('search_path', '', false);"
		       "SELECT pg_catalog.set_config(v.name, v.value, false) FROM (VALUES ");
	put_pair(&sql, true, "lock_timeout", ms);
	for (size_t i = 0; i < ARRAY_LEN(setting); i++)
		put_pair(&sql, false, setting[i][0], setting[i][1]);
	buf_puts(&sql, ") v(name, value) JOIN pg_catalog.pg_settings s ON pg_catalog.lower(s.name) OPERATOR(pg_catalog.=)"
	" pg_catalog.lower(v.name)");
	if (conn_command(run, c, buf_str(&sql), err))
		return error_add(err, "the session's settings");
	return ST_OK;
}

enum status session_open(struct run *run, const struct endpoint *e, const char *database, struct duration lock_timeout,
			 struct conn **to, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;

	*to = NULL;
	if (conn_open(run, e, database, &c, err) || session_setup(run, c, lock_timeout, err))
		return err->code;
	*to = c;
	c = NULL;
	return ST_OK;
}
