/* The shared configuration and credentials files of AWS' tools. */
#include "storage/s3/keys_internal.h"
#include "util/fs.h"

enum { FILE_MAX = 1024 * 1024 };

/* "~/x" as a path; NULL where it begins so and no home folder is known. Owned by the caller. */
static char *expand_home(const char *path)
{
	const char *home = s3_env("HOME");

	if (strncmp(path, "~/", 2))
		return xstrdup(path);
	return home ? path_join(home, path + 2) : NULL;
}

static void read_one(const char *variable, const char *usual, char **path, struct ini *ini, struct error *err)
{
	CLEANUP(wiped_release) struct buf text = BUF_INIT;
	const char *given = s3_env(variable);

	*path = expand_home(given ? given : usual);
	if (!*path) {
		error_set(err, ST_NOT_FOUND, "%s is not known: HOME is not set", given ? given : usual);
		return;
	}
	if (!fs_exists(*path))
		error_set(err, ST_NOT_FOUND, "%s does not exist", *path);
	else if (!fs_read_file(*path, FILE_MAX, &text, err))
		/* What it fails with stays in the error. */
		(void)!ini_parse(buf_str(&text), text.len, *path, ini, err);
}

void s3_profiles_read(struct s3_profiles *to)
{
	read_one("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", &to->credentials_path, &to->credentials, &to->credentials_error);
	read_one("AWS_CONFIG_FILE", "~/.aws/config", &to->config_path, &to->config, &to->config_error);
}

void s3_profiles_release(struct s3_profiles *p)
{
	cstr_release(&p->config_path);
	cstr_release(&p->credentials_path);
	ini_release(&p->config);
	ini_release(&p->credentials);
	error_release(&p->config_error);
	error_release(&p->credentials_error);
}

const char *s3_profile_name(const char *from_settings, bool *asked_for)
{
	const char *name = from_settings && *from_settings ? from_settings : s3_env("AWS_PROFILE");

	if (!name)
		name = s3_env("AWS_DEFAULT_PROFILE");
	*asked_for = name != NULL;
	return name ? name : "default";
}

bool s3_profile_exists(const struct s3_profiles *p, const char *profile)
{
	CLEANUP(cstr_release) char *section = xasprintf("profile %s", profile);

	return strlist_has(&p->credentials.sections, profile) || strlist_has(&p->config.sections, section) ||
	       (!strcmp(profile, "default") && strlist_has(&p->config.sections, profile));
}

const char *s3_profile_get(const struct s3_profiles *p, const char *profile, const char *key)
{
	CLEANUP(cstr_release) char *section = xasprintf("profile %s", profile);
	const char *value = ini_get(&p->credentials, profile, key);

	if (!value)
		value = ini_get(&p->config, section, key);
	if (!value && !strcmp(profile, "default"))
		value = ini_get(&p->config, profile, key);
	return value && *value ? value : NULL;
}

static bool unreadable(const struct error *e) { return e->code && e->code != ST_NOT_FOUND; }

enum status s3_profile_check(const struct s3_profiles *p, const char *profile, bool asked_for, struct error *err)
{
	const struct error *wrong = unreadable(&p->credentials_error) ? &p->credentials_error : &p->config_error;

	if (unreadable(wrong))
		return error_set(err, wrong->code, "%s", error_text(wrong));
	if (s3_profile_exists(p, profile))
		return ST_OK;
	error_set(err, asked_for ? ST_CONFIG : ST_NOT_FOUND, "no profile '%s': %s%s, %s%s", profile,
		  p->credentials_error.code ? error_text(&p->credentials_error) : p->credentials_path,
		  p->credentials_error.code ? "" : " does not have it",
		  p->config_error.code ? error_text(&p->config_error) : p->config_path, p->config_error.code ? "" : " does not have it");
	return err->code;
}

/* "s3.endpoint_url" of the profile's [services NAME], unless the profile says that configured endpoints are not meant. */
static const char *service_endpoint(const struct s3_profiles *p, const char *profile)
{
	const char *services = s3_profile_get(p, profile, "services"), *value = NULL;

	if (services) {
		CLEANUP(cstr_release) char *section = xasprintf("services %s", services);

		value = ini_get(&p->config, section, "s3.endpoint_url");
	}
	return value && *value ? value : s3_profile_get(p, profile, "endpoint_url");
}

static bool is_true(const char *s) { return s && !strcasecmp(s, "true"); }

static const char *env_or(const char *first, const char *second)
{
	const char *value = s3_env(first);

	return value ? value : s3_env(second);
}

static void fill(char **to, const char *value)
{
	if (!*to && value)
		*to = xstrdup(value);
}

enum status s3_surroundings_read(const char *profile, struct s3_surroundings *to, struct error *err)
{
	CLEANUP(s3_profiles_release) struct s3_profiles files = S3_PROFILES_INIT;
	bool asked_for, ignore = is_true(s3_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"));
	const char *name = s3_profile_name(profile, &asked_for);

	fill(&to->region, env_or("AWS_REGION", "AWS_DEFAULT_REGION"));
	fill(&to->endpoint, ignore ? NULL : env_or("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"));
	fill(&to->ca_file, s3_env("AWS_CA_BUNDLE"));
	s3_profiles_read(&files);
	if (s3_profile_check(&files, name, asked_for, err)) {
		if (asked_for)
			return err->code;
		error_release(err);
		return ST_OK;
	}
	ignore = ignore || is_true(s3_profile_get(&files, name, "ignore_configured_endpoint_urls"));
	fill(&to->region, s3_profile_get(&files, name, "region"));
	fill(&to->endpoint, ignore ? NULL : service_endpoint(&files, name));
	fill(&to->ca_file, s3_profile_get(&files, name, "ca_bundle"));
	return ST_OK;
}

void s3_surroundings_release(struct s3_surroundings *s)
{
	cstr_release(&s->region);
	cstr_release(&s->endpoint);
	cstr_release(&s->ca_file);
}
