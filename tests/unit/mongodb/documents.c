#include "tests/unit/mongodb/documents.h"

#include "tests/lib/test.h"

static char *quotes(const char *text, char from, char to)
{
	char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		if (*p == from)
			*p = to;
	return copy;
}

bson_t *document(const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *json = quotes(text, '\'', '"');
	bson_t *b = NULL;

	CHECK_OK(mo_ejson_parse(json, strlen(json), &b, &err), err);
	return b;
}

void meta_of(struct mo_meta *m, const char *options, const char *indexes)
{
	CLEANUP(mo_bson_freep) bson_t *all = NULL;
	CLEANUP(cstr_release) char *text = xasprintf("{'i':%s}", indexes);
	bson_iter_t it, each;

	m->name = xstrdup("c");
	m->options = document(options);
	all = document(text);
	CHECK(bson_iter_init_find(&it, all, "i") && bson_iter_recurse(&it, &each));
	while (bson_iter_next(&each)) {
		const uint8_t *data;
		uint32_t n;
		bson_t one;

		bson_iter_document(&each, &n, &data);
		CHECK(bson_init_static(&one, data, n));
		mo_meta_add_index(m, &one);
	}
}

const char *printed(const bson_t *b)
{
	static char text[4000];
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	mo_ejson_print(b, false, &to);
	CLEANUP(cstr_release) char *shown = quotes(buf_str(&to), '"', '\'');
	CHECK(to.len < sizeof text);
	memcpy(text, shown, to.len + 1);
	return text;
}
