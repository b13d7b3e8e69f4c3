#include "drivers/postgres/conn_internal.h"

#include <openssl/ssl.h>
#include <poll.h>

#include "util/hash.h"

static void pg_free(PGconn **pg)
{
	PQfinish(*pg);
	*pg = NULL;
}

/* Goes on with a connection that is being made until it stands, failed, or done says so. */
static enum status poll_connect(struct run *run, PGconn *pg, bool (*done)(void *ctx, PGconn *pg), void *ctx, struct error *err)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
		bool ready = false;

		if (PQstatus(pg) == CONNECTION_BAD || (done && done(ctx, pg)))
			return ST_OK;
		while (!ready) {
			if (run_poll(run, PQsocket(pg), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, DURATION_SECONDS(60),
				     &ready, err))
				return err->code;
		}
		next = PQconnectPoll(pg);
	}
	return ST_OK;
}

/* ---- the certificate of a server that was not trusted ---- */

static bool take_fingerprint(void *ctx, PGconn *pg)
{
	char **to = ctx;
	SSL *ssl = PQsslInUse(pg) ? PQsslStruct(pg, "OpenSSL") : NULL;
	X509 *cert = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!cert)
		return false;
	if (X509_digest(cert, EVP_sha256(), md, &n)) {
		struct buf text = BUF_INIT;

		for (unsigned i = 0; i < n; i++)
			buf_printf(&text, "%s%02X", i ? ":" : "", md[i]);
		*to = buf_detach(&text);
	}
	X509_free(cert);
	return true;
}

char *server_fingerprint(struct run *run, const struct endpoint *e)
{
	CLEANUP(connect_params_release) struct connect_params p = CONNECT_PARAMS_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run soon = run_within(run, DURATION_SECONDS(10));
	char *text = NULL;

	if (connect_params_fill(e, &p, &ignored))
		return NULL;
	connect_params_set(&p, "sslmode", "require");
	connect_params_set(&p, "sslrootcert", connect_params_get(&p, "sslcrl")); /* no file: nothing is checked */
	connect_params_set(&p, "dbname", "postgres");
	CLEANUP(pg_free) PGconn *pg = PQconnectStartParams(p.keyword, (const char *const *)p.value, 0);
	if (pg && PQstatus(pg) != CONNECTION_BAD)
		(void)!poll_connect(&soon, pg, take_fingerprint, &text, &ignored);
	return text;
}

/* ---- opening ---- */

static void on_notice(void *arg, const PGresult *r)
{
	struct conn *c = arg;
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (severity && !strcmp(severity, "FATAL"))
		c->ended = true;
	if (c->keep_notices && text && severity && !strcmp(severity, "WARNING"))
		notes_add(c->e->notes, "PostgreSQL, database %s: %s", c->database, text);
}

static void describe(struct conn *c)
{
	const char *host = PQhost(c->pg), *port = PQport(c->pg);

	c->version = PQserverVersion(c->pg);
	cstr_release(&c->database);
	c->database = xstrdup(PQdb(c->pg) ? PQdb(c->pg) : "");
	cstr_release(&c->where);
	c->where = xasprintf("%s%s%s", host && *host ? host : "the local socket", host && *host == '/' ? ", port " : ":",
			     port ? port : "");
}

static enum status refused(struct run *run, struct conn *c, const struct connect_params *p, struct error *err)
{
	connect_error(c, PQerrorMessage(c->pg), err);
	if (err->code != ST_TLS)
		return err->code;
	if (strstr(PQerrorMessage(c->pg), "does not support SSL"))
		return error_hint(err, "Switch TLS on in the server, or, where the network itself is trusted, set tls to "
				       "\"prefer\" or \"off\".");
	if (!p->verifies)
		return err->code;
	CLEANUP(cstr_release) char *print = server_fingerprint(run, c->e);
	return error_hint(err,
			  "Set tls_ca to the file of the authority that signed the server's certificate, or, where the network "
			  "itself is "
			  "trusted, set tls to \"require\" (encrypted, not checked).%s%s",
			  print ? " The server shows a certificate with SHA-256 fingerprint " : "", print ? print : "");
}

