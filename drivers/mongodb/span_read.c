/* The entries of a span, and whether they are all that a replay needs. */
#include "drivers/mongodb/oplog_txn.h"
#include "drivers/mongodb/snapshot.h"
#include "drivers/mongodb/span.h"

#define TRANSACTIONS_MEMORY ((size_t)2 << 20)
#define WIRE_FINDS_TS_BY_ITSELF 9 /* 4.4 */

struct reading {
	const struct mo_span *span;
	struct mo_routes routes;
	struct mo_txns *txns;
	struct strlist made; /* collections whose every document is in the log, "shop.orders" */
	mo_doc_fn *fn;
	void *ctx;
	struct mo_optime last;
	uint64_t entries;
};

static void reading_release(struct reading *r)
{
	strlist_release(&r->made);
	mo_txns_freep(&r->txns);
}

/* ---- whether it can be replayed ---- */

static enum status not_replayable(struct error *err)
{
	if (err->code != ST_BAD && err->code != ST_UNSUPPORTED && err->code != ST_SERVER)
		return err->code; /* of the spool or the run */
	err->code = ST_SERVER; /* there is no backup yet that could be bad */
	err->retry = true;
	return error_hint(err, "A restore could not follow this. Run the backup again when no migration is at work.");
}

static bool is_read(const struct reading *r, const struct mo_name *n)
{
	const struct mo_route *route;
	CLEANUP(cstr_release) char *name = mo_route_name(&r->routes, n->database, n->collection, &route);

	return name != NULL;
}

/* Documents that lie under a new name by now may have been read under neither, unless the log has them all. */
static enum status check_rename(struct reading *r, const struct mo_oplog_entry *op, struct error *err)
{
	struct mo_renaming n;

	if (mo_renaming_of(op, &n, err))
		return err->code;
	CLEANUP(cstr_release) char *from = xasprintf("%s.%s", n.from.database, n.from.collection);
	if (strlist_has(&r->made, from)) {
		strlist_take(&r->made, xasprintf("%s.%s", n.to.database, n.to.collection));
		return ST_OK;
	}
	if (!is_read(r, &n.from) && !is_read(r, &n.to))
		return ST_OK;
	return error_set(err, ST_SERVER, "collection %s was renamed to %s.%s while the server was dumped", from, n.to.database, n.to.collection);
}

static enum status check_op(void *ctx, const struct mo_oplog_entry *op, struct error *err)
{
	CLEANUP(mo_replay_release) struct mo_replay ignored = MO_REPLAY_INIT;
	struct reading *r = ctx;
	bson_iter_t it;

	if (op->op == MO_OP_COMMAND && !strcmp(op->command, "renameCollection") && check_rename(r, op, err))
		return mo_oplog_blame(op, err);
	if (op->op == MO_OP_COMMAND && !strcmp(op->command, "create") && bson_iter_init_find(&it, &op->o, "create") && BSON_ITER_HOLDS_UTF8(&it))
		strlist_take(&r->made, xasprintf("%s.%s", op->database, bson_iter_utf8(&it, NULL)));
	return mo_replay_make(&r->routes, op, &ignored, err);
}

/* By what a restore does with it, so that none fails where the dump did not. */
static enum status check_replay(struct reading *r, const bson_t *doc, const struct mo_oplog_entry *e, struct error *err)
{
	enum mo_txn_state state;

	if (!mo_txns_take(r->txns, doc, e, &state, err) && (state == MO_TXN_OPEN || !(state == MO_TXN_WHOLE ? mo_txns_each(r->txns, check_op, r, err)
												      : mo_oplog_inner(e, check_op, r, err))))
		return ST_OK;
	return not_replayable(err);
}

/* ---- whether they are all there ---- */

static enum status rolled_back(struct error *err)
{
	err->retry = true;
	return error_hint(err, "Documents that were read may have been taken back since. Run the backup again.");
}

static enum status check_place(const struct reading *r, const struct mo_oplog_entry *e, struct error *err)
{
	CLEANUP(cstr_release) char *at = mo_optime_print(&e->at), *last = mo_optime_print(&r->last);
	const struct mo_span *s = r->span;

