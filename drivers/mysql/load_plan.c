#include "drivers/mysql/load_plan.h"

#include "drivers/mysql/mydriver.h"
#include "drivers/mysql/session.h"
#include "util/utf8.h"

static void planner_release(struct my_planner *pl)
{
	my_conn_freep(&pl->c);
	my_server_release(&pl->server);
	my_rights_freep(&pl->rights);
	strlist_release(&pl->engines);
	free(pl->me);
	my_load_wish_release(&pl->wish);
	my_definers_release(&pl->definers);
	strlist_release(&pl->mapped);
}

/* ---- names ---- */

static enum status look(struct run *run, struct my_planner *pl, const char *name, struct my_database_state *st, struct error *err)
{
	return my_database_look(run, pl->c, name, pl->q->run, st, err);
}

static void set_target(struct load_scope_plan *s, char *target, bool create)
{
	free(s->target);
	s->target = target;
	s->create = create;
}

static enum status beside(struct run *run, struct my_planner *pl, const char *wanted, struct error *err)
{
	struct load_scope_plan *s = pl->s;
	CLEANUP(my_database_state_release) struct my_database_state st = MY_DATABASE_STATE_INIT;

	set_target(s, my_database_beside(wanted, "_restore_", pl->q->run), true);
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
	s->aside = my_database_beside(wanted, "_before_", pl->q->run);
	bool taken = false;
	if (my_database_exists(run, pl->c, s->aside, &taken, err))
		return err->code;
	if (taken && !pl->q->resumed)
		plan_line(&pl->p->refusals, "the database %s is there already: nothing can be set aside under that name", s->aside);
	return ST_OK;
}

static void name_empty(struct my_planner *pl, const char *wanted)
{
	struct load_scope_plan *s = pl->s;

	s->exists = s->empty = true;
	set_target(s, xstrdup(wanted), pl->q->scratch);
}

static enum status name_full(struct run *run, struct my_planner *pl, const char *wanted, bool told, struct error *err)
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

static enum status name_database(struct run *run, struct my_planner *pl, const char *wanted, bool told, struct error *err)
{
	struct load_scope_plan *s = pl->s;
	CLEANUP(my_database_state_release) struct my_database_state st = MY_DATABASE_STATE_INIT;
	bool created = true;

	if (look(run, pl, wanted, &st, err))
		return err->code;
	if (st.exists && st.ours) {
		const struct my_mark m = {wanted, pl->q->run};

		if (my_mark_state(run, pl->c, &m, "created", &created, err))
			return err->code;
		s->exists = true;
		s->empty = st.empty;
		set_target(s, xstrdup(wanted), created);
		return ST_OK;
	}
	if (st.exists && st.empty) {
		name_empty(pl, wanted);
		return ST_OK;
	}
	if (st.exists)
		return name_full(run, pl, wanted, told, err);
	set_target(s, xstrdup(wanted), true);
	return ST_OK;
}

/* Tables or rows only: into the database as it is. */
static enum status name_for_tables(struct run *run, struct my_planner *pl, const char *wanted, struct error *err)
{
	struct load_scope_plan *s = pl->s;
	CLEANUP(my_database_state_release) struct my_database_state st = MY_DATABASE_STATE_INIT;
	bool created = false;
	const struct my_mark m = {wanted, pl->q->run};

	if (pl->q->in_place)
		plan_line(&pl->p->refusals, "--in-place exchanges whole databases: leave --table and --data-only out, or leave it out");
	if (look(run, pl, wanted, &st, err) || (st.ours && my_mark_state(run, pl->c, &m, "created", &created, err)))
		return err->code;
	s->exists = st.exists;
	s->empty = st.empty;
	set_target(s, xstrdup(wanted), created || (!st.exists && pl->wish.mode == MY_LOAD_TABLES));
	if (!st.exists && pl->wish.mode == MY_LOAD_ROWS)
		plan_line(&pl->p->refusals, "the database %s is not there, and --data-only makes none", wanted);
	return ST_OK;
}

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; n++) {
		size_t one = utf8_character(s, NULL);

		s += one ? one : 1;
	}
	return n;
}

static enum status choose_name(struct run *run, struct my_planner *pl, struct error *err)
{
	CLEANUP(cstr_release) char *told = NULL;

	if (my_load_wish_rename(pl->q, pl->s->scope, &told, err))
		return err->code;
	const char *wanted = told ? told : pl->s->scope;
	if (characters(wanted) > 64)
		return error_set(err, ST_USAGE, "the name of a database has at most 64 characters: %s", wanted);
	if (my_system_database(wanted))
		plan_line(&pl->p->refusals, "%s is the server's own: name another with --rename", wanted);
	return pl->wish.mode == MY_LOAD_DATABASE ? name_database(run, pl, wanted, told != NULL, err)
		: name_for_tables(run, pl, wanted, err);
}

