#include "tests/conformance/mysql_server.h"

#include <sys/wait.h>
#include <unistd.h>

#include "drivers/mysql/load.h"
#include "tests/lib/certs.h"
#include "tests/lib/server.h"
#include "tests/lib/test.h"
#include "util/fs.h"

#define SCRIPT "scripts/my-server"

static struct run run = RUN_INIT;

static void launch(const struct my_test_server *s, const char *const *settings, struct buf *env)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const char *version = getenv("DRTOOL_TEST_MYSQL"), *argv[40] = {SCRIPT, "start", version ? version : "10.11", s->dir};

	for (size_t n = 4; settings && *settings && n + 3 < ARRAY_LEN(argv); settings++) {
		argv[n++] = "-c";
		argv[n++] = *settings;
	}
	if (!test_script(argv, env, &err))
		return;
	if (strstr(error_text(&err), "is not installed"))
		test_skip(error_text(&err));
	CHECK_OK(err.code, err);
}

static void reach(struct my_test_server *s, const struct buf *env)
{
	CLEANUP(cstr_release) char *port = test_script_value(env, "MY_PORT"), *pid = test_script_value(env, "MY_PID"), *flavour = test_script_value(env, "MY_FLAVOUR");

	s->socket = test_script_value(env, "MY_SOCKET");
	s->url = xasprintf("mysql://root@/?socket=%s", s->socket);
	s->port = (unsigned)strtoul(port, NULL, 10);
	s->pid = (int)strtol(pid, NULL, 10);
	s->mariadb = !strcmp(flavour, "mariadb");
	s->notes = notes_new();
	s->e = (struct endpoint){.url = s->url, .password = &s->password, .notes = s->notes, .spool_dir = test_dir()};
	s->params = *my_params(&s->e);
	s->params.history = true;
	s->e.params = &s->params;
}

void my_test_server_start(struct my_test_server *s, const char *const *settings)
{
	CLEANUP(buf_release) struct buf env = BUF_INIT;

	*s = (struct my_test_server){.dir = test_server_folder(SCRIPT, "my")};
	s->watch = test_server_watch(SCRIPT, s->dir);
	launch(s, settings, &env);
	reach(s, &env);
}

/* ---- shared ---- */

/* Runs what the rows of a query say. */
static void run_each(struct my_conn *c, const char *query, bool refusals)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(strlist_release) struct strlist statement = STRLIST_INIT;

	CHECK_OK(my_list(&run, c, query, &statement, &err), err);
	for (size_t i = 0; i < statement.len; i++)
		if (my_conn_command(&run, c, statement.item[i], &err)) {
			CHECK(refusals && my_conn_errno(&err));
			error_release(&err);
		}
}

#define OTHERS " FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler')"

static void forget_others(struct my_test_server *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	CHECK_OK(my_conn_open(&run, &s->e, NULL, false, &c, &err), err);
	for (bool left = true; left;) {
		CLEANUP(cstr_release) char *n = NULL;

		run_each(c, "SELECT CONCAT('KILL ', ID)" OTHERS, true); /* it may have ended by itself */
		CHECK_OK(my_conn_value(&run, c, "SELECT COUNT(*)" OTHERS, &n, &err), err);
		left = my_field_u64(n) > 0;
		if (left)
			CHECK_OK(run_sleep(&run, DURATION_MS(10), &err), err);
	}
	CHECK_OK(my_conn_command(&run, c, "SET foreign_key_checks = 0", &err), err);
	run_each(c, "SELECT CONCAT('DROP DATABASE `', REPLACE(SCHEMA_NAME, '`', '``'), '`') FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN"
		    " ('mysql', 'sys', 'information_schema', 'performance_schema')", false);
	run_each(c, "SELECT CONCAT('DROP ', IF(Host = '', 'ROLE `', 'USER `'), REPLACE(User, '`', '``'), '`', IF(Host = '', '', CONCAT('@`', Host, '`')))"
		    " FROM mysql.user WHERE User NOT IN ('', 'root', 'mysql', 'PUBLIC') AND User NOT LIKE 'mysql.%' AND User <> 'mariadb.sys'", false);
}

void my_test_server_share(struct my_test_server *s)
{
	CLEANUP(buf_release) struct buf env = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	*s = (struct my_test_server){.dir = test_server_shared_folder(SCRIPT, "my"), .watch = -1, .shared = true};
	if (test_script((const char *const[]){SCRIPT, "env", s->dir, NULL}, &env, &err)) {
		buf_clear(&env);
		test_server_watch_run(SCRIPT, s->dir);
		launch(s, (const char *const[]){"local_infile=1", NULL}, &env);
	}
	reach(s, &env);
	forget_others(s);
}

/* ---- with TLS ---- */

void my_test_server_start_tls(struct my_test_server *s)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;

	*s = (struct my_test_server){.dir = test_server_folder(SCRIPT, "my")};
	CLEANUP(cstr_release) char *tls = xasprintf("%s.tls", s->dir);
	s->watch = test_server_watch(SCRIPT, s->dir);
	test_make_certificates(tls);
	s->ca = path_join(tls, "ca.pem");
	CLEANUP(cstr_release) char *ca = xasprintf("ssl-ca=%s", s->ca), *cert = xasprintf("ssl-cert=%s/cert.pem", tls),
				   *key = xasprintf("ssl-key=%s/key.pem", tls);
	launch(s, (const char *const[]){ca, cert, key, NULL}, &out);
	reach(s, &out);
}

void my_test_server_stop(struct my_test_server *s)
{
	if (!s->shared) {
		close(s->watch);
		while (wait(NULL) > 0)
			;
	}
	notes_freep(&s->notes);
	free(s->dir);
	free(s->socket);
	free(s->url);
	free(s->ca);
}

static void open_by_url(struct my_test_server *s, const char *database, struct my_conn **c)
{
	static const struct secret none = SECRET_INIT;
	struct error err = ERROR_INIT;
	const struct endpoint e = {.url = s->url, .password = &none, .notes = s->notes};

	CHECK_OK(my_conn_open(&run, &e, database, false, c, &err), err);
	/* The connection outlives e no longer than the caller. */
	(*c)->e = &s->e;
}

void my_test_server_sql(struct my_test_server *s, const char *database, const char *sql)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	open_by_url(s, database, &c);
	CHECK_OK(my_conn_command(&run, c, sql, &err), err);
}

char *my_test_server_value(struct my_test_server *s, const char *database, const char *sql)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	char *value = NULL;

	open_by_url(s, database, &c);
	CHECK_OK(my_conn_value(&run, c, sql, &value, &err), err);
	return value ? value : xstrdup("");
}
