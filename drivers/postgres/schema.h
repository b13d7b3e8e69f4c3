/* pg_dump of the schema beside the readers: a thread runs it in the exported snapshot, proves that no definition changed meanwhile,
 * and makes readable SQL of it. */
#ifndef DRIVERS_POSTGRES_SCHEMA_H
#define DRIVERS_POSTGRES_SCHEMA_H

#include "drivers/postgres/dump.h"

/* d->c holds the snapshot. What the thread needs is copied. */
enum status schema_dump_start(struct run *run, struct dump *d, struct schema_dump **s, struct error *err) MUST_CHECK;
/* Any thread: the error of a schema dump that failed already, so that readers need not go on for hours. */
enum status schema_dump_failed(struct schema_dump *s, struct error *err) MUST_CHECK;
/* Waits for the end and gives schema.dump and the SQL. */
enum status schema_dump_finish(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err) MUST_CHECK;
void schema_dump_interrupt(struct schema_dump *s);
void schema_dump_freep(struct schema_dump **s); /* ends what still runs */

/* Takes out of a script of pg_restore what older servers and psql do not know: SET lines of its head whose setting is not among
 * `known` (sorted), the \restrict and \unrestrict lines, and an option of subscriptions that came with 16. */
struct script_filter {
	const struct strlist *known;
	int server; /* version: 150020 */
	struct spool *to;
	struct buf line;
	char *token; /* of \restrict */
	bool body;   /* past the head */
};
enum status script_filter_put(struct script_filter *f, const char *p, size_t n, struct error *err) MUST_CHECK;
enum status script_filter_end(struct script_filter *f, struct error *err) MUST_CHECK; /* the last line, where it has no end */
void script_filter_release(struct script_filter *f);

#endif
