/* The part of a replica set's log (local.oplog.rs) that brings collections which were read one after the other to one moment: from before the first
 * document was read to after the last. Its entries are copied when all is read; until then the server has to keep them. */
#ifndef DRIVERS_MONGODB_SPAN_H
#define DRIVERS_MONGODB_SPAN_H

#include "drivers/mongodb/conn.h"
#include "drivers/mongodb/oplog_names.h"

#define MO_LOG_SCOPE "local" /* of an archive */

struct mo_span {
	bool has;
	struct mo_optime from, to; /* has: entries that are there; to: t is 0 until mo_span_end */
	char *why_not;             /* not has: a sentence part */
	bool no_right;             /* not has, and only because the account may not read it */
};
#define MO_SPAN_INIT {.has = false}
void mo_span_release(struct mo_span *s);
/* Where it begins: the newest entry that a majority has, or before it the first one of the oldest transaction that is open. To be called before anything
 * is listed or read. A server without such a log, or an account that may not read it, is no error: why_not says it. */
enum status mo_span_begin(struct run *run, struct mo_conn *c, struct mo_span *s, struct error *err) MUST_CHECK;
/* ST_SERVER where the server has dropped the entry that the span begins with. One small read. */
enum status mo_span_kept(struct run *run, struct mo_conn *c, const struct mo_span *s, struct error *err) MUST_CHECK;
/* Where it ends: the newest entry that this member had when all was read, once a majority has it. ST_SERVER where that takes too long. */
enum status mo_span_end(struct run *run, struct mo_conn *c, struct mo_span *s, struct error *err) MUST_CHECK;

/* What its entries have to be good for: a replay into these databases, under their own names. */
struct mo_span_use {
	const char *const *database;
	size_t databases;
	const char *spool_dir; /* for transactions that are in several entries */
};
/* Its entries in order, byte for byte, both ends included; *entries counts them. Fails (ST_SERVER, ST_UNSUPPORTED, ST_BAD, and what fn returns) where
 * the server does not give all of them, where it had another primary meanwhile, and at an entry that cannot be replayed. */
enum status mo_span_read(struct run *run, struct mo_conn *c, const struct mo_span *s, const struct mo_span_use *use, bool no_timeout, mo_doc_fn *fn, void *ctx,
			 uint64_t *entries, struct error *err) MUST_CHECK;
/* "1700000000:3", owned by the caller. */
char *mo_optime_print(const struct mo_optime *at);

/* Between span.c and span_read.c. oldest: what the log begins with, NULL not known. */
enum status mo_span_rolled(const struct mo_span *s, const struct mo_optime *oldest, struct error *err);
static inline uint64_t mo_optime_number(const struct mo_optime *at) { return (uint64_t)at->t << 32 | at->i; }

#endif
