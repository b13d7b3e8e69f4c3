/* RESTORE.txt and load.sh: the way back with tar, psql and pg_restore alone. */
#include "drivers/postgres/dump.h"

#include "drivers/postgres/facts.h"

#define DATABASES_SHOWN 50

/* What -d takes: a name that libpq would read as a connection string is given as one. */
static void put_target(struct buf *to, const char *name)
{
	CLEANUP(buf_release) struct buf info = BUF_INIT;

	if (!strchr(name, '=') && strncmp(name, "postgres", 8)) {
		buf_shell_word(to, name);
		return;
	}
	buf_puts(&info, "dbname='");
	for (; *name; name++)
		buf_printf(&info, *name == '\'' || *name == '\\' ? "\\%c" : "%c", *name);
	buf_putc(&info, '\'');
	buf_shell_word(to, buf_str(&info));
}

static void put_database(struct buf *to, const char *name)
{
	CLEANUP(buf_release) struct buf target = BUF_INIT, word = BUF_INIT;

	put_target(&target, name);
	buf_shell_word(&word, name);
	const char *db = buf_str(&target);
	buf_printf(to, "\n  cd \001%s\001", name);
	buf_printf(to, "\n  psql -X -q -v ON_ERROR_STOP=1 -d postgres -v db=%s -f database.sql\n", buf_str(&word));
	buf_printf(to, "  pg_restore --exit-on-error --section=pre-data -d %s schema.dump\n", db);
	buf_printf(to, "  test ! -e large_objects.sql || psql -X -q -v ON_ERROR_STOP=1 -d %s -f large_objects.sql >/dev/null\n",
		   db);
	buf_printf(to, "  sh load.sh %s\n", db);
	buf_printf(to, "  psql -X -q -v ON_ERROR_STOP=1 -d %s -f sequences.sql >/dev/null\n", db);
	buf_printf(to, "  pg_restore --exit-on-error --section=post-data -j 2 -d %s schema.dump\n", db);
	buf_printf(to, "  test ! -e refresh.sql || psql -X -q -v ON_ERROR_STOP=1 -d %s -f refresh.sql\n", db);
	buf_printf(to, "  psql -X -q -d %s -c ANALYZE\n  cd ../..\n", db);
}

void restore_text(const struct dump *d, const struct dump_info *info, struct buf *to)
{
	buf_printf(to,
		   "A backup of PostgreSQL %s, written by drtool. `drtool restore` reads it; so do tar, psql and pg_restore, as "
		   "follows.\n"
		   "\n"
		   "Needed: psql of version 10 or later and %s or later. With an older pg_restore take the SQL files, which stand "
		   "for\n"
		   "the same: instead of `pg_restore ... --section=pre-data ... schema.dump` run `psql -X -q -v ON_ERROR_STOP=1 -d "
		   "DATABASE -f %s`,\n"
		   "and %s instead of the one with --section=post-data. Say where the server is by PGHOST, PGPORT, PGUSER; the "
		   "user should\n"
		   "be a superuser. Lines that begin with two blanks are commands.\n"
		   "\n"
		   "1. Unpack, in an empty folder. A backup of several volumes has several files: unpack each there.\n"
		   "\n"
		   "  tar xzf BACKUP.tar.gz\n"
		   "\n"
		   "2. Roles, where they are missing (those that exist are not altered), and tablespaces, if there are any.\n"
		   "\n"
		   "  psql -X -q -v ON_ERROR_STOP=1 -d postgres -f globals/roles.sql\n"
		   "  test ! -e globals/tablespaces.sql || psql -X -q -d postgres -f globals/tablespaces.sql\n"
		   "\n"
		   "3. Each database: made, tables, rows, sequences, then indexes, constraints and triggers. Another name may be "
		   "given\n"
		   "in place of the old one. load.sh reads the pieces of a table in the order of their names.\n",
		   d->version_text, info->oldest_client, PG_ENTRY_SCHEMA_PRE_SQL, PG_ENTRY_SCHEMA_POST_SQL);
	for (size_t i = 0; i < d->scopes && i < DATABASES_SHOWN; i++)
		put_database(to, d->scope[i].name);
	if (d->scopes > DATABASES_SHOWN)
		buf_printf(to, "\n  ... and likewise for the other %zu folders below db.\n", d->scopes - DATABASES_SHOWN);
	buf_puts(to, "\nTo join the rows of one table by hand (its folder is db/DATABASE/data/SCHEMA/TABLE):\n"
		     "\n  find FOLDER -type f -print0 | LC_ALL=C sort -z | xargs -0 cat\n"
		     "\nSubscriptions come back disabled and without a slot. The index of all tables, with rows and checksums, is "
		     "drtool/manifest.json.\n");
}

