/* The load side: the life of the pipeline, its loaders and their coordinator. */
#include "pipeline/load_internal.h"
#include "util/failpoint.h"

enum status load_pipeline_new(struct run *run, const struct load_pipeline_spec *spec, const char *scope, struct load_pipeline **to,
			      struct error *err)
{
	CLEANUP(load_pipeline_freep) struct load_pipeline *p = xcalloc(1, sizeof *p);

	p->run = run;
	p->spec = *spec;
	p->budget = *spec->budget;
	p->spec.budget = &p->budget;
	p->pages = pages_new(spec->reader);
	mutex_init(&p->mutex);
	if (units_list(run, p->pages, spec, scope, &p->list, err))
		return err->code;
	*to = p;
	p = NULL;
	return ST_OK;
}

void load_pipeline_freep(struct load_pipeline **pp)
{
	struct load_pipeline *p = *pp;

	if (!p)
		return;
	pages_freep(&p->pages);
	free(p->list.unit);
	mutex_destroy(&p->mutex);
	free(p);
	*pp = NULL;
}

struct load_plan_unit *load_pipeline_units(struct load_pipeline *p, size_t *n)
{
	*n = p->list.units;
	return p->list.unit;
}

/* ---- preflight ---- */

static enum status check_member(struct loader *l, const struct load_plan_unit *u, uint32_t part, struct error *err)
{
	const void *raw;

	if (run_check(l->pipeline->run, err) || loader_object(l->pipeline, &l->fetched, u->object, err) || loader_rows(l, u, err))
		return err->code;
	return loader_member(l, &l->rows[part], l->plain[0].p, &raw, err);
}

static enum status check_ends(struct loader *l, const struct unit_list *list, struct error *err)
{
	for (size_t i = 0; i < list->units;) {
		const struct load_plan_unit *first = &list->unit[i], *last;

		while (i < list->units && list->unit[i].object == first->object)
			i++;
		last = &list->unit[i - 1];
		if (check_member(l, first, 0, err))
			return err->code;
		if ((last != first || last->parts > 1) && check_member(l, last, last->parts - 1, err))
			return err->code;
	}
	return ST_OK;
}

enum status load_pipeline_preflight(struct load_pipeline *p, struct error *err)
{
	CLEANUP(loader_release) struct loader l = {0};

	if (p->spec.salvage)
		return ST_OK;
	return loader_open(p, &l, err) ? err->code : check_ends(&l, &p->list, err);
}

/* ---- a loader ---- */

static struct load_plan_unit *take_unit(struct load_pipeline *p)
{
	struct load_plan_unit *u = NULL;

	mutex_lock(&p->mutex);
	while (!u && p->next_unit < p->list.units) {
		u = &p->list.unit[p->next_unit++];
		if (u->done)
			u = NULL;
	}
	mutex_unlock(&p->mutex);
	return u;
}

/* Asks the fetcher for one more unit, so that it is at hand when the server has done with this one; not sooner, or another loader
 * could find nothing left to do. */
static enum status want_next(struct loader *l, struct error *err)
{
	if (l->looked)
		return ST_OK;
	l->looked = true;
	l->next = take_unit(l->pipeline);
	if (l->next && !queue_push(l->wanted, l->next))
		return error_set(err, ST_CANCELLED, "the load has ended");
	return ST_OK;
}

static void give_back(struct loader *l)
{
	struct progress *progress = l->pipeline->spec.progress;
	uint64_t rows = 0, raw = 0;

	for (unsigned i = 0; i < l->now->chunks; i++) {
		rows += l->now->chunk[i].rows;
		raw += l->now->chunk[i].len;
	}
	if (progress) {
		atomic_fetch_add_explicit(&progress->rows, rows, memory_order_relaxed);
		atomic_fetch_add_explicit(&progress->done, raw, memory_order_relaxed);
	}
	(void)queue_push(l->empty, l->now); /* there is room for all; after an abort nobody waits for it */
	l->now = NULL;
}

static enum status next_plain(struct loader *l, struct error *err)
{
	void *p;

	if (l->now)
		give_back(l);
	if (!queue_pop(l->full, &p))
		return error_set(err, ST_CANCELLED, "the load has ended");
	l->now = p;
	l->at = 0;
	return ST_OK;
}

static enum status next_chunk(struct chunk_source *s, struct chunk *c, bool *end, struct error *err)
{
	struct loader *l = (struct loader *)((char *)s - offsetof(struct loader, source));

	*end = false;
	while (!l->at_end && (!l->now || l->at == l->now->chunks)) {
		l->at_end = l->now && l->now->last;
		if (!l->at_end && next_plain(l, err))
			return err->code;
	}
	if (!l->at_end) {
		const struct plain_chunk *k = &l->now->chunk[l->at++];
		*c = (struct chunk){.data = k->data, .len = k->len, .rows = k->rows};
	}
	*end = l->at_end;
	return l->now->last && l->at == l->now->chunks ? want_next(l, err) : ST_OK;
}

/* What the driver did not take, so that the buffers of the unit come back. */
static enum status drain(struct loader *l, struct error *err)
{
	struct chunk c;
	bool end = false;

	while (!end)
		if (next_chunk(&l->source, &c, &end, err))
			return err->code;
	give_back(l);
	return ST_OK;
}

