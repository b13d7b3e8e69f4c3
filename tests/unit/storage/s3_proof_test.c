/* What an answer proves, and what it does not: a scripted server that is no store, or half of one. */
#include "tests/conformance/s3_server.h"
#include "tests/lib/http_stub.h"
#include "tests/lib/test.h"

#include "storage/s3/s3.h"
#include "storage/s3/xml.h"

struct world {
	struct run run;
	struct http_stub stub;
	struct storage s;
	int status;
	const char *headers, *body; /* of answers to GET of an object */
	const char *deleted;        /* to a deletion of many */
};

static int answer(void *ctx, const struct http_stub_call *call, struct buf *body)
{
	struct world *w = ctx;

	w->stub.headers = w->headers;
	if (!strcmp(call->method, "HEAD"))
		return w->status;
	if (strstr(call->path, "?versioning"))
		buf_puts(body, "<VersioningConfiguration/>");
	else
		buf_puts(body, strstr(call->path, "?delete") ? w->deleted : w->body);
	return strchr(call->path, '?') ? 200 : w->status;
}

static void begin(struct world *w, int status, const char *headers, const char *body)
{
	*w = (struct world){.run = RUN_INIT, .status = status, .headers = headers, .body = body, .deleted = ""};
	w->stub = (struct http_stub){.answer = answer, .ctx = w};
	http_stub_start(&w->stub);
	CLEANUP(cstr_release) char *url = xasprintf("s3://bucket?endpoint=http://127.0.0.1:%u&access_key=a&secret_key=b&retry=2s", w->stub.port);
	s3_test_open(&w->run, url, &w->s);
}

static void end(struct world *w)
{
	storage_release(&w->s);
	http_stub_stop(&w->stub);
}

static void asked(int status, const char *body, enum status code)
{
	CLEANUP(end) struct world w;
	CLEANUP(buf_release) struct buf to = BUF_INIT;
	struct error err = ERROR_INIT;
	struct storage_object o;
	char byte;

	begin(&w, status, NULL, body);
	CHECK_ERR(storage_stat(&w.run, &w.s, "a", &o, &err), err, code, "");
	CHECK_ERR(storage_get(&w.run, &w.s, "a", 0, &byte, 1, &err), err, code, "");
	CHECK_ERR(storage_get_bytes(&w.run, &w.s, "a", 10, &to, NULL, &err), err, code, "");
}

TEST("only S3 itself says that an object is not there: the 404 of another server proves nothing")
{
	asked(404, "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>", ST_NOT_FOUND);
	asked(404, "<html><body>default backend - 404</body></html>", ST_UNREACHABLE);
	asked(404, "", ST_UNREACHABLE);
}

static void read_ten(int status, const char *headers, const char *body, enum status code)
{
	CLEANUP(end) struct world w;
	struct error err = ERROR_INIT;
	char to[10];

	begin(&w, status, headers, body);
	CHECK_ERR(storage_get(&w.run, &w.s, "a", 0, to, sizeof to, &err), err, code, "");
}

TEST("an object is too short only where the store tells a size below what was asked for")
{
	read_ten(206, "ETag: \"x\"\r\nContent-Range: bytes 0-4/5\r\n", "12345", ST_BAD);
	read_ten(200, "ETag: \"x\"\r\n", "12345", ST_BAD);
	read_ten(416, "Content-Range: bytes */5\r\n", "<Error><Code>InvalidRange</Code></Error>", ST_BAD);
	read_ten(206, "ETag: \"x\"\r\nContent-Range: bytes 0-4/50\r\n", "12345", ST_IO);
	read_ten(200, NULL, "<html/>", ST_IO);
	read_ten(206, "ETag: \"x\"\r\nContent-Range: bytes 0-9/50\r\n", "more than ten bytes", ST_IO);
}

static enum status whole(const char *headers, struct error *err)
{
	CLEANUP(end) struct world w;
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	begin(&w, 200, headers, "text");
	return storage_get_bytes(&w.run, &w.s, "a", 10, &to, NULL, err);
}

TEST("bytes that contradict the store's own SHA-256 are not taken, however often they come; an ETag need not be a sum")
{
	struct error err = ERROR_INIT;

	CHECK_ERR(whole("ETag: \"x\"\r\nx-amz-checksum-sha256: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n", &err), err, ST_BAD, "SHA-256");
	CHECK_OK(whole("ETag: \"x\"\r\nx-amz-checksum-sha256: mC2ePrmW9VnmM/TRlN7zdh2Qn1o7ZH0ahR/q1nwyydE=\r\n", &err), err);
	CHECK_OK(whole("ETag: \"00000000000000000000000000000000\"\r\n", &err), err);
}

static enum status delete_two(const char *result, struct storage_deletion d[2], struct error *err)
{
	CLEANUP(end) struct world w;

	begin(&w, 200, NULL, "");
	w.deleted = result;
	return storage_delete_many(&w.run, &w.s, d, 2, err);
}

TEST("a refused deletion counts as refused, also where the store does not say of what")
{
	struct storage_deletion d[] = {{.key = "a"}, {.key = "b"}};
	struct error err = ERROR_INIT;

	CHECK_ERR(delete_two("<DeleteResult><Error><Code>InternalError</Code><Message>no</Message></Error></DeleteResult>", d, &err), err, ST_IO,
		  "no (InternalError)");
	CHECK_ERR(delete_two("<DeleteResult><Error><Key>c</Key><Code>AccessDenied</Code></Error></DeleteResult>", d, &err), err, ST_IO,
		  "AccessDenied");
	CHECK_ERR(delete_two("", d, &err), err, ST_IO, "what was deleted");
	CHECK_OK(delete_two("<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>", d, &err), err);
	CHECK_OK(d[0].err.code, d[0].err);
	CHECK_ERR(d[1].err.code, d[1].err, ST_DENIED, "b: cannot delete");
	CHECK_OK(delete_two("<DeleteResult/>", d, &err), err);
}

TEST("an object that has more bytes than its parts can hold is refused before the first of them")
{
	CLEANUP(end) struct world w;
	const struct put_spec spec = {.key = "a", .expected_size = (uint64_t)S3_PART * S3_PARTS_MAX + 1};
	struct error err = ERROR_INIT;
	struct storage_put *put;

	begin(&w, 200, NULL, "");
	CHECK_ERR(storage_put_open(&w.run, &w.s, &spec, &put, &err), err, ST_UNSUPPORTED, "more than an object in S3");
	CHECK_INT(atomic_load(&w.stub.calls), 0);
}

TEST("a list of the parts of the largest volume stays below what servers read")
{
	static const char part[] = "<Part><ChecksumSHA256>mC2ePrmW9VnmM/TRlN7zdh2Qn1o7ZH0ahR/q1nwyydE=</ChecksumSHA256>"
				   "<ETag>\"0123456789abcdef0123456789abcdef\"</ETag><PartNumber>5999</PartNumber></Part>";
	CLEANUP(end) struct world w;
	CLEANUP(buf_release) struct buf etag = BUF_INIT;

	begin(&w, 200, NULL, "");
	s3_xml_text(&etag, "\"0\"");
	CHECK_STR(buf_str(&etag), "\"0\"");
	CHECK(storage_object_max(&w.s) / S3_PART * (sizeof part - 1) < (1u << 20) - 200);
}
