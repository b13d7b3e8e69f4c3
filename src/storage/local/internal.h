/* What the files of the local storage share.
 *
 * Layout: the object "a/b" is the file a/b. While it is written it is a/.part~<16 hex digits>~b, which no listing shows; it gets
 * its name by rename after fsync. Every change of names happens under an flock on .drtool-lock in the root, which makes
 * conditions atomic between processes. Folders are walked part by part without following links, so nothing below the root leads
 * out of it. */
#ifndef STORAGE_LOCAL_INTERNAL_H
#define STORAGE_LOCAL_INTERNAL_H

#include "storage/local/local.h"
#include "util/fs.h"
#include "util/thread.h"

#define PART_PREFIX ".part~"
#define PART_RANDOM 16
#define LOCK_NAME ".drtool-lock"
#define NAME_LIMIT 255 /* NAME_MAX of every file system that matters */

struct local {
	char *path;           /* of the root, absolute */
	struct room min_free;
	pthread_mutex_t mutex; /* guards root_fd until it is set */
	int root_fd;          /* -1 until the root was seen to exist */
};

/* As error_errno, with the codes that the contract of storages knows. */
enum status local_errno(struct error *err, int errnum, const char *key, const char *what);

/* path.c */
/* The root, borrowed. ST_NOT_FOUND where it is absent, unless make: then it is made. */
enum status local_root(struct local *l, bool make, int *fd, struct error *err);
/* Opens the folder that holds key; *name is its last part, borrowed from key. ST_NOT_FOUND where a folder is absent, unless
 * make. */
enum status local_folder(struct local *l, const char *key, bool make, int *fd, const char **name, struct error *err);
/* Opens the object for reading. ST_NOT_FOUND, or ST_IO where it is no file. */
enum status local_open_object(struct local *l, const char *key, int *fd, struct stat *st, struct error *err);
/* The object's facts with its token. */
enum status local_object(int fd, const char *key, struct storage_object *o, struct error *err);
/* True for names that are not objects: parts, the lock, and what file systems put into their root. */
bool local_hidden(const char *name, bool in_root);

/* publish.c: under the lock of the store */
struct local_publish {
	int folder;             /* holds both names */
	const char *part, *name, *key;
	enum put_condition condition;
	const char *token;
};
/* Gives the part its name if the condition holds. *replaced: something was there before. */
enum status local_publish(struct run *run, struct local *l, const struct local_publish *p, bool *replaced, struct error *err);
enum status local_delete(struct run *run, void *priv, const char *key, const char *token, struct error *err);

/* put.c */
enum status local_put_open(struct run *run, void *priv, const struct put_spec *spec, struct storage_put **put, struct error *err);
enum status local_put_write(struct run *run, struct storage_put *put, const void *p, size_t n, struct error *err);
enum status local_put_finish(struct run *run, struct storage_put *put, struct storage_object *o, struct error *err);
void local_put_abort(struct storage_put *put);

/* list.c */
enum status local_list(struct run *run, void *priv, const char *prefix, const char *start_after, const struct storage_listing *l,
		       struct error *err);
enum status local_uncommitted(struct run *run, void *priv, const char *prefix, struct instant abort_older,
			      const struct storage_listing *l, struct error *err);

#endif
