#include "drivers/mongodb/conn.h"
#include "drivers/mongodb/look.h"
#include "tests/conformance/mongodb_script.h"
#include "tests/lib/test.h"
#include "util/buf.h"

static struct run run = RUN_INIT;

#define THREE "{\"data\": {\"shop\": {\"items\": {\"documents\": [{\"_id\": 1}, {\"_id\": 2}, {\"_id\": 3}]}}}}"

static enum status keep(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	buf_put(ctx, bson_get_data(doc), doc->len);
	return ST_OK;
}

static enum status find_each(struct mo_conn *c, const char *collection, mo_doc_fn *fn, void *ctx, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER, sort;

	BSON_APPEND_UTF8(&command, "find", collection);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "sort", &sort);
	BSON_APPEND_INT32(&sort, "_id", 1);
	bson_append_document_end(&command, &sort);
	return mo_conn_each(&run, c, "shop", &command, fn, ctx, err);
}

/* Every type, odd keys, and sizes from next to nothing to megabytes. */
static void odd_document(int i, bson_t *to)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bson_t in;

	bson_init(to);
	BSON_APPEND_INT32(to, "_id", i);
	BSON_APPEND_DOUBLE(to, "", i % 2 ? 0.0 / 1 : -0.0);
	BSON_APPEND_INT64(to, "a.b", INT64_MIN + i);
	BSON_APPEND_TIMESTAMP(to, "$t", (uint32_t)i + 1, 7);
	BSON_APPEND_DATE_TIME(to, "d", -i);
	BSON_APPEND_MINKEY(to, "min");
	BSON_APPEND_UNDEFINED(to, "u");
	BSON_APPEND_BINARY(to, "bin", BSON_SUBTYPE_UUID, (const uint8_t *)"0123456789abcdef", 16);
	BSON_APPEND_UTF8(to, "twice", "1");
	BSON_APPEND_UTF8(to, "twice", "2");
	BSON_APPEND_ARRAY_BEGIN(to, "list", &in);
	BSON_APPEND_NULL(&in, "0");
	bson_append_array_end(to, &in);
	buf_reserve(&text, 1 << 20);
	for (size_t n = i % 97 == 0 ? 300000 : (size_t)i % 60; n; n--)
		buf_putc(&text, (char)('a' + n % 26));
	BSON_APPEND_UTF8(to, "text", buf_str(&text));
}

static void insert_odd(struct mo_conn *c, int n, struct buf *sent)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	int i = 0;

	while (i < n) {
		CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
		bson_t list, reply;

		BSON_APPEND_UTF8(&command, "insert", "odd");
		BSON_APPEND_ARRAY_BEGIN(&command, "documents", &list);
		for (int k = 0; k < 500 && i < n; k++, i++) {
			char key[16];
			bson_t one;

			odd_document(i, &one);
			buf_put(sent, bson_get_data(&one), one.len);
			snprintf(key, sizeof key, "%d", k);
			BSON_APPEND_DOCUMENT(&list, key, &one);
			bson_destroy(&one);
		}
		bson_append_array_end(&command, &list);
		CHECK_OK(mo_conn_command(&run, c, "shop", &command, &reply, &err), err);
		CHECK(!bson_has_field(&reply, "writeErrors"));
		bson_destroy(&reply);
	}
}

TEST("MongoDB: every document of a cursor comes byte for byte and in order, over many batches")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(buf_release) struct buf sent = BUF_INIT, got = BUF_INIT;

	mo_test_server_share(&s);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	insert_odd(c, 2000, &sent);
	CHECK_OK(find_each(c, "odd", keep, &got, &err), err);
	CHECK_INT(got.len, sent.len);
	CHECK(!memcmp(got.data, sent.data, sent.len));
	mo_test_server_stop(&s);
}

static enum status count(void *ctx, const bson_t *doc UNUSED, struct error *err UNUSED)
{
	++*(size_t *)ctx;
	return ST_OK;
}

static void start_stream(struct mo_test_server *s, unsigned mb, unsigned document)
{
	CLEANUP(cstr_release) char *script = xasprintf("{\"stream\": {\"shop.items\": {\"mb\": %u, \"document\": %u}}}", mb, document);

	mo_test_script_start(s, script);
	mo_test_script_faults(s, "[]");
}

TEST("MongoDB: batches come near to a MiB, whatever the size of a document")
{
	static const unsigned size[] = {200, 3000, 200000};

	for (size_t i = 0; i < ARRAY_LEN(size); i++) {
		struct mo_test_server s;
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
		size_t n = 0;
		bson_t last;

		start_stream(&s, 30, size[i]);
		CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
		CHECK_OK(find_each(c, "items", count, &n, &err), err);
		CHECK(n > (30u << 20) / size[i] / 2);
		size_t batches = mo_test_script_sent(&s, "getMore", &last);
		int64_t asked = mo_look_num(&last, "batchSize", 0) * size[i];
		CHECK(asked > 500000 && asked < 1200000);
		CHECK(batches < 60);
		bson_destroy(&last);
		mo_test_server_stop(&s);
	}
}

