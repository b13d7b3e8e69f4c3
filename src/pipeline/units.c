/* What of a scope is to be loaded, in units. The pages of the index are read once, in order; the members of a range were
 * appended nearly in order of their parts, so only those ahead of a missing one are held, and memory does not grow with their
 * number. */
#include "pipeline/load_internal.h"

#define UNIT_RAW ((uint64_t)64 << 20)
#define UNITS_SHARED 8u /* of an object, where they may be smaller */
#define UNIT_PARTS 8192u /* rows of the index that a loader holds at a time */
#define SMALL_OBJECT ((uint64_t)16 << 20)
#define NOT_WANTED UINT32_MAX

/* What is kept of a member until its turn comes. */
struct early {
	uint32_t part, page, raw;
	bool open;
	uint64_t rows;
};

struct range_state {
	uint32_t range, next_part;
	bool open; /* the last member taken ends inside a row */
	bool has_unit;
	struct load_plan_unit unit; /* being filled */
	struct early *early;        /* by part */
	size_t earlies, cap;
};

struct object_state {
	uint32_t id, first_page, last_page;
	uint64_t members, rows, raw; /* still to come */
	struct hash128 digest;       /* as the root says */
	struct hash128 digest_now;
	uint64_t size;
	uint64_t unit;               /* bytes after which a unit ends */
	bool ordered;                /* each range is one unit: its rows come in their order */
	char *name;
	struct range_state *range; /* by number, those that have members */
	size_t ranges, cap;
};

struct listing {
	const struct load_pipeline_spec *spec;
	const char *scope;
	struct unit_list *to;
	struct object_state *object;
	size_t objects, cap;
	uint32_t *index; /* by object number: in `object`, or NOT_WANTED */
	bool *page_wanted;
};

static void listing_release(struct listing *l)
{
	for (size_t i = 0; i < l->objects; i++) {
		for (size_t k = 0; k < l->object[i].ranges; k++)
			free(l->object[i].range[k].early);
		free(l->object[i].range);
		free(l->object[i].name);
	}
	free(l->object);
	free(l->index);
	free(l->page_wanted);
}

/* ---- objects ---- */

static uint64_t unit_of(const struct load_pipeline_spec *spec, uint64_t raw)
{
	return spec->unit_least ? min_u64(max_u64(raw / UNITS_SHARED, spec->unit_least), UNIT_RAW) : UNIT_RAW;
}

static enum status see_object(void *ctx, const struct archive_object *o, struct error *err)
{
	struct listing *l = ctx;
	const struct recorded_object r = recorded_of(o);

	(void)err;
	l->index[o->id] = NOT_WANTED;
	if (strcmp(o->kind, "table") || strcmp(o->scope, l->scope) || !l->spec->wants(l->spec->wants_ctx, &r) || !o->members)
		return ST_OK;
	if (l->objects == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->object = xrealloc(l->object, l->cap * sizeof *l->object);
	}
	l->index[o->id] = (uint32_t)l->objects;
	l->object[l->objects++] = (struct object_state){.id = o->id,
							.first_page = o->first_page,
							.last_page = o->last_page,
							.members = o->members,
							.rows = o->rows,
							.raw = o->raw,
							.size = o->raw,
							.unit = unit_of(l->spec, o->raw),
							.ordered = js_opt_bool(o->facts, "ordered", false),
							.digest = o->digest,
							.name = xstrdup(o->name)};
	for (uint32_t p = o->first_page; p <= o->last_page; p++)
		l->page_wanted[p] = true;
	return ST_OK;
}

/* ---- members ---- */

static struct range_state *range_of(struct object_state *o, uint32_t range)
{
	size_t i = o->ranges;

	while (i && o->range[i - 1].range > range)
		i--;
	if (i && o->range[i - 1].range == range)
		return &o->range[i - 1];
	if (o->ranges == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 1;
		o->range = xrealloc(o->range, o->cap * sizeof *o->range);
	}
	memmove(&o->range[i + 1], &o->range[i], (o->ranges - i) * sizeof *o->range);
	o->range[i] = (struct range_state){.range = range};
	o->ranges++;
	return &o->range[i];
}

static void end_unit(struct listing *l, struct range_state *s)
{
	struct unit_list *to = l->to;

	if (!s->has_unit)
		return;
	if (to->units == to->cap) {
		to->cap = to->cap ? to->cap * 2 : 64;
		to->unit = xrealloc(to->unit, to->cap * sizeof *to->unit);
	}
	to->unit[to->units++] = s->unit;
	s->has_unit = false;
}

/* The next part of the range. */
static void take_part(struct listing *l, const struct object_state *o, struct range_state *s, const struct early *e)
{
	struct load_plan_unit *u = &s->unit;

	if (!s->has_unit)
		*u = (struct load_plan_unit){
			.object = o->id, .range = s->range, .first_part = e->part, .first_page = e->page, .last_page = e->page};
	s->has_unit = true;
	u->parts++;
	u->rows += e->rows;
	u->raw += e->raw;
	u->first_page = e->page < u->first_page ? e->page : u->first_page;
	u->last_page = e->page > u->last_page ? e->page : u->last_page;
	s->next_part = e->part + 1;
	s->open = e->open;
	if (!e->open && !o->ordered && (u->raw >= o->unit || u->parts >= UNIT_PARTS))
		end_unit(l, s);
}

static void hold_early(struct range_state *s, const struct early *e)
{
	size_t i = s->earlies;

	if (s->earlies == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 8;
		s->early = xrealloc(s->early, s->cap * sizeof *s->early);
	}
	while (i && s->early[i - 1].part > e->part)
		i--;
	memmove(&s->early[i + 1], &s->early[i], (s->earlies - i) * sizeof *s->early);
	s->early[i] = *e;
	s->earlies++;
}

