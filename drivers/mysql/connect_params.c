#include "drivers/mysql/conn_internal.h"

#include <pwd.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/url.h"
#include "util/fs.h"

/* Where distributions put the socket; for a URL without a host. */
static const char *const sockets[] = {"/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock",
				      "/tmp/mysql.sock"};

/* As MySQL's own clients write it in URLs. */
static const struct {
	const char *word;
	enum tls_mode tls;
} ssl_mode[] = {
	{"disabled", TLS_OFF},          {"preferred", TLS_PREFER},        {"required", TLS_REQUIRE}, {"verify_ca", TLS_VERIFY_CA},
	{"verify_identity", TLS_VERIFY_FULL}, {"verify-ca", TLS_VERIFY_CA}, {"verify-full", TLS_VERIFY_FULL},
};

void my_connect_params_release(struct my_connect_params *p)
{
	free(p->host);
	free(p->socket);
	free(p->user);
	free(p->database);
	free(p->ca);
	*p = (struct my_connect_params)MY_CONNECT_PARAMS_INIT;
}

static enum status wrong(struct error *err, const char *key)
{
	return error_set(err, ST_CONFIG, "the URL of the server: the value of \"%s\" is not one that can be used", key);
}

static enum status take_param(const char *key, const char *value, struct my_connect_params *p, struct error *err)
{
	if (!strcmp(key, "socket")) {
		free(p->socket);
		p->socket = xstrdup(value);
	} else if (!strcmp(key, "connect_timeout")) {
		long seconds = strtol(value, NULL, 10);

		if (seconds < 1 || seconds > 86400)
			return wrong(err, key);
		p->timeout = DURATION_SECONDS(seconds);
	} else if (!strcmp(key, "ssl-mode") || !strcmp(key, "sslmode")) {
		for (size_t i = 0; i < ARRAY_LEN(ssl_mode); i++)
			if (!strcasecmp(value, ssl_mode[i].word))
				p->tls = ssl_mode[i].tls;
		if (p->tls == TLS_DEFAULT)
			return wrong(err, key);
	} else if (!strcmp(key, "ssl-ca")) {
		free(p->ca);
		p->ca = xstrdup(value);
	} else {
		error_set(err, ST_CONFIG, "the URL of the server sets \"%s\", which drtool does not know", key);
		return error_hint(err, "It may hold socket=PATH, connect_timeout=SECONDS, ssl-mode=MODE and ssl-ca=FILE.");
	}
	return ST_OK;
}

static enum status take_url(const struct endpoint *e, struct my_connect_params *p, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;

	if (url_parse(e->url, &u, err))
		return err->code;
	for (size_t i = 0; i < u.params; i++)
		if (take_param(u.param[i].key, u.param[i].value, p, err))
			return err->code;
	p->port = u.port;
	if (u.host && *u.host == '/' && !p->socket)
		p->socket = xstrdup(u.host);
	else if (u.host && *u.host != '/' && !p->socket)
		p->host = xstrdup(u.host);
	if (u.user)
		p->user = xstrdup(u.user);
	if (u.path && *u.path)
		p->database = xstrdup(u.path);
	return ST_OK;
}

/* The account's name on this system, as MySQL's own clients do. */
static char *login_name(void)
{
	char room[4096];
	struct passwd pw, *found = NULL;

	return getpwuid_r(geteuid(), &pw, room, sizeof room, &found) || !found ? xstrdup("root") : xstrdup(found->pw_name);
}

static enum status set_socket(struct my_connect_params *p, struct error *err)
{
	for (size_t i = 0; !p->socket && i < ARRAY_LEN(sockets); i++)
		if (fs_exists(sockets[i]))
			p->socket = xstrdup(sockets[i]);
	if (!p->socket)
		p->socket = xstrdup(sockets[0]);
	if (strlen(p->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_set(err, ST_CONFIG, "the path of the socket is too long: %s", p->socket);
	return ST_OK;
}

enum status my_connect_params_fill(const struct endpoint *e, struct my_connect_params *p, struct error *err)
{
	p->timeout = my_params(e)->connect_timeout;
	if (take_url(e, p, err) || (!p->host && set_socket(p, err)))
		return err->code;
	p->loopback = !p->host || !strcmp(p->host, "localhost") || !strncmp(p->host, "127.", 4) || !strcmp(p->host, "::1");
	if (e->user) {
		free(p->user);
		p->user = xstrdup(e->user);
	}
	if (!p->user)
		p->user = login_name();
	if (e->tls != TLS_DEFAULT)
		p->tls = e->tls;
	else if (p->tls == TLS_DEFAULT && my_params(e)->tls_fingerprint)
		p->tls = TLS_REQUIRE;
	else if (p->tls == TLS_DEFAULT)
		p->tls = p->loopback ? TLS_PREFER : TLS_VERIFY_FULL;
	if (e->tls_ca) {
		free(p->ca);
		p->ca = xstrdup(e->tls_ca);
	}
	return ST_OK;
}

enum status my_conn_url_database(const struct endpoint *e, char **database, struct error *err)
{
	CLEANUP(my_connect_params_release) struct my_connect_params p = MY_CONNECT_PARAMS_INIT;

	*database = NULL;
	if (take_url(e, &p, err))
		return err->code;
	*database = p.database;
	p.database = NULL;
	return ST_OK;
}
