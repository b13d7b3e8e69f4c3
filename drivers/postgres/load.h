/* The load side from within: load_plan.c decides and changes nothing; load.c holds the handle; load_begin.c, load_unit.c and
 * load_end.c are the phases of a scope; load_wish.c says which tables are meant, load_select.c which entries of the schema dump,
 * restore_program.c runs pg_restore, load_mark.c keeps in the target what has been done there. */
#ifndef DRIVERS_POSTGRES_LOAD_H
#define DRIVERS_POSTGRES_LOAD_H

#include "drivers/postgres/conn.h"
#include "drivers/postgres/facts.h"
#include "drivers/postgres/toc.h"
#include "util/thread.h"

/* ---- what is meant (load_wish.c) ---- */

/* [DATABASE.]SCHEMA.TABLE, or a DATABASE alone. NULL where a part was not given. */
struct object_name {
	char *database, *schema, *table;
};
#define OBJECT_NAME_INIT {0}
enum status object_name_parse(const char *text, struct object_name *n, struct error *err) MUST_CHECK;
void object_name_release(struct object_name *n);

enum load_mode {
	LOAD_DATABASE, /* everything, into a database that is empty */
	LOAD_TABLES,   /* some tables with their definitions, beside what is there */
	LOAD_ROWS,     /* rows only, into tables that are there */
};
/* A table whose rows are wanted. */
struct load_table {
	uint32_t id; /* of the recorded object */
	bool large_objects, replace;
	char *schema, *name, *shown;
	char *to_schema, *to_name; /* --rename: its name at the end; NULL: as it was */
	bool direct;               /* its rows go to the new name at once: the old one is taken, or only rows are loaded */
	char *where, *extension;   /* NULL */
	json_t *columns;           /* NULL for large objects and in LOAD_DATABASE */
	uint64_t rows, raw;
};
struct load_wish {
	enum load_mode mode;
	const char *scope; /* borrowed from the request */
	json_t *database_json;
	struct facts_database db;
	struct load_table *table; /* by id */
	size_t tables;
	struct strlist excluded; /* "schema\001table" of tables that come without rows */
	struct object_name *asked; /* --table, those of this scope */
	bool *asked_found;         /* an object was of that name */
	size_t asks;
	uint64_t raw;
};
#define LOAD_WISH_INIT {0}
/* Reads the facts of the scope and applies the request. */
enum status load_wish_make(const struct load_request *q, const char *scope, struct load_wish *w, struct error *err) MUST_CHECK;
void load_wish_release(struct load_wish *w);
const struct load_table *load_wish_table(const struct load_wish *w, uint32_t id); /* NULL: not wanted */
bool load_wish_renamed(const struct load_wish *w, const struct object_name *n); /* a table of this name, by --rename */
/* Where its rows go: the name it has while it is loaded. */
void load_table_place(const struct load_table *t, const char **schema, const char **name);
/* New name of the database by --rename or --into; NULL none. Borrowed from the request, or from *n. */
enum status load_wish_rename(const struct load_request *q, const char *scope, char **to, struct error *err) MUST_CHECK;
/* A file of the scope (NULL: of none) in memory; *found false where the archive has none. */
enum status load_file(const struct load_request *q, const char *scope, const char *path, struct buf *to, bool *found,
		      struct error *err) MUST_CHECK;
/* Each line of a .jsonl file. */
typedef enum status load_line_fn(void *ctx, const json_t *line, struct error *err);
enum status load_lines(const struct load_request *q, const char *scope, const char *path, load_line_fn *fn, void *ctx,
		       struct error *err) MUST_CHECK;

/* ---- which entries of the schema dump (load_select.c) ---- */

struct load_selection {
	bool *pick;                /* by index into toc.entry */
	struct strlist left_out;   /* foreign keys that are not made, and why: a sentence each */
	struct strlist brought;    /* what comes along because it is needed and absent */
};
#define LOAD_SELECTION_INIT {0}
/* For LOAD_TABLES c is the target, NULL where it does not exist yet: nothing is there then. */
enum status load_select(struct run *run, struct conn *c, const struct load_wish *w, const struct toc *t, struct load_selection *s,
			struct error *err) MUST_CHECK;
