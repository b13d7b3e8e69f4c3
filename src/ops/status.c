/* status: the health of every source, judged from the stores alone. */
#include "ops/internal.h"
#include "ops/names.h"
#include "util/sum.h"

const char *health_name(enum health h)
{
	static const char *const name[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

	return name[h];
}

/* Nagios: critical is worse than unknown, unknown worse than warning. */
static int weight(enum health h) { return h == HEALTH_CRITICAL ? 3 : h == HEALTH_UNKNOWN ? 2 : h == HEALTH_WARNING ? 1 : 0; }

static void worsen(enum health *h, enum health to)
{
	if (weight(to) > weight(*h))
		*h = to;
}

static void because(struct status_row *row, enum health h, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void because(struct status_row *row, enum health h, const char *fmt, ...)
{
	va_list ap;

	worsen(&row->health, h);
	va_start(ap, fmt);
	strlist_take(&row->because, xvasprintf(fmt, ap));
	va_end(ap);
}

static char *age_text(struct duration d)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	duration_print(d, &b);
	return buf_detach(&b);
}

struct limits {
	struct duration max_age, verify_every;
};

/* What the configuration says wins over what the store remembers. */
static struct limits limits_of(const struct status_request *q, const struct op_source *s, const struct catalog_source *info)
{
	struct limits l = {q->max_age, info->verify_every};

	if (s && s->s.verify_every.us)
		l.verify_every = s->s.verify_every;
	if (!l.max_age.us) {
		struct duration every = s && s->s.expect_every.us ? s->s.expect_every : info->expect_every;
		struct duration rpo = s && s->s.rpo.us ? s->s.rpo : info->rpo;

		/* A backup takes its time: an hour of grace, as nightly jobs need. */
		if (every.us)
			l.max_age.us = every.us + DURATION_SECONDS(3600).us;
		if (rpo.us && (!l.max_age.us || rpo.us < l.max_age.us))
			l.max_age = rpo;
	}
	return l;
}

static void judge_age(struct status_row *row, struct limits l, struct instant now)
{
	CLEANUP(cstr_release) char *limit = age_text(l.max_age);
	CLEANUP(cstr_release) char *age = NULL;

	row->age = instant_diff(now, row->data_time);
	age = age_text(row->age);
	if (l.max_age.us && row->age.us > l.max_age.us)
		because(row, HEALTH_CRITICAL, "the newest good backup is %s old, %s is allowed", age, limit);
	if (row->age.us < -DURATION_SECONDS(300).us)
		because(row, HEALTH_WARNING, "the newest backup lies in the future: look at the clocks");
}

static void judge_proof(struct status_row *row, const struct catalog *c, struct limits l, struct instant now)
{
	struct instant newest = INSTANT_NONE;

	for (size_t i = 0; i < c->backups; i++)
		if (c->backup[i].level >= PROOF_READ && !c->backup[i].bad && c->backup[i].proven_at.us > newest.us)
			newest = c->backup[i].proven_at;
	row->proven_at = newest;
	if (!l.verify_every.us)
		return;
	CLEANUP(cstr_release) char *every = age_text(l.verify_every);
	if (!newest.us)
		because(row, HEALTH_WARNING, "no backup was ever verified, every %s is wanted", every);
	else if (now.us - newest.us > l.verify_every.us) {
		CLEANUP(cstr_release) char *age = age_text(instant_diff(now, newest));

		because(row, HEALTH_WARNING, "the last verify was %s ago, every %s is wanted", age, every);
	}
}

static void count_backups(struct status_row *row, const struct catalog *c)
{
	const struct catalog_backup *last = NULL;

	row->unreadable = c->unreadables;
	for (size_t i = 0; i < c->backups; i++) {
		const struct catalog_backup *b = &c->backup[i];

		row->stored = sum_capped(row->stored, b->manifest.stored);
		row->bad += b->bad;
		row->suspect += b->suspect && !b->bad;
		if (b->bad || b->suspect)
			continue;
		row->good++;
		last = b;
	}
	if (last) {
		memcpy(row->backup, last->manifest.id, sizeof row->backup);
		row->data_time = last->manifest.data_time;
		row->level = last->level;
	}
}

static void judge(struct status_row *row, const struct catalog *c, const struct catalog_source *info, struct limits l, struct instant now)
{
	const struct catalog_backup *newest = c->backups ? &c->backup[c->backups - 1] : NULL;

	count_backups(row, c);
	if (!row->good)
		because(row, HEALTH_CRITICAL, "there is no good backup");
	else
		judge_age(row, l, now);
	if (newest && newest->bad)
		because(row, row->good ? HEALTH_WARNING : HEALTH_CRITICAL, "the newest backup is bad: %s", newest->bad_because);
	if (newest && newest->suspect)
		because(row, HEALTH_WARNING, "the newest backup is suspect: %s",
			newest->manifest.suspect_because ? newest->manifest.suspect_because : "smaller than before");
	if (row->unreadable)
		because(row, HEALTH_WARNING, "%zu manifests cannot be read", row->unreadable);
	if (c->damaged)
		because(row, HEALTH_WARNING, "%zu records of checks and the like cannot be read", c->damaged);
	if (row->good)
		judge_proof(row, c, l, now);
	for (size_t i = 0; i < info->uncovered.len; i++) {
		CLEANUP(cstr_release) char *text = uncovered_text(info->uncovered.item[i]);

		strlist_add(&row->uncovered, info->uncovered.item[i]);
		because(row, HEALTH_WARNING, "%s", text);
	}
}

/* A key that never opened anything may be lost, or may never have been the right one. */
static void judge_keys(struct status_row *row, const struct catalog *c)
{
	const struct catalog_backup *newest = c->backups ? &c->backup[c->backups - 1] : NULL;

	for (size_t i = 0; newest && i < newest->manifest.recipients.len; i++) {
		const char *key = newest->manifest.recipients.item[i];
		char fingerprint[SEAL_FINGERPRINT];

		if (strlist_has(&c->opened_with, key))
			continue;
		if (!strcmp(key, "passphrase"))
			because(row, HEALTH_WARNING, "the passphrase was never seen to open a backup: try it with drtool key check %s", row->source);
		else
			because(row, HEALTH_WARNING, "key %s (%.12s...) was never seen to open a backup: try it with drtool key check %s --identity FILE",
				seal_fingerprint(key, fingerprint), key, row->source);
	}
}

static struct status_row *add_row(struct status_result *r, const char *source, const char *store)
{
	r->row = xrealloc(r->row, (r->rows + 1) * sizeof *r->row);
	r->row[r->rows] = (struct status_row){.source = xstrdup(source), .store = xstrdup(store)};
	return &r->row[r->rows++];
}

static const struct op_source *configured(const struct status_request *q, const char *name)
{
	for (size_t i = 0; i < q->sources; i++)
		if (!strcmp(q->configured[i]->name, name))
			return q->configured[i];
	return NULL;
}

static void status_source(struct op_env *env, const struct status_request *q, struct store *s, const char *name, struct status_result *r)
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	CLEANUP(catalog_source_release) struct catalog_source info = CATALOG_SOURCE_INIT;
	CLEANUP(lock_info_release) struct lock_info lock = {0};
	CLEANUP(error_release) struct error e = ERROR_INIT;
	struct status_row *row = add_row(r, name, s->name);
	struct instant now = run_now(env->run);

	if (catalog_look(env->run, s, name, &c, &e)) {
		because(row, HEALTH_UNKNOWN, "%s", error_text(&e));
		return;
	}
	if (catalog_source_read(env->run, s, name, &info, &e) && e.code != ST_NOT_FOUND)
		because(row, HEALTH_WARNING, "source.json: %s", error_text(&e));
	error_release(&e);
	judge(row, &c, &info, limits_of(q, configured(q, name), &info), now);
	judge_keys(row, &c);
	if (!lock_read(env->run, s, name, "backup", &lock, &e))
		row->locked = lock.held && !lock.stale;
}

