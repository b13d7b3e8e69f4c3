#include "drivers/mysql/load.h"
#include "drivers/mysql/mydriver.h"
#include "util/failpoint.h"

#define RESOLVE_WAIT DURATION_SECONDS(20)
#define STATEMENT_MOST ((uint64_t)16 << 20)

struct load_worker {
	struct my_load *l;
	pthread_mutex_t mutex; /* guards c and interrupted against interrupt */
	bool interrupted;
	struct my_conn *c;
	char *lock; /* of c */
};

static enum status keep_conn(struct load_worker *w, struct my_conn *c, struct error *err)
{
	mutex_lock(&w->mutex);
	struct my_conn *old = w->c;
	bool interrupted = w->interrupted;

	w->c = interrupted ? NULL : c;
	mutex_unlock(&w->mutex);
	my_conn_freep(&old);
	if (!interrupted)
		return ST_OK;
	my_conn_freep(&c);
	return error_set(err, ST_CANCELLED, "the session was interrupted");
}

enum status my_load_worker_open(struct run *run, void *load, void **worker, struct error *err)
{
	struct my_load *l = load;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(cstr_release) char *lock = NULL;

	*worker = NULL;
	if (my_load_connect(run, l, l->s->target, &c, err) || my_mark_session(run, c, l->q->run, &lock, err))
		return err->code;
	struct load_worker *w = xcalloc(1, sizeof *w);
	w->l = l;
	w->c = c;
	w->lock = lock;
	c = NULL;
	lock = NULL;
	mutex_init(&w->mutex);
	*worker = w;
	return ST_OK;
}

void my_load_worker_close(void *worker)
{
	struct load_worker *w = worker;

	if (!w)
		return;
	my_conn_freep(&w->c);
	free(w->lock);
	mutex_destroy(&w->mutex);
	free(w);
}

void my_interrupt_load_worker(void *worker)
{
	struct load_worker *w = worker;

	mutex_lock(&w->mutex);
	w->interrupted = true;
	if (w->c)
		my_conn_interrupt(w->c);
	mutex_unlock(&w->mutex);
}

/* ---- one unit ---- */

struct unit {
	struct load_worker *w;
	const struct load_unit *u;
	const struct my_load_table *t;
	struct my_facts_table f;
	struct chunk_source *chunks;
	uint64_t rows, given; /* as the server counted; as the chunks said */
	bool begun;           /* chunks were taken */
};

static void unit_release(struct unit *n) { my_facts_release(&n->f); }

static enum status next_bytes(void *ctx, const void **p, size_t *len, struct error *err)
{
	struct unit *n = ctx;
	struct chunk chunk;
	bool end = false;

	n->begun = true;
	if (n->chunks->next(n->chunks, &chunk, &end, err))
		return err->code;
	*p = end ? NULL : chunk.data;
	*len = end ? 0 : chunk.len;
	n->given += end ? 0 : chunk.rows;
	return ST_OK;
}

static enum status load_file(struct run *run, struct unit *n, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	const struct my_conn_feed feed = {next_bytes, n};
	unsigned warnings = 0;

	my_facts_load(&n->f, NULL, my_load_table_place(n->t), &sql);
	if (my_conn_load(run, n->w->c, buf_str(&sql), &feed, &n->rows, &warnings, err))
		return err->code;
	return my_load_check_warnings(run, n->w->c, my_load_table_place(n->t), warnings, err);
}

static bool by_inserts(struct my_load *l, bool now)
{
	mutex_lock(&l->mutex);
	l->inserts = l->inserts || now;
	bool inserts = l->inserts;
	mutex_unlock(&l->mutex);
	return inserts;
}

static enum status insert_rows(struct run *run, struct unit *n, struct error *err)
{
	const struct my_insert in = {
		.c = n->w->c,
		.f = &n->f,
		.table = my_load_table_place(n->t),
		.most = min_u64(n->w->l->server.max_packet, STATEMENT_MOST),
		.packet = n->w->l->server.max_packet,
	};

	return my_load_insert(run, &in, n->chunks, &n->rows, &n->given, err);
}

static enum status put_rows(struct run *run, struct unit *n, struct error *err)
{
	if (by_inserts(n->w->l, false))
		return insert_rows(run, n, err);
	if (!load_file(run, n, err))
		return ST_OK;
	if (err->code != ST_UNSUPPORTED || n->begun)
		return err->code;
	notes_tell(n->w->l->e->notes, "the server forbids LOAD DATA LOCAL (%s): rows went in by INSERT, which takes longer; local_infile=1"
				      " there allows it", err->native);
	error_release(err);
	by_inserts(n->w->l, true);
	return insert_rows(run, n, err);
}

static enum status check_count(const struct unit *n, struct error *err)
{
	/* In a salvage damaged chunks are passed over: only what was given can be there. */
	uint64_t expected = n->w->l->q->salvage ? n->given : n->u->rows;

	if (n->rows == expected)
		return ST_OK;
	return error_set(err, ST_FAILED, "the server counted %" PRIu64 " rows, the backup has %" PRIu64, n->rows, expected);
}

static enum status fill_transaction(struct run *run, struct unit *n, struct error *err)
{
	CLEANUP(buf_release) struct buf mark = BUF_INIT;

