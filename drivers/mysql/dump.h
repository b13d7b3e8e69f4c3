/* Between the parts of a dump: dump.c (open, scopes, workers), dump_choose.c (which databases), snapshot.c (one moment in several
 * sessions), dump_list.c (what tables and columns there are), dump_columns.c (how a column is read and loaded), dump_tables.c (objects
 * and units), ranges.c (borders of ranges), dump_unit.c (the rows), dump_files.c (definitions, accounts), dump_still.c (whether those
 * were of one state), dump_text.c (files for stock clients). */
#ifndef DRIVERS_MYSQL_DUMP_H
#define DRIVERS_MYSQL_DUMP_H

#include <stdatomic.h>

#include "drivers/mysql/facts.h"
#include "drivers/mysql/mydriver.h"
#include "drivers/mysql/objects.h"
#include "drivers/mysql/ranges.h"
#include "drivers/mysql/server.h"
#include "drivers/mysql/snapshot.h"
#include "util/fs.h"
#include "util/hash.h"
#include "util/thread.h"

/* ---- what is there (dump_list.c) ---- */

enum my_history {
	MY_HISTORY_TAKEN,
	MY_HISTORY_NOT_ASKED,
	MY_HISTORY_NUMBERS, /* its borders are numbers of transactions: no server takes them back */
	MY_HISTORY_OLD,     /* the server would not take it back */
};
struct my_listed {
	char *name, *engine;
	bool definition_only;    /* its rows are elsewhere, or nowhere */
	bool transactional, versioned, partitioned;
	uint64_t bytes, rows;    /* as the server estimates */
	struct hash128 state;    /* changes with its definition */
	struct my_facts_table facts;
	struct my_key key;       /* by which InnoDB keeps the rows; no columns: none is known */
	char *row_start, *row_end; /* explicit columns of a row's time; NULL */
	enum my_history history; /* system-versioned: which rows are taken */
};
struct my_listing {
	struct my_listed *table; /* by name */
	size_t tables;
	struct hash128 state;    /* of all tables without their columns */
	bool young;              /* a table was made or altered in this very second: were it altered again, its state might stay the same */
};
#define MY_LISTING_INIT {0}
/* Tables by name, without columns and keys. */
enum status my_list_tables(struct run *run, struct my_conn *c, const char *database, struct my_listing *l, struct error *err) MUST_CHECK;
/* Columns to them, which state of each covers then; and, before that, keys. history: versioned tables have the borders of their rows too. */
enum status my_list_keys(struct run *run, struct my_conn *c, const char *database, struct my_listing *l, struct error *err) MUST_CHECK;
enum status my_list_columns(struct run *run, struct my_conn *c, const char *database, bool history, struct my_listing *l, struct error *err) MUST_CHECK;
struct my_listed *my_listed_named(const struct my_listing *l, const char *name); /* NULL: not there */
void my_listing_release(struct my_listing *l);

/* dump_columns.c: a column of information_schema.COLUMNS. */
struct my_column_type {
	const char *name, *data_type, *column_type, *precision, *scale; /* the last two NULL where null */
};
void my_column_facts(const struct my_column_type *type, struct my_facts_column *f);
/* The end of a row's time, in words that hold for all servers. */
void my_column_row_end(const char *name, struct my_facts_column *f);

/* ---- the dump ---- */

/* What dump_unit needs of a table, by the cookie of its units. */
struct my_table {
	char *name, *shown;
	char *select;            /* up to the name of the table and what belongs to it */
	char *order;             /* ORDER BY ..., or "" */
	char *load;              /* LOAD DATA for load.sql; NULL: not wanted */
	char *folder;            /* of its pieces; NULL: no archive is written */
	struct my_ranges ranges;
	atomic_uint_fast64_t rows; /* handed over so far */
};
/* What the archive holds of the open scope besides rows (dump_still.c). */
struct my_seen_object {
	char *what; /* "view totals" */
	struct hash128 state;
};
struct my_seen {
	struct my_seen_object *object;
	size_t objects;
	struct hash128 inventory;
	uint64_t count; /* my_seen_count after the definitions were read */
};
#define MY_SEEN_INIT {0}
struct my_scope {
	char *name, *database; /* in the archive, on the server */
	struct my_listing listing; /* right after the snapshot */
};
struct my_pooled {
	struct my_conn *c;
	bool taken, lost;
};
struct my_dump {
	const struct endpoint *e;
	const struct recorded *recorded; /* not NULL: a digest */
	struct my_server server;
	struct my_scope *scope;
	size_t scopes;
	struct spool *users, *users_sql;

