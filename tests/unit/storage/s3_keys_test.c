#include "tests/unit/storage/s3_keys_fixture.h"

#include <unistd.h>

static void expect_error(const char *profile, enum status code, const char *part)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;
	CLEANUP(cstr_release) char *from = NULL;

	CHECK_INT(s3_test_look(profile, &k, &from, &err), code);
	CHECK_HAS(error_text(&err), part);
	CHECK(!strstr(error_text(&err), "hush") && !(err.hint && strstr(err.hint, "hush")));
}

TEST("access keys: without any, each place that was looked at is named with its reason")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;
	CLEANUP(cstr_release) char *from = NULL, *text = NULL;

	s3_test_bare();
	CHECK_INT(s3_test_look(NULL, &k, &from, &err), ST_CONFIG);
	text = xasprintf("no access keys were found; looked at settings: access_key is not set; environment: AWS_ACCESS_KEY_ID is not set; "
			 "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; profile: no profile 'default': %s/.aws/credentials does not "
			 "exist, %s/.aws/config does not exist; container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set; "
			 "instance metadata: AWS_EC2_METADATA_DISABLED is set", test_dir(), test_dir());
	CHECK_STR(error_text(&err), text);
	CHECK_HAS(err.hint, "Set AWS_ACCESS_KEY_ID");
	CHECK(!from && !k.id);
}

TEST("access keys: the settings of the store come before the environment, by value, file or command")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;
	CLEANUP(cstr_release) char *file = NULL, *from = NULL;
	struct run run = RUN_INIT;

	s3_test_bare();
	file = s3_test_file("secret", "hush/1\n");
	s3_test_setenv("AWS_ACCESS_KEY_ID", "AKIDENV");
	s3_test_setenv("AWS_SECRET_ACCESS_KEY", "other");

	struct s3_key_params params = {
		.access_key = {.value = (char[]){"AKIDSET"}},
		.secret_key = {.file = file},
		.session_token = {.command = (char[]){"echo hush-token"}},
	};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params);

	CHECK_OK(s3_keys_get(&run, c, &k, &err), err);
	from = s3_keys_place(c);
	CHECK_STR(k.id, "AKIDSET");
	CHECK_STR(k.secret, "hush/1");
	CHECK_STR(k.token, "hush-token");
	CHECK_STR(from, "the settings of the store");
}

TEST("access keys: one half of a pair is an error, and no other place is asked")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;
	struct run run = RUN_INIT;
	struct s3_key_params params = {.secret_key = {.value = (char[]){"hush"}}};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params);

	s3_test_bare();
	s3_test_aws_file("credentials", "[default]\naws_access_key_id=AKIDFILE\naws_secret_access_key=hush\n[half]\naws_access_key_id=AKID\n");
	CHECK_ERR(s3_keys_get(&run, c, &k, &err), err, ST_CONFIG, "settings: secret_key is set and access_key is not");
	s3_test_setenv("AWS_ACCESS_KEY_ID", "AKIDENV");
	expect_error(NULL, ST_CONFIG, "environment: AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not (before it: settings:");
	expect_error("half", ST_CONFIG, "profile 'half': aws_access_key_id, aws_secret_access_key: the secret key is missing");
}

TEST("access keys: the environment's, also by file")
{
	s3_test_bare();
	s3_test_setenv("AWS_ACCESS_KEY_ID", "AKIDENV");
	s3_test_setenv("AWS_SECRET_ACCESS_KEY", "hush/1");
	s3_test_expect(NULL, "AKIDENV", "hush/1", NULL, "the environment");
	s3_test_setenv("AWS_SESSION_TOKEN", "hush+2");
	s3_test_expect(NULL, "AKIDENV", "hush/1", "hush+2", "the environment");

	CLEANUP(cstr_release) char *file = s3_test_file("secret", "hush/3\n");

	s3_test_setenv("AWS_SECRET_ACCESS_KEY_FILE", "%s", file);
	expect_error(NULL, ST_CONFIG, "both AWS_SECRET_ACCESS_KEY and AWS_SECRET_ACCESS_KEY_FILE are set");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	s3_test_expect(NULL, "AKIDENV", "hush/3", "hush+2", "the environment");
	s3_test_setenv("AWS_SECRET_ACCESS_KEY_FILE", "%s/nowhere", test_dir());
	expect_error(NULL, ST_CONFIG, "AWS_SECRET_ACCESS_KEY_FILE: secret: ");
}

