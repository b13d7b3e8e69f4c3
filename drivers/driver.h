/* The contract of a database driver. A driver's author reads this page, pipeline/rows.h and drivers/scratch.h, and nothing else.
 *
 * A driver is a const table. It knows no configuration (params come filled), no storage, no catalog, prints nothing and starts threads and
 * programs only through util. Handles are void *: private to the driver. Every call that may block takes run and ends by its deadline
 * or cancel. A driver never reconnects and never retries inside a snapshot. Passwords are read from the endpoint at each connection and
 * never reach argv, log, error text or another process's environment.
 *
 * Capabilities are promises by which the core decides; driver_check refuses a table whose capabilities and pointers disagree. */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "core/notes.h"
#include "core/secret.h"
#include "core/settings.h"
#include "core/tls_mode.h"
#include "pipeline/rows.h"

enum driver_cap {
	DRIVER_DUMP = 1u << 0,      /* dump_*, scope_*, worker_*, inventory */
	DRIVER_LOAD = 1u << 1,      /* load_* */
	DRIVER_EXCHANGE = 1u << 2,  /* exchange */
	DRIVER_ASSERT = 1u << 3,    /* assert_query */
	DRIVER_SCRATCH = 1u << 4,   /* scratch_* */
};

/* Where a server is. Borrowed for the life of what was opened with it. */
struct endpoint {
	const char *url;               /* without password */
	const char *user;              /* overrides that of the URL; NULL */
	const struct secret *password; /* never NULL; may be unset */
	enum tls_mode tls;             /* DEFAULT: prefer on loopback and sockets, else verify-full */
	const char *tls_ca;            /* file; NULL: the system's */
	const void *params;            /* the driver's own, filled from its settings */
	struct notes *notes;           /* what is worth saying; never NULL */
	const char *spool_dir;         /* private 0700 folder of the run for spools and password files */
	const char *cluster;           /* what the configuration calls the server, whatever identity it has; NULL */
};

/* ---- probe ---- */

struct probe_database {
	char *name;
	uint64_t size;  /* bytes; 0 not known */
	bool empty;     /* no user object outside system schemas and extensions; only where asked */
};
struct probe {
	char *identity;       /* of the server, for ever: system identifier */
	char *version;        /* "15.20" */
	char *role;           /* "primary"; else what the engine calls one that follows another: "standby", "replica"; "unknown" */
	struct instant data_time; /* of the newest applied change; primary: now */
	struct probe_database *database; /* those a person could connect to, by name */
	size_t databases;
	struct strlist tools;    /* client programs found: "pg_dump 15.20 (/usr/lib/...)" */
	struct strlist missing;  /* rights to grant, each a statement to paste */
	struct strlist impossible; /* what makes a backup impossible, a sentence each */
	struct strlist limits;     /* what a backup will not have, or not as one would wish, a sentence each */
};
#define PROBE_INIT {0}
void probe_release(struct probe *p);

/* ---- dump ---- */

