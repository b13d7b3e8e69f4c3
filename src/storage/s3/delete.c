/* Deletions. Where the bucket keeps versions, what is deleted goes with all of its versions, after a look at how long it is retained. */
#include "storage/s3/internal.h"

#define ANSWER_MAX ((size_t)8 << 20)

/* ST_RETAINED where the version may not be deleted yet; OK also where that cannot be told. version NULL: the latest. */
static enum status check_retention(struct run *run, struct s3 *s, const char *key, const char *version, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct storage_object o;
	struct instant until;

	if (s3_head(run, s, key, version, &a, &o, &ignored)) {
		if (ignored.code == ST_CANCELLED || ignored.code == ST_DEADLINE || ignored.code == ST_UNREACHABLE)
			return error_move(err, &ignored);
		return ST_OK;
	}
	const char *date = http_headers_get(&a.headers, "x-amz-object-lock-retain-until-date");
	const char *hold = http_headers_get(&a.headers, "x-amz-object-lock-legal-hold");
	if (hold && !strcmp(hold, "ON"))
		return error_set(err, ST_RETAINED, "%s: is under legal hold", key);
	if (!date)
		return ST_OK;
	CLEANUP(cstr_release) char *whole = xasprintf("%.19sZ", date);
	if (instant_parse(whole, &until, &ignored) || until.us <= (a.date.us ? a.date.us : run_now(run).us))
		return ST_OK;
	return error_set(err, ST_RETAINED, "%s: retained until %s", key, whole);
}

/* A refusal may be retention. */
static enum status deny(struct run *run, struct s3 *s, const char *key, const char *version, struct error *err)
{
	struct error retained = ERROR_INIT;

	if (err->code != ST_DENIED || !check_retention(run, s, key, version, &retained))
		return err->code;
	error_release(err);
	return error_move(err, &retained);
}

enum status s3_version_delete(struct run *run, void *priv, const char *key, const char *id, struct error *err)
{
	const struct s3_param param = {"versionId", id};
	const struct s3_request q = {.method = "DELETE", .doing = "delete", .key = key, .param = &param, .params = 1};

	if (check_retention(run, priv, key, id, err))
		return err->code;
	return s3_do(run, priv, &q, err) ? deny(run, priv, key, id, err) : ST_OK;
}

/* ---- many at once ---- */

struct doomed {
	const char *key, *version; /* version NULL: the object */
	struct storage_deletion *of;
};
struct doomed_list {
	struct doomed *item;
	size_t len, cap;
};

static void doomed_release(struct doomed_list *l) { free(l->item); }

static void doom(struct doomed_list *l, struct doomed d)
{
	if (l->len == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->item = xrealloc(l->item, l->cap * sizeof *l->item);
	}
	l->item[l->len++] = d;
}

struct outcome {
	struct s3 *s;
	struct doomed *item;
	size_t n;
	char *key, *version, *code, *message; /* of the <Error> that is being read */
};

static void keep_text(char **to, const char *text)
{
	free(*to);
	*to = xstrdup(text);
}

/* What nobody asked for, or what cannot be told from the rest, is a refusal of the whole. */
static enum status one_refused(const struct outcome *o, struct error *whole)
{
	const char *prefix = o->s->place.prefix, *code = o->code ? o->code : "";
	const char *key = o->key && !strncmp(o->key, prefix, strlen(prefix)) ? o->key + strlen(prefix) : "";

	for (size_t i = 0; i < o->n; i++) {
		struct error *err = &o->item[i].of->err;

		if (strcmp(o->item[i].key, key) || (o->item[i].version && o->version && *o->version && strcmp(o->item[i].version, o->version)))
			continue;
		if (!strcmp(code, "NoSuchKey") || !strcmp(code, "NoSuchVersion"))
			return ST_OK;
		if (!err->code)
			error_set(err, !strcmp(code, "AccessDenied") || strstr(code, "Lock") ? ST_DENIED : ST_IO, "%s: cannot delete: %s (%s)",
				  key, o->message ? o->message : "the store refuses", code);
		return ST_OK;
	}
	return error_set(whole, ST_IO, "cannot delete: %s (%s)", o->message ? o->message : "the store refuses some of it", code);
}

