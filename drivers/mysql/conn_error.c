#include "drivers/mysql/conn_internal.h"

#include <errmsg.h>

#include "drivers/socket.h"

#define GRANTS "`drtool config grants` prints what the backup user needs."
#define LOGIN "Check user and password; a password may also come from password_file or password_command."
#define SOCKET_LOGIN                                                                                                        \
	"This account logs in by the name of the system's user over the server's socket: mysql://USER@/DATABASE?socket=PATH. Or give it a "   \
	"password."
#define FULL "Lower --jobs, or raise max_connections of the server."
#define AGAIN "Another session held a lock that conflicts, such as that of ALTER TABLE, for longer than lock_timeout: run again later."
#define TABLE_DAMAGED "The server found a damaged table: CHECK TABLE and its log say more."

/* Numbers that mean more than "the server reported an error". */
static const struct {
	unsigned number;
	enum status code;
	bool retry;
	const char *hint;
} meaning[] = {
	{1045, ST_AUTH, false, LOGIN},
	{1698, ST_AUTH, false, SOCKET_LOGIN},
	{1130, ST_AUTH, false, "The account must be allowed to log in from this host: 'USER'@'HOST' in CREATE USER."},
	{1251, ST_AUTH, false, NULL},
	{1524, ST_AUTH, false, NULL},
	{1820, ST_AUTH, false, "The password has expired: ALTER USER sets a new one."},
	{1862, ST_AUTH, false, "The password has expired: ALTER USER sets a new one."},
	{3118, ST_AUTH, false, "The account is locked: ALTER USER ... ACCOUNT UNLOCK."},
	{4151, ST_AUTH, false, "The account is locked: ALTER USER ... ACCOUNT UNLOCK."},
	{CR_AUTH_PLUGIN_CANNOT_LOAD, ST_AUTH, false,
	 "Install the plugin of libmariadb that the account's way of login needs: on Debian those of MariaDB and MySQL come with libmariadb3. "
	 "MARIADB_PLUGIN_DIR names another folder. Or change the account to another way."},
	{CR_PLUGIN_NOT_ALLOWED, ST_AUTH, false,
	 "The server asks for a way of login that drtool does not use, such as sending the password as it is. Look whether this is the right "
	 "server, and change the account to mysql_native_password, ed25519 or caching_sha2_password."},
	{CR_AUTH_PLUGIN_ERR, ST_AUTH, false, NULL},
	{1044, ST_DENIED, false, GRANTS},
	{1142, ST_DENIED, false, GRANTS},
	{1143, ST_DENIED, false, GRANTS},
	{1227, ST_DENIED, false, GRANTS},
	{1370, ST_DENIED, false, GRANTS},
	{1419, ST_DENIED, false, "Set log_bin_trust_function_creators=1 on the server, or use an account with SUPER."},
	{1290, ST_DENIED, false, NULL},
	{1792, ST_DENIED, false, NULL},
	{1836, ST_DENIED, false, NULL},
	{1049, ST_NOT_FOUND, false, NULL},
	{1021, ST_NO_SPACE, false, NULL},
	{1114, ST_NO_SPACE, false, NULL},
	{1040, ST_UNREACHABLE, true, FULL},
	{1203, ST_UNREACHABLE, true, FULL},
	{1226, ST_UNREACHABLE, true, "The account has reached a limit of its own: MAX_USER_CONNECTIONS or another of ALTER USER ... WITH."},
	{1129, ST_UNREACHABLE, false, "The server has locked this host out after too many broken connections: FLUSH HOSTS lets it in again."},
	{1053, ST_UNREACHABLE, true, NULL},
	{1079, ST_UNREACHABLE, true, NULL},
	{1927, ST_UNREACHABLE, true, NULL},
	{3169, ST_UNREACHABLE, true, NULL},
	{4031, ST_UNREACHABLE, true, NULL},
	{1153, ST_SERVER, false, "Raise max_allowed_packet of the server."},
	{MY_LOCK_TIMEOUT, ST_SERVER, true, AGAIN},
	{1213, ST_SERVER, true, NULL},
	{1317, ST_SERVER, true, NULL},
	{1969, ST_SERVER, true, NULL},
	{3024, ST_SERVER, true, NULL},
	{1412, ST_SERVER, true, "A table was changed by DDL while it was read: run again when no migration is under way."},
	{1037, ST_SERVER, true, "The server is out of memory."},
	{1038, ST_SERVER, true, "The server is out of memory."},
	{1041, ST_SERVER, true, "The server is out of memory."},
	{126, ST_SERVER, false, TABLE_DAMAGED},
	{127, ST_SERVER, false, TABLE_DAMAGED},
	{144, ST_SERVER, false, TABLE_DAMAGED},
	{145, ST_SERVER, false, TABLE_DAMAGED},
	{1034, ST_SERVER, false, TABLE_DAMAGED},
	{1035, ST_SERVER, false, TABLE_DAMAGED},
	{1194, ST_SERVER, false, TABLE_DAMAGED},
	{1195, ST_SERVER, false, TABLE_DAMAGED},
	{1712, ST_SERVER, false, TABLE_DAMAGED},
	{1932, ST_SERVER, false, TABLE_DAMAGED},
	{1148, ST_UNSUPPORTED, false, "The server forbids LOAD DATA LOCAL: set local_infile=1 there."},
	{3948, ST_UNSUPPORTED, false, "The server forbids LOAD DATA LOCAL: set local_infile=1 there."},
	{4166, ST_UNSUPPORTED, false, "The server forbids LOAD DATA LOCAL: set local_infile=1 there."},
	{1235, ST_UNSUPPORTED, false, NULL},
	{CR_OUT_OF_MEMORY, ST_MEMORY, false, NULL},
	{CR_SSL_CONNECTION_ERROR, ST_TLS, false, NULL},
	{CR_VERSION_ERROR, ST_UNSUPPORTED, false, NULL},
	{CR_CANT_READ_CHARSET, ST_UNSUPPORTED, false, NULL},
	{CR_SECURE_AUTH, ST_UNSUPPORTED, false, NULL},
	{CR_NET_PACKET_TOO_LARGE, ST_UNSUPPORTED, false, "A row or a statement is larger than 1 GiB."},
};