/* In a dump for digests the scopes are those of an archive, found again on this server under (maybe) other names. */
struct recorded_scope {
	const char *name;     /* in the archive */
	const char *database; /* on this server */
};
struct dump_request {
	const struct strlist *databases; /* shell patterns (* ?); empty: that of the URL, else all */
	const struct strlist *exclude;   /* patterns taken away */
	unsigned jobs;                   /* workers that will be opened per scope */
	struct duration max_lag;         /* not a primary: fail when its data is older; 0: no limit */
	/* NULL: objects are found in the catalog. Else: exactly these objects with their recorded facts, no schema dump, no locks against DDL. */
	const struct recorded *recorded;
	const struct recorded_scope *scope;
	size_t scopes;
	/* With recorded: what is read is the work of a restore with the endpoint's settings. */
	bool restored, no_owner;
};
struct dump_info {
	char *identity, *version, *role;
	struct instant data_time;
	struct strlist scopes;       /* names; each becomes db/<name>/ */
	bool has_log;                /* the last scope is no database but a log: every change from before the first row was read until its snapshot,
	                              * to which a restore brings all databases. Its snapshot and position are recorded as those of all */
	struct strlist uncovered;    /* databases of the server that the request leaves out, but not by an exclude pattern */
	struct strlist tools;        /* client tools used: "pg_dump 15.20" */
	char *oldest_client;         /* oldest stock client that reads the result */
	char *restore_text;          /* RESTORE.txt: exact stock commands; NULL for digests. \001NAME\001 stands for the folder of scope NAME, as a word of a shell */
	struct strlist not_contained;
	json_t *replication;         /* of one that follows another: what it follows and how far it was, for the manifest; NULL */
	bool has_password_hashes;
	bool many_moments;           /* objects are not of one moment */
	const char *not_compared;    /* kinds of the inventory that begin so ("": all) may differ from what was recorded, which a note says; NULL: none */
};
void dump_info_release(struct dump_info *i);
struct scope_info {
	struct instant snapshot;
	char *position; /* LSN; NULL none */
};
void scope_info_release(struct scope_info *i);

/* ---- load ---- */