static enum status on_result(void *ctx, const char *path, const char *text, struct error *err)
{
	struct outcome *o = ctx;

	if (!strcmp(path, "Error/Key"))
		keep_text(&o->key, text);
	else if (!strcmp(path, "Error/VersionId"))
		keep_text(&o->version, text);
	else if (!strcmp(path, "Error/Code"))
		keep_text(&o->code, text);
	else if (!strcmp(path, "Error/Message"))
		keep_text(&o->message, text);
	else if (!strcmp(path, "Error")) {
		one_refused(o, err);
		cstr_release(&o->key);
		cstr_release(&o->version);
		cstr_release(&o->code);
		cstr_release(&o->message);
	}
	return err->code;
}

/* At most STORAGE_DELETE_BATCH in one request. */
static enum status delete_batch(struct run *run, struct s3 *s, struct doomed *item, size_t n, struct error *err)
{
	CLEANUP(http_answer_release) struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	CLEANUP(buf_release) struct buf body = BUF_INIT;
	struct outcome o = {.s = s, .item = item, .n = n};
	const struct s3_param param = {"delete", NULL};

	buf_puts(&body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < n; i++) {
		buf_puts(&body, "<Object><Key>");
		s3_xml_text(&body, s->place.prefix);
		s3_xml_text(&body, item[i].key);
		buf_puts(&body, "</Key>");
		if (item[i].version) {
			buf_puts(&body, "<VersionId>");
			s3_xml_text(&body, item[i].version);
			buf_puts(&body, "</VersionId>");
		}
		buf_puts(&body, "</Object>");
	}
	buf_puts(&body, "</Delete>");
	http_headers_add(&headers, "Content-Type", "application/xml");
	const struct s3_request q = {.method = "POST", .doing = "delete", .param = &param, .params = 1, .headers = &headers,
				     .body = body.data, .n = body.len, .sum = S3_SUM_BATCH, .max = ANSWER_MAX};
	if (s3_send(run, s, &q, &a, err))
		return err->code;
	if (s3_xml_read(buf_str(&a.body), a.body.len, "Delete", on_result, &o, err) == ST_BAD) {
		err->code = ST_IO; /* no word about a backup */
		error_add(err, "cannot tell what was deleted");
	}
	free(o.key);
	free(o.version);
	free(o.code);
	free(o.message);
	return err->code;
}

/* What a key's versions are found below: the beginning that all keys share. */
static char *common_prefix(const struct storage_deletion *d, size_t n)
{
	size_t same = strlen(d[0].key);

	for (size_t i = 1; i < n; i++) {
		size_t k = 0;

		while (k < same && d[i].key[k] == d[0].key[k])
			k++;
		same = k;
	}
	return xstrndup(d[0].key, same);
}

