/* What the store can, found by trying: a server that does not know a condition ignores it without a word. */
#include "storage/s3/internal.h"

#define PROBE_TEXT "drtool tries on this object whether the store heeds conditions.\n"
#define NO_ETAG "\"00000000000000000000000000000000\""

/* Puts the probe with a condition. *refused: the store heeded it. */
static enum status try_condition(struct run *run, struct s3 *s, const char *header, const char *value, bool *refused, struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	const struct s3_request q = {.method = "PUT", .doing = "try conditions", .key = PROBE_KEY, .headers = &headers,
				     .body = PROBE_TEXT, .n = strlen(PROBE_TEXT), .sum = S3_SUM_BODY};

	*refused = false;
	http_headers_add(&headers, header, "%s", value);
	if (!s3_do(run, s, &q, err))
		return ST_OK;
	*refused = err->code == ST_PRECONDITION;
	/* A store that knows no conditions, or gives no right to write: then none is believed. */
	if (*refused || err->code == ST_IO || err->code == ST_DENIED || err->code == ST_NOT_FOUND)
		error_release(err);
	return err->code;
}

static enum status probe(struct run *run, struct s3 *s, struct error *err)
{
	bool absent, matches = false;

	/* The first may be the one that makes the object. */
	if (try_condition(run, s, "If-None-Match", "*", &absent, err) ||
	    (!absent && try_condition(run, s, "If-None-Match", "*", &absent, err)) ||
	    (absent && try_condition(run, s, "If-Match", NO_ETAG, &matches, err)))
		return err->code;
	s->absent = absent ? S3_YES : S3_NO;
	s->matches = matches ? S3_YES : S3_NO;
	return ST_OK;
}

enum status s3_conditions(struct run *run, struct s3 *s, bool *absent, bool *matches, struct error *err)
{
	mutex_lock(&s->mutex);
	enum status st = s->absent == S3_UNKNOWN ? probe(run, s, err) : ST_OK;
	*absent = s->absent == S3_YES;
	*matches = s->matches == S3_YES;
	mutex_unlock(&s->mutex);
	return st;
}

static enum status look_at_versions(struct run *run, struct s3 *s, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(cstr_release) char *state = NULL;
	const struct s3_param param = {"versioning", NULL};
	const struct s3_request q = {.method = "GET", .doing = "look whether it keeps versions", .param = &param, .params = 1};

	if (s3_send(run, s, &q, &a, err)) {
		/* Without the right to ask, or where the server does not know the question: as without versions. */
		if (err->code != ST_DENIED && err->code != ST_IO && err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err);
	} else if (s3_xml_one(buf_str(&a.body), a.body.len, "Status", &state, err)) {
		error_release(err);
	}
	s->versions = state && (!strcmp(state, "Enabled") || !strcmp(state, "Suspended")) ? S3_YES : S3_NO;
	return ST_OK;
}

enum status s3_versioned(struct run *run, struct s3 *s, bool *versioned, struct error *err)
{
	mutex_lock(&s->mutex);
	enum status st = s->versions == S3_UNKNOWN ? look_at_versions(run, s, err) : ST_OK;
	*versioned = s->versions == S3_YES;
	mutex_unlock(&s->mutex);
	return st;
}

enum status s3_caps(struct run *run, void *priv, uint32_t *caps, struct error *err)
{
	bool absent, matches, versioned;

	*caps = 0;
	if (s3_conditions(run, priv, &absent, &matches, err) || s3_versioned(run, priv, &versioned, err))
		return err->code;
	*caps = (absent ? STORAGE_ABSENT : 0u) | (matches ? STORAGE_MATCHES : 0u) | (versioned ? STORAGE_VERSIONS : 0u);
	return ST_OK;
}

/* Whether the bucket was made with object lock; false also where that cannot be asked. */
static bool can_lock(struct run *run, struct s3 *s)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(cstr_release) char *state = NULL;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	const struct s3_param param = {"object-lock", NULL};
	const struct s3_request q = {.method = "GET", .doing = "look at its object lock", .param = &param, .params = 1};

	return !s3_send(run, s, &q, &a, &ignored) &&
	       !s3_xml_one(buf_str(&a.body), a.body.len, "ObjectLockEnabled", &state, &ignored) && state &&
	       !strcmp(state, "Enabled");
}

enum status s3_remarks(struct run *run, void *priv, struct strlist *to, struct error *err)
{
	CLEANUP(cstr_release) char *keys = NULL;
	struct s3 *s = priv;
	uint32_t caps;

	if (s3_caps(run, s, &caps, err))
		return err->code;
	keys = s3_keys_place(s->keys);
	if (keys)
		strlist_take(to, xasprintf("access keys from %s", keys));
	strlist_add(to, caps & STORAGE_MATCHES ? "heeds conditions: locks are atomic"
					       : "does not heed conditions: locks are taken the slow way (see the guide)");
	strlist_add(to, caps & STORAGE_VERSIONS ? "keeps versions: what is deleted can be brought back while they last"
						: "keeps no versions, or gives no right to ask");
	if (s->params.object_lock.us && !can_lock(run, s))
		strlist_add(to, "object_lock is set, but the bucket does not say that it was made with object lock: backups will be refused if it was not");
	return ST_OK;
}