/* Whether what a run writes goes through the log by which others follow the server. */
enum load_logged { LOAD_LOGGED_UNKNOWN, LOAD_LOGGED, LOAD_UNLOGGED };
enum load_users { LOAD_USERS_MISSING, LOAD_USERS_NONE, LOAD_USERS_ALL };
struct load_name {
	const char *from, *to;
};
struct load_request {
	const struct recorded *recorded;
	const char *archive_version;       /* server version of the archive */
	const struct strlist *scopes;      /* databases to restore; never empty */
	const struct strlist *tables;      /* object names; empty: all */
	const struct strlist *exclude_tables;
	const struct load_name *rename;    /* databases and tables, as written on the command line */
	size_t renames;
	const char *run;                   /* six hex digits */
	const char *into_database;         /* of --into's URL; NULL */
	bool resumed;                      /* this run began before: its own targets exist and are not empty */
	bool in_place, clean, data_only, no_owner, salvage, scratch; /* scratch: a throwaway server: no beside names, owners as they come */
	enum load_users users;
	unsigned jobs;
};
struct load_scope_plan {
	char *scope, *target;  /* database in the archive, on the server */
	bool exists, empty;    /* the target now */
	bool create;           /* it will be made */
	bool beside;           /* under a name of this run, because its own is taken */
	char *replaces;        /* in place: the database it will take the name of; NULL */
	char *aside;           /* in place: what that one will be called then; NULL */
	/* The last scope only: it is no database but the archive's log, replayed when all others are loaded, and compared where that is wanted, by the same
	 * calls: its units come in their order, to one worker. Its load_end ends the load of all scopes. target is "". */
	bool log;
};
struct load_plan {
	char *identity, *version;
	struct load_scope_plan *scope;
	size_t scopes;
	struct strlist steps;    /* what will be done, a line each, for --dry-run */
	struct strlist warnings;
	struct strlist refusals; /* each a sentence; not empty: the restore is refused (exit 7) */
	char *confirm;           /* what --confirm must say for --clean or --users all: NAME@IDENTITY; NULL */
	struct strlist dropped;  /* what --clean drops */
	uint64_t room_needed, room_free; /* 0: not known */
	bool unlogged;           /* nothing of it goes through the log by which others follow: an exchange of it must not, either */
};
/* Its scopes but the log, and whether it has one. */
size_t plan_databases(const struct load_plan *p);
bool plan_has_log(const struct load_plan *p);
void load_plan_release(struct load_plan *p);
/* A line of a plan's steps, warnings or refusals, where it does not have it yet. */
void plan_line(struct strlist *to, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct load_unit {
	const struct recorded_object *object;
	uint32_t range, first_part; /* for messages and the journal */
	uint64_t rows;              /* rows of the unit by the index; the server's count must equal it */
};
enum load_state { LOAD_NOT, LOAD_DONE, LOAD_UNKNOWN }; /* in the target: not, yes, or the link broke at the commit */
struct load_unit_result {
	enum load_state state;
	uint64_t rows; /* as the server counted */
};

/* ---- exchange ---- */

enum exchange_action { EXCHANGE_LOOK, EXCHANGE_PUT, EXCHANGE_BACK, EXCHANGE_DROP };
struct exchange_pair {
	char *name, *loaded, *aside; /* shop, shop_restore_<run>, shop_before_<run>; owned. DROP of a throwaway copy: name and loaded are it, aside "" */
	bool name_exists, loaded_exists, aside_exists; /* filled by every action, as it is afterwards */
};
struct exchange_request {
	enum exchange_action action;
	struct exchange_pair *pair; /* LOOK without pairs: found by the run's names on the server and put here, owned by the caller */
	size_t pairs;
	const char *run;
	enum load_logged logged; /* what this run did before; PUT and BACK say afterwards how it was done */
};

/* ---- scratch ---- */

struct scratch_spec {
	const char *dir, *user;     /* scratch_dir, scratch_user; user NULL: the driver's default */
	const char *version;        /* server version of the archive */
	const json_t *globals;      /* reserved for the driver: NULL */
	uint64_t room_needed;       /* bytes; refused where short */
};

enum driver_handle { HANDLE_DUMP, HANDLE_WORKER, HANDLE_LOAD, HANDLE_LOAD_WORKER };

struct driver {
	const char *name;               /* "postgres" */
	const char *const *schemes;     /* "postgres", "postgresql"; the first is the normal form; NULL-terminated */
	unsigned default_port;
	unsigned object_parts;          /* of an object's name inside a scope, divided by dots: 2 where a database has schemas, else 1 */
	bool dotted_names;              /* and such a part may have dots itself: what follows the database's name is all of it */
	const char *example_query;      /* what the URL of an example needs to work, "?..."; NULL: nothing */
	const char *login_option;       /* of a URL: the database in which the account is looked for, without it that of the URL; NULL: accounts are the server's */
	const struct setting *settings; /* rows of scope source that only this driver has */
	size_t params_size;
	uint32_t caps;
	uint64_t load_unit_least;       /* bytes: units of a load may be as small, so that connections share an object of middle size; 0: 64 MiB */
	const char *grants;             /* statements that make the smallest backup user; %s not used: the user is drtool_backup */

	/* Always present. Connects, looks, disconnects. database NULL: that of the URL. */
	enum status (*probe)(struct run *run, const struct endpoint *e, bool want_empty, struct probe *p, struct error *err);

	/* DRIVER_DUMP. Calls of one dump come from one thread (the coordinator), but worker_* and dump_unit from their own. */
	enum status (*dump_open)(struct run *run, const struct endpoint *e, const struct dump_request *q, struct dump_info *info, void **dump, struct error *err);
	/* Entries that belong to no scope (roles). Before the first scope. May be NULL. */
	enum status (*dump_entries)(struct run *run, void *dump, const struct entry_sink *entries, struct error *err);
	/* Opens scope number i: one snapshot, locks, objects and units; entries that come before the data. */
	enum status (*scope_begin)(struct run *run, void *dump, size_t i, struct scope_info *info, const struct object_sink *objects, const struct entry_sink *entries, struct error *err);
	/* One session that has joined the snapshot. */
	enum status (*worker_open)(struct run *run, void *dump, void **worker, struct error *err);
	enum status (*dump_unit)(struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err);
	void (*worker_close)(void *worker);
	/* What exists in the open scope, by catalog queries that share no code with the dump. Coordinator, after the data. */
	enum status (*inventory)(struct run *run, void *dump, const struct inventory_sink *items, struct error *err);
	/* Proves that the snapshot lived and the DDL stood still; gives what is read last (sequence values, schema dump). Ends the snapshot. */
	enum status (*scope_end)(struct run *run, void *dump, const struct entry_sink *entries, struct error *err);
	void (*dump_close)(void *dump); /* also after a failure at any point; workers are closed before */

	/* DRIVER_LOAD. load_plan changes nothing. */
	enum status (*load_plan)(struct run *run, const struct endpoint *e, const struct load_request *q, struct load_plan *p, struct error *err);
	enum status (*load_open)(struct run *run, const struct endpoint *e, const struct load_request *q, const struct load_plan *p, void **load, struct error *err);
	/* Scope number i of the plan is what the calls below are about, until the next one. Changes nothing: a preflight chooses each without beginning it. */
	enum status (*load_choose)(void *load, size_t i, struct error *err);
	/* Whether the object belongs to the request (tables, exclude, rename). */
	bool (*load_wants)(void *load, const struct recorded_object *o);
	/* Its phases, with barriers between: begin (database, users, schema before the data; resumed: what is there is kept), units by workers, end
	 * (indexes, constraints, sequences, large objects' owners, views to refresh). */
	enum status (*load_begin)(struct run *run, void *load, bool resumed, struct error *err);
	/* After load_begin, of a resumed load only: whether the target has the unit. A server that crashed may have lost what a journal says. */
	bool (*load_has_unit)(void *load, const struct load_unit *u);
	enum status (*load_worker_open)(struct run *run, void *load, void **worker, struct error *err);
	/* One transaction; never ends inside a row. result is filled in every case. */
	enum status (*load_unit)(struct run *run, void *worker, const struct load_unit *u, struct chunk_source *chunks, struct load_unit_result *result, struct error *err);
	void (*load_worker_close)(void *worker);
	enum status (*load_end)(struct run *run, void *load, struct error *err);
	/* complete: every scope of the plan is loaded, by this run or by one that it resumes, and the caller has it in writing: what the
	 * driver left in the targets to resume by goes. */
	void (*load_close)(void *load, bool complete);

	/* DRIVER_EXCHANGE: put a loaded copy in the place of the old one by rename, and back. */
	enum status (*exchange)(struct run *run, const struct endpoint *e, struct exchange_request *q, struct error *err);

	/* DRIVER_ASSERT: a read-only query; *holds where its answer is one row whose first column is true (or a number other than 0). */
	enum status (*assert_query)(struct run *run, const struct endpoint *e, const char *database, const char *query, bool *holds, char **answer, struct error *err);

	/* DRIVER_SCRATCH: a server of matching version on a socket of its own in a folder of its own. */
	enum status (*scratch_start)(struct run *run, const struct scratch_spec *s, char **url, void **scratch, struct error *err);
	void (*scratch_stop)(void *scratch); /* stops it and removes its folder */

	/* Any thread, blocks no more than a second: makes the calls of a dump, load or worker handle fail. kind says which. */
	void (*interrupt)(void *handle, enum driver_handle kind);
};

/* The one visible array, ended by NULL, and the driver of a URL (ST_CONFIG naming the schemes there are) or a name. */
extern const struct driver *const drivers[];
enum status driver_for_url(const char *url, const struct driver **d, struct error *err) MUST_CHECK;
const struct driver *driver_named(const char *name);

/* Which databases a dump is of: those that fit `databases`, else the one of the URL, else all; never those that fit `exclude`. Lists and of_url
 * may be NULL. */
bool dump_wants(const struct strlist *databases, const struct strlist *exclude, const char *of_url, const char *name);
/* Whether an item of `databases` is a name, so that its database has to be there, and no pattern. */
bool dump_must_have(const struct strlist *exclude, const char *item);
/* ST_FAILED where capabilities and pointers disagree. Called once at start. */
enum status driver_check(const struct driver *d, struct error *err) MUST_CHECK;

#endif
