#include "drivers/mongodb/look.h"

#include "drivers/mongodb/list.h"
#include "tests/lib/test.h"

static bool holds(const char *json)
{
	bson_error_t wrong;
	bson_t b;

	CHECK(bson_init_from_json(&b, json, -1, &wrong));
	bool is = mo_look_true(&b, "v");
	bson_destroy(&b);
	return is;
}

TEST("MongoDB: true is true and every number but 0, of each numeric type; nothing else")
{
	static const char *const yes[] = {
		"true", "1", "-1", "0.1", "{\"$numberLong\": \"5000000000\"}", "{\"$numberDecimal\": \"0.001\"}", "{\"$numberDecimal\": \"-Infinity\"}", "{\"$numberDouble\": \"Infinity\"}",
	};
	static const char *const no[] = {
		"false", "0", "0.0", "{\"$numberDecimal\": \"0E+3\"}", "{\"$numberDecimal\": \"NaN\"}", "{\"$numberDouble\": \"NaN\"}", "{\"$numberLong\": \"0\"}", "\"true\"", "null", "[1]", "{}",
	};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		CLEANUP(cstr_release) char *json = xasprintf("{\"v\": %s}", yes[i]);

		if (!holds(json))
			test_fail(__FILE__, __LINE__, "%s does not hold", yes[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		CLEANUP(cstr_release) char *json = xasprintf("{\"v\": %s}", no[i]);

		if (holds(json))
			test_fail(__FILE__, __LINE__, "%s holds", no[i]);
	}
}

TEST("MongoDB: members of a document are found by their path, and those of another type are not there")
{
	bson_error_t wrong;
	bson_t b, in;
	uint32_t t = 0, i = 0;

	CHECK(bson_init_from_json(&b, "{\"a\": {\"b\": \"x\", \"n\": 7.9, \"ts\": {\"$timestamp\": {\"t\": 5, \"i\": 6}}, \"nul\": \"a\\u0000b\", \"huge\": 1e300}}", -1, &wrong));
	CHECK_STR(mo_look_str(&b, "a.b"), "x");
	CHECK(!mo_look_str(&b, "a.n") && !mo_look_str(&b, "a.nul") && !mo_look_str(&b, "b"));
	CHECK_INT(mo_look_num(&b, "a.n", 0), 7);
	CHECK_INT(mo_look_num(&b, "a.huge", -1), -1);
	CHECK_INT(mo_look_num(&b, "a.b", -1), -1);
	CHECK(mo_look_doc(&b, "a", &in) && !mo_look_doc(&b, "a.b", &in));
	CHECK(mo_look_timestamp(&b, "a.ts", &t, &i));
	CHECK_INT(t, 5);
	CHECK_INT(i, 6);
	bson_destroy(&b);
}

TEST("MongoDB: what a restore made or set aside is told from collections of people by the runs whose state is there")
{
	CLEANUP(strlist_release) struct strlist runs = STRLIST_INIT;

	strlist_add(&runs, "1a2b3c");
	CHECK_STR(mo_run_of_state("drtool_run_1a2b3c"), "1a2b3c");
	CHECK(!mo_run_of_state("drtool_run_1a2b3") && !mo_run_of_state("drtool_run_1A2B3C") && !mo_run_of_state("my_drtool_run_1a2b3c"));
	CHECK(mo_is_of_runs(&runs, "orders_restore_1a2b3c") && mo_is_of_runs(&runs, "orders_before_1a2b3c") && mo_is_of_runs(&runs, "drtool_run_ffffff"));
	CHECK(!mo_is_of_runs(&runs, "orders_restore_ffffff") && !mo_is_of_runs(&runs, "orders") && !mo_is_of_runs(&runs, "1a2b3c") &&
	      !mo_is_of_runs(&runs, "_restore_1a2b3c") && !mo_is_of_runs(&runs, "orders_1a2b3c"));
}
