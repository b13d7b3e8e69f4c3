#include "ops/opener.h"

#include "util/thread.h"

#define SLICE ((uint64_t)64 * SEAL_CHUNK)
#define KEYS_SHOWN 4u

struct opened_volume {
	struct seal_stream *stream; /* NULL: not opened yet; never changed afterwards */
	size_t header_len;
};

/* What a thread needs while it reads. */
struct bench {
	struct bench *next;
	struct seal_work *work;
	unsigned char *p;
	size_t cap;
};

struct opener {
	const struct seal_identities *ids;
	struct range_source stored;
	char id[BACKUP_ID_LEN + 1];
	struct manifest_object *object; /* its own: a manifest may be replaced by what it hides */
	size_t objects;
	struct strlist recipients;
	pthread_mutex_t mutex; /* guards all below */
	struct opened_volume *volume;
	struct bench *idle;
	const char *key;
};

struct opener *opener_new(const struct seal_identities *ids, const struct range_source *stored, const struct manifest *m)
{
	struct opener *o = xcalloc(1, sizeof *o);

	o->ids = ids;
	o->stored = *stored;
	memcpy(o->id, m->id, sizeof o->id);
	o->objects = m->objects;
	o->object = xmemdup(m->object, m->objects * sizeof *o->object);
	for (size_t i = 0; i < o->objects; i++)
		o->object[i].key = xstrdup(m->object[i].key);
	for (size_t i = 0; i < m->recipients.len; i++)
		strlist_add(&o->recipients, m->recipients.item[i]);
	o->volume = xcalloc(m->objects + 1, sizeof *o->volume);
	mutex_init(&o->mutex);
	return o;
}

void opener_freep(struct opener **op)
{
	struct opener *o = *op;

	if (!o)
		return;
	for (size_t i = 0; i < o->objects; i++) {
		seal_stream_freep(&o->volume[i].stream);
		free(o->object[i].key);
	}
	for (struct bench *b = o->idle, *next; b; b = next) {
		next = b->next;
		seal_work_freep(&b->work);
		free(b->p);
		free(b);
	}
	free(o->volume);
	free(o->object);
	strlist_release(&o->recipients);
	mutex_destroy(&o->mutex);
	free(o);
	*op = NULL;
}

/* ---- headers ---- */

static enum status no_key(const struct opener *o, struct error *err)
{
	CLEANUP(buf_release) struct buf keys = BUF_INIT;
	size_t given = seal_identities_count(o->ids);

	for (size_t i = 0; i < o->recipients.len && i < KEYS_SHOWN; i++) {
		char print[SEAL_FINGERPRINT];

		buf_printf(&keys, "%s%s (fingerprint %s)", i ? " or " : "", o->recipients.item[i], seal_fingerprint(o->recipients.item[i], print));
	}
	if (o->recipients.len > KEYS_SHOWN)
		buf_printf(&keys, " or %zu others", o->recipients.len - KEYS_SHOWN);
	if (!given)
		error_set(err, ST_DENIED, "backup %s is encrypted, and no key was given", o->id);
	else
		error_set(err, ST_DENIED, "backup %s is encrypted, and %s opens it", o->id,
			  given == 1 ? "the key that was given is none that" : "none of the keys that were given");
	if (strlist_has(&o->recipients, "passphrase"))
		return error_hint(err, "It opens with the passphrase that it was made with: give it by DRTOOL_PASSPHRASE_FILE.");
	return error_hint(err, "It opens with the secret key of %s. Give the file of that key with --identity FILE, or by DRTOOL_IDENTITY_FILE.",
			  buf_str(&keys));
}

/* Under the mutex. *no_key_fits: it was read, and no key opens it. A store may deny a read, too. */
static enum status open_header(struct opener *o, uint32_t volume, bool *no_key_fits, struct error *err)
{
	const struct manifest_object *m = &o->object[volume];
	size_t n = (size_t)min_u64(m->size, SEAL_HEADER_MAX), identity = 0;
	CLEANUP(cstr_release) char *head = xmalloc(n);
	struct opened_volume *v = &o->volume[volume];
	uint64_t plain;

	if (o->stored.read_at(o->stored.ctx, volume, 0, head, n, err))
		return err->code;
	enum status st = seal_open(o->ids, head, n, &v->stream, &v->header_len, &identity, err);
	*no_key_fits = st == ST_DENIED;
	if (!st)
		st = seal_plain_size(v->header_len, m->size, &plain, err);
	if (!st && plain != m->plain_size)
		st = error_set(err, ST_BAD, "it holds %" PRIu64 " bytes, the manifest says %" PRIu64, plain, m->plain_size);
	if (st) {
		seal_stream_freep(&v->stream);
		return st;
	}
	o->key = seal_identity_recipient(o->ids, identity);
	return ST_OK;
}

