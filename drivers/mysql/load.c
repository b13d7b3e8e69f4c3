#include "drivers/mysql/load.h"

#include "drivers/mysql/binlog.h"
#include "drivers/mysql/definers.h"
#include "drivers/mysql/mydriver.h"
#include "drivers/mysql/session.h"

struct run my_load_run(const struct run *run, const struct my_load *l)
{
	struct run mine = *run;

	mine.cancel = l->cancel;
	return mine;
}

/* Makes l->conn the given connection (NULL: closes what was there). */
static enum status keep(struct my_load *l, struct my_conn *c, struct error *err)
{
	mutex_lock(&l->mutex);
	struct my_conn *old = l->conn;
	bool interrupted = l->interrupted;

	l->conn = interrupted ? NULL : c;
	mutex_unlock(&l->mutex);
	my_conn_freep(&old);
	if (!interrupted)
		return ST_OK;
	my_conn_freep(&c);
	return error_set(err, ST_CANCELLED, "the restore was interrupted");
}

static enum status look(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	if (my_session_open_load(run, l->e, NULL, &c, err) || my_server_look(run, c, &l->server, err) ||
	    my_conn_value(run, c, "SELECT CURRENT_USER()", &l->me, err))
		return err->code;
	l->unlogged = l->p->unlogged;
	if (l->unlogged && !l->q->scratch)
		my_binlog_tell(l->e);
	return ST_OK;
}

static void load_free(struct my_load *l)
{
	my_server_release(&l->server);
	free(l->me);
	strlist_release(&l->rights);
	cancel_freep(&l->cancel);
	mutex_destroy(&l->mutex);
	free(l);
}

enum status my_load_open(struct run *run, const struct endpoint *e, const struct load_request *q, const struct load_plan *p,
			 void **load, struct error *err)
{
	struct my_load *l = xcalloc(1, sizeof *l);

	*load = NULL;
	l->e = e;
	l->q = q;
	l->p = p;
	l->cancel = cancel_new(run->cancel);
	mutex_init(&l->mutex);
	if (look(run, l, err)) {
		load_free(l);
		return my_load_failed(err);
	}
	*load = l;
	return ST_OK;
}

static void release_scope(struct my_load *l)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	(void)!keep(l, NULL, &ignored);
	cstr_release(&l->lock);
	my_load_wish_release(&l->wish);
	strlist_release(&l->done);
	strlist_release(&l->plain);
	l->s = NULL;
}

/* ---- the end of all ---- */

/* *complete: the database is restored to its end, with a mark in it or without. */
static enum status look_complete(struct run *run, struct my_conn *c, const struct my_mark *m, bool *marked, bool *complete,
				 struct error *err)
{
	*complete = *marked = false;
	if (my_mark_exists(run, c, m, marked, err))
		return err->code;
	*complete = !*marked;
	return *marked ? my_mark_state(run, c, m, "complete", complete, err) : ST_OK;
}

/* Marks go when every database is complete, not before: a run that resumes finds by them which are its own. */
static void remove_marks(struct my_load *l)
{
	struct run none = RUN_INIT;
	struct run bounded = run_within(&none, DURATION_SECONDS(30));
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(error_release) struct error first = ERROR_INIT;
	bool marked, complete;

	if (my_load_connect(&bounded, l, NULL, &c, &first)) {
		notes_add(l->e->notes, "tables drtool_restore_%s may be left in restored databases: %s", l->q->run, error_text(&first));
		return;
	}
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < l->p->scopes; i++) {
			const struct my_mark m = {l->p->scope[i].target, l->q->run};
			CLEANUP(error_release) struct error why = ERROR_INIT;

			if (look_complete(&bounded, c, &m, &marked, &complete, &why))
				notes_add(l->e->notes, "the table drtool_restore_%s may be left in database %s: %s", l->q->run, m.database,
					  error_text(&why));
			if (!complete)
				return;
			if (pass && marked && my_mark_remove(&bounded, c, &m, &why))
				notes_add(l->e->notes, "database %s: drop the table drtool_restore_%s there: %s", m.database, l->q->run,
					  error_text(&why));
		}
}

void my_load_close(void *load, bool complete)
{
	struct my_load *l = load;

	if (!l)
		return;
	release_scope(l);
	if (complete && !l->interrupted)
		remove_marks(l);
	load_free(l);
}

void my_interrupt_load(void *load)
{
	struct my_load *l = load;

	cancel_fire(l->cancel, 0);
	mutex_lock(&l->mutex);
	l->interrupted = true;
	if (l->conn)
		my_conn_interrupt(l->conn);
	mutex_unlock(&l->mutex);
}

bool my_load_wants(void *load, const struct recorded_object *o)
{
	const struct my_load *l = load;

	return my_load_wish_table(&l->wish, o->id) != NULL;
}

/* ---- begin ---- */

static enum status connect_target(struct run *run, struct my_load *l, struct error *err)
{
	struct my_conn *c = NULL;

	if (my_load_connect(run, l, l->s->target, &c, err) || keep(l, c, err))
		return err->code;
	if (l->resumed && my_mark_end_sessions(run, l->conn, l->q->run, err))
		return err->code;
	return my_mark_session(run, l->conn, l->q->run, &l->lock, err);
}

static enum status prepare(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	return my_load_connect(run, l, NULL, &c, err) ? err->code : my_load_prepare(run, l, c, err);
}

enum status my_load_choose(void *load, size_t i, struct error *err)
{
	struct my_load *l = load;
	CLEANUP(my_definers_release) struct my_definers d = MY_DEFINERS_INIT;

	release_scope(l);
	l->s = &l->p->scope[i];
	l->mark = (struct my_mark){l->s->target, l->q->run};
	if (my_load_wish_make(l->q, l->s->scope, &l->wish, err) || my_definers_read(l->e, l->q, l->server.mariadb, &d, err))
		return err->code;
	my_definers_apply(&d, &l->wish, NULL);
	return ST_OK;
}

static enum status begin(struct run *run, struct my_load *l, bool resumed, struct error *err)
{
	bool before = false;

	l->resumed = resumed;
	if (prepare(run, l, err) || connect_target(run, l, err))
		return err->code;
	if (my_mark_exists(run, l->conn, &l->mark, &before, err) || my_mark_make(run, l->conn, &l->mark, err))
		return err->code;
	if (before && !l->resumed && my_mark_end_sessions(run, l->conn, l->q->run, err))
		return err->code;
	l->resumed = l->resumed || before;
	/* For a run that resumes: what it made itself it may also drop. */
	if (l->s->create && my_mark_set(run, l->conn, &l->mark, "created", err))
		return err->code;
	if (l->unlogged && my_mark_set(run, l->conn, &l->mark, "unlogged", err))
		return err->code;
	return my_load_definitions(run, l, err);
}

/* What a connection says of missing rights is meant for backups. */
enum status my_load_failed(struct error *err)
{
	if (err->code == ST_DENIED)
		error_hint(err, "Restore as an account with ALL PRIVILEGES on the database; or with --definers strip --users none.");
	return err->code;
}

enum status my_load_begin(struct run *run, void *load, bool resumed, struct error *err)
{
	struct my_load *l = load;
	struct run mine = my_load_run(run, l);

	return begin(&mine, l, resumed, err) ? my_load_failed(err) : ST_OK;
}
