#include "drivers/mongodb/load_plan.h"

#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/look.h"
#include "drivers/mongodb/modriver.h"

#define DATABASE_MOST 63u

static void planner_release(struct mo_planner *pl)
{
	mo_conn_freep(&pl->c);
	mo_about_release(&pl->about);
	mo_rights_freep(&pl->rights);
	mo_wish_release(&pl->wish);
	mo_where_release(&pl->where);
	mo_listing_release(&pl->there);
}

/* ---- places ---- */

static void set_target(struct mo_planner *pl, const char *database, const char *suffix)
{
	mo_where_release(&pl->where);
	pl->where = (struct mo_where){xstrdup(database), xstrdup(suffix)};
	free(pl->s->target);
	pl->s->target = mo_where_print(&pl->where);
}

static char *place_text(const char *database, const char *word, const char *run_id)
{
	CLEANUP(cstr_release) char *suffix = xasprintf("%s%s", word, run_id);
	CLEANUP(mo_where_release) struct mo_where w = {xstrdup(database), NULL};

	w.suffix = xstrdup(suffix);
	return mo_where_print(&w);
}

/* Collections beside those that are there, under the run's names. */
static void beside(struct mo_planner *pl, const char *wanted)
{
	CLEANUP(cstr_release) char *suffix = xasprintf("_restore_%s", pl->q->run);
	struct load_scope_plan *s = pl->s;

	set_target(pl, wanted, suffix);
	s->beside = s->create = true;
	if (!pl->q->in_place)
		return;
	s->replaces = xstrdup(wanted);
	s->aside = place_text(wanted, "_before_", pl->q->run);
}

/* Where an attempt of the same run wrote that it restores to. */
static enum status place_of_run(struct run *run, struct mo_planner *pl, const char *wanted, bool *known, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	const struct mo_mark m = {wanted, pl->q->run};
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;

	*known = false;
	if (!strlist_has(&pl->there.runs, pl->q->run))
		return ST_OK;
	if (mo_mark_get(run, pl->c, &m, "run", &doc, err))
		return err->code;
	const char *place = mo_look_str(&doc, "place");
	if (!place || mo_where_parse(place, &w, err))
		return err->code;
	*known = true;
	pl->s->exists = true;
	if (*w.suffix) {
		beside(pl, wanted);
	} else {
		set_target(pl, wanted, "");
		pl->s->create = pl->wish.mode == MO_LOAD_DATABASE;
	}
	return ST_OK;
}

static void place_full(struct mo_planner *pl, const char *wanted, bool told)
{
	struct load_scope_plan *s = pl->s;

	s->exists = true;
	if (pl->q->clean) {
		set_target(pl, wanted, "");
		s->create = true;
		strlist_take(&pl->p->dropped, xasprintf("all collections and views of the database %s", wanted));
	} else if ((told || pl->q->scratch) && !pl->q->in_place) {
		set_target(pl, wanted, "");
		plan_line(&pl->p->refusals, "the database %s is there and not empty; name another, or take --in-place to put the restored one in its place", wanted);
	} else {
		beside(pl, wanted);
	}
}

/* Some collections only: into the database as it is. */
static void place_for_tables(struct mo_planner *pl, const char *wanted)
{
	if (pl->q->in_place)
		plan_line(&pl->p->refusals, "--in-place exchanges whole databases: leave --table and --data-only out, or leave it out");
	pl->s->exists = pl->there.items > 0;
	pl->s->empty = !pl->there.items;
	set_target(pl, wanted, "");
}

static enum status choose_place(struct run *run, struct mo_planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *told = NULL;
	bool known = false;

	if (mo_wish_database(pl->q, pl->s->scope, &told, err))
		return err->code;
	const char *wanted = told ? told : pl->s->scope;
	if (!*wanted || strlen(wanted) > DATABASE_MOST || strpbrk(wanted, "/\\. \"$*<>:|?"))
		return error_set(err, ST_USAGE, "no database can be called \"%s\"", wanted);
	if (mo_database_place(wanted) != MO_TAKEN)
		plan_line(&pl->p->refusals, "%s is the server's own database: name another with --rename", wanted);
	const struct mo_where whole = {(char *)(uintptr_t)wanted, (char *)(uintptr_t)""};
	if (mo_list(run, pl->c, &whole, false, &pl->there, err) || place_of_run(run, pl, wanted, &known, err) || known)
		return err->code;
	if (pl->wish.mode != MO_LOAD_DATABASE) {
		place_for_tables(pl, wanted);
	} else if (pl->there.items) {
		place_full(pl, wanted, told != NULL);
	} else {
		pl->s->exists = pl->there.not_taken.len || pl->there.of_runs.len;
		pl->s->empty = true;
		pl->s->create = true;
		set_target(pl, wanted, "");
	}
	return ST_OK;
}

/* ---- what will be done ---- */

