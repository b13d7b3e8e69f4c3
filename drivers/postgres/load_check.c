#include "drivers/postgres/load_plan.h"

#include "drivers/postgres/client.h"

/* ---- once ---- */

enum status check_server(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	int archive = pl->q->archive_version ? (int)strtol(pl->q->archive_version, NULL, 10) : 0;
	int server = pl->admin->version / 10000;

	if (server_facts_read(run, pl->admin, &pl->facts, err))
		return err->code;
	if (conn_query(run, pl->admin,
		       SQL("SELECT rolcreatedb, rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user"), &r, err))
		return err->code;
	pl->createdb = pl->facts.superuser || (PQntuples(r) && res_bool(r, 0, 0));
	pl->createrole = pl->facts.superuser || (PQntuples(r) && res_bool(r, 0, 1));
	if (pl->facts.standby)
		plan_line(&pl->p->refusals, "the server is a standby: nothing can be written there");
	if (archive > server)
		plan_line(&pl->p->warnings, "the backup is of PostgreSQL %d, the server is %d: definitions that it does not know will end the"
			      " restore", archive, server);
	if (pl->facts.connections_left < pl->q->jobs + 3)
		plan_line(&pl->p->warnings, "the server has about %" PRIu64 " connections left, this restore uses %u: lower --jobs",
			  pl->facts.connections_left,
			  pl->q->jobs + 3);
	return ST_OK;
}

/* ---- roles ---- */

