#include "storage/s3/upload.h"

#include "util/failpoint.h"

#define BUFFERS_MAX 16
#define LOOK DURATION_MS(50)
#define PART_TRIES 4                     /* of one that the store confirms with another sum */
#define COMPLETE_STALL DURATION_SECONDS(600) /* while the store joins the parts nothing comes */
#define ABORT_TIME DURATION_SECONDS(15)

struct part {
	struct sha256 sha;
	unsigned char md5[16];
	char *etag;            /* as the store gave it, with quotes */
	bool sha_seen, md5_seen; /* the store confirmed it by this sum */
	size_t n;
};

struct job {
	void *buffer;
	unsigned number; /* from 0 */
};

struct s3_upload {
	struct run *run;
	struct s3 *s;
	const struct s3_put_facts *facts;
	char *id;
	struct thread worker[BUFFERS_MAX];
	unsigned workers;
	bool done;        /* the object is there */
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	/* Under the mutex. */
	void *free_buffer[BUFFERS_MAX];
	unsigned free_buffers, buffers, buffers_max;
	struct job job[BUFFERS_MAX];
	unsigned jobs, busy;
	bool closing;
	struct error err;
	struct part *part;
	unsigned parts, parts_cap;
	uint64_t size;
};

static void alive(const struct s3_upload *u)
{
	if (u->facts->alive)
		u->facts->alive(u->facts->alive_ctx);
}

/* How the store confirms a part: by SHA-256, or its ETag is the MD5. ST_IO where it says another SHA-256. */
static enum status confirm(const struct http_answer *a, const void *p, struct part *part, struct error *err)
{
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	const char *etag = http_headers_get(&a->headers, "etag");
	char token[STORAGE_TOKEN];
	bool same;

	if (!etag)
		return error_set(err, ST_IO, "the store confirms a part without an ETag");
	free(part->etag);
	part->etag = xstrdup(etag);
	part->sha_seen = part->md5_seen = false;
	if (s3_checksum(a, &part->sha, &same)) {
		part->sha_seen = same;
		return same ? ST_OK : error_set(err, ST_IO, "the store confirms a part with another SHA-256");
	}
	s3_md5(p, part->n, part->md5);
	buf_hex(&hex, part->md5, sizeof part->md5);
	s3_token(etag, token);
	part->md5_seen = !strcmp(token, hex.data);
	return ST_OK;
}

static enum status aborted(const struct s3_upload *u, struct error *err)
{
	return error_set(err, ST_IO, "%s: the upload is gone: somebody aborted it", u->facts->key);
}

static enum status send_part(struct s3_upload *u, const struct job *j, struct part *part, struct error *err)
{
	char number[16];

	part->sha = sha256_of(j->buffer, part->n);
	snprintf(number, sizeof number, "%u", j->number + 1);
	const struct s3_param param[] = {{"partNumber", number}, {"uploadId", u->id}};
	const struct s3_request q = {.method = "PUT", .doing = "upload a part", .key = u->facts->key, .param = param, .params = 2,
				     .body = j->buffer, .n = part->n, .sha = &part->sha, .sum = S3_SUM_BODY, .alive = u->facts->alive,
				     .alive_ctx = u->facts->alive_ctx};
	for (int i = 0; i < PART_TRIES; i++) {
		CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

		error_release(err);
		if (failpoint("s3.part.before", err) || s3_send(u->run, u->s, &q, &a, err))
			return err->code == ST_NOT_FOUND ? aborted(u, err) : err->code;
		if (!confirm(&a, j->buffer, part, err))
			return ST_OK;
	}
	return error_add(err, "%s", u->facts->key);
}

/* With the mutex held, which is released around the sending. */
static void do_job(struct s3_upload *u)
{
	struct error err = ERROR_INIT;
	struct job j = u->job[0];
	struct part part = u->part[j.number];

	memmove(u->job, u->job + 1, --u->jobs * sizeof u->job[0]);
	u->busy++;
	bool skip = u->err.code != ST_OK;
	mutex_unlock(&u->mutex);
	if (!skip && !send_part(u, &j, &part, &err))
		alive(u);
	mutex_lock(&u->mutex);
	u->part[j.number] = part;
	error_keep_first(&u->err, &err);
	u->free_buffer[u->free_buffers++] = j.buffer;
	u->busy--;
	cond_broadcast(&u->moved);
}

static void worker_main(void *arg)
{
	struct s3_upload *u = arg;

	mutex_lock(&u->mutex);
	for (;;) {
		if (u->jobs)
			do_job(u);
		else if (u->closing)
			break;
		else
			cond_wait(&u->moved, &u->mutex);
	}
	mutex_unlock(&u->mutex);
}

