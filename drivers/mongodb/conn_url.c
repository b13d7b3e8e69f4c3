#include "drivers/mongodb/conn_internal.h"

#include <ctype.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMBER_WITHIN DURATION_SECONDS(5)

/* What becomes of an option of a URL. */
enum fate {
	KEEP,     /* libmongoc's */
	DROP,     /* of no use here: drtool's commands say themselves what an application leaves to its driver */
	TLS,      /* drtool's own */
	TLS_FILE,
	CERT_FILE,
	WEAKENS,  /* refused: the setting tls says it instead */
	SECRET,   /* refused: a URL is no place for it */
};
static const struct {
	const char *key;
	enum fate fate;
	const char *instead; /* of WEAKENS: the mode */
} options[] = {
	{"authMechanism", KEEP, NULL},
	{"authMechanismProperties", KEEP, NULL},
	{"authSource", KEEP, NULL},
	{"directConnection", KEEP, NULL},
	{"loadBalanced", KEEP, NULL},
	{"localThresholdMS", KEEP, NULL},
	{"maxStalenessSeconds", KEEP, NULL},
	{"readPreference", KEEP, NULL},
	{"readPreferenceTags", KEEP, NULL},
	{"replicaSet", KEEP, NULL},
	{"socketTimeoutMS", KEEP, NULL},
	{"srvMaxHosts", KEEP, NULL},
	{"srvServiceName", KEEP, NULL},
	{"appName", DROP, NULL},
	{"compressors", DROP, NULL},
	{"connectTimeoutMS", DROP, NULL},
	{"heartbeatFrequencyMS", DROP, NULL},
	{"journal", DROP, NULL},
	{"maxConnecting", DROP, NULL},
	{"maxIdleTimeMS", DROP, NULL},
	{"maxPoolSize", DROP, NULL},
	{"minPoolSize", DROP, NULL},
	{"readConcernLevel", DROP, NULL},
	{"retryReads", DROP, NULL},
	{"retryWrites", DROP, NULL},
	{"serverMonitoringMode", DROP, NULL},
	{"serverSelectionTimeoutMS", DROP, NULL},
	{"serverSelectionTryOnce", DROP, NULL},
	{"socketCheckIntervalMS", DROP, NULL},
	{"timeoutMS", DROP, NULL},
	{"uuidRepresentation", DROP, NULL},
	{"w", DROP, NULL},
	{"waitQueueMultiple", DROP, NULL},
	{"waitQueueTimeoutMS", DROP, NULL},
	{"wTimeoutMS", DROP, NULL},
	{"zlibCompressionLevel", DROP, NULL},
	{"tlsDisableCertificateRevocationCheck", DROP, NULL},
	{"tlsDisableOCSPEndpointCheck", DROP, NULL},
	{"tls", TLS, NULL},
	{"ssl", TLS, NULL},
	{"tlsCAFile", TLS_FILE, NULL},
	{"sslCertificateAuthorityFile", TLS_FILE, NULL},
	{"tlsCertificateKeyFile", CERT_FILE, NULL},
	{"sslClientCertificateKeyFile", CERT_FILE, NULL},
	{"tlsInsecure", WEAKENS, "require"},
	{"tlsAllowInvalidCertificates", WEAKENS, "require"},
	{"sslAllowInvalidCertificates", WEAKENS, "require"},
	{"tlsAllowInvalidHostnames", WEAKENS, "verify-ca"},
	{"sslAllowInvalidHostnames", WEAKENS, "verify-ca"},
	{"tlsCertificateKeyFilePassword", SECRET, NULL},
	{"sslClientCertificateKeyPassword", SECRET, NULL},
};

/* Ways of login that never send the password as it is. */
static const char *const logins[] = {"SCRAM-SHA-1", "SCRAM-SHA-256", "MONGODB-X509"};

void mo_url_release(struct mo_url *u)
{
	if (u->uri)
		mongoc_uri_destroy(u->uri);
	free(u->database);
	free(u->ca);
	free(u->cert);
	*u = (struct mo_url)MO_URL_INIT;
}

/* ---- the text ---- */

/* Parts of a URL's text, borrowed from it and still encoded. */
struct part {
	const char *p;
	size_t n;
};
struct parts {
	bool srv;
	struct part user, hosts, database, query;
};

