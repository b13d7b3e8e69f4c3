/* The objects of a dump and their units: a collection, or ranges of its _id. */
#include "drivers/mongodb/dump.h"

#include "drivers/mongodb/look.h"

#define MOST_RANGES ((uint64_t)9999)   /* numbers in a path have four digits */
#define ALL_IDS_BELOW ((uint64_t)20000) /* documents: below, every _id is looked at */
#define SAMPLES_A_RANGE ((uint64_t)40)
#define MOST_SAMPLES ((uint64_t)100000)
#define SAMPLE_BYTES ((size_t)8 << 20) /* beyond, every second sample is left out */

static void reading_free(struct mo_reading *r)
{
	free(r->name);
	free(r->shown);
	free(r->documents);
	free(r->folder);
	mo_ranges_release(&r->ranges);
	free(r);
}

void mo_dump_readings_release(struct mo_dump *d)
{
	for (size_t i = 0; i < d->readings; i++)
		reading_free(d->reading[i]);
	free(d->reading);
	d->reading = NULL;
	d->readings = 0;
}

/* ---- size ---- */

struct size {
	uint64_t bytes, documents; /* as the server counts; of the data as they are in the archive */
};

static enum status take_size(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct size *s = ctx;
	const int64_t bytes = mo_look_num(doc, "storageStats.size", 0), documents = mo_look_num(doc, "storageStats.count", 0);

	s->bytes += bytes > 0 ? (uint64_t)bytes : 0; /* of a sharded collection: one document for each shard */
	s->documents += documents > 0 ? (uint64_t)documents : 0;
	return ST_OK;
}

/* An account or a server that does not tell it: 0, and the collection is read in one go. */
static enum status ask_size(struct run *run, struct mo_dump *d, const char *collection, struct size *s, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	bson_t pipeline, stage, stats, none;

	BSON_APPEND_UTF8(&command, "aggregate", collection);
	BSON_APPEND_ARRAY_BEGIN(&command, "pipeline", &pipeline);
	BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
	BSON_APPEND_DOCUMENT_BEGIN(&stage, "$collStats", &stats);
	BSON_APPEND_DOCUMENT_BEGIN(&stats, "storageStats", &none);
	bson_append_document_end(&stats, &none);
	bson_append_document_end(&stage, &stats);
	bson_append_document_end(&pipeline, &stage);
	bson_append_array_end(&command, &pipeline);
	if (!mo_conn_each(run, d->c, mo_dump_scope(d)->where.database, &command, take_size, s, &refused))
		return ST_OK;
	*s = (struct size){0, 0};
	return mo_conn_lost(&refused) || !mo_conn_code(&refused) ? error_move(err, &refused) : ST_OK;
}

/* ---- borders ---- */

struct sample {
	bson_value_t *value;
	size_t n, room, bytes;
	uint64_t seen, every; /* every: which of those seen are kept */
	uint64_t asked;
};

static void sample_release(struct sample *s)
{
	for (size_t i = 0; i < s->n; i++)
		bson_value_destroy(&s->value[i]);
	free(s->value);
}

static size_t size_of(const bson_value_t *v)
{
	size_t bytes = 0;

	(void)mo_border_can_be(v, &bytes);
	return sizeof *v + bytes;
}

static void keep_every_second(struct sample *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (i % 2) {
			s->bytes -= size_of(&s->value[i]);
			bson_value_destroy(&s->value[i]);
		} else {
			s->value[kept++] = s->value[i];
		}
	s->n = kept;
	s->every *= 2;
}

static enum status take_id(void *ctx, const bson_t *doc, struct error *err)
{
	struct sample *s = ctx;
	size_t bytes;
	bson_iter_t at;

