#include "drivers/mongodb/span.h"

#include "drivers/mongodb/about.h"
#include "drivers/mongodb/look.h"
#include "util/failpoint.h"

#define MAJORITY_WITHIN DURATION_SECONDS(60)

void mo_span_release(struct mo_span *s)
{
	free(s->why_not);
	*s = (struct mo_span)MO_SPAN_INIT;
}

char *mo_optime_print(const struct mo_optime *at) { return xasprintf("%" PRIu32 ":%" PRIu32, at->t, at->i); }

/* ---- looks at the log ---- */

struct seen {
	struct mo_optime at;     /* t is 0: there is none */
	struct mo_optime before; /* of the same transaction the entry before it; t is 0: none */
};

static enum status take_entry(void *ctx, const bson_t *doc, struct error *err)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct mo_oplog_entry e;
	struct seen *s = ctx;

	if (!mo_look_timestamp(doc, "ts", &s->at.t, &s->at.i))
		return error_set(err, ST_SERVER, "an entry of local.oplog.rs has no time (ts)");
	s->at.term = mo_look_num(doc, "t", -1);
	/* One that is damaged ends the dump when it is read. */
	if (!mo_oplog_parse(doc, &e, &ignored) && e.transaction && e.has_prev)
		s->before = e.prev;
	return ST_OK;
}

static void put_one(bson_t *to, const char *name, const char *key, int32_t n)
{
	bson_t d;

	BSON_APPEND_DOCUMENT_BEGIN(to, name, &d);
	BSON_APPEND_INT32(&d, key, n);
	bson_append_document_end(to, &d);
}

/* The oldest entry (direction 1), or the newest (-1) that is no newer than most (NULL: of all). */
static enum status find_entry(struct run *run, struct mo_conn *c, int32_t direction, const struct mo_optime *most, struct seen *seen, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t filter, ts;

	*seen = (struct seen){{0, 0, -1}, {0, 0, -1}};
	BSON_APPEND_UTF8(&command, "find", "oplog.rs");
	if (most) {
		BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
		BSON_APPEND_DOCUMENT_BEGIN(&filter, "ts", &ts);
		BSON_APPEND_TIMESTAMP(&ts, "$lte", most->t, most->i);
		bson_append_document_end(&filter, &ts);
		bson_append_document_end(&command, &filter);
	}
	put_one(&command, "sort", "$natural", direction);
	BSON_APPEND_INT32(&command, "limit", 1);
	return mo_conn_each(run, c, "local", &command, take_entry, seen, err);
}

static enum status take_oldest(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct mo_optime *oldest = ctx, at = {.term = -1};

	if (mo_look_timestamp(doc, "startOpTime.ts", &at.t, &at.i) && at.t && mo_optime_number(&at) < mo_optime_number(oldest))
		*oldest = at;
	return ST_OK;
}

/* Of the transactions that have entries in the log and are not at their end: oldest becomes the time of the first such entry, where it is older. */
static enum status look_at_transactions(struct run *run, struct mo_conn *c, struct mo_optime *oldest, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t filter, state, in, concern;

	BSON_APPEND_UTF8(&command, "find", "transactions");
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "state", &state);
	BSON_APPEND_ARRAY_BEGIN(&state, "$in", &in);
	BSON_APPEND_UTF8(&in, "0", "prepared");
	BSON_APPEND_UTF8(&in, "1", "inProgress");
	bson_append_array_end(&state, &in);
	bson_append_document_end(&filter, &state);
	bson_append_document_end(&command, &filter);
	put_one(&command, "projection", "startOpTime", 1);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "readConcern", &concern);
	BSON_APPEND_UTF8(&concern, "level", "majority");
	bson_append_document_end(&command, &concern);
	if (mo_conn_each(run, c, "config", &command, take_oldest, oldest, err))
		return error_add(err, "config.transactions");
	return ST_OK;
}

/* What this member has applied, and what of it a majority has; t is 0 where it is not told. */
static enum status ask_times(struct run *run, struct mo_conn *c, struct mo_optime *applied, struct mo_optime *majority, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t reply;

	*applied = *majority = (struct mo_optime){0, 0, -1};
	BSON_APPEND_INT32(&command, "hello", 1);
	const enum status st = mo_conn_command(run, c, "admin", &command, &reply, err);
	if (!st && (!mo_look_timestamp(&reply, "lastWrite.opTime.ts", &applied->t, &applied->i) ||
		    !mo_look_timestamp(&reply, "lastWrite.majorityOpTime.ts", &majority->t, &majority->i)))
		applied->t = majority->t = 0;
	bson_destroy(&reply);
	return st ? error_add(err, "the time of the last write") : ST_OK;
}

/* ---- its beginning ---- */

/* Back to the first entry of the transaction that the one seen goes on with or ends. */
static enum status find_first(struct run *run, struct mo_conn *c, struct seen *seen, struct error *err)
{
	while (seen->at.t && seen->before.t) {
		const struct mo_optime at = seen->at, before = seen->before;

		if (find_entry(run, c, -1, &before, seen, err))
			return err->code;
		if (mo_optime_number(&seen->at) != mo_optime_number(&before) || mo_optime_number(&before) >= mo_optime_number(&at))
			seen->at.t = 0;
	}
	return ST_OK;
}

