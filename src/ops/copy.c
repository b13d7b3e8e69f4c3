/* Backups from one store to another. Each is published in the target last, after its bytes were compared with its manifest. */
#include "ops/copy_internal.h"

#include "ops/recover.h"

#define BLOCK ((size_t)4 << 20)
#define BLOCKS_MAX 8u
#define BLOCKS_MIN 4u
#define PROCESS ((uint64_t)20 << 20) /* with its libraries */
#define PARTS_MAX 3u                 /* buffers of a put that has any */

void copying_release(struct copying *c)
{
	lock_release(&c->lock);
	catalog_release(&c->have);
	catalog_release(&c->there);
	storage_objects_release(&c->stored);
	store_release(&c->from);
	store_release(&c->to);
}

void copy_result_release(struct copy_result *r)
{
	for (size_t i = 0; i < r->backups; i++)
		error_release(&r->backup[i].err);
	free(r->backup);
	*r = (struct copy_result){0};
}

/* ---- before the first byte ---- */

static enum status open_target(struct copying *c, struct error *err)
{
	const struct op_store *to = c->q->to;
	struct open_stores s = {0};

	if (!stores_open(c->env, &to, 1, !c->q->dry_run, &s, err)) {
		c->to = s.store[0];
		s.store[0] = (struct store)STORE_INIT;
	} else if (c->q->dry_run && err->code == ST_NOT_FOUND) {
		error_release(err);
		c->no_target = true;
	}
	stores_release(&s);
	return err->code;
}

static enum status open_both(struct copying *c, struct error *err)
{
	if (store_open_one(c->env, c->q->from, &c->from, err) || open_target(c, err))
		return err->code;
	c->same = !c->no_target && store_same_place(&c->from, &c->to);
	if (!c->same || c->anew)
		return ST_OK;
	error_set(err, ST_USAGE, "--from and --to are the same store: %s", c->from.storage.url);
	return error_hint(err, "A copy that shall help is in another place.");
}

/* The servers that the source belonged to, in one store, by its manifests and source.json. */
static enum status identities(struct copying *c, struct store *s, const struct catalog *of, struct strlist *to, struct error *err)
{
	CLEANUP(catalog_source_release) struct catalog_source info = CATALOG_SOURCE_INIT;

	for (size_t i = 0; i < of->backups; i++)
		strlist_add_once(to, of->backup[i].manifest.identity);
	enum status st = catalog_source_read(c->env->run, s, c->q->source, &info, err);
	if (!st)
		strlist_add_once(to, info.identity);
	if (st && st != ST_NOT_FOUND && st != ST_BAD)
		return st;
	error_release(err);
	return ST_OK;
}

/* A source in a store belongs to one server. Where a server was replaced on purpose, the history of one of the stores says so. */
static enum status check_identity(struct copying *c, struct error *err)
{
	CLEANUP(strlist_release) struct strlist here = STRLIST_INIT, there = STRLIST_INIT;

	if (identities(c, &c->from, &c->have, &here, err) || (!c->no_target && identities(c, &c->to, &c->there, &there, err)))
		return err->code;
	if (!here.len)
		return error_set(err, ST_NOT_FOUND, "store %s has nothing of source %s", c->from.name, c->q->source);
	for (size_t i = 0; i < there.len; i++)
		if (strlist_has(&here, there.item[i]))
			return ST_OK;
	if (!there.len)
		return ST_OK;
	error_set(err, ST_REFUSED, "source %s in store %s belongs to server %s, but that in store %s to server %s", c->q->source, c->to.name,
		  there.item[there.len - 1], c->from.name, here.item[here.len - 1]);
	return error_hint(err, "They are two sources under one name: copy into another store or folder.");
}

