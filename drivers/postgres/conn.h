/* One session with a server: libpq without blocking, so that every call ends by the run's deadline, its cancel, or conn_interrupt.
 *
 * A conn belongs to one thread; only conn_interrupt may come from another. After any failure that is not the server's answer to a
 * statement (ST_CANCELLED, ST_DEADLINE, ST_UNREACHABLE) the session is lost and only conn_freep is left. Nothing comes from the
 * environment: PG* variables, service and password files are not read. SQL text is UTF-8, except in SQL_ASCII databases, where no
 * encoding is known and bytes pass as they are.
 *
 * Errors carry the SQLSTATE in err->native. What servers say beside (notices) goes to the endpoint's notes or is dropped. */
#ifndef DRIVERS_POSTGRES_CONN_H
#define DRIVERS_POSTGRES_CONN_H

#include <libpq-fe.h>

#include "drivers/postgres/params.h"

struct conn_cancel;

struct conn {
	PGconn *pg;
	const struct endpoint *e;
	char *database;         /* connected to */
	char *where;            /* "localhost:5432" or the socket's folder, for messages */
	int version;            /* 150020 */
	bool sql_ascii;         /* encoding of the database */
	bool loopback;          /* socket or loopback address */
	bool ended;             /* the server said that it ends the session */
	bool keep_notices;      /* put warnings of the server into the notes */
	struct conn_cancel *cancel;
};

/* Connects to `database`; NULL: that of the URL, else "postgres", else "template1". client_encoding is UTF8 (SQL_ASCII where the
 * database is), everything else as the role and database have it: session.h makes a session for dumps of it. */
enum status conn_open(struct run *run, const struct endpoint *e, const char *database, struct conn **c,
		      struct error *err) MUST_CHECK;
void conn_freep(struct conn **c);
/* Whether the server has ended a session that waits between statements. */
enum status conn_alive(struct conn *c, struct error *err) MUST_CHECK;
/* Any thread, at most a second: asks the server to end what runs and cuts the link. Calls on c then fail with ST_CANCELLED. */
void conn_interrupt(struct conn *c);
/* Database named in the endpoint's URL; NULL none. Owned by the caller. ST_CONFIG where the URL cannot be read. */
enum status conn_url_database(const struct endpoint *e, char **database, struct error *err) MUST_CHECK;
/* What a client program needs to reach the same server, as environment: PGHOST, PGPORT, PGUSER, PGSSLMODE ... and PGPASSFILE, a
 * 0600 file made at `passfile` where there is a password. The database is not among it. */
enum status conn_client_env(struct run *run, const struct endpoint *e, const char *passfile, struct strlist *env,
			    struct error *err) MUST_CHECK;

/* ---- statements ---- */

/* A statement with text parameters ($1...; NULL is null): SQL("select $1", name). Lives as long as the block it is written in. */
struct sql {
	const char *text;
	const char *const *param;
	int params;
};
#define SQL(text, ...)                                                                                                     \
	((struct sql){(text), ((const char *const[]){NULL, ##__VA_ARGS__}) + 1,                                            \
		      (int)(sizeof((const char *const[]){NULL, ##__VA_ARGS__}) / sizeof(char *)) - 1})

void conn_result_free(PGresult **r); /* for CLEANUP */
/* One or more statements whose rows do not matter. */
enum status conn_command(struct run *run, struct conn *c, const char *sql, struct error *err) MUST_CHECK;
/* One statement, the whole result in memory. *r is released by conn_result_free. */
enum status conn_query(struct run *run, struct conn *c, struct sql q, PGresult **r, struct error *err) MUST_CHECK;
/* One statement whose rows are given one by one; memory is that of a row. fn's failure ends the session. */
typedef enum status conn_row_fn(void *ctx, const PGresult *r, struct error *err); /* the row is number 0 of r */
enum status conn_each(struct run *run, struct conn *c, struct sql q, conn_row_fn *fn, void *ctx, struct error *err) MUST_CHECK;
/* First column of the first row; NULL where null or no row. Owned by the caller. */
enum status conn_value(struct run *run, struct conn *c, struct sql q, char **value, struct error *err) MUST_CHECK;

/* Fields of a result; text is NULL where null. */
const char *res_text(const PGresult *r, int row, int col);
bool res_bool(const PGresult *r, int row, int col);
uint64_t res_u64(const PGresult *r, int row, int col); /* 0 where null or no number */
uint64_t res_affected(const PGresult *r);              /* rows by the command tag */

/* ---- COPY ---- */

/* Runs a COPY ... TO STDOUT; each row with its line end goes to rows. *count: rows that came, equal to what the server counted. */
enum status conn_copy_out(struct run *run, struct conn *c, const char *sql, struct row_sink *rows, uint64_t *count,
			  struct error *err) MUST_CHECK;
/* COPY ... FROM STDIN: begin, put any bytes any number of times, then end (*count: as the server counted) or give_up, which makes
 * the statement fail on the server. When put or end fails with the server's error the transaction is aborted but the session lives.
 */
enum status conn_copy_in(struct run *run, struct conn *c, const char *sql, struct error *err) MUST_CHECK;
enum status conn_copy_put(struct run *run, struct conn *c, const void *p, size_t n, struct error *err) MUST_CHECK;
enum status conn_copy_end(struct run *run, struct conn *c, uint64_t *count, struct error *err) MUST_CHECK;
void conn_copy_give_up(struct run *run, struct conn *c, const char *why);

/* ---- SQL text ---- */

void sql_ident(struct buf *to, const char *name);                          /* "quoted" */
void sql_name(struct buf *to, const char *schema, const char *name);       /* "schema"."name" */
void sql_literal(struct buf *to, const char *text);                        /* 'quoted', whatever standard_conforming_strings is */
/* "SET name TO value" of a recorded "name=value"; nothing where there is no '='. */
void sql_setting(struct buf *to, const char *name_value);
/* As people write it: quoted only where needed (keywords are quoted too often rather than too seldom). */
void sql_shown(struct buf *to, const char *name);

#endif
