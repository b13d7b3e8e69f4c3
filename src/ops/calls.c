/* A driver's dump as the pipeline calls it. */
#include "ops/internal.h"

static enum status worker_open(void *ctx, struct run *run, void **worker, struct error *err)
{
	const struct opened_dump *o = ctx;

	return o->driver->worker_open(run, o->dump, worker, err);
}

static enum status unit(void *ctx, struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err)
{
	const struct opened_dump *o = ctx;

	return o->driver->dump_unit(run, worker, u, rows, err);
}

static void worker_close(void *ctx, void *worker)
{
	const struct opened_dump *o = ctx;

	o->driver->worker_close(worker);
}

static void interrupt(void *ctx, void *worker)
{
	const struct opened_dump *o = ctx;

	o->driver->interrupt(worker, HANDLE_WORKER);
}

struct dump_calls dump_calls_of(struct opened_dump *o)
{
	return (struct dump_calls){.worker_open = worker_open, .unit = unit, .worker_close = worker_close, .interrupt = interrupt, .ctx = o};
}
