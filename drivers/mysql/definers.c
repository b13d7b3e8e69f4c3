#include "drivers/mysql/definers.h"

#define SHOWN_MOST 3 /* objects of one definer: the rest is a number */

/* ---- the setting ---- */

static char *whole_name(const char *account, bool mariadb)
{
	return mariadb || strchr(account, '@') ? xstrdup(account) : xasprintf("%s@%%", account);
}

static enum status add_pair(const char *pair, bool mariadb, struct my_definers *d, struct error *err)
{
	const char *equals = strchr(pair, '=');

	if (!equals || equals == pair || !equals[1]) {
		error_set(err, ST_USAGE, "--definers: \"%s\" is neither keep nor strip nor OLD=NEW", pair);
		return error_hint(err, "For example --definers 'app@%%=app@10.0.%%', once for each account.");
	}
	CLEANUP(cstr_release) char *old = xstrndup(pair, (size_t)(equals - pair));
	CLEANUP(cstr_release) char *from = whole_name(old, mariadb);
	if (strlist_has(&d->from, from))
		return error_set(err, ST_USAGE, "--definers names %s twice", from);
	strlist_add(&d->from, from);
	strlist_take(&d->to, whole_name(equals + 1, mariadb));
	return ST_OK;
}

enum status my_definers_read(const struct endpoint *e, const struct load_request *q, bool mariadb, struct my_definers *d, struct error *err)
{
	const struct strlist *words = &my_params(e)->definers;
	bool keep = false;

	if (q->scratch)
		return ST_OK;
	d->strip = q->no_owner;
	for (size_t i = 0; i < words->len; i++)
		if (!strcmp(words->item[i], "keep"))
			keep = true;
		else if (!strcmp(words->item[i], "strip"))
			d->strip = true;
		else if (add_pair(words->item[i], mariadb, d, err))
			return err->code;
	if (keep && d->strip)
		return error_set(err, ST_USAGE, "definers can be kept or stripped, not both (--definers, --no-owner)");
	return ST_OK;
}

void my_definers_release(struct my_definers *d)
{
	strlist_release(&d->from);
	strlist_release(&d->to);
}

bool my_definers_changed(const struct endpoint *e)
{
	const struct strlist *words = &my_params(e)->definers;
	bool changed = false;

	for (size_t i = 0; i < words->len; i++)
		changed |= strcmp(words->item[i], "keep") != 0;
	return changed;
}

/* ---- objects ---- */

static void change(struct my_object *o, const char *account)
{
	CLEANUP(cstr_release) char *name = NULL, *host = NULL, *before = o->sql;

	if (account)
		my_text_account(account, &name, &host);
	o->sql = my_ddl_with_definer(before, o->sql_mode, name, host);
	free(o->definer);
	o->definer = account ? xstrdup(account) : NULL;
}

void my_definers_apply(const struct my_definers *d, struct my_load_wish *w, struct strlist *mapped)
{
	for (size_t i = 0; i < w->objects; i++) {
		struct my_object *o = &w->object[i];
		size_t k = 0;

		if (!o->definer)
			continue;
		while (k < d->from.len && strcmp(d->from.item[k], o->definer))
			k++;
		if (k < d->from.len && mapped)
			strlist_add_once(mapped, d->from.item[k]);
		if (k < d->from.len)
			change(o, d->to.item[k]);
		else if (d->strip)
			change(o, NULL);
	}
}

static bool is_made_of(const struct my_load_wish *w, const struct my_object *o)
{
	return o->definer && *o->definer && my_load_wish_makes(w, o);
}

void my_definers_needed(const struct my_load_wish *w, struct strlist *to)
{
	for (size_t i = 0; i < w->objects; i++)
		if (is_made_of(w, &w->object[i]))
			strlist_add_once(to, w->object[i].definer);
}

void my_definers_shown(const struct my_load_wish *w, const struct strlist *definers, struct buf *to)
{
	for (size_t i = 0; i < definers->len; i++) {
		unsigned n = 0;

		buf_printf(to, "%s%s (", i ? ", " : "", definers->item[i]);
		for (size_t k = 0; k < w->objects; k++) {
			const struct my_object *o = &w->object[k];

			if (is_made_of(w, o) && !strcmp(o->definer, definers->item[i]) && n++ < SHOWN_MOST)
				buf_printf(to, "%s%s %s", n > 1 ? ", " : "", my_object_kind_name(o->kind), o->name);
		}
		if (n > SHOWN_MOST)
			buf_printf(to, " and %u more", n - SHOWN_MOST);
		buf_putc(to, ')');
	}
}

/* ---- accounts ---- */

/* *answer stays as it is where this account may not look. */
static enum status is_account(struct run *run, struct my_conn *c, const char *definer, const char *question, bool *answer, struct error *err)
{
	CLEANUP(cstr_release) char *name = NULL, *host = NULL, *n = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	my_text_account(definer, &name, &host);
	buf_printf(&sql, "SELECT COUNT(*) FROM %s User = ", question);
	my_sql_literal(&sql, name);
	buf_puts(&sql, " AND Host = ");
	my_sql_literal(&sql, host);
	if (!my_conn_value(run, c, buf_str(&sql), &n, &why)) {
		*answer = my_field_u64(n) > 0;
		return ST_OK;
	}
	return my_conn_lost(&why) ? error_move(err, &why) : ST_OK;
}