TEST("MongoDB: lists of a server are cursors too, and a command's own cursor options stay")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER, cursor;
	size_t n = 0;
	bson_t last;

	mo_test_script_start(&s, THREE);
	mo_test_script_faults(&s, "[]");
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	BSON_APPEND_INT32(&command, "listCollections", 1);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "cursor", &cursor);
	BSON_APPEND_INT32(&cursor, "odd", 5);
	bson_append_document_end(&command, &cursor);
	BSON_APPEND_BOOL(&command, "nameOnly", true);
	CHECK_OK(mo_conn_each(&run, c, "shop", &command, count, &n, &err), err);
	CHECK_INT(n, 1);
	CHECK_INT(mo_test_script_sent(&s, "listCollections", &last), 1);
	CHECK(mo_look_num(&last, "cursor.odd", 0) == 5 && mo_look_num(&last, "cursor.batchSize", 0) > 0 && mo_look_true(&last, "nameOnly"));
	bson_destroy(&last);
	mo_test_server_stop(&s);
}

static enum status refuse(void *ctx UNUSED, const bson_t *doc UNUSED, struct error *err) { return error_set(err, ST_BAD, "no more, thank you"); }

TEST("MongoDB: who takes no more documents ends the cursor in the server, and the session goes on")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	size_t n = 0;

	start_stream(&s, 1, 500);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	CHECK_ERR(find_each(c, "items", refuse, NULL, &err), err, ST_BAD, "no more, thank you");
	CHECK_INT(mo_test_script_sent(&s, "killCursors", NULL), 1);
	CHECK_OK(find_each(c, "items", count, &n, &err), err);
	CHECK(n > 1000);
	mo_test_server_stop(&s);
}

static enum status interrupt(void *ctx, const bson_t *doc UNUSED, struct error *err UNUSED)
{
	mo_conn_interrupt(ctx);
	return ST_OK;
}

TEST("MongoDB: an interrupt between documents ends the cursor, in the server, too")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	start_stream(&s, 1, 500);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	CHECK_INT(find_each(c, "items", interrupt, c, &err), ST_CANCELLED);
	CHECK(mo_conn_lost(&err));
	CHECK_INT(mo_test_script_sent(&s, "killSessions", NULL), 1);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a cursor that the server has closed is error 43, and a link that breaks in a batch a lost connection")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;
	size_t n = 0;

	start_stream(&s, 1, 500);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	mo_test_script_faults(&s, "[{\"command\": \"getMore\", \"kill_cursor\": true}]");
	CHECK_INT(find_each(c, "items", count, &n, &err), ST_SERVER);
	CHECK_INT(mo_conn_code(&err), MO_NO_SUCH_CURSOR);
	CHECK(err.retry && !mo_conn_lost(&err));
	error_release(&err);
	mo_test_script_faults(&s, "[{\"command\": \"getMore\", \"n\": 2, \"cut\": true}]");
	CHECK_INT(find_each(c, "items", count, &n, &err), ST_UNREACHABLE);
	CHECK(mo_conn_lost(&err));
	error_release(&err);
	mo_conn_freep(&c);
	mo_test_server_stop(&s);
}

TEST("MongoDB: an answer that is no cursor of documents is an error and nothing worse")
{
	static const char *const answers[] = {
		"{\"ok\": 1.0}",
		"{\"ok\": 1.0, \"cursor\": 5}",
		"{\"ok\": 1.0, \"cursor\": {\"id\": 0, \"ns\": \"shop.items\"}}",
		"{\"ok\": 1.0, \"cursor\": {\"ns\": \"shop.items\", \"firstBatch\": []}}",
		"{\"ok\": 1.0, \"cursor\": {\"id\": {\"$numberLong\": \"7\"}, \"firstBatch\": []}}",
		"{\"ok\": 1.0, \"cursor\": {\"id\": 0, \"ns\": \"nodot\", \"firstBatch\": []}}",
		"{\"ok\": 1.0, \"cursor\": {\"id\": 0, \"ns\": \"shop.items\", \"firstBatch\": [{\"_id\": 1}, 2]}}",
	};
	struct mo_test_server s;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	struct error err = ERROR_INIT;
	size_t n = 0;

	mo_test_script_start(&s, THREE);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		CLEANUP(cstr_release) char *fault = xasprintf("[{\"command\": \"find\", \"reply\": %s}]", answers[i]);

		mo_test_script_faults(&s, fault);
		CHECK_ERR(find_each(c, "items", count, &n, &err), err, ST_SERVER, "not a cursor of documents");
	}
	CHECK_OK(find_each(c, "items", count, &n, &err), err);
	mo_test_server_stop(&s);
}
