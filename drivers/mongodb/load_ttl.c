/* A time (expireAfterSeconds) lets the server delete documents as soon as it is there. In a copy that nobody uses yet that of an index is parked; a
 * collection gets its own when all else is done, whatever place it is in: until then it has none, as servers take none that never comes. */
#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"

#define SECONDS "expireAfterSeconds"

/* Some versions list the time of a clustered collection with its index, too. */
bool mo_ttl_of(const bson_t *b, bson_iter_t *at)
{
	return !bson_has_field(b, "clustered") && bson_iter_init_find(at, b, SECONDS) && BSON_ITER_HOLDS_NUMBER(at);
}

bool mo_ttl_has(const struct mo_meta *m)
{
	bson_iter_t at;
	bool has = mo_ttl_of(m->options, &at);

	for (size_t i = 0; i < m->indexes && !has; i++)
		has = mo_ttl_of(m->index[i], &at);
	return has;
}

void mo_ttl_park(const bson_t *b, bson_t *to)
{
	bson_iter_t at;

	if (!bson_iter_init(&at, b))
		return;
	while (bson_iter_next(&at)) {
		const char *key = bson_iter_key(&at);

		if (!strcmp(key, SECONDS) && BSON_ITER_HOLDS_NUMBER(&at))
			BSON_APPEND_INT32(to, SECONDS, MO_TTL_PARKED);
		else
			bson_append_iter(to, key, -1, &at);
	}
}

void mo_ttl_leave_out(const bson_t *b, bson_t *to) { bson_copy_to_excluding_noinit(b, to, SECONDS, NULL); }

/* ---- what is past its time ---- */

enum status mo_tell_expired(struct run *run, const struct mo_load *l, struct mo_conn *c, const char *collection, const char *field, int64_t seconds,
			    const char *what, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	bson_t query, range;

	if (seconds < 0 || seconds > INT32_MAX)
		return ST_OK;
	BSON_APPEND_UTF8(&command, "count", collection);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "query", &query);
	bson_append_document_begin(&query, field, -1, &range);
	BSON_APPEND_DATE_TIME(&range, "$lt", run_now(run).us / 1000 - seconds * 1000);
	bson_append_document_end(&query, &range);
	bson_append_document_end(&command, &query);
	if (mo_conn_command(run, c, l->where.database, &command, &reply, &why))
		return mo_conn_lost(&why) ? error_move(err, &why) : ST_OK;
	const int64_t n = mo_look_num(&reply, "n", 0);
	if (n > 0)
		notes_add(l->e->notes, "%s.%s: %" PRId64 " documents are past the time of %s, so that the server deletes them now", l->where.database, collection,
			  n, what);
	return ST_OK;
}

/* ---- times of collections ---- */

/* Into {<collection>: seconds}. */
static enum status take_time(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	const char *collection = mo_look_str(doc, "collection"), *index = mo_look_str(doc, "index");
	bson_iter_t seconds;

	if (collection && index && !*index && bson_iter_init_find(&seconds, doc, "seconds"))
		bson_append_iter(ctx, collection, -1, &seconds);
	return ST_OK;
}

static bool time_of(const bson_t *times, const struct mo_listed *of, bson_iter_t *seconds)
{
	return bson_iter_init_find(seconds, times, of->meta.name) && BSON_ITER_HOLDS_NUMBER(seconds);
}

/* -1: none that a time can be. */
static int64_t number_of(const bson_iter_t *seconds)
{
	CLEANUP(mo_doc_release) bson_t one = BSON_INITIALIZER;

	bson_append_iter(&one, SECONDS, -1, seconds);
	return mo_look_num(&one, SECONDS, -1);
}

/* Documents of a clustered collection go by their _id. */
static enum status set_time(struct run *run, struct mo_load *l, const struct mo_listed *of, const bson_iter_t *seconds, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	const char *field = of->meta.kind == MO_TIMESERIES ? mo_look_str(of->meta.options, "timeseries.timeField") : "_id";

	if (field && mo_tell_expired(run, l, l->conn, of->collection, field, number_of(seconds), "the collection itself", err))
		return err->code;
	BSON_APPEND_UTF8(&command, "collMod", of->collection);
	bson_append_iter(&command, SECONDS, -1, seconds);
	return mo_change(run, l->conn, l->where.database, &command, err) ? error_add(err, SECONDS " of %s", of->collection) : ST_OK;
}

static enum status check_times(const bson_t *times, const struct mo_listing *there, struct error *err)
{
	bson_iter_t asked, is;

	for (size_t i = 0; i < there->items; i++) {
		const struct mo_listed *of = &there->item[i];

		if (time_of(times, of, &asked) && (!mo_ttl_of(of->meta.options, &is) || number_of(&is) != number_of(&asked)))
			return error_set(err, ST_UNSUPPORTED, "the server did not set " SECONDS " of %s to %" PRId64 ", and said nothing", of->collection,
					 number_of(&asked));
	}
	return ST_OK;
}

enum status mo_load_times(struct run *run, struct mo_load *l, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing there = MO_LISTING_INIT;
	CLEANUP(mo_doc_release) bson_t times = BSON_INITIALIZER;
	bson_iter_t seconds;

	if (l->park || mo_mark_each(run, l->conn, &l->mark, MO_MARK_TTL, take_time, &times, err) || bson_empty(&times))
		return err->code;
	if (mo_list(run, l->conn, &l->where, false, &there, err))
		return err->code;
	for (size_t i = 0; i < there.items; i++)
		if (time_of(&times, &there.item[i], &seconds) && set_time(run, l, &there.item[i], &seconds, err))
			return err->code;
	return mo_list(run, l->conn, &l->where, false, &there, err) ? err->code : check_times(&times, &there, err);
}
