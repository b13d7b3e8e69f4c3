/* Writing an object: one PutObject where it fits a part, else an upload of parts. Nothing is visible before put_finish. */
#include "storage/s3/upload.h"
#include "util/failpoint.h"

#define UNDO_TIME DURATION_SECONDS(10)

struct storage_put {
	struct s3 *s;
	struct s3_put_facts facts;
	struct run run; /* with a cancel token of its own, for the threads that upload parts */
	unsigned char *buffer;
	size_t len, room;
	struct s3_upload *upload; /* NULL: nothing was sent yet */
	bool failed;
};

static void put_release(struct storage_put **put)
{
	struct storage_put *p = *put;

	if (!p)
		return;
	cancel_fire(p->run.cancel, 0);
	s3_upload_free(p->upload);
	free(p->buffer);
	free(p->facts.key);
	free(p->facts.token);
	cancel_free(p->run.cancel);
	free(p);
	*put = NULL;
}

void s3_put_abort(struct storage_put *put) { put_release(&put); }

void s3_put_describe(struct run *run, const struct s3 *s, const struct s3_put_facts *f, struct http_headers *to)
{
	const struct s3_params *set = &s->params;
	char until[INSTANT_TEXT];

	http_headers_add(to, "Content-Type", "application/octet-stream");
	http_headers_add(to, "x-amz-meta-drtool-put", "%s", f->mark);
	if (f->retain && set->object_lock.us) {
		http_headers_add(to, "x-amz-object-lock-mode", "%s", set->object_lock_mode == S3_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE");
		http_headers_add(to, "x-amz-object-lock-retain-until-date", "%s", instant_iso(instant_add(run_now(run), set->object_lock), until));
	}
	if (set->sse)
		http_headers_add(to, "x-amz-server-side-encryption", "%s", set->sse == S3_SSE_KMS ? "aws:kms" : "AES256");
	if (set->sse == S3_SSE_KMS && set->sse_kms_key)
		http_headers_add(to, "x-amz-server-side-encryption-aws-kms-key-id", "%s", set->sse_kms_key);
	if (f->bulk && set->storage_class)
		http_headers_add(to, "x-amz-storage-class", "%s", set->storage_class);
}

void s3_put_condition(const struct s3_put_facts *f, struct http_headers *to)
{
	if (f->condition == PUT_ABSENT)
		http_headers_add(to, "If-None-Match", "*");
	else if (f->condition == PUT_MATCHES)
		http_headers_add(to, "If-Match", "\"%s\"", f->token);
}

enum status s3_put_ours(struct run *run, struct s3 *s, const struct s3_put_facts *f, struct http_answer *a, struct storage_object *o,
			struct error *err)
{
	if (s3_head(run, s, f->key, NULL, a, o, err))
		return err->code;
	const char *mark = http_headers_get(&a->headers, "x-amz-meta-drtool-put");
	if (mark && !strcmp(mark, f->mark))
		return ST_OK;
	return error_set(err, ST_PRECONDITION, f->condition == PUT_ABSENT ? "%s: exists already" : "%s: was changed by somebody else", f->key);
}

/* For a store that does not heed the condition: what is there is looked at, which another writer may overtake. */
static enum status look_first(struct run *run, struct s3 *s, const struct s3_put_facts *f, struct error *err)
{
	struct storage_object now;

	if (s3_stat(run, s, f->key, &now, err)) {
		if (err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err);
		return f->condition == PUT_ABSENT ? ST_OK : error_set(err, ST_PRECONDITION, "%s: is gone", f->key);
	}
	if (f->condition == PUT_ABSENT)
		return error_set(err, ST_PRECONDITION, "%s: exists already", f->key);
	return strcmp(now.token, f->token) ? error_set(err, ST_PRECONDITION, "%s: was changed by somebody else", f->key) : ST_OK;
}

/* *heeded: the store itself refuses what breaks the condition. */
static enum status check_condition(struct run *run, struct s3 *s, const struct s3_put_facts *f, bool *heeded, struct error *err)
{
	bool absent, matches;

	*heeded = false;
	if (f->condition == PUT_ANY)
		return ST_OK;
	if (s3_conditions(run, s, &absent, &matches, err))
		return err->code;
	*heeded = f->condition == PUT_ABSENT ? absent : matches;
	return *heeded ? ST_OK : look_first(run, s, f, err);
}

enum status s3_put_open(struct run *run, void *priv, const struct put_spec *spec, struct storage_put **put, struct error *err)
{
	CLEANUP(put_release) struct storage_put *p = xcalloc(1, sizeof *p);

	p->s = priv;
	p->run = *run;
	p->run.cancel = cancel_new(run->cancel);
	if (spec->expected_size > (uint64_t)S3_PART * S3_PARTS_MAX) {
		error_set(err, ST_UNSUPPORTED, "%s: %" PRIu64 " bytes are more than an object in S3 can have in %u parts", spec->key,
			  spec->expected_size, S3_PARTS_MAX);
		return error_hint(err, "Make the backup again with a smaller volume_size, and copy that.");
	}
	p->facts = (struct s3_put_facts){.key = xstrdup(spec->key), .condition = spec->condition, .retain = spec->retain,
					 .bulk = spec->bulk, .alive = spec->alive, .alive_ctx = spec->alive_ctx,
					 .token = spec->condition == PUT_MATCHES ? xstrdup(spec->token) : NULL};
	run_random_hex(run, p->facts.mark, sizeof p->facts.mark - 1);
	/* Before hours of dumping, not after; of small ones the put itself tells. */
	if (spec->condition == PUT_ABSENT && !spec->expected_size && look_first(run, p->s, &p->facts, err))
		return err->code;
	p->room = spec->expected_size && spec->expected_size < S3_PART ? (size_t)spec->expected_size : S3_PART;
	p->buffer = xmalloc(p->room);
	*put = p;
	p = NULL;
	return ST_OK;
}

/* The buffer is full and there is more: it goes on its way, and another one takes its place. */
static enum status next_buffer(struct run *run, struct storage_put *p, struct error *err)
{
	void *full = p->buffer;

	if (p->room < S3_PART) { /* more comes than was expected */
		p->buffer = xrealloc(p->buffer, S3_PART);
		p->room = S3_PART;
		return ST_OK;
	}
	if (!p->upload) {
		p->buffer = NULL;
		if (s3_upload_open(&p->run, p->s, &p->facts, full, &p->upload, err))
			return err->code;
	}
	p->buffer = NULL;
	p->len = 0;
	void *fresh = NULL;
	if (s3_upload_part(p->upload, full, S3_PART, err) || s3_upload_buffer(run, p->upload, &fresh, err))
		return err->code;
	p->buffer = fresh;
	return ST_OK;
}

enum status s3_put_write(struct run *run, struct storage_put *p, const void *bytes, size_t n, struct error *err)
{
	p->failed = true; /* until all of it is taken */
	if (run_check(run, err))
		return err->code;
	for (size_t done = 0; done < n;) {
		if (p->len == p->room && next_buffer(run, p, err))
			return err->code;
		size_t some = min_size(n - done, p->room - p->len);

		memcpy(p->buffer + p->len, (const char *)bytes + done, some);
		p->len += some;
		done += some;
	}
	p->failed = false;
	return ST_OK;
}

/* How the store confirms the whole. ST_IO where it says another SHA-256. */
static enum status confirm(const struct storage_put *p, const struct http_answer *a, const struct sha256 *sha, struct storage_object *o,
			   struct error *err)
{
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	unsigned char md5[16];
	bool same;

	if (s3_checksum(a, sha, &same)) {
		o->proof = PROOF_SHA256;
		return same ? ST_OK : error_set(err, ST_IO, "%s: the store confirms it with another SHA-256", p->facts.key);
	}
	s3_md5(p->buffer, p->len, md5);
	buf_hex(&hex, md5, sizeof md5);
	o->proof = !strcmp(hex.data, o->token) ? PROOF_MD5 : PROOF_LENGTH;
	return ST_OK;
}

/* The store confirms neither sum: it is read again. */
static enum status read_back(struct run *run, struct storage_put *p, struct storage_object *o, struct error *err)
{
	CLEANUP(cstr_release) char *back = xmalloc(p->len ? p->len : 1);

	if (s3_get(run, p->s, p->facts.key, 0, back, p->len, err))
		return err->code;
	if (memcmp(back, p->buffer, p->len))
		return error_set(err, ST_IO, "%s: other bytes are read back than were sent", p->facts.key);
	o->proof = PROOF_READ_BACK;
	return ST_OK;
}

/* After a failure nothing stays that was not there before. */
static void take_away(const struct run *run, struct storage_put *p)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run after = run_after(run, UNDO_TIME);

	if (p->facts.condition == PUT_ABSENT && s3_delete(&after, p->s, p->facts.key, NULL, &ignored))
		error_release(&ignored);
}

