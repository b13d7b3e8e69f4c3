#include "drivers/mysql/conn_internal.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/mysql_server.h"
#include "tests/lib/test.h"
#include "util/thread.h"

static struct run run = RUN_INIT;

/* Opens as the endpoint says now: whether it went well, encrypted. "" else the error's text. Owned by the caller. */
static char *try_tls(struct my_test_server *s)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	if (!my_conn_open(&run, &s->e, NULL, false, &c, &err))
		return xstrdup(mysql_get_ssl_cipher(c->my) ? "encrypted" : "plain");
	char *text = xasprintf("%s: %s; %s", status_name(err.code), error_text(&err), err.hint ? err.hint : "");
	error_release(&err);
	return text;
}

#define CHECK_TLS(s, mode, authority, expected)                                    \
	do {                                                                       \
		(s)->e.tls = (mode);                                               \
		(s)->e.tls_ca = (authority);                                       \
		CLEANUP(cstr_release) char *text_ = try_tls(s);                    \
		CHECK_HAS(text_, expected);                                        \
	} while (0)

static char *fingerprint_in(const char *text)
{
	const char *at = strstr(text, "fingerprint ");

	while (at && strspn(at + 12, "0123456789ABCDEF:") < 90)
		at = strstr(at + 1, "fingerprint ");
	CHECK(at != NULL);
	return xstrndup(at + 12, strspn(at + 12, "0123456789ABCDEF:"));
}

TEST("MySQL: each mode of TLS checks what it says, and a refusal names the way on")
{
	struct my_test_server s;
	char password[] = "mysql";

	my_test_server_start_tls(&s);
	CLEANUP(cstr_release) char *ip = xasprintf("mysql://root@127.0.0.1:%u/", s.port), *name = xasprintf("mysql://root@localhost:%u/", s.port);
	s.password.value = password;
	s.e.url = ip;
	CHECK_TLS(&s, TLS_DEFAULT, NULL, "plain");
	CHECK_TLS(&s, TLS_OFF, NULL, "plain");
	CHECK_TLS(&s, TLS_REQUIRE, NULL, "encrypted");
	CHECK_TLS(&s, TLS_VERIFY_CA, s.ca, "encrypted");
	CHECK_TLS(&s, TLS_VERIFY_CA, NULL, "TLS: ");
	CHECK_TLS(&s, TLS_VERIFY_CA, "/dev/null", "CONFIG: ");
	CHECK_TLS(&s, TLS_VERIFY_FULL, s.ca, "TLS: ");
	CHECK_TLS(&s, TLS_VERIFY_FULL, "/no/such/ca.pem", "CONFIG: the server at");
	CHECK_TLS(&s, TLS_VERIFY_CA, "/no/such/ca.pem", "tls_ca: reading /no/such/ca.pem: No such file");
	s.params.tls_key = (char[]){"/no/such/key.pem"};
	CHECK_TLS(&s, TLS_VERIFY_CA, s.ca, "tls_key: reading /no/such/key.pem: No such file");
	s.params.tls_key = NULL;
	s.e.tls_ca = NULL;
	CLEANUP(cstr_release) char *text = try_tls(&s), *print = fingerprint_in(text);
	s.params.tls_fingerprint = print;
	CHECK_TLS(&s, TLS_DEFAULT, NULL, "encrypted");
	CHECK_TLS(&s, TLS_VERIFY_FULL, NULL, "encrypted");
	CHECK_TLS(&s, TLS_OFF, NULL, "plain");
	print[0] = print[0] == '0' ? '1' : '0';
	CHECK_TLS(&s, TLS_DEFAULT, NULL, "another certificate");
	CHECK_TLS(&s, TLS_REQUIRE, NULL, "another certificate");
	print[1] = 'x';
	CHECK_TLS(&s, TLS_REQUIRE, NULL, "CONFIG: ");
	s.params.tls_fingerprint = NULL;
	s.e.url = name;
	CHECK_TLS(&s, TLS_VERIFY_FULL, NULL, "TLS: ");
	CHECK_TLS(&s, TLS_VERIFY_FULL, s.ca, "encrypted");
	my_test_server_stop(&s);
}

