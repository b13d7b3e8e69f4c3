/* Keys of the role of a virtual machine, by version 2 of the instance metadata service. Version 1 is not asked: any process that can be talked
 * into fetching a URL could be talked into giving away its answers. */
#include "storage/s3/keys_ask.h"
#include "storage/s3/keys_internal.h"
#include "storage/s3/sign.h"

#define TOKEN_SECONDS "21600"
#define ROLES "/latest/meta-data/iam/security-credentials/"

struct metadata {
	struct s3_look *look;
	char *base; /* "http://169.254.169.254", owned */
	bool https;
	struct http_headers headers; /* with the token */
};

static enum status metadata_base(struct metadata *m, struct error *err)
{
	CLEANUP(cstr_release) char *host = NULL;
	const char *given = s3_env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), *mode = s3_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

	if (!given)
		given = mode && !strcasecmp(mode, "ipv6") ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
	if (s3_split_url(given, &m->https, &host, err))
		return error_add(err, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
	m->base = xstrdup(given);
	for (size_t n = strlen(m->base); n && m->base[n - 1] == '/'; n--)
		m->base[n - 1] = 0;
	return ST_OK;
}

static enum status ask(struct metadata *m, const char *method, const char *path, struct http_answer *a, struct error *err)
{
	CLEANUP(cstr_release) char *url = xasprintf("%s%s", m->base, path);
	bool first = !strcmp(method, "PUT");
	/* Where nothing answers, as on any other machine, this is the time that is lost. */
	struct duration patience = first ? DURATION_SECONDS(2) : DURATION_SECONDS(5);
	struct s3_asking q = {
		.params = {.tls = m->https ? TLS_VERIFY_FULL : TLS_OFF, .connect = patience, .stall = patience, .direct = true},
		.request = {.method = method, .url = url, .headers = &m->headers},
		.single = first,
	};

	return s3_ask(m->look->run, &q, a, err);
}

static enum status get_token(struct metadata *m, struct error *err)
{
	CLEANUP(s3_answer_wipe) struct http_answer a = HTTP_ANSWER_INIT;

	http_headers_add(&m->headers, "X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
	if (ask(m, "PUT", "/latest/api/token", &a, err)) {
		if (err->code == ST_CANCELLED || err->code == ST_DEADLINE)
			return err->code;
		if (a.status)
			return error_add(err, "%s", m->base);
		return error_set(err, ST_NOT_FOUND, "nothing answers at %s (from within a container it does with a hop limit of 2 only)", m->base);
	}
	if (a.status != 200)
		return error_set(err, ST_NOT_FOUND, "%s answers HTTP %d when asked for a token", m->base, a.status);
	http_headers_release(&m->headers);
	m->headers = (struct http_headers)HTTP_HEADERS_INIT;
	http_headers_add(&m->headers, "X-aws-ec2-metadata-token", "%s", buf_str(&a.body));
	return ST_OK;
}

/* The path of the role's keys. */
static enum status role_path(struct metadata *m, struct buf *path, struct error *err)
{
	CLEANUP(s3_answer_wipe) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(cstr_release) char *role = NULL;

	if (ask(m, "GET", ROLES, &a, err))
		return error_add(err, "%s", m->base);
	role = xstrndup(buf_str(&a.body), strcspn(buf_str(&a.body), "\r\n"));
	if (a.status == 404 || (a.status == 200 && !*role))
		return error_set(err, ST_NOT_FOUND, "the instance has no role");
	if (a.status != 200) {
		http_status_error(&a, err);
		err->code = ST_AUTH;
		return error_add(err, "%s", m->base);
	}
	buf_puts(path, ROLES);
	s3_encode(path, role, false);
	m->look->place = xasprintf("the role %s of the instance", role);
	return ST_OK;
}

static enum status role_keys(struct metadata *m, const char *path, struct error *err)
{
	CLEANUP(s3_answer_wipe) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(js_decref) json_t *root = NULL;

	if (ask(m, "GET", path, &a, err))
		return error_add(err, "%s", m->base);
	if (a.status != 200) {
		http_status_error(&a, err);
		err->code = ST_AUTH;
		return error_add(err, "%s, %s", m->base, m->look->place);
	}
	if (s3_secret_json(&a.body, m->base, &root, err))
		return err->code;
	const char *code = js_opt_str(root, "Code", "Success");

	if (strcmp(code, "Success"))
		return error_set(err, ST_AUTH, "%s has no keys for %s: %.100s", m->base, m->look->place, code);
	return s3_keys_from_json(m->look->keys, m->look->place, root, err);
}

static void metadata_release(struct metadata *m)
{
	free(m->base);
	http_headers_release(&m->headers);
}

enum status s3_look_instance(struct s3_look *look, struct error *err)
{
	CLEANUP(metadata_release) struct metadata m = {.look = look};
	CLEANUP(buf_release) struct buf path = BUF_INIT;
	const char *disabled = s3_env("AWS_EC2_METADATA_DISABLED");

	if (disabled && !strcasecmp(disabled, "true"))
		return error_set(err, ST_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is set");
	if (metadata_base(&m, err) || get_token(&m, err) || role_path(&m, &path, err))
		return err->code;
	return role_keys(&m, buf_str(&path), err);
}
