/* The output of a profile's credential_process. */
#include "storage/s3/keys_internal.h"
#include "util/process.h"

#include <unistd.h>

enum { OUTPUT_MAX = 64 * 1024 };

/* What such programs are configured by, beside their own files in HOME. Secrets of the environment are not among it. */
static bool is_passed_on(const char *variable)
{
	static const char *const prefixes[] = {"AWS_", "XDG_", "http_proxy=", "https_proxy=", "no_proxy=", "HTTP_PROXY=",
					       "HTTPS_PROXY=", "NO_PROXY=", "SSL_CERT_FILE=", "SSL_CERT_DIR=", "USER="};

	if (!strncmp(variable, "AWS_SECRET_ACCESS_KEY=", 22) || !strncmp(variable, "AWS_SESSION_TOKEN=", 18) ||
	    !strncmp(variable, "AWS_CONTAINER_AUTHORIZATION_TOKEN=", 34))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (!strncmp(variable, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static enum status capture(struct run *run, const char *command, struct buf *out, struct error *err)
{
	CLEANUP(strlist_release) struct strlist words = STRLIST_INIT, env = STRLIST_INIT;
	struct run limited = run_within(run, DURATION_SECONDS(60));

	if (command_words(command, &words, err))
		return err->code;
	for (char **e = environ; e && *e; e++)
		if (is_passed_on(*e))
			strlist_add(&env, *e);
	strlist_take(&words, NULL);
	strlist_take(&env, NULL);

	struct process_spec spec = {
		.argv = (const char *const *)words.item,
		.env = (const char *const *)env.item,
		.in = -1,
		.out = -1,
	};

	/* All it can need: nothing of it stays behind in memory that grew. */
	buf_reserve(out, OUTPUT_MAX);
	if (process_capture(&limited, &spec, OUTPUT_MAX, out, err))
		return error_add(err, "%s", words.item[0]);
	return ST_OK;
}

enum status s3_look_process(struct s3_look *look, const char *command, struct error *err)
{
	CLEANUP(wiped_release) struct buf out = BUF_INIT;
	CLEANUP(js_decref) json_t *root = NULL;

	if (capture(look->run, command, &out, err)) {
		if (err->code == ST_NOT_FOUND || err->code == ST_FAILED)
			err->code = ST_AUTH;
		return error_add(err, "credential_process");
	}
	if (s3_secret_json(&out, "credential_process", &root, err))
		return err->code;
	if (js_opt_u64(root, "Version", 1) != 1)
		return error_set(err, ST_UNSUPPORTED, "credential_process: its answer is not of version 1");
	return s3_keys_from_json(look->keys, "credential_process", root, err);
}
