#include "drivers/mysql/users.h"

#include "drivers/mysql/ddl_lex.h"

#define NO_TABLE 1146
#define NO_PROGRAM 1305
#define EXISTS 1396 /* CREATE USER or ROLE of one that is there */

struct restoring {
	struct run *run;
	struct my_conn *c;
	struct notes *notes;
	struct strlist *later; /* NULL: nothing is left for later */
	char *me; /* "name@host" of this session */
	bool all;
};

static enum status begin(struct restoring *r, struct error *err)
{
	if (my_conn_value(r->run, r->c, "SELECT CURRENT_USER()", &r->me, err))
		return err->code;
	if (!r->me)
		r->me = xstrdup("");
	return ST_OK;
}

static void restoring_release(struct restoring *r) { free(r->me); }

static bool is_me(const struct restoring *r, const struct my_user *u)
{
	CLEANUP(cstr_release) char *account = xasprintf("%s@%s", u->name, u->host);

	return !strcmp(account, r->me);
}

/* Runs it; *number: the server's number where it refuses, with the reason in why. Only a lost session is an error. */
static enum status try(struct restoring *r, const char *sql, unsigned *number, struct error *why, struct error *err)
{
	*number = 0;
	if (!my_conn_command(r->run, r->c, sql, why))
		return ST_OK;
	*number = my_conn_errno(why);
	return *number ? ST_OK : error_move(err, why);
}

/* ---- accounts ---- */

static void put_account(const struct my_user *u, struct buf *to)
{
	my_sql_ident(to, u->name);
	if (u->role && !*u->host)
		return;
	buf_putc(to, '@');
	my_sql_ident(to, u->host);
}

/* Locked, and with a password that nobody knows, in case somebody unlocks it. */
static void put_without_login(struct restoring *r, const struct my_user *u, struct buf *to)
{
	char password[41];

	buf_puts(to, u->role ? "CREATE ROLE " : "CREATE USER ");
	put_account(u, to);
	if (u->role)
		return;
	run_random_hex(r->run, password, sizeof password - 1);
	buf_printf(to, " IDENTIFIED BY 'Aa.%s' ACCOUNT LOCK", password);
	secure_zero(password, sizeof password);
}

/* MySQL: IDENTIFIED WITH 'x' of an account without password would make that of one that is there expire. */
static char *with_password(const char *text)
{
	struct my_lex l = my_lex_of(text, NULL);
	struct my_edit e = {.done = text};
	bool identified = false;

	for (my_lex_next(&l); l.kind != MY_WORD_END && l.kind != MY_WORD_BAD && !(identified && my_lex_is(&l, "WITH")); my_lex_next(&l))
		identified = my_lex_is(&l, "IDENTIFIED");
	my_lex_next(&l);
	const char *at = l.at;
	if (l.kind == MY_WORD_TEXT) {
		my_lex_next(&l);
		if (!my_lex_is(&l, "AS"))
			my_edit_put(&e, at, at, " AS ''");
	}
	return my_edit_end(&e);
}

/* The same words do for an account that is there. */
static enum status alter(struct restoring *r, const struct my_user *u, struct error *err)
{
	static const char create[] = "CREATE USER ";
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	unsigned number;

	if (strncmp(u->create, create, strlen(create)))
		return ST_OK;
	CLEANUP(cstr_release) char *rest = r->c->mariadb ? xstrdup(u->create + strlen(create)) : with_password(u->create + strlen(create));
	buf_printf(&sql, "ALTER USER %s", rest);
	secure_zero(rest, strlen(rest));
	enum status st = try(r, buf_str(&sql), &number, &why, err);
	secure_zero(sql.data, sql.len);
	if (!st && number)
		notes_add(r->notes, "account %s@%s is not altered: %s", u->name, u->host, error_text(&why));
	return st;
}

static enum status make(struct restoring *r, const struct my_user *u, struct strlist *made, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *shown = my_user_shown(u);
	unsigned number;

	if (r->all)
		buf_puts(&sql, u->create);
	else
		put_without_login(r, u, &sql);
	enum status st = try(r, buf_str(&sql), &number, &why, err);
	if (sql.data)
		secure_zero(sql.data, sql.len);
	if (st)
		return error_add(err, "making the account %s", shown);
	if (number == EXISTS)
		return r->all ? alter(r, u, err) : ST_OK;
	if (number) {
		notes_add(r->notes, "account %s is not made: %s", shown, error_text(&why));
		return ST_OK;
	}
	strlist_take(made, xasprintf("%s@%s", u->name, u->host));
	if (!r->all)
		notes_add(r->notes, u->role ? "role %s was made: the server did not have it"
					    : "account %s was made without login: the server did not have it",
			  shown);
	return ST_OK;
}