void load_selection_release(struct load_selection *s);
/* What of the dump exists in a database, as "KIND\001schema\001tag", sorted. */
enum status load_existing(struct run *run, struct conn *c, struct strlist *keys, struct error *err) MUST_CHECK;
bool load_exists(const struct strlist *keys, const struct toc_entry *e);
bool sorted_has(const struct strlist *l, const char *s);

/* ---- sessions (load_session.c) ---- */

/* A session that loads: settings under which text means the same everywhere, no time limits, commits that do not wait for the disk
 * (load_end makes all durable). database NULL: one to administrate from that is none of `avoid`. */
enum status load_connect(struct run *run, const struct endpoint *e, const char *database, struct conn **c, struct error *err)
	MUST_CHECK;
enum status load_connect_admin(struct run *run, const struct endpoint *e, const struct strlist *avoid, struct conn **c,
			       struct error *err) MUST_CHECK;
struct database_state {
	bool exists, empty, ours, allows; /* ours: holds the mark of this run; empty: nothing else than that mark */
	char *encoding;
};
#define DATABASE_STATE_INIT {0}
void database_state_release(struct database_state *s);
enum status database_look(struct run *run, const struct endpoint *e, struct conn *admin, const char *name, const char *run_id,
			  struct database_state *s,
			  struct error *err) MUST_CHECK;
/* A text[] literal of n names. */
void sql_array(struct buf *to, const char *const *item, size_t n);
/* Ends the other sessions of a database that takes none any more. ST_LOCKED where some stay. */
enum status database_quiet(struct run *run, struct conn *admin, const char *name, struct error *err) MUST_CHECK;
enum status database_drop(struct run *run, struct conn *admin, const char *name, struct error *err) MUST_CHECK;
enum status database_exists(struct run *run, struct conn *admin, const char *name, bool *exists, struct error *err) MUST_CHECK;
/* What a DROP DATABASE that was cut off leaves (PostgreSQL 15.4 and later): it can only be dropped. */
enum status database_invalid(struct run *run, struct conn *admin, const char *name, bool *invalid, struct error *err) MUST_CHECK;
/* "<name><word><run>" within 63 bytes, cut between characters. Owned by the caller. */
char *database_beside(const char *name, const char *word, const char *run_id);

/* ---- the mark in the target (load_mark.c) ---- */

/* A schema of drtool's own in the target, drtool_restore_<run>, until the end of the load: which units were committed there, and
 * whether the definitions are complete. It makes a resumed restore exact even where drtool or the server died between commit and
 * journal. */
enum status mark_exists(struct run *run, struct conn *c, const char *run_id, bool *exists, struct error *err) MUST_CHECK;
enum status mark_make(struct run *run, struct conn *c, const char *run_id, struct error *err) MUST_CHECK;
/* Tells that the session loads for this run. One that lost its client may live on for hours, with its locks: a run that resumes
 * ends it. */
enum status mark_session(struct run *run, struct conn *c, const char *run_id, struct error *err) MUST_CHECK;
enum status mark_end_sessions(struct run *run, struct conn *c, const char *run_id, struct error *err) MUST_CHECK;
enum status mark_state(struct run *run, struct conn *c, const char *run_id, const char *key, bool *set, struct error *err)
	MUST_CHECK;
enum status mark_set(struct run *run, struct conn *c, const char *run_id, const char *key, struct error *err) MUST_CHECK;
/* The statement of mark_set, with its semicolon: to be sent along with what it tells of, as one transaction. */
void mark_state_sql(struct buf *to, const char *run_id, const char *key);
void mark_unit_sql(struct buf *to, const char *run_id, const struct load_unit *u, uint64_t rows);
char *mark_unit_key(const struct load_unit *u); /* owned by the caller */
/* sorted */
enum status mark_units(struct run *run, struct conn *c, const char *run_id, struct strlist *keys, struct error *err) MUST_CHECK;
/* ST_FAILED where fewer or more rows of a table were committed than the archive holds. */
enum status mark_check(struct run *run, struct conn *c, const char *run_id, const struct load_wish *w, struct error *err)
	MUST_CHECK;
enum status mark_remove(struct run *run, struct conn *c, const char *run_id, struct error *err) MUST_CHECK;

