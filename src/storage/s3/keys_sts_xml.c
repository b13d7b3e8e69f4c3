#include "storage/s3/keys_sts.h"

#include <expat.h>

#include "core/secret.h"

enum { TEXT_MAX = 64 * 1024 };
#define BLANKS " \t\r\n"

struct reading {
	XML_Parser parser;
	struct sts_answer *to;
	struct buf text; /* of the innermost element that began last */
	bool wrong;
};

/* The name without a prefix of a namespace. */
static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static char **member(struct sts_answer *a, const char *name)
{
	const struct {
		const char *name;
		char **to;
	} known[] = {
		{"AccessKeyId", &a->id}, {"SecretAccessKey", &a->secret}, {"SessionToken", &a->token},
		{"Expiration", &a->expires}, {"Code", &a->code}, {"Message", &a->message},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].to;
	return NULL;
}

static void wipe(struct buf *b)
{
	if (b->data)
		secure_zero(b->data, b->cap);
	b->len = 0;
}

static void on_start(void *ctx, const XML_Char *name UNUSED, const XML_Char **attributes UNUSED)
{
	struct reading *r = ctx;

	wipe(&r->text);
}

static void on_text(void *ctx, const XML_Char *s, int n)
{
	struct reading *r = ctx;

	if (r->text.len + (size_t)n <= TEXT_MAX)
		buf_put(&r->text, s, (size_t)n);
	else
		r->wrong = true;
}

static void on_end(void *ctx, const XML_Char *name)
{
	struct reading *r = ctx;
	char **to = member(r->to, local_name(name));

	if (to && !*to) {
		const char *s = buf_str(&r->text);
		size_t n;

		s += strspn(s, BLANKS);
		for (n = strlen(s); n && strchr(BLANKS, s[n - 1]);)
			n--;
		*to = xstrndup(s, n);
	}
	wipe(&r->text);
}

/* No service sends one, and entities are declared there. */
static void on_doctype(void *ctx, const XML_Char *name UNUSED, const XML_Char *sys UNUSED, const XML_Char *pub UNUSED, int internal UNUSED)
{
	struct reading *r = ctx;

	r->wrong = true;
	XML_StopParser(r->parser, XML_FALSE);
}

bool sts_answer_read(const struct buf *body, struct sts_answer *to)
{
	if (body->len > INT32_MAX)
		return false;
	struct reading r = {.parser = XML_ParserCreate(NULL), .to = to};

	if (!r.parser)
		die("no memory for an XML parser");
	buf_reserve(&r.text, TEXT_MAX);
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	bool good = XML_Parse(r.parser, buf_str(body), (int)body->len, 1) == XML_STATUS_OK && !r.wrong;

	XML_ParserFree(r.parser);
	wiped_release(&r.text);
	return good;
}

void sts_answer_release(struct sts_answer *a)
{
	char **const all[] = {&a->id, &a->secret, &a->token, &a->expires, &a->code, &a->message};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		secret_text_release(all[i]);
}
