#include <math.h>

#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

/* ---- a small evaluator of filters, after the server's rules ---- */

/* Types that are compared with one another: numbers, strings and symbols; every other type only with itself. */
static int bracket(bson_type_t t)
{
	switch (t) {
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
	case BSON_TYPE_DECIMAL128:
		return BSON_TYPE_DOUBLE;
	case BSON_TYPE_SYMBOL:
		return BSON_TYPE_UTF8;
	default:
		return (int)t;
	}
}

static long double number(const bson_iter_t *it)
{
	bson_decimal128_t d;
	char text[BSON_DECIMAL128_STRING];

	if (!BSON_ITER_HOLDS_DECIMAL128(it))
		return BSON_ITER_HOLDS_DOUBLE(it) ? (long double)bson_iter_double(it) : (long double)bson_iter_as_int64(it);
	CHECK(bson_iter_decimal128(it, &d));
	bson_decimal128_to_string(&d, text);
	return strtold(text, NULL);
}

static int sign(long double a, long double b) { return (a > b) - (a < b); }

static int bytes(const void *a, size_t n, const void *b, size_t m)
{
	const int order = memcmp(a, b, n < m ? n : m);

	return order ? order : sign(n, m);
}

/* Both of one bracket, no NaN. */
static int order(const bson_iter_t *a, const bson_iter_t *b)
{
	const bson_value_t *x = bson_iter_value((bson_iter_t *)(uintptr_t)a), *y = bson_iter_value((bson_iter_t *)(uintptr_t)b);

	switch (bracket(x->value_type)) {
	case BSON_TYPE_DOUBLE:
		return sign(number(a), number(b));
	case BSON_TYPE_UTF8:
		return bytes(x->value.v_utf8.str, x->value.v_utf8.len, y->value.v_utf8.str, y->value.v_utf8.len);
	case BSON_TYPE_OID:
		return bson_oid_compare(&x->value.v_oid, &y->value.v_oid);
	case BSON_TYPE_DATE_TIME:
		return sign(x->value.v_datetime, y->value.v_datetime);
	case BSON_TYPE_TIMESTAMP:
		if (x->value.v_timestamp.timestamp != y->value.v_timestamp.timestamp)
			return sign(x->value.v_timestamp.timestamp, y->value.v_timestamp.timestamp);
		return sign(x->value.v_timestamp.increment, y->value.v_timestamp.increment);
	case BSON_TYPE_BINARY:
		if (x->value.v_binary.data_len != y->value.v_binary.data_len)
			return sign(x->value.v_binary.data_len, y->value.v_binary.data_len);
		if (x->value.v_binary.subtype != y->value.v_binary.subtype)
			return sign(x->value.v_binary.subtype, y->value.v_binary.subtype);
		return bytes(x->value.v_binary.data, x->value.v_binary.data_len, y->value.v_binary.data, y->value.v_binary.data_len);
	default:
		/* Documents: the order of the members' bytes does for the test, as long as it is one. */
		return bytes(x->value.v_doc.data, x->value.v_doc.data_len, y->value.v_doc.data, y->value.v_doc.data_len);
	}
}

/* What is no number is equal to itself only. */
static bool compares(const bson_iter_t *id, const char *op, const bson_iter_t *with)
{
	if (bracket(bson_iter_type(id)) != bracket(bson_iter_type(with)))
		return false;
	if (bracket(bson_iter_type(id)) == BSON_TYPE_DOUBLE && (isnan(number(id)) || isnan(number(with))))
		return !strcmp(op, "$gte") && isnan(number(id)) && isnan(number(with));
	return !strcmp(op, "$gte") ? order(id, with) >= 0 : order(id, with) < 0;
}

static bool has_type(const bson_iter_t *id, const bson_iter_t *list)
{
	bson_iter_t it;

	CHECK(BSON_ITER_HOLDS_ARRAY(list) && bson_iter_recurse(list, &it));
	while (bson_iter_next(&it))
		if ((int8_t)bson_iter_int32(&it) == (int8_t)bson_iter_type(id))
			return true;
	return false;
}

