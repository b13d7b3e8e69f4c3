#include "catalog/bulk.h"

#include <stdatomic.h>

#include "catalog/cache.h"
#include "util/thread.h"

#define WINDOW 128 /* objects in memory */
#define WINDOW_BYTES (8u * 1024 * 1024) /* or as many of them as have that, or one */
#define KEEP_BYTES (128u * 1024)        /* of the memory of an object for the next one */
#define THREADS 16 /* that ask a store far away */

struct item {
	const struct storage_object *listed;
	struct buf bytes;
	enum cache_found found;
	enum status st; /* of the read: OK, BAD or NOT_FOUND */
	bool changed;   /* what was read is not what was listed */
	char *why;      /* BAD; owned */
};

struct reading {
	struct run *run;
	struct store *store;
	const struct bulk_spec *spec;
	struct cache *cache;
	struct item item[WINDOW];
	size_t n;
	uint64_t bytes; /* of the n, as listed */
	atomic_size_t next;
	atomic_bool stop;
	pthread_mutex_t mutex; /* guards failed */
	struct error failed;
};

static void reading_release(struct reading *r)
{
	for (size_t i = 0; i < WINDOW; i++)
		buf_release(&r->item[i].bytes);
	mutex_destroy(&r->mutex);
	error_release(&r->failed);
}

static void read_item(struct run *run, struct reading *r, struct item *i, struct error *err)
{
	const struct storage_object *listed = i->listed;
	struct storage_object o = {0};

	i->st = storage_get_bytes(run, &r->store->storage, listed->key, r->spec->max, &i->bytes, &o, err);
	if (!i->st) {
		i->changed = listed->token[0] ? strcmp(listed->token, o.token) != 0 : listed->modified.us != o.modified.us;
		i->changed = i->changed || listed->size != i->bytes.len;
		return;
	}
	buf_clear(&i->bytes);
	if (i->st != ST_BAD && i->st != ST_NOT_FOUND)
		return;
	i->why = xstrdup(error_text(err));
	error_release(err);
}

static void read_main(void *arg)
{
	struct reading *r = arg;
	struct run run = *r->run;

	for (size_t i; !atomic_load(&r->stop) && (i = atomic_fetch_add(&r->next, 1)) < r->n;) {
		struct error err = ERROR_INIT;

		if (r->item[i].found == CACHE_ABSENT)
			read_item(&run, r, &r->item[i], &err);
		if (!err.code)
			continue;
		atomic_store(&r->stop, true);
		mutex_lock(&r->mutex);
		error_keep_first(&r->failed, &err);
		mutex_unlock(&r->mutex);
	}
}

/* Reads what has no copy. A store that gives no tokens in its listing lies on this machine: threads would gain nothing. */
static enum status read_window(struct reading *r, size_t absent, struct error *err)
{
	struct thread thread[THREADS - 1] = {THREAD_INIT};
	struct error no_thread = ERROR_INIT;
	size_t threads = r->item[0].listed->token[0] ? min_size(absent, THREADS) : 1;

	if (!absent)
		return ST_OK;
	atomic_store(&r->next, 0);
	for (size_t i = 0; i + 1 < threads; i++)
		if (thread_start(&thread[i], "catalog", read_main, r, &no_thread)) {
			error_release(&no_thread); /* fewer do it, too */
			break;
		}
	read_main(r);
	for (size_t i = 0; i + 1 < threads; i++)
		thread_join(&thread[i]);
	return r->failed.code ? error_move(err, &r->failed) : ST_OK;
}

static enum status give_item(struct reading *r, struct item *i, struct error *err)
{
	struct bulk_object o = {
		.key = i->listed->key,
		.bytes = &i->bytes,
		.copy = i->found != CACHE_ABSENT,
		.bad = i->st == ST_BAD ? i->why : NULL,
		.keep = !i->st && !i->changed,
	};

	if (i->st == ST_NOT_FOUND)
		return ST_OK;
	if (r->spec->fn(r->spec->ctx, &o, err))
		return err->code;
	if (o.keep && i->found != CACHE_KEPT)
		cache_keep(r->cache, i->listed, &i->bytes, run_now(r->run));
	return ST_OK;
}

static enum status do_window(struct reading *r, struct error *err)
{
	size_t absent = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct item *item = &r->item[i];

		buf_clear(&item->bytes);
		item->st = ST_OK;
		item->changed = false;
		item->found = cache_find(r->cache, item->listed, &item->bytes);
		absent += item->found == CACHE_ABSENT;
	}
	enum status st = read_window(r, absent, err);
	for (size_t i = 0; i < r->n; i++) {
		if (!st)
			st = give_item(r, &r->item[i], err);
		cstr_release(&r->item[i].why);
		if (r->item[i].bytes.cap > KEEP_BYTES)
			buf_release(&r->item[i].bytes);
	}
	r->n = 0;
	r->bytes = 0;
	return st;
}

static enum status read_listed(struct reading *r, const struct storage_objects *l, struct error *err)
{
	const struct bulk_spec *spec = r->spec;

	for (size_t i = 0; i < l->len; i++) {
		uint64_t size = min_u64(l->item[i].size, spec->max);

		if (spec->wanted && !spec->wanted(spec->ctx, l->item[i].key))
			continue;
		if ((r->n == WINDOW || (r->n && r->bytes + size > WINDOW_BYTES)) && do_window(r, err))
			return err->code;
		r->item[r->n++].listed = &l->item[i];
		r->bytes += size;
	}
	return r->n ? do_window(r, err) : run_check(r->run, err);
}

enum status bulk_read(struct run *run, struct store *s, const struct bulk_spec *spec, struct error *err)
{
	static const struct store nowhere = STORE_INIT;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct cache_spec cache = {.store = spec->folder ? s : &nowhere, .source = spec->source, .folder = spec->folder,
					 .by_time = spec->by_time};
	struct reading *r;

	if (storage_list(run, &s->storage, spec->prefix, NULL, &l, err))
		return err->code;
	if (l.len && !l.item[0].token[0] && !spec->by_time) /* no copy would be believed, nor is one worth writing */
		cache.store = &nowhere;
	r = xcalloc(1, sizeof *r);
	r->run = run;
	r->store = s;
	r->spec = spec;
	mutex_init(&r->mutex);
	r->cache = cache_open(&cache);
	read_listed(r, &l, err);
	cache_close(&r->cache, !err->code);
	reading_release(r);
	free(r);
	return err->code;
}
