/* The load side from within: load_plan.c, load_check.c and load_check_tables.c decide and change nothing; load.c holds the handle;
 * load_begin.c, load_unit.c and load_end.c are the phases of a scope; load_wish.c says which tables are meant, load_mark.c keeps in the
 * target what has been done there. */
#ifndef DRIVERS_MYSQL_LOAD_H
#define DRIVERS_MYSQL_LOAD_H

#include "drivers/mysql/conn.h"
#include "drivers/mysql/ddl.h"
#include "drivers/mysql/facts.h"
#include "drivers/mysql/objects.h"
#include "drivers/mysql/server.h"
#include "util/thread.h"

/* ---- what is meant (load_wish.c) ---- */

/* A name as people write it: a part with a dot in double quotes. */
struct my_table_name {
	char *database, *table; /* NULL where not given */
};
#define MY_TABLE_NAME_INIT {0}
/* One part is put into table. */
enum status my_table_name_parse(const char *text, struct my_table_name *n, struct error *err) MUST_CHECK;
void my_table_name_release(struct my_table_name *n);

/* The same text in plan and load: it is told once. Database, table, definition. */
#define MY_FOREIGN_LEFT "database %s: table %s: a foreign key is not made, since the table that it refers to is not there: %s"

enum my_load_mode {
	MY_LOAD_DATABASE, /* everything, into a database that is empty */
	MY_LOAD_TABLES,   /* some tables with their definitions, beside what is there */
	MY_LOAD_ROWS,     /* rows only, into tables that are there */
};
/* A table whose rows are wanted. */
struct my_load_table {
	uint32_t id; /* of the recorded object */
	char *name, *shown;
	char *to_name;  /* --rename: its name at the end; NULL: as it was */
	bool direct;    /* its rows go to the new name at once: the old one is taken, or only rows are loaded */
	bool history, transactional;
	struct strlist columns; /* empty in MY_LOAD_DATABASE */
	uint64_t rows, raw;
};
struct my_load_wish {
	enum my_load_mode mode;
	const char *scope; /* borrowed from the request */
	struct my_object *object; /* all that the archive has of the scope, in the order in which they can be made */
	size_t objects;
	struct my_load_table *table; /* by id */
	size_t tables;
	struct strlist excluded; /* tables that come without rows */
	struct strlist asked;    /* --table, those of this scope */
	uint64_t raw;
};
#define MY_LOAD_WISH_INIT {0}
enum status my_load_wish_make(const struct load_request *q, const char *scope, struct my_load_wish *w, struct error *err) MUST_CHECK;
void my_load_wish_release(struct my_load_wish *w);
const struct my_load_table *my_load_wish_table(const struct my_load_wish *w, uint32_t id); /* NULL: not wanted */
const struct my_load_table *my_load_wish_named(const struct my_load_wish *w, const char *name);
const struct my_object *my_load_wish_object(const struct my_load_wish *w, enum object_kind kind, const char *name);
/* Whether this restore makes the object at all (what is there already may still be kept as it is). */
bool my_load_wish_makes(const struct my_load_wish *w, const struct my_object *o);
const char *my_load_table_place(const struct my_load_table *t); /* the name that it has while it is loaded */
/* New name of the database by --rename or --into; NULL none. Owned by the caller. */
enum status my_load_wish_rename(const struct load_request *q, const char *scope, char **to, struct error *err) MUST_CHECK;
/* A file of the scope (NULL: of none) in memory; *found false where the archive has none. */
enum status my_load_file(const struct load_request *q, const char *scope, const char *path, struct buf *to, bool *found,
			 struct error *err) MUST_CHECK;

/* ---- words of a recorded statement (load_text.c) ---- */

/* The table that "ADD CONSTRAINT ... REFERENCES ..." names; *database NULL: its own. Both owned. */
bool my_text_references(const char *constraint, char **database, char **table);
bool my_text_uses_sequence(const char *create, const char *database, const char *sequence);
/* Without the names of CHECK constraints, which MySQL keeps apart in a whole database. Owned. */
char *my_text_nameless_checks(const char *create);
/* The word after ENGINE=, of a table; NULL. Owned. */
char *my_text_engine(const char *create);

/* ---- sessions (load_session.c) ---- */

struct my_database_state {
	bool exists, empty, ours; /* ours: holds the mark of this run; empty: nothing else than that mark */
	char *charset;
};
#define MY_DATABASE_STATE_INIT {0}
void my_database_state_release(struct my_database_state *s);
enum status my_database_look(struct run *run, struct my_conn *c, const char *name, const char *run_id, struct my_database_state *s,
			     struct error *err) MUST_CHECK;
