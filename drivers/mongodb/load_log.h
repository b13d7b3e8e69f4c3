/* The log of an archive whose documents are of no one moment, and how it is replayed: load_log.c says what there is, replay.c takes the entries in their order,
 * replay_window.c gathers what becomes of documents, replay_write.c puts that into the target, replay_command.c runs commands, replay_end.c makes the
 * indexes. There is one way: entries become the ordinary commands of a client, which every server takes, under the names of the target. */
#ifndef DRIVERS_MONGODB_LOAD_LOG_H
#define DRIVERS_MONGODB_LOAD_LOG_H

#include "drivers/mongodb/load.h"
#include "drivers/mongodb/oplog_index.h"
#include "drivers/mongodb/oplog_names.h"
#include "drivers/mongodb/oplog_txn.h"
#include "drivers/mongodb/span.h"

#define MO_MARK_REPLAY "replay"

/* ---- what there is (load_log.c) ---- */

/* ST_BAD where the archive's log does not say from when to when it is. */
enum status mo_log_find(const struct recorded *r, struct mo_log *log, struct error *err) MUST_CHECK;

/* ---- documents that are to be changed (replay_window.c) ---- */

/* What is to become of one document. While its content is not known here, changes wait for it. */
struct mo_change {
	struct mo_optime at;  /* of the newest operation on it */
	uint32_t target;
	bson_t *id;           /* {_id: X} */
	uint64_t hash;
	enum mo_change_state { MO_CHANGE_WAITS, MO_CHANGE_PUT, MO_CHANGE_DROP } state;
	bson_t *doc;          /* of PUT */
	bson_t **update;      /* of WAITS: `o` of the updates, in order */
	size_t updates;
	bool found;           /* of WAITS: its content has come */
};
/* A collection of the target. */
struct mo_window_target {
	char *database, *collection; /* as mo_replay says */
	bool buckets;
	char *ns;                    /* in the log, for messages */
};
struct mo_window {
	struct mo_window_target *target;
	uint32_t targets;
	struct mo_change *change;    /* in the order of the first operation */
	uint32_t changes;
	uint32_t *slot;              /* by hash; UINT32_MAX: free */
	size_t bytes;
	uint32_t group;              /* how many documents are asked for at once */
	uint64_t missing;            /* updates of documents that are not there, all in all */
};
#define MO_WINDOW_INIT {0}
void mo_window_release(struct mo_window *w);
bool mo_window_full(const struct mo_window *w);
/* An operation of kind MO_REPLAY_WRITE. ST_BAD, ST_UNSUPPORTED. */
enum status mo_window_add(struct mo_window *w, const struct mo_replay *to, const struct mo_oplog_entry *op, struct error *err) MUST_CHECK;
/* The content of a document that waits (NULL: there is none): its updates are made. */
enum status mo_change_meets(struct mo_window *w, struct mo_change *c, const bson_t *doc, struct error *err) MUST_CHECK;
/* The change of a target's document by its _id; NULL. */
struct mo_change *mo_window_find(const struct mo_window *w, uint32_t target, const bson_t *doc);
void mo_window_clear(struct mo_window *w);
/* Puts "oplog entry T:I (ns): " and which document it is before an error. Returns its code. */
enum status mo_change_blame(const struct mo_window *w, const struct mo_change *c, struct error *err);
/* replay_dollars.c: whether a field at the top of a document has a name that begins with "$". And all such documents that are to be PUT, inserted; what is
 * there already stays as it is. */
bool mo_has_dollars(const bson_t *doc);
enum status mo_dollars_insert(struct run *run, const struct mo_window *w, uint32_t target, struct mo_insert *in, struct error *err) MUST_CHECK;
/* replay_write.c: all of it into the target; the window is empty then. */
enum status mo_window_flush(struct run *run, struct mo_conn *c, struct mo_window *w, struct error *err) MUST_CHECK;

/* ---- the replay (replay.c) ---- */

/* A database of the restore. */
struct mo_replay_place {
	struct mo_wish wish; /* what is wanted of it */
	struct mo_where where;
	struct mo_mark mark;
	struct strlist only;
	struct mo_new_name *rename;
	size_t renames;
};
struct mo_replaying {
	struct mo_load *l;
	struct mo_replay_place *place;
	struct mo_route *route; /* of each place */
	size_t places;
	struct mo_routes routes;
	struct mo_known known;
	struct mo_indexes indexes;
	struct mo_txns *txns;
	struct mo_window window;
	struct buf part;         /* of an entry */
	struct mo_optime last;   /* of the newest entry that was read whole; 0: none yet */
	struct mo_optime done;   /* the target has all up to it, by its own state */
	uint64_t entries, operations;
};
enum status mo_replay_begin(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* The next entries, of a unit of the log. */
enum status mo_replay_unit(struct run *run, struct mo_load *l, struct mo_conn *c, struct chunk_source *chunks, uint64_t *rows, struct error *err) MUST_CHECK;
void mo_replay_freep(struct mo_replaying **r);
/* replay_end.c: after the last entry: indexes of all that there is now, accounts. */
enum status mo_replay_end(struct run *run, struct mo_load *l, struct error *err) MUST_CHECK;
/* replay_command.c: an operation of kind MO_REPLAY_COMMAND or MO_REPLAY_DROP_VIEWS. */
enum status mo_replay_run(struct run *run, struct mo_replaying *r, struct mo_conn *c, const struct mo_replay *to, struct error *err) MUST_CHECK;
/* Of the route of an operation. */
struct mo_replay_place *mo_replay_place_of(const struct mo_replaying *r, const struct mo_route *route);

#endif
