#include "commands/command.h"

#include "core/url.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

/* A program that has read this configuration. */
static void start(struct cli *cli, const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;

	cli_init(cli, &run);
	CHECK_OK(config_read(&cli->schema, "t.yaml", text, strlen(text), &cli->config, &err), err);
}

TEST("bind: a source of the configuration gets driver, settings and password, and its URL no longer holds it")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(op_source_release) struct op_source s = {0};

	start(&cli, "sources:\n  shop: {url: \"postgresql://u:pw@DB/shop?x=1\", max_lag: 5m, tls: require, keep: {daily: 3}}\n");
	const struct bind b = {&cli.config};

	CHECK_OK(bind_source(&run, &b, "shop", NULL, false, &s, &err), err);
	CHECK_STR(s.name, "shop");
	CHECK_STR(s.url, "postgres://u@db/shop?x=1");
	CHECK_STR(s.password.value, "pw");
	CHECK_STR(s.driver->name, "postgres");
	CHECK_INT(s.s.tls, TLS_REQUIRE);
	CHECK_INT(s.s.keep.daily, 3);
	CHECK_INT(s.s.shrink_limit, 50);
	CHECK_INT(s.s.max_lag.us, DURATION_SECONDS(300).us);
}

TEST("bind: the URL of a scratch server gives its password away, and what is no URL of a server is said with its place")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(op_source_release) struct op_source s = {0}, bad = {0};

	start(&cli,
	      "sources:\n  shop: {url: \"postgres://u:pw@db/shop\", scratch: \"postgresql://v:s%20w@SC/postgres\"}\n"
	      "  bad: {url: \"postgres://db/shop\", scratch: \"postgres://v:hidden%@sc/postgres\"}\n");
	const struct bind b = {&cli.config};

	CHECK_OK(bind_source(&run, &b, "shop", NULL, false, &s, &err), err);
	CHECK_STR(s.s.scratch, "postgres://v@sc/postgres");
	CHECK_STR(s.scratch_password.value, "s w");
	CHECK_STR(s.password.value, "pw");
	CHECK_ERR(bind_source(&run, &b, "bad", NULL, false, &bad, &err), err, ST_CONFIG,
		  "source bad: scratch: URL: the password has a '%'");
}

TEST("bind: the environment completes a source given as URL and no other, and never says which database")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(op_source_release) struct op_source url = {0}, named = {0};

	setenv("PGPASSWORD", "from-env", 1);
	setenv("PGUSER", "envuser", 1);
	setenv("PGPORT", "6000", 1);
	setenv("PGDATABASE", "envdb", 1);
	start(&cli, "sources:\n  shop: {url: \"postgres://db/shop\"}\n");
	const struct bind b = {&cli.config};

	CHECK_OK(bind_source(&run, &b, "postgres://db", NULL, false, &url, &err), err);
	CHECK_STR(url.url, "postgres://envuser@db:6000");
	CHECK_STR(url.password.value, "from-env");
	CHECK_STR(url.name, "postgres-db-6000-all");
	CHECK_OK(bind_source(&run, &b, "shop", NULL, false, &named, &err), err);
	CHECK_STR(named.url, "postgres://db/shop");
	CHECK(!secret_set(&named.password));
	unsetenv("PGPASSWORD");
	unsetenv("PGUSER");
	unsetenv("PGPORT");
	unsetenv("PGDATABASE");
}

TEST("bind: a name that is in no configuration is an error for a backup and a bare name for the store")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(op_source_release) struct op_source s = {0};

	start(&cli, "sources:\n  shop: {url: \"postgres://db/shop\"}\n");
	const struct bind b = {&cli.config};

	CHECK_ERR(bind_source(&run, &b, "shpo", NULL, false, &s, &err), err, ST_NOT_FOUND,
		  "there is no source named \"shpo\"; there are shop");
	CHECK_ERR(bind_source(&run, &b, "shop", "x", false, &s, &err), err, ST_USAGE, "--name goes with");
	CHECK_ERR(bind_source(&run, &b, "oracle://h/d", NULL, false, &s, &err), err, ST_CONFIG, "postgres://");
	CHECK_ERR(bind_source(&run, &b, "postgres://h/d", "No Name", false, &s, &err), err, ST_USAGE, "cannot be the name");
	CHECK_OK(bind_source(&run, &b, "gone", NULL, true, &s, &err), err);
	CHECK_STR(s.name, "gone");
	CHECK(!s.driver);
	CHECK_INT(s.s.shrink_limit, 50);
}

