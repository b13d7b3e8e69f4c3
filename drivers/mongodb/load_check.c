#include "drivers/mongodb/load_plan.h"

#include "drivers/mongodb/look.h"

#define WIRE_4_4 9
#define TTL_SHOWN 5u
#define NO_BUCKETS_SINCE 80300 /* a time series holds its buckets itself */

/* ---- the server ---- */

/* "7.0.14", "7.0.77 (FerretDB)" -> 700 */
static int series_of(const char *text)
{
	char *end;
	long major = strtol(text, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;

	return major > 0 && major < 1000 && minor >= 0 && minor < 100 ? (int)(major * 100 + minor) : 0;
}

static void check_version(struct mo_planner *pl)
{
	const char *archive = pl->q->archive_version;
	const int theirs = archive ? series_of(archive) : 0, ours = series_of(pl->about.version);

	if (pl->c->server.wire < WIRE_4_4)
		plan_line(&pl->p->refusals, "the server is %s: drtool restores into servers from 4.4 on", pl->about.version);
	else if (theirs / 100 > ours / 100)
		plan_line(&pl->p->refusals, "the backup is of version %s, the server is %s: an older one does not know all of its options and indexes; take a"
				   " server of the version of the backup or a later one", archive, pl->about.version);
	else if (theirs > ours)
		plan_line(&pl->p->warnings, "the backup is of version %s, the server is %s: options and indexes that it does not know will end the restore",
			     archive, pl->about.version);
}

/* A server that was upgraded may still behave as the version before. */
static enum status check_compatibility(struct run *run, struct mo_planner *pl, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	BSON_APPEND_INT32(&command, "getParameter", 1);
	BSON_APPEND_INT32(&command, "featureCompatibilityVersion", 1);
	if (mo_conn_command(run, pl->c, "admin", &command, &reply, &why))
		return mo_conn_lost(&why) ? error_move(err, &why) : ST_OK;
	const char *has = mo_look_str(&reply, "featureCompatibilityVersion.version");
	const int series = has ? series_of(has) : 0, theirs = pl->q->archive_version ? series_of(pl->q->archive_version) : 0;
	if (series && theirs / 100 > series / 100 && theirs / 100 <= series_of(pl->about.version) / 100)
		plan_line(&pl->p->refusals, "the server is %s, but its featureCompatibilityVersion is still %s, older than the backup (%s): set it with"
				   " db.adminCommand({setFeatureCompatibilityVersion: ...})", pl->about.version, has, pl->q->archive_version);
	return ST_OK;
}

static void check_role(struct mo_planner *pl)
{
	const struct mo_server *s = &pl->c->server;
	char *weakness = mo_about_weakness(&pl->about);

	if (s->secondary || (s->set_name && !s->primary && !s->mongos))
		plan_line(&pl->p->refusals, "%s is not the primary of its replica set: nothing can be written there", s->where);
	if (s->mongos)
		plan_line(&pl->p->warnings, "the target is a sharded cluster: collections are made unsharded");
	if (weakness && (pl->q->clean || pl->q->users == LOAD_USERS_ALL))
		plan_line(&pl->p->warnings, "%s", weakness);
	free(weakness);
}

enum status mo_check_server(struct run *run, struct mo_planner *pl, struct error *err)
{
	check_version(pl);
	check_role(pl);
	return check_compatibility(run, pl, err);
}

/* ---- accounts ---- */

enum status mo_check_users(struct run *run, struct mo_planner *pl, struct error *err)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	CLEANUP(cstr_release) char *why = NULL;
	bool users = false, roles = false;

	if (pl->q->users != LOAD_USERS_ALL || pl->q->scratch)
		return ST_OK;
	if (mo_load_file(pl->q, NULL, MO_USERS_PATH, &bytes, &users, err) || mo_load_file(pl->q, NULL, MO_ROLES_PATH, &bytes, &roles, err))
		return err->code;
	if (!users && !roles) {
		plan_line(&pl->p->warnings, "--users all: the backup holds no accounts");
		return ST_OK;
	}
	if (mo_users_able(run, pl->c, pl->p, pl->q->run, &why, err))
		return err->code;
	if (!why)
		plan_line(&pl->p->steps, "make all recorded users and roles, with their passwords; those that are there become as recorded");
	else
		plan_line(&pl->p->refusals, "--users all: %s", why);
	return ST_OK;
}

static const char *shown(const struct mo_wanted *w) { return w->meta.name; }

/* ---- rights ---- */

