/* The configuration file, the environment and the flags as values with the place they come from. The YAML is read, expanded and
 * checked here; params structs are filled from it by config_fill. Nothing here knows a driver or a storage: it is given their rows.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "core/settings.h"

struct config_value {
	enum setting_scope scope;
	char *key;           /* "keep.daily", "password_file"; the flag's name where the row has no key */
	struct strlist text; /* one item, or those of a list */
	char *origin;        /* "/etc/drtool/drtool.yaml:12:9", "--jobs", "$DRTOOL_JOBS" */
	bool secret;
};
struct config_values {
	struct config_value *item;
	size_t len, cap;
};
#define CONFIG_VALUES_INIT {0}
/* Sets (replacing) or, with append, adds a text to the value of key. */
struct config_value *config_set(struct config_values *v, enum setting_scope scope, const char *key, const char *text, bool append);
const struct config_value *config_get(const struct config_values *v, enum setting_scope scope, const char *key); /* NULL: not set */
void config_values_release(struct config_values *v);

/* A store or a source. */
struct config_section {
	char *name, *url; /* url is also among the values; "" never */
	char *origin;
	struct config_values values; /* of `defaults:` too, where the section itself has none */
};

struct config {
	char *path; /* of the file; NULL: none was found */
	struct config_values global;
	struct config_section *store, *source; /* order of the file */
	size_t stores, sources;
	struct config_values env_file; /* NAME -> value, from env_file: */
	struct config_values env;      /* DRTOOL_* of global and store scope */
	struct config_values flags;    /* put here by the command line */
};
#define CONFIG_INIT {0}
void config_release(struct config *c);
const struct config_section *config_store(const struct config *c, const char *name);
const struct config_section *config_source(const struct config *c, const char *name);

struct config_schema {
	const struct setting_group *group;
	size_t groups;
	bool (*source_name_valid)(const char *name);
};
/* Finds and reads the file: `path` (--config), else $DRTOOL_CONFIG, ./drtool.yaml (not as root), /etc/drtool/drtool.yaml; none of
 * the last two is no error. Then reads the environment. A file or folder that others may write is ST_REFUSED. c->flags stays as it
 * is. */
enum status config_load(const struct config_schema *schema, const char *path, struct config *c, struct error *err) MUST_CHECK;
/* The file's part of it, from memory; `name` stands in the origins, and env_file: is looked for beside it. */
enum status config_read(const struct config_schema *schema, const char *name, const void *text, size_t len, struct config *c,
			struct error *err) MUST_CHECK;
/* The environment's part. */
enum status config_read_env(const struct config_schema *schema, struct config *c, struct error *err) MUST_CHECK;
/* An environment variable: that of the process, else of env_file:; an empty one is NULL. */
const char *config_env(const struct config *c, const char *name);

/* Fills the rows of one scope into params: default, then the section's (NULL: the global) values of the file, environment, flags.
 * params is zeroed or holds what an earlier call filled for rows of another scope. What is wrong names its origin. */
enum status config_fill(const struct config *c, enum setting_scope scope, const struct config_section *section,
			const struct setting *rows, void *params, struct error *err) MUST_CHECK;
/* Where the value of a row would come from; NULL: its default. */
const struct config_value *config_where(const struct config *c, const struct config_section *section, const struct setting *row);

#endif
