/* The load side from within: load_plan.c and load_check.c decide and change nothing; load.c holds the handle; load_begin.c, load_unit.c
 * and load_end.c are the phases of a scope; load_wish.c says which collections are meant, load_mark.c keeps in the target what has been done
 * there. */
#ifndef DRIVERS_MONGODB_LOAD_H
#define DRIVERS_MONGODB_LOAD_H

#include "drivers/mongodb/list.h"
#include "drivers/mongodb/oplog_entry.h"
#include "util/thread.h"

/* ---- what is meant (load_wish.c) ---- */

#define MO_COLLECTIONS_PATH "collections.jsonl"

enum mo_load_mode {
	MO_LOAD_DATABASE, /* everything, into a place that is empty */
	MO_LOAD_TABLES,   /* some collections with their definitions, beside what is there */
	MO_LOAD_ROWS,     /* documents only, into collections that are there */
};
/* A collection or view that is wanted. */
struct mo_wanted {
	struct mo_meta meta; /* as recorded */
	char *to;            /* its name at the end: as it was, or that of --rename */
	char *place;         /* as it is called on the server while it is loaded; set by mo_wish_place */
	char *documents;     /* the collection that takes its documents: place, or the buckets of a time series; NULL until they are looked for */
	bool raw_data;       /* a time series without such a collection: `insert` takes them with rawData */
	bool has_rows;       /* the archive has an object of it */
	uint32_t id;         /* of that object */
	uint64_t rows, raw;
};
struct mo_wish {
	enum mo_load_mode mode;
	const char *scope;       /* borrowed from the request */
	struct mo_wanted *item;  /* by name */
	size_t items;
	struct mo_wanted **by_id; /* those with an object */
	size_t objects;
	struct strlist left_out; /* --exclude-table */
	uint64_t rows, raw;
};
#define MO_WISH_INIT {0}
enum status mo_wish_make(const struct load_request *q, const char *scope, struct mo_wish *w, struct error *err) MUST_CHECK;
void mo_wish_release(struct mo_wish *w);
/* All collections and views of w->scope, as recorded, nothing chosen. */
enum status mo_wish_read(const struct load_request *q, struct mo_wish *w, struct error *err) MUST_CHECK;
void mo_wish_place(struct mo_wish *w, const struct mo_where *at);
const struct mo_wanted *mo_wish_object(const struct mo_wish *w, uint32_t id); /* NULL: not wanted */
/* New name of the database by --rename or --into; NULL none. Owned by the caller. */
enum status mo_wish_database(const struct load_request *q, const char *scope, char **to, struct error *err) MUST_CHECK;
/* A file of the scope (NULL: of none) in memory; *found false where the archive has none. */
enum status mo_load_file(const struct load_request *q, const char *scope, const char *path, struct buf *to, bool *found,
			 struct error *err) MUST_CHECK;

/* ---- TTL (load_ttl.c) ---- */

/* Whether an index or options have an expireAfterSeconds of their own that is a number. The iterator is on it. */
bool mo_ttl_of(const bson_t *b, bson_iter_t *at);
bool mo_ttl_has(const struct mo_meta *m); /* of its own, or of an index */
/* A copy of an index with that value parked. to is initialised. */
void mo_ttl_park(const bson_t *b, bson_t *to);
/* A copy of options, or of a command, without it. to is initialised. */
void mo_ttl_leave_out(const bson_t *b, bson_t *to);

/* ---- the state in the target (load_mark.c) ---- */

struct mo_mark {
	const char *database, *run; /* borrowed */
};
enum status mo_mark_exists(struct run *run, struct mo_conn *c, const struct mo_mark *m, bool *exists, struct error *err) MUST_CHECK;
/* Makes it where it is not there, and writes {_id: "run", scope, place}. */
enum status mo_mark_make(struct run *run, struct mo_conn *c, const struct mo_mark *m, const struct load_scope_plan *s,
			 struct error *err) MUST_CHECK;
/* The document of that _id. doc is initialised; it stays empty where there is none. */
enum status mo_mark_get(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *id, bson_t *doc,
			struct error *err) MUST_CHECK;
enum status mo_mark_has(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *id, bool *has,
			struct error *err) MUST_CHECK;
/* Writes a document, in the place of the one with its _id. */
enum status mo_mark_put(struct run *run, struct mo_conn *c, const struct mo_mark *m, const bson_t *doc, struct error *err) MUST_CHECK;
enum status mo_mark_set(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *id, struct error *err) MUST_CHECK;
/* All documents whose _id begins so. */
enum status mo_mark_each(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *begin, mo_doc_fn *fn, void *ctx,
			 struct error *err) MUST_CHECK;
