#include "drivers/mongodb/conn_internal.h"

#define GRANTS "`drtool config grants` prints what the backup user needs."
#define MOVED "The replica set has another primary now, or the server is ending: run again."
/* Numbers that mean more than "the server reported an error". */
static const struct {
	int number;
	enum status code;
	bool retry;
	const char *hint;
} meaning[] = {
	{18, ST_AUTH, false, NULL},
	{MO_UNAUTHORIZED, ST_DENIED, false, GRANTS},
	{8000, ST_DENIED, false, GRANTS}, /* Atlas */
	{14031, ST_NO_SPACE, false, NULL},
	{MO_COMMAND_NOT_FOUND, ST_UNSUPPORTED, false, NULL},
	{115, ST_UNSUPPORTED, false, NULL},
	{MO_NOT_IMPLEMENTED, ST_UNSUPPORTED, false, NULL},
	{91, ST_UNREACHABLE, true, MOVED},
	{189, ST_UNREACHABLE, true, MOVED},
	{10107, ST_UNREACHABLE, true, MOVED},
	{11600, ST_UNREACHABLE, true, MOVED},
	{11602, ST_UNREACHABLE, true, MOVED},
	{13435, ST_UNREACHABLE, true, MOVED},
	{13436, ST_UNREACHABLE, true, MOVED},
	{6, ST_SERVER, true, NULL},
	{7, ST_SERVER, true, NULL},
	{24, ST_SERVER, true, NULL},
	{MO_NO_SUCH_CURSOR, ST_SERVER, true, "The server closed the cursor: it was restarted, or somebody killed it."},
	{46, ST_SERVER, true, NULL},
	{50, ST_SERVER, true, NULL},
	{89, ST_SERVER, true, NULL},
	{112, ST_SERVER, true, NULL},
	{MO_QUERY_PLAN_KILLED, ST_SERVER, true, NULL},
	{237, ST_SERVER, true, NULL},
	{MO_SNAPSHOT_TOO_OLD, ST_SERVER, true, NULL},
	{MO_SNAPSHOT_UNAVAILABLE, ST_SERVER, true, NULL},
	{11601, ST_SERVER, true, NULL},
};

static int find_meaning(int number)
{
	for (size_t i = 0; i < ARRAY_LEN(meaning); i++)
		if (meaning[i].number == number)
			return (int)i;
	return -1;
}

enum status mo_number_status(int number)
{
	int i = find_meaning(number);

	return i >= 0 ? meaning[i].code : ST_SERVER;
}

bool mo_number_retry(int number)
{
	int i = find_meaning(number);

	return i >= 0 && meaning[i].retry;
}

const char *mo_product(const struct mo_conn *c) { return c->server.product ? c->server.product : "the server"; }

bool mo_conn_lost(const struct error *err)
{
	return err->code == ST_CANCELLED || err->code == ST_DEADLINE || err->code == ST_UNREACHABLE;
}

bool mo_conn_denied(const struct error *err) { return mo_number_status(mo_conn_code(err)) == ST_DENIED; }

int mo_conn_code(const struct error *err) { return (int)strtol(err->native, NULL, 10); }

/* One line. */
static void put_line(struct buf *to, const char *text)
{
	for (; *text; text++)
		buf_putc(to, (unsigned char)*text < 0x20 ? ' ' : *text);
}

static bool has_retry_label(const bson_t *reply)
{
	return reply && (mongoc_error_has_label(reply, "RetryableWriteError") || mongoc_error_has_label(reply, "TransientTransactionError"));
}

/* What to do where nobody may come in, by what the URL and the settings say of the login. */
static enum status hint_login(const struct mo_conn *c, int code, struct error *err)
{
	const mongoc_uri_t *uri = mongoc_client_get_uri(c->client); /* with what DNS said */
	const char *user = mongoc_uri_get_username(uri), *source = mongoc_uri_get_auth_source(uri), *mechanism = mongoc_uri_get_auth_mechanism(uri);

