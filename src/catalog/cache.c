#include "catalog/cache.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/hash.h"

#define MAGIC "drtool-cache 1 "
#define HEAD_LEN (sizeof MAGIC - 1 + sizeof((struct store *)0)->id) /* magic, id, line end */
#define RECENT DURATION_SECONDS(2)
#define FORGET_AGE DURATION_SECONDS(90 * 86400)
#define LEFT_AGE DURATION_SECONDS(86400)
#define COPY_SIZE (256u * 1024)

/* One record; after it token, key and bytes. In the form of this machine: no other one reads it. */
struct record {
	struct hash128 sum; /* of what follows in here and after it */
	uint64_t size;
	int64_t modified;
	uint32_t len;
	uint16_t key_len, token_len;
};
#define SUMMED offsetof(struct record, size)

struct cache {
	FILE *in;          /* NULL: there is no old file */
	bool ended;        /* nothing more to read from it */
	FILE *out;         /* the new file once there is one */
	char *path, *temporary; /* path NULL: nothing is kept */
	char head[HEAD_LEN + 1];
	bool by_time;
	bool differs;      /* the old file is right up to `good` only */
	bool failed;       /* the new file cannot be written */
	uint64_t good;
	struct record at;  /* the record that was read and not yet asked for */
	struct buf body;   /* its token, key and bytes; empty: there is none */
	uint64_t end;      /* where it ends in the file */
};

static void file_close(FILE **f)
{
	if (*f)
		fclose(*f);
	*f = NULL;
}

static const char *record_token(const struct cache *c) { return c->body.data; }
static const char *record_key(const struct cache *c) { return c->body.data + c->at.token_len + 1; }
static const char *record_bytes(const struct cache *c) { return record_key(c) + c->at.key_len + 1; }

static struct hash128 record_sum(const struct record *r, const struct buf *body)
{
	CLEANUP(xxh_freep) struct xxh_state *x = xxh_new();

	xxh_reset(x);
	xxh_update(x, (const char *)r + SUMMED, sizeof *r - SUMMED);
	xxh_update(x, body->data, body->len);
	return xxh_final(x);
}

/* Reads the next record into at and body. What is no record is the end of the file. */
static bool read_record(struct cache *c)
{
	struct record *r = &c->at;

	buf_clear(&c->body);
	if (!c->in || c->ended)
		return false;
	if (fread(r, sizeof *r, 1, c->in) == 1 && r->len <= CACHE_BYTES_MAX && r->key_len && r->key_len <= STORAGE_KEY_MAX &&
	    r->token_len < STORAGE_TOKEN) {
		size_t n = (size_t)r->token_len + 1 + r->key_len + 1 + r->len;

		buf_reserve(&c->body, n + 1);
		c->body.len = fread(c->body.data, 1, n, c->in);
		c->body.data[c->body.len] = 0;
		if (c->body.len == n && strlen(record_token(c)) == r->token_len && strlen(record_key(c)) == r->key_len &&
		    hash128_equal(r->sum, record_sum(r, &c->body))) {
			c->end += sizeof *r + n;
			return true;
		}
	}
	buf_clear(&c->body);
	c->ended = true;
	return false;
}

static void read_head(struct cache *c)
{
	char head[HEAD_LEN];

	if (!c->in)
		return;
	c->ended = fread(head, HEAD_LEN, 1, c->in) != 1 || memcmp(head, c->head, HEAD_LEN);
	if (c->ended)
		return;
	c->good = c->end = HEAD_LEN;
	read_record(c);
}

static struct cache *make(const char *store_id)
{
	struct cache *c = xcalloc(1, sizeof *c);

	snprintf(c->head, sizeof c->head, MAGIC "%32s\n", store_id);
	return c;
}

static char *cache_folder(const struct store *s)
{
	return s->state_dir && s->id[0] ? xasprintf("%s/catalog/%s", s->state_dir, s->id) : NULL;
}

struct cache *cache_open(const struct cache_spec *spec)
{
	struct cache *c = make(spec->store->id);
	CLEANUP(cstr_release) char *folder = cache_folder(spec->store);

	c->by_time = spec->by_time;
	if (!folder)
		return c;
	c->path = xasprintf("%s/%s.%s", folder, spec->source, spec->folder);
	int fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	c->in = fd < 0 ? NULL : fdopen(fd, "r");
	if (fd >= 0 && !c->in)
		close(fd);
	read_head(c);
	return c;
}

struct cache *cache_over(const void *p, size_t n, const char *store_id)
{
	struct cache *c = make(store_id);

	c->in = n ? fmemopen((void *)(uintptr_t)p, n, "r") : NULL;
	c->by_time = true;
	read_head(c);
	return c;
}

static bool same_content(const struct cache *c, const struct storage_object *o)
{
	if (c->at.size != o->size || strcmp(record_token(c), o->token))
		return false;
	return o->token[0] || (c->by_time && c->at.modified == o->modified.us);
}

enum cache_found cache_find(struct cache *c, const struct storage_object *o, struct buf *to)
{
	int order = c->body.len ? strcmp(record_key(c), o->key) : 1;

