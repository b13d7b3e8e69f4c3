/* config check --connect: what a backup would need, tried for real. */
#include "ops/internal.h"

#include "core/url.h"

static void line(struct connect_result *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void line(struct connect_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strlist_take(&r->lines, xvasprintf(fmt, ap));
	va_end(ap);
}

/* Those that a backup would hold, and those that are named and are not there. */
static enum status tell_databases(const struct op_source *s, struct probe *p, struct connect_result *r, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;
	CLEANUP(strlist_release) struct strlist seen = STRLIST_INIT;

	if (url_parse(s->url, &u, err))
		return err->code;
	for (size_t i = 0; i < p->databases; i++) {
		CLEANUP(buf_release) struct buf size = BUF_INIT;

		strlist_add(&seen, p->database[i].name);
		if (!dump_wants(&s->s.databases, &s->s.exclude, u.path && *u.path ? u.path : NULL, p->database[i].name))
			continue;
		size_print(p->database[i].size, &size);
		line(r, "database %s, %s", p->database[i].name, buf_str(&size));
	}
	for (size_t i = 0; i < s->s.databases.len; i++) {
		const char *name = s->s.databases.item[i];

		if (dump_must_have(&s->s.exclude, name) && !strlist_has(&seen, name))
			strlist_take(&p->impossible, xasprintf("there is no database %s, or this user may not see it", name));
	}
	return ST_OK;
}

enum status op_connect_source(struct op_env *env, const struct op_source *s, struct connect_result *r, struct error *err)
{
	CLEANUP(tmpdir_release) struct tmpdir dir = TMPDIR_INIT;
	CLEANUP(probe_release) struct probe p = PROBE_INIT;

	if (tmpdir_make(&dir, "drtool", err))
		return err->code;
	struct endpoint e = endpoint_of(env, s, &dir);
	if (s->driver->probe(env->run, &e, false, &p, err))
		return error_add(err, "source %s", s->name);
	line(r, "login works: %s %s, %s, identity %s", s->driver->name, p.version, p.role, p.identity);
	if (tell_databases(s, &p, r, err))
		return err->code;
	for (size_t i = 0; i < p.tools.len; i++)
		line(r, "found %s", p.tools.item[i]);
	for (size_t i = 0; i < p.missing.len; i++)
		line(r, "MISSING RIGHT: %s", p.missing.item[i]);
	for (size_t i = 0; i < p.impossible.len; i++)
		line(r, "NOT POSSIBLE: %s", p.impossible.item[i]);
	for (size_t i = 0; i < p.limits.len; i++)
		line(r, "note: %s", p.limits.item[i]);
	r->usable = !p.missing.len && !p.impossible.len;
	if (!r->usable)
		return error_set(err, ST_DENIED, "source %s cannot be backed up whole", s->name);
	return ST_OK;
}

struct seeking {
	const char *key;
	bool found;
};

static enum status seek(void *ctx, struct storage_object *o, struct error *err)
{
	struct seeking *s = ctx;

	(void)err;
	s->found |= !strcmp(o->key, s->key);
	return ST_OK;
}

#define PROBE_BYTES 4096

static enum status read_back(struct op_env *env, struct storage *s, const char *key, const unsigned char *wrote, struct error *err)
{
	unsigned char back[PROBE_BYTES], part[16];
	struct seeking k = {.key = key};
	struct storage_listing l = {.fn = seek, .ctx = &k};

	if (s->ops->get(env->run, s->priv, key, 0, back, sizeof back, err) || s->ops->get(env->run, s->priv, key, 100, part, sizeof part, err))
		return error_add(err, "reading back");
	if (memcmp(back, wrote, sizeof back) || memcmp(part, wrote + 100, sizeof part))
		return error_set(err, ST_BAD, "other bytes are read than were written");
	if (s->ops->list(env->run, s->priv, key, NULL, &l, err))
		return error_add(err, "listing");
	return k.found ? ST_OK : error_set(err, ST_BAD, "what was written is not listed");
}

static enum status try_store(struct op_env *env, struct storage *s, struct connect_result *r, struct error *err)
{
	unsigned char bytes[PROBE_BYTES];
	struct storage_object o = {0};
	const struct put_spec put = {.key = STORE_PROBE_KEY}; /* one for all looks: who may not delete it overwrites it */

	run_random(env->run, bytes, sizeof bytes);
	if (storage_put_bytes(env->run, s, &put, bytes, sizeof bytes, &o, err))
		return error_add(err, "writing");
	enum status st = read_back(env, s, put.key, bytes, err);
	CLEANUP(error_release) struct error e = ERROR_INIT;
	enum status deleted = s->ops->delete(env->run, s->priv, put.key, NULL, &e);
	if (st)
		return st;
	if (deleted == ST_DENIED)
		line(r, "write, read back, range and list work; it may not delete: backups work, prune will not");
	else if (deleted && deleted != ST_NOT_FOUND) /* somebody else looked at the same time */
		return error_move(err, &e) ? error_add(err, "deleting") : ST_OK;
	else
		line(r, "write, read back, range, list and delete work");
	return ST_OK;
}

enum status op_connect_store(struct op_env *env, const struct op_store *s, struct connect_result *r, struct error *err)
{
	CLEANUP(storage_release) struct storage storage = STORAGE_INIT;
	uint64_t free_bytes = 0, total = 0;

	if (storage_open(env->run, s->ops, s->url, s->params, &storage, err) || try_store(env, &storage, r, err))
		return error_add(err, "store %s", s->name);
	if (storage.ops->caps & STORAGE_SPACE) {
		CLEANUP(buf_release) struct buf text = BUF_INIT;

		if (storage.ops->space(env->run, storage.priv, &free_bytes, &total, err))
			return error_add(err, "store %s", s->name);
		size_print(free_bytes, &text);
		buf_puts(&text, " free of ");
		size_print(total, &text);
		line(r, "%s", buf_str(&text));
	}
	if (storage.ops->remarks && storage.ops->remarks(env->run, storage.priv, &r->lines, err))
		return error_add(err, "store %s", s->name);
	r->usable = true;
	return ST_OK;
}

enum status op_compare_retention(struct op_env *env, const struct op_source *source, const struct op_store *store,
				 const struct keep_policy *keep, struct strlist *notes, struct error *err)
{
	CLEANUP(storage_release) struct storage storage = STORAGE_INIT;
	CLEANUP(buf_release) struct buf kept = BUF_INIT, locked = BUF_INIT;
	struct duration span = keep_policy_span(keep, source->s.expect_every);

	if (storage_open(env->run, store->ops, store->url, store->params, &storage, err))
		return error_add(err, "store %s", store->name);
	struct duration lock = storage_retention(&storage);
	if (!lock.us || keep_policy_empty(keep) || span.us >= lock.us)
		return ST_OK;
	duration_print(span, &kept);
	duration_print(lock, &locked);
	strlist_take(notes, xasprintf("store %s holds every backup of %s for %s (object_lock), its rules of keep only for %s: prune will say "
				      "\"retained until\" in between",
				      store->name, source->name, buf_str(&locked), buf_str(&kept)));
	return ST_OK;
}

void connect_result_release(struct connect_result *r)
{
	strlist_release(&r->lines);
	*r = (struct connect_result){0};
}
