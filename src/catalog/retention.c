#include "catalog/retention.h"

/* restic's rules: a bucket is a period; from the newest backup back, the first of each new period is kept until the rule's count
 * is used up; while some of it is left, the oldest backup is kept for it too. */
struct rule {
	const char *word;
	uint32_t count;
	void (*period)(struct instant t, char *to);
};
#define PERIOD_TEXT 48

static struct tm *civil(struct instant t, struct tm *tm)
{
	time_t seconds = (time_t)(t.us / 1000000);

	return gmtime_r(&seconds, tm);
}

/* A name that is the same for all moments of a period. Weeks are those of ISO 8601. */
static void hour_of(struct instant t, char *to) { strftime(to, PERIOD_TEXT, "%Y-%m-%dT%H", civil(t, &(struct tm){0})); }
static void day_of(struct instant t, char *to) { strftime(to, PERIOD_TEXT, "%Y-%m-%d", civil(t, &(struct tm){0})); }
static void week_of(struct instant t, char *to) { strftime(to, PERIOD_TEXT, "%G-W%V", civil(t, &(struct tm){0})); }
static void month_of(struct instant t, char *to) { strftime(to, PERIOD_TEXT, "%Y-%m", civil(t, &(struct tm){0})); }
static void year_of(struct instant t, char *to) { strftime(to, PERIOD_TEXT, "%Y", civil(t, &(struct tm){0})); }

bool keep_policy_empty(const struct keep_policy *p)
{
	return !p->last && !p->hourly && !p->daily && !p->weekly && !p->monthly && !p->yearly && !p->within.us && !p->tags.len;
}

struct duration keep_policy_span(const struct keep_policy *p, struct duration every)
{
	const struct {
		uint32_t count;
		int64_t us;
	} rule[] = {
		{p->last, every.us}, {p->hourly, DURATION_SECONDS(3600).us}, {p->daily, DURATION_SECONDS(86400).us},
		{p->weekly, DURATION_SECONDS(7 * 86400).us}, {p->monthly, DURATION_SECONDS(30 * 86400).us},
		{p->yearly, DURATION_SECONDS(365 * 86400).us}, {1, p->within.us},
	};
	struct duration most = {0};

	for (size_t i = 0; i < ARRAY_LEN(rule); i++) {
		int64_t us;

		if (__builtin_mul_overflow((int64_t)rule[i].count, rule[i].us, &us))
			us = INT64_MAX;
		most.us = us > most.us ? us : most.us;
	}
	return most;
}

void keep_decision_release(struct keep_decision *d)
{
	strlist_release(&d->reasons);
	d->keep = false;
}

static void keep(struct keep_decision *d, char *reason)
{
	d->keep = true;
	strlist_take(&d->reasons, reason);
}

static struct instant time_of(const struct catalog_backup *b) { return b->manifest.started; }

/* Backups of one kind and identity, indices into the catalog, newest first; good ones only in `good`. */
struct group {
	size_t *all, *good;
	size_t alls, goods;
};

static bool same_group(const struct catalog_backup *a, const struct catalog_backup *b)
{
	return !strcmp(a->manifest.kind, b->manifest.kind) && !strcmp(a->manifest.identity, b->manifest.identity);
}

static void keep_last(const struct group *g, uint32_t count, struct keep_decision *d)
{
	for (size_t i = 0; i < g->goods && i < count; i++)
		keep(&d[g->good[i]], xasprintf("last %zu of %" PRIu32, i + 1, count));
}

static void keep_periods(const struct group *g, const struct catalog *c, const struct rule *rule, struct keep_decision *d)
{
	char last[PERIOD_TEXT] = "", period[PERIOD_TEXT];
	uint32_t left = rule->count;

	for (size_t i = 0; i < g->goods && left; i++) {
		rule->period(time_of(&c->backup[g->good[i]]), period);
		bool same = !strcmp(period, last), oldest = i + 1 == g->goods;

		if (same && !oldest)
			continue;
		keep(&d[g->good[i]], xasprintf("%s%s %s", same ? "oldest " : "", rule->word, period));
		memcpy(last, period, sizeof last);
		left--;
	}
}

/* Counted from the newest good backup, not from now: when backups stop, nothing grows old. */
static void keep_within(const struct group *g, const struct catalog *c, struct duration within, struct keep_decision *d)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	duration_print(within, &text);
	for (size_t i = 0; i < g->goods && within.us; i++)
		if (instant_diff(time_of(&c->backup[g->good[0]]), time_of(&c->backup[g->good[i]])).us < within.us)
			keep(&d[g->good[i]], xasprintf("within %s", buf_str(&text)));
}

