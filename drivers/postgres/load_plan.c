#include "drivers/postgres/load_plan.h"

#include "drivers/postgres/pgdriver.h"

static void planner_release(struct planner *pl)
{
	conn_freep(&pl->admin);
	server_facts_release(&pl->facts);
	load_wish_release(&pl->wish);
	toc_release(&pl->toc);
	spool_freep(&pl->dump);
}

/* ---- names ---- */

static enum status look(struct run *run, struct planner *pl, const char *name, struct database_state *st, struct error *err)
{
	return database_look(run, pl->e, pl->admin, name, pl->q->run, st, err);
}

/* A database in which this run began before: whether it had made it. */
static enum status was_created(struct run *run, struct planner *pl, const char *name, bool *created, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;

	if (load_connect(run, pl->e, name, &c, err))
		return err->code;
	return mark_state(run, c, pl->q->run, "created", created, err);
}

static void set_target(struct load_scope_plan *s, char *target, bool create)
{
	free(s->target);
	s->target = target;
	s->create = create;
}

static enum status beside(struct run *run, struct planner *pl, const char *wanted, struct error *err)
{
	struct load_scope_plan *s = pl->s;
	CLEANUP(database_state_release) struct database_state st = DATABASE_STATE_INIT;

	set_target(s, database_beside(wanted, "_restore_", pl->q->run), true);
	s->beside = true;
	if (look(run, pl, s->target, &st, err))
		return err->code;
	s->exists = st.exists;
	s->empty = st.empty;
	/* A copy that is complete has lost its mark; its name with the run is enough for the run that made it. */
	if (st.exists && !st.empty && !st.ours && !pl->q->resumed)
		plan_line(&pl->p->refusals, "the database %s is there already and not of this restore", s->target);
	if (!pl->q->in_place)
		return ST_OK;
	s->replaces = xstrdup(wanted);
	s->aside = database_beside(wanted, "_before_", pl->q->run);
	bool taken = false;
	if (database_exists(run, pl->admin, s->aside, &taken, err))
		return err->code;
	if (taken && !pl->q->resumed)
		plan_line(&pl->p->refusals, "the database %s is there already: nothing can be set aside under that name", s->aside);
	return ST_OK;
}

static void name_empty(struct planner *pl, const char *wanted, const struct database_state *st)
{
	struct load_scope_plan *s = pl->s;

	s->exists = s->empty = true;
	set_target(s, xstrdup(wanted), pl->q->scratch);
	if (!s->create && strcmp(st->encoding, pl->wish.db.encoding))
		plan_line(&pl->p->refusals, "the database %s is empty but has the encoding %s, the backup %s: drop it, or name another with"
				" --rename", wanted, st->encoding,
			    pl->wish.db.encoding);
}

static enum status name_full(struct run *run, struct planner *pl, const char *wanted, bool told, struct error *err)
{
	struct load_scope_plan *s = pl->s;

	if (pl->q->clean) {
		s->exists = true;
		set_target(s, xstrdup(wanted), true);
		strlist_take(&pl->p->dropped, xasprintf("database %s", wanted));
		return ST_OK;
	}
	if ((told || pl->q->scratch) && !pl->q->in_place) {
		s->exists = true;
		set_target(s, xstrdup(wanted), false);
		plan_line(&pl->p->refusals, "the database %s is there and not empty; name another, or take --in-place to put the restored one"
				" in its place", wanted);
		return ST_OK;
	}
	return beside(run, pl, wanted, err);
}

static enum status name_database(struct run *run, struct planner *pl, const char *wanted, bool told, struct error *err)
{
	struct load_scope_plan *s = pl->s;
	CLEANUP(database_state_release) struct database_state st = DATABASE_STATE_INIT;
	bool created = true;

	if (look(run, pl, wanted, &st, err))
		return err->code;
	if (st.exists && !st.allows) {
		s->exists = true;
		set_target(s, xstrdup(wanted), false);
		plan_line(&pl->p->refusals, "the database %s takes no connections", wanted);
		return ST_OK;
	}
	if (st.exists && st.ours) {
		if (was_created(run, pl, wanted, &created, err))
			return err->code;
		s->exists = true;
		s->empty = st.empty;
		set_target(s, xstrdup(wanted), created);
		return ST_OK;
	}
	if (st.exists && st.empty) {
		name_empty(pl, wanted, &st);
		return ST_OK;
	}
	if (st.exists)
		return name_full(run, pl, wanted, told, err);
	set_target(s, xstrdup(wanted), true);
	return ST_OK;
}

/* Tables or rows only: into the database as it is. */
static enum status name_for_tables(struct run *run, struct planner *pl, const char *wanted, struct error *err)
{
	struct load_scope_plan *s = pl->s;
	CLEANUP(database_state_release) struct database_state st = DATABASE_STATE_INIT;

	if (pl->q->in_place)
		plan_line(&pl->p->refusals, "--in-place exchanges whole databases: leave --table and --data-only out, or leave it out");
	if (look(run, pl, wanted, &st, err))
		return err->code;
	s->exists = st.exists;
	s->empty = st.empty;
	set_target(s, xstrdup(wanted), !st.exists && pl->wish.mode == LOAD_TABLES);
	if (!st.exists && pl->wish.mode == LOAD_ROWS)
		plan_line(&pl->p->refusals, "the database %s is not there, and --data-only makes none", wanted);
	if (st.exists && !st.allows)
		plan_line(&pl->p->refusals, "the database %s takes no connections", wanted);
	return ST_OK;
}

