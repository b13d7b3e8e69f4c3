#include "drivers/mongodb/snapshot.h"

#include "drivers/mongodb/look.h"
#include "util/failpoint.h"

#define WIRE_SNAPSHOT_READS 13 /* 5.0 */
#define WINDOW "minSnapshotHistoryWindowInSeconds"
#define TRIES 5
#define MAJORITY_WITHIN DURATION_SECONDS(10)
#define TO_COME 86400u /* seconds */

void mo_moment_release(struct mo_moment *m)
{
	free(m->why_not);
	*m = (struct mo_moment)MO_MOMENT_INIT;
}

void mo_moment_concern(const struct mo_moment *m, bson_t *command)
{
	bson_t concern;

	if (!m->has)
		return;
	BSON_APPEND_DOCUMENT_BEGIN(command, "readConcern", &concern);
	BSON_APPEND_UTF8(&concern, "level", "snapshot");
	BSON_APPEND_TIMESTAMP(&concern, "atClusterTime", m->t, m->i);
	bson_append_document_end(command, &concern);
}

char *mo_moment_position(const struct mo_moment *m) { return m->has ? xasprintf("%" PRIu32 ":%" PRIu32, m->t, m->i) : NULL; }

/* ---- taking it ---- */

/* What the member has applied, and what of it a majority has. mongos has no log of its own: its answers carry the newest time that it knows of. */
static enum status ask_times(struct run *run, struct mo_conn *c, struct mo_moment *m, uint64_t *applied, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t reply;
	uint32_t t = 0, i = 0;

	BSON_APPEND_INT32(&command, c->server.mongos ? "ping" : "hello", 1);
	enum status st = mo_conn_command(run, c, "admin", &command, &reply, err);
	m->has = !st && mo_look_timestamp(&reply, c->server.mongos ? "operationTime" : "lastWrite.majorityOpTime.ts", &m->t, &m->i) && m->t;
	*applied = !st && mo_look_timestamp(&reply, "operationTime", &t, &i) ? (uint64_t)t << 32 | i : 0;
	bson_destroy(&reply);
	return st ? error_add(err, "the time of the cluster") : ST_OK;
}

/* The time waits for all that was there when the collections were listed: what a majority does not have yet cannot be read. why_not where it cannot be had. */
static enum status newest(struct run *run, struct mo_conn *c, struct mo_moment *m, struct error *err)
{
	const struct instant until = instant_add(run_mono(run), MAJORITY_WITHIN);
	uint64_t listed = 0, applied = 0;

	if (ask_times(run, c, m, &listed, err))
		return err->code;
	while (m->has && ((uint64_t)m->t << 32 | m->i) < listed) {
		if (run_mono(run).us > until.us) {
			m->why_not = xstrdup("a majority of the replica set did not confirm the last writes within 10 s");
			return ST_OK;
		}
		if (run_sleep(run, DURATION_MS(20), err) || ask_times(run, c, m, &applied, err))
			return err->code;
	}
	if (!m->has)
		m->why_not = xstrdup("the server does not tell the time of its last write");
	return ST_OK;
}

static enum status take_any(void *ctx UNUSED, const bson_t *doc UNUSED, struct error *err UNUSED) { return ST_OK; }

/* refused: what the server said, where it refused. */
static enum status try_read(struct run *run, struct mo_conn *c, const struct mo_moment *m, const char *database, const char *collection,
			    struct error *refused, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	error_release(refused);
	BSON_APPEND_UTF8(&command, "find", collection);
	BSON_APPEND_INT32(&command, "limit", 1);
	mo_moment_concern(m, &command);
	if (!mo_conn_each(run, c, database, &command, take_any, NULL, refused))
		return ST_OK;
	return mo_conn_lost(refused) || !mo_conn_code(refused) ? error_move(err, refused) : ST_OK;
}

