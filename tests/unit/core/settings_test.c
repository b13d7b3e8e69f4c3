#include "core/settings.h"

#include "tests/lib/test.h"

static const char *const colours[] = {"red", "green", NULL};

struct params {
	bool on;
	int64_t number;
	uint32_t count;
	uint64_t size;
	struct duration age;
	struct instant when;
	char *name;
	struct secret password;
	struct strlist list;
	int colour;
	struct room room;
};
#define ROW(member) .scope = SCOPE_SOURCE, .key = #member, .help = "help", .offset = offsetof(struct params, member)
static const struct setting rows[] = {
	{ROW(on), .type = SET_BOOL, .def = "true"},
	{ROW(number), .type = SET_INT, .min = -5, .max = 10},
	{ROW(count), .type = SET_COUNT},
	{ROW(size), .type = SET_SIZE, .def = "4k", .min = 1024, .max = 1 << 20},
	{ROW(age), .type = SET_DURATION},
	{ROW(when), .type = SET_TIME},
	{ROW(name), .type = SET_STRING, .def = "shop"},
	{ROW(password), .type = SET_SECRET},
	{ROW(list), .type = SET_LIST},
	{ROW(colour), .type = SET_CHOICE, .choices = colours, .def = "green"},
	{ROW(room), .type = SET_ROOM},
	SETTING_END,
};

static const struct setting *row(const char *key) { return setting_find(rows, SCOPE_SOURCE, key, NULL); }

TEST("settings: defaults fill every kind of field, and what has none stays unset")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct params p = {0};

	CHECK_OK(settings_defaults(rows, &p, &err), err);
	CHECK(p.on);
	CHECK_INT(p.size, 4096);
	CHECK_STR(p.name, "shop");
	CHECK_INT(p.colour, 1);
	CHECK(!p.list.len && !p.number && !secret_set(&p.password));
	settings_release(rows, &p);
	CHECK(!p.name);
}

TEST("settings: each type takes its texts and refuses others by name")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct params p = {0};

	CHECK_OK(setting_parse(row("on"), "no", &p, &err), err);
	CHECK(!p.on);
	CHECK_ERR(setting_parse(row("on"), "perhaps", &p, &err), err, ST_CONFIG, "on: \"perhaps\" is neither true nor false");
	CHECK_OK(setting_parse(row("number"), "-5", &p, &err), err);
	CHECK_INT(p.number, -5);
	CHECK_ERR(setting_parse(row("number"), "11", &p, &err), err, ST_CONFIG, "number: 11 is not between -5 and 10");
	CHECK_ERR(setting_parse(row("number"), "", &p, &err), err, ST_CONFIG, "not a number: \"\"");
	CHECK_ERR(setting_parse(row("number"), "99999999999999999999", &p, &err), err, ST_CONFIG, "not a number");
	CHECK_OK(setting_parse(row("count"), "7", &p, &err), err);
	CHECK_INT(p.count, 7);
	CHECK_ERR(setting_parse(row("count"), "-1", &p, &err), err, ST_CONFIG, "count: -1");
	CHECK_ERR(setting_parse(row("size"), "2MiB", &p, &err), err, ST_CONFIG, "size: 2MiB is not between");
	CHECK_OK(setting_parse(row("age"), "1d12h", &p, &err), err);
	CHECK_INT(p.age.us, DURATION_SECONDS(36 * 3600).us);
	CHECK_ERR(setting_parse(row("age"), "5", &p, &err), err, ST_CONFIG, "age: not a duration");
	CHECK_OK(setting_parse(row("when"), "1970-01-02", &p, &err), err);
	CHECK_INT(p.when.us, 86400000000);
	CHECK_ERR(setting_parse(row("colour"), "blue", &p, &err), err, ST_CONFIG, "colour: \"blue\" is none of red, green");
	CHECK_OK(setting_parse(row("room"), "15%", &p, &err), err);
	CHECK_INT(p.room.percent, 15);
	CHECK_OK(setting_parse(row("room"), "2g", &p, &err), err);
	CHECK_INT(p.room.percent, 0);
	CHECK_INT(p.room.bytes, UINT64_C(2) << 30);
	CHECK_ERR(setting_parse(row("room"), "101%", &p, &err), err, ST_CONFIG, "room: 101 is not between 0 and 100");
}

TEST("settings: a text replaces the one before, a list grows")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct params p = {0};

	CHECK_OK(setting_parse(row("name"), "a", &p, &err), err);
	CHECK_OK(setting_parse(row("name"), "b", &p, &err), err);
	CHECK_STR(p.name, "b");
	CHECK_OK(setting_parse(row("list"), "a", &p, &err), err);
	CHECK_OK(setting_parse(row("list"), "b", &p, &err), err);
	CHECK_INT(p.list.len, 2);
	settings_release(rows, &p);
}

TEST("settings: a secret is found in its three forms, other rows are not")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	enum secret_form form = SECRET_VALUE;
	struct params p = {0};

	CHECK(setting_find(rows, SCOPE_SOURCE, "password_command", &form));
	CHECK_INT(form, SECRET_COMMAND);
	CHECK(setting_find(rows, SCOPE_SOURCE, "password_file", &form));
	CHECK_INT(form, SECRET_FILE);
	CHECK(!setting_find(rows, SCOPE_SOURCE, "name_file", NULL));
	CHECK(!setting_find(rows, SCOPE_GLOBAL, "name", NULL));
	CHECK_OK(setting_store(row("password"), SECRET_FILE, "/f", &p, &err), err);
	CHECK_OK(setting_store(row("password"), SECRET_VALUE, "x", &p, &err), err);
	CHECK(!p.password.file);
	CHECK_STR(p.password.value, "x");
	settings_release(rows, &p);
}

TEST("settings: did-you-mean finds a typing error and nothing that is far away")
{
	static const char *const names[] = {"databases", "max_lag", "exclude", "to", "verify"};

	CHECK_STR(nearest_name("database", names, ARRAY_LEN(names)), "databases");
	CHECK_STR(nearest_name("mxa_lag", names, ARRAY_LEN(names)), "max_lag");
	CHECK_STR(nearest_name("exlcude", names, ARRAY_LEN(names)), "exclude");
	CHECK_STR(nearest_name("exc", names, ARRAY_LEN(names)), "exclude");
	CHECK(!nearest_name("playbooks", names, ARRAY_LEN(names)));
	CHECK(!nearest_name("", names, ARRAY_LEN(names)));
}
