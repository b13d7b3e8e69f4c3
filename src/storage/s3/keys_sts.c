/* Keys of a role from the Security Token Service: by the token of a web identity, or by other keys. */
#include "core/secret.h"
#include "storage/s3/keys_ask.h"
#include "storage/s3/keys_internal.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"

#define NO_REGION "us-east-1" /* that of the endpoint without a region */

/* Where STS is, and how it is spoken to. */
struct sts {
	struct s3_look *look;
	struct s3_surroundings around;
	char *url, *host; /* owned; host as it is signed, with the port */
	const char *region; /* of the signature */
	bool https, own; /* own: not AWS' endpoint */
};

static void sts_release(struct sts *s)
{
	s3_surroundings_release(&s->around);
	free(s->url);
	free(s->host);
}

static bool is_region(const char *s)
{
	return strlen(s) <= 63 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s) && *s != '-';
}

/* What the environment says first, as AWS' tools have it. NULL: AWS' own. */
static const char *configured_endpoint(const struct s3_role *role)
{
	const char *ignore = s3_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	const char *url = s3_env("AWS_ENDPOINT_URL_STS");

	if (ignore && !strcasecmp(ignore, "true"))
		return NULL;
	if (!url)
		url = s3_env("AWS_ENDPOINT_URL");
	return url ? url : role->endpoint;
}

static enum status find_endpoint(struct sts *s, const struct s3_role *role, struct error *err)
{
	CLEANUP(cstr_release) char *name = NULL;
	const struct s3_key_params *p = s->look->params;
	const char *given = configured_endpoint(role);

	if (s3_surroundings_read(p->profile, &s->around, err))
		return err->code;
	const char *region = p->region && *p->region ? p->region : s->around.region;

	if (region && !is_region(region))
		return error_set(err, ST_CONFIG, "the region '%s' is none that AWS has", region);
	s->region = region ? region : NO_REGION;
	s->own = given != NULL;
	if (given)
		s->url = xstrdup(given);
	else if (region)
		s->url = xasprintf("https://sts.%s.amazonaws.com%s", region, strncmp(region, "cn-", 3) ? "" : ".cn");
	else
		s->url = xstrdup("https://sts.amazonaws.com");
	for (size_t n = strlen(s->url); n && s->url[n - 1] == '/'; n--)
		s->url[n - 1] = 0;
	if (s3_split_url(s->url, &s->https, &name, err))
		return error_add(err, "the endpoint of STS");
	const char *authority = strstr(s->url, "://") + 3;

	if (strpbrk(authority, "/?#"))
		return error_set(err, ST_CONFIG, "the endpoint of STS has a path");
	s->host = xstrdup(authority);
	char *with_slash = xasprintf("%s/", s->url);

	free(s->url);
	s->url = with_slash;
	return ST_OK;
}

static void form_field(struct buf *form, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(form, "%s%s=", form->len ? "&" : "", name);
	s3_encode(form, value, false);
}

static void form_start(struct sts *s, const struct s3_role *role, const char *action, struct buf *form)
{
	char random[9];

	run_random_hex(s->look->run, random, 8);
	CLEANUP(cstr_release) char *made_up = xasprintf("drtool-%s", random);

	/* It grows no more, so that nothing secret stays behind where it was. */
	buf_reserve(form, 128 * 1024);
	form_field(form, "Action", action);
	form_field(form, "Version", "2011-06-15");
	form_field(form, "RoleArn", role->arn);
	form_field(form, "RoleSessionName", role->session ? role->session : made_up);
	form_field(form, "DurationSeconds", role->duration);
	form_field(form, "ExternalId", role->external_id);
}

static enum status refused(const struct http_answer *a, const struct s3_role *role, struct error *err)
{
	struct s3_fault f;

	s3_fault_read(buf_str(&a->body), a->body.len, &f);
	if (!*f.code) {
		http_status_error(a, err);
		err->code = ST_AUTH;
		err->retry = false;
		return error_add(err, "STS, role %s", role->arn);
	}
	error_set(err, ST_AUTH, "STS refuses the role %s: %s: %s", role->arn, f.code, f.message);
	if (strstr(f.code, "Expired"))
		error_hint(err, "Whoever writes the token must write a new one before it ends; in Kubernetes the kubelet does.");
	else if (!strcmp(f.code, "AccessDenied"))
		error_hint(err, "The trust policy of the role must name who assumes it.");
	return err->code;
}

/* What an answer says of keys. */
struct granted {
	char *text[3]; /* id, secret, token; owned */
	struct instant expires;
};

