#include "drivers/mysql/load_plan.h"

#include "drivers/mysql/binlog.h"
#include "drivers/mysql/definers.h"
#include "util/fs.h"

/* ---- once ---- */

/* "10.11.19-MariaDB", "9.7.4" */
static int version_number(const char *text)
{
	char *end;
	long major = strtol(text, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;

	return (int)(major * 100 + minor);
}

static void check_version(struct my_planner *pl)
{
	const char *archive = pl->q->archive_version;
	int theirs = archive ? version_number(archive) : 0, ours = pl->server.number / 100;
	bool mariadb = archive && strstr(archive, "MariaDB") != NULL;

	if (!theirs)
		return;
	if (mariadb != pl->server.mariadb)
		plan_line(&pl->p->refusals, "the backup is of %s %s, the server is %s %s: their definitions, types and accounts differ; restore it"
				   " into a server of its own kind", mariadb ? "MariaDB" : "MySQL", archive,
			       pl->server.mariadb ? "MariaDB" : "MySQL", pl->server.version);
	else if (theirs / 100 > ours / 100)
		plan_line(&pl->p->refusals, "the backup is of version %s, the server is %s: an older one does not know all of its definitions; take a server of"
				   " the version of the backup or a later one",
			       archive, pl->server.version);
	else if (theirs > ours)
		plan_line(&pl->p->warnings, "the backup is of version %s, the server is %s: definitions that it does not know will end the restore",
			     archive, pl->server.version);
}

static enum status check_writable(struct run *run, struct my_planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *closed = NULL, *left = NULL;

	if (my_conn_value(run, pl->c, "SELECT @@read_only", &closed, err))
		return err->code;
	if (my_field_u64(closed) && !my_rights_have(pl->rights, "SUPER", NULL) &&
	    !my_rights_have(pl->rights, pl->server.mariadb ? "READ_ONLY ADMIN" : "CONNECTION_ADMIN", NULL))
		plan_line(&pl->p->refusals, "the server is read_only: nothing can be written there");
	if (my_conn_value(run, pl->c, "SELECT @@max_connections - COUNT(*) FROM information_schema.PROCESSLIST", &left, err))
		return err->code;
	if (left && strtoll(left, NULL, 10) < (long long)pl->q->jobs + 3)
		plan_line(&pl->p->warnings, "the server has about %s connections left, this restore uses %u: lower --jobs", left, pl->q->jobs + 3);
	return ST_OK;
}

enum status my_check_server(struct run *run, struct my_planner *pl, struct error *err)
{
	if (my_server_look(run, pl->c, &pl->server, err) || my_rights_read(run, pl->c, &pl->rights, err) ||
	    my_conn_value(run, pl->c, "SELECT CURRENT_USER()", &pl->me, err) ||
	    my_list(run, pl->c, "SELECT UPPER(ENGINE) FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')", &pl->engines, err))
		return err->code;
	check_version(pl);
	return check_writable(run, pl, err);
}

/* ---- the binlog ---- */

/* By the marks in the targets, what an attempt before did. */
static enum status look_before(struct run *run, struct my_planner *pl, enum load_logged *before, struct error *err)
{
	*before = LOAD_LOGGED_UNKNOWN;
	for (size_t i = 0; i < pl->p->scopes; i++) {
		const struct my_mark m = {pl->p->scope[i].target, pl->q->run};
		bool marked = false, unlogged = false;

		if (my_mark_exists(run, pl->c, &m, &marked, err) || (marked && my_mark_state(run, pl->c, &m, "unlogged", &unlogged, err)))
			return err->code;
		if (unlogged)
			*before = LOAD_UNLOGGED;
		else if (marked && *before == LOAD_LOGGED_UNKNOWN)
			*before = LOAD_LOGGED;
	}
	return ST_OK;
}

enum status my_check_binlog(struct run *run, struct my_planner *pl, struct error *err)
{
	CLEANUP(my_binlog_choice_release) struct my_binlog_choice x = MY_BINLOG_CHOICE_INIT;
	struct my_binlog_request q = {
		.e = pl->e,
		.server = &pl->server,
		.what = "the restore",
		.live = pl->q->data_only || pl->q->tables->len,
		.scratch = pl->q->scratch,
	};

	if (look_before(run, pl, &q.copy, err))
		return err->code;
	/* Nothing was written yet. */
	if (q.copy == LOAD_LOGGED_UNKNOWN && my_params(pl->e)->replicas == MY_REPLICAS_FOLLOW)
		q.copy = LOAD_LOGGED;
	if (my_binlog_choose(run, pl->c, &q, &x, err))
		return err->code;
	pl->p->unlogged = x.out;
	if (x.refusal)
		plan_line(&pl->p->refusals, "%s", x.refusal);
	if (x.warning)
		plan_line(&pl->p->warnings, "%s", x.warning);
	if (x.step && !x.refusal)
		plan_line(&pl->p->steps, "%s", x.step);
	return ST_OK;
}

/* ---- rights ---- */

static bool makes_kind(const struct my_planner *pl, enum object_kind kind)
{
	for (size_t i = 0; i < pl->wish.objects; i++)
		if (pl->wish.object[i].kind == kind && my_load_wish_makes(&pl->wish, &pl->wish.object[i]))
			return true;
	return false;
}

static void check_rights(struct my_planner *pl)
{
	const struct {
		const char *right;
		bool needed;
	} all[] = {
		{"SELECT", true}, {"INSERT", true}, {"CREATE", true}, {"DROP", true}, {"DELETE", true},
		{"ALTER", pl->wish.mode != MY_LOAD_ROWS}, {"INDEX", pl->wish.mode != MY_LOAD_ROWS},
		{"REFERENCES", makes_kind(pl, OBJECT_TABLE)},
		{"CREATE VIEW", makes_kind(pl, OBJECT_VIEW)}, {"SHOW VIEW", makes_kind(pl, OBJECT_VIEW)},
		{"CREATE ROUTINE", makes_kind(pl, OBJECT_FUNCTION) || makes_kind(pl, OBJECT_PROCEDURE) || makes_kind(pl, OBJECT_PACKAGE)},
		{"TRIGGER", makes_kind(pl, OBJECT_TRIGGER)}, {"EVENT", makes_kind(pl, OBJECT_EVENT)},
	};
	CLEANUP(buf_release) struct buf lack = BUF_INIT, database = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].needed && !my_rights_have(pl->rights, all[i].right, pl->s->target))
			buf_printf(&lack, "%s%s", lack.len ? ", " : "", all[i].right);
	my_sql_ident(&database, pl->s->target);
	if (lack.len)
		plan_line(&pl->p->refusals, "%s lacks rights on the database %s: GRANT %s ON %s.* TO ...", pl->me, pl->s->target, buf_str(&lack),
			       buf_str(&database));
}

