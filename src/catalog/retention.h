/* Which backups stay, and why: restic's words. Pure: decides over a catalog, deletes nothing. */
#ifndef CATALOG_RETENTION_H
#define CATALOG_RETENTION_H

#include "catalog/catalog.h"

struct keep_policy {
	uint32_t last, hourly, daily, weekly, monthly, yearly; /* 0: no such rule */
	struct duration within;                                /* 0: none */
	struct strlist tags;                                   /* "k" or "k=v" */
};
#define KEEP_POLICY_INIT {0}
bool keep_policy_empty(const struct keep_policy *p);
/* About how long the rules keep a backup at most, where one is made every so often (0: the newest N count as nothing). */
struct duration keep_policy_span(const struct keep_policy *p, struct duration every);

struct keep_decision {
	bool keep;
	/* "daily 2026-11-20", "last good", "newest proven", "pinned until ...: why", "leased", "no policy" */
	struct strlist reasons;
};
/* decision[] has c->backups items, released by the caller. Rules are OR-ed and count per kind and identity, over good backups
 * only (bad and suspect ones count for no rule); the last good and the newest proven one of each kind and identity always stay;
 * without a policy all stay. ISO weeks, UTC. A suspect backup not accepted: *blocked says why prune may delete nothing (owned),
 * else NULL. */
struct retention_input {
	const struct catalog *catalog;
	const struct keep_policy *policy;
	const struct strlist *leased;
	struct instant now;
};
void retention_decide(const struct retention_input *in, struct keep_decision *decision, char **blocked);
void keep_decision_release(struct keep_decision *d);

/* rows or raw fell by more than shrink_limit percent, or a table that had rows vanished or is empty, against the newest good backup
 * of the same identity and kind. NULL: fine. Owned by the caller. */
char *retention_suspect(const struct manifest *now, const struct manifest *before, unsigned shrink_limit);

#endif
