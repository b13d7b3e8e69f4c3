#include "drivers/postgres/load.h"

#define AT_ONCE 50                        /* tables in one statement */
#define LARGE ((uint64_t)16 * 1024 * 1024) /* bytes from which on a table has a statement of its own */

/* Without statistics the first queries after a restore may take for ever, and the server's own daemon comes when it likes. */
struct analyst {
	struct run *run;
	struct load *l;
	const struct load_table **order; /* largest first */
	size_t tables;
	pthread_mutex_t mutex; /* guards next and first */
	size_t next;
	struct error first;
};

static int by_size(const void *a, const void *b)
{
	const struct load_table *const *x = a, *const *y = b;

	if ((*x)->raw != (*y)->raw)
		return (*x)->raw < (*y)->raw ? 1 : -1;
	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* False: nothing left. */
static bool take(struct analyst *a, struct buf *sql)
{
	size_t n = 0;

	buf_clear(sql);
	mutex_lock(&a->mutex);
	while (!a->first.code && a->next < a->tables && n < AT_ONCE) {
		const struct load_table *t = a->order[a->next++];
		const char *schema, *name;

		load_table_place(t, &schema, &name);
		buf_puts(sql, n++ ? ", " : "ANALYZE ");
		sql_name(sql, schema, name);
		if (t->raw >= LARGE)
			break;
	}
	mutex_unlock(&a->mutex);
	return n > 0;
}

static void analyze_loop(void *arg)
{
	struct analyst *a = arg;
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	struct run mine = load_run(a->run, a->l);

	enum status st = load_connect(&mine, a->l->e, a->l->s->target, &c, &err);
	while (!st && take(a, &sql))
		st = conn_command(&mine, c, buf_str(&sql), &err);
	if (!st)
		return;
	mutex_lock(&a->mutex);
	error_keep_first(&a->first, &err);
	mutex_unlock(&a->mutex);
}

static void run_threads(struct analyst *a, unsigned n)
{
	struct thread *thread = xcalloc(n + 1, sizeof *thread);

	mutex_init(&a->mutex);
	for (unsigned i = 1; i < n; i++) {
		CLEANUP(error_release) struct error ignored = ERROR_INIT;

		(void)!thread_start(&thread[i], "pg-analyze", analyze_loop, a, &ignored);
	}
	analyze_loop(a); /* this thread does what others could not begin */
	for (unsigned i = 1; i < n; i++)
		thread_join(&thread[i]);
	mutex_destroy(&a->mutex);
	free(thread);
}

enum status load_analyze(struct run *run, struct load *l, struct error *err)
{
	struct analyst a = {.run = run, .l = l};

	if (l->q->scratch)
		return ST_OK; /* every table is read once, in full */
	a.order = xcalloc(l->wish.tables + 1, sizeof(const struct load_table *));
	for (size_t i = 0; i < l->wish.tables; i++)
		if (!l->wish.table[i].large_objects && l->wish.table[i].rows)
			a.order[a.tables++] = &l->wish.table[i];
	qsort(a.order, a.tables, sizeof *a.order, by_size);
	if (a.tables)
		run_threads(&a, l->q->jobs);
	free(a.order);
	if (a.first.code == ST_CANCELLED || a.first.code == ST_DEADLINE)
		return error_move(err, &a.first);
	if (a.first.code)
		notes_add(l->e->notes, "database %s: run ANALYZE there: %s", l->s->target, error_text(&a.first));
	error_release(&a.first);
	return ST_OK;
}
