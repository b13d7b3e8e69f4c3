/* An index with expireAfterSeconds lets the server delete documents at once. In a copy that nobody uses yet it waits. */
#include "drivers/mongodb/load.h"

#define SECONDS "expireAfterSeconds"

bool mo_ttl_of(const bson_t *b, bson_iter_t *at) { return bson_iter_init_find(at, b, SECONDS) && BSON_ITER_HOLDS_NUMBER(at); }

void mo_ttl_park(const bson_t *b, bson_t *to)
{
	bson_iter_t at;

	if (!bson_iter_init(&at, b))
		return;
	while (bson_iter_next(&at)) {
		const char *key = bson_iter_key(&at);

		if (!strcmp(key, SECONDS) && BSON_ITER_HOLDS_NUMBER(&at))
			BSON_APPEND_INT32(to, SECONDS, MO_TTL_PARKED);
		else
			bson_append_iter(to, key, -1, &at);
	}
}