	while (order < 0) { /* in the store no more */
		c->differs = true;
		order = read_record(c) ? strcmp(record_key(c), o->key) : 1;
	}
	if (order > 0) {
		c->differs = true;
		return CACHE_ABSENT;
	}
	bool same = same_content(c, o);
	c->differs = c->differs || !same;
	if (same)
		buf_put(to, record_bytes(c), c->at.len);
	if (!c->differs)
		c->good = c->end;
	read_record(c);
	return !same ? CACHE_ABSENT : c->differs ? CACHE_FOUND : CACHE_KEPT;
}

/* What the old file has that is right. */
static bool copy_good(struct cache *c)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	if (!c->good)
		return fwrite(c->head, HEAD_LEN, 1, c->out) == 1;
	buf_reserve(&b, COPY_SIZE);
	for (uint64_t done = 0; done < c->good;) {
		size_t n = (size_t)min_u64(COPY_SIZE, c->good - done);

		if (fs_read_at(fileno(c->in), done, b.data, n, c->path, &ignored) || fwrite(b.data, n, 1, c->out) != 1)
			return false;
		done += n;
	}
	return true;
}

static bool begin_out(struct cache *c)
{
	static atomic_uint counter;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (c->out || c->failed || !c->path)
		return c->out && !c->failed;
	c->failed = true;
	CLEANUP(cstr_release) char *folder = xstrdup(c->path);
	*strrchr(folder, '/') = 0;
	if (fs_mkdirs(folder, 0700, &ignored))
		return false;
	c->temporary = xasprintf("%s.%d-%u.tmp", c->path, (int)getpid(), atomic_fetch_add(&counter, 1));
	int fd = open(c->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	c->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (fd >= 0 && !c->out)
		close(fd);
	c->failed = !c->out || !copy_good(c);
	return !c->failed;
}

void cache_keep(struct cache *c, const struct storage_object *o, const struct buf *b, struct instant now)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT;
	struct record r;
	size_t token = strlen(o->token), key = strlen(o->key);

	c->differs = true;
	if (b->len > CACHE_BYTES_MAX || key > STORAGE_KEY_MAX || (!token && instant_diff(now, o->modified).us < RECENT.us) ||
	    !begin_out(c))
		return;
	memset(&r, 0, sizeof r);
	r.size = o->size;
	r.modified = o->modified.us;
	r.len = (uint32_t)b->len;
	r.key_len = (uint16_t)key;
	r.token_len = (uint16_t)token;
	buf_put(&body, o->token, token + 1);
	buf_put(&body, o->key, key + 1);
	buf_put(&body, buf_str(b), b->len);
	r.sum = record_sum(&r, &body);
	c->failed = fwrite(&r, sizeof r, 1, c->out) != 1 || fwrite(body.data, body.len, 1, c->out) != 1;
}

void cache_close(struct cache **cache, bool whole)
{
	struct cache *c = *cache;
	bool more = c->body.len != 0; /* records that nobody asked for */

	if (c->path && (whole ? c->differs || more : c->differs && !more) && begin_out(c)) {
		bool written = !fflush(c->out) && !c->failed;

		file_close(&c->out);
		if (written && !rename(c->temporary, c->path))
			cstr_release(&c->temporary);
	}
	file_close(&c->out);
	file_close(&c->in);
	if (c->temporary)
		unlink(c->temporary);
	buf_release(&c->body);
	free(c->temporary);
	free(c->path);
	free(c);
	*cache = NULL;
}

/* True where nothing was written there for that long. */
static bool is_old(struct run *run, const char *path, struct duration age)
{
	struct stat st;

	return !lstat(path, &st) && instant_diff(run_now(run), (struct instant){(int64_t)st.st_mtim.tv_sec * 1000000}).us > age.us;
}

/* Files of the source ("shop.backup"), or of every source but those in the list. */
struct sweep {
	struct run *run; /* NULL: what killed runs left stays */
	const char *source;
	const struct strlist *but;
};

static void sweep_folder(const char *folder, const struct sweep *w)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (fs_list(folder, &names, &ignored))
		return;
	for (size_t i = 0; i < names.len; i++) {
		CLEANUP(cstr_release) char *path = path_join(folder, names.item[i]);
		char *dot = strrchr(names.item[i], '.');

		if (!dot)
			continue;
		bool temporary = !strcmp(dot, ".tmp");
		*dot = 0;
		if (temporary ? w->run && is_old(w->run, path, LEFT_AGE)
			      : w->source ? !strcmp(w->source, names.item[i]) : !strlist_has(w->but, names.item[i]))
			unlink(path);
	}
}

void cache_forget(const struct store *s, const char *source)
{
	CLEANUP(cstr_release) char *folder = cache_folder(s);
	const struct sweep w = {.source = source};

	if (folder)
		sweep_folder(folder, &w);
}

void cache_sweep(struct run *run, const struct store *s, const struct strlist *sources)
{
	CLEANUP(strlist_release) struct strlist stores = STRLIST_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(cstr_release) char *folder = cache_folder(s);

	if (!folder)
		return;
	const struct sweep w = {.run = run, .but = sources};
	sweep_folder(folder, &w);
	*strrchr(folder, '/') = 0;
	if (fs_list(folder, &stores, &ignored))
		return;
	for (size_t i = 0; i < stores.len; i++) {
		CLEANUP(cstr_release) char *other = path_join(folder, stores.item[i]);
		CLEANUP(error_release) struct error left = ERROR_INIT;

		if (strcmp(stores.item[i], s->id) && is_old(run, other, FORGET_AGE) && fs_remove_tree(other, &left))
			return;
	}
}
