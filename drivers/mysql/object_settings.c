#include "drivers/mysql/object_settings.h"

#include "drivers/mysql/ddl.h"

bool my_text_is_plain(const char *text, const char *charset)
{
	if (!strncmp(charset, "utf8", 4) || !strcmp(charset, "binary"))
		return true;
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* Words that MySQL 8 has no more; they change nothing for it. */
static bool is_gone(const char *word, size_t n)
{
	static const char *const gone[] = {"NO_AUTO_CREATE_USER", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "POSTGRESQL",
					   "MYSQL323",		  "MYSQL40",	      "ORACLE",		"MSSQL",	    "DB2",
					   "MAXDB"};

	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		if (strlen(gone[i]) == n && !strncmp(gone[i], word, n))
			return true;
	return false;
}

static char *known_modes(const struct my_conn *c, const char *sql_mode)
{
	struct buf b = BUF_INIT;

	if (!c || c->mariadb || c->version < 80000)
		return xstrdup(sql_mode);
	buf_puts(&b, "");
	for (const char *p = sql_mode; *p;) {
		size_t n = strcspn(p, ",");

		if (!is_gone(p, n)) {
			buf_puts(&b, b.len ? "," : "");
			buf_put(&b, p, n);
		}
		p += n + (p[n] == ',');
	}
	return buf_detach(&b);
}

static void put_one(struct buf *to, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(to, "%s%s = ", to->len ? ", " : "", name);
	my_sql_literal(to, value);
}

void my_put_settings(const struct my_conn *c, const struct my_object *o, const char *client, struct buf *to)
{
	CLEANUP(cstr_release) char *mode = o->sql_mode ? known_modes(c, o->sql_mode) : NULL;
	CLEANUP(buf_release) struct buf list = BUF_INIT;

	put_one(&list, "sql_mode", mode);
	put_one(&list, "character_set_client", client);
	put_one(&list, "collation_connection", o->collation);
	put_one(&list, "time_zone", o->time_zone);
	if (list.len)
		buf_printf(to, "SET %s", buf_str(&list));
}

void my_put_database_collation(const char *collation, struct buf *to)
{
	buf_puts(to, "ALTER DATABASE COLLATE = ");
	my_sql_ident(to, collation);
}

void my_put_event_status(const struct my_object *o, bool replica, struct buf *to)
{
	if (!o->status || !strcmp(o->status, "DISABLED"))
		return;
	buf_puts(to, "ALTER ");
	if (o->definer) {
		CLEANUP(cstr_release) char *name = NULL, *host = NULL;

		my_text_account(o->definer, &name, &host);
		my_put_definer(name, host, to);
	}
	buf_puts(to, "EVENT ");
	my_sql_ident(to, o->name);
	buf_puts(to, !strcmp(o->status, "ENABLED") ? " ENABLE" : replica ? " DISABLE ON REPLICA" : " DISABLE ON SLAVE");
}

bool my_event_is_enabled(const struct my_object *o) { return o->kind == OBJECT_EVENT && o->status && !strcmp(o->status, "ENABLED"); }

static void set_status(struct my_object *o, const char *status)
{
	free(o->status);
	o->status = xstrdup(status);
}

void my_event_park(struct my_object *o)
{
	if (o->kind == OBJECT_EVENT)
		set_status(o, my_event_is_enabled(o) ? "SLAVESIDE_DISABLED" : "DISABLED");
}

void my_event_unpark(struct my_object *o)
{
	if (o->kind == OBJECT_EVENT && o->status && strcmp(o->status, "DISABLED"))
		set_status(o, "ENABLED");
}
