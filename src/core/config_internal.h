/* Between config.c and config_read.c. */
#ifndef CORE_CONFIG_INTERNAL_H
#define CORE_CONFIG_INTERNAL_H

#include "core/config.h"

/* As config_env, but an empty variable is "". */
const char *config_lookup_env(const struct config *c, const char *name);
/* The value of a row, in any form where it is a secret; the last one set. */
const struct config_value *config_get_row(const struct config_values *v, const struct setting *row);
void config_copy(struct config_values *to, const struct config_value *from);
/* Reads `path`, relative to the folder of the configuration file `beside`, into c->env_file. */
enum status config_read_env_file(struct config *c, const char *beside, const char *path, struct error *err) MUST_CHECK;

#endif