enum status mo_mark_forget(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *begin, struct error *err) MUST_CHECK;
enum status mo_mark_drop(struct run *run, struct mo_conn *c, const struct mo_mark *m, struct error *err) MUST_CHECK;
/* The recorded value of what is parked, and of each collection that has one: {_id: "ttl:<collection>:<index>", seconds}. b has one (mo_ttl_of). */
enum status mo_mark_ttl(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *collection, const bson_t *b,
			struct error *err) MUST_CHECK;
/* That of a collection itself is no more. */
enum status mo_mark_no_ttl(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *collection, struct error *err) MUST_CHECK;
/* The same of what an exchange sets aside: {_id: "aside-ttl:<collection>:<index>", seconds}. */
enum status mo_mark_aside_ttl(struct run *run, struct mo_conn *c, const struct mo_mark *m, const char *collection, const bson_t *b,
			      struct error *err) MUST_CHECK;
#define MO_MARK_UNIT "unit:"
#define MO_MARK_TTL "ttl:"
#define MO_MARK_ASIDE_TTL "aside-ttl:"
char *mo_mark_unit_id(const struct load_unit *u); /* owned by the caller */
enum status mo_mark_unit(struct run *run, struct mo_conn *c, const struct mo_mark *m, const struct load_unit *u, uint64_t rows,
			 struct error *err) MUST_CHECK;
/* Keys of all units that are done, sorted. */
enum status mo_mark_units(struct run *run, struct mo_conn *c, const struct mo_mark *m, struct strlist *ids, struct error *err) MUST_CHECK;
/* ST_FAILED where the units of a collection are not all there. */
enum status mo_mark_check(struct run *run, struct mo_conn *c, const struct mo_mark *m, const struct mo_wish *w, struct error *err) MUST_CHECK;

/* ---- commands (load_command.c) ---- */

/* Where the target is a replica set: what is answered is kept by a majority. */
void mo_put_majority(const struct mo_conn *c, bson_t *command);
/* A command that changes something on a database, of which only success matters; writeErrors fail it. Majority is added. */
enum status mo_change(struct run *run, struct mo_conn *c, const char *database, bson_t *command, struct error *err) MUST_CHECK;
enum status mo_drop_collection(struct run *run, struct mo_conn *c, const char *database, const char *name, struct error *err) MUST_CHECK;
enum status mo_rename_collection(struct run *run, struct mo_conn *c, const char *database, const char *from, const char *to,
				 struct error *err) MUST_CHECK;
/* Why this server could not rename a collection; NULL: it can. Owned by the caller. */
char *mo_not_renamed(const struct mo_conn *c, const struct mo_meta *m);
/* create of a collection or view under a name, with options as recorded, but without its expireAfterSeconds, which would act at once. */
enum status mo_create_collection(struct run *run, struct mo_conn *c, const char *database, const char *name, const struct mo_meta *m,
				 struct error *err) MUST_CHECK;
/* Drops what is there in a place: views first. Its own of runs stay. */
enum status mo_drop_place(struct run *run, struct mo_conn *c, const struct mo_where *w, struct error *err) MUST_CHECK;
bool mo_sorted_has(const struct strlist *l, const char *s);
/* Where documents go to, by the listing of the place. ST_NOT_FOUND where some collection is not there. */
enum status mo_find_documents(struct mo_wish *w, const struct mo_listing *l, struct error *err) MUST_CHECK;
/* Whether what was made is what was recorded (kind, options other than expireAfterSeconds): ST_UNSUPPORTED that says what the server left out. */
enum status mo_check_made(const struct mo_wanted *w, const struct mo_listing *l, struct error *err) MUST_CHECK;

/* ---- the handle (load.c) ---- */

/* The log of an archive (load_log.h). */
struct mo_log {
	bool has;
	uint32_t id;               /* of the object */
	uint64_t rows, raw;
	struct mo_optime from, to; /* of its first and last entry; without terms */
};

struct mo_load {
	const struct endpoint *e;
	const struct load_request *q;
	const struct load_plan *p;
	struct cancel *cancel;  /* fired by interrupt; a child of the run's */
	pthread_mutex_t mutex;  /* guards conn and interrupted */
	bool interrupted;
	struct mo_conn *conn;   /* of the open scope */
	const struct load_scope_plan *s; /* NULL none */
	struct mo_where where;
	struct mo_wish wish;
	struct mo_mark mark;
	struct strlist done;    /* units found in a resumed target */
	bool resumed;
	bool hashes;            /* accounts are in collections beside, to be dropped */
	bool park;              /* TTL of what is made here must not act */
	struct mo_log log;      /* where the plan has one */
	struct mo_replaying *replay; /* load_log.h: of the open scope, where it is the log */
};
/* The run of a phase: it ends by the load's own cancel too. */
struct run mo_load_run(const struct run *run, const struct mo_load *l);
enum status mo_load_connect(struct run *run, struct mo_load *l, struct mo_conn **c, struct error *err) MUST_CHECK;
/* The way out of a phase that failed: with a hint that fits. Returns the code. */
enum status mo_load_failed(struct error *err);

