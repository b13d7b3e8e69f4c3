#include "drivers/mongodb/conn_internal.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/mongodb/look.h"
#include "tests/conformance/mongodb_front.h"
#include "tests/conformance/mongodb_script.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

#define AT_ONCE 15000 /* ms; what is cut short would take twice as long at least */
#define SHOP "{\"data\": {\"shop\": {\"items\": {\"documents\": [{\"_id\": 1}, {\"_id\": 2}]}}}}"
#define SLOW "[{\"command\": \"find\", \"delay\": 40}]"

static int64_t ms_since(struct instant from) { return instant_diff(run_mono(&run), from).us / 1000; }

static enum status find_items(struct run *in, struct mo_conn *c, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "find", "items");
	return mo_conn_command(in, c, "shop", &command, NULL, err);
}

/* ---- opening ---- */

TEST("MongoDB: a wrong password is a refused login with the way on, and no password with it")
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	char wrong[] = "s3cret-wrong", *right;

	mo_test_server_share(&s);
	right = s.password.value;
	s.password.value = wrong;
	CHECK_INT(mo_conn_open(&run, &s.e, MO_READ, &c, &err), ST_AUTH);
	CHECK(!strstr(error_text(&err), wrong) && err.hint && !err.retry && !c);
	CHECK_INT(mo_conn_code(&err), 18);
	error_release(&err);
	s.password.value = right;
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	CHECK(c->server.version >= 40400 && c->server.wire >= 9 && c->server.sessions && c->server.max_document >= 16 << 20);
	mo_test_server_stop(&s);
}

TEST("MongoDB: user and password of settings need no encoding, whatever they hold")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	mo_test_server_share(&s);
	mo_test_server_command(&s, "admin",
			       "{\"createUser\": \"o:d@d/%41 ü\", \"pwd\": \"p:w@/%42 #?&\", \"roles\": [{\"role\": \"readAnyDatabase\", \"db\": \"admin\"}]}", NULL);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/shop?authSource=admin", s.port);
	char *before = s.password.value, odd[] = "p:w@/%42 #?&";
	s.e.url = url;
	s.e.user = "o:d@d/%41 ü";
	s.password.value = odd;
	enum status st = mo_conn_open(&run, &s.e, MO_READ, &c, &err);
	s.e.user = "root";
	s.password.value = before;
	mo_test_server_command(&s, "admin", "{\"dropUser\": \"o:d@d/%41 ü\"}", NULL);
	CHECK_OK(st, err);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a port without a server, a host without a name and a server that says nothing are unreachable, the last one in time")
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(!bind(silent, (struct sockaddr *)&a, sizeof a) && !getsockname(silent, (struct sockaddr *)&a, &n));
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/", ntohs(a.sin_port));
	mo_test_server_at(&s, url, NULL);
	CHECK_INT(mo_conn_open(&run, &s.e, MO_READ, &c, &err), ST_UNREACHABLE);
	CHECK_HAS(error_text(&err), "Connection refused");
	CHECK_HAS(error_text(&err), "at 127.0.0.1:");
	CHECK(err.hint && err.retry);
	error_release(&err);

	s.e.url = "mongodb://no-such-host.invalid/";
	CHECK_INT(mo_conn_open(&run, &s.e, MO_READ, &c, &err), ST_UNREACHABLE);
	CHECK_HAS(error_text(&err), "no-such-host.invalid");
	error_release(&err);

	CHECK(!listen(silent, 8));
	s.e.url = url;
	s.params.connect_timeout = DURATION_SECONDS(1);
	struct instant from = run_mono(&run);
	CHECK_INT(mo_conn_open(&run, &s.e, MO_READ, &c, &err), ST_UNREACHABLE);
	CHECK(ms_since(from) < AT_ONCE && err.retry && !c);
	close(silent);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a cancel ends an opening that waits")
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;
	CLEANUP(cancel_freep) struct cancel *cancel = cancel_new(NULL);
	struct run own = {.cancel = cancel};
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(!bind(silent, (struct sockaddr *)&a, sizeof a) && !getsockname(silent, (struct sockaddr *)&a, &n) && !listen(silent, 8));
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/", ntohs(a.sin_port));
	mo_test_server_at(&s, url, NULL);
	static const enum tls_mode modes[] = {TLS_OFF, TLS_REQUIRE, TLS_PREFER};
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct run soon = run_within(&own, DURATION_MS(300));

		s.e.tls = modes[i];
		CHECK_INT(mo_conn_open(&soon, &s.e, MO_READ, &c, &err), ST_DEADLINE);
		error_release(&err);
	}
	cancel_fire(cancel, 0);
	CHECK_INT(mo_conn_open(&own, &s.e, MO_READ, &c, &err), ST_CANCELLED);
	error_release(&err);
	close(silent);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a server is reached over its socket")
{
	struct mo_test_server s;
	struct mo_test_front f;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	CLEANUP(buf_release) struct buf url = BUF_INIT;

	mo_test_script_start(&s, SHOP);
	mo_test_front_socket(&f, s.port);
	buf_puts(&url, "mongodb://");
	for (const char *p = f.path; *p; p++)
		buf_printf(&url, *p == '/' ? "%%2F" : "%c", *p);
	buf_puts(&url, "/shop");
	s.e.url = buf_str(&url);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	CHECK_STR(c->server.where, f.path);
	CHECK_OK(find_items(&run, c, &err), err);
	mo_test_front_stop(&f);
	mo_test_server_stop(&s);
}

