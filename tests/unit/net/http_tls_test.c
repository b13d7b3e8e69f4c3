#include "net/http.h"

#include "tests/lib/certs.h"
#include "tests/lib/test.h"
#include "tests/lib/wire.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct run run = RUN_INIT;

static const struct wire_step one[] = {{WIRE_ACCEPT, NULL}, {WIRE_TLS, NULL}, {WIRE_REQUEST, NULL}, {WIRE_SEND, OK_ANSWER}, {WIRE_HANG, NULL}, {WIRE_END, NULL}};

struct attempt {
	const char *host, *scheme;
	enum tls_mode tls;
	const char *ca; /* a file of the folder; NULL */
	const struct wire_step *script; /* NULL: one */
};

/* One request to a server of its own, without certificates where dir is NULL. */
static enum status attempt(const char *dir, struct attempt t, struct error *err)
{
	CLEANUP(wire_release) struct wire w = {.script = t.script ? t.script : one, .certificates = dir};
	CLEANUP(cstr_release) char *ca = !t.ca ? NULL : dir ? xasprintf("%s/%s", dir, t.ca) : xstrdup(t.ca);
	const struct http_params params = {.tls = t.tls, .ca = ca};
	CLEANUP(http_client_freep) struct http_client *c = http_client_new(&params);
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

	wire_start(&w);
	CLEANUP(cstr_release) char *url = xasprintf("%s://%s:%u/", t.scheme ? t.scheme : "https", t.host, w.port);
	if (!http_send(&run, c, &(struct http_request){.method = "GET", .url = url}, &a, err))
		CHECK_STR(buf_str(&a.body), "ok");
	return err->code;
}

static char *certificates(void)
{
	char *dir = xasprintf("%s/certs", test_dir());

	test_make_certificates(dir);
	return dir;
}

TEST("HTTP: TLS asks for as much as its mode says")
{
	CLEANUP(cstr_release) char *dir = certificates();
	static const struct attempt good[] = {
		{.host = "localhost", .tls = TLS_VERIFY_FULL, .ca = "ca.pem"}, {.host = "127.0.0.1", .tls = TLS_VERIFY_CA, .ca = "ca.pem"},
		{.host = "127.0.0.1", .tls = TLS_REQUIRE},		       {.host = "127.0.0.1", .tls = TLS_PREFER},
		{.host = "127.0.0.1", .tls = TLS_DEFAULT},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct error err = ERROR_INIT;

		CHECK_OK(attempt(dir, good[i], &err), err);
	}
}

TEST("HTTP: a certificate that is not trusted is shown with its fingerprint and both ways on")
{
	CLEANUP(cstr_release) char *dir = certificates();
	CLEANUP(error_release) struct error err = ERROR_INIT, name = ERROR_INIT, system = ERROR_INIT;

	CHECK_INT(attempt(dir, (struct attempt){.host = "localhost", .tls = TLS_VERIFY_FULL, .ca = "other.pem"}, &err), ST_TLS);
	CHECK_HAS(error_text(&err), "localhost:");
	CHECK_HAS(error_text(&err), "the server's certificate is not trusted: ");
	CHECK_HAS(err.hint, "Set tls_ca");
	CHECK_HAS(err.hint, "SHA-256 fingerprint ");
	CHECK_INT(strlen(strstr(err.hint, "fingerprint ") + 12) > 90, 1);
	CHECK(!err.retry);
	CHECK_INT(attempt(dir, (struct attempt){.host = "127.0.0.1", .tls = TLS_VERIFY_FULL, .ca = "ca.pem"}, &name), ST_TLS);
	CHECK_HAS(error_text(&name), "mismatch");
	CHECK_HAS(name.hint, "\"verify-ca\"");
	CHECK_INT(strlen(strstr(name.hint, "fingerprint ") + 12) > 90, 1);
	CHECK_INT(attempt(dir, (struct attempt){.host = "localhost", .tls = TLS_VERIFY_CA}, &system), ST_TLS);
}

TEST("HTTP: an address without TLS is refused where TLS is required")
{
	static const struct wire_step plain[] = {{WIRE_ACCEPT, NULL}, {WIRE_REQUEST, NULL}, {WIRE_SEND, OK_ANSWER}, {WIRE_END, NULL}}, none[] = {{WIRE_END, NULL}};
	struct error err = ERROR_INIT;

	CHECK_ERR(attempt(NULL, (struct attempt){.host = "127.0.0.1", .scheme = "http", .tls = TLS_REQUIRE, .script = none}, &err), err, ST_TLS, "http:// is not encrypted");
	CHECK_ERR(attempt(NULL, (struct attempt){.host = "store.invalid", .scheme = "http", .script = none}, &err), err, ST_TLS, "http:// is not encrypted");
	CHECK_OK(attempt(NULL, (struct attempt){.host = "127.0.0.1", .scheme = "http", .script = plain}, &err), err);
}

TEST("HTTP: a server without TLS, and one that ends the handshake, are told")
{
	static const struct wire_step plain[] = {{WIRE_ACCEPT, NULL}, {WIRE_SEND, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"}, {WIRE_HANG, NULL}, {WIRE_END, NULL}},
		gone[] = {{WIRE_ACCEPT, NULL}, {WIRE_RESET, NULL}, {WIRE_END, NULL}};
	CLEANUP(error_release) struct error err = ERROR_INIT, broken = ERROR_INIT;

	CHECK_INT(attempt(NULL, (struct attempt){.host = "127.0.0.1", .tls = TLS_REQUIRE, .script = plain}, &err), ST_TLS);
	CHECK_HAS(err.hint, "http://");
	CHECK_INT(attempt(NULL, (struct attempt){.host = "127.0.0.1", .tls = TLS_REQUIRE, .script = gone}, &broken), ST_UNREACHABLE);
	CHECK(broken.retry);
}

TEST("HTTP: a file of authorities that cannot be read is named")
{
	static const struct wire_step none[] = {{WIRE_END, NULL}};
	struct error err = ERROR_INIT;

	CHECK_ERR(attempt(NULL, (struct attempt){.host = "localhost", .tls = TLS_VERIFY_FULL, .ca = "/nowhere.pem", .script = none}, &err), err, ST_CONFIG, "/nowhere.pem");
	static const struct wire_step hang[] = {{WIRE_ACCEPT, NULL}, {WIRE_HANG, NULL}, {WIRE_END, NULL}};
	CHECK_ERR(attempt(NULL, (struct attempt){.host = "localhost", .tls = TLS_VERIFY_FULL, .ca = "/dev/null", .script = hang}, &err), err, ST_CONFIG, "/dev/null");
}
