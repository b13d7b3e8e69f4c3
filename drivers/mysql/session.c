#include "drivers/mysql/session.h"

#define LONG "31536000" /* a year: the most that servers take */

struct variable {
	const char *name, *value; /* SQL */
};

/* Those that the server does not know are passed over: they belong to the other product, or to later versions. None needs a right. */
static const struct variable reading[] = {
	{"time_zone", "'+00:00'"},
	{"sql_mode", "''"},
	{"autocommit", "1"},
	{"completion_type", "0"},
	{"sql_auto_is_null", "0"},
	{"sql_big_selects", "1"},
	{"sql_quote_show_create", "1"},
	{"sql_safe_updates", "0"},
	{"sql_select_limit", "18446744073709551615"},
	{"sql_notes", "1"},
	{"sql_warnings", "0"},
	{"group_concat_max_len", "16777216"},
	{"wait_timeout", LONG},
	{"net_read_timeout", LONG},
	{"net_write_timeout", LONG},
	{"max_statement_time", "0"},
	{"max_execution_time", "0"},
	{"idle_transaction_timeout", "0"},
	{"idle_readonly_transaction_timeout", "0"},
	{"idle_write_transaction_timeout", "0"},
	{"character_set_collations", "''"},
	{"system_versioning_asof", "DEFAULT"},
	{"query_cache_type", "0"},
	{"optimizer_max_sel_args", "16000"},
	{"max_session_mem_used", "9223372036854775807"},
	{"information_schema_stats_expiry", "0"},
	{"show_create_table_verbosity", "0"},
	{"show_create_table_skip_secondary_engine", "0"},
	{"show_gipk_in_create_table_and_information_schema", "1"},
	{"show_old_temporals", "0"},
	{"print_identified_with_as_hex", "1"},
	{"use_secondary_engine", "0"},
	{"sql_if_exists", "0"},
};

static const struct variable loading[] = {
	{"sql_mode", "'NO_AUTO_VALUE_ON_ZERO'"},
	{"unique_checks", "0"},
	{"foreign_key_checks", "0"},
	{"check_constraint_checks", "0"},
	{"restrict_fk_on_non_standard_key", "0"},
	{"system_versioning_alter_history", "KEEP"},
	{"system_versioning_insert_history", "1"},
	{"tx_read_only", "0"},
	{"transaction_read_only", "0"},
};

/* They need a right, or not, as the version is; where it lacks the server itself says what it refuses. */
static const struct variable loading_if_may[] = {
	{"sql_require_primary_key", "0"},
	{"sql_generate_invisible_primary_key", "0"},
	{"innodb_strict_mode", "0"},
	{"max_error_count", "65535"},
	{"binlog_format", "'ROW'"},
	{"enforce_storage_engine", "NULL"},
};

static enum status known_variables(struct run *run, struct my_conn *c, struct strlist *to, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	if (my_conn_query(run, c, "SHOW SESSION VARIABLES", &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r)))
		strlist_add(to, row[0]);
	return ST_OK;
}

static void put_variables(struct buf *sql, const struct strlist *known, const struct variable *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].value && strlist_has(known, v[i].name))
			buf_printf(sql, ", SESSION %s = %s", v[i].name, v[i].value);
}

static void set_where_allowed(struct run *run, struct my_conn *c, const struct strlist *known)
{
	for (size_t i = 0; i < ARRAY_LEN(loading_if_may); i++) {
		CLEANUP(error_release) struct error ignored = ERROR_INIT;

		if (strlist_has(known, loading_if_may[i].name))
			(void)!my_conn_commandf(run, c, &ignored, "SET SESSION %s = %s", loading_if_may[i].name, loading_if_may[i].value);
	}
}

static enum status setup(struct run *run, struct my_conn *c, bool load, struct error *err)
{
	CLEANUP(strlist_release) struct strlist known = STRLIST_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	uint64_t seconds = min_u64(max_u64(1, (uint64_t)my_params(c->e)->lock_timeout.us / 1000000), 31536000);

	if (known_variables(run, c, &known, err))
		return err->code;
	buf_printf(&sql, "SET SESSION lock_wait_timeout = %" PRIu64 ", SESSION innodb_lock_wait_timeout = %" PRIu64, seconds, seconds);
	put_variables(&sql, &known, reading, ARRAY_LEN(reading));
	if (load)
		put_variables(&sql, &known, loading, ARRAY_LEN(loading));
	if (my_conn_command(run, c, buf_str(&sql), err) ||
	    my_conn_command(run, c, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", err))
		return err->code;
	if (load)
		set_where_allowed(run, c, &known);
	return ST_OK;
}

static enum status open_session(struct run *run, const struct endpoint *e, const char *database, bool load, struct my_conn **to,
				struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	*to = NULL;
	if (my_conn_open(run, e, database, load, &c, err))
		return err->code;
	if (setup(run, c, load, err))
		return error_add(err, "the session's settings");
	*to = c;
	c = NULL;
	return ST_OK;
}

enum status my_session_open(struct run *run, const struct endpoint *e, const char *database, struct my_conn **c, struct error *err)
{
	return open_session(run, e, database, false, c, err);
}

enum status my_session_open_load(struct run *run, const struct endpoint *e, const char *database, struct my_conn **c, struct error *err)
{
	return open_session(run, e, database, true, c, err);
}

enum status my_session_raw(struct run *run, struct my_conn *c, struct error *err)
{
	return my_conn_command(run, c, "SET SESSION character_set_results = NULL", err);
}