enum status my_definers_missing(struct run *run, struct my_conn *c, const struct strlist *definers, struct strlist *missing,
				struct error *err)
{
	for (size_t i = 0; i < definers->len; i++) {
		/* Who may not read mysql.user learns nothing of other accounts: then none is said to be missing. */
		bool exists = true;

		if (is_account(run, c, definers->item[i], "mysql.user WHERE", &exists, err))
			return err->code;
		if (!exists)
			strlist_add(missing, definers->item[i]);
	}
	return ST_OK;
}

static void put_right(const struct my_rights *rights, const char *right, struct buf *lack)
{
	if (!my_rights_have(rights, right, NULL))
		buf_printf(lack, "%s%s", lack->len ? ", " : "", right);
}

/* MySQL: what belongs to one with SYSTEM_USER is made by such a one only. */
static enum status lack_system_user(struct run *run, struct my_conn *c, const struct my_definers_question *q, struct buf *lack,
				    struct error *err)
{
	bool of_system = false;

	for (size_t i = 0; i < q->definers->len && !of_system; i++)
		if (strcmp(q->definers->item[i], q->me) &&
		    is_account(run, c, q->definers->item[i], "mysql.global_grants WHERE PRIV = 'SYSTEM_USER' AND", &of_system, err))
			return err->code;
	if (of_system)
		put_right(q->rights, "SYSTEM_USER", lack);
	return ST_OK;
}

enum status my_definers_lack(struct run *run, struct my_conn *c, const struct my_definers_question *q, struct buf *lack, struct error *err)
{
	const bool super = my_rights_have(q->rights, "SUPER", NULL);
	bool others = false;

	for (size_t i = 0; i < q->definers->len; i++)
		others |= strcmp(q->definers->item[i], q->me) != 0;
	if (!others)
		return ST_OK;
	if (c->mariadb) {
		/* From 11 on SUPER does not hold it. */
		if (!super || c->version >= 110000)
			put_right(q->rights, "SET USER", lack);
		return ST_OK;
	}
	if (!super)
		put_right(q->rights, c->version >= 80200 ? "SET_ANY_DEFINER" : c->version >= 80000 ? "SET_USER_ID" : "SUPER", lack);
	if (!super && c->version >= 80200 && q->missing->len)
		put_right(q->rights, "ALLOW_NONEXISTENT_DEFINER", lack);
	return c->version >= 80016 ? lack_system_user(run, c, q, lack, err) : ST_OK;
}

/* ---- an exchange ---- */

static enum status list_definers(struct run *run, struct my_conn *c, const char *database, struct strlist *to, struct error *err)
{
	static const char *const tables[][2] = {{"VIEWS", "TABLE_SCHEMA"}, {"ROUTINES", "ROUTINE_SCHEMA"}, {"TRIGGERS", "TRIGGER_SCHEMA"}, {"EVENTS", "EVENT_SCHEMA"}};
	CLEANUP(strlist_release) struct strlist all = STRLIST_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		buf_printf(&sql, "%sSELECT DEFINER FROM information_schema.%s WHERE", i ? " UNION " : "", tables[i][0]);
		my_sql_is_name(&sql, tables[i][1], database);
	}
	if (my_list(run, c, buf_str(&sql), &all, err))
		return error_add(err, "to whom the objects of the database %s belong", database);
	for (size_t i = 0; i < all.len; i++)
		strlist_add_once(to, all.item[i]);
	return ST_OK;
}

enum status my_definers_may_move(struct run *run, struct my_conn *c, const char *a, const char *b, struct error *err)
{
	CLEANUP(strlist_release) struct strlist definers = STRLIST_INIT, missing = STRLIST_INIT;
	CLEANUP(my_rights_freep) struct my_rights *rights = NULL;
	CLEANUP(cstr_release) char *me = NULL;
	CLEANUP(buf_release) struct buf lack = BUF_INIT, names = BUF_INIT;

	if (list_definers(run, c, a, &definers, err) || (b && list_definers(run, c, b, &definers, err)) ||
	    my_definers_missing(run, c, &definers, &missing, err) || my_rights_read(run, c, &rights, err) ||
	    my_conn_value(run, c, "SELECT CURRENT_USER()", &me, err))
		return err->code;
	const struct my_definers_question q = {rights, me ? me : "", &definers, &missing};
	if (my_definers_lack(run, c, &q, &lack, err) || !lack.len)
		return err->code;
	for (size_t i = 0; i < definers.len; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", definers.item[i]);
	error_set(err, ST_REFUSED, "%s may not make again what belongs to %s", q.me, buf_str(&names));
	return error_hint(err, "Nothing was changed. GRANT %s ON *.* TO it; or let another account do it.", buf_str(&lack));
}
