#include "drivers/mysql/conn.h"

#include "drivers/mysql/ddl.h"
#include "drivers/mysql/mydriver.h"
#include "drivers/mysql/objects.h"
#include "drivers/mysql/server.h"
#include "drivers/mysql/session.h"
#include "drivers/mysql/snapshot.h"
#include "drivers/mysql/upstream.h"

#define CONNECTIONS_LEAST 4 /* --jobs 2, the coordinator's, and the guard's */

/* What one look at a server shares. */
struct looking {
	struct run *run;
	struct my_conn *c;
	const struct my_server *s;
	const struct my_rights *rights;
	char *account;       /* `user`@`host` of this session, to be granted rights */
	const char *database; /* of the URL; NULL: all */
	struct probe *p;
};

static bool have(const struct looking *l, const char *privilege) { return my_rights_have(l->rights, privilege, NULL); }

/* ---- databases ---- */

static const char databases_sql[] =
	"SELECT s.SCHEMA_NAME, (SELECT SUM(t.DATA_LENGTH + t.INDEX_LENGTH) FROM information_schema.TABLES t"
	" WHERE t.TABLE_SCHEMA = s.SCHEMA_NAME) FROM information_schema.SCHEMATA s ORDER BY BINARY s.SCHEMA_NAME";

static enum status list_databases(struct looking *l, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	struct probe *p = l->p;
	MYSQL_ROW row;

	if (my_conn_query(l->run, l->c, databases_sql, &r, err))
		return error_add(err, "list of databases");
	p->database = xcalloc(mysql_num_rows(r) + 1, sizeof *p->database);
	while ((row = mysql_fetch_row(r)))
		if (!my_system_database(row[0]))
			p->database[p->databases++] = (struct probe_database){.name = xstrdup(row[0]), .size = my_field_u64(row[1])};
	return ST_OK;
}

static enum status database_is_empty(struct looking *l, const char *name, bool *empty, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *value = NULL;
	static const struct {
		const char *table, *schema;
	} kind[] = {{"TABLES", "TABLE_SCHEMA"}, {"ROUTINES", "ROUTINE_SCHEMA"}, {"EVENTS", "EVENT_SCHEMA"}};

	buf_puts(&sql, "SELECT 1");
	for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
		buf_printf(&sql, " AND NOT EXISTS (SELECT 1 FROM information_schema.%s WHERE %s = ", kind[i].table, kind[i].schema);
		my_sql_literal(&sql, name);
		buf_putc(&sql, ')');
	}
	if (my_conn_value(l->run, l->c, buf_str(&sql), &value, err))
		return error_add(err, "database %s", name);
	*empty = my_field_bool(value);
	return ST_OK;
}

/* ---- rights ---- */

static void grant(struct looking *l, const char *privileges, const char *on)
{
	CLEANUP(cstr_release) char *text = xasprintf("GRANT %s ON %s TO %s;", privileges, on, l->account);

	strlist_add_once(&l->p->missing, text);
}

static bool sees_routines(const struct looking *l, const char *database)
{
	if (l->s->mariadb)
		return my_rights_have(l->rights, "SELECT", "mysql") || my_rights_have(l->rights, "SHOW CREATE ROUTINE", database);
	return have(l, "SELECT") || have(l, "SHOW_ROUTINE") || (l->s->number < 80000 && my_rights_have(l->rights, "SELECT", "mysql"));
}

/* A weak account sees a smaller database, without an error. */
static void judge_database(struct looking *l, const char *name)
{
	static const char *const needed[] = {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT"};
	CLEANUP(buf_release) struct buf lacking = BUF_INIT;
	CLEANUP(buf_release) struct buf on = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!my_rights_have(l->rights, needed[i], name))
			buf_printf(&lacking, "%s%s", lacking.len ? ", " : "", needed[i]);
	if (l->database)
		my_rights_place(l->rights, name, &on);
	else
		buf_puts(&on, "*.*");
	if (lacking.len)
		grant(l, buf_str(&lacking), buf_str(&on));
	/* SELECT on all of it would bring them. */
	if (sees_routines(l, name) || (!l->database && !my_rights_have(l->rights, "SELECT", name)))
		return;
	if (l->s->mariadb || l->s->number < 80000)
		grant(l, "SELECT", "mysql.*");
	else
		grant(l, "SHOW_ROUTINE", "*.*");
}

