#include "tests/conformance/mongodb_shop.h"

#include "drivers/mongodb/look.h"
#include "tests/conformance/mongodb_script.h"
#include "tests/lib/test.h"
#include "util/hash.h"

static struct run run = RUN_INIT;

static void join(struct mo_shop *f)
{
	f->s = (struct test_server){.driver = &driver_mongodb, .notes = f->mo.notes, .e = f->mo.e};
	/* The endpoint stays that of the fixture, whose password it borrows. */
	f->s.e.password = &f->mo.password;
	f->s.e.params = &f->mo.params;
	f->mo.e = f->s.e;
}

void mo_shop_start(struct mo_shop *f)
{
	mo_test_server_share(&f->mo);
	join(f);
}

void mo_shop_script(struct mo_shop *f, const char *script)
{
	mo_test_script_start(&f->mo, script);
	join(f);
}

void mo_shop_make(struct mo_shop *f)
{
	CLEANUP(buf_release) struct buf docs = BUF_INIT;

	mo_shop_start(f);
	for (int i = 0; i < 1000; i++)
		buf_printf(&docs, "%s{\"_id\": %d, \"customer\": %d, \"note\": \"note %d\", \"at\": {\"$date\": {\"$numberLong\": \"%lld\"}}}", i ? "," : "", i,
			   i % 100, i, 1700000000000ll + i);
	mo_test_server_insert(&f->mo, "shop", "orders", buf_str(&docs));
	mo_test_server_insert(&f->mo, "shop", "customers", "{\"_id\": {\"a\": 1}, \"name\": \"x\", \"mail\": \"x@y\"}, {\"_id\": \"two\", \"name\": null},"
							   "{\"_id\": {\"$oid\": \"65539d6a0000000000000001\"}, \"a.b\": 1, \"\": 2}");
	mo_test_server_command(&f->mo, "shop", "{\"create\": \"empty\"}", NULL);
	mo_test_server_command(&f->mo, "shop", "{\"createIndexes\": \"orders\", \"indexes\": [{\"key\": {\"customer\": 1, \"at\": -1}, \"name\": \"c\"},"
					       "{\"key\": {\"at\": 1}, \"name\": \"ttl\", \"expireAfterSeconds\": 2000000000}]}", NULL);
	mo_test_server_command(&f->mo, "shop", "{\"createIndexes\": \"customers\", \"indexes\": [{\"key\": {\"mail\": 1}, \"name\": \"m\", \"unique\": true,"
					       "\"partialFilterExpression\": {\"mail\": {\"$exists\": true}}}]}", NULL);
}

void mo_shop_stop(struct mo_shop *f) { mo_test_server_stop(&f->mo); }

/* ---- what is there ---- */

struct sum {
	struct hash128 digest;
	uint64_t n;
};

static enum status add_document(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct sum *s = ctx;

	s->digest = hash128_add(s->digest, xxh128(bson_get_data(doc), doc->len));
	s->n++;
	return ST_OK;
}

static struct sum sum_of(struct mo_shop *f, const char *database, const char *collection)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	struct error err = ERROR_INIT;
	struct sum s = {.n = 0};

	BSON_APPEND_UTF8(&command, "find", collection);
	CHECK_OK(mo_conn_open(&run, &f->mo.e, MO_READ, &c, &err), err);
	CHECK_OK(mo_conn_each(&run, c, database, &command, add_document, &s, &err), err);
	return s;
}

uint64_t mo_shop_count(struct mo_shop *f, const char *database, const char *collection) { return sum_of(f, database, collection).n; }

