#include "drivers/mongodb/load_log.h"
#include "drivers/mongodb/modriver.h"
#include "util/failpoint.h"

/* Accounts are of the server: they come once, at the end of the last scope. */
static bool is_last(const struct mo_load *l) { return l->s == &l->p->scope[l->p->scopes - 1]; }

enum status mo_load_accounts(struct run *run, struct mo_load *l, struct error *err)
{
	return l->q->users == LOAD_USERS_ALL && !l->q->scratch && is_last(l) ? mo_load_users(run, l, err) : ST_OK;
}

/* What has to be there before the log is replayed; indexes come behind it, as documents of no one moment may break unique ones. */
static enum status finish_documents(struct run *run, struct mo_load *l, struct error *err)
{
	if (mo_mark_check(run, l->conn, &l->mark, &l->wish, err))
		return err->code;
	return l->wish.mode != MO_LOAD_ROWS ? mo_load_views(run, l, err) : ST_OK;
}

static enum status finish(struct run *run, struct mo_load *l, struct error *err)
{
	bool complete = false;

	if (l->log.has)
		return finish_documents(run, l, err);
	if (mo_mark_has(run, l->conn, &l->mark, "complete", &complete, err) || complete)
		return err->code;
	if (!l->q->salvage && mo_mark_check(run, l->conn, &l->mark, &l->wish, err))
		return err->code;
	if (l->wish.mode != MO_LOAD_ROWS && (mo_load_indexes(run, l, err) || mo_load_views(run, l, err)))
		return err->code;
	if (mo_load_accounts(run, l, err))
		return err->code;
	if (failpoint("mongodb.load.end.before", err) || mo_load_times(run, l, err))
		return err->code;
	return mo_mark_set(run, l->conn, &l->mark, "complete", err);
}

enum status mo_load_end(struct run *run, void *load, struct error *err)
{
	struct mo_load *l = load;
	struct run mine = mo_load_run(run, l);

	if (!l->conn)
		return error_set(err, ST_CANCELLED, "the restore was interrupted");
	return (l->s->log ? mo_replay_end(&mine, l, err) : finish(&mine, l, err)) ? mo_load_failed(err) : ST_OK;
}
