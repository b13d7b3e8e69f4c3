#include "drivers/postgres/load.h"
#include "drivers/postgres/session.h"

#define NAME_MAX_BYTES ((size_t)63)
#define QUIET_WAIT DURATION_SECONDS(30)

/* Beside what every session of drtool sets. Commits need not wait for the disk: load_end makes all of them durable. */
static const char extra[] =
	"SELECT pg_catalog.set_config('synchronous_commit', 'off', false),"
	" pg_catalog.set_config('default_transaction_read_only', 'off', false),"
	" pg_catalog.set_config('default_transaction_isolation', 'read committed', false),"
	" pg_catalog.set_config('check_function_bodies', 'off', false),"
	" pg_catalog.set_config('default_tablespace', '', false),"
	" pg_catalog.set_config('vacuum_cost_delay', '0', false)";

enum status load_connect(struct run *run, const struct endpoint *e, const char *database, struct conn **to, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;

	*to = NULL;
	if (conn_open(run, e, database, &c, err) || session_setup(run, c, DURATION_MS(0), err))
		return err->code;
	if (conn_command(run, c, extra, err))
		return error_add(err, "the session's settings");
	*to = c;
	c = NULL;
	return ST_OK;
}

enum status load_connect_admin(struct run *run, const struct endpoint *e, const struct strlist *avoid, struct conn **c,
			       struct error *err)
{
	static const char *const usual[] = {"postgres", "template1"};
	CLEANUP(error_release) struct error first = ERROR_INIT;
	CLEANUP(cstr_release) char *of_url = NULL;

	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		CLEANUP(error_release) struct error why = ERROR_INIT;

		if (strlist_has(avoid, usual[i]))
			continue;
		if (!load_connect(run, e, usual[i], c, &why))
			return ST_OK;
		/* Only a database that is not there or closed to this role is a reason to try the next. */
		if (why.code != ST_NOT_FOUND && why.code != ST_DENIED && why.code != ST_AUTH)
			return error_move(err, &why);
		error_keep_first(&first, &why);
	}
	if (conn_url_database(e, &of_url, err))
		return err->code;
	if (of_url && !strlist_has(avoid, of_url) && !load_connect(run, e, of_url, c, err))
		return ST_OK;
	error_release(err);
	if (first.code)
		return error_move(err, &first);
	return error_set(err, ST_UNSUPPORTED, "there is no other database on the server to work from; create one named postgres");
}

void sql_array(struct buf *to, const char *const *item, size_t n)
{
	buf_putc(to, '{');
	for (size_t i = 0; i < n; i++) {
		buf_puts(to, i ? ",\"" : "\"");
		for (const char *p = item[i]; *p; p++) {
			if (*p == '"' || *p == '\\')
				buf_putc(to, '\\');
			buf_putc(to, *p);
		}
		buf_putc(to, '"');
	}
	buf_putc(to, '}');
}

char *database_beside(const char *name, const char *word, const char *run_id)
{
	CLEANUP(cstr_release) char *tail = xasprintf("%s%s", word, run_id);
	size_t n = strlen(name), most = NAME_MAX_BYTES - strlen(tail);

	if (n > most) {
		n = most;
		while (n && ((unsigned char)name[n] & 0xc0) == 0x80)
			n--;
	}
	return xasprintf("%.*s%s", (int)n, name, tail);
}

enum status database_exists(struct run *run, struct conn *admin, const char *name, bool *exists, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, admin, SQL("SELECT true FROM pg_catalog.pg_database WHERE datname = $1", name), &r, err))
		return err->code;
	*exists = PQntuples(r) > 0;
	return ST_OK;
}

enum status database_invalid(struct run *run, struct conn *admin, const char *name, bool *invalid, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, admin, SQL("SELECT true FROM pg_catalog.pg_database WHERE datname = $1 AND datconnlimit = -2", name),
		       &r, err))
		return err->code;
	*invalid = PQntuples(r) > 0;
	return ST_OK;
}

/* ---- is it empty ---- */

/* Objects of users: not of the system, not of extensions, not drtool's own mark. One row: anything there, the mark is there. */
static const char content[] =
	"WITH own(oid) AS (SELECT oid FROM pg_namespace WHERE nspname = $1),"
	" ns AS (SELECT oid FROM pg_namespace n WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND oid NOT IN"
	" (SELECT oid FROM own)),"
	" ext(classid, objid) AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')"
	"SELECT EXISTS (SELECT FROM pg_class c WHERE relnamespace IN (SELECT oid FROM ns) AND relkind NOT IN ('i', 'I', 't')"
	"   AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM ext))"
	" OR EXISTS (SELECT FROM pg_proc p WHERE pronamespace IN (SELECT oid FROM ns) AND ('pg_proc'::regclass, p.oid) NOT IN"
	" (SELECT * FROM ext))"
	" OR EXISTS (SELECT FROM pg_type t WHERE typnamespace IN (SELECT oid FROM ns) AND typtype IN ('d', 'e', 'r')"
	"   AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM ext))"
	" OR EXISTS (SELECT FROM pg_operator o WHERE oprnamespace IN (SELECT oid FROM ns) AND ('pg_operator'::regclass, o.oid)"
	" NOT IN (SELECT * FROM ext))"
	" OR EXISTS (SELECT FROM pg_namespace n WHERE oid IN (SELECT oid FROM ns) AND nspname <> 'public'"
	"   AND ('pg_namespace'::regclass, n.oid) NOT IN (SELECT * FROM ext))"
	" OR EXISTS (SELECT FROM pg_largeobject_metadata) OR EXISTS (SELECT FROM pg_publication) OR EXISTS (SELECT FROM"
	" pg_event_trigger"
	"   WHERE ('pg_event_trigger'::regclass, oid) NOT IN (SELECT * FROM ext))"
	" OR EXISTS (SELECT FROM pg_foreign_server) OR EXISTS (SELECT FROM pg_subscription WHERE subdbid ="
	"   (SELECT oid FROM pg_database WHERE datname = current_database())),"
	" EXISTS (SELECT FROM own)";