/* ---- what will be done ---- */

static void tell_rows(struct my_planner *pl)
{
	CLEANUP(buf_release) struct buf size = BUF_INIT;
	uint64_t rows = 0;

	for (size_t i = 0; i < pl->wish.tables; i++)
		rows += pl->wish.table[i].rows;
	size_print(pl->wish.raw, &size);
	plan_line(&pl->p->steps, "load %" PRIu64 " rows (%s) of %zu tables into %s on %u connections", rows, buf_str(&size), pl->wish.tables,
		     pl->s->target, pl->q->jobs);
	for (size_t i = 0; i < pl->wish.excluded.len; i++)
		plan_line(&pl->p->steps, "leave out the rows of %s", pl->wish.excluded.item[i]);
}

static void tell_scope(struct my_planner *pl)
{
	const struct load_scope_plan *s = pl->s;

	if (s->create && s->exists)
		plan_line(&pl->p->steps, "drop the database %s", s->target);
	if (s->create)
		plan_line(&pl->p->steps, "create the database %s", s->target);
	if (pl->wish.mode == MY_LOAD_DATABASE)
		plan_line(&pl->p->steps, "make the definitions of %s in %s", s->scope, s->target);
	tell_rows(pl);
	if (pl->wish.mode != MY_LOAD_ROWS)
		plan_line(&pl->p->steps, "build indexes and constraints in %s on %u connections", s->target, pl->q->jobs);
	for (size_t i = 0; i < pl->wish.tables; i++)
		if (pl->wish.table[i].to_name && pl->wish.mode != MY_LOAD_ROWS)
			plan_line(&pl->p->steps, "name the table %s %s", pl->wish.table[i].shown, pl->wish.table[i].to_name);
	if (s->replaces)
		plan_line(&pl->p->steps, "put %s in the place of %s, which stays as %s", s->target, s->replaces, s->aside);
}

static enum status plan_scope(struct run *run, struct my_planner *pl, size_t i, struct error *err)
{
	my_load_wish_release(&pl->wish);
	pl->s = &pl->p->scope[i];
	pl->s->scope = xstrdup(pl->q->scopes->item[i]);
	pl->p->scopes++;
	if (my_load_wish_make(pl->q, pl->s->scope, &pl->wish, err))
		return err->code;
	my_definers_apply(&pl->definers, &pl->wish, &pl->mapped);
	if (choose_name(run, pl, err) || my_check_scope(run, pl, err))
		return err->code;
	if (pl->wish.mode != MY_LOAD_DATABASE && my_check_tables(run, pl, err))
		return err->code;
	tell_scope(pl);
	return ST_OK;
}

static void check_distinct(struct my_planner *pl)
{
	for (size_t i = 0; i < pl->p->scopes; i++)
		for (size_t k = 0; k < i; k++) {
			const char *a = pl->p->scope[k].target, *b = pl->p->scope[i].target;

			if (pl->server.lower_case ? !strcasecmp(a, b) : !strcmp(a, b))
				plan_line(&pl->p->refusals, "two databases, %s and %s, would go into %s", pl->p->scope[k].scope,
					       pl->p->scope[i].scope, b);
		}
}

enum status my_load_plan(struct run *run, const struct endpoint *e, const struct load_request *q, struct load_plan *p,
			 struct error *err)
{
	CLEANUP(planner_release) struct my_planner pl = {.e = e, .q = q, .p = p};

	if (q->clean && q->in_place)
		return error_set(err, ST_USAGE, "--clean drops first, --in-place keeps: take one of them");
	if (my_session_open(run, e, NULL, &pl.c, err) || my_check_server(run, &pl, err) ||
	    my_definers_read(e, q, pl.server.mariadb, &pl.definers, err))
		return err->code;
	p->identity = xstrdup(pl.server.identity);
	p->version = xstrdup(pl.server.version);
	p->scope = xcalloc(q->scopes->len + 1, sizeof *p->scope);
	for (size_t i = 0; i < q->scopes->len; i++)
		if (plan_scope(run, &pl, i, err))
			return err->code;
	check_distinct(&pl);
	for (size_t i = 0; i < pl.definers.from.len; i++)
		if (!strlist_has(&pl.mapped, pl.definers.from.item[i]))
			plan_line(&pl.p->warnings, "--definers: nothing that is restored belongs to %s", pl.definers.from.item[i]);
	if (my_check_binlog(run, &pl, err))
		return err->code;
	if ((q->clean || q->users == LOAD_USERS_ALL) && !q->scratch && p->scopes)
		p->confirm = xasprintf("%s@%s", p->scope[0].target, p->identity);
	return ST_OK;
}
