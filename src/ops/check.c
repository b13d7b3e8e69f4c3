/* check: every byte of the volumes against the index, the index against itself, the volumes against the manifest. No server needed.
 * Of a sealed backup without its key: the stored bytes against the manifest. With it the plain bytes are compared: each chunk that
 * opens is what was stored, and their sums say that none is missing. */
#include "ops/internal.h"

#define HASH_WINDOW ((size_t)1 << 20)

struct checking {
	struct op_env *env;
	struct reading reading;
	struct proof_result *r;
	bool private; /* evidence gets no names */
};

static void found(void *ctx, const char *text)
{
	struct checking *c = ctx;

	proof_difference(c->r, "%s", text);
}

static void progressed(void *ctx, uint64_t stored)
{
	struct checking *c = ctx;

	atomic_store(&c->env->progress->done, stored);
}

static void volume(void *ctx, uint32_t number, uint64_t size, struct sha256 sha256)
{
	struct checking *c = ctx;
	const struct manifest *m = &c->reading.backup->manifest;

	c->r->bytes += size;
	if (number < m->objects && (m->object[number].plain_size != size || !sha256_equal(m->object[number].plain_sha256, sha256)))
		proof_difference(c->r, "%s: its SHA-256 is not that of the manifest", m->object[number].key);
}

/* The stored objects have the sizes that the manifest says. */
static enum status check_sizes(struct checking *c, struct error *err)
{
	const struct manifest *m = &c->reading.backup->manifest;
	struct storage *s = &c->reading.stores.open[0]->storage;

	for (size_t i = 0; i < m->objects; i++) {
		CLEANUP(cstr_release) char *key = catalog_key(c->reading.source, "backup", m->object[i].key);
		CLEANUP(storage_object_release) struct storage_object o = {0};
		enum status st = s->ops->stat(c->env->run, s->priv, key, &o, err);

		if (st == ST_NOT_FOUND) {
			error_release(err);
			proof_difference(c->r, "%s: is missing", m->object[i].key);
		} else if (st) {
			return st;
		} else if (o.size != m->object[i].size) {
			proof_difference(c->r, "%s: has %" PRIu64 " bytes, the manifest says %" PRIu64, m->object[i].key, o.size, m->object[i].size);
		}
	}
	return ST_OK;
}

/* Every stored byte of one volume. */
static enum status hash_volume(struct checking *c, uint32_t number, unsigned char *window, struct error *err)
{
	const struct manifest_object *o = &c->reading.backup->manifest.object[number];
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();

	for (uint64_t at = 0; at < o->size;) {
		size_t n = (size_t)min_u64(o->size - at, HASH_WINDOW);

		if (run_check(c->env->run, err) || c->reading.ranges.read_at(c->reading.ranges.ctx, number, at, window, n, err))
			return err->code;
		sha256_update(sha, window, n);
		at += n;
		c->r->bytes += n;
		progressed(c, c->r->bytes);
	}
	if (!sha256_equal(sha256_final(sha), o->sha256))
		proof_difference(c->r, "%s: its SHA-256 is not that of the manifest", o->key);
	return ST_OK;
}

static enum status hash_volumes(struct checking *c, struct error *err)
{
	CLEANUP(cstr_release) char *window = xmalloc(HASH_WINDOW);

	for (uint32_t i = 0; i < c->reading.backup->manifest.objects; i++)
		if (hash_volume(c, i, (unsigned char *)window, err))
			return err->code;
	if (c->r->difference_count)
		return error_set(err, ST_BAD, "%s", c->r->differences.item[0]);
	return ST_OK;
}

static enum status read_once(struct checking *c, struct error *err)
{
	const struct archive_check how = {.found = found, .progress = progressed, .volume = volume, .ctx = c};

	if (c->r->stored_only)
		return hash_volumes(c, err);
	return archive_check_all(c->env->run, &c->reading.ranges, c->reading.dir.path, &how, err);
}

