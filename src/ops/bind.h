/* Where configuration meets drivers and storages: raw values (flag, environment, file) become op_source, op_store and settings. */
#ifndef OPS_BIND_H
#define OPS_BIND_H

#include "core/config.h"
#include "ops/ops.h"

/* Rows in rows.c. */
extern const struct setting global_rows[];  /* offsets into struct global_settings */

struct bind {
	const struct config *config;    /* what main read; flags and environment are in it */
};
enum status bind_global(const struct bind *b, struct global_settings *g, struct error *err) MUST_CHECK;
/* A name of the configuration or a URL (then `name`, or one made from the URL). A name that is in no configuration gives a source
 * without driver where admin is true (its backups may still be in a store), else ST_NOT_FOUND that lists the sources there are. */
enum status bind_source(struct run *run, const struct bind *b, const char *text, const char *name, bool admin, struct op_source *s,
			struct error *err) MUST_CHECK;
/* --into: a URL; settings and password of `like` fill what it leaves open only where it is the same server. */
enum status bind_target(struct run *run, const struct bind *b, const char *url, const struct op_source *like, struct op_source *s,
			char **database, struct error *err) MUST_CHECK;
enum status bind_store(struct run *run, const struct bind *b, const char *text, struct op_store *s, struct error *err) MUST_CHECK;
/* Where the password of such a source belongs instead of the command line: "PGPASSWORD"; NULL: nowhere in the environment. */
const char *bind_password_variable(const char *url);

#endif