TEST("access keys: a key with a line break or a blank is refused before it reaches a header")
{
	s3_test_bare();
	s3_test_setenv("AWS_ACCESS_KEY_ID", "AKIDENV");
	s3_test_setenv("AWS_SECRET_ACCESS_KEY", "hush\n");
	expect_error(NULL, ST_CONFIG, "the secret key has a blank, a line break or another byte");
	s3_test_setenv("AWS_SECRET_ACCESS_KEY", "hush");
	s3_test_setenv("AWS_SESSION_TOKEN", "hush\r\nx-evil: 1");
	expect_error(NULL, ST_CONFIG, "the session token has a blank");
}

TEST("access keys: a profile of the shared files, the credentials file first")
{
	s3_test_bare();
	s3_test_aws_file("credentials", "[default]\naws_access_key_id = AKID1\naws_secret_access_key = hush1\n"
					"[night]\naws_access_key_id = AKID2\naws_secret_access_key = hush2\naws_session_token = t2\n");
	s3_test_aws_file("config", "[default]\naws_access_key_id = AKID3\naws_secret_access_key = hush3\n"
				   "[profile only config]\naws_access_key_id = AKID4\naws_secret_access_key = hush4\n");
	s3_test_expect(NULL, "AKID1", "hush1", NULL, "the profile default");
	s3_test_expect("only config", "AKID4", "hush4", NULL, "the profile only config");
	s3_test_setenv("AWS_PROFILE", "night");
	s3_test_expect(NULL, "AKID2", "hush2", "t2", "the profile night");

	CLEANUP(cstr_release) char *other = s3_test_file("others", "[night]\naws_access_key_id=AKID5\naws_secret_access_key=hush5\n");

	s3_test_setenv("AWS_SHARED_CREDENTIALS_FILE", "%s", other);
	s3_test_expect(NULL, "AKID5", "hush5", NULL, "the profile night");
}

TEST("access keys: a profile that the store names goes before the environment, AWS_PROFILE does not")
{
	s3_test_bare();
	s3_test_aws_file("credentials", "[night]\naws_access_key_id = AKID2\naws_secret_access_key = hush2\n");
	s3_test_setenv("AWS_ACCESS_KEY_ID", "AKIDENV");
	s3_test_setenv("AWS_SECRET_ACCESS_KEY", "hush");
	s3_test_setenv("AWS_PROFILE", "night");
	s3_test_expect(NULL, "AKIDENV", "hush", NULL, "the environment");
	s3_test_expect("night", "AKID2", "hush2", NULL, "the profile night");
	expect_error("day", ST_CONFIG, "no profile 'day': ");
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	s3_test_setenv("AWS_PROFILE", "day");
	expect_error(NULL, ST_CONFIG, "no profile 'day': ");
}

TEST("access keys: a shared file that cannot be read ends the search and is named by line, without what it holds")
{
	s3_test_bare();
	s3_test_aws_file("credentials", "[default]\nhush hush\n");
	expect_error(NULL, ST_CONFIG, "/.aws/credentials, line 2: is neither a section nor key = value");
}

TEST("access keys: credential_process gives them, with the environment of AWS but its secrets")
{
	CLEANUP(cstr_release) char *program = NULL, *config = NULL;

	s3_test_bare();
	program = s3_test_file("give keys", "#!/bin/sh\n"
					    "printf '{\"Version\": 1, \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"%s\", \"SessionToken\": \"%s\", "
					    "\"Expiration\": \"2099-01-01T00:00:00+00:00\"}' \"$AWS_SOMETHING-$1\" \"${AWS_SESSION_TOKEN:-none}\" \"$2\"\n");
	config = xasprintf("[default]\ncredential_process = \"%s\" 'a' # \n", program);
	s3_test_aws_file("config", config);
	s3_test_setenv("AWS_SOMETHING", "some");
	s3_test_setenv("AWS_SESSION_TOKEN", "hush");
	s3_test_expect("default", "some-a", "none", "#", "the profile default");
}

