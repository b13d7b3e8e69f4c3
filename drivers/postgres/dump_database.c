/* database.json and database.sql: what pg_dump of a schema leaves out, since it lies in catalogs of the whole server. */
#include "drivers/postgres/dump.h"

#include "drivers/postgres/facts.h"

/* The row as JSON, because columns came and changed names with versions 15 to 17. */
static const char database_sql[] =
	"SELECT json_strip_nulls(json_build_object('name', d.datname, 'owner', pg_get_userbyid(d.datdba),"
	" 'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,"
	" 'provider', coalesce(j->>'datlocprovider', 'c'), 'locale', coalesce(j->>'datlocale', j->>'daticulocale'),"
	" 'icu_rules', j->>'daticurules', 'collation_version', j->>'datcollversion', 'tablespace', t.spcname,"
	" 'connection_limit', d.datconnlimit, 'allow_connections', d.datallowconn, 'is_template', d.datistemplate,"
	" 'acl', to_json(d.datacl::text[]), 'comment', shobj_description(d.oid, 'pg_database'),"
	" 'settings', (SELECT json_agg(json_strip_nulls(json_build_object('role', r.rolname, 'settings', s.setconfig))"
	" ORDER BY r.rolname NULLS FIRST)"
	"  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = d.oid),"
	" 'server_version', $1::text, 'server_version_num', current_setting('server_version_num')::int,"
	" 'extensions', (SELECT json_agg(json_build_object('name', e.extname, 'version', e.extversion, 'schema', n.nspname)"
	" ORDER BY e.extname)"
	"  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace),"
	" 'roles', (SELECT json_agg(q.name ORDER BY q.name) FROM (SELECT pg_get_userbyid(p.refobjid) AS name FROM pg_shdepend p"
	"   WHERE p.refclassid = 'pg_authid'::regclass AND p.dbid = d.oid"
	"  UNION SELECT pg_get_userbyid(d.datdba)"
	"  UNION SELECT r.rolname FROM aclexplode(d.datacl) a JOIN pg_roles r ON r.oid IN (a.grantee, a.grantor)"
	"  UNION SELECT r.rolname FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = d.oid"
	/* The first superuser is pinned, and dependencies on what is pinned are not kept. */
	"  UNION SELECT pg_get_userbyid(10) WHERE EXISTS (SELECT FROM pg_class WHERE relowner = 10 AND oid >= 16384)"
	"   OR EXISTS (SELECT FROM pg_proc WHERE proowner = 10 AND oid >= 16384) OR EXISTS (SELECT FROM pg_namespace"
	" WHERE nspowner = 10 AND oid >= 16384)"
	"   OR EXISTS (SELECT FROM pg_type WHERE typowner = 10 AND oid >= 16384)"
	"  ) q WHERE q.name !~ '^pg_'),"
	" 'public_schema', EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public'),"
	" 'large_objects', (SELECT count(*) FROM pg_largeobject_metadata)))"
	" FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace, to_jsonb(d) j WHERE d.datname = current_database()";

static const char rights_sql[] =
	"SELECT r.rolname, x.privilege_type, x.is_grantable FROM pg_database d, aclexplode(d.datacl) x LEFT"
	" JOIN pg_roles r ON r.oid = x.grantee"
	" WHERE d.datname = current_database() AND x.grantee <> d.datdba ORDER BY 1 NULLS FIRST, 2";

static void put_locale(const struct facts_database *f, struct buf *sql)
{
	buf_puts(sql, " LC_COLLATE ");
	sql_literal(sql, f->collate);
	buf_puts(sql, " LC_CTYPE ");
	sql_literal(sql, f->ctype);
	if (!strcmp(f->provider, "c"))
		return;
	bool icu = !strcmp(f->provider, "i");
	buf_puts(sql, icu ? " LOCALE_PROVIDER icu" : " LOCALE_PROVIDER builtin");
	if (f->locale) {
		buf_puts(sql, icu ? " ICU_LOCALE " : " BUILTIN_LOCALE ");
		sql_literal(sql, f->locale);
	}
	if (icu && f->icu_rules) {
		buf_puts(sql, " ICU_RULES ");
		sql_literal(sql, f->icu_rules);
	}
}

