#include "drivers/mongodb/conn_internal.h"

#include "drivers/mongodb/link_tls.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

struct fixture {
	struct secret password;
	struct mo_params params;
	struct endpoint e;
	struct mo_url u;
	struct error err;
};

static void set_up(struct fixture *f, const char *url)
{
	*f = (struct fixture){.params = {.connect_timeout = DURATION_SECONDS(30)}};
	f->e = (struct endpoint){.url = url, .password = &f->password, .params = &f->params};
}

static enum status read_url(struct fixture *f) { return mo_url_read(&f->e, NULL, &f->u, &f->err); }

static void tear_down(struct fixture *f)
{
	mo_url_release(&f->u);
	error_release(&f->err);
}

static void check_refused(const char *url, const char *text, const char *hint)
{
	struct fixture f;

	set_up(&f, url);
	CHECK_INT(read_url(&f), ST_CONFIG);
	CHECK_HAS(error_text(&f.err), text);
	if (hint)
		CHECK_HAS(f.err.hint, hint);
	tear_down(&f);
}

TEST("MongoDB: a URL keeps what chooses server and login, and never has libmongoc try anything twice")
{
	struct fixture f;

	set_up(&f, "mongodb://me@a:1,b:2/my%2Dshop?replicaSet=rs0&authSource=accounts&readPreference=secondary&readPreferenceTags=dc:east"
		   "&retryWrites=true&retryReads=true&directConnection=false");
	CHECK_OK(read_url(&f), f.err);
	CHECK_STR(f.u.database, "my-shop");
	CHECK_STR(mongoc_uri_get_replica_set(f.u.uri), "rs0");
	CHECK_STR(mongoc_uri_get_auth_source(f.u.uri), "accounts");
	CHECK_STR(mongoc_uri_get_username(f.u.uri), "me");
	CHECK_STR(mongoc_uri_get_appname(f.u.uri), "drtool");
	CHECK_INT(mongoc_read_prefs_get_mode(mongoc_uri_get_read_prefs_t(f.u.uri)), MONGOC_READ_SECONDARY);
	CHECK(!bson_empty(mongoc_read_prefs_get_tags(mongoc_uri_get_read_prefs_t(f.u.uri))));
	CHECK(!mongoc_uri_get_option_as_bool(f.u.uri, MONGOC_URI_RETRYREADS, true));
	CHECK(!mongoc_uri_get_option_as_bool(f.u.uri, MONGOC_URI_RETRYWRITES, true));
	CHECK_INT(mongoc_uri_get_option_as_int32(f.u.uri, MONGOC_URI_CONNECTTIMEOUTMS, 0), 5000);
	CHECK_INT(mongoc_uri_get_option_as_int32(f.u.uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 0), 30000);
	CHECK_INT(f.u.hosts, 2);
	CHECK_INT(f.u.tls, TLS_DEFAULT);
	tear_down(&f);
}

TEST("MongoDB: what a URL says for an application is set aside without a word")
{
	struct fixture f;

	set_up(&f, "mongodb://a/?w=majority&journal=true&wTimeoutMS=5&compressors=zlib,zstd&zlibCompressionLevel=3&maxPoolSize=9&minPoolSize=1"
		   "&appName=Cluster0&readConcernLevel=majority&uuidRepresentation=standard&serverSelectionTimeoutMS=5&connectTimeoutMS=5;maxIdleTimeMS=5");
	CHECK_OK(read_url(&f), f.err);
	CHECK(bson_empty(mongoc_uri_get_compressors(f.u.uri)));
	CHECK_STR(mongoc_uri_get_appname(f.u.uri), "drtool");
	CHECK_INT(mongoc_uri_get_option_as_int32(f.u.uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 0), 30000);
	CHECK(!f.u.database);
	tear_down(&f);
}

TEST("MongoDB: a URL that weakens TLS, holds a secret, or says what drtool does not know is refused with the way on")
{
	check_refused("mongodb://a/?tlsInsecure=true", "tlsInsecure", "Set tls to \"require\"");
	check_refused("mongodb://a/?TLSALLOWINVALIDCERTIFICATES=true", "tlsAllowInvalidCertificates", "Set tls to \"require\"");
	check_refused("mongodb://a/?sslAllowInvalidHostnames=1", "sslAllowInvalidHostnames", "Set tls to \"verify-ca\"");
	check_refused("mongodb://a/?tlsCertificateKeyFilePassword=hunter2", "tlsCertificateKeyFilePassword", "tls_cert");
	check_refused("mongodb://a/?reedPreference=secondary", "\"reedPreference\", which drtool does not know", NULL);
	check_refused("mongodb://a/?tls=maybe", "neither true nor false", NULL);
	check_refused("mongodb://me@a/?authMechanism=PLAIN", "PLAIN", "SCRAM-SHA-256");
	check_refused("mongodb://a/?readPreference", "cannot be read", "mongodb://");
	check_refused("mongodb://a/?readPreference=nearby", "URL of the server", NULL);
	check_refused("mongodb:///shop", "cannot be read", NULL);
	check_refused("mysql://a/shop", "cannot be read", NULL);
	check_refused("mongodb://a/sh%4", "'%'", "%25");
	check_refused("mongodb://a/sh%00op", "'%'", NULL);
	check_refused("mongodb://a:99999/", "URL of the server", NULL);
}