	if (my_conn_command(run, n->w->c, "START TRANSACTION", err) || put_rows(run, n, err) || check_count(n, err))
		return err->code;
	my_mark_unit_sql(&mark, &n->w->l->mark, n->u, n->rows);
	return my_conn_command(run, n->w->c, buf_str(&mark), err);
}

/* ---- the commit, and what became of it ---- */

/* The transaction may still be running in a server that has not noticed yet: its session holds a lock as long as it lives. */
static enum status ask_fate(struct run *run, struct unit *n, struct my_conn *c, enum load_state *state, struct error *err)
{
	bool gone = false, has = false;

	while (!gone) {
		if (my_mark_gone(run, c, n->w->lock, &gone, err))
			return err->code;
		if (!gone && run_sleep(run, DURATION_MS(200), err))
			return error_set(err, ST_FAILED, "the server does not say what became of a transaction");
	}
	if (my_mark_has_unit(run, c, &n->w->l->mark, n->u, &has, err))
		return err->code;
	*state = has ? LOAD_DONE : LOAD_NOT;
	return ST_OK;
}

/* On success the worker goes on with the new session. */
static void resolve(struct run *run, struct unit *n, enum load_state *state)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	struct run bounded = run_within(run, RESOLVE_WAIT);

	*state = LOAD_UNKNOWN;
	for (;;) {
		error_release(&why);
		if (!my_load_connect(&bounded, n->w->l, n->w->l->s->target, &c, &why))
			break;
		if (!why.retry || run_sleep(&bounded, DURATION_MS(500), &why))
			return;
	}
	if (ask_fate(&bounded, n, c, state, &why) || my_mark_session(&bounded, c, n->w->l->q->run, &n->w->lock, &why))
		return;
	struct my_conn *fresh = c;
	c = NULL;
	(void)!keep_conn(n->w, fresh, &why);
}

static enum status commit_unit(struct run *run, struct unit *n, enum load_state *state, struct error *err)
{
	if (failpoint("mysql.load.commit.before", err))
		return err->code;
	if (!my_conn_command(run, n->w->c, "COMMIT", err)) {
		*state = LOAD_DONE;
		return ST_OK;
	}
	/* The server's own answer is an answer; silence is not. */
	if (err->code != ST_UNREACHABLE && err->code != ST_CANCELLED && err->code != ST_DEADLINE)
		return err->code;
	*state = LOAD_UNKNOWN;
	if (err->code == ST_UNREACHABLE)
		resolve(run, n, state);
	if (*state != LOAD_DONE)
		return err->code;
	notes_add(n->w->l->e->notes, "%s: the connection broke at a commit, which the server had made", n->t->shown);
	error_release(err);
	return ST_OK;
}

/* The session is used again where it still stands. */
static void roll_back(struct run *run, struct unit *n, const struct error *why)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (n->w->c && why->code != ST_UNREACHABLE && why->code != ST_CANCELLED && why->code != ST_DEADLINE)
		(void)!my_conn_command(run, n->w->c, "ROLLBACK", &ignored);
}

bool my_load_has_unit(void *load, const struct load_unit *u)
{
	const struct my_load *l = load;
	CLEANUP(cstr_release) char *key = my_mark_unit_key(u);

	return my_sorted_has(&l->done, key);
}

/* The last column is the end of a row's time: null, where it has none, is the last moment that this server knows. */
static void fit_history(struct unit *n)
{
	struct my_facts_column *last = n->f.columns ? &n->f.column[n->f.columns - 1] : NULL;

	if (!n->f.history || !last)
		return;
	free(last->load);
	last->load = xasprintf("IFNULL(@, '%s')", n->w->l->server.number >= 110500 ? "2106-02-07 06:28:15.999999" : "2038-01-19 03:14:07.999999");
}

enum status my_load_unit(struct run *run, void *worker, const struct load_unit *u, struct chunk_source *chunks,
			 struct load_unit_result *result, struct error *err)
{
	struct load_worker *w = worker;
	CLEANUP(unit_release) struct unit n = {.w = w, .u = u, .chunks = chunks, .t = my_load_wish_table(&w->l->wish, u->object->id)};

	*result = (struct load_unit_result){.state = LOAD_NOT};
	if (!n.t)
		return error_set(err, ST_FAILED, "%s does not belong to this restore", u->object->name);
	if (my_load_has_unit(w->l, u)) {
		*result = (struct load_unit_result){.state = LOAD_DONE, .rows = u->rows};
		return ST_OK;
	}
	if (!w->c)
		return error_set(err, ST_UNREACHABLE, "loading %s: the session was lost", n.t->shown);
	if (my_facts_read(u->object->facts, &n.f, err))
		return error_add(err, "%s", n.t->shown);
	fit_history(&n);
	if (fill_transaction(run, &n, err)) {
		roll_back(run, &n, err);
		return error_add(err, "loading %s", n.t->shown);
	}
	enum status st = commit_unit(run, &n, &result->state, err);
	result->rows = n.rows;
	if (st && result->state == LOAD_NOT)
		roll_back(run, &n, err);
	return st ? error_add(err, "loading %s", n.t->shown) : ST_OK;
}