static enum status no_url(struct error *err)
{
	error_set(err, ST_CONFIG, "the URL of the server cannot be read");
	return error_hint(err, "It looks like this: mongodb://USER@HOST:27017/DATABASE?authSource=admin");
}

static enum status split(const char *url, struct parts *to, struct error *err)
{
	*to = (struct parts){.srv = !strncasecmp(url, "mongodb+srv://", 14)};
	if (!to->srv && strncasecmp(url, "mongodb://", 10))
		return no_url(err);
	const char *p = url + (to->srv ? 14 : 10), *end = p + strcspn(p, "/?"), *at = memrchr(p, '@', (size_t)(end - p));
	if (at) {
		to->user = (struct part){p, (size_t)(at - p)};
		const char *colon = memchr(p, ':', to->user.n);
		if (colon)
			to->user.n = (size_t)(colon - p);
		p = at + 1;
	}
	to->hosts = (struct part){p, (size_t)(end - p)};
	if (*end == '/') {
		to->database = (struct part){end + 1, strcspn(end + 1, "?")};
		end = to->database.p + to->database.n;
	}
	if (*end == '?')
		to->query = (struct part){end + 1, strlen(end + 1)};
	return to->hosts.n ? ST_OK : no_url(err);
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

static enum status decode(struct part from, char **to, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	for (size_t i = 0; i < from.n; i++) {
		char c = from.p[i];

		if (c == '%') {
			int high = i + 2 < from.n ? hex_digit(from.p[i + 1]) : -1, low = i + 2 < from.n ? hex_digit(from.p[i + 2]) : -1;

			if (high < 0 || low < 0 || !(high | low)) {
				error_set(err, ST_CONFIG, "the URL of the server has a '%%' that is not followed by two hex digits");
				return error_hint(err, "Write the character itself as %%25.");
			}
			c = (char)(high << 4 | low);
			i += 2;
		}
		buf_putc(&b, c);
	}
	free(*to);
	*to = buf_detach(&b);
	return ST_OK;
}

static void put_encoded(struct buf *to, const char *text)
{
	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			buf_putc(to, *text);
		else
			buf_printf(to, "%%%02X", (unsigned char)*text);
}

/* ---- options ---- */

static enum status refuse(enum fate fate, const char *key, const char *instead, struct error *err)
{
	error_set(err, ST_CONFIG, "the URL of the server sets \"%s\", which drtool does not take from a URL", key);
	if (fate == WEAKENS)
		return error_hint(err, "Set tls to \"%s\" instead.", instead);
	return error_hint(err, "Set tls_cert to a file that holds the certificate and its key without a password, readable for drtool only.");
}

static enum status take_tls(struct mo_url *u, const char *key, const char *value, struct error *err)
{
	if (!strcasecmp(value, "true"))
		u->tls = TLS_VERIFY_FULL;
	else if (!strcasecmp(value, "false"))
		u->tls = TLS_OFF;
	else
		return error_set(err, ST_CONFIG, "the URL of the server: the value of \"%s\" is neither true nor false", key);
	return ST_OK;
}

/* `text` is what libmongoc gets: "key=value" as it was written. */
static enum status take_option(struct mo_url *u, struct part key, struct part value, struct buf *text, struct error *err)
{
	CLEANUP(cstr_release) char *name = xstrndup(key.p, key.n);
	size_t i = 0;

	while (i < ARRAY_LEN(options) && strcasecmp(options[i].key, name))
		i++;
	if (i == ARRAY_LEN(options))
		return error_set(err, ST_CONFIG, "the URL of the server sets \"%s\", which drtool does not know", name);
	CLEANUP(cstr_release) char *plain = NULL;
	if (decode(value, &plain, err))
		return err->code;
	switch (options[i].fate) {
	case KEEP:
		if (u->only && !strncmp(options[i].key, "srv", 3))
			return ST_OK;
		buf_printf(text, "&%s=%.*s", options[i].key, (int)value.n, value.p);
		return ST_OK;
	case DROP:
		return ST_OK;
	case TLS:
		return take_tls(u, name, plain, err);
	case TLS_FILE:
		free(u->ca);
		u->ca = xstrdup(plain);
		return ST_OK;
	case CERT_FILE:
		free(u->cert);
		u->cert = xstrdup(plain);
		return ST_OK;
	case WEAKENS:
	case SECRET:
		break;
	}
	return strcasecmp(plain, "false") ? refuse(options[i].fate, options[i].key, options[i].instead, err) : ST_OK;
}

static enum status take_query(struct mo_url *u, struct part query, struct buf *text, struct error *err)
{
	const char *p = query.p, *end = query.p + query.n;

