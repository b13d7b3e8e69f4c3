#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/modriver.h"

#define CLOSE_WAIT DURATION_SECONDS(30)

struct run mo_load_run(const struct run *run, const struct mo_load *l)
{
	struct run mine = *run;

	mine.cancel = l->cancel;
	return mine;
}

enum status mo_load_connect(struct run *run, struct mo_load *l, struct mo_conn **c, struct error *err)
{
	return mo_conn_open(run, l->e, MO_WRITE, c, err);
}

enum status mo_load_failed(struct error *err)
{
	if (err->code == ST_DENIED || mo_conn_denied(err))
		error_hint(err, "Restore as an account with the roles readWrite and dbAdmin on the database, or restore, readWriteAnyDatabase and"
				" dbAdminAnyDatabase on admin, which time series need.");
	return err->code;
}

/* Makes l->conn the given connection (NULL: closes what was there). */
static enum status keep(struct mo_load *l, struct mo_conn *c, struct error *err)
{
	mutex_lock(&l->mutex);
	struct mo_conn *old = l->conn;
	bool interrupted = l->interrupted;

	l->conn = interrupted ? NULL : c;
	mutex_unlock(&l->mutex);
	mo_conn_freep(&old);
	if (!interrupted)
		return ST_OK;
	mo_conn_freep(&c);
	return error_set(err, ST_CANCELLED, "the restore was interrupted");
}

enum status mo_load_open(struct run *run, const struct endpoint *e, const struct load_request *q, const struct load_plan *p, void **load,
			 struct error *err)
{
	struct mo_load *l = xcalloc(1, sizeof *l);

	l->e = e;
	l->q = q;
	l->p = p;
	l->cancel = cancel_new(run->cancel);
	mutex_init(&l->mutex);
	*load = l;
	return plan_has_log(p) ? mo_log_find(q->recorded, &l->log, err) : ST_OK;
}

static void release_scope(struct mo_load *l)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	(void)!keep(l, NULL, &ignored);
	mo_replay_freep(&l->replay);
	mo_wish_release(&l->wish);
	mo_where_release(&l->where);
	strlist_release(&l->done);
	l->s = NULL;
}

/* ---- the end of all ---- */

/* Under its own name nothing of the run is left. A copy keeps what an exchange and a comparison need to know. */
static enum status clean_scope(struct run *run, struct mo_load *l, struct mo_conn *c, const struct load_scope_plan *s, struct error *err)
{
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;
	bool exists = false;

	if (mo_where_parse(s->target, &w, err))
		return err->code;
	const struct mo_mark m = {w.database, l->q->run};
	if (!l->q->scratch && !*w.suffix)
		return mo_mark_drop(run, c, &m, err);
	if (mo_mark_exists(run, c, &m, &exists, err) || !exists)
		return err->code;
	return mo_mark_forget(run, c, &m, MO_MARK_UNIT, err) || mo_mark_forget(run, c, &m, MO_MARK_REPLAY, err) ? err->code : ST_OK;
}

/* States go when every database is complete, not before: a run that resumes finds by them which are its own. */
static void clean(struct mo_load *l)
{
	struct run none = RUN_INIT;
	struct run bounded = run_within(&none, CLOSE_WAIT);
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (mo_load_connect(&bounded, l, &c, &why)) {
		notes_add(l->e->notes, "collections " MO_RUN_PREFIX "%s may be left in restored databases: %s", l->q->run, error_text(&why));
		return;
	}
	for (size_t i = 0; i < plan_databases(l->p); i++)
		if (clean_scope(&bounded, l, c, &l->p->scope[i], &why)) {
			notes_add(l->e->notes, "%s: the collection " MO_RUN_PREFIX "%s may be left: %s", l->p->scope[i].target, l->q->run,
				  error_text(&why));
			error_release(&why);
		}
}

void mo_load_close(void *load, bool complete)
{
	struct mo_load *l = load;

	if (!l)
		return;
	release_scope(l);
	mo_load_users_leave(l);
	if (complete && !l->interrupted)
		clean(l);
	cancel_freep(&l->cancel);
	mutex_destroy(&l->mutex);
	free(l);
}

void mo_interrupt_load(void *load)
{
	struct mo_load *l = load;

	cancel_fire(l->cancel, 0);
	mutex_lock(&l->mutex);
	l->interrupted = true;
	if (l->conn)
		mo_conn_interrupt(l->conn);
	mutex_unlock(&l->mutex);
}

bool mo_load_wants(void *load, const struct recorded_object *o)
{
	const struct mo_load *l = load;

	return (l->log.has && o->id == l->log.id) || mo_wish_object(&l->wish, o->id) != NULL;
}

/* ---- begin ---- */

static enum status begin_log(struct run *run, struct mo_load *l, bool resumed, struct error *err)
{
	struct mo_conn *c = NULL;

	l->resumed = resumed;
	return mo_load_connect(run, l, &c, err) || keep(l, c, err) ? err->code : mo_replay_begin(run, l, err);
}

enum status mo_load_choose(void *load, size_t i, struct error *err)
{
	struct mo_load *l = load;

	release_scope(l);
	l->s = &l->p->scope[i];
	if (l->s->log)
		return ST_OK;
	if (mo_where_parse(l->s->target, &l->where, err) || mo_wish_make(l->q, l->s->scope, &l->wish, err))
		return err->code;
	mo_wish_place(&l->wish, &l->where);
	l->mark = (struct mo_mark){l->where.database, l->q->run};
	l->park = l->q->scratch || *l->where.suffix;
	return ST_OK;
}

static enum status begin(struct run *run, struct mo_load *l, bool resumed, struct error *err)
{
	struct mo_conn *c = NULL;
	bool before = false;

	if (l->s->log)
		return begin_log(run, l, resumed, err);
	if (mo_load_connect(run, l, &c, err) || keep(l, c, err) || mo_mark_exists(run, l->conn, &l->mark, &before, err))
		return err->code;
	l->resumed = resumed || before;
	if (!before && mo_mark_make(run, l->conn, &l->mark, l->s, err))
		return err->code;
	return mo_load_definitions(run, l, err);
}

enum status mo_load_begin(struct run *run, void *load, bool resumed, struct error *err)
{
	struct mo_load *l = load;
	struct run mine = mo_load_run(run, l);

	return begin(&mine, l, resumed, err) ? mo_load_failed(err) : ST_OK;
}

bool mo_load_has_unit(void *load, const struct load_unit *u)
{
	const struct mo_load *l = load;
	CLEANUP(cstr_release) char *id = mo_mark_unit_id(u);

	return mo_sorted_has(&l->done, id);
}
