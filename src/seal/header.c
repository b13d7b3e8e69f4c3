#include "seal/header.h"

#include <openssl/crypto.h>

#include "seal/seal.h"
#include "seal/text.h"

static const char version[] = "age-encryption.org/v1\n", any_version[] = "age-encryption.org/";
enum { BODY_COLUMNS = 64, ARGUMENTS = 4, MAC_TEXT = 43 };

void header_release(struct header *h)
{
	free(h->item);
	*h = (struct header)HEADER_INIT;
}

static enum status bad(struct error *err, const char *why) { return error_set(err, ST_BAD, "the header of the age file %s", why); }

struct cursor {
	const char *p, *at, *end;
};

/* The next line without its line feed. */
static enum status take_line(struct cursor *c, struct span *line, struct error *err)
{
	const char *lf = memchr(c->at, '\n', (size_t)(c->end - c->at));

	if (!lf)
		return bad(err, c->end - c->p >= SEAL_HEADER_MAX ? "is longer than drtool reads" : "is cut off");
	*line = (struct span){c->at, (size_t)(lf - c->at)};
	c->at = lf + 1;
	return ST_OK;
}

static bool span_is(struct span s, const char *text) { return s.n == strlen(text) && !memcmp(s.p, text, s.n); }

/* Splits at single spaces; the number of arguments, of which the first ARGUMENTS are kept; 0 where there is an empty one or a byte that
 * is no visible character. */
static size_t arguments(struct span line, struct span *argument)
{
	const char *s = line.p, *end = s + line.n;
	size_t n = 0;

	for (const char *from = s;; s++) {
		if (s < end && *s != ' ') {
			if (*s < 0x21 || *s > 0x7e)
				return 0;
			continue;
		}
		if (s == from)
			return 0;
		if (n < ARGUMENTS)
			argument[n] = (struct span){from, (size_t)(s - from)};
		n++;
		if (s == end)
			return n;
		from = s + 1;
	}
}

static enum status take_body(struct cursor *c, struct buf *body, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct span line = {NULL, BODY_COLUMNS};

	while (line.n == BODY_COLUMNS) {
		if (take_line(c, &line, err))
			return err->code;
		if (line.n > BODY_COLUMNS)
			return bad(err, "has a line that is too long");
		buf_put(&text, line.p, line.n);
	}
	return base64_get(buf_str(&text), text.len, body) ? ST_OK : bad(err, "has a stanza that is no base64");
}

/* A number as the format writes it; -1 where it is none. */
static int work_factor(struct span s)
{
	const char *digit = s.p;
	int n = 0;

	if (!s.n || s.n > 3 || *digit == '0')
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (digit[i] < '0' || digit[i] > '9')
			return -1;
		n = n * 10 + digit[i] - '0';
	}
	return n;
}

static enum status stanza_fill(struct stanza *s, const struct span *a, size_t n, const struct buf *body, struct error *err)
{
	s->name = a[0];
	if (span_is(a[0], "X25519")) {
		s->kind = STANZA_X25519;
		if (n != 2 || !base64_exact(a[1].p, a[1].n, &s->share, KEY_LEN))
			return bad(err, "has a damaged X25519 stanza");
	} else if (span_is(a[0], "scrypt")) {
		s->kind = STANZA_SCRYPT;
		s->work = n == 3 ? work_factor(a[2]) : -1;
		if (s->work < 1 || !base64_exact(a[1].p, a[1].n, s->salt, SALT_LEN))
			return bad(err, "has a damaged scrypt stanza");
	} else {
		return ST_OK;
	}
	if (body->len != WRAPPED_LEN)
		return bad(err, "has a stanza whose key has a wrong length");
	memcpy(s->wrapped, body->data, WRAPPED_LEN);
	return ST_OK;
}

static enum status take_stanza(struct cursor *c, struct span line, struct header *h, struct error *err)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT;
	struct span argument[ARGUMENTS] = {{0}};
	size_t n = arguments((struct span){(const char *)line.p + 3, line.n - 3}, argument);

	if (!n)
		return bad(err, "has a stanza without proper arguments");
	if (h->n == SEAL_STANZAS_MAX)
		return bad(err, "has more stanzas than drtool reads");
	if (take_body(c, &body, err))
		return err->code;
	h->item = xrealloc(h->item, (h->n + 1) * sizeof(*h->item));
	h->item[h->n] = (struct stanza){0};
	return stanza_fill(&h->item[h->n++], argument, n, &body, err);
}

