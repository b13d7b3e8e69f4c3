/* Backups sealed anew for the recipients that their source has now, in their own store or on the way to another. The bytes inside stay the
 * same and are compared by their SHA-256; the old volumes go only when the new ones are whole and the manifest names them. */
#include "ops/copy_internal.h"
#include "ops/private.h"
#include "ops/recover.h"
#include "ops/sealer.h"

#define WINDOW ((size_t)1 << 20)

struct resealing {
	struct copying c;              /* both stores, their catalogs, the lock */
	const struct reencrypt_request *q;
	const struct seal_identities *ids;
	struct seal_recipients *recipients;
	struct strlist keys;           /* the same as text */
	bool given;                    /* ids has one of them: what is sealed can be opened */
	unsigned char *window;
	enum storage_proof proof;      /* of the volume that was written last */
	size_t kept;                   /* backups whose old volumes stay, for no new key was seen to open anything */
};

static void resealing_release(struct resealing *x)
{
	copying_release(&x->c);
	seal_recipients_freep(&x->recipients);
	strlist_release(&x->keys);
	free(x->window);
}

static bool is_given(const struct resealing *x)
{
	for (size_t i = 0; i < seal_identities_count(x->ids); i++) {
		const char *key = seal_identity_recipient(x->ids, i);

		if (strlist_has(&x->keys, *key ? key : "passphrase"))
			return true;
	}
	return false;
}

static enum status prepare(struct resealing *x, struct error *err)
{
	const struct op_source *s = x->q->source;
	CLEANUP(cstr_release) char *folder = catalog_key(s->name, "backup", "");

	if (op_recipients(x->c.env, &s->s, &x->recipients, err) || op_identities(x->c.env, &x->ids, err))
		return err->code;
	if (!x->recipients) {
		error_set(err, ST_CONFIG, "source %s has no encrypt_to", s->name);
		return error_hint(err, "Write the public keys that its backups shall be encrypted for into the configuration.");
	}
	for (size_t i = 0; i < s->s.encrypt_to.len; i++)
		strlist_add_once(&x->keys, s->s.encrypt_to.item[i]);
	x->given = is_given(x);
	x->window = xmalloc(WINDOW);
	if (copying_open(&x->c, err) || storage_list(x->c.env->run, &x->c.to.storage, folder, NULL, &x->c.stored, err))
		return err->code;
	copying_parts(&x->c, x->c.parts);
	for (size_t i = 0; i < x->c.have.unreadables; i++)
		notes_add(x->c.env->notes, "%s in store %s cannot be read and is not encrypted anew: %s", x->c.have.unreadable[i].key,
			  x->c.from.name, x->c.have.unreadable[i].why);
	return x->c.have.backups ? ST_OK : error_set(err, ST_NOT_FOUND, "store %s has no backup of %s", x->c.from.name, s->name);
}

/* ---- the bytes ---- */

struct volumes {
	struct resealing *x;
	struct store *in;
	const struct manifest *manifest;
};

static enum status read_stored(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	const struct volumes *v = ctx;
	struct resealing *x = v->x;
	CLEANUP(cstr_release) char *key = catalog_key(x->q->source->name, "backup", v->manifest->object[volume].key);

	if (storage_get(x->c.env->run, &v->in->storage, key, offset, to, n, err) == ST_NOT_FOUND)
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

	return t->x->c.to.storage.ops->put_write(t->x->c.env->run, t->put, p, n, err);
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

		if (run_check(x->c.env->run, err) || plain->read_at(plain->ctx, number, at, x->window, n, err) ||
		    sealer_write(sealer, x->window, n, err))
			return err->code;
		sha256_update(sha, x->window, n);
		at += n;
		atomic_fetch_add(&x->c.env->progress->done, n);
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
	const struct copy_object c = {.from = &x->c.to, .to = &x->c.to, .key = key, .size = o->size, .block = WINDOW, .blocks = 1};
	struct sha256 sum;

	if (proof != PROOF_LENGTH)
		return ST_OK;
	if (copy_hash(x->c.env->run, &c, &x->c.to, &sum, err))
		return err->code;
	return sha256_equal(sum, o->sha256) ? ST_OK : error_set(err, ST_BAD, "store %s: %s is not what was written", x->c.to.name, key);
}

