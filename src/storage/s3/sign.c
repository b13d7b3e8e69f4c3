#include "storage/s3/sign.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "util/hash.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
/* "20150830T123600Z"; its first eight bytes are the day. */
enum { DAY = 8 };

void s3_encode(struct buf *to, const char *text, bool slash)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("-._~", *p) || (slash && *p == '/'))
			buf_putc(to, (char)*p);
		else
			buf_printf(to, "%%%02X", *p);
}

static int compare_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Each pair is "name\001value". */
static void put_sorted(struct strlist *pairs, struct buf *to)
{
	if (pairs->len)
		qsort(pairs->item, pairs->len, sizeof *pairs->item, compare_text);
	for (size_t i = 0; i < pairs->len; i++) {
		char *split = strchr(pairs->item[i], 1);

		*split = '=';
		buf_printf(to, "%s%s", i ? "&" : "", pairs->item[i]);
	}
}

void s3_query(const struct s3_param *param, size_t n, struct buf *to)
{
	CLEANUP(strlist_release) struct strlist pairs = STRLIST_INIT;

	for (size_t i = 0; i < n; i++) {
		struct buf pair = BUF_INIT;

		s3_encode(&pair, param[i].name, false);
		buf_putc(&pair, 1); /* before every byte that encoding leaves, so that a name comes before those that it begins */
		s3_encode(&pair, param[i].value ? param[i].value : "", false);
		strlist_take(&pairs, buf_detach(&pair));
	}
	put_sorted(&pairs, to);
}

/* ---- the canonical request ---- */

/* Lower-case name and the value with its blanks trimmed and each run of them as one, joined by ':'. */
static char *canonical_header(const char *name, const char *value)
{
	struct buf line = BUF_INIT;
	bool gap = false;

	for (const char *p = name; *p; p++)
		buf_putc(&line, (char)tolower((unsigned char)*p));
	buf_putc(&line, ':');
	size_t start = line.len;
	for (const char *p = value; *p; p++) {
		bool blank = *p == ' ' || *p == '\t';

		if (!blank) {
			if (gap && line.len > start)
				buf_putc(&line, ' ');
			buf_putc(&line, *p);
		}
		gap = blank;
	}
	return buf_detach(&line);
}

static int compare_names(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t n = strcspn(x, ":"), m = strcspn(y, ":");
	int r = memcmp(x, y, min_size(n, m));

	return r ? r : (n > m) - (n < m);
}

/* "name:value" lines to `lines`, "a;b;c" to `names`. */
static void put_headers(const struct http_headers *headers, const char *host, struct buf *lines, struct buf *names)
{
	CLEANUP(strlist_release) struct strlist list = STRLIST_INIT;

	strlist_take(&list, canonical_header("host", host));
	for (size_t i = 0; i < headers->len; i++)
		strlist_take(&list, canonical_header(headers->item[i].name, headers->item[i].value));
	qsort(list.item, list.len, sizeof *list.item, compare_names);
	for (size_t i = 0; i < list.len; i++) {
		buf_printf(lines, "%s\n", list.item[i]);
		buf_printf(names, "%s%.*s", i ? ";" : "", (int)strcspn(list.item[i], ":"), list.item[i]);
	}
}

static void put_hash_of(struct buf *to, const struct buf *text)
{
	struct sha256 h = sha256_of(buf_str(text), text->len);

	buf_hex(to, h.byte, sizeof h.byte);
}

/* ---- the key ---- */

static struct sha256 mac(const void *key, size_t n, const char *text)
{
	struct sha256 to;
	unsigned got = 0;

	if (!HMAC(EVP_sha256(), key, (int)n, (const unsigned char *)text, strlen(text), to.byte, &got) || got != sizeof to.byte)
		die("HMAC failed");
	return to;
}

static void sign_text(const struct s3_signing *s, const char *day, const char *text, struct buf *hex)
{
	CLEANUP(cstr_release) char *first = xasprintf("AWS4%s", s->keys->secret);
	struct sha256 k = mac(first, strlen(first), day);
	const char *const next[] = {s->region, s->service, "aws4_request", text};

	for (size_t i = 0; i < ARRAY_LEN(next); i++)
		k = mac(k.byte, sizeof k.byte, next[i]);
	buf_hex(hex, k.byte, sizeof k.byte);
	secure_zero(first, strlen(first));
	secure_zero(&k, sizeof k);
}

static void add_own_headers(const struct s3_signing *s, const char *when, struct http_headers *headers)
{
	http_headers_add(headers, "x-amz-date", "%s", when);
	if (!strcmp(s->service, "s3"))
		http_headers_add(headers, "x-amz-content-sha256", "%s", s->payload);
	if (s->keys->token)
		http_headers_add(headers, "x-amz-security-token", "%s", s->keys->token);
}

void s3_sign(const struct s3_signing *s, struct http_headers *headers)
{
	CLEANUP(buf_release) struct buf request = BUF_INIT, lines = BUF_INIT, names = BUF_INIT, text = BUF_INIT, hex = BUF_INIT;
	char when[INSTANT_TEXT], day[DAY + 1];

	instant_compact(s->now, when);
	snprintf(day, sizeof day, "%.*s", DAY, when);
	CLEANUP(cstr_release) char *scope = xasprintf("%s/%s/%s/aws4_request", day, s->region, s->service);

	add_own_headers(s, when, headers);
	put_headers(headers, s->host, &lines, &names);
	buf_printf(&request, "%s\n%s\n%s\n%s\n%s\n%s", s->method, s->path, s->query ? s->query : "", buf_str(&lines), buf_str(&names), s->payload);
	buf_printf(&text, ALGORITHM "\n%s\n%s\n", when, scope);
	put_hash_of(&text, &request);
	sign_text(s, day, buf_str(&text), &hex);
	if (lines.data)
		secure_zero(lines.data, lines.len); /* they and the request hold the token */
	secure_zero(request.data, request.len);
	http_headers_add(headers, "Authorization", ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", s->keys->id, scope, buf_str(&names),
			 buf_str(&hex));
}