/* Parts of the put first, what is left goes to the buffers between both stores. */
static void divide_memory(struct copying *c)
{
	const size_t from = c->from.storage.ops->part_size, part = c->no_target ? 0 : c->to.storage.ops->part_size;
	const uint64_t memory = budget_limit(c->env->global->mem_limit, from || part);

	c->parts = PARTS_MAX;
	while (c->parts > 1 && PROCESS + c->parts * (uint64_t)part + BLOCKS_MIN * BLOCK > memory)
		c->parts--;
	const uint64_t held = PROCESS + c->parts * (uint64_t)part;

	c->block = BLOCK;
	c->blocks = memory > held ? (unsigned)min_u64((memory - held) / BLOCK, BLOCKS_MAX) : 0;
	if (c->blocks < BLOCKS_MIN) {
		c->blocks = BLOCKS_MIN;
		c->block = BLOCK / 4;
	}
}

enum status copying_open(struct copying *c, struct error *err)
{
	CLEANUP(cstr_release) char *what = NULL;

	if (open_both(c, err))
		return err->code;
	divide_memory(c);
	if (!c->q->source)
		return ST_OK;
	what = c->anew ? xstrdup("re-encrypt") : xasprintf("copy from %s", c->from.name);
	struct lock_spec lock = {.store = &c->to, .source = c->q->source, .role = "backup", .what = what};
	if (!c->q->dry_run && lock_take(c->env->run, &lock, &c->lock, err))
		return err->code;
	if (catalog_read(c->env->run, &c->from, c->q->source, &c->have, err) ||
	    (!c->no_target && catalog_read(c->env->run, &c->to, c->q->source, &c->there, err)))
		return err->code;
	return c->same ? ST_OK : check_identity(c, err);
}

/* ---- what is to be done ---- */

static int by_id(const void *id, const void *b) { return strcmp(id, ((const struct catalog_backup *)b)->manifest.id); }

const struct catalog_backup *copy_find(const struct catalog *c, const char *id)
{
	return c->backups ? bsearch(id, c->backup, c->backups, sizeof *c->backup, by_id) : NULL;
}

const struct catalog_unreadable *copy_unreadable_there(const struct copying *c, const char *id)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", id);
	CLEANUP(cstr_release) char *key = catalog_key(c->q->source, "backup", name);

	for (size_t i = 0; i < c->there.unreadables; i++)
		if (!strcmp(c->there.unreadable[i].key, key))
			return &c->there.unreadable[i];
	return NULL;
}

static bool same_objects(const struct manifest *a, const struct manifest *b)
{
	bool same = a->objects == b->objects;

	for (size_t i = 0; same && i < a->objects; i++)
		same = !strcmp(a->object[i].key, b->object[i].key) && a->object[i].size == b->object[i].size &&
		       sha256_equal(a->object[i].sha256, b->object[i].sha256);
	return same;
}

bool copy_same_inside(const struct manifest *a, const struct manifest *b)
{
	bool same = a->objects == b->objects;

	for (size_t i = 0; same && i < a->objects; i++)
		same = sha256_equal(a->object[i].plain_sha256, b->object[i].plain_sha256);
	return same;
}

static int by_key(const void *key, const void *o) { return strcmp(key, ((const struct storage_object *)o)->key); }

/* The target has an object of that size. */
static bool is_stored(const struct copying *c, const char *key, uint64_t size)
{
	const struct storage_object *o = c->stored.len ? bsearch(key, c->stored.item, c->stored.len, sizeof *o, by_key) : NULL;

	return o && o->size == size;
}

bool copy_all_there(const struct copying *c, const struct manifest *m)
{
	for (size_t i = 0; i < m->objects; i++) {
		CLEANUP(cstr_release) char *key = catalog_key(c->q->source, "backup", m->object[i].key);

		if (!is_stored(c, key, m->object[i].size))
			return false;
	}
	return true;
}