static void tell_scope(struct mo_planner *pl)
{
	const struct load_scope_plan *s = pl->s;
	CLEANUP(buf_release) struct buf size = BUF_INIT;
	size_t views = 0;

	for (size_t i = 0; i < pl->wish.items; i++)
		views += pl->wish.item[i].meta.kind == MO_VIEW;
	size_print(pl->wish.raw, &size);
	if (pl->wish.mode != MO_LOAD_ROWS)
		plan_line(&pl->p->steps, "make %zu collections with their options in %s", pl->wish.items - views, s->target);
	plan_line(&pl->p->steps, "load %" PRIu64 " documents (%s) into %s on %u connections", pl->wish.rows, buf_str(&size), s->target, pl->q->jobs);
	for (size_t i = 0; i < pl->wish.left_out.len; i++)
		plan_line(&pl->p->steps, "leave out %s", pl->wish.left_out.item[i]);
	if (pl->wish.mode != MO_LOAD_ROWS)
		plan_line(&pl->p->steps, "build indexes in %s on %u connections, then make %zu views", s->target, pl->q->jobs, views);
	for (size_t i = 0; i < pl->wish.items; i++)
		if (strcmp(pl->wish.item[i].to, pl->wish.item[i].meta.name))
			plan_line(&pl->p->steps, "name the collection %s %s", pl->wish.item[i].meta.name, pl->wish.item[i].to);
	if (s->replaces)
		plan_line(&pl->p->steps, "put the collections of %s one by one in the place of those of %s, which stay as %s", s->target, s->replaces, s->aside);
}

static enum status plan_scope(struct run *run, struct mo_planner *pl, size_t i, struct error *err)
{
	mo_wish_release(&pl->wish);
	pl->s = &pl->p->scope[i];
	pl->s->scope = xstrdup(pl->q->scopes->item[i]);
	pl->p->scopes++;
	if (mo_wish_make(pl->q, pl->s->scope, &pl->wish, err) || choose_place(run, pl, err))
		return err->code;
	mo_wish_place(&pl->wish, &pl->where);
	if (mo_check_scope(run, pl, err))
		return err->code;
	tell_scope(pl);
	return ST_OK;
}

static void check_distinct(struct mo_planner *pl)
{
	for (size_t i = 0; i < pl->p->scopes; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcasecmp(pl->p->scope[k].target, pl->p->scope[i].target))
				plan_line(&pl->p->refusals, "two databases, %s and %s, would go into %s", pl->p->scope[k].scope, pl->p->scope[i].scope,
					       pl->p->scope[i].target);
}

/* The documents are of no one moment without it. */
static enum status plan_log(struct mo_planner *pl, struct error *err)
{
	const struct load_request *q = pl->q;
	struct load_plan *p = pl->p;
	struct mo_log log;

	if (mo_log_find(q->recorded, &log, err) || !log.has)
		return err->code;
	CLEANUP(cstr_release) char *to = mo_optime_print(&log.to);
	if (q->data_only) {
		plan_line(&p->refusals, "--data-only: the documents of this backup are of one moment only when its log is replayed, which makes, drops and renames"
					" collections, too; leave --data-only out, or restore into another database first");
		return ST_OK;
	}
	if (q->salvage) {
		plan_line(&p->warnings, "--salvage: the log of the backup is not replayed, so that documents are of no one moment");
		return ST_OK;
	}
	p->scope[p->scopes++] = (struct load_scope_plan){.scope = xstrdup(MO_LOG_SCOPE), .target = xstrdup(""), .log = true};
	plan_line(&p->steps, "replay the log of the backup, %" PRIu64 " entries up to %s, before indexes are built", log.rows, to);
	return ST_OK;
}

enum status mo_load_plan(struct run *run, const struct endpoint *e, const struct load_request *q, struct load_plan *p, struct error *err)
{
	CLEANUP(planner_release) struct mo_planner pl = {.e = e, .q = q, .p = p};

	if (q->clean && q->in_place)
		return error_set(err, ST_USAGE, "--clean drops first, --in-place keeps: take one of them");
	if (mo_conn_open(run, e, MO_WRITE, &pl.c, err) || mo_about_read(run, pl.c, &pl.about, err) || mo_rights_read(run, pl.c, &pl.rights, err))
		return mo_load_failed(err);
	p->identity = xstrdup(pl.about.identity);
	p->version = xstrdup(pl.about.version);
	if (mo_check_server(run, &pl, err))
		return mo_load_failed(err);
	p->scope = xcalloc(q->scopes->len + 1, sizeof *p->scope); /* and the log */
	for (size_t i = 0; i < q->scopes->len; i++)
		if (plan_scope(run, &pl, i, err))
			return mo_load_failed(err);
	if (p->scopes && mo_check_users(run, &pl, err))
		return mo_load_failed(err);
	check_distinct(&pl);
	if (plan_log(&pl, err))
		return err->code;
	if ((q->clean || q->users == LOAD_USERS_ALL) && !q->scratch && p->scopes)
		p->confirm = xasprintf("%s@%s", p->scope[0].target, p->identity);
	return ST_OK;
}
