#include "drivers/mysql/conn_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/socket.h"
#include "util/thread.h"

#define WAIT DURATION_SECONDS(3600)
#define CHECK_ROWS 64
#define KILL_WITHIN DURATION_SECONDS(3)

/* What my_conn_interrupt needs. The descriptor is a second one of the same link: libmariadb closes its own when a link breaks, and its
 * number may then be somebody else's. */
struct my_conn_cancel {
	int fd;
	atomic_bool interrupted;
};

static _Thread_local struct my_call *current;

/* ---- waiting ---- */

void my_call_begin(struct my_call *k, struct run *run, struct my_conn *c)
{
	*k = (struct my_call){.run = run, .c = c, .outer = current};
	current = k;
}

void my_call_end(struct my_call *k)
{
	current = k->outer;
	error_release(&k->why);
}

static bool connect_failed(int fd, int *number)
{
	int problem = 0;
	socklen_t n = sizeof problem;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &n) || !problem)
		return false;
	*number = errno = problem;
	return true;
}

int my_io_wait(my_socket fd, my_bool is_read, int timeout UNUSED)
{
	struct my_call *k = current;
	bool ready = false;

	/* Outside of a call a session is being closed: nobody waits for that. */
	while (k && !k->why.code && !ready && !my_conn_was_interrupted(k->c))
		(void)!run_poll(k->run, fd, is_read ? POLLIN : POLLOUT, WAIT, &ready, &k->why);
	errno = ETIMEDOUT;
	if (!ready)
		return -1;
	/* libmariadb says "115" of whatever goes wrong here. */
	if (!is_read && !k->c->cancel && connect_failed(fd, &k->connect_errno))
		return -1;
	return 1;
}

bool my_conn_was_interrupted(const struct my_conn *c) { return c->cancel && atomic_load(&c->cancel->interrupted); }

static void cut(struct my_conn *c)
{
	if (c->cancel)
		shutdown(c->cancel->fd, SHUT_RDWR);
}

void my_conn_interrupt(struct my_conn *c)
{
	if (!c->cancel)
		return;
	atomic_store(&c->cancel->interrupted, true);
	cut(c);
}

/* Over a session of its own. Once; failures do not matter. */
static void kill_session(struct my_conn *c)
{
	static _Thread_local bool killing;
	CLEANUP(my_conn_freep) struct my_conn *other = NULL;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run none = RUN_INIT, soon = run_within(&none, KILL_WITHIN);

	if (killing || !c->id)
		return;
	killing = true;
	if (!my_conn_open(&soon, c->e, NULL, false, &other, &ignored))
		(void)!my_conn_commandf(&soon, other, &ignored, "KILL %" PRIu64, c->id);
	c->id = 0;
	killing = false;
}

enum status my_call_failed(struct my_call *k, struct error *err)
{
	struct my_conn *c = k->c;
	bool interrupted = my_conn_was_interrupted(c);

	if (!interrupted && !k->why.code)
		return my_conn_error(c, err);
	cut(c);
	kill_session(c);
	if (interrupted)
		return error_set(err, ST_CANCELLED, "the session was interrupted");
	error_move(err, &k->why);
	return error_add(err, "%s at %s", my_product(c), c->where);
}

enum status my_conn_ready(struct my_conn *c, struct error *err)
{
	int fd = fcntl(mysql_get_socket(c->my), F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return error_errno(err, errno, "no descriptor for a connection");
	/* libmariadb leaves it to block under TLS, where it would wait by itself. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		close(fd);
		return error_errno(err, errno, "a connection");
	}
	socket_keep_alive(fd);
	c->cancel = xcalloc(1, sizeof *c->cancel);
	c->cancel->fd = fd;
	return ST_OK;
}

void my_conn_freep(struct my_conn **to)
{
	struct my_conn *c = *to;

	if (!c)
		return;
	*to = NULL;
	if (c->my)
		mysql_close(c->my);
	if (c->cancel)
		fd_release(&c->cancel->fd);
	free(c->cancel);
	free(c->where);
	free(c->version_text);
	free(c);
}

/* ---- statements ---- */

void my_conn_result_free(MYSQL_RES **r)
{
	if (*r)
		mysql_free_result(*r);
	*r = NULL;
}

static enum status send_statement(struct my_call *k, const char *sql, struct error *err)
{
	if (run_check(k->run, err))
		return err->code;
	return mysql_real_query(k->c->my, sql, strlen(sql)) ? my_call_failed(k, err) : ST_OK;
}

/* What a CALL gives beside the first result. */
static enum status drain(struct my_call *k, struct error *err)
{
	MYSQL *my = k->c->my;
	int more;

	while ((more = mysql_next_result(my)) == 0) {
		MYSQL_RES *r = mysql_use_result(my);

		while (r && mysql_fetch_row(r))
			;
		my_conn_result_free(&r);
		if (mysql_errno(my))
			return my_call_failed(k, err);
	}
	return more > 0 ? my_call_failed(k, err) : ST_OK;
}

enum status my_conn_command(struct run *run, struct my_conn *c, const char *sql, struct error *err)
{
	return my_conn_each(run, c, sql, NULL, NULL, err);
}

enum status my_conn_commandf(struct run *run, struct my_conn *c, struct error *err, const char *fmt, ...)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&sql, fmt, ap);
	va_end(ap);
	return my_conn_command(run, c, buf_str(&sql), err);
}

