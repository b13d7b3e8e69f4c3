/* Options and indexes as they are compared, and what is alike in comparing and making. */
#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/meta_internal.h"

static bool one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(key, *names))
			return true;
	return false;
}

/* Made by the server, or not to be asked for. A collection that is `temp` would be gone after the next start of the server. */
bool mo_is_left_out(const char *option)
{
	static const char *const names[] = {"autoIndexId", "recordIdsReplicated", "uuid", "temp", NULL};

	return one_of(option, names);
}

bool mo_is_simple(const bson_t *collation)
{
	const char *locale = mo_bson_text_at(collation, "locale");

	return locale && !strcmp(locale, "simple");
}

/* ---- comparing ---- */

struct fact {
	const char *key;
	char *text; /* owned */
};
struct facts {
	struct fact *item;
	size_t n;
};

static void facts_release(struct facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->item[i].text);
	free(f->item);
}

static void add_fact(struct facts *f, const char *key, struct buf *text)
{
	if ((f->n & (f->n - 1)) == 0)
		f->item = xrealloc(f->item, (f->n ? f->n * 2 : 1) * sizeof *f->item);
	f->item[f->n++] = (struct fact){key, buf_detach(text)};
}

static int by_key(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;
	const int order = strcmp(x->key, y->key);

	return order ? order : strcmp(x->text, y->text);
}

static void print_facts(struct facts *f, struct buf *to)
{
	if (f->n)
		qsort(f->item, f->n, sizeof *f->item, by_key);
	buf_putc(to, '{');
	for (size_t i = 0; i < f->n; i++) {
		if (i)
			buf_putc(to, ',');
		mo_ejson_text(to, f->item[i].key, strlen(f->item[i].key));
		buf_printf(to, ":%s", f->item[i].text);
	}
	buf_putc(to, '}');
}

/* A document whose order of keys is the server's affair, without keys that only one server has. */
static void put_sorted(const bson_iter_t *from, const char *without, bool truths, struct buf *to)
{
	CLEANUP(facts_release) struct facts f = {0};
	bson_iter_t it;

	if (!BSON_ITER_HOLDS_DOCUMENT(from) || !bson_iter_recurse(from, &it)) {
		mo_ejson_facts_value(from, to);
		return;
	}
	while (bson_iter_next(&it)) {
		CLEANUP(buf_release) struct buf text = BUF_INIT;
		const char *key = bson_iter_key(&it);

		if (without && !strcmp(key, without) && (!truths || !bson_iter_as_bool(&it)))
			continue;
		if (truths && (BSON_ITER_HOLDS_NUMBER(&it) || BSON_ITER_HOLDS_BOOL(&it)))
			buf_puts(&text, bson_iter_as_bool(&it) ? "true" : "false");
		else
			mo_ejson_facts_value(&it, &text);
		add_fact(&f, key, &text);
	}
	print_facts(&f, to);
}

static void put_option(const bson_iter_t *it, struct buf *to)
{
	const char *key = bson_iter_key(it);

	if (!strcmp(key, "collation"))
		put_sorted(it, "version", false, to);
	else if (!strcmp(key, "clusteredIndex"))
		put_sorted(it, "v", false, to);
	else if (!strcmp(key, "weights") || !strcmp(key, "timeseries"))
		put_sorted(it, NULL, false, to);
	else if (!strcmp(key, "wildcardProjection"))
		put_sorted(it, "_id", true, to);
	else
		mo_ejson_facts_value(it, to);
}

/* What buckets a time series has had: newer servers keep it where the storage engine is configured, and set it by themselves. */
static bool is_note_of_buckets(const bson_t *storage)
{
	static const char begin[] = "app_metadata=(timeseries";
	bson_t wired;
	const char *text = mo_bson_document_at(storage, "wiredTiger", &wired) ? mo_bson_text_at(&wired, "configString") : NULL;

	return text && bson_count_keys(storage) == 1 && bson_count_keys(&wired) == 1 && !strncmp(text, begin, strlen(begin)) &&
	       strcspn(text, ")") == strlen(text) - 1;
}

/* What a server takes where nothing is said. */
static bool is_default(const bson_iter_t *it)
{
	static const struct {
		const char *key, *text;
	} texts[] = {{"default_language", "english"}, {"language_override", "language"}, {"validationLevel", "strict"}, {"validationAction", "error"}};
	static const char *const off[] = {"unique", "sparse", "hidden", "prepareUnique", "capped", NULL};
	const char *key = bson_iter_key(it);
	bson_iter_t child;
	bson_t b;
	const uint8_t *data;
	uint32_t n;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!strcmp(key, texts[i].key))
			return BSON_ITER_HOLDS_UTF8(it) && !strcmp(bson_iter_utf8(it, NULL), texts[i].text);
	if (one_of(key, off))
		return (BSON_ITER_HOLDS_BOOL(it) || BSON_ITER_HOLDS_NUMBER(it)) && !bson_iter_as_bool(it);
	if (!BSON_ITER_HOLDS_DOCUMENT(it))
		return false;
	bson_iter_document(it, &n, &data);
	if (!bson_init_static(&b, data, n))
		return false;
	if (!strcmp(key, "collation"))
		return mo_is_simple(&b);
	if (!strcmp(key, "storageEngine"))
		return is_note_of_buckets(&b);
	return !strcmp(key, "changeStreamPreAndPostImages") && bson_iter_init_find(&child, &b, "enabled") && !bson_iter_as_bool(&child);
}

static void put_facts(const bson_t *b, bool (*left_out)(const char *key), struct buf *to)
{
	CLEANUP(facts_release) struct facts f = {0};
	bson_iter_t it;

	if (!bson_iter_init(&it, b))
		return;
	while (bson_iter_next(&it)) {
		CLEANUP(buf_release) struct buf text = BUF_INIT;

		if (left_out(bson_iter_key(&it)) || is_default(&it))
			continue;
		put_option(&it, &text);
		add_fact(&f, bson_iter_key(&it), &text);
	}
	print_facts(&f, to);
}

static bool is_of_servers(const char *key)
{
	static const char *const names[] = {"v", "ns", "background", "2dsphereIndexVersion", "textIndexVersion", "storageEngine", NULL};

	return one_of(key, names);
}

/* That of a clustered collection is its option, which some versions list with the index, too. */
static bool is_of_clustered(const char *key) { return is_of_servers(key) || !strcmp(key, "expireAfterSeconds"); }

void mo_index_facts(const bson_t *index, struct buf *to)
{
	put_facts(index, bson_has_field(index, "clustered") ? is_of_clustered : is_of_servers, to);
}

void mo_options_facts(const struct mo_meta *m, struct buf *to)
{
	put_facts(m->options, mo_is_left_out, to);
}
