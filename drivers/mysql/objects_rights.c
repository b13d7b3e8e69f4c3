#include "drivers/mysql/objects_reading.h"

#include "drivers/mysql/ddl.h"
#include "drivers/mysql/server.h"

/* Without these the server shows less and says nothing of it. */
static void missing_rights(const struct my_rights *r, const char *database, struct buf *to)
{
	static const char *const right[] = {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT"};

	for (size_t i = 0; i < ARRAY_LEN(right); i++)
		if (!my_rights_have(r, right[i], database))
			buf_printf(to, "%s%s", to->len ? ", " : "", right[i]);
}

/* Whether the bodies of all routines may be read. *grant: what would do, a borrowed word of SQL. */
static enum status routines_readable(struct my_reading *r, const struct my_rights *rights, bool *readable, const char **grant,
				     struct error *err)
{
	const struct my_conn *c = r->c;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	const bool table = c->mariadb || c->version < 80000; /* they stand in mysql.proc */

	*grant = table ? "GRANT SELECT ON mysql.proc" : c->version < 80020 ? "GRANT SELECT ON *.*" : "GRANT SHOW_ROUTINE ON *.*";
	*readable = my_rights_have(rights, "SELECT", NULL) || (!table && my_rights_have(rights, "SHOW_ROUTINE", NULL)) ||
		    (c->mariadb && my_rights_have(rights, "SHOW CREATE ROUTINE", r->database));
	if (*readable || !table)
		return ST_OK;
	*readable = !my_conn_command(r->run, r->c, "SELECT 1 FROM mysql.proc LIMIT 0", &why);
	return my_conn_lost(&why) ? error_move(err, &why) : ST_OK;
}

enum status my_reading_denied(struct my_reading *r, const char *what, const char *grant, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(cstr_release) char *account = NULL, *name = NULL, *host = NULL;
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	if (my_conn_value(r->run, r->c, "SELECT CURRENT_USER()", &account, &why) || !account)
		return error_move(err, &why);
	my_text_account(account, &name, &host);
	my_put_account(name, host, &to);
	error_set(err, ST_DENIED, "the account %s may not read %s", account, what);
	return error_hint(err, "%s TO %s;", grant, buf_str(&to));
}

enum status my_reading_rights(struct my_reading *r, struct error *err)
{
	CLEANUP(my_rights_freep) struct my_rights *rights = NULL;
	CLEANUP(buf_release) struct buf missing = BUF_INIT;
	const char *grant;
	bool readable;

	if (my_rights_read(r->run, r->c, &rights, err))
		return err->code;
	missing_rights(rights, r->database, &missing);
	if (missing.len) {
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		buf_printf(&sql, "GRANT %s ON ", buf_str(&missing));
		my_rights_place(rights, r->database, &sql);
		return my_reading_denied(r, "all objects", buf_str(&sql), err);
	}
	if (routines_readable(r, rights, &readable, &grant, err))
		return err->code;
	return readable ? ST_OK : my_reading_denied(r, "functions and procedures", grant, err);
}