/* Whether the put that nobody confirmed was done. Where the run is over, a new object is removed. */
static enum status find_out(struct run *run, struct storage_put *p, struct http_answer *a, struct storage_object *o, struct error *err)
{
	CLEANUP(error_release) struct error other = ERROR_INIT;
	bool over = err->code == ST_CANCELLED || err->code == ST_DEADLINE;
	struct run after = over ? run_after(run, UNDO_TIME) : run_within(run, UNDO_TIME);

	http_answer_release(a);
	if (s3_put_ours(&after, p->s, &p->facts, a, o, &other)) {
		bool kept = p->facts.condition == PUT_MATCHES && !strcmp(o->token, p->facts.token);

		if (err->code == ST_PRECONDITION || other.code != ST_PRECONDITION || over || p->facts.condition == PUT_ANY || kept)
			return err->code;
		error_release(err);
		return error_move(err, &other);
	}
	/* What was there before cannot come back: then what was asked for is done. */
	if (!over || p->facts.condition != PUT_ABSENT) {
		error_release(err);
		return ST_OK;
	}
	take_away(run, p);
	return err->code;
}

static enum status send_whole(struct run *run, struct storage_put *p, struct http_answer *a, const struct sha256 *sha, bool *repeated,
			      struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	const struct s3_request q = {.method = "PUT", .doing = "write", .key = p->facts.key, .headers = &headers, .body = p->buffer,
				     .n = p->len, .sha = sha, .sum = S3_SUM_BODY, .alive = p->facts.alive, .alive_ctx = p->facts.alive_ctx, .repeated = repeated};
	bool heeded;

	if (check_condition(run, p->s, &p->facts, &heeded, err))
		return err->code;
	s3_put_describe(run, p->s, &p->facts, &headers);
	if (heeded)
		s3_put_condition(&p->facts, &headers);
	if (s3_send(run, p->s, &q, a, err) && err->code == ST_NOT_FOUND && p->facts.condition == PUT_MATCHES)
		return error_set(err, ST_PRECONDITION, "%s: is gone", p->facts.key);
	if (err->code == ST_PRECONDITION)
		error_set(err, ST_PRECONDITION, p->facts.condition == PUT_ABSENT ? "%s: exists already" : "%s: was changed by somebody else",
			  p->facts.key);
	return err->code;
}

