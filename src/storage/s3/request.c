/* One request: signed, sent, tried again while that may help, and what the server says in words. */
#include "storage/s3/internal.h"

#include <openssl/evp.h>

#define TRIES_OF_BAD_BYTES 5       /* bytes that arrived damaged, there or here */
#define SKEW_MAX DURATION_SECONDS(300)
#define FIRST_BUDGET DURATION_SECONDS(15)
#define SLOWEST 16384  /* bytes a second: what is slower is given up */
#define LEAST_TIME 120 /* seconds that a try may take in any case */

/* Codes of errors that say more than their status does. */
enum meaning { M_NONE, M_RETRY, M_DAMAGED, M_KEYS, M_CLOCK, M_BUCKET, M_REGION, M_CONDITION, M_PERMANENT, M_QUOTA };
static const struct {
	const char *code;
	enum meaning meaning;
} meanings[] = {
	{"SlowDown", M_RETRY},
	{"SlowDownRead", M_RETRY},
	{"SlowDownWrite", M_RETRY},
	{"ServiceUnavailable", M_RETRY},
	{"InternalError", M_RETRY},
	{"RequestTimeout", M_RETRY},
	{"Throttling", M_RETRY},
	{"ThrottlingException", M_RETRY},
	{"RequestLimitExceeded", M_RETRY},
	{"BandwidthLimitExceeded", M_RETRY},
	{"OperationAborted", M_RETRY},
	{"ConditionalRequestConflict", M_RETRY},
	{"BadDigest", M_DAMAGED},
	{"InvalidDigest", M_DAMAGED},
	{"IncompleteBody", M_DAMAGED},
	{"XAmzContentSHA256Mismatch", M_DAMAGED},
	{"XAmzContentChecksumMismatch", M_DAMAGED},
	{"ChecksumMismatch", M_DAMAGED},
	{"ExpiredToken", M_KEYS},
	{"ExpiredTokenException", M_KEYS},
	{"TokenRefreshRequired", M_KEYS},
	{"InvalidToken", M_KEYS},
	{"InvalidAccessKeyId", M_KEYS},
	{"SignatureDoesNotMatch", M_KEYS},
	{"InvalidClientTokenId", M_KEYS},
	{"RequestTimeTooSkewed", M_CLOCK},
	{"RequestInTheFuture", M_CLOCK},
	{"RequestExpired", M_CLOCK},
	{"NoSuchBucket", M_BUCKET},
	{"PermanentRedirect", M_REGION},
	{"TemporaryRedirect", M_REGION},
	{"AuthorizationHeaderMalformed", M_REGION},
	{"IllegalLocationConstraintException", M_REGION},
	{"PreconditionFailed", M_CONDITION},
	{"EntityTooLarge", M_PERMANENT},
	{"NotImplemented", M_PERMANENT},
	{"QuotaExceeded", M_QUOTA},
	{"XMinioStorageFull", M_QUOTA},
	{"StorageFull", M_QUOTA},
	{"InsufficientStorage", M_QUOTA},
};

static enum meaning meaning_of(const char *code)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (!strcmp(meanings[i].code, code))
			return meanings[i].meaning;
	return M_NONE;
}

void s3_base64(const void *p, size_t n, struct buf *to)
{
	buf_reserve(to, (n + 2) / 3 * 4 + 1);
	to->len += (size_t)EVP_EncodeBlock((unsigned char *)to->data + to->len, p, (int)n);
}

void s3_md5(const void *p, size_t n, unsigned char to[16])
{
	unsigned len = 16;

	if (EVP_Digest(p, n, to, &len, EVP_md5(), NULL) != 1)
		memset(to, 0, 16); /* a build of the library without MD5: nothing equals it */
}

bool s3_checksum(const struct http_answer *a, const struct sha256 *sha, bool *same)
{
	const char *got = http_headers_get(&a->headers, "x-amz-checksum-sha256");
	CLEANUP(buf_release) struct buf own = BUF_INIT;

	if (!got || strchr(got, '-'))
		return false;
	s3_base64(sha->byte, sizeof sha->byte, &own);
	*same = !strcmp(got, own.data);
	return true;
}

struct attempt {
	struct run *run;
	struct s3 *s;
	const struct s3_request *q;
	struct http_answer *a;
	struct sha256 sha;
	char hex[SHA256_HEX];
	bool plain; /* this try says nothing of checksums */
	unsigned keys_refused, damaged;
};

/* For all of one try: an answer that only trickles ends, too. */
static struct duration time_for(const struct s3_request *q)
{
	size_t most = q->to ? q->to_len : q->max ? q->max : HTTP_BODY_MAX;
	int64_t seconds = q->stall.us / 1000000 + (int64_t)((q->n > most ? q->n : most) / SLOWEST);

	return DURATION_SECONDS(seconds < LEAST_TIME ? LEAST_TIME : seconds);
}

