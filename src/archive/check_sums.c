#include "archive/check.h"

/* Parts of a range come in any order: their count, the greatest number and the sum of a hash of each number tell whether each of
 * 0 ... greatest was there once. */
struct range_sums {
	uint32_t object, range, greatest;
	bool open, used; /* open: of the greatest */
	uint64_t parts, hash_sum;
};

struct check_sums {
	struct object_sums *object;
	uint32_t objects;
	struct range_sums *slot; /* open addressing, cap is a power of two */
	size_t cap, used;
};

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

struct check_sums *check_sums_new(uint32_t objects)
{
	struct check_sums *s = xcalloc(1, sizeof *s);

	s->object = xcalloc(objects, sizeof *s->object);
	s->objects = objects;
	s->cap = 64;
	s->slot = xcalloc(s->cap, sizeof *s->slot);
	return s;
}

void check_sums_freep(struct check_sums **s)
{
	if (!*s)
		return;
	free((*s)->object);
	free((*s)->slot);
	free(*s);
	*s = NULL;
}

static struct range_sums *find(struct range_sums *slot, size_t cap, uint32_t object, uint32_t range)
{
	size_t i = mix((uint64_t)object << 32 | range) & (cap - 1);

	while (slot[i].used && (slot[i].object != object || slot[i].range != range))
		i = (i + 1) & (cap - 1);
	return &slot[i];
}

static void grow(struct check_sums *s)
{
	struct range_sums *slot = xcalloc(s->cap * 2, sizeof *slot);

	for (size_t i = 0; i < s->cap; i++)
		if (s->slot[i].used)
			*find(slot, s->cap * 2, s->slot[i].object, s->slot[i].range) = s->slot[i];
	free(s->slot);
	s->slot = slot;
	s->cap *= 2;
}

static void add_part(struct check_sums *s, const struct member_row *row)
{
	struct range_sums *r = find(s->slot, s->cap, row->object, row->range);

	if (!r->used) {
		*r = (struct range_sums){.object = row->object, .range = row->range, .used = true};
		s->used++;
	}
	if (row->part >= r->greatest) {
		r->greatest = row->part;
		r->open = row->open;
	}
	r->parts++;
	r->hash_sum += mix(row->part);
	if (s->used * 2 > s->cap)
		grow(s);
}

void check_sums_add(struct check_sums *s, const struct member_row *row, bool table, uint32_t page)
{
	struct object_sums *o = &s->object[row->object];

	if (!o->members++)
		o->first_page = page;
	o->last_page = page;
	o->rows += row->rows;
	o->raw += row->raw;
	o->digest = hash128_add(o->digest, row->digest);
	if (!table)
		return;
	if (o->ranges <= row->range)
		o->ranges = row->range + 1;
	add_part(s, row);
}

const char *check_sums_compare(const struct check_sums *s, const struct archive_object *o)
{
	const struct object_sums *got = &s->object[o->id];

	if (got->members != o->members)
		return "members are missing or too many";
	if (got->rows != o->rows)
		return "the sum of its rows differs";
	if (got->raw != o->raw)
		return "the sum of its bytes differs";
	if (!hash128_equal(got->digest, o->digest))
		return "the digest of its rows differs";
	if (got->ranges != o->ranges || got->first_page != o->first_page || got->last_page != o->last_page)
		return "its ranges or pages differ";
	return NULL;
}

static bool is_whole(const struct range_sums *r)
{
	uint64_t sum = 0;

	if (r->open || r->parts != (uint64_t)r->greatest + 1)
		return false;
	for (uint64_t i = 0; i <= r->greatest; i++)
		sum += mix(i);
	return sum == r->hash_sum;
}

void check_sums_ranges(const struct check_sums *s, void (*fn)(void *ctx, uint32_t object, uint32_t range), void *ctx)
{
	for (size_t i = 0; i < s->cap; i++)
		if (s->slot[i].used && !is_whole(&s->slot[i]))
			fn(ctx, s->slot[i].object, s->slot[i].range);
}