static int by_key(const void *a, const void *b)
{
	const struct storage_deletion *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

/* All versions of the keys; a key whose latest version is retained keeps all. */
static enum status doom_versions(struct run *run, struct s3 *s, const struct storage_versions *all, struct storage_deletion *d, size_t n,
				 struct doomed_list *to, struct error *err)
{
	struct storage_deletion **sorted = xcalloc(n, sizeof *sorted);
	const char *looked = "";

	for (size_t i = 0; i < n; i++)
		sorted[i] = &d[i];
	qsort(sorted, n, sizeof *sorted, by_key);
	for (size_t i = 0; i < all->len && !err->code; i++) {
		const struct storage_version *v = &all->item[i];
		const struct storage_deletion want = {.key = v->key}, *key = &want;
		struct storage_deletion **found = bsearch(&key, sorted, n, sizeof *sorted, by_key);

		if (!found)
			continue;
		if (!v->marker && strcmp(looked, v->key)) {
			looked = v->key;
			if (check_retention(run, s, v->key, v->id, &(*found)->err) && (*found)->err.code != ST_RETAINED)
				error_move(err, &(*found)->err);
		}
		if (!(*found)->err.code)
			doom(to, (struct doomed){.key = v->key, .version = v->id, .of = *found});
	}
	free(sorted);
	return err->code;
}

static enum status delete_all(struct run *run, struct s3 *s, const struct doomed_list *l, struct error *err)
{
	for (size_t done = 0, some; done < l->len; done += some) {
		some = min_size(l->len - done, STORAGE_DELETE_BATCH);
		if (delete_batch(run, s, l->item + done, some, err))
			return err->code;
		for (size_t i = done; i < done + some; i++)
			if (l->item[i].of->err.code == ST_DENIED)
				deny(run, s, l->item[i].key, l->item[i].version, &l->item[i].of->err);
	}
	return ST_OK;
}

enum status s3_delete_many(struct run *run, void *priv, struct storage_deletion *d, size_t n, struct error *err)
{
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	CLEANUP(doomed_release) struct doomed_list list = {0};
	bool versioned;

	if (!n)
		return ST_OK;
	if (s3_versioned(run, priv, &versioned, err))
		return err->code;
	if (versioned) {
		CLEANUP(cstr_release) char *prefix = common_prefix(d, n);

		if (s3_versions(run, priv, prefix, &all, err) && err->code != ST_DENIED)
			return err->code;
		versioned = !err->code; /* without the right to see versions markers have to do */
		error_release(err);
	}
	if (versioned) {
		if (doom_versions(run, priv, &all, d, n, &list, err))
			return err->code;
	} else {
		for (size_t i = 0; i < n; i++)
			doom(&list, (struct doomed){.key = d[i].key, .of = &d[i]});
	}
	return delete_all(run, priv, &list, err);
}

/* One request with the condition, for a store that heeds it; that it is looked at before is for the others. */
static enum status delete_plain(struct run *run, struct s3 *s, const char *key, const char *token, struct error *err)
{
	CLEANUP(http_headers_release) struct http_headers headers = HTTP_HEADERS_INIT;
	bool repeated;
	const struct s3_request q = {.method = "DELETE", .doing = "delete", .key = key, .headers = &headers, .repeated = &repeated};

	if (token)
		http_headers_add(&headers, "If-Match", "\"%s\"", token);
	if (!s3_do(run, s, &q, err))
		return ST_OK;
	if (repeated && err->code == ST_NOT_FOUND) {
		error_release(err); /* the try whose answer was lost did it */
		return ST_OK;
	}
	if (token && err->code == ST_IO) {
		error_release(err); /* a store that does not know the condition */
		return delete_plain(run, s, key, NULL, err);
	}
	return deny(run, s, key, NULL, err);
}

enum status s3_delete(struct run *run, void *priv, const char *key, const char *token, struct error *err)
{
	struct storage_deletion one = {.key = key};
	struct storage_object now;
	bool versioned;

	if (s3_stat(run, priv, key, &now, err) || s3_versioned(run, priv, &versioned, err))
		return err->code;
	if (token && strcmp(now.token, token))
		return error_set(err, ST_PRECONDITION, "%s: was changed by somebody else", key);
	if (!versioned)
		return delete_plain(run, priv, key, token, err);
	if (s3_delete_many(run, priv, &one, 1, err)) {
		error_release(&one.err);
		return err->code;
	}
	/* A lock in a bucket that retains everything by itself: a marker is enough to give it up. */
	if (token && one.err.code == ST_RETAINED) {
		error_release(&one.err);
		return delete_plain(run, priv, key, token, err);
	}
	return error_move(err, &one.err);
}