static void keep_tags(const struct group *g, const struct catalog *c, const struct strlist *tags, struct keep_decision *d)
{
	for (size_t t = 0; t < tags->len; t++) {
		const struct strlist one = {.item = &tags->item[t], .len = 1};

		for (size_t i = 0; i < g->goods; i++)
			if (catalog_tags_match(&c->backup[g->good[i]].manifest.tags, &one))
				keep(&d[g->good[i]], xasprintf("tag %s", tags->item[t]));
	}
}

/* What stays whatever the policy says. */
static void keep_always(const struct group *g, const struct catalog *c, struct keep_decision *d)
{
	if (g->goods)
		keep(&d[g->good[0]], xstrdup("last good"));
	for (size_t i = 0; i < g->goods; i++)
		if (c->backup[g->good[i]].level >= PROOF_READ) {
			keep(&d[g->good[i]], xstrdup("newest proven"));
			break;
		}
	/* A bad backup that no good one replaces may be all there is to salvage from. */
	for (size_t i = 0; i < g->alls && (!g->goods || g->all[i] != g->good[0]); i++)
		if (c->backup[g->all[i]].bad)
			keep(&d[g->all[i]],
			     xstrdup(g->goods ? "bad, but newer than the last good" : "bad, but there is no good one"));
}

static void decide_group(const struct retention_input *in, const struct group *g, struct keep_decision *d)
{
	const struct keep_policy *p = in->policy;
	const struct rule rules[] = {{"hourly", p->hourly, hour_of}, {"daily", p->daily, day_of}, {"weekly", p->weekly, week_of},
				     {"monthly", p->monthly, month_of}, {"yearly", p->yearly, year_of}};

	keep_last(g, p->last, d);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		keep_periods(g, in->catalog, &rules[i], d);
	keep_within(g, in->catalog, p->within, d);
	keep_tags(g, in->catalog, &p->tags, d);
	keep_always(g, in->catalog, d);
}

static void decide_groups(const struct retention_input *in, struct keep_decision *d)
{
	const struct catalog *c = in->catalog;
	struct group g = {.all = xcalloc(c->backups + 1, sizeof *g.all), .good = xcalloc(c->backups + 1, sizeof *g.good)};
	bool *done = xcalloc(c->backups + 1, sizeof *done);

	for (size_t first = c->backups; first--;) {
		if (done[first])
			continue;
		g.alls = g.goods = 0;
		for (size_t i = first + 1; i--;) {
			const struct catalog_backup *b = &c->backup[i];

			if (!same_group(b, &c->backup[first]))
				continue;
			done[i] = true;
			g.all[g.alls++] = i;
			if (!b->bad && !b->suspect)
				g.good[g.goods++] = i;
		}
		decide_group(in, &g, d);
	}
	free(g.all);
	free(g.good);
	free(done);
}

static void keep_marked(const struct retention_input *in, struct keep_decision *d)
{
	char until[INSTANT_TEXT];

	for (size_t i = 0; i < in->catalog->backups; i++) {
		const struct catalog_backup *b = &in->catalog->backup[i];

		for (size_t p = 0; p < b->pins; p++) {
			const struct catalog_pin *pin = &b->pin[p];

			if (pin->until.us && pin->until.us <= in->now.us)
				continue;
			if (pin->until.us)
				keep(&d[i], xasprintf("pinned until %s: %s", instant_iso(pin->until, until), pin->because));
			else
				keep(&d[i], xasprintf("pinned: %s", pin->because));
		}
		if (in->leased && strlist_has(in->leased, b->manifest.id))
			keep(&d[i], xstrdup("leased"));
		if (b->suspect)
			keep(&d[i], xstrdup("suspect"));
	}
}

static char *why_blocked(const struct catalog *c)
{
	for (size_t i = c->backups; i--;) {
		const struct catalog_backup *b = &c->backup[i];

		if (b->suspect)
			return xasprintf("backup %s is suspect (%s)", b->manifest.id,
					 b->manifest.suspect_because ? b->manifest.suspect_because : "no reason recorded");
	}
	return NULL;
}

void retention_decide(const struct retention_input *in, struct keep_decision *decision, char **blocked)
{
	for (size_t i = 0; i < in->catalog->backups; i++)
		decision[i] = (struct keep_decision){0};
	*blocked = why_blocked(in->catalog);
	if (keep_policy_empty(in->policy))
		for (size_t i = 0; i < in->catalog->backups; i++)
			keep(&decision[i], xstrdup("no policy"));
	else
		decide_groups(in, decision);
	keep_marked(in, decision);
}
