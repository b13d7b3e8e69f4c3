#include "drivers/postgres/conn_internal.h"

#include <pthread.h>

#include "util/fs.h"

/* A path that can never exist: libpq then has no such file, and does not fall back to one in the home folder. */
#define NO_FILE "/dev/null/none"

static const char *const tls_word[] = {
	[TLS_OFF] = "disable",         [TLS_PREFER] = "prefer",           [TLS_REQUIRE] = "require",
	[TLS_VERIFY_CA] = "verify-ca", [TLS_VERIFY_FULL] = "verify-full",
};

/* What a source's URL may say beside host, user and database. */
static const char *const url_keywords[] = {"host",
					   "hostaddr",
					   "port",
					   "user",
					   "dbname",
					   "sslmode",
					   "sslrootcert",
					   "sslcert",
					   "sslkey",
					   "sslnegotiation",
					   "ssl_min_protocol_version",
					   "channel_binding",
					   "connect_timeout",
					   "target_session_attrs",
					   "application_name",
					   "options"};

/* libpq 15 knows no "system"; the bundle lies where the distribution puts it. */
static const char *const ca_bundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					 "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem",
					 "/etc/ssl/cert.pem"};

void connect_params_set(struct connect_params *p, const char *keyword, const char *value)
{
	char *copy = xstrdup(value); /* before the old one goes: it may be the same */
	int i = 0;

	while (i < p->n && strcmp(p->keyword[i], keyword))
		i++;
	if (i == (int)ARRAY_LEN(p->keyword) - 1)
		die("too many connection parameters");
	if (p->value[i])
		secure_zero(p->value[i], strlen(p->value[i]));
	free(p->value[i]);
	p->value[i] = copy;
	p->keyword[i] = keyword;
	if (i == p->n)
		p->n++;
}

const char *connect_params_get(const struct connect_params *p, const char *keyword)
{
	for (int i = 0; i < p->n; i++)
		if (!strcmp(p->keyword[i], keyword))
			return p->value[i];
	return NULL;
}

void connect_params_release(struct connect_params *p)
{
	for (int i = 0; i < p->n; i++) {
		secure_zero(p->value[i], strlen(p->value[i]));
		free(p->value[i]);
	}
	*p = (struct connect_params)CONNECT_PARAMS_INIT;
}

/* libpq would complete what is not given from these, and no parameter stands for "no service". Once, before the first connection.
 */
static void forget_environment(void)
{
	static const char *const more[] = {"PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL",    "PGDATESTYLE",
					   "PGTZ",          "PGGEQO",       "PGCLIENTENCODING"};
	PQconninfoOption *all = PQconndefaults();

	for (PQconninfoOption *o = all; o && o->keyword; o++)
		if (o->envvar)
			unsetenv(o->envvar);
	PQconninfoFree(all);
	unsetenv("PGSERVICE");
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		unsetenv(more[i]);
}

static void parsed_free(PQconninfoOption **o)
{
	PQconninfoFree(*o);
	*o = NULL;
}

static const char *allowed(const char *keyword)
{
	for (size_t i = 0; i < ARRAY_LEN(url_keywords); i++)
		if (!strcmp(url_keywords[i], keyword))
			return url_keywords[i];
	return NULL;
}

static enum status take_url(const struct endpoint *e, struct connect_params *p, struct error *err)
{
	char *why = NULL;
	CLEANUP(parsed_free) PQconninfoOption *all = PQconninfoParse(e->url, &why);

	if (!all) {
		CLEANUP(cstr_release) char *text = xstrdup(why ? why : "no reason given");
		size_t n = strlen(text);

		PQfreemem(why);
		while (n && text[n - 1] == '\n')
			text[--n] = 0;
		return error_set(err, ST_CONFIG, "the URL of the PostgreSQL server cannot be used: %s", text);
	}
	for (PQconninfoOption *o = all; o->keyword; o++) {
		const char *keyword = allowed(o->keyword);

		if (!o->val || !*o->val)
			continue;
		if (keyword)
			connect_params_set(p, keyword, o->val);
		else if (strcmp(o->keyword, "password"))
			return error_set(err, ST_CONFIG,
					 "the URL of the PostgreSQL server sets \"%s\", which drtool does not pass on", o->keyword);
	}
	return ST_OK;
}

static bool is_loopback(const struct connect_params *p)
{
	const char *host = connect_params_get(p, "hostaddr");

	if (!host)
		host = connect_params_get(p, "host");
	return !host || *host == '/' || *host == '@' || !strcmp(host, "localhost") || !strncmp(host, "127.", 4) ||
	       !strcmp(host, "::1");
}

static enum status set_tls(const struct endpoint *e, struct connect_params *p, struct error *err)
{
	const struct pg_params *own = pg_params(e);
	const char *ca = e->tls_ca ? e->tls_ca : connect_params_get(p, "sslrootcert");