static enum status take_end(struct cursor *c, struct span line, struct header *h, struct error *err)
{
	const char *s = line.p;

	if (line.n != 4 + MAC_TEXT || memcmp(s, "--- ", 4) || !base64_exact(s + 4, MAC_TEXT, &h->mac, MAC_LEN))
		return bad(err, "has a damaged line");
	h->maced = (size_t)(s - c->p) + 3;
	if (c->end - c->at < NONCE_LEN)
		return error_set(err, ST_BAD, "the age file ends behind its header");
	memcpy(h->nonce, c->at, NONCE_LEN);
	h->len = (size_t)(c->at - c->p) + NONCE_LEN;
	return ST_OK;
}

static enum status parse(struct cursor *c, struct header *h, struct error *err)
{
	struct span line = {0};

	if (take_line(c, &line, err)) /* the version */
		return err->code;
	for (;;) {
		if (take_line(c, &line, err))
			return err->code;
		if (line.n < 3 || memcmp(line.p, "-> ", 3))
			break;
		if (take_stanza(c, line, h, err))
			return err->code;
	}
	if (take_end(c, line, h, err))
		return err->code;
	if (!h->n)
		return bad(err, "has no stanza");
	for (size_t i = 0; i < h->n; i++)
		if (h->item[i].kind == STANZA_SCRYPT && h->n > 1)
			return bad(err, "has more beside a passphrase");
	return ST_OK;
}

enum status header_parse(const void *p, size_t n, struct header *h, struct error *err)
{
	struct cursor c = {p, p, (const char *)p + min_size(n, SEAL_HEADER_MAX)};
	size_t v = sizeof(version) - 1, any = sizeof(any_version) - 1;

	if (n < v || memcmp(p, version, v)) {
		if (n >= any && !memcmp(p, any_version, any))
			return n < v ? bad(err, "is cut off")
				     : error_set(err, ST_UNSUPPORTED, "the age file has another version of the format than v1");
		return error_set(err, ST_BAD, "no age file: it does not begin with \"age-encryption.org/v1\"");
	}
	if (parse(&c, h, err)) {
		header_release(h);
		return err->code;
	}
	return ST_OK;
}

void header_put_version(struct buf *to) { buf_puts(to, version); }

void header_put_stanza(struct buf *to, const struct stanza *s)
{
	buf_puts(to, s->kind == STANZA_X25519 ? "-> X25519 " : "-> scrypt ");
	if (s->kind == STANZA_X25519)
		base64_put(to, &s->share, KEY_LEN);
	else
		base64_put(to, s->salt, SALT_LEN);
	if (s->kind == STANZA_SCRYPT)
		buf_printf(to, " %d", s->work);
	buf_putc(to, '\n');
	base64_put(to, s->wrapped, WRAPPED_LEN);
	buf_putc(to, '\n');
}

static enum status header_mac(struct span text, const unsigned char *file_key, struct key32 *mac, struct error *err)
{
	CLEANUP(key32_release) struct key32 key = KEY32_INIT;

	if (crypto_hkdf((struct span){file_key, FILE_KEY_LEN}, (struct span){0}, "header", &key, err))
		return err->code;
	return crypto_hmac((struct span){&key, KEY_LEN}, text, mac, err);
}

enum status header_put_end(struct buf *to, size_t start, const unsigned char *file_key, const unsigned char *nonce, struct error *err)
{
	struct key32 mac = KEY32_INIT;

	buf_puts(to, "---");
	if (header_mac((struct span){to->data + start, to->len - start}, file_key, &mac, err))
		return err->code;
	buf_putc(to, ' ');
	base64_put(to, &mac, MAC_LEN);
	buf_putc(to, '\n');
	buf_put(to, nonce, NONCE_LEN);
	return ST_OK;
}

enum status header_check(const struct header *h, const void *p, const unsigned char *file_key, struct error *err)
{
	struct key32 mac = KEY32_INIT;

	if (header_mac((struct span){p, h->maced}, file_key, &mac, err))
		return err->code;
	return CRYPTO_memcmp(&mac, &h->mac, MAC_LEN) ? bad(err, "does not have its MAC: it was changed") : ST_OK;
}
