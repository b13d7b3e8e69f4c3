/* The writing half of a backup: an archive whose volumes go to a set of stores. */
#ifndef OPS_BACKUP_WRITE_H
#define OPS_BACKUP_WRITE_H

#include "ops/internal.h"
#include "ops/sealer.h"

struct backup_write {
	struct open_stores stores;
	struct lock **lock;            /* per opened store */
	struct store_set *set;
	struct archive_writer *writer;
	struct manifest *manifest;     /* volumes are added here as they end */
	struct seal_recipients *recipients; /* owned; NULL: not sealed */
	struct sealer *sealer;         /* of the volume that is open */
	struct buf block;              /* bytes on their way to the stores */
	size_t block_size;
	struct instant began;
};
#define BACKUP_WRITE_INIT {0}
/* Opens, initialises and locks the stores. */
enum status backup_write_stores(struct op_env *env, const struct backup_request *q, struct backup_write *w, struct error *err) MUST_CHECK;
/* The opened store i failed before the first byte: an outcome, unless the cause concerns the source or this run. Moves why. */
enum status backup_write_drop(const struct backup_request *q, struct backup_write *w, size_t i, struct error *why, struct error *err) MUST_CHECK;
/* Begins the archive of w->manifest->id. */
enum status backup_write_begin(struct op_env *env, const struct budget *b, const char *spool_dir, struct backup_write *w, struct error *err) MUST_CHECK;
/* Every lock is still ours. */
enum status backup_write_locked(struct op_env *env, struct backup_write *w, struct error *err) MUST_CHECK;
/* Prunes the source in each store that has the backup, under the lock that is held; a store that fails leaves the others. */
enum status backup_write_prune(struct op_env *env, const struct backup_request *q, struct backup_write *w, struct backup_result *r,
			       struct error *err) MUST_CHECK;
/* The driver's RESTORE.txt with the folders of the scopes in it; of a sealed backup with the command that opens it. */
void backup_restore_text(struct dump_pipeline *p, const struct backup_write *w, const char *text, struct buf *to);
void backup_write_release(struct backup_write *w);

#endif