/* A time is set by collMod: that of a collection always, that of an index by an exchange. */
static bool needs_coll_mod(const struct mo_planner *pl)
{
	bson_iter_t at;

	for (size_t i = 0; i < pl->wish.items && pl->wish.mode != MO_LOAD_ROWS; i++) {
		const struct mo_meta *m = &pl->wish.item[i].meta;

		if (pl->s->replaces ? mo_ttl_has(m) : mo_ttl_of(m->options, &at))
			return true;
	}
	return false;
}

static bool has_option(const struct mo_wish *w, const char *option)
{
	bson_iter_t at;

	for (size_t i = 0; i < w->items; i++)
		if (bson_iter_init_find(&at, w->item[i].meta.options, option))
			return true;
	return false;
}

static bool has_series(const struct mo_wish *w)
{
	for (size_t i = 0; i < w->items; i++)
		if (w->item[i].meta.kind == MO_TIMESERIES)
			return true;
	return false;
}

/* Whether time series have a collection of their own for their buckets, by those that are there or, without any, by the version. */
static bool keeps_buckets(const struct mo_planner *pl)
{
	for (size_t i = 0; i < pl->there.items; i++)
		if (pl->there.item[i].meta.kind == MO_TIMESERIES)
			return !pl->there.item[i].raw_data;
	return pl->c->server.version < NO_BUCKETS_SINCE;
}

static void check_rights_on_buckets(struct mo_planner *pl)
{
	static const char *const actions[] = {"find", "insert", "update", "remove"};

	for (size_t i = 0; i < pl->wish.items && keeps_buckets(pl); i++) {
		const struct mo_wanted *w = &pl->wish.item[i];
		CLEANUP(buf_release) struct buf lack = BUF_INIT;

		for (size_t k = 0; k < ARRAY_LEN(actions) && w->meta.kind == MO_TIMESERIES; k++)
			if (!mo_rights_have_buckets(pl->rights, actions[k], pl->where.database, w->place))
				buf_printf(&lack, "%s%s", lack.len ? ", " : "", actions[k]);
		if (lack.len)
			plan_line(&pl->p->refusals, "this account may not do on system.buckets.%s of the database %s, where the time series %s is kept: %s; no role of one"
						    " database has these rights: grant it readWriteAnyDatabase and dbAdminAnyDatabase on admin", w->place,
				  pl->where.database, shown(w), buf_str(&lack));
	}
}

static void check_rights(struct mo_planner *pl)
{
	const bool makes = pl->wish.mode != MO_LOAD_ROWS;
	const struct {
		const char *action;
		bool needed;
	} all[] = {
		{"find", true}, {"insert", true}, {"update", true}, {"remove", true}, {"listCollections", true}, {"createCollection", true},
		{"dropCollection", true}, {"createIndex", makes}, {"listIndexes", makes},
		{"renameCollectionSameDB", pl->s->replaces != NULL}, {"collMod", has_series(&pl->wish) || needs_coll_mod(pl)},
		{"bypassDocumentValidation", has_option(&pl->wish, "validator")},
	};
	CLEANUP(buf_release) struct buf lack = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].needed && !mo_rights_have(pl->rights, all[i].action, pl->where.database))
			buf_printf(&lack, "%s%s", lack.len ? ", " : "", all[i].action);
	if (lack.len)
		plan_line(&pl->p->refusals, "this account may not do on the database %s: %s; grant it readWrite and dbAdmin there, or restore,"
					    " readWriteAnyDatabase and dbAdminAnyDatabase on admin",
			       pl->where.database, buf_str(&lack));
	check_rights_on_buckets(pl);
}

/* ---- what the target cannot hold ---- */

static void check_length(struct mo_planner *pl, const char *name, const char *what)
{
	const size_t n = strlen(pl->where.database) + 1 + strlen(name);

	if (n > MO_NAMESPACE_MOST)
		plan_line(&pl->p->refusals, "%s of the collection %.60s... in the database %s would have %zu bytes, where %u are possible; restore into another"
				   " database with --rename %s=NAME, or leave it out with --exclude-table", what, name, pl->where.database, n,
			       MO_NAMESPACE_MOST, pl->s->scope);
}