static void decide(struct copying *c, const struct catalog_backup *b, struct copied_backup *to)
{
	const struct catalog_backup *there = copy_find(&c->there, b->manifest.id);
	const struct catalog_unreadable *unread = there ? NULL : copy_unreadable_there(c, b->manifest.id);

	snprintf(to->id, sizeof to->id, "%s", b->manifest.id);
	to->stored = b->manifest.stored;
	to->action = c->q->dry_run ? COPY_COPIED : COPY_PENDING;
	if (unread && unread->newer) {
		to->action = COPY_FAILED;
		error_set(&to->err, ST_REFUSED, "store %s has a manifest of this id that cannot be read (%s); it is left as it is", c->to.name, unread->why);
	} else if (there && !same_objects(&there->manifest, &b->manifest) && copy_same_inside(&there->manifest, &b->manifest)) {
		to->action = there->bad ? COPY_FAILED : COPY_LEFT;
		error_set(&to->err, ST_REFUSED, there->bad ? "store %s has it encrypted otherwise, and damaged; copy --re-encrypt replaces it" :
			  "store %s has it encrypted otherwise; copy --re-encrypt from and to that store changes it", c->to.name);
	} else if (there && !same_objects(&there->manifest, &b->manifest)) {
		to->action = COPY_FAILED;
		error_set(&to->err, ST_REFUSED, "store %s has another backup of this id; it is left as it is", c->to.name);
	} else if (there && (!there->bad || there->bad_inside) && copy_all_there(c, &b->manifest)) {
		to->action = COPY_THERE;
	} else if (b->bad) {
		to->action = COPY_LEFT;
		error_set(&to->err, ST_BAD, "known to be bad in store %s: %s", c->from.name, b->bad_because ? b->bad_because : "damaged");
	}
}

static enum status plan(struct copying *c, struct error *err)
{
	CLEANUP(cstr_release) char *folder = catalog_key(c->q->source, "backup", "");
	const struct catalog_query one = {.which = c->q->which};
	size_t first = 0, end = c->have.backups, passed_over = 0;

	if (!c->no_target && storage_list(c->env->run, &c->to.storage, folder, NULL, &c->stored, err))
		return error_add(err, "store %s", c->to.name);
	if (c->q->which) {
		if (catalog_find(&c->have, &one, &first, &passed_over, err))
			return error_add(err, "%s in %s", c->q->source, c->from.name);
		end = first + 1;
	}
	c->r->backup = xcalloc(end - first + 1, sizeof *c->r->backup);
	for (size_t i = first; i < end; i++) {
		struct copied_backup *to = &c->r->backup[c->r->backups++];

		decide(c, &c->have.backup[i], to);
		if (to->action == COPY_COPIED || to->action == COPY_PENDING)
			atomic_fetch_add(&c->env->progress->total, to->stored);
	}
	for (size_t i = 0; i < c->have.unreadables; i++)
		notes_add(c->env->notes, "%s in store %s cannot be read and is not copied: %s", c->have.unreadable[i].key, c->from.name,
			  c->have.unreadable[i].why);
	return ST_OK;
}

/* ---- one backup ---- */

struct one_copy {
	struct copying *c;
	const struct manifest *m;
	unsigned blocks;
	bool moved;      /* some of its bytes were written */
	bool unreadable; /* the source has it, but cannot read it */
};

/* Whether the volume lies in the target with its bytes already: of a copy that was broken off, or in a damaged backup. */
static enum status volume_there(struct run *run, const struct copying *c, const struct copy_object *o, bool *yes, struct error *err)
{
	struct sha256 sum;

	*yes = false;
	if (!is_stored(c, o->key, o->size))
		return ST_OK;
	if (!copy_hash(run, o, o->to, &sum, err))
		*yes = sha256_equal(sum, *o->expected);
	else if (err->code == ST_IO || err->code == ST_NOT_FOUND)
		error_release(err); /* what cannot be read is written anew */
	else
		return err->code;
	return ST_OK;
}

static enum status copy_volumes(struct run *run, struct one_copy *one, struct error *err)
{
	struct copying *c = one->c;
	const struct manifest *m = one->m;

	for (size_t i = 0; i < m->objects; i++) {
		CLEANUP(cstr_release) char *key = catalog_key(c->q->source, "backup", m->object[i].key);
		const struct copy_object o = {
			.from = &c->from,
			.to = &c->to,
			.key = key,
			.size = m->object[i].size,
			.expected = &m->object[i].sha256,
			.block = c->block,
			.blocks = one->blocks,
			.unreadable = &one->unreadable,
			.progress = c->env->progress,
			.archive = true,
		};
		bool there;

		if (volume_there(run, c, &o, &there, err) || (!there && copy_object(run, &o, err)))
			return err->code;
		if (there)
			continue;
		one->moved = true;
		atomic_fetch_add(&c->bytes, o.size);
	}
	return ST_OK;
}

