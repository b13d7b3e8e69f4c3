/* evidence/<source>/<time>-<kind>-<run>.json: one record of every backup, check, verify, prune, accept, pin; also the failed ones.
 * Each names the SHA-256 of the newest record it saw. The newest conclusive one of a kind decides about a backup. */
#ifndef CATALOG_EVIDENCE_H
#define CATALOG_EVIDENCE_H

#include "catalog/catalog.h"

enum evidence_outcome { EVIDENCE_GOOD, EVIDENCE_BAD, EVIDENCE_INCONCLUSIVE };
struct evidence {
	const char *kind;    /* "backup", "check", "verify", "prune", "accept", "pin", "unpin", "restore", "key" */
	const char *source, *backup; /* backup may be NULL */
	enum evidence_outcome outcome;
	enum proof_level level; /* what this run proves, where it is good */
	struct instant started, finished;
	const char *cause;   /* error text where not good */
	const json_t *detail; /* borrowed; may be NULL */
};
/* A store that cannot be written makes a note of the caller, not another exit code: callers turn the failure into a note. */
enum status evidence_write(struct run *run, struct store *s, const struct evidence *e, struct error *err) MUST_CHECK;

/* Of a check: a copy wrote the bytes of the backup here, so that an earlier verify that could not read them speaks of others. */
bool evidence_of_copy(const json_t *record);
/* Of a verify: it read the backup and found other contents than were recorded, which no other copy of it can change. */
bool evidence_inside(const json_t *record);
/* Of a check: it read the inside of the backup, or a copy wrote all damaged bytes anew. One that is not deep, of a sealed backup without
 * its key, takes nothing back that a deep one found. */
bool evidence_deep(const json_t *record);

struct evidence_query {
	const char *source;
	const char *kinds; /* words of those that are wanted, by the names of their objects; NULL: all, of which no copies are kept */
	bool by_time;      /* as catalog_look */
	/* Gets the parsed record without "previous" and without what is a list, an object or a long text in "detail". */
	enum status (*fn)(void *ctx, const char *key, const json_t *record, struct error *err);
	void *ctx;
};
/* The records of a source in order of time. Damaged ones are skipped and counted. */
enum status evidence_each(struct run *run, struct store *s, const struct evidence_query *q, size_t *damaged,
			  struct error *err) MUST_CHECK;

#endif
