#include "drivers/postgres/load.h"

/* ---- making it ---- */

static void put_option(struct buf *sql, const char *word, const char *value)
{
	buf_printf(sql, " %s ", word);
	sql_literal(sql, value);
}

/* How the provider of the locale is said depends on the server's version; an older one has libc only. */
static void put_locale(const struct facts_database *d, int version, struct buf *sql)
{
	bool icu = !strcmp(d->provider, "i") && d->locale && version >= 150000;
	bool builtin = !strcmp(d->provider, "b") && d->locale && version >= 170000;

	put_option(sql, "LC_COLLATE", d->collate);
	put_option(sql, "LC_CTYPE", d->ctype);
	if (version >= 150000)
		buf_printf(sql, " LOCALE_PROVIDER %s", icu ? "icu" : builtin ? "builtin" : "libc");
	if (icu)
		put_option(sql, "ICU_LOCALE", d->locale);
	if (icu && d->icu_rules && version >= 160000)
		put_option(sql, "ICU_RULES", d->icu_rules);
	if (builtin)
		put_option(sql, "BUILTIN_LOCALE", d->locale);
}

static enum status tablespace_exists(struct run *run, struct conn *c, const char *name, bool *exists, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, c, SQL("SELECT true FROM pg_catalog.pg_tablespace WHERE spcname = $1", name), &r, err))
		return err->code;
	*exists = PQntuples(r) > 0;
	return ST_OK;
}

static enum status put_place(struct run *run, struct load *l, struct buf *sql, struct error *err)
{
	const struct facts_database *d = &l->wish.db;
	CLEANUP(strlist_release) struct strlist missing = STRLIST_INIT;
	bool space = false;

	if (roles_missing(run, l->admin, &d->owner, 1, &missing, err) ||
	    tablespace_exists(run, l->admin, d->tablespace, &space, err))
		return err->code;
	if (!l->q->no_owner && !missing.len) {
		buf_puts(sql, " OWNER ");
		sql_ident(sql, d->owner);
	}
	/* The default one is said to nobody who may not name it. */
	if (space && strcmp(d->tablespace, "pg_default")) {
		buf_puts(sql, " TABLESPACE ");
		sql_ident(sql, d->tablespace);
	}
	return ST_OK;
}

static enum status create(struct run *run, struct load *l, bool plain, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "CREATE DATABASE ");
	sql_ident(&sql, l->s->target);
	buf_puts(&sql, " TEMPLATE template0");
	put_option(&sql, "ENCODING", l->wish.db.encoding);
	if (plain)
		buf_puts(&sql, " LC_COLLATE 'C' LC_CTYPE 'C'");
	else
		put_locale(&l->wish.db, l->admin->version, &sql);
	if (plain && l->admin->version >= 150000)
		buf_puts(&sql, " LOCALE_PROVIDER libc");
	if (put_place(run, l, &sql, err))
		return err->code;
	return conn_command(run, l->admin, buf_str(&sql), err);
}

/* Wrong object type, invalid parameter, undefined object: what a server says of a locale that its system does not have. */
static bool is_locale_error(const struct error *e)
{
	return !strcmp(e->native, "42809") || !strcmp(e->native, "22023") || !strcmp(e->native, "42704") ||
		!strcmp(e->native, "0A000");
}

static enum status make_database(struct run *run, struct load *l, struct error *err)
{
	if (!create(run, l, false, err))
		return ST_OK;
	if (l->q->scratch && is_locale_error(err)) {
		notes_add(l->e->notes, "database %s: its locale %s cannot be had on the scratch server (%s); it was restored"
				       " there with locale C, "
				       "so the order of text in indexes is not proven",
			  l->s->scope, l->wish.db.collate, error_text(err));
		error_release(err);
		return create(run, l, true, err);
	}
	if (is_locale_error(err))
		error_hint(err, "Install the locale on the server, or create the database %s there yourself with another one: an"
				" empty database is "
				"restored into as it is.",
			   l->s->target);
	return err->code;
}

/* What is there under the name, and may it go? */
static enum status clear_name(struct run *run, struct load *l, bool resumed, bool *keep, struct error *err)
{
	CLEANUP(database_state_release) struct database_state st = DATABASE_STATE_INIT;
	bool complete = false;

	*keep = false;
	if (database_look(run, l->e, l->admin, l->s->target, l->q->run, &st, err) || !st.exists)
		return err->code;
	if (st.ours) {
		CLEANUP(conn_freep) struct conn *c = NULL;

		if (load_connect(run, l->e, l->s->target, &c, err) || mark_state(run, c, l->q->run, "definitions", &complete, err))
			return err->code;
	}
	*keep = resumed && complete;
	if (*keep)
		return ST_OK;
	/* What this run left behind without complete definitions holds no row yet. */
	if (st.ours || st.empty || (l->q->clean && l->s->exists))
		return database_drop(run, l->admin, l->s->target, err);
	return error_set(err, ST_REFUSED, "the database %s is there meanwhile and not empty", l->s->target);
}

static enum status check_target(struct run *run, struct load *l, bool resumed, struct error *err)
{
	CLEANUP(database_state_release) struct database_state st = DATABASE_STATE_INIT;
	CLEANUP(conn_freep) struct conn *c = NULL;
	bool complete = false;