/* ---- accounts ---- */

/* What belongs to others can be made by those only who may do so. */
static enum status check_definers(struct run *run, struct my_planner *pl, const struct strlist *needed, struct error *err)
{
	const struct strlist none = STRLIST_INIT; /* which are missing is made before, or refused */
	const struct my_definers_question q = {pl->rights, pl->me, needed, &none};
	CLEANUP(buf_release) struct buf lack = BUF_INIT, names = BUF_INIT;

	if (my_definers_lack(run, pl->c, &q, &lack, err) || !lack.len)
		return err->code;
	my_definers_shown(&pl->wish, needed, &names);
	plan_line(&pl->p->refusals, "%s may not make what belongs to others: %s; GRANT %s ON *.* TO ..., or restore with --definers strip, then all"
			   " belongs to %s", pl->me, buf_str(&names), buf_str(&lack), pl->me);
	return ST_OK;
}

static void check_missing(struct my_planner *pl, const struct strlist *missing)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT;

	my_definers_shown(&pl->wish, missing, &names);
	if (pl->q->users == LOAD_USERS_NONE && !pl->q->scratch)
		plan_line(&pl->p->refusals, "the server lacks the accounts %s; create them, take --users missing, or --definers strip or OLD=NEW",
			       buf_str(&names));
	else if (!my_rights_have(pl->rights, "CREATE USER", NULL))
		plan_line(&pl->p->refusals, "the server lacks the accounts %s, and %s may not create accounts: GRANT CREATE USER ON *.* TO ..., or take"
				   " --definers strip or OLD=NEW", buf_str(&names), pl->me);
	else
		plan_line(&pl->p->steps, "make without login the accounts that the server lacks: %s", buf_str(&names));
}

