/* The phases of a load, scope by scope: begin, units in parallel, end. Shared by restore and verify. */
#include "ops/internal.h"

struct scope_load {
	struct loading *l;
	void *load;
	struct load_pipeline *pipeline;
	const char *scope;
	bool log;
	uint64_t wanted;
};

static bool wants(void *ctx, const struct recorded_object *o)
{
	struct scope_load *s = ctx;
	bool wanted = s->l->target->driver->load_wants(s->load, o);

	s->wanted += wanted;
	return wanted;
}

static enum status call_worker_open(void *ctx, struct run *run, void **worker, struct error *err)
{
	struct scope_load *s = ctx;

	return s->l->target->driver->load_worker_open(run, s->load, worker, err);
}

static enum status call_unit(void *ctx, struct run *run, void *worker, const struct recorded_object *o, const struct load_plan_unit *u,
			     struct chunk_source *chunks, bool *done, bool *unknown, struct error *err)
{
	struct scope_load *s = ctx;
	struct load_unit unit = {.object = o, .range = u->range, .first_part = u->first_part, .rows = u->rows};
	struct load_unit_result r = {0};
	enum status st = s->l->target->driver->load_unit(run, worker, &unit, chunks, &r, err);

	*done = r.state == LOAD_DONE;
	*unknown = r.state == LOAD_UNKNOWN;
	return st;
}

static void call_worker_close(void *ctx, void *worker)
{
	struct scope_load *s = ctx;

	s->l->target->driver->load_worker_close(worker);
}

static void call_interrupt(void *ctx, void *worker)
{
	struct scope_load *s = ctx;

	s->l->target->driver->interrupt(worker, HANDLE_LOAD_WORKER);
}

static enum status call_unit_done(void *ctx, const struct load_plan_unit *u, struct error *err)
{
	struct scope_load *s = ctx;

	return journal_write(s->l->journal, "unit", s->scope, u, err);
}

static void damaged(void *ctx, const char *object, const struct member_row *row, const struct error *why)
{
	struct loading *l = ctx;
	CLEANUP(error_release) struct error e = ERROR_INIT;
	CLEANUP(cstr_release) char *text = NULL;

	text = xasprintf("%s: %" PRIu64 " rows of range %" PRIu32 ", part %" PRIu32 ": %s", object, row->rows, row->range, row->part,
			 error_text(why));
	if (strlist_has(l->missing, text))
		return;
	strlist_add(l->missing, text);
	/* So that a run that resumes this one knows what is not there. */
	if (journal_write(l->journal, "missing", text, NULL, &e))
		notes_add(l->env->notes, "%s", error_text(&e));
}

static enum status open_pipeline(struct scope_load *s, struct error *err)
{
	struct loading *l = s->l;
	struct budget budget;

	if (budget_of(l->env, &l->use, &budget, err))
		return err->code;
	if (s->log)
		budget.jobs = 1;
	struct load_pipeline_spec spec = {
		.budget = &budget,
		.reader = l->reader,
		.progress = l->env->progress,
		.wants = wants,
		.wants_ctx = s,
		.unit_least = l->target->driver->load_unit_least,
		.salvage = l->request->salvage,
		.damaged = damaged,
		.damaged_ctx = l,
	};
	return load_pipeline_new(l->env->run, &spec, s->scope, &s->pipeline, err);
}

enum status loading_preflight(struct loading *l, void *load, struct error *err)
{
	for (size_t i = 0; i < l->plan->scopes; i++) {
		struct scope_load s = {.l = l, .load = load, .scope = l->plan->scope[i].scope, .log = l->plan->scope[i].log};

		enum status st = l->target->driver->load_choose(load, i, err) ? err->code : open_pipeline(&s, err);

		if (!st)
			st = load_pipeline_preflight(s.pipeline, err);
		load_pipeline_freep(&s.pipeline);
		if (st)
			return error_add(err, "before anything was changed: database %s", l->plan->scope[i].scope);
	}
	return ST_OK;
}

/* done, partial, not begun: per object, for the person who has to decide. */
static void tell_state(struct scope_load *s)
{
	size_t n = 0;
	struct load_plan_unit *u = s->pipeline ? load_pipeline_units(s->pipeline, &n) : NULL;

	for (size_t i = 0; i < n;) {
		CLEANUP(archive_object_release) struct archive_object o = {0};
		CLEANUP(error_release) struct error e = ERROR_INIT;
		size_t k = i, done = 0;

		for (; k < n && u[k].object == u[i].object; k++)
			done += u[k].done;
		if (!archive_get_object(s->l->reader, u[i].object, &o, &e))
			buf_printf(s->l->table, "  %-10s %s %s\n", done == k - i ? "done" : done ? "partial" : "not begun", s->scope, o.name);
		i = k;
	}
}

