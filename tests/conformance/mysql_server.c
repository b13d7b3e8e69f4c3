#include "tests/conformance/mysql_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/mysql/load.h"
#include "tests/lib/test.h"
#include "util/fs.h"
#include "util/process.h"

static struct run run = RUN_INIT;

static enum status script(const char *const *argv, struct buf *out, struct error *err)
{
	CLEANUP(cstr_release) char *here = getcwd(NULL, 0);
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = here};

	return process_capture(&run, &spec, 65536, out, err);
}

/* The value of "NAME=value" in the lines of the script. Owned by the caller. */
static char *value_of(const struct buf *lines, const char *name)
{
	const char *at = strstr(buf_str(lines), name);

	CHECK(at != NULL);
	at += strlen(name) + 1;
	return xstrndup(at, strcspn(at, "\n"));
}

#define STOP "\"$1\" stop \"$2\" immediate; rm -rf \"$2\" \"$2.tls\""

/* Its input ends when the test does, whatever way: then the server goes. */
static void watch(struct my_test_server *s)
{
	static const char stop[] = "read -r _; " STOP;
	int pipe_fd[2];

	CHECK(!pipe2(pipe_fd, O_CLOEXEC));
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setsid();
		dup2(pipe_fd[0], STDIN_FILENO);
		execl("/bin/sh", "sh", "-c", stop, "sh", "scripts/my-server", s->dir, (char *)NULL);
		_exit(127);
	}
	close(pipe_fd[0]);
	s->watch = pipe_fd[1];
}

/* The server goes when the runner of the tests, whose child this is, has ended. */
static void watch_run(const struct my_test_server *s)
{
	struct pollfd runner = {.fd = pidfd_open(getppid(), 0), .events = POLLIN};

	CHECK(runner.fd >= 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setsid();
		if (fork())
			_exit(0);
		int nothing = open("/dev/null", O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(nothing, i);
		dup2(runner.fd, 3);
		close_range(4, ~0u, 0);
		runner.fd = 3;
		poll(&runner, 1, -1);
		execl("/bin/sh", "sh", "-c", STOP, "sh", "scripts/my-server", s->dir, (char *)NULL);
		_exit(127);
	}
	close(runner.fd);
	waitpid(pid, NULL, 0);
}

static char *folder_of_tests(pid_t of, const char *which)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	if (access("scripts/my-server", X_OK))
		test_skip("no scripts/my-server here");
	CHECK_OK(script((const char *const[]){"scripts/my-server", "dir", NULL}, &out, &err), err);
	return xasprintf("%.*s/my-%d-%s", (int)strcspn(buf_str(&out), "\n"), buf_str(&out), (int)of, which);
}

static char *own_folder(void)
{
	static unsigned number;
	CLEANUP(cstr_release) char *which = xasprintf("%u", number++);

	return folder_of_tests(getpid(), which);
}

static void launch(const struct my_test_server *s, const char *const *settings, struct buf *env)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const char *version = getenv("DRTOOL_TEST_MYSQL"), *argv[40] = {"scripts/my-server", "start", version ? version : "10.11", s->dir};

	for (size_t n = 4; settings && *settings && n + 3 < ARRAY_LEN(argv); settings++) {
		argv[n++] = "-c";
		argv[n++] = *settings;
	}
	if (!script(argv, env, &err))
		return;
	if (strstr(error_text(&err), "is not installed"))
		test_skip(error_text(&err));
	CHECK_OK(err.code, err);
}

static void reach(struct my_test_server *s, const struct buf *env)
{
	CLEANUP(cstr_release) char *port = value_of(env, "MY_PORT"), *pid = value_of(env, "MY_PID"), *flavour = value_of(env, "MY_FLAVOUR");

	s->socket = value_of(env, "MY_SOCKET");
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

	*s = (struct my_test_server){.dir = own_folder()};
	watch(s);
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

	*s = (struct my_test_server){.dir = folder_of_tests(getppid(), "all"), .watch = -1, .shared = true};
	if (script((const char *const[]){"scripts/my-server", "env", s->dir, NULL}, &env, &err)) {
		buf_clear(&env);
		watch_run(s);
		launch(s, (const char *const[]){"local_infile=1", NULL}, &env);
	}
	reach(s, &env);
	forget_others(s);
}

/* ---- with TLS ---- */

void my_test_server_start_tls(struct my_test_server *s)
{
	static const char make[] =
		"cd \"$1\" && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj '/CN=authority of a test' && "
		"openssl req -newkey rsa:2048 -nodes -keyout key.pem -out req.pem -subj '/CN=localhost' && "
		"echo subjectAltName=DNS:localhost >ext && openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 "
		"-extfile ext -out cert.pem && chmod 755 . && chmod 644 *.pem";
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	*s = (struct my_test_server){.dir = own_folder()};
	CLEANUP(cstr_release) char *tls = xasprintf("%s.tls", s->dir);
	watch(s);
	CHECK_OK(fs_mkdirs(tls, 0755, &err), err);
	CHECK_OK(script((const char *const[]){"/bin/sh", "-c", make, "sh", tls, NULL}, &out, &err), err);
	s->ca = path_join(tls, "ca.pem");
	CLEANUP(cstr_release) char *ca = xasprintf("ssl-ca=%s", s->ca), *cert = xasprintf("ssl-cert=%s/cert.pem", tls),
				   *key = xasprintf("ssl-key=%s/key.pem", tls);
	buf_clear(&out);
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