static enum status check_accounts(struct run *run, struct my_planner *pl, struct error *err)
{
	CLEANUP(strlist_release) struct strlist needed = STRLIST_INIT, missing = STRLIST_INIT;
	const bool all = pl->q->users == LOAD_USERS_ALL && !pl->q->scratch;

	my_definers_needed(&pl->wish, &needed);
	if (check_definers(run, pl, &needed, err))
		return err->code;
	if (all && my_rights_have(pl->rights, "CREATE USER", NULL))
		plan_line(&pl->p->steps, "make all recorded accounts, with login and password hash");
	else if (all)
		plan_line(&pl->p->refusals, "%s may not create accounts: GRANT CREATE USER ON *.* TO ...", pl->me);
	if (all || my_definers_missing(run, pl->c, &needed, &missing, err))
		return err->code;
	if (missing.len)
		check_missing(pl, &missing);
	return ST_OK;
}

/* ---- the binlog and time ---- */

/* With the binlog on, what acts by itself is let in from those only whom the server trusts. */
static enum status check_trust(struct run *run, struct my_planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *trusts = NULL;

	if (!pl->server.binlog || my_rights_have(pl->rights, "SUPER", NULL) ||
	    !(makes_kind(pl, OBJECT_FUNCTION) || makes_kind(pl, OBJECT_TRIGGER)))
		return ST_OK;
	if (my_conn_value(run, pl->c, "SELECT @@log_bin_trust_function_creators", &trusts, err))
		return err->code;
	if (!my_field_u64(trusts))
		plan_line(&pl->p->refusals, "the server takes functions and triggers from a superuser only while its binlog is on: SET GLOBAL"
				   " log_bin_trust_function_creators = 1, or restore as a superuser");
	return ST_OK;
}

/* An event of a named zone is made in that zone only. */
static enum status check_time_zone(struct run *run, struct my_planner *pl, const struct my_object *event, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *there = NULL;

	if (!event->time_zone || !strcmp(event->time_zone, "SYSTEM") || *event->time_zone == '+' || *event->time_zone == '-')
		return ST_OK;
	buf_puts(&sql, "SELECT CONVERT_TZ('2020-01-01 00:00:00', '+00:00', ");
	my_sql_literal(&sql, event->time_zone);
	buf_putc(&sql, ')');
	if (my_conn_value(run, pl->c, buf_str(&sql), &there, err))
		return error_add(err, "the time zone %s", event->time_zone);
	if (!there)
		plan_line(&pl->p->refusals, "the server does not know the time zone %s, which the event %s needs: fill its tables of time zones"
				   " (%s /usr/share/zoneinfo | %s mysql)", event->time_zone, event->name,
			       pl->server.mariadb ? "mariadb-tzinfo-to-sql" : "mysql_tzinfo_to_sql", pl->server.mariadb ? "mariadb" : "mysql");
	return ST_OK;
}

static enum status check_events(struct run *run, struct my_planner *pl, struct error *err)
{
	for (size_t i = 0; i < pl->wish.objects; i++) {
		const struct my_object *o = &pl->wish.object[i];

		if (o->kind == OBJECT_EVENT && my_load_wish_makes(&pl->wish, o) && check_time_zone(run, pl, o, err))
			return err->code;
	}
	return ST_OK;
}

/* ---- what the tables need ---- */

static void check_engines(struct my_planner *pl)
{
	for (size_t i = 0; i < pl->wish.objects; i++) {
		const struct my_object *o = &pl->wish.object[i];
		CLEANUP(cstr_release) char *engine = o->kind == OBJECT_TABLE && my_load_wish_makes(&pl->wish, o) ? my_text_engine(o->sql) : NULL;
		bool has = !engine;

		for (size_t k = 0; k < pl->engines.len && !has; k++)
			has = !strcasecmp(engine, pl->engines.item[k]);
		if (!has)
			plan_line(&pl->p->refusals, "the server has no storage engine %s, which the table %s needs", engine, o->name);
	}
}