/* Open transactions are looked for twice, as one may begin and another one end between two looks. */
static enum status find_begin(struct run *run, struct mo_conn *c, struct mo_span *s, struct error *err)
{
	struct mo_optime oldest = {UINT32_MAX, UINT32_MAX, -1}, applied, majority;
	struct seen seen;

	if (look_at_transactions(run, c, &oldest, err) || ask_times(run, c, &applied, &majority, err))
		return err->code;
	if (!majority.t) {
		s->why_not = xstrdup("the server does not tell the time of its last write");
		return ST_OK;
	}
	if (find_entry(run, c, -1, &majority, &seen, err) || look_at_transactions(run, c, &oldest, err))
		return err->code;
	const bool empty = !seen.at.t;
	if (!empty && mo_optime_number(&oldest) < mo_optime_number(&seen.at) && find_entry(run, c, -1, &oldest, &seen, err))
		return err->code;
	if (find_first(run, c, &seen, err))
		return err->code;
	s->from = seen.at;
	if (empty)
		s->why_not = xstrdup("the server has no oplog (local.oplog.rs is empty)");
	else if (!s->from.t)
		s->why_not = xstrdup("there is a transaction whose beginning the oplog no longer has");
	s->has = !s->why_not;
	return ST_OK;
}

enum status mo_span_begin(struct run *run, struct mo_conn *c, struct mo_span *s, struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	mo_span_release(s);
	if (failpoint("mongodb.log.span", err))
		return err->code;
	if (!c->server.set_name || c->server.mongos)
		s->why_not = xstrdup("the server is no member of a replica set");
	else if (mo_about_is_other(&c->server))
		s->why_not = xasprintf("the oplog of %s does not have every change", c->server.product);
	if (s->why_not || !find_begin(run, c, s, &refused))
		return ST_OK;
	if (mo_conn_lost(&refused) || !mo_conn_code(&refused))
		return error_move(err, &refused);
	s->no_right = mo_conn_denied(&refused);
	if (s->no_right)
		s->why_not = xstrdup("this account may not read the oplog (local.oplog.rs and config.transactions), which the role backup allows");
	else
		s->why_not = xasprintf("the oplog cannot be read (%s)", error_text(&refused));
	return ST_OK;
}

/* ---- whether it is still there ---- */

enum status mo_span_rolled(const struct mo_span *s, const struct mo_optime *oldest, struct error *err)
{
	CLEANUP(cstr_release) char *from = mo_optime_print(&s->from), *now = oldest ? mo_optime_print(oldest) : NULL;
	CLEANUP(cstr_release) char *how = now ? xasprintf("it begins at %s by now", now) : xstrdup("some of them went while they were read");

	error_set(err, ST_SERVER, "the oplog of the server is too small for this backup: all changes from %s on are needed, and %s", from, how);
	return error_hint(err, "Make it larger on every member (db.adminCommand({replSetResizeOplog: 1, size: MEGABYTES})), read with more --jobs, read fewer "
			       "databases at a time, or take the backup when less is written.");
}

enum status mo_span_kept(struct run *run, struct mo_conn *c, const struct mo_span *s, struct error *err)
{
	struct seen oldest;

	if (find_entry(run, c, 1, NULL, &oldest, err))
		return error_add(err, "local.oplog.rs");
	if (!oldest.at.t)
		return error_set(err, ST_SERVER, "local.oplog.rs was emptied while the server was dumped");
	return mo_optime_number(&oldest.at) > mo_optime_number(&s->from) ? mo_span_rolled(s, &oldest.at, err) : ST_OK;
}

/* ---- its end ---- */

enum status mo_span_end(struct run *run, struct mo_conn *c, struct mo_span *s, struct error *err)
{
	const struct instant until = instant_add(run_mono(run), MAJORITY_WITHIN);
	struct mo_optime applied, majority;

	if (ask_times(run, c, &s->to, &majority, err))
		return err->code;
	while (majority.t && mo_optime_number(&majority) < mo_optime_number(&s->to)) {
		if (run_mono(run).us > until.us) {
			CLEANUP(cstr_release) char *to = mo_optime_print(&s->to);

			error_set(err, ST_SERVER, "a majority of replica set %s has not confirmed the changes up to %s within 60 s", c->server.set_name, to);
			err->retry = true;
			return error_hint(err, "Look at the members (rs.status()), and run the backup again when they follow.");
		}
		if (run_sleep(run, DURATION_MS(20), err) || ask_times(run, c, &applied, &majority, err))
			return err->code;
	}
	if (majority.t && mo_optime_number(&s->to) >= mo_optime_number(&s->from))
		return ST_OK;
	error_set(err, ST_SERVER, "the server does not tell the time of its last write any more, or one before the dump began");
	err->retry = true;
	return error_hint(err, "A member that was rolled back or synchronised anew does so. Run the backup again.");
}