/* id NULL: the document has none. All operators of {_id: {...}}. */
static bool id_fits(const bson_iter_t *id, const bson_iter_t *operators)
{
	bson_iter_t it, child;

	if (BSON_ITER_HOLDS_NULL(operators))
		return !id || BSON_ITER_HOLDS_NULL(id);
	CHECK(BSON_ITER_HOLDS_DOCUMENT(operators) && bson_iter_recurse(operators, &it));
	while (bson_iter_next(&it)) {
		const char *op = bson_iter_key(&it);
		bool fits;

		if (!strcmp(op, "$type")) {
			fits = id && has_type(id, &it);
		} else if (!strcmp(op, "$not")) {
			fits = !id_fits(id, &it);
		} else {
			CHECK(!strcmp(op, "$gte") || !strcmp(op, "$lt"));
			child = it;
			fits = id && compares(id, op, &child);
		}
		if (!fits)
			return false;
	}
	return true;
}

static bool fits(const bson_t *document, const bson_iter_t *filter_at)
{
	bson_iter_t it = *filter_at, id, each, one;
	const bool has = bson_iter_init_find(&id, document, "_id");

	while (bson_iter_next(&it)) {
		if (!strcmp(bson_iter_key(&it), "_id")) {
			if (!id_fits(has ? &id : NULL, &it))
				return false;
			continue;
		}
		bool any = false;
		CHECK(!strcmp(bson_iter_key(&it), "$or") && bson_iter_recurse(&it, &each));
		while (bson_iter_next(&each)) {
			CHECK(bson_iter_recurse(&each, &one));
			any |= fits(document, &one);
		}
		if (!any)
			return false;
	}
	return true;
}

/* ---- documents ---- */

/* {_id: ...} of all kinds, and one without. */
struct documents {
	bson_t *doc[120];
	size_t n;
};

static void documents_release(struct documents *d)
{
	for (size_t i = 0; i < d->n; i++)
		bson_destroy(d->doc[i]);
}

static void all_documents(struct documents *d)
{
	for (size_t k = 0; k < ID_KINDS; k++)
		for (size_t i = 0; i < id_kinds[k].n; i++)
			d->doc[d->n++] = document_with_id(id_kinds[k].text[i]);
	d->doc[d->n++] = document("{'a':1}");
	CHECK(d->n < ARRAY_LEN(d->doc));
}

struct sample {
	bson_value_t v[200];
	size_t n;
};

static void sample_release(struct sample *s)
{
	for (size_t i = 0; i < s->n; i++)
		bson_value_destroy(&s->v[i]);
}

static void add_sample(struct sample *s, const char *text)
{
	CLEANUP(mo_bson_freep) bson_t *b = document_with_id(text);
	bson_iter_t it;

	CHECK(bson_iter_init_find(&it, b, "_id") && s->n < ARRAY_LEN(s->v));
	bson_value_copy(bson_iter_value(&it), &s->v[s->n++]);
}

/* Each document is in exactly one range. */
static void check_partition(const struct mo_ranges *r)
{
	CLEANUP(documents_release) struct documents all = {.n = 0};

	all_documents(&all);
	for (size_t i = 0; i < all.n; i++) {
		size_t in = 0;

		for (size_t k = 0; k < mo_ranges_count(r); k++) {
			CLEANUP(mo_bson_clear) bson_t filter = BSON_INITIALIZER;
			bson_iter_t it;

			mo_ranges_filter(r, k, &filter);
			CHECK(bson_iter_init(&it, &filter));
			in += fits(all.doc[i], &it);
		}
		if (in != 1)
			test_fail(__FILE__, __LINE__, "%s is in %zu ranges", printed(all.doc[i]), in);
	}
}

