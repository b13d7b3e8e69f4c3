#include "drivers/postgres/load.h"

const char **roles_needed(const struct load_wish *w, size_t *n)
{
	const char **role = xcalloc(json_array_size(w->db.roles) + 2, sizeof *role);
	size_t i;
	json_t *name;

	*n = 0;
	json_array_foreach(w->db.roles, i, name)
		if (json_is_string(name))
			role[(*n)++] = json_string_value(name);
	role[(*n)++] = w->db.owner;
	return role;
}

enum status roles_missing(struct run *run, struct conn *c, const char *const *role, size_t n, struct strlist *missing,
			  struct error *err)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	CLEANUP(conn_result_free) PGresult *r = NULL;

	sql_array(&names, role, n);
	if (conn_query(run, c,
		       SQL("SELECT DISTINCT x FROM unnest($1::text[]) x WHERE x !~ '^pg_' AND NOT EXISTS (SELECT FROM"
			   " pg_catalog.pg_roles WHERE rolname = x)"
			   " ORDER BY 1",
			   buf_str(&names)),
		       &r, err))
		return error_add(err, "looking for roles");
	for (int i = 0; i < PQntuples(r); i++)
		strlist_add(missing, res_text(r, i, 0));
	return ST_OK;
}

/* How much of a recorded role is made. */
enum role_form {
	ROLE_NEEDED,  /* without login: a name to own and to be granted, and its memberships, by which views and constraints read */
	ROLE_SCRATCH, /* its powers too, but no login: on a throwaway server */
	ROLE_WHOLE,   /* as it was, with login and password */
};
struct maker {
	struct run *run;
	struct load *l;
	enum role_form form;
	bool superuser;       /* this session may give any power */
	struct strlist missing; /* needed and not there */
	struct strlist made;
};

static void maker_release(struct maker *m)
{
	strlist_release(&m->missing);
	strlist_release(&m->made);
}

static void put_attributes(const struct maker *m, const struct facts_role *r, struct buf *sql)
{
	buf_printf(sql, " %s %s", r->canlogin && m->form == ROLE_WHOLE ? "LOGIN" : "NOLOGIN", r->inherit ? "INHERIT" : "NOINHERIT");
	if (m->form == ROLE_NEEDED)
		return;
	buf_printf(sql, " %s %s", r->createdb ? "CREATEDB" : "NOCREATEDB", r->createrole ? "CREATEROLE" : "NOCREATEROLE");
	if (m->superuser)
		buf_printf(sql, " %s %s %s", r->superuser ? "SUPERUSER" : "NOSUPERUSER",
			   r->replication ? "REPLICATION" : "NOREPLICATION", r->bypassrls ? "BYPASSRLS" : "NOBYPASSRLS");
	if (m->form == ROLE_SCRATCH)
		return;
	if (r->connection_limit >= 0)
		buf_printf(sql, " CONNECTION LIMIT %" PRId64, r->connection_limit);
	if (r->valid_until) {
		buf_puts(sql, " VALID UNTIL ");
		sql_literal(sql, r->valid_until);
	}
	if (r->password) {
		buf_puts(sql, " PASSWORD ");
		sql_literal(sql, r->password);
	}
}

static bool is_there(struct maker *m, const char *role)
{
	CLEANUP(strlist_release) struct strlist missing = STRLIST_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	return !roles_missing(m->run, m->l->admin, &role, 1, &missing, &ignored) && !missing.len;
}

static enum status make_role(void *ctx, const json_t *line, struct error *err)
{
	struct maker *m = ctx;
	struct facts_role r;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (facts_role(line, &r, err))
		return err->code;
	if (m->form == ROLE_WHOLE ? is_there(m, r.name) : !strlist_has(&m->missing, r.name))
		return ST_OK;
	if (m->form == ROLE_WHOLE && !m->superuser && (r.superuser || r.replication || r.bypassrls))
		notes_add(m->l->e->notes,
			  "role %s is made without superuser, replication and bypassrls: only a superuser may give these", r.name);
	buf_puts(&sql, "CREATE ROLE ");
	sql_ident(&sql, r.name);
	put_attributes(m, &r, &sql);
	enum status st = conn_command(m->run, m->l->admin, buf_str(&sql), err);
	secure_zero(sql.data, sql.len);
	if (st)
		return error_add(err, "making the role %s", r.name);
	strlist_add(&m->made, r.name);
	return ST_OK;
}

/* What is lost by a failure here can be given later; the restore itself needs none of it. */
static void try_command(struct maker *m, const char *sql, const char *what, const char *role)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (conn_command(m->run, m->l->admin, sql, &why))
		notes_add(m->l->e->notes, "role %s: %s: %s", role, what, error_text(&why));
}

