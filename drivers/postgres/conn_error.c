#include "drivers/postgres/conn_internal.h"

#include <ctype.h>

/* SQLSTATEs and classes (two characters) that mean more than "the server reported an error"; the first that fits. */
static const struct {
	const char *prefix;
	enum status code;
	bool retry;
	const char *hint;
} meaning[] = {
	{"28P01", ST_AUTH, false, "Check user and password; a password may also come from password_file or password_command."},
	{"28000", ST_AUTH, false, "The server's pg_hba.conf must let this user connect to this database from this host."},
	{"28", ST_AUTH, false, NULL},
	{"3D000", ST_NOT_FOUND, false, NULL},
	{"42501", ST_DENIED, false, "`drtool config grants` prints what the backup user needs."},
	{"53300", ST_UNREACHABLE, true, "Lower --jobs, or raise max_connections of the server."},
	{"53100", ST_NO_SPACE, false, NULL},
	{"53200", ST_SERVER, true,
	 "The server is out of memory or of room for locks: raise max_locks_per_transaction and restart it."},
	{"53", ST_SERVER, true, NULL},
	{"55P03", ST_SERVER, true,
	 "Another session holds a lock that conflicts, such as that of ALTER TABLE or VACUUM FULL: run again later."},
	{"57014", ST_SERVER, true, NULL},
	{"57P03", ST_UNREACHABLE, true, NULL},
	{"57P", ST_UNREACHABLE, true, NULL},
	{"40", ST_SERVER, true, NULL},
	{"58", ST_SERVER, false, "The server cannot read or write its own files: look into its log."},
	{"XX001", ST_SERVER, false, "The server found damaged data in its own files."},
	{"XX002", ST_SERVER, false, "The server found a damaged index."},
	{"08", ST_UNREACHABLE, true, NULL},
	{"0A000", ST_UNSUPPORTED, false, NULL},
};

static int find_meaning(const char *state)
{
	for (size_t i = 0; state && i < ARRAY_LEN(meaning); i++)
		if (!strncmp(state, meaning[i].prefix, strlen(meaning[i].prefix)))
			return (int)i;
	return -1;
}

enum status sqlstate_status(const char *state)
{
	int i = find_meaning(state);

	return i < 0 ? ST_SERVER : meaning[i].code;
}

bool sqlstate_retry(const char *state)
{
	int i = find_meaning(state);

	return i >= 0 && meaning[i].retry;
}

static enum status finish(struct error *err, const char *state, const char *server_hint)
{
	int i = find_meaning(state);

	err->retry = i >= 0 && meaning[i].retry;
	if (state)
		error_native(err, state);
	if (i >= 0 && meaning[i].hint)
		error_hint(err, "%s", meaning[i].hint);
	else if (server_hint)
		error_hint(err, "%s", server_hint);
	return err->code;
}

/* One line, without the end. */
static void put_line(struct buf *to, const char *text)
{
	for (; *text; text++)
		if (*text != '\n')
			buf_putc(to, *text);
		else if (text[1] && text[1] != '\n')
			buf_puts(to, "; ");
}

static enum status interrupted(struct error *err) { return error_set(err, ST_CANCELLED, "the session was interrupted"); }

enum status conn_error(struct conn *c, const PGresult *r, struct error *err)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY), *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
	const char *context = PQresultErrorField(r, PG_DIAG_CONTEXT);
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	if (conn_was_interrupted(c))
		return interrupted(err);
	if (!state || !text)
		return conn_lost(c, err);
	put_line(&line, text);
	if (detail) {
		buf_puts(&line, " (");
		put_line(&line, detail);
		buf_putc(&line, ')');
	}
	/* COPY says here which line of which table it was. */
	if (context && !strncmp(context, "COPY ", 5)) {
		buf_puts(&line, "; ");
		put_line(&line, context);
	}
	error_set(err, sqlstate_status(state), "PostgreSQL, database %s: %s", c->database, buf_str(&line));
	return finish(err, state, PQresultErrorField(r, PG_DIAG_MESSAGE_HINT));
}

