/* Ranges of _id: classes of types, borders, filters. */
#include <math.h>

#include "drivers/mongodb/meta.h"

/* A longer value is no border: it would go through the network with each question. */
#define BORDER_MOST 4096u

/* Types by number, as $type takes them. All of a class are compared with one another. Arrays cannot be _id; what else cannot costs nothing here. */
struct type_class {
	int8_t type[5]; /* the first is the class's name; ends by 0 */
	bool ours;      /* its order can be told here */
};
static const struct type_class classes[] = {
	{{BSON_TYPE_DOUBLE, BSON_TYPE_INT32, BSON_TYPE_INT64, BSON_TYPE_DECIMAL128}, true},
	{{BSON_TYPE_UTF8, BSON_TYPE_SYMBOL}, false},
	{{BSON_TYPE_DOCUMENT}, false},
	{{BSON_TYPE_BINARY}, true},
	{{BSON_TYPE_OID}, true},
	{{BSON_TYPE_DATE_TIME}, true},
	{{BSON_TYPE_TIMESTAMP}, true},
};
static const int8_t all_types[] = {
	BSON_TYPE_DOUBLE, BSON_TYPE_UTF8, BSON_TYPE_DOCUMENT, BSON_TYPE_BINARY, BSON_TYPE_UNDEFINED, BSON_TYPE_OID, BSON_TYPE_BOOL, BSON_TYPE_DATE_TIME,
	BSON_TYPE_NULL, BSON_TYPE_REGEX, BSON_TYPE_DBPOINTER, BSON_TYPE_CODE, BSON_TYPE_SYMBOL, BSON_TYPE_CODEWSCOPE, BSON_TYPE_INT32,
	BSON_TYPE_TIMESTAMP, BSON_TYPE_INT64, BSON_TYPE_DECIMAL128, -1, BSON_TYPE_MAXKEY,
};

static const struct type_class *class_of(int type)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		for (size_t k = 0; classes[i].type[k]; k++)
			if (classes[i].type[k] == type)
				return &classes[i];
	return NULL;
}

int mo_type_class(bson_type_t t)
{
	const struct type_class *c = class_of((int)t);

	return c ? c->type[0] : -1;
}

void mo_ranges_release(struct mo_ranges *r)
{
	for (size_t i = 0; i < r->borders; i++)
		bson_value_destroy(&r->border[i]);
	free(r->border);
	*r = (struct mo_ranges)MO_RANGES_INIT;
}

/* ---- order ---- */

static int three_way(bool less, bool more) { return more - less; }

/* d is finite. */
static int whole_to_double(int64_t i, double d)
{
	if (d >= 9223372036854775808.0)
		return -1;
	if (d < -9223372036854775808.0)
		return 1;
	const int64_t whole = (int64_t)d;
	if (i != whole)
		return three_way(i < whole, i > whole);
	return three_way((double)whole < d, (double)whole > d);
}

static int compare_numbers(const bson_value_t *a, const bson_value_t *b)
{
	const bool a_double = a->value_type == BSON_TYPE_DOUBLE, b_double = b->value_type == BSON_TYPE_DOUBLE;
	const int64_t i = a->value_type == BSON_TYPE_INT32 ? a->value.v_int32 : a_double ? 0 : a->value.v_int64;
	const int64_t k = b->value_type == BSON_TYPE_INT32 ? b->value.v_int32 : b_double ? 0 : b->value.v_int64;

	if (a_double && b_double)
		return three_way(a->value.v_double < b->value.v_double, a->value.v_double > b->value.v_double);
	if (b_double)
		return whole_to_double(i, b->value.v_double);
	if (a_double)
		return -whole_to_double(k, a->value.v_double);
	return three_way(i < k, i > k);
}