static void grant_one(struct maker *m, const char *member, const json_t *g)
{
	const char *role = js_opt_str(g, "role", NULL);
	const char *words[][2] = {{"admin", "ADMIN"}, {"inherit", "INHERIT"}, {"set", "SET"}};
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (!role || (m->form != ROLE_WHOLE && !is_there(m, role)))
		return;
	buf_puts(&sql, "GRANT ");
	sql_ident(&sql, role);
	buf_puts(&sql, " TO ");
	sql_ident(&sql, member);
	if (m->l->admin->version < 160000)
		buf_puts(&sql, js_opt_bool(g, "admin", false) ? " WITH ADMIN OPTION" : "");
	for (size_t i = 0, n = 0; m->l->admin->version >= 160000 && i < ARRAY_LEN(words); i++)
		if (json_object_get(g, words[i][0]))
			buf_printf(&sql, "%s%s %s", n++ ? ", " : " WITH ", words[i][1],
				   js_opt_bool(g, words[i][0], false) ? "TRUE" : "FALSE");
	try_command(m, buf_str(&sql), "membership", member);
}

static void set_and_comment(struct maker *m, const struct facts_role *r)
{
	size_t i;
	json_t *item;

	json_array_foreach(r->settings, i, item) {
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		buf_puts(&sql, "ALTER ROLE ");
		sql_ident(&sql, r->name);
		buf_putc(&sql, ' ');
		sql_setting(&sql, json_is_string(item) ? json_string_value(item) : "");
		try_command(m, buf_str(&sql), "setting", r->name);
	}
	if (r->comment) {
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		buf_puts(&sql, "COMMENT ON ROLE ");
		sql_ident(&sql, r->name);
		buf_puts(&sql, " IS ");
		sql_literal(&sql, r->comment);
		try_command(m, buf_str(&sql), "comment", r->name);
	}
}

/* Of those just made only, when all are there. */
static enum status complete_role(void *ctx, const json_t *line, struct error *err)
{
	struct maker *m = ctx;
	struct facts_role r;
	size_t i;
	json_t *item;

	if (facts_role(line, &r, err))
		return err->code;
	if (!strlist_has(&m->made, r.name))
		return ST_OK;
	json_array_foreach(r.member_of, i, item)
		grant_one(m, r.name, item);
	if (m->form == ROLE_WHOLE)
		set_and_comment(m, &r);
	else if (m->form == ROLE_NEEDED)
		notes_add(m->l->e->notes, "role %s was made without login: the server did not have it", r.name);
	return ST_OK;
}

/* Needed, but an archive of a server whose roles could not be read says nothing of them. */
static enum status make_unknown(struct maker *m, struct error *err)
{
	for (size_t i = 0; i < m->missing.len; i++) {
		const char *role = m->missing.item[i];
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		if (strlist_has(&m->made, role))
			continue;
		buf_puts(&sql, "CREATE ROLE ");
		sql_ident(&sql, role);
		buf_puts(&sql, " NOLOGIN");
		if (conn_command(m->run, m->l->admin, buf_str(&sql), err))
			return error_add(err, "making the role %s", role);
		if (m->form != ROLE_SCRATCH)
			notes_add(m->l->e->notes, "role %s was made without login: the server did not have it", role);
	}
	return ST_OK;
}

enum status load_roles(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(maker_release) struct maker m = {.run = run, .l = l};
	CLEANUP(conn_result_free) PGresult *r = NULL;
	size_t n;

	if (l->q->users == LOAD_USERS_NONE && !l->q->scratch)
		return ST_OK;
	m.form = l->q->scratch ? ROLE_SCRATCH : l->q->users == LOAD_USERS_ALL ? ROLE_WHOLE : ROLE_NEEDED;
	if (conn_query(run, l->admin, SQL("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"), &r, err))
		return err->code;
	m.superuser = PQntuples(r) && res_bool(r, 0, 0);
	const char **needed = roles_needed(&l->wish, &n);
	enum status st = roles_missing(run, l->admin, needed, n, &m.missing, err);
	free(needed);
	if (!st && (m.missing.len || m.form == ROLE_WHOLE))
		st = load_lines(l->q, NULL, PG_ENTRY_ROLES, make_role, &m, err);
	if (!st && m.made.len)
		st = load_lines(l->q, NULL, PG_ENTRY_ROLES, complete_role, &m, err);
	return st ? st : make_unknown(&m, err);
}