/* ---- the handle (load.c) ---- */

struct load {
	const struct endpoint *e;
	const struct load_request *q;
	const struct load_plan *p;
	struct cancel *cancel;       /* fired by interrupt; a child of the run's */
	pthread_mutex_t mutex;       /* guards admin, conn and interrupted against interrupt */
	bool interrupted;
	struct conn *admin, *conn;   /* conn: the target of the open scope */
	const struct load_scope_plan *s; /* the open scope; NULL none */
	struct load_wish wish;
	struct spool *dump;
	struct toc toc;
	struct load_selection sel;
	struct strlist env;          /* for pg_restore */
	char *restore_path;          /* the program */
	int restore_version;         /* its major version */
	bool tolerant;               /* see restore_program.c */
	bool no_tablespaces, no_privileges, superuser;
	uint64_t sort_kb;
	struct strlist done;         /* units found in a resumed target */
	bool resumed, replica;       /* replica: triggers can be kept still by session_replication_role */

};
/* The way out of a phase that failed: with a hint that fits. Returns the code. */
enum status load_failed(struct error *err);
/* The run of a phase: it ends by the load's own cancel too. */
struct run load_run(const struct run *run, const struct load *l);
/* Makes *slot the given connection (NULL: closes what was there). ST_CANCELLED where the load was interrupted meanwhile. */
enum status load_keep(struct load *l, struct conn **slot, struct conn *c, struct error *err) MUST_CHECK;
/* Reads the schema dump and its table of contents. */
enum status load_read_dump(const struct endpoint *e, const struct load_request *q, const char *scope, struct spool **dump,
			   struct toc *t, struct error *err) MUST_CHECK;

/* load_begin.c: what must be there before the rows: tables made, or emptied, or looked at. Nothing where it is complete already. */
enum status load_definitions(struct run *run, struct load *l, struct error *err) MUST_CHECK;
enum status load_roles(struct run *run, struct load *l, struct error *err) MUST_CHECK;              /* load_roles.c */
enum status load_large_objects(struct run *run, struct load *l, struct error *err) MUST_CHECK;      /* load_lo.c: makes them */
enum status load_large_objects_end(struct run *run, struct load *l, struct error *err) MUST_CHECK;  /* owners, rights, comments */
enum status load_database_create(struct run *run, struct load *l, bool resumed, struct error *err) MUST_CHECK; /* load_database.c */
enum status load_database_settings(struct run *run, struct load *l, struct error *err) MUST_CHECK;
/* GRANT statements for the text of an aclitem ("grantee=rw/grantor", a star after a letter: with grant option). object: "DATABASE
 * x". */
void sql_grant(struct buf *to, const char *object, const char *acl);
char *acl_grantee(const char *acl); /* "" for PUBLIC; owned by the caller */
/* Which of n roles the server has; the others are added to *missing. */
enum status roles_missing(struct run *run, struct conn *c, const char *const *role, size_t n, struct strlist *missing,
			  struct error *err) MUST_CHECK;
/* The roles that the objects of the scope need. Borrowed strings. */
const char **roles_needed(const struct load_wish *w, size_t *n); /* the array is owned by the caller */
/* load_after.c: entries after the data */
enum status load_after(struct run *run, struct load *l, struct error *err) MUST_CHECK;
/* event triggers, subscriptions */
enum status load_last(struct run *run, struct load *l, struct error *err) MUST_CHECK;
enum status load_sequences(struct run *run, struct load *l, struct error *err) MUST_CHECK;           /* load_sequences.c */
enum status load_analyze(struct run *run, struct load *l, struct error *err) MUST_CHECK;             /* load_analyze.c */

/* ---- pg_restore (restore_program.c) ---- */

enum status restore_program_find(struct run *run, struct load *l, struct error *err) MUST_CHECK;
/* Runs pg_restore over the entries (indexes into toc.entry) in this order. A failure that concerns one statement has it in the
 * text. */
struct restore_job {
	const size_t *entry;
	size_t entries;
	unsigned jobs;
	bool go_on; /* errors become notes */
};
enum status restore_program_run(struct run *run, struct load *l, const struct restore_job *job, struct error *err) MUST_CHECK;

#endif