static enum status reseal_volume(struct resealing *x, const struct range_source *plain, uint32_t number, const struct manifest_object *old,
				 struct manifest_object *o, struct error *err)
{
	CLEANUP(cstr_release) char *key = catalog_key(x->q->source->name, "backup", o->key);
	const struct put_spec spec = {.key = key, .condition = PUT_ABSENT, .retain = true, .bulk = true};
	struct reseal_put to = {.x = x};
	struct storage_object stored = {0};

	if (storage_put_open(x->c.env->run, &x->c.to.storage, &spec, &to.put, err))
		return error_add(err, "store %s", x->c.to.name);
	CLEANUP(sealer_freep) struct sealer *sealer = sealer_new(x->c.env->run, x->recipients, (struct byte_sink){.write = write_put, .ctx = &to});
	if (pour(x, plain, number, old, sealer, o, err)) {
		x->c.to.storage.ops->put_abort(to.put);
		return err->code;
	}
	if (x->c.to.storage.ops->put_finish(x->c.env->run, to.put, &stored, err))
		return error_add(err, "store %s: %s", x->c.to.name, key);
	x->proof = stored.proof == PROOF_LENGTH ? PROOF_READ_BACK : stored.proof;
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

/* Whether the target had volumes of the backup that m does not name. */
static bool has_unnamed(const struct resealing *x, const struct manifest *m)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.", m->id);
	CLEANUP(cstr_release) char *prefix = catalog_key(x->q->source->name, "backup", name);

	for (size_t i = 0; i < x->c.stored.len; i++) {
		const char *key = x->c.stored.item[i].key;

		if (!strncmp(key, prefix, strlen(prefix)) && strcmp(key + strlen(prefix), "json") && !names(m, strrchr(key, '/') + 1))
			return true;
	}
	return false;
}

/* Deletes the volumes of the backup in the target that `keep` does not name. Somebody may read them still: then they stay until this is
 * done again. */
static void sweep(struct resealing *x, const struct manifest *keep)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(strlist_release) struct strlist leased = STRLIST_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *name = xasprintf("%s.", keep->id);
	CLEANUP(cstr_release) char *prefix = catalog_key(x->q->source->name, "backup", name);
	struct run *run = x->c.env->run;

	if (lease_list(run, &x->c.to, x->q->source->name, &leased, &err) || strlist_has(&leased, keep->id)) {
		notes_add(x->c.env->notes, "store %s: %s is being read: its old volumes stay; repeat the command later", x->c.to.name, keep->id);
		return;
	}
	if (storage_list(run, &x->c.to.storage, prefix, NULL, &l, &err))
		notes_add(x->c.env->notes, "store %s: what is left of %s was not deleted: %s", x->c.to.name, keep->id, error_text(&err));
	for (size_t i = 0; i < l.len; i++) {
		const char *key = l.item[i].key, *file = strrchr(key, '/') + 1;

		error_release(&err);
		if (!strcmp(file + BACKUP_ID_LEN, ".json") || names(keep, file))
			continue;
		if (!run_check(run, &err) && !lock_still_held(run, x->c.lock, &err) &&
		    !storage_delete(run, &x->c.to.storage, key, NULL, &err))
			continue;
		notes_add(x->c.env->notes, "store %s: %s stays: %s", x->c.to.name, key, error_text(&err));
		if (!copy_of_this_backup(err.code) && err.code != ST_DENIED)
			return;
	}
}

/* The volumes that this run made, whose names nobody else has, after it failed. Also when it was cancelled. */
static void sweep_own(struct resealing *x, const struct manifest *made, const char *random)
{
	CLEANUP(cstr_release) char *own = xasprintf("%s.%s.", made->id, random);
	struct run run = run_after(x->c.env->run, DURATION_SECONDS(60));

	for (size_t i = 0; i < made->objects; i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(cstr_release) char *key = catalog_key(x->q->source->name, "backup", made->object[i].key);

		if (strncmp(made->object[i].key, own, strlen(own)))
			return; /* from here on the names are still those of the old ones */
		if (storage_delete(&run, &x->c.to.storage, key, NULL, &err) && err.code != ST_NOT_FOUND)
			notes_add(x->c.env->notes, "store %s: %s stays: %s", x->c.to.name, key, error_text(&err));
	}
}

/* ---- does a new key open it? ---- */