static enum status check_roles(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(strlist_release) struct strlist missing = STRLIST_INIT;
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	size_t n;
	const char **needed = roles_needed(&pl->wish, &n);
	enum status st = roles_missing(run, pl->admin, needed, n, &missing, err);

	free(needed);
	if (st || !missing.len)
		return st;
	for (size_t i = 0; i < missing.len; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", missing.item[i]);
	if (pl->q->users == LOAD_USERS_NONE && !pl->q->scratch) {
		if (pl->q->no_owner)
			plan_line(&pl->p->warnings, "rights are left out, since the server lacks the roles %s", buf_str(&names));
		else
			plan_line(&pl->p->refusals, "the server lacks the roles %s; create them, or take --users missing or --no-owner",
				    buf_str(&names));
	} else if (!pl->createrole) {
		plan_line(&pl->p->refusals, "the server lacks the roles %s, and %s may not create roles", buf_str(&names), pl->facts.user);
	} else if (pl->q->users == LOAD_USERS_ALL) {
		plan_line(&pl->p->steps, "make all recorded roles that the server lacks, with login and password hash");
	} else {
		plan_line(&pl->p->steps, "make the roles %s without login", buf_str(&names));
	}
	return ST_OK;
}

/* Only a member may give things to a role. Roles that will be made belong to whoever makes them from 16 on only. */
static enum status check_owners(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(strlist_release) struct strlist owners = STRLIST_INIT;
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	CLEANUP(cstr_release) char *others = NULL;

	if (pl->facts.superuser || pl->q->no_owner || pl->wish.mode == LOAD_ROWS)
		return ST_OK;
	if (pl->s->create)
		strlist_add(&owners, pl->wish.db.owner);
	for (size_t i = 0; i < pl->toc.entries; i++)
		if (*pl->toc.entry[i].owner && !strlist_has(&owners, pl->toc.entry[i].owner))
			strlist_add(&owners, pl->toc.entry[i].owner);
	sql_array(&names, (const char *const *)owners.item, owners.len);
	if (conn_value(run, pl->admin,
		       SQL("SELECT string_agg(x, ', ' ORDER BY x) FROM unnest($1::text[]) x LEFT JOIN pg_catalog.pg_roles r ON"
			   " r.rolname = x"
			   " WHERE r.oid IS NULL OR NOT pg_catalog.pg_has_role(r.oid, 'MEMBER')",
			   buf_str(&names)),
		       &others, err))
		return err->code;
	if (others)
		plan_line(&pl->p->refusals, "%s is no superuser and no member of the owners %s: restore with --no-owner, then all belongs to"
				" %s", pl->facts.user, others,
			    pl->facts.user);
	return ST_OK;
}

/* ---- extensions ---- */

/* They refuse to be created unless the server was started with their library. */
static bool needs_preload(const char *extension)
{
	static const char *const some[] = {"timescaledb", "citus", "pg_cron", "pg_documentdb", "pg_documentdb_core", "pglogical",
					   "pg_partman_bgw"};

	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		if (!strcmp(some[i], extension))
			return true;
	return false;
}

static enum status check_extensions(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *preloaded = NULL;
	size_t i;
	json_t *extension;

	if (pl->wish.mode != LOAD_DATABASE || !json_array_size(pl->wish.db.extensions))
		return ST_OK;
	if (conn_value(run, pl->admin, SQL("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'shared_preload_libraries'"),
		       &preloaded, err))
		return err->code;
	json_array_foreach(pl->wish.db.extensions, i, extension) {
		const char *name = js_opt_str(extension, "name", ""), *version = js_opt_str(extension, "version", "");
		CLEANUP(cstr_release) char *has = NULL;

		if (conn_value(run, pl->admin, SQL("SELECT default_version FROM pg_catalog.pg_available_extensions WHERE name = $1",
						   name), &has, err))
			return err->code;
		if (!has)
			plan_line(&pl->p->refusals, "the extension %s %s is not installed on the server", name, version);
		else if (needs_preload(name) && preloaded && !strstr(preloaded, name))
			plan_line(&pl->p->refusals, "the extension %s needs its library in shared_preload_libraries of the server", name);
		else if (*version && strcmp(version, has))
			plan_line(&pl->p->warnings, "the extension %s had version %s, the server brings %s", name, version, has);
	}
	return ST_OK;
}

/* ---- locale ---- */

/* Whether the server's system knows a locale is told by making a collation of it, which the end of the transaction undoes. */
static enum status check_libc(struct run *run, struct planner *pl, const char *locale, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(error_release) struct error why = ERROR_INIT, ignored = ERROR_INIT;

	if (!strcmp(locale, "C") || !strcmp(locale, "POSIX"))
		return ST_OK;
	buf_puts(&sql, "BEGIN; CREATE COLLATION pg_temp.drtool_probe (locale = ");
	sql_literal(&sql, locale);
	buf_puts(&sql, "); ROLLBACK");
	if (!conn_command(run, pl->admin, buf_str(&sql), &why))
		return ST_OK;
	if (why.code == ST_CANCELLED || why.code == ST_DEADLINE || why.code == ST_UNREACHABLE)
		return error_move(err, &why);
	(void)!conn_command(run, pl->admin, "ROLLBACK", &ignored);
	if (!strcmp(why.native, "42501") || !strcmp(why.native, "25006"))
		return ST_OK; /* it may not be tried here */
	plan_line(&pl->p->refusals, "the locale %s of the database %s is not on the server; install it, or create %s there yourself with"
			" another one: an empty database "
			"is restored into as it is", locale, pl->s->scope, pl->s->target);
	return ST_OK;
}

static enum status check_locale(struct run *run, struct planner *pl, struct error *err)
{
	const struct facts_database *d = &pl->wish.db;
	bool icu = !strcmp(d->provider, "i"), builtin = !strcmp(d->provider, "b");

	if (!pl->s->create || pl->q->scratch)
		return ST_OK;
	if (icu && pl->admin->version < 150000)
		plan_line(&pl->p->warnings, "the database %s sorts text by ICU (%s), which this server cannot do for a whole database: it will"
			      " sort by %s", d->name,
			  d->locale ? d->locale : "", d->collate);
	if (builtin && pl->admin->version < 170000)
		plan_line(&pl->p->warnings, "the database %s uses PostgreSQL's own locale %s, which this server lacks: it will sort by %s",
			  d->name, d->locale ? d->locale : "",
			  d->collate);
	if (check_libc(run, pl, d->collate, err))
		return err->code;
	return strcmp(d->collate, d->ctype) ? check_libc(run, pl, d->ctype, err) : ST_OK;
}

/* ---- places ---- */

static enum status check_tablespaces(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(strlist_release) struct strlist seen = STRLIST_INIT;

	if (pl->s->create)
		strlist_add(&seen, pl->wish.db.tablespace);
	for (size_t i = 0; i < pl->toc.entries; i++)
		if (*pl->toc.entry[i].tablespace && !strlist_has(&seen, pl->toc.entry[i].tablespace))
			strlist_add(&seen, pl->toc.entry[i].tablespace);
	for (size_t i = 0; i < seen.len; i++) {
		CLEANUP(conn_result_free) PGresult *r = NULL;

		if (conn_query(run, pl->admin, SQL("SELECT true FROM pg_catalog.pg_tablespace WHERE spcname = $1", seen.item[i]),
			       &r, err))
			return err->code;
		if (!PQntuples(r))
			plan_line(&pl->p->warnings, "the server has no tablespace %s: what was in a tablespace goes into the default one",
				  seen.item[i]);
	}
	return ST_OK;
}

/* Only where the server's files are on this machine can their room be seen. */
static enum status check_room(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *dir = NULL;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(buf_release) struct buf need = BUF_INIT, have = BUF_INIT;

	pl->p->room_needed += pl->wish.raw + pl->wish.raw / 2;
	if (!pl->admin->loopback || pl->p->room_free)
		return ST_OK;
	if (conn_value(run, pl->admin, SQL("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'"), &dir, err))
		return err->code;
	if (!dir || !fs_is_dir(dir) || fs_free_space(dir, &pl->p->room_free, NULL, &ignored))
		return ST_OK;
	size_print(pl->p->room_needed, &need);
	size_print(pl->p->room_free, &have);
	if (pl->p->room_free < pl->p->room_needed)
		plan_line(&pl->p->warnings, "about %s will be needed in %s, where %s are free", buf_str(&need), dir, buf_str(&have));
	return ST_OK;
}

/* ---- what stands in the way of a rename or a drop ---- */

static enum status check_in_the_way(struct run *run, struct planner *pl, const char *name, bool drop, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, pl->admin,
		       SQL("SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <>"
			   " pg_catalog.pg_backend_pid()),"
			   " (SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = $1),"
			   " (SELECT string_agg(slot_name, ', ') FROM pg_catalog.pg_replication_slots WHERE database = $1),"
			   " (SELECT string_agg(subname, ', ') FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON"
			   " d.oid = s.subdbid"
			   "  WHERE d.datname = $1),"
			   " pg_catalog.pg_has_role(datdba, 'USAGE') FROM pg_catalog.pg_database WHERE datname = $1",
			   name),
		       &r, err))
		return err->code;
	if (!PQntuples(r))
		return ST_OK;
	if (res_u64(r, 0, 0))
		plan_line(&pl->p->steps, "end %" PRIu64 " sessions of the database %s", res_u64(r, 0, 0), name);
	if (res_u64(r, 0, 1))
		plan_line(&pl->p->refusals, "the database %s has %" PRIu64 " prepared transactions: commit or roll them back first", name,
			    res_u64(r, 0, 1));
	if (res_text(r, 0, 2) && drop)
		plan_line(&pl->p->refusals, "the database %s has replication slots (%s): drop them first", name, res_text(r, 0, 2));
	else if (res_text(r, 0, 2))
		plan_line(&pl->p->warnings, "the replication slots %s stay with the old database", res_text(r, 0, 2));
	if (res_text(r, 0, 3) && drop)
		plan_line(&pl->p->refusals, "the database %s has subscriptions (%s), which must be dropped before it", name, res_text(r, 0, 3));
	else if (res_text(r, 0, 3))
		plan_line(&pl->p->warnings, "the subscriptions %s of the old database go on there: disable them", res_text(r, 0, 3));
	if (!res_bool(r, 0, 4) && !pl->facts.superuser)
		plan_line(&pl->p->refusals, "%s does not own the database %s", pl->facts.user, name);
	return ST_OK;
}

