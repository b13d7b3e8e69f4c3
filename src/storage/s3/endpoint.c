/* From the URL of a store to the URL of a request. */
#include "storage/s3/internal.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "core/url.h"

#define REGION_DEFAULT "us-east-1"

void s3_place_release(struct s3_place *p)
{
	char *const texts[] = {p->bucket, p->prefix, p->endpoint, p->host, p->base, p->path, p->region};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
	*p = (struct s3_place){0};
}

static bool is_address(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static enum status take_bucket(const char *url, struct s3_place *p, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;

	if (url_parse(url, &u, err))
		return err->code;
	size_t n = u.host ? strlen(u.host) : 0;
	if (u.user || u.password) {
		error_set(err, ST_CONFIG, "a store's URL holds no user and no password");
		return error_hint(err, "Give access keys by the environment, by a profile, or by the settings access_key and secret_key of the store.");
	}
	if (u.port_given || n < 3 || n > 63 || strspn(u.host, "abcdefghijklmnopqrstuvwxyz0123456789.-") != n ||
	    !isalnum((unsigned char)u.host[0]) || !isalnum((unsigned char)u.host[n - 1]) || strstr(u.host, "..")) {
		error_set(err, ST_CONFIG, "'%s' is not the name of a bucket", u.host ? u.host : "");
		return error_hint(err, "The URL of a store in S3 is s3://BUCKET/PATH; a server of one's own is named by the option endpoint.");
	}
	p->bucket = xstrdup(u.host);
	const char *path = u.path ? u.path : "";
	while (*path == '/')
		path++;
	n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	p->prefix = n ? xasprintf("%.*s/", (int)n, path) : xstrdup("");
	if (!n)
		return ST_OK;
	CLEANUP(cstr_release) char *as_key = xstrndup(path, n);
	if (storage_key_check(as_key, err))
		return error_set(err, ST_CONFIG, "the path '%s' in the URL of the store has empty, '.' or '..' parts, or bytes that no key has", as_key);
	return n > PREFIX_MAX ? error_set(err, ST_CONFIG, "the path in the URL of the store is longer than %d bytes", PREFIX_MAX) : ST_OK;
}

static enum status wrong_endpoint(const char *why, struct error *err)
{
	error_set(err, ST_CONFIG, "endpoint: %s", why);
	return error_hint(err, "An endpoint looks like https://s3.example.com or http://10.0.0.7:9000.");
}

/* Scheme, host and path of an endpoint. */
static enum status split_endpoint(const char *endpoint, struct s3_place *p, char **host, char **path, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;
	CLEANUP(cstr_release) char *whole = strstr(endpoint, "://") ? xstrdup(endpoint) : xasprintf("https://%s", endpoint);

	if (url_parse(whole, &u, err))
		return error_add(err, "endpoint");
	p->tls = !strcmp(u.scheme, "https");
	if (!p->tls && strcmp(u.scheme, "http"))
		return wrong_endpoint("it is neither http:// nor https://", err);
	if (u.user || u.password || u.params)
		return wrong_endpoint("it holds a user, a password or options", err);
	if (!u.host || !*u.host || *u.host == '/')
		return wrong_endpoint("it names no host", err);
	if (!is_address(u.host) && strspn(u.host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != strlen(u.host))
		return wrong_endpoint("it names a host that cannot be", err);
	bool port = u.port_given && u.port != (p->tls ? 443u : 80u);
	CLEANUP(cstr_release) char *name = strchr(u.host, ':') ? xasprintf("[%s]", u.host) : xstrdup(u.host);
	*host = port ? xasprintf("%s:%u", name, u.port) : xstrdup(name);
	size_t n = u.path ? strlen(u.path) : 0;
	while (n && u.path[n - 1] == '/')
		n--;
	CLEANUP(cstr_release) char *plain = n ? xstrndup(u.path, n) : xstrdup("");
	CLEANUP(buf_release) struct buf encoded = BUF_INIT;
	s3_encode(&encoded, plain, true);
	*path = buf_detach(&encoded);
	p->path_style = is_address(u.host) || p->path_style;
	p->endpoint = xasprintf("%s://%s%s", u.scheme, *host, *path);
	return ST_OK;
}

enum status s3_place_make(const char *url, const char *endpoint, const char *region, enum s3_style style, struct s3_place *p,
			  struct error *err)
{
	CLEANUP(cstr_release) char *host = NULL;
	CLEANUP(cstr_release) char *path = NULL;

	*p = (struct s3_place){.aws = !endpoint || !*endpoint};
	p->region = xstrdup(region && *region ? region : REGION_DEFAULT);
	if (strspn(p->region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(p->region))
		error_set(err, ST_CONFIG, "region: '%s' is none", p->region);
	CLEANUP(cstr_release) char *own = xasprintf("https://s3.%s.amazonaws.com%s", p->region, strncmp(p->region, "cn-", 3) ? "" : ".cn");
	if (err->code || take_bucket(url, p, err) || split_endpoint(p->aws ? own : endpoint, p, &host, &path, err)) {
		s3_place_release(p);
		return err->code;
	}
	p->aws = p->aws || strstr(host, ".amazonaws.com");
	/* A certificate for *.s3... holds for one label only. */
	bool dots = p->tls && strchr(p->bucket, '.');
	if (style != S3_STYLE_AUTO)
		p->path_style = style == S3_STYLE_PATH;
	else
		p->path_style = p->path_style || !p->aws || dots;
	p->host = p->path_style ? xstrdup(host) : xasprintf("%s.%s", p->bucket, host);
	p->path = p->path_style ? xasprintf("%s/%s", path, p->bucket) : xstrdup(path);
	p->base = xasprintf("%s://%s%s", p->tls ? "https" : "http", p->host, p->path);
	return ST_OK;
}

char *s3_place_url(const struct s3_place *p)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	buf_printf(&b, "s3://%s", p->bucket);
	if (*p->prefix) {
		buf_putc(&b, '/');
		s3_encode(&b, p->prefix, true);
		b.data[--b.len] = 0; /* the '/' at its end */
	}
	if (!strstr(p->endpoint, ".amazonaws.com"))
		buf_printf(&b, "?endpoint=%s&region=%s", p->endpoint, p->region);
	else
		buf_printf(&b, "?region=%s", p->region);
	if (p->path_style && p->aws)
		buf_puts(&b, "&path_style=1");
	else if (!p->path_style && !p->aws)
		buf_puts(&b, "&path_style=0");
	if (p->mode != TLS_DEFAULT)
		buf_printf(&b, "&tls=%s", tls_mode_names[p->mode]); /* last: store.c tells places apart without it */
	return buf_detach(&b);
}
