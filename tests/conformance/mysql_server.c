#include "tests/conformance/mysql_server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Its input ends when the test does, whatever way: then the server goes. */
static void watch(struct my_test_server *s)
{
	static const char stop[] = "read -r _; \"$1\" stop \"$2\" immediate; rm -rf \"$2\" \"$2.tls\"";
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

static char *folder_of_tests(void)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	static unsigned number;

	if (access("scripts/my-server", X_OK))
		test_skip("no scripts/my-server here");
	CHECK_OK(script((const char *const[]){"scripts/my-server", "dir", NULL}, &out, &err), err);
	return xasprintf("%.*s/my-%d-%u", (int)strcspn(buf_str(&out), "\n"), buf_str(&out), (int)getpid(), number++);
}

static void start(struct my_test_server *s, const char *const *settings)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const char *version = getenv("DRTOOL_TEST_MYSQL"), *argv[40] = {"scripts/my-server", "start", version ? version : "10.11", s->dir};

	for (size_t n = 4; settings && *settings && n + 3 < ARRAY_LEN(argv); settings++) {
		argv[n++] = "-c";
		argv[n++] = *settings;
	}
	if (script(argv, &out, &err))
		test_skip(error_text(&err));
	CLEANUP(cstr_release) char *port = value_of(&out, "MY_PORT"), *pid = value_of(&out, "MY_PID"), *flavour = value_of(&out, "MY_FLAVOUR");
	s->socket = value_of(&out, "MY_SOCKET");
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
	*s = (struct my_test_server){.dir = folder_of_tests()};
	watch(s);
	start(s, settings);
}

void my_test_server_start_tls(struct my_test_server *s)
{
	static const char make[] =
		"cd \"$1\" && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj '/CN=authority of a test' && "
		"openssl req -newkey rsa:2048 -nodes -keyout key.pem -out req.pem -subj '/CN=localhost' && "
		"echo subjectAltName=DNS:localhost >ext && openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 "
		"-extfile ext -out cert.pem && chmod 644 key.pem";
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	*s = (struct my_test_server){.dir = folder_of_tests()};
	CLEANUP(cstr_release) char *tls = xasprintf("%s.tls", s->dir);
	watch(s);
	CHECK_OK(fs_mkdirs(tls, 0755, &err), err);
	CHECK_OK(script((const char *const[]){"/bin/sh", "-c", make, "sh", tls, NULL}, &out, &err), err);
	s->ca = path_join(tls, "ca.pem");
	CLEANUP(cstr_release) char *ca = xasprintf("ssl-ca=%s", s->ca), *cert = xasprintf("ssl-cert=%s/cert.pem", tls),
				   *key = xasprintf("ssl-key=%s/key.pem", tls);
	start(s, (const char *const[]){ca, cert, key, NULL});
}

void my_test_server_stop(struct my_test_server *s)
{
	close(s->watch);
	while (wait(NULL) > 0)
		;
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
