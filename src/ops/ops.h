/* Every operation as a function: one request in, one result out, safe to call twice in a process and from two threads. Nothing here
 * prints: questions and lines go through the callbacks of struct op_env. Commands fill requests and show results. */
#ifndef OPS_OPS_H
#define OPS_OPS_H

#include "catalog/catalog.h"
#include "catalog/hidden.h"
#include "catalog/prune.h"
#include "catalog/retention.h"
#include "core/notes.h"
#include "core/progress.h"
#include "core/secret.h"
#include "core/settings.h"
#include "drivers/driver.h"
#include "gzip/gzip.h"
#include "seal/seal.h"
#include "storage/store.h"

/* Settings of global scope; rows in rows.c. */
struct global_settings {
	char *state_dir;         /* NULL: as the design says */
	uint64_t mem_limit;      /* 0: derived */
	int64_t jobs;            /* 0: derived */
	uint64_t chunk_size, volume_size;
	int compress;            /* enum gzip_mode */
	struct duration store_stall;
	struct strlist identities;   /* files of keys that open sealed backups */
	struct secret identity, passphrase; /* such a key, or file of keys; the passphrase that seals, or that protects a file of keys */
};
/* Settings of scope source that every driver shares; rows in rows.c. */
struct source_settings {
	struct strlist databases, exclude, assertion, to, tags;
	struct strlist encrypt_to; /* public keys, or the word "passphrase"; empty: not sealed */
	bool private_manifest;
	int tls;                 /* enum tls_mode */
	char *tls_ca, *cluster, *scratch, *scratch_dir, *scratch_user;
	struct duration max_lag, rpo, expect_every, verify_every, max_duration;
	int64_t shrink_limit;    /* percent */
	struct keep_policy keep;
};

/* A source made ready by bind: driver chosen, params filled. */
struct op_source {
	char *name;
	char *url, *user;        /* url without password */
	struct secret password, scratch_password; /* of url and of s.scratch, neither of which holds it */
	const struct driver *driver; /* NULL: known by name only (store administration) */
	void *params;
	struct source_settings s;
};
struct op_store {
	char *name, *url;
	const struct storage_ops *ops;
	void *params;
	bool own_keep;               /* keep holds here, whatever the sources say */
	struct keep_policy keep;
};
/* The rules that hold for a source in a store. */
const struct keep_policy *op_keep_of(const struct op_store *store, const struct op_source *source);
extern const struct setting source_rows[]; /* rows.c */
void op_source_release(struct op_source *s);
void op_store_release(struct op_store *s);

