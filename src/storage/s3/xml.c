#include "storage/s3/xml.h"

#include <expat.h>

#define DEPTH_MAX 12
#define PATH_MAX_BYTES 512
#define TEXT_MAX ((size_t)16 << 10)

struct reader {
	XML_Parser parser;
	const char *root;
	s3_xml_fn *fn;
	void *ctx;
	struct error *err;
	struct buf path;
	struct buf text[DEPTH_MAX]; /* of each element that is open */
	unsigned depth;
};

static void stop(struct reader *r, const char *why)
{
	if (!r->err->code)
		error_set(r->err, ST_BAD, "an answer of the store cannot be read: %s", why);
	XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *ctx, const char *name, const char **attributes UNUSED)
{
	struct reader *r = ctx;
	const char *colon = strrchr(name, ':');

	name = colon ? colon + 1 : name;
	if (r->err->code)
		return;
	if (r->depth == DEPTH_MAX || r->path.len + strlen(name) > PATH_MAX_BYTES) {
		stop(r, "it is too deep");
		return;
	}
	if (!r->depth && r->root && strncmp(name, r->root, strlen(r->root))) {
		stop(r, "it is not the answer to what was asked");
		return;
	}
	if (r->depth)
		buf_printf(&r->path, "%s%s", r->depth > 1 ? "/" : "", name);
	buf_clear(&r->text[r->depth++]);
}

static void on_text(void *ctx, const char *text, int n)
{
	struct reader *r = ctx;

	if (r->err->code || !r->depth)
		return;
	if (r->text[r->depth - 1].len + (size_t)n > TEXT_MAX)
		stop(r, "a text in it is too long");
	else
		buf_put(&r->text[r->depth - 1], text, (size_t)n);
}

static void on_end(void *ctx, const char *name UNUSED)
{
	struct reader *r = ctx;

	if (r->err->code)
		return;
	if (!--r->depth)
		return;
	if (r->fn(r->ctx, r->path.data, buf_str(&r->text[r->depth]), r->err)) {
		stop(r, "");
		return;
	}
	const char *slash = strrchr(r->path.data, '/');
	r->path.len = slash ? (size_t)(slash - r->path.data) : 0;
	r->path.data[r->path.len] = 0;
}

/* Entities of a document's own could make little text grow without bound; S3 has no use for them. */
static void on_doctype(void *ctx, const char *name UNUSED, const char *system UNUSED, const char *public UNUSED, int internal UNUSED)
{
	stop(ctx, "it declares a document type");
}

enum status s3_xml_read(const char *text, size_t n, const char *root, s3_xml_fn *fn, void *ctx, struct error *err)
{
	struct reader r = {.parser = XML_ParserCreate(NULL), .root = root, .fn = fn, .ctx = ctx, .err = err};

	if (!r.parser)
		die("out of memory");
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	if (n > INT32_MAX)
		error_set(err, ST_BAD, "an answer of the store is too long");
	else if (XML_Parse(r.parser, text, (int)n, XML_TRUE) != XML_STATUS_OK)
		stop(&r, XML_ErrorString(XML_GetErrorCode(r.parser)));
	XML_ParserFree(r.parser);
	buf_release(&r.path);
	for (size_t i = 0; i < DEPTH_MAX; i++)
		wiped_release(&r.text[i]); /* STS answers keys */
	return err->code;
}

void s3_xml_text(struct buf *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			buf_puts(to, "&amp;");
		else if (*text == '<')
			buf_puts(to, "&lt;");
		else if (*text == '>')
			buf_puts(to, "&gt;");
		else
			buf_putc(to, *text);
	}
}

void s3_token(const char *etag, char to[STORAGE_TOKEN])
{
	size_t n;

	etag += !strncmp(etag, "W/", 2) ? 2 : 0;
	etag += *etag == '"';
	n = strcspn(etag, "\"");
	snprintf(to, STORAGE_TOKEN, "%.*s", (int)min_size(n, STORAGE_TOKEN - 1), etag);
}

static enum status on_fault(void *ctx, const char *path, const char *text, struct error *err UNUSED)
{
	struct s3_fault *f = ctx;

	/* STS puts the error one deeper. */
	path += strncmp(path, "Error/", 6) ? 0 : 6;
	if (!strcmp(path, "Code"))
		snprintf(f->code, sizeof f->code, "%s", text);
	else if (!strcmp(path, "Message"))
		snprintf(f->message, sizeof f->message, "%s", text);
	else if (!strcmp(path, "Region"))
		snprintf(f->region, sizeof f->region, "%s", text);
	return ST_OK;
}

void s3_fault_read(const char *text, size_t n, struct s3_fault *f)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	*f = (struct s3_fault){0};
	if (n && s3_xml_read(text, n, NULL, on_fault, f, &ignored))
		error_release(&ignored);
	/* Texts go to the terminal. */
	for (char *c = f->message; *c; c++)
		*c = (unsigned char)*c < ' ' ? ' ' : *c;
	for (char *c = f->code; *c; c++)
		*c = (unsigned char)*c <= ' ' ? '_' : *c;
}

struct page_reader {
	struct s3_page *page;
	struct storage_version now; /* the item that is being read */
	char *token;
	bool url_encoded, next_is_key;
};

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* In place: %XX and '+', as keys come where encoding-type=url was granted. */
static void url_decode(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
			*to++ = (char)(hex(s[1]) << 4 | hex(s[2]));
			s += 2;
		} else {
			*to++ = *s == '+' ? ' ' : *s;
		}
	}
	*to = 0;
}

