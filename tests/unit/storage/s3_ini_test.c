#include "storage/s3/ini.h"

#include "tests/lib/test.h"

static struct ini parse(const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct ini ini = INI_INIT;

	CHECK_OK(ini_parse(text, strlen(text), "file", &ini, &err), err);
	return ini;
}

TEST("AWS' files: sections, values with their blanks cut, comments, keys in any case, the last value counts")
{
	CLEANUP(ini_release) struct ini ini = parse("\xef\xbb\xbf# one\r\n"
						    "[default]\r\n"
						    "AWS_Access_Key_Id =  AKID1 \r\n"
						    "; two\r\n"
						    "aws_secret_access_key=a/b+c=d # three\r\n"
						    "[profile  \"my work\" ]\n"
						    "region = eu-north-1\n"
						    "region=eu-west-3\n"
						    "empty =\n"
						    "credential_process = /opt/x -a ' # ;' -b\n"
						    "[none]");

	CHECK_STR(ini_get(&ini, "default", "aws_access_key_id"), "AKID1");
	CHECK_STR(ini_get(&ini, "default", "aws_secret_access_key"), "a/b+c=d");
	CHECK_STR(ini_get(&ini, "profile my work", "region"), "eu-west-3");
	CHECK_STR(ini_get(&ini, "profile my work", "credential_process"), "/opt/x -a ' # ;' -b");
	CHECK_STR(ini_get(&ini, "profile my work", "empty"), "");
	CHECK(!ini_get(&ini, "none", "region") && strlist_has(&ini.sections, "none"));
	CHECK(!ini_get(&ini, "default", "region"));
}

TEST("AWS' files: indented lines belong to the key above them, which has no value")
{
	CLEANUP(ini_release) struct ini ini = parse("[services mine]\n"
						    "s3 =\n"
						    "  endpoint_url = http://one\n"
						    "\n"
						    "\tother = 2\n"
						    "sts =\n"
						    "  endpoint_url = http://two\n"
						    "[profile x]\n"
						    "  region = indented\n");

	CHECK_STR(ini_get(&ini, "services mine", "s3.endpoint_url"), "http://one");
	CHECK_STR(ini_get(&ini, "services mine", "s3.other"), "2");
	CHECK_STR(ini_get(&ini, "services mine", "sts.endpoint_url"), "http://two");
	CHECK_STR(ini_get(&ini, "profile x", "region"), "indented");
}

TEST("AWS' files: what cannot be read is named by its line, and never shown")
{
	static const struct {
		const char *text, *part;
	} wrong[] = {
		{"[default]\nsecret value\n", "file, line 2: is neither a section nor key = value"},
		{"\nkey = secret\n", "file, line 2: stands before the first section"},
		{"[default\n", "file, line 1: a section has no closing bracket"},
		{"[default]\n = secret\n", "file, line 2: has no key"},
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(ini_release) struct ini ini = INI_INIT;

		CHECK_INT(ini_parse(wrong[i].text, strlen(wrong[i].text), "file", &ini, &err), ST_CONFIG);
		CHECK_STR(error_text(&err), wrong[i].part);
	}
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(ini_release) struct ini ini = INI_INIT;

	CHECK_ERR(ini_parse("[a]\n\0b", 6, "file", &ini, &err), err, ST_CONFIG, "a zero byte");
}
