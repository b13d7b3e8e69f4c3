/* How a dump and a probe know a server, a secondary among them, and what they do where a right is missing, against the scripted server. */
#include "tests/conformance/mongodb_script.h"
#include "tests/conformance/mongodb_steps.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

#define ORDERS "{\"documents\": [{\"_id\": 1}, {\"_id\": 2}, {\"_id\": 3}]}"
#define SHOP "\"data\": {\"shop\": {\"orders\": " ORDERS "}}"
#define SET(more) "\"settings\": {\"set_name\": \"rs0\"" more "}"

/* ---- who it is ---- */

TEST("MongoDB dump of a secondary: role, time of the data and what it follows are recorded, and max_lag is kept")
{
	const long long old = run_now(&run).us / 1000000 - 7200;
	CLEANUP(cstr_release) char *script = xasprintf("{" SET(", \"role\": \"secondary\", \"primary\": \"db1:27017\", \"majority\": {\"$timestamp\": {\"t\": %lld, \"i\": 1}},"
						       " \"behind\": {\"$timestamp\": {\"t\": %lld, \"i\": 1}}") ", " SHOP "}", old, old);
	struct mo_test_server s;
	static struct mo_steps t;
	struct error err = ERROR_INIT;

	mo_test_script_start(&s, script);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/?readPreference=secondary", s.port), *member = xasprintf("127.0.0.1:%u", s.port);
	s.e.url = url;
	CHECK_OK(mo_steps_open(&t, &s, "shop", &err), err);
	CHECK_STR(t.info.role, "secondary");
	CHECK(t.info.data_time.us && t.info.data_time.us < run_now(&run).us - 7000000000);
	CHECK_STR(js_opt_str(t.info.replication, "set", ""), "rs0");
	CHECK_STR(js_opt_str(t.info.replication, "member", ""), member);
	CHECK_STR(js_opt_str(t.info.replication, "primary", ""), "db1:27017");
	CHECK_HAS(js_opt_str(t.info.replication, "position", ""), ":1");
	mo_steps_release(&t);
	t.max_lag = DURATION_SECONDS(600);
	CHECK_ERR(mo_steps_open(&t, &s, "shop", &err), err, ST_FAILED, "old, more than max_lag allows");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

static void check_identity(const char *script, const char *begin, bool weak)
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct probe p = PROBE_INIT;

	mo_test_script_start(&s, script);
	CHECK_OK(mo_probe(&run, &s.e, false, &p, &err), err);
	CHECK_INT(strncmp(p.identity, begin, strlen(begin)), 0);
	CHECK(strlen(p.identity) > strlen(begin));
	CHECK(mo_steps_has(&p.limits, "`cluster: NAME`") == weak);
	probe_release(&p);
	mo_test_server_stop(&s);
}

TEST("MongoDB probe: a server is known by the id of its set or of its data, else by less, which is said")
{
	check_identity("{" SET("") ", " SHOP "}", "", false);
	check_identity("{" SET("") ", " SHOP ", \"faults\": [{\"command\": \"replSetGetConfig\", \"error\": 13, \"times\": null}]}", "set-", true);
	check_identity("{\"data\": {\"admin\": {\"system.version\": " ORDERS "}}}", "server-", false);
	check_identity("{" SHOP "}", "address-", true);
}

TEST("MongoDB probe of a set: the time that a backup may take is said")
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct probe p = PROBE_INIT;

	mo_test_script_start(&s, "{" SET("") ", " SHOP ", \"faults\": [{\"command\": \"getParameter\", \"times\": null, \"reply\": {\"ok\": 1, \"minSnapshotHistoryWindowInSeconds\": 300}}]}");
	CHECK_OK(mo_probe(&run, &s.e, false, &p, &err), err);
	CHECK(mo_steps_has(&p.limits, "longer than 300 s fails"));
	probe_release(&p);
	mo_test_server_stop(&s);
}