/* A damage that a second reading does not show was the way, not the store. */
static enum status read_all(struct checking *c, struct error *err)
{
	enum status st = ST_OK;

	for (int round = 0; round < 2; round++) {
		strlist_release(&c->r->differences);
		c->r->difference_count = c->r->bytes = 0;
		error_release(err);
		if (check_sizes(c, err))
			return err->code;
		st = read_once(c, err);
		if (st == ST_BAD && !c->r->difference_count)
			proof_difference(c->r, "%s", error_text(err));
		if (st != ST_BAD && !c->r->difference_count)
			return st;
		if (st && st != ST_BAD)
			return st;
		if (!round)
			notes_add(c->env->notes, "damage was found and read a second time");
	}
	if (st != ST_BAD)
		error_set(err, ST_BAD, "%s", c->r->differences.item[0]);
	return ST_BAD;
}

void proof_result_release(struct proof_result *r)
{
	strlist_release(&r->differences);
	*r = (struct proof_result){0};
}

static void record(struct checking *c, struct instant began, const struct error *cause)
{
	CLEANUP(error_release) struct error e = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	struct evidence ev = {
		.kind = "check",
		.source = c->reading.source,
		.backup = c->reading.backup->manifest.id,
		.outcome = !cause->code ? EVIDENCE_GOOD : cause->code == ST_BAD ? EVIDENCE_BAD : EVIDENCE_INCONCLUSIVE,
		.level = PROOF_CHECKED,
		.started = began,
		.finished = run_now(c->env->run),
		.cause = cause->code ? evidence_cause(c->private, cause) : NULL,
		.detail = detail,
	};

	js_set_bool(detail, "stored_bytes_only", c->r->stored_only);
	js_set_str(detail, "opened_with", reading_key(&c->reading));

	if (evidence_write(c->env->run, c->reading.stores.open[0], &ev, &e))
		notes_add(c->env->notes, "no evidence was written: %s", error_text(&e));
}

/* Without a key that opens it a sealed backup is checked less deep, which the result says. */
static enum status open_seal(struct checking *c, struct error *err)
{
	const struct seal_identities *ids;

	reading_ranges(&c->reading);
	if (!reading_sealed(&c->reading))
		return ST_OK;
	if (op_identities(c->env, &ids, err))
		return err->code;
	if (seal_identities_count(ids) && !reading_open_seal(c->env, &c->reading, err))
		return ST_OK;
	if (err->code == ST_DENIED)
		notes_add(c->env->notes, "%s: its stored bytes are checked, its inside is not", error_text(err));
	else if (err->code && err->code != ST_BAD)
		return err->code;
	/* A damaged header is for the comparison of the stored bytes to tell. */
	error_release(err);
	c->r->stored_only = true;
	return ST_OK;
}

static void checking_release(struct checking *c) { reading_release(&c->reading); }

enum status op_check(struct op_env *env, const struct proof_request *q, struct proof_result *r, struct error *err)
{
	CLEANUP(checking_release) struct checking c = {.env = env, .r = r};
	struct reading_spec spec = {.from = &q->from, .stores = 1, .source = q->source, .which = q->which, .doubt = true};
	struct instant start = run_mono(env->run), began = run_now(env->run);

	if (reading_open(env, &spec, &c.reading, err))
		return err->code;
	const struct manifest *m = &c.reading.backup->manifest;
	memcpy(r->backup, m->id, sizeof r->backup);
	c.private = m->hidden;
	r->rows = m->rows;
	r->tables = m->tables;
	atomic_store(&env->progress->total, m->stored);
	atomic_store(&env->progress->phase, "check");
	enum status st = open_seal(&c, err);
	if (!st)
		st = read_all(&c, err);
	r->level = st ? PROOF_STORED : PROOF_CHECKED;
	r->took = instant_diff(run_mono(env->run), start);
	if (st != ST_CANCELLED)
		record(&c, began, err);
	return st ? error_add(err, "backup %s of %s", r->backup, q->source) : ST_OK;
}