static enum status unit_is_done(struct loader *l, struct load_plan_unit *u, struct error *err)
{
	struct load_pipeline *p = l->pipeline;
	enum status st = failpoint("load.unit.done", err);

	mutex_lock(&p->mutex);
	u->done = true;
	if (!st && l->calls->unit_done)
		st = l->calls->unit_done(l->calls->ctx, u, err);
	mutex_unlock(&p->mutex);
	return st;
}

static enum status load_unit(struct loader *l, struct load_plan_unit *u, struct error *err)
{
	CLEANUP(error_release) struct error journal = ERROR_INIT;
	bool done = false, unknown = false;

	if (failpoint("load.unit.begin", err) || loader_object(l->pipeline, &l->object, u->object, err))
		return err->code;
	const struct recorded_object o = recorded_of(&l->object);
	l->at_end = l->looked = false;
	u->begun = true;
	enum status st = l->calls->unit(l->calls->ctx, &l->run, l->worker, &o, u, &l->source, &done, &unknown, err);
	u->unknown = unknown;
	/* What is in the target is written down even if the call failed afterwards. */
	if (done && unit_is_done(l, u, &journal) && !st)
		st = error_move(err, &journal);
	if (!st && !done)
		st = error_set(err, ST_FAILED, "the unit was not loaded");
	return st ? error_add(err, "%s", o.name) : drain(l, err);
}

static enum status load_units(struct loader *l, struct error *err)
{
	for (;;) {
		struct load_plan_unit *u = l->next;

		if (!u)
			return ST_OK;
		if (run_check(&l->run, err) || load_unit(l, u, err))
			return err->code;
	}
}

static enum status work(struct loader *l, struct error *err)
{
	struct crew *crew = &l->pipeline->crew;

	if (want_next(l, err) || !l->next)
		return err->code;
	if (l->calls->worker_open(l->calls->ctx, &l->run, &l->worker, err))
		return err->code;
	if (!crew_enter(crew, l->slot, l->worker))
		error_set(err, ST_CANCELLED, "the load has ended");
	else
		load_units(l, err);
	crew_leave(crew, l->slot);
	l->calls->worker_close(l->calls->ctx, l->worker);
	return err->code;
}

static void loader_main(void *arg)
{
	struct loader *l = arg;
	struct error err = ERROR_INIT;

	if (work(l, &err))
		crew_fail(&l->pipeline->crew, &err);
	crew_drop(&l->pipeline->crew);
}

/* ---- the coordinator ---- */

struct loading {
	struct loader *loader;
	unsigned loaders;
	const struct load_calls *calls;
};

static void abort_all(void *ctx)
{
	struct loading *g = ctx;

	for (unsigned i = 0; i < g->loaders; i++) {
		queue_abort(g->loader[i].wanted);
		queue_abort(g->loader[i].empty);
		queue_abort(g->loader[i].full);
	}
}

static void interrupt_worker(void *ctx, void *worker)
{
	struct loading *g = ctx;

	g->calls->interrupt(g->calls->ctx, worker);
}

static enum status start_loader(struct loading *g, struct loader *l, struct crew *crew, struct error *err)
{
	l->calls = g->calls;
	l->slot = (unsigned)(l - g->loader);
	l->run = crew->run;
	l->source.next = next_chunk;
	if (thread_start(&l->fetcher, "fetch", fetcher_main, l, err))
		return err->code;
	crew_hold(crew);
	if (thread_start(&l->thread, "load", loader_main, l, err))
		crew_drop(crew);
	return err->code;
}

static enum status run_loaders(struct load_pipeline *p, struct loading *g, struct error *err)
{
	const struct crew_calls calls = {.abort = abort_all, .interrupt = interrupt_worker, .ctx = g};
	struct error start = ERROR_INIT;

	crew_begin(&p->crew, p->run, &calls);
	crew_hold(&p->crew);
	for (unsigned i = 0; i < g->loaders && !start.code; i++)
		start_loader(g, &g->loader[i], &p->crew, &start);
	if (start.code)
		crew_fail(&p->crew, &start);
	crew_drop(&p->crew);
	(void)crew_wait(&p->crew); /* crew_end tells */
	for (unsigned i = 0; i < g->loaders; i++) {
		thread_join(&g->loader[i].thread);
		queue_close(g->loader[i].wanted);
		thread_join(&g->loader[i].fetcher);
	}
	return crew_end(&p->crew, err);
}

static enum status run_with(struct load_pipeline *p, struct loading *g, struct error *err)
{
	for (unsigned i = 0; i < g->loaders; i++)
		if (loader_open(p, &g->loader[i], err))
			return err->code;
	return run_loaders(p, g, err);
}

enum status load_pipeline_run(struct load_pipeline *p, const struct load_calls *calls, struct error *err)
{
	struct loading g = {.calls = calls};
	size_t left = 0;

	for (size_t i = 0; i < p->list.units; i++)
		left += !p->list.unit[i].done;
	if (run_check(p->run, err) || !left)
		return err->code;
	g.loaders = (unsigned)min_size(p->budget.jobs, left);
	g.loader = xcalloc(g.loaders, sizeof *g.loader);
	enum status st = run_with(p, &g, err);
	for (unsigned i = 0; i < g.loaders; i++)
		loader_release(&g.loader[i]);
	free(g.loader);
	return st;
}