TEST("access keys: a credential_process that fails, or says nothing of use, ends the search")
{
	s3_test_bare();
	s3_test_aws_file("config", "[profile fails]\ncredential_process = sh -c 'echo no login >&2; exit 3'\n"
				   "[profile absent]\ncredential_process = /nowhere/at-all\n"
				   "[profile talks]\ncredential_process = echo 'hush'\n"
				   "[profile half]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"hush\"}'\n"
				   "[profile later]\ncredential_process = echo '{\"Version\": 2}'\n");
	expect_error("fails", ST_AUTH, "profile 'fails': credential_process: sh: ");
	expect_error("fails", ST_AUTH, "no login");
	expect_error("absent", ST_UNSUPPORTED, "/nowhere/at-all");
	expect_error("talks", ST_BAD, "credential_process: the answer is no JSON object");
	expect_error("half", ST_CONFIG, "credential_process: the secret key is missing");
	expect_error("later", ST_UNSUPPORTED, "is not of version 1");
}

TEST("access keys: profiles that lead in a circle, to nowhere or to a login in a browser say so")
{
	s3_test_bare();
	s3_test_aws_file("config", "[profile a]\nrole_arn = arn:a\nsource_profile = b\n"
				   "[profile b]\nrole_arn = arn:b\nsource_profile = a\n"
				   "[profile lost]\nrole_arn = arn:c\nsource_profile = nobody\n"
				   "[profile alone]\nrole_arn = arn:d\n"
				   "[profile sso]\nsso_session = work\nsso_account_id = 1\n"
				   "[profile mfa]\nrole_arn = arn:e\nsource_profile = b\nmfa_serial = arn:m\n"
				   "[profile odd]\nrole_arn = arn:e\ncredential_source = Toaster\n"
				   "[profile env]\nrole_arn = arn:e\ncredential_source = Environment\n"
				   "[profile empty]\nregion = eu-west-1\n");
	expect_error("a", ST_CONFIG, "profile 'a': profile 'b': source_profile leads back to 'a'");
	expect_error("lost", ST_CONFIG, "profile 'lost': source_profile 'nobody' does not exist");
	expect_error("alone", ST_CONFIG, "role_arn needs source_profile");
	expect_error("sso", ST_UNSUPPORTED, "sso_session: the login of a person in a browser");
	expect_error("mfa", ST_UNSUPPORTED, "mfa_serial: a role that wants a code");
	expect_error("odd", ST_CONFIG, "credential_source 'Toaster' is none of");
	expect_error("env", ST_CONFIG, "credential_source Environment: AWS_ACCESS_KEY_ID is not set");
	expect_error("empty", ST_CONFIG, "profile 'empty': it has no aws_access_key_id");
}

TEST("AWS' surroundings: region, endpoint and authorities by environment, then by profile")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_surroundings_release) struct s3_surroundings one = S3_SURROUNDINGS_INIT, two = S3_SURROUNDINGS_INIT,
								three = S3_SURROUNDINGS_INIT, four = S3_SURROUNDINGS_INIT;

	s3_test_bare();
	CHECK_OK(s3_surroundings_read(NULL, &one, &err), err);
	CHECK(!one.region && !one.endpoint && !one.ca_file);
	s3_test_aws_file("config", "[default]\nregion = eu-west-1\nendpoint_url = http://all\nca_bundle = /ca.pem\n"
				   "[profile special]\nregion = us-east-2\nendpoint_url = http://all\nservices = mine\n"
				   "[services mine]\ns3 =\n  endpoint_url = http://s3\n");
	CHECK_OK(s3_surroundings_read(NULL, &two, &err), err);
	CHECK_STR(two.region, "eu-west-1");
	CHECK_STR(two.endpoint, "http://all");
	CHECK_STR(two.ca_file, "/ca.pem");
	CHECK_OK(s3_surroundings_read("special", &three, &err), err);
	CHECK_STR(three.region, "us-east-2");
	CHECK_STR(three.endpoint, "http://s3");
	s3_test_setenv("AWS_DEFAULT_REGION", "ap-south-1");
	s3_test_setenv("AWS_ENDPOINT_URL", "http://env");
	s3_test_setenv("AWS_CA_BUNDLE", "/env.pem");
	CHECK_OK(s3_surroundings_read("special", &four, &err), err);
	CHECK_STR(four.region, "ap-south-1");
	CHECK_STR(four.endpoint, "http://env");
	CHECK_STR(four.ca_file, "/env.pem");
	s3_surroundings_release(&four);
	s3_test_setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE");
	s3_test_setenv("AWS_REGION", "sa-east-1");
	CHECK_OK(s3_surroundings_read("special", &four, &err), err);
	CHECK_STR(four.region, "sa-east-1");
	CHECK(!four.endpoint);
	s3_surroundings_release(&four);
	CHECK_ERR(s3_surroundings_read("nobody", &four, &err), err, ST_CONFIG, "no profile 'nobody'");
}
