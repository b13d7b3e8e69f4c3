/* The table of contents of a schema dump in pg_dump's custom format: what can be named to pg_restore --use-list. The statements
 * themselves stay where they are: pg_restore reads and runs them. */
#ifndef DRIVERS_POSTGRES_TOC_H
#define DRIVERS_POSTGRES_TOC_H

#include "util/fs.h"

enum toc_part { TOC_PRE, TOC_DATA, TOC_POST };

/* Strings are never NULL ("" where there is none) and live as long as the struct toc. */
struct toc_entry {
	int id;
	const char *desc;   /* "TABLE", "FK CONSTRAINT" */
	const char *schema, *tag, *owner, *tablespace;
	enum toc_part part; /* comments, labels and rights: that of the object they follow */
	const int *dep;     /* ids */
	size_t deps;
};
struct toc {
	struct toc_entry *entry; /* in the archive's order */
	size_t entries;
	char *server, *client;   /* versions as pg_dump wrote them; NULL: not there */
	int major;               /* of the format: 14 for 1.14 */
	size_t *by_id;           /* index + 1 into entry; 0: no such id */
	int max_id;
	struct toc_memory *memory;
};
#define TOC_INIT {0}

/* ST_UNSUPPORTED for a format newer than known here, ST_BAD where it cannot be read. */
enum status toc_read(struct spool *dump, struct toc *t, struct error *err) MUST_CHECK;
void toc_release(struct toc *t);
const struct toc_entry *toc_by_id(const struct toc *t, int id); /* NULL: none */
bool toc_is(const struct toc_entry *e, const char *desc);
/* The first with this kind, schema and tag; NULL: none. schema NULL: any. */
const struct toc_entry *toc_find(const struct toc *t, const char *desc, const char *schema, const char *tag);
/* The oldest major version of pg_restore that reads the dump: 12, 16, 17. */
int toc_oldest_client(const struct toc *t);

#endif
