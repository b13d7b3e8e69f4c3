/* The table of the local storage, and what needs no file of its own: opening, reading, free room. */
#include "storage/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/url.h"
#include "storage/local/internal.h"

#define READ_AHEAD_MIN (256u * 1024)

/* The path of file:///path or of a plain path, without '/' at its end. */
static enum status url_path(const char *url, char **path, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;

	if (url[0] == '/') {
		*path = xstrdup(url);
	} else {
		if (url_parse(url, &u, err))
			return err->code;
		if (u.host && *u.host && strcmp(u.host, "localhost")) {
			error_set(err, ST_CONFIG, "the store URL '%s' names the host %s", url, u.host);
			return error_hint(err, "A folder of this machine has three slashes: file:///%s/...", u.host);
		}
		if (!u.path || u.path[0] != '/')
			return error_set(err, ST_CONFIG, "the store URL '%s' has no path from / on", url);
		*path = xstrdup(u.path);
	}
	for (size_t n = strlen(*path); n > 1 && (*path)[n - 1] == '/'; n--)
		(*path)[n - 1] = 0;
	return ST_OK;
}

static enum status local_open(struct run *run, void *priv, const char *url, const void *params, struct error *err)
{
	const struct local_params *given = params;
	struct local *l = priv;

	if (run_check(run, err) || url_path(url, &l->path, err))
		return err->code;
	l->min_free = given->min_free;
	l->root_fd = FD_INIT;
	mutex_init(&l->mutex);
	return ST_OK;
}

static void local_close(void *priv)
{
	struct local *l = priv;

	fd_release(&l->root_fd);
	free(l->path);
	mutex_destroy(&l->mutex);
}

static enum status local_get(struct run *run UNUSED, void *priv, const char *key, uint64_t offset, void *to, size_t n,
			     struct error *err)
{
	CLEANUP(fd_release) int fd = FD_INIT;
	struct stat st;

	if (local_open_object(priv, key, &fd, &st, err))
		return err->code;
	if (offset > (uint64_t)st.st_size || n > (uint64_t)st.st_size - offset)
		return error_set(err, ST_BAD, "%s: has %lld bytes, but %zu at %" PRIu64 " belong to it", key,
				 (long long)st.st_size, n, offset);
	if (n >= READ_AHEAD_MIN)
		/* one large read instead of many windows; only advice */
		posix_fadvise(fd, (off_t)offset, (off_t)n, POSIX_FADV_WILLNEED);
	return fs_read_at(fd, offset, to, n, key, err);
}

static enum status local_stat(struct run *run UNUSED, void *priv, const char *key, struct storage_object *o, struct error *err)
{
	CLEANUP(fd_release) int fd = FD_INIT;
	struct stat st;

	if (local_open_object(priv, key, &fd, &st, err))
		return err->code;
	return local_object(fd, key, o, err);
}

/* Of the root, or of the nearest folder above it that exists. */
static enum status local_space(struct run *run UNUSED, void *priv, uint64_t *free_bytes, uint64_t *total, struct error *err)
{
	const struct local *l = priv;
	CLEANUP(cstr_release) char *path = xstrdup(l->path);

	while (!fs_exists(path)) {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path)
			return fs_free_space("/", free_bytes, total, err);
		*slash = 0;
	}
	return fs_free_space(path, free_bytes, total, err);
}

static void local_fetch_line(void *priv, const char *key, const char *file, struct buf *to)
{
	const struct local *l = priv;
	CLEANUP(cstr_release) char *path = xasprintf("%s/%s", l->path, key);

	buf_puts(to, "cp ");
	buf_shell_word(to, path);
	buf_putc(to, ' ');
	buf_shell_word(to, file);
}

static const char *const schemes[] = {"file", NULL};

static const struct setting settings[] = {
	{.scope = SCOPE_STORE,
	 .key = "min_free",
	 .type = SET_ROOM,
	 .def = "2%",
	 .arg = "SIZE|N%",
	 .help = "room that backups leave free on the file system of a local store; locks, manifests and evidence may use it",
	 .offset = offsetof(struct local_params, min_free)},
	SETTING_END,
};

const struct storage_ops storage_local = {
	.name = "local",
	.schemes = schemes,
	.settings = settings,
	.params_size = sizeof(struct local_params),
	.priv_size = sizeof(struct local),
	.caps = STORAGE_ABSENT | STORAGE_MATCHES | STORAGE_SPACE,
	.open = local_open,
	.close = local_close,
	.put_open = local_put_open,
	.put_write = local_put_write,
	.put_finish = local_put_finish,
	.put_abort = local_put_abort,
	.get = local_get,
	.stat = local_stat,
	.list = local_list,
	.delete = local_delete,
	.uncommitted = local_uncommitted,
	.space = local_space,
	.fetch_line = local_fetch_line,
};