	while (p < end) {
		const char *next = p;

		while (next < end && *next != '&' && *next != ';')
			next++;
		const char *eq = memchr(p, '=', (size_t)(next - p));

		if (next > p && !eq)
			return no_url(err);
		if (eq && take_option(u, (struct part){p, (size_t)(eq - p)}, (struct part){eq + 1, (size_t)(next - eq - 1)}, text, err))
			return err->code;
		p = next + 1;
	}
	return ST_OK;
}

/* ---- all of it ---- */

static void say_nothing(mongoc_log_level_t level UNUSED, const char *domain UNUSED, const char *message UNUSED, void *data UNUSED) {}

/* libmongoc counts what it does in shared memory, which a program that is killed leaves behind, and about which the next one with its number
 * complains. Nobody reads it: its name goes as soon as it is there. Versions 1 make it when they are loaded, later ones in mongoc_init. */
__attribute__((constructor)) static void drop_counters(void)
{
	char name[32];

	snprintf(name, sizeof name, "/mongoc-%d", (int)getpid());
	(void)shm_unlink(name);
}

/* Once, before anything else is asked of it. The library is never ended: a thread may still be in it when the program ends. */
static void begin_library(void)
{
	mongoc_log_set_handler(say_nothing, NULL);
	mongoc_init();
	drop_counters();
}

static unsigned count_hosts(struct part hosts)
{
	unsigned n = 1;

	for (size_t i = 0; i < hosts.n; i++)
		n += hosts.p[i] == ',';
	return n;
}

/* What goes to libmongoc. Its own TLS is off: the link has drtool's. */
static enum status write_text(const struct endpoint *e, const struct parts *in, struct mo_url *u, struct buf *text, struct error *err)
{
	const char *only = u->only;
	CLEANUP(cstr_release) char *user = NULL;

	if (in->user.n && decode(in->user, &user, err))
		return err->code;
	buf_puts(text, in->srv && !only ? "mongodb+srv://" : "mongodb://");
	if (e->user || user) {
		put_encoded(text, e->user ? e->user : user);
		buf_putc(text, '@');
	}
	if (only && *only == '/')
		put_encoded(text, only);
	else if (only)
		buf_puts(text, only);
	else
		buf_put(text, in->hosts.p, in->hosts.n);
	buf_printf(text, "/%.*s?retryReads=false&retryWrites=false&tls=false", (int)in->database.n, in->database.n ? in->database.p : "");
	return take_query(u, in->query, text, err);
}

enum status mo_url_login(struct run *run, const struct endpoint *e, const struct mo_url *u, struct error *err)
{
	CLEANUP(secret_text_release) char *password = NULL;
	const char *mechanism = mongoc_uri_get_auth_mechanism(u->uri);

	if (!mongoc_uri_get_username(u->uri) || (mechanism && !strcasecmp(mechanism, "MONGODB-X509")))
		return ST_OK;
	if (secret_read(run, e->password, &password, err))
		return err->code;
	if (!password) {
		error_set(err, ST_AUTH, "there is no password for the user %s", mongoc_uri_get_username(u->uri));
		return error_hint(err, "Set password_file or password_command of the source, or MONGODB_PASSWORD for a source given as URL. A target that is no source of the configuration has its password in its"
				  " URL.");
	}
	if (!mongoc_uri_set_password(u->uri, password))
		return error_set(err, ST_CONFIG, "the password is not valid UTF-8");
	return ST_OK;
}

static enum status check_login(const mongoc_uri_t *uri, struct error *err)
{
	const char *mechanism = mongoc_uri_get_auth_mechanism(uri);

