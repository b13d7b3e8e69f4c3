/* The dump side: the life of the pipeline, its readers and their coordinator. */
#include <stdatomic.h>

#include "pipeline/dump_internal.h"
#include "util/failpoint.h"

struct reading {
	struct dump_pipeline *pipeline;
	struct dump_plan *plan;
	const struct dump_calls *calls;
	atomic_size_t next; /* unit nobody has taken yet */
};

struct reader {
	struct reading *reading;
	unsigned slot;
	struct run run;
	struct thread thread;
	struct chunker chunker;
};

enum status dump_pipeline_new(struct run *run, const struct dump_pipeline_spec *spec, struct dump_pipeline **to, struct error *err)
{
	struct dump_pipeline *p = xcalloc(1, sizeof *p);

	p->run = run;
	p->spec = *spec;
	p->budget = *spec->budget;
	p->paths = path_set_new();
	mutex_init(&p->append);
	if (spec->writer) {
		p->filled = queue_new(p->budget.raw_buffers);
		if (batch_pool_new(&p->pool, p->budget.raw_buffers, spec->chunk_size, err) || compressors_start(p, err)) {
			dump_pipeline_freep(&p);
			return err->code;
		}
	}
	*to = p;
	return ST_OK;
}

void dump_pipeline_freep(struct dump_pipeline **pp)
{
	struct dump_pipeline *p = *pp;

	if (!p)
		return;
	if (p->filled)
		queue_close(p->filled);
	compressors_join(p);
	queue_freep(&p->filled);
	batch_pool_freep(&p->pool);
	sinks_free(p);
	path_set_freep(&p->paths);
	mutex_destroy(&p->append);
	free(p);
	*pp = NULL;
}

/* ---- a reader ---- */

static enum status batch_filled(void *ctx, struct batch *b, struct error *err)
{
	struct dump_pipeline *p = ((struct reader *)ctx)->reading->pipeline;

	crew_hold(&p->crew);
	if (queue_push(p->filled, b))
		return ST_OK;
	batch_give(p->pool, b);
	crew_drop(&p->crew);
	return error_set(err, ST_CANCELLED, "the dump has ended");
}

static enum status rows_passed(void *ctx, uint64_t rows, uint64_t raw, struct error *err)
{
	struct reader *r = ctx;
	struct progress *progress = r->reading->pipeline->spec.progress;

	if (progress) {
		atomic_fetch_add_explicit(&progress->rows, rows, memory_order_relaxed);
		atomic_fetch_add_explicit(&progress->done, raw, memory_order_relaxed);
	}
	return run_check(&r->run, err);
}

static enum status read_unit(struct reader *r, void *worker, const struct dump_unit *u, struct error *err)
{
	const struct dump_calls *calls = r->reading->calls;
	struct dump_plan *plan = r->reading->plan;
	struct object_sum sum;

	if (run_check(&r->run, err))
		return err->code;
	chunker_begin(&r->chunker, plan->object[u->object], u->range);
	if (calls->unit(calls->ctx, &r->run, worker, u, &r->chunker.sink, err) || chunker_end(&r->chunker, &sum, err))
		return error_add(err, "%s", plan->object[u->object]->name);
	plan_add_sum(plan, u->object, &sum);
	return failpoint("dump.unit.end", err);
}

static enum status read_units(struct reader *r, void *worker, struct error *err)
{
	struct dump_plan *plan = r->reading->plan;
	size_t i;

	while ((i = atomic_fetch_add(&r->reading->next, 1)) < plan->units)
		if (read_unit(r, worker, &plan->unit[i], err))
			return err->code;
	return chunker_flush(&r->chunker, err);
}

static enum status work(struct reader *r, struct error *err)
{
	const struct dump_calls *calls = r->reading->calls;
	struct crew *crew = &r->reading->pipeline->crew;
	void *worker = NULL;

	if (calls->worker_open(calls->ctx, &r->run, &worker, err))
		return err->code;
	if (!crew_enter(crew, r->slot, worker))
		error_set(err, ST_CANCELLED, "the dump has ended");
	else
		read_units(r, worker, err);
	crew_leave(crew, r->slot);
	calls->worker_close(calls->ctx, worker);
	return err->code;
}

static void reader_main(void *arg)
{
	struct reader *r = arg;
	struct dump_pipeline *p = r->reading->pipeline;
	struct error err = ERROR_INIT;
	const struct chunker_spec spec = {
		.chunk_size = p->spec.chunk_size, .pool = p->pool, .filled = batch_filled, .passed = rows_passed, .ctx = r};

	chunker_init(&r->chunker, &spec);
	if (work(r, &err))
		crew_fail(&p->crew, &err);
	chunker_release(&r->chunker);
	crew_drop(&p->crew);
}

/* ---- the coordinator ---- */

static void abort_all(void *ctx)
{
	struct dump_pipeline *p = ((struct reading *)ctx)->pipeline;

	if (!p->pool)
		return;
	batch_pool_abort(p->pool);
	queue_abort(p->filled);
}

static void interrupt_worker(void *ctx, void *worker)
{
	const struct dump_calls *calls = ((struct reading *)ctx)->calls;

	calls->interrupt(calls->ctx, worker);
}

/* The coordinator holds the crew until all are started. */
static void start_readers(struct reading *g, struct reader *reader, unsigned readers)
{
	struct crew *crew = &g->pipeline->crew;
	struct error err = ERROR_INIT;
	bool ok = true;

	crew_hold(crew);
	for (unsigned i = 0; i < readers && ok; i++) {
		struct reader *r = &reader[i];

		*r = (struct reader){.reading = g, .slot = i, .run = crew->run};
		crew_hold(crew);
		ok = !thread_start(&r->thread, "reader", reader_main, r, &err);
		if (!ok) {
			crew_fail(crew, &err);
			crew_drop(crew);
		}
	}
	crew_drop(crew);
}

/* All is appended: what the buffers hold in memory is free for what comes after the data. */
static void give_memory_back(struct dump_pipeline *p)
{
	if (!p->pool)
		return;
	batch_pool_trim(p->pool);
	compressors_trim(p);
}

static enum status run_readers(struct reading *g, struct error *err)
{
	struct dump_pipeline *p = g->pipeline;
	unsigned readers = (unsigned)min_size(p->budget.jobs, g->plan->units);
	struct reader *reader = xcalloc(readers, sizeof *reader);
	const struct crew_calls calls = {.abort = abort_all, .interrupt = interrupt_worker, .ctx = g};

	crew_begin(&p->crew, p->run, &calls);
	start_readers(g, reader, readers);
	p->failed = !crew_wait(&p->crew);
	for (unsigned i = 0; i < readers; i++)
		thread_join(&reader[i].thread);
	free(reader);
	if (p->failed)
		compressors_join(p); /* none uses the writer when the caller hears of the failure */
	return crew_end(&p->crew, err);
}

enum status dump_pipeline_run(struct dump_pipeline *p, struct dump_plan *plan, const struct dump_calls *calls, struct error *err)
{
	struct reading g = {.pipeline = p, .plan = plan, .calls = calls};

	if (p->failed)
		return error_set(err, ST_FAILED, "the dump has failed before");
	if (run_check(p->run, err))
		return err->code;
	if (!plan->units)
		return ST_OK;
	plan_sort(plan);
	if (run_readers(&g, err))
		return err->code;
	give_memory_back(p);
	return ST_OK;
}
