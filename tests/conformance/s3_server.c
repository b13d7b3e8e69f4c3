#include "tests/conformance/s3_server.h"

#include <unistd.h>

#include "core/url.h"
#include "storage/s3/s3.h"
#include "tests/lib/server.h"
#include "tests/lib/test.h"

#define SCRIPT(moto) ((moto) ? "scripts/s3-moto" : "scripts/s3-server")

static void launch(const struct s3_test_server *s, bool tls, struct buf *env)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const char *const argv[] = {s->script, "start", s->dir, tls ? "--tls" : NULL, NULL};

	if (!test_script(argv, env, &err))
		return;
	if (strstr(error_text(&err), "is not installed"))
		test_skip(error_text(&err));
	CHECK_OK(err.code, err);
}

static void reach(struct s3_test_server *s, const struct buf *env)
{
	CLEANUP(cstr_release) char *port = test_script_value(env, "S3_PORT"), *pid = test_script_value(env, "S3_PID");

	s->port = (unsigned)strtoul(port, NULL, 10);
	s->pid = (int)strtol(pid, NULL, 10);
	s->endpoint = test_script_value(env, "S3_ENDPOINT");
	s->region = test_script_value(env, "S3_REGION");
	s->access_key = test_script_value(env, "S3_ACCESS_KEY");
	s->secret_key = test_script_value(env, "S3_SECRET_KEY");
	if (strstr(buf_str(env), "S3_CA="))
		s->ca = test_script_value(env, "S3_CA");
	CHECK(!setenv("AWS_ACCESS_KEY_ID", s->access_key, 1) && !setenv("AWS_SECRET_ACCESS_KEY", s->secret_key, 1));
}

void s3_test_server_share(struct s3_test_server *s, bool moto)
{
	CLEANUP(buf_release) struct buf env = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	*s = (struct s3_test_server){.script = SCRIPT(moto), .watch = -1};
	s->dir = test_server_shared_folder(s->script, moto ? "moto" : "s3");
	if (test_script((const char *const[]){s->script, "env", s->dir, NULL}, &env, &err)) {
		buf_clear(&env);
		test_server_watch_run(s->script, s->dir);
		launch(s, false, &env);
	}
	reach(s, &env);
}

void s3_test_server_start(struct s3_test_server *s, bool moto, bool tls)
{
	CLEANUP(buf_release) struct buf env = BUF_INIT;

	*s = (struct s3_test_server){.script = SCRIPT(moto)};
	s->dir = test_server_folder(s->script, moto ? "moto" : "s3");
	s->watch = test_server_watch(s->script, s->dir);
	launch(s, tls, &env);
	reach(s, &env);
}

char *s3_test_bucket(const struct s3_test_server *s, const char *options)
{
	static unsigned number;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(cstr_release) char *name = xasprintf("bucket-%d-%u", (int)getpid(), number++);

	CHECK_OK(test_script((const char *const[]){s->script, "bucket", s->dir, name, options, NULL}, &out, &err), err);
	return xasprintf("s3://%s?endpoint=%s&region=%s&path_style=1", name, s->endpoint, s->region);
}

enum status s3_test_try_open(struct run *run, const char *url, struct storage *s, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;
	struct s3_params params = {0};

	CHECK_OK(settings_defaults(storage_s3.settings, &params, err), *err);
	CHECK_OK(url_parse(url, &u, err), *err);
	for (size_t i = 0; i < u.params; i++) {
		const struct setting *row = setting_find(storage_s3.settings, SCOPE_STORE, u.param[i].key, NULL);

		CHECK(row);
		CHECK_OK(setting_parse(row, u.param[i].value, &params, err), *err);
	}
	CLEANUP(cstr_release) char *bare = xstrndup(url, strcspn(url, "?"));
	enum status st = storage_open(run, &storage_s3, bare, &params, s, err);
	settings_release(storage_s3.settings, &params);
	return st;
}

void s3_test_open(struct run *run, const char *url, struct storage *s)
{
	struct error err = ERROR_INIT;

	CHECK_OK(s3_test_try_open(run, url, s, &err), err);
}

void s3_test_server_release(struct s3_test_server *s)
{
	if (s->watch >= 0)
		close(s->watch);
	free(s->dir);
	free(s->endpoint);
	free(s->region);
	free(s->access_key);
	free(s->secret_key);
	free(s->ca);
	*s = (struct s3_test_server){.watch = -1};
}
