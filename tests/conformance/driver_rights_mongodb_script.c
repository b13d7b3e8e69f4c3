/* What a load promises of accounts, and of the rights of its own: against the scripted server. */
#include "tests/conformance/mongodb_two.h"
#include "tests/lib/test.h"

/* ---- accounts ---- */

static const char accounts[] =
	"{\"data\": {\"shop\": {\"a\": {\"documents\": [{\"_id\": 1}]}}, \"admin\": {\"system.users\": {\"documents\": [{\"_id\": \"shop.ann\", \"user\": \"ann\","
	" \"db\": \"shop\", \"credentials\": {\"x\": 1}, \"roles\": []}]}, \"system.roles\": {\"documents\": [{\"_id\": \"shop.r\", \"role\": \"r\", \"db\": \"shop\"}]}}}}";

TEST("MongoDB load: users and roles come as they were with --users all, merged by the server itself, and nothing of them is left beside")
{
	struct mo_two t;

	mo_two_start(&t, accounts, A_SERVER_OF_A_SET);
	t.l.q.users = LOAD_USERS_ALL;
	mo_shop_plan_ok(&t.l);
	CHECK_HAS(t.l.plan.confirm, "shop@");
	mo_shop_run_ok(&t.l);
	CHECK_INT(mo_shop_count(&t.to, "admin", "system.users"), 1);
	CHECK_INT(mo_shop_count(&t.to, "admin", "system.roles"), 1);
	CHECK(!mo_shop_has(&t.to, "admin", "tempusers") && !mo_shop_has(&t.to, "admin", "temproles"));
	/* The role restore may read these, and no others. */
	CHECK_INT(mo_test_script_asked(&t.to.mo, "_mergeAuthzCollections", "\"tempUsersCollection\" : \"admin.tempusers\", \"tempRolesCollection\" : \"admin.temproles\""), 1);
	mo_two_stop(&t);
}

static void start_accounts(struct mo_two *t)
{
	mo_two_start(t, accounts, A_SERVER_OF_A_SET);
	t->l.q.users = LOAD_USERS_ALL;
	mo_shop_plan_ok(&t->l);
}

static void check_no_hashes(struct mo_two *t, uint64_t users)
{
	CHECK(!mo_shop_has(&t->to, "admin", "tempusers") && !mo_shop_has(&t->to, "admin", "temproles"));
	CHECK_INT(mo_shop_count(&t->to, "admin", "system.users"), users);
}

TEST("MongoDB load: no password hashes are left beside when the server refuses the accounts or the link breaks, and a resumed restore makes them")
{
	static const char *const faults[] = {"[{\"command\": \"_mergeAuthzCollections\", \"error\": 2, \"message\": \"no account\"}]",
					     "[{\"command\": \"_mergeAuthzCollections\", \"close\": true}]",
					     "[{\"command\": \"insert\", \"ns\": \"admin.temproles\", \"cut\": true}]",
					     "[{\"command\": \"drop\", \"ns\": \"admin.tempusers\", \"error\": 11600}]"};

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct mo_two t;
		struct error err = ERROR_INIT;

		start_accounts(&t);
		mo_test_script_faults(&t.to.mo, faults[i]);
		CHECK(loading_run(&t.l, NULL, &err) != ST_OK);
		error_release(&err);
		check_no_hashes(&t, 0);
		mo_two_resume_all(&t);
		check_no_hashes(&t, 1);
		mo_two_stop(&t);
	}
}

TEST("MongoDB load: password hashes that could not be dropped are said to be there, and a resumed restore knows them for its own")
{
	struct mo_two t;
	struct error err = ERROR_INIT;

	start_accounts(&t);
	mo_test_script_faults(&t.to.mo, "[{\"command\": \"_mergeAuthzCollections\", \"error\": 2}, {\"command\": \"drop\", \"ns\": \"admin.tempusers\", \"n\": 2, \"times\": 2,"
					" \"error\": 1}]");
	CHECK(loading_run(&t.l, NULL, &err) != ST_OK);
	error_release(&err);
	CHECK(mo_shop_has(&t.to, "admin", "tempusers"));
	mo_shop_note(&t.to, "drop the collections admin.tempusers and admin.temproles");
	mo_two_resume_all(&t);
	check_no_hashes(&t, 1);
	mo_two_stop(&t);
}

TEST("MongoDB load: accounts that somebody else is restoring are not touched: refused before anything is changed, and later, too")
{
	static const char why[] = "admin.tempusers is there already, where the server is to find the accounts: another restore may be at work";
	static const char other[] = "{\"insert\": \"tempusers\", \"documents\": [{\"_id\": \"x.y\"}]}";
	struct mo_two t;
	struct error err = ERROR_INIT;

	start_accounts(&t);
	mo_test_server_command(&t.to.mo, "admin", other, NULL);
	CHECK_ERR(loading_run(&t.l, NULL, &err), err, ST_REFUSED, why);
	CHECK_INT(mo_shop_count(&t.to, "admin", "tempusers"), 1);
	mo_two_stop(&t);
	mo_two_start(&t, accounts, A_SERVER_OF_A_SET);
	mo_test_server_command(&t.to.mo, "admin", other, NULL);
	t.l.q.users = LOAD_USERS_ALL;
	mo_two_refused(&t, why);
	CHECK_INT(mo_shop_count(&t.to, "admin", "tempusers"), 1);
	CHECK(!mo_shop_has(&t.to, "shop", "a"));
	mo_two_stop(&t);
}