static enum status to_size(const char *text, uint64_t *to, struct error *err)
{
	char *end;

	*to = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end ? ST_OK : error_set(err, ST_BAD, "an answer of the store has a size that is none");
}

/* In whole seconds, as the header Last-Modified has it. */
static enum status to_time(const char *text, struct instant *to, struct error *err)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	char whole[24];

	snprintf(whole, sizeof whole, "%.19sZ", text);
	return instant_parse(whole, to, &ignored) ? error_set(err, ST_BAD, "an answer of the store has a time that is none") : ST_OK;
}

static void replace(char **to, const char *text)
{
	free(*to);
	*to = xstrdup(text);
}

static void item_add(struct page_reader *r, bool marker)
{
	struct storage_versions *l = &r->page->item;

	if (l->len == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->item = xrealloc(l->item, l->cap * sizeof *l->item);
	}
	r->now.marker = marker;
	if (!r->now.id)
		r->now.id = xstrdup("");
	l->item[l->len++] = r->now;
	strlist_take(&r->page->tokens, r->token ? r->token : xstrdup(""));
	r->now = (struct storage_version){0};
	r->token = NULL;
}

static enum status on_item(struct page_reader *r, const char *name, const char *text, struct error *err)
{
	if (!strcmp(name, "Key")) {
		replace(&r->now.key, text);
	} else if (!strcmp(name, "VersionId") || !strcmp(name, "UploadId")) {
		replace(&r->now.id, text);
	} else if (!strcmp(name, "ETag")) {
		char token[STORAGE_TOKEN];

		s3_token(text, token);
		replace(&r->token, token);
	} else if (!strcmp(name, "IsLatest")) {
		r->now.latest = !strcmp(text, "true");
	} else if (!strcmp(name, "Size")) {
		return to_size(text, &r->now.size, err);
	} else if (!strcmp(name, "LastModified") || !strcmp(name, "Initiated")) {
		return to_time(text, &r->now.modified, err);
	}
	return ST_OK;
}

static enum status on_page(void *ctx, const char *path, const char *text, struct error *err)
{
	static const char *const items[] = {"Contents", "Version", "DeleteMarker", "Upload"};
	struct page_reader *r = ctx;
	const char *slash = strchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		if (strncmp(path, items[i], n) || items[i][n])
			continue;
		if (slash)
			return strchr(slash + 1, '/') ? ST_OK : on_item(r, slash + 1, text, err);
		if (!r->now.key)
			return error_set(err, ST_BAD, "an answer of the store lists something without a name");
		item_add(r, !strcmp(path, "DeleteMarker"));
		return ST_OK;
	}
	if (!strcmp(path, "IsTruncated"))
		r->page->more = !strcmp(text, "true");
	else if (!strcmp(path, "EncodingType"))
		r->url_encoded = !strcmp(text, "url");
	else if (!strcmp(path, "NextContinuationToken"))
		replace(&r->page->next, text);
	else if (!strcmp(path, "NextKeyMarker")) {
		replace(&r->page->next, text);
		r->next_is_key = true;
	}
	else if (!strcmp(path, "NextVersionIdMarker") || !strcmp(path, "NextUploadIdMarker"))
		replace(&r->page->next_id, text);
	return ST_OK;
}

enum status s3_page_read(const char *text, size_t n, struct s3_page *p, struct error *err)
{
	struct page_reader r = {.page = p};

	enum status st = s3_xml_read(text, n, "List", on_page, &r, err);
	free(r.now.key);
	free(r.now.id);
	free(r.token);
	for (size_t i = 0; r.url_encoded && i < p->item.len; i++)
		url_decode(p->item.item[i].key);
	if (r.url_encoded && r.next_is_key && p->next)
		url_decode(p->next);
	return st;
}

void s3_page_release(struct s3_page *p)
{
	storage_versions_release(&p->item);
	strlist_release(&p->tokens);
	free(p->next);
	free(p->next_id);
	*p = (struct s3_page)S3_PAGE_INIT;
}

static enum status on_parts(void *ctx, const char *path, const char *text, struct error *err)
{
	struct s3_parts *p = ctx;
	struct instant modified;
	uint64_t size;

	if (!strcmp(path, "IsTruncated")) {
		p->more = !strcmp(text, "true");
	} else if (!strcmp(path, "NextPartNumberMarker")) {
		snprintf(p->next, sizeof p->next, "%s", text);
	} else if (!strcmp(path, "Part/Size")) {
		if (to_size(text, &size, err))
			return err->code;
		p->size += size;
	} else if (!strcmp(path, "Part/LastModified")) {
		if (to_time(text, &modified, err))
			return err->code;
		if (modified.us > p->modified.us)
			p->modified = modified;
	}
	return ST_OK;
}

enum status s3_parts_read(const char *text, size_t n, struct s3_parts *p, struct error *err)
{
	*p = (struct s3_parts){0};
	return s3_xml_read(text, n, "ListParts", on_parts, p, err);
}

struct one {
	const char *path;
	char **to;
};

static enum status on_one(void *ctx, const char *path, const char *text, struct error *err UNUSED)
{
	const struct one *o = ctx;

	if (!strcmp(path, o->path))
		replace(o->to, text);
	return ST_OK;
}

enum status s3_xml_one(const char *text, size_t n, const char *path, char **to, struct error *err)
{
	struct one o = {.path = path, .to = to};

	*to = NULL;
	if (s3_xml_read(text, n, NULL, on_one, &o, err))
		cstr_release(to);
	return err->code;
}