/* By length, subtype, bytes. */
static int compare_binary(const bson_value_t *a, const bson_value_t *b)
{
	const uint32_t n = a->value.v_binary.data_len, m = b->value.v_binary.data_len;
	const unsigned x = (unsigned)a->value.v_binary.subtype, y = (unsigned)b->value.v_binary.subtype;

	if (n != m || x != y)
		return n != m ? three_way(n < m, n > m) : three_way(x < y, x > y);
	return n ? memcmp(a->value.v_binary.data, b->value.v_binary.data, n) : 0;
}

/* Both of one class whose order is ours. */
static int compare(const void *p, const void *q)
{
	const bson_value_t *a = *(const bson_value_t *const *)p, *b = *(const bson_value_t *const *)q;
	const uint32_t t = a->value.v_timestamp.timestamp, u = b->value.v_timestamp.timestamp;

	switch (mo_type_class(a->value_type)) {
	case BSON_TYPE_DOUBLE:
		return compare_numbers(a, b);
	case BSON_TYPE_BINARY:
		return compare_binary(a, b);
	case BSON_TYPE_OID:
		return bson_oid_compare(&a->value.v_oid, &b->value.v_oid);
	case BSON_TYPE_DATE_TIME:
		return three_way(a->value.v_datetime < b->value.v_datetime, a->value.v_datetime > b->value.v_datetime);
	default:
		if (t != u)
			return three_way(t < u, t > u);
		return three_way(a->value.v_timestamp.increment < b->value.v_timestamp.increment,
				 a->value.v_timestamp.increment > b->value.v_timestamp.increment);
	}
}

static bool is_same(const bson_value_t *a, const bson_value_t *b)
{
	bson_t x = BSON_INITIALIZER, y = BSON_INITIALIZER;
	const bool same = BSON_APPEND_VALUE(&x, "", a) && BSON_APPEND_VALUE(&y, "", b) && bson_equal(&x, &y);

	bson_destroy(&x);
	bson_destroy(&y);
	return same;
}

/* ---- borders ---- */

/* A decimal's place among the other numbers, as a number that can be told from them: any will do for a border. */
static bool decimal_as_double(const bson_value_t *v, double *d)
{
	char text[BSON_DECIMAL128_STRING];

	bson_decimal128_to_string(&v->value.v_decimal128, text);
	*d = strtod(text, NULL);
	return isfinite(*d);
}

bool mo_border_can_be(const bson_value_t *v, size_t *bytes)
{
	if (!class_of((int)v->value_type))
		return false;
	switch (v->value_type) {
	case BSON_TYPE_UTF8:
		*bytes = v->value.v_utf8.len;
		break;
	case BSON_TYPE_SYMBOL:
		*bytes = v->value.v_symbol.len;
		break;
	case BSON_TYPE_DOCUMENT:
		*bytes = v->value.v_doc.data_len;
		break;
	case BSON_TYPE_BINARY:
		*bytes = v->value.v_binary.data_len;
		break;
	default:
		*bytes = 0;
		break;
	}
	return *bytes <= BORDER_MOST;
}

/* Copies what can be a border. Infinities and what is no number would divide nothing. */
static bool border_of(const bson_value_t *v, bson_value_t *to)
{
	size_t bytes;
	double d;

	if (!mo_border_can_be(v, &bytes) || (v->value_type == BSON_TYPE_DOUBLE && !isfinite(v->value.v_double)))
		return false;
	if (v->value_type != BSON_TYPE_DECIMAL128) {
		bson_value_copy(v, to);
		return true;
	}
	if (!decimal_as_double(v, &d))
		return false;
	*to = (bson_value_t){.value_type = BSON_TYPE_DOUBLE, .value.v_double = d};
	return true;
}

/* The class that more than half of the samples are of; NULL. */
static const struct type_class *class_of_most(const bson_value_t *sample, size_t samples)
{
	for (size_t c = 0; c < ARRAY_LEN(classes); c++) {
		size_t n = 0;

		for (size_t i = 0; i < samples; i++)
			n += class_of((int)sample[i].value_type) == &classes[c];
		if (n > samples / 2)
			return &classes[c];
	}
	return NULL;
}

