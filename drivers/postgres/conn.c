#include "drivers/postgres/conn_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/thread.h"

#define WAIT DURATION_SECONDS(3600)
#define CANCEL_WAIT DURATION_MS(800)

/* What conn_interrupt needs. PQcancel connects and reads without a bound, so a thread of its own does it: where the server has gone
 * that thread outlives the connection, hence the count of references. */
struct conn_cancel {
	pthread_mutex_t mutex; /* guards all but interrupted */
	pthread_cond_t done_cond;
	unsigned refs;
	PGcancel *pg;
	int fd; /* of the connection; -1 once it is closed */
	bool asked, done;
	atomic_bool interrupted;
};

static struct conn_cancel *cancel_state_new(PGconn *pg)
{
	struct conn_cancel *s = xcalloc(1, sizeof *s);

	mutex_init(&s->mutex);
	cond_init(&s->done_cond);
	s->refs = 1;
	s->pg = PQgetCancel(pg);
	s->fd = PQsocket(pg);
	return s;
}

static void cancel_state_drop(struct conn_cancel *s)
{
	mutex_lock(&s->mutex);
	bool last = !--s->refs;
	mutex_unlock(&s->mutex);
	if (!last)
		return;
	PQfreeCancel(s->pg);
	mutex_destroy(&s->mutex);
	cond_destroy(&s->done_cond);
	free(s);
}

static void cancel_thread(void *arg)
{
	struct conn_cancel *s = arg;
	char text[256];

	/* Whether it worked does not matter: the link is cut afterwards. */
	(void)PQcancel(s->pg, text, sizeof text);
	mutex_lock(&s->mutex);
	s->done = true;
	cond_broadcast(&s->done_cond);
	mutex_unlock(&s->mutex);
	cancel_state_drop(s);
}

/* With s->mutex held. */
static void ask_server(struct conn_cancel *s)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct thread t = THREAD_INIT;

	s->asked = true;
	if (!s->pg)
		return;
	s->refs++;
	if (thread_start(&t, "pg-cancel", cancel_thread, s, &ignored)) {
		s->refs--;
		return;
	}
	pthread_detach(t.id);
	if (!s->done)
		cond_wait_for(&s->done_cond, &s->mutex, CANCEL_WAIT);
}

void conn_interrupt(struct conn *c)
{
	struct conn_cancel *s = c->cancel;

	if (!s)
		return;
	atomic_store(&s->interrupted, true);
	mutex_lock(&s->mutex);
	if (!s->asked)
		ask_server(s);
	if (s->fd >= 0)
		shutdown(s->fd, SHUT_RDWR);
	mutex_unlock(&s->mutex);
}

/* ---- waiting ---- */

enum status conn_wait(struct run *run, struct conn *c, short events, struct error *err)
{
	bool ready = false;

	if (c->cancel && atomic_load(&c->cancel->interrupted))
		return error_set(err, ST_CANCELLED, "the session was interrupted");
	while (!ready)
		if (run_poll(run, PQsocket(c->pg), events, WAIT, &ready, err)) {
			/* The statement would go on in the server, with its locks, until it notices. */
			if (c->cancel)
				conn_interrupt(c);
			return error_add(err, "PostgreSQL at %s", c->where);
		}
	return ST_OK;
}

/* Sends what libpq has buffered; reads meanwhile, since a server that has something to say may not read before. */
enum status conn_flush(struct run *run, struct conn *c, struct error *err)
{
	int left;

	while ((left = PQflush(c->pg)) > 0) {
		if (conn_wait(run, c, POLLIN | POLLOUT, err))
			return err->code;
		if (!PQconsumeInput(c->pg))
			return conn_lost(c, err);
	}
	return left < 0 ? conn_lost(c, err) : ST_OK;
}

/* The next result, NULL at the end of the statement. */
static enum status next_result(struct run *run, struct conn *c, PGresult **r, struct error *err)
{
	while (PQisBusy(c->pg)) {
		if (conn_wait(run, c, POLLIN, err))
			return err->code;
		if (!PQconsumeInput(c->pg))
			return conn_lost(c, err);
	}
	*r = PQgetResult(c->pg);
	return ST_OK;
}

static enum status drain(struct run *run, struct conn *c, struct error *err)
{
	for (;;) {
		PGresult *r = NULL;

		if (next_result(run, c, &r, err))
			return err->code;
		if (!r)
			return ST_OK;
		/* A statement in COPY gives its result for ever until the COPY is ended, which nobody here will do. */
		ExecStatusType s = PQresultStatus(r);
		PQclear(r);
		if (s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH)
			return error_set(err, ST_FAILED, "a statement began a COPY where none was expected");
	}
}

