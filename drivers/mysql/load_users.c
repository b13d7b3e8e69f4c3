#include "drivers/mysql/definers.h"
#include "drivers/mysql/users.h"

struct maker {
	struct my_user *user;
	size_t users;
	const struct strlist *only; /* NULL: all */
};

static void maker_release(struct maker *m)
{
	for (size_t i = 0; i < m->users; i++)
		my_user_release(&m->user[i]);
	free(m->user);
}

static void add_user(struct maker *m, struct my_user u)
{
	m->user = xrealloc(m->user, (m->users + 1) * sizeof *m->user);
	m->user[m->users++] = u;
}

static char *copy_or_null(const char *s) { return s ? xstrdup(s) : NULL; }

static enum status take_user(void *ctx, const struct my_user *u, struct error *err)
{
	struct maker *m = ctx;
	CLEANUP(cstr_release) char *account = xasprintf("%s@%s", u->name, u->host);
	struct my_user copy = {.name = xstrdup(u->name), .host = xstrdup(u->host), .role = u->role};

	(void)err;
	copy.create = copy_or_null(u->create);
	copy.default_role = copy_or_null(u->default_role);
	for (size_t i = 0; i < u->grant.len; i++)
		strlist_add(&copy.grant, u->grant.item[i]);
	if (!m->only || strlist_has(m->only, account) || (u->role && strlist_has(m->only, u->name)))
		add_user(m, copy);
	else
		my_user_release(&copy);
	return ST_OK;
}

/* Needed, but an archive of a server whose accounts could not be read says nothing of them. */
static void add_unknown(struct maker *m)
{
	for (size_t i = 0; m->only && i < m->only->len; i++) {
		CLEANUP(buf_release) struct buf sql = BUF_INIT;
		struct my_user u = {.role = false};
		bool known = false;

		my_text_account(m->only->item[i], &u.name, &u.host);
		for (size_t k = 0; k < m->users && !known; k++)
			known = !strcmp(m->user[k].name, u.name) && !strcmp(m->user[k].host, u.host);
		if (known) {
			my_user_release(&u);
			continue;
		}
		u.role = !*u.host;
		buf_puts(&sql, u.role ? "CREATE ROLE " : "CREATE USER ");
		my_sql_ident(&sql, u.name);
		if (!u.role) {
			buf_putc(&sql, '@');
			my_sql_ident(&sql, u.host);
		}
		u.create = buf_detach(&sql);
		add_user(m, u);
	}
}

enum status my_load_accounts(struct run *run, struct my_load *l, struct my_conn *c, struct error *err)
{
	CLEANUP(maker_release) struct maker m = {.user = NULL};
	CLEANUP(strlist_release) struct strlist missing = STRLIST_INIT, needed = STRLIST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool all = l->q->users == LOAD_USERS_ALL && !l->q->scratch, found = false;

	if (l->q->users == LOAD_USERS_NONE && !l->q->scratch)
		return ST_OK;
	my_definers_needed(&l->wish, &needed);
	if (!all && my_definers_missing(run, c, &needed, &missing, err))
		return err->code;
	if (!all && !missing.len)
		return ST_OK;
	m.only = all ? NULL : &missing;
	if (my_load_file(l->q, NULL, USERS_PATH, &text, &found, err) ||
	    (found && my_users_parse(buf_str(&text), text.len, take_user, &m, err)))
		return err->code;
	secure_zero(text.data, text.len);
	add_unknown(&m);
	return m.users ? my_users_restore(run, c, m.user, m.users, all, &l->rights, l->e->notes, err) : ST_OK;
}

enum status my_load_rights(struct run *run, struct my_load *l, struct error *err)
{
	const bool last = l->s == &l->p->scope[l->p->scopes - 1];

	return my_users_grant_later(run, l->conn, &l->rights, last, l->e->notes, err);
}
