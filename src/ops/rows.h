/* The settings that ops owns, and the one list of all settings there are. */
#ifndef OPS_ROWS_H
#define OPS_ROWS_H

#include "core/settings.h"

extern const struct setting global_rows[];      /* scope global; offsets into struct global_settings */
extern const struct setting source_rows[];      /* scope source; offsets into struct source_settings */
extern const struct setting source_base_rows[]; /* url, user, password; offsets into struct op_source */
extern const struct setting store_base_rows[];  /* url; offsets into struct op_store */

/* The groups of `extra` (the command line's own), those above, then those of each driver and storage. The array is the caller's. */
struct setting_group *settings_groups(const struct setting_group *extra, size_t extras, size_t *n);

#endif
