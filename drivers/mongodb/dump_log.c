/* The log as a scope of the dump: one object whose rows are its entries. */
#include "drivers/mongodb/dump.h"

#include "drivers/mongodb/dump_text.h"
#include "util/failpoint.h"

static enum status give_object(struct mo_dump *d, const struct object_sink *objects, struct error *err)
{
	CLEANUP(cstr_release) char *from = mo_optime_print(&d->span.from), *to = mo_optime_print(&d->span.to);
	CLEANUP(js_decref) json_t *facts = json_object();
	const char *component[] = {"oplog.rs"};
	const struct dump_object o = {.name = "oplog.rs", .component = component, .components = 1, .ext = "bson", .facts = facts, .folder = &d->log_folder};
	struct dump_unit u = {.range = 0};

	js_set_str(facts, "format", "bson");
	js_set_str(facts, "type", "oplog");
	js_set_str(facts, "from", from);
	js_set_str(facts, "to", to);
	return objects->object(objects->ctx, &o, &u.object, err) || objects->unit(objects->ctx, &u, err) ? err->code : ST_OK;
}

enum status mo_log_begin(struct run *run, struct mo_dump *d, struct scope_info *info, const struct object_sink *objects, struct error *err)
{
	if (failpoint("mongodb.log.begin", err) || mo_span_end(run, d->c, &d->span, err) || mo_span_kept(run, d->c, &d->span, err))
		return err->code;
	info->snapshot = (struct instant){(int64_t)d->span.to.t * 1000000};
	info->position = mo_optime_print(&d->span.to);
	return give_object(d, objects, err);
}

struct giving {
	struct row_sink *rows;
	uint64_t *bytes;
};

static enum status give_entry(void *ctx, const bson_t *doc, struct error *err)
{
	struct giving *g = ctx;

	*g->bytes += doc->len;
	return g->rows->row(g->rows, bson_get_data(doc), doc->len, err);
}

enum status mo_log_read(struct run *run, struct mo_conn *c, struct mo_dump *d, struct row_sink *rows, struct error *err)
{
	const char **database = xcalloc(d->scopes, sizeof *database);
	struct giving g = {rows, &d->log_bytes};

	for (size_t i = 0; i < d->scopes; i++)
		database[i] = d->scope[i].where.database;
	const struct mo_span_use use = {database, d->scopes, d->e->spool_dir};
	const enum status st = mo_span_read(run, c, &d->span, &use, d->no_timeout, give_entry, &g, &d->log_entries, err);
	free(database);
	return st;
}

enum status mo_log_end(struct mo_dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(cstr_release) char *from = mo_optime_print(&d->span.from), *to = mo_optime_print(&d->span.to);
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	mo_log_script(d->log_folder, d->log_bytes, &text);
	if (mo_entry_give_text(entries, "load.sh", &text, err))
		return err->code;
	notes_tell(d->e->notes, "all collections are of one moment, that of the end: dump with oplog from %s to %s (%" PRIu64 " %s), since %s", from, to,
		   d->log_entries, d->log_entries == 1 ? "entry" : "entries", d->moment.why_not);
	return ST_OK;
}
