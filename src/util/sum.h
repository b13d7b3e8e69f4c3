/* Sums of what others wrote: they end at the largest number that JSON has. */
#ifndef UTIL_SUM_H
#define UTIL_SUM_H

#include "util/base.h"

static inline uint64_t sum_capped(uint64_t a, uint64_t b)
{
	return min_u64(min_u64(a, INT64_MAX) + min_u64(b, INT64_MAX), INT64_MAX);
}

#endif