static enum status check_client(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(client_release) struct client client = CLIENT_INIT;
	int wrote = pl->toc.client ? (int)strtol(pl->toc.client, NULL, 10) : 0, oldest = toc_oldest_client(&pl->toc);

	return client_for_archive(run, pl->e, wrote < oldest ? oldest : wrote, &client, err);
}

static void warn_of_subscriptions(struct planner *pl)
{
	for (size_t i = 0; pl->wish.mode == LOAD_DATABASE && i < pl->toc.entries; i++)
		if (toc_is(&pl->toc.entry[i], "SUBSCRIPTION"))
			plan_line(&pl->p->warnings, "the subscription %s will be made without a connection and not enabled",
				  pl->toc.entry[i].tag);
}

enum status check_scope(struct run *run, struct planner *pl, struct error *err)
{
	const struct load_scope_plan *s = pl->s;

	if (s->create && !pl->createdb)
		plan_line(&pl->p->refusals, "%s may not create databases: ALTER ROLE %s CREATEDB, or create %s yourself, empty", pl->facts.user,
			    pl->facts.user, s->target);
	if (check_roles(run, pl, err) || check_owners(run, pl, err) || check_extensions(run, pl, err) ||
	    check_locale(run, pl, err) || check_tablespaces(run, pl, err) ||
	    check_room(run, pl, err))
		return err->code;
	if (pl->wish.mode != LOAD_ROWS && check_client(run, pl, err))
		return err->code;
	warn_of_subscriptions(pl);
	if (s->replaces)
		return check_in_the_way(run, pl, s->replaces, false, err);
	return s->create && s->exists && !pl->q->scratch ? check_in_the_way(run, pl, s->target, true, err) : ST_OK;
}