/* The very bytes of the manifest, once they were proven to be those that the copy went by. */
static enum status publish(struct run *run, struct one_copy *one, struct error *err)
{
	struct copying *c = one->c;
	const struct manifest *m = one->m;
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", m->id);
	CLEANUP(cstr_release) char *key = catalog_key(c->q->source, "backup", name);
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(manifest_release) struct manifest now = MANIFEST_INIT;
	const struct put_spec put = {.key = key, .retain = true};

	if (storage_get_bytes(run, &c->from.storage, key, MANIFEST_MAX, &text, NULL, err)) {
		one->unreadable = copy_unreadable(err->code);
		return error_add(err, "store %s", c->from.name);
	}
	if (manifest_read(buf_str(&text), text.len, &now, err) || strcmp(now.id, m->id) || !same_objects(&now, m))
		return err->code ? err->code : error_set(err, ST_BAD, "store %s: %s changed while it was copied", c->from.name, key);
	if (failpoint("copy.manifest.before", err) || run_check(run, err) || lock_still_held(run, c->lock, err))
		return err->code;
	if (storage_put_bytes(run, &c->to.storage, &put, buf_str(&text), text.len, NULL, err))
		return error_add(err, "store %s", c->to.name);
	return failpoint("copy.manifest.after", err);
}

void copy_record_check(struct copying *c, const struct manifest *m, struct instant began, bool replaced)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	const struct evidence e = {
		.kind = "check",
		.source = c->q->source,
		.backup = m->id,
		.outcome = EVIDENCE_GOOD,
		.level = PROOF_CHECKED,
		.started = began,
		.finished = run_now(c->env->run),
		.detail = detail,
	};

	js_set_bool(detail, "stored_bytes_only", m->recipients.len > 0);
	js_set_str(detail, "copied_from", replaced ? c->from.id : NULL);
	if (evidence_write(c->env->run, &c->to, &e, &err))
		notes_add(c->env->notes, "store %s: %s", c->to.name, error_text(&err));
}

static enum status copy_backup(struct run *run, struct one_copy *one, struct error *err)
{
	struct copying *c = one->c;
	const struct manifest *m = one->m;
	CLEANUP(lease_release) struct lease *lease = NULL;
	CLEANUP(error_release) struct error no_lease = ERROR_INIT;
	struct instant began = run_now(run);

	if (lease_take(run, &c->from, c->q->source, m->id, &lease, &no_lease))
		notes_add(c->env->notes, "store %s: no lease on what is copied (%s): a prune could take it away", c->from.name, error_text(&no_lease));
	if (copy_volumes(run, one, err) || publish(run, one, err))
		return err->code;
	copy_record_check(c, m, began, one->moved);
	return ST_OK;
}

/* ---- all of them ---- */

bool copy_of_this_backup(enum status st) { return st == ST_BAD || st == ST_NOT_FOUND || st == ST_UNSUPPORTED || st == ST_RETAINED; }

struct round {
	struct copying *c;
	size_t *index;   /* into c->r->backup */
	unsigned blocks; /* for each thread */
};

static enum status copy_one(struct run *run, void *ctx, size_t i, struct error *err)
{
	const struct round *round = ctx;
	struct copied_backup *to = &round->c->r->backup[round->index[i]];
	const struct catalog_backup *b = copy_find(&round->c->have, to->id);

	struct one_copy one = {.c = round->c, .m = &b->manifest, .blocks = round->blocks};

	to->action = COPY_FAILED;
	if (copy_backup(run, &one, err)) {
		error_add(err, "backup %s", to->id);
		if (!one.unreadable && !copy_of_this_backup(err->code))
			return err->code;
		error_move(&to->err, err);
		return ST_OK;
	}
	to->action = COPY_COPIED;
	return ST_OK;
}

void copying_parts(struct copying *c, unsigned parts)
{
	if (c->to.storage.ops->put_parts)
		c->to.storage.ops->put_parts(c->to.storage.priv, parts);
}

