/* Roles and tablespaces: what belongs to the server and not to a database. */
#include "drivers/postgres/dump.h"

#include "drivers/postgres/facts.h"
#include "drivers/postgres/session.h"

/* %s: pg_authid with its password, or pg_roles without one. */
#define ROLES_SQL(from, password) \
	"SELECT json_strip_nulls(json_build_object('name', r.rolname, 'superuser', r.rolsuper, 'inherit', r.rolinherit," \
	" 'createrole', r.rolcreaterole, 'createdb', r.rolcreatedb, 'canlogin', r.rolcanlogin, 'replication', r.rolreplication," \
	" 'bypassrls', r.rolbypassrls, 'connection_limit', r.rolconnlimit, 'valid_until', r.rolvaliduntil::text, " \
	"'password', " password ", 'comment', shobj_description(r.oid, 'pg_authid')," \
	" 'member_of', (SELECT json_agg(json_strip_nulls(json_build_object('role', pg_get_userbyid(m.roleid)," \
	"  'grantor', pg_get_userbyid(m.grantor), 'admin', m.admin_option, 'inherit', j->'inherit_option', 'set', " \
	"j->'set_option'))" \
	"  ORDER BY pg_get_userbyid(m.roleid), pg_get_userbyid(m.grantor)) FROM pg_auth_members m, to_jsonb(m) j" \
	" WHERE m.member = r.oid)," \
	" 'settings', (SELECT s.setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0)))" \
	" FROM " from " r WHERE r.rolname !~ '^pg_' ORDER BY r.rolname"

static const char tablespaces_sql[] = "SELECT json_strip_nulls(json_build_object('name', t.spcname, 'owner', "
				      "pg_get_userbyid(t.spcowner), 'location',"
				      " pg_tablespace_location(t.oid),"
				      " 'options', to_json(t.spcoptions), 'acl', to_json(t.spcacl::text[]), 'comment', "
				      "shobj_description(t.oid, 'pg_tablespace')))"
				      " FROM pg_tablespace t WHERE t.spcname !~ '^pg_' ORDER BY t.spcname";

struct writing {
	struct buf lines, sql, after; /* after: memberships, when all roles are there */
	size_t n;
	void (*put)(struct writing *w, const json_t *j);
};

static void put_flag(struct buf *sql, bool on, const char *word) { buf_printf(sql, " %s%s", on ? "" : "NO", word); }

static void put_membership(struct buf *sql, const char *member, const json_t *m)
{
	const char *role = js_opt_str(m, "role", "");

	buf_puts(sql, "GRANT ");
	sql_ident(sql, role);
	buf_puts(sql, " TO ");
	sql_ident(sql, member);
	if (!json_object_get(m, "inherit"))
		buf_puts(sql, js_opt_bool(m, "admin", false) ? " WITH ADMIN OPTION" : "");
	else
		buf_printf(sql, " WITH ADMIN %s, INHERIT %s, SET %s", js_opt_bool(m, "admin", false) ? "TRUE" : "FALSE",
			   js_opt_bool(m, "inherit", true) ? "TRUE" : "FALSE", js_opt_bool(m, "set", true) ? "TRUE" : "FALSE");
	buf_puts(sql, ";\n");
}

static void put_create_role(struct buf *sql, const struct facts_role *r)
{
	buf_puts(sql, "CREATE ROLE ");
	sql_ident(sql, r->name);
	buf_puts(sql, " WITH");
	put_flag(sql, r->superuser, "SUPERUSER");
	put_flag(sql, r->inherit, "INHERIT");
	put_flag(sql, r->createrole, "CREATEROLE");
	put_flag(sql, r->createdb, "CREATEDB");
	put_flag(sql, r->canlogin, "LOGIN");
	put_flag(sql, r->replication, "REPLICATION");
	put_flag(sql, r->bypassrls, "BYPASSRLS");
	if (r->connection_limit != -1)
		buf_printf(sql, " CONNECTION LIMIT %" PRId64, r->connection_limit);
	if (r->password) {
		buf_puts(sql, " PASSWORD ");
		sql_literal(sql, r->password);
	}
	if (r->valid_until) {
		buf_puts(sql, " VALID UNTIL ");
		sql_literal(sql, r->valid_until);
	}
	buf_puts(sql, ";\n");
}

