/* What the files of this room share and nobody else sees. */
#ifndef OPS_INTERNAL_H
#define OPS_INTERNAL_H

#include "archive/archive.h"
#include "catalog/catalog.h"
#include "catalog/evidence.h"
#include "catalog/lock.h"
#include "ops/kept.h"
#include "ops/opener.h"
#include "ops/ops.h"
#include "pipeline/dump.h"
#include "pipeline/load.h"
#include "storage/store_set.h"
#include "util/failpoint.h"
#include "util/fs.h"

/* ---- state.c: what a run leaves on this machine ---- */

/* The state folder, made 0700, or NULL (with a note) where there is none to be had. Owned by the caller. */
char *state_folder(struct op_env *env);

/* ---- stores.c ---- */

/* Stores opened for one operation. Those that could not be opened are outcomes only. */
struct open_stores {
	struct store *store; /* as many as asked for; released ones have no id */
	struct error *err;   /* per store: OK where it is open */
	struct store **open; /* those that are */
	size_t n, opened;
};
/* init: a backup. Fails only where none could be opened: then with every store and its cause. */
enum status stores_open(struct op_env *env, const struct op_store *const *from, size_t n, bool init, struct open_stores *s, struct error *err) MUST_CHECK;
/* open[i] failed later: makes it an outcome. Moves why. Fails where it was the last; that one stays in open[]. */
enum status stores_drop(struct open_stores *s, const struct op_store *const *from, size_t i, struct error *why, struct error *err) MUST_CHECK;
void stores_release(struct open_stores *s);
enum status store_open_one(struct op_env *env, const struct op_store *from, struct store *s, struct error *err) MUST_CHECK;

/* ---- reading.c: one backup opened for reading ---- */

struct reading {
	struct open_stores stores;
	struct catalog catalog;        /* of the store that the backup was chosen in */
	struct catalog_backup *backup; /* in catalog */
	const char *source;
	struct store **member;         /* of set */
	struct store_set *set;
	struct lease *lease;
	struct archive_reader *reader; /* NULL until reading_archive */
	struct range_source ranges;
	struct opener *opener;         /* NULL: not sealed, or not opened */
	struct kept *kept;             /* what a preflight reads; NULL: nothing is kept */
	bool keep;                     /* the preflight is on. Written before and after, while no other thread reads */
	struct tmpdir dir;
	size_t passed_over;
};
#define READING_INIT {0}
struct reading_spec {
	const struct op_store *const *from;
	size_t stores;
	const char *source, *which;
	const struct strlist *tags;
	bool doubt; /* for a proof: the newest is looked at again even where it is known to be bad or suspect */
};
/* Finds the backup, takes a lease on it. */
enum status reading_open(struct op_env *env, const struct reading_spec *q, struct reading *r, struct error *err) MUST_CHECK;
/* Makes r->ranges, of the stored bytes; reading_archive does it, too. */
void reading_ranges(struct reading *r);
bool reading_sealed(const struct reading *r);
/* After reading_ranges: r->ranges are the plain bytes from then on, also of a sealed backup. Proves that a key opens it: ST_DENIED. */
enum status reading_open_seal(struct op_env *env, struct reading *r, struct error *err) MUST_CHECK;
/* The public key of the identity that opened it; NULL: it is not sealed, or was not opened. */
const char *reading_key(const struct reading *r);
/* Where the manifest is private: its whole. Before anything is asked of it that it may hide. */
enum status reading_manifest(struct op_env *env, struct reading *r, struct error *err) MUST_CHECK;
/* What reading it needs memory for; after reading_archive. */
struct budget_use reading_use(const struct reading *r, bool load);
/* Opens its archive: the seal, trailer and root. */
enum status reading_archive(struct op_env *env, struct reading *r, struct error *err) MUST_CHECK;
void reading_release(struct reading *r);

/* What evidence says of a failure. private: the manifest hides names, which the error may hold. */
const char *evidence_cause(bool private, const struct error *cause);

/* ---- keys.c ---- */

struct key_opened {
	const char *source, *backup;
	const char *recipient; /* public key, or "passphrase" */
};
/* Writes into the evidence that this key was seen to open a backup, where c does not know it yet; a note where that fails. */
void key_remember(struct op_env *env, struct store *s, const struct catalog *c, const struct key_opened *o);

/* ---- endpoint.c ---- */

/* An endpoint of a source, for drivers. Borrows from s, env and dir. */
struct endpoint endpoint_of(struct op_env *env, const struct op_source *s, const struct tmpdir *dir);
/* What memory is needed for. */
struct budget_use {
	uint32_t chunk_size;
	unsigned part_stores;                   /* of a backup: stores that gather parts in memory */
	size_t part_size;
	bool load, sealed, passphrase, network; /* load: a restore; network: a store that holds parts in memory */
};
/* The budget of this run. */
enum status budget_of(struct op_env *env, const struct budget_use *use, struct budget *b, struct error *err) MUST_CHECK;

