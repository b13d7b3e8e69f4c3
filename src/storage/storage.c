/* What holds for every storage: the array of them, keys, small objects. Knows no storage's inside. */
#include "storage/storage.h"

#include "core/secret.h"
#include "storage/local/local.h"
#include "storage/s3/s3.h"
#include "util/utf8.h"

const struct storage_ops *const storages[] = {&storage_local, &storage_s3, NULL};

void storage_object_release(struct storage_object *o)
{
	free(o->key);
	*o = (struct storage_object){0};
}

/* The scheme of a URL, or of a path that stands for one; empty where there is none. */
static size_t url_scheme(const char *url, const char **scheme)
{
	const char *colon = strstr(url, "://");

	*scheme = url;
	if (colon)
		return (size_t)(colon - url);
	*scheme = "file";
	return url[0] == '/' ? strlen("file") : 0;
}

enum status storage_for_url(const char *url, const struct storage_ops **ops, struct error *err)
{
	CLEANUP(buf_release) struct buf known = BUF_INIT;
	CLEANUP(cstr_release) char *shown = url_without_secrets(url);
	const char *scheme;
	size_t n = url_scheme(url, &scheme);

	for (size_t i = 0; storages[i]; i++)
		for (const char *const *s = storages[i]->schemes; *s; s++) {
			if (n == strlen(*s) && !memcmp(*s, scheme, n)) {
				*ops = storages[i];
				return ST_OK;
			}
			buf_printf(&known, "%s%s://", known.len ? ", " : "", *s);
		}
	error_set(err, ST_CONFIG, "no storage has URLs such as '%s'", shown);
	return error_hint(err, "A store is a path that begins with / or a URL that begins with %s.", buf_str(&known));
}

enum status storage_check(const struct storage_ops *ops, struct error *err)
{
	const char *name = ops->name ? ops->name : "?";

	if (!ops->name || !ops->schemes || !ops->schemes[0] || !ops->settings)
		return error_set(err, ST_FAILED, "storage %s: name, schemes or settings are missing", name);
	if (!ops->open || !ops->close || !ops->put_open || !ops->put_write || !ops->put_finish || !ops->put_abort || !ops->get ||
	    !ops->stat || !ops->list || !ops->delete || !ops->uncommitted)
		return error_set(err, ST_FAILED, "storage %s: a required function is missing", name);
	if (!(ops->caps & STORAGE_SPACE) != !ops->space)
		return error_set(err, ST_FAILED, "storage %s: capability and function disagree about space", name);
	if (!(ops->caps & STORAGE_VERSIONS) != !ops->versions || !ops->versions != !ops->version_delete)
		return error_set(err, ST_FAILED, "storage %s: capability and functions disagree about versions", name);
	if ((ops->caps & STORAGE_MATCHES) && !(ops->caps & STORAGE_ABSENT))
		return error_set(err, ST_FAILED, "storage %s: 'matches' without 'absent' makes no lock", name);
	return ST_OK;
}

enum status storage_open(struct run *run, const struct storage_ops *ops, const char *url, const void *params, struct storage *s,
			 struct error *err)
{
	void *priv = xcalloc(1, ops->priv_size ? ops->priv_size : 1);

	if (ops->open(run, priv, url, params, err)) {
		free(priv);
		return err->code;
	}
	*s = (struct storage){.ops = ops, .priv = priv, .url = ops->url ? ops->url(priv) : url_without_secrets(url)};
#ifdef DRTOOL_TEST
	if (getenv("DRTOOL_STORE_FAULT"))
		storage_fault_wrap(s);
#endif
	return ST_OK;
}

void storage_release(struct storage *s)
{
	if (s->ops && !s->stuck) {
		s->ops->close(s->priv);
		free(s->priv);
	}
	free(s->url);
	*s = (struct storage)STORAGE_INIT;
}

static const char *key_fault(const char *key)
{
	const char *start = key;

	if (!*key)
		return "is empty";
	if (strlen(key) > STORAGE_KEY_MAX)
		return "is too long";
	for (const char *p = key;;) {
		if (*p == '/' || !*p) {
			size_t n = (size_t)(p - start);

			if (!n || (n == 1 && start[0] == '.') || (n == 2 && !memcmp(start, "..", 2)))
				return "has an empty, '.' or '..' part";
			if (!*p)
				return NULL;
			start = ++p;
			continue;
		}
		size_t n = utf8_character(p, NULL);
		if (!n || (unsigned char)*p < ' ' || *p == 0x7f)
			return "is not printable UTF-8";
		p += n;
	}
}

enum status storage_key_check(const char *key, struct error *err)
{
	const char *fault = key_fault(key);

	return fault ? error_set(err, ST_FAILED, "the key '%.100s' %s", key, fault) : ST_OK;
}

/* Before every call: the run goes on, no thread hangs in the storage, and the key (NULL: none) is one. */
static enum status ready(struct run *run, const struct storage *s, const char *key, struct error *err)
{
	if (run_check(run, err))
		return err->code;
	if (s->stuck)
		return error_set(err, ST_UNREACHABLE, "the store stopped answering");
	return key ? storage_key_check(key, err) : ST_OK;
}

enum status storage_put_open(struct run *run, struct storage *s, const struct put_spec *spec, struct storage_put **put,
			     struct error *err)
{
	if (ready(run, s, spec->key, err))
		return err->code;
	return s->ops->put_open(run, s->priv, spec, put, err);
}

enum status storage_get(struct run *run, struct storage *s, const char *key, uint64_t offset, void *to, size_t n, struct error *err)
{
	if (ready(run, s, key, err))
		return err->code;
	return s->ops->get(run, s->priv, key, offset, to, n, err);
}