static void granted_release(struct granted *g)
{
	for (size_t i = 0; i < ARRAY_LEN(g->text); i++)
		secret_text_release(&g->text[i]);
}

static char *trimmed(const char *s)
{
	static const char blanks[] = " \t\r\n";
	size_t n;

	s += strspn(s, blanks);
	for (n = strlen(s); n && strchr(blanks, s[n - 1]);)
		n--;
	return xstrndup(s, n);
}

static enum status take_element(void *ctx, const char *path, const char *text, struct error *err)
{
	static const char *const names[] = {"/Credentials/AccessKeyId", "/Credentials/SecretAccessKey", "/Credentials/SessionToken"};
	struct granted *g = ctx;
	const char *below = strchr(path, '/'); /* the first element is called after the action */

	for (size_t i = 0; below && i < ARRAY_LEN(names); i++)
		if (!strcmp(below, names[i]) && !g->text[i])
			g->text[i] = trimmed(text);
	if (!below || strcmp(below, "/Credentials/Expiration"))
		return ST_OK;
	CLEANUP(cstr_release) char *time = trimmed(text);

	return instant_parse(time, &g->expires, err);
}

static enum status take_keys(const struct http_answer *a, struct s3_keys *to, struct error *err)
{
	CLEANUP(granted_release) struct granted g = {.text = {NULL}};
	struct s3_keys k = S3_KEYS_INIT;
	char *text[3];

	if (s3_xml_read(buf_str(&a->body), a->body.len, NULL, take_element, &g, err))
		return err->code;
	memcpy(text, g.text, sizeof text);
	memset(g.text, 0, sizeof g.text);
	k.expires = g.expires;
	if (s3_keys_take(&k, "the answer", text, err))
		return err->code;
	s3_keys_release(to);
	*to = k;
	return ST_OK;
}

static enum status call(struct sts *s, const struct s3_role *role, struct http_headers *headers, const struct buf *form, struct error *err)
{
	CLEANUP(s3_answer_wipe) struct http_answer a = HTTP_ANSWER_INIT;
	const struct s3_key_params *p = s->look->params;
	struct s3_asking q = {
		.params = {
			.tls = s->own ? p->tls : TLS_VERIFY_FULL,
			.ca = s->own && p->ca ? p->ca : s->around.ca_file,
			.connect = DURATION_SECONDS(10),
			.stall = DURATION_SECONDS(10),
		},
		.request = {.method = "POST", .url = s->url, .headers = headers, .body = buf_str(form), .body_len = form->len},
	};

	if (s3_ask(s->look->run, &q, &a, err))
		return error_add(err, "STS at %s", s->host);
	if (a.status != 200)
		return refused(&a, role, err);
	return take_keys(&a, s->look->keys, err) ? error_add(err, "STS at %s", s->host) : ST_OK;
}

enum status s3_assume_with_web_identity(struct s3_look *look, const struct s3_role *role, struct error *err)
{
	CLEANUP(sts_release) struct sts s = {.look = look};
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	CLEANUP(secret_text_release) char *token = NULL;
	CLEANUP(cstr_release) char *path = xstrdup(role->token_file);
	CLEANUP(wiped_release) struct buf form = BUF_INIT;
	struct secret file = {.file = path};

	if (secret_read(look->run, &file, &token, err))
		return error_add(err, "the token of the web identity");
	if (find_endpoint(&s, role, err))
		return err->code;
	form_start(&s, role, "AssumeRoleWithWebIdentity", &form);
	form_field(&form, "WebIdentityToken", token);
	http_headers_add(&headers, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
	return call(&s, role, &headers, &form, err);
}

enum status s3_assume_role(struct s3_look *look, const struct s3_role *role, const struct s3_keys *with, struct error *err)
{
	CLEANUP(sts_release) struct sts s = {.look = look};
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	CLEANUP(wiped_release) struct buf form = BUF_INIT;
	char sum[SHA256_HEX];

	if (find_endpoint(&s, role, err))
		return err->code;
	form_start(&s, role, "AssumeRole", &form);
	http_headers_add(&headers, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
	s3_sign(&(struct s3_signing){
			.keys = with,
			.region = s.region,
			.service = "sts",
			.now = run_now(look->run),
			.method = "POST",
			.host = s.host,
			.path = "/",
			.payload = sha256_hex(sha256_of(buf_str(&form), form.len), sum),
		},
		&headers);
	return call(&s, role, &headers, &form, err);
}