/* The store's own time of the object, and its token where the put's answer was lost. */
static void take_time(struct run *run, struct storage_put *p, const struct http_answer *put, struct storage_object *o)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct storage_object now;

	o->modified = put->date.us ? put->date : run_now(run);
	if (!s3_head(run, p->s, p->facts.key, NULL, &a, &now, &ignored) && !strcmp(now.token, o->token) && now.modified.us)
		o->modified = now.modified;
}

static enum status put_whole(struct run *run, struct storage_put *p, struct storage_object *o, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	const struct sha256 sha = sha256_of(p->buffer, p->len);
	bool repeated = false, found = false;

	if (failpoint("s3.put.before", err))
		return err->code;
	if (send_whole(run, p, &a, &sha, &repeated, err)) {
		/* What was there first may be this very put, which arrived twice. */
		if (!(repeated || err->code == ST_PRECONDITION) || find_out(run, p, &a, o, err))
			return err->code;
		found = true;
	}
	const char *etag = http_headers_get(&a.headers, "etag");
	if (!etag)
		return error_set(err, ST_IO, "%s: the store confirms it without an ETag", p->facts.key);
	*o = (struct storage_object){.size = p->len};
	s3_token(etag, o->token);
	if (confirm(p, &a, &sha, o, err) || (o->proof == PROOF_LENGTH && read_back(run, p, o, err)) || failpoint("s3.put.after", err)) {
		take_away(run, p);
		return err->code;
	}
	if (found)
		o->modified = http_date(http_headers_get(&a.headers, "last-modified"));
	else
		take_time(run, p, &a, o);
	return ST_OK;
}

enum status s3_put_finish(struct run *run, struct storage_put *put, struct storage_object *o, struct error *err)
{
	CLEANUP(put_release) struct storage_put *p = put;
	bool heeded;

	if (p->failed)
		return error_set(err, ST_IO, "%s: an earlier write failed", p->facts.key);
	if (!p->upload)
		return put_whole(run, p, o, err);
	void *last = p->buffer;
	p->buffer = NULL;
	if (s3_upload_part(p->upload, last, p->len, err) || check_condition(run, p->s, &p->facts, &heeded, err))
		return err->code;
	/* That a condition of a put is heeded says nothing about that of an upload. */
	if (heeded && look_first(run, p->s, &p->facts, err))
		return err->code;
	return s3_upload_finish(run, p->upload, heeded, o, err);
}