	if (e->tls != TLS_DEFAULT)
		connect_params_set(p, "sslmode", tls_word[e->tls]);
	else if (!connect_params_get(p, "sslmode"))
		connect_params_set(p, "sslmode", tls_word[p->loopback ? TLS_PREFER : TLS_VERIFY_FULL]);
	p->verifies = !strncmp(connect_params_get(p, "sslmode"), "verify-", 7);
	for (size_t i = 0; p->verifies && (!ca || !strcmp(ca, "system")) && i < ARRAY_LEN(ca_bundles); i++)
		if (fs_exists(ca_bundles[i]))
			ca = ca_bundles[i];
	if (p->verifies && (!ca || !strcmp(ca, "system"))) {
		error_set(err, ST_TLS,
			  "no certificates of authorities are on this system, so that of the server cannot be checked");
		return error_hint(err, "Install the package ca-certificates, or set tls_ca to the file of the authority's "
				       "certificate.");
	}
	connect_params_set(p, "sslrootcert", ca && strcmp(ca, "system") ? ca : NO_FILE);
	connect_params_set(p, "sslcrl", NO_FILE);
	if (own->tls_cert)
		connect_params_set(p, "sslcert", own->tls_cert);
	else if (!connect_params_get(p, "sslcert"))
		connect_params_set(p, "sslcert", NO_FILE);
	if (own->tls_key)
		connect_params_set(p, "sslkey", own->tls_key);
	else if (!connect_params_get(p, "sslkey"))
		connect_params_set(p, "sslkey", NO_FILE);
	return ST_OK;
}

enum status connect_params_fill(const struct endpoint *e, struct connect_params *p, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const char *const fixed[][2] = {
		{"passfile", NO_FILE}, {"gssencmode", "disable"}, {"keepalives", "1"}, {"keepalives_idle", "30"},
		{"keepalives_interval", "10"}, {"keepalives_count", "6"}, {"client_encoding", "UTF8"},
	};

	pthread_once(&once, forget_environment);
	if (take_url(e, p, err))
		return err->code;
	p->loopback = is_loopback(p);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		connect_params_set(p, fixed[i][0], fixed[i][1]);
	if (!connect_params_get(p, "application_name"))
		connect_params_set(p, "application_name", "drtool");
	if (e->user)
		connect_params_set(p, "user", e->user);
	return set_tls(e, p, err);
}

enum status conn_url_database(const struct endpoint *e, char **database, struct error *err)
{
	CLEANUP(connect_params_release) struct connect_params p = CONNECT_PARAMS_INIT;

	*database = NULL;
	if (take_url(e, &p, err))
		return err->code;
	const char *name = connect_params_get(&p, "dbname");
	if (name)
		*database = xstrdup(name);
	return ST_OK;
}

/* One field of a password file. */
static void put_pass_field(struct buf *to, const char *text)
{
	for (; *text; text++) {
		if (*text == ':' || *text == '\\')
			buf_putc(to, '\\');
		buf_putc(to, *text);
	}
}

static enum status write_passfile(struct run *run, const struct endpoint *e, const char *path, struct error *err)
{
	CLEANUP(secret_text_release) char *password = NULL;

	if (secret_read(run, e->password, &password, err))
		return err->code;
	if (!password)
		return ST_OK;
	struct buf line = BUF_INIT;
	buf_puts(&line, "*:*:*:*:");
	put_pass_field(&line, password);
	buf_putc(&line, '\n');
	enum status st = fs_write_file(path, 0600, line.data, line.len, err);
	secure_zero(line.data, line.len);
	buf_release(&line);
	return st;
}

enum status conn_client_env(struct run *run, const struct endpoint *e, const char *passfile, struct strlist *env, struct error *err)
{
	static const char *const variable[][2] = {
		{"host", "PGHOST"}, {"hostaddr", "PGHOSTADDR"}, {"port", "PGPORT"}, {"user", "PGUSER"}, {"sslmode", "PGSSLMODE"},
		{"sslrootcert", "PGSSLROOTCERT"}, {"sslcrl", "PGSSLCRL"}, {"sslcert", "PGSSLCERT"}, {"sslkey", "PGSSLKEY"},
		{"gssencmode", "PGGSSENCMODE"}, {"application_name", "PGAPPNAME"}, {"options", "PGOPTIONS"},
		{"target_session_attrs", "PGTARGETSESSIONATTRS"}, {"channel_binding", "PGCHANNELBINDING"},
		{"ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"},
	};
	CLEANUP(connect_params_release) struct connect_params p = CONNECT_PARAMS_INIT;

	if (connect_params_fill(e, &p, err) || write_passfile(run, e, passfile, err))
		return err->code;
	for (size_t i = 0; i < ARRAY_LEN(variable); i++) {
		const char *value = connect_params_get(&p, variable[i][0]);

		if (value)
			strlist_take(env, xasprintf("%s=%s", variable[i][1], value));
	}
	strlist_take(env, xasprintf("PGPASSFILE=%s", fs_exists(passfile) ? passfile : NO_FILE));
	strlist_take(env,
		     xasprintf("PGCONNECT_TIMEOUT=%" PRIu64, max_u64(1, (uint64_t)pg_params(e)->connect_timeout.us / 1000000)));
	return ST_OK;
}
