/* What lies around backups: records, marks, logs, source.json, stored configurations. */
#include "ops/copy_internal.h"

#define SMALL_MAX (4u * 1024 * 1024)

enum rule {
	RULE_ONCE,  /* never changes: what is there stays */
	RULE_SAME,  /* as RULE_ONCE, and another length under the same name is an alarm: two servers wrote this log */
	RULE_NEWER, /* the one that was written later holds */
};
struct other {
	char *key;
	uint64_t size;
	enum rule rule;
	bool there;
};
struct others {
	struct copying *c;
	struct other *item;
	size_t len;
};

static void others_release(struct others *o)
{
	for (size_t i = 0; i < o->len; i++)
		free(o->item[i].key);
	free(o->item);
}

/* By its name, so that it is not read for nothing; records of other names are looked into. */
static bool is_check(const char *prefix, const char *key)
{
	const char *kind = strncmp(prefix, "evidence/", 9) ? NULL : strchr(key + strlen(prefix), '-');

	return kind && !strncmp(kind, "-check-", 7);
}

/* Which of the keys below prefix the target lacks, or may have in another state. Both lists are in byte order. */
static enum status find(struct others *o, const char *prefix, enum rule rule, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects have = STORAGE_OBJECTS_INIT, there = STORAGE_OBJECTS_INIT;
	struct run *run = o->c->env->run;
	size_t k = 0;

	if (storage_list(run, &o->c->from.storage, prefix, NULL, &have, err))
		return error_add(err, "store %s", o->c->from.name);
	if (!o->c->no_target && storage_list(run, &o->c->to.storage, prefix, NULL, &there, err))
		return error_add(err, "store %s", o->c->to.name);
	o->item = xrealloc(o->item, (o->len + have.len + 1) * sizeof *o->item);
	for (size_t i = 0; i < have.len; i++) {
		while (k < there.len && strcmp(there.item[k].key, have.item[i].key) < 0)
			k++;
		bool same = k < there.len && !strcmp(there.item[k].key, have.item[i].key);

		if (same && rule == RULE_SAME && there.item[k].size != have.item[i].size)
			return error_set(err, ST_BAD, "%s is another one in store %s than in store %s: two servers wrote this log", have.item[i].key,
					 o->c->to.name, o->c->from.name);
		if ((same && rule != RULE_NEWER) || is_check(prefix, have.item[i].key))
			continue;
		o->item[o->len++] = (struct other){.key = have.item[i].key, .size = have.item[i].size, .rule = rule, .there = same};
		have.item[i].key = NULL;
	}
	return ST_OK;
}

/* A check speaks of the bytes in its own store, and so does a verify that could not read them. What could be read there is no news
 * of a backup that is damaged here. */
static bool speaks_of_its_store(const struct copying *c, const char *key, const struct buf *b)
{
	CLEANUP(js_decref) json_t *root = NULL;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (strncmp(key, "evidence/", 9) || js_parse(buf_str(b), b->len, key, &root, &ignored))
		return false;
	const struct catalog_backup *there = copy_find(&c->there, js_opt_str(root, "backup", ""));
	const char *kind = js_opt_str(root, "kind", "");
	bool bad = !strcmp(js_opt_str(root, "outcome", ""), "bad");
	if (strcmp(kind, "verify"))
		return !strcmp(kind, "check");
	return bad ? !evidence_inside(root) : there && there->bad;
}

/* "when" of a mark, "written" of source.json; NONE where it cannot be read. */
static struct instant written(const struct buf *b)
{
	CLEANUP(js_decref) json_t *root = NULL;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (js_parse(buf_str(b), b->len, "", &root, &ignored))
		return INSTANT_NONE;
	struct instant when = js_opt_time(root, "when");
	return when.us ? when : js_opt_time(root, "written");
}

/* Whether the object of the target is to be replaced. */
static enum status outdated(struct run *run, struct copying *c, const char *key, const struct buf *ours, bool *yes, struct error *err)
{
	CLEANUP(buf_release) struct buf theirs = BUF_INIT;

