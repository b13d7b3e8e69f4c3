/* Keys that other machines give: STS, the endpoint of a container, the metadata of an instance. */
#include <unistd.h>

#include "tests/unit/storage/s3_keys_fixture.h"

static void expect_error(const char *profile, enum status code, const char *part)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;
	CLEANUP(cstr_release) char *from = NULL;

	CHECK_INT(s3_test_look(profile, &k, &from, &err), code);
	CHECK_HAS(error_text(&err), part);
	CHECK(!strstr(error_text(&err), "hush"));
}

TEST("access keys: web identity gives the token of a file to STS and takes the keys of the role")
{
	struct s3_test_sts sts = {0};
	CLEANUP(cstr_release) char *token = NULL;

	s3_test_bare();
	token = s3_test_file("token", "hush.jwt-1_2\n");
	s3_test_sts_start(&sts);
	s3_test_setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "%s", token);
	expect_error(NULL, ST_CONFIG, "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
	s3_test_setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/backup");
	s3_test_expect(NULL, "AssumeRoleWithWebIdentity", "role/secret", "token+/=", "web identity, role arn:aws:iam::1:role/backup");
	CHECK_HAS(buf_str(&sts.body), "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fbackup&"
				      "RoleSessionName=drtool-");
	CHECK_HAS(buf_str(&sts.body), "&WebIdentityToken=hush.jwt-1_2");
	CHECK(!strstr(buf_str(&sts.headers), "Authorization"));
	s3_test_setenv("AWS_ROLE_SESSION_NAME", "night");
	s3_test_expect(NULL, "AssumeRoleWithWebIdentity", "role/secret", "token+/=", "web identity, role arn:aws:iam::1:role/backup");
	CHECK_HAS(buf_str(&sts.body), "&RoleSessionName=night&");
	http_stub_stop(&sts.stub);
	buf_release(&sts.body);
	buf_release(&sts.headers);
}

TEST("access keys: a refusal of STS says code and message, and an end of patience that it does not answer")
{
	struct s3_test_sts sts = {.status = 400, .error = "ExpiredTokenException"};
	CLEANUP(cstr_release) char *token = NULL;

	s3_test_bare();
	token = s3_test_file("token", "hush");
	s3_test_sts_start(&sts);
	s3_test_setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "%s", token);
	s3_test_setenv("AWS_ROLE_ARN", "arn:r");
	expect_error(NULL, ST_AUTH, "web identity: STS refuses the role arn:r: ExpiredTokenException: because <of> it (before it: settings:");
	CHECK_INT(atomic_load(&sts.stub.calls), 1);
	http_stub_stop(&sts.stub);
	s3_test_setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "%s/nowhere", test_dir());
	expect_error(NULL, ST_CONFIG, "the token of the web identity: secret: ");
	buf_release(&sts.body);
	buf_release(&sts.headers);
}

TEST("access keys: a profile assumes its role with the signed keys of another, and that one with those of a third")
{
	struct s3_test_sts sts = {0};

	s3_test_bare();
	s3_test_sts_start(&sts);
	s3_test_aws_file("credentials", "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = hush\n");
	s3_test_aws_file("config", "[profile one]\nrole_arn = arn:one\nsource_profile = base\nexternal_id = e/1\nduration_seconds = 900\n"
				   "role_session_name = me\nregion = eu-north-1\n"
				   "[profile two]\nrole_arn = arn:two\nsource_profile = one\nregion = eu-north-1\n");
	s3_test_expect("one", "AssumeRole", "role/secret", "token+/=", "the profile one");
	CHECK_STR(buf_str(&sts.body), "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aone&RoleSessionName=me&DurationSeconds=900&ExternalId=e%2F1");
	CHECK_HAS(buf_str(&sts.headers), "Authorization: AWS4-HMAC-SHA256 Credential=AKIDBASE/");
	CHECK_HAS(buf_str(&sts.headers), "/eu-north-1/sts/aws4_request");
	s3_test_expect("two", "AssumeRole", "role/secret", "token+/=", "the profile two");
	CHECK_HAS(buf_str(&sts.body), "RoleArn=arn%3Atwo");
	CHECK_HAS(buf_str(&sts.headers), "Credential=AssumeRole/");
	CHECK_HAS(buf_str(&sts.headers), "token+/=");
	CHECK_INT(atomic_load(&sts.stub.calls), 3);
	sts.status = 403;
	sts.error = "AccessDenied";
	expect_error("one", ST_AUTH, "profile 'one': STS refuses the role arn:one: AccessDenied");
	http_stub_stop(&sts.stub);
	buf_release(&sts.body);
	buf_release(&sts.headers);
}

