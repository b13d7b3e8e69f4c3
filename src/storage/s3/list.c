/* Listings, page by page: of objects, of versions, and of uploads that nobody finished. */
#include "storage/s3/internal.h"

#define PAGE "1000"
#define PAGE_BYTES ((size_t)16 << 20)
#define PAGE_TRIES 3 /* of one that cannot be read */

/* One page; a page that arrives damaged is asked for again. */
static enum status get_page(struct run *run, struct s3 *s, const struct s3_param *param, size_t params, struct s3_page *page,
			    struct error *err)
{
	const struct s3_request q = {.method = "GET", .doing = "list", .param = param, .params = params, .max = PAGE_BYTES};

	for (int i = 0; i < PAGE_TRIES; i++) {
		CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;

		error_release(err);
		s3_page_release(page);
		if (s3_send(run, s, &q, &a, err) || !s3_page_read(buf_str(&a.body), a.body.len, page, err))
			return err->code;
	}
	return err->code;
}

/* The key as the storage has it; NULL: it is none of ours. */
static const char *own_key(const struct s3 *s, const char *key, const char *prefix)
{
	size_t n = strlen(s->place.prefix);

	if (strncmp(key, s->place.prefix, n) || strncmp(key + n, prefix, strlen(prefix)) || !strcmp(key + n, PROBE_KEY))
		return NULL;
	CLEANUP(error_release) struct error none = ERROR_INIT;
	return storage_key_check(key + n, &none) ? NULL : key + n;
}

struct walk {
	struct s3 *s;
	const char *prefix, *start_after;
	const struct storage_listing *to;
	char *last; /* the key given last */
};

static enum status give_page(struct walk *w, const struct s3_page *page, struct error *err)
{
	for (size_t i = 0; i < page->item.len; i++) {
		const struct storage_version *v = &page->item.item[i];
		const char *key = own_key(w->s, v->key, w->prefix);

		if (!key || (w->start_after && strcmp(key, w->start_after) <= 0))
			continue;
		if (w->last && strcmp(key, w->last) <= 0)
			return error_set(err, ST_IO, "the store lists '%s' after '%s': its listings are not in the order that S3 promises", key,
					 w->last);
		free(w->last);
		w->last = xstrdup(key);
		struct storage_object o = {.key = xstrdup(key), .size = v->size, .modified = v->modified};
		snprintf(o.token, sizeof o.token, "%s", page->tokens.item[i]);
		enum status st = w->to->fn(w->to->ctx, &o, err);
		storage_object_release(&o);
		if (st)
			return st;
	}
	return ST_OK;
}

/* ST_IO where a listing goes on, but not elsewhere than before. */
static enum status check_next(const struct s3_page *page, const char *before, const char *id_before, struct error *err)
{
	bool same = page->next && before && !strcmp(page->next, before) && !strcmp(page->next_id ? page->next_id : "", id_before ? id_before : "");

	if (!page->more || (page->next && !same))
		return ST_OK;
	return error_set(err, ST_IO, "the store says that its listing goes on, but not where");
}

enum status s3_list(struct run *run, void *priv, const char *prefix, const char *start_after, const struct storage_listing *l,
		    struct error *err)
{
	struct s3 *s = priv;
	CLEANUP(s3_page_release) struct s3_page page = S3_PAGE_INIT;
	CLEANUP(cstr_release) char *whole = xasprintf("%s%s", s->place.prefix, prefix);
	CLEANUP(cstr_release) char *after = start_after ? xasprintf("%s%s", s->place.prefix, start_after) : NULL;
	CLEANUP(cstr_release) char *next = NULL;
	struct walk w = {.s = s, .prefix = prefix, .start_after = start_after, .to = l};
	enum status st;

	do {
		struct s3_param param[6] = {{"list-type", "2"}, {"max-keys", PAGE}, {"prefix", whole}, {"encoding-type", "url"}};
		size_t n = 4;

		if (next)
			param[n++] = (struct s3_param){"continuation-token", next};
		else if (after)
			param[n++] = (struct s3_param){"start-after", after};
		st = get_page(run, s, param, n, &page, err);
		if (!st)
			st = give_page(&w, &page, err);
		if (!st)
			st = check_next(&page, next, NULL, err);
		free(next);
		next = page.next;
		page.next = NULL;
	} while (!st && page.more);
	free(w.last);
	return st;
}

/* All pages of versions or uploads: `what` is the sub-resource, id the name of the second marker. */
static enum status list_all(struct run *run, struct s3 *s, const char *what, const char *prefix, struct storage_versions *to,
			    struct error *err)
{
	CLEANUP(s3_page_release) struct s3_page page = S3_PAGE_INIT;
	CLEANUP(cstr_release) char *whole = xasprintf("%s%s", s->place.prefix, prefix);
	CLEANUP(cstr_release) char *next = NULL;
	CLEANUP(cstr_release) char *next_id = NULL;
	const bool uploads = !strcmp(what, "uploads");