/* The newest first: it is the one that is needed most. large: those for which all buffers are one queue. */
static enum status copy_round(struct copying *c, bool large, struct error *err)
{
	size_t *index = xcalloc(c->r->backups + 1, sizeof *index), n = 0;
	struct round round = {.c = c, .index = index, .blocks = large ? c->blocks : c->blocks / COPY_THREADS};
	struct crowd_work work = {.fn = copy_one, .ctx = &round, .threads = large ? 1 : COPY_THREADS};

	for (size_t i = c->r->backups; i--;)
		if (c->r->backup[i].action == COPY_PENDING && (c->r->backup[i].stored > c->block) == large)
			index[n++] = i;
	work.n = n;
	copying_parts(c, large ? c->parts : 1);
	enum status st = crowd_do(c->env->run, &work, err);
	free(index);
	return st;
}

static enum status copy_all(struct copying *c, struct error *err)
{
	atomic_store(&c->env->progress->phase, "copy");
	if (copy_marks(c, err))
		return err->code;
	if (c->q->dry_run) {
		for (size_t i = 0; i < c->r->backups; i++)
			c->bytes += c->r->backup[i].action == COPY_COPIED ? c->r->backup[i].stored : 0;
		return copy_facts(c, err);
	}
	return copy_round(c, false, err) || copy_round(c, true, err) ? err->code : copy_facts(c, err);
}

static void record(struct copying *c, const struct error *cause)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	json_t *copied = json_array();
	const struct evidence e = {
		.kind = "copy",
		.source = c->q->source,
		.outcome = cause->code ? EVIDENCE_INCONCLUSIVE : EVIDENCE_GOOD,
		.started = c->began,
		.finished = run_now(c->env->run),
		.cause = cause->code ? error_text(cause) : NULL,
		.detail = detail,
	};

	for (size_t i = 0; i < c->r->backups; i++)
		if (c->r->backup[i].action == COPY_COPIED)
			js_add_str(copied, c->r->backup[i].id);
	js_set_str(detail, "from", c->from.storage.url);
	js_set_str(detail, "from_id", c->from.id);
	js_set_new(detail, "backups", copied);
	js_set_u64(detail, "bytes", c->r->bytes);
	if (evidence_write(c->env->run, &c->to, &e, &err))
		notes_add(c->env->notes, "store %s: %s", c->to.name, error_text(&err));
}

static enum status outcome(const struct copying *c, struct error *err)
{
	const struct copied_backup *first = NULL;
	size_t failed = 0;

	for (size_t i = 0; i < c->r->backups; i++) {
		const struct copied_backup *b = &c->r->backup[i];

		if (b->action != COPY_FAILED && !(b->action == COPY_LEFT && c->q->which))
			continue;
		failed++;
		first = first ? first : b;
	}
	if (!failed)
		return ST_OK;
	if (failed == 1 && c->r->backups == 1)
		return error_set(err, first->err.code, "%s", error_text(&first->err));
	return error_set(err, ST_INCOMPLETE, "%zu of %zu backups were not copied; the first is %s: %s", failed, c->r->backups, first->id,
			 error_text(&first->err));
}

static enum status run_copy(struct copying *c, struct error *err)
{
	enum status st = copying_open(c, err);

	if (!st && c->q->source) {
		st = plan(c, err) ? err->code : copy_all(c, err);
		c->r->bytes = c->bytes;
		c->r->others = c->others;
		if (!st)
			st = outcome(c, err);
		if (c->lock)
			record(c, err);
	} else if (!st) {
		st = copy_rest(c, err);
		c->r->others = c->others;
	}
	if (!c->q->dry_run && !c->q->more && c->to.id[0])
		recover_write(c->env, &c->to);
	return st;
}

enum status op_copy(struct op_env *env, const struct copy_request *q, struct copy_result *r, struct error *err)
{
	CLEANUP(copying_release) struct copying c = {.env = env, .q = q, .r = r, .began = run_now(env->run)};
	struct instant start = run_mono(env->run);
	enum status st = run_copy(&c, err);

	r->took = instant_diff(run_mono(env->run), start);
	return st;
}
