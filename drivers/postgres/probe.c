#include "drivers/postgres/client.h"
#include "drivers/postgres/pgdriver.h"
#include "drivers/postgres/preflight.h"
#include "drivers/postgres/server.h"
#include "drivers/postgres/session.h"

static enum status list_databases(struct run *run, struct conn *c, struct probe *p, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, c,
		       SQL("SELECT datname, CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END"
		           " FROM pg_database"
			   " WHERE datallowconn AND datconnlimit <> -2 AND NOT datistemplate ORDER BY datname COLLATE \"C\""),
		       &r, err))
		return error_add(err, "list of databases");
	p->database = xcalloc((size_t)PQntuples(r), sizeof *p->database);
	for (int i = 0; i < PQntuples(r); i++)
		p->database[p->databases++] = (struct probe_database){.name = xstrdup(res_text(r, i, 0)), .size = res_u64(r, i, 1)};
	return ST_OK;
}

/* No object of a person: what an extension made does not count, nor does the schema public. */
static const char empty_sql[] =
	"WITH o(cat, id) AS ("
	" SELECT 'pg_class'::regclass, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	"  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
	" UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
	"  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
	" UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
	"  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
	" UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname !~ '^pg_'"
	" AND nspname NOT IN ('information_schema', 'public'))"
	" SELECT NOT EXISTS (SELECT FROM o WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.cat AND d.objid = o.id"
	" AND d.deptype = 'e'))"
	" AND NOT EXISTS (SELECT FROM pg_largeobject_metadata)";

enum status database_is_empty(struct run *run, struct conn *c, bool *empty, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, c, SQL(empty_sql), &r, err))
		return err->code;
	*empty = res_bool(r, 0, 0);
	return ST_OK;
}

static void add_missing(struct probe *p, const struct conn *c, const struct preflight *pf)
{
	const char *user = PQuser(c->pg);
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (pf->kind[PREFLIGHT_RIGHT].n || pf->kind[PREFLIGHT_SEQUENCE].n) {
		buf_puts(&text, c->version >= 140000 ? "GRANT pg_read_all_data TO " : "GRANT SELECT ON ALL TABLES IN SCHEMA public"
		" TO ");
		sql_ident(&text, user);
		buf_putc(&text, ';');
		strlist_add_once(&p->missing, buf_str(&text));
	}
	if (pf->kind[PREFLIGHT_POLICY].n) {
		buf_clear(&text);
		buf_puts(&text, "ALTER ROLE ");
		sql_ident(&text, user);
		buf_puts(&text, " BYPASSRLS;");
		strlist_add_once(&p->missing, buf_str(&text));
	}
}

static enum status look_into(struct run *run, const struct endpoint *e, struct probe_database *d, bool want_empty, struct probe *p,
			     struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(preflight_release) struct preflight pf = {0};

	if (session_open(run, e, d->name, pg_params(e)->lock_timeout, &c, err)) {
		/* A right that is missing, like the others. */
		if (err->code != ST_DENIED && strcmp(err->native, "42501") && strcmp(err->native, "28000"))
			return err->code;
		struct buf text = BUF_INIT;
		buf_puts(&text, "GRANT CONNECT ON DATABASE ");
		sql_ident(&text, d->name);
		buf_puts(&text, " TO the backup user; -- ");
		buf_puts(&text, error_text(err));
		strlist_take(&p->missing, buf_detach(&text));
		error_release(err);
		return ST_OK;
	}
	if (preflight_read(run, c, &pf, err))
		return err->code;
	add_missing(p, c, &pf);
	if (pf.kind[PREFLIGHT_FOREIGN].n)
		strlist_take(&p->limits, xasprintf("rows of foreign tables are not dumped: database %s has %s", d->name,
						       buf_str(&pf.kind[PREFLIGHT_FOREIGN].shown)));
	if (!want_empty)
		return ST_OK;
	return database_is_empty(run, c, &d->empty, err);
}

static void judge_server(const struct conn *c, const struct server_facts *f, const struct client *client, struct probe *p)
{
	if (!client)
		strlist_take(&p->impossible, xasprintf("no pg_dump of version %d or later is here: install postgresql-client-%d, "
						       "or set client_path",
						       c->version / 10000, c->version / 10000));
	if (!f->read_auth)
		strlist_take(&p->limits, xasprintf("passwords of roles are not in a backup by this user (GRANT SELECT ON"
		" pg_catalog.pg_authid TO \"%s\"; "
						       "would change that)", f->user));
	if (f->connections_left < 4)
		strlist_take(&p->impossible, xasprintf("only %" PRIu64 " connections are free: a backup with --jobs 2 needs 4",
						       f->connections_left));
	if (c->version < 140000)
		strlist_add(&p->limits, "a large table is read by one connection only: ranges need PostgreSQL 14");
	if (f->standby && !f->data_time.us)
		strlist_add(&p->limits, "the age of this standby's data is not known: it has applied no change since it started");
}

/* On a standby a long query is cancelled when it holds replication up. */
static enum status look_at_standby(struct run *run, struct conn *c, struct probe *p, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, c, SQL("SELECT current_setting('max_standby_streaming_delay'),"
	    " current_setting('hot_standby_feedback')::bool"), &r, err))
		return err->code;
	if (!res_bool(r, 0, 1) && strcmp(res_text(r, 0, 0), "-1"))
		strlist_take(&p->limits, xasprintf("this standby cancels what holds replication up longer than %s "
						   "(max_standby_streaming_delay); "
						   "hot_standby_feedback = on avoids most of it",
						   res_text(r, 0, 0)));
	return ST_OK;
}

static bool concerns(const char *of_url, const char *name) { return !of_url || !strcmp(of_url, name); }

enum status pg_probe(struct run *run, const struct endpoint *e, bool want_empty, struct probe *p, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(server_facts_release) struct server_facts f = SERVER_FACTS_INIT;
	CLEANUP(cstr_release) char *of_url = NULL;
	size_t clients = 0;

	if (conn_url_database(e, &of_url, err) || session_open(run, e, NULL, pg_params(e)->lock_timeout, &c, err) ||
	    server_facts_read(run, c, &f, err) || list_databases(run, c, p, err) || (f.standby && look_at_standby(run, c, p, err)))
		return err->code;
	p->identity = xstrdup(f.identity);
	p->version = xstrdup(f.version);
	p->role = xstrdup(f.standby ? "standby" : "primary");
	p->data_time = f.data_time;
	struct client *all = clients_find(run, e, &clients);
	bool fits = clients && all[0].major >= c->version / 10000;
	for (size_t i = 0; i < clients; i++)
		strlist_take(&p->tools, xasprintf("pg_dump %s (%s)", all[i].version, all[i].bin));
	judge_server(c, &f, fits ? &all[0] : NULL, p);
	clients_free(all, clients);
	for (size_t i = 0; i < p->databases; i++)
		if (concerns(of_url, p->database[i].name) && look_into(run, e, &p->database[i], want_empty, p, err))
			return err->code;
	return ST_OK;
}