	for (size_t i = 0; mechanism && i < ARRAY_LEN(logins); i++)
		if (!strcasecmp(mechanism, logins[i]))
			return ST_OK;
	if (!mechanism)
		return ST_OK;
	error_set(err, ST_CONFIG, "the URL of the server asks for the way of login %s, which drtool does not use", mechanism);
	return error_hint(err, "Use an account with SCRAM-SHA-256, SCRAM-SHA-1 or MONGODB-X509.");
}

static enum status settle(const struct endpoint *e, const struct parts *in, struct mo_url *u, struct error *err)
{
	if (e->tls != TLS_DEFAULT)
		u->tls = e->tls;
	/* What is found by DNS has TLS, says the form of the URL. */
	else if (in->srv && u->tls == TLS_DEFAULT)
		u->tls = TLS_VERIFY_FULL;
	if (e->tls_ca) {
		free(u->ca);
		u->ca = xstrdup(e->tls_ca);
	}
	if (mo_params(e)->tls_cert) {
		free(u->cert);
		u->cert = xstrdup(mo_params(e)->tls_cert);
	}
	u->timeout = mo_params(e)->connect_timeout;
	u->hosts = u->only ? 1 : count_hosts(in->hosts);
	return in->database.n ? decode(in->database, &u->database, err) : ST_OK;
}

/* A member that does not answer must not use up the time of the others, nor of those that are found through it. */
static struct duration time_of_each(const struct mo_url *u)
{
	bool alone = u->hosts == 1 && mongoc_uri_get_hosts(u->uri) && (u->only || !mongoc_uri_get_replica_set(u->uri));

	return alone ? u->timeout : (struct duration){(int64_t)min_u64((uint64_t)u->timeout.us / (u->hosts + 2), (uint64_t)MEMBER_WITHIN.us)};
}

static int32_t milliseconds(struct duration d) { return d.us < 1000 ? 1 : (int32_t)min_u64((uint64_t)d.us / 1000, INT32_MAX); }

static enum status parse(const char *text, struct mo_url *u, struct error *err)
{
	bson_error_t why = {0};

	u->uri = mongoc_uri_new_with_error(text, &why);
	if (!u->uri) {
		error_set(err, ST_CONFIG, "the URL of the server: %s", *why.message ? why.message : "it cannot be read");
		return error_hint(err, "%s", strncmp(text, "mongodb+srv:", 12)
			? "The host of a socket is its path with %2F for each /; several hosts are divided by commas."
			: "Behind mongodb+srv:// stands one name of at least three parts, without a port: mongodb+srv://USER@cluster0.example.net/DATABASE");
	}
	u->each = time_of_each(u);
	/* libmongoc has a limit of five minutes for an answer; a run has its own. */
	if (!mongoc_uri_has_option(u->uri, MONGOC_URI_SOCKETTIMEOUTMS))
		mongoc_uri_set_option_as_int32(u->uri, MONGOC_URI_SOCKETTIMEOUTMS, INT32_MAX);
	mongoc_uri_set_option_as_int32(u->uri, MONGOC_URI_CONNECTTIMEOUTMS, milliseconds(u->each));
	mongoc_uri_set_option_as_int32(u->uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, milliseconds(u->timeout));
	mongoc_uri_set_appname(u->uri, "drtool");
	return check_login(u->uri, err);
}

enum status mo_url_read(const struct endpoint *e, const char *only, struct mo_url *u, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct parts in;

	pthread_once(&once, begin_library);
	*u = (struct mo_url){.only = only};
	if (split(e->url, &in, err) || write_text(e, &in, u, &text, err) || settle(e, &in, u, err) || parse(buf_str(&text), u, err))
		return err->code;
	/* One of several behind a balancer of load cannot be told apart. */
	if (u->only && !mongoc_uri_get_option_as_bool(u->uri, MONGOC_URI_LOADBALANCED, false))
		mongoc_uri_set_option_as_bool(u->uri, MONGOC_URI_DIRECTCONNECTION, true);
	return ST_OK;
}

void mo_url_as_found(struct mo_url *u, const mongoc_uri_t *found)
{
	if (mongoc_uri_get_username(u->uri))
		mongoc_uri_set_auth_source(u->uri, mongoc_uri_get_auth_source(found));
	if (mongoc_uri_get_option_as_bool(found, MONGOC_URI_LOADBALANCED, false)) {
		mongoc_uri_set_option_as_bool(u->uri, MONGOC_URI_DIRECTCONNECTION, false);
		mongoc_uri_set_option_as_bool(u->uri, MONGOC_URI_LOADBALANCED, true);
	}
}

enum status mo_conn_url_database(const struct endpoint *e, char **database, struct error *err)
{
	CLEANUP(mo_url_release) struct mo_url u = MO_URL_INIT;

	*database = NULL;
	if (mo_url_read(e, NULL, &u, err))
		return err->code;
	*database = u.database;
	u.database = NULL;
	return ST_OK;
}
