/* The flags that are settings of a command only, and those of the program. */
#include "commands/command.h"

#include "core/log.h"

static const char *const format_names[] = {"text", "json", NULL};
/* In the order of enum load_users. */
static const char *const users_names[] = {"missing", "none", "all", NULL};
static const char *const role_names[] = {"backup", "log", NULL};

#define FLAG(member, name) .scope = SCOPE_COMMAND, .offset = offsetof(struct command_flags, member), .flag = name
#define BOOL(member, name, on, text) {FLAG(member, name), .type = SET_BOOL, .commands = on, .help = text}
#define TEXT(member, name, on, what, text) {FLAG(member, name), .type = SET_STRING, .commands = on, .arg = what, .help = text}
#define LIST(member, name, on, what, text) {FLAG(member, name), .type = SET_LIST, .commands = on, .arg = what, .help = text}
#define TIME(member, name, on, text) {FLAG(member, name), .type = SET_TIME, .commands = on, .arg = "TIME", .help = text}

#define CMD_MARKS (CMD_PIN | CMD_UNPIN | CMD_ACCEPT)
#define CMD_READS                                                                                                           \
	(CMD_LIST | CMD_RESTORE | CMD_CHECK | CMD_VERIFY | CMD_PRUNE | CMD_MARKS | CMD_UNLOCK | CMD_STATUS | CMD_KEY)

const struct setting command_rows[] = {
	BOOL(all, "all", CMD_BACKUP | CMD_VERIFY | CMD_PRUNE, "every configured source"),
	BOOL(all, "all", CMD_COPY, "every source of the store"),
	LIST(to, "to", CMD_BACKUP, "STORE", "store to write to; repeatable"),
	BOOL(re_encrypt, "re-encrypt", CMD_COPY, "encrypt for the keys that the source has now"),
	LIST(to, "to", CMD_COPY, "STORE", "store to copy to"),
	TEXT(from, "from", CMD_READS | CMD_COPY | CMD_CONFIG, "STORE", "store to read from"),
	TEXT(name, "name", CMD_BACKUP, "NAME", "name in the store of a source given as URL"),
	LIST(tags, "tag", CMD_BACKUP, "K=V", "mark the backup; repeatable"),
	LIST(tags, "tag", CMD_LIST | CMD_RESTORE, "K=V", "only backups with this tag; repeatable"),
	BOOL(prune, "prune", CMD_BACKUP, "afterwards delete what the policy does not keep"),
	BOOL(new_identity, "new-identity", CMD_BACKUP, "the source is another server now; needs --because"),
	TEXT(backup, "backup", CMD_RESTORE, "ID", "an id, latest or latest-proven (latest)"),
	TEXT(backup, "backup", CMD_CHECK, "ID", "an id, latest or all (latest)"),
	TEXT(backup, "backup", CMD_VERIFY | CMD_MARKS, "ID", "an id or latest (latest)"),
	TEXT(backup, "backup", CMD_COPY, "ID", "only this one: an id, latest or latest-proven"),
	TEXT(output, "output", CMD_CONFIG, "FILE", "with fetch: a file that is not there yet"),
	TEXT(into, "into", CMD_RESTORE | CMD_EXCHANGE, "URL", "another server or database, or a configured source"),
	BOOL(in_place, "in-place", CMD_RESTORE, "load beside, compare, then take the place"),
	LIST(databases, "database", CMD_RESTORE, "D", "only this database; repeatable"),
	LIST(tables, "table", CMD_RESTORE, "D.T", "only this table; repeatable"),
	LIST(exclude_tables, "exclude-table", CMD_RESTORE, "D.T", "all but this table; repeatable"),
	LIST(renames, "rename", CMD_RESTORE, "OLD=NEW", "another name for a database or table; repeatable"),
	BOOL(data_only, "data-only", CMD_RESTORE, "rows into tables that are there"),
	{FLAG(users, "users"), .type = SET_CHOICE, .def = "missing", .choices = users_names, .commands = CMD_RESTORE,
	 .arg = "WHICH", .help = "accounts to make: missing, none or all"},
	BOOL(no_owner, "no-owner", CMD_RESTORE, "everything belongs to the user that restores"),
	BOOL(clean, "clean", CMD_RESTORE, "drop first what is there; needs --confirm"),
	TEXT(confirm, "confirm", CMD_RESTORE, "NAME@ID", "what --dry-run prints, as a proof of intent"),
	BOOL(compare, "compare", CMD_RESTORE, "read everything back and compare"),
	TEXT(resume, "resume", CMD_RESTORE, "[=RUN]", "go on with a restore that failed"),
	BOOL(salvage, "salvage", CMD_RESTORE, "load what is intact of a damaged backup"),
	BOOL(back, "back", CMD_EXCHANGE, "put the old database back"),
	BOOL(drop, "drop", CMD_EXCHANGE, "drop what was set aside"),
	TIME(since, "since", CMD_MARKS, "all backups from then on"),
	TIME(until, "until", CMD_PIN, "the pin ends then by itself"),
	TEXT(because, "because", CMD_BACKUP | CMD_MARKS, "TEXT", "the reason, kept as evidence"),
	{FLAG(role, "role"), .type = SET_CHOICE, .def = "backup", .choices = role_names, .commands = CMD_UNLOCK, .arg = "ROLE",
	 .help = "backup or log"},
	{FLAG(max_age, "max-age"), .type = SET_DURATION, .commands = CMD_STATUS, .arg = "TIME",
	 .help = "an older newest backup is critical"},
	TEXT(output, "output", CMD_KEY, "FILE", "with generate: a file that is not there yet, made 0600"),
	BOOL(protect, "protect", CMD_KEY, "with generate: seal the file with a passphrase"),
	BOOL(form, "form", CMD_KEY, "a page with the secret key, to print and keep"),
	BOOL(connect, "connect", CMD_CONFIG, "with check: try every source and store"),
	BOOL(deleted, "deleted", CMD_LIST, "what was deleted and can come back, where the store keeps versions"),
	TEXT(undelete, "undelete", CMD_PRUNE, "ID", "bring a deleted backup back, or all of them; deletes nothing"),
	BOOL(json, "json", CMD_LIST | CMD_STATUS, "one JSON document"),
	BOOL(dry_run, "dry-run", CMD_BACKUP | CMD_RESTORE | CMD_PRUNE | CMD_COPY, "say what would be done and do nothing"),
	BOOL(yes, "yes", CMD_RESTORE | CMD_EXCHANGE | CMD_UNLOCK, "answer every question with yes"),
	SETTING_END,
};

#define PROGRAM(member) .scope = SCOPE_GLOBAL, .offset = offsetof(struct program_flags, member), .commands = CMD_ANY
const struct setting program_rows[] = {
	{PROGRAM(config), .flag = "config", .env = "DRTOOL_CONFIG", .type = SET_STRING, .arg = "FILE", .help = "the configuration"},
	{PROGRAM(log_format), .key = "log_format", .flag = "log-format", .env = "DRTOOL_LOG_FORMAT", .type = SET_CHOICE,
	 .def = "text", .choices = format_names, .arg = "FORMAT", .help = "text or json, on stderr"},
	{PROGRAM(quiet), .flag = "quiet", .type = SET_BOOL, .help = "nothing on success, one line on failure"},
	{PROGRAM(verbose), .flag = "verbose", .type = SET_BOOL, .help = "say more"},
	SETTING_END,
};