void mo_shop_check(struct mo_shop *f, struct kept *k, const char *database, const char *suffix)
{
	for (size_t i = 0; i < k->objects; i++) {
		const struct kept_object *o = &k->object[i];
		CLEANUP(cstr_release) char *name = xasprintf("%s%s", o->name, suffix);
		const struct sum has = sum_of(f, database, name);
		struct sum want = {.n = o->rows};
		uint64_t from = 0;

		for (size_t r = 0; r < o->rows; r++) {
			want.digest = hash128_add(want.digest, xxh128(o->row.data + from, (size_t)(o->end[r] - from)));
			from = o->end[r];
		}
		if (has.n != want.n || !hash128_equal(has.digest, want.digest) || !mo_shop_has(f, database, name))
			test_fail(__FILE__, __LINE__, "%s.%s has %" PRIu64 " documents, expected the %" PRIu64 " of the dump", database, name, has.n,
				  want.n);
	}
}

struct finding {
	const char *name;
	char *json;
};

static enum status find_named(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	struct finding *f = ctx;
	const char *name = mo_look_str(doc, "name");

	if (!name || strcmp(name, f->name))
		return ST_OK;
	char *json = bson_as_relaxed_extended_json(doc, NULL);
	free(f->json);
	f->json = xstrdup(json);
	bson_free(json);
	return ST_OK;
}

static char *find(struct mo_shop *f, const char *database, const bson_t *command, const char *name)
{
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	struct error err = ERROR_INIT;
	struct finding found = {.name = name};

	CHECK_OK(mo_conn_open(&run, &f->mo.e, MO_READ, &c, &err), err);
	CHECK_OK(mo_conn_each(&run, c, database, command, find_named, &found, &err), err);
	return found.json ? found.json : xstrdup("");
}

char *mo_shop_listed(struct mo_shop *f, const char *database, const char *collection)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_INT32(&command, "listCollections", 1);
	return find(f, database, &command, collection);
}

bool mo_shop_has(struct mo_shop *f, const char *database, const char *collection)
{
	CLEANUP(cstr_release) char *json = mo_shop_listed(f, database, collection);

	return *json;
}

char *mo_shop_index(struct mo_shop *f, const char *database, const char *collection, const char *index)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "listIndexes", collection);
	return find(f, database, &command, index);
}

/* ---- loads ---- */

void mo_shop_note(struct mo_shop *f, const char *part)
{
	CLEANUP(strlist_release) struct strlist notes = STRLIST_INIT;
	CLEANUP(buf_release) struct buf all = BUF_INIT;

	notes_copy(f->mo.notes, &notes);
	for (size_t i = 0; i < notes.len; i++)
		buf_printf(&all, "%s\n", notes.item[i]);
	CHECK_HAS(buf_str(&all), part);
}

void mo_shop_plan_ok(struct loading *l)
{
	struct error err = ERROR_INIT;

	CHECK_OK(loading_plan(l, &err), err);
	if (l->plan.refusals.len)
		test_fail(__FILE__, __LINE__, "refused: %s", l->plan.refusals.item[0]);
}

void mo_shop_run_ok(struct loading *l)
{
	struct error err = ERROR_INIT;

	mo_shop_plan_ok(l);
	CHECK_OK(loading_run(l, NULL, &err), err);
}

bool mo_shop_says(const struct strlist *l, const char *part)
{
	for (size_t i = 0; i < l->len; i++)
		if (strstr(l->item[i], part))
			return true;
	return false;
}

void mo_shop_refused(struct loading *l, const char *why)
{
	struct error err = ERROR_INIT;

	CHECK_OK(loading_plan(l, &err), err);
	if (!mo_shop_says(&l->plan.refusals, why))
		test_fail(__FILE__, __LINE__, "not refused because of \"%s\", but \"%s\"", why, l->plan.refusals.len ? l->plan.refusals.item[0] : "");
	loading_release(l);
}

enum status mo_shop_exchange(struct mo_shop *f, enum exchange_action action, struct error *err)
{
	struct exchange_pair pair = {.name = xstrdup("shop"), .loaded = xstrdup("shop.*" BESIDE), .aside = xstrdup("shop.*" ASIDE)};
	struct exchange_request q = {.action = action, .pair = &pair, .pairs = 1, .run = RUN};
	const enum status status = driver_mongodb.exchange(&run, &f->s.e, &q, err);

	free(pair.name), free(pair.loaded), free(pair.aside);
	return status;
}
