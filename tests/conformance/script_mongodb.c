/* The scripted server with the driver's own sessions. */
#include "drivers/mongodb/look.h"
#include "tests/conformance/mongodb_script.h"
#include "tests/lib/test.h"

static struct run run = RUN_INIT;

#define SHOP "{\"settings\": {\"set_name\": \"rs0\"}, \"data\": {\"shop\": {\"items\": {\"documents\": [{\"_id\": 1}, {\"_id\": 2}]}}}}"

static enum status count(void *ctx, const bson_t *doc UNUSED, struct error *err UNUSED)
{
	++*(size_t *)ctx;
	return ST_OK;
}

static enum status count_items(struct mo_conn *c, size_t *n, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	*n = 0;
	BSON_APPEND_UTF8(&command, "find", "items");
	return mo_conn_each(&run, c, "shop", &command, count, n, err);
}

TEST("MongoDB: a session takes the scripted server for a member of a replica set and reads its documents")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	size_t n;

	mo_test_script_start(&s, SHOP);
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	CHECK_STR(c->server.set_name, "rs0");
	CHECK(c->server.primary && c->server.has_majority && c->server.wire == 21);
	CHECK_OK(count_items(c, &n, &err), err);
	CHECK_INT(n, 2);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a session gets the error that the script orders, and the script tells what it was asked")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	bson_t last;
	size_t n;

	mo_test_script_start(&s, SHOP);
	mo_test_script_faults(&s, "[{\"command\": \"find\", \"error\": 246}]");
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	CHECK(count_items(c, &n, &err) == ST_SERVER);
	CHECK_INT(mo_conn_code(&err), MO_SNAPSHOT_UNAVAILABLE);
	CHECK_INT(mo_test_script_sent(&s, "find", &last), 1);
	CHECK_STR(mo_look_str(&last, "find"), "items");
	bson_destroy(&last);
	mo_test_server_stop(&s);
}

TEST("MongoDB: a session whose link breaks in the middle of an answer is lost")
{
	struct mo_test_server s;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
	size_t n;

	mo_test_script_start(&s, SHOP);
	mo_test_script_faults(&s, "[{\"command\": \"find\", \"cut\": true}]");
	CHECK_OK(mo_conn_open(&run, &s.e, MO_READ, &c, &err), err);
	CHECK(count_items(c, &n, &err) != ST_OK && mo_conn_lost(&err));
	mo_test_server_stop(&s);
}
