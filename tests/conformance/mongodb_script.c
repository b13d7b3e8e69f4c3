#include "tests/conformance/mongodb_script.h"

#include <unistd.h>

#include "tests/lib/server.h"
#include "tests/lib/test.h"

#define SCRIPT "tests/lib/mongo_script.py"

static void need_python(void)
{
	if (access(SCRIPT, X_OK) || system("/usr/bin/python3 -c 'import bson.json_util' 2>/dev/null") != 0)
		test_skip("python3-bson is not installed: run scripts/deps test");
}

void mo_test_script_start(struct mo_test_server *s, const char *script)
{
	static unsigned number;
	CLEANUP(cstr_release) char *port_file = xasprintf("%s/script-%u.port", test_dir(), number++);
	const char *const argv[] = {SCRIPT, "--port-file", port_file, "--script", script, NULL};
	unsigned at;
	int watch;

	need_python();
	int pid = test_helper_start(argv, port_file, &at, &watch);
	CLEANUP(cstr_release) char *url = xasprintf("mongodb://127.0.0.1:%u/", at);
	mo_test_server_at(s, url, NULL);
	s->watch = watch;
	s->port = at;
	s->pid = pid;
}

void mo_test_script_faults(struct mo_test_server *s, const char *faults)
{
	CLEANUP(cstr_release) char *command = xasprintf("{\"script\": 1, \"forget\": true, \"faults\": %s}", faults);

	mo_test_server_command(s, "admin", command, NULL);
}

size_t mo_test_script_sent(struct mo_test_server *s, const char *name, bson_t *last)
{
	bson_t reply;
	bson_iter_t at, item, first;
	size_t n = 0;

	if (last)
		bson_init(last);
	mo_test_server_command(s, "admin", "{\"script\": 1}", &reply);
	CHECK(bson_iter_init_find(&at, &reply, "commands") && bson_iter_recurse(&at, &item));
	while (bson_iter_next(&item)) {
		CHECK(bson_iter_recurse(&item, &first) && bson_iter_next(&first));
		if (*name && strcmp(bson_iter_key(&first), name) != 0)
			continue;
		n++;
		if (last) {
			const uint8_t *data;
			uint32_t len;
			bson_t one;

			bson_iter_document(&item, &len, &data);
			CHECK(bson_init_static(&one, data, len));
			bson_destroy(last);
			bson_copy_to(&one, last);
		}
	}
	bson_destroy(&reply);
	return n;
}

size_t mo_test_script_asked(struct mo_test_server *s, const char *name, const char *part)
{
	bson_t reply;
	bson_iter_t at, item, first;
	size_t n = 0;

	mo_test_server_command(s, "admin", "{\"script\": 1}", &reply);
	CHECK(bson_iter_init_find(&at, &reply, "commands") && bson_iter_recurse(&at, &item));
	while (bson_iter_next(&item)) {
		const uint8_t *data;
		uint32_t len;
		bson_t one;

		bson_iter_document(&item, &len, &data);
		CHECK(bson_init_static(&one, data, len) && bson_iter_init(&first, &one) && bson_iter_next(&first));
		char *text = bson_as_canonical_extended_json(&one, NULL);
		n += !strcmp(bson_iter_key(&first), name) && strstr(text, part);
		bson_free(text);
	}
	bson_destroy(&reply);
	return n;
}
