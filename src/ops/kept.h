/* What a preflight has read is not read again: the first few MiB of ranges, found by exactly the same request, and given once. */
#ifndef OPS_KEPT_H
#define OPS_KEPT_H

#include "util/base.h"

struct kept;
struct kept *kept_new(size_t limit); /* bytes */
void kept_freep(struct kept **k);
/* Any thread. Keeps a copy where there is room. */
void kept_put(struct kept *k, uint32_t volume, uint64_t offset, const void *p, size_t n);
/* Any thread. True: `to` holds the range, which is kept no longer. */
bool kept_take(struct kept *k, uint32_t volume, uint64_t offset, void *to, size_t n);

#endif
