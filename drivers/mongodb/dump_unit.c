/* The documents of a unit, byte for byte. */
#include "drivers/mongodb/dump.h"

struct giving {
	struct row_sink *rows;
	uint64_t bytes;
};

/* As a restore will look at it: the elements at its top. */
static enum status check_document(const bson_t *doc, struct error *err)
{
	bson_iter_t at = {.err_off = 0};
	const bool begun = bson_iter_init(&at, doc);

	while (begun && bson_iter_next(&at))
		;
	if (begun && !at.err_off)
		return ST_OK;
	error_set(err, ST_SERVER, "the server gave a document of %" PRIu32 " bytes that is damaged at byte %" PRIu32, doc->len, at.err_off);
	return error_hint(err, "Check the collection with the validate command: db.runCommand({validate: NAME, full: true}).");
}

static enum status give_row(void *ctx, const bson_t *doc, struct error *err)
{
	struct giving *g = ctx;

	if (check_document(doc, err))
		return err->code;
	g->bytes += doc->len;
	return g->rows->row(g->rows, bson_get_data(doc), doc->len, err);
}

/* Without a filter in the order in which they lie, which is the fastest; of a range by the index, since an order of its own is what a
 * range is. */
static void put_hint(const struct mo_reading *r, bson_t *command)
{
	bson_t hint;

	BSON_APPEND_DOCUMENT_BEGIN(command, "hint", &hint);
	BSON_APPEND_INT32(&hint, r->ranges.borders ? "_id" : "$natural", 1);
	bson_append_document_end(command, &hint);
}

/* Whatever the server takes for granted: through mongos, `available` would give documents that were moved to another shard a second time. */
static void put_concern(const struct mo_dump *d, const struct mo_reading *r, bson_t *command)
{
	bson_t concern;

	if (r->at_moment) {
		mo_moment_concern(&d->moment, command);
		return;
	}
	BSON_APPEND_DOCUMENT_BEGIN(command, "readConcern", &concern);
	BSON_APPEND_UTF8(&concern, "level", "local");
	bson_append_document_end(command, &concern);
}

enum status mo_unit_read(struct run *run, struct mo_conn *c, const struct mo_dump *d, const struct dump_unit *u, struct row_sink *rows,
			 struct error *err)
{
	struct mo_reading *r = d->reading[u->cookie];
	struct giving g = {.rows = rows};
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	bson_t filter;

	BSON_APPEND_UTF8(&command, "find", r->documents);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	if (r->ranges.borders)
		mo_ranges_filter(&r->ranges, u->range, &filter);
	bson_append_document_end(&command, &filter);
	put_hint(r, &command);
	if (d->no_timeout)
		BSON_APPEND_BOOL(&command, "noCursorTimeout", true);
	if (r->raw_data)
		BSON_APPEND_BOOL(&command, "rawData", true);
	put_concern(d, r, &command);
	if (mo_conn_each(run, c, d->scope[d->at].where.database, &command, give_row, &g, err))
		return mo_moment_lost(err, r->shown);
	/* A cursor on a collection that is gone ends without an error. */
	if (!g.bytes && mo_dump_there(run, c, d, r, err))
		return err->code;
	atomic_fetch_add(&r->bytes, g.bytes);
	return ST_OK;
}

static enum status take_any(void *ctx UNUSED, const bson_t *doc UNUSED, struct error *err UNUSED) { return ST_OK; }

enum status mo_unit_try_no_timeout(struct run *run, struct mo_conn *c, const char *database, bool *takes, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	BSON_APPEND_UTF8(&command, "find", "drtool");
	BSON_APPEND_INT32(&command, "limit", 1);
	BSON_APPEND_BOOL(&command, "noCursorTimeout", true);
	*takes = !mo_conn_each(run, c, database, &command, take_any, NULL, &refused);
	if (*takes || (!mo_conn_lost(&refused) && mo_conn_code(&refused)))
		return ST_OK;
	return error_move(err, &refused);
}
