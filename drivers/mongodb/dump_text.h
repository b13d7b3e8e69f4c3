/* RESTORE.txt and load.sh: the way back with tar and mongorestore alone. Pure functions, any thread. */
#ifndef DRIVERS_MONGODB_DUMP_TEXT_H
#define DRIVERS_MONGODB_DUMP_TEXT_H

#include "drivers/mongodb/meta.h"

struct mo_restore_about {
	const char *product, *version; /* "MongoDB", "7.0.14" */
	const char *const *scope;      /* names of the databases in the archive */
	size_t scopes;
	bool users, roles;             /* accounts/system.users.bson, accounts/system.roles.bson are in the archive */
	bool at_moment;                /* all of it is of one moment, with the log where there is one */
	const char *log;               /* the scope of the log; NULL none */
};
/* For dump_info.restore_text: with \001NAME\001 for the folder of scope NAME. */
void mo_restore_text(const struct mo_restore_about *a, struct buf *to);

/* A collection or view of the database of a load.sh. */
struct mo_load_item {
	const char *name;   /* as the archive knows it */
	enum mo_kind kind;
	const char *folder; /* of its pieces, below the archive's top, as dump_object.folder gave it; NULL for a view */
	uint64_t bytes;     /* of all its documents */
};
/* load.sh of a database, an entry of its scope: written when all documents were read, so that it knows their bytes. It makes of the pieces and of
 * <mo_file_name>.metadata.json beside it the folder OUT/<database>/ as mongodump writes it. */
void mo_load_script(const char *database, const struct mo_load_item *item, size_t items, struct buf *to);
/* load.sh of the log: it makes OUT/oplog.bson. */
void mo_log_script(const char *folder, uint64_t bytes, struct buf *to);
/* The oldest stock client, for the manifest: the first that knows time series. */
#define MO_OLDEST_CLIENT "mongorestore 100.4"

#endif