	if (!r->entries && mo_optime_number(&e->at) > mo_optime_number(&s->from))
		return mo_span_rolled(s, &e->at, err);
	if ((r->entries && mo_optime_number(&e->at) <= mo_optime_number(&r->last)) || mo_optime_number(&e->at) < mo_optime_number(&s->from) ||
	    mo_optime_number(&e->at) > mo_optime_number(&s->to))
		return error_set(err, ST_SERVER, "the server gives the entries of its oplog in no order: %s after %s", at, last);
	if (e->at.term != s->from.term) {
		error_set(err, ST_SERVER, "the replica set has had another primary since the dump began (term %" PRId64 " before, %" PRId64 " at %s)", s->from.term,
			  e->at.term, at);
		return rolled_back(err);
	}
	return ST_OK;
}

static enum status take_entry(void *ctx, const bson_t *doc, struct error *err)
{
	struct reading *r = ctx;
	struct mo_oplog_entry e;

	if (mo_oplog_parse(doc, &e, err))
		return not_replayable(err);
	if (check_place(r, &e, err) || check_replay(r, doc, &e, err))
		return err->code;
	r->last = e.at;
	r->entries++;
	return r->fn(r->ctx, doc, err);
}

static enum status check_end(const struct reading *r, struct error *err)
{
	CLEANUP(cstr_release) char *to = mo_optime_print(&r->span->to), *last = mo_optime_print(&r->last);

	if (r->entries && mo_optime_number(&r->last) == mo_optime_number(&r->span->to))
		return ST_OK;
	error_set(err, ST_SERVER, "the oplog has no entry %s any more, its last one before is %s", to, r->entries ? last : "none");
	return rolled_back(err);
}

/* ---- reading ---- */

static void make_find(const struct mo_span *s, bool of_old, bool no_timeout, bson_t *command)
{
	bson_t filter, ts;

	BSON_APPEND_UTF8(command, "find", "oplog.rs");
	BSON_APPEND_DOCUMENT_BEGIN(command, "filter", &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "ts", &ts);
	BSON_APPEND_TIMESTAMP(&ts, "$gte", s->from.t, s->from.i);
	BSON_APPEND_TIMESTAMP(&ts, "$lte", s->to.t, s->to.i);
	bson_append_document_end(&filter, &ts);
	bson_append_document_end(command, &filter);
	/* Later versions find the beginning without being told. */
	if (of_old)
		BSON_APPEND_BOOL(command, "oplogReplay", true);
	if (no_timeout)
		BSON_APPEND_BOOL(command, "noCursorTimeout", true);
}

static enum status read_entries(struct run *run, struct mo_conn *c, struct reading *r, bool no_timeout, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	make_find(r->span, c->server.wire < WIRE_FINDS_TS_BY_ITSELF, no_timeout, &command);
	if (!mo_conn_each(run, c, "local", &command, take_entry, r, err))
		return check_end(r, err);
	if (mo_conn_code(err) == MO_CAPPED_POSITION_LOST)
		return mo_span_rolled(r->span, NULL, err);
	return mo_conn_code(err) || mo_conn_lost(err) ? mo_moment_lost(err, "local.oplog.rs") : err->code;
}

enum status mo_span_read(struct run *run, struct mo_conn *c, const struct mo_span *s, const struct mo_span_use *use, bool no_timeout, mo_doc_fn *fn, void *ctx,
			 uint64_t *entries, struct error *err)
{
	struct mo_route *route = xcalloc(use->databases + 1, sizeof *route);
	struct mo_where *where = xcalloc(use->databases + 1, sizeof *where);
	CLEANUP(reading_release) struct reading r = {.span = s, .routes = {.item = route, .items = use->databases}, .fn = fn, .ctx = ctx};

	for (size_t i = 0; i < use->databases; i++) {
		where[i] = (struct mo_where){xstrdup(use->database[i]), xstrdup("")};
		route[i] = (struct mo_route){.database = use->database[i], .where = &where[i]};
	}
	r.txns = mo_txns_new(use->spool_dir, TRANSACTIONS_MEMORY);
	const enum status st = read_entries(run, c, &r, no_timeout, err);
	*entries = r.entries;
	for (size_t i = 0; i < use->databases; i++)
		mo_where_release(&where[i]);
	free(where);
	free(route);
	return st;
}