/* What every operation gets. One thread owns it. */
struct op_env {
	struct run *run;
	const struct global_settings *global;
	struct notes *notes;        /* never NULL */
	struct progress *progress;  /* never NULL */
	bool yes;                   /* --yes */
	const char *config_text;    /* the configuration without secret values, for the store; NULL: there is no file */
	const struct strlist *config_keys; /* encrypt_to of all its sources: what config_text is sealed for; empty: it is not */
	/* Asks on the terminal; NULL where there is none. True: go on. */
	bool (*ask)(void *ctx, const char *question);
	/* Asks for a passphrase, which is not shown; *text is wiped by the caller. NULL where there is no terminal. */
	enum status (*ask_secret)(void *ctx, const char *question, char **text, struct error *err);
	struct seal_identities *identities; /* owned: op_identities; NULL until they are needed */
	/* A line for people while the operation runs (what is about to happen); NULL: dropped. */
	void (*say)(void *ctx, const char *line);
	void *ctx;
};
/* ST_REFUSED where the answer is no, or where nobody can be asked and --yes is missing. */
enum status op_confirm(struct op_env *env, const char *question, struct error *err) MUST_CHECK;
void op_say(struct op_env *env, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The keys that open sealed backups: those of --identity, of `identity` and, for what is sealed with one, `passphrase`. They are read when they are
 * first asked for, and belong to env. That there is none is no failure. */
enum status op_identities(struct op_env *env, const struct seal_identities **ids, struct error *err) MUST_CHECK;

/* Whom a source's backups are sealed for: `encrypt_to`, with `passphrase` where it says so. *to NULL: for nobody. */
enum status op_recipients(struct op_env *env, const struct source_settings *s, struct seal_recipients **to, struct error *err) MUST_CHECK;

/* One outcome of several (a source, a store). */
struct op_outcome {
	char *what;       /* "shop", "shop to offsite" */
	struct error err; /* OK: done */
};
struct op_outcomes {
	struct op_outcome *item;
	size_t n;
};
void op_outcomes_add(struct op_outcomes *o, const char *what, struct error *err); /* moves err */
void op_outcomes_release(struct op_outcomes *o);
/* The one function that makes the exit status of several outcomes: all the same code: that; none good: that of the first; else INCOMPLETE. */
enum status op_outcomes_status(const struct op_outcomes *o);

/* ---- backup ---- */
struct backup_request {
	const struct op_source *source;
	const struct op_store *const *to;
	size_t stores;
	const struct strlist *tags;   /* "k=v" */
	const struct strlist *covered; /* names and patterns of databases that other sources of the same server cover; may be NULL */
	bool prune, new_identity, dry_run;
	const char *because;
};
struct backup_result {
	struct manifest manifest;
	struct op_outcomes stores;    /* per store: whole there or why not */
	struct duration took, sync_time;
	struct buf plan;              /* --dry-run: lines */
	uint64_t removed, leftovers, freed; /* of the prune after it: backups, other objects, bytes; all stores together */
	bool listed;                  /* in some store, whatever failed afterwards */
};
/* ST_OK; ST_INCOMPLETE where some store failed or the backup is suspect (kept); else what failed is the backup or, where it is listed,
 * the prune after it. */
enum status op_backup(struct op_env *env, const struct backup_request *q, struct backup_result *r, struct error *err) MUST_CHECK;
void backup_result_release(struct backup_result *r);

/* ---- restore and exchange ---- */
struct restore_request {
	const char *source;               /* name in the store */
	const struct op_source *target;   /* the source itself, or what --into says */
	const char *into_database;        /* --into's URL names one; NULL */
	const struct op_store *const *from;
	size_t stores;
	const char *which;                /* --backup */
	const struct strlist *tags, *databases, *tables, *exclude_tables, *renames; /* renames: OLD=NEW */
	bool in_place, data_only, no_owner, clean, compare, salvage, dry_run, resume;
	const char *resume_run;           /* --resume=RUN; NULL: the newest of this source */
	const char *confirm;              /* --confirm */
	int users;                        /* enum load_users */
};
struct restore_scope_result {
	char *scope, *target;             /* database in the archive; where it is now */
	char *aside;                      /* in place: where the old one is now; NULL */
	bool beside;                      /* loaded beside: `drtool exchange RUN` puts it in place */
	uint64_t tables, rows, raw;
};
struct restore_result {
	char run[7], backup[BACKUP_ID_LEN + 1];
	struct restore_scope_result *scope;
	size_t scopes;
	struct buf text;                  /* --dry-run: lines; failure: the table of done, partial, not begun */
	struct strlist missing;           /* salvage: what could not be had */
	bool compared;                    /* read back and equal */
	struct duration took, load_time, index_time, compare_time;
};
enum status op_restore(struct op_env *env, const struct restore_request *q, struct restore_result *r, struct error *err) MUST_CHECK;
void restore_result_release(struct restore_result *r);

struct bind;
struct exchange_request_op {
	const struct bind *bind;          /* what else holds for a server that only the journal knows */
	const char *run;
	enum exchange_action action;      /* PUT, BACK, DROP */
	const struct op_source *source;   /* NULL: from the journal of the run */
	const struct op_source *const *configured; /* where to look when there is no journal */
	size_t sources;
};
struct exchange_result {
	struct exchange_pair *pair;
	size_t pairs;
};
enum status op_exchange(struct op_env *env, const struct exchange_request_op *q, struct exchange_result *r, struct error *err) MUST_CHECK;
void exchange_result_release(struct exchange_result *r);

/* ---- proof ---- */
struct proof_request {
	const char *source;               /* name in the store */
	const struct op_source *configured; /* verify: asserts, scratch settings; NULL: defaults */
	const struct op_store *from;
	const char *which;                /* check: also "all" */
};
struct proof_result {
	char backup[BACKUP_ID_LEN + 1];
	enum proof_level level;
	struct strlist differences;       /* what is damaged or differs, a line each, the first 100 */
	uint64_t difference_count;
	uint64_t bytes, rows, tables;
	bool stored_only;                 /* check of a sealed backup without its key: stored bytes against the manifest */
	bool by_name;                     /* the server has another major version: definitions were compared by name only */
	struct duration took;
};
/* One backup each; "all" is a loop of the caller over op_list. ST_BAD: bad bytes; evidence is written in every case. */
enum status op_check(struct op_env *env, const struct proof_request *q, struct proof_result *r, struct error *err) MUST_CHECK;
/* ST_BAD: differs (exit 4). ST_UNSUPPORTED and others: could not verify (exit 1). */
enum status op_verify(struct op_env *env, const struct proof_request *q, struct proof_result *r, struct error *err) MUST_CHECK;
void proof_result_release(struct proof_result *r);

/* ---- administration of a store ---- */
struct list_result {
	struct op_list_source {
		char *name;
		struct catalog catalog;
		struct catalog_source info; /* _INIT where source.json is missing */
	} *source;
	size_t sources;
};
/* Names of the sources in a store. */
enum status op_sources(struct op_env *env, const struct op_store *from, struct strlist *names, struct error *err) MUST_CHECK;
/* source NULL: all of the store. */
enum status op_list(struct op_env *env, const struct op_store *from, const char *source, struct list_result *r, struct error *err) MUST_CHECK;
void list_result_release(struct list_result *r);

struct prune_request {
	const char *source;
	const struct op_store *from;
	const struct keep_policy *policy;
	bool dry_run;
};
enum status op_prune(struct op_env *env, const struct prune_request *q, struct prune_result *r, struct error *err) MUST_CHECK;

/* What lies behind delete markers; source NULL: of all. ST_NOT_FOUND: the store keeps no versions. */
enum status op_deleted(struct op_env *env, const struct op_store *from, const char *source, struct hidden_backups *to,
		       struct error *err) MUST_CHECK;
struct undelete_request {
	const char *source, *which;       /* an id, or "all" */
	const struct op_store *from;
	bool dry_run;
};
/* Brings deleted backups back, under the lock of the source. ids: which; those that would, with dry_run. */
enum status op_undelete(struct op_env *env, const struct undelete_request *q, struct strlist *ids, struct error *err) MUST_CHECK;

/* ---- copy ---- */
struct copy_request {
	const char *source;               /* NULL: what belongs to no source, such as stored configurations */
	const struct op_store *from, *to;
	const char *which;                /* --backup; NULL: all that are not known to be bad */
	bool dry_run;
	bool more;                        /* another copy into this store follows at once, which writes RECOVER.txt */
};
enum copy_action {
	COPY_COPIED, /* with dry_run: would be */
	COPY_THERE,  /* the target has it, equal */
	COPY_LEFT,   /* known to be bad where it lies, or encrypted otherwise in the target; not copied */
	COPY_FAILED,
	COPY_PENDING, /* the copy ended before */
};
struct copied_backup {
	char id[BACKUP_ID_LEN + 1];
	enum copy_action action;
	uint64_t stored;                  /* bytes of its volumes */
	struct error err;                 /* LEFT and FAILED: why */
};
struct copy_result {
	struct copied_backup *backup;     /* ascending id */
	size_t backups;
	uint64_t bytes;                   /* of archives, moved; with dry_run: that would be */
	size_t others;                    /* other objects: records, marks, logs */
	struct duration took;
};
/* Takes the backup lock of the target and a lease on each backup that it reads. Each backup is published in the target after all its
 * bytes were compared with its manifest. ST_INCOMPLETE where some backups failed and others did not; ST_REFUSED where the target's source
 * belongs to another server. */
enum status op_copy(struct op_env *env, const struct copy_request *q, struct copy_result *r, struct error *err) MUST_CHECK;
void copy_result_release(struct copy_result *r);

/* Seals backups anew for `encrypt_to` of the source, with the keys of op_identities; from and to may be the same store. What is sealed for them
 * already is left alone (COPY_THERE). Between two stores the rules of op_copy hold, and records and marks are copied too. The old volumes are
 * kept until the new ones are proven, named by the manifest, and one of the new keys was seen to open a backup. */
struct reencrypt_request {
	const struct op_source *source;
	const struct op_store *from, *to;
	const char *which;                /* --backup; NULL: all */
};
enum status op_reencrypt(struct op_env *env, const struct reencrypt_request *q, struct copy_result *r, struct error *err) MUST_CHECK;

/* ---- configurations that backups stored beside themselves ---- */
struct config_fetch_request {
	const struct op_store *from;
	const char *name;                 /* a part of its name; NULL: the newest */
};
struct config_fetch_result {
	char *key;
	struct buf text;
	struct strlist names;             /* of all there are, oldest first */
};
enum status op_config_fetch(struct op_env *env, const struct config_fetch_request *q, struct config_fetch_result *r, struct error *err) MUST_CHECK;
void config_fetch_result_release(struct config_fetch_result *r);

enum mark_kind { MARK_PIN, MARK_UNPIN, MARK_ACCEPT };
struct mark_request {
	enum mark_kind kind;
	const char *source, *which, *because;
	struct instant since, until;      /* since: all backups from then on; NONE: `which` */
	const struct op_store *from;
};
enum status op_mark(struct op_env *env, const struct mark_request *q, struct strlist *ids, struct error *err) MUST_CHECK;
/* Shows the holder through env->say, asks, breaks. ST_NOT_FOUND: no lock. */
enum status op_unlock(struct op_env *env, const struct op_store *from, const char *source, const char *role, struct error *err) MUST_CHECK;

/* ---- status ---- */
enum health { HEALTH_OK, HEALTH_WARNING, HEALTH_CRITICAL, HEALTH_UNKNOWN }; /* Nagios 0 1 2 3 */
struct status_request {
	const struct op_store *const *from;
	size_t stores;
	const struct op_source *const *configured; /* a configured source without a good backup is critical */
	size_t sources;
	const char *source;               /* NULL: all */
	struct duration max_age;          /* 0: expect_every of the source, else no limit */
};
struct status_row {
	char *source, *store;
	enum health health;
	struct strlist because;           /* why not OK */
	char backup[BACKUP_ID_LEN + 1];   /* newest good; "" none */
	struct instant data_time, proven_at;
	struct duration age;
	enum proof_level level;
	size_t good, bad, suspect, unreadable;
	uint64_t stored;
	bool locked;
	struct strlist uncovered;
};
struct status_result {
	struct status_row *row;
	size_t rows;
	enum health health;               /* the worst */
};
enum status op_status(struct op_env *env, const struct status_request *q, struct status_result *r, struct error *err) MUST_CHECK;
void status_result_release(struct status_result *r);
const char *health_name(enum health h); /* "OK", "WARNING", ... */

/* ---- config check --connect ---- */
struct connect_result {
	struct strlist lines;             /* what was found, for people; missing rights as GRANT statements to paste */
	bool usable;
};
enum status op_connect_source(struct op_env *env, const struct op_source *s, struct connect_result *r, struct error *err) MUST_CHECK;
/* Write, read back, range, list, delete of a probe, free room. */
enum status op_connect_store(struct op_env *env, const struct op_store *s, struct connect_result *r, struct error *err) MUST_CHECK;
/* Notes where the rules of keep would delete what the store still holds. Asks no server. */
enum status op_compare_retention(struct op_env *env, const struct op_source *source, const struct op_store *store,
				 const struct keep_policy *keep, struct strlist *notes, struct error *err) MUST_CHECK;
void connect_result_release(struct connect_result *r);

#endif
