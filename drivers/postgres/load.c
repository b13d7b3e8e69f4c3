#include "drivers/postgres/load.h"

#include <unistd.h>

#include "drivers/postgres/pgdriver.h"

#define DUMP_IN_MEMORY ((size_t)8 * 1024 * 1024)

struct run load_run(const struct run *run, const struct load *l)
{
	struct run mine = *run;

	mine.cancel = l->cancel;
	return mine;
}

enum status load_keep(struct load *l, struct conn **slot, struct conn *c, struct error *err)
{
	mutex_lock(&l->mutex);
	struct conn *old = *slot;
	bool interrupted = l->interrupted;

	*slot = interrupted ? NULL : c;
	mutex_unlock(&l->mutex);
	conn_freep(&old);
	if (!interrupted)
		return ST_OK;
	conn_freep(&c);
	return error_set(err, ST_CANCELLED, "the restore was interrupted");
}

enum status load_read_dump(const struct endpoint *e, const struct load_request *q, const char *scope, struct spool **dump,
			   struct toc *t, struct error *err)
{
	const struct recorded *r = q->recorded;

	*dump = spool_new(e->spool_dir, DUMP_IN_MEMORY);
	if (r->file(r->ctx, scope, PG_ENTRY_SCHEMA, spool_sink(*dump), err)) {
		if (err->code == ST_NOT_FOUND)
			error_set(err, ST_BAD, "the archive has no file %s for the database %s", PG_ENTRY_SCHEMA, scope);
		return err->code;
	}
	if (spool_seal(*dump, err) || toc_read(*dump, t, err))
		return error_add(err, "database %s", scope);
	return ST_OK;
}

enum status pg_load_open(struct run *run, const struct endpoint *e, const struct load_request *q, const struct load_plan *p,
			 void **load, struct error *err)
{
	struct load *l = xcalloc(1, sizeof *l);

	(void)err;
	l->e = e;
	l->q = q;
	l->p = p;
	l->cancel = cancel_new(run->cancel);
	mutex_init(&l->mutex);
	*load = l;
	return ST_OK;
}

static void release_scope(struct load *l)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	(void)!load_keep(l, &l->conn, NULL, &ignored);
	(void)!load_keep(l, &l->admin, NULL, &ignored);
	load_selection_release(&l->sel);
	toc_release(&l->toc);
	spool_freep(&l->dump);
	load_wish_release(&l->wish);
	strlist_release(&l->env);
	strlist_release(&l->done);
	cstr_release(&l->restore_path);
	l->no_tablespaces = l->no_privileges = l->tolerant = l->replica = false;
	l->s = NULL;
}

/* *complete: the database is restored to its end, and c, with a mark in it or without. */
static enum status open_complete(struct run *run, const struct load *l, const struct load_scope_plan *s, struct conn **c,
				 bool *marked, bool *complete,
				 struct error *err)
{
	*complete = *marked = false;
	if (load_connect(run, l->e, s->target, c, err) || mark_exists(run, *c, l->q->run, marked, err))
		return err->code;
	*complete = !*marked;
	return *marked ? mark_state(run, *c, l->q->run, "complete", complete, err) : ST_OK;
}

/* Marks go when every database is complete, not before: a run that resumes finds by them which are its own. */
static void remove_marks(struct load *l)
{
	struct run none = RUN_INIT;
	struct run bounded = run_within(&none, DURATION_SECONDS(30));
	bool marked, complete;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < l->p->scopes; i++) {
			CLEANUP(conn_freep) struct conn *c = NULL;
			CLEANUP(error_release) struct error why = ERROR_INIT;

			if (open_complete(&bounded, l, &l->p->scope[i], &c, &marked, &complete, &why))
				notes_add(l->e->notes, "the schema drtool_restore_%s may be left in database %s: %s", l->q->run,
					  l->p->scope[i].target, error_text(&why));
			if (!complete)
				return;
			if (pass && marked && mark_remove(&bounded, c, l->q->run, &why))
				notes_add(l->e->notes, "database %s: drop the schema drtool_restore_%s there: %s",
					  l->p->scope[i].target, l->q->run,
					  error_text(&why));
		}
}

void pg_load_close(void *load, bool complete)
{
	struct load *l = load;

	if (!l)
		return;
	if (complete && !l->interrupted)
		remove_marks(l);
	CLEANUP(cstr_release) char *passfile = xasprintf("%s/pg_restore.pass", l->e->spool_dir);
	unlink(passfile);
	release_scope(l);
	cancel_freep(&l->cancel);
	mutex_destroy(&l->mutex);
	free(l);
}