TEST("access keys: a profile's role may be assumed by a token of its own, or with the environment's keys")
{
	struct s3_test_sts sts = {0};
	CLEANUP(cstr_release) char *token = NULL, *config = NULL;

	s3_test_bare();
	s3_test_sts_start(&sts);
	token = s3_test_file("token", "hush");
	config = xasprintf("[profile web]\nrole_arn = arn:web\nweb_identity_token_file = %s\n"
			   "[profile env]\nrole_arn = arn:env\ncredential_source = Environment\n", token);
	s3_test_aws_file("config", config);
	s3_test_expect("web", "AssumeRoleWithWebIdentity", "role/secret", "token+/=", "the profile web");
	s3_test_setenv("AWS_ACCESS_KEY_ID", "AKIDENV");
	s3_test_setenv("AWS_SECRET_ACCESS_KEY", "hush");
	s3_test_expect("env", "AssumeRole", "role/secret", "token+/=", "the profile env");
	CHECK_HAS(buf_str(&sts.headers), "Credential=AKIDENV/");
	http_stub_stop(&sts.stub);
	buf_release(&sts.body);
	buf_release(&sts.headers);
}

#define KEYS "\"AccessKeyId\": \"AKIDFAR\", \"SecretAccessKey\": \"hush/far\", \"Token\": \"far-token\", \"Expiration\": \"2099-01-01T00:00:00Z\""

struct script {
	struct http_stub stub;
	atomic_uint busy; /* answers 503 before the real one */
	const char *authorization, *role, *code;
};

static int container(void *ctx, const struct http_stub_call *call, struct buf *body)
{
	struct script *s = ctx;
	CLEANUP(cstr_release) char *given = http_stub_header(call, "Authorization");

	if (atomic_load(&s->busy)) {
		atomic_fetch_sub(&s->busy, 1);
		return 503;
	}
	if (strcmp(call->path, "/v2/creds?id=1") || strcmp(given ? given : "", s->authorization))
		return 403;
	buf_puts(body, "{" KEYS "}");
	return 200;
}

TEST("access keys: the endpoint of a container, with the token of a file that is read each time")
{
	struct script s = {.stub.answer = container, .authorization = "Basic hush", .busy = 1};
	CLEANUP(cstr_release) char *file = NULL;

	s3_test_bare();
	s.stub.ctx = &s;
	http_stub_start(&s.stub);
	file = s3_test_file("token", "Basic hush\n");
	s3_test_setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:%u/v2/creds?id=1", s.stub.port);
	s3_test_setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s", file);
	s3_test_expect(NULL, "AKIDFAR", "hush/far", "far-token", "the endpoint of the container");
	CHECK_INT(atomic_load(&s.stub.calls), 2);
	free(s3_test_file("token", "Basic wrong"));
	expect_error(NULL, ST_AUTH, "container: the endpoint of the container: ");
	http_stub_stop(&s.stub);
}

TEST("access keys: no token goes without TLS to a host that is neither near nor AWS' own")
{
	s3_test_bare();
	s3_test_setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush");
	s3_test_setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://203.0.113.7/x");
	expect_error(NULL, ST_CONFIG, "203.0.113.7 is neither this machine nor an endpoint of ECS or EKS");
	s3_test_setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example/x");
	expect_error(NULL, ST_CONFIG, "127.0.0.1.example is neither");
	s3_test_setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost@203.0.113.7/x");
	expect_error(NULL, ST_CONFIG, "a user in the URL");
	s3_test_setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "file:///x");
	expect_error(NULL, ST_CONFIG, "no URL that begins with http:// or https://");
	s3_test_setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "x");
	expect_error(NULL, ST_CONFIG, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /");
}

