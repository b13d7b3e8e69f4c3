#include "drivers/mongodb/dump_text.h"

#define DATABASES_SHOWN 50

void mo_restore_text(const struct mo_restore_about *a, struct buf *to)
{
	buf_printf(to,
		   "A backup of %s %s, written by drtool. `drtool restore` reads it; so do tar and mongorestore, as follows.\n"
		   "\n"
		   "Needed: %s or later (MongoDB Database Tools). Put the options that say where the server is and who you are behind each\n"
		   "mongorestore: --uri, or --host, --port, --username, --authenticationDatabase. The account should have the role restore. Lines\n"
		   "that begin with two blanks are commands.\n"
		   "\n"
		   "1. Unpack, in an empty folder. A backup of several volumes has several files: unpack each there.\n"
		   "\n"
		   "  tar xzf BACKUP.tar.gz\n"
		   "\n"
		   "2. Of each database, the pieces of its collections joined to files as mongodump writes them, below the new folder dump. Each\n"
		   "command must end without an error: it names the collections that could not be read to their end, and leaves them out.\n"
		   "\n",
		   a->product, a->version, MO_OLDEST_CLIENT);
	for (size_t i = 0; i < a->scopes && i < DATABASES_SHOWN; i++)
		buf_printf(to, "  sh \001%s\001/load.sh dump\n", a->scope[i]);
	if (a->scopes > DATABASES_SHOWN)
		buf_printf(to, "\n  ... and likewise for the other %zu folders below db.\n", a->scopes - DATABASES_SHOWN);
	if (a->log)
		buf_printf(to, "  sh \001%s\001/load.sh dump\n\n"
			   "The last one makes the file oplog.bson of the changes that were made while the collections were read. Only with them all is of one moment.\n",
			   a->log);
	buf_printf(to, "\n"
		       "3. Collections with their options, documents, indexes and views. mongorestore adds documents to collections that exist: restore\n"
		       "where there are none of these names%s. Documents whose time is\n"
		       "past (TTL indexes) are deleted by the server within a minute of the end.\n"
		       "\n"
		       "  mongorestore --dir=dump --stopOnError --bypassDocumentValidation%s\n",
		   a->log ? "" : ", or under another name by --nsFrom='shop.*' --nsTo='shop_back.*'", a->log ? " --oplogReplay" : "");
	if (a->log)
		buf_puts(to, "\nWith --oplogReplay mongorestore replays the changes of all databases, of those too that are not in the backup, and takes no other\n"
			     "names: use a server of its own. The account needs a role that allows anyAction on anyResource.\n");
	if (!a->at_moment)
		buf_puts(to, "\nThe collections were read one after the other, not at one moment.\n");
	if (a->users || a->roles) {
		buf_puts(to, "\n4. Accounts with their passwords, and roles, on a server of MongoDB. Those that exist there are replaced by those of the "
			     "backup, others stay.\n"
			     "The file system.version.bson only says in which form they are (schema 5).\n\n"
			     "  mkdir -p accounts/dump/admin\n");
		if (a->users)
			buf_puts(to, "  cp accounts/system.users.bson accounts/dump/admin/\n");
		if (a->roles)
			buf_puts(to, "  cp accounts/system.roles.bson accounts/dump/admin/\n");
		buf_puts(to, "  printf '\\055\\0\\0\\0\\002_id\\0\\013\\0\\0\\0authSchema\\0\\020currentVersion\\0\\005\\0\\0\\0\\0' > "
			     "accounts/dump/admin/system.version.bson\n"
			     "  mongorestore --dir=accounts/dump\n");
	}
	buf_puts(to, "\nTo join the documents of one collection by hand (its folder is db/DATABASE/data/COLLECTION):\n"
		     "\n  find FOLDER -type f -print0 | LC_ALL=C sort -z | xargs -0 cat > COLLECTION.bson\n"
		     "\nThe index of all collections, with documents and checksums, is drtool/manifest.json.\n");
}

/* ---- load.sh ---- */