/* ---- calls.c ---- */

struct opened_dump {
	const struct driver *driver;
	void *dump;
};
/* Borrows o. */
struct dump_calls dump_calls_of(struct opened_dump *o);

/* ---- inventory.c ---- */

/* Takes the inventory of the open scope as text lines (kind, name, grows, facts) into a spool. */
enum status inventory_take(struct run *run, const struct driver *d, void *dump, struct spool *to, struct error *err) MUST_CHECK;
/* Compares the recorded one with what the open scope has now; each difference is a line. */
struct inventory_side {
	const struct driver *driver;
	void *dump;
	const char *not_compared; /* kinds that begin so are left out; NULL: none */
};
enum status inventory_compare(struct run *run, const struct inventory_side *now, struct spool *recorded, struct proof_result *r, struct error *err) MUST_CHECK;
#define INVENTORY_PATH "inventory.tsv"

/* ---- digest.c ---- */

/* Reads everything back: inventory, rows and digests of the scopes as they are on the server, against the archive. Differences go to r;
 * ST_OK also where there are some. A server of another major version says the same definition in other words: r->by_name. */
struct comparison {
	const struct op_source *target;
	const struct reading *reading;
	const struct recorded_scope *scope;
	size_t scopes;
	bool restored, no_owner; /* as in dump_request */
};
enum status compare_with_archive(struct op_env *env, const struct comparison *what, struct proof_result *r, struct error *err) MUST_CHECK;
void proof_difference(struct proof_result *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- loading.c: the phases of a load, for restore and verify ---- */

/* Of one scope: objects to load, empty ones too, and what is in them. */
struct load_sum {
	uint64_t tables, rows, raw;
};
struct loading {
	struct op_env *env;
	const struct op_source *target;
	const struct endpoint *endpoint;
	struct archive_reader *reader;
	struct budget_use use;
	bool *keep;                /* true while the preflight reads; NULL where nothing is kept */
	const struct load_request *request;
	const struct load_plan *plan;
	/* Where the plan has a log: called when all databases are loaded, before the first change of the log is made there. */
	enum status (*before_log)(void *ctx, struct error *err);
	void *before_log_ctx;
	struct journal *journal;   /* NULL: none (verify) */
	struct strlist *missing;   /* salvage */
	struct buf *table;         /* done, partial, not begun: filled where it fails */
	struct load_sum *sum;      /* out, one for each scope of the plan; 0 for those that an earlier run loaded */
	struct duration load_time, index_time; /* out */
};
enum status loading_run(struct loading *l, struct error *err) MUST_CHECK;
/* Reads index pages, first and last members of all that will be loaded. */
enum status loading_preflight(struct loading *l, void *load, struct error *err) MUST_CHECK;

/* ---- journal.c: a restore that can be resumed and exchanged ---- */

struct journal;
struct journal_head {
	char run[7];
	char *source, *backup, *driver, *url, *store, *arguments; /* url without password; arguments: JSON of the request */
};
void journal_head_release(struct journal_head *h);
/* Begins <state>/restore/<run>.jsonl. NULL in *j with a note where there is no state folder. */
enum status journal_begin(struct op_env *env, const struct journal_head *h, struct journal **j, struct error *err) MUST_CHECK;
/* run NULL: the newest of the source that is not finished. ST_NOT_FOUND. */
enum status journal_open(struct op_env *env, const char *source, const char *run, struct journal **j, struct journal_head *h, struct error *err) MUST_CHECK;
/* One fsynced line: a scope whose begin phase is over, a unit in the target, a scope's end, an exchange. */
enum status journal_write(struct journal *j, const char *event, const char *scope, const struct load_plan_unit *u, struct error *err) MUST_CHECK;
/* Where each scope of the plan goes; written anew by a run that plans anew. */
enum status journal_write_targets(struct journal *j, const struct load_plan *p, struct error *err) MUST_CHECK;
/* Of a journal that was opened: these scopes, and the log, with their targets, as a plan without more than that. False, and p untouched, unless
 * every one of them is loaded, so that nothing but what follows a load is left to do. */
bool journal_take_targets(struct journal *j, const struct strlist *scopes, struct load_plan *p);
/* What earlier runs of a --salvage had to leave out: events "missing", whose scope is the text. */
void journal_missing(const struct journal *j, struct strlist *to);
/* An event: a part of the run is not in the log by which others follow the target. */
#define JOURNAL_UNLOGGED "unlogged"
bool journal_has(const struct journal *j, const char *event, const char *scope);
bool journal_has_unit(const struct journal *j, const char *scope, const struct load_plan_unit *u);
void journal_freep(struct journal **j);

#endif