	if (storage_get_bytes(run, &c->to.storage, key, SMALL_MAX, &theirs, NULL, err))
		return err->code;
	*yes = (theirs.len != ours->len || memcmp(buf_str(&theirs), buf_str(ours), ours->len)) && written(ours).us > written(&theirs).us;
	return ST_OK;
}

/* Gone since it was listed, or not to be read: the backups are worth more than a note about one of them. */
static enum status passed_over(struct copying *c, const struct other *o, struct error *err)
{
	if (err->code != ST_NOT_FOUND && !copy_unreadable(err->code))
		return error_add(err, "store %s", c->from.name);
	if (err->code != ST_NOT_FOUND)
		notes_add(c->env->notes, "store %s: %s is not copied: %s", c->from.name, o->key, error_text(err));
	error_release(err);
	return ST_OK;
}

static enum status copy_small(struct run *run, struct copying *c, const struct other *o, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct put_spec put = {.key = o->key, .condition = PUT_ABSENT, .retain = !strncmp(o->key, "evidence/", 9)};
	bool yes = true;

	if (storage_get_bytes(run, &c->from.storage, o->key, SMALL_MAX, &b, NULL, err))
		return passed_over(c, o, err);
	if (speaks_of_its_store(c, o->key, &b))
		return ST_OK;
	if (o->there && outdated(run, c, o->key, &b, &yes, err))
		return error_add(err, "store %s", c->to.name);
	if (o->there)
		put.condition = PUT_ANY;
	if (!yes)
		return ST_OK;
	if (!c->q->dry_run && storage_put_bytes(run, &c->to.storage, &put, buf_str(&b), b.len, NULL, err)) {
		if (err->code != ST_PRECONDITION)
			return error_add(err, "store %s", c->to.name);
		error_release(err); /* somebody else put it there meanwhile */
		return ST_OK;
	}
	atomic_fetch_add(&c->others, 1);
	return ST_OK;
}

static enum status copy_other(struct run *run, void *ctx, size_t i, struct error *err)
{
	struct others *o = ctx;
	struct copying *c = o->c;
	const struct other *one = &o->item[i];
	bool unreadable = false;
	const struct copy_object object = {.from = &c->from, .to = &c->to, .key = one->key, .size = one->size, .block = c->block, .blocks = 1,
					   .unreadable = &unreadable};

	if (one->size <= SMALL_MAX)
		return copy_small(run, c, one, err);
	if (!c->q->dry_run && copy_object(run, &object, err))
		return unreadable ? passed_over(c, one, err) : err->code;
	atomic_fetch_add(&c->others, 1);
	return ST_OK;
}

static enum status copy_found(struct others *o, struct error *err)
{
	const struct crowd_work work = {.fn = copy_other, .ctx = o, .n = o->len, .threads = COPY_THREADS};

	return crowd_do(o->c->env->run, &work, err);
}

enum status copy_marks(struct copying *c, struct error *err)
{
	CLEANUP(others_release) struct others o = {.c = c};
	CLEANUP(cstr_release) char *evidence = xasprintf("evidence/%s/", c->q->source);
	CLEANUP(cstr_release) char *log = catalog_key(c->q->source, "log", ""), *pin = catalog_key(c->q->source, "pin", "");
	CLEANUP(cstr_release) char *accept = catalog_key(c->q->source, "accept", "");

	if (find(&o, evidence, RULE_ONCE, err) || find(&o, pin, RULE_NEWER, err) || find(&o, accept, RULE_NEWER, err) ||
	    find(&o, log, RULE_SAME, err))
		return err->code;
	return copy_found(&o, err);
}

enum status copy_facts(struct copying *c, struct error *err)
{
	CLEANUP(others_release) struct others o = {.c = c};
	CLEANUP(cstr_release) char *key = xasprintf("%s/source.json", c->q->source);

	return find(&o, key, RULE_NEWER, err) ? err->code : copy_found(&o, err);
}

enum status copy_rest(struct copying *c, struct error *err)
{
	CLEANUP(others_release) struct others o = {.c = c};

	if (find(&o, "drtool/", RULE_ONCE, err) || find(&o, "recover/", RULE_ONCE, err))
		return err->code;
	return copy_found(&o, err);
}