TEST("ranges of _id have each document in exactly one of them, whatever type _id is of and of which class the borders are")
{
	for (size_t k = 0; k < ID_OTHERS; k++)
		for (size_t count = 2; count < 30; count++) {
			CLEANUP(sample_release) struct sample s = {.n = 0};
			CLEANUP(mo_ranges_release) struct mo_ranges r = MO_RANGES_INIT;

			for (size_t i = 0; i < id_kinds[k].n; i++)
				add_sample(&s, id_kinds[k].text[i]);
			if (id_kinds[k].sorted) {
				/* Strings and symbols, documents: in the order in which the evaluator has them. */
				for (size_t i = 0; i < s.n; i++)
					for (size_t m = i + 1; m < s.n; m++) {
						CLEANUP(mo_bson_clear) bson_t a = BSON_INITIALIZER, b = BSON_INITIALIZER;
						bson_iter_t x, y;

						BSON_APPEND_VALUE(&a, "v", &s.v[i]);
						BSON_APPEND_VALUE(&b, "v", &s.v[m]);
						CHECK(bson_iter_init_find(&x, &a, "v") && bson_iter_init_find(&y, &b, "v"));
						if (order(&x, &y) > 0) {
							const bson_value_t swap = s.v[i];
							s.v[i] = s.v[m];
							s.v[m] = swap;
						}
					}
			}
			mo_ranges_choose(s.v, s.n, id_kinds[k].sorted, count, &r);
			CHECK(r.borders > 0 && r.borders < count);
			CHECK_INT(mo_ranges_count(&r), r.borders + 2);
			check_partition(&r);
		}
}

static size_t borders_of(const char *const *text, size_t n, bool sorted, size_t count)
{
	CLEANUP(sample_release) struct sample s = {.n = 0};
	CLEANUP(mo_ranges_release) struct mo_ranges r = MO_RANGES_INIT;

	for (size_t i = 0; i < n; i++)
		add_sample(&s, text[i]);
	mo_ranges_choose(s.v, s.n, sorted, count, &r);
	check_partition(&r);
	return r.borders;
}

TEST("a collection whose _id are of no one class, cannot be ordered or are all alike is read in one go")
{
	static const char *const mixed[] = {"1", "'a'", "{'$oid':'000000000000000000000000'}", "2"}, *const alike[] = {"1", "1", "{'$numberDouble':'1.0'}"},
				 *const flags[] = {"true", "false", "null"}, *const nan[] = {"{'$numberDouble':'NaN'}", "{'$numberDouble':'Infinity'}", "{'$numberDecimal':'NaN'}"};

	CHECK_INT(borders_of(mixed, ARRAY_LEN(mixed), true, 4), 0);
	CHECK_INT(borders_of(alike, ARRAY_LEN(alike), true, 4), 0);
	CHECK_INT(borders_of(flags, ARRAY_LEN(flags), true, 4), 0);
	CHECK_INT(borders_of(nan, ARRAY_LEN(nan), true, 4), 0);
	CHECK_INT(borders_of(id_kinds[ID_STRINGS].text, id_kinds[ID_STRINGS].n, false, 4), 0);
	CHECK_INT(borders_of(id_kinds[ID_OBJECTS].text, id_kinds[ID_OBJECTS].n, false, 4), 0);
	CHECK_INT(borders_of(id_kinds[ID_NUMBERS].text, id_kinds[ID_NUMBERS].n, false, 1), 0);
	CHECK_INT(borders_of(flags, 0, false, 4), 0);
}

TEST("a collection that is read in one go has one range without a filter")
{
	const struct mo_ranges r = MO_RANGES_INIT;
	CLEANUP(mo_bson_clear) bson_t filter = BSON_INITIALIZER;

	CHECK_INT(mo_ranges_count(&r), 1);
	mo_ranges_filter(&r, 0, &filter);
	CHECK_STR(printed(&filter), "{}");
}

