/* The driver of MariaDB and MySQL as the core sees it: its settings and its table of functions. */
#include "drivers/mysql/params.h"

#include "drivers/mysql/mydriver.h"

#define AT(field) offsetof(struct my_params, field)
#define COMMANDS (CMD_BACKUP | CMD_RESTORE | CMD_VERIFY | CMD_CONFIG)

/* In the order of enum my_replicas. */
static const char *const replicas_names[] = {"refuse", "follow", "rebuild", NULL};

static const struct setting settings[] = {
	{.scope = SCOPE_SOURCE, .key = "split_above", .flag = "split-above", .type = SET_SIZE, .def = "256MiB", .commands = CMD_BACKUP | CMD_VERIFY,
	 .arg = "SIZE", .help = "read a table in ranges of its primary key when it is larger", .offset = AT(split_above)},
	{.scope = SCOPE_SOURCE, .key = "lock_timeout", .flag = "lock-timeout", .type = SET_DURATION, .def = "60s", .commands = COMMANDS, .arg = "TIME",
	 .help = "give up when a table stays locked by somebody else for so long; no writer is blocked longer either", .offset = AT(lock_timeout)},
	{.scope = SCOPE_SOURCE, .key = "lock_ddl", .flag = "lock-ddl", .type = SET_BOOL, .commands = CMD_BACKUP,
	 .help = "MySQL: changes of tables, routines and accounts wait until the backup has ended (LOCK INSTANCE FOR BACKUP)", .offset = AT(lock_ddl)},
	{.scope = SCOPE_SOURCE, .key = "replicas", .flag = "replicas", .type = SET_CHOICE, .def = "refuse", .choices = replicas_names,
	 .commands = CMD_RESTORE | CMD_EXCHANGE, .arg = "WAY", .help = "target with replicas: refuse, follow (by the binlog), rebuild (without it)",
	 .offset = AT(replicas)},
	{.scope = SCOPE_SOURCE, .key = "connect_timeout", .type = SET_DURATION, .def = "30s", .arg = "TIME",
	 .help = "give up when a connection is not made within this time", .offset = AT(connect_timeout)},
	{.scope = SCOPE_SOURCE, .key = "tls_cert", .type = SET_STRING, .arg = "FILE", .help = "certificate that drtool shows to the server",
	 .offset = AT(tls_cert)},
	{.scope = SCOPE_SOURCE, .key = "tls_key", .type = SET_STRING, .arg = "FILE", .help = "private key of tls_cert", .offset = AT(tls_key)},
	{.scope = SCOPE_SOURCE, .key = "tls_fingerprint", .type = SET_STRING, .arg = "HEX",
	 .help = "fingerprint of the server's own certificate, which is trusted instead of its authority", .offset = AT(tls_fingerprint)},
	{.scope = SCOPE_SOURCE, .key = "history", .flag = "history", .type = SET_BOOL, .commands = CMD_BACKUP,
	 .help = "MariaDB 10.11 and later: also take the history of system-versioned tables", .offset = AT(history)},
	{.scope = SCOPE_SOURCE, .key = "definers", .flag = "definers", .type = SET_LIST, .commands = CMD_RESTORE, .arg = "HOW",
	 .help = "definers of views, routines, triggers, events: keep, strip (who restores), or OLD=NEW, repeatable (keep)", .offset = AT(definers)},
	SETTING_END,
};

static const char *const schemes[] = {"mysql", "mariadb", NULL};

static const char grants[] =
	"-- MariaDB 10.5 and later:\n"
	"CREATE USER drtool_backup@'%' IDENTIFIED BY 'choose one';\n"
	"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, SLAVE MONITOR, BINLOG MONITOR ON *.* TO drtool_backup@'%';\n"
	"-- So that no ALTER TABLE has to wait for the end of a backup:\n"
	"GRANT BINLOG ADMIN ON *.* TO drtool_backup@'%';\n"
	"-- Only where the binlog is off, to hold writers back for the moment in which a backup begins:\n"
	"GRANT RELOAD ON *.* TO drtool_backup@'%';\n"
	"\n"
	"-- MySQL 8.0 and later:\n"
	"CREATE USER drtool_backup@'%' IDENTIFIED BY 'choose one';\n"
	"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, REPLICATION CLIENT ON *.* TO drtool_backup@'%';\n"
	"GRANT BACKUP_ADMIN ON *.* TO drtool_backup@'%';\n"
	"-- Only where the binlog is off, or commits come so fast that no moment between two is found:\n"
	"GRANT FLUSH_TABLES ON *.* TO drtool_backup@'%';\n"
	"-- MySQL 5.7 knows neither BACKUP_ADMIN nor FLUSH_TABLES; instead of both:\n"
	"--   GRANT RELOAD ON *.* TO drtool_backup@'%';\n"
	"\n"
	"-- SELECT ON *.* also reads the accounts with their password hashes, and the bodies of routines. An account for one database:\n"
	"--   GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON shop.* TO drtool_backup@'%';\n"
	"--   GRANT SELECT ON mysql.* TO drtool_backup@'%';    -- MariaDB: routines, and by what the server is known again\n"
	"--   GRANT SHOW_ROUTINE ON *.* TO drtool_backup@'%';  -- MySQL 8.0.20 and later: routines\n"
	"--   GRANT SELECT ON performance_schema.log_status TO drtool_backup@'%';  -- MySQL, beside BACKUP_ADMIN\n";

void my_interrupt(void *handle, enum driver_handle kind)
{
	switch (kind) {
	case HANDLE_DUMP:
		my_interrupt_dump(handle);
		break;
	case HANDLE_WORKER:
		my_interrupt_worker(handle);
		break;
	case HANDLE_LOAD:
		my_interrupt_load(handle);
		break;
	case HANDLE_LOAD_WORKER:
		my_interrupt_load_worker(handle);
		break;
	}
}

extern const struct driver driver_mysql;
const struct driver driver_mysql = {
	.name = "mysql",
	.schemes = schemes,
	.default_port = 3306,
	.object_parts = 1,
	.settings = settings,
	.params_size = sizeof(struct my_params),
	.caps = DRIVER_DUMP | DRIVER_LOAD | DRIVER_EXCHANGE | DRIVER_ASSERT | DRIVER_SCRATCH,
	.grants = grants,
	.probe = my_probe,
	.dump_open = my_dump_open,
	.dump_entries = my_dump_entries,
	.scope_begin = my_scope_begin,
	.worker_open = my_worker_open,
	.dump_unit = my_dump_unit,
	.worker_close = my_worker_close,
	.inventory = my_inventory,
	.scope_end = my_scope_end,
	.dump_close = my_dump_close,
	.load_plan = my_load_plan,
	.load_open = my_load_open,
	.load_choose = my_load_choose,
	.load_begin = my_load_begin,
	.load_wants = my_load_wants,
	.load_has_unit = my_load_has_unit,
	.load_worker_open = my_load_worker_open,
	.load_unit = my_load_unit,
	.load_worker_close = my_load_worker_close,
	.load_end = my_load_end,
	.load_close = my_load_close,
	.exchange = my_exchange,
	.assert_query = my_assert_query,
	.scratch_start = my_scratch_start,
	.scratch_stop = my_scratch_stop,
	.interrupt = my_interrupt,
};