/* ---- replica sets ---- */

static void set_script(struct mo_test_server *s, const char *role, const struct mo_test_server *primary, const struct mo_test_server *other)
{
	CLEANUP(cstr_release) char *at = primary ? xasprintf("\"127.0.0.1:%u\"", primary->port) : xstrdup("null");
	CLEANUP(cstr_release) char *json = xasprintf("{\"script\": 1, \"forget\": true, \"settings\": {\"role\": \"%s\", \"set_name\": \"rs0\", "
						     "\"primary\": %s, \"hosts\": [\"127.0.0.1:%u\", \"127.0.0.1:%u\"]}}",
						     role, at, s->port, other->port);

	mo_test_server_command(s, "admin", json, NULL);
}

TEST("MongoDB: of a replica set what writes goes to the primary, and what reads where readPreference says")
{
	struct mo_test_server one, two;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;

	mo_test_script_start(&one, SHOP);
	mo_test_script_start(&two, SHOP);
	set_script(&one, "primary", &one, &two);
	set_script(&two, "secondary", &one, &one);
	CLEANUP(cstr_release) char *first = xasprintf("127.0.0.1:%u", one.port), *second = xasprintf("127.0.0.1:%u", two.port);
	/* Either member is found from the other. */
	CLEANUP(cstr_release) char *plain = xasprintf("mongodb://%s/?replicaSet=rs0", second),
				   *away = xasprintf("mongodb://%s/?replicaSet=rs0&readPreference=secondary", first),
				   *direct = xasprintf("mongodb://%s/?directConnection=true", second);
	one.e.url = plain;
	CHECK_OK(mo_conn_open(&run, &one.e, MO_READ, &c, &err), err);
	CHECK_STR(c->server.where, first);
	CHECK(c->server.primary && !c->server.secondary && c->server.has_majority);
	mo_conn_freep(&c);
	one.e.url = away;
	CHECK_OK(mo_conn_open(&run, &one.e, MO_READ, &c, &err), err);
	CHECK_STR(c->server.where, second);
	CHECK(!c->server.primary && c->server.secondary);
	CHECK_OK(find_items(&run, c, &err), err);
	mo_conn_freep(&c);
	CHECK_OK(mo_conn_open(&run, &one.e, MO_WRITE, &c, &err), err);
	CHECK_STR(c->server.where, first);
	struct mo_conn *more = NULL;
	CHECK_OK(mo_conn_open_same(&run, c, &more, &err), err);
	CHECK_STR(more->server.where, first);
	CHECK_OK(find_items(&run, more, &err), err);
	mo_conn_freep(&more);
	mo_conn_freep(&c);
	one.e.url = direct;
	CHECK_OK(mo_conn_open(&run, &one.e, MO_READ, &c, &err), err);
	CHECK_STR(c->server.where, second);
	CHECK_OK(find_items(&run, c, &err), err);
	mo_conn_freep(&c);
	mo_test_server_stop(&two);
	mo_test_server_stop(&one);
}