enum status conn_lost(struct conn *c, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	if (conn_was_interrupted(c))
		return interrupted(err);
	put_line(&line, PQerrorMessage(c->pg));
	error_set(err, PQstatus(c->pg) == CONNECTION_BAD ? ST_UNREACHABLE : ST_SERVER, "PostgreSQL at %s, database %s: %s",
		  c->where, c->database, line.len ? buf_str(&line) : "the connection was lost");
	err->retry = true;
	return err->code;
}

/* The SQLSTATE in a message of verbose form, "FATAL:  28P01: text"; the last one, since a second attempt may follow the first. */
static bool find_state(const char *message, char *state)
{
	bool found = false;

	for (const char *p = strstr(message, ":  "); p; p = strstr(p + 3, ":  ")) {
		int n = 0;

		while (n < 5 && (isupper((unsigned char)p[3 + n]) || isdigit((unsigned char)p[3 + n])))
			n++;
		if (n == 5 && p[8] == ':') {
			memcpy(state, p + 3, 5);
			state[5] = 0;
			found = true;
		}
	}
	return found;
}

/* What says again where we connect to, "connection to server at ... failed: "; the caller has said it. */
static size_t prefix_length(const char *line, size_t n)
{
	static const char start[] = "connection to server ", end[] = " failed: ";
	const char *at = n > sizeof start && !strncmp(line, start, sizeof start - 1) ? memmem(line, n, end, sizeof end - 1) : NULL;

	return at ? (size_t)(at - line) + sizeof end - 1 : 0;
}

/* Without the lines that say where in the server's source it happened, questions to the reader, and the SQLSTATE. */
static void put_message(struct buf *to, const char *message, const char *state)
{
	CLEANUP(buf_release) struct buf mark = BUF_INIT;

	buf_printf(&mark, ":  %s: ", state);
	for (const char *line = message; *line;) {
		size_t skip = prefix_length(line, strcspn(line, "\n"));

		line += skip;
		size_t n = strcspn(line, "\n");
		const char *at = *state ? memmem(line, n, mark.data, mark.len) : NULL;

		if (n && *line != '\t' && strncmp(line, "LOCATION:", 9)) {
			if (to->len)
				buf_puts(to, "; ");
			buf_put(to, line, at ? (size_t)(at - line) : n);
			if (at) {
				buf_puts(to, ": ");
				buf_put(to, at + mark.len, n - (size_t)(at - line) - mark.len);
			}
		}
		line += n + (line[n] == '\n');
	}
}

static bool is_tls_failure(const char *message)
{
	static const char *const sign[] = {"SSL error", "server does not support SSL", "certificate", "SSL connection",
					   "SSL SYSCALL"};

	for (size_t i = 0; i < ARRAY_LEN(sign); i++)
		if (strstr(message, sign[i]))
			return true;
	return false;
}

enum status connect_error(struct conn *c, const char *message, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;
	char state[6] = "";
	bool answered = find_state(message, state);
	enum status code = answered ? sqlstate_status(state) : is_tls_failure(message) ? ST_TLS : ST_UNREACHABLE;

	put_message(&line, message, state);
	if (!answered && strstr(message, "no password supplied")) {
		error_set(err, ST_AUTH, "PostgreSQL at %s: %s", c->where, buf_str(&line));
		return error_hint(err, "Set password_file or password_command of the source, or PGPASSWORD for a source given as "
				       "URL.");
	}
	error_set(err, code, "PostgreSQL at %s, database %s: %s", c->where, c->database,
		  line.len ? buf_str(&line) : "no connection");
	finish(err, answered ? state : NULL, NULL);
	if (code == ST_UNREACHABLE) {
		err->retry = true;
		if (!answered)
			error_hint(err, "Check host and port, that the server runs, and that it listens there.");
	}
	return err->code;
}
