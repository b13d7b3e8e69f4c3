/* What a store says, and what drtool makes of it: answers of a scripted server. */
#include "tests/conformance/s3_server.h"
#include "tests/lib/http_stub.h"
#include "tests/lib/test.h"

#include <limits.h>

struct script {
	struct run run;
	struct http_stub stub;
	struct storage s;
	const char *fault; /* the body of refusals */
	int status;        /* of refusals */
	unsigned refusals; /* how many before the listing comes; UINT_MAX: for ever */
	const char *page;
};

static int answer(void *ctx, const struct http_stub_call *call, struct buf *body)
{
	struct script *s = ctx;

	(void)call;
	if (s->refusals) {
		s->refusals -= s->refusals != UINT_MAX;
		buf_puts(body, s->fault);
		return s->status;
	}
	buf_puts(body, s->page);
	return 200;
}

static void begin(struct script *s, int status, const char *fault, unsigned refusals)
{
	*s = (struct script){.run = RUN_INIT, .fault = fault, .status = status, .refusals = refusals,
			     .page = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>"};
	s->stub = (struct http_stub){.answer = answer, .ctx = s};
	http_stub_start(&s->stub);
	CLEANUP(cstr_release) char *url = xasprintf("s3://bucket?endpoint=http://127.0.0.1:%u&access_key=a&secret_key=b&retry=5s", s->stub.port);
	s3_test_open(&s->run, url, &s->s);
}

static void end(struct script *s)
{
	storage_release(&s->s);
	http_stub_stop(&s->stub);
}

static enum status list(struct script *s, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;

	if (storage_list(&s->run, &s->s, "", NULL, &l, err))
		return err->code;
	CHECK_INT(l.len, 1);
	return ST_OK;
}

static void refused(int status, const char *fault, enum status code, const char *text, const char *hint)
{
	CLEANUP(end) struct script s;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	begin(&s, status, fault, UINT_MAX);
	CHECK_INT(list(&s, &err), code);
	CHECK_HAS(error_text(&err), text);
	CHECK_HAS(err.hint ? err.hint : "", hint);
}

TEST("a bucket in another region is said with that region")
{
	refused(400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>", ST_CONFIG, "is not in the region us-east-1",
		"eu-west-3");
	refused(301, "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>", ST_CONFIG, "is not in the region", "region");
}

TEST("refusals of a store are said in its words, with what can be done")
{
	refused(403, "<Error><Code>AccessDenied</Code><Message>no right</Message></Error>", ST_DENIED, "no right (AccessDenied", "rights");
	refused(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", ST_AUTH, "the clock of this machine", "clock");
	refused(403, "<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>", ST_DENIED, "archived", "storage class");
	refused(507, "<Error><Code>StorageFull</Code><Message>full</Message></Error>", ST_NO_SPACE, "full", "");
	refused(404, "<Error><Code>NoSuchBucket</Code></Error>", ST_CONFIG, "there is no bucket bucket", "makes no buckets");
}

TEST("what a store refuses for the moment is tried again")
{
	static const struct {
		int status;
		const char *fault;
	} moments[] = {{503, "<Error><Code>SlowDown</Code></Error>"}, {500, ""}, {429, ""}, {400, "<Error><Code>RequestTimeout</Code></Error>"},
		       {409, "<Error><Code>OperationAborted</Code></Error>"}};

	for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
		CLEANUP(end) struct script s;
		struct error err = ERROR_INIT;

		begin(&s, moments[i].status, moments[i].fault, 1);
		CHECK_OK(list(&s, &err), err);
		CHECK_INT(atomic_load(&s.stub.calls), 2);
	}
}

TEST("a listing that arrives broken is asked for again, and no web page is an empty store")
{
	CLEANUP(end) struct script s;
	struct error err = ERROR_INIT;

	begin(&s, 200, "<ListBucketResult><Contents><Key>a</Ke", 1);
	CHECK_OK(list(&s, &err), err);
	CHECK_INT(atomic_load(&s.stub.calls), 2);
	refused(200, "<html><body>Log in to the network</body></html>", ST_BAD, "not the answer to what was asked", "");
}
