/* Between the files of meta.h. */
#ifndef DRIVERS_MONGODB_META_INTERNAL_H
#define DRIVERS_MONGODB_META_INTERNAL_H

#include "drivers/mongodb/meta.h"

/* Options that no create gets. */
bool mo_is_left_out(const char *option);
bool mo_is_simple(const bson_t *collation);

#endif
