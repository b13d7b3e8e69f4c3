/* Ranges of _id against a real server: whatever types _id has, the documents of all ranges are those of the collection. */
#include "tests/conformance/mongodb_server.h"
#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"
#include "util/hash.h"

static struct run run = RUN_INIT;

struct found {
	size_t n;
	struct hash128 sum;
	bson_value_t id[4000]; /* where `keep` */
	bool keep;
};

static enum status find_one(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct found *f = ctx;
	bson_iter_t it;

	f->sum = hash128_add(f->sum, xxh128(bson_get_data(doc), doc->len));
	CHECK(bson_iter_init_find(&it, doc, "_id") && f->n < ARRAY_LEN(f->id));
	if (f->keep)
		bson_value_copy(bson_iter_value(&it), &f->id[f->n]);
	f->n++;
	return ST_OK;
}

static void found_release(struct found *f)
{
	for (size_t i = 0; i < f->n && f->keep; i++)
		bson_value_destroy(&f->id[i]);
}

static void find(struct mo_conn *c, const bson_t *filter, bool sorted, struct found *f)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	bson_t id;

	BSON_APPEND_UTF8(&command, "find", "c");
	BSON_APPEND_DOCUMENT(&command, "filter", filter);
	BSON_APPEND_DOCUMENT_BEGIN(&command, sorted ? "sort" : "hint", &id);
	BSON_APPEND_INT32(&id, "_id", 1);
	bson_append_document_end(&command, &id);
	CHECK_OK(mo_conn_each(&run, c, "ranges", &command, find_one, f, &err), err);
}

/* What the server does not take as _id is left out: arrays of types differ. */
static void insert(struct mo_conn *c, const char *id)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER, reply = BSON_INITIALIZER;
	CLEANUP(mo_bson_freep) bson_t *doc = document_with_id(id);
	CLEANUP(error_release) struct error err = ERROR_INIT;
	bson_t documents;

	BSON_APPEND_UTF8(&command, "insert", "c");
	BSON_APPEND_ARRAY_BEGIN(&command, "documents", &documents);
	BSON_APPEND_DOCUMENT(&documents, "0", doc);
	bson_append_array_end(&command, &documents);
	bson_destroy(&reply);
	if (mo_conn_command(&run, c, "ranges", &command, &reply, &err))
		CHECK(!mo_conn_lost(&err));
}

static void insert_kind(struct mo_conn *c, const struct id_kind *k)
{
	for (size_t i = 0; i < k->n; i++)
		insert(c, k->text[i]);
}

static int class_of_kind(size_t kind)
{
	CLEANUP(mo_bson_freep) bson_t *doc = document_with_id(id_kinds[kind].text[0]);
	bson_iter_t it;

	CHECK(bson_iter_init_find(&it, doc, "_id"));
	return mo_type_class(bson_iter_type(&it));
}

static void check_ranges(struct mo_conn *c, size_t kind, size_t count)
{
	static struct found whole, joined;
	CLEANUP(mo_ranges_release) struct mo_ranges r = MO_RANGES_INIT;
	CLEANUP(mo_bson_clear) bson_t none = BSON_INITIALIZER;
	bson_value_t sample[200];
	size_t samples = 0;

	whole = (struct found){.keep = true};
	joined = (struct found){.n = 0};
	find(c, &none, true, &whole);
	for (size_t i = 0; i < whole.n && samples < ARRAY_LEN(sample); i++)
		if (mo_type_class(whole.id[i].value_type) == class_of_kind(kind))
			sample[samples++] = whole.id[i];
	mo_ranges_choose(sample, samples, true, count, &r);
	CHECK(r.borders);
	for (size_t i = 0; i < mo_ranges_count(&r); i++) {
		CLEANUP(mo_bson_clear) bson_t filter = BSON_INITIALIZER;

		mo_ranges_filter(&r, i, &filter);
		find(c, &filter, false, &joined);
	}
	if (joined.n != whole.n || !hash128_equal(joined.sum, whole.sum))
		test_fail(__FILE__, __LINE__, "kind %zu in %zu parts: %zu documents instead of %zu", kind, count, joined.n, whole.n);
	found_release(&whole);
}

TEST("MongoDB: ranges of _id joined are the collection, for _id of each type alone and of all mixed")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	struct mo_test_server s;

	mo_test_server_share(&s);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
	for (size_t mixed = 0; mixed < 2; mixed++)
		for (size_t kind = 0; kind < ID_OTHERS; kind++) {
			if (!mixed)
				mo_test_server_command(&s, "ranges", "{\"dropDatabase\": 1}", NULL);
			for (size_t k = 0; k < ID_KINDS; k++)
				if (mixed ? !kind : k == kind)
					insert_kind(c, &id_kinds[k]);
			for (size_t count = 2; count < 20; count += 4)
				check_ranges(c, kind, count);
		}
	mo_test_server_stop(&s);
}
