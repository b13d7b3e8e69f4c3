#include "drivers/mysql/conn_internal.h"
#include "tests/lib/test.h"

static struct secret none = SECRET_INIT;

static void fill(const char *url, enum tls_mode tls, struct my_connect_params *p)
{
	struct error err = ERROR_INIT;
	const struct endpoint e = {.url = url, .password = &none, .tls = tls};

	CHECK_OK(my_connect_params_fill(&e, p, &err), err);
}

TEST("MySQL: TLS is checked by default, but on loopback only preferred; what is asked for comes first")
{
	static const struct {
		const char *url;
		enum tls_mode tls, expected;
	} row[] = {
		{"mysql://db.example.net/shop", TLS_DEFAULT, TLS_VERIFY_FULL},
		{"mysql://127.0.0.1/shop", TLS_DEFAULT, TLS_PREFER},
		{"mysql://[::1]/shop", TLS_DEFAULT, TLS_PREFER},
		{"mysql://localhost/shop", TLS_DEFAULT, TLS_PREFER},
		{"mysql:///shop", TLS_DEFAULT, TLS_PREFER},
		{"mariadb://db.example.net/shop?ssl-mode=REQUIRED", TLS_DEFAULT, TLS_REQUIRE},
		{"mysql://db.example.net/shop?ssl-mode=VERIFY_CA", TLS_DEFAULT, TLS_VERIFY_CA},
		{"mysql://db.example.net/shop?ssl-mode=DISABLED", TLS_VERIFY_FULL, TLS_VERIFY_FULL},
		{"mysql://127.0.0.1.example.net/shop", TLS_PREFER, TLS_PREFER},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		CLEANUP(my_connect_params_release) struct my_connect_params p = MY_CONNECT_PARAMS_INIT;

		fill(row[i].url, row[i].tls, &p);
		CHECK_INT(p.tls, row[i].expected);
	}
}

TEST("MySQL: a certificate that is pinned is asked for")
{
	struct error err = ERROR_INIT;
	char print[] = "00";
	const struct my_params params = {.tls_fingerprint = print};
	const struct endpoint e = {.url = "mysql://127.0.0.1/", .password = &none, .params = &params};
	CLEANUP(my_connect_params_release) struct my_connect_params p = MY_CONNECT_PARAMS_INIT;

	CHECK_OK(my_connect_params_fill(&e, &p, &err), err);
	CHECK_INT(p.tls, TLS_REQUIRE);
}

TEST("MySQL: a URL names a host or a socket, and nothing that is not known")
{
	static const char *const socket[] = {"mysql://me@/shop?socket=/tmp/my.sock", "mysql://me@%2Ftmp%2Fmy.sock/shop",
					     "mysql://me@/shop?host=/tmp/my.sock", "mysql://me@localhost/shop?socket=/tmp/my.sock"};
	struct error err = ERROR_INIT;
	struct endpoint e = {.url = "mysql://db.example.net/?charset=latin1", .password = &none};
	struct my_connect_params p = MY_CONNECT_PARAMS_INIT;
	char *database = NULL;

	for (size_t i = 0; i < ARRAY_LEN(socket); i++) {
		fill(socket[i], TLS_DEFAULT, &p);
		CHECK_STR(p.socket, "/tmp/my.sock");
		CHECK_STR(p.user, "me");
		CHECK_STR(p.database, "shop");
		CHECK(!p.host && p.loopback);
		my_connect_params_release(&p);
	}
	fill("mysql://db.example.net:3307/?connect_timeout=7", TLS_DEFAULT, &p);
	CHECK_STR(p.host, "db.example.net");
	CHECK_INT(p.port, 3307);
	CHECK_INT(p.timeout.us, 7000000);
	CHECK(p.user && !p.socket && !p.database);
	my_connect_params_release(&p);
	CHECK_ERR(my_connect_params_fill(&e, &p, &err), err, ST_CONFIG, "\"charset\"");
	my_connect_params_release(&p);
	e.url = "mysql://db.example.net/?ssl-mode=maybe";
	CHECK_ERR(my_connect_params_fill(&e, &p, &err), err, ST_CONFIG, "ssl-mode");
	my_connect_params_release(&p);
	CHECK_ERR(my_conn_url_database(&e, &database, &err), err, ST_CONFIG, "ssl-mode");
	e.url = "mysql://db.example.net/a%2Fb";
	CHECK_OK(my_conn_url_database(&e, &database, &err), err);
	CHECK_STR(database, "a/b");
	free(database);
}

TEST("MySQL: numbers of errors become what they mean")
{
	CHECK_INT(my_number_status(1045), ST_AUTH);
	CHECK_INT(my_number_status(1698), ST_AUTH);
	CHECK_INT(my_number_status(5010), ST_AUTH);
	CHECK_INT(my_number_status(1227), ST_DENIED);
	CHECK_INT(my_number_status(1049), ST_NOT_FOUND);
	CHECK_INT(my_number_status(1040), ST_UNREACHABLE);
	CHECK_INT(my_number_status(2013), ST_UNREACHABLE);
	CHECK_INT(my_number_status(2026), ST_TLS);
	CHECK_INT(my_number_status(1146), ST_SERVER);
	CHECK_INT(my_number_status(3948), ST_UNSUPPORTED);
	CHECK(my_number_retry(1213) && my_number_retry(2006) && !my_number_retry(1045) && !my_number_retry(1146));
}

TEST("MySQL: a server that is not there ends in an error that says so and may be tried again")
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	struct endpoint e = {.url = "mysql://x@127.0.0.1:1/shop", .password = &none};
	struct my_conn *c = NULL;

	CHECK_INT(my_conn_open(&run, &e, NULL, false, &c, &err), ST_UNREACHABLE);
	CHECK_HAS(error_text(&err), "127.0.0.1:1: Connection refused");
	CHECK(err.retry && err.hint && !c);
	error_release(&err);
	e.tls = TLS_REQUIRE;
	CHECK_INT(my_conn_open(&run, &e, NULL, false, &c, &err), ST_UNREACHABLE);
	CHECK_HAS(error_text(&err), "127.0.0.1:1: Connection refused");
	CHECK(err.retry && err.hint && !c);
	error_release(&err);
	e.url = "mysql://x@/?socket=/dev/null/none";
	CHECK_ERR(my_conn_open(&run, &e, NULL, false, &c, &err), err, ST_UNREACHABLE, "/dev/null/none: Not a directory");
}