enum status storage_stat(struct run *run, struct storage *s, const char *key, struct storage_object *o, struct error *err)
{
	if (ready(run, s, key, err))
		return err->code;
	return s->ops->stat(run, s->priv, key, o, err);
}

enum status storage_delete(struct run *run, struct storage *s, const char *key, const char *token, struct error *err)
{
	if (ready(run, s, key, err))
		return err->code;
	return s->ops->delete(run, s->priv, key, token, err);
}

enum status storage_caps(struct run *run, struct storage *s, uint32_t *caps, struct error *err)
{
	*caps = s->ops->caps;
	if (ready(run, s, NULL, err))
		return err->code;
	return s->ops->caps_now ? s->ops->caps_now(run, s->priv, caps, err) : ST_OK;
}

uint64_t storage_object_max(const struct storage *s) { return s->ops->object_max ? s->ops->object_max(s->priv) : UINT64_MAX; }

struct duration storage_retention(const struct storage *s)
{
	return s->ops->retention ? s->ops->retention(s->priv) : (struct duration){0};
}

void storage_fetch_line(const struct storage *s, const char *key, const char *file, struct buf *to)
{
	if (s->ops->fetch_line)
		s->ops->fetch_line(s->priv, key, file, to);
}

static enum status add_object(void *ctx, struct storage_object *o, struct error *err UNUSED)
{
	struct storage_objects *l = ctx;

	if (l->len == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->item = xrealloc(l->item, l->cap * sizeof *l->item);
	}
	l->item[l->len++] = *o;
	o->key = NULL;
	return ST_OK;
}

enum status storage_list(struct run *run, struct storage *s, const char *prefix, const char *start_after,
			 struct storage_objects *to, struct error *err)
{
	const struct storage_listing l = {.fn = add_object, .ctx = to};

	if (ready(run, s, NULL, err))
		return err->code;
	return s->ops->list(run, s->priv, prefix, start_after, &l, err);
}

static enum status take_first(void *ctx, struct storage_object *o, struct error *err)
{
	char **key = ctx;

	*key = o->key;
	o->key = NULL;
	return error_set(err, ST_FAILED, "one is enough");
}

enum status storage_first(struct run *run, struct storage *s, const char *prefix, const char *start_after, char **key,
			  struct error *err)
{
	const struct storage_listing l = {.fn = take_first, .ctx = key};

	*key = NULL;
	if (ready(run, s, NULL, err))
		return err->code;
	if (s->ops->list(run, s->priv, prefix, start_after, &l, err) && !*key)
		return err->code;
	error_release(err);
	return ST_OK;
}

enum status storage_uncommitted(struct run *run, struct storage *s, const char *prefix, struct instant abort_older,
				struct storage_objects *to, struct error *err)
{
	const struct storage_listing l = {.fn = add_object, .ctx = to};

	if (ready(run, s, NULL, err))
		return err->code;
	return s->ops->uncommitted(run, s->priv, prefix, abort_older, &l, err);
}

void storage_objects_release(struct storage_objects *l)
{
	for (size_t i = 0; i < l->len; i++)
		storage_object_release(&l->item[i]);
	free(l->item);
	*l = (struct storage_objects)STORAGE_OBJECTS_INIT;
}

enum status storage_put_bytes(struct run *run, struct storage *s, const struct put_spec *spec, const void *p, size_t n,
			      struct storage_object *o, struct error *err)
{
	struct storage_object ignored = {0};
	struct put_spec sized = *spec;
	struct storage_put *put;

	sized.expected_size = n;
	if (storage_put_open(run, s, &sized, &put, err))
		return err->code;
	if (n && s->ops->put_write(run, put, p, n, err)) {
		s->ops->put_abort(put);
		return err->code;
	}
	return s->ops->put_finish(run, put, o ? o : &ignored, err);
}

#define GET_TRIES 20

struct small_get {
	const char *key;
	size_t max;
	struct buf *to;
	struct storage_object *o;
};

/* One try: *same tells whether the object was the same before and after the read. */
static enum status get_once(struct run *run, struct storage *s, const struct small_get *g, bool *same, struct error *err)
{
	struct storage_object before = {0};
	struct error later = ERROR_INIT;

	*same = true;
	if (storage_stat(run, s, g->key, &before, err))
		return err->code;
	if (before.size > g->max)
		return error_set(err, ST_BAD, "%s has %" PRIu64 " bytes, which is more than the %zu that it can have", g->key,
				 before.size, g->max);
	buf_clear(g->to);
	buf_reserve(g->to, before.size + 1);
	enum status got = storage_get(run, s, g->key, 0, g->to->data, before.size, err);
	if (got && got != ST_BAD)
		return got;
	if (storage_stat(run, s, g->key, g->o, &later))
		return error_move(err, &later);
	*same = !strcmp(before.token, g->o->token);
	g->to->len = got ? 0 : before.size;
	g->to->data[g->to->len] = 0;
	return got;
}

enum status storage_get_bytes(struct run *run, struct storage *s, const char *key, size_t max, struct buf *to,
			      struct storage_object *o, struct error *err)
{
	struct storage_object own = {0};
	const struct small_get g = {.key = key, .max = max, .to = to, .o = o ? o : &own};
	bool same;

	if (s->ops->get_whole)
		return ready(run, s, key, err) ? err->code : s->ops->get_whole(run, s->priv, key, max, to, g.o, err);
	for (int i = 0; i < GET_TRIES; i++) {
		enum status st = get_once(run, s, &g, &same, err);

		if (same)
			return st;
		error_release(err);
	}
	return error_set(err, ST_IO, "%s is replaced faster than it can be read", key);
}
