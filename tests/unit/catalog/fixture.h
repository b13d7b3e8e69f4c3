/* A store with made-up backups of the source "shop" and a clock that stands until it is moved or waited for. */
#ifndef TESTS_UNIT_CATALOG_FIXTURE_H
#define TESTS_UNIT_CATALOG_FIXTURE_H

#include "tests/lib/test.h"

#include "catalog/catalog.h"
#include "catalog/evidence.h"
#include "catalog/lock.h"
#include "catalog/prune.h"
#include "catalog/retention.h"
#include "util/fs.h"

struct fix {
	struct run run;
	struct store store;
	struct clock clock;
	_Atomic int64_t us; /* the clock */
};
/* Opens the store below test_dir(); the clock stands at `now`. faults: rules of DRTOOL_STORE_FAULT or NULL. */
void fix_open(struct fix *f, const char *now, const char *faults);
/* The same in a bucket, by the real clock. */
void fix_open_s3(struct fix *f, const char *url);
void fix_close(struct fix *f);
void fix_move(struct fix *f, struct duration d);

struct made {
	const char *id, *kind, *identity; /* NULL: dump, id-1 */
	const char *tag;
	uint64_t rows, raw;
	bool suspect;
};
void fix_backup(struct fix *f, const struct made *b);
void fix_put(struct fix *f, const char *key, const char *text);
bool fix_has(struct fix *f, const char *key);
/* Makes the file of an object look as if it was written that long ago. */
void fix_age(struct fix *f, const char *key, int seconds);
/* A record of a check or verify that ended at the clock's time, which moves by a second. */
void fix_proof(struct fix *f, const char *kind, const char *id, enum evidence_outcome outcome, enum proof_level level);
/* The same of a check of the stored bytes alone. */
void fix_shallow(struct fix *f, const char *id, enum evidence_outcome outcome);
void fix_read(struct fix *f, struct catalog *c);

#endif