static enum status create(struct run *run, struct s3_upload *u, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	const struct s3_param param = {"uploads", NULL};
	const struct s3_request q = {.method = "POST", .doing = "begin the upload", .key = u->facts->key, .param = &param, .params = 1,
				     .headers = &headers, .sum = S3_SUM_PARTS};

	s3_put_describe(run, u->s, u->facts, &headers);
	if (failpoint("s3.upload.before", err) || s3_send(run, u->s, &q, &a, err) ||
	    s3_xml_one(buf_str(&a.body), a.body.len, "UploadId", &u->id, err))
		return err->code;
	if (!u->id || !*u->id)
		return error_set(err, ST_IO, "%s: the store begins an upload without an id", u->facts->key);
	return failpoint("s3.upload.made", err);
}

enum status s3_upload_open(struct run *run, struct s3 *s, const struct s3_put_facts *f, void *buffer, struct s3_upload **to,
			   struct error *err)
{
	struct s3_upload *u = xcalloc(1, sizeof *u);

	u->run = run;
	u->s = s;
	u->facts = f;
	u->buffers_max = atomic_load(&s->parts);
	u->buffers_max = u->buffers_max > BUFFERS_MAX ? BUFFERS_MAX : u->buffers_max;
	u->buffers = 1;
	u->free_buffer[u->free_buffers++] = buffer;
	mutex_init(&u->mutex);
	cond_init(&u->moved);
	unsigned workers = u->buffers_max > 1 ? u->buffers_max - 1 : 1;
	if (!create(run, u, err))
		while (u->workers < workers && !thread_start(&u->worker[u->workers], "s3 part", worker_main, u, err))
			u->workers++;
	if (err->code) {
		s3_upload_free(u);
		return err->code;
	}
	u->free_buffers = 0; /* the first is in the caller's hands until its part is given */
	*to = u;
	return ST_OK;
}

enum status s3_upload_buffer(struct run *run, struct s3_upload *u, void **buffer, struct error *err)
{
	mutex_lock(&u->mutex);
	while (!u->err.code && !u->free_buffers && u->buffers == u->buffers_max && !run_check(run, err))
		cond_wait_for(&u->moved, &u->mutex, LOOK);
	if (u->err.code && !err->code)
		error_copy(err, &u->err);
	if (!err->code && u->free_buffers) {
		*buffer = u->free_buffer[--u->free_buffers];
	} else if (!err->code) {
		*buffer = xmalloc(S3_PART);
		u->buffers++;
	}
	mutex_unlock(&u->mutex);
	return err->code;
}

enum status s3_upload_part(struct s3_upload *u, void *buffer, size_t n, struct error *err)
{
	mutex_lock(&u->mutex);
	if (u->err.code) {
		error_copy(err, &u->err);
	} else if (u->parts == S3_PARTS_MAX) {
		error_set(err, ST_IO, "%s: an object has at most %u parts", u->facts->key, S3_PARTS_MAX);
	}
	if (err->code) {
		u->free_buffer[u->free_buffers++] = buffer;
		mutex_unlock(&u->mutex);
		return err->code;
	}
	if (u->parts == u->parts_cap) {
		u->parts_cap = u->parts_cap ? 2 * u->parts_cap : 16;
		u->part = xrealloc(u->part, u->parts_cap * sizeof *u->part);
	}
	u->part[u->parts] = (struct part){.n = n};
	u->job[u->jobs++] = (struct job){.buffer = buffer, .number = u->parts++};
	u->size += n;
	cond_broadcast(&u->moved);
	mutex_unlock(&u->mutex);
	return ST_OK;
}

static enum status wait_all(struct run *run, struct s3_upload *u, struct error *err)
{
	mutex_lock(&u->mutex);
	while ((u->jobs || u->busy) && !u->err.code && !run_check(run, err))
		cond_wait_for(&u->moved, &u->mutex, LOOK);
	if (u->err.code && !err->code)
		error_copy(err, &u->err);
	mutex_unlock(&u->mutex);
	return err->code;
}

/* "base64-N", what SHA-256 of the parts' sums gives; or in hex for MD5. */
static char *composite(const struct s3_upload *u, bool md5)
{
	CLEANUP(buf_release) struct buf all = BUF_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	unsigned char sum[16];

	for (unsigned i = 0; i < u->parts; i++)
		buf_put(&all, md5 ? u->part[i].md5 : u->part[i].sha.byte, md5 ? sizeof u->part[i].md5 : sizeof u->part[i].sha.byte);
	if (md5) {
		s3_md5(all.data, all.len, sum);
		buf_hex(&text, sum, sizeof sum);
	} else {
		const struct sha256 sha = sha256_of(all.data, all.len);

		s3_base64(sha.byte, sizeof sha.byte, &text);
	}
	buf_printf(&text, "-%u", u->parts);
	return buf_detach(&text);
}