static enum status choose_name(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *told = NULL;

	if (load_wish_rename(pl->q, pl->s->scope, &told, err))
		return err->code;
	const char *wanted = told ? told : pl->s->scope;
	if (strlen(wanted) > 63)
		return error_set(err, ST_USAGE, "the name of a database has at most 63 bytes: %s", wanted);
	if (!strncmp(wanted, "template", 8) && (!strcmp(wanted + 8, "0") || !strcmp(wanted + 8, "1")))
		plan_line(&pl->p->refusals, "%s is the server's own template: name another with --rename", wanted);
	return pl->wish.mode == LOAD_DATABASE ? name_database(run, pl, wanted, told != NULL, err)
		: name_for_tables(run, pl, wanted, err);
}

/* ---- what will be done ---- */

static void tell_rows(struct planner *pl)
{
	CLEANUP(buf_release) struct buf size = BUF_INIT;
	uint64_t rows = 0;

	for (size_t i = 0; i < pl->wish.tables; i++)
		rows += pl->wish.table[i].rows;
	size_print(pl->wish.raw, &size);
	plan_line(&pl->p->steps, "load %" PRIu64 " rows (%s) of %zu tables into %s on %u connections", rows, buf_str(&size), pl->wish.tables,
		  pl->s->target, pl->q->jobs);
	for (size_t i = 0; i < pl->wish.excluded.len; i++) {
		char *sep = strchr(pl->wish.excluded.item[i], '\001');

		plan_line(&pl->p->steps, "leave out the rows of %.*s.%s", (int)(sep - pl->wish.excluded.item[i]), pl->wish.excluded.item[i],
			  sep + 1);
	}
}

static void tell_scope(struct planner *pl)
{
	const struct load_scope_plan *s = pl->s;

	if (s->create && s->exists)
		plan_line(&pl->p->steps, "drop the database %s", s->target);
	if (s->create)
		plan_line(&pl->p->steps, "create the database %s (%s, %s)", s->target, pl->wish.db.encoding,
			  pl->wish.db.locale ? pl->wish.db.locale : pl->wish.db.collate);
	if (pl->wish.mode == LOAD_DATABASE)
		plan_line(&pl->p->steps, "make the definitions of %s in %s", s->scope, s->target);
	tell_rows(pl);
	if (pl->wish.mode != LOAD_ROWS)
		plan_line(&pl->p->steps, "build indexes and constraints in %s on %u connections", s->target, pl->q->jobs);
	for (size_t i = 0; i < pl->wish.tables; i++)
		if (pl->wish.table[i].to_name && pl->wish.mode != LOAD_ROWS)
			plan_line(&pl->p->steps, "name the table %s %s.%s", pl->wish.table[i].shown, pl->wish.table[i].to_schema,
				  pl->wish.table[i].to_name);
	if (s->replaces)
		plan_line(&pl->p->steps, "put %s in the place of %s, which stays as %s", s->target, s->replaces, s->aside);
}

static enum status plan_scope(struct run *run, struct planner *pl, size_t i, struct error *err)
{
	load_wish_release(&pl->wish);
	toc_release(&pl->toc);
	spool_freep(&pl->dump);
	pl->s = &pl->p->scope[i];
	pl->s->scope = xstrdup(pl->q->scopes->item[i]);
	pl->p->scopes++;
	if (load_wish_make(pl->q, pl->s->scope, &pl->wish, err) || choose_name(run, pl, err))
		return err->code;
	if (pl->wish.mode != LOAD_ROWS && load_read_dump(pl->e, pl->q, pl->s->scope, &pl->dump, &pl->toc, err))
		return err->code;
	if (check_scope(run, pl, err))
		return err->code;
	if (pl->wish.mode != LOAD_DATABASE && check_tables(run, pl, err))
		return err->code;
	tell_scope(pl);
	return ST_OK;
}

static void check_distinct(struct planner *pl)
{
	for (size_t i = 0; i < pl->p->scopes; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(pl->p->scope[i].target, pl->p->scope[k].target))
				plan_line(&pl->p->refusals, "two databases, %s and %s, would go into %s", pl->p->scope[k].scope,
					    pl->p->scope[i].scope, pl->p->scope[i].target);
}

static enum status connect_admin(struct run *run, struct planner *pl, struct error *err)
{
	CLEANUP(strlist_release) struct strlist none = STRLIST_INIT;

	return load_connect_admin(run, pl->e, &none, &pl->admin, err);
}

enum status pg_load_plan(struct run *run, const struct endpoint *e, const struct load_request *q, struct load_plan *p,
			 struct error *err)
{
	CLEANUP(planner_release) struct planner pl = {.e = e, .q = q, .p = p};

	if (q->clean && q->in_place)
		return error_set(err, ST_USAGE, "--clean drops first, --in-place keeps: take one of them");
	if (connect_admin(run, &pl, err) || check_server(run, &pl, err))
		return err->code;
	p->identity = xstrdup(pl.facts.identity);
	p->version = xstrdup(pl.facts.version);
	p->scope = xcalloc(q->scopes->len + 1, sizeof *p->scope);
	for (size_t i = 0; i < q->scopes->len; i++)
		if (plan_scope(run, &pl, i, err))
			return err->code;
	check_distinct(&pl);
	if ((q->clean || q->users == LOAD_USERS_ALL) && !q->scratch && p->scopes)
		p->confirm = xasprintf("%s@%s", p->scope[0].target, p->identity);
	return ST_OK;
}