static bool seen_to_open(const struct resealing *x)
{
	for (size_t i = 0; i < x->keys.len; i++)
		if (strlist_has(&x->c.have.opened_with, x->keys.item[i]) || strlist_has(&x->c.there.opened_with, x->keys.item[i]))
			return true;
	return false;
}

/* Opens header and last chunk of each volume in the target, where that can be done: with one of the new keys. */
static enum status prove_opens(struct resealing *x, const struct manifest *m, struct error *err)
{
	struct volumes v = {x, &x->c.to, m};
	const struct range_source stored = {.read_at = read_stored, .volumes = (uint32_t)m->objects, .ctx = &v};

	if (!x->given)
		return ST_OK;
	CLEANUP(opener_freep) struct opener *opener = opener_new(x->ids, &stored, m);
	const struct range_source plain = opener_ranges(opener);
	if (opener_prove(opener, err))
		return err->code;
	for (uint32_t i = 0; i < m->objects; i++)
		if (m->object[i].plain_size && plain.read_at(plain.ctx, i, m->object[i].plain_size - 1, x->window, 1, err))
			return error_add(err, "store %s", x->c.to.name);
	const char *key = opener_key(opener);
	key_remember(x->c.env, &x->c.to, &x->c.there, &(struct key_opened){x->q->source->name, m->id, key});
	strlist_add_once(&x->c.there.opened_with, key);
	return ST_OK;
}

/* The old volumes go when the new ones are known to be of use: until then whoever has the old key has a backup. */
static void retire(struct resealing *x, const struct manifest *m)
{
	if (!has_unnamed(x, m))
		return;
	if (seen_to_open(x))
		sweep(x, m);
	else
		x->kept++;
}

/* ---- one backup, continued ---- */

static enum status manifest_text(struct resealing *x, const struct manifest *m, bool private, struct buf *text, struct error *err)
{
	if (private ? private_manifest_write(x->c.env->run, m, x->recipients, text, err) : manifest_write(m, text, err))
		return err->code;
	return failpoint("reencrypt.manifest.before", err) ? err->code : lock_still_held(x->c.env->run, x->c.lock, err);
}

static enum status publish(struct resealing *x, const struct manifest *m, const struct buf *text, struct error *err)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", m->id);
	CLEANUP(cstr_release) char *key = catalog_key(x->q->source->name, "backup", name);
	const struct put_spec put = {.key = key, .retain = true};

	if (storage_put_bytes(x->c.env->run, &x->c.to.storage, &put, text->data, text->len, NULL, err))
		return error_add(err, "store %s", x->c.to.name);
	return failpoint("reencrypt.manifest.after", err);
}

/* The volumes of `made` by those of m, under names that are not there yet. */
static enum status reseal_volumes(struct resealing *x, const struct manifest *m, struct manifest *made, const char *random, struct error *err)
{
	struct volumes v = {x, &x->c.from, m};
	const struct range_source stored = {.read_at = read_stored, .volumes = (uint32_t)m->objects, .ctx = &v};
	CLEANUP(opener_freep) struct opener *opener = m->recipients.len ? opener_new(x->ids, &stored, m) : NULL;
	const struct range_source plain = opener ? opener_ranges(opener) : stored;

	if (opener && opener_prove(opener, err))
		return err->code;
	made->stored = 0;
	for (uint32_t i = 0; i < m->objects; i++) {
		free(made->object[i].key);
		made->object[i].key = i ? xasprintf("%s.%s.v%04" PRIu32 ".tar.gz.age", m->id, random, i + 1) : xasprintf("%s.%s.tar.gz.age", m->id, random);
		if (reseal_volume(x, &plain, i, &m->object[i], &made->object[i], err))
			return err->code;
		made->stored += made->object[i].size;
	}
	strlist_release(&made->proofs);
	strlist_take(&made->proofs, xasprintf("%s=%s", x->c.to.name, storage_proof_name(x->proof)));
	return ST_OK;
}

/* What is sealed anew of m: all that its manifest says but whom it is for and where it lies. */
static enum status begin(struct resealing *x, struct manifest *m, struct manifest *made, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (private_manifest_open(x->ids, m, err) || manifest_write(m, &text, err) || manifest_read(text.data, text.len, made, err))
		return err->code;
	strlist_release(&made->recipients);
	for (size_t i = 0; i < x->keys.len; i++)
		strlist_add(&made->recipients, x->keys.item[i]);
	return ST_OK;
}