	if (database_look(run, l->e, l->admin, l->s->target, l->q->run, &st, err))
		return err->code;
	if (!st.exists)
		return error_set(err, ST_REFUSED, "the database %s is not there any more", l->s->target);
	if (l->wish.mode != LOAD_DATABASE)
		return ST_OK;
	if (!st.ours)
		return st.empty ? ST_OK : error_set(err, ST_REFUSED, "the database %s is not empty any more", l->s->target);
	if (load_connect(run, l->e, l->s->target, &c, err) || mark_state(run, c, l->q->run, "definitions", &complete, err))
		return err->code;
	if ((resumed && complete) || st.empty)
		return ST_OK;
	error_set(err, ST_REFUSED, "the database %s holds a part of the definitions only", l->s->target);
	return error_hint(err, "Drop it, create it empty as it was, and begin the restore again.");
}

enum status load_database_create(struct run *run, struct load *l, bool resumed, struct error *err)
{
	bool keep;

	if (!l->s->create)
		return check_target(run, l, resumed, err);
	if (clear_name(run, l, resumed, &keep, err))
		return err->code;
	if (keep)
		return ST_OK;
	return make_database(run, l, err) ? error_add(err, "creating the database %s", l->s->target) : ST_OK;
}

/* ---- properties that must not hold back the load: at its end ---- */

static void try_command(struct run *run, struct load *l, const char *sql, const char *what)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (conn_command(run, l->conn, sql, &why) && why.code != ST_CANCELLED)
		notes_add(l->e->notes, "database %s: %s: %s", l->s->target, what, error_text(&why));
}

static void set_one(struct run *run, struct load *l, const char *role, const char *pair)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "ALTER ");
	if (role) {
		buf_puts(&sql, "ROLE ");
		sql_ident(&sql, role);
		buf_puts(&sql, " IN ");
	}
	buf_puts(&sql, "DATABASE ");
	sql_ident(&sql, l->s->target);
	buf_putc(&sql, ' ');
	sql_setting(&sql, pair);
	try_command(run, l, buf_str(&sql), "a setting");
}

static void set_settings(struct run *run, struct load *l)
{
	size_t i, k;
	json_t *of_role, *pair;

	json_array_foreach(l->wish.db.settings, i, of_role) {
		const char *role = js_opt_str(of_role, "role", NULL);

		json_array_foreach(json_object_get(of_role, "settings"), k, pair)
			if (json_is_string(pair))
				set_one(run, l, role, json_string_value(pair));
	}
}

static enum status grant_all(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(buf_release) struct buf name = BUF_INIT, sql = BUF_INIT;
	size_t i;
	json_t *acl;

	if (!l->wish.db.acl || l->no_privileges)
		return ST_OK;
	buf_puts(&name, "DATABASE ");
	sql_ident(&name, l->s->target);
	buf_printf(&sql, "REVOKE ALL ON %s FROM PUBLIC", buf_str(&name));
	try_command(run, l, buf_str(&sql), "rights");
	json_array_foreach(l->wish.db.acl, i, acl) {
		CLEANUP(cstr_release) char *grantee = json_is_string(acl) ? acl_grantee(json_string_value(acl)) : NULL;
		CLEANUP(strlist_release) struct strlist missing = STRLIST_INIT;
		const char *role = grantee;

		if (!grantee)
			continue;
		if (*grantee && roles_missing(run, l->conn, &role, 1, &missing, err))
			return err->code;
		buf_clear(&sql);
		sql_grant(&sql, buf_str(&name), json_string_value(acl));
		if (missing.len)
			notes_add(l->e->notes, "database %s: no rights for the role %s, which is not there", l->s->target, grantee);
		else if (sql.len)
			try_command(run, l, buf_str(&sql), "rights");
	}
	return ST_OK;
}

enum status load_database_settings(struct run *run, struct load *l, struct error *err)
{
	const struct facts_database *d = &l->wish.db;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (l->wish.mode != LOAD_DATABASE)
		return ST_OK;
	set_settings(run, l);
	if (!l->s->create)
		return ST_OK; /* the rest is as the one who made it wanted it */
	if (d->comment) {
		buf_puts(&sql, "COMMENT ON DATABASE ");
		sql_ident(&sql, l->s->target);
		buf_puts(&sql, " IS ");
		sql_literal(&sql, d->comment);
		try_command(run, l, buf_str(&sql), "its comment");
	}
	buf_clear(&sql);
	buf_puts(&sql, "ALTER DATABASE ");
	sql_ident(&sql, l->s->target);
	if (d->connection_limit >= 0) {
		CLEANUP(cstr_release) char *limit = xasprintf("%s CONNECTION LIMIT %" PRId64, buf_str(&sql), d->connection_limit);

		try_command(run, l, limit, "its connection limit");
	}
	if (d->is_template) {
		CLEANUP(cstr_release) char *template = xasprintf("%s IS_TEMPLATE true", buf_str(&sql));

		try_command(run, l, template, "its mark as a template");
	}
	return grant_all(run, l, err);
}