enum status my_conn_query(struct run *run, struct my_conn *c, const char *sql, MYSQL_RES **r, struct error *err)
{
	CLEANUP(my_call_end) struct my_call k;

	my_call_begin(&k, run, c);
	my_conn_result_free(r);
	if (send_statement(&k, sql, err))
		return err->code;
	*r = mysql_store_result(c->my);
	if (!*r && mysql_errno(c->my))
		return my_call_failed(&k, err);
	if (mysql_more_results(c->my) && drain(&k, err)) {
		my_conn_result_free(r);
		return err->code;
	}
	return ST_OK;
}

static enum status one_field(struct run *run, struct my_conn *c, const char *sql, unsigned column, char **value, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;

	*value = NULL;
	if (my_conn_query(run, c, sql, &r, err))
		return err->code;
	MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
	if (row && mysql_num_fields(r) > column && row[column])
		*value = xstrdup(row[column]);
	return ST_OK;
}

enum status my_conn_value(struct run *run, struct my_conn *c, const char *sql, char **value, struct error *err)
{
	return one_field(run, c, sql, 0, value, err);
}

enum status my_conn_shown(struct run *run, struct my_conn *c, const char *sql, char **value, struct error *err)
{
	return one_field(run, c, sql, 1, value, err);
}

static enum status each_row(struct my_call *k, MYSQL_RES *r, my_conn_row_fn *fn, void *ctx, struct error *err)
{
	unsigned fields = mysql_num_fields(r);
	uint64_t n = 0;
	MYSQL_ROW row;

	while ((row = mysql_fetch_row(r))) {
		/* libmariadb does not wait while rows are there. */
		if (n++ % CHECK_ROWS == 0 && (my_conn_was_interrupted(k->c) || run_check(k->run, &k->why)))
			return my_call_failed(k, err);
		if (fn && fn(ctx, row, mysql_fetch_lengths(r), fields, err))
			return err->code;
	}
	return mysql_errno(k->c->my) ? my_call_failed(k, err) : ST_OK;
}

enum status my_conn_each(struct run *run, struct my_conn *c, const char *sql, my_conn_row_fn *fn, void *ctx, struct error *err)
{
	CLEANUP(my_call_end) struct my_call k;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;

	my_call_begin(&k, run, c);
	if (send_statement(&k, sql, err))
		return err->code;
	r = mysql_use_result(c->my);
	if (!r && mysql_errno(c->my))
		return my_call_failed(&k, err);
	if (r && each_row(&k, r, fn, ctx, err)) {
		/* Else all the rows that are left would be read to free the result. */
		if (!mysql_eof(r))
			cut(c);
		return err->code;
	}
	my_conn_result_free(&r);
	return mysql_more_results(c->my) ? drain(&k, err) : ST_OK;
}

uint64_t my_conn_affected(const struct my_conn *c)
{
	my_ulonglong n = mysql_affected_rows(c->my);

	return n == (my_ulonglong)-1 ? 0 : n;
}

unsigned my_conn_warning_count(const struct my_conn *c) { return mysql_warning_count(c->my); }

static enum status take_warning(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields, struct error *err UNUSED)
{
	if (fields >= 3)
		strlist_take(ctx, xasprintf("%s: %s", field[1] ? field[1] : "", field[2] ? field[2] : ""));
	return ST_OK;
}

enum status my_conn_warnings(struct run *run, struct my_conn *c, unsigned most, struct strlist *to, struct error *err)
{
	char sql[64];

	snprintf(sql, sizeof sql, "SHOW WARNINGS LIMIT %u", most);
	return my_conn_each(run, c, sql, take_warning, to, err);
}

enum status my_conn_alive(struct run *run, struct my_conn *c, struct error *err)
{
	CLEANUP(my_call_end) struct my_call k;

	my_call_begin(&k, run, c);
	return mysql_ping(c->my) ? my_call_failed(&k, err) : ST_OK;
}
