/* drtool/config/<time>-<host><text>.yaml[.age]: configurations of backup hosts as they were used, without secret values. <host> and <text>
 * are the first eight digits of the SHA-256 of each. */
#ifndef OPS_STORED_CONFIG_H
#define OPS_STORED_CONFIG_H

#include "ops/ops.h"

/* Stores env->config_text, where it is not NULL and not what this host stored there last; sealed for the keys of all sources, and for those
 * of this backup, which may come of a flag. A failure is a note. */
void stored_config_write(struct op_env *env, struct store *s, const struct strlist *also);
/* The key of the newest one whose name contains `part` (NULL: any); *key NULL: there is none. Owned by the caller. */
enum status stored_config_newest(struct run *run, struct store *s, const char *part, char **key, struct error *err) MUST_CHECK;

#endif
