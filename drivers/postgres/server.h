/* What a server says about itself, for probe and dump. */
#ifndef DRIVERS_POSTGRES_SERVER_H
#define DRIVERS_POSTGRES_SERVER_H

#include "drivers/postgres/conn.h"

struct server_facts {
	char *identity, *version; /* system identifier; "15.20" */
	bool standby;
	struct instant data_time; /* newest change applied; INSTANT_NONE: a standby that does not know */
	bool superuser, bypass_rls, read_all, read_auth, has_passwords;
	uint64_t prepared, logical_slots, subscriptions;
	uint64_t lock_room; /* locks that fit into the server's table, roughly */
	uint64_t connections_left; /* roughly */
	char *user;
};
#define SERVER_FACTS_INIT {0}
/* SQL: the time of the data. A standby whose primary is idle has no recent transaction to tell it by; where it streams and has applied
 * all that came, its data are those of now. Null: not known. */
#define SERVER_DATA_TIME                                                                                                \
	"CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.clock_timestamp()"                                \
	" WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn()"                              \
	"  AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) THEN pg_catalog.clock_timestamp()"                  \
	" ELSE pg_catalog.pg_last_xact_replay_timestamp() END"
enum status server_facts_read(struct run *run, struct conn *c, struct server_facts *f, struct error *err) MUST_CHECK;
void server_facts_release(struct server_facts *f);
/* Whether the database of the session has no object of a person; what extensions made does not count. */
enum status database_is_empty(struct run *run, struct conn *c, bool *empty, struct error *err) MUST_CHECK;
/* "15.20" of "15.20 (Debian 15.20-0+deb12u1)". Owned by the caller. */
char *version_word(const char *text);

#endif
