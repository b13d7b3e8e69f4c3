#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/statvfs.h>
#include <unistd.h>

char *path_join(const char *a, const char *b)
{
	size_t n = strlen(a);

	return xasprintf("%s%s%s", a, n && a[n - 1] != '/' ? "/" : "", b);
}

/* The folder that holds path; owned by the caller. */
static char *parent_of(const char *path)
{
	const char *end = path + strlen(path);

	while (end > path + 1 && end[-1] == '/')
		end--;
	while (end > path && end[-1] != '/')
		end--;
	while (end > path + 1 && end[-1] == '/')
		end--;
	return end > path ? xstrndup(path, (size_t)(end - path)) : xstrdup(".");
}

enum status fs_sync_dir(const char *path, struct error *err)
{
	CLEANUP(fd_release) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "cannot open the folder %s", path);
	/* EINVAL: a file system that knows no fsync of folders. */
	if (fsync(fd) && errno != EINVAL)
		return error_errno(err, errno, "cannot sync the folder %s", path);
	return ST_OK;
}

enum status fs_sync_parent(const char *path, struct error *err)
{
	CLEANUP(cstr_release) char *parent = parent_of(path);

	return fs_sync_dir(parent, err);
}

/* Makes one folder, durably; one that is there already is fine. */
static enum status make_dir(const char *path, mode_t mode, struct error *err)
{
	struct stat st;

	if (mkdir(path, mode)) {
		int why = errno;

		/* Some systems answer EROFS or EACCES although the folder is there. */
		if (!stat(path, &st) && S_ISDIR(st.st_mode))
			return ST_OK;
		return error_errno(err, why == EEXIST ? ENOTDIR : why, "cannot make the folder %s", path);
	}
	return fs_sync_parent(path, err);
}

enum status fs_mkdirs(const char *path, mode_t mode, struct error *err)
{
	CLEANUP(cstr_release) char *part = xstrdup(path);

	if (fs_is_dir(path))
		return ST_OK;
	for (char *slash = part + strspn(part, "/"); (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (make_dir(part, mode, err))
			return err->code;
		*slash = '/';
	}
	return make_dir(path, mode, err);
}

static enum status read_to_end(int fd, const char *path, size_t max, struct buf *to, struct error *err)
{
	for (size_t done = 0;;) {
		buf_reserve(to, 1);
		ssize_t n = read(fd, to->data + to->len, min_size(to->cap - to->len - 1, max - done + 1));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", path);
		to->len += (size_t)n;
		to->data[to->len] = 0;
		done += (size_t)n;
		if (done > max)
			return error_set(err, ST_BAD, "%s is larger than %zu bytes", path, max);
		if (n == 0)
			return ST_OK;
	}
}

enum status fs_read_file(const char *path, size_t max, struct buf *to, struct error *err)
{
	CLEANUP(fd_release) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t before = to->len, most = min_size(max, SIZE_MAX / 4);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_errno(err, errno, "cannot open %s", path);
	/* All the room at once, so that growing leaves no copies of a secret behind. */
	buf_reserve(to, st.st_size > 0 ? (size_t)min_u64((uint64_t)st.st_size, most) + 1 : 4096);
	enum status done = read_to_end(fd, path, most, to, err);
	if (done) {
		to->len = before;
		to->data[before] = 0;
	}
	return done;
}

enum status fs_write_all(int fd, const void *p, size_t n, const char *name, struct error *err)
{
	const char *at = p;

	while (n) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return error_errno(err, w < 0 ? errno : EIO, "cannot write %s", name);
		at += w;
		n -= (size_t)w;
	}
	return ST_OK;
}

enum status fs_read_at(int fd, uint64_t offset, void *to, size_t n, const char *name, struct error *err)
{
	char *at = to;

	if (offset > INT64_MAX - n)
		return error_set(err, ST_BAD, "%s has no byte %" PRIu64, name, offset);
	while (n) {
		ssize_t r = pread(fd, at, n, (off_t)offset);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return error_errno(err, errno, "cannot read %s", name);
		if (r == 0)
			return error_set(err, ST_BAD, "%s ends at byte %" PRIu64 ", %zu bytes too early", name, offset, n);
		at += r;
		offset += (uint64_t)r;
		n -= (size_t)r;
	}
	return ST_OK;
}

/* Creates a file beside path that did not exist. *name is owned by the caller. */
static int open_neighbour(const char *path, char **name)
{
	static atomic_uint counter;
	int fd;

	do {
		cstr_release(name);
		*name = xasprintf("%s.%d-%u.tmp", path, (int)getpid(), atomic_fetch_add(&counter, 1));
		fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	} while (fd < 0 && errno == EEXIST);
	return fd;
}

/* fsync and close, both checked; *fd is -1 afterwards. */
static enum status close_synced(int *fd, const char *name, struct error *err)
{
	bool synced = !fsync(*fd) || error_errno(err, errno, "cannot sync %s", name) == ST_OK;
	int closed = close(*fd);