void pg_interrupt_load(void *load)
{
	struct load *l = load;

	cancel_fire(l->cancel, 0);
	mutex_lock(&l->mutex);
	l->interrupted = true;
	if (l->admin)
		conn_interrupt(l->admin);
	if (l->conn)
		conn_interrupt(l->conn);
	mutex_unlock(&l->mutex);
}

bool pg_load_wants(void *load, const struct recorded_object *o)
{
	const struct load *l = load;

	return load_wish_table(&l->wish, o->id) != NULL;
}

/* ---- begin ---- */

/* Sessions to administrate from and in the target. */
static enum status connect_admin(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(strlist_release) struct strlist avoid = STRLIST_INIT;
	struct conn *c = NULL;

	strlist_add(&avoid, l->s->target);
	if (l->s->replaces)
		strlist_add(&avoid, l->s->replaces);
	if (load_connect_admin(run, l->e, &avoid, &c, err))
		return err->code;
	return load_keep(l, &l->admin, c, err);
}

static enum status connect_target(struct run *run, struct load *l, struct error *err)
{
	struct conn *c = NULL;

	if (load_connect(run, l->e, l->s->target, &c, err))
		return err->code;
	return load_keep(l, &l->conn, c, err);
}

/* Tablespaces that the server lacks: then all goes into the default one. Roles that it lacks: only asked for with --no-owner. */
static enum status look_for_lacks(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(strlist_release) struct strlist missing = STRLIST_INIT;
	CLEANUP(conn_result_free) PGresult *me = NULL;
	size_t n;

	if (conn_query(run, l->conn, SQL("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"), &me, err))
		return err->code;
	l->superuser = PQntuples(me) && res_bool(me, 0, 0);

	for (size_t i = 0; i < l->toc.entries && !l->no_tablespaces; i++) {
		const char *space = l->toc.entry[i].tablespace;
		CLEANUP(conn_result_free) PGresult *r = NULL;

		if (!*space || (i && !strcmp(space, l->toc.entry[i - 1].tablespace)))
			continue;
		if (conn_query(run, l->conn, SQL("SELECT true FROM pg_catalog.pg_tablespace WHERE spcname = $1", space), &r, err))
			return err->code;
		l->no_tablespaces = !PQntuples(r);
	}
	const char **needed = roles_needed(&l->wish, &n);
	enum status st = roles_missing(run, l->conn, needed, n, &missing, err);
	free(needed);
	l->no_privileges = missing.len > 0;
	return st;
}

enum status pg_load_choose(void *load, size_t i, struct error *err)
{
	struct load *l = load;

	release_scope(l);
	l->s = &l->p->scope[i];
	return load_wish_make(l->q, l->s->scope, &l->wish, err);
}

static enum status begin(struct run *run, struct load *l, bool resumed, struct error *err)
{
	l->resumed = resumed;
	if (l->wish.mode != LOAD_ROWS && load_read_dump(l->e, l->q, l->s->scope, &l->dump, &l->toc, err))
		return err->code;
	if (connect_admin(run, l, err) || load_roles(run, l, err) || load_database_create(run, l, resumed, err) ||
	    connect_target(run, l, err))
		return err->code;
	bool before = false;
	if (look_for_lacks(run, l, err) || mark_exists(run, l->conn, l->q->run, &before, err) ||
	    mark_make(run, l->conn, l->q->run, err))
		return err->code;
	l->resumed = l->resumed || before;
	if (l->resumed && mark_end_sessions(run, l->conn, l->q->run, err))
		return err->code;
	/* For a run that resumes: what it made itself it may also drop. */
	if ((l->s->create && mark_set(run, l->conn, l->q->run, "created", err)) || load_definitions(run, l, err))
		return err->code;
	if (l->resumed && mark_units(run, l->conn, l->q->run, &l->done, err))
		return err->code;
	return ST_OK;
}

/* What a connection says of missing rights is meant for backups. */
enum status load_failed(struct error *err)
{
	if (err->code == ST_DENIED)
		error_hint(err, "Restore as a superuser; or, as a user who may create databases, with --no-owner --users none.");
	return err->code;
}

enum status pg_load_begin(struct run *run, void *load, bool resumed, struct error *err)
{
	return begin(run, load, resumed, err) ? load_failed(err) : ST_OK;
}