enum status my_database_exists(struct run *run, struct my_conn *c, const char *name, bool *exists, struct error *err) MUST_CHECK;
enum status my_database_drop(struct run *run, struct my_conn *c, const char *name, struct error *err) MUST_CHECK;
/* "<name><word><run>" within 64 characters, cut between characters. Owned by the caller. */
char *my_database_beside(const char *name, const char *word, const char *run_id);
/* " column = 'name'" as this server compares names of databases and tables. */
void my_sql_is_name(struct buf *to, const char *column, const char *name);
/* What follows this server in replication, as a person would name it: "replica at 10.0.0.2", added to who. *seen false: this account may not look. */
enum status my_replicas_attached(struct run *run, struct my_conn *c, struct strlist *who, bool *seen, struct error *err) MUST_CHECK;
bool my_sorted_has(const struct strlist *l, const char *s);
/* First column of all rows. */
enum status my_list(struct run *run, struct my_conn *c, const char *sql, struct strlist *to, struct error *err) MUST_CHECK;
/* Names of tables, sequences and views of a database, sorted. */
enum status my_tables_there(struct run *run, struct my_conn *c, const char *database, struct strlist *to, struct error *err) MUST_CHECK;
/* Foreign keys of other databases that refer to tables of this one, as "the foreign key f of other.t" (load_check.c). */
enum status my_foreign_from_outside(struct run *run, struct my_conn *c, const char *database, struct strlist *keys,
				    struct error *err) MUST_CHECK;
/* Second column of the only row: SHOW CREATE TABLE. Owned by the caller. */
enum status my_show_create(struct run *run, struct my_conn *c, const char *table, char **sql, struct error *err) MUST_CHECK;

/* ---- the mark in the target (load_mark.c) ---- */

/* A table of drtool's own in the target, drtool_restore_<run>, until the end of the load: which units were committed there, and what else is
 * complete. It makes a resumed restore exact even where drtool or the server died between commit and journal. */
struct my_mark {
	const char *database, *run;
};
enum status my_mark_make(struct run *run, struct my_conn *c, const struct my_mark *m, struct error *err) MUST_CHECK;
enum status my_mark_exists(struct run *run, struct my_conn *c, const struct my_mark *m, bool *exists, struct error *err) MUST_CHECK;
enum status my_mark_state(struct run *run, struct my_conn *c, const struct my_mark *m, const char *key, bool *set,
			  struct error *err) MUST_CHECK;
enum status my_mark_set(struct run *run, struct my_conn *c, const struct my_mark *m, const char *key, struct error *err) MUST_CHECK;
void my_mark_unit_sql(struct buf *to, const struct my_mark *m, const struct load_unit *u, uint64_t rows);
char *my_mark_unit_key(const struct load_unit *u); /* owned by the caller */
enum status my_mark_units(struct run *run, struct my_conn *c, const struct my_mark *m, struct strlist *keys,
			  struct error *err) MUST_CHECK; /* sorted */
enum status my_mark_has_unit(struct run *run, struct my_conn *c, const struct my_mark *m, const struct load_unit *u, bool *has,
			     struct error *err) MUST_CHECK;
/* ST_FAILED where fewer or more rows of a table were committed than the archive holds. */
enum status my_mark_check(struct run *run, struct my_conn *c, const struct my_mark *m, const struct my_load_wish *w,
			  struct error *err) MUST_CHECK;
/* Forgets the units of tables that are in `plain` (not transactional) and not complete. Their names are added to `again`: they have to be
 * emptied first. */
enum status my_mark_forget(struct run *run, struct my_conn *c, const struct my_mark *m, const struct my_load_wish *w,
			   const struct strlist *plain, struct strlist *again, struct error *err) MUST_CHECK;
enum status my_mark_remove(struct run *run, struct my_conn *c, const struct my_mark *m, struct error *err) MUST_CHECK;
/* Tells that the session loads for this run, by a lock on a name of its own (*lock, owned): what an attempt before left in the server is
 * found and ended by it. */
enum status my_mark_session(struct run *run, struct my_conn *c, const char *run_id, char **lock, struct error *err) MUST_CHECK;
enum status my_mark_end_sessions(struct run *run, struct my_conn *c, const char *run_id, struct error *err) MUST_CHECK;
/* Whether the session with this lock is gone. */
enum status my_mark_gone(struct run *run, struct my_conn *c, const char *lock, bool *gone, struct error *err) MUST_CHECK;

/* ---- the handle (load.c) ---- */