	*fd = -1;
	return synced && closed ? error_errno(err, errno, "cannot write %s", name) : err->code;
}

static enum status write_synced(int *fd, mode_t mode, const struct buf *content, const char *name, struct error *err)
{
	if (fchmod(*fd, mode))
		return error_errno(err, errno, "cannot set the mode of %s", name);
	if (fs_write_all(*fd, content->data, content->len, name, err))
		return err->code;
	return close_synced(fd, name, err);
}

enum status fs_write_file(const char *path, mode_t mode, const void *p, size_t n, struct error *err)
{
	CLEANUP(cstr_release) char *temporary = NULL;
	CLEANUP(fd_release) int fd = open_neighbour(path, &temporary);
	const struct buf content = {.data = (char *)(uintptr_t)p, .len = n};

	if (fd < 0)
		return error_errno(err, errno, "cannot create %s", temporary);
	enum status done = write_synced(&fd, mode, &content, temporary, err);
	if (!done && rename(temporary, path))
		done = error_errno(err, errno, "cannot rename %s to %s", temporary, path);
	if (done) {
		unlink(temporary);
		return done;
	}
	return fs_sync_parent(path, err);
}

enum status fs_write_new(const char *path, const void *p, size_t n, struct error *err)
{
	CLEANUP(fd_release) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EEXIST)
		return error_set(err, ST_REFUSED, "%s is there already and is not overwritten", path);
	if (fd < 0)
		return error_errno(err, errno, "cannot make %s", path);
	if (fs_write_all(fd, p, n, path, err) || close_synced(&fd, path, err) || fs_sync_parent(path, err))
		unlink(path);
	return err->code;
}

static enum status list_names(DIR *dir, const char *path, struct strlist *to, struct error *err)
{
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(dir);

		if (!e)
			return errno ? error_errno(err, errno, "cannot read the folder %s", path) : ST_OK;
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			strlist_add(to, e->d_name);
	}
}

static void dir_release(DIR **d)
{
	if (*d)
		closedir(*d);
	*d = NULL;
}

enum status fs_list(const char *path, struct strlist *to, struct error *err)
{
	CLEANUP(dir_release) DIR *dir = opendir(path);

	if (!dir)
		return error_errno(err, errno, "cannot open the folder %s", path);
	if (list_names(dir, path, to, err))
		return err->code;
	strlist_sort(to);
	return ST_OK;
}

/* Removes name in the folder at, which path names for people. Descriptors, not paths, lead down: a folder that somebody exchanges
 * for a link meanwhile is not followed. */
static enum status remove_at(int at, const char *name, const char *path, struct error *err)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(dir_release) DIR *dir = NULL;

	if (!unlinkat(at, name, 0) || errno == ENOENT)
		return ST_OK;
	if (errno != EISDIR && errno != EPERM)
		return error_errno(err, errno, "cannot remove %s", path);
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot open the folder %s", path);
	dir = fdopendir(fd);
	if (!dir) {
		fd_release(&fd);
		return error_errno(err, errno, "cannot open the folder %s", path);
	}
	if (list_names(dir, path, &names, err))
		return err->code;
	for (size_t i = 0; i < names.len; i++) {
		CLEANUP(cstr_release) char *inner = path_join(path, names.item[i]);

		if (remove_at(fd, names.item[i], inner, err))
			return err->code;
	}
	if (unlinkat(at, name, AT_REMOVEDIR) && errno != ENOENT)
		return error_errno(err, errno, "cannot remove the folder %s", path);
	return ST_OK;
}

enum status fs_remove_tree(const char *path, struct error *err) { return remove_at(AT_FDCWD, path, path, err); }

bool fs_exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

bool fs_is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

enum status fs_free_space(const char *path, uint64_t *free_bytes, uint64_t *total, struct error *err)
{
	struct statvfs v;

	if (statvfs(path, &v))
		return error_errno(err, errno, "cannot ask for the free space of %s", path);
	if (free_bytes)
		*free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	if (total)
		*total = (uint64_t)v.f_blocks * v.f_frsize;
	return ST_OK;
}

enum status tmpdir_make(struct tmpdir *t, const char *prefix, struct error *err)
{
	const char *base = getenv("TMPDIR");
	char *path = xasprintf("%s/%s-XXXXXX", base && *base == '/' ? base : "/tmp", prefix);

	if (!mkdtemp(path)) {
		error_errno(err, errno, "cannot make a temporary folder %s", path);
		/* "Nothing matches" is the answer to another question. */
		if (err->code == ST_NOT_FOUND)
			err->code = ST_IO;
		free(path);
		return err->code;
	}
	t->path = path;
	return ST_OK;
}

void tmpdir_release(struct tmpdir *t)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	/* What cannot be removed stays for whoever cleans the temporary folder. */
	if (t->path && fs_remove_tree(t->path, &ignored))
		error_release(&ignored);
	cstr_release(&t->path);
}
