/* Collections and views of a place, as listCollections and listIndexes show them: what a dump takes and what a restore finds. The inventory
 * asks by code of its own. */
#ifndef DRIVERS_MONGODB_LIST_H
#define DRIVERS_MONGODB_LIST_H

#include "drivers/mongodb/conn.h"
#include "drivers/mongodb/meta.h"

struct mo_listed {
	struct mo_meta meta; /* name: without the place's suffix */
	char *collection;    /* as it is called on the server */
	char *documents;     /* the collection that holds them: itself, or the buckets of a time series */
	bool raw_data;       /* a time series without a collection of buckets: `find` gives them with rawData: true */
};
struct mo_listing {
	struct mo_listed *item; /* by name; collections, views and time series that a backup takes: no temporary ones */
	size_t items;
	struct strlist not_taken; /* names of what a backup does not take and has to say */
	struct strlist runs;      /* of restores whose state is in the database: "1a2b3c" */
	struct strlist of_runs;   /* collections that these runs made or set aside, and their states */
	struct strlist unfinished; /* indexes that were being built, as far as the server says so: "collection.index". They are in no meta */
};
#define MO_LISTING_INIT {0}
void mo_listing_release(struct mo_listing *l);
bool mo_is_capped(const struct mo_listed *l);
/* indexes: with them. A collection that vanishes while its indexes are asked for is left out. */
/* The item with this meta.name; NULL. */
struct mo_listed *mo_listed_named(const struct mo_listing *l, const char *name);
enum status mo_list(struct run *run, struct mo_conn *c, const struct mo_where *w, bool indexes, struct mo_listing *l, struct error *err) MUST_CHECK;

/* What listCollections says of one name, if it is there. And whether it is. */
enum status mo_collection_named(struct run *run, struct mo_conn *c, const char *database, const char *name, mo_doc_fn *fn, void *ctx,
				struct error *err) MUST_CHECK;
enum status mo_collection_exists(struct run *run, struct mo_conn *c, const char *database, const char *name, bool *exists, struct error *err) MUST_CHECK;

/* The answer of listIndexes, one by one. Usually it shows indexes that are being built like others; MongoDB from 4.4 on is asked to show them as
 * {spec: INDEX, buildUUID: UUID}. mo_unfinished_index: the name of such a one, borrowed; NULL: it is one that is there. */
enum status mo_each_index(struct run *run, struct mo_conn *c, const char *database, const char *collection, mo_doc_fn *fn, void *ctx,
			  struct error *err) MUST_CHECK;
const char *mo_unfinished_index(const bson_t *doc);

/* A run of restore keeps its state in the database that it changes, in the collection drtool_run_<run>: it is there from the first change until
 * everything is in its final place and nothing is set aside. Names of collections with the suffix of such a run are the run's own. */
#define MO_RUN_PREFIX "drtool_run_"
/* Its documents that others than the load read; `collection` is without the place's suffix:
 *   {_id: "run", scope: "shop", place: "shop.*_restore_1a2b3c"}   what the run restores, and where
 *   {_id: "ttl:<collection>:<index>", seconds: N}   the recorded expireAfterSeconds of an index that is parked; index "": of the collection itself, which
 * has none meanwhile
 * The parked value is 47 years: less than the time since 1970, more than which 4.4 does not take. */
#define MO_TTL_PARKED 1500000000
/* The run whose state the collection is, borrowed from the name; NULL: it is none. And whether one of these runs made the collection, set it aside,
 * or keeps its state in it. */
const char *mo_run_of_state(const char *collection);
bool mo_is_of_runs(const struct strlist *runs, const char *collection);

#endif
