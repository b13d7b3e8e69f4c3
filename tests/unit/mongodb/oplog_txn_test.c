#include "drivers/mongodb/oplog_txn.h"

#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

/* A log of transactions, an entry each call. */
struct log {
	struct mo_txns *txns;
	uint32_t i;       /* the newest entry is 100:i */
	struct buf given; /* what was committed: "100:3 a.1 a.2; " */
	struct error err;
};

static void log_begin(struct log *l, size_t memory)
{
	*l = (struct log){.txns = mo_txns_new(test_dir(), memory)};
}

static void log_release(struct log *l)
{
	mo_txns_freep(&l->txns);
	buf_release(&l->given);
	error_release(&l->err);
}

static enum status note(void *ctx, const struct mo_oplog_entry *op, struct error *err)
{
	struct log *l = ctx;

	(void)err;
	buf_printf(&l->given, "%u:%u %s ", op->at.t, op->at.i, op->ns);
	return ST_OK;
}

/* o is the command; prev the i of the entry before it in the transaction, 0 none, -1: without the member. */
static enum status add(struct log *l, int session, int number, int prev, const char *o)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct mo_oplog_entry e;
	enum mo_txn_state state;

	buf_printf(&text, "{'ts': {'$timestamp': {'t': 100, 'i': %u}}, 't': {'$numberLong': '1'}, 'op': 'c', 'ns': 'admin.$cmd', ", ++l->i);
	buf_printf(&text, "'lsid': {'id': %d}, 'txnNumber': {'$numberLong': '%d'}, 'o': %s", session, number, o);
	if (prev >= 0)
		buf_printf(&text, ", 'prevOpTime': {'ts': {'$timestamp': {'t': %d, 'i': %d}}, 't': {'$numberLong': '%d'}}", prev ? 100 : 0, prev, prev ? 1 : -1);
	buf_putc(&text, '}');
	CLEANUP(mo_bson_freep) bson_t *doc = document(buf_str(&text));
	CHECK_OK(mo_oplog_parse(doc, &e, &l->err), l->err);
	if (mo_txns_take(l->txns, doc, &e, &state, &l->err))
		return l->err.code;
	if (state == MO_TXN_WHOLE) {
		CHECK_OK(mo_txns_each(l->txns, note, l, &l->err), l->err);
		buf_puts(&l->given, "; ");
	}
	return ST_OK;
}
#define ADD(session, number, prev, o) CHECK_OK(add(&l, session, number, prev, o), l.err)
#define OP(ns) "{'op': 'i', 'ns': '" ns "', 'o': {'_id': 1}}"
#define PART "'partialTxn': true}"
#define PREPARE "'prepare': true}"

TEST("a transaction of one entry is given at once")
{
	CLEANUP(log_release) struct log l;

	log_begin(&l, 1000);
	ADD(1, 1, 0, "{'applyOps': [" OP("a.x") ", " OP("a.y") "], 'count': 2}");
	CHECK_STR(buf_str(&l.given), "100:1 a.x 100:1 a.y ; ");
	CHECK_INT(mo_txns_unfinished(l.txns), 0);
}

TEST("a transaction of an old server without prevOpTime is given at once")
{
	CLEANUP(log_release) struct log l;

	log_begin(&l, 1000);
	ADD(1, 1, -1, "{'applyOps': [" OP("a.x") "]}");
	CHECK_STR(buf_str(&l.given), "100:1 a.x ; ");
}

TEST("transactions of several entries are given in the order of their commits, with the time of the commit")
{
	CLEANUP(log_release) struct log l;

	log_begin(&l, 1000);
	ADD(1, 1, 0, "{'applyOps': [" OP("a.1") "], " PART);
	ADD(2, 1, 0, "{'applyOps': [" OP("b.1") "], " PART);
	ADD(1, 1, 1, "{'applyOps': [" OP("a.2") "], " PART);
	ADD(2, 1, 2, "{'applyOps': [" OP("b.2") "], 'count': 2}");
	CHECK_INT(mo_txns_unfinished(l.txns), 1);
	ADD(1, 1, 3, "{'applyOps': [" OP("a.3") "], 'count': 3}");
	CHECK_STR(buf_str(&l.given), "100:4 b.1 100:4 b.2 ; 100:5 a.1 100:5 a.2 100:5 a.3 ; ");
	CHECK_INT(mo_txns_unfinished(l.txns), 0);
}

TEST("the same number in another session is another transaction")
{
	CLEANUP(log_release) struct log l;

	log_begin(&l, 1000);
	ADD(1, 7, 0, "{'applyOps': [" OP("a.1") "], " PREPARE);
	ADD(2, 7, 0, "{'applyOps': [" OP("b.1") "], " PREPARE);
	ADD(1, 8, 0, "{'applyOps': [" OP("c.1") "], " PREPARE);
	ADD(2, 7, 2, "{'commitTransaction': 1, 'commitTimestamp': {'$timestamp': {'t': 99, 'i': 1}}}");
	CHECK_STR(buf_str(&l.given), "100:4 b.1 ; ");
	CHECK_INT(mo_txns_unfinished(l.txns), 2);
	ADD(1, 7, 1, "{'commitTransaction': 1, 'commitTimestamp': {'$timestamp': {'t': 99, 'i': 1}}}");
	CHECK_STR(buf_str(&l.given), "100:4 b.1 ; 100:5 a.1 ; ");
}