static void list_parts(const struct s3_upload *u, struct buf *to)
{
	buf_puts(to, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < u->parts; i++) {
		buf_puts(to, "<Part>");
		if (u->part[i].sha_seen) {
			buf_puts(to, "<ChecksumSHA256>");
			s3_base64(u->part[i].sha.byte, sizeof u->part[i].sha.byte, to);
			buf_puts(to, "</ChecksumSHA256>");
		}
		buf_puts(to, "<ETag>");
		s3_xml_text(to, u->part[i].etag);
		buf_printf(to, "</ETag><PartNumber>%u</PartNumber></Part>", i + 1);
	}
	buf_puts(to, "</CompleteMultipartUpload>");
}

/* An answer 200 may still hold an error: the store began to answer before it was done. */
static enum status read_completion(const struct s3_upload *u, const struct http_answer *a, char **sum, struct error *err)
{
	CLEANUP(cstr_release) char *etag = NULL;
	struct s3_fault f;

	s3_fault_read(buf_str(&a->body), a->body.len, &f);
	if (*f.code) {
		bool passes = !strcmp(f.code, "InternalError") || !strcmp(f.code, "SlowDown") || !strcmp(f.code, "ServiceUnavailable");
		bool condition = !strcmp(f.code, "PreconditionFailed");

		error_set(err, passes ? ST_UNREACHABLE : condition ? ST_PRECONDITION : ST_IO, "%s: cannot finish the upload: %s (%s)", u->facts->key,
			  f.message, f.code);
		err->retry = passes;
		return err->code;
	}
	if (s3_xml_one(buf_str(&a->body), a->body.len, "ETag", &etag, err) ||
	    s3_xml_one(buf_str(&a->body), a->body.len, "ChecksumSHA256", sum, err))
		return err->code;
	return etag ? ST_OK : error_set(err, ST_IO, "%s: the store finishes the upload without an ETag", u->facts->key);
}

/* *sum: the composite that the store answered, or NULL. */
static enum status ask_completion(struct run *run, struct s3_upload *u, const struct s3_request *q, char **sum, struct error *err)
{
	const struct http_backoff backoff = {.budget = u->s->params.retry};
	struct http_retry retry = HTTP_RETRY_INIT;

	for (;;) {
		CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

		if (s3_send(run, u->s, q, &a, err) || !read_completion(u, &a, sum, err) || http_retry_wait(run, &backoff, &retry, &a, err))
			return err->code;
	}
}

struct patience {
	const struct s3_upload *u;
	struct instant end; /* monotonic; from then on a store that still joins is like one that is gone */
};

static void joins(void *ctx)
{
	const struct patience *p = ctx;

	if (run_mono(p->u->run).us < p->end.us)
		alive(p->u);
}

/* True where the object is there although the store did not say so. */
static bool is_done(struct run *run, struct s3_upload *u)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run within = run_within(run, ABORT_TIME);
	struct storage_object o;

	return !s3_put_ours(&within, u->s, u->facts, &a, &o, &ignored);
}

static enum status complete(struct run *run, struct s3_upload *u, bool heeded, char **sum, struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	CLEANUP(buf_release) struct buf body = BUF_INIT;
	const struct s3_param param = {"uploadId", u->id};

	struct patience patience = {.u = u, .end = instant_add(run_mono(run), COMPLETE_STALL)};

	list_parts(u, &body);
	http_headers_add(&headers, "Content-Type", "application/xml");
	if (heeded)
		s3_put_condition(u->facts, &headers);
	const struct s3_request q = {.method = "POST", .doing = "finish the upload", .key = u->facts->key, .param = &param, .params = 1,
				     .headers = &headers, .body = body.data, .n = body.len, .stall = COMPLETE_STALL, .alive = joins,
				     .alive_ctx = &patience, .patient = true};
	if (!ask_completion(run, u, &q, sum, err))
		return ST_OK;
	if (err->code != ST_CANCELLED && err->code != ST_DEADLINE && is_done(run, u)) {
		error_release(err);
		return ST_OK;
	}
	return err->code == ST_NOT_FOUND ? aborted(u, err) : err->code;
}