/* The database's encoding decides how SQL text is sent. */
static enum status set_encoding(struct run *run, struct conn *c, struct error *err)
{
	const char *server = PQparameterStatus(c->pg, "server_encoding");

	c->sql_ascii = server && !strcmp(server, "SQL_ASCII");
	return c->sql_ascii ? conn_command(run, c, "SET client_encoding = 'SQL_ASCII'", err) : ST_OK;
}

/* What the URL says is nearer than what the settings say; libpq heeds it only where it does the waiting itself. */
static struct duration connect_limit(const struct endpoint *e, const struct connect_params *p)
{
	const char *text = connect_params_get(p, "connect_timeout");
	long seconds = text ? strtol(text, NULL, 10) : 0;

	return seconds > 0 && seconds <= 86400 ? DURATION_SECONDS(seconds) : pg_params(e)->connect_timeout;
}

static enum status open_once(struct run *run, struct conn *c, const char *database, struct error *err)
{
	CLEANUP(connect_params_release) struct connect_params p = CONNECT_PARAMS_INIT;
	CLEANUP(secret_text_release) char *password = NULL;

	if (connect_params_fill(c->e, &p, err) || secret_read(run, c->e->password, &password, err))
		return err->code;
	const struct duration limit = connect_limit(c->e, &p);
	struct run bounded = run_within(run, limit);
	connect_params_set(&p, "dbname", database);
	if (password)
		connect_params_set(&p, "password", password);
	c->loopback = p.loopback;
	c->pg = PQconnectStartParams(p.keyword, (const char *const *)p.value, 0);
	if (!c->pg)
		return error_set(err, ST_MEMORY, "no memory for a connection");
	/* Beside the text, the SQLSTATE: there is no other way to it before the connection stands. */
	PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(c->pg, on_notice, c);
	c->database = xstrdup(database);
	if (poll_connect(&bounded, c->pg, NULL, NULL, err)) {
		describe(c);
		CLEANUP(error_release) struct error own = ERROR_INIT;

		if (err->code == ST_DEADLINE && !run_check(run, &own)) {
			error_set(err, ST_UNREACHABLE, "PostgreSQL at %s did not answer within %" PRId64 " s", c->where,
				  limit.us / 1000000);
			err->retry = true;
		}
		return err->code;
	}
	describe(c);
	if (PQstatus(c->pg) != CONNECTION_OK)
		return refused(run, c, &p, err);
	PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
	if (PQsetnonblocking(c->pg, 1))
		return conn_lost(c, err);
	conn_ready(c);
	if (c->version < 120000) {
		error_set(err, ST_UNSUPPORTED, "PostgreSQL at %s has version %d; drtool works with 12 and later", c->where,
			  c->version);
		return err->code;
	}
	return set_encoding(run, c, err);
}

static enum status open_as(struct run *run, const struct endpoint *e, const char *database, struct conn **to, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = xcalloc(1, sizeof *c);

	c->e = e;
	if (open_once(run, c, database, err))
		return err->code;
	*to = c;
	c = NULL;
	return ST_OK;
}

enum status conn_open(struct run *run, const struct endpoint *e, const char *database, struct conn **c, struct error *err)
{
	CLEANUP(cstr_release) char *of_url = NULL;

	*c = NULL;
	if (database)
		return open_as(run, e, database, c, err);
	if (conn_url_database(e, &of_url, err))
		return err->code;
	if (of_url)
		return open_as(run, e, of_url, c, err);
	if (open_as(run, e, "postgres", c, err) != ST_NOT_FOUND)
		return *c ? ST_OK : err->code;
	error_release(err);
	return open_as(run, e, "template1", c, err);
}
