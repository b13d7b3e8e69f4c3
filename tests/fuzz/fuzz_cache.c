/* Any bytes as a file of copies: what is found belongs to the object that was asked for and is within its bounds. */
#include "catalog/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STORE "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"shop/backup/a", "shop/backup/b", "shop/backup/c"};
	struct cache *c = cache_over(data, size, STORE);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT;
		struct storage_object o = {.key = (char *)(uintptr_t)keys[i], .size = i + 1, .modified = {7}, .token = "\"t\""};

		if (cache_find(c, &o, &b) == CACHE_ABSENT && b.len)
			abort();
		if (b.len > CACHE_BYTES_MAX)
			abort();
	}
	cache_close(&c, true);
	return 0;
}
