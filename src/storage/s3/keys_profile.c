/* The keys of a shared profile: static ones, those of a program, or those of a role that another profile or place may assume. */
#include "storage/s3/keys_internal.h"

enum { CHAIN_MAX = 8 };

struct chain {
	struct s3_look *look;
	const struct s3_profiles *files;
	const char *profile[CHAIN_MAX]; /* the way so far */
	size_t len;
};

static enum status resolve(struct chain *c, const char *profile, struct error *err);

static const char *get(const struct chain *c, const char *key) { return s3_profile_get(c->files, c->profile[c->len - 1], key); }

static enum status take_static(struct chain *c, struct error *err)
{
	static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
	char *text[3];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = get(c, names[i]);

		text[i] = value ? xstrdup(value) : NULL;
	}
	return s3_keys_take(c->look->keys, "aws_access_key_id, aws_secret_access_key", text, err);
}

/* The keys of another place that a role is assumed with. */
static enum status of_credential_source(struct chain *c, const char *source, struct error *err)
{
	static const struct {
		const char *name;
		enum status (*look)(struct s3_look *look, struct error *err);
	} known[] = {
		{"Environment", s3_look_environment},
		{"EcsContainer", s3_look_container},
		{"Ec2InstanceMetadata", s3_look_instance},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcasecmp(source, known[i].name)) {
			enum status st = known[i].look(c->look, err);

			cstr_release(&c->look->place);
			if (st == ST_NOT_FOUND)
				err->code = ST_CONFIG;
			return st ? error_add(err, "credential_source %s", source) : ST_OK;
		}
	return error_set(err, ST_CONFIG, "credential_source '%s' is none of Environment, EcsContainer and Ec2InstanceMetadata", source);
}

/* The keys that may assume the role of the last profile. */
static enum status keys_of_source(struct chain *c, struct error *err)
{
	const char *source = get(c, "source_profile"), *place = get(c, "credential_source");

	if (source && place)
		return error_set(err, ST_CONFIG, "both source_profile and credential_source are set");
	if (place)
		return of_credential_source(c, place, err);
	if (!source)
		return error_set(err, ST_CONFIG, "role_arn needs source_profile, credential_source or web_identity_token_file");
	if (!strcmp(source, c->profile[c->len - 1]))
		return take_static(c, err);
	return resolve(c, source, err);
}

static enum status assume(struct chain *c, struct error *err)
{
	struct s3_role role = {
		.arn = get(c, "role_arn"),
		.session = get(c, "role_session_name"),
		.external_id = get(c, "external_id"),
		.duration = get(c, "duration_seconds"),
		.token_file = get(c, "web_identity_token_file"),
		.endpoint = get(c, "endpoint_url"),
	};

	if (role.token_file)
		return s3_assume_with_web_identity(c->look, &role, err);
	if (get(c, "mfa_serial")) {
		error_set(err, ST_UNSUPPORTED, "mfa_serial: a role that wants a code of a device cannot be assumed at night");
		return error_hint(err, "Give the backup a role or a key without mfa_serial.");
	}
	if (keys_of_source(c, err))
		return err->code;

	struct s3_keys with = *c->look->keys;

	*c->look->keys = (struct s3_keys)S3_KEYS_INIT;
	enum status st = s3_assume_role(c->look, &role, &with, err);

	s3_keys_release(&with);
	return st;
}

static enum status nothing_there(const struct chain *c, struct error *err)
{
	static const char *const sso[] = {"sso_session", "sso_start_url", "sso_account_id", "login_session"};
	const char *profile = c->profile[c->len - 1];

	for (size_t i = 0; i < ARRAY_LEN(sso); i++)
		if (get(c, sso[i])) {
			error_set(err, ST_UNSUPPORTED, "%s: the login of a person in a browser is nothing that a backup can use", sso[i]);
			return error_hint(err, "To try something out, make another profile with credential_process = aws configure "
					  "export-credentials --profile '%s' --format process.", profile);
		}
	return error_set(err, c->len > 1 ? ST_CONFIG : ST_NOT_FOUND,
			 "it has no aws_access_key_id, credential_process, role_arn or web_identity_token_file");
}

/* The first profile assumes its role even where it has keys of its own; one that is a source gives these. */
static enum status of_last(struct chain *c, struct error *err)
{
	const char *role = get(c, "role_arn"), *process = get(c, "credential_process");
	bool has_keys = get(c, "aws_access_key_id") || get(c, "aws_secret_access_key");

	if (role && (c->len == 1 || !has_keys))
		return assume(c, err);
	if (has_keys)
		return take_static(c, err);
	return process ? s3_look_process(c->look, process, err) : nothing_there(c, err);
}

static enum status resolve(struct chain *c, const char *profile, struct error *err)
{
	for (size_t i = 0; i < c->len; i++)
		if (!strcmp(c->profile[i], profile))
			return error_set(err, ST_CONFIG, "source_profile leads back to '%s'", profile);
	if (c->len == CHAIN_MAX)
		return error_set(err, ST_CONFIG, "more than %d profiles lead to each other by source_profile", CHAIN_MAX);
	if (c->len && !s3_profile_exists(c->files, profile))
		return error_set(err, ST_CONFIG, "source_profile '%s' does not exist", profile);
	c->profile[c->len++] = profile;
	return of_last(c, err) ? error_add(err, "profile '%s'", profile) : ST_OK;
}

enum status s3_look_profile(struct s3_look *look, struct error *err)
{
	CLEANUP(s3_profiles_release) struct s3_profiles files = S3_PROFILES_INIT;
	bool asked_for;
	const char *name = s3_profile_name(look->params->profile, &asked_for);
	struct chain c = {.look = look, .files = &files};

	s3_profiles_read(&files);
	if (s3_profile_check(&files, name, asked_for, err))
		return err->code;
	if (resolve(&c, name, err)) {
		if (err->code == ST_NOT_FOUND && asked_for && look->params->profile)
			err->code = ST_CONFIG;
		return err->code;
	}
	cstr_release(&look->place);
	look->place = xasprintf("the profile %s", name);
	return ST_OK;
}