bool my_number_of_client(unsigned number)
{
	return (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) || (number >= CER_MIN_ERROR && number <= CER_MAX_ERROR);
}

static int find_meaning(unsigned number)
{
	for (size_t i = 0; i < ARRAY_LEN(meaning); i++)
		if (meaning[i].number == number)
			return (int)i;
	return -1;
}

enum status my_number_status(unsigned number)
{
	int i = find_meaning(number);

	return i >= 0 ? meaning[i].code : my_number_of_client(number) ? ST_UNREACHABLE : ST_SERVER;
}

bool my_number_retry(unsigned number)
{
	int i = find_meaning(number);

	return i >= 0 ? meaning[i].retry : my_number_of_client(number);
}

const char *my_product(const struct my_conn *c) { return !c->version_text ? "the server" : c->mariadb ? "MariaDB" : "MySQL"; }

/* One line; what is said of an account's password goes no further. */
static void put_line(struct buf *to, const char *text)
{
	const char *secret = strcasestr(text, "IDENTIFIED ");

	for (; *text && text != secret; text++)
		buf_putc(to, (unsigned char)*text < 0x20 ? ' ' : *text);
	if (secret)
		buf_puts(to, "IDENTIFIED ...");
}

static enum status finish(struct error *err, unsigned number)
{
	int i = find_meaning(number);
	char native[16];

	snprintf(native, sizeof native, "%u", number);
	error_native(err, native);
	err->retry = my_number_retry(number);
	if (i >= 0 && meaning[i].hint)
		error_hint(err, "%s", meaning[i].hint);
	return err->code;
}

/* libmariadb calls a plugin that it does not find a login that the server refused. */
static unsigned number_of(MYSQL *my)
{
	unsigned number = mysql_errno(my);

	return number == 1045 && !strncmp(mysql_error(my), "Plugin ", 7) ? CR_AUTH_PLUGIN_CANNOT_LOAD : number;
}

enum status my_conn_error(const struct my_conn *c, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;
	unsigned number = number_of(c->my);

	put_line(&line, mysql_error(c->my));
	error_set(err, my_number_status(number), "%s at %s: %s", my_product(c), c->where, line.len ? buf_str(&line) : "the connection was lost");
	return finish(err, number);
}

#define CHECK_ADDRESS "Check host and port, or the path of the socket, that the server runs, and that it listens there."

enum status my_number_error(unsigned number, const char *text, struct error *err)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT;

	put_line(&line, text);
	error_set(err, my_number_status(number), "%s", buf_str(&line));
	return finish(err, number);
}

/* "... (2)" of a socket. */
static int errno_at_end(const char *text)
{
	const char *open = strrchr(text, '(');

	return open ? (int)strtol(open + 1, NULL, 10) : 0;
}

enum status my_connect_error(const struct my_call *k, struct error *err)
{
	const struct my_conn *c = k->c;
	unsigned number = mysql_errno(c->my);
	int problem = k->connect_errno ? k->connect_errno : number == CR_CONNECTION_ERROR ? errno_at_end(mysql_error(c->my)) : 0;

	if (number == CR_CONNECTION_ERROR && problem > 0) {
		socket_unreachable(problem, err);
		finish(err, number);
		return error_add(err, "%s at %s", my_product(c), c->where);
	}
	my_conn_error(c, err);
	if (err->code == ST_UNREACHABLE && !err->hint)
		error_hint(err, number == CR_UNKNOWN_HOST ? "Check the name of the host." : CHECK_ADDRESS);
	return err->code;
}
