#include "drivers/postgres/server.h"

static const char facts_sql[] = "SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(),"
				" (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
				" pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'),"
				" (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts),"
				" (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical'),"
				" " SERVER_DATA_TIME ","
				" r.rolsuper, r.rolbypassrls, current_user,"
				" pg_catalog.current_setting('max_locks_per_transaction')::bigint"
				"  * (pg_catalog.current_setting('max_connections')::bigint + "
				"pg_catalog.current_setting('max_prepared_transactions')::bigint),"
				" pg_catalog.current_setting('max_connections')::bigint - "
				"pg_catalog.current_setting('superuser_reserved_connections')::bigint"
				"  - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client "
				"backend'),"
				" r.rolsuper OR (pg_catalog.current_setting('server_version_num')::int >= 140000"
				"  AND EXISTS (SELECT FROM pg_catalog.pg_roles a WHERE a.rolname = 'pg_read_all_data'"
				"   AND pg_catalog.pg_has_role(current_user, a.oid, 'USAGE'))),"
				" (SELECT pg_catalog.count(subname) FROM pg_catalog.pg_subscription)"
				" FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

char *version_word(const char *text) { return xstrndup(text, strcspn(text, " ")); }

static enum status read_passwords(struct run *run, struct conn *c, struct server_facts *f, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (!f->read_auth)
		return ST_OK;
	if (conn_query(run, c, SQL("SELECT EXISTS (SELECT FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL)"), &r, err))
		return err->code;
	f->has_passwords = res_bool(r, 0, 0);
	return ST_OK;
}

enum status server_facts_read(struct run *run, struct conn *c, struct server_facts *f, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(error_release) struct error not_a_time = ERROR_INIT;

	if (conn_query(run, c, SQL(facts_sql), &r, err))
		return error_add(err, "facts of the server");
	if (PQntuples(r) != 1)
		return error_set(err, ST_SERVER, "the server does not know its own user");
	f->version = version_word(res_text(r, 0, 0));
	f->standby = res_bool(r, 0, 1);
	f->identity = xstrdup(res_text(r, 0, 2));
	f->read_auth = res_bool(r, 0, 3);
	f->prepared = res_u64(r, 0, 4);
	f->logical_slots = res_u64(r, 0, 5);
	if (res_text(r, 0, 6) && instant_parse(res_text(r, 0, 6), &f->data_time, &not_a_time))
		f->data_time = INSTANT_NONE;
	f->superuser = res_bool(r, 0, 7);
	f->bypass_rls = f->superuser || res_bool(r, 0, 8);
	f->user = xstrdup(res_text(r, 0, 9));
	f->lock_room = res_u64(r, 0, 10);
	f->connections_left = res_u64(r, 0, 11);
	f->read_all = res_bool(r, 0, 12);
	f->subscriptions = res_u64(r, 0, 13);
	return read_passwords(run, c, f, err);
}

void server_facts_release(struct server_facts *f)
{
	cstr_release(&f->identity);
	cstr_release(&f->version);
	cstr_release(&f->user);
}
