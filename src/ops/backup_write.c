/* Stores, locks, and the volumes of one archive on their way to all of them. */
#include "ops/backup_write.h"

enum status backup_write_drop(const struct backup_request *q, struct backup_write *w, size_t i, struct error *why, struct error *err)
{
	if (why->code == ST_REFUSED || why->code == ST_CANCELLED || why->code == ST_DEADLINE)
		return error_move(err, why);
	if (stores_drop(&w->stores, q->to, i, why, err))
		return err->code;
	if (!w->lock)
		return ST_OK;
	lock_release(&w->lock[i]);
	memmove(&w->lock[i], &w->lock[i + 1], (w->stores.opened - i) * sizeof *w->lock);
	w->lock[w->stores.opened] = NULL;
	return ST_OK;
}

static enum status take_locks(struct op_env *env, const struct backup_request *q, struct backup_write *w, struct error *err)
{
	w->lock = xcalloc(w->stores.opened, sizeof *w->lock);
	for (size_t i = 0; i < w->stores.opened;) {
		CLEANUP(error_release) struct error why = ERROR_INIT;
		struct lock_spec spec = {.store = w->stores.open[i], .source = q->source->name, .role = "backup", .what = "backup"};

		if (!lock_take(env->run, &spec, &w->lock[i], &why)) {
			i++;
			continue;
		}
		error_add(&why, "store %s", spec.store->name);
		if (backup_write_drop(q, w, i, &why, err))
			return err->code;
	}
	return ST_OK;
}

enum status backup_write_stores(struct op_env *env, const struct backup_request *q, struct backup_write *w, struct error *err)
{
	enum status st = stores_open(env, q->to, q->stores, !q->dry_run, &w->stores, err);

	if (!q->dry_run)
		return st ? st : take_locks(env, q, w, err);
	/* Before the first backup there may be no store yet. */
	if (st == ST_NOT_FOUND) {
		notes_add(env->notes, "%s; the first backup makes it", error_text(err));
		error_release(err);
		return ST_OK;
	}
	return st;
}

static void block_free(void *ctx, struct store_block *b)
{
	(void)ctx;
	free((char *)(uintptr_t)b->p);
	free(b);
}

static enum status flush_block(struct backup_write *w, struct error *err)
{
	if (!w->block.len)
		return ST_OK;
	struct store_block *b = xcalloc(1, sizeof *b);
	b->n = w->block.len;
	b->p = buf_detach(&w->block);
	b->release = block_free;
	return store_set_write(w->set, b, err);
}

static char *volume_name(const struct backup_write *w, uint32_t volume)
{
	const char *end = w->recipients ? ".age" : "";

	return volume ? xasprintf("%s.v%04" PRIu32 ".tar.gz%s", w->manifest->id, volume + 1, end) : xasprintf("%s.tar.gz%s", w->manifest->id, end);
}

static enum status volume_begin(void *ctx, uint32_t volume, struct error *err)
{
	struct backup_write *w = ctx;
	CLEANUP(cstr_release) char *name = volume_name(w, volume);
	CLEANUP(cstr_release) char *key = catalog_key(w->manifest->source, "backup", name);

	if (store_set_begin(w->set, key, err))
		return err->code;
	return w->sealer ? sealer_begin(w->sealer, err) : ST_OK;
}

/* Members of a few KiB are gathered, so that the number of hand-overs depends on bytes only. */
static enum status gather(void *ctx, const void *p, size_t n, struct error *err)
{
	struct backup_write *w = ctx;
	const char *at = p;

	while (n) {
		size_t part = min_size(n, w->block_size - w->block.len);

		if (!w->block.data)
			buf_reserve(&w->block, min_size(w->block_size, n > w->block_size / 4 ? w->block_size : w->block_size / 4));
		buf_put(&w->block, at, part);
		at += part;
		n -= part;
		if (w->block.len == w->block_size && flush_block(w, err))
			return err->code;
	}
	return ST_OK;
}

static enum status volume_write(void *ctx, const void *p, size_t n, struct error *err)
{
	struct backup_write *w = ctx;

	return w->sealer ? sealer_write(w->sealer, p, n, err) : gather(w, p, n, err);
}

static enum status volume_end(void *ctx, uint32_t volume, uint64_t size, struct sha256 sha256, struct error *err)
{
	struct backup_write *w = ctx;
	struct manifest *m = w->manifest;
	struct manifest_object o = {.size = size, .sha256 = sha256, .plain_size = size, .plain_sha256 = sha256};
	uint64_t stored = 0;

	if (w->sealer && sealer_end(w->sealer, &o.size, &o.sha256, err))
		return err->code;
	if (failpoint("backup.volume.end", err) || flush_block(w, err) || store_set_end(w->set, &stored, err))
		return err->code;
	if (stored != o.size)
		return error_set(err, ST_BAD, "volume %" PRIu32 ": %" PRIu64 " bytes were written, the stores have %" PRIu64, volume + 1, o.size, stored);
	o.key = volume_name(w, volume);
	m->object = xrealloc(m->object, (m->objects + 1) * sizeof *m->object);
	m->object[m->objects++] = o;
	return ST_OK;
}

