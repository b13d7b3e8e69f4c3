/* One session with a MariaDB or MySQL server. libmariadb does the protocol; where it would wait, it calls back (MARIADB_OPT_IO_WAIT),
 * and the wait ends by the run's deadline, its cancel, or my_conn_interrupt.
 *
 * A conn belongs to one thread; only my_conn_interrupt may come from another. After any failure that is not the server's answer to a
 * statement (ST_CANCELLED, ST_DEADLINE, ST_UNREACHABLE) the session is lost and only my_conn_freep is left; nothing reconnects. Nothing
 * comes from the environment or from option files. Errors carry the server's number in err->native ("1412"). Where a cancel, a
 * deadline or an interrupt ends a statement, the session is killed on the server too, over another one, within three seconds: a statement
 * that sends no rows would go on there, with its locks.
 *
 * URLs: mysql://USER@HOST:PORT/DATABASE is TCP, also for localhost; without a host, or with ?socket=PATH, a socket. Options: socket,
 * connect_timeout, ssl-mode, ssl-ca. TLS: prefer takes it where the server has it, but not on loopback; require and verify-ca look at the
 * certificate first (verify-ca: its chain) and then demand that very one; verify-full leaves chain and name to libmariadb; tls_fingerprint
 * takes the place of the chain in every mode but off. Never on a socket. Resolving a name has no bound of its own. */
#ifndef DRIVERS_MYSQL_CONN_H
#define DRIVERS_MYSQL_CONN_H

#include <mysql.h>

#include "drivers/mysql/params.h"
#include "drivers/mysql/quote.h"

struct my_conn_cancel;

struct my_conn {
	MYSQL *my;
	const struct endpoint *e;
	char *where;         /* "localhost:3306" or the socket's path, for messages */
	char *version_text;  /* as the server says, without the prefix 5.5.5-: "10.11.19-MariaDB-log" */
	int version;         /* 101119, 90704 */
	bool mariadb;        /* else MySQL, or what calls itself so */
	bool loopback;       /* socket or loopback address */
	uint64_t id;         /* of the session on the server; 0 once it was killed */
	struct my_conn_cancel *cancel;
};

/* Connects; database NULL: none is chosen. character set utf8mb4; everything else as the server has it: session.h makes a session
 * for dumps of it. local: LOAD DATA LOCAL may ask for rows (my_conn_load); else no request of the server for a file is answered. */
enum status my_conn_open(struct run *run, const struct endpoint *e, const char *database, bool local, struct my_conn **c,
		      struct error *err) MUST_CHECK;
void my_conn_freep(struct my_conn **c);
/* Any thread, at once: cuts the link. Calls on c then fail with ST_CANCELLED. */
void my_conn_interrupt(struct my_conn *c);
/* Whether the server has ended a session that waits between statements (a ping). */
enum status my_conn_alive(struct run *run, struct my_conn *c, struct error *err) MUST_CHECK;
/* Database named in the endpoint's URL; NULL none. Owned by the caller. ST_CONFIG where the URL cannot be read. */
enum status my_conn_url_database(const struct endpoint *e, char **database, struct error *err) MUST_CHECK;

/* ---- statements: one each, never several ---- */

void my_conn_result_free(MYSQL_RES **r); /* for CLEANUP */
/* A statement whose rows, if any, do not matter. */
enum status my_conn_command(struct run *run, struct my_conn *c, const char *sql, struct error *err) MUST_CHECK;
/* PRINTF_LIKE convenience for numbers and names that are quoted already. */
enum status my_conn_commandf(struct run *run, struct my_conn *c, struct error *err, const char *fmt, ...) PRINTF_LIKE(4, 5) MUST_CHECK;
/* The whole result in memory: read it by mysql_fetch_row. Other statements may run meanwhile. */
enum status my_conn_query(struct run *run, struct my_conn *c, const char *sql, MYSQL_RES **r, struct error *err) MUST_CHECK;
/* First column of the first row; NULL where null or no row. Owned by the caller. */
enum status my_conn_value(struct run *run, struct my_conn *c, const char *sql, char **value, struct error *err) MUST_CHECK;
/* The second column likewise, as SHOW VARIABLES, SHOW STATUS and SHOW CREATE have the value there. */
enum status my_conn_shown(struct run *run, struct my_conn *c, const char *sql, char **value, struct error *err) MUST_CHECK;
/* Rows as they come; memory is that of a row. The server's error after the last row (1412 comes so) is an error. fn's failure ends the
 * session. field NULL: null. */
typedef enum status my_conn_row_fn(void *ctx, char *const *field, const unsigned long *len, unsigned fields, struct error *err);
enum status my_conn_each(struct run *run, struct my_conn *c, const char *sql, my_conn_row_fn *fn, void *ctx, struct error *err) MUST_CHECK;
/* Rows changed by the last statement, warnings it left. */
uint64_t my_conn_affected(const struct my_conn *c);
unsigned my_conn_warning_count(const struct my_conn *c);
/* The first `most` warnings of the last statement, as "1265: Data truncated ...". */
enum status my_conn_warnings(struct run *run, struct my_conn *c, unsigned most, struct strlist *to, struct error *err) MUST_CHECK;
/* LOAD DATA LOCAL INFILE whose file is what `from` gives. *rows: as the server counted; *warnings: their number. Outside of a transaction
 * it makes one of its own (what the warnings were is then gone). When from fails, its error is the result, the statement is rolled back (by
 * a savepoint, drtool_load; not in tables without transactions), and the session lives. ST_UNSUPPORTED (native "4166", "3948", "1148") where
 * the server forbids LOCAL. */
struct my_conn_feed {
	/* More bytes, valid until the next call; *n 0: the end. */
	enum status (*next)(void *ctx, const void **p, size_t *n, struct error *err);
	void *ctx;
};
enum status my_conn_load(struct run *run, struct my_conn *c, const char *sql, const struct my_conn_feed *from, uint64_t *rows,
		      unsigned *warnings, struct error *err) MUST_CHECK;
/* The server's error number in err, 0 none. */
unsigned my_conn_errno(const struct error *err);
#define MY_LOCK_TIMEOUT 1205u /* a lock was waited for in vain */
/* A failure that is no answer of the server: the session is lost. */
bool my_conn_lost(const struct error *err);

/* Fields of a row; text is NULL where null. */
uint64_t my_field_u64(const char *text); /* 0 where null or no number */
bool my_field_bool(const char *text);    /* 1, YES, ON, Y */

#endif
