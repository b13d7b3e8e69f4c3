#include "ops/copy_object.h"

#include "util/failpoint.h"
#include "util/thread.h"

#define READERS_MAX 4u

/* Ranges of one object, read by a few threads and taken in order by one. */
struct block {
	char *p;
	bool full;
};
struct ahead {
	const struct copy_object *c;
	struct store *store;
	struct run run;
	struct cancel *stop;
	struct thread reader[READERS_MAX];
	unsigned readers;
	uint64_t count;        /* ranges of the object */
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t moved;
	struct block *block;   /* range i is in block[i % c->blocks] */
	uint64_t next, taken;  /* to be read; given out */
	bool failed;
	struct error err;
};

static size_t range_size(const struct ahead *a, uint64_t i)
{
	return (size_t)min_u64(a->c->block, a->c->size - i * a->c->block);
}

static void ahead_fail(struct ahead *a, struct error *err)
{
	mutex_lock(&a->mutex);
	a->failed = true;
	error_keep_first(&a->err, err);
	cond_broadcast(&a->moved);
	mutex_unlock(&a->mutex);
	cancel_fire(a->stop, 0);
}

/* The next range whose buffer is free; false: there is nothing more to do. */
static bool claim(struct ahead *a, uint64_t *i)
{
	bool found = false;

	mutex_lock(&a->mutex);
	while (!a->failed && a->next < a->count && a->next >= a->taken + a->c->blocks)
		cond_wait(&a->moved, &a->mutex);
	if (!a->failed && a->next < a->count) {
		*i = a->next++;
		found = true;
	}
	mutex_unlock(&a->mutex);
	return found;
}

bool copy_unreadable(enum status st) { return st == ST_IO || st == ST_DENIED; }

static enum status read_range(struct ahead *a, uint64_t i, char *to, struct error *err)
{
	struct storage *s = &a->store->storage;
	const uint64_t at = i * a->c->block;

	if (!storage_get(&a->run, s, a->c->key, at, to, range_size(a, i), err) || a->store != a->c->from || err->code != ST_IO)
		return err->code;
	error_release(err);
	return storage_get(&a->run, s, a->c->key, at, to, range_size(a, i), err);
}

static void read_ahead(void *arg)
{
	struct ahead *a = arg;
	uint64_t i;

	while (claim(a, &i)) {
		struct block *b = &a->block[i % a->c->blocks];
		struct error err = ERROR_INIT;

		if (read_range(a, i, b->p, &err)) {
			ahead_fail(a, &err);
			return;
		}
		mutex_lock(&a->mutex);
		b->full = true;
		cond_broadcast(&a->moved);
		mutex_unlock(&a->mutex);
	}
}

static void ahead_release(struct ahead *a)
{
	struct error over = ERROR_INIT;

	error_set(&over, ST_CANCELLED, "the copy ended");
	ahead_fail(a, &over);
	for (unsigned i = 0; i < a->readers; i++)
		thread_join(&a->reader[i]);
	for (unsigned i = 0; i < a->c->blocks; i++)
		free(a->block[i].p);
	free(a->block);
	cancel_free(a->stop);
	error_release(&a->err);
	cond_destroy(&a->moved);
	mutex_destroy(&a->mutex);
}

static void ahead_init(struct ahead *a, struct run *run, const struct copy_object *c, struct store *in)
{
	*a = (struct ahead){.c = c, .store = in, .run = *run, .stop = cancel_new(run->cancel)};
	a->run.cancel = a->stop;
	a->count = c->size / c->block + (c->size % c->block != 0);
	a->block = xcalloc(c->blocks, sizeof *a->block);
	for (uint64_t i = 0; i < min_u64(c->blocks, a->count); i++)
		a->block[i].p = xmalloc(range_size(a, i));
	mutex_init(&a->mutex);
	cond_init(&a->moved);
}

static enum status ahead_start(struct ahead *a, struct error *err)
{
	unsigned n = a->c->blocks > 1 ? (unsigned)min_u64(a->c->blocks - 1, READERS_MAX) : 0;

