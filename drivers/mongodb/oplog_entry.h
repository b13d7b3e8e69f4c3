/* One entry of local.oplog.rs, taken apart. Pure functions, any thread. What is pointed to is borrowed from the entry's document, which has to live
 * as long; an entry is never copied by assignment, because views of documents point into themselves. */
#ifndef DRIVERS_MONGODB_OPLOG_ENTRY_H
#define DRIVERS_MONGODB_OPLOG_ENTRY_H

#include <bson/bson.h>

#include "util/error.h"

#define MO_OPLOG_ENTRY_MOST (16u * 1024 * 1024 + 16u * 1024) /* bytes; a server's own limit */
#define MO_APPLY_OPS_DEPTH 10u /* applyOps in applyOps; a server's own limit */

enum mo_op {
	MO_OP_INSERT,   /* i: o is the document */
	MO_OP_UPDATE,   /* u: o2 has its _id, o says how (oplog_diff.h) */
	MO_OP_DELETE,   /* d: o has its _id */
	MO_OP_COMMAND,  /* c: o is a command */
	MO_OP_NOTHING,  /* n: the server says something; its time passes */
	MO_OP_INTERNAL, /* ci, cu, cd, km, xi, xd: of the server's own files */
};
struct mo_optime {
	uint32_t t, i;
	int64_t term;
};
struct mo_oplog_entry {
	struct mo_optime at;      /* ts and t; term -1 where there is none. Operations inside applyOps have that of the entry around them */
	enum mo_op op;
	const char *ns;           /* "shop.orders", "shop.$cmd" */
	char database[64];        /* of ns */
	const char *collection;   /* of ns, after its first dot; "" where there is none */
	const char *command;      /* of MO_OP_COMMAND: the first key of o; NULL else */
	const uint8_t *ui;        /* 16 bytes: the collection's UUID; NULL none */
	bson_t o, o2;             /* views; o2 only where has_o2 */
	bool has_o2;
	bool b;                   /* of u: upsert */
	int64_t wall;             /* ms since 1970, 0 none */
	const uint8_t *lsid;      /* bytes of the session's document; NULL none */
	uint32_t lsid_len;
	bool has_txn_number, has_prev;
	int64_t txn_number;
	struct mo_optime prev;    /* prevOpTime, where has_prev; {0, 0, -1}: this entry is the first of its transaction */
	bool apply_ops;           /* the command is applyOps: mo_oplog_inner has what it does */
	bool transaction;         /* it belongs to a transaction (oplog_txn.h): applyOps with session and number, commitTransaction, abortTransaction.
				   * multiOpType 1 is applyOps whose operations are as many single ones */
	bool partial_txn, prepare; /* of applyOps in a transaction */
};

/* ST_BAD that names the entry's ts where doc is damaged, larger than MO_OPLOG_ENTRY_MOST or deeper than MO_DEPTH_MOST, or where a member is of another
 * type than an entry has, is there twice, or is missing; or its op is one that drtool does not know. */
enum status mo_oplog_parse(const bson_t *doc, struct mo_oplog_entry *e, struct error *err) MUST_CHECK;

typedef enum status mo_oplog_fn(void *ctx, const struct mo_oplog_entry *op, struct error *err);
/* Each operation of an applyOps in its order, those of applyOps inside of it too; of any other entry itself. An operation inside has no session and no
 * number, as it is applied when its entry is. ST_BAD as mo_oplog_parse (operations before that were given already), or what fn returns. */
enum status mo_oplog_inner(const struct mo_oplog_entry *e, mo_oplog_fn *fn, void *ctx, struct error *err) MUST_CHECK;
/* Puts "oplog entry T:I (ns): " before an error. Returns its code. */
enum status mo_oplog_blame(const struct mo_oplog_entry *e, struct error *err);

#endif
