/* Between the parts of a dump: dump.c (open, scopes, workers), dump_tables.c (listing, locks, facts, units), dump_pages.c (large
 * objects), dump_last.c (sequences, views to refresh), dump_database.c (properties of a database), preflight.c, schema.c (pg_dump
 * beside the readers), globals.c, restore_text.c. */
#ifndef DRIVERS_POSTGRES_DUMP_H
#define DRIVERS_POSTGRES_DUMP_H

#include <pthread.h>

#include "drivers/postgres/client.h"
#include "drivers/postgres/conn.h"
#include "util/fs.h"

struct schema_dump;   /* pg_dump beside the readers, see schema.h */
struct inventory_job; /* the inventory beside them, see inventory_job.h */

/* What dump_unit needs of a table, by the cookie of its units. */
struct pg_table {
	uint32_t oid;
	char *shown;    /* public.orders, for messages */
	char *name;     /* "public"."orders" */
	char *columns;  /* "a", "b"; NULL: none */
	char *where;    /* clause; NULL */
	bool pages;     /* the large objects */
	bool replace;   /* rows of the restored table give way to the recorded ones */
	uint32_t page_size;
	uint32_t ranges, range_blocks;
};

struct pg_scope {
	char *name, *database; /* in the archive, on the server */
};

struct dump {
	const struct endpoint *e;
	const struct recorded *recorded; /* not NULL: a digest */
	struct duration max_lag;
	struct pg_scope *scope;
	size_t scopes;
	int version;
	char *version_text;
	bool standby;
	struct instant data_time;
	bool read_auth;       /* pg_authid may be read */
	struct client client; /* pg_dump and pg_restore; empty for digests */

	/* The open scope. */
	size_t at;
	struct conn *c;          /* holds snapshot and locks; also copies tables that workers cannot lock any more */
	pthread_mutex_t mutex;   /* guards the use of c by workers, and c itself against interrupt */
	pthread_mutex_t life;    /* guards the pointer c, schema and inventory, against interrupt */
	char *snapshot;
	char *encoding;
	bool read_pages; /* pg_largeobject may be read, not only the functions used */
	struct pg_table *table;
	size_t tables;
	struct schema_dump *schema;
	struct inventory_job *inventory; /* NULL in a digest */
	struct spool *load;      /* load.sh as it grows; NULL: not wanted */
};

static inline const char *dump_database(const struct dump *d) { return d->scope[d->at].database; }

/* dump.c: fails where this is a standby whose data are older than the request allows. */
enum status dump_check_lag(struct run *run, const struct dump *d, struct instant data_time, struct error *err) MUST_CHECK;

/* dump_tables.c: a snapshot that sees exactly the tables that are locked; then objects and units. */
enum status dump_lock_and_export(struct run *run, struct dump *d, struct scope_info *info, struct error *err) MUST_CHECK;
enum status dump_list_objects(struct run *run, struct dump *d, const struct object_sink *objects, struct error *err) MUST_CHECK;
void dump_tables_release(struct dump *d);
/* The COPY statement of a unit. */
void dump_copy_text(const struct dump *d, const struct pg_table *t, uint32_t range, struct buf *sql);
/* Gives an object with this JSON, keeps the table and gives its units. Takes t's strings. */
struct object_spec {
	struct pg_table table;
	const json_t *facts; /* borrowed */
	const char *schema, *name; /* of the path; schema NULL: one component */
	uint64_t bytes;
};
enum status dump_give_object(struct dump *d, struct object_spec *o, const struct object_sink *objects,
			     struct error *err) MUST_CHECK;

/* dump_pages.c: large objects, as an object of their pages and as files. */
void dump_pages_table(const struct dump *d, struct pg_table *t);
enum status dump_pages_object(struct run *run, struct dump *d, const struct object_sink *objects, struct error *err) MUST_CHECK;
enum status dump_pages_entries(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;

/* dump_last.c */
enum status dump_sequences(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;
enum status dump_refresh(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;

/* dump_database.c */
enum status dump_database_entries(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;

/* globals.c */
enum status globals_entries(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;

/* preflight.c: what would fail in the middle, before the first byte. */
enum status preflight_database(struct run *run, struct dump *d, const char *database, struct dump_info *info,
			       struct error *err) MUST_CHECK;

/* lint.c: notes about what would make a restore stumble. */
enum status lint_database(struct run *run, struct conn *c, const struct endpoint *e, struct error *err) MUST_CHECK;

/* restore_text.c */
void restore_text(const struct dump *d, const struct dump_info *info, struct buf *to);
void script_head(const struct dump *d, struct buf *to); /* first line of an SQL file of the scope */
void load_script_begin(const struct dump *d, struct buf *to);
void load_script_table(const struct dump *d, const struct pg_table *t, const char *folder, struct buf *to);

/* A file that is made in a spool first, since its size is not known before. */
struct spool *entry_spool(const struct dump *d);
enum status entry_give(const struct entry_sink *entries, const char *path, struct spool *s, const json_t *facts,
		       struct error *err) MUST_CHECK;
enum status entry_give_text(const struct entry_sink *entries, const char *path, const struct buf *text,
			    struct error *err) MUST_CHECK;

/* dump.c: a further session that has joined the snapshot of the open scope. */
enum status dump_join(struct run *run, const struct dump *d, struct conn **c, struct error *err) MUST_CHECK;

/* inventory.c: asks all questions in this session. */
enum status inventory_take_all(struct run *run, struct conn *c, const struct inventory_sink *items, struct error *err) MUST_CHECK;

#endif
