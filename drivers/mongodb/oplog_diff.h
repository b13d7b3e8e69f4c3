/* What an update in the oplog makes of a document, without a server. Pure functions, any thread. An entry may be replayed onto a document that is
 * newer than it (a dump that was not cut at one moment): then values are wrong in passing, never in the end, as on a server that applies an entry
 * twice: where a type does not fit any more a null is put, where a path leads nowhere nothing is.
 *
 * Both documents are hostile: ST_BAD where one is damaged, deeper than MO_DEPTH_MOST or of another form than the oplog's, or where the result would be
 * larger than MO_OPLOG_ENTRY_MOST. post is the caller's, set on success only. */
#ifndef DRIVERS_MONGODB_OPLOG_DIFF_H
#define DRIVERS_MONGODB_OPLOG_DIFF_H

#include <bson/bson.h>

#include "util/error.h"

/* Whether `o` of an update is the whole new document. Such an update needs no document to be there, every other one does. */
bool mo_update_is_replacement(const bson_t *o);
/* `o` of an update: a replacement, {$v: 1, $set, $unset} with dotted paths, or {$v: 2, diff}. pre may be NULL for a replacement. */
enum status mo_update_apply(const bson_t *pre, const bson_t *o, bson_t **post, struct error *err) MUST_CHECK;
/* The diff of {$v: 2, diff}: sections d (dropped), u (set in place), i (added at the end), b (bytes of a column of a time series), then s<field>
 * (changes inside); of an array a: true, l (length), u<N>, s<N>. */
enum status mo_diff_apply(const bson_t *pre, const bson_t *diff, bson_t **post, struct error *err) MUST_CHECK;

#endif
