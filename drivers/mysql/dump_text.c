/* RESTORE.txt and load.sql: the way back with tar and the client program of the server alone. */
#include "drivers/mysql/dump.h"

#define DATABASES_SHOWN 50

void my_script_head(struct buf *to)
{
	buf_puts(to, "SET NAMES utf8mb4;\n"
		     "SET time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0, unique_checks = 0;\n"
		     "/*M! SET check_constraint_checks = 0 */;\n"
		     "/*M!101100 SET system_versioning_insert_history = 1 */;\n");
}

static void put_database(const struct my_dump *d, const char *name, struct buf *to)
{
	const char *client = d->server.mariadb ? "mariadb" : "mysql";
	CLEANUP(buf_release) struct buf word = BUF_INIT;

	buf_shell_word(&word, name);
	buf_printf(to, "\n  cd \001%s\001", name);
	buf_printf(to, "\n  mkdir rows; if test -d data; then for t in data/*; do\n"
		       "    find \"$t\" ! -type d -print0 | LC_ALL=C sort -z | xargs -0 cat > rows/\"${t#data/}\" && rm -r \"$t\" || echo \"$t: FAILED\"; "
		       "done; fi\n");
	buf_printf(to, "  %s --default-character-set=utf8mb4 < before.sql\n", client);
	buf_printf(to, "  %s --default-character-set=utf8mb4 --local-infile=1 -D %s < load.sql\n", client, buf_str(&word));
	buf_printf(to, "  %s --default-character-set=utf8mb4 -D %s < after.sql\n  cd ../..\n", client, buf_str(&word));
}

void my_restore_text(const struct my_dump *d, const struct dump_info *info, struct buf *to)
{
	const char *client = d->server.mariadb ? "mariadb" : "mysql";

	buf_printf(to,
		   "A backup of %s %s, written by drtool. `drtool restore` reads it; so do tar and the client program %s, as follows.\n"
		   "\n"
		   "Needed: %s or later, and a server that allows LOAD DATA LOCAL (SET GLOBAL local_infile = 1). Say where the server is\n"
		   "by the options -h, -P, -u, -p of each command or by ~/.my.cnf; the user should have all privileges. Lines that begin with\n"
		   "two blanks are commands.\n"
		   "\n"
		   "1. Unpack, in an empty folder. A backup of several volumes has several files: unpack each there.\n"
		   "\n"
		   "  tar xzf BACKUP.tar.gz\n"
		   "\n"
		   "2. Each database: the pieces of each table joined to one file, definitions, rows, then keys, foreign keys, routines,\n"
		   "views, triggers and events. Each command must end without an error. load.sql stops with error 1242 where a table did not\n"
		   "get all its rows: the line tells which. For another name in place of the old one change the first lines of before.sql and\n"
		   "the names behind -D.\n",
		   d->server.mariadb ? "MariaDB" : "MySQL", d->server.version, client, info->oldest_client);
	for (size_t i = 0; i < d->scopes && i < DATABASES_SHOWN; i++)
		put_database(d, d->scope[i].name, to);
	if (d->scopes > DATABASES_SHOWN)
		buf_printf(to, "\n  ... and likewise for the other %zu folders below db.\n", d->scopes - DATABASES_SHOWN);
	if (d->users)
		buf_printf(to,
			   "\n3. Accounts, with their passwords, roles and rights, on a server that has none of them yet. Remove the accounts that it has\n"
			   "from the file first.\n"
			   "\n  %s --default-character-set=utf8mb4 < globals/users.sql\n", client);
	buf_puts(to, "\nThe index of all tables, with rows and checksums, is drtool/manifest.json.\n");
}

/* ---- load.sql ---- */

static void put_file_name(struct buf *to, const char *folder)
{
	const char *name = strrchr(folder, '/');

	buf_puts(to, "'rows/");
	for (name = name ? name + 1 : folder; *name; name++) {
		if (*name == '\'' || *name == '\\')
			buf_putc(to, *name == '\'' ? '\'' : '\\');
		buf_putc(to, *name);
	}
	buf_putc(to, '\'');
}

static void put_table(const struct my_table *t, uint64_t rows, struct buf *to)
{
	static const char file[] = "'rows'";
	const char *at = strstr(t->load, file);

	buf_put(to, t->load, (size_t)(at - t->load));
	put_file_name(to, t->folder);
	/* In the same line, so that the number of the line in an error tells the table. */
	buf_printf(to, "%s; DO IF(ROW_COUNT() = %" PRIu64 ", 0, (SELECT 'rows are missing' UNION ALL SELECT ''));\n", at + strlen(file), rows);
}

/* A table without rows has no folder. */
void my_load_script(const struct my_dump *d, struct buf *to)
{
	my_script_head(to);
	for (size_t i = 0; i < d->tables; i++) {
		uint64_t rows = atomic_load(&d->table[i]->rows);

		if (rows && d->table[i]->folder)
			put_table(d->table[i], rows, to);
	}
}