TEST("a prepared transaction waits for its commit, and an aborted one is nothing")
{
	CLEANUP(log_release) struct log l;

	log_begin(&l, 1000);
	ADD(1, 1, 0, "{'applyOps': [" OP("a.1") "], " PART);
	ADD(1, 1, 1, "{'applyOps': [" OP("a.2") "], " PREPARE);
	ADD(2, 1, 0, "{'applyOps': [" OP("b.1") "], " PREPARE);
	ADD(2, 1, 3, "{'abortTransaction': 1}");
	ADD(3, 1, 0, "{'applyOps': [" OP("c.1") "], 'count': 1}");
	ADD(1, 1, 2, "{'commitTransaction': 1, 'commitTimestamp': {'$timestamp': {'t': 100, 'i': 4}}}");
	CHECK_STR(buf_str(&l.given), "100:5 c.1 ; 100:6 a.1 100:6 a.2 ; ");
	CHECK_INT(mo_txns_unfinished(l.txns), 0);
}

TEST("a transaction that is open at the end is counted, and so is one that began anew")
{
	CLEANUP(log_release) struct log l;

	log_begin(&l, 1000);
	ADD(1, 1, 0, "{'applyOps': [" OP("a.1") "], " PART);
	ADD(1, 1, 0, "{'applyOps': [" OP("a.2") "], " PART);
	ADD(2, 1, 0, "{'applyOps': [" OP("b.1") "], " PREPARE);
	CHECK_INT(mo_txns_unfinished(l.txns), 3);
	ADD(1, 1, 2, "{'applyOps': [], 'count': 1}");
	CHECK_STR(buf_str(&l.given), "100:4 a.2 ; ");
	CHECK_INT(mo_txns_unfinished(l.txns), 2);
}

TEST("a transaction whose beginning or middle was not read is an error that names its entry")
{
	CLEANUP(log_release) struct log l;

	log_begin(&l, 1000);
	CHECK_ERR(add(&l, 1, 1, 77, "{'applyOps': [], 'count': 1}"), l.err, ST_BAD, "oplog entry 100:1 (admin.$cmd): the beginning of its transaction (txnNumber 1)");
	CHECK_ERR(add(&l, 1, 1, 77, "{'commitTransaction': 1}"), l.err, ST_BAD, "the beginning");
	ADD(1, 1, 77, "{'abortTransaction': 1}");
	ADD(1, 1, 0, "{'applyOps': [], " PART);
	CHECK_ERR(add(&l, 1, 1, 77, "{'applyOps': [], 'count': 1}"), l.err, ST_BAD, "the entry 100:77 of its transaction");
	CHECK_ERR(add(&l, 1, 1, 4, "{'commitTransaction': 1}"), l.err, ST_BAD, "not prepared");
	ADD(1, 1, 4, "{'applyOps': [], " PREPARE);
	CHECK_ERR(add(&l, 1, 1, 7, "{'applyOps': [], 'count': 1}"), l.err, ST_BAD, "prepared already");
}

TEST("an entry of no transaction is not kept")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_txns_freep) struct mo_txns *x = mo_txns_new(test_dir(), 1000);
	CLEANUP(mo_bson_freep) bson_t *doc = document("{'ts': {'$timestamp': {'t': 1, 'i': 1}}, 'op': 'c', 'ns': 'admin.$cmd', 'multiOpType': 1,"
						       "'lsid': {'id': 1}, 'txnNumber': 1, 'o': {'applyOps': [" OP("a.x") "]}}");
	struct mo_oplog_entry e;
	enum mo_txn_state state;

	CHECK_OK(mo_oplog_parse(doc, &e, &err), err);
	CHECK_OK(mo_txns_take(x, doc, &e, &state, &err), err);
	CHECK_INT(state, MO_TXN_NONE);
	CHECK_OK(mo_txns_each(x, note, NULL, &err), err);
}

TEST("transactions larger than their memory come whole out of the spool's file, also when the room of others was taken back")
{
	CLEANUP(log_release) struct log l;
	CLEANUP(buf_release) struct buf expected = BUF_INIT;

	log_begin(&l, 600);
	ADD(8, 1, 0, "{'applyOps': [" OP("y.1") "], " PREPARE);
	ADD(9, 1, 0, "{'applyOps': [" OP("z.1") "], " PREPARE);
	ADD(8, 1, 1, "{'abortTransaction': 1}");
	for (int i = 1; i <= 40; i++) {
		CLEANUP(cstr_release) char *o = xasprintf("{'applyOps': [" OP("a.%d") "], " PART, i);
		CLEANUP(cstr_release) char *last = xasprintf("{'applyOps': [" OP("b.%d") "], 'count': 2}", i);
		ADD(1, i, 0, o);
		buf_printf(&expected, "100:%u a.%d 100:%u b.%d ; ", l.i + 1, i, l.i + 1, i);
		ADD(1, i, (int)l.i, last);
	}
	ADD(9, 1, 2, "{'commitTransaction': 1}");
	buf_printf(&expected, "100:%u z.1 ; ", l.i);
	CHECK_STR(buf_str(&l.given), buf_str(&expected));
}