/* Keeps the error and reads the statement to its end, so that the session can be used again. */
static enum status fail_and_drain(struct run *run, struct conn *c, PGresult *r, struct error *err)
{
	CLEANUP(error_release) struct error later = ERROR_INIT;

	conn_error(c, r, err);
	PQclear(r);
	(void)!drain(run, c, &later);
	return err->code;
}

/* ---- statements ---- */

void conn_result_free(PGresult **r)
{
	PQclear(*r);
	*r = NULL;
}

static enum status send_statement(struct run *run, struct conn *c, struct sql q, struct error *err)
{
	int sent = q.params ? PQsendQueryParams(c->pg, q.text, q.params, NULL, q.param, NULL, NULL, 0) : PQsendQuery(c->pg, q.text);

	return sent ? conn_flush(run, c, err) : conn_lost(c, err);
}

static bool is_good(const PGresult *r)
{
	ExecStatusType s = PQresultStatus(r);

	return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_SINGLE_TUPLE || s == PGRES_EMPTY_QUERY;
}

/* The last result of what was sent; the first error wins. */
static enum status collect(struct run *run, struct conn *c, PGresult **last, struct error *err)
{
	for (;;) {
		PGresult *r = NULL;

		if (next_result(run, c, &r, err))
			return err->code;
		if (!r)
			return ST_OK;
		if (!is_good(r)) {
			conn_result_free(last);
			return fail_and_drain(run, c, r, err);
		}
		PQclear(*last);
		*last = r;
	}
}

enum status conn_query(struct run *run, struct conn *c, struct sql q, PGresult **r, struct error *err)
{
	conn_result_free(r);
	if (send_statement(run, c, q, err))
		return err->code;
	return collect(run, c, r, err);
}

enum status conn_command(struct run *run, struct conn *c, const char *sql, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	return conn_query(run, c, SQL(sql), &r, err);
}

enum status conn_each(struct run *run, struct conn *c, struct sql q, conn_row_fn *fn, void *ctx, struct error *err)
{
	if (send_statement(run, c, q, err))
		return err->code;
	if (!PQsetSingleRowMode(c->pg))
		return error_set(err, ST_FAILED, "cannot read the result row by row");
	for (;;) {
		CLEANUP(conn_result_free) PGresult *r = NULL;

		if (next_result(run, c, &r, err))
			return err->code;
		if (!r)
			return ST_OK;
		if (!is_good(r)) {
			PGresult *bad = r;

			r = NULL;
			return fail_and_drain(run, c, bad, err);
		}
		if (PQresultStatus(r) == PGRES_SINGLE_TUPLE && fn(ctx, r, err))
			return err->code;
	}
}

enum status conn_value(struct run *run, struct conn *c, struct sql q, char **value, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	*value = NULL;
	if (conn_query(run, c, q, &r, err))
		return err->code;
	if (r && PQntuples(r) > 0 && PQnfields(r) > 0 && res_text(r, 0, 0))
		*value = xstrdup(res_text(r, 0, 0));
	return ST_OK;
}

const char *res_text(const PGresult *r, int row, int col) { return PQgetisnull(r, row, col) ? NULL : PQgetvalue(r, row, col); }

bool res_bool(const PGresult *r, int row, int col)
{
	const char *t = res_text(r, row, col);

	return t && *t == 't';
}

static uint64_t number(const char *t) { return t && *t >= '0' && *t <= '9' ? strtoull(t, NULL, 10) : 0; }

uint64_t res_u64(const PGresult *r, int row, int col) { return number(res_text(r, row, col)); }

uint64_t res_affected(const PGresult *r)
{
	/* libpq wants to write into what it only reads. */
	union {
		const PGresult *in;
		PGresult *out;
	} u = {.in = r};

	return number(PQcmdTuples(u.out));
}

/* ---- COPY ---- */

/* Sends a COPY and waits for the server to agree. */
static enum status copy_start(struct run *run, struct conn *c, const char *sql, ExecStatusType expected, struct error *err)
{
	PGresult *r = NULL;

	if (send_statement(run, c, SQL(sql), err) || next_result(run, c, &r, err))
		return err->code;
	if (r && PQresultStatus(r) == expected) {
		PQclear(r);
		return ST_OK;
	}
	if (r && !is_good(r))
		return fail_and_drain(run, c, r, err);
	PQclear(r);
	return error_set(err, ST_FAILED, "the server answered a COPY with something else");
}