static int metadata(void *ctx, const struct http_stub_call *call, struct buf *body)
{
	struct script *s = ctx;
	CLEANUP(cstr_release) char *token = http_stub_header(call, "x-aws-ec2-metadata-token"), *ttl = NULL;

	ttl = http_stub_header(call, "x-aws-ec2-metadata-token-ttl-seconds");
	if (!strcmp(call->path, "/latest/api/token")) {
		if (strcmp(call->method, "PUT") || !ttl)
			return 400;
		buf_puts(body, "IMDS==");
		return 200;
	}
	if (!token || strcmp(token, "IMDS=="))
		return 401;
	if (atomic_load(&s->busy)) {
		atomic_fetch_sub(&s->busy, 1);
		return 503;
	}
	if (!strcmp(call->path, "/latest/meta-data/iam/security-credentials/")) {
		buf_puts(body, s->role ? s->role : "");
		return s->role ? 200 : 404;
	}
	if (strcmp(call->path, "/latest/meta-data/iam/security-credentials/web%20host"))
		return 404;
	buf_printf(body, "{\"Code\": \"%s\", \"Type\": \"AWS-HMAC\", " KEYS "}", s->code);
	return 200;
}

TEST("access keys: the metadata of an instance, version 2, through a busy moment")
{
	struct script s = {.stub.answer = metadata, .role = "web host\n", .code = "Success", .busy = 1};

	s3_test_bare();
	s.stub.ctx = &s;
	http_stub_start(&s.stub);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	s3_test_setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u/", s.stub.port);
	s3_test_setenv("http_proxy", "http://127.0.0.1:1"); /* which is not used for it */
	s3_test_expect(NULL, "AKIDFAR", "hush/far", "far-token", "the role web host of the instance");
	s.code = "AssumeRoleUnauthorizedAccess";
	expect_error(NULL, ST_AUTH, "has no keys for the role web host of the instance: AssumeRoleUnauthorizedAccess");
	s.role = NULL;
	expect_error(NULL, ST_CONFIG, "instance metadata: the instance has no role");
	http_stub_stop(&s.stub);
	expect_error(NULL, ST_CONFIG, "instance metadata: nothing answers at http://127.0.0.1:");
}

static int no_metadata(void *ctx UNUSED, const struct http_stub_call *call UNUSED, struct buf *body)
{
	buf_puts(body, "<html>");
	return 405;
}

TEST("access keys: metadata of another kind of cloud are passed over")
{
	struct http_stub stub = {.answer = no_metadata};

	s3_test_bare();
	http_stub_start(&stub);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	s3_test_setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u", stub.port);
	expect_error(NULL, ST_CONFIG, " answers HTTP 405 when asked for a token");
	http_stub_stop(&stub);
}

static int odd_sts(void *ctx, const struct http_stub_call *call UNUSED, struct buf *body)
{
	buf_puts(body, ctx);
	return 200;
}

TEST("access keys: an answer of STS that is no XML, declares a document type or lacks a key gives nothing")
{
	static const struct {
		const char *body, *part;
	} odd[] = {
		{"hush", "STS at 127.0.0.1:"},
		{"<R><X><Credentials><AccessKeyId>x</AccessKeyId></Credentials></X></R>", "the answer: the secret key is missing"},
		{"<!DOCTYPE a [<!ENTITY b \"hush\">]><a><AccessKeyId>&b;</AccessKeyId></a>", "it declares a document type"},
		{"<R><X><Credentials><Expiration>hushtime</Expiration></Credentials></X></R>", "STS at 127.0.0.1:"},
	};
	CLEANUP(cstr_release) char *token = NULL;

	s3_test_bare();
	token = s3_test_file("token", "hush");
	s3_test_setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "%s", token);
	s3_test_setenv("AWS_ROLE_ARN", "arn:r");
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		CLEANUP(error_release) struct error err = ERROR_INIT;
		CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;
		CLEANUP(cstr_release) char *body = xstrdup(odd[i].body), *from = NULL;
		struct http_stub stub = {.answer = odd_sts, .ctx = body};

		http_stub_start(&stub);
		s3_test_setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%u", stub.port);
		CHECK(s3_test_look(NULL, &k, &from, &err) != ST_OK);
		CHECK_HAS(error_text(&err), odd[i].part);
		CHECK(!k.id);
		http_stub_stop(&stub);
	}
}
