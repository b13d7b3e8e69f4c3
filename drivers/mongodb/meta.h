/* What is known of a collection besides its documents, as mongodump writes it: {"options":{...},"indexes":[...],"uuid":"...",
 * "collectionName":"...","type":"view"|"timeseries"|"collection"} in canonical Extended JSON v2. Where that cannot say all (ejson.h), "exact" has
 * options and indexes once more, as BSON; mongorestore passes over it. Pure functions: nothing here talks to a server, any thread may call. */
#ifndef DRIVERS_MONGODB_META_H
#define DRIVERS_MONGODB_META_H

#include <bson/bson.h>

#include "util/buf.h"
#include "util/error.h"

enum mo_kind { MO_COLLECTION, MO_VIEW, MO_TIMESERIES };

struct mo_meta {
	char *name;          /* of the collection, without the database */
	enum mo_kind kind;
	bson_t *options;     /* never NULL: as listCollections shows them */
	bson_t **index;      /* as listIndexes shows them, in its order; the one of _id too */
	size_t indexes;
	char uuid[33];       /* hex digits without dashes; "" where the server has none */
};
#define MO_META_INIT {0}
void mo_meta_release(struct mo_meta *m);

/* From a document of listCollections {name, type, options, info: {uuid}}; m is _INIT. ST_SERVER where it is not of that form. */
enum status mo_meta_listed(const bson_t *listed, struct mo_meta *m, struct error *err) MUST_CHECK;
void mo_meta_add_index(struct mo_meta *m, const bson_t *index);
/* One line of text without a line end, as mongorestore reads it; and back, byte for byte the same BSON. ST_BAD where the text is hostile or of
 * another form; m is _INIT. */
void mo_meta_print(const struct mo_meta *m, struct buf *to);
enum status mo_meta_parse(const char *text, size_t n, struct mo_meta *m, struct error *err) MUST_CHECK;

/* Files of an archive: what is known of the collections and views of a scope, one printed line each; accounts and roles of the server as their
 * documents, below the archive's top. */
#define MO_COLLECTIONS_PATH "collections.jsonl"
#define MO_USERS_PATH "accounts/system.users.bson"
#define MO_ROLES_PATH "accounts/system.roles.bson"

/* ---- names ---- */

enum mo_place {
	MO_TAKEN,      /* dumped */
	MO_SILENT,     /* never part of a backup: system.profile, system.views (they come as views), system.buckets.* (as time series) */
	MO_NOT_TAKEN,  /* not dumped, which the manifest has to say */
};
/* Of a database: local, config, __mdb_internal* are not dumped. */
enum mo_place mo_database_place(const char *database);
/* Of a collection in a database: of system.* only system.js is taken; admin.system.users and .roles come as accounts. */
enum mo_place mo_collection_place(const char *database, const char *name);
/* The name of mongodump's file without ".bson": percent-encoded but for letters, digits and -_.~ (mongorestore decodes it as a URL's path or as its
 * query, by version: this means the same in both); above 238 bytes the first 208 of that, "%24" and 27 characters of base64url of the name's SHA-1.
 * Owned by the caller. */
char *mo_file_name(const char *collection);

/* ---- what is sent to a server to make it again ---- */

/* Where a scope is on a server. A name of a database cannot hold dots or stars, so "shop" is the database itself and "shop.*_restore_1a2b3c"
 * are the collections of it whose names end so: the place of a restore beside. */
struct mo_where {
	char *database;
	char *suffix; /* "" or "_restore_1a2b3c" */
};
#define MO_WHERE_INIT {0}
void mo_where_release(struct mo_where *w);
/* ST_USAGE: no name of a database, or a star in another place; w is _INIT. */
enum status mo_where_parse(const char *place, struct mo_where *w, struct error *err) MUST_CHECK;
char *mo_where_print(const struct mo_where *w); /* owned by the caller */
/* Name of a collection in this place, owned by the caller; and back: whether a collection of the database is one of this place, with its name
 * without the suffix in *name (owned by the caller; name may be NULL). A place without suffix holds every collection; mo_list knows which of them
 * the runs of restores made or set aside. */
char *mo_where_collection(const struct mo_where *w, const char *name);
bool mo_where_holds(const struct mo_where *w, const char *collection, char **name);
#define MO_NAMESPACE_MOST 255u /* bytes of "database.collection" since 4.4 */

/* What of recorded options `create` takes: without autoIndexId, recordIdsReplicated, uuid, temp; with idIndex where it is not the usual one. to is
 * initialised: the caller has appended {create: NAME}. */
void mo_create_options(const struct mo_meta *m, bson_t *to);
/* The secondary indexes as createIndexes takes them, in an array at to (initialised): without ns and, where `plain`, without v, with 1 for values of
 * the key that only old versions of indexes take (true, "", 0; two that become the same are one); {locale:"simple"} added where the collection has a
 * collation and the index none. *n: their number. */
void mo_create_indexes(const struct mo_meta *m, bool plain, bson_t *to, size_t *n);
/* One index as drtool compares it: key, name and every option, sorted, numbers by value, without v, ns, background and what servers add or change by
 * themselves (versions of text, 2dsphere and collation, storageEngine, what is the default anyway). One line. */
void mo_index_facts(const bson_t *index, struct buf *to);
/* Options of a collection, as drtool compares them: the same, without what mo_create_options leaves out. */
void mo_options_facts(const struct mo_meta *m, struct buf *to);

/* ---- ranges of _id ---- */

/* Comparisons in a filter hold within one class of types only (all numbers are one). A collection that is read in ranges is the ranges of
 * one class between borders and one more of all other types: each document is in exactly one of them, NaN too. */
struct mo_ranges {
	int type_class;      /* mo_type_class of the borders */
	bson_value_t *border; /* ascending; ranges 0 ... borders are of the class, range borders + 1 is of the others */
	size_t borders;
};
#define MO_RANGES_INIT {0}
void mo_ranges_release(struct mo_ranges *r);
/* Whether a value is of a type and a length that a border may have; bytes: of what it points to. */
bool mo_border_can_be(const bson_value_t *v, size_t *bytes);
int mo_type_class(bson_type_t t); /* -1: _id cannot be of it, or its order is nothing to cut by */
/* Borders for about `count` ranges out of sampled values of _id; none (the collection is read in one go) where most are of no one class. The
 * samples are put in order here for classes whose order needs no collation (numbers, ObjectId, dates, binary, timestamps); strings: sorted is
 * true where the server gave them sorted. */
void mo_ranges_choose(const bson_value_t *sample, size_t samples, bool sorted, size_t count, struct mo_ranges *r);
size_t mo_ranges_count(const struct mo_ranges *r); /* 1 where there are no borders */
/* The filter of range i, appended to an initialised document. */
void mo_ranges_filter(const struct mo_ranges *r, size_t i, bson_t *filter);

#endif