static void take_borders(bson_value_t *const *sorted, size_t n, size_t count, bool ours, struct mo_ranges *r)
{
	r->border = xcalloc(count, sizeof *r->border);
	for (size_t i = 1; i < count; i++) {
		bson_value_t *v = sorted[i * n / count];
		const bson_value_t *last = r->borders ? &r->border[r->borders - 1] : sorted[0];

		if (ours ? compare(&last, &v) < 0 : !is_same(last, v))
			bson_value_copy(v, &r->border[r->borders++]);
	}
	if (!r->borders)
		mo_ranges_release(r);
}

void mo_ranges_choose(const bson_value_t *sample, size_t samples, bool sorted, size_t count, struct mo_ranges *r)
{
	const struct type_class *c = class_of_most(sample, samples);

	mo_ranges_release(r);
	if (!c || (!c->ours && !sorted) || count < 2)
		return;
	bson_value_t *value = xcalloc(samples, sizeof *value), **pointer = xcalloc(samples, sizeof(bson_value_t *));
	size_t n = 0;

	for (size_t i = 0; i < samples; i++)
		if (class_of((int)sample[i].value_type) == c && border_of(&sample[i], &value[n])) {
			pointer[n] = &value[n];
			n++;
		}
	if (n && c->ours)
		qsort(pointer, n, sizeof *pointer, compare);
	r->type_class = c->type[0];
	if (n)
		take_borders(pointer, n, count, c->ours, r);
	for (size_t i = 0; i < n; i++)
		bson_value_destroy(&value[i]);
	free(value);
	free(pointer);
}

size_t mo_ranges_count(const struct mo_ranges *r) { return r->borders ? r->borders + 2 : 1; }

/* ---- filters ---- */

/* {$type: [...]} of a class, or of all that are not of it. */
static void append_types(const struct type_class *c, bool of_it, bson_t *to)
{
	char key[16];
	bson_t types;
	int n = 0;

	BSON_APPEND_ARRAY_BEGIN(to, "$type", &types);
	for (size_t i = 0; i < ARRAY_LEN(all_types); i++)
		if ((class_of(all_types[i]) == c) == of_it) {
			(void)snprintf(key, sizeof key, "%d", n++);
			BSON_APPEND_INT32(&types, key, all_types[i]);
		}
	bson_append_array_end(to, &types);
}

/* A document without _id is as good as one whose _id is null, and no type fits it. */
static void append_others(const struct type_class *c, bson_t *filter)
{
	bson_t either, one, id;

	BSON_APPEND_ARRAY_BEGIN(filter, "$or", &either);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "0", &one);
	BSON_APPEND_DOCUMENT_BEGIN(&one, "_id", &id);
	append_types(c, false, &id);
	bson_append_document_end(&one, &id);
	bson_append_document_end(&either, &one);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "1", &one);
	BSON_APPEND_NULL(&one, "_id");
	bson_append_document_end(&either, &one);
	bson_append_array_end(filter, &either);
}

void mo_ranges_filter(const struct mo_ranges *r, size_t i, bson_t *filter)
{
	const struct type_class *c = class_of(r->type_class);
	bson_t id, not;

	if (!r->borders)
		return;
	if (i > r->borders) {
		append_others(c, filter);
		return;
	}
	BSON_APPEND_DOCUMENT_BEGIN(filter, "_id", &id);
	if (!i) {
		/* What is no number is not below one either: so it is in the first range. */
		append_types(c, true, &id);
		BSON_APPEND_DOCUMENT_BEGIN(&id, "$not", &not);
		BSON_APPEND_VALUE(&not, "$gte", &r->border[0]);
		bson_append_document_end(&id, &not);
	} else {
		BSON_APPEND_VALUE(&id, "$gte", &r->border[i - 1]);
		if (i < r->borders)
			BSON_APPEND_VALUE(&id, "$lt", &r->border[i]);
	}
	bson_append_document_end(filter, &id);
}
