#include "ops/rows.h"

#include "core/tls_mode.h"
#include "drivers/driver.h"
#include "ops/ops.h"
#include "storage/storage.h"

static const char *const compress_names[] = {"fast", "ratio", "portable", NULL};

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define CMD_OPEN (CMD_RESTORE | CMD_CHECK | CMD_VERIFY | CMD_LIST | CMD_COPY | CMD_KEY | CMD_CONFIG)
#define CMD_DATA (CMD_BACKUP | CMD_RESTORE | CMD_CHECK | CMD_VERIFY)

#define GLOBAL(member) .scope = SCOPE_GLOBAL, .offset = offsetof(struct global_settings, member)
const struct setting global_rows[] = {
	{GLOBAL(jobs), .key = "jobs", .flag = "jobs", .env = "DRTOOL_JOBS", .type = SET_INT, .min = 1, .max = 256,
	 .commands = CMD_DATA, .arg = "N", .help = "connections and threads per database (one per CPU)"},
	{GLOBAL(mem_limit), .key = "mem_limit", .flag = "mem-limit", .env = "DRTOOL_MEM_LIMIT", .type = SET_SIZE, .min = 16 * MIB,
	 .max = 1024 * GIB, .commands = CMD_DATA | CMD_COPY, .arg = "SIZE", .help = "memory of the whole process (64MiB)"},
	{GLOBAL(compress), .key = "compress", .flag = "compress", .env = "DRTOOL_COMPRESS", .type = SET_CHOICE, .def = "fast",
	 .choices = compress_names, .commands = CMD_BACKUP, .arg = "MODE", .help = "fast, ratio or portable"},
	{GLOBAL(chunk_size), .key = "chunk_size", .flag = "chunk-size", .env = "DRTOOL_CHUNK_SIZE", .type = SET_SIZE, .def = "6MiB",
	 .min = 4096, .max = GIB, .commands = CMD_BACKUP, .arg = "SIZE", .help = "largest piece of a table"},
	{GLOBAL(volume_size), .key = "volume_size", .flag = "volume-size", .env = "DRTOOL_VOLUME_SIZE", .type = SET_SIZE,
	 .def = "128GiB", .min = MIB, .max = 4096 * GIB, .commands = CMD_BACKUP, .arg = "SIZE",
	 .help = "where an archive goes on in a new file"},
	{GLOBAL(store_stall), .key = "store_stall", .flag = "store-stall", .env = "DRTOOL_STORE_STALL", .type = SET_DURATION,
	 .def = "2m", .commands = CMD_BACKUP, .arg = "TIME", .help = "a store that takes nothing so long is left out"},
	{GLOBAL(state_dir), .key = "state_dir", .flag = "state-dir", .env = "DRTOOL_STATE_DIR", .type = SET_STRING,
	 .commands = CMD_ANY, .arg = "DIR", .help = "folder for journals and remembered store ids"},
	{GLOBAL(identities), .key = "identities", .flag = "identity", .type = SET_LIST, .commands = CMD_OPEN, .arg = "FILE",
	 .help = "key that opens encrypted backups; repeatable"},
	{GLOBAL(identity), .key = "identity", .env = "DRTOOL_IDENTITY", .type = SET_SECRET, .secret = true,
	 .help = "such a key itself"},
	{GLOBAL(passphrase), .key = "passphrase", .env = "DRTOOL_PASSPHRASE", .type = SET_SECRET, .secret = true,
	 .help = "for `encrypt_to: passphrase`, and for keys kept under one"},
	SETTING_END,
};

#define SOURCE(member) .scope = SCOPE_SOURCE, .offset = offsetof(struct source_settings, member)
#define KEEP(member, flag_, what)                                                                                            \
	{                                                                                                                    \
		SOURCE(keep.member), .key = "keep." #member, .flag = flag_, .type = SET_COUNT, .commands = CMD_PRUNE, .arg = "N", \
			.max = 1000000, .help = what                                                                         \
	}
