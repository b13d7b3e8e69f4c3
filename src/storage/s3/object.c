/* Reading one object. */
#include "storage/s3/internal.h"

#define WHOLE_TRIES 4

/* HEAD answers say no more than a number: whether it is the bucket that is not there, and why something is refused, is asked again in a way that has
 * a body. err holds the failure and is replaced where more is known. */
static enum status explain(struct run *run, struct s3 *s, const char *key, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(http_headers_release) struct http_headers range = HTTP_HEADERS_INIT;
	CLEANUP(error_release) struct error more = ERROR_INIT;
	const struct s3_param one[] = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", s->place.prefix}};
	struct s3_request q = {.method = "GET", .doing = "read"};

	if (err->code == ST_NOT_FOUND && !atomic_load(&s->bucket_seen)) {
		q.param = one;
		q.params = ARRAY_LEN(one);
	} else if (err->code == ST_DENIED || err->code == ST_IO) {
		http_headers_add(&range, "Range", "bytes=0-0");
		q.key = key;
		q.headers = &range;
	} else {
		return err->code;
	}
	/* A refused listing proves that there is a bucket, and so does an object that is not there. */
	if (!s3_send(run, s, &q, &a, &more) || (q.params && more.code == ST_DENIED) || more.code == ST_NOT_FOUND)
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
	CLEANUP(http_headers_release) struct http_headers mode = HTTP_HEADERS_INIT;
	const struct s3_param id = {"versionId", version};
	const struct s3_request q = {.method = "HEAD", .doing = "look at it", .key = key, .param = &id, .params = version ? 1 : 0,
				     .headers = &mode};

	http_headers_add(&mode, "x-amz-checksum-mode", "ENABLED");
	if (s3_send(run, s, &q, a, err))
		return version ? err->code : explain(run, s, key, err);
	return object_of(a, key, o, err);
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

enum status s3_get(struct run *run, void *priv, const char *key, uint64_t offset, void *to, size_t n, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(http_headers_release) struct http_headers range = HTTP_HEADERS_INIT;
	const struct s3_request q = {.method = "GET", .doing = "read", .key = key, .headers = &range, .to = to, .to_len = n};

	if (!n || offset > INT64_MAX - n)
		return get_odd(run, priv, key, offset, n, err);
	http_headers_add(&range, "Range", "bytes=%" PRIu64 "-%" PRIu64, offset, offset + n - 1);
	if (s3_send(run, priv, &q, &a, err))
		return a.status == 416 ? too_short(key, offset, n, err) : err->code;
	const char *part = http_headers_get(&a.headers, "content-range");
	CLEANUP(cstr_release) char *begin = xasprintf("bytes %" PRIu64 "-", offset);
	if (a.status == 206 ? !part || strncmp(part, begin, strlen(begin)) : offset != 0)
		return error_set(err, ST_IO, "%s: the store answers with another range than was asked for", key);
	return a.got == n ? ST_OK : too_short(key, offset, n, err);
}

/* What a whole object is compared by: SHA-256 where the store has it, else its ETag where that is an MD5. *known: there was something to compare. */
static bool whole_is_right(const struct http_answer *a, const char *token, bool *known)
{
	const struct sha256 sha = sha256_of(buf_str(&a->body), a->body.len);
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	unsigned char md5[16];
	bool same;

	*known = true;
	if (s3_checksum(a, &sha, &same))
		return same;
	const char *sse = http_headers_get(&a->headers, "x-amz-server-side-encryption");
	if (strlen(token) != 32 || (sse && !strncmp(sse, "aws:", 4))) {
		*known = false;
		return true;
	}
	s3_md5(buf_str(&a->body), a->body.len, md5);
	buf_hex(&hex, md5, sizeof md5);
	return !strcmp(hex.data, token);
}

enum status s3_get_whole(struct run *run, void *priv, const char *key, size_t max, struct buf *to, struct storage_object *o,
			 struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers mode = HTTP_HEADERS_INIT;
	const struct s3_request q = {.method = "GET", .doing = "read", .key = key, .headers = &mode, .max = max ? max : 1};
	struct hash128 last = {0};

	http_headers_add(&mode, "x-amz-checksum-mode", "ENABLED");
	for (int i = 0; i < WHOLE_TRIES; i++) {
		CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
		bool known;

		if (s3_send(run, priv, &q, &a, err))
			return err->code == ST_BAD ? error_add(err, "%s: has more than %zu bytes", key, max) : err->code;
		if (object_of(&a, key, o, err))
			return err->code;
		bool right = whole_is_right(&a, o->token, &known) && a.body.len == o->size && a.body.len <= max;
		struct hash128 now = xxh128(buf_str(&a.body), a.body.len);
		/* An ETag need not be an MD5: the same bytes twice are what is there. */
		if (right || (i && a.body.len == o->size && hash128_equal(now, last))) {
			buf_clear(to);
			buf_put(to, buf_str(&a.body), a.body.len);
			return ST_OK;
		}
		last = now;
	}
	return error_set(err, ST_BAD, "%s: arrives with other bytes each time it is read", key);
}