	n = (unsigned)min_u64(n, a->count > 1 ? a->count : 0);
	while (a->readers < n) {
		if (thread_start(&a->reader[a->readers], "copy-read", read_ahead, a, err))
			return err->code;
		a->readers++;
	}
	return ST_OK;
}

/* Bytes of range i, until ahead_taken. */
static enum status ahead_get(struct ahead *a, uint64_t i, const char **p, struct error *err)
{
	struct block *b = &a->block[i % a->c->blocks];

	*p = b->p;
	if (!a->readers)
		return read_range(a, i, b->p, err);
	mutex_lock(&a->mutex);
	while (!b->full && !a->failed)
		cond_wait(&a->moved, &a->mutex);
	if (!b->full)
		error_move(err, &a->err);
	mutex_unlock(&a->mutex);
	return err->code;
}

static void ahead_taken(struct ahead *a, uint64_t i)
{
	mutex_lock(&a->mutex);
	a->block[i % a->c->blocks].full = false;
	a->taken++;
	cond_broadcast(&a->moved);
	mutex_unlock(&a->mutex);
}

/* Reads all of it in `in`; put NULL: only the sum. */
static enum status each_range(struct run *run, const struct copy_object *c, struct store *in, struct storage_put *put, struct sha256 *sum,
			      struct error *err)
{
	CLEANUP(ahead_release) struct ahead a;
	CLEANUP(sha256_freep) struct sha256_state *hash = sha256_new();

	ahead_init(&a, run, c, in);
	if (ahead_start(&a, err))
		return err->code;
	for (uint64_t i = 0; i < a.count; i++) {
		size_t n = range_size(&a, i);
		const char *p;

		if (ahead_get(&a, i, &p, err)) {
			if (c->unreadable && in == c->from)
				*c->unreadable = copy_unreadable(err->code);
			return error_add(err, "store %s: %s", in->name, c->key);
		}
		sha256_update(hash, p, n);
		if (put && c->to->storage.ops->put_write(run, put, p, n, err))
			return error_add(err, "store %s: %s", c->to->name, c->key);
		ahead_taken(&a, i);
		if (c->progress && put)
			atomic_fetch_add(&c->progress->done, n);
	}
	*sum = sha256_final(hash);
	return ST_OK;
}

enum status copy_hash(struct run *run, const struct copy_object *c, struct store *in, struct sha256 *sum, struct error *err)
{
	struct copy_object one = *c;

	one.progress = NULL;
	return each_range(run, &one, in, NULL, sum, err);
}

static enum status differs(const struct copy_object *c, const struct store *in, struct error *err)
{
	error_set(err, ST_BAD, "store %s: %s does not have the SHA-256 that it should have", in->name, c->key);
	return err->code;
}

enum status copy_object(struct run *run, const struct copy_object *c, struct error *err)
{
	struct put_spec spec = {.key = c->key, .expected_size = c->size, .retain = c->archive, .bulk = c->archive};
	struct storage_object o = {0};
	struct storage_put *put = NULL;
	struct sha256 read = {{0}}, stored;

	if (failpoint("copy.object.before", err) || storage_put_open(run, &c->to->storage, &spec, &put, err))
		return error_add(err, "store %s: %s", c->to->name, c->key);
	if (each_range(run, c, c->from, put, &read, err) || (c->expected && !sha256_equal(read, *c->expected) && differs(c, c->from, err))) {
		c->to->storage.ops->put_abort(put);
		return err->code;
	}
	if (c->to->storage.ops->put_finish(run, put, &o, err))
		return error_add(err, "store %s: %s", c->to->name, c->key);
	if (failpoint("copy.object.after", err))
		return err->code;
	if (o.proof != PROOF_LENGTH) /* the store has answered a checksum of what it has */
		return ST_OK;
	if (copy_hash(run, c, c->to, &stored, err))
		return err->code;
	return sha256_equal(read, stored) ? ST_OK : differs(c, c->to, err);
}
