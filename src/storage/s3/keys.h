/* Access keys for S3, found where AWS' own tools look for them, and replaced before they end.
 *
 *	s3_keychain_new, then for each request: s3_keys_get, sign, s3_keys_release
 *
 * In this order: the settings of the store, the environment, web identity, the shared profile, the container's endpoint, the
 * instance's metadata. A place that is not set up is passed over; one that is and fails ends the search, because keys of another
 * place would be those of somebody else. No text of an error holds a secret. */
#ifndef STORAGE_S3_KEYS_H
#define STORAGE_S3_KEYS_H

#include "core/secret.h"
#include "core/tls_mode.h"

struct s3_keys {
	char *id, *secret;
	char *token;            /* of the session; NULL: none */
	struct instant expires; /* INSTANT_NONE: they do not end by themselves */
	uint64_t look;          /* which look at the places gave them; for s3_keys_refused */
};
#define S3_KEYS_INIT {0}
void s3_keys_release(struct s3_keys *k); /* overwrites */

/* What the settings of a store say. All may be unset. Borrowed while the keychain lives. */
struct s3_key_params {
	struct secret access_key, secret_key, session_token;
	const char *profile; /* NULL: AWS_PROFILE, else "default"; given here, the environment's keys and role are not looked at */
	const char *region;  /* for STS; NULL: as s3_surroundings says */
	/* For an STS that AWS_ENDPOINT_URL_STS or AWS_ENDPOINT_URL names; AWS' own is always verified. */
	enum tls_mode tls;
	const char *ca; /* NULL: as s3_surroundings says */
};

/* Any thread, several at once. */
struct s3_keychain;
struct s3_keychain *s3_keychain_new(const struct s3_key_params *params);
void s3_keychain_freep(struct s3_keychain **c); /* nobody is inside; NULL is fine */

/* The keys now, a copy of the caller's. From five minutes before their end one thread looks again while the others go on with those
 * they have; only without valid ones do they wait for it. ST_CONFIG: no place has keys, or one is set up wrongly; ST_AUTH: STS, the
 * container's endpoint or the metadata refused; ST_UNREACHABLE. The text lists the places looked at and why they gave nothing. */
enum status s3_keys_get(struct run *run, struct s3_keychain *c, struct s3_keys *to, struct error *err) MUST_CHECK;
/* The store refused the keys (ExpiredToken, InvalidAccessKeyId, InvalidToken, SignatureDoesNotMatch): they are not given again without another look at
 * the place. True: there may be others now, one more attempt is worth it; false: the look after the last refusal gave the same. */
bool s3_keys_refused(struct s3_keychain *c, const struct s3_keys *used);
/* Where the last keys came from, "the profile backup"; for messages. Owned by the caller; NULL: none were found yet. */
char *s3_keys_place(struct s3_keychain *c);

/* What the environment and the profile say about the store itself: AWS_REGION, AWS_DEFAULT_REGION, the profile's region;
 * AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's endpoint_url; AWS_CA_BUNDLE, the profile's ca_bundle. NULL where nobody says. */
struct s3_surroundings {
	char *region, *endpoint, *ca_file;
};
#define S3_SURROUNDINGS_INIT {0}
/* profile: as in s3_key_params. A profile that does not exist is ST_CONFIG only where it was asked for by name. */
enum status s3_surroundings_read(const char *profile, struct s3_surroundings *to, struct error *err) MUST_CHECK;
void s3_surroundings_release(struct s3_surroundings *s);

#endif
