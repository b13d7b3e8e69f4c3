#include "core/url.h"

#include <unistd.h>

#include "core/secret.h"
#include "tests/lib/test.h"

TEST("url: all parts are taken apart and decoded")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(url_release) struct url u = URL_INIT;

	CHECK_OK(url_parse("PostgreSQL://back%40up:p%2Fw%3a%25@DB.example:6543/sh%20op?sslmode=require&x=a%26b", &u, &err), err);
	CHECK_STR(u.scheme, "postgres");
	CHECK_STR(u.user, "back@up");
	CHECK_STR(u.password, "p/w:%");
	CHECK_STR(u.host, "db.example");
	CHECK_INT(u.port, 6543);
	CHECK_STR(u.path, "sh op");
	CHECK_STR(url_param(&u, "sslmode"), "require");
	CHECK_STR(url_param(&u, "x"), "a&b");
	CHECK(!url_param(&u, "y"));
}

TEST("url: aliases and default ports make one form")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	static const struct {
		const char *text, *scheme;
		unsigned port;
	} cases[] = {{"postgres://h", "postgres", 5432},
		     {"mariadb://h", "mysql", 3306},
		     {"mongodb://h", "mongodb", 27017},
		     {"file:///x", "file", 0}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(url_release) struct url u = URL_INIT;

		CHECK_OK(url_parse(cases[i].text, &u, &err), err);
		CHECK_STR(u.scheme, cases[i].scheme);
		CHECK_INT(u.port, cases[i].port);
		CHECK(!u.port_given);
	}
}

TEST("url: an IPv6 address, a socket folder as host and as option")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(url_release) struct url six = URL_INIT, host = URL_INIT, option = URL_INIT;

	CHECK_OK(url_parse("postgres://u@[FE80::1]:5433/d", &six, &err), err);
	CHECK_STR(six.host, "fe80::1");
	CHECK_INT(six.port, 5433);
	CHECK_OK(url_parse("postgres://%2Fvar%2Frun%2FPG/d", &host, &err), err);
	CHECK_STR(host.host, "/var/run/PG");
	CHECK_OK(url_parse("postgres:///d?host=/var/run&port=7&user=me&password=x", &option, &err), err);
	CHECK_STR(option.host, "/var/run");
	CHECK_INT(option.port, 7);
	CHECK_STR(option.user, "me");
	CHECK_STR(option.password, "x");
	CHECK_INT(option.params, 0);
}

TEST("url: what is wrong is refused without showing the password")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct url u = URL_INIT;

	CHECK_ERR(url_parse("shop", &u, &err), err, ST_CONFIG, "not a URL");
	CHECK_ERR(url_parse("postgres://a,b/d", &u, &err), err, ST_CONFIG, "several hosts");
	CHECK_ERR(url_parse("postgres://h:0/d", &u, &err), err, ST_CONFIG, "port");
	CHECK_ERR(url_parse("postgres://h:65536/d", &u, &err), err, ST_CONFIG, "port");
	CHECK_ERR(url_parse("postgres://h:12x/d", &u, &err), err, ST_CONFIG, "port");
	CHECK_ERR(url_parse("postgres://[::1/d", &u, &err), err, ST_CONFIG, "]");
	CHECK_ERR(url_parse("postgres://u:secret#1@h/d", &u, &err), err, ST_CONFIG, "#");
	CHECK_ERR(url_parse("postgres://h/%00", &u, &err), err, ST_CONFIG, "hex digits");
	CHECK_INT(url_parse("postgres://u:sec%zzret@h/d", &u, &err), ST_CONFIG);
	CHECK(!strstr(error_text(&err), "sec"));
}

TEST("url: printed back it means the same, the password only where asked for")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(url_release) struct url u = URL_INIT, again = URL_INIT;

	CHECK_OK(url_parse("postgresql://a%20b:p%40w@%2Frun:1/d%3F?x=1", &u, &err), err);
	CLEANUP(cstr_release) char *without = url_print(&u, false), *with = url_print(&u, true);

	CHECK_STR(without, "postgres://a%20b@%2Frun:1/d%3F?x=1");
	CHECK_STR(with, "postgres://a%20b:p%40w@%2Frun:1/d%3F?x=1");
	CHECK_OK(url_parse(with, &again, &err), err);
	CHECK_STR(again.password, "p@w");
	CHECK_STR(again.path, "d?");
}

