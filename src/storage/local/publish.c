/* Changes of names: a finished part becomes an object, an object goes. All under the lock of the store. */
#include "storage/local/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/failpoint.h"

#define LOCK_POLL DURATION_MS(2)

static enum status lock_store(struct run *run, struct local *l, int *fd, struct error *err)
{
	int root;

	if (local_root(l, false, &root, err))
		return err->code;
	*fd = openat(root, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return local_errno(err, errno, LOCK_NAME, "cannot open");
	while (flock(*fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			local_errno(err, errno, LOCK_NAME, "cannot lock");
		if (err->code || run_sleep(run, LOCK_POLL, err)) {
			fd_release(fd);
			return err->code;
		}
	}
	return failpoint("local.lock.taken", err);
}

/* ST_OK, ST_PRECONDITION, or why it cannot be told. *there: something has the name. */
static enum status check_condition(int folder, const char *name, const struct local_publish *p, bool *there, struct error *err)
{
	CLEANUP(fd_release) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct storage_object now;

	*there = fd >= 0;
	if (fd < 0 && errno != ENOENT)
		return local_errno(err, errno, p->key, "cannot open what is there");
	if (p->condition == PUT_ABSENT && *there)
		return error_set(err, ST_PRECONDITION, "%s: exists already", p->key);
	if (p->condition != PUT_MATCHES)
		return ST_OK;
	if (!*there)
		return error_set(err, ST_PRECONDITION, "%s: is gone", p->key);
	if (local_object(fd, p->key, &now, err))
		return err->code;
	return strcmp(now.token, p->token) ? error_set(err, ST_PRECONDITION, "%s: was changed by somebody else", p->key) : ST_OK;
}

/* Renames only where nothing has the name. Where the file system cannot do that in one step the lock alone has to do. */
static int rename_absent(const struct local_publish *p)
{
	if (!renameat2(p->folder, p->part, p->folder, p->name, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != EOPNOTSUPP)
		return -1;
	if (!linkat(p->folder, p->part, p->folder, p->name, 0)) {
		unlinkat(p->folder, p->part, 0); /* where it stays, prune finds it */
		return 0;
	}
	if (errno == EEXIST)
		return -1;
	return renameat(p->folder, p->part, p->folder, p->name);
}

enum status local_publish(struct run *run, struct local *l, const struct local_publish *p, bool *replaced, struct error *err)
{
	CLEANUP(fd_release) int lock = FD_INIT;

	if (lock_store(run, l, &lock, err) || check_condition(p->folder, p->name, p, replaced, err))
		return err->code;
	if (failpoint("local.rename.before", err))
		return err->code;
	int failed = p->condition == PUT_ABSENT ? rename_absent(p) : renameat(p->folder, p->part, p->folder, p->name);
	if (!failed)
		return ST_OK;
	if (errno == EEXIST)
		return error_set(err, ST_PRECONDITION, "%s: exists already", p->key);
	return local_errno(err, errno, p->key, "cannot give the finished file its name");
}

enum status local_delete(struct run *run, void *priv, const char *key, const char *token, struct error *err)
{
	CLEANUP(fd_release) int lock = FD_INIT;
	CLEANUP(fd_release) int folder = FD_INIT;
	const char *name;
	bool there;

	if (local_folder(priv, key, false, &folder, &name, err) || lock_store(run, priv, &lock, err))
		return err->code;
	const struct local_publish p = {.folder = folder, .key = key, .condition = token ? PUT_MATCHES : PUT_ANY, .token = token};
	if (check_condition(folder, name, &p, &there, err) && there)
		return err->code;
	error_release(err);
	if (!there)
		return error_set(err, ST_NOT_FOUND, "%s: does not exist", key);
	if (failpoint("local.delete.before", err))
		return err->code;
	if (unlinkat(folder, name, 0))
		return local_errno(err, errno, key, "cannot delete");
	if (failpoint("local.delete.after", err))
		return err->code;
	/* Durable before the next delete, so that a crash never brings a manifest back whose archive is gone. */
	return fsync(folder) ? local_errno(err, errno, key, "cannot make the deletion durable") : ST_OK;
}