static void check_history(struct my_planner *pl)
{
	for (size_t i = 0; i < pl->wish.tables; i++)
		if (pl->wish.table[i].history && pl->server.number < 101100)
			plan_line(&pl->p->refusals, "the table %s has rows of its history, which MariaDB takes back from 10.11 on; restore the others"
					   " with --exclude-table", pl->wish.table[i].shown);
}

static int by_lower(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	const int order = strcasecmp(x, y);

	return order ? order : strcmp(x, y);
}

static void check_case(struct my_planner *pl)
{
	const char **name = xcalloc(pl->wish.objects + 1, sizeof *name);
	size_t n = 0;

	for (size_t i = 0; pl->server.lower_case && i < pl->wish.objects; i++) {
		enum object_kind kind = pl->wish.object[i].kind;

		if ((kind == OBJECT_TABLE || kind == OBJECT_VIEW || kind == OBJECT_SEQUENCE) && my_load_wish_makes(&pl->wish, &pl->wish.object[i]))
			name[n++] = pl->wish.object[i].name;
	}
	if (n)
		qsort(name, n, sizeof *name, by_lower);
	for (size_t i = 1; i < n; i++)
		if (!strcasecmp(name[i - 1], name[i]))
			plan_line(&pl->p->refusals, "the tables %s and %s would be one on this server, which takes names without regard to case"
					   " (lower_case_table_names)", name[i - 1], name[i]);
	free(name);
}

/* Only where the server's files are on this machine can their room be seen. */
static enum status check_room(struct run *run, struct my_planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *dir = NULL;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(buf_release) struct buf need = BUF_INIT, have = BUF_INIT;

	pl->p->room_needed += pl->wish.raw + pl->wish.raw / 2;
	if (!pl->c->loopback || pl->p->room_free)
		return ST_OK;
	if (my_conn_value(run, pl->c, "SELECT @@datadir", &dir, err))
		return err->code;
	if (!dir || !fs_is_dir(dir) || fs_free_space(dir, &pl->p->room_free, NULL, &ignored))
		return ST_OK;
	size_print(pl->p->room_needed, &need);
	size_print(pl->p->room_free, &have);
	if (pl->p->room_free < pl->p->room_needed)
		plan_line(&pl->p->warnings, "about %s will be needed in %s, where %s are free", buf_str(&need), dir, buf_str(&have));
	return ST_OK;
}

/* ---- what an exchange or a drop of the old database meets ---- */

enum status my_foreign_from_outside(struct run *run, struct my_conn *c, const char *database, struct strlist *keys, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT DISTINCT CONCAT('the foreign key ', CONSTRAINT_NAME, ' of ', TABLE_SCHEMA, '.', TABLE_NAME) FROM"
		       " information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND TABLE_SCHEMA <> REFERENCED_TABLE_SCHEMA AND");
	my_sql_is_name(&sql, "REFERENCED_TABLE_SCHEMA", database);
	return my_list(run, c, buf_str(&sql), keys, err) ? error_add(err, "foreign keys of other databases") : ST_OK;
}

static enum status check_in_the_way(struct run *run, struct my_planner *pl, const char *name, bool drop, struct error *err)
{
	CLEANUP(strlist_release) struct strlist foreign = STRLIST_INIT;

	if (my_foreign_from_outside(run, pl->c, name, &foreign, err))
		return err->code;
	for (size_t i = 0; i < foreign.len; i++)
		plan_line(&pl->p->warnings, drop ? "%s refers to %s, which is dropped: rows are not checked against the restored ones"
				      : "%s refers to %s and goes with its tables when these are set aside",
			     foreign.item[i], name);
	return ST_OK;
}

enum status my_check_scope(struct run *run, struct my_planner *pl, struct error *err)
{
	const struct load_scope_plan *s = pl->s;

	check_rights(pl);
	check_engines(pl);
	check_history(pl);
	check_case(pl);
	if (check_accounts(run, pl, err) || check_trust(run, pl, err) || check_events(run, pl, err) || check_room(run, pl, err))
		return err->code;
	if (s->replaces)
		return check_in_the_way(run, pl, s->replaces, false, err);
	return s->create && s->exists && !pl->q->scratch ? check_in_the_way(run, pl, s->target, true, err) : ST_OK;
}