/* Whether all sessions can be brought to one moment, and what that costs the writers. */
static enum status judge_moment(struct looking *l, struct error *err)
{
	CLEANUP(cstr_release) char *status = NULL;
	bool mariadb = l->s->mariadb, lock = have(l, "RELOAD") || (!mariadb && have(l, "FLUSH_TABLES"));
	bool ordered = false;

	if (my_snapshot_is_ordered(l->run, l->c, l->s, &ordered, err))
		return err->code;
	if (ordered && mariadb)
		return ST_OK;
	if (ordered && !my_conn_value(l->run, l->c, "SELECT LOCAL FROM performance_schema.log_status", &status, err))
		return ST_OK;
	if (err->code && err->code != ST_DENIED && err->code != ST_SERVER && err->code != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	const char *why = !l->s->binlog ? "the binlog is off" : ordered ? "the status of the log may not be read" : "not all changes are in the binlog";
	if (!l->s->binlog)
		strlist_add(&l->p->limits, "the binlog is off: a backup has no binlog coordinates, and nothing can be replayed on top of it");
	if (lock) {
		strlist_take(&l->p->limits, xasprintf("%s: writers wait while the snapshots of a backup start (%s), at most for lock_timeout", why,
						      mariadb ? "BACKUP STAGE BLOCK_COMMIT" : "FLUSH TABLES WITH READ LOCK"));
	} else if (ordered) {
		grant(l, "BACKUP_ADMIN", "*.*");
		if (!my_rights_have(l->rights, "SELECT", "performance_schema"))
			grant(l, "SELECT", "performance_schema.log_status");
	} else {
		grant(l, "RELOAD", "*.*");
	}
	return ST_OK;
}

static void judge_rights(struct looking *l)
{
	struct strlist *limits = &l->p->limits;

	if (!my_rights_have(l->rights, "SELECT", "mysql"))
		strlist_take(limits, xasprintf("accounts and their grants are not in a backup by this user (GRANT SELECT ON mysql.* TO %s;"
					       " would change that)", l->account));
	if (!l->database && !have(l, "SELECT") && !have(l, "SHOW DATABASES"))
		strlist_take(limits, xasprintf("databases that this user has no right on are not seen, nor missed (GRANT SHOW DATABASES ON *.* TO %s;"
					       " would change that)", l->account));
	if (l->s->mariadb && l->s->binlog && !have(l, "BINLOG ADMIN"))
		strlist_take(limits, xasprintf("ALTER TABLE of a table that was read waits for the end of the backup, and others behind it"
					       " (GRANT BINLOG ADMIN ON *.* TO %s; would change that)", l->account));
}

/* ---- what a backup will not have ---- */

static const char alien_sql[] =
	"SELECT TABLE_SCHEMA, COUNT(*), MIN(CONCAT(TABLE_NAME, ' (', ENGINE, ')')) FROM information_schema.TABLES"
	" WHERE ENGINE IS NOT NULL AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
	" AND ENGINE NOT IN (SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES')"
	" GROUP BY TABLE_SCHEMA ORDER BY BINARY TABLE_SCHEMA";

static bool concerns(const struct looking *l, const char *name) { return !l->database || !strcmp(l->database, name); }

static enum status look_at_tables(struct looking *l, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	if (my_conn_query(l->run, l->c, alien_sql, &r, err))
		return error_add(err, "list of tables");
	while ((row = mysql_fetch_row(r))) {
		uint64_t n = my_field_u64(row[1]);
		CLEANUP(cstr_release) char *more = n > 1 ? xasprintf(" and %" PRIu64 " more", n - 1) : xstrdup("");

		if (!my_system_database(row[0]) && concerns(l, row[0]))
			strlist_take(&l->p->limits, xasprintf("rows of tables without transactions are not of the same moment as the others: in"
							      " database %s, %s%s", row[0], row[2], more));
	}
	return ST_OK;
}

static enum status look_at_connections(struct looking *l, struct error *err)
{
	CLEANUP(cstr_release) char *connected = NULL, *most = NULL;