TEST("MongoDB: a member of a replica set that does not answer keeps nobody from the others")
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	struct mo_test_server one;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(!bind(silent, (struct sockaddr *)&a, sizeof a) && !getsockname(silent, (struct sockaddr *)&a, &n) && !listen(silent, 8));
	mo_test_script_start(&one, SHOP);
	struct mo_test_server other = {.port = ntohs(a.sin_port)};
	set_script(&one, "primary", &one, &other);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/?replicaSet=rs0", one.port);
	one.e.url = url;
	one.e.tls = TLS_OFF;
	one.params.connect_timeout = DURATION_SECONDS(9);
	CHECK_OK(mo_conn_open(&run, &one.e, MO_READ, &c, &err), err);
	CHECK(c->server.primary);
	close(silent);
	mo_test_server_stop(&one);
}

TEST("MongoDB: a replica set without a primary is waited for as long as a connection may take, and then its members are named")
{
	struct mo_test_server one, two;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;

	mo_test_script_start(&one, SHOP);
	mo_test_script_start(&two, SHOP);
	set_script(&two, "secondary", NULL, &one);
	set_script(&one, "secondary", NULL, &two);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u,127.0.0.1:%u/?replicaSet=rs0", one.port, two.port);
	one.e.url = url;
	one.params.connect_timeout = DURATION_MS(1500);
	CHECK_INT(mo_conn_open(&run, &one.e, MO_WRITE, &c, &err), ST_UNREACHABLE);
	CHECK_HAS(error_text(&err), "(RSSecondary)");
	CHECK(err.retry && err.hint);
	mo_test_server_stop(&two);
	mo_test_server_stop(&one);
}

TEST("MongoDB: a primary that steps down is an error that may pass, and the session is lost")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	mo_test_script_start(&s, "{\"settings\": {\"set_name\": \"rs0\"}}");
	CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
	mo_test_script_faults(&s, "[{\"command\": \"find\", \"error\": 10107}]");
	CHECK_INT(find_items(&run, c, &err), ST_UNREACHABLE);
	CHECK(err.retry && mo_conn_lost(&err));
	CHECK_INT(mo_conn_code(&err), 10107);
	error_release(&err);
	/* Nothing reconnects. */
	CHECK_INT(find_items(&run, c, &err), ST_UNREACHABLE);
	mo_test_server_stop(&s);
}

/* ---- ends of waiting ---- */

struct later {
	struct cancel *cancel;
	struct mo_conn *interrupt;
	struct run alone;
	struct thread thread;
};

static void later_thread(void *arg)
{
	struct later *l = arg;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	(void)!run_sleep(&l->alone, DURATION_MS(300), &ignored);
	if (l->cancel)
		cancel_fire(l->cancel, 0);
	else
		mo_conn_interrupt(l->interrupt);
}

static void start_later(struct later *l)
{
	struct error err = ERROR_INIT;

	CHECK_OK(thread_start(&l->thread, "later", later_thread, l, &err), err);
}

static void check_ended_there(struct mo_test_server *s)
{
	bson_t last;
	bson_iter_t at;

	CHECK_INT(mo_test_script_sent(s, "killSessions", &last), 1);
	CHECK(mo_look(&last, "killSessions.0.id", &at) && BSON_ITER_HOLDS_BINARY(&at));
	bson_destroy(&last);
}

TEST("MongoDB: deadline, cancel and interrupt end a command that waits at once, and the server is told to end it")
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;
	struct later l = {0};

	mo_test_script_start(&s, SHOP);
	for (int way = 0; way < 3; way++) {
		CLEANUP(cancel_freep) struct cancel *cancel = cancel_new(NULL);
		struct run own = {.cancel = cancel};

		mo_test_script_faults(&s, SLOW);
		CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
		struct run in = way ? own : run_within(&run, DURATION_MS(300));
		struct instant from = run_mono(&run);
		l = (struct later){.cancel = way == 1 ? cancel : NULL, .interrupt = c};
		if (way)
			start_later(&l);
		CHECK_INT(find_items(&in, c, &err), way ? ST_CANCELLED : ST_DEADLINE);
		CHECK(ms_since(from) < AT_ONCE && mo_conn_lost(&err));
		error_release(&err);
		if (way)
			thread_join(&l.thread);
		CHECK_INT(find_items(&run, c, &err), way == 2 ? ST_CANCELLED : ST_UNREACHABLE);
		error_release(&err);
		mo_conn_freep(&c);
		check_ended_there(&s);
	}
	mo_test_server_stop(&s);
}