static const char script[] =
	"set -eu\n"
	"umask 077\n"
	"out=${1:?usage: sh load.sh OUT}\n"
	"case $out in /*) ;; *) out=$(pwd)/$out ;; esac\n"
	"cd \"$(dirname \"$0\")\"\n"
	"to=$out/$db\n"
	"if test -e \"$to\"; then echo \"$to is there already: remove it, or name another folder\" >&2; exit 1; fi\n"
	"mkdir -p \"$to\"\n"
	"left_out=0\n"
	"broken() { echo \"$1: not all of it can be read, it is left out\" >&2; left_out=$((left_out + 1)); }\n"
	"# A view, or the description of a collection.\n"
	"metadata() { cp \"./$1.metadata.json\" \"$to/$1.metadata.json\"; }\n"
	"# NAME, FILE of documents, their BYTES, FOLDER of the pieces: no part of a collection is taken. One without documents has no folder.\n"
	"collection() {\n"
	"\t{ test \"$3\" -eq 0 || find \"../../$4\" ! -type d -print0 | LC_ALL=C sort -z | xargs -0 cat; } > \"$to/$2.bson\" || :\n"
	"\tif test $(wc -c < \"$to/$2.bson\") -eq \"$3\" && metadata \"$1\"; then :; else rm -f \"$to/$2.bson\" \"$to/$1.metadata.json\"; broken \"$1\"; fi\n"
	"}\n"
	"view() { metadata \"$1\" || { rm -f \"$to/$1.metadata.json\"; broken \"$1\"; }; }\n"
	"# mongorestore passes over these.\n"
	"by_name() { printf '%s\\n' \"To be restored by itself: mongorestore --db=$as_word --collection=$2 '$to/$1.bson'\"; }\n"
	"by_hand() { printf '%s\\n' \"To be made by hand, mongorestore passes over it: $to/$1.metadata.json\"; }\n\n";

static const char script_end[] =
	"\nif test $left_out -ne 0; then echo \"$left_out collections or views are missing in $to\" >&2; exit 1; fi\n"
	"echo \"$to is made. The next step is in RESTORE.txt: mongorestore, when all databases are made\"\n";

static const char log_script[] =
	"set -eu\n"
	"umask 077\n"
	"out=${1:?usage: sh load.sh OUT}\n"
	"case $out in /*) ;; *) out=$(pwd)/$out ;; esac\n"
	"cd \"$(dirname \"$0\")\"\n"
	"to=$out/oplog.bson\n"
	"if test -e \"$to\"; then echo \"$to is there already: remove it, or name another folder\" >&2; exit 1; fi\n"
	"mkdir -p \"$out\"\n"
	"{ find \"../../$folder\" ! -type d -print0 | LC_ALL=C sort -z | xargs -0 cat; } > \"$to\" || :\n"
	"if test $(wc -c < \"$to\") -ne $bytes; then rm -f \"$to\"; echo \"oplog: not all of it can be read, it is left out\" >&2; exit 1; fi\n"
	"echo \"$to is made, for mongorestore --oplogReplay\"\n";

void mo_log_script(const char *folder, uint64_t bytes, struct buf *to)
{
	buf_puts(to, "# Makes of the changes recorded during the backup the file that mongodump --oplog would have written: sh load.sh OUT\nfolder=");
	buf_shell_word(to, folder);
	buf_printf(to, "\nbytes=%" PRIu64 "\n%s", bytes, log_script);
}

/* mongorestore does not see names with a line end and says nothing of them, unless it is told one. */
static void put_unseen(const struct mo_load_item *item, const char *file, struct buf *to)
{
	if (!strchr(item->name, '\n'))
		return;
	buf_puts(to, item->kind == MO_COLLECTION ? "by_name " : "by_hand ");
	buf_shell_word(to, file);
	buf_putc(to, ' ');
	if (item->kind == MO_COLLECTION) {
		CLEANUP(buf_release) struct buf word = BUF_INIT;

		buf_shell_word(&word, item->name);
		buf_shell_word(to, buf_str(&word));
	}
	buf_putc(to, '\n');
}

static void put_item(const struct mo_load_item *item, struct buf *to)
{
	CLEANUP(cstr_release) char *file = mo_file_name(item->name);

	buf_puts(to, item->kind == MO_VIEW ? "view " : "collection ");
	buf_shell_word(to, file);
	if (item->kind != MO_VIEW) {
		CLEANUP(cstr_release) char *buckets = xasprintf("system.buckets.%s", item->name);
		CLEANUP(cstr_release) char *data = item->kind == MO_TIMESERIES ? mo_file_name(buckets) : xstrdup(file);

		buf_putc(to, ' ');
		buf_shell_word(to, data);
		buf_printf(to, " %" PRIu64 " ", item->bytes);
		buf_shell_word(to, item->folder ? item->folder : "");
	}
	buf_putc(to, '\n');
	put_unseen(item, file, to);
}

void mo_load_script(const char *database, const struct mo_load_item *item, size_t items, struct buf *to)
{
	CLEANUP(buf_release) struct buf word = BUF_INIT;
	/* A server that gives itself other names than it allows does not lead out of the folder. */
	CLEANUP(cstr_release) char *folder = strpbrk(database, "/.") ? mo_file_name(database) : xstrdup(database);

	buf_puts(to, "# Makes of this database's collections the folder that mongodump would have written, for mongorestore: sh load.sh OUT\n"
		     "db=");
	buf_shell_word(to, folder);
	buf_puts(to, "\nas_word=");
	buf_shell_word(&word, database);
	buf_shell_word(to, buf_str(&word));
	buf_putc(to, '\n');
	buf_puts(to, script);
	for (size_t i = 0; i < items; i++)
		put_item(&item[i], to);
	buf_puts(to, script_end);
}