	if (my_conn_shown(l->run, l->c, "SHOW GLOBAL STATUS LIKE 'Threads_connected'", &connected, err) ||
	    my_conn_value(l->run, l->c, "SELECT @@global.max_connections", &most, err))
		return err->code;
	uint64_t used = my_field_u64(connected), all = my_field_u64(most), left = all > used ? all - used : 0;

	if (left + 1 < CONNECTIONS_LEAST) /* this one is free then */
		strlist_take(&l->p->impossible, xasprintf("only %" PRIu64 " connections are free: a backup with --jobs 2 needs %d", left + 1,
							  CONNECTIONS_LEAST));
	return ST_OK;
}

static enum status look_at_databases(struct looking *l, bool want_empty, struct error *err)
{
	bool found = !l->database;

	for (size_t i = 0; i < l->p->databases; i++) {
		struct probe_database *d = &l->p->database[i];

		if (!concerns(l, d->name))
			continue;
		found = true;
		judge_database(l, d->name);
		if (want_empty && database_is_empty(l, d->name, &d->empty, err))
			return err->code;
	}
	if (!found)
		strlist_take(&l->p->impossible, xasprintf("there is no database %s, or this user may not see it", l->database));
	return ST_OK;
}

/* ---- all ---- */

static enum status find_account(struct looking *l, struct error *err)
{
	CLEANUP(cstr_release) char *value = NULL, *name = NULL, *host = NULL;
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (my_conn_value(l->run, l->c, "SELECT CURRENT_USER()", &value, err))
		return err->code;
	if (!value || !strchr(value, '@'))
		return error_set(err, ST_SERVER, "the server does not say which account this is");
	my_text_account(value, &name, &host);
	my_put_account(name, host, &text);
	l->account = buf_detach(&text);
	return ST_OK;
}

static enum status look(struct looking *l, bool want_empty, struct error *err)
{
	if (find_account(l, err) || list_databases(l, err) || look_at_databases(l, want_empty, err))
		return err->code;
	judge_rights(l);
	if (judge_moment(l, err) || look_at_tables(l, err) || look_at_connections(l, err))
		return err->code;
	return ST_OK;
}

enum status my_probe(struct run *run, const struct endpoint *e, bool want_empty, struct probe *p, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(my_server_release) struct my_server s = {.identity = NULL};
	CLEANUP(my_rights_freep) struct my_rights *rights = NULL;
	CLEANUP(cstr_release) char *of_url = NULL;

	if (my_conn_url_database(e, &of_url, err) || my_session_open(run, e, NULL, &c, err) || my_server_look(run, c, &s, err) ||
	    my_rights_read(run, c, &rights, err))
		return err->code;
	struct looking l = {.run = run, .c = c, .s = &s, .rights = rights, .database = of_url, .p = p};
	enum status st = look(&l, want_empty, err);

	free(l.account);
	if (st)
		return st;
	p->identity = xstrdup(s.identity);
	p->version = xstrdup(s.version);
	p->role = xstrdup(s.role);
	if (s.stale)
		strlist_take(&p->impossible, xasprintf("the server is a replica, and %s: how old its data are is not known", s.stale));
	if (!strcmp(s.role, MY_ROLE_UNKNOWN))
		strlist_take(&p->limits, xasprintf("whether the server is a replica is not known, so max_lag cannot be kept (GRANT %s would change"
						   " that)", my_upstream_right(c)));
	p->data_time = s.data_time;
	return ST_OK;
}