/* A damaged header is read once more, then from another copy. */
static enum status open_volume(struct opener *o, uint32_t volume, const struct opened_volume **v, struct error *err)
{
	enum status st = ST_OK;
	bool no_key_fits = false;

	if (volume >= o->objects)
		return error_set(err, ST_BAD, "volume %" PRIu32 " is not in the manifest", volume + 1);
	mutex_lock(&o->mutex);
	for (int round = 0; !o->volume[volume].stream; round++) {
		error_release(err);
		st = open_header(o, volume, &no_key_fits, err);
		if (st != ST_BAD || (round && !(o->stored.distrust && o->stored.distrust(o->stored.ctx))))
			break;
	}
	*v = &o->volume[volume];
	mutex_unlock(&o->mutex);
	if (!st)
		return ST_OK;
	return no_key_fits ? no_key(o, err) : error_add(err, "%s", o->object[volume].key);
}

enum status opener_prove(struct opener *o, struct error *err)
{
	const struct opened_volume *v;

	return open_volume(o, (uint32_t)o->objects - 1, &v, err);
}

const char *opener_key(struct opener *o)
{
	mutex_lock(&o->mutex);
	const char *key = o->key;
	mutex_unlock(&o->mutex);
	return key && !*key ? "passphrase" : key;
}

/* ---- ranges ---- */

static struct bench *take_bench(struct opener *o, size_t need)
{
	mutex_lock(&o->mutex);
	struct bench *b = o->idle;
	if (b)
		o->idle = b->next;
	mutex_unlock(&o->mutex);
	if (!b) {
		b = xcalloc(1, sizeof *b);
		b->work = seal_work_new();
	}
	if (b->cap < need) {
		free(b->p);
		b->p = xmalloc(need);
		b->cap = need;
	}
	return b;
}

static void give_bench(struct opener *o, struct bench *b)
{
	mutex_lock(&o->mutex);
	b->next = o->idle;
	o->idle = b;
	mutex_unlock(&o->mutex);
}

struct slice {
	uint32_t volume;
	uint64_t offset; /* plain */
	size_t n;
};

/* Chunks that do not open are read once more, for the way may be to blame and not the store; then from another copy. */
static enum status read_slice(struct opener *o, const struct opened_volume *v, const struct slice *s, void *to, struct error *err)
{
	const struct manifest_object *m = &o->object[s->volume];
	const struct seal_span span = seal_span(v->header_len, m->plain_size, s->offset, s->n);
	struct bench *b = take_bench(o, (size_t)span.len);
	enum status st = ST_OK;

	for (int round = 0;; round++) {
		error_release(err);
		st = o->stored.read_at(o->stored.ctx, s->volume, span.offset, b->p, (size_t)span.len, err);
		if (st)
			break;
		st = seal_open_span(b->work, v->stream, &span, m->plain_size, b->p, b->p, err);
		if (st != ST_BAD)
			break;
		error_add(err, "damaged: the %" PRIu64 " stored bytes at %" PRIu64 " of %s", span.len, span.offset, m->key);
		if (round && !(o->stored.distrust && o->stored.distrust(o->stored.ctx)))
			break;
	}
	if (!st)
		memcpy(to, b->p + span.skip, s->n);
	give_bench(o, b);
	return st;
}

static enum status read_at(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	struct opener *o = ctx;
	const struct opened_volume *v;
	unsigned char *at = to;

	if (open_volume(o, volume, &v, err))
		return err->code;
	if (offset > o->object[volume].plain_size || n > o->object[volume].plain_size - offset)
		return error_set(err, ST_BAD, "%s: has no %zu bytes at %" PRIu64, o->object[volume].key, n, offset);
	while (n) {
		const struct slice s = {volume, offset, (size_t)min_u64(n, SLICE - offset % SEAL_CHUNK)};

		if (read_slice(o, v, &s, at, err))
			return err->code;
		at += s.n;
		offset += s.n;
		n -= s.n;
	}
	return ST_OK;
}

static enum status size_of(void *ctx, uint32_t volume, uint64_t *size, struct error *err)
{
	struct opener *o = ctx;

	if (volume >= o->objects)
		return error_set(err, ST_BAD, "volume %" PRIu32 " is not in the manifest", volume + 1);
	*size = o->object[volume].plain_size;
	return ST_OK;
}

static void keep(void *ctx, uint32_t volume, uint64_t offset, const void *p, size_t n)
{
	struct opener *o = ctx;

	if (o->stored.keep)
		o->stored.keep(o->stored.ctx, volume, offset, p, n);
}

static bool take(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n)
{
	struct opener *o = ctx;

	return o->stored.take && o->stored.take(o->stored.ctx, volume, offset, to, n);
}

/* What opens is what was sealed, and another copy has no other bytes: there is nothing to distrust. */
struct range_source opener_ranges(struct opener *o)
{
	return (struct range_source){
		.read_at = read_at, .size = size_of, .keep = keep, .take = take, .volumes = o->stored.volumes, .ctx = o};
}
