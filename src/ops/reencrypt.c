/* Backups sealed anew for the recipients that their source has now, in their own store or on the way to another. The bytes inside stay the
 * same and are compared by their SHA-256; the old volumes go only when the new ones are whole and the manifest names them. */
#include "ops/copy_object.h"
#include "ops/internal.h"
#include "ops/private.h"
#include "ops/recover.h"
#include "ops/sealer.h"

#define WINDOW ((size_t)1 << 20)

struct resealing {
	struct op_env *env;
	const struct reencrypt_request *q;
	struct copy_result *r;
	struct store from, to;
	struct lock *lock;          /* of the target */
	struct catalog have, there; /* of both stores */
	const struct seal_identities *ids;
	struct seal_recipients *recipients;
	struct strlist keys;        /* the same as text */
	unsigned char *window;
};

static void resealing_release(struct resealing *x)
{
	lock_release(&x->lock);
	catalog_release(&x->have);
	catalog_release(&x->there);
	store_release(&x->from);
	store_release(&x->to);
	seal_recipients_freep(&x->recipients);
	strlist_release(&x->keys);
	free(x->window);
}

static enum status open_target(struct resealing *x, struct error *err)
{
	struct open_stores s = {0};

	if (!stores_open(x->env, &x->q->to, 1, true, &s, err)) {
		x->to = s.store[0];
		s.store[0] = (struct store)STORE_INIT;
	}
	stores_release(&s);
	return err->code;
}

static enum status prepare(struct resealing *x, struct error *err)
{
	const struct op_source *s = x->q->source;
	struct lock_spec lock = {.store = &x->to, .source = s->name, .role = "backup", .what = "re-encrypt"};

	if (op_recipients(x->env, &s->s, &x->recipients, err) || op_identities(x->env, &x->ids, err))
		return err->code;
	if (!x->recipients) {
		error_set(err, ST_CONFIG, "source %s has no encrypt_to", s->name);
		return error_hint(err, "Write the public keys that its backups shall be encrypted for into the configuration.");
	}
	for (size_t i = 0; i < s->s.encrypt_to.len; i++)
		strlist_add_once(&x->keys, s->s.encrypt_to.item[i]);
	x->window = xmalloc(WINDOW);
	if (store_open_one(x->env, x->q->from, &x->from, err) || open_target(x, err) || lock_take(x->env->run, &lock, &x->lock, err) ||
	    catalog_read(x->env->run, &x->from, s->name, &x->have, err) || catalog_read(x->env->run, &x->to, s->name, &x->there, err))
		return err->code;
	return x->have.backups ? ST_OK : error_set(err, ST_NOT_FOUND, "store %s has no backup of %s", x->from.name, s->name);
}

/* ---- the bytes ---- */

struct volumes {
	struct resealing *x;
	const struct manifest *manifest;
};

static enum status read_stored(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	const struct volumes *v = ctx;
	struct resealing *x = v->x;
	CLEANUP(cstr_release) char *key = catalog_key(x->q->source->name, "backup", v->manifest->object[volume].key);

	if (storage_get(x->env->run, &x->from.storage, key, offset, to, n, err) == ST_NOT_FOUND)
		err->code = ST_BAD; /* the manifest names it */
	return err->code;
}

struct reseal_put {
	struct resealing *x;
	struct storage_put *put;
};

static enum status write_put(void *ctx, const void *p, size_t n, struct error *err)
{
	struct reseal_put *t = ctx;

	return t->x->to.storage.ops->put_write(t->x->env->run, t->put, p, n, err);
}

/* All plain bytes of one volume through the sealer. */
static enum status pour(struct resealing *x, const struct range_source *plain, uint32_t number, const struct manifest_object *old,
			struct sealer *sealer, struct manifest_object *o, struct error *err)
{
	CLEANUP(sha256_freep) struct sha256_state *sha = sha256_new();

