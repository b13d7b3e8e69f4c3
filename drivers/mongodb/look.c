#include "drivers/mongodb/look.h"

bool mo_look(const bson_t *b, const char *path, bson_iter_t *at)
{
	bson_iter_t all;

	return bson_iter_init(&all, b) && bson_iter_find_descendant(&all, path, at);
}

const char *mo_look_str(const bson_t *b, const char *path)
{
	bson_iter_t at;
	uint32_t n = 0;

	if (!mo_look(b, path, &at) || !BSON_ITER_HOLDS_UTF8(&at))
		return NULL;
	const char *text = bson_iter_utf8(&at, &n);
	return text && strlen(text) == n ? text : NULL;
}

int64_t mo_look_num(const bson_t *b, const char *path, int64_t otherwise)
{
	bson_iter_t at;

	if (!mo_look(b, path, &at) || !BSON_ITER_HOLDS_NUMBER(&at))
		return otherwise;
	if (!BSON_ITER_HOLDS_DOUBLE(&at))
		return bson_iter_as_int64(&at);
	double d = bson_iter_double(&at);
	return d > -9e18 && d < 9e18 ? (int64_t)d : otherwise;
}

bool mo_look_holds(const bson_iter_t *at)
{
	if (BSON_ITER_HOLDS_BOOL(at))
		return bson_iter_bool(at);
	if (BSON_ITER_HOLDS_DOUBLE(at))
		return bson_iter_double(at) < 0 || bson_iter_double(at) > 0;
	if (BSON_ITER_HOLDS_DECIMAL128(at)) {
		bson_decimal128_t d;
		char text[BSON_DECIMAL128_STRING];

		if (!bson_iter_decimal128(at, &d))
			return false;
		bson_decimal128_to_string(&d, text);
		return strcmp(text, "NaN") && strcspn(text, "123456789I") < strcspn(text, "E");
	}
	return (BSON_ITER_HOLDS_INT32(at) || BSON_ITER_HOLDS_INT64(at)) && bson_iter_as_int64(at) != 0;
}

bool mo_look_true(const bson_t *b, const char *path)
{
	bson_iter_t at;

	return mo_look(b, path, &at) && mo_look_holds(&at);
}

bool mo_look_doc(const bson_t *b, const char *path, bson_t *to)
{
	bson_iter_t at;
	const uint8_t *data = NULL;
	uint32_t n = 0;

	if (!mo_look(b, path, &at))
		return false;
	if (BSON_ITER_HOLDS_DOCUMENT(&at))
		bson_iter_document(&at, &n, &data);
	else if (BSON_ITER_HOLDS_ARRAY(&at))
		bson_iter_array(&at, &n, &data);
	return data && bson_init_static(to, data, n);
}

bool mo_look_timestamp(const bson_t *b, const char *path, uint32_t *t, uint32_t *i)
{
	bson_iter_t at;

	if (!mo_look(b, path, &at) || !BSON_ITER_HOLDS_TIMESTAMP(&at))
		return false;
	bson_iter_timestamp(&at, t, i);
	return true;
}
