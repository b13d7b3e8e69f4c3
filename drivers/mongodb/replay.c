#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/look.h"
#include "util/failpoint.h"

#define TXN_MEMORY ((size_t)8 << 20)

static void place_release(struct mo_replay_place *p)
{
	mo_wish_release(&p->wish);
	mo_where_release(&p->where);
	strlist_release(&p->only);
	free(p->rename);
}

void mo_replay_freep(struct mo_replaying **rr)
{
	struct mo_replaying *r = *rr;

	if (!r)
		return;
	for (size_t i = 0; i < r->places; i++)
		place_release(&r->place[i]);
	free(r->place);
	free(r->route);
	mo_known_release(&r->known);
	mo_indexes_release(&r->indexes);
	mo_txns_freep(&r->txns);
	mo_window_release(&r->window);
	buf_release(&r->part);
	free(r);
	*rr = NULL;
}

/* ---- begin ---- */

static enum status take_recorded(struct mo_replaying *r, const char *scope, struct error *err)
{
	CLEANUP(mo_wish_release) struct mo_wish all = {.scope = scope};

	if (mo_wish_read(r->l->q, &all, err))
		return err->code;
	for (size_t i = 0; i < all.items; i++) {
		const struct mo_meta *m = &all.item[i].meta;

		mo_indexes_add(&r->indexes, scope, m);
		/* The UUID of a time series is not that of its buckets. */
		if (m->kind != MO_VIEW)
			mo_known_add(&r->known, scope, m->name, m->kind == MO_TIMESERIES ? "" : m->uuid);
	}
	return ST_OK;
}

static enum status take_place(struct mo_replaying *r, const struct load_scope_plan *s, struct error *err)
{
	struct mo_replay_place *p = &r->place[r->places];
	struct mo_route *route = &r->route[r->places++];

	if (mo_where_parse(s->target, &p->where, err) || mo_wish_make(r->l->q, s->scope, &p->wish, err))
		return err->code;
	p->mark = (struct mo_mark){p->where.database, r->l->q->run};
	p->rename = xcalloc(p->wish.items + 1, sizeof *p->rename);
	for (size_t i = 0; i < p->wish.items; i++) {
		const struct mo_wanted *w = &p->wish.item[i];

		if (p->wish.mode == MO_LOAD_TABLES)
			strlist_add(&p->only, w->meta.name);
		if (strcmp(w->to, w->meta.name))
			p->rename[p->renames++] = (struct mo_new_name){w->meta.name, w->to};
	}
	*route = (struct mo_route){.database = s->scope, .where = &p->where, .collections = &p->only, .left_out = &p->wish.left_out, .rename = p->rename,
				   .renames = p->renames};
	return take_recorded(r, s->scope, err);
}

static void read_position(const bson_t *doc, struct mo_optime *to)
{
	*to = (struct mo_optime){.term = -1};
	(void)mo_look_timestamp(doc, "at", &to->t, &to->i);
}

enum status mo_replay_begin(struct run *run, struct mo_load *l, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	const size_t places = plan_databases(l->p);
	struct mo_replaying *r = xcalloc(1, sizeof *r);

	l->replay = r;
	r->l = l;
	r->place = xcalloc(places, sizeof *r->place);
	r->route = xcalloc(places, sizeof *r->route);
	r->txns = mo_txns_new(l->e->spool_dir, TXN_MEMORY);
	for (size_t i = 0; i < places; i++)
		if (take_place(r, &l->p->scope[i], err))
			return err->code;
	r->routes = (struct mo_routes){r->route, places, &r->known};
	if (mo_mark_get(run, l->conn, &r->place[0].mark, MO_MARK_REPLAY, &doc, err))
		return err->code;
	read_position(&doc, &r->done);
	l->resumed = l->resumed || r->done.t;
	return ST_OK;
}

/* ---- the position ---- */

struct taking {
	struct run *run;
	struct mo_replaying *r;
	struct mo_conn *c;
	bool live;   /* the entry is not in the target yet */
	bool record; /* its end is to be recorded, whatever the window holds */
	struct mo_optime before;
};

/* The mark waits for a majority where there is one, and with it all that was put before it. */
static enum status record(const struct taking *t, const struct mo_optime *at, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t doc = BSON_INITIALIZER;
	struct mo_replaying *r = t->r;

	if (mo_window_flush(t->run, t->c, &r->window, err))
		return err->code;
	if (!at->t || mo_optime_number(at) <= mo_optime_number(&r->done))
		return ST_OK;
	BSON_APPEND_UTF8(&doc, "_id", MO_MARK_REPLAY);
	BSON_APPEND_TIMESTAMP(&doc, "at", at->t, at->i);
	if (mo_mark_put(t->run, t->c, &r->place[0].mark, &doc, err))
		return err->code;
	r->done = *at;
	return failpoint("mongodb.replay.recorded", err);
}

/* ---- one operation ---- */