static void put_settings(const struct facts_database *f, struct buf *sql)
{
	size_t i, k;
	json_t *of_role, *setting;

	json_array_foreach(f->settings, i, of_role) {
		const char *role = js_opt_str(of_role, "role", NULL);

		json_array_foreach(json_object_get(of_role, "settings"), k, setting) {
			if (role) {
				buf_puts(sql, "ALTER ROLE ");
				sql_ident(sql, role);
				buf_puts(sql, " IN DATABASE :\"db\" ");
			} else {
				buf_puts(sql, "ALTER DATABASE :\"db\" ");
			}
			sql_setting(sql, json_string_value(setting) ? json_string_value(setting) : "");
			buf_puts(sql, ";\n");
		}
	}
}

static void put_rights(const struct facts_database *f, const PGresult *r, struct buf *sql)
{
	if (!f->acl)
		return;
	buf_puts(sql, "REVOKE ALL ON DATABASE :\"db\" FROM PUBLIC;\n");
	for (int i = 0; i < PQntuples(r); i++) {
		buf_printf(sql, "GRANT %s ON DATABASE :\"db\" TO ", res_text(r, i, 1));
		if (res_text(r, i, 0))
			sql_ident(sql, res_text(r, i, 0));
		else
			buf_puts(sql, "PUBLIC");
		buf_puts(sql, res_bool(r, i, 2) ? " WITH GRANT OPTION;\n" : ";\n");
	}
}

static void put_sql(const struct facts_database *f, const PGresult *rights, struct buf *sql)
{
	buf_puts(sql, "-- Makes the database: psql -d postgres -v db=NAME -f database.sql\nSET client_encoding = 'UTF8';\n"
		      "CREATE DATABASE :\"db\" TEMPLATE template0 ENCODING ");
	sql_literal(sql, f->encoding);
	put_locale(f, sql);
	buf_puts(sql, ";\nALTER DATABASE :\"db\" OWNER TO ");
	sql_ident(sql, f->owner);
	buf_puts(sql, ";\n");
	if (f->connection_limit != -1)
		buf_printf(sql, "ALTER DATABASE :\"db\" CONNECTION LIMIT %" PRId64 ";\n", f->connection_limit);
	if (f->comment) {
		buf_puts(sql, "COMMENT ON DATABASE :\"db\" IS ");
		sql_literal(sql, f->comment);
		buf_puts(sql, ";\n");
	}
	put_settings(f, sql);
	put_rights(f, rights, sql);
}

enum status dump_database_entries(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(cstr_release) char *json = NULL;
	CLEANUP(js_decref) json_t *j = NULL;
	CLEANUP(conn_result_free) PGresult *rights = NULL;
	CLEANUP(buf_release) struct buf text = BUF_INIT, sql = BUF_INIT;
	struct facts_database f;

	if (conn_value(run, d->c, SQL(database_sql, d->version_text), &json, err) ||
	    conn_query(run, d->c, SQL(rights_sql), &rights, err))
		return error_add(err, "properties of the database");
	if (!json)
		return error_set(err, ST_SERVER, "the database does not list itself");
	if (js_parse(json, strlen(json), PG_ENTRY_DATABASE, &j, err) || facts_database(j, &f, err))
		return err->code;
	js_write(j, true, &text);
	buf_putc(&text, '\n');
	put_sql(&f, rights, &sql);
	if (entry_give_text(entries, PG_ENTRY_DATABASE, &text, err))
		return err->code;
	return entry_give_text(entries, PG_ENTRY_DATABASE_SQL, &sql, err);
}
