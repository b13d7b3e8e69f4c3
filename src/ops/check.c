/* check: every byte of the volumes against the index, the index against itself, the volumes against the manifest. No server needed. */
#include "ops/internal.h"

struct checking {
	struct op_env *env;
	struct reading reading;
	struct proof_result *r;
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
	if (number < m->objects && (m->object[number].size != size || !sha256_equal(m->object[number].sha256, sha256)))
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

/* A damage that a second reading does not show was the way, not the store. */
static enum status read_all(struct checking *c, struct error *err)
{
	struct archive_check how = {.found = found, .progress = progressed, .volume = volume, .ctx = c};
	enum status st = ST_OK;

	for (int round = 0; round < 2; round++) {
		strlist_release(&c->r->differences);
		c->r->difference_count = c->r->bytes = 0;
		error_release(err);
		if (check_sizes(c, err))
			return err->code;
		st = archive_check_all(c->env->run, &c->reading.ranges, c->reading.dir.path, &how, err);
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
	struct evidence ev = {
		.kind = "check",
		.source = c->reading.source,
		.backup = c->reading.backup->manifest.id,
		.outcome = !cause->code ? EVIDENCE_GOOD : cause->code == ST_BAD ? EVIDENCE_BAD : EVIDENCE_INCONCLUSIVE,
		.level = PROOF_CHECKED,
		.started = began,
		.finished = run_now(c->env->run),
		.cause = cause->code ? error_text(cause) : NULL,
	};

	if (evidence_write(c->env->run, c->reading.stores.open[0], &ev, &e))
		notes_add(c->env->notes, "no evidence was written: %s", error_text(&e));
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
	r->rows = m->rows;
	r->tables = m->tables;
	atomic_store(&env->progress->total, m->stored);
	atomic_store(&env->progress->phase, "check");
	reading_ranges(&c.reading);
	enum status st = read_all(&c, err);
	r->level = st ? PROOF_STORED : PROOF_CHECKED;
	r->took = instant_diff(run_mono(env->run), start);
	if (st != ST_CANCELLED)
		record(&c, began, err);
	return st ? error_add(err, "backup %s of %s", r->backup, q->source) : ST_OK;
}