static void check_limit(const char *script, const char *text)
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct probe p = PROBE_INIT;

	mo_test_script_start(&s, script);
	CHECK_OK(mo_probe(&run, &s.e, false, &p, &err), err);
	CHECK(mo_steps_has(&p.limits, text));
	probe_release(&p);
	mo_test_server_stop(&s);
}

TEST("MongoDB probe of a set that cannot be read at one moment: the oplog that a backup needs is named, or what is in its way")
{
	check_limit("{" SET(", \"snapshot\": 246, \"oplog\": 1000") ", " SHOP "}", "it takes the oplog along to be of one moment");
	check_limit("{" SET(", \"snapshot\": 246") ", " SHOP "}", "are not of one moment: the server refused");
	check_limit("{" SET(", \"snapshot\": 246, \"oplog\": 1000") ", " SHOP ", \"faults\": [{\"command\": \"find\", \"ns\": \"local.oplog.rs\", \"error\": 13,"
		    " \"times\": null}]}", "which the role backup allows");
	check_limit("{" SET(", \"snapshot\": 246, \"oplog\": 1000") ", " SHOP ", \"faults\": [{\"command\": \"find\", \"ns\": \"local.oplog.rs\", \"error\": 8000,"
		    " \"times\": null}]}", "which the role backup allows");
	check_limit("{" SET(", \"snapshot\": 246, \"oplog\": 1000, \"version\": \"7.0.14-8\", \"build_info\": {\"psmdbVersion\": \"7.0.14-8\"}") ", " SHOP "}",
		    "it takes the oplog along to be of one moment");
}

/* ---- rights ---- */

/* What servers answer to an account that may not: MongoDB's number, and Atlas'. */
static const int denials[] = {13, 8000};

static void check_url_only(int denial)
{
	CLEANUP(cstr_release) char *script = xasprintf("{" SET("") ", " SHOP ", \"faults\": [{\"command\": \"listDatabases\", \"error\": %d, \"times\": null}]}", denial);
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, script);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/shop", s.port);
	s.e.url = url;
	mo_steps_all(&t, &s, "");
	CHECK_STR(t.info.scopes.item[0], "shop");
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: an account that may not list databases dumps the one of its URL, on Atlas too")
{
	for (size_t i = 0; i < ARRAY_LEN(denials); i++)
		check_url_only(denials[i]);
}

