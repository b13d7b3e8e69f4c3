#include "drivers/mongodb/oplog_txn.h"

#include "util/fs.h"

/* An entry in the spool. */
struct piece {
	uint64_t offset;
	uint32_t n;
};
struct txn {
	uint8_t *lsid;
	uint32_t lsid_len;
	int64_t number;
	struct mo_optime last; /* of its newest entry */
	bool prepared;
	struct piece *piece;
	size_t pieces;
};
struct mo_txns {
	char *dir;
	size_t memory;
	struct spool *spool;   /* NULL while nothing is kept */
	uint64_t live;         /* bytes of it that are of open transactions */
	struct txn **open;
	size_t n, entries;
	size_t overtaken;      /* begun anew before they ended */
	/* The one that was committed by the newest entry. */
	struct txn *whole;     /* its entries before that one; NULL: there are none */
	const struct mo_oplog_entry *last; /* its last operations; NULL: the newest entry only commits it */
	struct mo_optime at;
	int64_t wall;
};

struct mo_txns *mo_txns_new(const char *dir, size_t memory)
{
	struct mo_txns *x = xcalloc(1, sizeof *x);

	x->dir = xstrdup(dir);
	x->memory = memory;
	return x;
}

/* Its entries in the spool are of no use from now on. */
static void txn_freep(struct mo_txns *x, struct txn **t)
{
	if (!*t)
		return;
	for (size_t i = 0; i < (*t)->pieces; i++)
		x->live -= (*t)->piece[i].n;
	x->entries -= (*t)->pieces;
	free((*t)->piece);
	free((*t)->lsid);
	free(*t);
	*t = NULL;
	if (!x->live)
		spool_freep(&x->spool);
}

void mo_txns_freep(struct mo_txns **x)
{
	if (!*x)
		return;
	txn_freep(*x, &(*x)->whole);
	for (size_t i = 0; i < (*x)->n; i++)
		txn_freep(*x, &(*x)->open[i]);
	free((*x)->open);
	free((*x)->dir);
	free(*x);
	*x = NULL;
}

size_t mo_txns_unfinished(const struct mo_txns *x) { return x->n + x->overtaken; }

/* ---- open transactions ---- */

/* x->n: it is not there. */
static size_t find(const struct mo_txns *x, const struct mo_oplog_entry *e)
{
	size_t i = 0;

	for (; i < x->n; i++) {
		const struct txn *t = x->open[i];

		if (t->number == e->txn_number && t->lsid_len == e->lsid_len && !memcmp(t->lsid, e->lsid, t->lsid_len))
			break;
	}
	return i;
}

static struct txn *take_out(struct mo_txns *x, size_t i)
{
	struct txn *t = x->open[i];

	x->open[i] = x->open[--x->n];
	return t;
}

static enum status begin(struct mo_txns *x, const struct mo_oplog_entry *e, struct error *err)
{
	if (x->n >= MO_TXNS_MOST)
		return error_set(err, ST_MEMORY, "more than %u transactions are open at once", MO_TXNS_MOST);
	struct txn *t = xcalloc(1, sizeof *t);
	t->lsid = xmemdup(e->lsid, e->lsid_len);
	t->lsid_len = e->lsid_len;
	t->number = e->txn_number;
	if ((x->n & (x->n - 1)) == 0)
		x->open = xrealloc(x->open, (x->n ? x->n * 2 : 1) * sizeof(struct txn *));
	x->open[x->n++] = t;
	return ST_OK;
}

/* ---- the spool ---- */

static enum status read_piece(struct spool *from, const struct piece *p, struct buf *to, struct error *err)
{
	buf_clear(to);
	buf_reserve(to, p->n);
	if (spool_read_at(from, p->offset, to->data, p->n, err))
		return err->code;
	to->len = p->n;
	return ST_OK;
}

/* One transaction that never ends must not keep the room of all that came after it. */
static enum status compact(struct mo_txns *x, struct error *err)
{
	CLEANUP(spool_freep) struct spool *fresh = spool_new(x->dir, x->memory);
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;

	for (size_t i = 0; i < x->n; i++)
		for (size_t k = 0; k < x->open[i]->pieces; k++)
			if (read_piece(x->spool, &x->open[i]->piece[k], &bytes, err) || spool_write(fresh, bytes.data, bytes.len, err))
				return err->code;
	/* In a second pass, so that nothing changes where the first fails. */
	uint64_t at = 0;
	for (size_t i = 0; i < x->n; i++)
		for (size_t k = 0; k < x->open[i]->pieces; k++) {
			x->open[i]->piece[k].offset = at;
			at += x->open[i]->piece[k].n;
		}
	struct spool *old = x->spool;
	x->spool = fresh;
	fresh = old;
	return ST_OK;
}

