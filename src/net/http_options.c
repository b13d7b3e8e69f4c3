/* A request as curl takes it, and what goes to and from its body. */
#include "net/http_internal.h"

#include <errno.h>

#define CONNECT DURATION_SECONDS(30)
#define BUFFER (128L << 10)
#define ALIVE DURATION_SECONDS(1)

/* ---- callbacks ---- */

static void note_move(struct http_exchange *x) { x->moved = run_mono(x->run); }

void http_alive(struct http_exchange *x)
{
	struct instant now = run_mono(x->run);

	if (!x->q->alive || instant_diff(now, x->told).us < ALIVE.us)
		return;
	x->told = now;
	x->q->alive(x->q->alive_ctx);
}

/* The connection stands; from here on the server may get what is sent. Called anew where a kept connection was dead. */
static int begin(void *ctx, char *ip UNUSED, char *local UNUSED, int port UNUSED, int local_port UNUSED)
{
	struct http_exchange *x = ctx;

	x->a->resent = x->connected;
	x->connected = x->a->sent = true;
	note_move(x);
	return CURL_PREREQFUNC_OK;
}

static size_t give_body(char *to, size_t size, size_t n, void *ctx)
{
	struct http_exchange *x = ctx;
	size_t part = min_size(size * n, x->q->body_len - x->body_at);

	if (part)
		memcpy(to, (const char *)x->q->body + x->body_at, part);
	x->body_at += part;
	note_move(x);
	if (part)
		http_alive(x);
	return part;
}

static int seek_body(void *ctx, curl_off_t offset, int origin)
{
	struct http_exchange *x = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->q->body_len)
		return CURL_SEEKFUNC_FAIL;
	x->body_at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* "HTTP/1.1 200 OK"; answers 1xx, and those that another one follows, are forgotten. */
static void begin_answer(struct http_answer *a, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);

	http_headers_release(&a->headers);
	a->status = space ? (int)strtol(space, NULL, 10) : 0;
}

static size_t take_header(char *line, size_t size, size_t count, void *ctx)
{
	struct http_exchange *x = ctx;
	size_t n = size * count;

	note_move(x);
	if (n > 5 && !memcmp(line, "HTTP/", 5)) {
		CLEANUP(cstr_release) char *copy = xstrndup(line, n);

		begin_answer(x->a, copy, n);
		x->headers_end = false;
	}
	x->header_bytes += n;
	if (x->header_bytes > HTTP_HEADERS_MAX) {
		x->too_long = true;
		return 0;
	}
	if (n > 5 && memcmp(line, "HTTP/", 5))
		http_headers_add_line(&x->a->headers, line, n);
	if (*line == '\r' || *line == '\n')
		x->headers_end = true;
	return n;
}

static size_t take_error(struct http_exchange *x, const char *p, size_t n)
{
	size_t part = min_size(n, HTTP_BODY_MAX - x->a->body.len);

	buf_put(&x->a->body, p, part);
	x->cut = part < n;
	return part;
}

static size_t take_body(char *p, size_t size, size_t count, void *ctx)
{
	struct http_exchange *x = ctx;
	size_t n = size * count, max = x->q->max ? x->q->max : HTTP_BODY_MAX;

	note_move(x);
	if (x->a->status < 200 || x->a->status > 299)
		return take_error(x, p, n);
	size_t room = x->q->to ? x->q->to_len - x->a->got : max - x->a->body.len;
	if (n > room) {
		x->too_long = true;
		return 0;
	}
	if (!x->q->to) {
		buf_put(&x->a->body, p, n);
		return n;
	}
	memcpy((char *)x->q->to + x->a->got, p, n);
	x->a->got += n;
	return n;
}

/* ---- options ---- */

/* curl's macro that checks types does not know what is NULL. */
#define SET(x, option, value) ((void)curl_easy_setopt((x)->link->easy, option, value))

static char *part_of(CURLU *url, CURLUPart what, unsigned flags)
{
	char *text = NULL;

	if (curl_url_get(url, what, &text, flags))
		return xstrdup("");
	char *own = xstrdup(text);
	curl_free(text);
	return own;
}

static void free_url(CURLU **u) { curl_url_cleanup(*u); }

static enum status read_url(struct http_exchange *x, struct error *err)
{
	CLEANUP(free_url) CURLU *u = curl_url();

	if (!u || curl_url_set(u, CURLUPART_URL, x->q->url, CURLU_PATH_AS_IS))
		return error_set(err, ST_CONFIG, "an address is no URL that can be asked");
	x->scheme = part_of(u, CURLUPART_SCHEME, 0);
	x->host = part_of(u, CURLUPART_HOST, 0);
	CLEANUP(cstr_release) char *port = part_of(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	x->where = xasprintf("%s:%s", x->host, port);
	size_t n = strlen(x->host);
	if (n > 2 && *x->host == '[') {
		memmove(x->host, x->host + 1, n - 2);
		x->host[n - 2] = 0;
	}
	x->tls = tls_mode_for(x->params->tls, x->host);
	return ST_OK;
}

static enum status check_scheme(const struct http_exchange *x, struct error *err)
{
	bool plain = !strcmp(x->scheme, "http");