	if (sealer_begin(sealer, err))
		return err->code;
	for (uint64_t at = 0; at < old->plain_size;) {
		size_t n = (size_t)min_u64(WINDOW, old->plain_size - at);

		if (run_check(x->env->run, err) || plain->read_at(plain->ctx, number, at, x->window, n, err) ||
		    sealer_write(sealer, x->window, n, err))
			return err->code;
		sha256_update(sha, x->window, n);
		at += n;
		atomic_fetch_add(&x->env->progress->done, n);
	}
	if (sealer_end(sealer, &o->size, &o->sha256, err))
		return err->code;
	o->plain_size = old->plain_size;
	o->plain_sha256 = sha256_final(sha);
	if (!sha256_equal(o->plain_sha256, old->plain_sha256))
		return error_set(err, ST_BAD, "%s: its bytes do not have the SHA-256 of the manifest", old->key);
	return failpoint("reencrypt.volume.end", err);
}

/* What the store does not answer for by a checksum is read again. */
static enum status prove_volume(struct resealing *x, const char *key, const struct manifest_object *o, enum storage_proof proof, struct error *err)
{
	const struct copy_object c = {.from = &x->to, .to = &x->to, .key = key, .size = o->size, .block = WINDOW, .blocks = 1};
	struct sha256 sum;

	if (proof != PROOF_LENGTH)
		return ST_OK;
	if (copy_hash(x->env->run, &c, &x->to, &sum, err))
		return err->code;
	return sha256_equal(sum, o->sha256) ? ST_OK : error_set(err, ST_BAD, "store %s: %s is not what was written", x->to.name, key);
}

static enum status reseal_volume(struct resealing *x, const struct range_source *plain, uint32_t number, const struct manifest_object *old,
				 struct manifest_object *o, struct error *err)
{
	CLEANUP(cstr_release) char *key = catalog_key(x->q->source->name, "backup", o->key);
	const struct put_spec spec = {.key = key, .condition = PUT_ABSENT, .retain = true};
	struct reseal_put to = {.x = x};
	struct storage_object stored = {0};

	if (storage_put_open(x->env->run, &x->to.storage, &spec, &to.put, err))
		return error_add(err, "store %s", x->to.name);
	CLEANUP(sealer_freep) struct sealer *sealer = sealer_new(x->env->run, x->recipients, (struct byte_sink){.write = write_put, .ctx = &to});
	if (pour(x, plain, number, old, sealer, o, err)) {
		x->to.storage.ops->put_abort(to.put);
		return err->code;
	}
	if (x->to.storage.ops->put_finish(x->env->run, to.put, &stored, err))
		return error_add(err, "store %s: %s", x->to.name, key);
	return prove_volume(x, key, o, stored.proof, err);
}

/* ---- one backup ---- */

static bool names(const struct manifest *m, const char *key)
{
	for (size_t i = 0; i < m->objects; i++)
		if (!strcmp(m->object[i].key, key))
			return true;
	return false;
}

/* Volumes of the backup in the target that no manifest names any more, or never did. Somebody may read them still: then they stay until this
 * is done again. */
static void sweep(struct resealing *x, const struct manifest *keep, const char *id)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(strlist_release) struct strlist leased = STRLIST_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *name = xasprintf("%s.", id);
	CLEANUP(cstr_release) char *prefix = catalog_key(x->q->source->name, "backup", name);

	if (lease_list(x->env->run, &x->to, x->q->source->name, &leased, &err) || strlist_has(&leased, id))
		notes_add(x->env->notes, "store %s: %s is being read: its old volumes stay; repeat the command later", x->to.name, id);
	else if (storage_list(x->env->run, &x->to.storage, prefix, NULL, &l, &err))
		notes_add(x->env->notes, "store %s: what is left of %s was not deleted: %s", x->to.name, id, error_text(&err));
	for (size_t i = 0; i < l.len && !err.code; i++) {
		const char *file = strrchr(l.item[i].key, '/') + 1;

		if (!strcmp(file + BACKUP_ID_LEN, ".json") || (keep && names(keep, file)))
			continue;
		if (lock_still_held(x->env->run, x->lock, &err) || storage_delete(x->env->run, &x->to.storage, l.item[i].key, NULL, &err))
			notes_add(x->env->notes, "store %s: %s stays: %s", x->to.name, l.item[i].key, error_text(&err));
	}
}

