#include "drivers/mysql/conn_internal.h"

#include <signal.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include "drivers/mysql/server.h"
#include "drivers/mysql/session.h"
#include "tests/conformance/mysql_server.h"
#include "tests/lib/test.h"
#include "util/thread.h"

static struct run run = RUN_INIT;

#define AT_ONCE 15000 /* ms; what is cut short would take at least twice as long */

static int64_t ms_since(struct instant from) { return instant_diff(run_mono(&run), from).us / 1000; }

static void open_ok(struct my_test_server *s, struct my_conn **c)
{
	struct error err = ERROR_INIT;

	CHECK_OK(my_session_open(&run, &s->e, NULL, c, &err), err);
}

static char *tcp_url(const struct my_test_server *s, const char *user) { return xasprintf("mysql://%s@127.0.0.1:%u/", user, s->port); }

/* ---- opening ---- */

TEST("MySQL: a wrong password, a missing database and a forbidden account are said as what they are, and no password with them")
{
	struct my_test_server s;
	struct error err = ERROR_INIT;
	struct my_conn *c = NULL;
	char wrong[] = "s3cret-wrong", right[] = "mysql";

	my_test_server_share(&s);
	CLEANUP(cstr_release) char *url = tcp_url(&s, "root");
	s.e.url = url;
	s.password.value = wrong;
	CHECK_INT(my_conn_open(&run, &s.e, NULL, false, &c, &err), ST_AUTH);
	CHECK(strstr(error_text(&err), "Access denied") && !strstr(error_text(&err), wrong) && err.hint && !err.retry && !c);
	CHECK_STR(err.native, "1045");
	error_release(&err);
	s.password.value = right;
	CHECK_INT(my_conn_open(&run, &s.e, "nowhere", false, &c, &err), ST_NOT_FOUND);
	error_release(&err);
	CHECK_OK(my_conn_open(&run, &s.e, "mysql", false, &c, &err), err);
	CHECK(c->loopback && c->id && c->mariadb == s.mariadb && c->version >= 90000);
	/* What a statement with a password says of itself when it is wrong. */
	CHECK_INT(my_conn_command(&run, c, "CREATE USER x IDENTIFIED BY 'hunter2' WITH", &err), ST_SERVER);
	CHECK(!strstr(error_text(&err), "hunter2"));
	error_release(&err);
	my_conn_freep(&c);
	my_test_server_stop(&s);
}

/* ---- ends of waiting ---- */

struct later {
	struct cancel *cancel;
	struct my_conn *interrupt;
	struct run alone;
	struct thread thread;
};

static void later_thread(void *arg)
{
	struct later *l = arg;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	(void)!run_sleep(&l->alone, DURATION_MS(300), &ignored);
	if (l->cancel)
		cancel_fire(l->cancel, 0);
	else
		my_conn_interrupt(l->interrupt);
}

static void start_later(struct later *l)
{
	struct error err = ERROR_INIT;

	CHECK_OK(thread_start(&l->thread, "later", later_thread, l, &err), err);
}

/* The server's session with this id. "0" once it is gone. */
static bool still_there(struct my_test_server *s, uint64_t id)
{
	CLEANUP(cstr_release) char *sql = xasprintf("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %" PRIu64, id);
	CLEANUP(cstr_release) char *n = my_test_server_value(s, NULL, sql);

	return strcmp(n, "0") != 0;
}

static void check_gone(struct my_test_server *s, uint64_t id)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	int tries = 0;

	while (still_there(s, id) && tries++ < 400)
		CHECK_OK(run_sleep(&run, DURATION_MS(50), &err), err);
	CHECK(tries < 400);
}

static void check_deadline(struct my_test_server *s)
{
	struct error err = ERROR_INIT;
	struct run soon;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	open_ok(s, &c);
	uint64_t id = c->id;
	struct instant from = run_mono(&run);
	soon = run_within(&run, DURATION_SECONDS(1));
	CHECK_INT(my_conn_command(&soon, c, "SELECT SLEEP(30)", &err), ST_DEADLINE);
	CHECK(ms_since(from) < AT_ONCE);
	error_release(&err);
	my_conn_freep(&c);
	check_gone(s, id);
}

static void check_cancel(struct my_test_server *s)
{
	struct error err = ERROR_INIT;
	struct later l = {.cancel = cancel_new(NULL)};
	struct run cancelled = {.cancel = l.cancel};
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	open_ok(s, &c);
	uint64_t id = c->id;
	start_later(&l);
	struct instant from = run_mono(&run);
	CHECK_INT(my_conn_command(&cancelled, c, "SELECT SLEEP(30)", &err), ST_CANCELLED);
	CHECK(ms_since(from) < AT_ONCE);
	error_release(&err);
	CHECK(my_conn_command(&run, c, "DO 1", &err) != ST_OK);
	error_release(&err);
	thread_join(&l.thread);
	cancel_free(l.cancel);
	my_conn_freep(&c);
	check_gone(s, id);
}

static void check_interrupt(struct my_test_server *s)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	open_ok(s, &c);
	uint64_t id = c->id;
	struct later l = {.interrupt = c};
	start_later(&l);
	struct instant from = run_mono(&run);
	CHECK_INT(my_conn_command(&run, c, "SELECT SLEEP(30)", &err), ST_CANCELLED);
	CHECK(ms_since(from) < AT_ONCE);
	error_release(&err);
	CHECK_ERR(my_conn_command(&run, c, "DO 1", &err), err, ST_CANCELLED, "interrupted");
	thread_join(&l.thread);
	my_conn_freep(&c);
	check_gone(s, id);
}

