/* Transactions, put together of the entries in which a server logs them: applyOps with a session and a number, in several entries where they are large
 * (all but the last are partialTxn, each names the one before it), and prepared ones, which wait for their commitTransaction. What is open is kept in a
 * spool: in memory up to a limit, beyond it in a file without a name. Operations are given when the transaction commits, so that all are in the
 * order of commits. One thread. */
#ifndef DRIVERS_MONGODB_OPLOG_TXN_H
#define DRIVERS_MONGODB_OPLOG_TXN_H

#include "drivers/mongodb/oplog_entry.h"

#define MO_TXNS_MOST 65536u           /* open at once */
#define MO_TXN_ENTRIES_MOST (1u << 20) /* of all open ones */

struct mo_txns;
/* dir: copied, used only beyond memory (bytes). */
struct mo_txns *mo_txns_new(const char *dir, size_t memory);
void mo_txns_freep(struct mo_txns **x);

enum mo_txn_state {
	MO_TXN_NONE,  /* the entry is of no transaction: its operations are applied by themselves */
	MO_TXN_OPEN,  /* there is nothing to apply: kept for later, or aborted */
	MO_TXN_WHOLE, /* committed: mo_txns_each has all its operations */
};
/* The next entry of the log; doc is the document that e was parsed from. ST_BAD where the beginning of its transaction was not given (the log has to
 * begin before the first entry of every transaction that was open then), ST_MEMORY beyond the limits above, or the spool's errors: all name the entry. */
enum status mo_txns_take(struct mo_txns *x, const bson_t *doc, const struct mo_oplog_entry *e, enum mo_txn_state *state, struct error *err) MUST_CHECK;
/* After MO_TXN_WHOLE, before the next take, while its doc and e live: each operation, with the time of the commit. */
enum status mo_txns_each(struct mo_txns *x, mo_oplog_fn *fn, void *ctx, struct error *err) MUST_CHECK;
/* Transactions that were neither committed nor aborted so far. At the end of the log they are as if they had never been. */
size_t mo_txns_unfinished(const struct mo_txns *x);

#endif