TEST("url: of mongodb it may name several members of a set, of which the first gives the name")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(url_release) struct url u = URL_INIT, srv = URL_INIT, bad = URL_INIT;

	CHECK_OK(url_parse("mongodb://u:p@DB1:27018,db2,[::1]:7/shop?replicaSet=rs0", &u, &err), err);
	CHECK_STR(u.host, "db1");
	CHECK_INT(u.port, 27018);
	CHECK_STR(u.others, "db2,[::1]:7");
	CLEANUP(cstr_release) char *text = url_print(&u, false), *name = url_source_name(&u);
	CHECK_STR(text, "mongodb://u@db1:27018,db2,[::1]:7/shop?replicaSet=rs0");
	CHECK_STR(name, "mongodb-db1-27018-shop");
	CHECK_ERR(url_parse("mongodb://a,,b/d", &bad, &err), err, ST_CONFIG, "empty");
	CHECK_ERR(url_parse("mongodb://,b/d", &bad, &err), err, ST_CONFIG, "empty");
	CHECK_ERR(url_parse("mongodb://a,b:x/d", &bad, &err), err, ST_CONFIG, "port");
	CHECK_OK(url_parse("mongodb+srv://cluster0.example.net/shop", &srv, &err), err);
	CHECK_STR(srv.path, "shop");
	CLEANUP(cstr_release) char *there = url_print(&srv, false), *called = url_source_name(&srv);
	CHECK_STR(there, "mongodb+srv://cluster0.example.net/shop");
	CHECK_STR(called, "mongodb-srv-cluster0.example.net-shop");
}

TEST("url: the name of a source is made of scheme, host, port and database")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	static const char *const cases[][2] = {
		{"postgresql://u:p@DB/Shop", "postgres-db-5432-shop"},
		{"postgres://db:6000", "postgres-db-6000-all"},
		{"postgres://[fe80::1]/a%2Fb", "postgres-fe80--1-5432-a-b"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(url_release) struct url u = URL_INIT;

		CHECK_OK(url_parse(cases[i][0], &u, &err), err);
		CLEANUP(cstr_release) char *name = url_source_name(&u);

		CHECK_STR(name, cases[i][1]);
	}
}

TEST("url: a local source is named after this machine")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(url_release) struct url a = URL_INIT, b = URL_INIT, far = URL_INIT;
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	CHECK_OK(url_parse("postgres://localhost/d", &a, &err), err);
	CHECK_OK(url_parse("postgres://%2Frun/d", &b, &err), err);
	CHECK_OK(url_parse("postgres://far/d", &far, &err), err);
	CLEANUP(cstr_release) char *one = url_source_name(&a), *two = url_source_name(&b), *three = url_source_name(&far);

	CHECK_STR(one, two);
	CHECK(strstr(one, "localhost") == NULL || !strcmp(host, "localhost"));
	CHECK_STR(three, "postgres-far-5432-d");
}

TEST("url: passwords in arguments are overwritten in place, also behind a flag and without encoding")
{
	char url[] = "postgres://u:secret@h/d", flag[] = "--into=postgres://u:sec/ret@h/d", plain[] = "shop",
	     option[] = "s3://b?secret_key=abc&region=x";
	char *args[] = {plain, url, flag, option};

	CHECK(url_scrub_args(4, args));
	CHECK_STR(url, "postgres://u@h/d");
	CHECK_STR(flag, "--into=postgres://u@h/d");
	CHECK_STR(option, "s3://b?secret_key=&region=x");
	CHECK(!memmem(url, sizeof(url), "secret", 6));
	char *clean[] = {plain, plain};

	CHECK(!url_scrub_args(2, clean));
}

TEST("url: messages show no password, even where it was not encoded")
{
	static const char *const cases[][2] = {
		{"postgres://u:p@h/d", "postgres://u@h/d"},
		{"postgres://u@h/d?password=x&sslmode=require", "postgres://u@h/d?password=&sslmode=require"},
		{"postgres://u:a/b?c@h/d", "postgres://u@h/d"},
		{"postgres://h/d@x", "postgres://h/d@x"},
		{"postgres://h/d?password&token=", "postgres://h/d?password&token="},
		{"file:///var/backups", "file:///var/backups"},
		{"shop", "shop"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cstr_release) char *clean = url_without_secrets(cases[i][0]);

		CHECK_STR(clean, cases[i][1]);
	}
}
