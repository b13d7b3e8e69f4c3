#include "drivers/mongodb/raw.h"

struct mo_raw mo_raw_of(const bson_iter_t *it)
{
	const char *key = bson_iter_key(it);
	const uint8_t *value = (const uint8_t *)key + strlen(key) + 1;

	return (struct mo_raw){
		.key = key,
		.value = value,
		.n = (uint32_t)(it->raw + it->next_off - value),
		.type = (uint8_t)bson_iter_type(it),
	};
}

bool mo_raw_inside(const struct mo_raw *r, bson_t *b)
{
	return (r->type == BSON_TYPE_DOCUMENT || r->type == BSON_TYPE_ARRAY) && bson_init_static(b, r->value, r->n);
}

static void put_head(struct buf *to, uint8_t type, const char *key, size_t key_len)
{
	buf_putc(to, (char)type);
	buf_put(to, key, key_len);
	buf_putc(to, 0);
}

void mo_raw_put(struct buf *to, const char *key, size_t key_len, const struct mo_raw *r)
{
	put_head(to, r->type, key, key_len);
	if (r->n)
		buf_put(to, r->value, r->n);
}

void mo_raw_put_null(struct buf *to, const char *key, size_t key_len)
{
	put_head(to, BSON_TYPE_NULL, key, key_len);
}

size_t mo_raw_open(struct buf *to)
{
	const size_t at = to->len;

	buf_put(to, "\0\0\0", 4);
	return at;
}

size_t mo_raw_open_in(struct buf *to, uint8_t type, const char *key, size_t key_len)
{
	put_head(to, type, key, key_len);
	return mo_raw_open(to);
}

void mo_raw_close(struct buf *to, size_t at)
{
	buf_putc(to, 0);
	const uint32_t n = BSON_UINT32_TO_LE((uint32_t)(to->len - at));
	memcpy(to->data + at, &n, sizeof n);
}

static bool one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(key, *names))
			return true;
	return false;
}

void mo_raw_put_others(struct buf *to, const bson_t *b, const char *const *without)
{
	bson_iter_t it;

	if (!bson_iter_init(&it, b))
		return;
	while (bson_iter_next(&it)) {
		const struct mo_raw raw = mo_raw_of(&it);

		if (!one_of(raw.key, without))
			mo_raw_put(to, raw.key, strlen(raw.key), &raw);
	}
}

bson_t *mo_raw_done(struct buf *to)
{
	mo_raw_close(to, 0);
	bson_t *b = bson_new_from_data((const uint8_t *)to->data, to->len);
	if (!b)
		die("elements that make no document");
	return b;
}
