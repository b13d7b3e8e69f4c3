/* The driver of PostgreSQL 12 to 18 as the core sees it: its settings and its table of functions. */
#include "drivers/postgres/pgdriver.h"

#include "drivers/postgres/params.h"

#define AT(field) offsetof(struct pg_params, field)
#define COMMANDS (CMD_BACKUP | CMD_RESTORE | CMD_VERIFY | CMD_CONFIG)

static const struct setting settings[] = {
	{.scope = SCOPE_SOURCE, .key = "client_path", .flag = "client-path", .type = SET_STRING, .commands = COMMANDS, .arg = "DIR",
	 .help = "folder with pg_dump and pg_restore; else the usual places and PATH are searched", .offset = AT(client_path)},
	{.scope = SCOPE_SOURCE, .key = "split_above", .flag = "split-above", .type = SET_SIZE, .def = "256MiB", .commands = CMD_BACKUP | CMD_VERIFY,
	 .arg = "SIZE", .help = "read a table or collection in ranges when it is larger (PostgreSQL: 14 and later)", .offset = AT(split_above)},
	{.scope = SCOPE_SOURCE, .key = "lock_timeout", .flag = "lock-timeout", .type = SET_DURATION, .def = "60s", .commands = COMMANDS, .arg = "TIME",
	 .help = "give up when a table stays locked by somebody else for so long", .offset = AT(lock_timeout)},
	{.scope = SCOPE_SOURCE, .key = "connect_timeout", .type = SET_DURATION, .def = "30s", .arg = "TIME",
	 .help = "give up when a connection is not made within this time", .offset = AT(connect_timeout)},
	{.scope = SCOPE_SOURCE, .key = "tls_cert", .type = SET_STRING, .arg = "FILE", .help = "certificate that drtool shows to the server",
	 .offset = AT(tls_cert)},
	{.scope = SCOPE_SOURCE, .key = "tls_key", .type = SET_STRING, .arg = "FILE", .help = "private key of tls_cert", .offset = AT(tls_key)},
	SETTING_END,
};

static const char *const schemes[] = {"postgres", "postgresql", NULL};

static const char grants[] =
	"-- PostgreSQL 14 and later:\n"
	"CREATE ROLE drtool_backup LOGIN PASSWORD 'choose one';\n"
	"GRANT pg_read_all_data TO drtool_backup;\n"
	"-- Only where tables have row level security, which would otherwise hide rows:\n"
	"ALTER ROLE drtool_backup BYPASSRLS;\n"
	"-- Only if password hashes of roles are to be in the backup:\n"
	"GRANT SELECT ON pg_catalog.pg_authid TO drtool_backup;\n"
	"-- Only where CONNECT was taken from PUBLIC, for each database:\n"
	"--   GRANT CONNECT ON DATABASE shop TO drtool_backup;\n"
	"-- PostgreSQL 12 and 13 have no pg_read_all_data; instead, in each database, for each schema and owner:\n"
	"--   GRANT USAGE ON SCHEMA public TO drtool_backup;\n"
	"--   GRANT SELECT ON ALL TABLES IN SCHEMA public TO drtool_backup;\n"
	"--   GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO drtool_backup;\n"
	"--   ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT SELECT ON TABLES TO drtool_backup;\n"
	"--   ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT SELECT ON SEQUENCES TO drtool_backup;\n"
	"-- Only a superuser reads subscriptions and the passwords in user mappings of foreign servers.\n";

void pg_interrupt(void *handle, enum driver_handle kind)
{
	switch (kind) {
	case HANDLE_DUMP:
		pg_interrupt_dump(handle);
		break;
	case HANDLE_WORKER:
		pg_interrupt_worker(handle);
		break;
	case HANDLE_LOAD:
		pg_interrupt_load(handle);
		break;
	case HANDLE_LOAD_WORKER:
		pg_interrupt_load_worker(handle);
		break;
	}
}

extern const struct driver driver_postgres;
const struct driver driver_postgres = {
	.name = "postgres",
	.schemes = schemes,
	.default_port = 5432,
	.object_parts = 2,
	.settings = settings,
	.params_size = sizeof(struct pg_params),
	.caps = DRIVER_DUMP | DRIVER_LOAD | DRIVER_EXCHANGE | DRIVER_ASSERT | DRIVER_SCRATCH,
	.grants = grants,
	.probe = pg_probe,
	.dump_open = pg_dump_open,
	.dump_entries = pg_dump_entries,
	.scope_begin = pg_scope_begin,
	.worker_open = pg_worker_open,
	.dump_unit = pg_dump_unit,
	.worker_close = pg_worker_close,
	.inventory = pg_inventory,
	.scope_end = pg_scope_end,
	.dump_close = pg_dump_close,
	.load_plan = pg_load_plan,
	.load_open = pg_load_open,
	.load_choose = pg_load_choose,
	.load_begin = pg_load_begin,
	.load_wants = pg_load_wants,
	.load_has_unit = pg_load_has_unit,
	.load_worker_open = pg_load_worker_open,
	.load_unit = pg_load_unit,
	.load_worker_close = pg_load_worker_close,
	.load_end = pg_load_end,
	.load_close = pg_load_close,
	.exchange = pg_exchange,
	.assert_query = pg_assert_query,
	.scratch_start = pg_scratch_start,
	.scratch_stop = pg_scratch_stop,
	.interrupt = pg_interrupt,
};
