/* Sessions whose answers do not depend on the settings of server or account. Every dump, digest, inventory and load uses these, so
 * that both sides of a comparison speak alike. */
#ifndef DRIVERS_MYSQL_SESSION_H
#define DRIVERS_MYSQL_SESSION_H

#include "drivers/mysql/conn.h"

/* my_conn_open without LOCAL, then for reading: time_zone +00:00, a bare sql_mode, REPEATABLE READ, no time limit on statements, idle
 * sessions, transactions or slow readers, lock_wait_timeout of the params, SHOW CREATE that hides nothing (generated invisible primary
 * keys, hex password hashes on MySQL), max_allowed_packet of the client 1 GiB. */
enum status my_session_open(struct run *run, const struct endpoint *e, const char *database, struct my_conn **c,
			 struct error *err) MUST_CHECK;
/* From now on rows come in the bytes that their columns have (character_set_results NULL); names in statements stay utf8mb4. */
enum status my_session_raw(struct run *run, struct my_conn *c, struct error *err) MUST_CHECK;
/* For loading: as my_session_open with LOCAL, NO_AUTO_VALUE_ON_ZERO, checks of keys, foreign keys and CHECKs off, restrictions that could refuse a recorded
 * definition off where the right is there. */
enum status my_session_open_load(struct run *run, const struct endpoint *e, const char *database, struct my_conn **c,
			      struct error *err) MUST_CHECK;

#endif
