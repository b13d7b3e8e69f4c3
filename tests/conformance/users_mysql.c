#include "drivers/mysql/users.h"

#include "drivers/mysql/session.h"
#include "tests/conformance/mysql_server.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

struct users {
	struct my_user *u;
	size_t n;
};

static void users_release(struct users *l)
{
	for (size_t i = 0; i < l->n; i++)
		my_user_release(&l->u[i]);
	free(l->u);
	*l = (struct users){.u = NULL};
}

static enum status keep(void *ctx, const struct my_user *u, struct error *err)
{
	struct users *l = ctx;
	struct my_user copy = {.name = xstrdup(u->name), .host = xstrdup(u->host), .role = u->role, .create = xstrdup(u->create)};

	(void)err;
	copy.default_role = u->default_role ? xstrdup(u->default_role) : NULL;
	for (size_t i = 0; i < u->grant.len; i++)
		strlist_add(&copy.grant, u->grant.item[i]);
	l->u = xrealloc(l->u, (l->n + 1) * sizeof *l->u);
	l->u[l->n++] = copy;
	return ST_OK;
}

static enum status keep_line(void *ctx, const struct my_user *u, struct error *err)
{
	CLEANUP(js_decref) json_t *j = my_user_json(u);
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	js_write(j, false, &line);
	return my_users_parse(buf_str(&line), line.len, keep, ctx, err);
}

static void read_users(struct my_test_server *s, struct users *to)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	bool readable = false;

	CHECK_OK(my_session_open(&run, &s->e, NULL, &c, &err), err);
	CHECK_OK(my_users_each(&run, c, &readable, keep_line, to, &err), err);
	CHECK(readable && to->n);
}

/* As text, sorted in each account: the server's order of grants changes. */
static char *text_of(const struct users *l)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < l->n; i++) {
		CLEANUP(strlist_release) struct strlist grant = STRLIST_INIT;
		CLEANUP(cstr_release) char *shown = my_user_shown(&l->u[i]);

		for (size_t k = 0; k < l->u[i].grant.len; k++)
			strlist_add(&grant, l->u[i].grant.item[k]);
		strlist_sort(&grant);
		buf_printf(&b, "%s%s: %s; %s\n", shown, l->u[i].role ? " (role)" : "", l->u[i].create, l->u[i].default_role ? l->u[i].default_role : "-");
		for (size_t k = 0; k < grant.len; k++)
			buf_printf(&b, "  %s\n", grant.item[k]);
	}
	return buf_detach(&b);
}

static void all_ok(struct my_test_server *s, const char *const *sql)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	CHECK_OK(my_session_open(&run, &s->e, NULL, &c, &err), err);
	for (; *sql; sql++)
		if (my_conn_command(&run, c, *sql, &err))
			test_fail(__FILE__, __LINE__, "%s: %s", *sql, error_text(&err));
}

static const char *const things[] = {"CREATE DATABASE x", "CREATE TABLE x.o (a int, b int)",
				     "CREATE PROCEDURE x.`p q`() SELECT 1", "CREATE FUNCTION x.f() RETURNS int DETERMINISTIC RETURN 1", NULL};

static const char *const accounts[] = {
	"CREATE USER app@'%' IDENTIFIED BY 'Secret-1' REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 10 PASSWORD EXPIRE INTERVAL 90 DAY",
	"CREATE USER `o'dd ``x`@'10.0.%' IDENTIFIED BY 'Secret-2'",
	"CREATE USER plain@localhost ACCOUNT LOCK",
	"CREATE ROLE r1",
	"CREATE ROLE r2",
	"GRANT r1 TO app@'%'",
	"GRANT r1 TO r2",
	"GRANT r2 TO plain@localhost WITH ADMIN OPTION",
	"GRANT SELECT, INSERT ON x.* TO app@'%' WITH GRANT OPTION",
	"GRANT SELECT ON `x\\_y%`.* TO app@'%'",
	"GRANT RELOAD ON *.* TO app@'%'",
	"GRANT SELECT (a), UPDATE (b) ON x.o TO r1",
	"GRANT EXECUTE ON FUNCTION x.f TO r1",
	"GRANT EXECUTE ON PROCEDURE x.`p q` TO `o'dd ``x`@'10.0.%'",
	"GRANT ALL ON *.* TO plain@localhost WITH GRANT OPTION",
	"GRANT PROXY ON app@'%' TO plain@localhost",
	NULL,
};
static const char *const of_mariadb[] = {
	"CREATE USER socket@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('x')",
	"CREATE ROLE r3 WITH ADMIN r1",
	"SET DEFAULT ROLE r1 FOR app@'%'",
	"GRANT SELECT ON x.* TO PUBLIC",
	NULL,
};
static const char *const of_mysql[] = {
	"SET GLOBAL partial_revokes = ON",
	"ALTER USER app@'%' DEFAULT ROLE r1",
	"REVOKE INSERT ON mysql.* FROM plain@localhost",
	"ALTER USER plain@localhost PASSWORD HISTORY 5 COMMENT 'it''s'",
	"CREATE USER revoked@'%' IDENTIFIED BY 'Secret-3'",
	"GRANT r2 TO revoked@'%'",
	"ALTER USER revoked@'%' DEFAULT ROLE r2",
	"REVOKE r2 FROM revoked@'%'",
	NULL,
};
static const char *const drop[] = {"DROP USER IF EXISTS app@'%', `o'dd ``x`@'10.0.%', plain@localhost, socket@localhost, revoked@'%'",
				   "DROP ROLE IF EXISTS r1, r2, r3", NULL};

static void make_accounts(struct my_test_server *s)
{
	all_ok(s, things);
	all_ok(s, accounts);
	all_ok(s, s->mariadb ? of_mariadb : of_mysql);
}

