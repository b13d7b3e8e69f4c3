/* Any text as the description of a collection, any bytes as a document of a MongoDB server, any text as a name. */
#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and is then read as the same. */
static void through_text(const struct mo_meta *m)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta again = MO_META_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	mo_meta_print(m, &text);
	if (strlen(buf_str(&text)) != text.len || strchr(buf_str(&text), '\n'))
		die("a description that is no line");
	if (mo_meta_parse(buf_str(&text), text.len, &again, &err))
		die(error_text(&err));
	if (strcmp(again.name, m->name) || strcmp(again.uuid, m->uuid) || again.kind != m->kind || again.indexes != m->indexes ||
	    !bson_equal(again.options, m->options))
		die("a description that changes");
	for (size_t i = 0; i < m->indexes; i++)
		if (!bson_equal(again.index[i], m->index[i]))
			die("an index that changes");
}

static void make_again(const struct mo_meta *m)
{
	for (int plain = 0; plain < 2; plain++) {
		CLEANUP(mo_bson_clear) bson_t options = BSON_INITIALIZER, indexes = BSON_INITIALIZER;
		CLEANUP(buf_release) struct buf facts = BUF_INIT;
		size_t n;

		mo_create_options(m, &options);
		mo_create_indexes(m, plain, &indexes, &n);
		if (n > m->indexes || bson_count_keys(&indexes) != n)
			die("indexes that nobody asked for");
		mo_options_facts(m, &facts);
		for (size_t i = 0; i < m->indexes; i++)
			mo_index_facts(m->index[i], &facts);
		if (strlen(buf_str(&facts)) != facts.len || strchr(buf_str(&facts), '\n'))
			die("facts that are no line");
	}
}

static void read_text(const char *p, size_t n)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;

	if (mo_meta_parse(p, n, &m, &err))
		return;
	through_text(&m);
	make_again(&m);
}

/* Its members as sampled values of _id. */
static void choose_ranges(const bson_t *b)
{
	bson_value_t sample[64];
	size_t n = 0;
	bson_iter_t it;

	if (!bson_iter_init(&it, b))
		return;
	while (n < ARRAY_LEN(sample) && bson_iter_next(&it))
		bson_value_copy(bson_iter_value(&it), &sample[n++]);
	for (int sorted = 0; sorted < 2; sorted++) {
		CLEANUP(mo_ranges_release) struct mo_ranges r = MO_RANGES_INIT;

		mo_ranges_choose(sample, n, sorted, 5, &r);
		if (r.borders > 4 || (r.borders && mo_ranges_count(&r) != r.borders + 2))
			die("more ranges than wanted");
		for (size_t i = 0; i < mo_ranges_count(&r); i++) {
			CLEANUP(mo_bson_clear) bson_t filter = BSON_INITIALIZER;

			mo_ranges_filter(&r, i, &filter);
			if (!mo_bson_is_sound(&filter) || bson_empty(&filter) != !r.borders)
				die("a filter that is none");
		}
	}
	while (n)
		bson_value_destroy(&sample[--n]);
}

static void read_document(const uint8_t *p, size_t n)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	bson_t b;

	if (!bson_init_static(&b, p, n))
		return;
	if (!mo_meta_listed(&b, &m, &err)) {
		mo_meta_add_index(&m, &b);
		through_text(&m);
		make_again(&m);
	}
	if (!mo_bson_is_sound(&b))
		return;
	choose_ranges(&b);
	if (!m.name) {
		mo_meta_release(&m);
		m = (struct mo_meta){.name = xstrdup("c"), .options = bson_copy(&b)};
		mo_meta_add_index(&m, &b);
		mo_meta_add_index(&m, &b);
		through_text(&m);
		make_again(&m);
	}
}

static void read_name(const char *p, size_t n)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~%";
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_where_release) struct mo_where w = MO_WHERE_INIT;
	CLEANUP(cstr_release) char *name = xstrndup(p, n);
	CLEANUP(cstr_release) char *file = mo_file_name(name), *back = NULL;

	if (strlen(file) > 238 || strspn(file, plain) != strlen(file))
		die("a file with a name that cannot be one");
	(void)mo_database_place(name);
	(void)mo_collection_place("admin", name);
	if (mo_where_parse(name, &w, &err))
		return;
	CLEANUP(cstr_release) char *again = mo_where_print(&w), *there = mo_where_collection(&w, "x");
	if (strcmp(again, name) || !mo_where_holds(&w, there, &back) || strcmp(back, "x"))
		die("a place that changes");
}

/* The first byte chooses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0]) {
	case 't':
		read_text((const char *)data + 1, size - 1);
		break;
	case 'n':
		read_name((const char *)data + 1, size - 1);
		break;
	default:
		read_document(data + 1, size - 1);
	}
	return 0;
}
