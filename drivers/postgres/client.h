/* PostgreSQL's own client programs: which are here, and which fits a server. */
#ifndef DRIVERS_POSTGRES_CLIENT_H
#define DRIVERS_POSTGRES_CLIENT_H

#include "drivers/postgres/params.h"

struct client {
	char *bin;     /* folder */
	char *version; /* "15.20" */
	int major;
};
#define CLIENT_INIT {0}
void client_release(struct client *c);

/* All folders that have pg_dump and pg_restore, newest version first. Owned by the caller: clients_free. */
struct client *clients_find(struct run *run, const struct endpoint *e, size_t *n);
void clients_free(struct client *c, size_t n);
/* The one for dumping a server of this major version: the same major, else the nearest newer. ST_UNSUPPORTED names the fix. A note
 * says why where it is a newer one. */
enum status client_for_server(struct run *run, const struct endpoint *e, int major, struct client *to,
			      struct error *err) MUST_CHECK;
/* One whose pg_restore reads what this pg_dump wrote; the same major if there is one, else the nearest newer, else the newest that
 * can. */
enum status client_for_archive(struct run *run, const struct endpoint *e, int dump_major, struct client *to,
			       struct error *err) MUST_CHECK;
/* Oldest major whose pg_restore reads the custom format of pg_dump of this major. */
int client_oldest_reader(int dump_major);

#endif