static void add_sum(const struct attempt *t, struct http_headers *to)
{
	const struct s3_request *q = t->q;
	bool body = q->sum == S3_SUM_BODY || q->sum == S3_SUM_BATCH;
	CLEANUP(buf_release) struct buf sha = BUF_INIT, md5 = BUF_INIT;
	unsigned char sum[16];

	if (body && !t->plain) {
		s3_base64(t->sha.byte, sizeof t->sha.byte, &sha);
		http_headers_add(to, "x-amz-checksum-sha256", "%s", sha.data);
	}
	if (q->sum == S3_SUM_BATCH || (body && t->plain)) {
		s3_md5(q->body, q->n, sum);
		s3_base64(sum, sizeof sum, &md5);
		http_headers_add(to, "Content-MD5", "%s", md5.data);
	}
	if (q->sum == S3_SUM_PARTS && !t->plain)
		http_headers_add(to, "x-amz-checksum-algorithm", "SHA256");
	if (q->sum == S3_SUM_ASK && !t->plain)
		http_headers_add(to, "x-amz-checksum-mode", "ENABLED");
}

static enum status send_once(struct attempt *t, struct s3_keys *keys, struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	CLEANUP(buf_release) struct buf query = BUF_INIT;
	CLEANUP(buf_release) struct buf path = BUF_INIT;
	const struct s3_request *q = t->q;
	const struct s3_place *place = &t->s->place;

	buf_puts(&path, place->path);
	if (q->key) {
		CLEANUP(cstr_release) char *whole = xasprintf("/%s%s", place->prefix, q->key);

		s3_encode(&path, whole, true);
	} else if (!path.len || !place->path_style) {
		buf_putc(&path, '/');
	}
	s3_query(q->param, q->params, &query);
	for (size_t i = 0; q->headers && i < q->headers->len; i++)
		http_headers_add(&headers, q->headers->item[i].name, "%s", q->headers->item[i].value);
	add_sum(t, &headers);
	const struct s3_signing sign = {.keys = keys, .region = place->region, .service = "s3", .now = run_now(t->run),
					.method = q->method, .host = place->host, .path = path.data, .query = buf_str(&query),
					.payload = t->hex};
	s3_sign(&sign, &headers);
	CLEANUP(cstr_release) char *url = xasprintf("%s://%s%s%s%s", place->tls ? "https" : "http", place->host, path.data,
						    query.len ? "?" : "", buf_str(&query));
	const struct http_request request = {.method = q->method, .url = url, .headers = &headers, .body = q->body, .body_len = q->n,
					     .to = q->to, .to_len = q->to_len, .max = q->max, .stall = q->stall, .time = time_for(q),
					     .alive = q->alive, .alive_ctx = q->alive_ctx, .patient = q->patient};
	return http_send(t->run, t->s->http, &request, t->a, err);
}

static enum status clock_error(struct attempt *t, struct error *err)
{
	CLEANUP(buf_release) struct buf far = BUF_INIT;
	struct duration skew = http_skew(t->run, t->a);

	duration_print((struct duration){skew.us < 0 ? -skew.us : skew.us}, &far);
	error_set(err, ST_AUTH, "the clock of this machine is %s %s that of the store, which refuses the request", far.data,
		  skew.us < 0 ? "ahead of" : "behind");
	return error_hint(err, "Set the clock of this machine (NTP), or that of the store's server.");
}

static enum status region_error(struct attempt *t, const struct s3_fault *f, struct error *err)
{
	const char *region = http_headers_get(&t->a->headers, "x-amz-bucket-region");

	region = region ? region : f->region;
	error_set(err, ST_CONFIG, "the bucket %s is not in the region %s", t->s->place.bucket, t->s->place.region);
	return *region ? error_hint(err, "Set the region of this store to %s.", region)
		       : error_hint(err, "Set the region of this store to the one where the bucket is.");
}

static enum status keys_error(struct attempt *t, const struct s3_keys *used, const struct s3_fault *f, struct error *err)
{
	CLEANUP(cstr_release) char *place = s3_keys_place(t->s->keys);

	error_set(err, ST_AUTH, "the store refuses the access keys%s%s: %s (%s)", place ? " from " : "", place ? place : "",
		  *f->message ? f->message : "no reason is given", *f->code ? f->code : "HTTP 403");
	error_hint(err, "Look at the key, the secret and, where keys are temporary, at their end; `drtool config check --connect` tries them.");
	if (t->keys_refused++ < 2 && s3_keys_refused(t->s->keys, used))
		err->retry = true;
	return err->code;
}

static enum status bucket_error(struct attempt *t, struct error *err)
{
	error_set(err, ST_CONFIG, "there is no bucket %s at %s", t->s->place.bucket, t->s->place.endpoint);
	return error_hint(err, "Make it first, or correct the URL of the store: drtool makes no buckets.");
}

/* The meaning of an answer that is not 2xx. */
static enum status judge(struct attempt *t, const struct s3_keys *used, struct error *err)
{
	struct s3_fault f;
	const struct http_answer *a = t->a;
	const char *about = t->q->key ? t->q->key : t->s->place.bucket;
	struct duration skew = http_skew(t->run, a);
	bool far = a->date.us && (skew.us > SKEW_MAX.us || skew.us < -SKEW_MAX.us);