TEST("bind: a target takes user and password of the source only on the same server")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(op_source_release) struct op_source source = {0}, same = {0}, other = {0}, login = {0};
	CLEANUP(cstr_release) char *db = NULL, *none = NULL, *third = NULL;

	start(&cli, "sources:\n  shop: {url: \"postgres://u:pw@db/shop\", tls: off}\n");
	const struct bind b = {&cli.config};

	CHECK_OK(bind_source(&run, &b, "shop", NULL, false, &source, &err), err);
	CHECK_OK(bind_target(&run, &b, "postgres://db:5432/copy", &source, &same, &db, &err), err);
	CHECK_STR(db, "copy");
	CHECK_STR(same.url, "postgres://u@db:5432/copy");
	CHECK_STR(same.password.value, "pw");
	CHECK_INT(same.s.tls, TLS_OFF);
	CHECK_OK(bind_target(&run, &b, "postgres://far", &source, &other, &none, &err), err);
	CHECK(!none && !secret_set(&other.password));
	CHECK_STR(other.url, "postgres://far");
	CHECK_OK(bind_target(&run, &b, "postgres://boss@db/x", &source, &login, &third, &err), err);
	CHECK(!secret_set(&login.password));
	op_source_release(&login);
	cstr_release(&third);
	CHECK_OK(bind_target(&run, &b, "shop", NULL, &login, &third, &err), err);
	CHECK_STR(third, "shop");
	CHECK_STR(login.password.value, "pw");
}

TEST("bind: a store is a name, a URL with options, or a path")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(op_store_release) struct op_store named = {0}, url = {0}, path = {0}, wrong = {0};

	start(&cli, "stores:\n  local: {url: \"file:///var/b\", min_free: 3%}\n");
	const struct bind b = {&cli.config};

	CHECK_OK(bind_store(&run, &b, "local", &named, &err), err);
	CHECK_STR(named.name, "local");
	CHECK_STR(named.url, "file:///var/b");
	CHECK_OK(bind_store(&run, &b, "file:///tmp/x?min_free=7%25", &url, &err), err);
	CHECK_STR(url.url, "file:///tmp/x");
	CHECK_OK(bind_store(&run, &b, "/tmp/my backups", &path, &err), err);
	CHECK_STR(path.url, "file:///tmp/my%20backups");
	CHECK_ERR(bind_store(&run, &b, "file:///tmp/x?min_fre=7", &wrong, &err), err, ST_CONFIG, "no option \"min_fre\"");
	CHECK_ERR(bind_store(&run, &b, "s3://x?secret_key=sesame", &wrong, &err), err, ST_CONFIG, "\"secret_key\" is a secret");
	CHECK_ERR(bind_store(&run, &b, "lokal", &wrong, &err), err, ST_NOT_FOUND,
		  "there is no store named \"lokal\"; there are local");
	CHECK_ERR(bind_store(&run, &b, "gopher://x", &wrong, &err), err, ST_CONFIG, "gopher://");
}

TEST("bind: where to write and to read: flag, source, configuration, DRTOOL_STORE")
{
	CLEANUP(cli_release) struct cli cli, bare;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(op_source_release) struct op_source s = {0}, any = {0};
	CLEANUP(picked_stores_release) struct picked_stores to = PICKED_INIT, all = PICKED_INIT;
	CLEANUP(picked_stores_release) struct picked_stores env = PICKED_INIT, none = PICKED_INIT;

	start(&cli,
	      "stores: {a: {url: \"file:///a\"}, b: {url: \"file:///b\"}}\n"
	      "sources: {shop: {url: \"postgres://db/shop\", to: [b]}}\n");
	const struct bind bind = {&cli.config};

	CHECK_OK(bind_source(&run, &bind, "shop", NULL, false, &s, &err), err);
	CHECK_OK(pick_targets(&cli, &s, &to, &err), err);
	CHECK_INT(to.n, 1);
	CHECK_STR(to.list[0]->name, "b");
	CHECK_OK(pick_targets(&cli, &any, &all, &err), err);
	CHECK_INT(all.n, 2);
	start(&bare, "");
	unsetenv("DRTOOL_STORE");
	CHECK_ERR(pick_from(&bare, NULL, &none, &err), err, ST_CONFIG, "there is no store");
	setenv("DRTOOL_STORE", "file:///e", 1);
	CHECK_OK(pick_from(&bare, NULL, &env, &err), err);
	CHECK_STR(env.list[0]->url, "file:///e");
	unsetenv("DRTOOL_STORE");
}
