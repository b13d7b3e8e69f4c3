/* Indexes against a real server: what is listed is made again, and is then listed as the same. */
#include "tests/conformance/mongodb_server.h"
#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

static struct run run = RUN_INIT;

static enum status take_index(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	mo_meta_add_index(ctx, doc);
	return ST_OK;
}

/* The indexes of a collection as the server lists them, and as they are compared, in the order of their names. */
static void list(struct mo_conn *c, const char *collection, struct mo_meta *m, struct strlist *facts)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	m->name = xstrdup(collection);
	m->options = bson_new();
	BSON_APPEND_UTF8(&command, "listIndexes", collection);
	CHECK_OK(mo_conn_each(&run, c, "indexes", &command, take_index, m, &err), err);
	for (size_t i = 0; i < m->indexes; i++) {
		struct buf one = BUF_INIT;

		mo_index_facts(m->index[i], &one);
		strlist_take(facts, buf_detach(&one));
	}
	strlist_sort(facts);
}

static void make(struct mo_conn *c, const char *collection, const struct mo_meta *m, bool plain)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	bson_t indexes;
	size_t n;

	BSON_APPEND_UTF8(&command, "createIndexes", collection);
	BSON_APPEND_ARRAY_BEGIN(&command, "indexes", &indexes);
	mo_create_indexes(m, plain, &indexes, &n);
	bson_append_array_end(&command, &indexes);
	CHECK_INT(n, m->indexes - 1);
	CHECK_OK(mo_conn_command(&run, c, "indexes", &command, NULL, &err), err);
}

#define EVERY_KIND                                                                                                                  \
	"{\"key\": {\"b\": 1, \"a\": -1}, \"name\": \"two\", \"unique\": true}, {\"key\": {\"at\": 1}, \"name\": \"ttl\", \"expireAfterSeconds\": 3600}," \
	"{\"key\": {\"c\": 1}, \"name\": \"sparse\", \"sparse\": true}, {\"key\": {\"h\": \"hashed\"}, \"name\": \"hashed\"},"           \
	"{\"key\": {\"d\": 1}, \"name\": \"partial\", \"partialFilterExpression\": {\"d\": {\"$gt\": 5}, \"e\": {\"$exists\": true}}},"      \
	"{\"key\": {\"t\": \"text\", \"u\": \"text\"}, \"name\": \"text\", \"weights\": {\"u\": 3}, \"default_language\": \"french\"},"    \
	"{\"key\": {\"geo\": \"2dsphere\"}, \"name\": \"sphere\"}, {\"key\": {\"flat\": \"2d\"}, \"name\": \"flat\"},"                   \
	"{\"key\": {\"$**\": 1}, \"name\": \"wild\", \"wildcardProjection\": {\"x\": 1, \"y\": 1}}, {\"key\": {\"w.$**\": 1}, \"name\": \"below\"}"

TEST("MongoDB: indexes of every kind that the server knows are made again from its list, and are listed alike")
{
	for (int plain = 0; plain < 2; plain++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
		CLEANUP(mo_meta_release) struct mo_meta old = MO_META_INIT, new = MO_META_INIT, other = MO_META_INIT, read = MO_META_INIT;
		CLEANUP(strlist_release) struct strlist of_old = STRLIST_INIT, of_new = STRLIST_INIT, of_other = STRLIST_INIT;
		CLEANUP(buf_release) struct buf line = BUF_INIT;
		struct mo_test_server s;

		mo_test_server_share(&s);
		mo_test_server_command(&s, "indexes", "{\"createIndexes\": \"old\", \"indexes\": [" EVERY_KIND "]}", NULL);
		CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
		list(c, "old", &old, &of_old);
		/* Through the text of an archive. */
		mo_meta_print(&old, &line);
		CHECK_OK(mo_meta_parse(buf_str(&line), line.len, &read, &err), err);
		CHECK(!strstr(buf_str(&line), "\"exact\""));
		make(c, "new", &read, plain);
		list(c, "new", &new, &of_new);
		CHECK_INT(of_old.len, 11);
		CHECK_INT(of_new.len, 11);
		for (size_t i = 0; i < of_old.len; i++)
			CHECK_STR(of_new.item[i], of_old.item[i]);
		/* Once more from there, as a restore of a restore has it. */
		make(c, "other", &new, plain);
		list(c, "other", &other, &of_other);
		for (size_t i = 0; i < of_old.len; i++)
			CHECK_STR(of_other.item[i], of_old.item[i]);
		mo_test_server_stop(&s);
	}
}