TEST("MySQL: a cancel, a deadline and an interrupt end a statement at once, also under TLS, and the server does not go on with it")
{
	struct my_test_server s;
	char password[] = "mysql";

	my_test_server_start_tls(&s);
	check_deadline(&s);
	check_cancel(&s);
	check_interrupt(&s);
	CLEANUP(cstr_release) char *url = tcp_url(&s, "root");
	s.e.url = url;
	s.e.tls = TLS_REQUIRE;
	s.password.value = password;
	check_deadline(&s);
	check_cancel(&s);
	check_interrupt(&s);
	my_test_server_stop(&s);
}

TEST("MySQL: a deadline ends the rows of a statement that never waits")
{
	struct my_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	my_test_server_share(&s);
	open_ok(&s, &c);
	struct run soon = run_within(&run, DURATION_MS(700));
	struct instant from = run_mono(&run);
	CHECK_INT(my_conn_command(&soon, c, "SELECT a.* FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b, "
					    "information_schema.COLLATIONS c, information_schema.COLLATIONS d", &err), ST_DEADLINE);
	CHECK(ms_since(from) < AT_ONCE);
	error_release(&err);
	my_conn_freep(&c);
	my_test_server_stop(&s);
}

static enum status refuse_row(void *ctx, char *const *field UNUSED, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err)
{
	return ++*(int *)ctx == 3 ? error_set(err, ST_NO_SPACE, "no room for row 3") : ST_OK;
}

static enum status kill_at_row(void *ctx, char *const *field UNUSED, const unsigned long *len UNUSED, unsigned fields UNUSED,
			       struct error *err UNUSED)
{
	struct my_test_server *s = ctx;

	if (s->pid)
		kill(s->pid, SIGKILL);
	s->pid = 0;
	return ST_OK;
}

TEST("MySQL: who refuses a row ends the session at once; a server killed amid the rows is an error, not an end")
{
	static const char many[] = "SELECT a.*, REPEAT('x', 1000) FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b, "
				   "information_schema.COLLATIONS c";
	struct my_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	int rows = 0;

	my_test_server_start(&s, NULL);
	open_ok(&s, &c);
	struct instant from = run_mono(&run);
	CHECK_ERR(my_conn_each(&run, c, many, refuse_row, &rows, &err), err, ST_NO_SPACE, "no room for row 3");
	CHECK(ms_since(from) < AT_ONCE);
	my_conn_freep(&c);
	open_ok(&s, &c);
	CHECK_INT(my_conn_each(&run, c, many, kill_at_row, &s, &err), ST_UNREACHABLE);
	CHECK(err.retry);
	error_release(&err);
	my_conn_freep(&c);
	CHECK_INT(my_conn_open(&run, &s.e, NULL, false, &c, &err), ST_UNREACHABLE);
	CHECK(err.retry && err.hint);
	error_release(&err);
	my_test_server_stop(&s);
}


TEST("MySQL: what is asked of a server once")
{
	struct my_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(my_rights_freep) struct my_rights *r = NULL;
	struct my_server first, again;

	my_test_server_share(&s);
	open_ok(&s, &c);
	CHECK_OK(my_server_look(&run, c, &first, &err), err);
	CHECK_OK(my_conn_command(&run, c, "SET time_zone = '+05:00'", &err), err);
	CHECK_OK(my_server_look(&run, c, &again, &err), err);
	CHECK_STR(first.identity, again.identity);
	CHECK(strlen(first.identity) > 10 && !first.replica && first.binlog && first.max_packet >= 1 << 20);
	CHECK(llabs(instant_diff(run_now(&run), again.data_time).us) < 60000000);
	CHECK_OK(my_rights_read(&run, c, &r, &err), err);
	CHECK(my_rights_have(r, "SELECT", NULL) && my_rights_have(r, "RELOAD", NULL));
	my_server_release(&first);
	my_server_release(&again);
	my_conn_freep(&c);
	my_test_server_stop(&s);
}

TEST("MySQL: a server that does not answer ends in an error after connect_timeout, and a cancel comes sooner")
{
	struct error err = ERROR_INIT;
	struct secret none = SECRET_INIT;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(!bind(listener, (struct sockaddr *)&a, sizeof a) && !listen(listener, 8) && !getsockname(listener, (struct sockaddr *)&a, &n));
	CLEANUP(cstr_release) char *url = xasprintf("mysql://me@127.0.0.1:%u/", ntohs(a.sin_port));
	for (int tls = 0; tls < 2; tls++) {
		struct my_params params = {.connect_timeout = DURATION_SECONDS(1)};
		const struct endpoint e = {.url = url, .password = &none, .params = &params, .tls = tls ? TLS_REQUIRE : TLS_OFF};
		struct later l = {.cancel = cancel_new(NULL)};
		struct run cancelled = {.cancel = l.cancel};
		struct my_conn *c = NULL;

		CHECK_ERR(my_conn_open(&run, &e, NULL, false, &c, &err), err, ST_UNREACHABLE, "did not answer within 1 s");
		params.connect_timeout = DURATION_SECONDS(60);
		start_later(&l);
		struct instant from = run_mono(&run);
		CHECK_INT(my_conn_open(&cancelled, &e, NULL, false, &c, &err), ST_CANCELLED);
		CHECK(ms_since(from) < AT_ONCE);
		error_release(&err);
		thread_join(&l.thread);
		cancel_free(l.cancel);
	}
	close(listener);
}
