#include "drivers/postgres/conn_internal.h"
#include "drivers/postgres/facts.h"
#include "tests/lib/test.h"
#include "util/fs.h"

extern const struct driver driver_postgres;

static struct secret none = SECRET_INIT;

TEST("defaults of the driver's settings are those it has without a configuration")
{
	struct error err = ERROR_INIT;
	struct pg_params by_rows = {0};
	const struct endpoint e = {0};
	const struct pg_params *own = pg_params(&e);

	CHECK_OK(settings_defaults(driver_postgres.settings, &by_rows, &err), err);
	CHECK_INT(by_rows.connect_timeout.us, own->connect_timeout.us);
	CHECK_INT(by_rows.lock_timeout.us, own->lock_timeout.us);
	CHECK_INT(by_rows.split_above, own->split_above);
	CHECK(!by_rows.client_path && !by_rows.tls_cert && !by_rows.tls_key);
	CHECK_OK(driver_check(&driver_postgres, &err), err);
	settings_release(driver_postgres.settings, &by_rows);
}

static void fill(const char *url, enum tls_mode tls, struct connect_params *p)
{
	struct error err = ERROR_INIT;
	const struct endpoint e = {.url = url, .password = &none, .tls = tls};

	CHECK_OK(connect_params_fill(&e, p, &err), err);
}

TEST("TLS is checked by default, but on loopback only preferred; what is asked for comes first")
{
	static const struct {
		const char *url;
		enum tls_mode tls;
		const char *mode;
	} row[] = {
		{"postgres://db.example.net/shop", TLS_DEFAULT, "verify-full"},
		{"postgres://127.0.0.1/shop", TLS_DEFAULT, "prefer"},
		{"postgres://localhost/shop", TLS_DEFAULT, "prefer"},
		{"postgres:///shop?host=/run/postgresql", TLS_DEFAULT, "prefer"},
		{"postgres://[::1]/shop", TLS_DEFAULT, "prefer"},
		{"postgres://db.example.net/shop", TLS_OFF, "disable"},
		{"postgres://db.example.net/shop", TLS_REQUIRE, "require"},
		{"postgres://db.example.net/shop", TLS_VERIFY_CA, "verify-ca"},
		{"postgres://db/shop?sslmode=require", TLS_DEFAULT, "require"},
		{"postgres://db/shop?sslmode=require", TLS_VERIFY_FULL, "verify-full"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		CLEANUP(connect_params_release) struct connect_params p = CONNECT_PARAMS_INIT;

		fill(row[i].url, row[i].tls, &p);
		CHECK_STR(connect_params_get(&p, "sslmode"), row[i].mode);
	}
}

TEST("nothing of a connection comes from the environment or from files in the home folder")
{
	static const char *const variable[] = {
		"PGHOST",     "PGPORT",           "PGUSER",        "PGDATABASE", "PGPASSWORD",
		"PGPASSFILE", "PGSERVICE",        "PGSERVICEFILE", "PGSSLMODE",  "PGSSLROOTCERT",
		"PGOPTIONS",  "PGCLIENTENCODING", "PGDATESTYLE",   "PGTZ",       "PGTARGETSESSIONATTRS"};
	CLEANUP(connect_params_release) struct connect_params p = CONNECT_PARAMS_INIT;

	for (size_t i = 0; i < ARRAY_LEN(variable); i++)
		setenv(variable[i], "wrong", 1);
	fill("postgres://h/d", TLS_DEFAULT, &p);
	for (size_t i = 0; i < ARRAY_LEN(variable); i++)
		if (getenv(variable[i]))
			test_fail(__FILE__, __LINE__, "%s is still there", variable[i]);
	CHECK(!fs_exists(connect_params_get(&p, "passfile")));
	CHECK(!fs_exists(connect_params_get(&p, "sslcert")));
	CHECK(!connect_params_get(&p, "user"));
}

TEST("a URL that asks for what drtool does not do is refused, by name of the parameter")
{
	static const char *const bad[][2] = {{"postgres://h/d?service=x", "service"},
					     {"postgres://h/d?passfile=/x", "passfile"},
					     {"postgres://h/d?replication=true", "replication"},
					     {"postgres://h/d?nonsense=1", "nonsense"}};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(connect_params_release) struct connect_params p = CONNECT_PARAMS_INIT;
		const struct endpoint e = {.url = bad[i][0], .password = &none};

		CHECK_ERR(connect_params_fill(&e, &p, &err), err, ST_CONFIG, bad[i][1]);
	}
}

