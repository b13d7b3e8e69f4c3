/* Between the parts of a dump: dump.c (open, scopes, workers), dump_choose.c (which databases), snapshot.c (one moment for all cursors),
 * list.c (what collections there are), dump_ranges.c (objects and units), dump_unit.c (the documents), dump_files.c (metadata, accounts),
 * dump_still.c (whether the collections stood still), span.c and dump_log.c (the log that brings them to one moment where snapshot.c cannot),
 * dump_limits.c (what is left out), dump_text.c (files for stock clients). */
#ifndef DRIVERS_MONGODB_DUMP_H
#define DRIVERS_MONGODB_DUMP_H

#include <stdatomic.h>

#include "drivers/mongodb/about.h"
#include "drivers/mongodb/list.h"
#include "drivers/mongodb/modriver.h"
#include "drivers/mongodb/snapshot.h"
#include "drivers/mongodb/span.h"
#include "util/fs.h"
#include "util/thread.h"

/* What dump_unit needs of a collection, by the cookie of its units. */
struct mo_reading {
	char *name;       /* as the archive knows it */
	char *shown;      /* "shop.orders" on this server */
	char *documents;  /* the collection to read */
	bool raw_data;
	bool at_moment;   /* it can be read at the moment of the dump */
	struct mo_ranges ranges;
	char *folder;     /* of its pieces; NULL: no archive is written */
	atomic_uint_fast64_t bytes; /* handed over so far */
};
struct mo_scope {
	char *name; /* in the archive */
	struct mo_where where;
	struct mo_listing listing; /* where there is a moment: alike before and after it was taken */
	struct strlist later;      /* collections that cannot be read at it */
};
struct mo_dump {
	const struct endpoint *e;
	const struct recorded *recorded; /* not NULL: a digest */
	struct mo_about about;
	struct mo_scope *scope;
	size_t scopes;
	struct mo_moment moment;
	struct mo_span span; /* where there is no moment: then the log is the scope behind the databases, and `at` is `scopes` while it is open */
	char *log_folder;    /* of its pieces */
	uint64_t log_entries, log_bytes; /* read by the worker, before the scope ends */
	bool no_timeout; /* the server takes noCursorTimeout */
	struct spool *users, *roles;

	pthread_mutex_t life; /* guards c against interrupt */
	struct mo_conn *c;    /* the coordinator's */

	/* The open scope. */
	size_t at;
	struct mo_reading **reading;
	size_t readings;
};
static inline struct mo_scope *mo_dump_scope(struct mo_dump *d) { return &d->scope[d->at]; }
/* Whether what is not in the lists was made after the moment. Through mongos a shard may be late with what was made before it. */
static inline bool mo_dump_lists_of_moment(const struct mo_dump *d) { return d->moment.has && !d->recorded && !d->c->server.mongos; }

/* dump_choose.c */
enum status mo_dump_add_scope(struct mo_dump *d, const char *name, const char *place, struct error *err) MUST_CHECK;
enum status mo_dump_choose(struct run *run, struct mo_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err) MUST_CHECK;

/* dump_ranges.c: objects and units of the open scope. */
enum status mo_dump_objects(struct run *run, struct mo_dump *d, const struct object_sink *objects, struct error *err) MUST_CHECK;
void mo_dump_readings_release(struct mo_dump *d);

/* dump_unit.c */
enum status mo_unit_read(struct run *run, struct mo_conn *c, const struct mo_dump *d, const struct dump_unit *u, struct row_sink *rows,
			 struct error *err) MUST_CHECK;
/* Whether the server takes noCursorTimeout. */
enum status mo_unit_try_no_timeout(struct run *run, struct mo_conn *c, const char *database, bool *takes, struct error *err) MUST_CHECK;

/* dump_files.c */
enum status mo_entry_give_text(const struct entry_sink *entries, const char *path, const struct buf *text, struct error *err) MUST_CHECK;
/* load.sh of the open scope, after its documents were read. */
enum status mo_dump_script(const struct mo_dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;
/* Metadata of the open scope. */
enum status mo_dump_metadata(const struct mo_dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;
/* Accounts, into spools; says by info what it may not read. */
enum status mo_dump_read_users(struct run *run, struct mo_dump *d, struct dump_info *info, struct error *err) MUST_CHECK;

/* dump_still.c: an error that names what of the open scope is no more as it was listed; what was made later counts where it may be of the moment. */
enum status mo_dump_still(struct run *run, struct mo_dump *d, struct error *err) MUST_CHECK;
/* Lists all scopes anew. difference becomes such an error for the first that is not as it was, ST_OK for none; those made count, too. */
enum status mo_dump_relist(struct run *run, struct mo_dump *d, struct error *difference, struct error *err) MUST_CHECK;
/* What was renamed and has its old name again at the end: such an error for a collection that is not there when it gave no document, and for names
 * (in any order) that are not those of the listing. Nothing where the oplog tells what happened. */
enum status mo_dump_there(struct run *run, struct mo_conn *c, const struct mo_dump *d, const struct mo_reading *r, struct error *err) MUST_CHECK;
enum status mo_dump_has(struct mo_dump *d, const struct strlist *names, struct error *err) MUST_CHECK;
/* The same for what was changed and is at the end as it was: such an error where the inventory shows a collection or view of the listing with other
 * options or indexes. */
enum status mo_dump_same(struct mo_dump *d, const struct mo_meta *is, struct error *err) MUST_CHECK;

/* dump_log.c */
enum status mo_log_begin(struct run *run, struct mo_dump *d, struct scope_info *info, const struct object_sink *objects, struct error *err) MUST_CHECK;
enum status mo_log_read(struct run *run, struct mo_conn *c, struct mo_dump *d, struct row_sink *rows, struct error *err) MUST_CHECK;
enum status mo_log_end(struct mo_dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;

/* dump_limits.c: which collections cannot be read at the moment; and what the backup will not have of this database, as sentences
 * (log: it has the log of what is done meanwhile). */
enum status mo_dump_find_later(struct run *run, struct mo_dump *d, struct mo_scope *s, struct error *err) MUST_CHECK;
void mo_dump_limits(const struct mo_scope *s, bool log, struct strlist *to);

#endif
