#include "drivers/postgres/load.h"
#include "drivers/postgres/pgdriver.h"
#include "util/failpoint.h"

#define RESOLVE_WAIT DURATION_SECONDS(20)
#define WORTH_EMPTYING ((uint64_t)1024 * 1024) /* bytes of a table: emptying makes new files */

struct load_worker {
	struct load *l;
	pthread_mutex_t mutex; /* guards c and interrupted against interrupt */
	bool interrupted;
	struct conn *c;
};

static enum status keep_conn(struct load_worker *w, struct conn *c, struct error *err)
{
	mutex_lock(&w->mutex);
	struct conn *old = w->c;
	bool interrupted = w->interrupted;

	w->c = interrupted ? NULL : c;
	mutex_unlock(&w->mutex);
	conn_freep(&old);
	if (!interrupted)
		return ST_OK;
	conn_freep(&c);
	return error_set(err, ST_CANCELLED, "the session was interrupted");
}

enum status pg_load_worker_open(struct run *run, void *load, void **worker, struct error *err)
{
	struct load *l = load;
	struct conn *c = NULL;

	*worker = NULL;
	if (load_connect(run, l->e, l->s->target, &c, err))
		return err->code;
	if (mark_session(run, c, l->q->run, err)) {
		conn_freep(&c);
		return err->code;
	}
	struct load_worker *w = xcalloc(1, sizeof *w);
	w->l = l;
	w->c = c;
	mutex_init(&w->mutex);
	*worker = w;
	return ST_OK;
}

void pg_load_worker_close(void *worker)
{
	struct load_worker *w = worker;

	if (!w)
		return;
	conn_freep(&w->c);
	mutex_destroy(&w->mutex);
	free(w);
}

void pg_interrupt_load_worker(void *worker)
{
	struct load_worker *w = worker;

	mutex_lock(&w->mutex);
	w->interrupted = true;
	if (w->c)
		conn_interrupt(w->c);
	mutex_unlock(&w->mutex);
}

/* ---- one unit ---- */

struct unit {
	struct load_worker *w;
	const struct load_unit *u;
	const struct load_table *t;
	struct facts_table f;
	char *txid; /* of its transaction, to learn its fate where the link breaks at the commit */
	uint64_t rows, given; /* as the server counted; as the chunks said */
};

static void unit_release(struct unit *n) { free(n->txid); }

/* All rows of a table that this restore made: it is empty, or holds what an attempt before left. Emptying it here lets COPY write
 * rows that need no second look for visibility. */
static bool is_whole(const struct unit *n)
{
	return n->w->l->wish.mode != LOAD_ROWS && !n->t->extension && n->u->rows == n->t->rows && n->f.ranges == 1 &&
		n->t->raw >= WORTH_EMPTYING;
}

static enum status begin_unit(struct run *run, struct unit *n, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	const char *schema, *name;

	buf_puts(&sql, "BEGIN;");
	/* Triggers and foreign keys are not there yet, except on what existed before. */
	if (n->w->l->replica && (n->w->l->wish.mode == LOAD_ROWS || n->t->extension))
		buf_puts(&sql, "SET LOCAL session_replication_role = replica;");
	if (n->t->large_objects) {
		buf_puts(&sql, "CREATE TEMP TABLE IF NOT EXISTS drtool_page (oid oid, page bigint, bytes bytea) ON COMMIT DELETE"
			       " ROWS;");
	} else if (is_whole(n)) {
		load_table_place(n->t, &schema, &name);
		buf_puts(&sql, "TRUNCATE ONLY ");
		sql_name(&sql, schema, name);
		buf_putc(&sql, ';');
	}
	buf_puts(&sql, "SELECT pg_catalog.txid_current()");
	return conn_value(run, n->w->c, SQL(buf_str(&sql)), &n->txid, err);
}

static void put_copy(const struct unit *n, struct buf *sql)
{
	const char *schema, *name;

	if (n->t->large_objects) {
		buf_puts(sql, "COPY pg_temp.drtool_page FROM STDIN");
		return;
	}
	load_table_place(n->t, &schema, &name);
	buf_puts(sql, "COPY ");
	sql_name(sql, schema, name);
	buf_putc(sql, ' ');
	facts_columns(&n->f, sql);
	buf_puts(sql, " FROM STDIN (FORMAT text, ENCODING ");
	sql_literal(sql, n->f.encoding);
	buf_puts(sql, is_whole(n) ? ", FREEZE)" : ")");
}

static enum status copy_chunks(struct run *run, struct unit *n, struct chunk_source *chunks, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	struct conn *c = n->w->c;

	put_copy(n, &sql);
	if (conn_copy_in(run, c, buf_str(&sql), err))
		return err->code;
	for (;;) {
		struct chunk chunk;
		bool end = false;

		if (chunks->next(chunks, &chunk, &end, err)) {
			conn_copy_give_up(run, c, "the backup could not be read");
			return err->code;
		}
		if (end)
			return conn_copy_end(run, c, &n->rows, err);
		n->given += chunk.rows;
		if (conn_copy_put(run, c, chunk.data, chunk.len, err))
			return err->code;
	}
}

static enum status check_count(const struct unit *n, struct error *err)
{
	/* In a salvage damaged chunks are passed over: only what was given can be there. */
	uint64_t expected = n->w->l->q->salvage ? n->given : n->u->rows;