TEST("MongoDB: a time limit that the URL sets for answers is kept")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	mo_test_script_start(&s, SHOP);
	mo_test_script_faults(&s, SLOW);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/?socketTimeoutMS=300", s.port);
	s.e.url = url;
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	struct instant from = run_mono(&run);
	CHECK_INT(find_items(&run, c, &err), ST_UNREACHABLE);
	CHECK(ms_since(from) < AT_ONCE);
	CHECK_HAS(error_text(&err), "timed out");
	mo_test_server_stop(&s);
}

TEST("MongoDB: an interrupt before a command keeps it from being sent")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	mo_test_script_start(&s, SHOP);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	mo_conn_interrupt(c);
	CHECK_INT(find_items(&run, c, &err), ST_CANCELLED);
	CHECK_INT(mo_test_script_sent(&s, "find", NULL), 0);
	mo_test_server_stop(&s);
}

/* ---- answers ---- */

TEST("MongoDB: an answer that is cut off is a lost connection that names the server")
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct mo_conn *c = NULL;
	static const char *const faults[] = {"[{\"command\": \"find\", \"cut\": true}]", "[{\"command\": \"find\", \"cut\": 3}]",
					     "[{\"command\": \"find\", \"close\": true}]"};

	mo_test_script_start(&s, SHOP);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		mo_test_script_faults(&s, faults[i]);
		CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
		CHECK_INT(find_items(&run, c, &err), ST_UNREACHABLE);
		CHECK_HAS(error_text(&err), c->server.where);
		CHECK(err.retry && mo_conn_lost(&err) && !mo_conn_code(&err));
		error_release(&err);
		mo_conn_freep(&c);
	}
	mo_test_server_stop(&s);
}

TEST("MongoDB: a change that the members of a set did not confirm is an error, and refused documents are the caller's")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	bson_t reply;

	mo_test_script_start(&s, SHOP);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
	mo_test_script_faults(&s, "[{\"command\": \"find\", \"reply\": {\"ok\": 1.0, \"writeConcernError\": {\"code\": 100, \"errmsg\": \"not enough\"}}}, "
				  "{\"command\": \"find\", \"n\": 2, \"reply\": {\"ok\": 1.0, \"writeErrors\": [{\"index\": 0, \"code\": 11000}]}}]");
	CHECK_INT(find_items(&run, c, &err), ST_SERVER);
	CHECK_INT(mo_conn_code(&err), 100);
	CHECK_HAS(error_text(&err), "not enough");
	error_release(&err);
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	BSON_APPEND_UTF8(&command, "find", "items");
	CHECK_OK(mo_conn_command(&run, c, "shop", &command, &reply, &err), err);
	CHECK(bson_has_field(&reply, "writeErrors"));
	bson_destroy(&reply);
	mo_test_server_stop(&s);
}

TEST("MongoDB: labels of an error say that it may pass, and rights that are missing say how to get them")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	mo_test_script_start(&s, SHOP);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_WRITE, &c, &err), err);
	mo_test_script_faults(&s, "[{\"command\": \"find\", \"error\": 9999, \"labels\": [\"RetryableWriteError\"]}, "
				  "{\"command\": \"find\", \"n\": 2, \"error\": 13}, {\"command\": \"find\", \"n\": 3, \"error\": 9999}]");
	CHECK(find_items(&run, c, &err) == ST_SERVER && err.retry && !mo_conn_lost(&err));
	error_release(&err);
	CHECK(find_items(&run, c, &err) == ST_DENIED && !err.retry);
	CHECK_HAS(err.hint, "drtool config grants");
	error_release(&err);
	CHECK(find_items(&run, c, &err) == ST_SERVER && !err.retry);
	error_release(&err);
	CHECK_OK(find_items(&run, c, &err), err);
	mo_test_server_stop(&s);
}