static enum status read_back(struct run *run, struct s3_upload *u, struct error *err)
{
	void *buffer;
	uint64_t offset = 0;

	if (s3_upload_buffer(run, u, &buffer, err))
		return err->code;
	for (unsigned i = 0; i < u->parts && !err->code; i++) {
		if (s3_get(run, u->s, u->facts->key, offset, buffer, u->part[i].n, err))
			break;
		if (!sha256_equal(sha256_of(buffer, u->part[i].n), u->part[i].sha))
			error_set(err, ST_IO, "%s: other bytes are read back than were sent", u->facts->key);
		offset += u->part[i].n;
		alive(u);
	}
	mutex_lock(&u->mutex);
	u->free_buffer[u->free_buffers++] = buffer;
	mutex_unlock(&u->mutex);
	return err->code;
}

/* The strongest comparison that the store allows. */
static enum status prove(struct run *run, struct s3_upload *u, const char *sum, const char *etag, enum storage_proof *proof,
			 struct error *err)
{
	bool all_sha = true, all_md5 = true;

	for (unsigned i = 0; i < u->parts; i++) {
		all_sha = all_sha && u->part[i].sha_seen;
		all_md5 = all_md5 && u->part[i].md5_seen;
	}
	if (sum && strchr(sum, '-')) {
		CLEANUP(cstr_release) char *own = composite(u, false);

		*proof = PROOF_SHA256;
		return !strcmp(sum, own) ? ST_OK : error_set(err, ST_IO, "%s: the store joined other bytes than were sent", u->facts->key);
	}
	if (all_md5 && !all_sha) {
		CLEANUP(cstr_release) char *own = composite(u, true);

		*proof = PROOF_MD5;
		if (!strcmp(etag, own))
			return ST_OK;
	}
	*proof = PROOF_READ_BACK;
	return read_back(run, u, err);
}

/* What was made is not what was sent, or cannot be compared: it must not stay. */
static void take_away(struct s3_upload *u)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run run = run_after(u->run, ABORT_TIME);

	if (s3_delete(&run, u->s, u->facts->key, NULL, &ignored))
		error_release(&ignored);
}

/* ST_PRECONDITION where another object is there. */
static enum status compare(struct run *run, struct s3_upload *u, const char *answered, struct storage_object *o, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	enum storage_proof proof;

	if (s3_put_ours(run, u->s, u->facts, &a, o, err))
		return err->code;
	if (o->size != u->size)
		return error_set(err, ST_IO, "%s: the store holds %" PRIu64 " bytes after %" PRIu64 " were sent", u->facts->key, o->size,
				 u->size);
	const char *told = http_headers_get(&a.headers, "x-amz-checksum-sha256");
	if (prove(run, u, answered ? answered : told, o->token, &proof, err))
		return err->code;
	o->proof = proof;
	return ST_OK;
}

enum status s3_upload_finish(struct run *run, struct s3_upload *u, bool heeded, struct storage_object *o, struct error *err)
{
	CLEANUP(cstr_release) char *sum = NULL;

	if (wait_all(run, u, err) || failpoint("s3.complete.before", err) || complete(run, u, heeded, &sum, err))
		return err->code;
	u->done = true;
	if (!failpoint("s3.complete.after", err) && !compare(run, u, sum, o, err))
		return ST_OK;
	if (err->code == ST_PRECONDITION) /* what is there now is somebody else's */
		return error_set(err, ST_IO, "%s: was replaced as soon as it was there", u->facts->key);
	take_away(u);
	return err->code;
}

static void abort_in_store(struct s3_upload *u)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run run = run_after(u->run, ABORT_TIME);

	if (s3_abort_upload(&run, u->s, u->facts->key, u->id, &ignored))
		error_release(&ignored); /* a prune finds it */
}

void s3_upload_free(struct s3_upload *u)
{
	if (!u)
		return;
	mutex_lock(&u->mutex);
	u->closing = true;
	if (!u->err.code && !u->done)
		error_set(&u->err, ST_CANCELLED, "the upload was not finished");
	cond_broadcast(&u->moved);
	mutex_unlock(&u->mutex);
	for (unsigned i = 0; i < u->workers; i++)
		thread_join(&u->worker[i]);
	if (u->id && !u->done)
		abort_in_store(u);
	while (u->free_buffers)
		free(u->free_buffer[--u->free_buffers]);
	for (unsigned i = 0; i < u->parts; i++)
		free(u->part[i].etag);
	free(u->part);
	free(u->id);
	error_release(&u->err);
	cond_destroy(&u->moved);
	mutex_destroy(&u->mutex);
	free(u);
}