/* A volume ends behind an entry, and with the index: room is left for these. */
static uint64_t volume_max(const struct backup_write *w)
{
	uint64_t max = UINT64_MAX;

	for (size_t i = 0; i < w->stores.opened; i++)
		max = min_u64(max, storage_object_max(&w->stores.open[i]->storage));
	return max == UINT64_MAX ? 0 : max / 16 * 15;
}

enum status backup_write_begin(struct op_env *env, const struct budget *b, const char *spool_dir, struct backup_write *w, struct error *err)
{
	struct store_set_spec set = {
		.member = w->stores.open,
		.members = w->stores.opened,
		.stall = env->global->store_stall,
		.window = b->store_window,
	};
	struct archive_spec spec = {
		.chunk_size = (uint32_t)env->global->chunk_size,
		.volume_size = env->global->volume_size,
		.volume_max = volume_max(w),
		.mode = (enum gzip_mode)env->global->compress,
		.mtime = w->manifest->started,
		.spool_dir = spool_dir,
		.sink = {.begin = volume_begin, .write = volume_write, .end = volume_end, .ctx = w},
	};

	for (size_t i = 0; i < w->stores.opened; i++) {
		struct storage *s = &w->stores.open[i]->storage;

		if (s->ops->put_parts)
			s->ops->put_parts(s->priv, b->part_buffers);
	}
	w->block_size = 1u << 20;
	w->set = store_set_new(env->run, &set);
	if (w->recipients)
		w->sealer = sealer_new(env->run, w->recipients, (struct byte_sink){.write = gather, .ctx = w});
	return archive_writer_new(&w->writer, &spec, err);
}

/* A store whose lock was lost or cannot be proven drops out; the others go on. Where none is left, the next write says why. */
enum status backup_write_locked(struct op_env *env, struct backup_write *w, struct error *err)
{
	size_t n;
	const struct store_outcome *o = store_set_outcomes(w->set, &n);

	for (size_t i = 0; i < n; i++) {
		struct error lost = ERROR_INIT;

		if (o[i].err.code || !lock_still_held(env->run, w->lock[i], &lost))
			continue;
		if (lost.code == ST_CANCELLED || lost.code == ST_DEADLINE)
			return error_move(err, &lost);
		store_set_drop(w->set, w->stores.open[i], &lost);
	}
	return ST_OK;
}

enum status backup_write_prune(struct op_env *env, const struct backup_request *q, struct backup_write *w, struct backup_result *r,
			       struct error *err)
{
	CLEANUP(error_release) struct error first = ERROR_INIT;
	size_t n;
	const struct store_outcome *o = store_set_outcomes(w->set, &n);

	for (size_t i = 0; i < n; i++) {
		CLEANUP(error_release) struct error e = ERROR_INIT;
		CLEANUP(prune_result_release) struct prune_result pruned = PRUNE_RESULT_INIT;
		struct store *store = w->stores.open[i];
		const struct prune_input in = {
			.source = q->source->name,
			.now = run_now(env->run),
			.store = store,
			.lock = w->lock[i],
			.policy = op_keep_of(q->to[store - w->stores.store], q->source),
		};

		if (o[i].err.code) /* an outcome of the backup already, and no place to delete anything */
			continue;
		enum status st = prune_run(env->run, &in, &pruned, &e);
		r->removed += pruned.removed;
		r->leftovers += pruned.abandoned.len;
		r->freed += pruned.freed;
		if (!st)
			continue;
		error_add(&e, "the backup is good, but pruning store %s", store->name);
		if (e.code == ST_CANCELLED || e.code == ST_DEADLINE)
			return error_move(err, &e);
		error_keep_first(&first, &e);
	}
	return error_move(err, &first);
}

void backup_write_release(struct backup_write *w)
{
	archive_writer_freep(&w->writer);
	sealer_freep(&w->sealer);
	seal_recipients_freep(&w->recipients);
	store_set_freep(&w->set);
	for (size_t i = 0; w->lock && i < w->stores.opened; i++)
		lock_release(&w->lock[i]);
	free(w->lock);
	buf_release(&w->block);
	stores_release(&w->stores);
	*w = (struct backup_write)BACKUP_WRITE_INIT;
}

static void put_restore_text(const struct backup_write *w, const char *text, size_t n, struct buf *to)
{
	static const char plain[] = "tar xzf BACKUP.tar.gz\n";
	const char *found = w->recipients ? memmem(text, n, plain, sizeof plain - 1) : NULL;
	const bool passphrase = w->recipients && strlist_has(&w->manifest->recipients, "passphrase");

	if (found) {
		buf_put(to, text, (size_t)(found - text));
		buf_printf(to, "age -d %sBACKUP.tar.gz.age | tar xz\n", passphrase ? "" : "-i KEY.txt ");
		n -= (size_t)(found - text) + sizeof plain - 1;
		text = found + sizeof plain - 1;
	}
	buf_put(to, text, n);
}

void backup_restore_text(struct dump_pipeline *p, const struct backup_write *w, const char *text, struct buf *to)
{
	for (const char *mark, *end; (mark = strchr(text, '\001')) && (end = strchr(mark + 1, '\001')); text = end + 1) {
		CLEANUP(cstr_release) char *scope = xstrndup(mark + 1, (size_t)(end - mark - 1));

		put_restore_text(w, text, (size_t)(mark - text), to);
		buf_shell_word(to, dump_scope_folder(p, scope));
	}
	put_restore_text(w, text, strlen(text), to);
}