TEST("MongoDB: what weakens nothing is taken: false is what drtool does anyway")
{
	struct fixture f;

	set_up(&f, "mongodb://a/?tlsAllowInvalidCertificates=false&tlsInsecure=false");
	CHECK_OK(read_url(&f), f.err);
	tear_down(&f);
}

TEST("MongoDB: the mode of TLS is that of the setting, then of the URL, then of the host")
{
	static const struct {
		const char *url;
		enum tls_mode set, expected;
	} cases[] = {
		{"mongodb://a/", TLS_DEFAULT, TLS_DEFAULT},
		{"mongodb://a/?tls=true", TLS_DEFAULT, TLS_VERIFY_FULL},
		{"mongodb://a/?ssl=true", TLS_DEFAULT, TLS_VERIFY_FULL},
		{"mongodb://a/?ssl=false", TLS_DEFAULT, TLS_OFF},
		{"mongodb://a/?tls=true", TLS_REQUIRE, TLS_REQUIRE},
		{"mongodb://a/?tls=false", TLS_VERIFY_CA, TLS_VERIFY_CA},
		{"mongodb+srv://a.example.net/", TLS_DEFAULT, TLS_VERIFY_FULL},
		{"mongodb+srv://a.example.net/?tls=false", TLS_DEFAULT, TLS_OFF},
		{"mongodb+srv://a.example.net/", TLS_PREFER, TLS_PREFER},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;

		set_up(&f, cases[i].url);
		f.e.tls = cases[i].set;
		CHECK_OK(read_url(&f), f.err);
		CHECK_INT(f.u.tls, cases[i].expected);
		/* libmongoc has none of its own. */
		CHECK(!mongoc_uri_get_tls(f.u.uri));
		tear_down(&f);
	}
	const struct mo_tls unset = {.mode = TLS_DEFAULT}, full = {.mode = TLS_VERIFY_FULL};
	CHECK_INT(mo_tls_mode(&unset, "localhost"), TLS_PREFER);
	CHECK_INT(mo_tls_mode(&unset, "127.0.0.1"), TLS_PREFER);
	CHECK_INT(mo_tls_mode(&unset, "::1"), TLS_PREFER);
	CHECK_INT(mo_tls_mode(&unset, "db1"), TLS_VERIFY_FULL);
	CHECK_INT(mo_tls_mode(&full, "localhost"), TLS_VERIFY_FULL);
	CHECK_INT(mo_tls_mode(&full, "/tmp/server.sock"), TLS_OFF);
}

TEST("MongoDB: files of TLS come from the settings, then from the URL")
{
	struct fixture f;

	set_up(&f, "mongodb://a/?tlsCAFile=%2Furl%2Fca.pem&tlsCertificateKeyFile=/url/me.pem");
	CHECK_OK(read_url(&f), f.err);
	CHECK_STR(f.u.ca, "/url/ca.pem");
	CHECK_STR(f.u.cert, "/url/me.pem");
	mo_url_release(&f.u);
	f.e.tls_ca = "/set/ca.pem";
	f.params.tls_cert = (char[]){"/set/me.pem"};
	CHECK_OK(read_url(&f), f.err);
	CHECK_STR(f.u.ca, "/set/ca.pem");
	CHECK_STR(f.u.cert, "/set/me.pem");
	tear_down(&f);
}

TEST("MongoDB: the user of the settings goes before that of the URL, odd characters reach the login as they are, and one without a password is told")
{
	struct fixture f;
	char odd[] = "p:/@%41#ü";

	set_up(&f, "mongodb://other@a/");
	f.e.user = "o:/@%41#ü";
	f.password.value = odd;
	CHECK_OK(read_url(&f), f.err);
	CHECK_STR(mongoc_uri_get_username(f.u.uri), "o:/@%41#ü");
	CHECK(!mongoc_uri_get_password(f.u.uri));
	CHECK_OK(mo_url_login(&run, &f.e, &f.u, &f.err), f.err);
	CHECK_STR(mongoc_uri_get_password(f.u.uri), odd);
	tear_down(&f);

	set_up(&f, "mongodb://per%40son@%2Ftmp%2Fmongodb-27017.sock/");
	CHECK_OK(read_url(&f), f.err);
	CHECK_STR(mongoc_uri_get_username(f.u.uri), "per@son");
	CHECK_STR(mongoc_uri_get_hosts(f.u.uri)->host, "/tmp/mongodb-27017.sock");
	CHECK_INT(mo_url_login(&run, &f.e, &f.u, &f.err), ST_AUTH);
	CHECK_HAS(error_text(&f.err), "no password for the user per@son");
	CHECK_HAS(f.err.hint, "password_file");
	tear_down(&f);
}