void database_state_release(struct database_state *s)
{
	free(s->encoding);
	*s = (struct database_state)DATABASE_STATE_INIT;
}

enum status database_look(struct run *run, const struct endpoint *e, struct conn *admin, const char *name, const char *run_id,
			  struct database_state *s,
			  struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(cstr_release) char *mark = xasprintf("drtool_restore_%s", run_id);

	database_state_release(s);
	if (conn_query(run, admin, SQL("SELECT pg_catalog.pg_encoding_to_char(encoding), datallowconn AND datconnlimit <> -2"
				       " FROM pg_catalog.pg_database WHERE datname = $1", name), &r, err))
		return err->code;
	if (!PQntuples(r))
		return ST_OK;
	s->exists = true;
	s->encoding = xstrdup(res_text(r, 0, 0));
	s->allows = res_bool(r, 0, 1);
	if (!s->allows) /* nobody can look in; what is closed is not ours to fill */
		return ST_OK;
	if (load_connect(run, e, name, &c, err) || conn_query(run, c, SQL(content, mark), &r, err))
		return error_add(err, "database %s", name);
	s->empty = !res_bool(r, 0, 0);
	s->ours = res_bool(r, 0, 1);
	return ST_OK;
}

/* ---- to be alone ---- */

static enum status sessions_left(struct run *run, struct conn *admin, const char *name, uint64_t *n, char **who, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	/* Each look asks them again to end: a session may have come meanwhile. */
	if (conn_query(run, admin,
		       SQL("SELECT count(*), string_agg(DISTINCT concat_ws(' ', usename, application_name, client_addr), ', ')"
			   " FROM (SELECT usename, application_name, client_addr, pg_catalog.pg_terminate_backend(pid)"
			   " FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid()) s",
			   name),
		       &r, err))
		return err->code;
	*n = res_u64(r, 0, 0);
	cstr_release(who);
	*who = res_text(r, 0, 1) ? xstrdup(res_text(r, 0, 1)) : xstrdup("");
	return ST_OK;
}

enum status database_quiet(struct run *run, struct conn *admin, const char *name, struct error *err)
{
	struct run bounded = run_within(run, QUIET_WAIT);
	CLEANUP(cstr_release) char *who = NULL;

	for (int ms = 10;; ms = ms < 500 ? ms * 2 : 500) {
		uint64_t n = 0;

		if (sessions_left(run, admin, name, &n, &who, err))
			return error_add(err, "ending the sessions of the database %s", name);
		if (!n)
			return ST_OK;
		if (run_sleep(&bounded, DURATION_MS(ms), err)) {
			CLEANUP(error_release) struct error ignored = ERROR_INIT;

			if (err->code == ST_DEADLINE && !run_check(run, &ignored))
				return error_set(err, ST_LOCKED, "%" PRIu64 " sessions of the database %s do not end: %s", n, name,
						 who);
			return err->code;
		}
	}
}

static enum status close_database(struct run *run, struct conn *admin, const char *name, bool allow, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "ALTER DATABASE ");
	sql_ident(&sql, name);
	buf_printf(&sql, " ALLOW_CONNECTIONS %s", allow ? "true" : "false");
	return conn_command(run, admin, buf_str(&sql), err);
}

static enum status check_subscriptions(struct run *run, struct conn *admin, const char *name, struct error *err)
{
	CLEANUP(cstr_release) char *names = NULL;

	if (conn_value(run, admin,
		       SQL("SELECT string_agg(pg_catalog.quote_ident(subname), ', ') FROM pg_catalog.pg_subscription"
			   " WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = $1)",
			   name),
		       &names, err))
		return err->code;
	if (!names)
		return ST_OK;
	error_set(err, ST_REFUSED, "the database %s cannot be dropped: it has subscriptions (%s)", name, names);
	return error_hint(err, "In that database, for each: ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name ="
			       " NONE); DROP SUBSCRIPTION s; "
			       "this leaves the publisher's slot, which another database may use.");
}

enum status database_drop(struct run *run, struct conn *admin, const char *name, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	bool exists = false, invalid = false;

	if (database_exists(run, admin, name, &exists, err) || !exists)
		return err->code;
	if (check_subscriptions(run, admin, name, err) || database_invalid(run, admin, name, &invalid, err))
		return err->code;
	if (!invalid && close_database(run, admin, name, false, err))
		return error_add(err, "dropping the database %s", name);
	buf_puts(&sql, "DROP DATABASE ");
	sql_ident(&sql, name);
	if (!database_quiet(run, admin, name, err) && !conn_command(run, admin, buf_str(&sql), err))
		return ST_OK;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	(void)!close_database(run, admin, name, true, &ignored);
	return error_add(err, "dropping the database %s", name);
}