/* A role that is there already is not altered. */
static void put_role(struct writing *w, const json_t *j)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct facts_role r;
	size_t i, n = ++w->n;
	json_t *item;

	if (facts_role(j, &r, &ignored))
		return;
	buf_puts(&w->sql, "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ");
	sql_literal(&w->sql, r.name);
	buf_printf(&w->sql, ") AS absent%zu \\gset\n\\if :absent%zu\n", n, n);
	put_create_role(&w->sql, &r);
	if (r.comment) {
		buf_puts(&w->sql, "COMMENT ON ROLE ");
		sql_ident(&w->sql, r.name);
		buf_puts(&w->sql, " IS ");
		sql_literal(&w->sql, r.comment);
		buf_puts(&w->sql, ";\n");
	}
	json_array_foreach(r.settings, i, item) {
		buf_puts(&w->sql, "ALTER ROLE ");
		sql_ident(&w->sql, r.name);
		buf_putc(&w->sql, ' ');
		sql_setting(&w->sql, json_string_value(item) ? json_string_value(item) : "");
		buf_puts(&w->sql, ";\n");
	}
	buf_puts(&w->sql, "\\endif\n");
	if (!json_array_size(r.member_of))
		return;
	buf_printf(&w->after, "\\if :absent%zu\n", n);
	json_array_foreach(r.member_of, i, item)
		put_membership(&w->after, r.name, item);
	buf_puts(&w->after, "\\endif\n");
}

static void put_tablespace(struct writing *w, const json_t *j)
{
	size_t i;
	json_t *option;

	buf_puts(&w->sql, "CREATE TABLESPACE ");
	sql_ident(&w->sql, js_opt_str(j, "name", ""));
	buf_puts(&w->sql, " OWNER ");
	sql_ident(&w->sql, js_opt_str(j, "owner", ""));
	buf_puts(&w->sql, " LOCATION ");
	sql_literal(&w->sql, js_opt_str(j, "location", ""));
	json_array_foreach(json_object_get(j, "options"), i, option)
		buf_printf(&w->sql, "%s%s", i ? ", " : " WITH (", json_string_value(option) ? json_string_value(option) : "");
	buf_puts(&w->sql, json_array_size(json_object_get(j, "options")) ? ");\n" : ";\n");
}

static enum status take_line(void *ctx, const PGresult *r, struct error *err)
{
	struct writing *w = ctx;
	CLEANUP(js_decref) json_t *j = NULL;
	const char *text = res_text(r, 0, 0);

	if (js_parse(text, strlen(text), "a role or tablespace", &j, err))
		return error_hint(err, "Names that are not valid UTF-8 cannot be recorded: rename the role or tablespace.");
	js_write(j, false, &w->lines);
	buf_putc(&w->lines, '\n');
	w->put(w, j);
	return ST_OK;
}

static void writing_release(struct writing *w)
{
	/* There are password hashes among it. */
	if (w->lines.data)
		secure_zero(w->lines.data, w->lines.len);
	if (w->sql.data)
		secure_zero(w->sql.data, w->sql.len);
	buf_release(&w->lines);
	buf_release(&w->sql);
	buf_release(&w->after);
}

struct global_kind {
	const char *sql, *path, *sql_path;
	void (*put)(struct writing *w, const json_t *j);
};

static enum status give_kind(struct run *run, struct conn *c, const struct global_kind *k, const struct entry_sink *entries,
			     struct error *err)
{
	CLEANUP(writing_release) struct writing w = {.put = k->put};

	buf_puts(&w.sql, "SET client_encoding = 'UTF8';\n");
	if (conn_each(run, c, SQL(k->sql), take_line, &w, err))
		return error_add(err, "%s", k->path);
	buf_puts(&w.sql, buf_str(&w.after));
	if (!w.lines.len)
		return ST_OK;
	if (entry_give_text(entries, k->path, &w.lines, err))
		return err->code;
	return entry_give_text(entries, k->sql_path, &w.sql, err);
}

enum status globals_entries(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	struct global_kind roles = {ROLES_SQL("pg_roles", "NULL"), PG_ENTRY_ROLES, PG_ENTRY_ROLES_SQL, put_role};
	struct global_kind spaces = {tablespaces_sql, PG_ENTRY_TABLESPACES, PG_ENTRY_TABLESPACES_SQL, put_tablespace};

	if (d->read_auth)
		roles.sql = ROLES_SQL("pg_authid", "r.rolpassword");
	if (session_open(run, d->e, NULL, pg_params(d->e)->lock_timeout, &c, err) || give_kind(run, c, &roles, entries, err))
		return err->code;
	return give_kind(run, c, &spaces, entries, err);
}
