/* The driver of MongoDB and of servers that speak its protocol as the core sees it: its settings and its table of functions. */
#include "drivers/mongodb/params.h"

#include "drivers/mongodb/modriver.h"

#define AT(field) offsetof(struct mo_params, field)

static const char *const moment_names[] = {"auto", "oplog", NULL}; /* enum mo_moment_way */

static const struct setting settings[] = {
	{.scope = SCOPE_SOURCE, .key = "split_above", .flag = "split-above", .type = SET_SIZE, .def = "256MiB", .commands = CMD_BACKUP | CMD_VERIFY,
	 .arg = "SIZE", .help = "read a collection in ranges of _id when it is larger", .offset = AT(split_above)},
	{.scope = SCOPE_SOURCE, .key = "moment", .flag = "moment", .type = SET_CHOICE, .def = "auto", .choices = moment_names, .commands = CMD_BACKUP,
	 .arg = "WAY", .help = "one moment of a replica set: auto (read at one time where it can), or oplog", .offset = AT(moment)},
	{.scope = SCOPE_SOURCE, .key = "connect_timeout", .type = SET_DURATION, .def = "30s", .arg = "TIME",
	 .help = "give up when a connection is not made within this time", .offset = AT(connect_timeout)},
	{.scope = SCOPE_SOURCE, .key = "tls_cert", .type = SET_STRING, .arg = "FILE",
	 .help = "certificate and private key that drtool shows to the server, PEM", .offset = AT(tls_cert)},
	SETTING_END,
};

static const char *const schemes[] = {"mongodb", "mongodb+srv", NULL};

static const char grants[] =
	"// MongoDB, in mongosh on the primary:\n"
	"db.getSiblingDB(\"admin\").createUser({user: \"drtool_backup\", pwd: passwordPrompt(), roles: [\"backup\", \"clusterMonitor\"]})\n"
	"// An account for one database, with time series readAnyDatabase on admin instead; accounts and the oplog are then not in the backup:\n"
	"//   roles: [{role: \"read\", db: \"shop\"}]\n"
	"// The account that restores:\n"
	"//   roles: [\"restore\", \"readWriteAnyDatabase\", \"dbAdminAnyDatabase\"]\n";

void mo_interrupt(void *handle, enum driver_handle kind)
{
	switch (kind) {
	case HANDLE_DUMP:
		mo_interrupt_dump(handle);
		break;
	case HANDLE_WORKER:
		mo_interrupt_worker(handle);
		break;
	case HANDLE_LOAD:
		mo_interrupt_load(handle);
		break;
	case HANDLE_LOAD_WORKER:
		mo_interrupt_load_worker(handle);
		break;
	}
}

extern const struct driver driver_mongodb;
const struct driver driver_mongodb = {
	.name = "mongodb",
	.schemes = schemes,
	.default_port = 27017,
	.example_query = "?authSource=admin",
	.login_option = "authSource",
	.object_parts = 1,
	.dotted_names = true,
	.settings = settings,
	.params_size = sizeof(struct mo_params),
	.caps = DRIVER_DUMP | DRIVER_LOAD | DRIVER_EXCHANGE | DRIVER_ASSERT | DRIVER_SCRATCH,
	.load_unit_least = (uint64_t)8 << 20, /* each costs a mark in the target */
	.grants = grants,
	.probe = mo_probe,
	.dump_open = mo_dump_open,
	.dump_entries = mo_dump_entries,
	.scope_begin = mo_scope_begin,
	.worker_open = mo_worker_open,
	.dump_unit = mo_dump_unit,
	.worker_close = mo_worker_close,
	.inventory = mo_inventory,
	.scope_end = mo_scope_end,
	.dump_close = mo_dump_close,
	.load_plan = mo_load_plan,
	.load_open = mo_load_open,
	.load_choose = mo_load_choose,
	.load_begin = mo_load_begin,
	.load_wants = mo_load_wants,
	.load_has_unit = mo_load_has_unit,
	.load_worker_open = mo_load_worker_open,
	.load_unit = mo_load_unit,
	.load_worker_close = mo_load_worker_close,
	.load_end = mo_load_end,
	.load_close = mo_load_close,
	.exchange = mo_exchange,
	.assert_query = mo_assert_query,
	.scratch_start = mo_scratch_start,
	.scratch_stop = mo_scratch_stop,
	.interrupt = mo_interrupt,
};