	if (!plain && strcmp(x->scheme, "https"))
		return error_set(err, ST_CONFIG, "%s: \"%s\" is no scheme of HTTP", x->where, x->scheme);
	if (plain && x->tls >= TLS_REQUIRE) {
		error_set(err, ST_TLS, "%s: http:// is not encrypted", x->where);
		return error_hint(err, "Use https://, or, where the network itself is trusted, set tls to \"off\".");
	}
	return ST_OK;
}

static enum status set_tls(struct http_exchange *x, struct error *err)
{
	bool verify = x->tls == TLS_VERIFY_CA || x->tls == TLS_VERIFY_FULL;
	const char *file = NULL;

	if (!strcmp(x->scheme, "http"))
		return ST_OK;
	if (verify && tls_authorities(x->params->ca, &file, err))
		return err->code;
	SET(x, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(x, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
	SET(x, CURLOPT_SSL_VERIFYHOST, x->tls == TLS_VERIFY_FULL ? 2L : 0L);
	SET(x, CURLOPT_CAPATH, (char *)NULL); /* else the system's authorities are trusted beside those of a file */
	if (verify) {
		SET(x, CURLOPT_CAINFO, file);
		/* Refused by a libcurl without OpenSSL: then a failure shows no fingerprint. */
		SET(x, CURLOPT_SSL_CTX_FUNCTION, http_watch_handshake);
		SET(x, CURLOPT_SSL_CTX_DATA, &x->link->verdict);
	}
	return ST_OK;
}

static void set_line(struct http_exchange *x, const char *name, const char *value)
{
	/* A header without a value ends in ';' for curl, which would leave it out. */
	CLEANUP(cstr_release) char *line = *value ? xasprintf("%s: %s", name, value) : xasprintf("%s;", name);
	struct curl_slist *l = curl_slist_append(x->lines, line);

	if (!l)
		die("out of memory");
	x->lines = l;
	secure_zero(line, strlen(line));
}

static void set_headers(struct http_exchange *x)
{
	const struct http_headers *h = x->q->headers;

	for (size_t i = 0; h && i < h->len; i++)
		set_line(x, h->item[i].name, h->item[i].value);
	struct curl_slist *l = curl_slist_append(x->lines, "Expect:"); /* no round trip before a body */
	if (!l)
		die("out of memory");
	x->lines = l;
	SET(x, CURLOPT_HTTPHEADER, x->lines);
	SET(x, CURLOPT_USERAGENT, "drtool/" DRTOOL_VERSION);
}

static void set_body(struct http_exchange *x)
{
	const struct http_request *q = x->q;
	bool sends = q->body_len || !strcmp(q->method, "PUT") || !strcmp(q->method, "POST");

	if (!strcmp(q->method, "HEAD")) {
		SET(x, CURLOPT_NOBODY, 1L);
	} else if (sends) {
		SET(x, CURLOPT_UPLOAD, 1L);
		SET(x, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_len);
		SET(x, CURLOPT_READFUNCTION, give_body);
		SET(x, CURLOPT_READDATA, x);
		SET(x, CURLOPT_SEEKFUNCTION, seek_body);
		SET(x, CURLOPT_SEEKDATA, x);
		SET(x, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER);
	}
	if (strcmp(q->method, "HEAD") && strcmp(q->method, "GET"))
		SET(x, CURLOPT_CUSTOMREQUEST, q->method);
	SET(x, CURLOPT_WRITEFUNCTION, take_body);
	SET(x, CURLOPT_WRITEDATA, x);
	SET(x, CURLOPT_HEADERFUNCTION, take_header);
	SET(x, CURLOPT_HEADERDATA, x);
	SET(x, CURLOPT_BUFFERSIZE, BUFFER);
}

enum status http_prepare(struct http_exchange *x, struct error *err)
{
	struct duration connect = x->params->connect.us > 0 ? x->params->connect : CONNECT;

	if (read_url(x, err) || check_scheme(x, err) || set_tls(x, err))
		return err->code;
	x->link->verdict = (struct tls_verdict){.number = X509_V_OK};
	SET(x, CURLOPT_NOSIGNAL, 1L);
	SET(x, CURLOPT_ERRORBUFFER, x->text);
	SET(x, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(x, CURLOPT_URL, x->q->url);
	SET(x, CURLOPT_PATH_AS_IS, 1L);
	SET(x, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(x, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect.us / 1000));
	SET(x, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(x, CURLOPT_PREREQFUNCTION, begin);
	SET(x, CURLOPT_PREREQDATA, x);
	if (x->params->direct)
		SET(x, CURLOPT_PROXY, "");
	if (x->q->once)
		SET(x, CURLOPT_FRESH_CONNECT, 1L);
	set_headers(x);
	set_body(x);
	return ST_OK;
}
