/* What would fail in the middle of a dump, or leave it short, is said before its first byte. */
#include "drivers/postgres/dump.h"

#include "drivers/postgres/preflight.h"
#include "drivers/postgres/session.h"

#define SHOWN 5

/* Tables of the dump that this user cannot read in full, and what a dump never reads. Row security would not hide rows, since
 * row_security is off in dumps: the server refuses, and it is better to hear that now. */
static const char problems_sql[] = "SELECT CASE WHEN c.relkind = 'f' THEN 'foreign' WHEN c.relkind = 'S' THEN 'sequence'"
				   " WHEN c.relpersistence = 'u' AND pg_is_in_recovery() THEN 'unlogged'"
				   " WHEN c.relkind = 'r' AND row_security_active(c.oid) THEN 'policy' ELSE 'right' END, "
				   "n.nspname, c.relname"
				   " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
				   " LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid "
				   "= 0 AND d.deptype = 'e'"
				   " LEFT JOIN pg_extension x ON x.oid = d.refobjid"
				   " WHERE c.relkind IN ('r', 'p', 'f', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' "
				   "AND n.nspname <> 'information_schema'"
				   " AND (x.oid IS NULL OR c.oid = ANY (x.extconfig))"
				   " AND (c.relkind = 'f' OR NOT has_schema_privilege(n.oid, 'USAGE') OR NOT CASE WHEN c.relkind = "
				   "'S'"
				   "  THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END"
				   "  OR c.relkind = 'r' AND (row_security_active(c.oid) OR c.relpersistence = 'u' AND "
				   "pg_is_in_recovery()))"
				   " ORDER BY n.nspname, c.relname";

void preflight_release(struct preflight *p)
{
	for (int i = 0; i < PREFLIGHT_KINDS; i++)
		buf_release(&p->kind[i].shown);
}

static enum status take_problem(void *ctx, const PGresult *r, struct error *err)
{
	static const char *const word[PREFLIGHT_KINDS] = {"right", "sequence", "policy", "foreign", "unlogged"};
	struct preflight *p = ctx;
	int i = 0;

	(void)err;
	while (i < PREFLIGHT_KINDS - 1 && strcmp(word[i], res_text(r, 0, 0)))
		i++;
	if (++p->kind[i].n > SHOWN)
		return ST_OK;
	buf_puts(&p->kind[i].shown, p->kind[i].shown.len ? ", " : "");
	sql_shown(&p->kind[i].shown, res_text(r, 0, 1));
	buf_putc(&p->kind[i].shown, '.');
	sql_shown(&p->kind[i].shown, res_text(r, 0, 2));
	return ST_OK;
}

enum status preflight_read(struct run *run, struct conn *c, struct preflight *p, struct error *err)
{
	for (int i = 0; i < PREFLIGHT_KINDS; i++)
		p->kind[i].shown = (struct buf)BUF_INIT;
	if (conn_each(run, c, SQL(problems_sql), take_problem, p, err))
		return error_add(err, "what may be read of database %s", c->database);
	for (int i = 0; i < PREFLIGHT_KINDS; i++)
		if (p->kind[i].n > SHOWN)
			buf_printf(&p->kind[i].shown, " and %" PRIu64 " more", p->kind[i].n - SHOWN);
	return ST_OK;
}

static enum status judge(const struct conn *c, const struct preflight *p, struct error *err)
{
	const char *user = PQuser(c->pg);

	for (int i = PREFLIGHT_RIGHT; i <= PREFLIGHT_SEQUENCE; i++)
		if (p->kind[i].n) {
			error_set(err, ST_DENIED, "user %s may not read %s of database %s: %s", user,
				  i == PREFLIGHT_RIGHT ? "these tables" : "these sequences", c->database,
				  buf_str(&p->kind[i].shown));
			return error_hint(err,
					  c->version >= 140000 ? "GRANT pg_read_all_data TO \"%s\"; lets it read everything."
							       : "GRANT SELECT ON ALL TABLES IN SCHEMA ... TO \"%s\"; for each "
								 "schema; see `drtool config grants`.",
					  user);
		}
	if (p->kind[PREFLIGHT_POLICY].n) {
		error_set(err, ST_DENIED, "row level security would hide rows of these tables of database %s from user %s: %s",
			  c->database, user, buf_str(&p->kind[PREFLIGHT_POLICY].shown));
		return error_hint(err, "ALTER ROLE \"%s\" BYPASSRLS; lets a backup read them in full.", user);
	}
	return ST_OK;
}

/* What else is worth knowing now rather than in an incident. */
static enum status look_around(struct run *run, struct conn *c, const struct endpoint *e, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, c,
		       SQL("SELECT (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384),"
			   " current_setting('max_locks_per_transaction')::bigint"
			   "  * (current_setting('max_connections')::bigint + "
			   "current_setting('max_prepared_transactions')::bigint),"
			   " EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'), EXISTS (SELECT FROM pg_extension "
			   "WHERE extname = 'citus')"),
		       &r, err))
		return err->code;
	if (res_u64(r, 0, 0) > res_u64(r, 0, 1))
		notes_add(e->notes,
			  "database %s has %" PRIu64 " tables but the server has room for about %" PRIu64
			  " locks: raise max_locks_per_transaction if the dump runs out of shared memory",
			  c->database, res_u64(r, 0, 0), res_u64(r, 0, 1));
	if (res_bool(r, 0, 2))
		notes_add(e->notes,
			  "database %s uses TimescaleDB: a restore needs timescaledb_pre_restore() before and "
			  "timescaledb_post_restore() after it",
			  c->database);
	if (res_bool(r, 0, 3))
		notes_add(e->notes, "database %s uses Citus: rows on other nodes are not in this backup", c->database);
	return ST_OK;
}

/* A libc or ICU that sorts otherwise than when indexes were built. */
static enum status look_at_collation(struct run *run, struct conn *c, const struct endpoint *e, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (c->version < 150000)
		return ST_OK;
	if (conn_query(run, c,
		       SQL("SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = "
			   "current_database()"),
		       &r, err))
		return err->code;
	const char *was = res_text(r, 0, 0), *now = res_text(r, 0, 1);
	if (was && now && strcmp(was, now))
		notes_add(e->notes,
			  "database %s was made with collation version %s, the system now has %s: its indexes may be out of order; "
			  "a restore builds them anew",
			  c->database, was, now);
	return ST_OK;
}

enum status preflight_database(struct run *run, struct dump *d, const char *database, struct dump_info *info, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(preflight_release) struct preflight p = {0};

	if (session_open(run, d->e, database, pg_params(d->e)->lock_timeout, &c, err) || preflight_read(run, c, &p, err) ||
	    judge(c, &p, err) || look_around(run, c, d->e, err) || look_at_collation(run, c, d->e, err) || lint_database(run, c, d->e, err))
		return err->code;
	if (p.kind[PREFLIGHT_FOREIGN].n)
		strlist_take(&info->not_contained, xasprintf("rows of foreign tables of database %s: %s", database,
							     buf_str(&p.kind[PREFLIGHT_FOREIGN].shown)));
	if (p.kind[PREFLIGHT_UNLOGGED].n)
		strlist_take(&info->not_contained, xasprintf("rows of unlogged tables of database %s, which a standby does not "
							     "have: %s",
							     database, buf_str(&p.kind[PREFLIGHT_UNLOGGED].shown)));
	return ST_OK;
}
