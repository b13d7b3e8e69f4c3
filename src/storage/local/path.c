/* From keys to descriptors, part by part, without following a link below the root. */
#include "storage/local/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/hash.h"

#define HASHED_MAX (64u * 1024)
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

enum status local_errno(struct error *err, int errnum, const char *key, const char *what)
{
	error_errno(err, errnum, "%s: %s", key, what);
	switch (errnum) {
	case ELOOP:
		error_set(err, ST_IO, "%s: %s: a symbolic link stands where a file or folder of the store belongs", key, what);
		break;
	case ESTALE:
	case ETIMEDOUT:
	case ENOTCONN:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ECONNABORTED:
		err->code = ST_UNREACHABLE;
		err->retry = true;
		break;
	}
	return err->code;
}

enum status local_root(struct local *l, bool make, int *fd, struct error *err)
{
	mutex_lock(&l->mutex);
	if (l->root_fd < 0) {
		l->root_fd = open(l->path, FOLDER_FLAGS);
		if (l->root_fd < 0 && errno == ENOENT && make && !fs_mkdirs(l->path, 0700, err))
			l->root_fd = open(l->path, FOLDER_FLAGS);
	}
	if (l->root_fd < 0 && !err->code)
		local_errno(err, errno, l->path, "cannot open the folder");
	*fd = l->root_fd;
	mutex_unlock(&l->mutex);
	return err->code;
}

/* One step down. A folder that is made is durable in its parent before anything is put into it. */
static int enter(int parent, const char *name, bool make)
{
	int fd = openat(parent, name, FOLDER_FLAGS | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 && errno == ENOTDIR) /* what the kernel also says of a link */
		errno = !fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
	if (fd >= 0 || errno != ENOENT || !make)
		return fd;
	if (mkdirat(parent, name, 0700) && errno != EEXIST)
		return -1;
	if (fsync(parent))
		return -1;
	return openat(parent, name, FOLDER_FLAGS | O_NOFOLLOW);
}

static bool reserved(const char *name)
{
	return !strncmp(name, PART_PREFIX, strlen(PART_PREFIX)) || !strcmp(name, LOCK_NAME);
}

bool local_hidden(const char *name, bool in_root)
{
	return reserved(name) || (in_root && !strcmp(name, "lost+found"));
}

enum status local_folder(struct local *l, const char *key, bool make, int *fd, const char **name, struct error *err)
{
	CLEANUP(fd_release) int at = FD_INIT;
	char part[NAME_LIMIT + 1];
	int root;

	if (local_root(l, make, &root, err))
		return error_add(err, "%s", key);
	at = fcntl(root, F_DUPFD_CLOEXEC, 0);
	if (at < 0)
		return local_errno(err, errno, key, "cannot open its folder");
	for (const char *slash; (slash = strchr(key, '/')); key = slash + 1) {
		size_t n = (size_t)(slash - key);

		if (n > NAME_LIMIT)
			return error_set(err, ST_IO, "%s: a part of the key is longer than a file name can be", key);
		memcpy(part, key, n);
		part[n] = 0;
		int below = reserved(part) ? -1 : enter(at, part, make);
		if (below < 0) {
			int why = reserved(part) ? EINVAL : errno;

			/* Where a file stands in the place of a folder, nothing can be below it. */
			return local_errno(err, why == ENOTDIR && !make ? ENOENT : why, key,
					   make ? "cannot make its folder" : "cannot open its folder");
		}
		fd_release(&at);
		at = below;
	}
	if (reserved(key) || strlen(key) > NAME_LIMIT - strlen(PART_PREFIX) - PART_RANDOM - 1)
		return error_set(err, ST_IO, "%s: the name is reserved or too long for this storage", key);
	*name = key;
	*fd = at;
	at = FD_INIT;
	return ST_OK;
}

enum status local_open_object(struct local *l, const char *key, int *fd, struct stat *st, struct error *err)
{
	CLEANUP(fd_release) int folder = FD_INIT;
	const char *name;

	if (local_folder(l, key, false, &folder, &name, err))
		return err->code;
	/* O_NONBLOCK: opening a FIFO that somebody put there must not hang. */
	*fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0)
		return local_errno(err, errno, key, "cannot open");
	if (fstat(*fd, st))
		local_errno(err, errno, key, "cannot read its facts");
	else if (S_ISDIR(st->st_mode))
		error_set(err, ST_NOT_FOUND, "%s: is a folder, no object", key);
	else if (!S_ISREG(st->st_mode))
		error_set(err, ST_IO, "%s: is no regular file", key);
	if (err->code)
		fd_release(fd);
	return err->code;
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Small objects are replaced (locks, pins), perhaps several times within one tick of the file system's clock: their token is the
 * hash of their bytes. Large ones are written once; file number, time and size tell them apart. */
static enum status token_of(int fd, const char *key, const struct stat *st, char *token, struct error *err)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	char hex[SHA256_HEX];

	if (st->st_size > (off_t)HASHED_MAX) {
		snprintf(token, STORAGE_TOKEN, "f%" PRIx64 "-%" PRIx64 "-%" PRIx64, (uint64_t)st->st_ino, (uint64_t)st->st_size,
			 (uint64_t)mtime_ns(st));
		return ST_OK;
	}
	buf_reserve(&bytes, (size_t)st->st_size + 1);
	if (fs_read_at(fd, 0, bytes.data, (size_t)st->st_size, key, err))
		return err->code;
	snprintf(token, STORAGE_TOKEN, "s%s", sha256_hex(sha256_of(bytes.data, (size_t)st->st_size), hex));
	return ST_OK;
}

enum status local_object(int fd, const char *key, struct storage_object *o, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return local_errno(err, errno, key, "cannot read its facts");
	*o = (struct storage_object){.size = (uint64_t)st.st_size, .modified = {mtime_ns(&st) / 1000}};
	return token_of(fd, key, &st, o->token, err);
}
