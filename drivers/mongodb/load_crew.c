#include "drivers/mongodb/load.h"

struct crew {
	struct run run; /* ends by cancel, too, when an item fails */
	struct mo_load *l;
	mo_item_fn *fn;
	void *ctx;
	size_t items;
	struct cancel *cancel;
	pthread_mutex_t mutex; /* guards next and first */
	size_t next;
	struct error first;
};

static bool take_item(struct crew *w, size_t *item)
{
	mutex_lock(&w->mutex);
	*item = w->next;
	w->next += *item < w->items;
	bool got = *item < w->items && !w->first.code;
	mutex_unlock(&w->mutex);
	return got;
}

static void failed(struct crew *w, struct error *why)
{
	mutex_lock(&w->mutex);
	error_keep_first(&w->first, why);
	mutex_unlock(&w->mutex);
	cancel_fire(w->cancel, 0);
}

static void work(struct crew *w, struct run *run, struct mo_conn *c)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	size_t item;

	while (take_item(w, &item))
		if (w->fn(w->ctx, run, c, item, &why)) {
			failed(w, &why);
			return;
		}
}

static void work_alone(void *arg)
{
	struct crew *w = arg;
	struct run run = w->run;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (mo_load_connect(&run, w->l, &c, &why))
		failed(w, &why);
	else
		work(w, &run, c);
}

enum status mo_load_each(struct run *run, struct mo_load *l, size_t n, mo_item_fn *fn, void *ctx, struct error *err)
{
	struct crew w = {.run = *run, .l = l, .fn = fn, .ctx = ctx, .items = n, .cancel = cancel_new(run->cancel)};
	size_t threads = min_size(n, l->q->jobs ? l->q->jobs : 1);

	w.run.cancel = w.cancel;
	mutex_init(&w.mutex);
	if (threads < 2) {
		work(&w, &w.run, l->conn);
	} else {
		struct thread *thread = xcalloc(threads, sizeof *thread);

		for (size_t i = 0; i < threads; i++) {
			CLEANUP(error_release) struct error why = ERROR_INIT;

			if (thread_start(&thread[i], "mo-load", work_alone, &w, &why))
				failed(&w, &why);
		}
		for (size_t i = 0; i < threads; i++)
			thread_join(&thread[i]);
		free(thread);
	}
	mutex_destroy(&w.mutex);
	cancel_free(w.cancel);
	return w.first.code ? error_move(err, &w.first) : ST_OK;
}
