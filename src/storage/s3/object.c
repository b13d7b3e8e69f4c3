/* Reading one object. */
#include "storage/s3/internal.h"

#define WHOLE_TRIES 4
#define GET_TRIES 3
#define HEAD_TRIES 3

/* HEAD answers say no more than a number, which a gateway without a server behind it gives too: whether the object, the bucket or only the store is not
 * there, and why something is refused, is asked again in a way that has a body. err holds the failure and is replaced where more is known; *there: the
 * object can be read, whatever HEAD said. */
static enum status explain(struct run *run, struct s3 *s, const char *key, bool *there, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	CLEANUP(error_release) struct error more = ERROR_INIT;
	const struct s3_request q = {.method = "GET", .doing = "read", .key = key, .headers = &headers};

	if (err->code != ST_NOT_FOUND && err->code != ST_DENIED && err->code != ST_IO)
		return err->code;
	http_headers_add(&headers, "Range", "bytes=0-0");
	/* 416: it has no byte. */
	*there = !s3_send(run, s, &q, &a, &more) || a.status == 416;
	if (*there && err->code == ST_NOT_FOUND)
		error_set(err, ST_UNREACHABLE, "%s: the store says that it does not exist, and gives its bytes", key);
	if (*there)
		return err->code;
	error_release(err);
	return error_move(err, &more);
}

static enum status object_of(const struct http_answer *a, const char *key, struct storage_object *o, struct error *err)
{
	const char *etag = http_headers_get(&a->headers, "etag"), *modified = http_headers_get(&a->headers, "last-modified");
	const char *length = http_headers_get(&a->headers, "content-length");
	char *end = NULL;

	*o = (struct storage_object){0};
	if (length)
		o->size = strtoull(length, &end, 10);
	if (!etag || !length || *length < '0' || *length > '9' || *end)
		return error_set(err, ST_IO, "%s: the store's answer has no ETag or no length", key);
	s3_token(etag, o->token);
	o->modified = modified ? http_date(modified) : INSTANT_NONE;
	return ST_OK;
}

enum status s3_head(struct run *run, struct s3 *s, const char *key, const char *version, struct http_answer *a, struct storage_object *o,
		    struct error *err)
{
	const struct s3_param id = {"versionId", version};
	const struct s3_request q = {.method = "HEAD", .doing = "look at it", .key = key, .param = &id, .params = version ? 1 : 0,
				     .sum = S3_SUM_ASK};

	for (int i = 0; i < HEAD_TRIES; i++) {
		bool there = false;

		error_release(err);
		if (!s3_send(run, s, &q, a, err))
			return object_of(a, key, o, err);
		/* What was made meanwhile is there when it is asked for again. */
		if (version || explain(run, s, key, &there, err) != ST_UNREACHABLE || !there)
			return err->code;
	}
	return err->code;
}

enum status s3_stat(struct run *run, void *priv, const char *key, struct storage_object *o, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

	return s3_head(run, priv, key, NULL, &a, o, err);
}

static enum status too_short(const char *key, uint64_t offset, size_t n, struct error *err)
{
	return error_set(err, ST_BAD, "%s: is shorter: %zu bytes at %" PRIu64 " belong to it", key, n, offset);
}

/* A range of no bytes, or one that no header can name. */
static enum status get_odd(struct run *run, struct s3 *s, const char *key, uint64_t offset, size_t n, struct error *err)
{
	struct storage_object o;

	if (s3_stat(run, s, key, &o, err))
		return err->code;
	return offset > o.size || n > o.size - offset ? too_short(key, offset, n, err) : ST_OK;
}

/* What is behind the '/' of Content-Range, or the length where there is none; UINT64_MAX: it is not said. */
static uint64_t total_of(const struct http_answer *a)
{
	const char *range = http_headers_get(&a->headers, "content-range"), *slash = range ? strchr(range, '/') : NULL;
	const char *text = slash ? slash + 1 : a->status == 206 ? NULL : http_headers_get(&a->headers, "content-length");
	char *end = NULL;

	if (!text || *text < '0' || *text > '9')
		return UINT64_MAX;
	uint64_t n = strtoull(text, &end, 10);
	return *end ? UINT64_MAX : n;
}

