/* Keys from the endpoint that ECS, EKS Pod Identity and their like give to a container. */
#include "storage/s3/keys_ask.h"
#include "storage/s3/keys_internal.h"

#define TASK_ENDPOINT "http://169.254.170.2"

/* Whom a token may be sent to without TLS. */
static bool is_near(const char *host)
{
	static const char *const near[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost", "::1"};

	for (size_t i = 0; i < ARRAY_LEN(near); i++)
		if (!strcasecmp(host, near[i]))
			return true;
	return !strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host);
}

static enum status endpoint(char **url, bool *https, struct error *err)
{
	CLEANUP(cstr_release) char *host = NULL;
	const char *relative = s3_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), *full = s3_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");

	*https = false;
	if (!relative && !full)
		return error_set(err, ST_NOT_FOUND, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set");
	if (relative) {
		if (*relative != '/')
			return error_set(err, ST_CONFIG, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /");
		*url = xasprintf(TASK_ENDPOINT "%s", relative);
		return ST_OK;
	}
	if (s3_split_url(full, https, &host, err))
		return error_add(err, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
	if (!*https && !is_near(host))
		return error_set(err, ST_CONFIG, "AWS_CONTAINER_CREDENTIALS_FULL_URI: %s is neither this machine nor an endpoint of ECS or EKS, "
				 "and http:// would show it the token", host);
	*url = xstrdup(full);
	return ST_OK;
}

static enum status add_token(struct s3_look *look, struct http_headers *headers, struct error *err)
{
	CLEANUP(secret_text_release) char *token = NULL;
	const char *file = s3_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), *value = s3_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	CLEANUP(cstr_release) char *path = file ? xstrdup(file) : NULL;
	struct secret s = {.file = path};

	if (file && secret_read(look->run, &s, &token, err))
		return error_add(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	if (!file && value)
		token = xstrdup(value);
	if (token && strpbrk(token, "\r\n"))
		return error_set(err, ST_CONFIG, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds a line break");
	if (token)
		http_headers_add(headers, "Authorization", "%s", token);
	return ST_OK;
}

enum status s3_look_container(struct s3_look *look, struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	CLEANUP(s3_answer_wipe) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(js_decref) json_t *root = NULL;
	CLEANUP(cstr_release) char *url = NULL;
	bool https;

	if (endpoint(&url, &https, err) || add_token(look, &headers, err))
		return err->code;
	http_headers_add(&headers, "Accept", "application/json");

	struct s3_asking q = {
		.params = {.tls = https ? TLS_VERIFY_FULL : TLS_OFF, .connect = DURATION_SECONDS(5), .stall = DURATION_SECONDS(5), .direct = !https},
		.request = {.method = "GET", .url = url, .headers = &headers},
	};

	if (s3_ask(look->run, &q, &a, err))
		return error_add(err, "the endpoint of the container");
	if (a.status != 200) {
		http_status_error(&a, err);
		err->code = ST_AUTH;
		return error_add(err, "the endpoint of the container");
	}
	if (s3_secret_json(&a.body, "the endpoint of the container", &root, err))
		return err->code;
	look->place = xstrdup("the endpoint of the container");
	return s3_keys_from_json(look->keys, "the endpoint of the container", root, err);
}