/* ---- a server that wants what it must not get ---- */

struct fake {
	int listener;
	unsigned port;
	struct thread thread;
	struct buf got; /* all that clients sent */
};

static void fake_packet(int fd, unsigned char number, const void *p, size_t n)
{
	unsigned char head[4] = {(unsigned char)n, (unsigned char)(n >> 8), 0, number};

	(void)!send(fd, head, sizeof head, MSG_NOSIGNAL);
	(void)!send(fd, p, n, MSG_NOSIGNAL);
}

static void fake_thread(void *arg)
{
	static const char greeting[] = "\x0a"
				       "5.5.5-10.11.19-MariaDB\0"
				       "\1\0\0\0"
				       "12345678\0"
				       "\xff\xf7\x2d\2\0\xff\x81\x15\0\0\0\0\0\0\0\0\0\0"
				       "123456789012\0mysql_native_password";
	static const char ask[] = "\xfemysql_clear_password";
	struct fake *f = arg;
	char room[4096];
	ssize_t n;

	for (int fd; (fd = accept(f->listener, NULL, NULL)) >= 0; close(fd)) {
		fake_packet(fd, 0, greeting, sizeof greeting);
		if ((n = recv(fd, room, sizeof room, 0)) > 0) {
			buf_put(&f->got, room, (size_t)n);
			fake_packet(fd, 2, ask, sizeof ask);
		}
		while ((n = recv(fd, room, sizeof room, 0)) > 0)
			buf_put(&f->got, room, (size_t)n);
	}
}

static void fake_start(struct fake *f)
{
	struct error err = ERROR_INIT;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	*f = (struct fake){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	CHECK(!bind(f->listener, (struct sockaddr *)&a, sizeof a) && !listen(f->listener, 8));
	CHECK(!getsockname(f->listener, (struct sockaddr *)&a, &n));
	f->port = ntohs(a.sin_port);
	CHECK_OK(thread_start(&f->thread, "fake", fake_thread, f, &err), err);
}

static void fake_stop(struct fake *f)
{
	shutdown(f->listener, SHUT_RDWR);
	thread_join(&f->thread);
	close(f->listener);
}

TEST("MySQL: a server that asks for the password as it is gets nothing, and none gets it where TLS is demanded but missing")
{
	static const enum tls_mode mode[] = {TLS_DEFAULT, TLS_OFF, TLS_REQUIRE, TLS_VERIFY_CA, TLS_VERIFY_FULL};
	char secret[] = "s3cret", print[] = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33";
	struct secret password = {.value = secret};
	struct error err = ERROR_INIT;
	struct notes *notes = notes_new();
	struct fake f;

	fake_start(&f);
	CLEANUP(cstr_release) char *url = xasprintf("mysql://me@127.0.0.1:%u/", f.port);
	struct endpoint e = {.url = url, .password = &password, .notes = notes};
	struct my_params pinned = *my_params(&e);
	pinned.tls_fingerprint = print;
	for (size_t i = 0; i <= ARRAY_LEN(mode); i++) {
		struct my_conn *c = NULL;

		e.tls = i < ARRAY_LEN(mode) ? mode[i] : TLS_DEFAULT;
		e.params = i < ARRAY_LEN(mode) ? NULL : &pinned;
		CHECK_INT(my_conn_open(&run, &e, NULL, false, &c, &err), i < 2 ? ST_AUTH : ST_TLS);
		CHECK(!c && err.hint && !strstr(error_text(&err), secret));
		error_release(&err);
	}
	fake_stop(&f);
	CHECK(f.got.len && !memmem(f.got.data, f.got.len, secret, strlen(secret)));
	/* Its name comes only where no TLS is asked for. */
	CHECK(memmem(f.got.data, f.got.len, "me\0", 3));
	buf_release(&f.got);
	notes_freep(&notes);
}
