/* The places of access keys in their order, and those that need no request: settings and environment. */
#include "storage/s3/keys_internal.h"

const char *s3_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

void s3_keys_release(struct s3_keys *k)
{
	secret_text_release(&k->id);
	secret_text_release(&k->secret);
	secret_text_release(&k->token);
	*k = (struct s3_keys)S3_KEYS_INIT;
}

/* What goes into a header and into a signature. */
static bool is_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 127)
			return false;
	return true;
}

enum status s3_keys_take(struct s3_keys *to, const char *what, char *text[3], struct error *err)
{
	static const char *const names[] = {"access key", "secret key", "session token"};
	struct s3_keys k = {.id = text[0], .secret = text[1], .token = text[2], .expires = to->expires};
	enum status st = ST_OK;

	for (size_t i = 0; i < ARRAY_LEN(names) && !st; i++)
		if (i < 2 && (!text[i] || !*text[i]))
			st = error_set(err, ST_CONFIG, "%s: the %s is missing", what, names[i]);
		else if (text[i] && !is_clean(text[i]))
			st = error_set(err, ST_CONFIG, "%s: the %s has a blank, a line break or another byte that no key has", what,
				       names[i]);
	if (st) {
		s3_keys_release(&k);
		return st;
	}
	if (k.token && !*k.token)
		cstr_release(&k.token);
	s3_keys_release(to);
	*to = k;
	return ST_OK;
}

static char *copy(const char *s) { return s ? xstrdup(s) : NULL; }

enum status s3_secret_json(const struct buf *text, const char *what, json_t **root, struct error *err)
{
	if (js_parse(buf_str(text), text->len, what, root, err) || !json_is_object(*root))
		return error_set(err, ST_BAD, "%s: the answer is no JSON object", what);
	return ST_OK;
}

enum status s3_keys_from_json(struct s3_keys *to, const char *what, const json_t *root, struct error *err)
{
	const char *token = js_opt_str(root, "SessionToken", js_opt_str(root, "Token", NULL));
	const char *expires = js_opt_str(root, "Expiration", NULL);
	struct s3_keys k = S3_KEYS_INIT;
	char *text[] = {copy(js_opt_str(root, "AccessKeyId", NULL)), copy(js_opt_str(root, "SecretAccessKey", NULL)), copy(token)};

	if (s3_keys_take(&k, what, text, err))
		return err->code;
	if (expires && instant_parse(expires, &k.expires, err)) {
		s3_keys_release(&k);
		return error_add(err, "%s: Expiration", what);
	}
	s3_keys_release(to);
	*to = k;
	return ST_OK;
}

static enum status look_settings(struct s3_look *look, struct error *err)
{
	const struct s3_key_params *p = look->params;
	char *text[3] = {NULL};

	if (!secret_set(&p->access_key) && !secret_set(&p->secret_key))
		return error_set(err, ST_NOT_FOUND, "access_key is not set");
	if (!secret_set(&p->access_key) || !secret_set(&p->secret_key))
		return error_set(err, ST_CONFIG, "%s is set and %s is not", secret_set(&p->access_key) ? "access_key" : "secret_key",
				 secret_set(&p->access_key) ? "secret_key" : "access_key");
	if (secret_read(look->run, &p->access_key, &text[0], err) || secret_read(look->run, &p->secret_key, &text[1], err) ||
	    secret_read(look->run, &p->session_token, &text[2], err)) {
		for (size_t i = 0; i < ARRAY_LEN(text); i++)
			secret_text_release(&text[i]);
		return err->code;
	}
	look->place = xstrdup("the settings of the store");
	return s3_keys_take(look->keys, "access_key, secret_key", text, err);
}

/* The value of a variable, or the first line of the file that NAME_FILE names. *to NULL: neither is set. */
static enum status variable(struct s3_look *look, const char *name, char **to, struct error *err)
{
	CLEANUP(cstr_release) char *file_name = xasprintf("%s_FILE", name);
	const char *value = s3_env(name), *file = s3_env(file_name);

	if (value && file)
		return error_set(err, ST_CONFIG, "both %s and %s are set", name, file_name);
	if (value) {
		*to = xstrdup(value);
	} else if (file) {
		CLEANUP(cstr_release) char *path = xstrdup(file);
		struct secret s = {.file = path};

		if (secret_read(look->run, &s, to, err))
			return error_add(err, "%s", file_name);
	}
	return ST_OK;
}

enum status s3_look_environment(struct s3_look *look, struct error *err)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"};
	char *text[3] = {NULL};
	enum status st = ST_OK;

	for (size_t i = 0; i < ARRAY_LEN(names) && !st; i++)
		st = variable(look, names[i], &text[i], err);
	if (!st && !text[0] && !text[1])
		st = error_set(err, ST_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
	else if (!st && (!text[0] || !text[1]))
		st = error_set(err, ST_CONFIG, "%s is set and %s is not", names[!text[0]], names[text[0] != NULL]);
	if (st) {
		for (size_t i = 0; i < ARRAY_LEN(text); i++)
			secret_text_release(&text[i]);
		return st;
	}
	look->place = xstrdup("the environment");
	return s3_keys_take(look->keys, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN", text, err);
}

enum status s3_look_web_identity(struct s3_look *look, struct error *err)
{
	struct s3_role role = {
		.arn = s3_env("AWS_ROLE_ARN"),
		.session = s3_env("AWS_ROLE_SESSION_NAME"),
		.token_file = s3_env("AWS_WEB_IDENTITY_TOKEN_FILE"),
	};

	if (!role.token_file)
		return error_set(err, ST_NOT_FOUND, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
	if (!role.arn)
		return error_set(err, ST_CONFIG, "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
	look->place = xasprintf("web identity, role %s", role.arn);
	return s3_assume_with_web_identity(look, &role, err);
}

static const struct s3_key_place places[] = {
	{"settings", false, look_settings},
	{"environment", true, s3_look_environment},
	{"web identity", true, s3_look_web_identity},
	{"profile", false, s3_look_profile},
	{"container", true, s3_look_container},
	{"instance metadata", true, s3_look_instance},
};

enum status s3_look_everywhere(struct s3_look *look, struct error *err)
{
	CLEANUP(buf_release) struct buf seen = BUF_INIT;
	bool profile_only = look->params->profile && *look->params->profile;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		CLEANUP(error_release) struct error e = ERROR_INIT;

		if (profile_only && places[i].ambient)
			continue;
		if (!places[i].look(look, &e))
			return ST_OK;
		cstr_release(&look->place);
		if (e.code != ST_NOT_FOUND) {
			error_add(&e, "access keys: %s", places[i].name);
			if (seen.len && e.code != ST_CANCELLED)
				error_set(err, e.code, "%s (before it: %s)", error_text(&e), buf_str(&seen));
			else
				return error_move(err, &e);
			if (e.hint)
				error_hint(err, "%s", e.hint);
			err->retry = e.retry;
			error_native(err, e.native);
			return err->code;
		}
		buf_printf(&seen, "%s%s: %s", seen.len ? "; " : "", places[i].name, error_text(&e));
	}
	error_set(err, ST_CONFIG, "no access keys were found; looked at %s", buf_str(&seen));
	return error_hint(err, "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or access_key_file and secret_key_file of the store.");
}