/* The manifest is read again under the lease: that of a catalog is not whole. */
static enum status reseal(struct resealing *x, const char *id, struct error *err)
{
	CLEANUP(lease_release) struct lease *lease = NULL;
	CLEANUP(error_release) struct error no_lease = ERROR_INIT;
	CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT, made = MANIFEST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct instant began = run_now(x->c.env->run);
	char random[7];

	if (lease_take(x->c.env->run, &x->c.from, x->q->source->name, id, &lease, &no_lease))
		notes_add(x->c.env->notes, "store %s: no lease on what is read: %s", x->c.from.name, error_text(&no_lease));
	if (catalog_manifest(x->c.env->run, &x->c.from, x->q->source->name, id, &m, err))
		return err->code;
	const bool private = m.hidden || x->q->source->s.private_manifest;
	if (begin(x, &m, &made, err))
		return err->code;
	run_random_hex(x->c.env->run, random, 6);
	if (reseal_volumes(x, &m, &made, random, err) || prove_opens(x, &made, err) || manifest_text(x, &made, private, &text, err)) {
		sweep_own(x, &made, random);
		return err->code;
	}
	/* Where it is not known whether the manifest arrived, both sets of volumes stay. */
	if (publish(x, &made, &text, err))
		return err->code;
	lease_release(&lease);
	retire(x, &made);
	if (!x->c.same)
		copy_record_check(&x->c, &made, began, true);
	x->c.r->bytes += made.stored;
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

/* The target has it whole, sealed for these keys, and as private as it shall be. What is bad in its own store does not become good by it. */
static bool is_done(const struct resealing *x, const struct catalog_backup *t)
{
	return t && (x->c.same || !t->bad || t->bad_inside) && same_keys(&t->manifest.recipients, &x->keys) &&
	       (t->manifest.hidden || !x->q->source->s.private_manifest) && copy_all_there(&x->c, &t->manifest);
}

/* PENDING: it is to be sealed anew. */
static void decide(const struct resealing *x, const struct catalog_backup *b, struct copied_backup *to)
{
	const struct catalog_backup *there = copy_find(&x->c.there, b->manifest.id);
	const struct catalog_unreadable *unread = there ? NULL : copy_unreadable_there(&x->c, b->manifest.id);

	snprintf(to->id, sizeof to->id, "%s", b->manifest.id);
	to->stored = b->manifest.stored;
	to->action = COPY_PENDING;
	if (there && !copy_same_inside(&there->manifest, &b->manifest)) {
		to->action = COPY_FAILED;
		error_set(&to->err, ST_REFUSED, "store %s has another backup of this id; it is left as it is", x->c.to.name);
	} else if (unread) {
		to->action = COPY_FAILED;
		error_set(&to->err, ST_REFUSED, "store %s has a manifest of this id that cannot be read (%s); it is left as it is", x->c.to.name,
			  unread->why);
	} else if (is_done(x, there)) {
		to->action = COPY_THERE;
	} else if (!x->c.same && b->bad) {
		to->action = COPY_LEFT;
		error_set(&to->err, ST_BAD, "known to be bad in store %s: %s", x->c.from.name, b->bad_because ? b->bad_because : "damaged");
	}
}

/* Sealed for these keys already. Whether it is this passphrase shows when it opens; and an earlier run may have ended before the old volumes went. */
static enum status settle(struct resealing *x, const struct manifest *m, struct error *err)
{
	bool doubt = strlist_has(&x->keys, "passphrase") || (has_unnamed(x, m) && !seen_to_open(x));

	if (doubt && prove_opens(x, m, err))
		return err->code;
	retire(x, m);
	return ST_OK;
}

/* The format of a backup does not say which passphrase it has, and a run knows one. */
static void explain(const struct resealing *x, const struct catalog_backup *b, struct error *err)
{
	if (err->code == ST_DENIED && strlist_has(&x->keys, "passphrase") && strlist_has(&b->manifest.recipients, "passphrase"))
		error_hint(err, "It has another passphrase, and one cannot be changed for another in one step: encrypt it anew for a key, "
				"with the old passphrase, and then for the new passphrase, with that key.");
}

static bool ends_all(enum status st) { return !copy_of_this_backup(st) && st != ST_DENIED && st != ST_REFUSED; }

static enum status reseal_one(struct resealing *x, struct catalog_backup *b, struct copied_backup *to)
{
	decide(x, b, to);
	if (to->action == COPY_THERE && settle(x, &copy_find(&x->c.there, to->id)->manifest, &to->err))
		to->action = COPY_FAILED;
	else if (to->action == COPY_PENDING)
		to->action = reseal(x, to->id, &to->err) ? COPY_FAILED : COPY_COPIED;
	if (to->action != COPY_FAILED)
		return ST_OK;
	explain(x, b, &to->err);
	return to->err.code;
}

static enum status outcome(const struct resealing *x, struct error *err)
{
	const struct copied_backup *first = NULL;
	size_t failed = 0;

