/* Sums over the rows of an archive that need not be seen in order, for archive_check_all. Internal to the room. */
#ifndef ARCHIVE_CHECK_H
#define ARCHIVE_CHECK_H

#include "archive/reader.h"

struct check_sums;
struct check_sums *check_sums_new(uint32_t objects);
void check_sums_freep(struct check_sums **s);
void check_sums_add(struct check_sums *s, const struct member_row *row, bool table, uint32_t page);
/* Compares with what the root says of an object; NULL or what is wrong. */
const char *check_sums_compare(const struct check_sums *s, const struct archive_object *o);
/* Calls fn for each range of which a part is missing or twice, or whose last row does not end. */
void check_sums_ranges(const struct check_sums *s, void (*fn)(void *ctx, uint32_t object, uint32_t range), void *ctx);

#endif