	if (n->rows == expected)
		return ST_OK;
	return error_set(err, ST_FAILED, "the server counted %" PRIu64 " rows, the backup has %" PRIu64, n->rows, expected);
}

/* Pages of large objects went into a table of this session first: one statement then puts all of them in place. */
static enum status place_pages(struct run *run, struct unit *n, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_printf(&sql,
		   "SELECT pg_catalog.count(pg_catalog.lo_put(oid, page * %" PRIu64 ", bytes)) FROM"
		   " (SELECT * FROM pg_temp.drtool_page ORDER BY oid, page) p",
		   js_opt_u64(n->u->object->facts, "page_rows", 2048));
	return conn_command(run, n->w->c, buf_str(&sql), err);
}

static enum status fill_transaction(struct run *run, struct unit *n, struct chunk_source *chunks, struct error *err)
{
	if (begin_unit(run, n, err) || copy_chunks(run, n, chunks, err) || check_count(n, err))
		return err->code;
	return n->t->large_objects ? place_pages(run, n, err) : ST_OK;
}

/* ---- the commit, and what became of it ---- */

/* The transaction may still be running in a server that has not noticed yet. */
static enum status ask_fate(struct run *run, struct unit *n, struct conn *c, enum load_state *state, struct error *err)
{
	struct run bounded = run_within(run, RESOLVE_WAIT);

	for (;;) {
		CLEANUP(cstr_release) char *fate = NULL;

		if (conn_value(&bounded, c, SQL("SELECT pg_catalog.txid_status($1::bigint)", n->txid), &fate, err))
			return err->code;
		if (fate && strcmp(fate, "in progress")) {
			*state = !strcmp(fate, "committed") ? LOAD_DONE : LOAD_NOT;
			return ST_OK;
		}
		if (!fate || run_sleep(&bounded, DURATION_MS(200), err))
			return error_set(err, ST_FAILED, "the server does not say what became of a transaction");
	}
}

/* On success the worker goes on with the new session. */
static void resolve(struct run *run, struct unit *n, enum load_state *state)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	CLEANUP(conn_freep) struct conn *c = NULL;
	struct run bounded = run_within(run, RESOLVE_WAIT);

	*state = LOAD_UNKNOWN;
	for (;;) {
		if (!load_connect(&bounded, n->w->l->e, n->w->l->s->target, &c, &why))
			break;
		if (!why.retry || run_sleep(&bounded, DURATION_MS(500), &why))
			return;
	}
	if (ask_fate(run, n, c, state, &why) || mark_session(run, c, n->w->l->q->run, &why))
		return;
	struct conn *fresh = c;
	c = NULL;
	(void)!keep_conn(n->w, fresh, &why);
}

static enum status commit_unit(struct run *run, struct unit *n, enum load_state *state, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (failpoint("postgres.load.commit.before", err))
		return err->code;
	mark_unit_sql(&sql, n->w->l->q->run, n->u, n->rows);
	buf_puts(&sql, "; COMMIT");
	if (!conn_command(run, n->w->c, buf_str(&sql), err)) {
		*state = LOAD_DONE;
		return ST_OK;
	}
	/* The server's own answer is an answer; silence is not. */
	if (err->code != ST_UNREACHABLE && err->code != ST_CANCELLED && err->code != ST_DEADLINE)
		return err->code;
	*state = LOAD_UNKNOWN;
	if (err->code == ST_UNREACHABLE && n->txid)
		resolve(run, n, state);
	if (*state != LOAD_DONE)
		return err->code;
	notes_add(n->w->l->e->notes, "%s: the connection broke at a commit, which the server had made", n->t->shown);
	error_release(err);
	return ST_OK;
}

/* The session is used again where it still stands. */
static void roll_back(struct run *run, struct unit *n)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (PQstatus(n->w->c->pg) == CONNECTION_OK && PQtransactionStatus(n->w->c->pg) != PQTRANS_IDLE)
		(void)!conn_command(run, n->w->c, "ROLLBACK", &ignored);
}

bool pg_load_has_unit(void *load, const struct load_unit *u)
{
	const struct load *l = load;
	CLEANUP(cstr_release) char *key = mark_unit_key(u);

	return sorted_has(&l->done, key);
}

enum status pg_load_unit(struct run *run, void *worker, const struct load_unit *u, struct chunk_source *chunks,
			 struct load_unit_result *result,
			 struct error *err)
{
	struct load_worker *w = worker;
	CLEANUP(unit_release) struct unit n = {.w = w, .u = u, .t = load_wish_table(&w->l->wish, u->object->id)};

	*result = (struct load_unit_result){.state = LOAD_NOT};
	if (!n.t)
		return error_set(err, ST_FAILED, "%s does not belong to this restore", u->object->name);
	if (pg_load_has_unit(w->l, u)) {
		*result = (struct load_unit_result){.state = LOAD_DONE, .rows = u->rows};
		return ST_OK;
	}
	if (facts_table(u->object->facts, &n.f, err))
		return error_add(err, "%s", n.t->shown);
	if (fill_transaction(run, &n, chunks, err)) {
		roll_back(run, &n);
		return error_add(err, "loading %s", n.t->shown);
	}
	enum status st = commit_unit(run, &n, &result->state, err);
	result->rows = n.rows;
	if (st && result->state == LOAD_NOT)
		roll_back(run, &n);
	return st ? error_add(err, "loading %s", n.t->shown) : ST_OK;
}