TEST("MongoDB load: a server that cannot take accounts refuses --users all before anything is changed; without it they stay out")
{
	struct mo_two t;

	mo_two_start(&t, accounts, "{\"settings\": {\"missing\": [\"_mergeAuthzCollections\"]}}");
	t.l.q.users = LOAD_USERS_ALL;
	mo_two_refused(&t, "the server has no command _mergeAuthzCollections");
	mo_shop_run_ok(&t.l);
	CHECK_INT(mo_shop_count(&t.to, "admin", "system.users"), 0);
	mo_two_stop(&t);
}

/* ---- rights ---- */

#define SERIES "{\"data\": {\"shop\": {\"ts\": {\"options\": {\"timeseries\": {\"timeField\": \"t\"}}, \"documents\": [{\"_id\": 1, \"control\": {}}]}}}}"
#define READ_WRITE "\"find\", \"insert\", \"update\", \"remove\", \"createCollection\", \"dropCollection\", \"createIndex\", \"listIndexes\", \"listCollections\", \"renameCollectionSameDB\""
#define DB_ADMIN "\"collMod\", \"bypassDocumentValidation\", \"createCollection\", \"dropCollection\", \"createIndex\", \"listIndexes\", \"listCollections\", \"renameCollectionSameDB\""
#define RESTORE "\"collMod\", \"bypassDocumentValidation\", \"createCollection\", \"dropCollection\", \"createIndex\", \"insert\""
#define MAY(resource, actions) "{\"resource\": {" resource "}, \"actions\": [" actions "]}"
#define OF_SHOP "\"db\": \"shop\", \"collection\": \"\""
#define OF_ANY "\"db\": \"\", \"collection\": \"\""

/* A server of that version on which the account has these privileges, with a database that is not empty. */
static char *server_for(const char *version, const char *privileges)
{
	return xasprintf("{\"settings\": {\"version\": \"%s\", \"account\": {\"authenticatedUsers\": [{\"user\": \"u\", \"db\": \"admin\"}], \"authenticatedUserPrivileges\":"
			 " [%s]}}, \"data\": {\"shop\": {\"before\": {}}}}", version, privileges);
}

static void check_rights(const char *version, const char *privileges, const char *lacks)
{
	struct mo_two t;
	CLEANUP(cstr_release) char *to = server_for(version, privileges);

	mo_two_start(&t, SERIES, to);
	t.l.q.clean = true;
	if (lacks) {
		mo_two_refused(&t, lacks);
		CHECK(mo_shop_has(&t.to, "shop", "before"));
	} else {
		mo_shop_run_ok(&t.l);
	}
	mo_two_stop(&t);
}

TEST("MongoDB load: who may not write the buckets of a time series is refused before anything is dropped, with the roles that have these rights")
{
	static const char no_buckets[] = "this account may not do on system.buckets.ts of the database shop, where the time series ts is kept: find, insert, update,"
					 " remove; no role of one database has these rights: grant it readWriteAnyDatabase and dbAdminAnyDatabase on admin";

	check_rights("7.0.14", MAY(OF_SHOP, READ_WRITE) ", " MAY(OF_SHOP, DB_ADMIN), no_buckets);
	check_rights("7.0.14", MAY(OF_ANY, READ_WRITE) ", " MAY(OF_ANY, DB_ADMIN) ", " MAY("\"db\": \"shop\", \"system_buckets\": \"other\"", READ_WRITE), no_buckets);
	check_rights("7.0.14", MAY(OF_ANY, READ_WRITE) ", " MAY(OF_ANY, DB_ADMIN) ", " MAY("\"db\": \"\", \"system_buckets\": \"\"", RESTORE),
		     "where the time series ts is kept: find, update, remove;");
}

TEST("MongoDB load: rights on the buckets of a time series are enough however they are granted")
{
	static const char *const grants[] = {"\"db\": \"\", \"system_buckets\": \"\"", "\"db\": \"shop\", \"system_buckets\": \"\"", "\"db\": \"\", \"system_buckets\": \"ts\"",
					     "\"db\": \"shop\", \"system_buckets\": \"ts\"", "\"db\": \"shop\", \"collection\": \"system.buckets.ts\""};

	for (size_t i = 0; i < ARRAY_LEN(grants); i++) {
		CLEANUP(cstr_release) char *privileges = xasprintf(MAY(OF_SHOP, READ_WRITE) ", " MAY(OF_SHOP, DB_ADMIN) ", {\"resource\": {%s}, \"actions\": [" READ_WRITE "]}", grants[i]);

		check_rights("7.0.14", privileges, NULL);
	}
	check_rights("7.0.14", MAY("\"anyResource\": true", READ_WRITE ", " DB_ADMIN), NULL);
}

TEST("MongoDB load: who has the role restore alone is told which roles are needed with it")
{
	check_rights("7.0.14", MAY(OF_ANY, RESTORE) ", " MAY("\"anyResource\": true", "\"listCollections\""),
		     "this account may not do on the database shop: find, update, remove, listIndexes; grant it readWrite and dbAdmin there, or restore, readWriteAnyDatabase and"
		     " dbAdminAnyDatabase on admin");
}
