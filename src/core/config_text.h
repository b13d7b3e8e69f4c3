/* A configuration back to YAML, as it was read: defaults and variables resolved, secret values left out. */
#ifndef CORE_CONFIG_TEXT_H
#define CORE_CONFIG_TEXT_H

#include "core/config.h"

/* The parser reads it again; what a secret was is a comment. Where a file or command gives a secret, its name is kept. */
void config_text(const struct config_schema *schema, const struct config *c, struct buf *to);

#endif