static void check_beside(struct mo_planner *pl)
{
	for (size_t i = 0; i < pl->wish.items; i++) {
		const struct mo_wanted *w = &pl->wish.item[i];
		CLEANUP(cstr_release) char *why = strncmp(w->to, "system.", 7) ? mo_not_renamed(pl->c, &w->meta) : xstrdup("no server renames it");

		if (why)
			plan_line(&pl->p->refusals, "%s cannot be beside what is there: %s; restore into another database with --rename %s=NAME, or leave it out with"
					   " --exclude-table %s", shown(w), why, pl->s->scope, shown(w));
		check_length(pl, w->place, "the name for a while");
	}
}

/* What is there now has to go aside. */
static void check_aside(struct mo_planner *pl)
{
	for (size_t i = 0; i < pl->there.items; i++) {
		const struct mo_listed *l = &pl->there.item[i];
		CLEANUP(cstr_release) char *aside = xasprintf("%s_before_%s", l->collection, pl->q->run);
		CLEANUP(cstr_release) char *why = mo_not_renamed(pl->c, &l->meta);

		if (!strncmp(l->collection, "system.", 7))
			plan_line(&pl->p->warnings, "%s of the database %s is not exchanged and stays", l->collection, pl->where.database);
		else if (why)
			plan_line(&pl->p->refusals, "%s of the database %s cannot be set aside: %s; restore into another database with --rename %s=NAME",
				       l->collection, pl->where.database, why, pl->s->scope);
		else
			check_length(pl, aside, "the name aside");
	}
}

/* Products that take an option and forget it say nothing; those that are known are not asked. */
static void check_known(struct mo_planner *pl)
{
	static const char *const forgotten[] = {"viewOn", "validator", "capped", "timeseries", "clusteredIndex", "collation",
						"changeStreamPreAndPostImages"};
	const char *product = pl->c->server.product;
	bson_iter_t at;

	if (!product || strcmp(product, "FerretDB") || pl->wish.mode == MO_LOAD_ROWS)
		return;
	for (size_t i = 0; i < pl->wish.items; i++)
		for (size_t k = 0; k < ARRAY_LEN(forgotten); k++)
			if (bson_iter_init_find(&at, pl->wish.item[i].meta.options, forgotten[k])) {
				plan_line(&pl->p->refusals, "%s has the option %s, which %s takes and forgets; restore into a MongoDB server, or leave it out with"
						   " --exclude-table %s", shown(&pl->wish.item[i]), forgotten[k], product, shown(&pl->wish.item[i]));
				break;
			}
}

/* ---- collections that are there already ---- */

static enum status seen(void *ctx, const bson_t *doc UNUSED, struct error *err UNUSED)
{
	*(bool *)ctx = true;
	return ST_OK;
}

static enum status check_empty(struct run *run, struct mo_planner *pl, const struct mo_wanted *w, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bool full = false;

	BSON_APPEND_UTF8(&command, "find", w->place);
	BSON_APPEND_INT32(&command, "limit", 1);
	if (mo_conn_each(run, pl->c, pl->where.database, &command, seen, &full, err))
		return error_add(err, "%s", w->place);
	if (full && pl->q->clean)
		strlist_take(&pl->p->dropped, xasprintf("documents of %s in %s", w->place, pl->where.database));
	else if (full)
		plan_line(&pl->p->refusals, "the collection %s of the database %s holds documents already", w->place, pl->where.database);
	return ST_OK;
}

static enum status check_there(struct run *run, struct mo_planner *pl, struct error *err)
{
	/* What an attempt before made is its own. */
	if (strlist_has(&pl->there.runs, pl->q->run))
		return ST_OK;
	for (size_t i = 0; i < pl->wish.items; i++) {
		const struct mo_wanted *w = &pl->wish.item[i];
		const struct mo_listed *there = mo_listed_named(&pl->there, w->to);

		if (pl->wish.mode == MO_LOAD_ROWS && (!there || there->meta.kind == MO_VIEW))
			plan_line(&pl->p->refusals, "the collection %s is not there in %s, and --data-only makes none", w->place, pl->where.database);
		else if (pl->wish.mode == MO_LOAD_ROWS && check_empty(run, pl, w, err))
			return err->code;
		else if (pl->wish.mode == MO_LOAD_TABLES && there && pl->q->clean)
			strlist_take(&pl->p->dropped, xasprintf("%s in %s", w->place, pl->where.database));
		else if (pl->wish.mode == MO_LOAD_TABLES && there)
			plan_line(&pl->p->refusals, "the collection %s is there in %s; name another with --rename %s.%s=%s.NAME, take --data-only for its documents, or"
					   " --clean to drop it first", w->place, pl->where.database, pl->s->scope, shown(w), pl->s->scope);
	}
	return ST_OK;
}