/* load_begin.c: what must be there before the documents. Nothing where it is complete already. */
enum status mo_load_definitions(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* load_index.c: indexes of all of l->wish, and what their TTL will do. */
enum status mo_load_indexes(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* load_ttl.c, last of all: each collection of l->where gets the expireAfterSeconds that the state says, unless l->park. ST_UNSUPPORTED where the server
 * does not show it then. */
enum status mo_load_times(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* Tells how many documents of a collection of l->where are more than `seconds` behind by this field; what: "the TTL index n". That they cannot be counted
 * is no error. */
enum status mo_tell_expired(struct run *run, const struct mo_load *l, struct mo_conn *c, const char *collection, const char *field, int64_t seconds,
			    const char *what, struct error *err) MUST_CHECK;
/* load_views.c */
enum status mo_load_views(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* What there is to do for accounts at the end of all (load_end.c). */
enum status mo_load_accounts(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* load_users.c: --users all. *why, owned by the caller: why the server cannot take accounts (it has no way to, or somebody else is at it); NULL: it can. */
enum status mo_users_able(struct run *run, struct mo_conn *c, const struct load_plan *p, const char *run_id, char **why, struct error *err) MUST_CHECK;
enum status mo_load_users(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* At the end of all, over a connection of its own, within five seconds: drops what mo_load_users could not. */
void mo_load_users_leave(struct mo_load *l);

/* load_crew.c: the same for each of n items, on up to `jobs` sessions; the first error ends all. */
typedef enum status mo_item_fn(void *ctx, struct run *run, struct mo_conn *c, size_t item, struct error *err);
enum status mo_load_each(struct run *run, struct mo_load *l, size_t n, mo_item_fn *fn, void *ctx, struct error *err) MUST_CHECK;

/* ---- documents of a unit (load_insert.c) ---- */

struct mo_insert {
	struct mo_conn *c;
	const char *database, *collection; /* borrowed */
	bool again;     /* an attempt before may have put some: a document that is there counts */
	bool unchecked; /* with bypassDocumentValidation */
	bool raw_data;
	bool mixed;     /* the series was told to take buckets of mixed schema */
	/* The open command. */
	bson_t command, documents;
	bool open, stamps; /* stamps: some document has a Timestamp(0,0) */
	uint32_t n;
	size_t bytes;
	uint64_t rows;  /* as the server counted, so far */
};
/* doc is copied. Sends when enough is together. */
enum status mo_insert_add(struct run *run, struct mo_insert *in, const bson_t *doc, struct error *err) MUST_CHECK;
enum status mo_insert_flush(struct run *run, struct mo_insert *in, struct error *err) MUST_CHECK;
void mo_insert_release(struct mo_insert *in);
/* "_id" of a document as text, cut, for messages. Owned by the caller. */
char *mo_id_text(const bson_t *doc);
/* Documents out of bytes that end anywhere (load_unit.c): one that is cut is kept in `part` for the next call. */
typedef enum status mo_found_fn(void *ctx, const bson_t *doc, struct error *err);
enum status mo_split(struct buf *part, const void *p, size_t n, mo_found_fn *fn, void *ctx, struct error *err) MUST_CHECK;
/* load_mixed.c: newer servers refuse buckets of a time series in which a field has values of several types, as servers before 5.2 made them, until
 * the series is told to take them. Whether the answer to a write has such a refusal; and the telling: collection is the series or its buckets. */
bool mo_refuses_mixed(const bson_t *reply);
enum status mo_allow_mixed(struct run *run, struct mo_conn *c, const char *database, const char *collection, struct error *err) MUST_CHECK;
/* load_stamp.c: servers before 8.0 put their time in the place of a Timestamp(0,0) at the top of a document: they are given the document once
 * more, in a way in which they do not. documents: an array of what was inserted. */
bool mo_has_empty_stamp(const bson_t *doc);
/* Whether the server can be told to keep it. */
bool mo_keeps_stamps(const struct mo_conn *c);
enum status mo_mend_stamps(struct run *run, const struct mo_insert *in, const bson_t *documents, struct error *err) MUST_CHECK;

#endif