	do {
		struct s3_param param[6] = {{what, NULL}, {uploads ? "max-uploads" : "max-keys", PAGE}, {"prefix", whole}, {"encoding-type", "url"}};
		size_t n = 4;

		if (next)
			param[n++] = (struct s3_param){"key-marker", next};
		if (next_id && *next_id)
			param[n++] = (struct s3_param){uploads ? "upload-id-marker" : "version-id-marker", next_id};
		if (get_page(run, s, param, n, &page, err))
			return err->code;
		if (check_next(&page, next, next_id, err))
			return err->code;
		for (size_t i = 0; i < page.item.len; i++) {
			struct storage_version *v = &page.item.item[i];
			const char *key = own_key(s, v->key, prefix);

			if (!key)
				continue;
			if (to->len == to->cap) {
				to->cap = to->cap ? 2 * to->cap : 64;
				to->item = xrealloc(to->item, to->cap * sizeof *to->item);
			}
			to->item[to->len] = *v;
			to->item[to->len].key = xstrdup(key);
			to->item[to->len++].id = xstrdup(v->id);
		}
		free(next);
		free(next_id);
		next = page.next;
		next_id = page.next_id;
		page.next = page.next_id = NULL;
	} while (page.more);
	return ST_OK;
}

/* By key, then the newest first; what is equal keeps its place by the flag latest. */
static int by_key(const void *a, const void *b)
{
	const struct storage_version *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	if (order)
		return order;
	if (x->latest != y->latest)
		return x->latest ? -1 : 1;
	return x->modified.us == y->modified.us ? 0 : x->modified.us > y->modified.us ? -1 : 1;
}

static bool in_order(const struct storage_versions *l)
{
	for (size_t i = 1; i < l->len; i++)
		if (strcmp(l->item[i - 1].key, l->item[i].key) > 0 || (!strcmp(l->item[i - 1].key, l->item[i].key) && l->item[i].latest))
			return false;
	return true;
}

enum status s3_versions(struct run *run, void *priv, const char *prefix, struct storage_versions *to, struct error *err)
{
	if (list_all(run, priv, "versions", prefix, to, err))
		return err->code;
	/* S3 promises the order; some servers list markers apart from versions. */
	if (to->len && !in_order(to))
		qsort(to->item, to->len, sizeof *to->item, by_key);
	return ST_OK;
}

enum status s3_abort_upload(struct run *run, struct s3 *s, const char *key, const char *id, struct error *err)
{
	const struct s3_param param = {"uploadId", id};
	const struct s3_request q = {.method = "DELETE", .doing = "abort the upload", .key = key, .param = &param, .params = 1};

	if (s3_do(run, s, &q, err) && err->code == ST_NOT_FOUND)
		error_release(err); /* it is finished or gone */
	return err->code;
}

/* Size so far, and when the last part came: an upload may be long and alive. */
static enum status look_at_parts(struct run *run, struct s3 *s, const struct storage_version *v, struct storage_object *o, struct error *err)
{
	struct s3_parts parts = {0};
	char next[sizeof parts.next] = "";

	do {
		CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
		const struct s3_param param[] = {{"uploadId", v->id}, {"max-parts", PAGE}, {"part-number-marker", next}};
		const struct s3_request q = {.method = "GET", .doing = "list its parts", .key = v->key, .param = param,
					     .params = *next ? 3 : 2, .max = PAGE_BYTES};

		if (s3_send(run, s, &q, &a, err) || s3_parts_read(buf_str(&a.body), a.body.len, &parts, err))
			return err->code;
		o->size += parts.size;
		if (parts.modified.us > o->modified.us)
			o->modified = parts.modified;
		if (parts.more && !strcmp(next, parts.next))
			return error_set(err, ST_IO, "the store says that the list of parts goes on, but not where");
		memcpy(next, parts.next, sizeof next);
	} while (parts.more);
	return ST_OK;
}

static enum status one_upload(struct run *run, struct s3 *s, const struct storage_version *v, struct instant abort_older,
			      const struct storage_listing *l, struct error *err)
{
	struct storage_object o = {.modified = v->modified};

	if (look_at_parts(run, s, v, &o, err)) {
		if (err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err); /* finished meanwhile */
		return ST_OK;
	}
	struct instant modified = o.modified;
	o.key = xstrdup(v->key);
	enum status st = l->fn(l->ctx, &o, err);
	storage_object_release(&o);
	if (st || !abort_older.us || modified.us >= abort_older.us)
		return st;
	return s3_abort_upload(run, s, v->key, v->id, err);
}

enum status s3_uncommitted(struct run *run, void *priv, const char *prefix, struct instant abort_older, const struct storage_listing *l,
			   struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;

	if (list_all(run, priv, "uploads", prefix, &all, err))
		return err->code;
	if (all.len && !in_order(&all))
		qsort(all.item, all.len, sizeof *all.item, by_key);
	for (size_t i = 0; i < all.len; i++)
		if (one_upload(run, priv, &all.item[i], abort_older, l, err))
			return err->code;
	return ST_OK;
}
