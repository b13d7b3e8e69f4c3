/* Memory of the budget: mapped once, resident only where it was touched, given back as a whole. Internal to the room. */
#ifndef PIPELINE_REGION_H
#define PIPELINE_REGION_H

#include "util/error.h"

struct region {
	unsigned char *p; /* begins at a page */
	size_t n;
};
#define REGION_INIT {0}

enum status region_map(struct region *r, size_t n, struct error *err) MUST_CHECK; /* ST_MEMORY */
/* What was touched is given back to the system and reads as 0. Nobody uses the region meanwhile. */
void region_trim(struct region *r);
void region_release(struct region *r);

#endif
