/* One session with a server that speaks MongoDB's protocol. libmongoc does the protocol, authentication and the choice of a member of a
 * replica set; every byte goes through a stream of ours (link.c), whose waits end by the run's deadline, its cancel, or mo_conn_interrupt.
 *
 * A conn belongs to one thread; only mo_conn_interrupt may come from another. It stays with one server, chosen when it is opened; a
 * command whose link breaks fails with ST_UNREACHABLE, and then only mo_conn_freep is left; nothing reconnects, nothing is tried twice
 * (retryReads and retryWrites are off). Errors of the server carry its number in err->native ("26") and its own text. Where a cancel, a
 * deadline or an interrupt ends a command that the server has begun, its session is killed there, over another one, within two seconds.
 * The password is read from the endpoint at each opening and reaches libmongoc only; no way of login sends it as it is.
 *
 * URLs: mongodb://USER@HOST:PORT,HOST2:PORT2/DATABASE?OPTIONS and mongodb+srv://; a socket is a host with %2F for each /. User, password and
 * TLS of the endpoint go before those of the URL. Options that choose servers and login are kept (replicaSet, readPreference...,
 * directConnection, authSource, authMechanism SCRAM-SHA-1, SCRAM-SHA-256 or MONGODB-X509, socketTimeoutMS...); those of an application
 * (retryWrites, w, appName, compressors, pools, time limits) have no effect: connect_timeout is the limit, the choice of a server
 * included; unknown ones, and those that weaken TLS, are refused. Resolving names, mongodb+srv:// too, has no bound of its own.
 *
 * TLS: prefer takes it where the server has it, and makes another connection without where it has none; require looks at no certificate;
 * verify-ca at its chain, verify-full at chain and name. The URL's tls=true is verify-full. Never on a socket. */
#ifndef DRIVERS_MONGODB_CONN_H
#define DRIVERS_MONGODB_CONN_H

#include <mongoc/mongoc.h>

#include "drivers/mongodb/params.h"

#define MO_PERCONA "Percona Server for MongoDB" /* MongoDB's own code with additions */
/* What the server said of itself when the session was opened. */
struct mo_server {
	char *where;        /* "db1:27017" of the member that was chosen, for messages */
	char *version_text; /* "7.0.14" */
	int version;        /* 70014 */
	int wire;           /* maxWireVersion */
	char *product;      /* "MongoDB"; MO_PERCONA, "FerretDB" and the like where buildInfo says so */
	char *set_name;     /* of the replica set; NULL */
	bool mongos, primary, secondary;
	int32_t max_document; /* bytes: maxBsonObjectSize */
	int32_t max_message;  /* maxMessageSizeBytes */
	int32_t max_batch;    /* maxWriteBatchSize */
	bool sessions;        /* logicalSessionTimeoutMinutes was given */
	struct instant data_time; /* of the last write that a majority has (lastWrite); 0 where the server says none */
	bool has_majority;
	uint32_t majority_t, majority_i; /* lastWrite.majorityOpTime.ts, where has_majority */
};

struct mo_conn_cancel;
struct mo_conn {
	const struct endpoint *e;
	mongoc_client_t *client;
	uint32_t server_id;
	struct mo_server server;
	struct mo_conn_cancel *cancel;
};

enum mo_whom {
	MO_READ,  /* as the URL's readPreference says; the primary without one */
	MO_WRITE, /* the primary */
};
/* Connects, logs in, asks hello and buildInfo. Where a replica set has no member that will do, it is waited for. ST_CONFIG, ST_UNREACHABLE,
 * ST_TLS, ST_AUTH... */
enum status mo_conn_open(struct run *run, const struct endpoint *e, enum mo_whom whom, struct mo_conn **c, struct error *err) MUST_CHECK;
/* Another session with the server of `as`, whatever the URL would choose now. Any thread, while `as` is open. */
enum status mo_conn_open_same(struct run *run, const struct mo_conn *as, struct mo_conn **c, struct error *err) MUST_CHECK;
/* From now on a session that is opened by mo_conn_open_same knows of every time that c has heard of: behind one name there may be several
 * mongos, and one that has heard of no such time yet refuses to read at it. c's thread, before others open sessions by it. */
void mo_conn_share_time(struct mo_conn *c);
void mo_conn_freep(struct mo_conn **c);
/* Any thread, at once: cuts the link. Calls on c then fail with ST_CANCELLED. */
void mo_conn_interrupt(struct mo_conn *c);
/* Database named in the endpoint's URL; NULL none. Owned by the caller. ST_CONFIG where the URL cannot be read. */
enum status mo_conn_url_database(const struct endpoint *e, char **database, struct error *err) MUST_CHECK;

/* A command on a database, and its whole answer; `ok: 0` and writeConcernError are errors, writeErrors are the caller's. reply: NULL, or
 * an uninitialised bson_t that is always set and the caller's to destroy. */
enum status mo_conn_command(struct run *run, struct mo_conn *c, const char *database, const bson_t *command, bson_t *reply,
			    struct error *err) MUST_CHECK;
/* The documents of a command that answers with a cursor (find, aggregate, listCollections, listIndexes), as they come, byte for byte; the
 * batches are kept near a MiB (batchSize is added here, the command must not have one). doc is borrowed. fn's failure ends the cursor, and
 * so does the end of the run (killCursors is sent where the link still stands). */
typedef enum status mo_doc_fn(void *ctx, const bson_t *doc, struct error *err);
enum status mo_conn_each(struct run *run, struct mo_conn *c, const char *database, const bson_t *command, mo_doc_fn *fn, void *ctx,
			 struct error *err) MUST_CHECK;
/* The server's error number in err, 0 none. */
int mo_conn_code(const struct error *err);
enum {
	MO_NAMESPACE_NOT_FOUND = 26, MO_UNAUTHORIZED = 13, MO_NAMESPACE_EXISTS = 48, MO_COMMAND_NOT_FOUND = 59, MO_NO_SUCH_CURSOR = 43,
	MO_CAPPED_POSITION_LOST = 136, MO_QUERY_PLAN_KILLED = 175, MO_SNAPSHOT_TOO_OLD = 239, MO_SNAPSHOT_UNAVAILABLE = 246, MO_NOT_IMPLEMENTED = 238,
	MO_MIXED_SCHEMA = 408, MO_DUPLICATE_KEY = 11000,
};
bool mo_conn_denied(const struct error *err); /* the server said that this account may not */
/* A failure that is no answer of the server: the session is lost. */
bool mo_conn_lost(const struct error *err);
void mo_doc_release(bson_t *b); /* for CLEANUP: bson_destroy */

#endif
