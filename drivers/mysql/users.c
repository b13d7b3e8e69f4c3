#include "drivers/mysql/users.h"

#include "drivers/mysql/ddl_lex.h"

void my_user_release(struct my_user *u)
{
	if (u->create)
		secure_zero(u->create, strlen(u->create));
	cstr_release(&u->name);
	cstr_release(&u->host);
	cstr_release(&u->create);
	cstr_release(&u->default_role);
	strlist_release(&u->grant);
}

char *my_user_shown(const struct my_user *u) { return *u->host ? xasprintf("%s@%s", u->name, u->host) : xstrdup(u->name); }

static void put_account(const struct my_user *u, struct buf *to)
{
	if (u->role && !*u->host && !strcmp(u->name, "PUBLIC")) {
		buf_puts(to, u->name);
		return;
	}
	my_sql_ident(to, u->name);
	if (u->role && !*u->host)
		return;
	buf_putc(to, '@');
	my_sql_ident(to, u->host);
}

/* ---- what the server prints ---- */

/* l stands at an account's name; behind its host afterwards. */
static void pass_account(struct my_lex *l)
{
	my_lex_next(l);
	if (!my_lex_sign(l, '@'))
		return;
	my_lex_next(l);
	my_lex_next(l);
}

static bool more(const struct my_lex *l) { return l->kind != MY_WORD_END && l->kind != MY_WORD_BAD; }

/* MySQL: CREATE USER ... DEFAULT ROLE would also grant that role. It comes in a statement of its own. */
static void take_create(const char *text, struct my_user *u)
{
	struct my_lex l = my_lex_of(text, NULL);
	struct my_edit e = {.done = text};

	for (my_lex_next(&l); more(&l); my_lex_next(&l)) {
		struct my_lex role = l;

		my_lex_next(&role);
		if (!my_lex_is(&l, "DEFAULT") || !my_lex_is(&role, "ROLE"))
			continue;
		my_lex_next(&role);
		const char *list = role.p, *end = role.at;
		for (;;) {
			pass_account(&role);
			end = role.p;
			if (!my_lex_sign(&role, ','))
				break;
			my_lex_next(&role);
		}
		CLEANUP(buf_release) struct buf account = BUF_INIT;
		put_account(u, &account);
		u->default_role = xasprintf("ALTER USER %s DEFAULT ROLE %.*s", buf_str(&account), (int)(end - list), list);
		my_edit_put(&e, l.p, end, "");
		break;
	}
	u->create = my_edit_end(&e);
}

/* What a line of SHOW GRANTS gives, without the passwords and TLS of old forms: those are in CREATE USER. Lines that give nothing, and
 * those of other grantees, which MariaDB adds, are left out. */
static void take_grant(const char *text, bool mariadb, struct my_user *u)
{
	struct my_lex l = my_lex_of(text, NULL), to;
	bool option = false, admin = false, usage;

	my_lex_next(&l);
	if (!my_lex_is(&l, "GRANT")) {
		if (my_lex_is(&l, "REVOKE"))
			strlist_add(&u->grant, text);
		return;
	}
	my_lex_next(&l);
	usage = my_lex_is(&l, "USAGE");
	while (more(&l) && !my_lex_is(&l, "TO"))
		my_lex_next(&l);
	my_lex_next(&l);
	to = l;
	pass_account(&l);
	if (!more(&to) || (mariadb && !my_lex_named(&to, u->name)))
		return;
	for (struct my_lex rest = l; more(&rest); my_lex_next(&rest)) {
		option |= my_lex_is(&rest, "GRANT");
		admin |= my_lex_is(&rest, "ADMIN");
	}
	if (usage && !option)
		return;
	const char *end = l.p;
	while (end > text && end[-1] == ' ')
		end--;
	strlist_take(&u->grant,
		     xasprintf("%.*s%s", (int)(end - text), text, option ? " WITH GRANT OPTION" : admin ? " WITH ADMIN OPTION" : ""));
}

/* ---- reading ---- */

struct users {
	struct my_user *user;
	size_t n;
};

static void users_release(struct users *l)
{
	for (size_t i = 0; i < l->n; i++)
		my_user_release(&l->user[i]);
	free(l->user);
}

static bool is_own(const char *name)
{
	static const char *const own[] = {"mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (!strcmp(name, own[i]))
			return true;
	return false;
}

static enum status read_create(struct run *run, struct my_conn *c, struct my_user *u, struct error *err)
{
	CLEANUP(cstr_release) char *text = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (c->mariadb && u->role) {
		if (strcmp(u->name, "PUBLIC")) {
			buf_puts(&sql, "CREATE ROLE ");
			put_account(u, &sql);
		}
		u->create = xstrdup(buf_str(&sql));
		return ST_OK;
	}
	buf_puts(&sql, "SHOW CREATE USER ");
	put_account(u, &sql);
	if (my_conn_value(run, c, buf_str(&sql), &text, err))
		return err->code;
	if (!text)
		return error_set(err, ST_SERVER, "%s gave nothing", buf_str(&sql));
	take_create(text, u);
	secure_zero(text, strlen(text));
	return ST_OK;
}

static enum status read_grants(struct run *run, struct my_conn *c, struct my_user *u, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	MYSQL_ROW row;

	buf_puts(&sql, "SHOW GRANTS FOR ");
	put_account(u, &sql);
	if (my_conn_query(run, c, buf_str(&sql), &r, err)) {
		/* A role or PUBLIC without a single grant. */
		if (my_conn_errno(err) != 1141)
			return err->code;
		error_release(err);
		return ST_OK;
	}
	while ((row = mysql_fetch_row(r)))
		take_grant(row[0], c->mariadb, u);
	return ST_OK;
}

static void set_default_role(struct my_user *u, const char *role)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SET DEFAULT ROLE ");
	my_sql_ident(&sql, role);
	buf_puts(&sql, " FOR ");
	put_account(u, &sql);
	u->default_role = buf_detach(&sql);
}