	if (mechanism && !strcasecmp(mechanism, "MONGODB-X509"))
		return code != 18 ? err->code : error_hint(err, "The subject of the certificate in tls_cert must be a user of the database $external.");
	if (!user)
		return error_hint(err, "Nobody is logged in: neither the URL (mongodb://USER@HOST/DATABASE?authSource=admin) nor the source's key user names one. "
				       GRANTS);
	if (code != 18)
		return err->code;
	if (strcmp(source, "admin") != 0)
		return error_hint(err, "The user %s was looked for in the database %s. Most accounts are in admin: then the URL needs authSource=admin. Else check "
				       "user and password.", user, source);
	return error_hint(err, "The user %s was looked for in the database admin. Check user and password (password_file, password_command), and authSource in "
			       "the URL where the account was made in another database.", user);
}

enum status mo_server_error(const struct mo_conn *c, int code, const char *text, const bson_t *reply, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;
	int i = find_meaning(code);
	char native[16];

	put_line(&line, text);
	error_set(err, mo_number_status(code), "%s at %s: %s", mo_product(c), c->server.where, line.len ? buf_str(&line) : "an error without a text");
	snprintf(native, sizeof native, "%d", code);
	error_native(err, native);
	err->retry = mo_number_retry(code) || has_retry_label(reply);
	if (i >= 0 && meaning[i].hint)
		error_hint(err, "%s", meaning[i].hint);
	return code == 18 || code == MO_UNAUTHORIZED ? hint_login(c, code, err) : err->code;
}

static enum status link_error(struct mo_conn *c, const bson_error_t *why, struct error *err)
{
	if (c->cancel->links.trouble.code)
		return error_move(err, &c->cancel->links.trouble);
	error_set(err, ST_UNREACHABLE, "%s at %s: %s", mo_product(c), c->server.where, *why->message ? why->message : "the connection was lost");
	err->retry = true;
	return err->code;
}

/* No member of several could be used: libmongoc tells of each. Of one, and of what is to be set right here, the link knows more. */
static enum status select_error(struct mo_conn *c, const bson_error_t *why, struct error *err)
{
	const struct error *trouble = &c->cancel->links.trouble;
	bool one = c->cancel->url.hosts == 1 && trouble->code;

	if (one || trouble->code == ST_TLS || trouble->code == ST_CONFIG) {
		link_error(c, why, err);
	} else {
		/* "No suitable servers found (`serverSelectionTryOnce` set): [...] [...]" */
		const char *of_each = strchr(why->message, '['), *set = mongoc_uri_get_replica_set(c->cancel->url.uri);

		if (of_each || !set)
			error_set(err, ST_UNREACHABLE, "none of the servers %s can be used: %s", c->server.where, of_each ? of_each : why->message);
		else
			error_set(err, ST_UNREACHABLE, "none of the servers %s says that it is a member of the replica set %s", c->server.where, set);
		error_hint(err, "Check hosts and ports, and that the servers run and listen there. A server that is no member of a replica set is named alone.");
		err->retry = true;
	}
	if (c->cancel->known)
		error_hint(err, MO_MEMBERS_HINT);
	return err->code;
}

enum status mo_call_failed(struct mo_conn *c, const bson_error_t *why, const bson_t *reply, struct error *err)
{
	struct mo_links *all = &c->cancel->links;

	if (atomic_load(&all->interrupted))
		return error_set(err, ST_CANCELLED, "the session was interrupted");
	if (all->why.code) {
		error_move(err, &all->why);
		return error_add(err, "%s at %s", mo_product(c), c->server.where);
	}
	if (why->domain == MONGOC_ERROR_SERVER || why->domain == MONGOC_ERROR_WRITE_CONCERN)
		return mo_server_error(c, (int)why->code, why->message, reply, err);
	if (why->domain == MONGOC_ERROR_SERVER_SELECTION)
		return select_error(c, why, err);
	if (!all->trouble.code && ((why->domain == MONGOC_ERROR_CLIENT && why->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) ||
				   why->domain == MONGOC_ERROR_SCRAM || why->domain == MONGOC_ERROR_SASL)) {
		mo_server_error(c, 18, why->message, NULL, err);
		return err->code;
	}
	return link_error(c, why, err);
}