TEST("MongoDB dump: accounts and roles are in the archive as documents, and password hashes are announced")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"orders\": " ORDERS "}, \"admin\": {\"system.users\": {\"documents\": [{\"_id\": \"admin.a\", \"user\": \"a\","
				  " \"credentials\": {\"SCRAM-SHA-256\": {\"storedKey\": \"x\"}}}]}, \"system.roles\": {\"documents\": [{\"_id\": \"shop.r\"}]}}}}");
	mo_steps_all(&t, &s, "shop");
	CHECK(t.info.has_password_hashes);
	CHECK(strlen(mo_steps_file(&t, "accounts/system.users.bson")) > 0);
	CHECK(strlen(mo_steps_file(&t, "accounts/system.roles.bson")) > 0);
	CHECK(!mo_steps_has(&t.info.not_contained, "accounts"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

static void check_accounts_missing(int denial)
{
	CLEANUP(cstr_release) char *script = xasprintf("{" SET("") ", " SHOP ", \"faults\": [{\"command\": \"find\", \"ns\": \"admin.system.users\", \"error\": %d,"
						       " \"times\": null}]}", denial);
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, script);
	mo_steps_all(&t, &s, "shop");
	CHECK(mo_steps_has(&t.info.not_contained, "accounts, roles and their rights: this account may not read them"));
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: accounts that may not be read are named as missing, on Atlas too")
{
	for (size_t i = 0; i < ARRAY_LEN(denials); i++)
		check_accounts_missing(denials[i]);
}

TEST("MongoDB probe of Percona Server: accounts that may be read are in its backups, as on MongoDB")
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct probe p = PROBE_INIT;

	mo_test_script_start(&s, "{" SET(", \"version\": \"7.0.14-8\", \"build_info\": {\"psmdbVersion\": \"7.0.14-8\"}") ", " SHOP "}");
	CHECK_OK(mo_probe(&run, &s.e, false, &p, &err), err);
	CHECK_STR(p.version, "7.0.14-8 (Percona Server for MongoDB)");
	CHECK(!mo_steps_has(&p.limits, "accounts and roles"));
	probe_release(&p);
	mo_test_server_stop(&s);
}

TEST("MongoDB dump: a server that refuses noCursorTimeout is read without")
{
	struct mo_test_server s;
	static struct mo_steps t;

	mo_test_script_start(&s, "{" SET("") ", " SHOP ", \"faults\": [{\"command\": \"find\", \"ns\": \"shop.drtool\", \"error\": 8000, \"times\": null}]}");
	mo_steps_all(&t, &s, "shop");
	CHECK_INT(mo_steps_object(&t, "orders")->count, 3);
	CHECK_INT(mo_test_script_asked(&s, "find", "noCursorTimeout"), 1);
	mo_steps_release(&t);
	mo_test_server_stop(&s);
}

#define LOGGED_IN "{\"command\": \"connectionStatus\", \"times\": null, \"reply\": {\"ok\": 1, \"authInfo\": {\"authenticatedUsers\": [{\"user\": \"b\\\"k\", \"db\": \"admin\"}]}}}"
#define GRANT "db.getSiblingDB(\"admin\").grantRolesToUser(\"b\\\"k\", "

/* A command that the account may not do, on "shop.orders" or "shop". */
static void check_missing(int denial, const char *command, const char *ns)
{
	CLEANUP(cstr_release) char *script = xasprintf("{" SET("") ", " SHOP ", \"faults\": [" LOGGED_IN ", {\"command\": \"%s\", \"ns\": \"%s\", \"error\": %d,"
						       " \"times\": null}]}", command, ns, denial);
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct probe p = PROBE_INIT;

	mo_test_script_start(&s, script);
	CHECK_OK(mo_probe(&run, &s.e, false, &p, &err), err);
	CHECK_INT(p.missing.len, 1);
	CHECK_STR(p.missing.item[0], GRANT "[{role: \"backup\", db: \"admin\"}])");
	probe_release(&p);
	mo_test_server_stop(&s);
}

TEST("MongoDB probe: rights that are missing are statements to paste, on Atlas too")
{
	for (size_t i = 0; i < ARRAY_LEN(denials); i++) {
		check_missing(denials[i], "find", "shop.orders");
		check_missing(denials[i], "listCollections", "shop");
		check_missing(denials[i], "listDatabases", "admin");
	}
}

TEST("MongoDB probe of one database: a view is not run, and a time series whose buckets may not be read is a right that is missing")
{
	struct mo_test_server s;
	struct error err = ERROR_INIT;
	struct probe p = PROBE_INIT;

	mo_test_script_start(&s, "{" SET("") ", \"data\": {\"shop\": {\"a view\": {\"options\": {\"viewOn\": \"orders\", \"pipeline\": []}}, \"orders\": " ORDERS ","
				  " \"weather\": {\"options\": {\"timeseries\": {\"timeField\": \"t\"}}}}}, \"faults\": [" LOGGED_IN ", {\"command\": \"find\","
				  " \"ns\": \"shop.a view\", \"error\": 40353, \"times\": null}, {\"command\": \"find\", \"ns\": \"shop.system.buckets.weather\","
				  " \"error\": 13, \"times\": null}]}");
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/shop", s.port);
	s.e.url = url;
	CHECK_OK(mo_probe(&run, &s.e, false, &p, &err), err);
	CHECK_INT(p.missing.len, 1);
	CHECK_STR(p.missing.item[0], GRANT "[{role: \"readAnyDatabase\", db: \"admin\"}])");
	probe_release(&p);
	mo_test_server_stop(&s);
}