	if (s->seen++ >= s->asked)
		return error_set(err, ST_SERVER, "the server gave more than the %" PRIu64 " that were asked for", s->asked);
	if ((s->seen - 1) % s->every || !mo_look(doc, "_id", &at) || !mo_border_can_be(bson_iter_value(&at), &bytes))
		return ST_OK;
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->value = xrealloc(s->value, s->room * sizeof *s->value);
	}
	bson_value_copy(bson_iter_value(&at), &s->value[s->n]);
	s->bytes += size_of(&s->value[s->n++]);
	if (s->bytes > SAMPLE_BYTES)
		keep_every_second(s);
	return ST_OK;
}

static void put_number(bson_t *to, const char *stage, const char *key, int64_t n)
{
	bson_t d;

	BSON_APPEND_DOCUMENT_BEGIN(to, stage, &d);
	BSON_APPEND_INT64(&d, key, n);
	bson_append_document_end(to, &d);
}

/* In the server's order, which for texts is that of the collection's collation. */
static void put_ids(bson_t *command, const struct mo_reading *r, bool all, uint64_t samples)
{
	static const char *const number[] = {"0", "1", "2"};
	bson_t pipeline, stage;
	size_t n = 0;

	if (all) {
		BSON_APPEND_UTF8(command, "find", r->documents);
		put_number(command, "projection", "_id", 1);
		put_number(command, "sort", "_id", 1);
		return;
	}
	BSON_APPEND_UTF8(command, "aggregate", r->documents);
	BSON_APPEND_ARRAY_BEGIN(command, "pipeline", &pipeline);
	static const char *const what[] = {"$sample", "$project", "$sort"};
	for (; n < ARRAY_LEN(what); n++) {
		BSON_APPEND_DOCUMENT_BEGIN(&pipeline, number[n], &stage);
		put_number(&stage, what[n], n ? "_id" : "size", n ? 1 : (int64_t)samples);
		bson_append_document_end(&pipeline, &stage);
	}
	bson_append_array_end(command, &pipeline);
}

/* A sample of more than a twentieth of the documents would be a scan with a sort of all of them. */
static enum status find_borders(struct run *run, struct mo_dump *d, struct mo_reading *r, const struct size *s, uint64_t ranges, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	const bool all = s->documents < ALL_IDS_BELOW;
	const uint64_t samples = min_u64(min_u64(ranges * SAMPLES_A_RANGE, MOST_SAMPLES), s->documents / 25);
	CLEANUP(sample_release) struct sample sample = {.every = 1, .asked = all ? 2 * ALL_IDS_BELOW : samples}; /* twice: some are just being added */

	put_ids(&command, r, all, samples);
	if (mo_conn_each(run, d->c, mo_dump_scope(d)->where.database, &command, take_id, &sample, &refused)) {
		const bool too_many = sample.seen > sample.asked;

		if (!too_many && (mo_conn_lost(&refused) || !mo_conn_code(&refused)))
			return error_move(err, &refused);
		notes_tell(d->e->notes, "collection %s is read in one go: %s (%s)", r->shown, too_many ? "no sample of it can be had" : "the server refused a sample of it",
			   error_text(&refused));
		return ST_OK;
	}
	mo_ranges_choose(sample.value, sample.n, true, (size_t)ranges, &r->ranges);
	return ST_OK;
}

/* A few old collections have no index of _id. */
static bool has_order(const struct mo_listed *l)
{
	for (size_t i = 0; i < l->meta.indexes; i++) {
		bson_t key;

		if (mo_look_doc(l->meta.index[i], "key", &key) && bson_count_keys(&key) == 1 && mo_look_num(&key, "_id", 0) == 1)
			return true;
	}
	return false;
}

static enum status plan_reading(struct run *run, struct mo_dump *d, const struct mo_listed *l, struct mo_reading *r, struct size *s, struct error *err)
{
	const uint64_t above = mo_params(d->e)->split_above, piece = max_u64(above / 2, 1);