static enum status publish(struct resealing *x, const struct manifest *m, bool private, struct error *err)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", m->id);
	CLEANUP(cstr_release) char *key = catalog_key(x->q->source->name, "backup", name);
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	const struct put_spec put = {.key = key, .retain = true};

	if (private ? private_manifest_write(x->env->run, m, x->recipients, &text, err) : manifest_write(m, &text, err))
		return err->code;
	if (failpoint("reencrypt.manifest.before", err) || lock_still_held(x->env->run, x->lock, err) ||
	    storage_put_bytes(x->env->run, &x->to.storage, &put, text.data, text.len, NULL, err))
		return error_add(err, "store %s", x->to.name);
	return failpoint("reencrypt.manifest.after", err);
}

/* The volumes of `made` by those of m, under names that are not there yet. */
static enum status reseal_volumes(struct resealing *x, const struct manifest *m, struct manifest *made, struct error *err)
{
	struct volumes v = {x, m};
	const struct range_source stored = {.read_at = read_stored, .volumes = (uint32_t)m->objects, .ctx = &v};
	CLEANUP(opener_freep) struct opener *opener = m->recipients.len ? opener_new(x->ids, &stored, m) : NULL;
	const struct range_source plain = opener ? opener_ranges(opener) : stored;
	char random[7];

	if (opener && opener_prove(opener, err))
		return err->code;
	run_random_hex(x->env->run, random, 6);
	made->stored = 0;
	for (uint32_t i = 0; i < m->objects; i++) {
		free(made->object[i].key);
		made->object[i].key = i ? xasprintf("%s.%s.v%04" PRIu32 ".tar.gz.age", m->id, random, i + 1) : xasprintf("%s.%s.tar.gz.age", m->id, random);
		if (reseal_volume(x, &plain, i, &m->object[i], &made->object[i], err))
			return err->code;
		made->stored += made->object[i].size;
	}
	return ST_OK;
}

static enum status reseal(struct resealing *x, struct manifest *m, struct error *err)
{
	CLEANUP(lease_release) struct lease *lease = NULL;
	CLEANUP(error_release) struct error no_lease = ERROR_INIT;
	CLEANUP(manifest_release) struct manifest made = MANIFEST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool private = m->hidden || x->q->source->s.private_manifest;

	if (lease_take(x->env->run, &x->from, x->q->source->name, m->id, &lease, &no_lease))
		notes_add(x->env->notes, "store %s: no lease on what is read: %s", x->from.name, error_text(&no_lease));
	if (private_manifest_open(x->ids, m, err) || manifest_write(m, &text, err) || manifest_read(text.data, text.len, &made, err))
		return err->code;
	strlist_release(&made.recipients);
	for (size_t i = 0; i < x->keys.len; i++)
		strlist_add(&made.recipients, x->keys.item[i]);
	const struct catalog_query same = {.which = m->id};
	size_t index, passed_over;
	const bool there = !catalog_find(&x->there, &same, &index, &passed_over, &no_lease);
	if (reseal_volumes(x, m, &made, err)) {
		lease_release(&lease);
		sweep(x, there ? &x->there.backup[index].manifest : NULL, m->id);
		return err->code;
	}
	/* Where it is not known whether the manifest arrived, both sets of volumes stay. */
	if (publish(x, &made, private, err))
		return err->code;
	lease_release(&lease);
	sweep(x, &made, m->id);
	x->r->bytes += made.stored;
	return ST_OK;
}

/* ---- all of them ---- */

static bool same_keys(const struct strlist *a, const struct strlist *b)
{
	bool same = a->len == b->len;

	for (size_t i = 0; same && i < a->len; i++)
		same = strlist_has(b, a->item[i]);
	return same;
}