/* Positions are recorded close around a command: what comes before it is never repeated behind it. */
static enum status run_command(struct taking *t, const struct mo_replay *to, const struct mo_oplog_entry *op, struct error *err)
{
	if (record(t, &t->before, err))
		return err->code;
	t->record = true;
	if (mo_replay_run(t->run, t->r, t->c, to, err))
		return mo_oplog_blame(op, err);
	return failpoint("mongodb.replay.command.after", err);
}

static enum status do_operation(struct taking *t, const struct mo_oplog_entry *op, struct error *err)
{
	CLEANUP(mo_replay_release) struct mo_replay to = MO_REPLAY_INIT;
	struct mo_replaying *r = t->r;

	if (mo_replay_make(&r->routes, op, &to, err))
		return err->code;
	if (to.kind == MO_REPLAY_NOTHING)
		return ST_OK;
	r->operations++;
	if (to.kind != MO_REPLAY_WRITE)
		return run_command(t, &to, op, err);
	if (mo_window_add(&r->window, &to, op, err))
		return err->code;
	return mo_window_full(&r->window) ? mo_window_flush(t->run, t->c, &r->window, err) : ST_OK;
}

/* Indexes of collections that are not there any more, or have another name, were dumped as they became. */
static enum status follow_indexes(struct mo_replaying *r, const struct mo_oplog_entry *op, struct error *err)
{
	const char *name = mo_known_name(&r->known, op);
	struct mo_renaming n;

	if (op->op != MO_OP_COMMAND || !name || !*name)
		return ST_OK;
	if (!strcmp(op->command, "renameCollection")) {
		if (mo_renaming_of(op, &n, err))
			return mo_oplog_blame(op, err);
		return strcmp(name, n.from.collection) ? ST_OK : mo_indexes_apply(&r->indexes, op, err);
	}
	const char *written = mo_look_str(&op->o, op->command);
	return written && !strcmp(name, written) ? mo_indexes_apply(&r->indexes, op, err) : ST_OK;
}

static enum status take_operation(void *ctx, const struct mo_oplog_entry *op, struct error *err)
{
	struct taking *t = ctx;

	if (follow_indexes(t->r, op, err) || (t->live && do_operation(t, op, err)))
		return err->code;
	mo_known_apply(&t->r->known, op);
	return ST_OK;
}

/* ---- entries ---- */

static enum status check_order(const struct mo_replaying *r, const struct mo_oplog_entry *e, const struct mo_log *log, struct error *err)
{
	CLEANUP(cstr_release) char *from = NULL, *now = NULL;

	if (r->last.t ? mo_optime_number(&e->at) > mo_optime_number(&r->last) : mo_optime_number(&e->at) == mo_optime_number(&log->from))
		return ST_OK;
	now = mo_optime_print(&e->at);
	from = mo_optime_print(r->last.t ? &r->last : &log->from);
	if (!r->last.t)
		return error_set(err, ST_BAD, "the log of the backup lacks its beginning: it is from %s, its first entry is of %s", from, now);
	return error_set(err, ST_BAD, "the log of the backup is out of order: the entry of %s comes behind that of %s", now, from);
}

static enum status take_entry(void *ctx, const bson_t *doc, struct error *err)
{
	struct taking *t = ctx;
	struct mo_replaying *r = t->r;
	struct mo_oplog_entry e;
	enum mo_txn_state state;

	if (run_check(t->run, err) || mo_oplog_parse(doc, &e, err) || check_order(r, &e, &r->l->log, err) || mo_txns_take(r->txns, doc, &e, &state, err))
		return err->code;
	t->live = mo_optime_number(&e.at) > mo_optime_number(&r->done);
	t->record = false;
	t->before = r->last;
	if (state == MO_TXN_NONE ? mo_oplog_inner(&e, take_operation, t, err) : state == MO_TXN_WHOLE && mo_txns_each(r->txns, take_operation, t, err))
		return err->code;
	r->last = e.at;
	r->entries++;
	return t->record || mo_window_full(&r->window) ? record(t, &r->last, err) : ST_OK;
}

/* Progress without changes is recorded, too: what is not of the restore may be most of the log. */
enum status mo_replay_unit(struct run *run, struct mo_load *l, struct mo_conn *c, struct chunk_source *chunks, uint64_t *rows, struct error *err)
{
	struct mo_replaying *r = l->replay;
	struct taking t = {.run = run, .r = r, .c = c};
	const uint64_t before = r->entries;

	for (;;) {
		struct chunk chunk;
		bool end = false;

		if (chunks->next(chunks, &chunk, &end, err))
			return err->code;
		if (end)
			break;
		if (mo_split(&r->part, chunk.data, chunk.len, take_entry, &t, err))
			return err->code;
	}
	if (r->part.len)
		return error_set(err, ST_BAD, "the log of the backup ends inside an entry");
	*rows = r->entries - before;
	return record(&t, &r->last, err);
}