struct my_load {
	const struct endpoint *e;
	const struct load_request *q;
	const struct load_plan *p;
	struct cancel *cancel;       /* fired by interrupt; a child of the run's */
	pthread_mutex_t mutex;       /* guards conn, interrupted and inserts */
	bool interrupted;
	bool inserts;                /* LOCAL is refused by the server: rows go in by INSERT */
	struct my_conn *conn;        /* the target of the open scope */
	char *lock;                  /* of conn */
	const struct load_scope_plan *s; /* the open scope; NULL none */
	struct my_load_wish wish;
	struct my_mark mark;
	struct my_server server;
	struct strlist done;         /* units found in a resumed target */
	struct strlist plain;        /* tables of the target whose engine is not transactional */
	struct strlist rights;       /* GRANTs of accounts that were made, on what is not there yet */
	char *me;                    /* account of these sessions, "root@localhost" */
	bool resumed, unlogged;      /* unlogged: nothing goes into the binlog */
};
/* The run of a phase: it ends by the load's own cancel too. */
struct run my_load_run(const struct run *run, const struct my_load *l);
/* A session that loads. database NULL: none is chosen. */
enum status my_load_connect(struct run *run, struct my_load *l, const char *database, struct my_conn **c, struct error *err) MUST_CHECK;
/* The way out of a phase that failed: with a hint that fits. Returns the code. */
enum status my_load_failed(struct error *err);

/* load_begin.c: accounts and the database, over a session without one; then what must be there before the rows: tables made, or emptied, or
 * looked at. Nothing where it is complete already. load_users.c */
enum status my_load_prepare(struct run *run, struct my_load *l, struct my_conn *c, struct error *err) MUST_CHECK;
enum status my_load_definitions(struct run *run, struct my_load *l, struct error *err) MUST_CHECK;
enum status my_load_accounts(struct run *run, struct my_load *l, struct my_conn *c, struct error *err) MUST_CHECK;
/* Rights on single tables and programs, when those of the scope are there. */
enum status my_load_rights(struct run *run, struct my_load *l, struct error *err) MUST_CHECK;

/* The parts of a table's definition; all is base where the text is not of the usual form. database: its own, whose name is left out. */
void my_definition_read(const char *create, const char *database, struct my_ddl_table *d);

/* load_keys.c: keys and foreign keys of the tables that this restore made. load_after.c: what comes after the tables. load_compare.c: what
 * SHOW CREATE says now. load_orphans.c: rows without a parent, of what was loaded or refers to it; each key that has some is a note. */
/* A table with few rows is made with all its keys: to add them later takes longer than to keep them. */
bool my_is_made_whole(const struct my_load *l, const struct my_object *o);
/* Whether the parent of a foreign key is there or comes with it. there: sorted names of tables in the target. */
bool my_foreign_fits(const struct my_load_wish *w, const struct strlist *there, const char *foreign);
enum status my_load_keys(struct run *run, struct my_load *l, struct error *err) MUST_CHECK;
enum status my_load_sequences(struct run *run, struct my_load *l, struct error *err) MUST_CHECK;
enum status my_load_after(struct run *run, struct my_load *l, struct error *err) MUST_CHECK;
/* Programs, views, triggers and events of a database as "kind\001name", sorted. */
enum status my_objects_there(struct run *run, struct my_conn *c, const char *database, struct strlist *keys, struct error *err) MUST_CHECK;
bool my_object_is_there(const struct strlist *keys, const struct my_object *o);
enum status my_load_events(struct run *run, struct my_load *l, struct error *err) MUST_CHECK; /* their status: they may act from now on */
enum status my_load_compare(struct run *run, struct my_load *l, struct error *err) MUST_CHECK;
enum status my_load_orphans(struct run *run, struct my_load *l, struct error *err) MUST_CHECK;

/* load_crew.c: the same for each of n items, on up to `jobs` sessions of the target; the first error ends all. */
typedef enum status my_item_fn(void *ctx, struct run *run, struct my_conn *c, size_t item, struct error *err);
enum status my_load_each(struct run *run, struct my_load *l, size_t n, my_item_fn *fn, void *ctx, struct error *err) MUST_CHECK;

/* load_warnings.c: of the statement that just put rows into a table. LOCAL makes warnings of errors: any of them is one, but what can be no loss. */
enum status my_load_check_warnings(struct run *run, struct my_conn *c, const char *table, unsigned warnings, struct error *err) MUST_CHECK;

/* load_insert.c: the rows of a unit by INSERT. */
struct my_insert {
	struct my_conn *c;
	const struct my_facts_table *f;
	const char *table;
	uint64_t most, packet; /* bytes of a statement of many rows, of any */
};
enum status my_load_insert(struct run *run, const struct my_insert *in, struct chunk_source *chunks, uint64_t *rows, uint64_t *given,
			   struct error *err) MUST_CHECK;

#endif