/* Roles first. In MySQL they are locked accounts without a password. */
static const char *list_sql(const struct my_conn *c)
{
	if (c->mariadb)
		return "SELECT User, Host, is_role = 'Y', default_role FROM mysql.user ORDER BY 3 DESC, User, Host";
	if (c->version < 80000)
		return "SELECT User, Host, 0, '' FROM mysql.user ORDER BY User, Host";
	return "SELECT User, Host, account_locked = 'Y' AND password_expired = 'Y' AND authentication_string = '', '' FROM mysql.user"
	       " ORDER BY 3 DESC, User, Host";
}

static enum status read_all(struct run *run, struct my_conn *c, struct users *to, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	if (my_conn_query(run, c, list_sql(c), &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r))) {
		if (is_own(row[0]))
			continue;
		to->user = xrealloc(to->user, (to->n + 1) * sizeof *to->user);
		struct my_user *u = &to->user[to->n++];
		*u = (struct my_user){.name = xstrdup(row[0]), .host = xstrdup(row[1] ? row[1] : ""), .role = my_field_bool(row[2])};
		if (read_create(run, c, u, err) || read_grants(run, c, u, err))
			return error_add(err, "account %s@%s", u->name, u->host);
		if (row[3] && *row[3])
			set_default_role(u, row[3]);
	}
	return ST_OK;
}

enum status my_users_each(struct run *run, struct my_conn *c, bool *readable, my_user_fn *fn, void *ctx, struct error *err)
{
	CLEANUP(users_release) struct users all = {.user = NULL};
	CLEANUP(error_release) struct error why = ERROR_INIT;

	*readable = true;
	if (read_all(run, c, &all, &why)) {
		switch (my_conn_errno(&why)) {
		case 1044:
		case 1045:
		case 1142:
		case 1227:
			*readable = false;
			return ST_OK;
		default:
			return error_move(err, &why);
		}
	}
	for (size_t i = 0; i < all.n; i++)
		if (fn(ctx, &all.user[i], err))
			return err->code;
	return ST_OK;
}

/* ---- lines of the archive ---- */

json_t *my_user_json(const struct my_user *u)
{
	json_t *j = json_object();

	js_set_str(j, "name", u->name);
	js_set_str(j, "host", u->host);
	js_set_bool(j, "role", u->role);
	js_set_str(j, "create", u->create);
	js_set_new(j, "grants", js_list(&u->grant));
	js_set_str(j, "default_role", u->default_role);
	return j;
}

static enum status from_json(const json_t *j, struct my_user *u, struct error *err)
{
	const char *name, *host, *create, *role = js_opt_str(j, "default_role", NULL);
	json_t *grants, *grant;
	size_t i;

	if (js_str(j, "account", "name", &name, err) || js_str(j, "account", "host", &host, err) ||
	    js_str(j, "account", "create", &create, err) || js_bool(j, "account", "role", &u->role, err) ||
	    js_arr(j, "account", "grants", &grants, err))
		return err->code;
	u->name = xstrdup(name);
	u->host = xstrdup(host);
	u->create = xstrdup(create);
	u->default_role = role ? xstrdup(role) : NULL;
	json_array_foreach(grants, i, grant)
		if (json_is_string(grant))
			strlist_add(&u->grant, json_string_value(grant));
	return ST_OK;
}

static enum status parse_line(const char *line, size_t n, my_user_fn *fn, void *ctx, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;
	CLEANUP(my_user_release) struct my_user u = {.name = NULL};

	if (js_parse(line, n, USERS_PATH, &j, err) || from_json(j, &u, err))
		return err->code;
	return fn(ctx, &u, err);
}

enum status my_users_parse(const char *text, size_t n, my_user_fn *fn, void *ctx, struct error *err)
{
	for (const char *p = text, *end = text + n; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p);

		if (len && parse_line(p, len, fn, ctx, err))
			return err->code;
		p += len + (stop != NULL);
	}
	return ST_OK;
}

/* ---- for stock clients ---- */

void my_user_script_part(const struct my_user *u, enum my_user_part part, struct buf *to)
{
	static const char create[] = "CREATE ";

	if (part == MY_USER_CREATE && !strncmp(u->create, create, strlen(create)) && strlen(u->create) > strlen("CREATE USER "))
		buf_printf(to, "%.11s IF NOT EXISTS%s;\n", u->create, u->create + strlen("CREATE USER"));
	for (size_t i = 0; part == MY_USER_GRANT && i < u->grant.len; i++)
		buf_printf(to, "%s;\n", u->grant.item[i]);
	if (part == MY_USER_DEFAULT_ROLE && u->default_role)
		buf_printf(to, "%s;\n", u->default_role);
}

void my_user_script(const struct my_user *u, struct buf *to)
{
	for (int part = MY_USER_CREATE; part <= MY_USER_DEFAULT_ROLE; part++)
		my_user_script_part(u, (enum my_user_part)part, to);
}

void my_users_script(const struct my_user *u, size_t n, struct buf *to)
{
	for (int part = MY_USER_CREATE; part <= MY_USER_DEFAULT_ROLE; part++)
		for (size_t i = 0; i < n; i++)
			my_user_script_part(&u[i], (enum my_user_part)part, to);
}