	for (size_t i = 0; i < x->c.r->backups; i++) {
		const struct copied_backup *b = &x->c.r->backup[i];

		if (b->action != COPY_FAILED && !(b->action == COPY_LEFT && x->q->which))
			continue;
		failed++;
		first = first ? first : b;
	}
	if (!failed)
		return ST_OK;
	error_set(err, failed == x->c.r->backups ? first->err.code : ST_INCOMPLETE, "%zu of %zu backups were not encrypted anew: %s", failed,
		  x->c.r->backups, error_text(&first->err));
	return first->err.hint ? error_hint(err, "%s", first->err.hint) : err->code;
}

static enum status reseal_all(struct resealing *x, struct error *err)
{
	const struct catalog_query one = {.which = x->q->which};
	size_t first = 0, end = x->c.have.backups, passed_over;

	if (x->q->which) {
		if (catalog_find(&x->c.have, &one, &first, &passed_over, err))
			return err->code;
		end = first + 1;
	}
	if (!x->c.same && copy_marks(&x->c, err))
		return err->code;
	x->c.r->backup = xcalloc(end - first + 1, sizeof *x->c.r->backup);
	for (size_t i = first; i < end; i++) {
		struct copied_backup *to = &x->c.r->backup[x->c.r->backups++];
		enum status st = reseal_one(x, &x->c.have.backup[i], to);

		if (st && ends_all(st))
			return error_move(err, &to->err);
	}
	if (!x->c.same && copy_facts(&x->c, err))
		return err->code;
	return outcome(x, err);
}

/* Once for all of them. */
static void tell_kept(const struct resealing *x)
{
	if (x->kept)
		notes_add(x->c.env->notes, "store %s: the old volumes of %zu backups stay, for none of the new keys was seen to open a backup yet: run "
			  "`drtool key check` with a new key, then repeat this command", x->c.to.name, x->kept);
}

static void record(struct resealing *x, const struct error *cause)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	json_t *done = json_array();
	const struct evidence e = {
		.kind = "reencrypt",
		.source = x->q->source->name,
		.outcome = cause->code ? EVIDENCE_INCONCLUSIVE : EVIDENCE_GOOD,
		.started = x->c.began,
		.finished = run_now(x->c.env->run),
		.cause = cause->code ? evidence_cause(x->q->source->s.private_manifest, cause) : NULL,
		.detail = detail,
	};

	for (size_t i = 0; i < x->c.r->backups; i++)
		if (x->c.r->backup[i].action == COPY_COPIED)
			js_add_str(done, x->c.r->backup[i].id);
	js_set_new(detail, "backups", done);
	js_set_new(detail, "recipients", js_list(&x->keys));
	if (evidence_write(x->c.env->run, &x->c.to, &e, &err))
		notes_add(x->c.env->notes, "store %s: no evidence was written: %s", x->c.to.name, error_text(&err));
}

enum status op_reencrypt(struct op_env *env, const struct reencrypt_request *q, struct copy_result *r, struct error *err)
{
	const struct copy_request both = {.source = q->source->name, .from = q->from, .to = q->to, .which = q->which};
	struct instant start = run_mono(env->run);
	CLEANUP(resealing_release) struct resealing x = {
		.c = {.env = env, .q = &both, .r = r, .began = run_now(env->run), .anew = true},
		.q = q,
	};

	atomic_store(&env->progress->phase, "re-encrypt");
	if (prepare(&x, err))
		return err->code;
	enum status st = reseal_all(&x, err);
	r->others = x.c.others;
	tell_kept(&x);
	record(&x, err);
	recover_write(env, &x.c.to);
	r->took = instant_diff(run_mono(env->run), start);
	return st;
}