static enum status keep(struct mo_txns *x, struct txn *t, const bson_t *doc, struct error *err)
{
	if (x->entries >= MO_TXN_ENTRIES_MOST)
		return error_set(err, ST_MEMORY, "the open transactions have more than %u entries", MO_TXN_ENTRIES_MOST);
	if (!x->spool)
		x->spool = spool_new(x->dir, x->memory);
	if (spool_size(x->spool) > x->memory && spool_size(x->spool) / 2 > x->live && compact(x, err))
		return err->code;
	const struct piece p = {spool_size(x->spool), doc->len};
	if (spool_write(x->spool, bson_get_data(doc), doc->len, err))
		return err->code;
	if ((t->pieces & (t->pieces - 1)) == 0)
		t->piece = xrealloc(t->piece, (t->pieces ? t->pieces * 2 : 1) * sizeof *t->piece);
	t->piece[t->pieces++] = p;
	x->entries++;
	x->live += p.n;
	return ST_OK;
}

/* ---- entries ---- */

static bool is_first(const struct mo_oplog_entry *e) { return !e->has_prev || (!e->prev.t && !e->prev.i); }

/* Whether the open transaction is the one that the entry goes on with. */
static enum status check_link(const struct mo_txns *x, size_t i, const struct mo_oplog_entry *e, struct error *err)
{
	if (i == x->n)
		return error_set(err, ST_BAD, "the beginning of its transaction (txnNumber %" PRId64 ") is not in the log that was read", e->txn_number);
	const struct txn *t = x->open[i];
	if (e->has_prev && (t->last.t != e->prev.t || t->last.i != e->prev.i))
		return error_set(err, ST_BAD, "the entry %" PRIu32 ":%" PRIu32 " of its transaction (txnNumber %" PRId64 ") is not in the log that was read",
				 e->prev.t, e->prev.i, e->txn_number);
	if (t->prepared != !e->apply_ops)
		return error_set(err, ST_BAD, "its transaction (txnNumber %" PRId64 ") is %s", e->txn_number,
				 t->prepared ? "prepared already, and nothing can be added to it" : "not prepared, and cannot be committed by this");
	return ST_OK;
}

static void commit(struct mo_txns *x, size_t i, const struct mo_oplog_entry *e)
{
	x->whole = i < x->n ? take_out(x, i) : NULL;
	x->last = e->apply_ops ? e : NULL;
	x->at = e->at;
	x->wall = e->wall;
}

static enum status take_operations(struct mo_txns *x, const bson_t *doc, const struct mo_oplog_entry *e, enum mo_txn_state *state, struct error *err)
{
	size_t i = find(x, e);

	if (is_first(e)) {
		if (i < x->n) {
			struct txn *old = take_out(x, i);
			txn_freep(x, &old);
			x->overtaken++;
			i = x->n;
		}
	} else if (check_link(x, i, e, err)) {
		return err->code;
	}
	if (!e->partial_txn && !e->prepare) {
		commit(x, i, e);
		*state = MO_TXN_WHOLE;
		return ST_OK;
	}
	if (i == x->n && begin(x, e, err))
		return err->code;
	x->open[i]->last = e->at;
	x->open[i]->prepared = e->prepare;
	return keep(x, x->open[i], doc, err);
}

static enum status take(struct mo_txns *x, const bson_t *doc, const struct mo_oplog_entry *e, enum mo_txn_state *state, struct error *err)
{
	*state = MO_TXN_OPEN;
	if (e->apply_ops)
		return take_operations(x, doc, e, state, err);
	const size_t i = find(x, e);
	if (!strcmp(e->command, "abortTransaction")) {
		/* One that began before the log did is nothing here. */
		struct txn *t = i < x->n ? take_out(x, i) : NULL;
		txn_freep(x, &t);
		return ST_OK;
	}
	if (check_link(x, i, e, err))
		return err->code;
	commit(x, i, e);
	*state = MO_TXN_WHOLE;
	return ST_OK;
}

enum status mo_txns_take(struct mo_txns *x, const bson_t *doc, const struct mo_oplog_entry *e, enum mo_txn_state *state, struct error *err)
{
	txn_freep(x, &x->whole);
	x->last = NULL;
	*state = MO_TXN_NONE;
	if (!e->transaction)
		return ST_OK;
	return take(x, doc, e, state, err) ? mo_oplog_blame(e, err) : ST_OK;
}

enum status mo_txns_each(struct mo_txns *x, mo_oplog_fn *fn, void *ctx, struct error *err)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	struct mo_oplog_entry e;
	bson_t doc;

	for (size_t i = 0; x->whole && i < x->whole->pieces; i++) {
		if (read_piece(x->spool, &x->whole->piece[i], &bytes, err))
			return err->code;
		if (!bson_init_static(&doc, (const uint8_t *)bytes.data, bytes.len))
			return error_set(err, ST_IO, "the spool of transactions has other bytes than were written");
		if (mo_oplog_parse(&doc, &e, err))
			return err->code;
		e.at = x->at;
		e.wall = x->wall;
		if (mo_oplog_inner(&e, fn, ctx, err))
			return err->code;
	}
	return x->last ? mo_oplog_inner(x->last, fn, ctx, err) : ST_OK;
}