static bool has_create(const struct my_user *u) { return u->create && *u->create; }

enum status my_users_make(struct run *run, struct my_conn *c, const struct my_user *u, size_t n, bool all, struct strlist *made,
			  struct notes *notes, struct error *err)
{
	CLEANUP(restoring_release) struct restoring r = {.run = run, .c = c, .notes = notes, .all = all};

	if (begin(&r, err))
		return err->code;
	for (size_t i = 0; i < n; i++)
		if (has_create(&u[i]) && !is_me(&r, &u[i]) && make(&r, &u[i], made, err))
			return err->code;
	return ST_OK;
}

/* ---- rights ---- */

static enum status give(struct restoring *r, const char *sql, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	unsigned number;

	if (try(r, sql, &number, &why, err))
		return error_add(err, "%s", sql);
	if (r->later && (number == NO_TABLE || number == NO_PROGRAM)) {
		strlist_add_once(r->later, sql);
	} else if (number) {
		notes_add(r->notes, "not done: %s; (%s)", sql, error_text(&why));
	}
	return ST_OK;
}

static bool is_wanted(const struct restoring *r, const struct my_user *u, const struct strlist *made)
{
	CLEANUP(cstr_release) char *account = xasprintf("%s@%s", u->name, u->host);

	return !is_me(r, u) && (r->all || strlist_has(made, account));
}

/* MariaDB: who makes a role may give it, and does so here. That is taken back where others may, and the recorded account of this name
 * does not have it. */
static enum status leave_role(struct restoring *r, const struct my_user *role, const struct my_user *u, size_t n, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(buf_release) struct buf given = BUF_INIT, sql = BUF_INIT;
	bool others = false, mine = false;
	unsigned number;

	buf_puts(&given, "GRANT ");
	my_sql_ident(&given, role->name);
	buf_puts(&given, " TO ");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < u[i].grant.len; k++) {
			const char *line = u[i].grant.item[k];

			if (strncmp(line, buf_str(&given), given.len))
				continue;
			mine |= is_me(r, &u[i]);
			others |= !is_me(r, &u[i]) && strstr(line, " WITH ADMIN OPTION");
		}
	if (mine || !others)
		return ST_OK;
	buf_puts(&sql, "REVOKE ");
	my_sql_ident(&sql, role->name);
	buf_puts(&sql, " FROM CURRENT_USER");
	return try(r, buf_str(&sql), &number, &why, err);
}

enum status my_users_grant(struct run *run, struct my_conn *c, const struct my_user *u, size_t n, bool all, const struct strlist *made,
			   struct strlist *later, struct notes *notes, struct error *err)
{
	CLEANUP(restoring_release) struct restoring r = {.run = run, .c = c, .notes = notes, .later = later, .all = all};

	if (begin(&r, err))
		return err->code;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; is_wanted(&r, &u[i], made) && k < u[i].grant.len; k++)
			if (give(&r, u[i].grant.item[k], err))
				return err->code;
	for (size_t i = 0; i < n; i++)
		if (u[i].default_role && is_wanted(&r, &u[i], made) && give(&r, u[i].default_role, err))
			return err->code;
	for (size_t i = 0; c->mariadb && i < n; i++) {
		CLEANUP(cstr_release) char *account = xasprintf("%s@%s", u[i].name, u[i].host);

		if (u[i].role && strlist_has(made, account) && leave_role(&r, &u[i], u, n, err))
			return err->code;
	}
	return ST_OK;
}

enum status my_users_grant_later(struct run *run, struct my_conn *c, struct strlist *later, bool last, struct notes *notes, struct error *err)
{
	CLEANUP(strlist_release) struct strlist left = STRLIST_INIT;
	struct restoring r = {.run = run, .c = c, .notes = notes, .later = last ? NULL : &left};

	for (size_t i = 0; i < later->len; i++)
		if (give(&r, later->item[i], err))
			return err->code;
	strlist_release(later);
	*later = left;
	left = (struct strlist)STRLIST_INIT;
	return ST_OK;
}

enum status my_users_restore(struct run *run, struct my_conn *c, const struct my_user *u, size_t n, bool all, struct strlist *later,
			     struct notes *notes, struct error *err)
{
	CLEANUP(strlist_release) struct strlist made = STRLIST_INIT;

	if (my_users_make(run, c, u, n, all, &made, notes, err))
		return err->code;
	return my_users_grant(run, c, u, n, all, &made, later, notes, err);
}
