#include "drivers/mongodb/conn_internal.h"

#include <signal.h>

#include "drivers/mongodb/look.h"
#include "tests/conformance/mongodb_front.h"
#include "tests/conformance/mongodb_script.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

#define SHOP "{\"data\": {\"shop\": {\"items\": {\"documents\": [{\"_id\": 1}, {\"_id\": 2}]}}}}"

/* Opens as the endpoint says now and runs a command: "done", or what went wrong. Owned by the caller. */
static char *try_open(struct mo_test_server *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "find", "items");
	if (!mo_conn_open(&run, &s->e, MO_READ, &c, &err) && !mo_conn_command(&run, c, "shop", &command, NULL, &err))
		return xstrdup("done");
	return xasprintf("%s: %s; %s", status_name(err.code), error_text(&err), err.hint ? err.hint : "");
}

#define CHECK_TLS(s, to, mode, authority, expected)            \
	do {                                                   \
		(s)->e.url = (to);                             \
		(s)->e.tls = (mode);                           \
		(s)->e.tls_ca = (authority);                   \
		CLEANUP(cstr_release) char *text_ = try_open(s); \
		CHECK_HAS(text_, expected);                    \
	} while (0)

TEST("MongoDB: each mode of TLS checks what it says, and a refusal shows the fingerprint and the ways on")
{
	struct mo_test_server s;
	struct mo_test_front f;

	mo_test_script_start(&s, SHOP);
	mo_test_front_tls(&f, s.port, false);
	CLEANUP(cstr_release) char *ip = xasprintf("mongodb://127.0.0.1:%u/", f.port), *name = xasprintf("mongodb://localhost:%u/", f.port),
				   *ca = mo_test_front_file(&f, "ca.pem"), *other = mo_test_front_file(&f, "other.pem");
	CLEANUP(cstr_release) char *wanted = xasprintf("mongodb://localhost:%u/?tls=true", f.port),
				   *own = xasprintf("mongodb://localhost:%u/?tls=true&tlsCAFile=%s", f.port, ca),
				   *off = xasprintf("mongodb://localhost:%u/?ssl=false", f.port);

	CHECK_TLS(&s, ip, TLS_DEFAULT, NULL, "done");
	CHECK_TLS(&s, ip, TLS_PREFER, NULL, "done");
	CHECK_TLS(&s, ip, TLS_REQUIRE, NULL, "done");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, ca, "done");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, NULL, "TLS: the server at 127.0.0.1:");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, other, "not trusted");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, other, "Set tls_ca to the file");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, other, "SHA-256 fingerprint ");
	CHECK_TLS(&s, ip, TLS_VERIFY_FULL, ca, "IP address mismatch");
	CHECK_TLS(&s, ip, TLS_VERIFY_FULL, ca, "\"verify-ca\"");
	CHECK_TLS(&s, name, TLS_VERIFY_FULL, ca, "done");
	CHECK_TLS(&s, name, TLS_VERIFY_FULL, NULL, "TLS: ");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, "/no/such/ca.pem", "CONFIG: the server at");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, "/no/such/ca.pem", "tls_ca: reading /no/such/ca.pem: No such file");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, "/dev/null", "CONFIG: ");
	/* The URL's own words. */
	CHECK_TLS(&s, wanted, TLS_DEFAULT, NULL, "not trusted");
	CHECK_TLS(&s, wanted, TLS_DEFAULT, ca, "done");
	CHECK_TLS(&s, wanted, TLS_REQUIRE, NULL, "done");
	CHECK_TLS(&s, own, TLS_DEFAULT, NULL, "done");
	CHECK_TLS(&s, off, TLS_DEFAULT, NULL, "Where the server wants TLS, set tls");
	CHECK_TLS(&s, ip, TLS_OFF, NULL, "UNREACHABLE: ");
	mo_test_front_stop(&f);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a server without TLS is taken as it is where the mode allows it, and nothing is told to it where not")
{
	struct mo_test_server s;

	mo_test_script_start(&s, SHOP);
	CLEANUP(cstr_release) char *ip = xasprintf("mongodb://127.0.0.1:%u/", s.port);
	CHECK_TLS(&s, ip, TLS_DEFAULT, NULL, "done");
	CHECK_TLS(&s, ip, TLS_PREFER, NULL, "done");
	CHECK_TLS(&s, ip, TLS_OFF, NULL, "done");
	mo_test_script_faults(&s, "[]");
	CHECK_TLS(&s, ip, TLS_REQUIRE, NULL, "TLS: the server at 127.0.0.1:");
	CHECK_TLS(&s, ip, TLS_REQUIRE, NULL, "does not offer TLS");
	CHECK_TLS(&s, ip, TLS_VERIFY_CA, NULL, "does not offer TLS");
	CHECK_TLS(&s, ip, TLS_VERIFY_FULL, NULL, "set tls to \"prefer\" or \"off\"");
	s.e.tls = TLS_OFF;
	CHECK_INT(mo_test_script_sent(&s, "find", NULL), 0);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a server without TLS is greeted with TLS only once")
{
	struct mo_test_server s;

	mo_test_script_start(&s, SHOP);
	CLEANUP(cstr_release) char *ip = xasprintf("127.0.0.1:%u", s.port);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://%s/", ip);
	CHECK(!mo_tls_is_plain(ip));
	CHECK_TLS(&s, url, TLS_PREFER, NULL, "done");
	CHECK(mo_tls_is_plain(ip));
	mo_test_server_stop(&s);
}

static enum status keep(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	buf_put(ctx, bson_get_data(doc), doc->len);
	return ST_OK;
}

/* Documents of `size` bytes of text, all in one command; what they are is appended to sent. */
static void insert_large(struct mo_conn *c, int n, size_t size, struct buf *sent)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER, list;
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	for (size_t i = 0; i < size; i++)
		buf_putc(&text, (char)('a' + i * i % 23));
	BSON_APPEND_UTF8(&command, "insert", "large");
	BSON_APPEND_ARRAY_BEGIN(&command, "documents", &list);
	for (int i = 0; i < n; i++) {
		CLEANUP(mo_doc_release) bson_t one = BSON_INITIALIZER;
		char key[16];

		BSON_APPEND_INT32(&one, "_id", i);
		BSON_APPEND_UTF8(&one, "text", buf_str(&text) + i);
		buf_put(sent, bson_get_data(&one), one.len);
		snprintf(key, sizeof key, "%d", i);
		BSON_APPEND_DOCUMENT(&list, key, &one);
	}
	bson_append_array_end(&command, &list);
	CHECK_OK(mo_conn_command(&run, c, "shop", &command, NULL, &err), err);
}