	s3_fault_read(buf_str(&a->body), a->body.len, &f);
	enum meaning m = meaning_of(f.code);
	if (m == M_CLOCK || (a->status == 403 && far && (!*f.code || m == M_KEYS)))
		return clock_error(t, err);
	if (m == M_KEYS || a->status == 401)
		return keys_error(t, used, &f, err);
	if (m == M_BUCKET)
		return bucket_error(t, err);
	if (m == M_REGION || a->status == 301 || a->status == 307 ||
	    (a->status == 400 && http_headers_get(&a->headers, "x-amz-bucket-region") && !*f.code))
		return region_error(t, &f, err);
	http_status_error(a, err);
	CLEANUP(cstr_release) char *native = xstrdup(err->native);
	bool retry = m == M_RETRY || (err->retry && m != M_PERMANENT);
	enum status code = m == M_CONDITION ? ST_PRECONDITION : m == M_QUOTA ? ST_NO_SPACE : retry ? ST_UNREACHABLE : err->code;
	if (*f.code)
		error_set(err, code, "%s: cannot %s: %s (%s, HTTP %d)", about, t->q->doing, *f.message ? f.message : "the store refuses",
			  f.code, a->status);
	else if (code == ST_NOT_FOUND && strcmp(t->q->method, "HEAD")) /* S3 says what is not there; whoever else answers knows nothing of it */
		error_set(err, ST_UNREACHABLE, "%s: cannot %s: HTTP %d without a word of S3: what answers is not the store", about, t->q->doing,
			  a->status);
	else if (code == ST_NOT_FOUND)
		error_set(err, code, "%s: does not exist", about);
	else
		error_set(err, code, "%s: cannot %s: HTTP %d", about, t->q->doing, a->status);
	if (m == M_DAMAGED)
		retry = ++t->damaged < TRIES_OF_BAD_BYTES;
	err->retry = retry || err->code == ST_UNREACHABLE;
	error_native(err, native);
	if (!strcmp(f.code, "InvalidObjectState"))
		error_hint(err, "It lies in a storage class that is not read at once; have the store bring it back first.");
	else if (code == ST_DENIED)
		error_hint(err, "The rights that drtool needs in the bucket are in the guide (s3-keys).");
	return err->code;
}

static enum status try_once(struct attempt *t, struct error *err)
{
	CLEANUP(s3_keys_release) struct s3_keys keys = S3_KEYS_INIT;

	http_answer_release(t->a);
	if (s3_keys_get(t->run, t->s->keys, &keys, err))
		return err->code;
	if (send_once(t, &keys, err)) {
		/* Bytes that are no HTTP, or more than were asked for: damaged on the way. */
		if (err->code == ST_BAD && t->a->sent && ++t->damaged < TRIES_OF_BAD_BYTES)
			err->retry = true;
		return err->code;
	}
	if (t->a->status >= 200 && t->a->status < 300) {
		atomic_store(&t->s->bucket_seen, true);
		atomic_store(&t->s->answered, true);
		return ST_OK;
	}
	return judge(t, &keys, err);
}

/* The refusal may be one of a header of checksums; an answer to HEAD has no words. */
static bool refuses_sums(const struct attempt *t)
{
	const struct http_answer *a = t->a;

	return t->q->sum && !t->plain && (a->status == 400 || a->status == 501) &&
	       (!strcmp(t->q->method, "HEAD") || (a->body.len && strstr(a->body.data, "x-amz-checksum")));
}

static enum status one_try(struct attempt *t, struct error *err)
{
	t->plain = atomic_load(&t->s->plain);
	if (!try_once(t, err) || !refuses_sums(t))
		return err->code;
	error_release(err);
	t->plain = true;
	if (!try_once(t, err) || t->a->status == 404)
		atomic_store(&t->s->plain, true);
	return err->code;
}

/* A refusal proves that this try did nothing; a server's own error, silence, or an answer that broke off does not. */
static bool may_be_done(const struct http_answer *a) { return a->resent || (a->sent && (a->status < 300 || a->status >= 500)); }

enum status s3_send(struct run *run, struct s3 *s, const struct s3_request *q, struct http_answer *a, struct error *err)
{
	const struct http_backoff backoff = {.budget = s->params.retry};
	struct http_backoff first = backoff; /* until the store answers at all, its address is more likely wrong than the network away */
	struct attempt t = {.run = run, .s = s, .q = q, .a = a, .sha = q->sha ? *q->sha : sha256_of(q->n ? q->body : "", q->n)};
	struct http_retry retry = HTTP_RETRY_INIT;

	if (!first.budget.us || first.budget.us > FIRST_BUDGET.us)
		first.budget = FIRST_BUDGET;
	sha256_hex(t.sha, t.hex);
	if (q->repeated)
		*q->repeated = false;
	while (one_try(&t, err)) {
		if (q->repeated && may_be_done(a))
			*q->repeated = true;
		if (a->status)
			atomic_store(&s->answered, true);
		if (http_retry_wait(run, atomic_load(&s->answered) ? &backoff : &first, &retry, a, err))
			return err->code;
	}
	return ST_OK;
}

enum status s3_do(struct run *run, struct s3 *s, const struct s3_request *q, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

	return s3_send(run, s, q, &a, err);
}
