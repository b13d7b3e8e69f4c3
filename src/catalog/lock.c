#include "catalog/lock.h"

#include "catalog/holder.h"
#include "core/log.h"
#include "util/failpoint.h"

#define TRIES 20

struct lock {
	struct holder *holder;
	struct store *store;
	char *source;
};

void lock_info_release(struct lock_info *i)
{
	free(i->host);
	free(i->what);
	free(i->token);
	*i = (struct lock_info){0};
}

static char *lock_key(const char *source, const char *role)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", role);

	return catalog_key(source, "lock", name);
}

static enum status locked_error(struct run *run, const struct lock_spec *spec, const struct lock_info *i, struct error *err)
{
	CLEANUP(buf_release) struct buf ago = BUF_INIT;
	char since[INSTANT_TEXT];
	struct duration silent = instant_diff(run_now(run), i->heartbeat);

	duration_print(silent.us > 0 ? silent : (struct duration){0}, &ago);
	error_set(err, ST_LOCKED,
		  "source %s is locked in store %s by %s (process %" PRId64 " on %s, since %s, last heartbeat %s ago)",
		  spec->source, spec->store->name, i->what, i->pid, i->host, i->since.us ? instant_iso(i->since, since) : "?",
		  buf_str(&ago));
	return error_hint(err, "Wait for it. A lock whose holder is gone frees itself within 5 minutes, or by `drtool unlock %s`.",
			  spec->source);
}

/* Decides about a held lock. Its process is looked at first, which costs nothing; else the store's clock decides. */
static enum status judge(struct run *run, struct store *s, const char *source, struct lock_info *i, struct error *err)
{
	struct instant now;

	i->stale = i->same_process_gone;
	if (!i->held || i->stale)
		return ST_OK;
	if (store_clock(run, s, source, &now, err))
		return err->code;
	i->stale = instant_diff(now, i->heartbeat).us > LOCK_STALE.us;
	return ST_OK;
}

/* One try: ST_PRECONDITION means that somebody was faster and all is to be looked at again. */
static enum status try_take(struct run *run, const struct lock_spec *spec, const char *key, struct holder **h, struct error *err)
{
	CLEANUP(lock_info_release) struct lock_info seen = {0};
	struct holder_spec claim = {.store = spec->store, .key = key, .what = spec->what, .condition = PUT_ABSENT};

	if (holder_read(run, spec->store, key, &seen, NULL, err)) {
		if (err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err);
	} else {
		if (judge(run, spec->store, spec->source, &seen, err))
			return err->code;
		if (seen.held && !seen.stale)
			return locked_error(run, spec, &seen, err);
		claim.condition = PUT_MATCHES;
		claim.token = seen.token;
	}
	if (failpoint("lock.take.before", err) || holder_claim(run, &claim, h, err))
		return err->code;
	if (seen.held)
		log_line(run, LOG_WARN, "took over the lock of %s (process %" PRId64 " on %s), which is gone", seen.what,
			 seen.pid, seen.host);
	return ST_OK;
}

enum status lock_take(struct run *run, const struct lock_spec *spec, struct lock **l, struct error *err)
{
	CLEANUP(cstr_release) char *key = lock_key(spec->source, spec->role);
	struct holder *h = NULL;

	for (int i = 0; i < TRIES; i++) {
		enum status st = try_take(run, spec, key, &h, err);

		if (st == ST_PRECONDITION) {
			error_release(err);
			continue;
		}
		if (st)
			return error_add(err, "cannot lock");
		if (failpoint("lock.take.after", err)) {
			holder_release(&h, false);
			return err->code;
		}
		*l = xcalloc(1, sizeof **l);
		**l = (struct lock){.holder = h, .store = spec->store, .source = xstrdup(spec->source)};
		return ST_OK;
	}
	return error_set(err, ST_LOCKED, "source %s: the lock changes hands too fast", spec->source);
}

enum status lock_still_held(struct run *run, struct lock *l, struct error *err) { return holder_check(run, l->holder, err); }

enum status lock_store_time(struct run *run, struct lock *l, struct instant *now, struct error *err)
{
	return store_clock(run, l->store, l->source, now, err);
}

void lock_release(struct lock **l)
{
	if (!*l)
		return;
	holder_release(&(*l)->holder, false);
	free((*l)->source);
	free(*l);
	*l = NULL;
}

enum status lock_read(struct run *run, struct store *s, const char *source, const char *role, struct lock_info *i,
		      struct error *err)
{
	CLEANUP(cstr_release) char *key = lock_key(source, role);
	struct error no_clock = ERROR_INIT;

	if (holder_read(run, s, key, i, NULL, err)) {
		if (err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err);
		return ST_OK;
	}
	if (judge(run, s, source, i, &no_clock)) {
		/* A reader may have no right to write; then this machine's clock has to do. */
		i->stale = instant_diff(run_now(run), i->heartbeat).us > LOCK_STALE.us;
		error_release(&no_clock);
	}
	return ST_OK;
}

enum status lock_break(struct run *run, struct store *s, const char *source, const char *role, const struct lock_info *seen,
		       struct error *err)
{
	CLEANUP(cstr_release) char *key = lock_key(source, role);

	if (!holder_overwrite(run, s, key, seen->token, err) || err->code != ST_PRECONDITION)
		return err->code;
	error_set(err, ST_LOCKED, "the lock of source %s changed since it was looked at", source);
	return error_hint(err, "Its holder is alive, or another run has it now: look again.");
}
