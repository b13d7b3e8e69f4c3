#include "core/secret.h"

#include <sys/stat.h>

#include "tests/lib/test.h"
#include "util/fs.h"

static char *put(const char *name, const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	char *path = path_join(test_dir(), name);

	CHECK_OK(fs_write_file(path, 0700, text, strlen(text), &err), err);
	return path;
}

TEST("secret: a value, the first line of a file, the first line of a command")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *file = put("pw", "from file \r\nsecond\n");
	struct run run = RUN_INIT;
	struct secret value = {.value = (char[]){"plain"}}, from_file = {.file = file}, none = SECRET_INIT;
	struct secret command = {.command = (char[]){"printf '%s\\n%s' \"from command\" other"}};
	char *text = NULL;

	CHECK_OK(secret_read(&run, &value, &text, &err), err);
	CHECK_STR(text, "plain");
	secret_text_release(&text);
	CHECK_OK(secret_read(&run, &from_file, &text, &err), err);
	CHECK_STR(text, "from file ");
	secret_text_release(&text);
	CHECK_OK(secret_read(&run, &command, &text, &err), err);
	CHECK_STR(text, "from command");
	secret_text_release(&text);
	CHECK_OK(secret_read(&run, &none, &text, &err), err);
	CHECK(!text && !secret_set(&none));
}

TEST("secret: a file is read again each time")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *file = put("pw", "one\n");
	struct run run = RUN_INIT;
	struct secret s = {.file = file};
	char *text = NULL;

	CHECK_OK(secret_read(&run, &s, &text, &err), err);
	secret_text_release(&text);
	free(put("pw", "two"));
	CHECK_OK(secret_read(&run, &s, &text, &err), err);
	CHECK_STR(text, "two");
	secret_text_release(&text);
}

TEST("secret: no file, an empty one, a failing command and an open quote are errors without the secret")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *empty = put("empty", "\nsecond\n");
	struct run run = RUN_INIT;
	struct secret absent = {.file = (char[]){"/nowhere/pw"}}, blank = {.file = empty}, fails = {.command = (char[]){"false"}},
		      quote = {.command = (char[]){"echo 'x"}}, nothing = {.command = (char[]){"  "}};
	char *text = NULL;

	CHECK_ERR(secret_read(&run, &absent, &text, &err), err, ST_CONFIG, "/nowhere/pw");
	CHECK_ERR(secret_read(&run, &blank, &text, &err), err, ST_CONFIG, "the first line is empty");
	CHECK_INT(secret_read(&run, &fails, &text, &err), ST_FAILED);
	error_release(&err);
	CHECK_ERR(secret_read(&run, &quote, &text, &err), err, ST_CONFIG, "a quote is not closed");
	CHECK_ERR(secret_read(&run, &nothing, &text, &err), err, ST_CONFIG, "the command is empty");
	CHECK(!text);
}