/* ---- load.sh ---- */

void script_head(const struct dump *d, struct buf *to)
{
	buf_printf(to, "SET client_encoding = '%s';\n", d->c->sql_ascii ? "SQL_ASCII" : "UTF8");
}

void load_script_begin(const struct dump *d, struct buf *to)
{
	buf_printf(to,
		   "# Loads the rows of all tables with psql: sh load.sh DATABASE. Run it once, when the tables exist and before "
		   "indexes are made.\n"
		   "set -eu\n"
		   "db=${1:?usage: sh load.sh DATABASE}\n"
		   "cd \"$(dirname \"$0\")/../..\"\n"
		   "export PGCLIENTENCODING=%s\n"
		   "run() { psql -X -q -v ON_ERROR_STOP=1 -d \"$db\" \"$@\"; }\n"
		   "# Where not all can be read, a line of more columns than a table can have makes COPY fail; no part of a table is "
		   "taken.\n"
		   "broken() { echo \"$1: not all of it can be read\" >&2; head -c 2000 /dev/zero | tr '\\0' '\\t'; }\n"
		   "pieces() {\n"
		   "\t{ find \"$1\" ! -type d -print0 || printf 'unlisted\\0'; } | { LC_ALL=C sort -z || printf 'unsorted\\0'; } |\n"
		   "\t\txargs -0 cat || broken \"$1\"\n"
		   "}\n"
		   "# A table without rows has no folder.\n"
		   "load() { if test -d \"$1\"; then pieces \"$1\" | run -c \"$2\"; fi; }\n"
		   "# Rows that CREATE EXTENSION made give way to those of the backup.\n"
		   "replace() { run -c \"$3\"; load \"$1\" \"$2\"; }\n"
		   "pages() { if test -d \"$1\"; then pieces \"$1\" | run -c 'CREATE TEMP TABLE p (loid oid, pageno int, data "
		   "bytea)' \\\n"
		   "\t-c 'COPY p FROM STDIN' -c \"SELECT pg_catalog.lo_put(loid, pageno::bigint * $2, data)"
		   " FROM p\" >/dev/null; fi; }\n\n",
		   d->c->sql_ascii ? "SQL_ASCII" : "UTF8");
}

void load_script_table(const struct dump *d, const struct pg_table *t, const char *folder, struct buf *to)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (t->pages) {
		buf_puts(to, "pages ");
		buf_shell_word(to, folder);
		buf_printf(to, " %u\n", t->page_size);
		return;
	}
	buf_puts(to, t->replace ? "replace " : "load ");
	buf_shell_word(to, folder);
	buf_printf(&sql, "COPY %s", t->name);
	if (t->columns)
		buf_printf(&sql, " (%s)", t->columns);
	buf_puts(&sql, " FROM STDIN WITH (ENCODING ");
	sql_literal(&sql, d->encoding);
	buf_putc(&sql, ')');
	buf_putc(to, ' ');
	buf_shell_word(to, buf_str(&sql));
	if (t->replace) {
		buf_clear(&sql);
		buf_printf(&sql, "DELETE FROM ONLY %s %s", t->name, t->where ? t->where : "");
		buf_putc(to, ' ');
		buf_shell_word(to, buf_str(&sql));
	}
	buf_putc(to, '\n');
}