/* The count in the command tag after the end of a COPY, which is also where an error at the last moment shows. */
static enum status copy_result(struct run *run, struct conn *c, uint64_t *count, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (collect(run, c, &r, err))
		return err->code;
	if (!r || PQresultStatus(r) != PGRES_COMMAND_OK)
		return error_set(err, ST_SERVER, "the server did not confirm the end of a COPY");
	*count = res_affected(r);
	return ST_OK;
}

/* Hands over all rows that have arrived. *end: there are no more. */
static enum status take_rows(struct conn *c, struct row_sink *rows, uint64_t *count, bool *end, struct error *err)
{
	for (;;) {
		char *row = NULL;
		int n = PQgetCopyData(c->pg, &row, 1);

		if (n <= 0) {
			*end = n == -1;
			return n == -2 ? conn_lost(c, err) : ST_OK;
		}
		enum status st = rows->row(rows, row, (size_t)n, err);
		PQfreemem(row);
		if (st)
			return st;
		++*count;
	}
}

enum status conn_copy_out(struct run *run, struct conn *c, const char *sql, struct row_sink *rows, uint64_t *count,
			  struct error *err)
{
	uint64_t counted = 0;
	bool end = false;

	*count = 0;
	if (copy_start(run, c, sql, PGRES_COPY_OUT, err))
		return err->code;
	while (!end) {
		if (take_rows(c, rows, count, &end, err))
			return err->code;
		if (end)
			break;
		if (conn_wait(run, c, POLLIN, err))
			return err->code;
		if (!PQconsumeInput(c->pg))
			return conn_lost(c, err);
	}
	if (copy_result(run, c, &counted, err))
		return err->code;
	if (counted != *count)
		return error_set(err, ST_SERVER, "%" PRIu64 " rows came but the server counted %" PRIu64, *count, counted);
	return ST_OK;
}

enum status conn_copy_in(struct run *run, struct conn *c, const char *sql, struct error *err)
{
	return copy_start(run, c, sql, PGRES_COPY_IN, err);
}

enum status conn_copy_put(struct run *run, struct conn *c, const void *p, size_t n, struct error *err)
{
	const char *at = p;

	/* libpq copies what it is given and grows its buffer when the server is slow: pieces, each sent before the next. */
	while (n) {
		size_t piece = min_size(n, (size_t)64 * 1024);
		int put = PQputCopyData(c->pg, at, (int)piece);

		if (put < 0)
			return conn_lost(c, err);
		if (conn_flush(run, c, err))
			return err->code;
		if (put > 0) {
			at += piece;
			n -= piece;
		}
	}
	return ST_OK;
}

static enum status copy_finish(struct run *run, struct conn *c, const char *why, struct error *err)
{
	int put;

	while (!(put = PQputCopyEnd(c->pg, why)))
		if (conn_flush(run, c, err))
			return err->code;
	return put < 0 ? conn_lost(c, err) : conn_flush(run, c, err);
}

enum status conn_copy_end(struct run *run, struct conn *c, uint64_t *count, struct error *err)
{
	*count = 0;
	if (copy_finish(run, c, NULL, err))
		return err->code;
	return copy_result(run, c, count, err);
}

void conn_copy_give_up(struct run *run, struct conn *c, const char *why)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (PQstatus(c->pg) == CONNECTION_OK && !copy_finish(run, c, why, &ignored))
		(void)!drain(run, c, &ignored);
}

/* ---- life ---- */

enum status conn_alive(struct conn *c, struct error *err)
{
	struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};

	if (poll(&p, 1, 0) == 1 && (!PQconsumeInput(c->pg) || PQstatus(c->pg) != CONNECTION_OK))
		return conn_lost(c, err);
	/* Reads what came: before the end of the link come the server's last words, as a notice. */
	(void)PQisBusy(c->pg);
	if (!c->ended)
		return ST_OK;
	error_set(err, ST_UNREACHABLE, "PostgreSQL at %s, database %s: the server ended the session", c->where, c->database);
	err->retry = true;
	return err->code;
}

void conn_ready(struct conn *c) { c->cancel = cancel_state_new(c->pg); }

void conn_freep(struct conn **p)
{
	struct conn *c = *p;

	if (!c)
		return;
	if (c->cancel) {
		mutex_lock(&c->cancel->mutex);
		c->cancel->fd = -1;
		mutex_unlock(&c->cancel->mutex);
		cancel_state_drop(c->cancel);
	}
	PQfinish(c->pg);
	free(c->database);
	free(c->where);
	free(c);
	*p = NULL;
}

bool conn_was_interrupted(const struct conn *c) { return c->cancel && atomic_load(&c->cancel->interrupted); }