	r->shown = xasprintf("%s.%s", mo_dump_scope(d)->where.database, l->collection);
	r->documents = xstrdup(l->documents);
	r->raw_data = l->raw_data;
	r->at_moment = d->moment.has && !strlist_has(&mo_dump_scope(d)->later, l->meta.name);
	if (ask_size(run, d, l->collection, s, err))
		return err->code;
	if (s->bytes <= above || s->documents < 2 || l->meta.kind != MO_COLLECTION || mo_is_capped(l) || !has_order(l))
		return ST_OK;
	return find_borders(run, d, r, s, min_u64((s->bytes + piece - 1) / piece, MOST_RANGES), err);
}

/* ---- objects ---- */

static enum status give_units(const struct mo_reading *r, const struct size *s, struct dump_unit *u, const struct object_sink *objects, struct error *err)
{
	const size_t ranges = mo_ranges_count(&r->ranges);

	for (; u->range < ranges; u->range++) {
		u->estimated_bytes = s->bytes / ranges;
		if (objects->unit(objects->ctx, u, err))
			return err->code;
	}
	return ST_OK;
}

static enum status give_collection(struct run *run, struct mo_dump *d, const struct mo_listed *l, const json_t *facts, const struct object_sink *objects,
				   struct error *err)
{
	struct mo_reading *r = xcalloc(1, sizeof *r);
	struct dump_unit u = {.cookie = d->readings};
	struct size s = {0, 0};

	if ((d->readings & (d->readings - 1)) == 0)
		d->reading = xrealloc(d->reading, (d->readings ? d->readings * 2 : 1) * sizeof(struct mo_reading *));
	d->reading[d->readings++] = r;
	r->name = xstrdup(l->meta.name);
	if (plan_reading(run, d, l, r, &s, err))
		return error_add(err, "collection %s", r->shown);
	const char *component[] = {r->name};
	const struct dump_object o = {.name = r->name, .component = component, .components = 1, .ext = "bson", .facts = facts, .folder = &r->folder};
	if (objects->object(objects->ctx, &o, &u.object, err) || give_units(r, &s, &u, objects, err))
		return error_add(err, "collection %s", r->shown);
	return ST_OK;
}

static enum status give_listed(struct run *run, struct mo_dump *d, const struct object_sink *objects, struct error *err)
{
	const struct mo_listing *all = &mo_dump_scope(d)->listing;

	for (size_t i = 0; i < all->items; i++) {
		const struct mo_listed *l = &all->item[i];

		if (l->meta.kind == MO_VIEW)
			continue;
		CLEANUP(js_decref) json_t *facts = json_object();
		js_set_str(facts, "format", "bson");
		js_set_str(facts, "type", l->meta.kind == MO_TIMESERIES ? "timeseries" : "collection");
		if (mo_is_capped(l))
			js_set_bool(facts, "ordered", true);
		if (give_collection(run, d, l, facts, objects, err))
			return err->code;
	}
	return ST_OK;
}

/* ---- a digest: the objects of an archive, where they are on this server ---- */

struct giving {
	struct run *run;
	struct mo_dump *d;
	const struct object_sink *objects;
};

/* What is not there is not given: the caller misses it. */
static enum status give_recorded(void *ctx, const struct recorded_object *ro, struct error *err)
{
	struct giving *g = ctx;
	const struct mo_listed *l = mo_listed_named(&mo_dump_scope(g->d)->listing, ro->name);

	if (!l || l->meta.kind == MO_VIEW)
		return ST_OK;
	return give_collection(g->run, g->d, l, ro->facts, g->objects, err);
}

enum status mo_dump_objects(struct run *run, struct mo_dump *d, const struct object_sink *objects, struct error *err)
{
	struct giving g = {run, d, objects};
	struct mo_scope *s = mo_dump_scope(d);

	if (!d->recorded)
		return give_listed(run, d, objects, err);
	if (mo_list(run, d->c, &s->where, true, &s->listing, err))
		return err->code;
	return d->recorded->each(d->recorded->ctx, s->name, give_recorded, &g, err);
}
