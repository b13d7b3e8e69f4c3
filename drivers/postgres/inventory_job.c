#include "drivers/postgres/inventory_job.h"

#include <stdatomic.h>

#include "util/failpoint.h"
#include "util/thread.h"

/* The server locks tables for a moment when it describes their definitions, and a change that waits for the end of the dump is in
 * the way until then. Whoever holds the snapshot has these locks already, so it asks instead. */
#define LOCK_WAIT "3s"

struct inventory_job {
	const struct dump *d; /* of which the snapshot and the endpoint are read: they stay as they are while the scope is open */
	struct thread thread;
	struct cancel *cancel;
	struct run run;
	struct spool *items; /* kind, name, facts, and "=", "+" or "-", each ended by a 0 */
	struct buf line;
	struct error err; /* by the thread, before failed or the join */
	atomic_bool failed;
	bool locked_out; /* by the thread, until it is joined */
};

static enum status keep(void *ctx, const struct inventory_item *i, struct error *err)
{
	struct inventory_job *j = ctx;
	const char *const field[] = {i->kind, i->name, i->facts, !i->grows ? "=" : i->sign < 0 ? "-" : "+"};

	buf_clear(&j->line);
	for (size_t k = 0; k < ARRAY_LEN(field); k++)
		buf_put(&j->line, field[k], strlen(field[k]) + 1);
	return spool_write(j->items, j->line.data, j->line.len, err);
}

static enum status take(struct inventory_job *j, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	const struct inventory_sink sink = {keep, j};

	if (dump_join(&j->run, j->d, &c, err) || conn_command(&j->run, c, "SET lock_timeout = '" LOCK_WAIT "'", err) ||
	    !inventory_take_all(&j->run, c, &sink, err))
		return err->code;
	j->locked_out = !strcmp(err->native, "55P03");
	if (j->locked_out)
		error_release(err);
	return err->code;
}

static void job_thread(void *arg)
{
	struct inventory_job *j = arg;

	if (failpoint("postgres.inventory", &j->err) || take(j, &j->err))
		atomic_store(&j->failed, true);
}

enum status inventory_job_failed(struct inventory_job *j, struct error *err)
{
	return atomic_load(&j->failed) ? error_copy(err, &j->err) : ST_OK;
}

enum status inventory_job_start(struct run *run, const struct dump *d, struct inventory_job **to, struct error *err)
{
	CLEANUP(inventory_job_freep) struct inventory_job *j = xcalloc(1, sizeof *j);

	j->d = d;
	j->cancel = cancel_new(run->cancel);
	j->run = *run;
	j->run.cancel = j->cancel;
	j->items = entry_spool(d);
	if (thread_start(&j->thread, "pg-inventory", job_thread, j, err))
		return err->code;
	*to = j;
	j = NULL;
	return ST_OK;
}

/* Fields are complete in what was read, or the rest is kept for the next piece. */
static enum status give_pieces(struct buf *b, const struct inventory_sink *items, struct error *err)
{
	size_t used = 0;

	for (;;) {
		const char *field[4], *at = b->data + used, *end = b->data + b->len;

		for (size_t k = 0; k < ARRAY_LEN(field); k++) {
			const char *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;

			if (!zero) {
				memmove(b->data, b->data + used, b->len - used);
				b->len -= used;
				return ST_OK;
			}
			field[k] = at;
			at = zero + 1;
		}
		struct inventory_item item = {field[0], field[1], field[2], .grows = *field[3] != '=',
					      .sign = *field[3] == '-' ? -1 : 1};
		if (items->item(items->ctx, &item, err))
			return err->code;
		used = (size_t)(at - b->data);
	}
}

static enum status give_kept(struct inventory_job *j, const struct inventory_sink *items, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	uint64_t at = 0, size = spool_size(j->items);

	while (at < size) {
		size_t n = (size_t)min_u64(size - at, 64 * 1024);

		buf_reserve(&b, n + 1);
		if (spool_read_at(j->items, at, b.data + b.len, n, err))
			return err->code;
		b.len += n;
		at += n;
		if (give_pieces(&b, items, err))
			return err->code;
	}
	return ST_OK;
}

enum status inventory_job_give(struct run *run, struct inventory_job *j, const struct inventory_sink *items, struct error *err)
{
	thread_join(&j->thread);
	if (inventory_job_failed(j, err))
		return err->code;
	return j->locked_out ? inventory_take_all(run, j->d->c, items, err) : give_kept(j, items, err);
}

void inventory_job_interrupt(struct inventory_job *j) { cancel_fire(j->cancel, 0); }

void inventory_job_freep(struct inventory_job **p)
{
	struct inventory_job *j = *p;

	if (!j)
		return;
	if (j->cancel)
		cancel_fire(j->cancel, 0);
	thread_join(&j->thread);
	cancel_freep(&j->cancel);
	spool_freep(&j->items);
	buf_release(&j->line);
	error_release(&j->err);
	free(j);
	*p = NULL;
}