static const char *filter_of(const struct mo_ranges *r, size_t i)
{
	CLEANUP(mo_bson_clear) bson_t filter = BSON_INITIALIZER;

	mo_ranges_filter(r, i, &filter);
	return printed(&filter);
}

TEST("the filters of ranges name types so that an index of _id bounds each of them")
{
	static const char *const ids[] = {"{'$oid':'000000000000000000000003'}", "{'$oid':'000000000000000000000001'}", "{'$oid':'000000000000000000000002'}", "7"};
	CLEANUP(sample_release) struct sample s = {.n = 0};
	CLEANUP(mo_ranges_release) struct mo_ranges r = MO_RANGES_INIT;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		add_sample(&s, ids[i]);
	mo_ranges_choose(s.v, s.n, false, 3, &r);
	CHECK_INT(r.type_class, mo_type_class(BSON_TYPE_OID));
	CHECK_INT(mo_ranges_count(&r), 4);
	CHECK_STR(filter_of(&r, 0), "{'_id':{'$type':[{'$numberInt':'7'}],'$not':{'$gte':{'$oid':'000000000000000000000002'}}}}");
	CHECK_STR(filter_of(&r, 1), "{'_id':{'$gte':{'$oid':'000000000000000000000002'},'$lt':{'$oid':'000000000000000000000003'}}}");
	CHECK_STR(filter_of(&r, 2), "{'_id':{'$gte':{'$oid':'000000000000000000000003'}}}");
	CHECK_HAS(filter_of(&r, 3), "{'$or':[{'_id':{'$type':[{'$numberInt':'1'},{'$numberInt':'2'},{'$numberInt':'3'},{'$numberInt':'5'},{'$numberInt':'6'},"
				    "{'$numberInt':'8'},");
	CHECK_HAS(filter_of(&r, 3), "{'$numberInt':'19'},{'$numberInt':'-1'},{'$numberInt':'127'}]}},{'_id':null}]}");
}

TEST("borders divide a sample of numbers of all types into parts of about the same size")
{
	CLEANUP(sample_release) struct sample s = {.n = 0};
	CLEANUP(mo_ranges_release) struct mo_ranges r = MO_RANGES_INIT;

	for (int i = 0; i < 100; i++) {
		static const char *const forms[] = {"{'$numberInt':'%d'}", "{'$numberLong':'%d'}", "{'$numberDouble':'%d.0'}", "{'$numberDecimal':'%d'}"};
		CLEANUP(buf_release) struct buf text = BUF_INIT;
		const char *form = forms[i % 4], *percent = strchr(form, '%');

		buf_put(&text, form, (size_t)(percent - form));
		buf_printf(&text, "%d%s", i * 37 % 100, percent + 2);
		add_sample(&s, buf_str(&text));
	}
	mo_ranges_choose(s.v, s.n, false, 4, &r);
	CHECK_INT(r.borders, 3);
	for (size_t i = 0; i < r.borders; i++) {
		CLEANUP(mo_bson_clear) bson_t b = BSON_INITIALIZER;
		bson_iter_t it;

		BSON_APPEND_VALUE(&b, "v", &r.border[i]);
		CHECK(bson_iter_init_find(&it, &b, "v"));
		CHECK_INT(number(&it), 25 * (i + 1));
	}
}

TEST("a value of _id of many kilobytes is no border")
{
	CLEANUP(sample_release) struct sample s = {.n = 0};
	CLEANUP(mo_ranges_release) struct mo_ranges r = MO_RANGES_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	buf_puts(&text, "'z");
	for (int i = 0; i < 5000; i++)
		buf_putc(&text, 'x');
	buf_putc(&text, '\'');
	add_sample(&s, "'a'");
	add_sample(&s, "'b'");
	add_sample(&s, buf_str(&text));
	mo_ranges_choose(s.v, s.n, true, 50, &r);
	CHECK_INT(r.borders, 1);
	CHECK_STR(r.border[0].value.v_utf8.str, "b");
}