TEST("client programs get the address by environment, and the password in a file of mode 0600 only")
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	struct secret password = {.value = xstrdup("p:a\\ss")};
	const struct endpoint e = {.url = "postgres://me@db.example.net:5433/shop", .password = &password, .tls = TLS_REQUIRE};
	CLEANUP(cstr_release) char *file = path_join(test_dir(), "pgpass");
	CLEANUP(strlist_release) struct strlist env = STRLIST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(cstr_release) char *named = xasprintf("PGPASSFILE=%s", file);
	struct stat st;

	CHECK_OK(conn_client_env(&run, &e, file, &env, &err), err);
	CHECK(strlist_has(&env, "PGHOST=db.example.net"));
	CHECK(strlist_has(&env, "PGPORT=5433"));
	CHECK(strlist_has(&env, "PGUSER=me"));
	CHECK(strlist_has(&env, "PGSSLMODE=require"));
	CHECK(strlist_has(&env, named));
	for (size_t i = 0; i < env.len; i++)
		CHECK(!strstr(env.item[i], "p:a"));
	CHECK(!stat(file, &st) && (st.st_mode & 0777) == 0600);
	CHECK_OK(fs_read_file(file, 1000, &text, &err), err);
	CHECK_STR(buf_str(&text), "*:*:*:*:p\\:a\\\\ss\n");
	secret_release(&password);
}

TEST("a server that is not there, or does not answer, ends in an error that says so and may be tried again")
{
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	struct pg_params params = {.connect_timeout = DURATION_SECONDS(5)};
	const struct endpoint e = {.url = "postgres://x@127.0.0.1:1/shop", .password = &none, .params = &params};
	struct conn *c = NULL;

	CHECK_INT(conn_open(&run, &e, NULL, &c, &err), ST_UNREACHABLE);
	CHECK_HAS(error_text(&err), "PostgreSQL at 127.0.0.1:1, database shop: Connection refused");
	CHECK(err.retry && err.hint);
	CHECK(!c);
	error_release(&err);
}

TEST("SQLSTATEs become what they mean")
{
	CHECK_INT(sqlstate_status("28P01"), ST_AUTH);
	CHECK_INT(sqlstate_status("28000"), ST_AUTH);
	CHECK_INT(sqlstate_status("42501"), ST_DENIED);
	CHECK_INT(sqlstate_status("3D000"), ST_NOT_FOUND);
	CHECK_INT(sqlstate_status("53300"), ST_UNREACHABLE);
	CHECK_INT(sqlstate_status("53100"), ST_NO_SPACE);
	CHECK_INT(sqlstate_status("57P01"), ST_UNREACHABLE);
	CHECK_INT(sqlstate_status("42P01"), ST_SERVER);
	CHECK(sqlstate_retry("40001") && sqlstate_retry("55P03") && sqlstate_retry("57P03") && !sqlstate_retry("42P01"));
}

TEST("facts of a table are read back, and refused where they are not what they should be")
{
	static const char *const bad[] = {
		"{}", "{\"class\":\"table\",\"encoding\":\"UTF8\",\"format\":\"text\",\"schema\":\"s\",\"name\":\"t\"}",
		"{\"class\":\"table\",\"encoding\":\"UTF8\",\"format\":\"text\",\"schema\":\"s\",\"name\":\"t\",\"columns\":[1]}",
		"{\"class\":\"other\",\"encoding\":\"UTF8\",\"format\":\"text\"}"};
	static const char good[] = "{\"class\":\"table\",\"encoding\":\"UTF8\",\"format\":\"text\",\"schema\":\"s\",\"name\":\"t\","
				   "\"columns\":[\"a\\\"\",\"b\"],"
				   "\"parent\":{\"schema\":\"p\",\"name\":\"q\"},\"later\":1}";
	struct error err = ERROR_INIT;
	struct facts_table t;
	CLEANUP(buf_release) struct buf columns = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(js_decref) json_t *j = NULL;

		CHECK_OK(js_parse(bad[i], strlen(bad[i]), "facts", &j, &err), err);
		CHECK(facts_table(j, &t, &err) != ST_OK);
		error_release(&err);
	}
	CLEANUP(js_decref) json_t *j = NULL;
	CHECK_OK(js_parse(good, strlen(good), "facts", &j, &err), err);
	CHECK_OK(facts_table(j, &t, &err), err);
	facts_columns(&t, &columns);
	CHECK_STR(buf_str(&columns), "(\"a\"\"\", \"b\")");
	CHECK_STR(t.parent_name, "q");
	CHECK_INT(t.ranges, 1);
}
