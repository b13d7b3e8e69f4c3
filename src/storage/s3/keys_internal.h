/* What the files that look for access keys share. One look belongs to one thread. */
#ifndef STORAGE_S3_KEYS_INTERNAL_H
#define STORAGE_S3_KEYS_INTERNAL_H

#include "storage/s3/ini.h"
#include "storage/s3/keys.h"
#include "util/json.h"

/* One look at the places, in order. */
struct s3_look {
	struct run *run;
	const struct s3_key_params *params;
	struct s3_keys *keys;     /* what was found */
	char *place;              /* and where, owned */
};

/* A place: OK with look->keys filled; ST_NOT_FOUND: not set up here, the text says why; any other failure ends the search. */
struct s3_key_place {
	const char *name;
	bool ambient; /* not looked at where the settings name a profile */
	enum status (*look)(struct s3_look *look, struct error *err);
};

/* The first place that gives keys. */
enum status s3_look_everywhere(struct s3_look *look, struct error *err) MUST_CHECK;

/* NULL where the variable is not set or empty. Borrowed. */
const char *s3_env(const char *name);

/* Takes the three texts, which are owned (token may be NULL), into to. ST_CONFIG where one is missing or has bytes that no key has: `what` names
 * where they are from. */
enum status s3_keys_take(struct s3_keys *to, const char *what, char *text[3], struct error *err) MUST_CHECK;
/* JSON that holds secrets: ST_BAD without a word of it. */
enum status s3_secret_json(const struct buf *text, const char *what, json_t **root, struct error *err) MUST_CHECK;
/* An answer of the metadata, the container's endpoint or a credential_process: AccessKeyId, SecretAccessKey, Token or SessionToken,
 * Expiration. */
enum status s3_keys_from_json(struct s3_keys *to, const char *what, const json_t *root, struct error *err) MUST_CHECK;

/* profile_file.c: the two shared files */
struct s3_profiles {
	char *config_path, *credentials_path; /* NULL: no home folder is known */
	struct ini config, credentials;
	struct error config_error, credentials_error; /* why a file could not be read; OK: it was */
};
#define S3_PROFILES_INIT {0}
/* A file that is absent or wrong is noted in *to only. */
void s3_profiles_read(struct s3_profiles *to);
void s3_profiles_release(struct s3_profiles *p);
bool s3_profile_exists(const struct s3_profiles *p, const char *profile);
/* NULL where neither file has it. Borrowed. */
const char *s3_profile_get(const struct s3_profiles *p, const char *profile, const char *key);
/* ST_NOT_FOUND where nothing names the profile and it does not exist, with the files that were looked at; ST_CONFIG where it was
 * asked for by name; the file's own error where it could not be read. */
enum status s3_profile_check(const struct s3_profiles *p, const char *profile, bool asked_for, struct error *err) MUST_CHECK;
/* The name that is meant; *asked_for: somebody gave it. Borrowed. */
const char *s3_profile_name(const char *from_settings, bool *asked_for);

/* the places */
enum status s3_look_profile(struct s3_look *look, struct error *err) MUST_CHECK;
enum status s3_look_environment(struct s3_look *look, struct error *err) MUST_CHECK;
enum status s3_look_web_identity(struct s3_look *look, struct error *err) MUST_CHECK;
enum status s3_look_container(struct s3_look *look, struct error *err) MUST_CHECK;
enum status s3_look_instance(struct s3_look *look, struct error *err) MUST_CHECK;

/* keys_process.c: the output of a profile's credential_process */
enum status s3_look_process(struct s3_look *look, const char *command, struct error *err) MUST_CHECK;

/* keys_sts.c: the keys of a role */
struct s3_role {
	const char *arn;
	const char *session;      /* NULL: one is made up */
	const char *external_id;  /* NULL: none */
	const char *duration;     /* seconds as text; NULL: what STS gives */
	const char *token_file;   /* web identity */
	const char *endpoint;     /* what the profile says, where the environment does not; NULL: that of AWS */
};
enum status s3_assume_with_web_identity(struct s3_look *look, const struct s3_role *role, struct error *err) MUST_CHECK;
/* with: the keys that may assume it */
enum status s3_assume_role(struct s3_look *look, const struct s3_role *role, const struct s3_keys *with, struct error *err) MUST_CHECK;

#endif