enum status mo_moment_reads(struct run *run, struct mo_conn *c, const struct mo_moment *m, const char *database, const char *collection, bool *reads,
			    struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	*reads = m->has;
	if (m->has && try_read(run, c, m, database, collection, &refused, err))
		return err->code;
	*reads = *reads && !refused.code;
	return ST_OK;
}

/* A server that looks at the time it is asked for refuses one that is still to come. Others imitate the protocol and give what is there. */
static enum status keeps_to_time(struct run *run, struct mo_conn *c, const struct mo_moment *m, const char *database, const char *collection, bool *keeps,
				 struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	const struct mo_moment to_come = {.has = true, .t = m->t + TO_COME, .i = 1};

	if (try_read(run, c, &to_come, database, collection, &refused, err))
		return err->code;
	*keeps = refused.code != ST_OK;
	return ST_OK;
}

enum status mo_moment_take(struct run *run, struct mo_conn *c, const char *database, const char *collection, struct mo_moment *m, struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	bool keeps = false;

	mo_moment_release(m);
	if (failpoint("mongodb.snapshot", err))
		return err->code;
	if (!c->server.set_name && !c->server.mongos)
		m->why_not = xstrdup("the server is no member of a replica set");
	else if (c->server.wire < WIRE_SNAPSHOT_READS)
		m->why_not = xasprintf("version %s cannot read at one moment, which 5.0 was the first to do", c->server.version_text);
	if (m->why_not)
		return ST_OK;
	/* A collection that was changed a moment ago cannot be read so yet. */
	for (int tries = 0; !tries || (!m->why_not && mo_conn_code(&refused) == MO_SNAPSHOT_UNAVAILABLE && tries < TRIES); tries++)
		if ((tries && run_sleep(run, DURATION_MS(200), err)) || newest(run, c, m, err) ||
		    (!m->why_not && try_read(run, c, m, database, collection, &refused, err)))
			return err->code;
	if (!m->why_not && refused.code)
		m->why_not = xasprintf("the server refused to read at one moment (%s)", error_text(&refused));
	if (!m->why_not && keeps_to_time(run, c, m, database, collection, &keeps, err))
		return err->code;
	if (!m->why_not && !keeps)
		m->why_not = xstrdup("the server does not keep to the time that it is asked for");
	m->has = !m->why_not;
	return ST_OK;
}

enum status mo_moment_window(struct run *run, struct mo_conn *c, uint64_t *seconds, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	*seconds = 0;
	BSON_APPEND_INT32(&command, "getParameter", 1);
	BSON_APPEND_INT32(&command, WINDOW, 1);
	if (mo_conn_command(run, c, "admin", &command, &reply, &refused))
		return mo_conn_lost(&refused) || !mo_conn_code(&refused) ? error_move(err, &refused) : ST_OK;
	const int64_t n = mo_look_num(&reply, WINDOW, 0);
	*seconds = n > 0 ? (uint64_t)n : 0;
	return ST_OK;
}

/* ---- losing it ---- */

enum status mo_moment_lost(struct error *err, const char *collection)
{
	const int code = mo_conn_code(err);

	error_add(err, "collection %s", collection);
	switch (code) {
	case MO_SNAPSHOT_TOO_OLD:
		return error_hint(err, "The server keeps the past for " WINDOW " (300 where nothing was set), and the dump takes "
				       "longer. On every member: db.adminCommand({setParameter: 1, " WINDOW ": 3600}); or read with more --jobs, or with "
				       "--moment oplog, which takes the changes made meanwhile along.");
	case MO_SNAPSHOT_UNAVAILABLE:
	case MO_NAMESPACE_NOT_FOUND:
	case MO_QUERY_PLAN_KILLED:
		err->retry = true;
		return error_hint(err, "It was dropped, renamed, or changed in its indexes or options while it was dumped. Run the backup again when no "
				       "migration is at work.");
	case MO_NO_SUCH_CURSOR:
		err->retry = true;
		return error_hint(err, "The server gave the cursor up: it was restarted, somebody killed the cursor, or nothing was read for too long.");
	default:
		return err->code;
	}
}
