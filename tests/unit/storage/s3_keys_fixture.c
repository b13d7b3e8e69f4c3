#include "tests/unit/storage/s3_keys_fixture.h"

#include <unistd.h>

void s3_test_setenv(const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	CLEANUP(cstr_release) char *value = xvasprintf(fmt, ap);

	va_end(ap);
	CHECK_INT(setenv(name, value, 1), 0);
}

void s3_test_bare(void)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	for (char **e = environ; *e; e++)
		if (!strncmp(*e, "AWS_", 4) || strstr(*e, "_proxy=") || strstr(*e, "_PROXY="))
			strlist_take(&names, xstrndup(*e, strcspn(*e, "=")));
	for (size_t i = 0; i < names.len; i++)
		unsetenv(names.item[i]);
	s3_test_setenv("HOME", "%s", test_dir());
	s3_test_setenv("AWS_EC2_METADATA_DISABLED", "true");
}

char *s3_test_file(const char *name, const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	char *path = path_join(test_dir(), name);

	CHECK_OK(fs_write_file(path, 0700, text, strlen(text), &err), err);
	return path;
}

void s3_test_aws_file(const char *name, const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *dir = path_join(test_dir(), ".aws"), *file = path_join(".aws", name);

	CHECK_OK(fs_mkdirs(dir, 0700, &err), err);
	free(s3_test_file(file, text));
}

enum status s3_test_look(const char *profile, struct s3_keys *to, char **place, struct error *err)
{
	struct run run = RUN_INIT;
	struct s3_key_params params = {.profile = profile};
	CLEANUP(s3_keychain_freep) struct s3_keychain *c = s3_keychain_new(&params);
	enum status st = s3_keys_get(&run, c, to, err);

	*place = s3_keys_place(c);
	return st;
}

void s3_test_expect(const char *profile, const char *id, const char *secret, const char *token, const char *place)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_keys_release) struct s3_keys k = S3_KEYS_INIT;
	CLEANUP(cstr_release) char *from = NULL;

	CHECK_OK(s3_test_look(profile, &k, &from, &err), err);
	CHECK_STR(k.id, id);
	CHECK_STR(k.secret, secret);
	CHECK_STR(k.token ? k.token : "none", token ? token : "none");
	CHECK_STR(from, place);
}

static int sts_answer(void *ctx, const struct http_stub_call *call, struct buf *body)
{
	struct s3_test_sts *s = ctx;
	const char *action = strstr(call->body, "Action=") ? strstr(call->body, "Action=") + 7 : "";
	int n = (int)strcspn(action, "&");

	buf_clear(&s->body);
	buf_puts(&s->body, call->body);
	buf_clear(&s->headers);
	buf_puts(&s->headers, call->headers);
	if (s->error) {
		buf_printf(body, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>%s</Code>"
			   "<Message>because &lt;of&gt; it</Message></Error><RequestId>1</RequestId></ErrorResponse>", s->error);
		return s->status;
	}
	buf_printf(body, "<%.*sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%.*sResult><Credentials>"
		   "<SessionToken>\ntoken+/=</SessionToken><SecretAccessKey>role/secret</SecretAccessKey><Expiration>%s</Expiration>"
		   "<AccessKeyId>%.*s</AccessKeyId></Credentials></%.*sResult></%.*sResponse>", n, action, n, action, s->expires, n, action,
		   n, action, n, action);
	return 200;
}

void s3_test_sts_start(struct s3_test_sts *s)
{
	s->stub.answer = sts_answer;
	s->stub.ctx = s;
	s->expires = s->expires ? s->expires : "2099-01-01T00:00:00Z";
	http_stub_start(&s->stub);
	s3_test_setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%u", s->stub.port);
}