TEST("MongoDB: large commands and answers pass byte for byte under TLS")
{
	struct mo_test_server s;
	struct mo_test_front f;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(buf_release) struct buf sent = BUF_INIT, got = BUF_INIT;

	/* As in drtool: OpenSSL writes to a link that the front has closed. */
	signal(SIGPIPE, SIG_IGN);
	mo_test_script_start(&s, SHOP);
	mo_test_front_tls(&f, s.port, false);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://localhost:%u/", f.port);
	s.e.url = url;
	s.e.tls = TLS_REQUIRE;
	CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
	insert_large(c, 40, 200000, &sent);
	BSON_APPEND_UTF8(&command, "find", "large");
	CHECK_OK(mo_conn_each(&run, c, "shop", &command, keep, &got, &err), err);
	CHECK_INT(got.len, sent.len);
	CHECK(!memcmp(got.data, sent.data, sent.len));
	mo_test_front_stop(&f);
	mo_test_server_stop(&s);
}

static void check_user_sent(struct mo_test_server *s, const char *user)
{
	bson_t last;

	CHECK_INT(mo_test_script_sent(s, "authenticate", &last), 1);
	CHECK_STR(mo_look_str(&last, "user"), user);
	CHECK_STR(mo_look_str(&last, "$db"), "$external");
	bson_destroy(&last);
}

TEST("MongoDB: a certificate of the client is shown to a server that wants one, and is the login by X.509")
{
	struct mo_test_server s;
	struct mo_test_front f;

	mo_test_script_start(&s, SHOP);
	mo_test_front_tls(&f, s.port, true);
	CLEANUP(cstr_release) char *direct = s.url, *url = xasprintf("mongodb://localhost:%u/", f.port),
				   *login = xasprintf("mongodb://localhost:%u/?authMechanism=MONGODB-X509", f.port),
				   *ca = mo_test_front_file(&f, "ca.pem"), *cert = mo_test_front_file(&f, "client.pem"),
				   *half = mo_test_front_file(&f, "cert.pem");

	CHECK_TLS(&s, url, TLS_VERIFY_FULL, ca, "set tls_cert to a file");
	s.params.tls_cert = half;
	CHECK_TLS(&s, url, TLS_VERIFY_FULL, ca, "does not hold a certificate and its key");
	s.params.tls_cert = (char[]){"/no/such.pem"};
	CHECK_TLS(&s, url, TLS_VERIFY_FULL, ca, "tls_cert: reading /no/such.pem");
	s.params.tls_cert = cert;
	CHECK_TLS(&s, url, TLS_VERIFY_FULL, ca, "done");
	s.e.url = direct;
	s.e.tls = TLS_OFF;
	mo_test_script_faults(&s, "[{\"command\": \"authenticate\", \"reply\": {\"ok\": 1.0}}]");
	CHECK_TLS(&s, login, TLS_VERIFY_FULL, ca, "done");
	s.e.url = direct;
	s.e.tls = TLS_OFF;
	check_user_sent(&s, "CN=me,O=clients");
	mo_test_front_stop(&f);
	s.url = NULL;
	mo_test_server_stop(&s);
}
