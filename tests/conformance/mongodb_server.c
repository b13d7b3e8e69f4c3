#include "tests/conformance/mongodb_server.h"

#include <sys/wait.h>
#include <unistd.h>

#include "drivers/mongodb/look.h"
#include "drivers/mongodb/meta.h"
#include "tests/lib/server.h"
#include "tests/lib/test.h"

#define SCRIPT "scripts/mongo-server"

static struct run run = RUN_INIT;

void mo_test_server_at(struct mo_test_server *s, const char *url, const char *password)
{
	*s = (struct mo_test_server){.url = xstrdup(url), .watch = -1, .notes = notes_new()};
	s->password.value = password ? xstrdup(password) : NULL;
	s->e = (struct endpoint){.url = s->url, .password = &s->password, .notes = s->notes, .spool_dir = test_dir()};
	s->params = *mo_params(&s->e);
	s->e.params = &s->params;
}

static void reach(struct mo_test_server *s, char *dir, const struct buf *env)
{
	CLEANUP(cstr_release) char *port = test_script_value(env, "MONGO_PORT"), *pid = test_script_value(env, "MONGO_PID"),
				   *kind = test_script_value(env, "MONGO_KIND"), *url = xasprintf("mongodb://root@127.0.0.1:%s/?authSource=admin", port);

	mo_test_server_at(s, url, "mongo");
	s->dir = dir;
	s->port = (unsigned)strtoul(port, NULL, 10);
	s->pid = (int)strtol(pid, NULL, 10);
	s->mongod = !strcmp(kind, "mongod");
}

static void launch(const char *dir, struct buf *env)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;

	if (!test_script((const char *const[]){SCRIPT, "start", dir, "--auth", NULL}, env, &err))
		return;
	if (strstr(error_text(&err), "is not installed"))
		test_skip(error_text(&err));
	CHECK_OK(err.code, err);
}

void mo_test_server_start(struct mo_test_server *s)
{
	CLEANUP(buf_release) struct buf env = BUF_INIT;
	char *dir = test_server_folder(SCRIPT, "mg");
	int watch = test_server_watch(SCRIPT, dir);

	launch(dir, &env);
	reach(s, dir, &env);
	s->watch = watch;
}

static void forget_others(struct mo_test_server *s)
{
	bson_t reply;
	bson_iter_t at, item, name;

	mo_test_server_command(s, "admin", "{\"listDatabases\": 1, \"nameOnly\": true}", &reply);
	CHECK(mo_look(&reply, "databases", &at) && bson_iter_recurse(&at, &item));
	while (bson_iter_next(&item)) {
		CHECK(bson_iter_recurse(&item, &name) && bson_iter_find(&name, "name"));
		const char *database = bson_iter_utf8(&name, NULL);
		if (mo_database_place(database) == MO_TAKEN && strcmp(database, "admin") != 0)
			mo_test_server_command(s, database, "{\"dropDatabase\": 1}", NULL);
	}
	bson_destroy(&reply);
}

void mo_test_server_share(struct mo_test_server *s)
{
	CLEANUP(buf_release) struct buf env = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	char *dir = test_server_shared_folder(SCRIPT, "mg");

	if (test_script((const char *const[]){SCRIPT, "env", dir, NULL}, &env, &err)) {
		buf_clear(&env);
		test_server_watch_run(SCRIPT, dir);
		launch(dir, &env);
	}
	reach(s, dir, &env);
	forget_others(s);
}

void mo_test_server_stop(struct mo_test_server *s)
{
	if (s->watch >= 0) {
		close(s->watch);
		/* The scripted server is a child itself; of a real one it is who stops it. */
		if (waitpid(s->pid, NULL, 0) < 0)
			while (wait(NULL) > 0)
				;
	}
	notes_freep(&s->notes);
	free(s->password.value);
	free(s->dir);
	free(s->url);
}

void mo_test_server_command(struct mo_test_server *s, const char *database, const char *json, bson_t *reply)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	bson_error_t wrong;
	bson_t *command = bson_new_from_json((const uint8_t *)json, -1, &wrong);

	if (!command)
		test_fail(__FILE__, __LINE__, "%s: %s", json, wrong.message);
	CHECK_OK(mo_conn_open(&run, &s->e, MO_WRITE, &c, &err), err);
	if (mo_conn_command(&run, c, database, command, reply, &err))
		test_fail(__FILE__, __LINE__, "%s: %s", json, error_text(&err));
	bson_destroy(command);
}

void mo_test_server_insert(struct mo_test_server *s, const char *database, const char *collection, const char *json)
{
	CLEANUP(cstr_release) char *command = xasprintf("{\"insert\": \"%s\", \"documents\": [%s]}", collection, json);
	bson_t reply;

	mo_test_server_command(s, database, command, &reply);
	CHECK(!bson_has_field(&reply, "writeErrors"));
	bson_destroy(&reply);
}

bool mo_test_server_noted(const struct mo_test_server *s, const char *part)
{
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;
	bool found = false;

	notes_copy(s->notes, &l);
	for (size_t i = 0; i < l.len; i++)
		found = found || strstr(l.item[i], part);
	return found;
}