/* What the journal says counts only where the target agrees: a server that crashed may have lost it. */
static enum status mark_done(struct scope_load *s, struct load_plan_unit *u, size_t n, struct error *err)
{
	for (size_t i = 0; i < n;) {
		CLEANUP(archive_object_release) struct archive_object o = {0};
		uint32_t object = u[i].object;

		if (!journal_has_unit(s->l->journal, s->scope, &u[i])) {
			i++;
			continue;
		}
		if (archive_get_object(s->l->reader, object, &o, err))
			return err->code;
		const struct recorded_object r = {.id = o.id, .scope = o.scope, .name = o.name};
		for (; i < n && u[i].object == object; i++) {
			const struct load_unit unit = {.object = &r, .range = u[i].range, .first_part = u[i].first_part, .rows = u[i].rows};

			u[i].done = journal_has_unit(s->l->journal, s->scope, &u[i]) && s->l->target->driver->load_has_unit(s->load, &unit);
		}
	}
	return ST_OK;
}

static enum status units(struct scope_load *s, struct load_sum *sum, struct error *err)
{
	struct loading *l = s->l;
	struct load_calls calls = {call_worker_open, call_unit, call_worker_close, call_interrupt, call_unit_done, s};
	size_t n;

	if (open_pipeline(s, err))
		return err->code;
	struct load_plan_unit *u = load_pipeline_units(s->pipeline, &n);
	if (mark_done(s, u, n, err))
		return err->code;
	sum->tables = s->wanted;
	for (size_t i = 0; i < n; i++) {
		sum->rows += u[i].rows;
		sum->raw += u[i].raw;
		atomic_fetch_add(&l->env->progress->total, u[i].done ? 0 : u[i].raw);
	}
	return load_pipeline_run(s->pipeline, &calls, err);
}

static enum status load_scope(struct loading *l, void *load, size_t i, struct error *err)
{
	struct scope_load s = {.l = l, .load = load, .scope = l->plan->scope[i].scope, .log = l->plan->scope[i].log};
	const struct driver *d = l->target->driver;
	struct run *run = l->env->run;
	struct instant t0 = run_mono(run);

	if (journal_has(l->journal, "loaded", s.scope))
		return ST_OK;
	if (s.log && l->before_log && l->before_log(l->before_log_ctx, err))
		return err->code;
	atomic_store(&l->env->progress->phase, "schema");
	if (d->load_choose(load, i, err) || d->load_begin(run, load, journal_has(l->journal, "begun", s.scope), err) || journal_write(l->journal, "begun", s.scope, NULL, err))
		return err->code;
	atomic_store(&l->env->progress->phase, s.log ? "replay" : "load");
	if (failpoint("restore.begun", err) || units(&s, &l->sum[i], err)) {
		tell_state(&s);
		load_pipeline_freep(&s.pipeline);
		return err->code;
	}
	load_pipeline_freep(&s.pipeline);
	struct instant t1 = run_mono(run);
	atomic_store(&l->env->progress->phase, "indexes");
	if (failpoint("restore.loaded", err) || d->load_end(run, load, err))
		return error_add(err, "all rows are there, but indexes and constraints");
	l->load_time.us += instant_diff(t1, t0).us;
	l->index_time.us += instant_diff(run_mono(run), t1).us;
	return journal_write(l->journal, "loaded", s.scope, NULL, err);
}

/* Whether an earlier run loaded every scope: then there is nothing to read, only the end of the load to repeat. */
static bool all_loaded(const struct loading *l)
{
	for (size_t i = 0; i < l->plan->scopes; i++)
		if (!journal_has(l->journal, "loaded", l->plan->scope[i].scope))
			return false;
	return true;
}

enum status loading_run(struct loading *l, struct error *err)
{
	const struct driver *d = l->target->driver;
	void *load = NULL;

	enum status st = d->load_open(l->env->run, l->endpoint, l->request, l->plan, &load, err);
	if (!st && !all_loaded(l))
		st = loading_preflight(l, load, err);
	if (l->keep)
		*l->keep = false;
	if (!st)
		for (size_t i = 0; i < l->plan->scopes && !err->code; i++)
			if (load_scope(l, load, i, err))
				error_add(err, "%s %s", l->plan->scope[i].log ? "log" : "database", l->plan->scope[i].scope);
	if (!err->code)
		(void)!failpoint("restore.loaded.all", err);
	if (load)
		d->load_close(load, !err->code);
	return err->code;
}