/* A source that writes to this store and is not in it. */
static bool expected_here(const struct op_source *s, const char *store)
{
	return !s->s.to.len || strlist_has(&s->s.to, store);
}

/* Its first backup may be running. */
static void status_absent(struct op_env *env, struct store *s, const char *name, const char *store, struct status_result *r)
{
	CLEANUP(lock_info_release) struct lock_info lock = {0};
	CLEANUP(error_release) struct error e = ERROR_INIT;
	struct status_row *row = add_row(r, name, store);

	because(row, HEALTH_CRITICAL, "there is no backup at all");
	if (s->storage.ops && !lock_read(env->run, s, name, "backup", &lock, &e))
		row->locked = lock.held && !lock.stale;
}

static void status_store(struct op_env *env, const struct status_request *q, const struct op_store *from, struct status_result *r)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(error_release) struct error e = ERROR_INIT;
	enum status st = store_open_one(env, from, &s, &e);

	if (!st)
		st = catalog_sources(env->run, &s, &names, &e);
	if (st && st != ST_NOT_FOUND)
		because(add_row(r, q->source ? q->source : "-", from->name), HEALTH_UNKNOWN, "%s", error_text(&e));
	for (size_t i = 0; i < names.len; i++)
		if (!q->source || !strcmp(q->source, names.item[i]))
			status_source(env, q, &s, names.item[i], r);
	if (st && st != ST_NOT_FOUND)
		return;
	for (size_t i = 0; i < q->sources; i++) {
		const struct op_source *o = q->configured[i];

		if (expected_here(o, from->name) && !strlist_has(&names, o->name) && (!q->source || !strcmp(q->source, o->name)))
			status_absent(env, &s, o->name, from->name, r);
	}
}

enum status op_status(struct op_env *env, const struct status_request *q, struct status_result *r, struct error *err)
{
	for (size_t i = 0; i < q->stores; i++)
		status_store(env, q, q->from[i], r);
	if (!r->rows && q->source)
		return error_set(err, ST_NOT_FOUND, "no store has a source %s", q->source);
	for (size_t i = 0; i < r->rows; i++)
		worsen(&r->health, r->row[i].health);
	return run_check(env->run, err);
}

void status_result_release(struct status_result *r)
{
	for (size_t i = 0; i < r->rows; i++) {
		free(r->row[i].source);
		free(r->row[i].store);
		strlist_release(&r->row[i].because);
		strlist_release(&r->row[i].uncovered);
	}
	free(r->row);
	*r = (struct status_result){0};
}
