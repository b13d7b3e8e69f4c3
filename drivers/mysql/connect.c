#include "drivers/mysql/conn_internal.h"

#include <pthread.h>

/* Methods of login that never send the password, or only encrypted: a server may ask for any that is not left out here, and libmariadb
 * would send the password as it is for mysql_clear_password and dialog. */
#define LOGINS "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,auth_gssapi_client,parsec"

enum { OLDEST_MARIADB = 100500, OLDEST_MYSQL = 50700 };

/* Once, before the first connection. The library is never ended: a thread may still be in it when the program ends. */
static void begin_library(void)
{
	static const char *const environment[] = {"MYSQL_PWD",         "MYSQL_TCP_PORT",   "MYSQL_UNIX_PORT",
						  "MARIADB_UNIX_PORT", "LIBMYSQL_PLUGINS", "MARIADB_TLS_DISABLE_PEER_VERIFICATION"};

	for (size_t i = 0; i < ARRAY_LEN(environment); i++)
		unsetenv(environment[i]);
	if (mysql_library_init(0, NULL, NULL))
		die("libmariadb cannot be used");
}

static enum status set_options(struct my_conn *c, const struct my_connect_params *p, bool local, struct error *err)
{
	const unsigned protocol = p->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP, infile = local;
	/* No limits, since my_io_wait is what waits: after this time a read under TLS, which blocks while the session is made, asks it. */
	const unsigned slice = 1;
	const my_bool reconnect = 0;
	const size_t packet = (size_t)1 << 30;
	MYSQL *my = c->my;

	if (mysql_optionsv(my, MARIADB_OPT_IO_WAIT, my_io_wait) || mysql_optionsv(my, MARIADB_OPT_RESTRICTED_AUTH, LOGINS) ||
	    mysql_optionsv(my, MYSQL_OPT_PROTOCOL, &protocol) || mysql_optionsv(my, MYSQL_OPT_LOCAL_INFILE, &infile) ||
	    mysql_optionsv(my, MYSQL_OPT_RECONNECT, &reconnect) || mysql_optionsv(my, MYSQL_OPT_CONNECT_TIMEOUT, &slice) ||
	    mysql_optionsv(my, MYSQL_OPT_READ_TIMEOUT, &slice) || mysql_optionsv(my, MYSQL_OPT_WRITE_TIMEOUT, &slice) ||
	    mysql_optionsv(my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet) || mysql_optionsv(my, MYSQL_SET_CHARSET_NAME, "utf8mb4") ||
	    mysql_optionsv(my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "drtool"))
		return error_set(err, ST_FAILED, "libmariadb refuses an option of a connection");
	my_feed_none(c);
	return ST_OK;
}

static enum status describe(struct my_conn *c, struct error *err)
{
	c->version_text = xstrdup(mysql_get_server_info(c->my));
	c->version = (int)mysql_get_server_version(c->my);
	c->mariadb = mariadb_connection(c->my);
	c->id = mysql_thread_id(c->my);
	if (c->version >= (c->mariadb ? OLDEST_MARIADB : OLDEST_MYSQL))
		return ST_OK;
	return error_set(err, ST_UNSUPPORTED, "%s at %s has version %s; drtool works with MariaDB 10.5, MySQL 5.7, and later ones",
			 my_product(c), c->where, c->version_text);
}

static enum status refused(struct run *run, struct my_call *k, const struct my_connect_params *p, struct error *err)
{
	CLEANUP(error_release) struct error own = ERROR_INIT;
	struct my_conn *c = k->c;

	if (!k->why.code) {
		my_connect_error(k, err);
		return err->code;
	}
	bool late = k->why.code == ST_DEADLINE && !run_check(run, &own);
	error_move(err, &k->why);
	if (!late)
		return error_add(err, "%s at %s", my_product(c), c->where);
	error_set(err, ST_UNREACHABLE, "%s at %s did not answer within %" PRId64 " s", my_product(c), c->where, p->timeout.us / 1000000);
	err->retry = true;
	return err->code;
}

static enum status open_with(struct run *run, struct my_conn *c, const struct my_connect_params *p, const char *database, bool local,
			     struct error *err)
{
	CLEANUP(secret_text_release) char *password = NULL;
	CLEANUP(my_call_end) struct my_call k;
	struct run bounded = run_within(run, p->timeout);
	bool encrypted = false;

	my_call_begin(&k, &bounded, c);
	if (secret_read(run, c->e->password, &password, err))
		return err->code;
	if (!(c->my = mysql_init(NULL)))
		return error_set(err, ST_MEMORY, "no memory for a connection");
	if (set_options(c, p, local, err))
		return err->code;
	if (my_tls_options(&bounded, c, p, &encrypted, err)) {
		if (err->code == ST_DEADLINE)
			error_move(&k.why, err);
		return k.why.code ? refused(run, &k, p, err) : error_add(err, "%s at %s", my_product(c), c->where);
	}
	/* An empty password, not none: for none libmariadb would look into the environment. */
	if (!mysql_real_connect(c->my, p->socket ? "localhost" : p->host, p->user, password ? password : "", database, p->port, p->socket,
				CLIENT_REMEMBER_OPTIONS))
		return refused(run, &k, p, err);
	if (my_conn_ready(c, err) || describe(c, err))
		return err->code;
	if (encrypted && !mysql_get_ssl_cipher(c->my))
		return error_set(err, ST_TLS, "%s at %s: the session is not encrypted", my_product(c), c->where);
	/* A server may be told to overlook what a client asks for when it logs in. */
	return my_conn_command(&bounded, c, "SET NAMES utf8mb4", err);
}

static enum status open_once(struct run *run, const struct endpoint *e, const struct my_connect_params *p, const char *database, bool local,
			     bool again, struct my_conn **to, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = xcalloc(1, sizeof *c);

	c->e = e;
	c->loopback = p->loopback;
	c->where = p->socket ? xstrdup(p->socket) : xasprintf(strchr(p->host, ':') ? "[%s]:%u" : "%s:%u", p->host, p->port);
	if (!open_with(run, c, p, database, local, err)) {
		*to = c;
		c = NULL;
		return ST_OK;
	}
	if (err->code != ST_TLS)
		return err->code;
	/* Behind the same name there may be another server now, or a new certificate. */
	if (my_tls_forget(c, p) && again) {
		error_release(err);
		return open_once(run, e, p, database, local, false, to, err);
	}
	return my_tls_hint(run, p, err);
}

enum status my_conn_open(struct run *run, const struct endpoint *e, const char *database, bool local, struct my_conn **c, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CLEANUP(my_connect_params_release) struct my_connect_params p = MY_CONNECT_PARAMS_INIT;

	*c = NULL;
	pthread_once(&once, begin_library);
	return my_connect_params_fill(e, &p, err) ? err->code : open_once(run, e, &p, database, local, true, c, err);
}