static void restore(struct my_test_server *s, const struct users *l, bool all)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	CHECK_OK(my_session_open_load(&run, &s->e, NULL, &c, &err), err);
	CHECK_OK(my_users_restore(&run, c, l->u, l->n, all, NULL, s->notes, &err), err);
}

static char *notes_of(struct my_test_server *s)
{
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;
	struct buf b = BUF_INIT;

	buf_puts(&b, "");
	notes_copy(s->notes, &l);
	for (size_t i = 0; i < l.len; i++)
		buf_printf(&b, "%s\n", l.item[i]);
	return buf_detach(&b);
}

TEST("MySQL: accounts and roles come back as they were, with passwords, roles of roles, columns and proxies")
{
	struct my_test_server s;
	CLEANUP(users_release) struct users before = {.u = NULL}, after = {.u = NULL};

	my_test_server_start(&s, NULL);
	make_accounts(&s);
	read_users(&s, &before);
	CLEANUP(cstr_release) char *was = text_of(&before);
	CHECK(!strstr(was, "mariadb.sys") && !strstr(was, "mysql.sys") && !strstr(was, "CREATE USER `root`@`localhost` DEFAULT"));
	CHECK(strstr(was, "IDENTIFIED") && !strstr(was, "GRANT USAGE"));
	all_ok(&s, drop);
	restore(&s, &before, true);
	read_users(&s, &after);
	CLEANUP(cstr_release) char *is = text_of(&after), *notes = notes_of(&s);
	CHECK_STR(is, was);
	CHECK_STR(notes, "");
	/* Once more over what is there. */
	restore(&s, &before, true);
	users_release(&after);
	read_users(&s, &after);
	CLEANUP(cstr_release) char *again = text_of(&after);
	CHECK_STR(again, was);
	my_test_server_stop(&s);
}

TEST("MySQL: missing accounts are made without login, and those that are there are left alone")
{
	struct my_test_server s;
	CLEANUP(users_release) struct users before = {.u = NULL}, after = {.u = NULL};

	my_test_server_start(&s, NULL);
	make_accounts(&s);
	read_users(&s, &before);
	all_ok(&s, drop);
	all_ok(&s, (const char *const[]){"CREATE USER app@'%' IDENTIFIED BY 'Other-1'", NULL});
	CLEANUP(cstr_release) char *own = my_test_server_value(&s, NULL, "SHOW CREATE USER app@'%'");
	restore(&s, &before, false);
	CLEANUP(cstr_release) char *kept = my_test_server_value(&s, NULL, "SHOW CREATE USER app@'%'");
	CHECK_STR(kept, own);
	read_users(&s, &after);
	CLEANUP(cstr_release) char *notes = notes_of(&s);
	CHECK_HAS(notes, "account o'dd `x@10.0.% was made without login");
	CHECK(!strstr(notes, "account app"));
	for (size_t i = 0; i < after.n; i++)
		if (!strcmp(after.u[i].name, "o'dd `x"))
			CHECK(strstr(after.u[i].create, "ACCOUNT LOCK") && after.u[i].grant.len == 1);
	for (size_t i = 0; i < after.n; i++)
		if (!strcmp(after.u[i].name, "app"))
			CHECK_INT(after.u[i].grant.len, 0);
	my_test_server_stop(&s);
}

TEST("MySQL: rights on what is not there yet are noted with their statement, and can be given later")
{
	struct my_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(users_release) struct users before = {.u = NULL}, after = {.u = NULL};

	my_test_server_start(&s, NULL);
	make_accounts(&s);
	read_users(&s, &before);
	CLEANUP(cstr_release) char *was = text_of(&before);
	all_ok(&s, drop);
	my_test_server_sql(&s, NULL, "DROP DATABASE x");
	{
		CLEANUP(my_conn_freep) struct my_conn *c = NULL;
		CLEANUP(strlist_release) struct strlist made = STRLIST_INIT;

		CHECK_OK(my_session_open_load(&run, &s.e, NULL, &c, &err), err);
		CHECK_OK(my_users_make(&run, c, before.u, before.n, true, &made, s.notes, &err), err);
		CHECK_OK(my_users_grant(&run, c, before.u, before.n, true, &made, NULL, s.notes, &err), err);
		CLEANUP(cstr_release) char *notes = notes_of(&s);
		CHECK_HAS(notes, "not done: GRANT EXECUTE ON FUNCTION");
		all_ok(&s, things);
		CHECK_OK(my_users_grant(&run, c, before.u, before.n, true, &made, NULL, s.notes, &err), err);
	}
	read_users(&s, &after);
	CLEANUP(cstr_release) char *is = text_of(&after);
	CHECK_STR(is, was);
	my_test_server_stop(&s);
}

TEST("MySQL: an account that may not read the others learns so")
{
	struct my_test_server s;
	struct error err = ERROR_INIT;
	bool readable = true;
	struct users none = {.u = NULL};
	char password[] = "weak-1.A";
	struct secret secret = {.value = password};

	my_test_server_start(&s, NULL);
	my_test_server_sql(&s, NULL, "CREATE USER weak@'127.0.0.1' IDENTIFIED BY 'weak-1.A'");
	CLEANUP(cstr_release) char *url = xasprintf("mysql://weak@127.0.0.1:%u/", s.port);
	struct endpoint e = s.e;
	e.url = url;
	e.password = &secret;
	{
		CLEANUP(my_conn_freep) struct my_conn *c = NULL;

		CHECK_OK(my_session_open(&run, &e, NULL, &c, &err), err);
		CHECK_OK(my_users_each(&run, c, &readable, keep, &none, &err), err);
		CHECK(!readable && !none.n);
	}
	my_test_server_stop(&s);
}