static void take_earlies(struct listing *l, const struct object_state *o, struct range_state *s)
{
	size_t i = 0;

	while (i < s->earlies && s->early[i].part == s->next_part)
		take_part(l, o, s, &s->early[i++]);
	if (!i)
		return;
	s->earlies -= i;
	memmove(s->early, s->early + i, s->earlies * sizeof *s->early);
}

static enum status see_member(struct listing *l, struct object_state *o, const struct member_row *row, uint32_t page,
			      struct error *err)
{
	struct range_state *s = range_of(o, row->range);
	const struct early e = {.part = row->part, .page = page, .raw = row->raw, .open = row->open, .rows = row->rows};

	if (!o->members || row->rows > o->rows || row->raw > o->raw || row->part < s->next_part || page < o->first_page ||
	    page > o->last_page)
		return error_set(err, ST_BAD, "%s: the index lists part %04" PRIu32 "-%08" PRIu32 " twice, or one too many", o->name,
				 row->range, row->part);
	o->members--;
	o->rows -= row->rows;
	o->raw -= row->raw;
	o->digest_now = hash128_add(o->digest_now, row->digest);
	if (row->part == s->next_part) {
		take_part(l, o, s, &e);
		take_earlies(l, o, s);
	} else {
		hold_early(s, &e);
	}
	return ST_OK;
}

static enum status end_object(struct listing *l, struct object_state *o, struct error *err)
{
	for (size_t i = 0; i < o->ranges; i++) {
		struct range_state *s = &o->range[i];

		if (s->earlies || s->open)
			return error_set(err, ST_BAD, "%s: the index lacks part %04" PRIu32 "-%08" PRIu32, o->name, s->range,
					 s->next_part);
		end_unit(l, s);
	}
	if (o->members || o->rows || o->raw || !hash128_equal(o->digest, o->digest_now))
		return error_set(err, ST_BAD, "%s: the pages of the index and its root disagree", o->name);
	return ST_OK;
}

static enum status see_page(struct listing *l, struct pages *pages, uint32_t page, struct error *err)
{
	const struct member_row *rows;
	size_t n;

	if (pages_get(pages, page, &rows, &n, err))
		return err->code;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = l->index[rows[i].object];

		if (at != NOT_WANTED && see_member(l, &l->object[at], &rows[i], page, err))
			return err->code;
	}
	return ST_OK;
}

#define NAMED 3u

/* A salvage goes on past members, not past a page: without it nobody knows where they lie. Others than its objects can still be had. */
static void advise(const struct listing *l, uint32_t page, struct error *err)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < l->objects; i++)
		if (l->object[i].first_page <= page && page <= l->object[i].last_page && n++ < NAMED)
			buf_printf(&names, "%s%s", n > 1 ? ", " : "", l->object[i].name);
	if (n > NAMED)
		buf_printf(&names, " and %zu more", n - NAMED);
	(void)error_hint(err, "The page may list %s: without them, by --exclude-table, the others can be loaded; the commands of "
			      "RESTORE.txt need no index.", buf_str(&names));
}

/* ---- order ---- */

/* Large objects by size, so that the end of a load is not one connection at work on the last of them. Small ones as they lie in the
 * index. The units of an object stay together, in order. */
static int by_object(const void *a, const void *b)
{
	const struct object_state *x = a, *y = b;
	bool small_x = x->size < SMALL_OBJECT, small_y = y->size < SMALL_OBJECT;

	if (small_x != small_y)
		return small_x ? 1 : -1;
	if (!small_x && x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (small_x && x->first_page != y->first_page)
		return x->first_page < y->first_page ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* rank is the place of an object in the order. */
static int by_rank(const void *a, const void *b, void *rank)
{
	const struct load_plan_unit *x = a, *y = b;
	const uint32_t *r = rank;

	if (x->object != y->object)
		return r[x->object] < r[y->object] ? -1 : 1;
	if (x->range != y->range)
		return x->range < y->range ? -1 : 1;
	return (x->first_part > y->first_part) - (x->first_part < y->first_part);
}

static void sort_units(struct listing *l)
{
	if (!l->to->units)
		return;
	qsort(l->object, l->objects, sizeof *l->object, by_object);
	for (size_t i = 0; i < l->objects; i++)
		l->index[l->object[i].id] = (uint32_t)i;
	qsort_r(l->to->unit, l->to->units, sizeof *l->to->unit, by_rank, l->index);
}

enum status units_list(struct run *run, struct pages *pages, const struct load_pipeline_spec *spec, const char *scope,
		       struct unit_list *to, struct error *err)
{
	struct archive_reader *r = spec->reader;
	uint32_t page_count = archive_page_count(r);
	CLEANUP(listing_release) struct listing l = {.spec = spec, .scope = scope, .to = to};

	l.index = xcalloc((size_t)archive_object_count(r) + 1, sizeof *l.index);
	l.page_wanted = xcalloc((size_t)page_count + 1, sizeof *l.page_wanted);
	if (archive_each_object(r, see_object, &l, err))
		return err->code;
	for (uint32_t p = 0; p < page_count; p++)
		if (l.page_wanted[p] && (run_check(run, err) || see_page(&l, pages, p, err))) {
			if (spec->salvage && err->code == ST_BAD)
				advise(&l, p, err);
			return err->code;
		}
	for (size_t i = 0; i < l.objects; i++)
		if (end_object(&l, &l.object[i], err))
			return err->code;
	sort_units(&l);
	return ST_OK;
}