/* Whether the target has it sealed for these keys already. */
static bool is_done(const struct resealing *x, const struct catalog_backup *b)
{
	for (size_t i = 0; i < x->there.backups; i++) {
		const struct catalog_backup *t = &x->there.backup[i];

		if (!strcmp(t->manifest.id, b->manifest.id))
			return !t->bad && same_keys(&t->manifest.recipients, &x->keys);
	}
	return false;
}

/* What an earlier run left that ended between the manifest and the old volumes. */
static void sweep_done(struct resealing *x, const char *id)
{
	for (size_t i = 0; i < x->there.backups; i++)
		if (!strcmp(x->there.backup[i].manifest.id, id))
			sweep(x, &x->there.backup[i].manifest, id);
}

static enum status reseal_all(struct resealing *x, struct error *err)
{
	const struct catalog_query one = {.which = x->q->which};
	size_t first = 0, end = x->have.backups, passed_over, failed = 0;

	if (x->q->which) {
		if (catalog_find(&x->have, &one, &first, &passed_over, err))
			return err->code;
		end = first + 1;
	}
	x->r->backup = xcalloc(end - first + 1, sizeof *x->r->backup);
	for (size_t i = first; i < end; i++) {
		struct catalog_backup *b = &x->have.backup[i];
		struct copied_backup *to = &x->r->backup[x->r->backups++];

		snprintf(to->id, sizeof to->id, "%s", b->manifest.id);
		to->stored = b->manifest.stored;
		to->action = is_done(x, b) ? COPY_THERE : COPY_COPIED;
		if (to->action == COPY_THERE)
			sweep_done(x, b->manifest.id);
		if (to->action == COPY_THERE || !reseal(x, &b->manifest, &to->err))
			continue;
		to->action = COPY_FAILED;
		failed++;
		if (to->err.code == ST_CANCELLED || to->err.code == ST_DEADLINE || to->err.code == ST_LOCKED)
			return error_move(err, &to->err);
	}
	if (!failed)
		return ST_OK;
	for (size_t i = 0; i < x->r->backups; i++)
		if (x->r->backup[i].err.code) {
			error_set(err, failed == x->r->backups ? x->r->backup[i].err.code : ST_INCOMPLETE, "%zu of %zu backups were not encrypted anew: %s",
				  failed, x->r->backups, error_text(&x->r->backup[i].err));
			if (x->r->backup[i].err.hint)
				error_hint(err, "%s", x->r->backup[i].err.hint);
			break;
		}
	return err->code;
}

static void record(struct resealing *x, struct instant began, const struct error *cause)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	json_t *done = json_array();
	const struct evidence e = {
		.kind = "reencrypt",
		.source = x->q->source->name,
		.outcome = cause->code ? EVIDENCE_INCONCLUSIVE : EVIDENCE_GOOD,
		.started = began,
		.finished = run_now(x->env->run),
		.cause = cause->code ? evidence_cause(x->q->source->s.private_manifest, cause) : NULL,
		.detail = detail,
	};

	for (size_t i = 0; i < x->r->backups; i++)
		if (x->r->backup[i].action == COPY_COPIED)
			js_add_str(done, x->r->backup[i].id);
	js_set_new(detail, "backups", done);
	js_set_new(detail, "recipients", js_list(&x->keys));
	if (evidence_write(x->env->run, &x->to, &e, &err))
		notes_add(x->env->notes, "store %s: no evidence was written: %s", x->to.name, error_text(&err));
}

enum status op_reencrypt(struct op_env *env, const struct reencrypt_request *q, struct copy_result *r, struct error *err)
{
	CLEANUP(resealing_release) struct resealing x = {.env = env, .q = q, .r = r};
	struct instant start = run_mono(env->run), began = run_now(env->run);

	atomic_store(&env->progress->phase, "re-encrypt");
	if (prepare(&x, err))
		return err->code;
	enum status st = reseal_all(&x, err);
	record(&x, began, err);
	recover_write(env, &x.to);
	r->took = instant_diff(run_mono(env->run), start);
	return st;
}
