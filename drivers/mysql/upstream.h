/* What a server follows in replication, and how far it is. */
#ifndef DRIVERS_MYSQL_UPSTREAM_H
#define DRIVERS_MYSQL_UPSTREAM_H

#include "drivers/mysql/conn.h"

struct my_source {
	char *name;      /* of the connection (MariaDB) or channel (MySQL); "" where it has none */
	char *host;
	unsigned port;
	char *file;      /* of the source's binlog: what was applied; "" nothing yet */
	uint64_t position;
	char *received_file; /* and what was received */
	uint64_t received;
	bool by_gtid;
};
struct my_upstream {
	bool known;   /* false: this account may not see whether the server follows another */
	bool follows;
	char *stale;  /* why nobody can tell how old the data are; NULL */
	bool denied;  /* stale only for want of a right */
	struct duration lag; /* of the source furthest away */
	struct my_source *source; /* in the server's order; none where denied */
	size_t sources;
};
#define MY_UPSTREAM_INIT {.known = false}
void my_upstream_release(struct my_upstream *u);
/* A thread that stands still is no failure here: it is in stale. */
enum status my_upstream_read(struct run *run, struct my_conn *c, struct my_upstream *u, struct error *err) MUST_CHECK;
/* The right without which nothing of this can be seen. */
const char *my_upstream_right(const struct my_conn *c);

/* MariaDB: the query that reads in a snapshot which GTIDs of its sources it has applied; NULL where tables of the server that say so may not be
 * read, or do not change together with the rows. Owned by the caller. */
enum status my_upstream_applied_sql(struct run *run, struct my_conn *c, char **sql, struct error *err) MUST_CHECK;

/* How a value was read that belongs to a snapshot. */
#define MY_READ_SNAPSHOT "snapshot" /* it is that of the snapshot */
#define MY_READ_BEFORE "before"     /* the snapshot has it, and maybe some changes after it */
/* For the manifest, as docs/format.md has it. before, after: read right before the first, right after the last snapshot began. gtid may be NULL.
 * Owned by the caller. */
json_t *my_upstream_json(const struct my_upstream *before, const struct my_upstream *after, const char *gtid, bool gtid_exact);

#endif