	pthread_mutex_t life;    /* guards the sessions against interrupt, and taken and lost */
	struct my_pooled *pool;  /* sessions that have joined the snapshot */
	size_t pooled;
	struct my_conn *c;       /* the coordinator's, one more */
	struct my_conn *guard;   /* lock_ddl: holds LOCK INSTANCE FOR BACKUP; NULL */
	struct my_snapshot snapshot;
	uint64_t count;          /* my_seen_count before it */

	/* The open scope. */
	size_t at;
	struct my_table **table;
	size_t tables;
	struct my_seen seen;
};
static inline const char *my_dump_database(const struct my_dump *d) { return d->scope[d->at].database; }
static inline struct my_listing *my_dump_listing(struct my_dump *d) { return &d->scope[d->at].listing; }

/* dump_choose.c */
void my_dump_add_scope(struct my_dump *d, const char *name, const char *database);
enum status my_dump_choose(struct run *run, struct my_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err) MUST_CHECK;

/* dump_tables.c */
enum status my_dump_objects(struct run *run, struct my_dump *d, const struct object_sink *objects, struct error *err) MUST_CHECK;
void my_dump_tables_release(struct my_dump *d);
/* What the backup will not have of these tables, as sentences. */
void my_dump_limits(const char *database, const struct my_listing *l, struct strlist *to);

/* dump_unit.c */
enum status my_unit_read(struct run *run, struct my_conn *c, struct my_table *t, const struct dump_unit *u, struct row_sink *rows,
			 struct error *err) MUST_CHECK;
/* An error of the server about a table; says so where it means that the table was altered meanwhile. Return err->code. */
enum status my_unit_altered(const struct my_dump *d, const char *shown, struct error *err);
enum status my_dump_altered(const struct my_dump *d, const char *what, struct error *err); /* "table t" was */

/* dump_files.c: a file that is made in a spool first, since its size is not known before. */
struct spool *my_entry_spool(const struct my_dump *d);
enum status my_entry_give(const struct entry_sink *entries, const char *path, struct spool *s, struct error *err) MUST_CHECK;
enum status my_entry_give_text(const struct entry_sink *entries, const char *path, const struct buf *text, struct error *err) MUST_CHECK;
/* Accounts, into spools; says by info what it may not read. */
enum status my_dump_read_users(struct run *run, struct my_dump *d, struct dump_info *info, struct error *err) MUST_CHECK;
/* objects.jsonl, before.sql and after.sql of the open scope. */
enum status my_dump_definitions(struct run *run, struct my_dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;

/* dump_still.c: what is seen while a scope is dumped, and at its end, whether all of it was of one state. */
void my_seen_release(struct my_seen *s);
void my_seen_add(struct my_seen *s, const struct my_object *o);
struct hash128 my_seen_item(const struct inventory_item *i);
enum status my_seen_count(struct run *run, struct my_conn *c, uint64_t *count, struct error *err) MUST_CHECK;
enum status my_dump_still(struct run *run, struct my_dump *d, struct error *err) MUST_CHECK;

/* dump_text.c */
void my_restore_text(const struct my_dump *d, const struct dump_info *info, struct buf *to);
void my_script_head(struct buf *to); /* first lines of an SQL file */
void my_load_script(const struct my_dump *d, struct buf *to); /* load.sql of the open scope, after its rows were read */

#endif