/* Only what the store itself says about the object's size makes it too short. err->retry: another try may have it. */
static enum status get_once(struct run *run, struct s3 *s, const struct s3_request *q, uint64_t offset, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(cstr_release) char *begin = xasprintf("bytes %" PRIu64 "-", offset);
	uint64_t end = offset + q->to_len;

	if (s3_send(run, s, q, &a, err)) {
		if (a.status == 416)
			return too_short(q->key, offset, q->to_len, err);
		if (err->code != ST_BAD)
			return err->code;
		err->code = ST_IO; /* more bytes than were asked for, or none of HTTP: nothing is known of the object */
		return error_add(err, "%s", q->key);
	}
	const char *part = http_headers_get(&a.headers, "content-range");
	if (a.status == 206 ? !part || strncmp(part, begin, strlen(begin)) : offset != 0)
		return error_set(err, ST_IO, "%s: the store answers with another range than was asked for", q->key);
	if (a.got == q->to_len)
		return ST_OK;
	if (http_headers_get(&a.headers, "etag") && total_of(&a) < end)
		return too_short(q->key, offset, q->to_len, err);
	error_set(err, ST_IO, "%s: %zu bytes came for the %zu at %" PRIu64 " that were asked for", q->key, a.got, q->to_len, offset);
	err->retry = true;
	return err->code;
}

enum status s3_get(struct run *run, void *priv, const char *key, uint64_t offset, void *to, size_t n, struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers range = HTTP_HEADERS_INIT;
	const struct s3_request q = {.method = "GET", .doing = "read", .key = key, .headers = &range, .to = to, .to_len = n};

	if (!n || offset > INT64_MAX - n)
		return get_odd(run, priv, key, offset, n, err);
	http_headers_add(&range, "Range", "bytes=%" PRIu64 "-%" PRIu64, offset, offset + n - 1);
	for (int i = 0; i < GET_TRIES; i++) {
		error_release(err);
		if (get_once(run, priv, &q, offset, err) != ST_IO || !err->retry)
			return err->code;
	}
	return err->code;
}

enum likeness { NOT_COMPARABLE, RIGHT, WRONG, PERHAPS_WRONG };

/* What a whole object is compared by: SHA-256 where the store has it, else its ETag, which is an MD5 in most stores but not in all: then PERHAPS_WRONG. */
static enum likeness compare(const struct http_answer *a, const char *token)
{
	const struct sha256 sha = sha256_of(buf_str(&a->body), a->body.len);
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	unsigned char md5[16];
	bool same;

	if (s3_checksum(a, &sha, &same))
		return same ? RIGHT : WRONG;
	const char *sse = http_headers_get(&a->headers, "x-amz-server-side-encryption");
	if (strlen(token) != 32 || (sse && !strncmp(sse, "aws:", 4)))
		return NOT_COMPARABLE;
	s3_md5(buf_str(&a->body), a->body.len, md5);
	buf_hex(&hex, md5, sizeof md5);
	return !strcmp(hex.data, token) ? RIGHT : PERHAPS_WRONG;
}

/* A failure of s3_send for a whole object. */
static enum status whole_failed(const struct http_answer *a, const char *key, size_t max, struct error *err)
{
	uint64_t total = total_of(a);

	if (err->code != ST_BAD)
		return err->code;
	if (a->status == 200 && http_headers_get(&a->headers, "etag") && total != UINT64_MAX && total > max)
		return error_add(err, "%s: has more than %zu bytes", key, max);
	err->code = ST_IO;
	return error_add(err, "%s", key);
}

enum status s3_get_whole(struct run *run, void *priv, const char *key, size_t max, struct buf *to, struct storage_object *o,
			 struct error *err)
{
	const struct s3_request q = {.method = "GET", .doing = "read", .key = key, .sum = S3_SUM_ASK, .max = max ? max : 1};
	struct hash128 last = {0};
	bool again = false;

	for (int i = 0; i < WHOLE_TRIES; i++) {
		CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

		if (s3_send(run, priv, &q, &a, err))
			return whole_failed(&a, key, max, err);
		if (object_of(&a, key, o, err))
			return err->code;
		enum likeness l = compare(&a, o->token);
		struct hash128 now = xxh128(buf_str(&a.body), a.body.len);
		bool whole = a.body.len == o->size && a.body.len <= max;

		again = whole && i && hash128_equal(now, last);
		/* An ETag need not be an MD5: the same bytes twice are what is there. */
		if (whole && (l == RIGHT || l == NOT_COMPARABLE || (l == PERHAPS_WRONG && again))) {
			buf_clear(to);
			buf_put(to, buf_str(&a.body), a.body.len);
			return ST_OK;
		}
		last = now;
	}
	if (again)
		return error_set(err, ST_BAD, "%s: its bytes are not those that the store keeps the SHA-256 of", key);
	return error_set(err, ST_IO, "%s: arrives with other bytes each time it is read", key);
}