const struct setting source_rows[] = {
	{SOURCE(databases), .key = "databases", .type = SET_LIST, .help = "patterns of databases (that of the URL, else all)"},
	{SOURCE(exclude), .key = "exclude", .type = SET_LIST, .help = "patterns of databases to leave out"},
	{SOURCE(tls), .key = "tls", .type = SET_CHOICE, .def = "default", .choices = tls_mode_names,
	 .help = TLS_MODE_HELP},
	{SOURCE(tls_ca), .key = "tls_ca", .type = SET_STRING, .arg = "FILE",
	 .help = "certificates to trust instead of the system's"},
	{SOURCE(cluster), .key = "cluster", .type = SET_STRING, .help = "name that stands for the identity of the server"},
	{SOURCE(to), .key = "to", .type = SET_LIST, .help = "stores to write to (all)"},
	{SOURCE(tags), .key = "tags", .type = SET_LIST, .help = "tags (K=V) of every backup"},
	{SOURCE(encrypt_to), .key = "encrypt_to", .flag = "encrypt-to", .type = SET_LIST, .commands = CMD_BACKUP, .arg = "KEY",
	 .help = "public keys (age1...) that backups are encrypted for, or: passphrase"},
	{SOURCE(private_manifest), .key = "private_manifest", .type = SET_BOOL,
	 .help = "names of databases and tables are in the encrypted part only"},
	{SOURCE(max_lag), .key = "max_lag", .type = SET_DURATION, .help = "a standby or replica further behind fails the backup"},
	{SOURCE(max_duration), .key = "max_duration", .type = SET_DURATION, .help = "a backup that takes longer ends as failed"},
	{SOURCE(shrink_limit), .key = "shrink_limit", .type = SET_INT, .def = "50", .min = 1, .max = 100,
	 .help = "percent of loss against the last good backup that is suspect"},
	{SOURCE(rpo), .key = "rpo", .type = SET_DURATION, .help = "greatest loss of data that is acceptable"},
	{SOURCE(expect_every), .key = "expect_every", .type = SET_DURATION,
	 .help = "status is critical when the newest backup is older"},
	{SOURCE(verify_every), .key = "verify_every", .type = SET_DURATION, .help = "status warns when the newest proof is older"},
	{SOURCE(assertion), .key = "assert", .type = SET_LIST, .help = "queries that must answer true after a verify"},
	{SOURCE(scratch), .key = "scratch", .type = SET_STRING, .arg = "URL",
	 .help = "server where verify may make a database of its own"},
	{SOURCE(scratch_dir), .key = "scratch_dir", .type = SET_STRING, .def = "/var/tmp",
	 .help = "folder where verify starts its server"},
	{SOURCE(scratch_user), .key = "scratch_user", .type = SET_STRING, .help = "user that runs it when root runs drtool"},
	KEEP(last, "keep-last", "keep the newest N backups"),
	KEEP(hourly, "keep-hourly", "keep the newest backup of each of the last N hours"),
	KEEP(daily, "keep-daily", "keep the newest backup of each of the last N days"),
	KEEP(weekly, "keep-weekly", "keep the newest backup of each of the last N weeks"),
	KEEP(monthly, "keep-monthly", "keep the newest backup of each of the last N months"),
	KEEP(yearly, "keep-yearly", "keep the newest backup of each of the last N years"),
	{SOURCE(keep.within), .key = "keep.within", .flag = "keep-within", .type = SET_DURATION, .commands = CMD_PRUNE,
	 .arg = "TIME", .help = "keep all backups younger than that"},
	{SOURCE(keep.tags), .key = "keep.tag", .flag = "keep-tag", .type = SET_LIST, .commands = CMD_PRUNE, .arg = "K[=V]",
	 .help = "keep all backups with this tag; repeatable"},
	SETTING_END,
};

const struct setting source_base_rows[] = {
	{.scope = SCOPE_SOURCE,
	 .offset = offsetof(struct op_source, url),
	 .key = "url",
	 .type = SET_STRING,
	 .arg = "URL",
	 .help = "where the server is, and the database; required"},
	{.scope = SCOPE_SOURCE,
	 .offset = offsetof(struct op_source, user),
	 .key = "user",
	 .type = SET_STRING,
	 .help = "login, instead of that in the URL"},
	{.scope = SCOPE_SOURCE,
	 .offset = offsetof(struct op_source, password),
	 .key = "password",
	 .type = SET_SECRET,
	 .secret = true,
	 .help = "password, instead of that in the URL"},
	SETTING_END,
};

#define STORE_KEEP(member, what)                                                                                             \
	{                                                                                                                    \
		.scope = SCOPE_STORE, .offset = offsetof(struct op_store, keep.member), .key = "keep." #member, .type = SET_COUNT, \
		.max = 1000000, .help = what                                                                                 \
	}
const struct setting store_base_rows[] = {
	{.scope = SCOPE_STORE, .offset = offsetof(struct op_store, url), .key = "url", .type = SET_STRING, .arg = "URL",
	 .help = "where the store is; required"},
	STORE_KEEP(last, "here instead of the rules of the sources: keep the newest N backups"),
	STORE_KEEP(hourly, "the newest backup of each of the last N hours"),
	STORE_KEEP(daily, "the newest backup of each of the last N days"),
	STORE_KEEP(weekly, "the newest backup of each of the last N weeks"),
	STORE_KEEP(monthly, "the newest backup of each of the last N months"),
	STORE_KEEP(yearly, "the newest backup of each of the last N years"),
	{.scope = SCOPE_STORE, .offset = offsetof(struct op_store, keep.within), .key = "keep.within", .type = SET_DURATION,
	 .help = "all backups younger than that"},
	{.scope = SCOPE_STORE, .offset = offsetof(struct op_store, keep.tags), .key = "keep.tag", .type = SET_LIST,
	 .help = "all backups with this tag"},
	SETTING_END,
};

static const struct setting no_rows[] = {SETTING_END};

struct setting_group *settings_groups(const struct setting_group *extra, size_t extras, size_t *n)
{
	const struct setting_group own[] = {
		{.rows = global_rows}, {.rows = source_base_rows}, {.rows = source_rows}, {.rows = store_base_rows}};
	size_t drivers_n = 0, storages_n = 0;

	while (drivers[drivers_n])
		drivers_n++;
	while (storages[storages_n])
		storages_n++;
	struct setting_group *g = xcalloc(extras + ARRAY_LEN(own) + drivers_n + storages_n, sizeof(*g));

	*n = 0;
	for (size_t i = 0; i < extras; i++)
		g[(*n)++] = extra[i];
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		g[(*n)++] = own[i];
	for (size_t i = 0; i < storages_n; i++)
		g[(*n)++] = (struct setting_group){storages[i]->name, storages[i]->schemes, SCOPE_STORE,
						   storages[i]->settings ? storages[i]->settings : no_rows};
	for (size_t i = 0; i < drivers_n; i++)
		g[(*n)++] = (struct setting_group){drivers[i]->name, drivers[i]->schemes, SCOPE_SOURCE,
						   drivers[i]->settings ? drivers[i]->settings : no_rows};
	return g;
}