/* ---- what may surprise ---- */

static void put_name(struct buf *names, size_t n, const char *name)
{
	if (n <= TTL_SHOWN)
		buf_printf(names, "%s%s", names->len ? ", " : "", name);
	else if (n == TTL_SHOWN + 1)
		buf_puts(names, " and others");
}

/* What is there acts all the time. */
static enum status warn_ttl_there(struct run *run, struct mo_planner *pl, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	size_t n = 0;

	if (mo_list(run, pl->c, &pl->where, true, &there, err))
		return err->code;
	for (size_t i = 0; i < pl->wish.items; i++) {
		const struct mo_listed *is = mo_listed_named(&there, pl->wish.item[i].to);

		if (is && mo_ttl_has(&is->meta))
			put_name(&names, ++n, is->meta.name);
	}
	if (n)
		plan_line(&pl->p->warnings, "TTL acts while documents are loaded: the server deletes what is past its time in %s; restore into another database, or set"
				 " ttlMonitorEnabled=false on the server, to look at it first", buf_str(&names));
	return ST_OK;
}

static enum status warn_ttl(struct run *run, struct mo_planner *pl, struct error *err)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	size_t n = 0;

	if (pl->q->scratch || *pl->where.suffix)
		return ST_OK;
	if (pl->wish.mode == MO_LOAD_ROWS)
		return warn_ttl_there(run, pl, err);
	for (size_t i = 0; i < pl->wish.items; i++)
		if (mo_ttl_has(&pl->wish.item[i].meta))
			put_name(&names, ++n, shown(&pl->wish.item[i]));
	if (n)
		plan_line(&pl->p->warnings, "TTL acts as soon as everything is loaded: the server deletes what is past its time in %s; restore beside the live collections"
				 " (time series cannot be), or set ttlMonitorEnabled=false on the server, to look at it first", buf_str(&names));
	return ST_OK;
}

static const struct mo_wanted *renamed(const struct mo_wish *w, const char *name)
{
	for (size_t i = 0; name && i < w->items; i++)
		if (!strcmp(w->item[i].meta.name, name))
			return strcmp(w->item[i].to, name) ? &w->item[i] : NULL;
	return NULL;
}

static void warn_views(struct mo_planner *pl)
{
	for (size_t i = 0; i < pl->wish.items; i++) {
		const struct mo_wanted *v = &pl->wish.item[i];
		const struct mo_wanted *on = v->meta.kind == MO_VIEW ? renamed(&pl->wish, mo_look_str(v->meta.options, "viewOn")) : NULL;

		if (on)
			plan_line(&pl->p->warnings, "the view %s keeps its definition and reads %s, which is restored as %s", shown(v), shown(on), on->to);
	}
}

/* ---- room ---- */

static enum status check_room(struct run *run, struct mo_planner *pl, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(buf_release) struct buf need = BUF_INIT, have = BUF_INIT;
	struct load_plan *p = pl->p;

	BSON_APPEND_INT32(&command, "dbStats", 1);
	if (mo_conn_command(run, pl->c, pl->where.database, &command, &reply, &why))
		return mo_conn_lost(&why) ? error_move(err, &why) : ST_OK;
	const int64_t total = mo_look_num(&reply, "fsTotalSize", 0), used = mo_look_num(&reply, "fsUsedSize", 0);
	if (total <= 0 || used < 0 || used > total)
		return ST_OK;
	p->room_needed += pl->wish.raw;
	p->room_free = (uint64_t)(total - used);
	size_print(p->room_needed, &need);
	size_print(p->room_free, &have);
	if (p->room_free < p->room_needed)
		plan_line(&pl->p->warnings, "up to %s will be needed on the server, where %s are free", buf_str(&need), buf_str(&have));
	return ST_OK;
}

enum status mo_check_scope(struct run *run, struct mo_planner *pl, struct error *err)
{
	check_rights(pl);
	check_known(pl);
	if (*pl->where.suffix)
		check_beside(pl);
	else
		for (size_t i = 0; i < pl->wish.items; i++)
			check_length(pl, pl->wish.item[i].place, "the name");
	if (pl->s->replaces)
		check_aside(pl);
	if (pl->wish.mode != MO_LOAD_DATABASE && check_there(run, pl, err))
		return err->code;
	if (warn_ttl(run, pl, err))
		return err->code;
	warn_views(pl);
	return check_room(run, pl, err);
}