TEST("MongoDB: a login by certificate takes no password, and its name may come from the certificate")
{
	struct fixture f;
	char password[] = "unused";

	set_up(&f, "mongodb://a/?authMechanism=MONGODB-X509");
	f.password.value = password;
	CHECK_OK(read_url(&f), f.err);
	CHECK_OK(mo_url_login(&run, &f.e, &f.u, &f.err), f.err);
	CHECK(!mongoc_uri_get_password(f.u.uri) && !mongoc_uri_get_username(f.u.uri));
	CHECK_STR(mongoc_uri_get_auth_source(f.u.uri), "$external");
	tear_down(&f);
}

TEST("MongoDB: a second session for one server of several goes there and nowhere else")
{
	struct fixture f;

	set_up(&f, "mongodb+srv://me@cluster.example.net/shop?srvMaxHosts=3&srvServiceName=mongodb&replicaSet=rs0&authSource=admin");
	CHECK_OK(mo_url_read(&f.e, "db2:27018", &f.u, &f.err), f.err);
	const mongoc_host_list_t *h = mongoc_uri_get_hosts(f.u.uri);
	CHECK(h && !h->next);
	CHECK_STR(h->host_and_port, "db2:27018");
	CHECK(mongoc_uri_get_option_as_bool(f.u.uri, MONGOC_URI_DIRECTCONNECTION, false));
	CHECK_STR(mongoc_uri_get_auth_source(f.u.uri), "admin");
	CHECK_INT(f.u.tls, TLS_VERIFY_FULL);
	tear_down(&f);
}

TEST("MongoDB: a second session has what DNS said to the first one of login and balancer")
{
	struct fixture f;
	mongoc_uri_t *found = mongoc_uri_new("mongodb://me@db2:27018/shop?authSource=admin&loadBalanced=true");

	set_up(&f, "mongodb+srv://me@cluster.example.net/shop");
	CHECK_OK(mo_url_read(&f.e, "db2:27018", &f.u, &f.err), f.err);
	CHECK_STR(mongoc_uri_get_auth_source(f.u.uri), "shop");
	mo_url_as_found(&f.u, found);
	CHECK_STR(mongoc_uri_get_auth_source(f.u.uri), "admin");
	CHECK(mongoc_uri_get_option_as_bool(f.u.uri, MONGOC_URI_LOADBALANCED, false));
	CHECK(!mongoc_uri_get_option_as_bool(f.u.uri, MONGOC_URI_DIRECTCONNECTION, false));
	mongoc_uri_destroy(found);
	tear_down(&f);
}

TEST("MongoDB: the database of a URL is found without a server")
{
	struct fixture f;
	char *database = NULL;

	set_up(&f, "mongodb://a,b/shop?w=1");
	CHECK_OK(mo_conn_url_database(&f.e, &database, &f.err), f.err);
	CHECK_STR(database, "shop");
	free(database);
	f.e.url = "mongodb://a";
	CHECK_OK(mo_conn_url_database(&f.e, &database, &f.err), f.err);
	CHECK(!database);
	f.e.url = "mongodb://";
	CHECK_INT(mo_conn_url_database(&f.e, &database, &f.err), ST_CONFIG);
	tear_down(&f);
}

TEST("MongoDB: numbers of a server's errors mean login, rights, room, another primary, or the server's own trouble")
{
	static const struct {
		int number;
		enum status code;
		bool retry;
	} cases[] = {
		{18, ST_AUTH, false},          {13, ST_DENIED, false},        {14031, ST_NO_SPACE, false},
		{59, ST_UNSUPPORTED, false},   {10107, ST_UNREACHABLE, true}, {11600, ST_UNREACHABLE, true},
		{43, ST_SERVER, true},         {239, ST_SERVER, true},        {11000, ST_SERVER, false},
		{26, ST_SERVER, false},        {1, ST_SERVER, false},         {123456, ST_SERVER, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_INT(mo_number_status(cases[i].number), cases[i].code);
		CHECK_INT(mo_number_retry(cases[i].number), cases[i].retry);
	}
}

TEST("MongoDB: an error of a server is one line with its number, and says whether the session is lost")
{
	struct mo_conn c = {.server = {.where = (char[]){"db1:27017"}, .product = (char[]){"MongoDB"}}};
	struct error err = ERROR_INIT;

	CHECK_INT(mo_server_error(&c, 26, "ns not\nfound", NULL, &err), ST_SERVER);
	CHECK_STR(error_text(&err), "MongoDB at db1:27017: ns not found");
	CHECK(mo_conn_code(&err) == MO_NAMESPACE_NOT_FOUND && !mo_conn_lost(&err));
	CHECK_INT(mo_server_error(&c, 91, "", NULL, &err), ST_UNREACHABLE);
	CHECK(mo_conn_lost(&err) && err.hint && err.retry);
	error_release(&err);
}

TEST("MongoDB: a server without TLS is remembered until it wants TLS after all")
{
	CHECK(!mo_tls_is_plain("a:1"));
	mo_tls_remember_plain("a:1");
	mo_tls_remember_plain("b:2");
	CHECK(mo_tls_is_plain("a:1") && mo_tls_is_plain("b:2"));
	mo_tls_forget_plain("a:1");
	mo_tls_forget_plain("c:3");
	CHECK(!mo_tls_is_plain("a:1") && mo_tls_is_plain("b:2"));
}
